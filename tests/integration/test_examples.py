"""Every example does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
IAC_CI = Path(sys.executable).parent / "iac-ci"


def run(*args: object, **env: str) -> tuple[int, dict[str, object]]:
    done = subprocess.run(
        [*map(str, args), "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **env},
    )
    return done.returncode, json.loads(done.stdout)


def statuses(told: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return {name: order["status"] for name, order in told["orders"].items()}


def path_without(program: str, place: Path) -> str:
    """Return PATH without a program; a folder that holds it is copied into `place` as links."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep) if folder]
    for number, folder in enumerate(folders):
        if (folder / program).exists():
            folders[number] = place / str(number)
            folders[number].mkdir()
            for other in folder.iterdir():
                if other.name != program:
                    (folders[number] / other.name).symlink_to(other)
    return os.pathsep.join(map(str, folders))


@pytest.mark.skipif(not shutil.which("terraform"), reason="no terraform")
def test_terraform_pipeline_applies_and_checks_a_module() -> None:
    code, told = run(IAC_CI, "run", EXAMPLES / "terraform-pipeline/job.yaml")

    assert code == 0, told
    assert set(statuses(told).values()) == {"succeeded"}
    assert "released: shop 1.4.2" in told["orders"]["check"]["log"]
    assert not Path(f"/tmp/iac-ci-example-{told['run_id']}").exists()


def test_terraform_pipeline_says_so_where_no_terraform_is(tmp_path: Path) -> None:
    path = path_without("terraform", tmp_path)

    code, told = run(IAC_CI, "run", EXAMPLES / "terraform-pipeline/job.yaml", PATH=path)

    assert code == 1
    assert "terraform is not on PATH" in told["orders"]["fmt"]["log"]


def demo(**env: str) -> str:
    done = subprocess.run(
        [ROOT / "scripts/demo.sh"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("terraform"), reason="no terraform")
def test_demo_is_the_terraform_pipeline() -> None:
    assert "released: shop 1.4.2" in demo()


def test_demo_is_a_build_and_test_where_no_terraform_is(tmp_path: Path) -> None:
    said = demo(PATH=path_without("terraform", tmp_path))

    assert said.startswith("No terraform on PATH")
    assert "Ran 1 test" in said


def test_build_and_test_builds_a_repository_made_on_the_fly() -> None:
    code, told = run(EXAMPLES / "build-and-test/run.sh", IAC_CI=str(IAC_CI))

    assert code == 0, told
    assert "Ran 1 test" in told["orders"]["test"]["log"]
    assert re.search(r"^[0-9a-f]{64}$", told["orders"]["build"]["log"], re.MULTILINE)


def test_allowed_failure_fails_neither_job_nor_dependents() -> None:
    code, told = run(IAC_CI, "run", EXAMPLES / "allowed-failure/job.yaml")

    assert code == 0
    assert statuses(told) == {
        "build": "succeeded",
        "license-scan": "failed",
        "publish": "succeeded",
    }


def test_secrets_reach_the_commands_and_no_log() -> None:
    folder = EXAMPLES / "secrets"

    code, told = run(IAC_CI, "run", folder / "job.yaml", "--secrets", folder / "secrets.yaml")

    assert code == 0, told
    assert "a password of 28 characters" in told["orders"]["migrate"]["log"]
    assert "deploying as *** with the key ***" in told["orders"]["deploy"]["log"]
    assert "made-up-key" not in json.dumps(told)


def test_secrets_that_are_missing_are_named() -> None:
    done = subprocess.run(
        [IAC_CI, "run", EXAMPLES / "secrets/job.yaml"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "/iac-ci/shop/database-password" in done.stderr
    assert "/iac-ci/shop/api-key" in done.stderr
