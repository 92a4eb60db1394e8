"""The graph of a run as boxes and curves, left to right, in pixels. Makes no SVG.

Small graphs get boxes with names, laid out as on the terminal. Large ones get a dot per order, the
layers folded into blocks of bounded height: names would not be readable anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from src.cli.dag import layout
from src.cli.dag.layout import Needs, Node
from src.cli.page.wires import Box, Wire, bundle, bundles, curve, drawn, left, line, right, single
from src.common import graph

MAX_NAMED: Final = 120  # boxes
MAX_TALL: Final = 24  # boxes or points in one layer
MAX_CURVES: Final = 5_000  # a picture with more is a blot
MAX_LABEL: Final = 28  # characters

CHARACTER: Final = 7.3  # width of one of a box's label
BOX: Final = 28  # height
ROW: Final = 40  # from box to box
PADDING: Final = 38  # of a label: the sign, and air
GAP: Final = 52  # between layers
DOT: Final = 16
DOT_ROW: Final = 22
DOTS_TALL: Final = 24  # dots in a column before the next begins
MARGIN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """A drawn graph; `hidden` counts the edges that are not drawn."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    named: bool
    hidden: int


def diagram(needs: Needs) -> Diagram:
    """Draw a graph: node -> what it waits for; acyclic, no edge to a node that is no key."""
    reduced = layout.reduced(needs)
    edges = sum(len(set(nodes)) for nodes in needs.values())
    if len(needs) <= MAX_NAMED:
        layers = layout.layered(reduced)
        if max(map(len, layers), default=0) <= MAX_TALL:
            return _with_names(layers, edges)
    return _with_dots(reduced, edges)


def _with_names(layers: Sequence[Sequence[Node]], edges: int) -> Diagram:
    layout.place(layers, gap=0, grid=1)
    boxes: dict[str, Box] = {}
    columns: list[tuple[float, float]] = []  # where each layer begins and ends
    x = float(MARGIN)
    for layer in layers:
        longest = max((len(_label(node.name)) for node in layer if node.name), default=0)
        columns.append((x, x + PADDING + longest * CHARACTER))
        for node in layer:
            if node.name:
                boxes[node.name] = Box(
                    name=node.name,
                    label=_label(node.name),
                    x=x,
                    y=MARGIN + node.at * ROW,
                    width=columns[-1][1] - x,
                    height=BOX,
                )
        x = columns[-1][1] + GAP
    nodes = [node for layer in layers for node in layer]
    wires = tuple(_routed(nodes, columns, boxes))
    return Diagram(
        width=x - GAP + MARGIN,
        height=2 * MARGIN + BOX + ROW * max(node.at for node in nodes),
        boxes=tuple(boxes.values()),
        wires=wires,
        named=True,
        hidden=edges - drawn(wires),
    )


def _routed(
    nodes: Sequence[Node], columns: Sequence[tuple[float, float]], boxes: Mapping[str, Box]
) -> Iterator[Wire]:
    """Yield every edge: in bundles between neighbours, else led through the layout's points."""
    near = {
        node.name: [above.name for above in node.above]
        for node in nodes
        if node.name and all(above.name for above in node.above)
    }
    groups = list(bundles(near))
    yield from (bundle(sources, targets, boxes) for sources, targets in groups)
    bundled = {
        (source, target) for sources, targets in groups for source in sources for target in targets
    }
    for target in nodes:
        for before in target.above if target.name else ():
            way = _way(target, before)
            if (way[0].name, target.name) not in bundled:
                yield single(way[0].name, target.name, _path(way, columns))


def _way(target: Node, before: Node) -> list[Node]:
    """Return an edge's nodes, from its source over the layout's points to its target."""
    way = [target, before]
    while not way[-1].name:
        way.append(way[-1].above[0])
    return way[::-1]


def _path(way: Sequence[Node], columns: Sequence[tuple[float, float]]) -> str:
    def y(node: Node) -> float:
        return MARGIN + node.at * ROW + BOX / 2

    parts = [f"M{columns[way[0].layer][1]:.1f} {y(way[0]):.1f}"]
    for node, following in pairwise(way):
        start, (end, beyond) = columns[node.layer][1], columns[following.layer]
        parts.append(curve(start, y(node), end, y(following)))
        if not following.name:
            parts.append(f"H{beyond:.1f}")
    return "".join(parts)


def _with_dots(needs: Mapping[str, Sequence[str]], edges: int) -> Diagram:
    layers = _dot_layers(needs)
    columns = [-(-len(layer) // DOTS_TALL) for layer in layers]
    heights = [-(-len(layer) // wide) for layer, wide in zip(layers, columns, strict=True)]
    height = DOT_ROW * max(heights)
    boxes: dict[str, Box] = {}
    x = float(MARGIN)
    for layer, wide, rows in zip(layers, columns, heights, strict=True):
        for place, name in enumerate(layer):
            column, row = divmod(place, rows)
            boxes[name] = Box(
                name=name,
                label="",
                x=x + column * DOT_ROW,
                y=MARGIN + (height - rows * DOT_ROW) / 2 + row * DOT_ROW,
                width=DOT,
                height=DOT,
            )
        x += wide * DOT_ROW + GAP
    wires = tuple(_straight(needs, boxes))
    if sum(len(wire.curves) for wire in wires) > MAX_CURVES:
        wires = ()
    return Diagram(
        width=x - GAP + MARGIN,
        height=2 * MARGIN + height,
        boxes=tuple(boxes.values()),
        wires=wires,
        named=False,
        hidden=edges - drawn(wires),
    )


def _straight(needs: Mapping[str, Sequence[str]], boxes: Mapping[str, Box]) -> Iterator[Wire]:
    """Yield every edge, in bundles where there are any."""
    bundled = set()
    for sources, targets in bundles(needs):
        bundled |= {(source, target) for source in sources for target in targets}
        yield bundle(sources, targets, boxes)
    for target in needs:
        for source in needs[target]:
            if (source, target) not in bundled:
                path = line(right(boxes[source]), left(boxes[target]))
                yield single(source, target, path)


def _dot_layers(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the layers, ordered by the edges between neighbours alone: long ones cost points.

    That leaves every node in its layer, as each waits for at least one in the layer before.
    """
    depth = {name: depth for depth, names in enumerate(graph.layers(needs)) for name in names}
    near = {
        name: [need for need in needs[name] if depth[need] == depth[name] - 1] for name in needs
    }
    return [[node.name for node in layer] for layer in layout.layered(near)]


def _label(name: str) -> str:
    return name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"
