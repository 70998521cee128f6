"""C's spelling of statements with loops of their own: matrix products and scatter-adds."""

from __future__ import annotations

from codegen.backends.native.comments import equations
from codegen.backends.native.declare import load_labels, point
from codegen.backends.native.elements import accesses, base, inside, named, place, spelled, stored, stride
from codegen.backends.native.ranges import bands
from codegen.backends.native.scope import Indices
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment
from codegen.loops.nest import Product, Scatter


def product(w: Writer, p: Product) -> None:
    """A contraction as a matrix product for each element of the batch axes."""
    f, roles = p.assignment, p.kind.axes
    left, right = (p.kind.right, p.kind.left) if roles.swapped else (p.kind.left, p.kind.right)
    loops = [b for b in roles.batch if b not in w.scope.path]
    w.emit("", equations(w.context, [f]), *(f"{w.head(b)} {{" for b in loops))
    operands = [
        _operand(w, left.name, left.index, roles.batch, (roles.rows, roles.inner)),
        _operand(w, right.name, right.index, roles.batch, (roles.inner, roles.columns)),
        _operand(w, f.name, f.index, roles.batch, (roles.rows,)),
    ]
    sizes = ", ".join(w.count(g) for g in (roles.rows, roles.columns, roles.inner))
    given = [sizes, *operands, *([bands(w, roles, f.rows)] if f.rows else [])]
    name = "banded_matmul" if f.rows else "matmul"
    w.helper(name)
    w.emit(f"{name}({', '.join(given)});", *("}" for _ in loops))


def _operand(w: Writer, name: str, index: Indices, batch: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> str:
    """The pointer to an operand, and the strides of its groups of adjacent axes: the product takes a group as one axis."""
    at = inside(w.context, name, index)
    strides = [(stride(w, name, at.index(g[-1])) or "1") if g else "0" for g in groups]
    return ", ".join([place(w, name, tuple(i for i in at if i in batch)), *strides])


def scatter(w: Writer, p: Scatter) -> None:
    """A scatter-add. The target's rows are partitioned into ranges, so that each row's sum has the same order on every run."""
    f, labels = p.assignment, p.kind.labels
    target, rest = f.index[0], f.index[1:]
    into, size, width = base(w, stored(w.context, f.name)), w.size(target), w.factor(rest)
    w.helper("thread_number", "team_size")
    w.emit("", equations(w.context, [f]), "#pragma omp parallel num_threads(threads)", "{")
    w.emit(f"const int64_t first = {size} * thread_number() / team_size();")
    w.emit(f"const int64_t last = {size} * (thread_number() + 1) / team_size();")
    w.emit(f"memset({into} + first * {width}, 0, sizeof(real) * (size_t)((last - first) * {width}));")
    outer = f.loops[: len(f.loops) - len(rest)]
    with w.loops(outer):
        load_labels(w, (labels,))
        label = w.scope.labels[labels]
        w.emit(f"if ({label} < first || {label} >= last) continue;")
        row = named(w, f.name, (labels,), "row of the target")
        w.emit(f"real *const {row} = {into} + {label} * {width};")
        _add_row(w, f, row, rest)
    w.emit("}")


def _add_row(w: Writer, f: Assignment, row: str, axes: tuple[str, ...]) -> None:
    """Add one row of terms to the row that its label selects."""
    for name, index in dict.fromkeys(accesses(w.context, f)):
        if name in w.context.numbers or name == f.name:
            continue
        at = inside(w.context, name, index)
        if len(at) > 1 and w.scope.known(at[:-1]):
            point(w, name, at[:-1])
    w.emit(*map(w.head, axes[:-1]))
    if axes:
        w.emit("#pragma omp simd", w.head(axes[-1]))
    with w.inside(*axes):
        w.emit(f"{row}[{w.flat_index(axes)}] += {spelled(w).show(f.body)};")
