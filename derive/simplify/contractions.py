"""Which sums are contractions, whose cost exceeds that of elementwise work by the length of an axis."""

from __future__ import annotations

from functools import lru_cache

from derive.terms.sums import Mono, Read, Sum, atom_indices, open_mono

__all__ = ["contraction", "contracts", "in_contraction"]


def contraction(body: Sum) -> bool:
    """Whether an expression has a contraction: a sum of a product in which no factor has all of its indices."""
    return any(contracts(mono) for mono in body.terms)


def in_contraction(body: Sum, name: str) -> bool:
    """Whether the name is read inside a contraction."""
    return any(contracts(mono) and any(isinstance(a, Read) and a.name == name for a, _ in mono.factors) for mono in body.terms)


@lru_cache(maxsize=1 << 14)
def contracts(mono: Mono) -> bool:
    """Whether a monomial is a contraction."""
    if not mono.bound:
        return False
    opened = open_mono(mono)
    inside = [atom_indices(a) for a in opened.factors if atom_indices(a) & set(opened.bound)]
    loop = frozenset().union(*inside)
    return not any(s == loop for s in inside)
