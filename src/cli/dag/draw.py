"""Chooses how a graph is drawn: from left to right, from top to bottom, or as a list of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from src.cli.dag import canvas, layout, route
from src.cli.dag.layout import Needs, Node
from src.cli.dag.route import Tangled, Wire
from src.common import graph

MAX_DRAWN: Final = 100  # orders; more are a list
MAX_CROSSINGS: Final = 120  # of lines; a picture with more hides what it shows
MAX_IMPLIED: Final = 6  # edges named


def drawing(needs: Needs, *, width: int, ascii_only: bool = False) -> str:
    """Return a graph (node -> what it waits for, acyclic), in `width` columns where it can be."""
    reduced = layout.reduced(needs)
    for sideways in (True, False):
        rows = _picture(reduced, sideways=sideways, ascii_only=ascii_only)
        if rows and max(map(len, rows)) <= width:
            return "\n".join([*rows, *_implied(needs, reduced)])
    return "\n".join(_listed(needs))


def _picture(needs: Needs, *, sideways: bool, ascii_only: bool) -> list[str] | None:
    if len(needs) > MAX_DRAWN:
        return None
    layers = layout.layered(needs)
    try:
        picture = _Picture(layers, sideways=sideways, loose=False)
    except Tangled:
        picture = _Picture(layers, sideways=sideways, loose=True)
    drawn = picture.draw(ascii_only=ascii_only)
    return drawn.rows() if drawn.crossings() <= MAX_CROSSINGS else None


def _implied(needs: Needs, reduced: Needs) -> Iterator[str]:
    hidden = [
        f"{need} -> {node}"
        for node in needs
        for need in dict.fromkeys(needs[node])
        if need not in reduced[node]
    ]
    if not hidden:
        return
    yield ""
    yield f"{len(hidden)} not drawn, as longer paths imply them:"
    yield from (f"  {edge}" for edge in hidden[:MAX_IMPLIED])
    if len(hidden) > MAX_IMPLIED:
        yield "  ..."


def _listed(needs: Needs) -> Iterator[str]:
    for depth, layer in enumerate(graph.layers(needs), 1):
        yield f"layer {depth}"
        for node in layer:
            after = ", ".join(dict.fromkeys(needs[node]))
            yield f"  {node}  <- {after}" if after else f"  {node}"


@dataclass(slots=True)
class _Gap:
    """The main-axis cells between two layers."""

    wires: list[Wire]
    lanes: int  # where the first lane lies
    bar: int | None  # where wires of one target join
    arrow: int


class _Picture:
    """A placed graph. The axes: `main` along the edges, `cross` along the layers."""

    def __init__(self, layers: Sequence[Sequence[Node]], *, sideways: bool, loose: bool) -> None:
        self._layers = layers
        self._sideways = sideways
        self._loose = loose
        self._port_step = 1 if sideways and not loose else 2
        self._lane_step = 2 if sideways else 1
        self._wires = [route.wires(layer) for layer in layers[:-1]]
        self._measure()
        layout.place(layers, gap=0 if sideways else 2, grid=2 if loose else 1)
        self._labels: list[int] = []  # main cell of each layer's names
        self._gaps: list[_Gap] = []
        self._arrange()

    def draw(self, *, ascii_only: bool) -> canvas.Canvas:
        """Return a canvas with the picture on it."""
        self._canvas = canvas.Canvas(ascii_only=ascii_only)
        for gap in self._gaps:
            for wire in gap.wires:
                self._draw_wire(gap, wire)
            for target in {id(n): n for wire in gap.wires for n in wire.targets}.values():
                self._draw_arrival(gap, target)
        for start, layer in zip(self._labels, self._layers, strict=True):
            for node in layer:
                if node.name:
                    self._write(start, node)
        return self._canvas

    def _measure(self) -> None:
        """Set how many cells of the cross axis each node needs for its name and its ports."""
        entering = {key: len(w) for gap in self._wires for key, w in route.arrivals(gap).items()}
        for layer in self._layers:
            for node in layer:
                ports = route.port_offsets(
                    entering.get(id(node), 1), step=self._port_step, loose=self._loose
                )
                length = 1 if self._sideways else max(len(node.name), 1)
                node.low = max(length // 2, -ports[0])
                node.high = max((length - 1) // 2, ports[-1])

    def _arrange(self) -> None:
        """Choose lanes and lay out the main axis."""
        at = 0
        for layer, wires in zip(self._layers, [*self._wires, []], strict=True):
            self._labels.append(at)
            if not wires:
                continue
            lanes = route.assign(wires, step=self._port_step, loose=self._loose)
            name = max(len(node.name) for node in layer) + 2 if self._sideways else 1
            first = at + name
            end = first + max(lanes - 1, 0) * self._lane_step
            joins = any(
                port != target.at
                for wire in wires
                for port, target in zip(wire.ports, wire.targets, strict=True)
            )
            bar = end + self._lane_step if joins else None
            arrow = (bar or end) + (2 if self._sideways and lanes and not joins else 1)
            self._gaps.append(_Gap(wires, first, bar, arrow))
            at = arrow + (2 if self._sideways else 1)

    def _draw_wire(self, gap: _Gap, wire: Wire) -> None:
        end = gap.arrow if gap.bar is None else gap.bar
        ident = id(wire)
        if wire.lane is None:
            self._main(wire.sources[0].at, self._leaves(wire.sources[0]), end, ident)
            return
        lane = gap.lanes + wire.lane * self._lane_step
        self._cross(lane, *wire.span, ident)
        for source in wire.sources:
            self._main(source.at, self._leaves(source), lane, ident)
        for port in wire.ports:
            self._main(port, lane, end, ident)

    def _draw_arrival(self, gap: _Gap, target: Node) -> None:
        if gap.bar is not None:
            ports = [
                port
                for wire in gap.wires
                for port, node in zip(wire.ports, wire.targets, strict=True)
                if node is target
            ]
            self._cross(gap.bar, min(*ports, target.at), max(*ports, target.at), id(target))
            self._main(target.at, gap.bar, gap.arrow, id(target))
        if target.name:
            row, column = self._cell(gap.arrow, target.at)
            self._canvas.arrow(row, column, canvas.EAST if self._sideways else canvas.SOUTH)

    def _leaves(self, source: Node) -> int:
        """Return the main cell from which a node's wire runs on."""
        if not source.name:
            return self._gaps[source.layer - 1].arrow
        start = self._labels[source.layer]
        return start + len(source.name) + 1 if self._sideways else start

    def _write(self, start: int, node: Node) -> None:
        if self._sideways:
            self._canvas.text(node.at, start, node.name)
        else:
            self._canvas.text(start, node.at - len(node.name) // 2, node.name)

    def _cell(self, main: int, cross: int) -> tuple[int, int]:
        return (cross, main) if self._sideways else (main, cross)

    def _main(self, cross: int, first: int, last: int, wire: int) -> None:
        draw = self._canvas.horizontal if self._sideways else self._canvas.vertical
        draw(cross, first, last, wire)

    def _cross(self, main: int, first: int, last: int, wire: int) -> None:
        draw = self._canvas.vertical if self._sideways else self._canvas.horizontal
        draw(main, first, last, wire)
