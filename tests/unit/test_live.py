"""Printed lines and whose they are."""

from __future__ import annotations

import pytest

from src.common.live import label, labelled, parsed

pytestmark = pytest.mark.unit


def test_every_line_says_whose_it_is() -> None:
    assert labelled("run-1", "0002", "a\n\nb") == "run-1:0002| a\nrun-1:0002| \nrun-1:0002| b"


@pytest.mark.parametrize("line", ["", "a", "  b| c ", "run-2:0001| forged", "\x1b[31mred", "ü\r"])
def test_a_line_comes_back_as_it_was(line: str) -> None:
    assert parsed(labelled("run-1", "0002", line) + "\n", "run-1") == ("0002", line)


@pytest.mark.parametrize(
    "message",
    [
        "START RequestId: run-1:0001",
        '{"message": "run-1:0001 is not ours to start"}',
        "run-1:0001 no bar",
        "run-1:x| no number",
        "run-12:0001| another run",
        "abcdef0001| run-1:",
        "",
    ],
)
def test_what_no_order_of_the_run_printed_is_none(message: str) -> None:
    assert parsed(message, "run-1") is None


def test_the_label_of_a_run_begins_those_of_its_orders() -> None:
    assert label("run-1", "0001").startswith(label("run-1"))
    assert not label("run-12", "0001").startswith(label("run-1"))
