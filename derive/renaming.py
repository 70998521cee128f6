"""An op, and the parts that ops and kernels have in common, with some names spelled otherwise.

A spelling maps names of tensors, constants and axes to new ones; other names stay. An op's text stays the author's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from derive import syntax as st
from derive.declared import Declared
from derive.packing import Packing

__all__ = [
    "Spelling",
    "fresh_name",
    "renamed",
    "renamed_carry",
    "renamed_index",
    "renamed_row",
    "renamed_tensor",
    "renamed_tree",
]

Spelling = Mapping[str, str]


def fresh_name(wanted: str, taken: set[str]) -> str:
    """A name that is not ``taken``, and is from now on: ``wanted``, with a number if that is taken."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}{count}"
    taken.add(name)
    return name


def renamed(op: st.Op, to: Spelling) -> st.Op:
    """The op in other names."""
    if not to:
        return op
    return replace(
        op,
        inputs=tuple(renamed_tensor(t, to) for t in op.inputs),
        outputs=tuple(renamed_tensor(t, to) for t in op.outputs),
        constants=tuple(replace(c, name=to.get(c.name, c.name)) for c in op.constants),
        equations=tuple(
            st.Equation(to.get(e.name, e.name), renamed_index(e.index, to), renamed_tree(e.rhs, to), e.line)
            for e in op.equations
        ),
        assumptions=tuple(renamed_row(a, to) for a in op.assumptions),
        stars=frozenset(to.get(a, a) for a in op.stars),
        sizes=tuple((to.get(a, a), n) for a, n in op.sizes),
        packing=_packing(op.packing, to),
        declared=Declared(tuple((to.get(a, a), renamed_tree(tree, to)) for a, tree in op.declared.lengths)),
        carries=tuple(renamed_carry(c, to) for c in op.carries),
        held=frozenset(to.get(n, n) for n in op.held),
        positions=tuple(renamed_tensor(t, to) for t in op.positions),
    )


def renamed_carry(c: st.Carry, to: Spelling) -> st.Carry:
    name, of, after, both, first = (to.get(n, n) for n in (c.name, c.of, c.next, c.step, c.first))
    return st.Carry(name, of, after, both, renamed_index(c.axes, to), to.get(c.axis, c.axis), c.down, first)


def renamed_tensor(t: st.Tensor, to: Spelling) -> st.Tensor:
    return st.Tensor(
        to.get(t.name, t.name), renamed_index(t.axes, to), t.labels if t.indexed is None else to.get(t.indexed, t.indexed)
    )


def renamed_index(index: Iterable[str], to: Spelling) -> tuple[str, ...]:
    """Indices with their primes."""
    return tuple(to.get(axis := st.axis_of(i), axis) + i[len(axis) :] for i in index)


def renamed_tree(tree: st.Tree, to: Spelling) -> st.Tree:
    match tree:
        case st.Read(name, index):
            return st.Read(to.get(name, name), tuple(_slot(i, to) for i in index))
        case st.Match(left, right, equal):
            return st.Match(_slot(left, to), _slot(right, to), equal)
        case st.Position(slot):
            return st.Position(_slot(slot, to))
        case st.Size(axis):
            return st.Size(to.get(axis, axis))
        case st.Reduce(kind, index, body):
            return st.Reduce(kind, renamed_index(index, to), renamed_tree(body, to))
    return st.rebuild(tree, lambda child: renamed_tree(child, to))


def _slot(index: st.Index, to: Spelling) -> st.Index:
    if isinstance(index, str):
        return renamed_index((index,), to)[0]
    return st.Lookup(to.get(index.name, index.name), tuple(_slot(i, to) for i in index.index))


def renamed_row(comparison: st.Compare, to: Spelling) -> st.Compare:
    return st.Compare(comparison.rel, renamed_tree(comparison.left, to), renamed_tree(comparison.right, to))


def _packing(packing: Packing, to: Spelling) -> Packing:
    tensors = tuple((to.get(n, n), tuple(renamed_index(slot, to) for slot in slots)) for n, slots in packing.tensors)
    return Packing(tensors, tuple((to.get(a, a), to.get(v, v) if isinstance(v, str) else v) for a, v in packing.lengths))
