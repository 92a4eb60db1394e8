"""How edges run between two neighbouring layers: which lane each takes and where it arrives.

Sources with the same targets share a wire (a bus). Each wire that must turn gets a lane across the
gap. A wire leaves its lane on the line of its target; so a wire that comes from that same line must
turn off before: its lane comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from src.cli.dag.layout import Node


class Tangled(Exception):
    """Wires block each other however the lanes are chosen."""


@dataclass(slots=True, eq=False)
class Wire:
    """From every source to every target; `ports` are where it arrives, one per target."""

    sources: list[Node]
    targets: list[Node]
    ports: list[int] = field(default_factory=list)
    lane: int | None = None  # None: it runs straight

    @property
    def span(self) -> tuple[int, int]:
        """First and last cell that it touches on the cross axis."""
        cells = [node.at for node in self.sources] + self.ports
        return min(cells), max(cells)


def wires(layer: Sequence[Node]) -> list[Wire]:
    """Return the wires that leave a layer."""
    found: dict[frozenset[int], Wire] = {}
    for node in layer:
        if node.below:
            key = frozenset(id(target) for target in node.below)
            found.setdefault(key, Wire([], list(node.below))).sources.append(node)
    return list(found.values())


def arrivals(gap: Sequence[Wire]) -> dict[int, list[Wire]]:
    """Return id of a target -> its wires."""
    found: dict[int, list[Wire]] = {}
    for wire in gap:
        for target in wire.targets:
            found.setdefault(id(target), []).append(wire)
    return found


def port_offsets(entering: int, *, step: int, loose: bool) -> range:
    """Return where wires arrive at a target, from its middle; `loose`: never on the even grid."""
    first = int(loose) - step * ((entering - 1) // 2)
    return range(first, first + entering * step, step)


def assign(gap: Sequence[Wire], *, step: int, loose: bool) -> int:
    """Choose ports (`step` apart at one target) and lanes; return how many lanes there are.

    Raises:
        Tangled: no choice keeps the wires apart; never if `loose` with all nodes on even cells.
    """
    by_target = arrivals(gap)
    for wire in gap:
        wire.ports = [_port(wire, node, by_target[id(node)], step, loose) for node in wire.targets]
    return _lanes(gap)


def _port(wire: Wire, target: Node, entering: list[Wire], step: int, loose: bool) -> int:
    if len(entering) == 1 and _straight(wire):
        return target.at
    entering.sort(key=lambda other: sum(node.at for node in other.sources) / len(other.sources))
    return target.at + port_offsets(len(entering), step=step, loose=loose)[entering.index(wire)]


def _straight(wire: Wire) -> bool:
    return len({node.at for node in (*wire.sources, *wire.targets)}) == 1


def _lanes(gap: Sequence[Wire]) -> int:
    turning = [wire for wire in gap if len({node.at for node in wire.sources} | {*wire.ports}) > 1]
    leaving = {node.at: wire for wire in gap for node in wire.sources}
    first: dict[int, list[Wire]] = {
        id(wire): [
            leaving[port] for port in wire.ports if port in leaving and leaving[port] is not wire
        ]
        for wire in turning
    }
    done: dict[int, int] = {}
    spans: list[list[tuple[int, int]]] = []
    waiting = sorted(turning, key=lambda wire: wire.span)
    while waiting:
        free = next((w for w in waiting if all(id(o) in done for o in first[id(w)])), None)
        if free is None:
            raise Tangled
        waiting.remove(free)
        low, high = free.span
        lane = 1 + max((done[id(other)] for other in first[id(free)]), default=-1)
        while lane < len(spans) and any(low <= b and a <= high for a, b in spans[lane]):
            lane += 1
        if lane == len(spans):
            spans.append([])
        spans[lane].append((low, high))
        free.lane = done[id(free)] = lane
    return len(spans)
