"""Upgrades and roll-backs with runs in flight: rows and payloads of another release's version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from src.common import keys, plain, records
from src.common.aws.items import encode
from src.common.bundle import extract
from src.common.clock import SystemClock
from src.common.errors import VersionRefused
from src.common.messages import Dispatch, WatchdogInput
from src.common.plain import OLDEST, VERSION
from src.common.status import JobStatus
from src.local.deployed import deployed_adapters
from src.local.moto_world import MotoWorld
from src.local.stack import WATCHDOG_CHECK
from tests.support.build import NOW, a_run
from tests.support.in_flight import KINDS, RUN, revived, snapshot
from tests.support.sim import Sim, a_job

pytestmark = pytest.mark.integration

FIXTURES = Path(__file__).parents[1] / "fixtures"
VERSIONS = range(OLDEST, VERSION + 1)


def left_behind(version: int) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((FIXTURES / f"in_flight_v{version}.json").read_text())
    return state


def shapes(state: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the fields by kind of row and payload; None of them is a value."""
    found: dict[str, set[str]] = {}
    for row in state["rows"]:
        found.setdefault(row["kind"], set()).update(row["item"])
    found["Dispatch"] = set().union(*state["dispatches"])
    found["WatchdogInput"] = set().union(*state["watchdogs"].values())
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_run_of_an_earlier_version_in_flight_goes_on_to_its_end(version: int) -> None:
    sim = revived(left_behind(version))

    run = sim.finish(RUN)

    assert run.status is JobStatus.SUCCEEDED
    assert sim.worker.order == ["apply", "check"]  # plan had ended: it does not start again
    assert sim.done(RUN)["counts"] == {"succeeded": 3}
    sim.let_watchdogs_end()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bundle_of_an_earlier_version_opens(version: int, tmp_path: Path) -> None:
    sim = revived(left_behind(version))
    (dispatch,) = map(Dispatch.from_item, left_behind(version)["dispatches"])
    body = sim.adapters.internal.get(dispatch.bundle_key)
    assert body is not None

    assert extract(body, tmp_path / "work", dispatch.identity).cmds == ("true",)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_request_after_an_upgrade_starts_nothing(version: int) -> None:
    sim = revived(left_behind(version))
    job = a_job(
        {"order_name": "plan", "dependencies": []},
        {"order_name": "apply", "dependencies": ["plan"]},
        {"order_name": "check", "dependencies": ["apply"]},
    )

    answer = sim.submit(job, run_id=RUN, trace_id="0123456789abcdef")

    assert answer["statusCode"] == 200, answer
    assert sim.finish(RUN).total == 3
    assert sim.worker.started == {"apply": 1, "check": 1}


def test_what_is_written_has_the_shape_that_its_version_has() -> None:
    file = f"tests/fixtures/in_flight_v{VERSION}.json"
    assert shapes(snapshot()) == shapes(left_behind(VERSION)), (
        f"a row or payload has another shape than in version {VERSION}: raise VERSION in"
        " src/common/plain.py and add its fixture (docs/adr/0008), or, while no release has written"
        f" that version: python -m tests.support.in_flight >{file}"
    )


STORED_OR_SENT: tuple[Any, ...] = (*KINDS, Dispatch, WatchdogInput)
VERSIONED = [kind for kind in STORED_OR_SENT if "version" in kind.__annotations__]


@pytest.mark.parametrize("kind", VERSIONED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("version", [VERSION + 1, OLDEST - 1, "1", True])
def test_a_version_that_this_release_does_not_read_is_refused_by_name(
    kind: Any, version: object
) -> None:
    (item, *_) = items_of(kind)

    with pytest.raises(VersionRefused, match=rf"{kind.__name__} of {RUN}\b.*{version!r}.*reads"):
        kind.from_item({**item, "version": version})


def items_of(kind: Any) -> Iterator[dict[str, Any]]:
    state = left_behind(VERSION)
    yield from (row["item"] for row in state["rows"] if row["kind"] == kind.__name__)
    if kind is Dispatch:
        yield from state["dispatches"]
    if kind is WatchdogInput:
        yield from state["watchdogs"].values()


def test_every_row_and_payload_that_is_written_back_or_handed_on_says_its_version() -> None:
    kinds = {records.Run, records.Order, records.Packaging, Dispatch, WatchdogInput}

    assert set(VERSIONED) == kinds
    assert all("version" in {spec.name for spec in fields(kind)} for kind in kinds)


@pytest.mark.parametrize("kind", [records.Run, records.Order], ids=["run", "order"])
def test_a_row_of_a_newer_release_in_the_table_is_refused(
    kind: Any, moto: MotoWorld, run_id: str
) -> None:
    table = moto.stack.tables["orders"].name
    store = deployed_adapters(moto.clients, moto.stack, SystemClock()).runs
    item = next(iter(items_of(kind))) | {"run_id": run_id, "version": VERSION + 1, "news": "x"}
    pk = run_id if kind is records.Run else keys.row_key(run_id, "0001")
    moto.clients.dynamodb.put_item(TableName=table, Item=encode({**item, "pk": pk}))

    with pytest.raises(VersionRefused, match=rf"{run_id}.*version {VERSION + 1}"):
        store.run_and_orders(run_id, ["0001"])


def test_a_run_of_a_newer_release_waits_untouched_and_goes_on_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A roll-back: for an hour of the run's time this release is there, which cannot read it."""
    sim = revived(left_behind(VERSION))
    store = sim.platform.runs._store
    before = store.everything()

    def older_release_reads(run_id: str, nums: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(plain, "VERSION", VERSION - 1)
            return records.Run.from_item(store.run(run_id).to_item()), {}

    with monkeypatch.context() as rolled_back:
        rolled_back.setattr(store, "run_and_orders", older_release_reads)
        while sim.clock.now < NOW + 500_000:
            if not sim.world.step():
                sim.clock.sleep(5)
        assert store.everything() == before

    assert sim.finish(RUN).status is JobStatus.SUCCEEDED
    assert sim.worker.started == {"apply": 1, "check": 1}


def test_a_watchdog_of_a_newer_release_waits_for_it_and_touches_nothing() -> None:
    sim = Sim()
    task = next(items_of(WatchdogInput)) | {"version": VERSION + 1, "poked_at": NOW}
    sim.clock.now += 10**9  # long past every deadline

    answer = sim.world.functions[WATCHDOG_CHECK](task, sim.world.context("test"))

    assert answer == {"done": False, "poked_at": NOW}
    assert sim.adapters.internal.everything() == {}


def test_a_request_for_a_run_of_a_newer_release_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Sim()

    def refuse(*_: object) -> None:
        records.Run.from_item(a_run().to_item() | {"run_id": RUN, "version": VERSION + 1})

    monkeypatch.setattr(sim.platform.runs, "accept", refuse, raising=False)

    answer = sim.submit(a_job("a"), run_id=RUN)

    assert answer["statusCode"] == 503
    assert f"version {VERSION + 1}" in answer["body"]["error"]
