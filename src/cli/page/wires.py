"""Boxes of a drawn graph and the curves between them, in pixels.

Groups that wait for each other whole share a bundle: ten orders after ten others take twenty curves
through one point, where a hundred would hide each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

BEFORE: Final = 26  # from the point where a bundle meets to its first target


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """An order; `x` and `y` are its upper left corner."""

    name: str
    label: str  # empty for a dot
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """SVG path data; `end` names the order at which one of a bundle's curves begins or ends."""

    path: str
    end: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """The edges from every source to every target: a curve, or a bundle that meets in one point."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    curves: tuple[Curve, ...]


def single(source: str, target: str, path: str) -> Wire:
    """Return one edge."""
    return Wire(sources=(source,), targets=(target,), curves=(Curve(path=path),))


def bundles(
    needs: Mapping[str, Sequence[str]],
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield sources and targets wherever several wait for exactly the same several."""
    alike: dict[frozenset[str], list[str]] = {}
    for target, sources in needs.items():
        alike.setdefault(frozenset(sources), []).append(target)
    for group, targets in alike.items():
        if len(group) > 1 and len(targets) > 1:
            yield tuple(dict.fromkeys(needs[targets[0]])), tuple(targets)


def bundle(sources: Sequence[str], targets: Sequence[str], boxes: Mapping[str, Box]) -> Wire:
    """Draw all edges between two groups through one point, just before the targets."""
    starts = {name: right(boxes[name]) for name in sources}
    ends = {name: left(boxes[name]) for name in targets}
    heights = [y for _, y in (*starts.values(), *ends.values())]
    meet = min(x for x, _ in ends.values()) - BEFORE, (min(heights) + max(heights)) / 2
    curves = [Curve(path=line(start, meet), end=name) for name, start in starts.items()]
    curves += [Curve(path=line(meet, end), end=name) for name, end in ends.items()]
    return Wire(sources=tuple(sources), targets=tuple(targets), curves=tuple(curves))


def drawn(wires: Sequence[Wire]) -> int:
    """Return how many edges are drawn."""
    return sum(len(wire.sources) * len(wire.targets) for wire in wires)


def right(box: Box) -> tuple[float, float]:
    """Return where curves leave a box."""
    return box.x + box.width, box.y + box.height / 2


def left(box: Box) -> tuple[float, float]:
    """Return where curves enter a box."""
    return box.x, box.y + box.height / 2


def line(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return the path of a whole curve."""
    return f"M{start[0]:.1f} {start[1]:.1f}{curve(*start, *end)}"


def curve(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a part of a path that leaves and arrives level."""
    middle = (x1 + x2) / 2
    return f"C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
