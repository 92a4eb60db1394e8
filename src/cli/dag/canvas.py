"""A grid of cells for lines and texts, in which lines of different wires cross, never join."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

NORTH, EAST, SOUTH, WEST = 1, 2, 4, 8

_GLYPHS: Final = " │─└││┌├─┘─┴┐┤┬┼"  # by the sum of the directions above
_PLAIN: Final = " |-+||++-+-+++++"
_ARROWS: Final = {EAST: ("▶", ">"), SOUTH: ("▼", "v")}


class Canvas:
    """Cells at (row, column); `wire` tells lines apart."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._ascii = ascii_only
        self._lines: dict[tuple[int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self._texts: dict[tuple[int, int], str] = {}

    def horizontal(self, row: int, first: int, last: int, wire: int) -> None:
        """Draw from the middle of one cell to the middle of another in the same row."""
        first, last = min(first, last), max(first, last)
        for column in range(first, last):
            self._lines[row, column][wire] |= EAST
            self._lines[row, column + 1][wire] |= WEST

    def vertical(self, column: int, first: int, last: int, wire: int) -> None:
        """Draw from the middle of one cell to the middle of another in the same column."""
        first, last = min(first, last), max(first, last)
        for row in range(first, last):
            self._lines[row, column][wire] |= SOUTH
            self._lines[row + 1, column][wire] |= NORTH

    def arrow(self, row: int, column: int, direction: int) -> None:
        """Draw an arrowhead."""
        self._texts[row, column] = _ARROWS[direction][self._ascii]

    def text(self, row: int, column: int, text: str) -> None:
        """Write a text of one-cell characters from a cell on."""
        for offset, character in enumerate(text):
            self._texts[row, column + offset] = character

    def rows(self) -> list[str]:
        """Return the drawing, without trailing blanks and rows that upright lines merely cross."""
        cells = {at: self._glyph(wires) for at, wires in self._lines.items()} | self._texts
        height, width = (1 + max(at[axis] for at in cells) for axis in (0, 1))
        rows = [[" "] * width for _ in range(height)]
        for (row, column), glyph in cells.items():
            rows[row][column] = glyph
        return ["".join(row).rstrip() for row in rows if set(row) - {" ", "│", "|"}]

    def crossings(self) -> int:
        """Return in how many cells two lines cross."""
        return sum(_crossing(wires) for wires in self._lines.values())

    def _glyph(self, wires: dict[int, int]) -> str:
        mask = 0
        for directions in wires.values():
            mask |= directions
        if _crossing(wires):
            mask = NORTH | SOUTH  # one goes under the other: a joint would tell of an edge
        return (_PLAIN if self._ascii else _GLYPHS)[mask]


def _crossing(wires: dict[int, int]) -> bool:
    return set(wires.values()) == {NORTH | SOUTH, EAST | WEST}
