"""How a test run puts the stack up and takes it down: for who asks, and on this machine only."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.support.deployed.account import Account
from tests.support.deployed.host import Host, NotAppliedError
from tests.support.embedded_aws.embedded import EmbeddedAws
from tests.support.embedded_aws.options import Options
from tests.support.terraform.plugin import TOOLCHAIN as FOUND
from tests.support.terraform.stages import INFRA, ROOT
from tests.support.terraform.toolchain import Toolchain

pytestmark = pytest.mark.integration

NO_TERRAFORM = Toolchain("false", "1.5.0", None, None, "none", "nowhere")


@pytest.fixture
def toolchain(pytestconfig: pytest.Config) -> Toolchain:
    found = pytestconfig.stash[FOUND]
    return pytest.skip(found) if isinstance(found, str) else found


@pytest.fixture
def a_host(tmp_path: Path) -> Host:
    return Host("auto", None, NO_TERRAFORM, tmp_path / "deployed")


def test_nothing_is_started_unless_somebody_asks(a_host: Host) -> None:
    a_host.close()

    assert (a_host.told, a_host.problems) == ([], [])
    assert not a_host.folder.exists()


def test_a_stack_that_cannot_be_applied_is_told_to_who_asked_and_leaves_nothing(
    a_host: Host,
) -> None:
    with pytest.raises(NotAppliedError, match="terraform"):
        a_host.desk.get(60)
    aws = a_host._aws
    assert aws is not None
    server = aws.running.pid
    a_host.close()

    assert not Path(f"/proc/{server}").exists()
    assert not aws.options.folder.exists()


def test_a_stack_applied_half_is_destroyed_and_what_was_there_is_left_alone(
    tmp_path: Path, toolchain: Toolchain
) -> None:
    """The second stage fails, at a URL whose account is not empty."""
    infra = tmp_path / "infra"
    shutil.copytree(INFRA, infra, ignore=shutil.ignore_patterns(".terraform*"))
    broken = 'resource "aws_ecr_repository" "image" {\n  name = "NOT ALLOWED"\n}\n'
    (infra / "01-ecr/main.tf").write_text(broken)
    with EmbeddedAws(Options(folder=tmp_path / "aws")) as aws:
        at = aws.running
        account = Account(at.endpoint, at.ca, at.region)
        account.create_bucket("somebody-elses")
        before = account.inventory()
        host = Host(at.endpoint, at.ca, toolchain, tmp_path / "deployed", infra=infra)

        with pytest.raises(NotAppliedError, match="TerraformFailedError"):
            host.desk.get(120)
        between = account.inventory()
        host.close()

        assert set(between["s3 buckets"]) > {"somebody-elses"}
        assert host.problems == []
        assert account.inventory() == before
        assert "out of place: nothing" in host.told[0]
        assert "left: nothing" in host.told[1]


def test_a_secret_that_lies_in_clear_at_the_end_fails_the_run(tmp_path: Path) -> None:
    """The search alone, without a stack: what was there before is nobody's business."""
    with EmbeddedAws(Options(folder=tmp_path / "aws")) as aws:
        at = aws.running
        host = Host(at.endpoint, at.ca, NO_TERRAFORM, tmp_path / "deployed")
        account = Account(at.endpoint, at.ca, at.region, host.secrets)
        value = f"v-{uuid.uuid4().hex}"
        account.client("ssm").put_parameter(Name="/a/db", Type="SecureString", Value=value)
        for bucket in ("before", "ours"):
            account.create_bucket(bucket)
            account.client("s3").put_object(Bucket=bucket, Key="k", Body=f"has {value}".encode())
        host._before = {"s3 buckets": ["before"]}

        host._look_through(account)
        host.close()

    assert host.problems == ["bucket ours, k: has /a/db in clear"]
    assert "for 1 secrets" in host.told[0]


def test_ctrl_c_ends_what_was_being_applied_and_leaves_no_process_and_no_file(
    tmp_path: Path, toolchain: Toolchain
) -> None:
    del toolchain  # without one there is nothing to interrupt
    asked = ["tests/integration/deployed", "-k", "ping and endpoint", "--endpoint", "auto"]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asked],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not (found := [*tmp_path.glob("iac-ci-deployed-*/stages/00-bootstrap/.terraform")]):
        assert run.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    folder = found[0].parents[2]
    server = json.loads((folder / "aws/running.json").read_text())["pid"]

    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=60)

    assert "ended with all that it held" in said
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert not Path(f"/proc/{server}").exists()
    assert not folder.exists()


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://dynamodb.eu-west-1.amazonaws.com",
        "https://10.0.0.1:4566",
        "http://localhost.example.com",
        "ftp://localhost",
        "here",
    ],
)
def test_an_endpoint_beyond_this_machine_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(
        'pytest_plugins = ["tests.support.terraform.plugin", "tests.support.deployed.plugin"]'
    )

    result = pytester.runpytest_subprocess("--endpoint", endpoint)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--endpoint*is {endpoint}*only an AWS on this machine*"])
