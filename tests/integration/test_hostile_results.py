"""What lies behind a worker's URLs may be anything: one order may suffer from it, no run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from src.common.messages import MAX_HINTS, Claim, read_claim, read_result
from src.common.status import JobStatus, OrderStatus
from tests.integration.conftest import MakeSim
from tests.support.sim import a_job

pytestmark = pytest.mark.integration

BODIES: dict[str, bytes] = {
    "fractional exit code": b'{"status":"failed","exit_code":1.5}',
    "huge exit code": b'{"status":"failed","exit_code":' + b"9" * 60 + b"}",
    "fractional time": b'{"status":"succeeded","exit_code":0,"started_at":1.8e12}',
    "huge reason": json.dumps({"status": "failed", "reason": "x" * 500_000}).encode(),
    "huge status": json.dumps({"status": "x" * 500_000}).encode(),
    "half a character": b'{"status":"failed","reason":"\\ud800"}',
    "reason of another type": b'{"status":"failed","reason":5.5}',
    "nested deeply": b'{"status":"failed","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "hints of another type": b'{"status":"failed","dependents":5}',
    "hints that name nothing": b'{"status":"failed","dependents":["../x",7,null,"0000","9999"]}',
    "hints without end": json.dumps({"status": "failed", "dependents": ["0002"] * 9999}).encode(),
    "not UTF-8": b"\xff\xfe\x00{",
    "no object": b"[]",
    "empty": b"",
    "a status that ends nothing": b'{"status":"running"}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_result_ends_its_own_order_and_nothing_else(name: str, make_sim: MakeSim) -> None:
    sim = make_sim({"bad": "dies"})

    def plant(dispatch: Any) -> None:
        if dispatch.name == "bad":
            sim.adapters.uploads.put_new(dispatch.result_url, BODIES[name])

    sim.worker.before = plant
    run, rows = sim.run_to_end(a_job("bad", "good"))

    assert rows["good"].status is OrderStatus.SUCCEEDED
    expected = OrderStatus.SUCCEEDED if name == "fractional time" else OrderStatus.FAILED
    assert rows["bad"].status is expected
    assert run.status in {JobStatus.FAILED, JobStatus.SUCCEEDED}
    assert run.finished_at is not None
    assert run.finished_at - run.created_at < 60_000


@pytest.mark.parametrize(
    "claim",
    [b'{"end_by": "later"}', b"[]", b'{"by":"worker","nonce":"","claimed_at":0,"end_by":1.5}'],
)
def test_a_hostile_claim_is_a_workers_that_ends_with_its_order(claim: bytes) -> None:
    assert read_claim(claim, 7) == Claim(by="worker", nonce="", claimed_at=7, end_by=7)


def test_hints_are_order_numbers_and_few() -> None:
    hints = ["0002", "../x", 7, None, "0000", *(f"{n:04d}" for n in range(1, 1001))]

    result = read_result(json.dumps({"status": "failed", "dependents": hints}).encode(), "it")

    assert result.dependents == ("0002", *(f"{n:04d}" for n in range(1, MAX_HINTS)))


def test_a_result_is_read_without_its_log() -> None:
    body = json.dumps({"status": "failed", "exit_code": 3, "reason": "why", "log": "x" * 1000})

    result = read_result(body.encode(), "it")

    assert (result.status, result.exit_code, result.reason) == ("failed", 3, "why")
    assert result.log == ""
