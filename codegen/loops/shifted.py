"""Sums of stabilised exponentials, whose largest term is ``exp(0)``: they are at least 1, so their inverse is finite.

The inverse of any other nonzero value may be infinite, if the value is subnormal.
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
            largest = of is not None and fold_of(of) is Fold.MAX and of.body == z
            return largest and of is not None and of.reduced == f.reduced and set(of.rows) == set(f.rows)
    return False


def _meaning(tree: st.Tree, made: Mapping[str, Assignment]) -> st.Tree:
    """The expression that a read of an elementwise value, at the value's own index, stands for; else the tree itself."""
    while isinstance(tree, st.Read) and tree.name in made:
        of = made[tree.name]
        if not isinstance(of.kind, Elementwise) or of.index != tree.index:
            break
        tree = of.body
    return tree
