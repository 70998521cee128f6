"""Products of named factors, and what they settle to: deltas collapse, conditions merge, powers of integers are numbers."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TypeVar

from derive.terms.atoms import Atom, Condition, Delta, Exponent, Form, Index, Irrational, leaves, rename
from derive.terms.rows import decided, excluded, implied

__all__ = ["collapsed", "numbers_out", "settle", "substitute", "times", "whole"]


def whole(e: Exponent) -> Exponent:
    """The exponent, as an ``int`` where it is whole."""
    return int(e) if e.denominator == 1 else e


_Key = TypeVar("_Key")


def times(factors: dict[_Key, Exponent], atom: _Key, exponent: Exponent = 1) -> None:
    """Multiply a product in place by ``atom**exponent``."""
    e = whole(factors.get(atom, 0) + exponent)
    if e:
        factors[atom] = e
    else:
        factors.pop(atom, None)


def substitute(factors: dict[Atom, Exponent], to: Mapping[str, Index]) -> dict[Atom, Exponent]:
    """The product with all named indices replaced simultaneously. Factors that become equal are collected."""
    out: dict[Atom, Exponent] = {}
    for atom, e in factors.items():
        times(out, rename(atom, to), e)  # type: ignore[arg-type]  # its keys are names only
    return out


def collapsed(factors: dict[Atom, Exponent], names: list[str]) -> tuple[dict[Atom, Exponent], list[str]]:
    """``sum_k delta(k, j) f(k) = f(j)``, until no delta determines a bound index."""
    while (found := _determined(factors, names)) is not None:
        atom, pair = found
        factors = {a: e for a, e in factors.items() if a is not atom}
        if pair is not None:
            names = [n for n in names if n != pair[0]]
            factors = substitute(factors, {pair[0]: pair[1]})
    return factors, names


def _determined(factors: dict[Atom, Exponent], names: list[str]) -> tuple[Delta, tuple[str, Index] | None] | None:
    """A delta that can collapse, with the bound index that it determines and that index's value.

    The pair is None where both sides of the delta are the same. The result is None where no delta can collapse.
    """
    for atom in factors:
        if isinstance(atom, Delta):
            if atom.left == atom.right:
                return atom, None
            for index, other in ((atom.left, atom.right), (atom.right, atom.left)):
                # [k = t[k]] does not determine k.
                if isinstance(index, str) and index in names and index not in set(leaves(other)):
                    return atom, (index, other)
    return None


def settle(factors: dict[Atom, Exponent]) -> bool:
    """Apply ``[c]**2 = [c]`` and ``[a <= a] = 1`` in place. False where the product is 0: ``[c][not c]``, ``[a < a]``.

    A condition on indices goes where another one implies it: ``[j < i][j <= i]`` is ``[j < i]``.
    """
    for atom in list(factors):
        if isinstance(atom, (Delta, Condition)):
            factors[atom] = 1
        if isinstance(atom, Condition):
            if any(_exclude(atom, other) for other in factors):
                return False
            if isinstance(atom.left, Form):
                if decided(atom) is False:
                    return False
                if decided(atom) or any(other is not atom and implied(atom, other) for other in factors):
                    del factors[atom]
            elif atom.left == atom.right:
                if "=" not in atom.orders:
                    return False
                del factors[atom]
    return True


def _exclude(a: Condition, b: Atom) -> bool:
    if isinstance(a.left, Form):
        return excluded(a, b)
    return isinstance(b, Condition) and (a.left, a.right) == (b.left, b.right) and not a.orders & b.orders


def numbers_out(factors: dict[Atom, Exponent]) -> Fraction:
    """Take whole powers of integers out of the factors, and return their product: ``2**(3/2)`` is ``2 * 2**(1/2)``."""
    coefficient = Fraction(1)
    for atom in list(factors):
        if isinstance(atom, Irrational) and atom.name.isdigit():
            e = Fraction(factors.pop(atom))
            whole = e.numerator // e.denominator
            coefficient *= Fraction(int(atom.name)) ** whole
            if e != whole:
                factors[atom] = e - whole
    return coefficient
