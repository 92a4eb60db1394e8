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
from src.common import graph

MAX_NAMED: Final = 120  # boxes
MAX_TALL: Final = 24  # boxes or points in one layer
MAX_LINKS: Final = 5_000  # curves; a picture with more is a blot
MAX_LABEL: Final = 28  # characters

CHARACTER: Final = 7.3  # width of one of a box's label
BOX: Final = 28  # height
ROW: Final = 40  # from box to box
PADDING: Final = 38  # of a label: the sign, and air
GAP: Final = 52  # between layers
DOT: Final = 16
DOT_ROW: Final = 22
DOTS_TALL: Final = 28  # dots in a column before the next begins
MARGIN: Final = 12


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
class Link:
    """An edge; `path` is SVG path data."""

    source: str
    target: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """A drawn graph; `hidden` counts the edges that are not drawn."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    links: tuple[Link, ...]
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
    links = tuple(_routed(nodes, columns))
    return Diagram(
        width=x - GAP + MARGIN if layers else 2 * MARGIN,
        height=2 * MARGIN + BOX + ROW * max((node.at for node in nodes), default=0),
        boxes=tuple(boxes.values()),
        links=links,
        named=True,
        hidden=edges - len(links),
    )


def _routed(nodes: Sequence[Node], columns: Sequence[tuple[float, float]]) -> Iterator[Link]:
    """Yield every edge, led through the points that the layout made for it."""
    for target in nodes:
        for before in target.above if target.name else ():
            way = [target, before]
            while not way[-1].name:
                way.append(way[-1].above[0])
            way.reverse()
            yield Link(source=way[0].name, target=target.name, path=_path(way, columns))


def _path(way: Sequence[Node], columns: Sequence[tuple[float, float]]) -> str:
    def y(node: Node) -> float:
        return MARGIN + node.at * ROW + BOX / 2

    parts = [f"M{columns[way[0].layer][1]:.1f} {y(way[0]):.1f}"]
    for node, following in pairwise(way):
        start, (end, beyond) = columns[node.layer][1], columns[following.layer]
        parts.append(_curve(start, y(node), end, y(following)))
        if not following.name:
            parts.append(f"H{beyond:.1f}")
    return "".join(parts)


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    middle = (x1 + x2) / 2
    return f"C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"


def _with_dots(needs: Mapping[str, Sequence[str]], edges: int) -> Diagram:
    layers = _dot_layers(needs)
    height = DOT_ROW * min(max(map(len, layers), default=0), DOTS_TALL)
    boxes: dict[str, Box] = {}
    x = float(MARGIN)
    for layer in layers:
        columns = -(-len(layer) // DOTS_TALL)
        rows = -(-len(layer) // columns)
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
        x += columns * DOT_ROW + GAP
    found = [(need, name) for name in needs for need in needs[name]]
    drawn = found if len(found) <= MAX_LINKS else []
    links = [_straight(boxes[need], boxes[name]) for need, name in drawn]
    return Diagram(
        width=x - GAP + MARGIN,
        height=2 * MARGIN + height,
        boxes=tuple(boxes.values()),
        links=tuple(links),
        named=False,
        hidden=edges - len(links),
    )


def _dot_layers(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the layers, ordered by the edges between neighbours alone: long ones cost points.

    That leaves every node in its layer, as each waits for at least one in the layer before.
    """
    depth = {name: depth for depth, names in enumerate(graph.layers(needs)) for name in names}
    near = {
        name: [need for need in needs[name] if depth[need] == depth[name] - 1] for name in needs
    }
    return [[node.name for node in layer] for layer in layout.layered(near)]


def _straight(source: Box, target: Box) -> Link:
    x, y = source.x + source.width, source.y + source.height / 2
    curve = _curve(x, y, target.x, target.y + target.height / 2)
    return Link(source=source.name, target=target.name, path=f"M{x:.1f} {y:.1f}{curve}")


def _label(name: str) -> str:
    return name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"
