"""C's spelling of the elements of tensors: a variable, or a pointer with an offset.

A loop variable is named after its axis, and the length of axis ``n`` is ``size_n``. The element ``dy[n, d]`` of an equation is
spelled ``dy_n[d]``, where ``dy_n`` points to row ``n`` of ``dy``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from codegen.backends.native.context import Context
from codegen.backends.native.own import Own
from codegen.backends.native.positions import whole
from codegen.backends.native.printer import CExpressions
from codegen.backends.native.scope import Access, Indices
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import (
    Assignment,
    Elementwise,
    EntryUpdate,
    MatrixProduct,
    Reduction,
    RunningSum,
    ScatterAdd,
    WindowProduct,
)
from codegen.loops.storage import Array, Result, Row, Variable
from derive import syntax as st


@dataclass(frozen=True)
class Stored:
    """The memory of a tensor over ``axes``: the memory of ``owner``, or with ``row`` the buffer that each thread has."""

    owner: str
    axes: tuple[str, ...]
    row: bool = False


def stored(c: Context, name: str) -> Stored:
    """The memory of a tensor (of one that has memory: see :func:`in_memory`)."""
    if name in c.arguments:
        return Stored(name, c.arguments[name].axes)
    place = c.plan.storage[name]
    if isinstance(place, Row):
        return Stored(name, place.axes, row=True)
    while isinstance(place, Array) and place.over:
        name = place.over
        place = c.plan.storage[name]
    assert isinstance(place, Result | Array)
    return Stored(name, place.axes)


def in_memory(c: Context, name: str) -> bool:
    """Whether a computed value has memory."""
    return isinstance(c.plan.storage[name], Result | Row | Array)


def base(w: Writer, memory: Stored) -> str:
    """The pointer to the memory of a tensor."""
    return Own.ROW.of_thread(w, memory.owner) if memory.row else w.names.tensor(memory.owner)


def inside(c: Context, name: str, index: Indices) -> Indices:
    """The part of an index for the axes that a tensor's memory has: a row of ``e[n, c]`` has only ``c``."""
    own, full = stored(c, name).axes, c.axes(name)
    return index if len(own) == len(full) else tuple(i for a, i in zip(full, index, strict=True) if a in own)


# ---- elements --------------------------------------------------------------------------------------------------------


def spelled(w: Writer) -> CExpressions:
    """The printer of expressions at this place in the body."""
    c = w.context
    return CExpressions(
        op=c.plan.program.name,
        read=lambda read: value(w, read),
        length=w.size,
        index=lambda i: index(w, i),
        position=lambda i: element(w, i.name, i.index) if isinstance(i, st.Lookup) else index(w, i),
        needs=w.needs,
        constants=c.doubles,
        invertible=c.invertible,
        inner=w.scope.vector,
        accurate=c.plan.program.accurate,
    )


def index(w: Writer, i: st.Index) -> str:
    """An index as C: a loop variable, which in a chunk counts from the chunk's start, or the variable of a label."""
    if isinstance(i, st.Lookup):
        return w.scope.labels.get(i) or label(w, i)
    name = w.names.index(i)
    return f"(first + {name})" if w.scope.chunk and i == w.scope.chunk.axis else name


def whole_number(w: Writer, tree: st.Tree) -> str:
    """A whole number of indices, lengths and constants of the op."""

    def other(tree: st.Tree) -> str:
        if isinstance(tree, st.Size):
            return w.size(tree.axis)
        assert isinstance(tree, st.Read)
        return f"(int64_t){w.names.tensor(tree.name)}"

    return whole(tree, lambda i: index(w, i), other).code


def label(w: Writer, i: st.Lookup) -> str:
    """A label as an index; 0 stands for one that is out of range, as it is not looked up."""
    a, given = w.context.arguments[i.name], element(w, i.name, i.index)
    if not a.guards or not a.labels:
        return given
    return f"((uint64_t){given} < (uint64_t){w.size(a.labels)} ? {given} : 0)"


def value(w: Writer, read: st.Read) -> str:
    """A read as C: the variable that holds the value, or the element of its array."""
    if read.name in w.context.numbers:
        return w.names.tensor(read.name)
    return w.scope.values.get((read.name, read.index)) or element(w, read.name, read.index)


def element(w: Writer, name: str, at: Indices) -> str:
    """An element in memory, as C."""
    memory, at = stored(w.context, name), inside(w.context, name, at)
    chunk = w.scope.chunk
    if not at:
        return f"*{base(w, memory)}"
    if chunk and name in chunk.pointers and at == (chunk.axis,):
        return f"{chunk.pointers[name]}[{w.names.index(chunk.axis)}]"
    if row := w.scope.rows.get((name, at[:-1])):
        return f"{row}[{index(w, at[-1])}]"
    return f"{base(w, memory)}[{offset(w, name, at)}]"


def place(w: Writer, name: str, at: Indices) -> str:
    """The pointer to an element, or to a row if ``at`` has only the leading indices."""
    pointer = base(w, stored(w.context, name))
    return f"{pointer} + {offset(w, name, at)}" if at else pointer


def offset(w: Writer, name: str, at: Indices) -> str:
    """The offset of an element, or of a row if ``at`` has only the leading indices."""
    strides = [stride(w, name, k) for k in range(len(at))]
    return " + ".join(f"{index(w, i)} * {by}" if by else index(w, i) for i, by in zip(at, strides, strict=True)) or "0"


def stride(w: Writer, name: str, k: int) -> str:
    """The stride of an axis in elements; "" for the last axis, whose elements are neighbours."""
    memory = stored(w.context, name)
    owner, own = memory.owner, memory.axes
    if k == len(own) - 1:
        return ""
    if memory.row or owner not in w.context.strided:
        return w.factor(own[k + 1 :])
    found = w.names.of(f"{owner}_stride_{w.names.index(own[k])}", "stride", owner, own[k])
    w.needs.strides[owner, own[k]] = found
    return found


def named(w: Writer, name: str, at: Indices, kind: str) -> str:
    """A name for the part of a tensor at an index: ``x_n`` for the value ``x[n]`` or for row ``n`` of ``x``."""
    subscripts = "_".join(w.names.index(i) if isinstance(i, str) else _subscript(w, i) for i in at)
    return w.names.of(f"{name}_{subscripts or kind}", kind, name, at)


def _subscript(w: Writer, label: st.Lookup) -> str:
    return w.scope.labels.get(label) or "_".join([label.name, *map(w.names.index, st.index_names(label))])


# ---- accesses ---------------------------------------------------------------------------------------------------------


def accesses(c: Context, f: Assignment, through: set[str] | None = None) -> Iterator[Access]:
    """Every element that a statement reads or writes, and those that its rematerialised operands read.

    ``through`` are the rematerialised names that were visited; each is visited once.
    """
    through = set() if through is None else through
    for node in st.walk(f.body):
        if isinstance(node, st.Read) and c.recomputed(node.name):
            if node.name not in through:
                through.add(node.name)
                yield from accesses(c, c.assignments[node.name], through)
        elif isinstance(node, st.Read):
            if not isinstance(c.plan.storage.get(node.name), Variable):
                yield node.name, node.index
        elif isinstance(node, st.Match):
            yield from ((i.name, i.index) for i in (node.left, node.right) if isinstance(i, st.Lookup))
        elif isinstance(node, st.Position) and isinstance(node.index, st.Lookup):
            yield node.index.name, node.index.index
    match f.kind:
        case EntryUpdate(labels, _):
            yield f.name, f.index
            yield labels.name, labels.index
        case Elementwise() | MatrixProduct() | ScatterAdd() | RunningSum() | WindowProduct():
            if in_memory(c, f.name):
                yield f.name, f.index
        case Reduction():
            pass
        case _:
            assert_never(f.kind)
