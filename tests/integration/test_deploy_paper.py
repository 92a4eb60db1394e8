"""The commands of docs/DEPLOY.md, as far as they run without an account."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src.process_webhook.authenticate import authenticate
from src.process_webhook.request import parse_body, parse_request
from tests.support.papers import ROOT, script, scripts

pytestmark = pytest.mark.integration

DEPLOY = ROOT / "docs/DEPLOY.md"


def run(commands: str, folder: Path, **stubs: str) -> str:
    """Run commands in a folder that is also first on PATH, with these stub programs in it."""
    for name, body in stubs.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    path = os.pathsep.join([str(folder), str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_the_first_job_is_one_that_the_webhook_takes(tmp_path: Path) -> None:
    run(script(DEPLOY, "openssl rand"), tmp_path, aws="exit 0")
    secret = (tmp_path / "webhook-secret").read_text().strip()

    sent = run(
        script(DEPLOY, "curl --silent"),
        tmp_path,
        curl='printf "%s\\n" "$@"',
        terraform="printf https://api.example/webhook",
    ).splitlines()

    (signature,) = [arg for arg in sent if arg.startswith("X-Hub-Signature-256: ")]
    body = (tmp_path / "body.json").read_bytes()
    authenticate([secret], body, signature.partition(": ")[2])
    request = parse_request(parse_body(body))
    assert [order.order_name for order in request.job.orders] == ["hello"]
    assert request.run_id is not None
    assert sent[-2:] == ["@body.json", "https://api.example/webhook"]


def test_what_deploying_writes_into_the_clone_is_not_committed(tmp_path: Path) -> None:
    """The webhook secret and the states are among it."""
    papers = [DEPLOY, *(ROOT / "docs/how-to").glob("*.md")]
    text = "\n".join(block for paper in papers for block in scripts(paper))
    written = {*re.findall(r">([a-z][\w.-]*)", text), *re.findall(r"mkdir -p (\S+?)\)", text)}
    assert {"webhook-secret", "webhook-secret.new", "state-archive", "body.json"} <= written
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for name in written:
        place = tmp_path / name / "one.tfstate" if name == "state-archive" else tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.touch()

    status = run("git init --quiet && git status --porcelain", tmp_path)

    assert status.split() == ["??", ".gitignore"]
