"""Integer tensors: which values they may hold, where labels are looked up, and which constants are whole numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from random import Random

from derive import syntax as st
from derive.syntax import on_indices

__all__ = ["VALUES", "Guard", "guard_of", "label_values", "whole_constants", "whole_number"]

#: Conditions on indices of which one at least must hold where a label is looked up, each as the conditions that hold
#: together; () where the label is looked up everywhere.
Guard = tuple[tuple[st.Compare, ...], ...]
#: The number of values that an integer tensor holds at a random point if it indexes no axis, and of a whole constant.
VALUES = 3
_NOT = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


@lru_cache(maxsize=256)
def whole_constants(op: st.Op) -> frozenset[str]:
    """The constants that stand among positions or in declared lengths, and are therefore whole numbers."""
    rows = [n for e in op.equations for n in st.walk(e.rhs) if on_indices(n)]
    return op.declared.constants() | {n.name for row in rows for n in st.walk(row) if isinstance(n, st.Read)}


def whole_number(constant: st.Constant, rng: Random | None) -> int:
    """A value of a constant that is a whole number: its default, or a random one of the default's sign."""
    if constant.default is not None and rng is None:
        return int(Fraction(constant.default))
    found = 1 + (rng.randrange(VALUES) if rng else 1)
    return -found if constant.default is not None and Fraction(constant.default) < 0 else found


# ---- values -----------------------------------------------------------------------------------------------------------------


def label_values(op: st.Op, t: st.Tensor, sizes: Mapping[str, int], constants: Mapping[str, int]) -> Sequence[int]:
    """The values to draw an integer tensor from; labels that are ignored somewhere also have the value that marks these."""
    axis = t.indexed
    own = range(sizes[axis]) if axis else range(2 if t.labels == st.TRUTH else VALUES)
    if t.labels == st.TRUTH or (axis and not guard_of(op, t.name)):
        return own
    return [*own, *sorted({v for v in _compared(op, t.name, constants) if v not in own})]


def _compared(op: st.Op, name: str, constants: Mapping[str, int]) -> Iterator[int]:
    """The numbers with which elements of an integer tensor are compared."""
    for row in (n for e in op.equations for n in st.walk(e.rhs) if isinstance(n, st.Compare) and on_indices(n)):
        for one, other in ((row.left, row.right), (row.right, row.left)):
            if isinstance(one, st.Position) and isinstance(one.index, st.Lookup) and one.index.name == name:
                match other:
                    case st.Num(value):
                        yield int(value)
                    case st.Neg(st.Num(value)):
                        yield -int(value)
                    case st.Read(constant):
                        yield constants[constant]


# ---- where labels are looked up ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def guard_of(op: st.Op, name: str) -> Guard:
    """Where the labels ``name`` are looked up, by conditions on integer tensors of their axes: ``t[n] != ignore``.

    The conditions are about the axes of the tensor ``name``. () where the labels are looked up whatever these say.
    """
    axes = op.tensor(name).axes
    found: dict[tuple[st.Compare, ...], None] = {}
    for e in op.equations:
        for lookup, path in _lookups(e.rhs, ()):
            if lookup.name != name:
                continue
            rows = [_about(c, lookup.index, axes) for c in path]
            kept = tuple(r for r in rows if r is not None)
            if not kept:
                return ()
            found[kept] = None
    return tuple(found)


def _lookups(tree: st.Tree, path: tuple[st.Compare, ...]) -> Iterator[tuple[st.Lookup, tuple[st.Compare, ...]]]:
    """Every lookup by which an element of a tensor is read, with the conditions on indices under which it is read."""
    if isinstance(tree, st.Call) and tree.head == "where" and on_indices(tree.args[0]):
        c, yes, no = tree.args
        assert isinstance(c, st.Compare)
        yield from _lookups(yes, (*path, c))
        yield from _lookups(no, (*path, st.Compare(_NOT[c.rel], c.left, c.right)))
        return
    slots = tree.index if isinstance(tree, st.Read) else ()
    if isinstance(tree, st.Position) and isinstance(tree.index, st.Lookup):
        slots = tree.index.index
    for slot in slots:
        yield from ((found, path) for found in _nested(slot))
    for child in st.children(tree):
        yield from _lookups(child, path)


def _nested(index: st.Index) -> Iterator[st.Lookup]:
    if isinstance(index, st.Lookup):
        yield index
        for part in index.index:
            yield from _nested(part)


def _about(c: st.Compare, index: tuple[st.Index, ...], axes: tuple[str, ...]) -> st.Compare | None:
    """A condition in the names of ``axes``, if it is about nothing but integer tensors read at ``index``; else None."""
    own = [n.index for n in st.walk(c) if isinstance(n, st.Position)]
    if not all(isinstance(i, st.Lookup) and i.index == index for i in own) or not all(isinstance(i, str) for i in index):
        return None
    to: dict[str, st.Index] = {str(i): a for i, a in zip(index, axes, strict=True)}
    found = st.rename(c, to)
    assert isinstance(found, st.Compare)
    return found if len(to) == len(axes) else None
