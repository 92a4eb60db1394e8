"""The embedded AWS: its life, and a test for each thing that it adds to ministack."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.embedded_aws import contract
from tests.support.embedded_aws.embedded import (
    EmbeddedAws,
    EmbeddedAwsError,
    Running,
    running_in,
)
from tests.support.embedded_aws.options import ROOT, Options
from tests.support.programs import need

pytestmark = pytest.mark.integration

HANDLERS = """
import os, pathlib, time
import boto3

def echo(event, context):
    return {"event": event, "pid": os.getpid(), "variable": os.environ.get("VARIABLE"),
            "who": boto3.client("sts").get_caller_identity()["Arn"], "tmp": os.environ["TMPDIR"]}

def told(event, context):
    return [event, context.aws_request_id]

def read(event, context):
    return boto3.client("s3").get_object(Bucket=event["bucket"], Key=event["key"])["ETag"]

def count(event, context):
    import uuid
    folder, name = pathlib.Path(event["folder"]), uuid.uuid4().hex
    (folder / f"runs-{name}").touch()
    time.sleep(0.1)
    now = len([*folder.glob("runs-*")])
    (folder / f"runs-{name}").unlink()
    (folder / f"done-{name}").write_text(str(now))

def sleep(event, context):
    time.sleep(600)

def twice(event, context):
    path = pathlib.Path(event["path"])
    with path.open("a") as file:
        file.write(context.aws_request_id + "\\n")
    if len(path.read_text().splitlines()) < 2:
        raise RuntimeError("the first time")
"""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    base = tmp_path_factory.mktemp("embedded")
    code = base / "code"
    code.mkdir()
    (code / "handlers.py").write_text(HANDLERS)
    options = Options(
        folder=base / "aws", code=code, retry_s=0.1, at_once=2, access_log=base / "access.jsonl"
    )
    with EmbeddedAws(options) as aws:
        yield aws


Client = Callable[..., Any]


@pytest.fixture
def client(embedded: EmbeddedAws) -> Client:
    def make(service: str, **credentials: str) -> Any:
        return embedded.running.client(service, **credentials)

    return make


def role(client: Client, name: str, *statements: Mapping[str, Any]) -> str:
    iam = client("iam")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": ["lambda.amazonaws.com", "codebuild.amazonaws.com"]},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    return str(arn)


def function(client: Client, name: str, role_arn: str, **settings: Any) -> None:
    lambda_ = client("lambda")
    lambda_.create_function(
        FunctionName=name,
        Role=role_arn,
        PackageType="Image",
        Code={"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/some:image"},
        **{"ImageConfig": {"Command": [f"handlers.{name}"]}, "Timeout": 30, **settings},
    )
    lambda_.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )


def invoke(client: Client, name: str, event: Any, **how: str) -> Any:
    answer = client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode(), **how)
    text = answer["Payload"].read()
    return json.loads(text) if text else None


def wait_for(condition: Callable[[], Any], limit_s: float = 30) -> Any:
    until = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


# -- the version that the bridges were made for ----------------------------------------------------


def test_the_pinned_ministack_is_the_one_that_the_bridges_were_made_for() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]

    assert f"ministack=={contract.VERSION}" in groups["dev"]
    assert version("ministack") == contract.VERSION
    assert contract.problems() == []


def test_a_replaced_function_that_moved_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ministack.services import codebuild, lambda_svc

    monkeypatch.setattr(codebuild, "_start_build", lambda data, more: None)
    monkeypatch.delattr(lambda_svc, "_execute_function_warm")
    monkeypatch.setattr(contract, "VERSION", "1.5.32")

    with pytest.raises(contract.EmulatorChangedError) as caught:
        contract.check()

    message = str(caught.value)
    assert "its version is 1.5.33, not 1.5.32" in message
    assert "services.codebuild._start_build is (data, more), not (data)" in message
    assert "services.lambda_svc._execute_function_warm is AttributeError" in message


# -- functions -------------------------------------------------------------------------------------


def test_an_images_function_runs_its_command_warm_and_as_its_role(client: Client) -> None:
    function(client, "echo", role(client, "echo"), Environment={"Variables": {"VARIABLE": "v"}})

    first, second = (invoke(client, "echo", {"n": [None, 1.5, "ü"]}) for _ in range(2))

    assert first["event"] == {"n": [None, 1.5, "ü"]}
    assert first["variable"] == "v"
    assert ":assumed-role/echo/" in first["who"]
    assert second["pid"] == first["pid"] != os.getpid()


def test_a_role_may_read_what_its_policy_names_and_nothing_else(
    client: Client, embedded: EmbeddedAws
) -> None:
    s3 = client("s3")
    s3.create_bucket(
        Bucket="reading", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    for key in ("mine/a", "other/a"):
        s3.put_object(Bucket="reading", Key=key, Body=b"")
    allowed = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::reading/mine/*",
    }
    function(client, "read", role(client, "read", allowed))

    may = invoke(client, "read", {"bucket": "reading", "key": "mine/a"})
    may_not = invoke(client, "read", {"bucket": "reading", "key": "other/a"})

    assert may.strip('"')
    assert "AccessDenied" in may_not["errorMessage"]
    assert embedded.options.access_log is not None
    lines = [json.loads(line) for line in embedded.options.access_log.read_text().splitlines()]
    seen = [
        (line["action"], line["resource"], line["decision"], line["status"])
        for line in lines
        if line["role"] == "read"
    ]
    assert seen == [
        ("s3:GetObject", "arn:aws:s3:::reading/mine/a", "allowed", 200),
        ("s3:GetObject", "arn:aws:s3:::reading/other/a", "denied", 403),
    ]


def test_a_function_without_a_command_and_one_too_slow_fail_and_say_so(client: Client) -> None:
    arn = role(client, "failing")
    function(client, "nothing", arn, ImageConfig={})
    function(client, "sleep", arn, Timeout=1)

    assert "no command" in invoke(client, "nothing", {})["errorMessage"]
    assert "timed out after 1" in invoke(client, "sleep", {})["errorMessage"]


def test_an_asynchronous_event_is_repeated_under_its_request_id(
    client: Client, tmp_path: Path
) -> None:
    function(client, "twice", role(client, "twice"))
    path = tmp_path / "ids"

    invoke(client, "twice", {"path": str(path)}, InvocationType="Event")
    ids = wait_for(lambda: path.exists() and len(lines := path.read_text().split()) == 2 and lines)
    invoke(client, "twice", {"path": str(path)})

    assert ids[0] == ids[1]
    assert path.read_text().split()[2] != ids[0]


def test_a_payload_of_any_kind_is_the_event(client: Client) -> None:
    function(client, "told", role(client, "told"))
    events = [None, None, False, 0, "", [], {}]

    answers = [invoke(client, "told", event) for event in events]

    assert [event for event, _ in answers] == events
    assert len({request_id for _, request_id in answers}) == len(events)


def test_a_function_has_a_few_processes_and_further_events_wait(
    client: Client, tmp_path: Path
) -> None:
    function(client, "count", role(client, "count"))

    for _ in range(12):
        invoke(client, "count", {"folder": str(tmp_path)}, InvocationType="Event")
    wait_for(lambda: len([*tmp_path.glob("done-*")]) == 12, limit_s=60)

    most = max(int(path.read_text()) for path in tmp_path.glob("done-*"))
    assert 1 <= most <= 2


# -- builds ----------------------------------------------------------------------------------------

BUILDSPEC = """
version: "0.2"
phases:
  build:
    commands:
      - echo "given $GIVEN, overridden $OVERRIDDEN, as $(python -c 'import boto3;
          print(boto3.client("sts").get_caller_identity()["Arn"])')"
      - cd "$LAMBDA_TASK_ROOT" && ls handlers.py
      - exit "$CODE"
"""


@pytest.fixture
def project(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"p-{time.time_ns()}"
    variables = {"GIVEN": "yes", "OVERRIDDEN": "no", "CODE": "0"}
    codebuild = client("codebuild")
    codebuild.create_project(
        name=name,
        serviceRole=role(client, name),
        source={"type": "NO_SOURCE", "buildspec": getattr(request, "param", BUILDSPEC)},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "i",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [
                {"name": key, "value": value} for key, value in variables.items()
            ],
        },
        queuedTimeoutInMinutes=61,
        logsConfig={"cloudWatchLogs": {"status": "ENABLED", "groupName": "g"}},
    )
    yield name
    arn = codebuild.batch_get_projects(names=[name])["projects"][0]["arn"]
    codebuild.delete_project(name=arn)
    assert codebuild.batch_get_projects(names=[name])["projects"] == []


def ended(client: Client, build: str) -> Any:
    def look() -> Any:
        found = client("codebuild").batch_get_builds(ids=[build])["builds"][0]
        return found if found["buildStatus"] != "IN_PROGRESS" else None

    return wait_for(look)


def build_log(client: Client, build: Any) -> str:
    logs = build["logs"]
    events = client("logs").get_log_events(
        logGroupName=logs["groupName"], logStreamName=logs["streamName"]
    )["events"]
    return "\n".join(event["message"] for event in events)


def override(**values: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


@pytest.mark.parametrize(("code", "status"), [("0", "SUCCEEDED"), ("3", "FAILED")])
def test_a_build_runs_with_its_override_and_as_its_role(
    client: Client, project: str, code: str, status: str
) -> None:
    given = override(OVERRIDDEN="yes", CODE=code)

    started = client("codebuild").start_build(
        projectName=project, environmentVariablesOverride=given
    )["build"]
    build = ended(client, started["id"])

    assert started["buildStatus"] == "IN_PROGRESS"
    assert build["buildStatus"] == status
    said = build_log(client, build)
    assert re.search(rf"given yes, overridden yes, as \S+:assumed-role/{project}/", said)
    assert "handlers.py" in said


def test_a_token_starts_one_build_and_refuses_another_request(client: Client, project: str) -> None:
    codebuild = client("codebuild")

    ids = {
        codebuild.start_build(projectName=project, idempotencyToken="t")["build"]["id"]
        for _ in range(2)
    }
    with pytest.raises(ClientError, match=r"InvalidInputException.*token"):
        codebuild.start_build(
            projectName=project,
            idempotencyToken="t",
            environmentVariablesOverride=override(CODE="1"),
        )

    assert len(ids) == 1
    assert codebuild.list_builds_for_project(projectName=project)["ids"] == [*ids]


@pytest.mark.parametrize(
    "project", ["{phases: {build: {commands: [echo started, sleep 600]}}}"], indirect=True
)
def test_a_stopped_build_ends(client: Client, project: str) -> None:
    codebuild = client("codebuild")
    build = codebuild.start_build(projectName=project)["build"]
    wait_for(lambda: "started" in _said_so_far(client, build))

    codebuild.stop_build(id=build["id"])

    assert ended(client, build["id"])["buildStatus"] == "STOPPED"


def _said_so_far(client: Client, build: Any) -> str:
    try:
        return build_log(client, build)
    except ClientError:
        return ""


def test_a_projects_settings_are_kept_and_updated_by_arn(client: Client, project: str) -> None:
    codebuild = client("codebuild")
    before = codebuild.batch_get_projects(names=[project])["projects"][0]

    codebuild.update_project(name=before["arn"], queuedTimeoutInMinutes=62, description="d")

    after = codebuild.batch_get_projects(names=[project])["projects"][0]
    assert before["queuedTimeoutInMinutes"] == 61
    assert before["logsConfig"]["cloudWatchLogs"]["groupName"] == "g"
    assert (after["queuedTimeoutInMinutes"], after["description"]) == (62, "d")


# -- the network -----------------------------------------------------------------------------------


def test_it_listens_on_this_machine_only_and_by_https_under_its_own_ca(
    embedded: EmbeddedAws,
) -> None:
    need("curl")
    running = embedded.running
    port = int(running.endpoint.rsplit(":", 1)[-1])
    here = subprocess.run(
        ["curl", "-sS", "--cacert", running.ca, f"{running.endpoint}/_ministack/health"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    untrusted = subprocess.run(
        ["curl", "-sS", f"{running.endpoint}/_ministack/health"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    bound = re.findall(rf" (\w+):{port:04X} \w+:0000 0A ", "\n".join(tables))

    assert json.loads(here.stdout)["auth"] == "enabled", here.stderr
    assert untrusted.returncode == 60, "curl's code for a certificate of an unknown CA"
    assert bound == ["0100007F"]


# -- its life --------------------------------------------------------------------------------------


def options(tmp_path: Path, **more: Any) -> Options:
    return Options(folder=tmp_path / "aws", **more)


def busy(running: Running, tmp_path: Path) -> list[int]:
    """Have it run a build that sleeps; return the processes: its own, and the command's."""
    client = running.client
    note = tmp_path / "pid"
    client("codebuild").create_project(
        name="busy",
        serviceRole=role(client, "busy"),
        source={
            "type": "NO_SOURCE",
            "buildspec": f"phases: {{build: {{commands: ['echo $$ >{note}; exec sleep 600']}}}}",
        },
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "i", "computeType": "c"},
    )
    client("codebuild").start_build(projectName="busy")
    pid = wait_for(lambda: note.exists() and note.read_text().strip())
    return [running.pid, int(pid)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_all_that_it_started(tmp_path: Path, number: int) -> None:
    with EmbeddedAws(options(tmp_path)) as aws:
        pids = busy(aws.running, tmp_path)

        os.kill(pids[0], number)

        wait_for(lambda: not any(alive(pid) for pid in pids))
        left = {path.name for path in aws.options.folder.iterdir()}
    assert not left & {"tmp", "state", "running.json"}
    assert not aws.options.folder.exists()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.support.embedded_aws.embedded import EmbeddedAws\n"
        "from tests.support.embedded_aws.options import Options\n"
        f"print(EmbeddedAws(Options(folder=Path({str(tmp_path / 'aws')!r}))).start().pid)\n"
        "sys.stdout.flush(); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)

    parent.kill()
    parent.communicate()

    wait_for(lambda: not alive(pid))
    assert not (tmp_path / "aws/tmp").exists()


def test_state_is_thrown_away_or_kept(tmp_path: Path) -> None:
    def tables(running: Running) -> list[str]:
        return list(running.client("dynamodb").list_tables()["TableNames"])

    def fill(running: Running) -> None:
        running.client("dynamodb").create_table(
            TableName="kept",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )
        s3 = running.client("s3")
        s3.create_bucket(
            Bucket="kept-objects", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        s3.put_object(Bucket="kept-objects", Key="a/b", Body=b"kept")

    for keep, expected in ((False, []), (True, ["kept"])):
        with EmbeddedAws(options(tmp_path, keep=keep)) as aws:
            fill(aws.running)
        with EmbeddedAws(options(tmp_path, keep=keep)) as aws:
            assert tables(aws.running) == expected
            if keep:
                read = aws.running.client("s3").get_object(Bucket="kept-objects", Key="a/b")
                assert read["Body"].read() == b"kept"


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedAwsError, match="in use"):
            EmbeddedAws(options(tmp_path, port=port)).start()

    with EmbeddedAws(options(tmp_path, port=port)) as aws:
        assert aws.running.endpoint == f"https://127.0.0.1:{port}"


def test_up_tells_how_to_use_it_and_down_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "by hand"

    def make(what: str) -> subprocess.CompletedProcess[str]:
        arguments = ["--folder", str(folder), "--port", "0"]
        return subprocess.run(
            [sys.executable, "-m", "tests.support.embedded_aws", what, *arguments],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    up = make("up")
    running = running_in(Options(folder=folder))
    again = make("up")
    line = next(line for line in up.stdout.splitlines() if "export" in line)
    ask = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    used = subprocess.run(
        ["bash", "-c", f'{line}\n"{sys.executable}" -c "{ask}"'],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    down = make("down")
    nothing = make("down")

    assert running is not None
    assert used.stdout.strip() == running.account, used.stderr
    assert [each.returncode for each in (up, again, down, nothing)] == [0, 0, 0, 0]
    assert "runs already" in again.stdout
    assert "ended" in down.stdout
    assert "No embedded AWS" in nothing.stdout
    assert not alive(running.pid)
    assert not folder.exists()
