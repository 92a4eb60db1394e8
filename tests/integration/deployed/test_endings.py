"""Runs that go wrong: a worker that dies, a cancel, a deadline, an orchestrator that raises."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest

from src.local.stack import ORCHESTRATOR
from tests.support.deployed.endpoint import EndpointSite
from tests.support.deployed.site import Site, job, order

pytestmark = pytest.mark.integration


@pytest.mark.needs("time", "processes")
def test_the_watchdog_ends_an_order_whose_worker_was_killed(site: Site) -> None:
    note = uuid.uuid4().hex
    run_id = site.submit(
        job(
            # Long enough for the platform's second attempt to come before the end: it keeps quiet.
            order("dies", f"sleep 60; echo never {note}", timeout=8),
            order("skipped", after=["dies"]),
            order("beside"),
        )
    )
    worker = site.until(lambda: parent_of_command(note))

    os.kill(worker, signal.SIGKILL)
    finished = site.finished(run_id, limit_s=120)

    assert finished.status == "failed"
    assert finished.statuses() == {"dies": "timed_out", "skipped": "skipped", "beside": "succeeded"}
    lasted = finished.done["finished_at"] - finished.done["created_at"]
    assert lasted >= 38_000, "timeout and grace"


def parent_of_command(note: str) -> int | None:
    """Return the process that started the command with that text."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if note in (path / "cmdline").read_text():
                return int((path / "stat").read_text().rpartition(") ")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    return None


@pytest.mark.parametrize("use_lambda", [True, False], ids=["function", "build"])
def test_a_cancel_reaches_a_running_command(site: Site, *, use_lambda: bool) -> None:
    note = f"begun-{uuid.uuid4().hex}"
    run_id = site.submit(
        job(
            order("long", f"echo {note}; sleep 300", timeout=400, use_lambda=use_lambda),
            order("never", after=["long"]),
        )
    )
    site.until(lambda: site.claimed(run_id, "0001"))

    site.cancel(run_id)
    finished = site.finished(run_id, limit_s=60)

    assert finished.status == "cancelled"
    assert finished.statuses() == {"long": "cancelled", "never": "cancelled"}
    lasted = finished.done["finished_at"] - finished.done["created_at"]
    assert lasted < 120_000, "the command was to sleep for five minutes"


def test_a_command_over_its_timeout_is_ended_by_its_worker(site: Site) -> None:
    finished = site.run(job(order("slow", "echo begun; sleep 300", timeout=1)), limit_s=60)

    assert finished.status == "failed"
    assert finished.statuses() == {"slow": "timed_out"}
    assert "begun" in finished.printed("0001")


@pytest.mark.needs("retries", "logs")
def test_an_orchestrator_that_raises_on_its_first_delivery_recovers(site: Site) -> None:
    """The run's lock is no lock at first: marking it fails until it is gone."""
    assert isinstance(site, EndpointSite)
    run_id = f"run-{uuid.uuid4().hex}"
    table = site.stack.tables["orchestrator_locks"].name
    key = {"pk": {"S": f"lock:{run_id}"}}
    site.clients.dynamodb.put_item(TableName=table, Item={**key, "wake": {"S": "no number"}})

    site.submit(job(order("only")), run_id=run_id)
    site.until(lambda: "ValidationException" in site.log(ORCHESTRATOR))
    site.clients.dynamodb.delete_item(TableName=table, Key=key)
    finished = site.finished(run_id)

    assert finished.status == "succeeded"
