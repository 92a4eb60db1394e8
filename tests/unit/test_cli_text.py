"""Text for terminals: harmless and measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.cli.text import MARK, clean, count, duration

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain [bold]text[/]", "plain [bold]text[/]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Htop", "top"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice control\x1b\\text", "text"),
        ("\x9b31mred", "red"),
        ("\x1b(Bcharset", "charset"),
        ("\x1b]0;a title that never ends", ""),
        ("ends in escape \x1b", "ends in escape "),
        ("10 %\r50 %\r100 %", "100 %"),
        ("dos line\r\n", "dos line"),
        ("bell\x07", f"bell{MARK}"),
        ("back\x08space", f"back{MARK}space"),
        ("a\tb", "a       b"),
        ("\u202eevil", f"{MARK}evil"),
        ("zero\u200bwidth", f"zero{MARK}width"),
        ("half \ud83d pair", f"half {MARK} pair"),
        ("größer 漢字", "größer 漢字"),
    ],
)
def test_lines_of_orders_cannot_steer_the_terminal(line: str, shown: str) -> None:
    assert clean(line) == shown


@given(st.text(st.characters(codec=None), max_size=60))
def test_nothing_but_printable_text_is_left(line: str) -> None:
    shown = clean(line)

    assert not set(shown) & {chr(code) for code in (*range(32), *range(0x7F, 0xA0))}
    assert clean(shown) == shown


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (-5, "0.0 s"),
        (420, "0.4 s"),
        (9_949, "9.9 s"),
        (9_960, "10 s"),
        (59_600, "1 min 00 s"),
        (185_000, "3 min 05 s"),
        (7_380_000, "2 h 03 min"),
    ],
)
def test_durations_are_for_people(ms: int, shown: str) -> None:
    assert duration(ms) == shown


def test_counts_have_their_plural() -> None:
    assert [count(n, "order") for n in (0, 1, 1000)] == ["0 orders", "1 order", "1,000 orders"]
