"""Expressions without the names of their tensors: the same for expressions that differ in these names alone.

The layers of a deep network have equal equations but for names. What depends on the structure of an expression, and on
nothing but the order of its names, is worked out once for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from derive.terms.sums import Argument, Atom, Condition, Extremum, Function, Mono, Read, Sum

__all__ = ["names_of", "place", "unnamed"]


def unnamed(expr: Sum, apart: str = "") -> Sum:
    """The expression with a place in the place of every tensor's name: places have the order of the names.

    ``apart`` is a word with which names are compared too. Names that begin with it stay as they are, and so do the names in
    lookups and in conditions on indices. The result is a key, and no expression in canonical form.
    """
    names = names_of(expr)
    if apart and any(name.startswith(apart) for name in names):
        return expr
    to = {name: place(k, "A" if name < apart else "a") for k, name in enumerate(names)}
    return Sum({Mono(tuple((_renamed(a, to), e) for a, e in m.factors), m.bound): c for m, c in expr.terms.items()})


def names_of(expr: Sum) -> list[str]:
    """The names in whose place :func:`unnamed` puts places, in the order of the places."""
    return sorted({name for mono in expr.terms for atom, _ in mono.factors for name in _names(atom)})


def place(number: int, stem: str = "a") -> str:
    """What stands in the place of the name of this number. No tensor has such a name."""
    return f"{stem}.{number:04}"


def _names(atom: Atom) -> list[str]:
    """The names of the tensors whose values an atom reads."""
    match atom:
        case Read():
            return [atom.name]
        case Function():
            return [a.name for a in atom.args if isinstance(a, Read)]
        case Condition():
            return [side.name for side in (atom.left, atom.right) if isinstance(side, Read)]
        case Extremum():
            return [atom.of.name]
    return []


def _renamed(atom: Atom, to: Mapping[str, str]) -> Atom:
    match atom:
        case Read():
            return Read(to[atom.name], atom.index)
        case Function():
            return Function(atom.head, tuple(_argument(a, to) for a in atom.args))
        case Condition() if atom.form is None:
            left, right = (_argument(side, to) for side in atom.sides)
            return atom._replace(left=left, right=right)
        case Extremum():
            return atom._replace(of=Read(to[atom.of.name], atom.of.index))
    return atom


def _argument(argument: Argument, to: Mapping[str, str]) -> Argument:
    return argument if isinstance(argument, Fraction) else Read(to[argument.name], argument.index)
