"""What the handlers log: one JSON object a line, which says on which leg of which trace it was."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from src.common import leg
from src.common.threads import map_at_once
from tests.support.handler_logs import handler_logs, lines

pytestmark = pytest.mark.unit

AT = 1_700_000_000_999
FIELDS = ("run_id", "order_num", "trace_id", "trace_leg")


def said(line: Mapping[str, Any]) -> tuple[str | None, ...]:
    return tuple(line.get(field) for field in FIELDS)


@pytest.mark.parametrize(
    "text", ['a\n{"level":"INFO"}', "a\r\nEND RequestId: x", "\x1b[2J\x00", "\u2028x", "\ud800"]
)
def test_a_caller_cannot_forge_a_line(text: str) -> None:
    with handler_logs() as written:
        logging.getLogger("src.somewhere").warning("a message was refused: %s", text)

    (line,) = written.getvalue().splitlines()
    assert line.isprintable()
    assert json.loads(line)["message"] == f"a message was refused: {text}"


def test_a_leg_is_told_by_a_line_of_its_own_and_by_all_that_are_logged_on_it() -> None:
    log = logging.getLogger("src.somewhere")

    with handler_logs() as written:
        log.info("before")
        with leg.of("run-1", AT, num="0002", trace_id="0123abcd"):
            log.info("on it")
        log.info("after")

    before, begun, on_it, after = lines(written)
    assert begun["message"] == "at work on run-1:0002"
    assert said(begun) == said(on_it) == ("run-1", "0002", "0123abcd", "0123abcd:1700000000")
    assert said(before) == said(after) == (None, None, None, None)


def test_the_trace_of_a_leg_may_come_out_later() -> None:
    log = logging.getLogger("src.somewhere")

    with handler_logs() as written, leg.of("run-1", AT):
        log.info("reading")
        leg.traced("0123abcd")
        leg.traced("0123abcd")
        log.info("known")

    reading, begun, known = map(said, lines(written))
    assert reading == ("run-1", None, None, None)
    assert begun == known == ("run-1", None, "0123abcd", "0123abcd:1700000000")


def test_who_is_on_a_leg_of_the_run_stays_on_it() -> None:
    with handler_logs() as written, leg.of("run-1", AT, trace_id="0123abcd"):
        with leg.of("run-1", AT + 60_000, trace_id="0123abcd"):
            assert leg.fields()["trace_leg"] == "0123abcd:1700000000"
        with leg.of("run-2", AT + 60_000, trace_id="89abcdef"):
            assert leg.fields()["trace_leg"] == "89abcdef:1700000060"
        assert leg.fields()["trace_leg"] == "0123abcd:1700000000"

    assert [line["run_id"] for line in lines(written)] == ["run-1", "run-2"]


def test_a_leg_goes_along_into_threads() -> None:
    with leg.of("run-1", AT, trace_id="0123abcd"):
        found = map_at_once(lambda _: leg.fields()["run_id"], range(3), 2)

    assert found == ["run-1"] * 3
    assert leg.fields() == {}
