"""Sums of exponentials that are at least 1, for the largest of them is ``exp(0)``: their inverse is a number whatever they sum.

Of any other value the inverse may be infinite where the value itself is not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codegen.loops.assignment import Assignment, Elementwise, Fold, fold_of
from derive import syntax as st


def shifted_sums(assignments: Iterable[Assignment]) -> frozenset[str]:
    """The names of the sums of ``exp(z - max(z))`` over all entries of the maximum."""
    made = {f.name: f for f in assignments if not (f.updates or f.opaque)}
    return frozenset(f.name for f in made.values() if fold_of(f) is Fold.SUM and _is_shifted(f, made))


def _is_shifted(f: Assignment, made: Mapping[str, Assignment]) -> bool:
    match _meaning(f.body, made):
        case st.Call("exp", (st.Add((z, st.Neg(shift))),)):
            match _meaning(shift, made):
                case st.Call("finite", (shift,)):
                    shift = _meaning(shift, made)
            of = made.get(shift.name) if isinstance(shift, st.Read) else None
            return of is not None and fold_of(of) is Fold.MAX and of.reduced == f.reduced and of.body == z
    return False


def _meaning(tree: st.Tree, made: Mapping[str, Assignment]) -> st.Tree:
    """What a read of an elementwise value at its own index stands for."""
    while isinstance(tree, st.Read) and tree.name in made:
        of = made[tree.name]
        if not isinstance(of.kind, Elementwise) or of.index != tree.index:
            break
        tree = of.body
    return tree
