"""Logs with terminal colours as pieces of text with class names. Makes no HTML.

Colours become the terminal's sixteen, whose looks are the style sheet's, so that they can be read
on light and dark ground. All other escapes are dropped; what could hide or reorder text is marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final

from rich.ansi import AnsiDecoder
from rich.color import Color, ColorSystem
from rich.style import Style

from src.cli.text import CONTROLS, ESCAPES, MARK

_COLOUR: Final = re.compile(r"(\x1b\[[0-9;]{0,64}m)")  # longer ones are nobody's colour
_ATTRIBUTES: Final = ("bold", "dim", "italic", "underline", "strike")


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one look; `look` holds class names: `f0` to `f15` and `b0` to `b15` for colours."""

    text: str
    look: str = ""


def pieces(log: str) -> Iterator[Piece]:
    """Yield a log in pieces, each as long as its look lasts."""
    for look, same in groupby(_lines(log), attrgetter("look")):
        yield Piece("".join(piece.text for piece in same), look)


def _lines(log: str) -> Iterator[Piece]:
    decoder = AnsiDecoder()  # keeps colours from line to line, as terminals do
    for number, line in enumerate(log.removesuffix("\n").split("\n")):
        if number:
            yield Piece("\n", _look(decoder.style))
        yield from _line(decoder, ESCAPES.sub(_colours_only, line.rstrip("\r")))


def _line(decoder: AnsiDecoder, line: str) -> list[Piece]:
    shown: list[Piece] = []
    for part in _COLOUR.split(line):
        if part.startswith("\x1b"):
            decoder.decode_line(part)  # for its effect on the decoder's style
            continue
        _, overwritten, rest = part.rpartition("\r")
        if overwritten:
            shown.clear()
        if rest:
            shown.append(Piece(CONTROLS.sub(MARK, rest), _look(decoder.style)))
    return shown


def _colours_only(escape: re.Match[str]) -> str:
    return escape[0] if _COLOUR.fullmatch(escape[0]) else ""


@lru_cache(maxsize=1024)
def _look(style: Style) -> str:
    front, back = _number(style.color), _number(style.bgcolor)
    classes = [name for name in _ATTRIBUTES if getattr(style, name)]
    if style.reverse:
        classes.append("front-as-back" if front is None else f"b{front}")
        classes.append("back-as-front" if back is None else f"f{back}")
    else:
        classes += [] if front is None else [f"f{front}"]
        classes += [] if back is None else [f"b{back}"]
    return " ".join(classes)


def _number(color: Color | None) -> int | None:
    return None if color is None else color.downgrade(ColorSystem.STANDARD).number
