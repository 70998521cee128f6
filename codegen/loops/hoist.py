"""Hoist loop-invariant parts that have the inner axis: they are computed once into a row, not again in every row.

In a loop over ``n`` and ``d``, ``gamma[d]*rstd[d]`` does not depend on ``n``. A part without the inner axis is not hoisted
here: it becomes a variable outside the inner loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from codegen.loops.assignment import Assignment, Elementwise
from codegen.loops.cost import operations
from derive import syntax as st
from derive.renaming import fresh_name
from derive.syntax import on_indices


def hoist(assignments: tuple[Assignment, ...], taken: Iterable[str] = ()) -> tuple[Assignment, ...]:
    """The statements, with each invariant part read from a statement before them, under a name that is not taken."""
    out: list[Assignment] = []
    known: dict[st.Tree, str] = {}
    taken = set(taken) | {f.name for f in assignments}
    for f in assignments:
        if len(f.loops) < 2 or f.opaque or f.updates:
            out.append(f)
            continue

        def lift(part: st.Tree, f: Assignment = f) -> st.Tree:
            index = tuple(i for i in f.loops if i in st.free_indices(part))
            if part not in known:
                known[part] = _fresh(part, taken)
                out.append(Assignment(known[part], index, Elementwise(), part, False, index, f.equation, kept=True))
            return st.Read(known[part], index)

        body = _hoisted(f.body, f.loops, lift)
        out.append(replace(f, body=body))
    return tuple(out)


def _hoisted(tree: st.Tree, loops: tuple[str, ...], lift: Callable[[st.Tree], st.Tree]) -> st.Tree:
    if on_indices(tree):  # whole numbers are no values to keep
        return tree
    if isinstance(tree, st.Neg):
        return st.Neg(_hoisted(tree.arg, loops, lift))
    if _invariant(tree, loops) and not isinstance(tree, st.Compare | st.Match):  # conditions have no number to keep
        return lift(tree) if operations(tree) else tree
    if isinstance(tree, st.Mul | st.Add):
        rows = [a for a in tree.args if _invariant(a, loops) or not st.free_indices(a)]
        part = type(tree)(tuple(rows)) if len(rows) > 1 else None
        if part is not None and _invariant(part, loops):
            rest = tuple(_hoisted(a, loops, lift) for a in tree.args if a not in rows)
            return type(tree)((lift(part), *rest))
    return st.rebuild(tree, lambda child: _hoisted(child, loops, lift))


def _invariant(tree: st.Tree, loops: tuple[str, ...]) -> bool:
    """Whether a part has the inner axis but not all the outer ones."""
    free = set(st.free_indices(tree))
    return loops[-1] in free and free < set(loops)


def _fresh(tree: st.Tree, taken: set[str]) -> str:
    """A name for a part: ``gamma_rstd`` for ``gamma*rstd``, a suffix for a single name, ``indicator`` for compared indices."""
    names = list(dict.fromkeys(st.reads(tree)))[:3]
    base = "_".join(names) if len(names) > 1 else f"{names[0]}_scaled" if names else "indicator"
    return fresh_name(base, taken)
