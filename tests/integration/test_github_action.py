"""examples/github-action: its steps run for real, against the webhook and S3 over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from boto3.session import Session

from src.common.job import parse_job
from src.local.stack import Stack
from tests.support import stack_server
from tests.support.embedded_aws.embedded import EmbeddedAws
from tests.support.embedded_aws.options import Options
from tests.support.programs import works
from tests.support.stack_server import served

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("jq"), reason="no jq"),
    pytest.mark.skipif(not shutil.which("curl"), reason="no curl"),
]

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / "examples/github-action/iac-ci.yml").read_text())
HOW_TO = (ROOT / "docs/how-to/github-action.md").read_text()
CREDENTIALS, POST, WAIT = WORKFLOW["jobs"]["run"]["steps"]
OURS = {"plan": {"timeout": 30, "cmds": ["echo planned"]}}


class Runner:
    """Runs steps as GitHub's runner does: bash -e, outputs and summary by files."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        bin_ = folder / "bin"
        bin_.mkdir()
        if not works("aws"):
            stand_in = (
                f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/support/aws_command.py" "$@"\n'
            )
            (bin_ / "aws").write_text(stand_in)
            (bin_ / "aws").chmod(0o755)
        self.env = {
            "HOME": str(folder),
            "PATH": os.pathsep.join([str(bin_), os.environ["PATH"]]),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            **env,
        }

    def __call__(self, step: Mapping[str, Any], **env: str) -> tuple[int, str]:
        given = {name: value for name, value in step["env"].items() if "${{" not in str(value)}
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=self.folder,
            env={**self.env, **{name: str(value) for name, value in given.items()}, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return done.returncode, done.stdout

    @property
    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()


def posting(endpoint: str, **env: str) -> dict[str, str]:
    """Return what the step's expressions would be filled with."""
    filled = {
        "ENDPOINT": endpoint,
        "SECRET": stack_server.SECRET,
        "REPO": "https://github.com/me/infra",
        "REF": "0" * 40,
        "NUMBER": "7",
        "ACTOR": "me",
        "RUN": f"gh-{uuid.uuid4().hex}-1",
        **env,
    }
    expressions = {name for name, value in POST["env"].items() if "${{" in str(value)}
    assert filled.keys() >= expressions
    return filled


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, Any]]:
    with stack_server.started() as told:
        session = Session("key", "secret", region_name=Stack().region)
        session.client("ssm", endpoint_url=told["endpoint"]).put_parameter(
            Name="/iac-ci/github-token", Type="SecureString", Value="a token"
        )
        yield told


@pytest.fixture
def runner(stack: dict[str, Any], tmp_path: Path) -> Runner:
    return Runner(
        tmp_path,
        AWS_ENDPOINT_URL=stack["endpoint"],
        AWS_DEFAULT_REGION="eu-west-1",
        **stack_server.KEYS,
    )


def inline(**orders: Any) -> str:
    """Return orders that need no repository."""
    return json.dumps(
        {name: {"inline": {}, "timeout": 30, **order} for name, order in orders.items()}
    )


def test_a_pull_requests_job_is_posted_and_waited_for(
    stack: dict[str, Any], runner: Runner
) -> None:
    orders = inline(
        plan={"cmds": ["echo planned"]}, check={"cmds": ["true"], "dependencies": ["plan"]}
    )

    code, said = runner(POST, **posting(stack["url"], ORDERS=orders))
    assert code == 0, said
    code, said = runner(WAIT, DONE=runner.outputs["done"], LOOK_EVERY_S="0.2")

    assert code == 0, said
    assert "### iac-ci: succeeded" in runner.summary
    assert "| plan | succeeded |  |" in runner.summary
    assert re.search(r"`iac-ci logs gh-\w+-1`", runner.summary)


def test_a_run_that_fails_fails_the_workflow_and_says_which_order(
    stack: dict[str, Any], runner: Runner
) -> None:
    orders = inline(plan={"cmds": ["exit 3"]}, apply={"cmds": ["true"], "dependencies": ["plan"]})
    assert runner(POST, **posting(stack["url"], ORDERS=orders))[0] == 0

    code, _ = runner(WAIT, DONE=runner.outputs["done"], LOOK_EVERY_S="0.2")

    assert code == 1
    assert "### iac-ci: failed" in runner.summary
    assert "| plan | failed | exit code 3 |" in runner.summary
    assert re.search(r"\| apply \| skipped \| .*plan", runner.summary)


def test_a_reason_stays_in_its_cell_of_the_summary(tmp_path: Path) -> None:
    order = {"status": "failed", "exit_code": 1, "reason": "a | b `c`\n<img src=x> @me"}
    done = {"run_id": "r", "status": "failed", "reason": None, "orders": {"plan": order}}
    runner = Runner(tmp_path)
    aws = tmp_path / "bin/aws"
    aws.write_text(f"#!/bin/sh\ncat >done.json <<'JSON'\n{json.dumps(done)}\nJSON\n")
    aws.chmod(0o755)

    code, _ = runner(WAIT, DONE="s3://done/run/done")

    assert code == 1
    row = "| plan | failed | exit code 1, `a   b  c  <img src=x> @me` |"
    assert row in runner.summary.splitlines()


def test_posting_twice_starts_nothing_twice(stack: dict[str, Any], runner: Runner) -> None:
    filled = posting(stack["url"], ORDERS=inline(plan={"cmds": ["true"]}))

    (first, one), (second, other) = runner(POST, **filled), runner(POST, **filled)

    assert (first, second) == (0, 0)
    assert one == other


def test_a_line_break_that_was_pasted_with_the_secret_does_no_harm(
    stack: dict[str, Any], runner: Runner
) -> None:
    orders = inline(plan={"cmds": ["true"]})
    pasted = f"{stack_server.SECRET}\n"

    code, said = runner(POST, **posting(stack["url"], ORDERS=orders, SECRET=pasted))

    assert code == 0, said


def test_a_refused_job_fails_the_step_with_every_problem(
    stack: dict[str, Any], runner: Runner
) -> None:
    orders = json.dumps({"plan": {"cmds": [], "timeout": 9999}})

    code, said = runner(POST, **posting(stack["url"], ORDERS=orders))

    assert code == 1
    assert "orders.plan.cmds" in said
    assert "orders.plan.timeout" in said
    assert not (runner.folder / "output").exists()


def test_a_wrong_secret_fails_the_step(stack: dict[str, Any], runner: Runner) -> None:
    code, said = runner(POST, **posting(stack["url"], SECRET="another"))

    assert code == 1
    assert "does not match" in said


@pytest.mark.parametrize("missing", ["ENDPOINT", "SECRET"])
def test_a_setting_that_is_missing_is_named(tmp_path: Path, missing: str) -> None:
    """Dependabot's pull requests have no secrets of the repository."""
    filled = {**posting("https://api.example.com/webhook"), missing: ""}

    code, said = Runner(tmp_path)(POST, **filled)

    assert code != 0
    assert POST["env"][missing].strip("${ }").split(".")[1] in said
    assert not (tmp_path / "body.json").exists()


class Busy(ThreadingHTTPServer):
    """An endpoint that is not to be had the first two times."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Request)


class _Request(BaseHTTPRequestHandler):
    server: Busy

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = 200, b'{"done_endpt": "s3://done/run/done"}'
        if len(self.server.bodies) < 3:
            status, answer = 503, b'{"error": "not now"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_an_endpoint_that_is_busy_is_asked_again_with_the_same_body(tmp_path: Path) -> None:
    runner, busy = Runner(tmp_path), Busy()

    with served(busy) as at:
        code, said = runner(POST, **posting(at))

    assert code == 0, said
    assert len(busy.bodies) == 3
    assert len(set(busy.bodies)) == 1
    assert runner.outputs == {"done": "s3://done/run/done"}


def test_the_job_of_the_example_is_signed_and_can_run(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    arguments = tmp_path / "arguments"
    curl = tmp_path / "bin/curl"
    curl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{arguments}\necho "{{}}" >answer.json\n')
    curl.chmod(0o755)
    filled = posting("https://api.example.com/webhook", SECRET="it's a secret")

    assert runner(POST, **filled)[0] == 0

    body = (tmp_path / "body.json").read_bytes()
    signature = hmac.new(filled["SECRET"].encode(), body, hashlib.sha256).hexdigest()
    assert f"X-Hub-Signature-256: sha256={signature}" in arguments.read_text()
    assert filled["SECRET"] not in arguments.read_text()
    job = parse_job(json.loads(body)["job"])
    assert job.pr_number == 7
    assert [order.order_name for order in job.orders] == ["plan"]


def test_the_workflow_may_do_no_more_than_prove_who_it_is() -> None:
    assert WORKFLOW["permissions"] == {}
    assert WORKFLOW["jobs"]["run"]["permissions"] == {"id-token": "write"}
    assert CREDENTIALS["uses"].startswith("aws-actions/configure-aws-credentials@")


# -- the role that the how-to gives it -----------------------------------------------------------


def policies() -> Iterator[dict[str, Any]]:
    for block in re.findall(r"```json\n(.*?)```", HOW_TO, re.DOTALL):
        yield json.loads(block)


BUCKET = "iac-ci-done-95100"


@pytest.fixture
def role(tmp_path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield an S3 client that may do all, and the environment of one with the how-to's policy."""
    _trust, policy = policies()
    with EmbeddedAws(Options(folder=tmp_path / "aws", code=tmp_path)) as aws:
        environ = aws.running.environment

        iam, s3 = aws.running.client("iam"), aws.running.client("s3")
        location: Any = {"LocationConstraint": aws.running.region}
        for bucket in (BUCKET, "somebody-elses"):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
        iam.create_user(UserName="workflow")
        iam.put_user_policy(UserName="workflow", PolicyName="p", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName="workflow")["AccessKey"]
        keys = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        yield s3, {**environ, **keys}


def test_the_role_of_the_how_to_suffices_to_wait(
    role: tuple[Any, dict[str, str]], tmp_path: Path
) -> None:
    s3, environ = role
    runner = Runner(tmp_path, **environ)
    order = {"status": "succeeded", "reason": None}
    done = {"run_id": "run", "status": "succeeded", "orders": {"plan": order}}
    looks = tmp_path / "looks"
    looks.touch()
    sleep = tmp_path / "bin/sleep"
    sleep.write_text(f"#!/bin/sh\necho >>{looks}\n")
    sleep.chmod(0o755)
    s3.put_object(Bucket=BUCKET, Key="run/done", Body=json.dumps(done))

    assert runner(WAIT, DONE=f"s3://{BUCKET}/run/done")[0] == 0
    assert looks.read_text() == ""
    with subprocess.Popen(
        ["bash", "-e", "-c", WAIT["run"]],
        cwd=tmp_path,
        env={**runner.env, "DONE": f"s3://{BUCKET}/later/done", "LOOK_EVERY_S": "0"},
    ) as waiting:
        while looks.read_text().count("\n") < 4:
            assert waiting.poll() is None, "it gave up on an object that is not there yet"
        s3.put_object(Bucket=BUCKET, Key="later/done", Body=json.dumps(done))
        assert waiting.wait(60) == 0


def test_a_bucket_that_the_role_may_not_read_ends_the_waiting(
    role: tuple[Any, dict[str, str]], tmp_path: Path
) -> None:
    runner = Runner(tmp_path, **role[1])

    code, said = runner(WAIT, DONE="s3://somebody-elses/run/done", LOOK_EVERY_S="0")

    assert code == 1
    assert said.count("AccessDenied") == 3
