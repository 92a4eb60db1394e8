"""Runs side by side do not mix, and duplicated events change nothing."""

from __future__ import annotations

import uuid

import pytest

from src.common import keys
from tests.support.deployed.site import Site, job, order

DUPLICATES = 40

pytestmark = pytest.mark.integration


def test_two_runs_at_once_do_not_mix(site: Site) -> None:
    marks = [uuid.uuid4().hex for _ in range(2)]

    def mine(mark: str) -> str:
        orders = [
            order(f"o{n}", f"echo {mark} $MARK", env={"MARK": mark}, after=[f"o{n - 1}"] * bool(n))
            for n in range(4)
        ]
        return site.submit(job(*orders))

    finished = [site.finished(run_id) for run_id in [mine(mark) for mark in marks]]

    for run, mark, other in zip(finished, marks, reversed(marks), strict=True):
        assert run.done["counts"] == {"succeeded": 4}
        logs = [run.printed(keys.order_num(n)) for n in range(1, 5)]
        assert logs == [f"{mark} {mark}"] * 4
        assert other not in str(run.done)


def test_a_run_that_is_flooded_with_duplicates_of_its_events_runs_once(site: Site) -> None:
    """Another client repeats what woke the orchestrator, again and again, while the run goes on."""
    orders = [order(f"o{n}", after=[f"o{n - 1}"] * bool(n)) for n in range(4)]
    run_id = site.submit(job(*orders))
    sent = 0

    def flood() -> bool:
        """Send a few more; return whether there were enough."""
        nonlocal sent
        objects = dict.fromkeys((keys.accepted_key(run_id), keys.poke_key(run_id)), b"{}")
        for num in ("0000", "0001", "0002"):
            key = keys.result_key(run_id, num)
            objects[key] = site.adapters.internal.get(key) or b""
        for key, body in objects.items():
            if body:
                site.adapters.internal.put(key, body)
                sent += 1
        return sent >= DUPLICATES

    site.until(flood)
    finished = site.finished(run_id)

    assert finished.done["counts"] == {"succeeded": 4}
    run = site.adapters.runs.run(run_id)
    assert run is not None
    events = [(each.order_name, each.event) for each in site.adapters.runs.events(run.trace_id)]
    assert len(events) == len(set(events)), events
