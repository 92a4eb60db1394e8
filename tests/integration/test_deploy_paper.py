"""The commands of docs/DEPLOY.md, as far as they run without an account."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from src.process_webhook.authenticate import authenticate
from src.process_webhook.request import parse_body, parse_request

pytestmark = pytest.mark.integration

PAPER = (Path(__file__).parents[2] / "docs/DEPLOY.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAPER, re.MULTILINE | re.DOTALL)


def block(part: str) -> str:
    """Return the one block of commands that holds `part`."""
    (found,) = [text for text in BLOCKS if part in text]
    return found


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
    run(block("openssl rand"), tmp_path, aws="exit 0")
    secret = (tmp_path / "webhook-secret").read_text().strip()

    sent = run(
        block("curl --fail"),
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


def test_what_was_given_up_is_sent_again_to_its_function(tmp_path: Path) -> None:
    failure = {"requestContext": {"functionArn": "arn:f"}, "requestPayload": {"Records": ["ä"]}}
    (tmp_path / "failure.json").write_text(json.dumps(failure))

    sent = run(block("fileb://event.json"), tmp_path, aws='printf "%s\\n" "$@"').splitlines()

    assert sent[sent.index("--function-name") + 1] == "arn:f"
    assert json.loads((tmp_path / "event.json").read_text()) == failure["requestPayload"]


def test_the_commands_pass_shellcheck(tmp_path: Path) -> None:
    script = tmp_path / "deploy.sh"
    script.write_text("#!/usr/bin/env bash\nset -e\n" + "\n".join(BLOCKS))
    shellcheck = Path(sys.executable).with_name("shellcheck")

    found = subprocess.run(
        [shellcheck, script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert found.returncode == 0, found.stdout
