"""Affine integer forms: ``i - j - window + 1``, an integer combination of positions, constants of the op and lengths.

A form is canonical, as terms are: equal combinations are equal objects, also after an index is substituted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import gcd
from typing import NamedTuple

from derive.terms.indices import Index, LeafOrder, Order, filled, index_order, leaf_order, map_index

__all__ = ["Form", "Part", "combined"]


class Part(NamedTuple):
    """A product of at most one position and of symbols: ``i*stride``, ``t[n]``, ``window``.

    A symbol is the name of a constant, or ``#n`` for the length of the axis ``n``.
    """

    index: Index | None  # type: ignore[assignment]  # hides tuple.index, which nothing here calls
    symbols: tuple[str, ...] = ()


class Form(NamedTuple):
    """The sum of ``parts``, each times its coefficient, and of ``offset``. Made by :func:`combined` only."""

    parts: tuple[tuple[Part, int], ...] = ()
    offset: int = 0
    tag: str = "form"

    def plus(self, other: Form | int) -> Form:
        if isinstance(other, int):
            return self._replace(offset=self.offset + other)
        return combined([*self.parts, *other.parts], self.offset + other.offset)

    def scaled(self, by: int) -> Form:
        return combined([(part, c * by) for part, c in self.parts], self.offset * by)

    def times(self, other: Form) -> Form | None:
        """The product; None where both have positions, so that the product is not affine."""
        parts: list[tuple[Part, int]] = []
        for a, c in [*self.parts, (Part(None), self.offset)]:
            for b, d in [*other.parts, (Part(None), other.offset)]:
                if a.index is not None and b.index is not None:
                    return None
                index = b.index if a.index is None else a.index
                parts.append((Part(index, tuple(sorted((*a.symbols, *b.symbols)))), c * d))
        return combined(parts, 0)

    def mapped(self, to: Callable[[str | int], Index]) -> Form:
        """The form with ``to`` applied to every name and number in its positions, also inside lookups."""
        found = [(p if p.index is None else Part(map_index(p.index, to), p.symbols), c) for p, c in self.parts]
        return combined(found, self.offset)

    def filled(self, names: Mapping[str, str]) -> Form:
        """The form with a name in the place of each hole, by the hole's axis."""
        found = [(p if p.index is None else Part(filled(p.index, names), p.symbols), c) for p, c in self.parts]
        return combined(found, self.offset)

    def reduced(self, ordered: bool) -> Form:
        """A form with the same sign (``ordered``), or that is 0 at the same places, and without a common divisor."""
        if not self.parts:
            return self
        form = self if ordered or self.parts[0][1] > 0 else self.scaled(-1)
        divisor = gcd(*(c for _, c in form.parts))
        if divisor == 1 or any(p.symbols for p, _ in form.parts) or (form.offset % divisor and not ordered):
            return form
        return Form(tuple((p, c // divisor) for p, c in form.parts), -(-form.offset // divisor))

    def indices(self) -> Iterator[Index]:
        """The positions in the form, each lookup as one."""
        return (p.index for p, _ in self.parts if p.index is not None)

    def constants(self) -> Iterator[str]:
        """The constants of the op in the form."""
        return (s for p, _ in self.parts for s in p.symbols if not s.startswith("#"))

    def order(self, leaf: LeafOrder = leaf_order) -> Order:
        """The sort key of the form, where ``leaf`` gives those of the names and numbers in its positions."""
        return (len(self.parts), *sorted((*_order(p, leaf), c) for p, c in self.parts), self.offset)


def combined(parts: Iterable[tuple[Part, int]], offset: int = 0) -> Form:
    """The form that is the sum of these parts, in any order and with repetitions, and of a number."""
    found: dict[Part, int] = {}
    for part, c in parts:
        if part == (None, ()):
            offset += c
        else:
            found[part] = found.get(part, 0) + c
    kept = [(p, c) for p, c in found.items() if c]
    return Form(tuple(sorted(kept, key=lambda pc: _order(pc[0], leaf_order))), offset)


def _order(part: Part, leaf: LeafOrder) -> Order:
    position: Order = () if part.index is None else index_order(part.index, leaf)
    return (len(part.symbols), part.symbols, position)
