"""scripts/fetch_tool.sh against a server on this machine."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.programs import need

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).parents[2] / "scripts/fetch_tool.sh"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def archive(tool: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("LICENSE.txt", "terms")
        packed.writestr(tool, f"#!/bin/sh\necho {tool} is here\n")
    return file.getvalue()


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Yield the address of a mirror with terraform 1.2.3 and its checksum."""
    need("curl", "unzip")
    packed = archive("terraform")
    place = tmp_path / "mirror/1.2.3/terraform_1.2.3_linux_amd64.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(packed)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "mirror"))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", hashlib.sha256(packed).hexdigest()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


def fetch(*arguments: object, mirror: str = "http://127.0.0.1:9/") -> tuple[int, str]:
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        env={**environ, "TOOL_MIRROR": mirror},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_an_archive_of_the_given_checksum_is_installed(
    mirror: tuple[str, str], tools: Path
) -> None:
    address, sha256 = mirror

    assert fetch("terraform", "1.2.3", sha256, tools, mirror=address) == (0, "")

    assert [file.name for file in tools.iterdir()] == ["terraform"]
    said = subprocess.run([tools / "terraform"], capture_output=True, text=True, check=True)
    assert said.stdout == "terraform is here\n"


def test_an_archive_of_another_checksum_is_refused(mirror: tuple[str, str], tools: Path) -> None:
    address, sha256 = mirror

    code, said = fetch("terraform", "1.2.3", "0" * 64, tools, mirror=address)

    assert code == 1
    assert sha256 in said
    assert list(tools.iterdir()) == []


def test_a_release_that_is_not_there_is_an_error(mirror: tuple[str, str], tools: Path) -> None:
    code, said = fetch("terraform", "9.9.9", mirror[1], tools, mirror=mirror[0])

    assert code != 0
    assert "404" in said


def test_nothing_is_fetched_without_a_version(tools: Path) -> None:
    assert fetch("tofu", "", "", tools) == (0, "")
    assert list(tools.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("terraform", "1.2.3", ""), "'' is no SHA-256"),
        (("terraform", "", "0" * 64), "without a version"),
        (("terraform", "../1.2.3", "0" * 64), "'../1.2.3' is no version"),
        (("packer", "1.2.3", "0" * 64), "unknown tool 'packer'"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    arguments: tuple[str, str, str], names: str, tools: Path
) -> None:
    code, said = fetch(*arguments, tools)

    assert code == 1
    assert names in said
