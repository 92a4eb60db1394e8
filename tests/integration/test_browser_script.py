"""`make browser` finds a Chromium, or says what to install; it never passes without one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[2] / "scripts/browser.sh"


def browser_sh(path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script where PATH holds nothing but what `path` does."""
    return subprocess.run(
        ["/bin/bash", SCRIPT],
        env={"PATH": str(path), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def program(file: Path, *lines: str) -> Path:
    file.write_text("\n".join(["#!/bin/bash", *lines, ""]))
    file.chmod(0o755)
    return file


def test_browser_that_is_there_is_named_and_nothing_installed(tmp_path: Path) -> None:
    program(tmp_path / "google-chrome", "echo Chrome 1.0")
    program(tmp_path / "id", "echo 0")
    program(tmp_path / "apt-get", "exit 9")

    done = browser_sh(tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "Chrome 1.0\n", "")


def test_browser_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    named = program(tmp_path / "elsewhere" / "my-chromium", "echo Mine 2.0")

    assert browser_sh(tmp_path, CHROMIUM=str(named)).stdout == "Mine 2.0\n"


@pytest.mark.parametrize(("user", "apt"), [("1000", True), ("0", False)])
def test_where_it_may_not_install_it_says_what_to_install(
    tmp_path: Path, user: str, apt: bool
) -> None:
    program(tmp_path / "id", f"echo {user}")
    if apt:
        program(tmp_path / "apt-get", f"touch {tmp_path}/installed")

    done = browser_sh(tmp_path)

    assert done.returncode == 1
    assert "apt-get install chromium" in done.stderr
    assert not (tmp_path / "installed").exists()


def test_root_with_apt_gets_debians(tmp_path: Path) -> None:
    program(tmp_path / "id", "echo 0")
    program(
        tmp_path / "apt-get",
        f'case "$*" in *chromium*) echo "#!/bin/bash" > {tmp_path}/chromium',
        f'echo "echo Debian 3.0" >> {tmp_path}/chromium; /bin/chmod +x {tmp_path}/chromium;; esac',
    )

    done = browser_sh(tmp_path)

    assert (done.returncode, done.stdout) == (0, "Debian 3.0\n")


def test_installation_that_fails_is_no_success(tmp_path: Path) -> None:
    program(tmp_path / "id", "echo 0")
    program(tmp_path / "apt-get", "echo no network >&2; exit 100")

    done = browser_sh(tmp_path)

    assert done.returncode != 0
    assert "no network" in done.stderr
