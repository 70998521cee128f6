"""A schedule as the parts of a kernel: which loops are partitioned among workers, and where each reduction accumulates."""

from __future__ import annotations

from functools import partial
from typing import assert_never

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
from codegen.loops.loop import Item, Loop, Path, assignments_in
from codegen.loops.nest import (
    Accumulate,
    Begun,
    Convolution,
    Define,
    FlatNest,
    InMemory,
    InnerLoop,
    InVariable,
    Nests,
    Node,
    Once,
    Part,
    PartialSum,
    Product,
    Recompute,
    RowNest,
    Scan,
    Scatter,
    SmallLoop,
    Step,
    Store,
    Total,
    Update,
    VectorLoop,
)
from codegen.loops.schedule import Schedule
from codegen.loops.storage import Array, Recomputed, Result, Row, Variable

#: An assignment that is a reduction, its kind, and the loops around it.
_Reduced = tuple[Assignment, Reduction, Path]


def nests(plan: Schedule) -> Nests:
    """The parts of a kernel."""
    body = plan.body
    if plan.batch:
        (loop,) = plan.body
        assert isinstance(loop, Loop)
        body = loop.body
    return Nests(tuple(_part(plan, item) for item in body), plan.batch)


def _part(plan: Schedule, item: Item) -> Part:
    if isinstance(item, Loop):
        return _nest(plan, item) if _worth_sharing(plan, item) else SmallLoop(_vector(plan, item, _around(plan), frozenset()))
    match item.kind:
        case MatrixProduct():
            return Product(item, item.kind)
        case ScatterAdd():
            return Scatter(item, item.kind)
        case RunningSum():
            return Scan(item, item.kind)
        case WindowProduct():
            return Convolution(item, item.kind)
        case _:
            return Once(_step(plan, (), item))


def _around(plan: Schedule) -> tuple[str, ...]:
    """The axes of the loops around all parts."""
    return (plan.batch,) if plan.batch else ()


def _worth_sharing(plan: Schedule, loop: Loop) -> bool:
    """Whether partitioning a nest among workers pays: not for one loop over a single axis of tensors that have more axes."""
    return not loop.innermost or (not loop.slide and not plan.batch and all(len(a.axes) < 2 for a in plan.program.arguments))


def _nest(plan: Schedule, loop: Loop) -> FlatNest | RowNest:
    path = _around(plan)
    summed = [(f, kind) for f, kind, around in _reductions(loop) if _first_reduced(f, path, around) is loop]
    totals = tuple(Total(f, kind.fold) for f, kind in summed)
    if loop.innermost:
        return FlatNest(VectorLoop(loop.axis, (), (), _steps(plan, loop)), totals)
    chain = [loop] if totals else _chain(loop, path)
    axes = tuple(l.axis for l in chain)
    inside = {f.name: f for f, _ in assignments_in((loop,))}
    stored = [(f, plan.storage[f.name]) for f in inside.values()]
    rows = tuple((f, place.axes) for f, place in stored if isinstance(place, Row))
    body = chain[-1].body
    nodes = tuple(_node(plan, body, item, (*path, *axes), frozenset()) for item in body)
    return RowNest(axes, nodes, totals, rows)


def _chain(loop: Loop, path: tuple[str, ...]) -> list[Loop]:
    """The outer loops with no statement between them, whose combined iterations are partitioned among workers."""
    chain = [loop]
    while len(chain[-1].body) == 1:
        inner = chain[-1].body[0]
        if not isinstance(inner, Loop) or inner.innermost or inner.slide or inner.rows:
            break
        around = (*path, *(l.axis for l in chain))
        if any(_first_reduced(f, around, site) is inner for f, _, site in _reductions(inner)):
            break
        chain.append(inner)
    return chain


# ---- loops inside a nest -------------------------------------------------------------------------------------------------


def _node(plan: Schedule, body: tuple[Item, ...], item: Item, path: tuple[str, ...], held: frozenset[str]) -> Node:
    """One item of a body; ``held`` are the reductions that accumulate in a variable of a loop outside."""
    if not isinstance(item, Loop):
        return _step(plan, body, item)
    if item.innermost:
        return _vector(plan, item, path, held)
    begun = _begun(item, path)
    sums = _partial(item, begun, held)
    held |= {b.assignment.name for b in (*begun, *sums) if not isinstance(b, InMemory)}
    inside = (*path, *((item.axis, item.slide.inner) if item.slide else (item.axis,)))
    nodes = tuple(_node(plan, item.body, i, inside, held) for i in item.body)
    return InnerLoop(item.axis, begun, sums, nodes, item.slide, item.rows)


def _vector(plan: Schedule, loop: Loop, path: tuple[str, ...], held: frozenset[str]) -> VectorLoop:
    begun = _begun(loop, path)
    return VectorLoop(loop.axis, begun, _partial(loop, begun, held), _steps(plan, loop), loop.slide, loop.rows)


def _begun(loop: Loop, path: tuple[str, ...]) -> tuple[Begun, ...]:
    """The reductions whose outermost loop is this one."""
    found: list[Begun] = []
    for f, kind, around in _reductions(loop):
        if _first_reduced(f, path, around) is loop:
            own = tuple(i for i in f.index if i not in path)
            found.append(InMemory(f, kind.fold, own) if own else InVariable(f, kind.fold))
    return tuple(found)


def _partial(loop: Loop, begun: tuple[Begun, ...], held: frozenset[str]) -> tuple[PartialSum, ...]:
    """The reductions for which this loop makes a partial sum, a single number that is added to an element of memory.

    They reduce over this loop and over all loops inside it, and accumulate in memory outside of it.
    """
    here = {b.assignment.name for b in begun if isinstance(b, InVariable)}
    return tuple(
        PartialSum(f, kind.fold)
        for f, kind, around in _reductions(loop)
        if f.name not in here | held and all(l.axis in kind.over and l.axis not in f.moves for l in around)
    )


def _reductions(loop: Loop) -> list[_Reduced]:
    """The reductions inside a loop, each with the loops around it, from this loop inwards."""
    return [(f, f.kind, path) for f, path in assignments_in(loop.body, (loop,)) if isinstance(f.kind, Reduction)]


def _first_reduced(f: Assignment, outside: tuple[str, ...], path: Path) -> Loop | None:
    """The outermost loop of ``path`` that a reduction runs over; None if the reduction runs over a loop outside of ``path``."""
    if any(axis in f.scoped for axis in outside):
        return None
    return next((loop for loop in path if loop.axis in f.scoped), None)


# ---- statements ----------------------------------------------------------------------------------------------------------


def _steps(plan: Schedule, loop: Loop) -> tuple[Step, ...]:
    """The statements of an innermost loop."""
    items = [item for item in loop.body if isinstance(item, Assignment)]
    return tuple(map(partial(_step, plan, loop.body), items))


def _step(plan: Schedule, body: tuple[Item, ...], f: Assignment) -> Step:
    """The step that a statement of a body is."""
    match f.kind:
        case Reduction(fold, _):
            return Accumulate(f, fold)
        case EntryUpdate():
            return Update(f, f.kind)
        case Elementwise():
            return _value(plan, body, f)
        case MatrixProduct() | ScatterAdd() | RunningSum() | WindowProduct():
            raise AssertionError(f"{f.name} has loops of its own")
    assert_never(f.kind)


def _value(plan: Schedule, body: tuple[Item, ...], f: Assignment) -> Define | Store | Recompute:
    place = plan.storage[f.name]
    match place:
        case Variable():
            return Define(f)
        case Recomputed():
            return Recompute(f)
        case Result() | Row() | Array():
            return Store(f, any(f.name in g.needs for g, _ in assignments_in(body) if g is not f))
    assert_never(place)
