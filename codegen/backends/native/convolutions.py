"""C's spelling of convolutions and their gradients as matrix products.

For some positions of each row of the frame, a buffer has a column each, with all that the window sees there. The frame is
the product of the weights and these columns, the gradient of the weights one of the frame and the columns. The gradient of the
image is added up from columns that are a product of the weights and the frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from codegen.backends.native.comments import equations
from codegen.backends.native.declare import point
from codegen.backends.native.elements import base, element, index, stored, stride
from codegen.backends.native.slides import bounds, give_position
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment, WindowProduct
from codegen.loops.nest import Convolution
from codegen.recognise.window import Slide
from derive import syntax as st

__all__ = ["buffers", "convolution"]


def buffers(w: Writer, p: Convolution) -> dict[str, str]:
    """The scratch memory of a convolution, by the names of its parts."""
    f, kind = p.assignment, p.kind
    found = {w.names.part(f.name, "columns"): f"padded({w.factor(kind.column)} * PANEL)"}
    if kind.weights.name == f.name:
        found[w.names.part(f.name, "terms")] = f"padded({w.size(kind.row)} * {w.factor(kind.column)})"
    return found


def convolution(w: Writer, p: Convolution) -> None:
    """Write a convolution, or one of its gradients."""
    f, kind = p.assignment, p.kind
    w.helper("matmul", "smallest", "largest")
    result = base(w, stored(w.context, f.name))
    last = _last(f)
    batch = [str(i) for i in kind.image.index if i in kind.frame.index]
    outer = [*batch, *(s.outer for s in f.slides if s is not last)]
    w.emit("", equations(w.context, [f]))
    if kind.frame.name != f.name:
        w.emit(f"memset({result}, 0, sizeof(real) * (size_t)({w.count(f.index)}));")
    w.emit(*(f"{w.head(i)} {{" for i in outer))
    w.emit(f"for (int64_t first = 0; first < {w.size(last.outer)}; first += PANEL) {{")
    w.emit(f"const int64_t count = smallest(PANEL, {w.size(last.outer)} - first);")
    with w.inside(*outer):
        if kind.image.name == f.name:
            _product(w, f, kind)
            _scatter(w, f, kind, last)
        else:
            _gather(w, f, kind, last)
            _product(w, f, kind)
    w.emit("}", *("}" for _ in outer))


def _last(f: Assignment) -> Slide:
    """The slide along the last axes of image and frame."""
    assert isinstance(f.kind, WindowProduct)
    return next(s for s in f.slides if s.outer == f.kind.frame.index[-1])


# ---- columns -----------------------------------------------------------------------------------------------------------------


def _gather(w: Writer, f: Assignment, kind: WindowProduct, last: Slide) -> None:
    """Write into each column what the window sees; zeros stand for what is outside of the image."""
    with _windows(w, f, kind, last, zero=True) as (column, image):
        w.emit(f"{column}[{w.names.index(last.outer)} - first] = {image};")


def _scatter(w: Writer, f: Assignment, kind: WindowProduct, last: Slide) -> None:
    """Add each column to the part of the image that its window sees."""
    with _windows(w, f, kind, last, zero=False) as (column, image):
        w.emit(f"{image} += {column}[{w.names.index(last.outer)} - first];")


@contextmanager
def _windows(w: Writer, f: Assignment, kind: WindowProduct, last: Slide, *, zero: bool) -> Iterator[tuple[str, str]]:
    """Loops over all that a row's windows see; yields the pointer to a row of the columns, and the element of the image."""
    column, columns = w.names.part(f.name, "column"), w.names.part(f.name, "columns")
    others = [s for s in f.slides if s is not last]
    with w.loops(kind.column):
        at = w.flat_index(kind.column)
        w.emit(f"real *const {column} = {columns} + ({at}) * count;")
        if zero:
            w.emit(f"memset({column}, 0, sizeof(real) * (size_t)count);")
        for s in others:
            give_position(w, s)
            inner = w.names.index(s.inner)
            w.emit(f"if ({inner} < 0 || {inner} >= {w.size(s.inner)}) continue;")
        with w.inside(*(s.inner for s in others)):
            point(w, kind.image.name, kind.image.index[:-1])
            begin, end = bounds(w, last)
            span = f"largest({begin}, first)", f"< smallest({end}, first + count)"
            w.emit("#pragma omp simd", f"{w.head(last.outer, span=span)} {{")
            with w.inside(last.outer, last.inner):
                give_position(w, last)
                yield column, element(w, kind.image.name, kind.image.index)
            w.emit("}")


# ---- products ----------------------------------------------------------------------------------------------------------------


def _product(w: Writer, f: Assignment, kind: WindowProduct) -> None:
    """The matrix product of the weights, the columns and a row of the frame, of which one is the result."""
    rows, width, length = w.size(kind.row), w.count(kind.column), "count"
    columns, terms = w.names.part(f.name, "columns"), w.names.part(f.name, "terms")
    frame, weights = f"{_at(w, kind.frame)} + first", _at(w, kind.weights)
    of_frame, of_weights = (_stride(w, r, kind.row) for r in (kind.frame, kind.weights))
    if kind.frame.name == f.name:
        given = [rows, length, width, weights, of_weights, "1", columns, length, "1", frame, of_frame]
    elif kind.image.name == f.name:
        given = [width, length, rows, weights, "1", of_weights, frame, of_frame, "1", columns, length]
    else:
        given = [rows, width, length, frame, of_frame, "1", columns, "1", length, terms, width]
    w.emit(f"matmul({', '.join(given)});")
    if kind.weights.name == f.name:
        entry, total = w.names.of("entry", "entry"), w.names.part(f.name, "part")
        w.emit(f"real *const {total} = {weights};", "#pragma omp simd")
        head = f"for (int64_t {entry} = 0; {entry} < {w.count((kind.row, *kind.column))}; ++{entry}) {{"
        w.emit(head, f"{total}[{entry}] += {terms}[{entry}];", "}")


def _at(w: Writer, read: st.Read) -> str:
    """The pointer to the part of a tensor at the indices that the loops define."""
    known = [(k, i) for k, i in enumerate(read.index) if w.scope.known((i,))]
    steps = [f"{index(w, i)} * {by}" if (by := stride(w, read.name, k)) else index(w, i) for k, i in known]
    return " + ".join([base(w, stored(w.context, read.name)), *steps])


def _stride(w: Writer, read: st.Read, axis: str) -> str:
    return stride(w, read.name, read.index.index(axis)) or "1"
