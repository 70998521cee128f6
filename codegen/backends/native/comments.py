"""The comments over loops: the equations that they compute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from codegen.backends.native.context import Context
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
from codegen.recognise.rows import under
from derive import syntax as st
from derive.language.unicode import language


def equations(c: Context, assignments: Iterable[Assignment]) -> str:
    """A comment with what the statements compute."""
    updated = {f.name for f in c.plan.assignments if f.updates}
    shown = dict.fromkeys(f"{_named(f)} = {_described(f, f.name in updated)}" for f in assignments)
    return f"/* {'; '.join(shown)} */"


def _terms(f: Assignment, over: tuple[str, ...], kind: str = "sum") -> st.Tree:
    """The terms of a reduction, with the conditions on its own indices that bound its loops."""
    return under([row for row in f.rows if row.indices & set(over)], f.body, kind)


def _named(f: Assignment) -> str:
    return f"{f.name}[{', '.join(map(st.numbered, f.index))}]" if f.index else f.name


def _described(f: Assignment, whole: bool) -> str:
    """The right side in the ops' language. If the statement is only a part of its equation, the equation's right side."""
    if whole:
        return language(f.equation.tree)
    match f.kind:
        case RunningSum(along, falling, fold, strict):
            other = st.fresh_index(along, {*f.index, *st.free_indices(f.body)})
            late, early = (other, along) if falling else (along, other)
            row = st.Compare("<" if strict else "<=", st.Position(early), st.Position(late))
            terms = st.Call("where", (row, st.rename(f.body, {along: other}), st.NEUTRAL[fold.value]))
            return language(st.Reduce(fold.value, (other,), terms))
        case ScatterAdd():
            return language(f.equation.tree)
        case MatrixProduct(over=over) | WindowProduct(over=over):
            return language(st.Reduce("sum", over, _terms(f, over)))
        case Reduction(fold, over):
            return language(st.Reduce(fold.value, over, _terms(f, over, fold.value)))
        case Elementwise() | EntryUpdate():
            return language(f.body)
    assert_never(f.kind)
