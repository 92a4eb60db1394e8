"""scripts/try_image.sh, with a stand-in for Docker that runs the container's command right here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import need

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DOCKER = """#!/usr/bin/env bash
set -euo pipefail
echo "$*" | head -n 1 >>"$CALLS"
[[ $1 == image ]] && { echo 290000000; exit; }
while [[ $1 != --entrypoint ]]; do shift; done
program=$2
shift 3 # the image too
exec "$program" "$@"
"""


def try_image(tmp_path: Path, task_root: Path) -> tuple[int, str, list[str]]:
    need("ssh", "gzip", "tar", "unzip")  # which the image has to hold
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    python = Path(sys.executable).parent
    done = subprocess.run(
        [ROOT / "scripts/try_image.sh", "iac-ci:test"],
        env={
            **os.environ,
            "CALLS": str(tmp_path / "calls"),
            "LAMBDA_TASK_ROOT": str(task_root),
            "PATH": os.pathsep.join([str(tmp_path), str(python), os.environ["PATH"]]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout, (tmp_path / "calls").read_text().splitlines()


def test_an_image_with_programs_and_handlers_passes(tmp_path: Path) -> None:
    code, said, calls = try_image(tmp_path, ROOT)

    assert code == 0, said
    assert "src.watchdog_check.handler" in said
    assert "reading the dispatch in IAC_CI_PAYLOAD" in said
    assert said.endswith("290 MB unpacked\n")
    assert all("--read-only" in call for call in calls if "--user 993:990" in call)
    assert sum("--user 993:990" in call for call in calls) == 2


def test_an_image_whose_handler_does_not_import_fails(tmp_path: Path) -> None:
    handler = tmp_path / "task/src/worker/handler.py"
    handler.parent.mkdir(parents=True)
    handler.write_text("import no_such_module\n")

    code, said, _ = try_image(tmp_path, tmp_path / "task")

    assert code != 0
    assert "No module named 'no_such_module'" in said
