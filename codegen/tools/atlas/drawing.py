"""A computation graph as SVG: a box for each name and, beside it, a box for its adjoint.

Forward edges go down, edges between adjoints go up.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.tools.atlas.graph import Fate, Graph, Place, Vertex
from codegen.tools.atlas.layers import Box, Layout, Sides, lay_out

__all__ = ["Cell", "Drawing", "Line", "drawing"]

#: Sizes in pixels: a box' height, the distance of layers, the margin, and the padding of a box.
HEIGHT, PITCH, MARGIN, PADDING = 32.0, 78.0, 12.0, 11.0
#: The width of a letter of the fixed-width text, in pixels, at its two sizes.
LETTER, SMALL = 7.875, 6.3
#: The distance of an edge's end from the seam between two boxes, in pixels; an edge that passes other boxes has half of it.
PORT = 12.0


@dataclass(frozen=True)
class Cell:
    """One box of a pair: its place, its text, and its classes and link."""

    x: float
    y: float
    width: float
    height: float
    text: str
    axes: str
    kind: str
    title: str
    link: str

    @property
    def middle(self) -> float:
        return _short(self.x + self.width / 2)

    @property
    def baseline(self) -> float:
        return _short(self.y + self.height / 2 + 5)


@dataclass(frozen=True)
class Line:
    path: str
    kind: str


@dataclass(frozen=True)
class Drawing:
    """The cells and lines of a drawing; ``label`` says in words what is drawn."""

    width: float
    height: float
    label: str
    cells: tuple[Cell, ...]
    lines: tuple[Line, ...]


def drawing(graph: Graph) -> Drawing:
    """The graph laid out."""
    layout = lay_out({v.name: _sides(v) for v in graph.vertices}, graph.forward | graph.backward)
    height = 2 * MARGIN + (layout.layers - 1) * PITCH + HEIGHT
    cells = tuple(cell for v in graph.vertices for cell in _cells(v, layout.boxes[v.name]))
    vertices = {v.name: v for v in graph.vertices}
    lines = [_line(vertices, layout, edge, "backward") for edge in sorted(graph.backward)]
    lines += [_line(vertices, layout, edge, "forward") for edge in sorted(graph.forward)]
    adjoints = sum(bool(v.adjoint) for v in graph.vertices)
    label = f"Computation graph of {len(graph.vertices)} names and {adjoints} adjoints"
    return Drawing(_short(layout.width + 2 * MARGIN), _short(height), label, cells, tuple(lines))


_PLACES = {
    Place.INPUT: "input",
    Place.LABELS: "integer input",
    Place.OUTPUT: "output",
    Place.SAVED: "saved for backward",
    Place.VALUE: "value",
}
_FATES = {
    Fate.UPSTREAM: "upstream gradient",
    Fate.GRADIENT: "gradient",
    Fate.LINE: "kept in the closed form",
    Fate.INLINED: "inlined on the way to the closed form",
}


def _cells(v: Vertex, box: Box) -> tuple[Cell, ...]:
    own, beside = _widths(v)
    x, y = box.x - _sides(v)[0] + MARGIN, _top(box)
    axes = f"[{','.join(v.axes)}]" if v.axes else ""
    link = "" if v.place in (Place.INPUT, Place.LABELS) else f"#equation-{v.name}"
    cells = [Cell(_short(x), y, own, HEIGHT, v.name, axes, v.place.value, f"{v.name}{axes}: {_PLACES[v.place]}", link)]
    if v.fate is not None:
        title = f"{v.adjoint}{axes}: {_FATES[v.fate]}"
        link = "" if v.fate is Fate.UPSTREAM else f"#step-{v.adjoint}"
        cells.append(Cell(_short(x + own), y, beside, HEIGHT, v.adjoint, "", v.fate.value, title, link))
    return tuple(cells)


def _widths(v: Vertex) -> tuple[float, float]:
    """The widths of the two boxes of a vertex."""
    axes = SMALL * (len(",".join(v.axes)) + 2) + 2 if v.axes else 0.0
    own = round(LETTER * len(v.name) + axes + 2 * PADDING)
    return float(own), float(round(LETTER * len(v.adjoint) + 2 * PADDING)) if v.adjoint else 0.0


def _sides(v: Vertex) -> Sides:
    """How far the boxes extend to the left and right of their seam; for a single box, of its middle."""
    own, beside = _widths(v)
    return (own, beside) if v.adjoint else (own / 2, own / 2)


def _line(vertices: dict[str, Vertex], layout: Layout, edge: tuple[str, str], kind: str) -> Line:
    """An edge between two forward boxes or two adjoint boxes, drawn in the direction in which values flow."""
    a, b = (layout.boxes[name] for name in edge)
    shift = PORT if kind == "backward" else -PORT
    ends = [shift if vertices[name].adjoint else 0.0 for name in edge]
    xs = [a.x + ends[0], *(x + shift / 2 for x in layout.bends[edge]), b.x + ends[1]]
    points = [(x + MARGIN, MARGIN + (a.layer + k) * PITCH) for k, x in enumerate(xs)]
    # Downwards through the layers: an edge leaves a box or lane at its bottom, and enters the next at its top.
    stops = [(points[0][0], points[0][1] + HEIGHT)]
    for x, y in points[1:-1]:
        stops += [(x, y), (x, y + HEIGHT)]
    stops.append(points[-1])
    return Line(_path(stops if kind == "forward" else stops[::-1]), kind)


def _path(stops: list[tuple[float, float]]) -> str:
    """The path of an edge: curves between layers, straight lines through layers."""
    path = f"M{_number(stops[0][0])} {_number(stops[0][1])}"
    for k, ((x0, y0), (x1, y1)) in enumerate(zip(stops, stops[1:], strict=False)):
        bend = (y1 - y0) * 0.5
        curve = f"C{_number(x0)} {_number(y0 + bend)} {_number(x1)} {_number(y1 - bend)} {_number(x1)} {_number(y1)}"
        path += curve if k % 2 == 0 else f"L{_number(x1)} {_number(y1)}"
    return path


def _top(box: Box) -> float:
    return MARGIN + box.layer * PITCH


def _short(number: float) -> float:
    return round(number, 1)


def _number(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
