"""Ids, rows and objects are named as the contract says: others rely on these very names."""

from __future__ import annotations

import pytest

from src.common import keys

pytestmark = pytest.mark.unit

RUN = "run-1"


def test_ids_have_the_form_of_the_contract() -> None:
    assert keys.RUN_ID.fullmatch(keys.new_run_id())
    assert keys.TRACE_ID.fullmatch(keys.new_trace_id())
    assert keys.trace_leg("0123abcd", 1_700_000_000) == "0123abcd:1700000000"
    assert keys.flow_id("alice", "0123abcd", "exec") == "alice:0123abcd-exec"
    assert keys.order_num(1) == "0001"
    assert keys.row_key(RUN, "0001") == "run-1:0001"
    assert len(keys.execution_name("r" * 64, "0001")) <= 80  # Step Functions' limit


def test_objects_lie_where_the_contract_says() -> None:
    callbacks = "tmp/callbacks/runs/run-1"

    assert keys.bundle_key(RUN, "0001") == "tmp/exec/run-1/0001/exec.zip"
    assert keys.stop_key(RUN, "0001") == "tmp/exec/run-1/0001/cancel"
    assert keys.result_key(RUN, "0001") == f"{callbacks}/0001/result.json"
    assert keys.claim_key(RUN, "0001") == f"{callbacks}/0001/claim.json"
    assert keys.ack_key(RUN, "0001") == f"{callbacks}/0001/ack.json"
    assert keys.result_key(RUN, keys.PACKAGING) == f"{callbacks}/0000/result.json"
    assert keys.accepted_key(RUN) == f"{callbacks}/0000/accepted/result.json"
    assert keys.poke_key(RUN) == f"{callbacks}/poke/result.json"
    assert keys.cancel_key(RUN) == f"{callbacks}/cancel/result.json"
    assert keys.finished_key(RUN) == f"{callbacks}/finished.json"
    assert keys.vcs_key(RUN) == f"{callbacks}/0000/vcs.age"
    assert keys.done_key(RUN) == "run-1/done"


@pytest.mark.parametrize(
    ("key", "mark"),
    [
        (keys.result_key(RUN, "0007"), "0007"),
        (keys.result_key(RUN, keys.PACKAGING), keys.PACKAGING),
        (keys.accepted_key(RUN), keys.ACCEPTED),
        (keys.poke_key(RUN), keys.POKE),
        (keys.cancel_key(RUN), keys.CANCEL),
    ],
)
def test_a_key_that_wakes_the_orchestrator_says_the_run_and_what_for(key: str, mark: str) -> None:
    assert keys.parse_callback(key) == (RUN, mark)


@pytest.mark.parametrize(
    "key",
    [
        keys.claim_key(RUN, "0001"),
        keys.finished_key(RUN),
        keys.bundle_key(RUN, "0001"),
        "tmp/callbacks/runs/result.json",
        "tmp/callbacks/runs/run-1/result.json",
        "tmp/callbacks/runs/run_1/0001/result.json",
        "tmp/callbacks/runs/run-1/00001/result.json",
        "tmp/callbacks/runs/run-1/0001/x/result.json",
        "tmp/callbacks/runs/run-1/accepted/result.json",
        "tmp/callbacks/runs/../0001/result.json",
        "x/tmp/callbacks/runs/run-1/0001/result.json",
    ],
)
def test_any_other_key_wakes_nobody(key: str) -> None:
    assert keys.parse_callback(key) is None
