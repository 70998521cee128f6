"""C's spelling of the loops inside a nest, and of the reductions that begin and end at these loops.

A reduction over innermost loops accumulates in a variable of the vectorised loop. A reduction whose value has an axis of an
inner loop accumulates in memory. If such a reduction runs over innermost loops too, their partial sum is a variable, which is
then added to an element of that memory.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from codegen.backends.native.comments import equations
from codegen.backends.native.declare import declare, point
from codegen.backends.native.elements import element, in_memory, inside, place
from codegen.backends.native.folds import FOLDS
from codegen.backends.native.ranges import span_of
from codegen.backends.native.scope import Held, InPlace
from codegen.backends.native.slides import give_position
from codegen.backends.native.statements import combine, local, write_step
from codegen.backends.native.streams import stream
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment, Fold
from codegen.loops.nest import Accumulate, Begun, InMemory, InnerLoop, InVariable, Node, PartialSum, VectorLoop, steps_in


def nodes(w: Writer, body: tuple[Node, ...]) -> None:
    """Write the body of a loop, and after it copy the buffers of streamed results to their places."""
    for node in body:
        declare(w, node)
        match node:
            case InnerLoop() | VectorLoop():
                inner_loop(w, node)
            case _:
                write_step(w, node)
    inside = [step.assignment for step, _ in steps_in(body)]
    for f in w.scope.streamed:
        if f.index[:-1] == w.scope.path and len(f.index) > 1 and any(f is g for g in inside):
            stream(w, f, place(w, f.name, f.index[:-1]), w.size(f.index[-1]))


def inner_loop(w: Writer, loop: InnerLoop | VectorLoop) -> None:
    """Write a loop inside a nest, with the reductions that begin and end at it."""
    for begun in loop.begun:
        _begin(w, begun)
    outside = {p.assignment.name: w.scope.sums[p.assignment.name] for p in loop.partial}
    for p in loop.partial:
        begin_partial(w, p)
    match loop:
        case InnerLoop():
            w.emit(f"{w.head(loop.axis, span=span_of(w, loop))} {{")
            with w.inside(*loop.defines):
                if loop.slide:
                    give_position(w, loop.slide)
                nodes(w, loop.body)
            w.emit("}")
        case VectorLoop():
            vector_loop(w, loop)
        case _:
            assert_never(loop)
    for p in loop.partial:
        into = outside[p.assignment.name]
        assert isinstance(into, InPlace)
        end_partial(w, p, into)
    for begun in loop.begun:
        _end(w, begun)


def vector_loop(w: Writer, loop: VectorLoop, count: str = "") -> None:
    """Write a vectorised loop, over ``count`` elements (default: the length of its axis)."""
    computed = equations(w.context, [step.assignment for step in loop.body])
    span = span_of(w, loop)
    w.emit(_simd(w, loop), computed, f"{w.head(loop.axis, count, span)} {{")
    with w.inside(*loop.defines):
        if loop.slide:
            give_position(w, loop.slide)
        w.scope = replace(w.scope, vector=loop.axis)
        nodes(w, loop.body)
    w.emit("}")


def _simd(w: Writer, loop: VectorLoop) -> str:
    clauses: dict[str, list[str]] = {}
    for step in loop.body:
        into = w.scope.sums.get(step.assignment.name)
        if isinstance(step, Accumulate) and isinstance(into, Held):
            names = clauses.setdefault(FOLDS[step.fold].clause, [])
            names += [into.name, *([into.rest] if into.rest else [])]
            if into.is_nan:
                clauses.setdefault("|", []).append(into.is_nan)
    return "#pragma omp simd" + "".join(f" reduction({sign} : {', '.join(names)})" for sign, names in clauses.items())


# ---- reductions ------------------------------------------------------------------------------------------------------


def _begin(w: Writer, begun: Begun) -> None:
    f = begun.assignment
    match begun:
        case InMemory(_, fold, axes):
            lead = inside(w.context, f.name, f.index)[:-1]
            if lead and w.scope.known(lead):
                point(w, f.name, lead)
            at = element(w, f.name, f.index)
            w.emit(*map(w.head, axes), f"{at} = {FOLDS[fold].start};")
            w.scope = w.scope.with_sum(f.name, InPlace(at))
        case InVariable(_, fold):
            variable = local(w, f)
            _begin_variable(w, f, fold, w.names.of(f"{variable}_sum", "sum", variable) if fold is Fold.MEAN else variable)
        case _:
            assert_never(begun)


def _begin_variable(w: Writer, f: Assignment, fold: Fold, name: str) -> None:
    w.emit(f"real {name} = {FOLDS[fold].start};")
    rest = is_nan = ""
    if fold.adds and w.context.plan.program.accurate:
        rest = w.names.of(f"{name}_rest", "rest", name)
        w.emit(f"real {rest} = 0;")
    if fold.compares:
        is_nan = w.names.of(f"{name}_is_nan", "is_nan", name)
        w.emit(f"int {is_nan} = 0;")
    w.scope = w.scope.with_sum(f.name, Held(name, rest, is_nan))


def _end_variable(w: Writer, f: Assignment) -> str:
    """Combine an accumulating variable with the variables for lost digits or NaN beside it; returns its name."""
    held = w.scope.sums[f.name]
    assert isinstance(held, Held)
    if held.is_nan:
        w.emit(f"if ({held.is_nan}) {held.name} = NAN;")
    if rest := held.rest:
        w.emit(f"{held.name} += {rest} == {rest} ? {rest} : 0; /* beside an infinite sum it is no number */")
    return held.name


def _end(w: Writer, begun: Begun) -> None:
    f = begun.assignment
    match begun:
        case InMemory(_, fold, axes):
            if fold is Fold.MEAN:
                w.emit(*map(w.head, axes), f"{element(w, f.name, f.index)} /= (real){w.factor(f.reduced)};")
        case InVariable(_, fold):
            into, variable = _end_variable(w, f), local(w, f)
            if fold is Fold.MEAN:
                w.emit(f"const real {variable} = {into} / (real){w.factor(f.reduced)};")
            w.hold(f.name, f.index, variable)
            if in_memory(w.context, f.name):
                w.emit(f"{element(w, f.name, f.index)} = {variable};")
        case _:
            assert_never(begun)
    w.scope = w.scope.without_sum(f.name)


def begin_partial(w: Writer, p: PartialSum) -> None:
    """Declare the variable that accumulates a partial sum."""
    _begin_variable(w, p.assignment, p.fold, w.names.part(p.assignment.name, "partial"))


def end_partial(w: Writer, p: PartialSum, into: InPlace) -> None:
    """Add a partial sum to the reduction that it is a part of."""
    combine(w, p.fold, into.element, _end_variable(w, p.assignment))
    w.scope = w.scope.with_sum(p.assignment.name, into)
