"""The objective of every choice: floating-point operations in the best order of summation, plus a weight for each element read.

A reduction that several lines need counts once. Axes have the op's reference lengths, so that any two costs can be compared.
Costs are whole numbers, so that the order in which they are added changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from derive.simplify.operations import Operations
from derive.terms.factoring import DEFAULT_SIZE
from derive.terms.factors import Inner, factor_indices, split
from derive.terms.sums import Mono, Read, Sum, axis_of, close, sum_reads, total
from derive.terms.unnamed import unnamed

#: The cost of reading one saved element, in operations: a core does about this many while the element comes from memory.
READ_WEIGHT = 4
#: How the names of reads that stand in the place of inner sums begin.
PLACE = "__"


class Cost(NamedTuple):
    """The operations outside of reductions (``own``), each reduction with its own cost, and the names read."""

    own: int
    reductions: frozenset[tuple[Mono, int]]
    reads: frozenset[str]


@dataclass
class Model:
    """Costs of expressions at reference lengths, cached.

    ``sizes`` has the lengths of axes, ``axes`` the axes of names; reading the names in ``free`` costs nothing.
    """

    sizes: dict[str, int]
    axes: dict[str, tuple[str, ...]]
    free: frozenset[str]

    def __post_init__(self) -> None:
        self.cache: dict[Sum, Cost] = {}
        #: The operations outside of reductions, and those of reductions, by the expression without names.
        self.outside: dict[Sum, int] = {}
        self.inner: dict[Sum, int] = {}
        self.operations = Operations(self.size)

    def size(self, axis: str) -> int:
        return self.sizes.get(axis, DEFAULT_SIZE)

    def elements(self, name: str) -> int:
        """The number of elements of the tensor of that name."""
        return prod(self.size(axis_of(i)) for i in self.axes.get(name, ()))

    def of(self, body: Sum) -> Cost:
        """The cost of an expression over its free indices."""
        if body not in self.cache:
            self.cache[body] = self.measure(body)
        return self.cache[body]

    def measure(self, body: Sum) -> Cost:
        inner = {f for mono in body.terms for f in split(mono) if isinstance(f, Inner)}
        key = unnamed(body, PLACE)
        if key not in self.outside:
            self.outside[key] = self.operations.of(_replaced(body, inner))
        return Cost(self.outside[key], frozenset((f.mono, self.reduction(f)) for f in inner), frozenset(sum_reads(body)))

    def reduction(self, inner: Inner) -> int:
        """The operations of one inner sum in its best order of summation."""
        key = unnamed(Sum({inner.mono: 1}))
        if key not in self.inner:
            self.inner[key] = self.operations.reduction(inner)
        return self.inner[key]

    def alone(self, body: Sum) -> int:
        """The cost of one expression by itself, with each of its reductions counted once."""
        cost = self.of(body)
        saved = READ_WEIGHT * sum(self.elements(name) for name in cost.reads - self.free)
        return cost.own + sum(r[1] for r in cost.reductions) + saved


def _replaced(body: Sum, inner: Collection[Inner]) -> Sum:
    """The expression with a read in the place of every inner sum."""
    named = {f: Read(f"{PLACE}{k}", tuple(sorted(factor_indices(f)))) for k, f in enumerate(sorted(inner, key=repr))}
    products = ({named[f] if isinstance(f, Inner) else f: e for f, e in split(mono).items()} for mono in body.terms)
    return total(close(p, ()).scaled(c) for p, c in zip(products, body.terms.values(), strict=True))
