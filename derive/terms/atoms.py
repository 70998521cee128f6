"""Atoms (the factors of flat terms), the indices in atoms, and a total order of atoms and of indices.

Atoms are named tuples, because hashing and comparing atoms takes most of the engine's time. Tuples of two classes with equal
fields would be equal, so each class has a ``tag`` as its last field. Callers never pass a tag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeVar

from derive.functions.words import COMPARISONS, ORDERS
from derive.terms.forms import Form
from derive.terms.indices import (
    Hole,
    Index,
    LeafOrder,
    Lookup,
    Order,
    axis_of,
    fresh,
    index_order,
    leaf_order,
    leaves,
    lookup_names,
    map_index,
)

__all__ = [
    "Argument",
    "Atom",
    "Condition",
    "Delta",
    "Exponent",
    "Extremum",
    "Form",
    "Function",
    "Hole",
    "Index",
    "Irrational",
    "LeafOrder",
    "Lookup",
    "Order",
    "Read",
    "Size",
    "atom_indices",
    "atom_order",
    "atom_reads",
    "axis_of",
    "connected",
    "delta",
    "either",
    "factor_order",
    "fresh",
    "index_order",
    "leaf_order",
    "leaves",
    "map_atom",
    "map_index",
    "negated",
    "order_by",
    "rename",
    "renamed",
    "row",
    "slots",
]

Exponent = int | Fraction


class Read(NamedTuple):
    """One element of a tensor; a scalar has no index."""

    name: str
    index: tuple[Index, ...] = ()  # type: ignore[assignment]  # as in Lookup
    tag: str = "read"


class Size(NamedTuple):
    """The length of an axis."""

    axis: str
    tag: str = "size"


class Irrational(NamedTuple):
    """The base of an irrational power: ``pi``, or an integer that stands under a fractional exponent (2 ** (1/2))."""

    name: str
    tag: str = "irrational"


class Delta(NamedTuple):
    """1 where two indices are equal, else 0."""

    left: Index
    right: Index
    tag: str = "delta"


class Condition(NamedTuple):
    """The indicator ``[left rel right]``, or ``1 - [left rel right]`` unless ``holds``; both sides are plain arguments.

    A comparison with NaN is false. So ``a <= 0`` that does not hold is not ``a > 0``: NaN belongs to the first only.
    A condition on indices compares a form with 0, and is made by :func:`row`.
    """

    rel: str
    left: Side
    right: Side
    holds: bool = True
    tag: str = "condition"

    @property
    def form(self) -> Form | None:
        """The form that a condition on indices compares with 0; None for a condition on values."""
        return self.left if isinstance(self.left, Form) else None

    @property
    def sides(self) -> tuple[Argument, Argument]:
        """Both sides of a condition on values."""
        assert not isinstance(self.left, Form) and not isinstance(self.right, Form)
        return self.left, self.right

    @property
    def orders(self) -> frozenset[str]:
        """The possible orders of the two sides (less, equal, greater, unordered) where the condition is 1."""
        return COMPARISONS[self.rel] if self.holds else ORDERS - COMPARISONS[self.rel]


class Function(NamedTuple):
    """An elementwise function of plain arguments."""

    head: str
    args: tuple[Argument, ...]
    tag: str = "function"


class Extremum(NamedTuple):
    """The largest or smallest element of a tensor, its place, or the product of all, over the axes of holes (:class:`Hole`).

    Only elements at which all conditions ``where`` hold take part; these are conditions on indices, with the same holes.
    """

    head: str
    of: Read
    where: tuple[Condition, ...] = ()
    tag: str = "extremum"


Argument = Read | Fraction
#: A side of a condition.
Side = Argument | Form
Atom = Read | Size | Irrational | Delta | Condition | Function | Extremum


# ---- indices ------------------------------------------------------------------------------------------------------------


def map_atom(atom: Atom, to: Callable[[str | int], Index]) -> Atom:
    """The atom with ``to`` applied to every name and number in its indices."""
    if isinstance(atom, Read):
        return Read(atom.name, tuple(map_index(i, to) for i in atom.index))
    if isinstance(atom, Delta):
        return delta(map_index(atom.left, to), map_index(atom.right, to))
    if isinstance(atom, (Size, Irrational)):
        return atom
    if isinstance(atom, Function):
        return Function(atom.head, tuple(_map_argument(a, to) for a in atom.args))
    if isinstance(atom, Condition):
        if atom.form is not None:
            return row(atom.rel, atom.form.mapped(to))
        left, right = (_map_argument(a, to) for a in atom.sides)
        return atom._replace(left=left, right=right)
    of = map_atom(atom.of, to)
    assert isinstance(of, Read)
    where = [map_atom(c, to) for c in atom.where]
    return Extremum(atom.head, of, tuple(c for c in where if isinstance(c, Condition)))


def _map_argument(argument: Argument, to: Callable[[str | int], Index]) -> Argument:
    if isinstance(argument, Fraction):
        return argument
    return Read(argument.name, tuple(map_index(i, to) for i in argument.index))


def delta(left: Index, right: Index) -> Delta:
    """``[left = right]``, which is the same atom as ``[right = left]``."""
    return Delta(left, right) if index_order(left) <= index_order(right) else Delta(right, left)


def row(rel: str, form: Form) -> Condition:
    """``[form rel 0]`` in canonical form. Integers have no NaN: with ``<=``, ``==`` and ``!=`` all comparisons are said.

    ``f < 0`` is ``f + 1 <= 0``. Of ``f == 0`` and ``-f == 0`` that one stands whose first part has a positive coefficient.
    """
    if rel in (">", ">="):
        form, rel = form.scaled(-1), {">": "<", ">=": "<="}[rel]
    if rel == "<":
        form, rel = form.plus(1), "<="
    return Condition(rel, form.reduced(rel == "<="), Fraction(0))


def negated(condition: Condition) -> Condition:
    """``1 - c``."""
    if isinstance(condition.left, Form) and condition.rel == "<=":
        return row(">", condition.left)
    other = {"==": "!=", "!=": "=="}.get(condition.rel)
    return condition._replace(rel=other) if other else condition._replace(holds=not condition.holds)


def either(one: Condition, other: Condition) -> Condition | None:
    """The condition that holds where one of two that exclude each other does; None if they do not, or if it always holds.

    Both are about the same two sides, in any order. The result has the sides in the order of ``other``.
    """
    orders = one.orders
    if (one.right, one.left) == (other.left, other.right):
        orders = frozenset({"<": ">", ">": "<"}.get(order, order) for order in orders)
    elif (one.left, one.right) != (other.left, other.right):
        return None
    if orders & other.orders:
        return None
    known = [other._replace(rel=rel, holds=True) for rel in COMPARISONS]
    return next((c for c in [*known, *map(negated, known)] if c.orders == orders | other.orders), None)


def slots(atom: Atom) -> Iterator[Index]:
    """The indices of the atom, each lookup and each hole as a single index."""
    if isinstance(atom, Read):
        yield from atom.index
    elif isinstance(atom, Delta):
        yield atom.left
        yield atom.right
    elif isinstance(atom, Function):
        for a in atom.args:
            if isinstance(a, Read):
                yield from a.index
    elif isinstance(atom, Condition):
        for side in (atom.left, atom.right):
            if isinstance(side, Read):
                yield from side.index
            elif isinstance(side, Form):
                yield from side.indices()
    elif isinstance(atom, Extremum):
        yield from atom.of.index
        for c in atom.where:
            yield from slots(c)


@lru_cache(maxsize=200_000)
def atom_indices(atom: Atom) -> frozenset[str | int]:
    """The names and numbers of the atom's indices, also inside lookups."""
    return frozenset(leaf for slot in slots(atom) for leaf in leaves(slot))


def atom_reads(atom: Atom) -> Iterator[str]:
    """The name of every tensor that an atom reads, also inside lookups."""
    if isinstance(atom, Read):
        yield atom.name
    elif isinstance(atom, Function):
        yield from (a.name for a in atom.args if isinstance(a, Read))
    elif isinstance(atom, Condition):
        for side in (atom.left, atom.right):
            if isinstance(side, Form):
                yield from side.constants()
            elif isinstance(side, Read):
                yield side.name
    elif isinstance(atom, Extremum):
        yield atom.of.name
        for c in atom.where:
            yield from (name for name in atom_reads(c))
    for slot in slots(atom):
        yield from lookup_names(slot)


# ---- order --------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=200_000)
def atom_order(atom: Atom) -> Order:
    return order_by(atom, leaf_order)


def order_by(atom: Atom, leaf: LeafOrder) -> Order:
    """The sort key of an atom, where ``leaf`` gives those of the names and numbers in its indices."""
    if isinstance(atom, Read):
        return ("read", atom.name, *(p for i in atom.index for p in index_order(i, leaf)))
    if isinstance(atom, (Size, Irrational)):
        return (atom.tag, atom[0])
    if isinstance(atom, Delta):
        sides = sorted((index_order(atom.left, leaf), index_order(atom.right, leaf)))
        return ("delta", *sides[0], *sides[1])
    if isinstance(atom, Function):
        return ("function", atom.head, *(p for a in atom.args for p in _argument_order(a, leaf)))
    if isinstance(atom, Condition):
        if isinstance(atom.left, Form):  # an equality has no order of its sides, whatever names the colours stand for
            forms = [atom.left] if atom.rel == "<=" else [atom.left, atom.left.scaled(-1)]
            return ("condition", "row", atom.rel, *min(f.order(leaf) for f in forms))
        one, other = (_argument_order(a, leaf) for a in atom.sides)
        return ("condition", atom.rel, atom.holds, *one, *other)
    rows = sorted(order_by(c, leaf) for c in atom.where)
    return ("extremum", atom.head, *order_by(atom.of, leaf), *(part for r in rows for part in r))


def _argument_order(argument: Argument, leaf: LeafOrder) -> Order:
    return (str(argument),) if isinstance(argument, Fraction) else order_by(argument, leaf)


def factor_order(factor: tuple[Atom, Exponent]) -> Order:
    return (atom_order(factor[0]), factor[1])


def rename(atom: Atom, to: Mapping[str | int, Index]) -> Atom:
    if type(atom) is Read:
        index = [to.get(i, i) if type(i) is str or type(i) is int else map_index(i, lambda j: to.get(j, j)) for i in atom.index]
        return Read(atom.name, tuple(index))
    return map_atom(atom, lambda i: to.get(i, i))


def renamed(factors: Mapping[Atom, Exponent], to: Mapping[str | int, Index]) -> dict[Atom, Exponent]:
    """The product with its indices renamed. ``to`` must be one to one, so that no two factors become equal."""
    return {rename(a, to): e for a, e in factors.items()}


_Leaf = TypeVar("_Leaf", str, int)


def connected(factors: Iterable[Atom], names: Iterable[_Leaf]) -> list[set[_Leaf]]:
    """The connected components of the names, where a factor connects all names among its indices."""
    groups: list[set[_Leaf]] = [{n} for n in names]
    for atom in factors:
        touched = [g for g in groups if g & atom_indices(atom)]
        if len(touched) > 1:
            groups = [g for g in groups if g not in touched] + [set().union(*touched)]
    return groups
