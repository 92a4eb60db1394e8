"""Whole jobs on this machine: real git, real worker processes, the handlers of production."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from src.common.errors import IacCiError
from src.common.status import JobStatus
from src.local.report import RunReport
from src.local.run import run_job
from tests.integration.test_secrets_nowhere import Listener

pytestmark = pytest.mark.integration


def run(job: dict[str, Any], *, parallel: int = 4, env: dict[str, str] | None = None) -> RunReport:
    return run_job(
        job,
        secrets={},
        env=env or {},
        parallel=parallel,
        aws="embedded",
        watcher=Listener(),
        cancelled=lambda: False,
    )


def a_repository(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder.as_uri()


def test_commands_start_in_the_orders_folder_with_the_repository_around_it(tmp_path: Path) -> None:
    url = a_repository(tmp_path, {"live/prod/main": "prod", "modules/vpc": "vpc"})
    cmds = ["cat main ../../modules/vpc", "test ! -e .git"]
    order = {"order_name": "a", "cmds": cmds, "timeout": 30, "git_folder": "live/prod"}

    report = run({"username": "alice", "git_repo": url, "orders": [order]})

    assert report.status is JobStatus.SUCCEEDED
    assert "prodvpc" in report.orders[0].log


def test_no_more_orders_are_claimed_at_once_than_there_are_processes() -> None:
    """A claimed order that waited for a process would let its start window pass."""
    orders = [{"order_name": f"o{n}", "cmds": ["sleep 0.01"], "timeout": 30} for n in range(12)]

    report = run({"username": "alice", "orders": orders}, parallel=2)

    assert report.status is JobStatus.SUCCEEDED
    starts = sorted((order.dispatched_at or 0, order.finished_at or 0) for order in report.orders)
    for began, _ in starts:
        assert sum(1 for start, end in starts if start <= began < end) <= 2


def test_an_environment_file_lies_under_the_jobs_own() -> None:
    order = {"order_name": "a", "cmds": ['echo "$ONE $TWO $THREE"'], "timeout": 30}
    order |= {"env": {"THREE": "order"}}
    job = {"username": "alice", "env": {"TWO": "job", "THREE": "job"}, "orders": [order]}

    report = run(job, env={"ONE": "file", "TWO": "file", "THREE": "file"})

    assert "file job order" in report.orders[0].log


@pytest.mark.parametrize("as_map", [False, True])
def test_report_says_what_each_order_was_asked_and_until_when(as_map: bool) -> None:
    first = {"cmds": ["true", "echo x"], "timeout": 30}
    second = {"cmds": ["true"], "timeout": 40, "dependencies": ["first"], "must_succeed": False}
    named = {"first": first, "second": second}
    listed = [{"order_name": name, **order} for name, order in named.items()]

    report = run({"username": "alice", "orders": named if as_map else listed})

    one, two = report.orders
    assert (one.cmds, one.timeout, one.must_succeed) == (("true", "echo x"), 30, True)
    assert (two.cmds, two.timeout, two.must_succeed) == (("true",), 40, False)
    assert (one.dependencies, two.dependencies) == ((), ("first",))
    for order in report.orders:
        assert order.dispatched_at <= order.started_at <= order.start_by < order.end_by
        assert order.end_by <= report.end_by


def test_a_cancel_reaches_a_git_that_waits_for_a_server_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"https://127.0.0.1:{server.getsockname()[1]}/x/y.git"
        began = time.monotonic()
        order = {"order_name": "a", "cmds": ["true"], "timeout": 30}
        report = run_job(
            {"username": "alice", "git_repo": url, "orders": [order]},
            secrets={},
            env={},
            parallel=1,
            aws="embedded",
            watcher=Listener(),
            cancelled=lambda: time.monotonic() > began + 0.5,
        )

    assert report.status is JobStatus.CANCELLED
    assert time.monotonic() - began < 60  # git's own limit is two minutes


def test_a_run_that_nobody_packages_any_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("src.common.bundle.build", broken)
    began = time.monotonic()

    with pytest.raises(IacCiError, match="packaging was given up: a bug"):
        run({"username": "alice", "orders": [{"order_name": "a", "cmds": ["true"], "timeout": 9}]})

    assert time.monotonic() - began < 60  # packaging's deadline is 20 minutes


def test_every_kind_of_packaging_problem_is_told_at_once(tmp_path: Path) -> None:
    url = a_repository(tmp_path, {"a/x": "x"})
    one = {"order_name": "one", "cmds": ["true"], "timeout": 30, "git_folder": "gone"}
    two = {"order_name": "two", "cmds": ["true"], "timeout": 30, "ssm_paths": ["/absent"]}
    three = {
        "order_name": "three",
        "cmds": ["true"],
        "timeout": 30,
        "s3_location": "s3://bucket/c.zip",
    }

    report = run({"username": "alice", "git_repo": url, "orders": [one, two, three]})

    assert {problem.path for problem in report.problems} == {
        "orders[0].git_folder",
        "orders[1].ssm_paths[0]",
        "orders[2].s3_location",
    }
