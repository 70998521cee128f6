"""Sums of exponentials that are at least 1, for the largest of them is ``exp(0)``: their inverse is a number whatever they sum.

Of any other value the inverse may be infinite where the value itself is not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codegen.backends.native.flat import Flat
from derive import syntax as st


def shifted_sums(flats: Iterable[Flat]) -> frozenset[str]:
    """The names of the sums of ``exp(z - max(z))`` over all entries of the maximum."""
    made = {f.name: f for f in flats if f.kind not in ("point", "scatter", "product")}
    return frozenset(f.name for f in made.values() if f.kind == "sum" and _is_shifted(f, made))


def _is_shifted(f: Flat, made: Mapping[str, Flat]) -> bool:
    match _meaning(f.body, made):
        case st.Call("exp", (st.Add((z, st.Neg(shift))),)):
            match _meaning(shift, made):
                case st.Call("finite", (shift,)):
                    shift = _meaning(shift, made)
            of = made.get(shift.name) if isinstance(shift, st.Read) else None
            return of is not None and of.kind == "max" and of.reduced == f.reduced and of.body == z
    return False


def _meaning(tree: st.Tree, made: Mapping[str, Flat]) -> st.Tree:
    """What a read of an elementwise value at its own index stands for."""
    while isinstance(tree, st.Read) and tree.name in made:
        of = made[tree.name]
        if of.kind != "map" or of.index != tree.index:
            break
        tree = of.body
    return tree
