"""A document built piece by piece, with the line of every field: what YAML and JSON files share.

Bounded in depth and, aliases counted in full, in size. Knows no syntax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from src.common import fieldpath
from src.common.errors import JobRefused, Problem
from src.common.jsontext import MAX_DEPTH

MAX_NODES: Final = 500_000
MERGE: Final = "<<"

_STEP: Final = re.compile(r"[.\[]")


class Lines:
    """Where fields stand: path (`orders[2].timeout`) -> line, from 1."""

    def __init__(self, lines: dict[str, int]) -> None:
        self._lines = lines

    def of(self, path: str) -> int | None:
        """Return the line of a field, or of the nearest field around it; None if there is none."""
        while path not in self._lines and path:
            steps = [step.start() for step in _STEP.finditer(path)]
            path = path[: steps[-1]] if steps else ""
        return self._lines.get(path)


@dataclass(slots=True)
class _Open:
    """A map or list that is not complete."""

    value: dict[str, Any] | list[Any]
    path: str
    anchor: str | None
    begun: int  # nodes before it
    key: str | None = None
    key_line: int = 0
    key_lines: dict[str, int] = field(default_factory=dict)  # where each key was given first
    dropped: bool = False  # it belongs to a key that was given before
    merged: dict[str, Any] = field(default_factory=dict)


class Builder:
    """Takes the pieces of one document in order; `root` and `lines` are there when it ends.

    A key that a map gives twice is a problem, and counts where it stands first, or last if
    `last_wins`.
    """

    def __init__(self, *, last_wins: bool = False) -> None:
        self._last_wins = last_wins
        self.root: Any = None
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0

    @property
    def wants_key(self) -> bool:
        """Whether the next piece is a key."""
        return bool(self._stack) and self._stack[-1].key is None and self._in_map

    @property
    def _in_map(self) -> bool:
        return isinstance(self._stack[-1].value, dict)

    def key(self, name: str, line: int) -> None:
        """Take the key of a map's next entry."""
        top = self._stack[-1]
        path = fieldpath.key(top.path, name)
        first = top.key_lines.setdefault(name, line)
        if name in top.value:
            message = f"line {line}: is given twice in one map, first in line {first}"
            self.problems.append(Problem(path, message))
            if self._last_wins:
                self._forget(path)
                del top.value[name]  # type: ignore[arg-type]  # the keys of a map are text
        top.key, top.key_line = name, line

    def scalar(self, value: Any, line: int, anchor: str | None = None) -> None:
        """Take a text, number, truth value or null."""
        self._count(1, line)
        self._add(value, line)
        if anchor is not None:
            self._anchors[anchor] = (value, 1)

    def open(self, value: dict[str, Any] | list[Any], line: int, anchor: str | None = None) -> None:
        """Begin a map or list, given empty."""
        if len(self._stack) >= MAX_DEPTH:
            raise refused(line, f"maps and lists are nested more than {MAX_DEPTH} levels deep")
        begun = self._nodes
        self._count(1, line)
        path, dropped = self._add(value, line)
        self._stack.append(_Open(value, path, anchor, begun, dropped=dropped))

    def close(self) -> None:
        """End the innermost map or list."""
        done = self._stack.pop()
        if done.merged and isinstance(done.value, dict):
            # In place, for the parent holds it already; merged keys first, as other readers do.
            explicit = dict(done.value)
            done.value.clear()
            done.value.update(done.merged | explicit)
        if done.anchor is not None:
            self._anchors[done.anchor] = (done.value, self._nodes - done.begun)

    def alias(self, anchor: str, line: int) -> None:
        """Take again what was anchored."""
        if anchor not in self._anchors:
            raise refused(line, f"*{anchor} refers to nothing that is complete before it")
        value, size = self._anchors[anchor]
        self._count(size, line)
        self._add(value, line)

    def _add(self, value: Any, line: int) -> tuple[str, bool]:
        """Put a value where it belongs; return its path, and whether it is dropped."""
        if not self._stack:
            self.root = value
            self.lines.setdefault("", line)
            return "", False
        top = self._stack[-1]
        dropped = top.dropped
        if isinstance(top.value, list):
            path = fieldpath.item(top.path, len(top.value))
            top.value.append(value)
        else:
            name, line = str(top.key), top.key_line
            path, top.key = fieldpath.key(top.path, name), None
            if name in top.value:
                dropped = True
            else:
                top.value[name] = value
        if not dropped:
            self.lines.setdefault(path, line)
        return path, dropped

    def _forget(self, path: str) -> None:
        """Forget where the fields at and below a path stand."""
        below = (f"{path}.", f"{path}[")
        for known in [p for p in self.lines if p == path or p.startswith(below)]:
            del self.lines[known]

    def merge(self, anchor: str, line: int) -> None:
        """Take an anchored map as defaults of the innermost map (`<<: *anchor`)."""
        value, size = self._anchors.get(anchor, (None, 0))
        if not isinstance(value, dict):
            raise refused(line, f"<<: *{anchor} must name a map that is complete before it")
        self._count(size, line)
        top = self._stack[-1]
        top.merged = value | top.merged
        top.key = None

    @property
    def merging(self) -> bool:
        """Whether the next piece belongs to a `<<`."""
        return bool(self._stack) and self._in_map and self._stack[-1].key == MERGE

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise refused(
                line, f"the document holds over {MAX_NODES} values, aliases counted in full"
            )


def refused(line: int, message: str) -> JobRefused:
    """Return the refusal of a document for what stands in a line."""
    return JobRefused([Problem("", f"line {line}: {message}")])
