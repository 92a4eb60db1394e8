"""Colours of logs on the page: the sixteen of terminals, nothing else gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.cli.page.ansi import Piece, pieces
from src.cli.text import MARK, clean

pytestmark = pytest.mark.unit


def looks(log: str) -> list[tuple[str, str]]:
    return [(piece.text, piece.look) for piece in pieces(log)]


@pytest.mark.parametrize(
    ("log", "shown"),
    [
        ("plain\n", [("plain", "")]),
        ("a\nb\n\n", [("a\nb\n", "")]),
        ("\x1b[31mred\x1b[0m on", [("red", "f1"), (" on", "")]),
        ("\x1b[1;32mbold\x1b[22m green", [("bold", "bold f2"), (" green", "f2")]),
        ("\x1b[91mbright\x1b[39m", [("bright", "f9")]),
        ("\x1b[41;37m FAIL \x1b[0m", [(" FAIL ", "f7 b1")]),
        ("\x1b[31;7mturned", [("turned", "b1 back-as-front")]),
        ("\x1b[7mturned", [("turned", "front-as-back back-as-front")]),
        ("\x1b[38;5;196mof 256", [("of 256", "f1")]),
        ("\x1b[38;2;0;128;0mtrue", [("true", "f2")]),
        ("\x1b[8mconcealed", [("concealed", "")]),
        ("\x1b[33mover\nlines\x1b[0m\nend", [("over\nlines", "f3"), ("\nend", "")]),
        ("10 %\r\x1b[32m100 %", [("100 %", "f2")]),
        ("\x1b[31m10 %\r100 %", [("100 %", "f1")]),
        ("10 %\x1b[31m\r100 %", [("100 %", "f1")]),
        ("dos\r\nlines\r\n", [("dos\nlines", "")]),
        ("a\tb", [("a\tb", "")]),
        ("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", [("link", "")]),
        ("\x1b[2J\x1b[31mtop\x07", [(f"top{MARK}", "f1")]),
        ("\u202eevil", [(f"{MARK}evil", "")]),
        ("<b>&amp;", [("<b>&amp;", "")]),
        ("\x1b[" + "9" * 5000 + "mhuge", [("huge", "")]),
        ("\x1b[38;5mcut", [("cut", "")]),
        ("", []),
    ],
)
def test_log_becomes_pieces_of_one_look_each(log: str, shown: list[tuple[str, str]]) -> None:
    assert looks(log) == shown


@given(st.text(st.characters(codec=None) | st.sampled_from("\x1b[;m0123]\r\n"), max_size=80))
def test_page_shows_of_any_log_what_the_terminal_shows(log: str) -> None:
    shown = "".join(piece.text for piece in pieces(log)).split("\n")

    lines = log.removesuffix("\n").split("\n")
    assert [line.expandtabs(8) for line in shown] == [clean(line) for line in lines]


def test_text_of_one_look_is_one_piece() -> None:
    assert list(pieces("line\n" * 1000)) == [Piece("\n".join(["line"] * 1000))]
