"""The one objective: floating-point operations in the best order of summation, plus a weight for every element read.

A reduction that several lines need counts once. Sizes are the op's reference sizes, so the order is total; costs are whole
numbers, so that no order of addition changes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from derive import syntax as st
from derive.functions import words
from derive.terms.factor import to_tree
from derive.terms.factors import Inner, factor_indices, split
from derive.terms.style import DEFAULT_SIZE, Style
from derive.terms.sums import Mono, Read, Sum, axis_of, close, sum_indices, sum_reads, total

#: Operations that reading one saved element is worth: what a core computes while the element comes from memory.
READ_WEIGHT = 4


class Cost(NamedTuple):
    """``own`` operations, the reductions needed with the cost of each, and the names read."""

    own: int
    reductions: frozenset[tuple[Mono, int]]
    reads: frozenset[str]


@dataclass
class Model:
    """Costs of expressions at reference sizes; answers are cached."""

    sizes: dict[str, int]
    axes: dict[str, tuple[str, ...]]
    free: frozenset[str]

    def __post_init__(self) -> None:
        self.cache: dict[Sum, Cost] = {}
        self.inner: dict[Mono, int] = {}

    def size(self, axis: str) -> int:
        return self.sizes.get(axis, DEFAULT_SIZE)

    def elements(self, name: str) -> int:
        return self.product(self.axes.get(name, ()))

    def product(self, index: tuple[str, ...] | frozenset[str]) -> int:
        n = 1
        for i in index:
            n *= self.size(axis_of(i))
        return n

    def of(self, body: Sum) -> Cost:
        """The cost of an expression over its free indices."""
        if body not in self.cache:
            self.cache[body] = self.measure(body)
        return self.cache[body]

    def measure(self, body: Sum) -> Cost:
        inner = {f for mono in body.terms for f in split(mono) if isinstance(f, Inner)}
        named = {f: Read(f"__{k}", tuple(sorted(factor_indices(f)))) for k, f in enumerate(sorted(inner, key=repr))}
        style = Style(size=self.size)
        tree = to_tree(_replaced(body, named), sorted(sum_indices(body)), style)
        own = self.operations(tree)
        if body.single and body.single[1] == 1 and len(inner) == 1 and isinstance(tree, st.Read):
            own = 0
        return Cost(own, frozenset((f.mono, self.reduction(f)) for f in inner), frozenset(sum_reads(body)))

    def reduction(self, inner: Inner) -> int:
        """Operations of one reduction in its best order."""
        if inner.mono not in self.inner:
            tree = to_tree(Sum({inner.mono: Fraction(1)}), tuple(sorted(factor_indices(inner))), Style(size=self.size))
            self.inner[inner.mono] = self.operations(tree)
        return self.inner[inner.mono]

    def alone(self, body: Sum) -> int:
        """The cost of computing one expression, each reduction in it counted once."""
        cost = self.of(body)
        saved = READ_WEIGHT * sum(self.elements(name) for name in cost.reads - self.free)
        return cost.own + sum(r[1] for r in cost.reductions) + saved

    def operations(self, tree: st.Tree) -> int:
        """Operations of one expression, each done over no more axes than it depends on."""
        return self.measured(tree)[0]

    def measured(self, tree: st.Tree) -> tuple[int, frozenset[str]]:
        """The operations of an expression and its free indices, in one walk."""
        parts = [self.measured(child) for child in st.children(tree)]
        total = sum(ops for ops, _ in parts)
        free = frozenset(st.own_indices(tree)).union(*(f for _, f in parts))
        match tree:
            case st.Mul():
                return total + self.multiplications([f for _, f in parts]), free
            case st.Reduce(_, index, _):
                return total + self.product(free | set(index)), free - set(index)
        return total + self.own_operations(tree) * self.product(free), free

    def own_operations(self, tree: st.Tree) -> int:
        """Operations per element of the node itself."""
        match tree:
            case st.Add(args):
                return len(args) - 1
            case st.Div() | st.Compare():
                return 1
            case st.Pow(_, st.Num(e)):
                return min(abs(e.numerator) - 1, 2) if e.denominator == 1 else 4
            case st.Call(head, _):
                return words.cost(head)
        return 0

    def multiplications(self, axes: list[frozenset[str]]) -> int:
        """A product from left to right: each factor meets what the factors before it depend on."""
        seen, cost = axes[0], 0
        for a in axes[1:]:
            seen |= a
            cost += self.product(seen)
        return cost


def _replaced(body: Sum, named: dict[Inner, Read]) -> Sum:
    """The expression with every inner sum replaced by a read of a stand-in name."""
    products = ({named[f] if isinstance(f, Inner) else f: e for f, e in split(mono).items()} for mono in body.terms)
    return total(close(p, ()).scaled(c) for p, c in zip(products, body.terms.values(), strict=True))
