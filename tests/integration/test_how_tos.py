"""docs/how-to: the commands run, against HTTP servers on this machine and with the real AWS CLI."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.common.aws.clients import Clients
from src.local.stack import WORKER, Stack
from src.process_webhook.authenticate import secrets_of
from tests.support import stack_server
from tests.support.embedded_aws.embedded import EmbeddedAws
from tests.support.embedded_aws.options import Options
from tests.support.papers import ROOT, blocks, name, papers, script, scripts
from tests.support.programs import need

pytestmark = pytest.mark.integration

HOW_TO = ROOT / "docs/how-to"
BIN = Path(sys.executable).parent
STACK = Stack()


class Shell:
    """Runs commands in a folder that is also first on PATH; the AWS CLI and iac-ci come next."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        path = os.pathsep.join([str(folder), str(BIN), os.environ["PATH"]])
        self.env = {**os.environ, "HOME": str(folder), "PATH": path, **env}

    def stub(self, program: str, body: str) -> None:
        """Put a program of our own first."""
        (self.folder / program).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (self.folder / program).chmod(0o755)

    def __call__(self, *commands: str, **env: str) -> str:
        """Run commands in one shell, to the end or the first that fails."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, Any]]:
    with stack_server.started() as told:
        yield told


@pytest.fixture
def shell(stack: dict[str, Any], tmp_path: Path) -> Shell:
    (tmp_path / "stack.json").write_text(json.dumps(stack["outputs"]))
    (tmp_path / "webhook-secret").write_text(stack_server.SECRET + "\n")
    return Shell(
        tmp_path,
        ENDPOINT=stack["url"],
        AWS_ENDPOINT_URL=stack["endpoint"],
        AWS_DEFAULT_REGION=STACK.region,
        IAC_CI_STACK_OUTPUTS="stack.json",
        **stack_server.KEYS,
    )


@pytest.fixture
def clients(stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Clients:
    for variable, value in stack_server.KEYS.items():
        monkeypatch.setenv(variable, value)
    return Clients(region=STACK.region, endpoint=stack["endpoint"])


@pytest.fixture
def secret_restored(clients: Clients) -> Iterator[None]:
    yield
    clients.ssm.put_parameter(
        Name="/iac-ci/webhook_secret", Value=stack_server.SECRET, Overwrite=True
    )


def last(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


# -- send a signed request ------------------------------------------------------------------------

SEND = HOW_TO / "send-a-signed-request.md"


def posted(shell: Shell) -> dict[str, Any]:
    """Post the how-to's job."""
    return last(shell(script(SEND, "signed() {"), script(SEND, "signed body.json")))


def test_a_ping_is_answered_as_the_how_to_says(shell: Shell) -> None:
    need("curl")
    said = shell(script(SEND, "signed() {"), script(SEND, "ping.json"))

    (expected,) = (block.text for block in blocks(SEND) if block.language == "text")
    assert json.loads(said) == json.loads(expected)


def test_a_ping_with_another_secret_is_told_apart(shell: Shell) -> None:
    need("curl")
    (shell.folder / "webhook-secret").write_text("another\n")

    with pytest.raises(AssertionError, match="401"):
        shell(script(SEND, "signed() {"), script(SEND, "ping.json"))


def test_the_how_tos_job_is_taken_and_runs(shell: Shell) -> None:
    need("curl")
    answer = posted(shell)

    assert answer["orders"] == {"hello": "0001", "there": "0002"}
    assert "succeeded" in shell(f"iac-ci wait {answer['run_id']}")


@pytest.mark.usefixtures("secret_restored")
def test_the_secret_that_deploying_puts_is_read_back_and_signs(shell: Shell) -> None:
    """With every line break that files and the AWS CLI add."""
    need("aws", "curl")
    shell.stub("openssl", f"echo '{stack_server.SECRET}'")
    shell.stub("terraform", f"echo {shell.env['ENDPOINT']}")
    put = script(ROOT / "docs/DEPLOY.md", "openssl rand")

    shell(put.replace("put-parameter", "put-parameter --overwrite"), "rm webhook-secret")
    said = shell(
        script(SEND, "get-parameter"), script(SEND, "signed() {"), script(SEND, "ping.json")
    )

    assert "pong" in said
    secret = shell.folder / "webhook-secret"
    assert secrets_of(secret.read_text()) == (stack_server.SECRET,)
    assert secret.stat().st_mode & 0o077 == 0


# -- a failed run on Monday -----------------------------------------------------------------------

FAILED = HOW_TO / "find-out-why-a-run-failed.md"


def test_on_monday_events_and_log_tell_of_a_run_whose_rows_expired(
    shell: Shell, clients: Clients
) -> None:
    need("aws", "curl")
    answer = posted(shell)
    run_id = answer["run_id"]
    shell(f"iac-ci wait {run_id}")
    expire(clients, run_id)

    said = shell(script(FAILED, "iac-ci runs"), RUN=run_id)

    assert run_id in said
    assert "events" in shell(f"iac-ci status {run_id} --json")  # its source
    assert "hello from iac-ci" in said
    for commands, part in (("aws dynamodb query", "succeeded"), ("aws logs", "hello from iac-ci")):
        told = shell(
            script(FAILED, commands),
            RUN=run_id,
            TRACE=answer["trace_id"],
            EVENTS_TABLE=STACK.tables["order_events"].name,
            WORKER_LOG_GROUP=f"/aws/lambda/{STACK.functions[WORKER].name}",
        )
        assert part in told
    assert f"{run_id}:0001| hello from iac-ci" in told.splitlines()


def expire(clients: Clients, run_id: str) -> None:
    """Take away what a weekend takes away: rows, done object and results."""
    for num in ("", ":0000", ":0001", ":0002"):
        clients.dynamodb.delete_item(
            TableName=STACK.tables["orders"].name, Key={"pk": {"S": run_id + num}}
        )
    for key, bucket in STACK.buckets.items():
        prefix = {"done": f"{run_id}/", "internal": f"tmp/callbacks/runs/{run_id}/"}[key]
        found = clients.s3.list_objects_v2(Bucket=bucket.name, Prefix=prefix)["Contents"]
        for each in found:
            clients.s3.delete_object(Bucket=bucket.name, Key=each["Key"])


def test_what_was_given_up_is_sent_again_to_its_function(tmp_path: Path) -> None:
    failure = {"requestContext": {"functionArn": "arn:f"}, "requestPayload": {"Records": ["ä"]}}
    (tmp_path / "failure.json").write_text(json.dumps(failure))
    shell = Shell(tmp_path)
    shell.stub("aws", 'printf "%s\\n" "$@"')

    sent = shell(script(FAILED, "fileb://event.json")).splitlines()

    assert sent[sent.index("--function-name") + 1] == "arn:f"
    assert json.loads((tmp_path / "event.json").read_text()) == failure["requestPayload"]


# -- rotate the secret ----------------------------------------------------------------------------


@pytest.mark.usefixtures("secret_restored")
def test_rotating_puts_both_secrets_and_then_the_new_one(shell: Shell, clients: Clients) -> None:
    need("aws", "openssl")
    paper = HOW_TO / "rotate-the-webhook-secret.md"

    def secrets() -> tuple[str, ...]:
        found = clients.ssm.get_parameter(Name="/iac-ci/webhook_secret", WithDecryption=True)
        return secrets_of(found["Parameter"]["Value"])

    shell(script(paper, "openssl rand"))
    old, new = secrets()
    shell(script(paper, "mv webhook-secret.new"))

    assert old == stack_server.SECRET
    assert re.fullmatch("[0-9a-f]{64}", new)
    assert secrets() == (new,)
    assert [path.name for path in shell.folder.glob("webhook-secret*")] == ["webhook-secret"]
    assert (shell.folder / "webhook-secret").stat().st_mode & 0o077 == 0


# -- tear down ------------------------------------------------------------------------------------

TEAR_DOWN = HOW_TO / "tear-down.md"
STATE_BUCKET = "acme-iac-ci-state"


def test_a_state_bucket_with_many_versions_and_a_full_registry_go(tmp_path: Path) -> None:
    need("aws")
    clone = tmp_path / "clone"
    for stage in ("00-bootstrap", "01-ecr", "02-deploy"):
        (clone / "infra" / stage).mkdir(parents=True)
    (clone / "infra/00-bootstrap/terraform.tfstate").write_text("local state")
    (clone / "infra/01-ecr/backend.tf").touch()
    with EmbeddedAws(Options(folder=tmp_path / "aws", code=tmp_path)) as aws:
        client, environ = aws.running.client, aws.running.environment
        s3, ecr, ssm = client("s3"), client("ecr"), client("ssm")
        location: Any = {"LocationConstraint": environ["AWS_REGION"]}
        s3.create_bucket(Bucket=STATE_BUCKET, CreateBucketConfiguration=location)
        s3.put_bucket_versioning(Bucket=STATE_BUCKET, VersioningConfiguration={"Status": "Enabled"})
        key = "iac-ci/02-deploy/terraform.tfstate"
        for number in range(103):  # more than a call deletes, below
            s3.put_object(Bucket=STATE_BUCKET, Key=key, Body=str(number))
        s3.put_object(Bucket=STATE_BUCKET, Key=f"{key}.tflock", Body="{}")
        s3.delete_object(Bucket=STATE_BUCKET, Key=f"{key}.tflock")  # a delete marker
        ssm.put_parameter(Name="/iac-ci/webhook_secret", Type="SecureString", Value="x")
        ecr.create_repository(repositoryName="iac-ci")
        for number in range(3):
            manifest = json.dumps({"schemaVersion": 2, "number": number})
            ecr.put_image(repositoryName="iac-ci", imageManifest=manifest, imageTag=f"t{number}")
        shell = Shell(
            clone, **environ, STATE_BUCKET=STATE_BUCKET, REPO="r.example/iac-ci", TAG="t2"
        )
        shell.stub("terraform", f'echo "$*" | tee -a {tmp_path}/terraform.log')

        shell(*(text.replace("--max-keys 1000", "--max-keys 50") for text in scripts(TEAR_DOWN)))

        versions = s3.list_object_versions(Bucket=STATE_BUCKET)
        assert "Versions" not in versions
        assert "DeleteMarkers" not in versions
        s3.delete_bucket(Bucket=STATE_BUCKET)  # as terraform's destroy can now
        assert ecr.list_images(repositoryName="iac-ci")["imageIds"] == []
        assert ssm.describe_parameters()["Parameters"] == []
    done = (tmp_path / "terraform.log").read_text().splitlines()
    order = [re.findall(r"infra/(\S+) (state pull|destroy)", line)[0] for line in done]
    assert order == [
        ("01-ecr", "state pull"),
        ("02-deploy", "state pull"),
        ("02-deploy", "destroy"),
        ("01-ecr", "destroy"),
        ("00-bootstrap", "destroy"),
    ]
    kept = {path.name for path in (clone / "state-archive").glob("*.tfstate")}
    assert kept == {"00-bootstrap.tfstate", "01-ecr.tfstate", "02-deploy.tfstate"}
    assert (clone / "state-archive/bucket" / key).read_text() == "102"
    assert (clone / "state-archive").stat().st_mode & 0o077 == 0
    assert not (clone / "infra/01-ecr/backend.tf").exists()


# -- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize("paper", [path for path in papers() if scripts(path)], ids=name)
def test_the_commands_of_papers_pass_shellcheck(paper: Path, tmp_path: Path) -> None:
    text = tmp_path / "commands.sh"
    text.write_text("#!/usr/bin/env bash\nset -e\n" + "\n".join(scripts(paper)))

    found = subprocess.run(
        # Variables that the reader sets or uses later; back-ticks of JMESPath in single quotes.
        [BIN / "shellcheck", "--exclude=SC2154,SC2034,SC2016", text],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert found.returncode == 0, found.stdout
