"""docs/reference/rows-and-objects.md and the code say the same."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from src.common import keys, messages, records
from src.common.outcome import done_summary
from src.common.status import OrderStatus
from tests.support.build import a_run, an_order

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).parents[2] / "docs/reference/rows-and-objects.md").read_text()
KINDS = {
    "Run": records.Run,
    "Order": records.Order,
    "Packaging": records.Packaging,
    "Event": records.Event,
    "Request": records.Idempotency,
    "Lock": records.Lock,
    "Result": messages.Result,
    "Claim": messages.Claim,
    "Dispatch": messages.Dispatch,
    "Input of a watchdog": messages.WatchdogInput,
}


def section(title: str) -> str:
    found = re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows(text: str) -> list[tuple[list[str], str]]:
    """Return the code words of the first column, and the second column, of each row."""
    found = re.findall(r"^\| (`[^|]*) \| (.*) \|$", text, re.MULTILINE)
    return [(re.findall(r"`([^`]+)`", first), second) for first, second in found]


def names(text: str) -> list[str]:
    return [name for words, _ in rows(text) for name in words]


@pytest.mark.parametrize("title", KINDS)
def test_every_field_is_documented_once_and_no_other(title: str) -> None:
    assert sorted(names(section(title))) == sorted(spec.name for spec in fields(KINDS[title]))


def test_every_section_of_a_row_or_object_is_held_to_the_code() -> None:
    titles = set(re.findall(r"^### (.*)$", PAGE, re.MULTILINE))

    assert titles == {*KINDS, "Done object"}


def test_the_done_object_is_what_finishing_writes() -> None:
    order = an_order(1, status=OrderStatus.SUCCEEDED, exit_code=0)
    summary = done_summary(a_run(total=1), {"0001": "plan"}, {"0001": order})

    text = section("Done object")
    assert sorted(names(text)) == sorted(summary)
    (of_orders,) = (second for words, second in rows(text) if words == ["orders"])
    assert re.findall(r"`([^`]+)`", of_orders) == list(summary["orders"]["plan"])


def test_every_key_of_the_internal_bucket_is_documented_and_no_other() -> None:
    run_id, num, digest = "<run_id>", "<num>", "<digest>"
    made: list[Any] = [
        keys.request_key(digest),
        keys.bundle_key(run_id, num),
        keys.stop_key(run_id, num),
        keys.accepted_key(run_id),
        keys.vcs_key(run_id),
        keys.comment_key(run_id),
        keys.result_key(run_id, num),
        keys.claim_key(run_id, num),
        keys.ack_key(run_id, num),
        keys.poke_key(run_id),
        keys.cancel_key(run_id),
        keys.finished_key(run_id),
    ]
    makers = {name for name in vars(keys) if name.endswith("_key")} - {"row_key", "done_key"}
    assert len(made) == len(makers)

    found = re.search(r"^## Internal bucket\n(.*?)^###", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert sorted(names(found[1])) == sorted(made)
    assert keys.done_key(run_id) in PAGE
