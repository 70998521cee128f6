"""A line of a backward pass as terms, each of which is one upstream gradient times local factors.

An adjoint is linear in the upstream gradients, so every term has exactly one upstream gradient. Only sums that contain upstream
gradients are multiplied out: ``dloss/size(n)*(p - [c = t])`` keeps the factor ``p - [c = t]``, as an author would read it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from derive import syntax as st

__all__ = ["Term", "product", "terms"]

_ONE = st.Num(Fraction(1))


@dataclass(frozen=True)
class Term:
    """The sum, over ``over``, of one upstream gradient times factors; its sign is left out.

    ``constants`` are factors that depend on sizes, constants and labels alone; ``factors`` read values of the forward pass.
    """

    upstream: str
    over: tuple[str, ...] = ()
    constants: tuple[st.Tree, ...] = ()
    factors: tuple[st.Tree, ...] = ()


def terms(tree: st.Tree, adjoints: Collection[str], values: Collection[str]) -> tuple[Term, ...]:
    """The terms of an expression that is linear in the adjoints (ValueError if it is not).

    ``values`` are the names of floating-point tensors; a factor that reads none of them is a constant.
    """
    return tuple(_Linear(frozenset(adjoints), frozenset(values)).terms(tree))


def product(factors: tuple[st.Tree, ...]) -> st.Tree:
    """The factors as one expression."""
    return _ONE if not factors else factors[0] if len(factors) == 1 else st.Mul(factors)


@dataclass(frozen=True)
class _Linear:
    adjoints: frozenset[str]
    values: frozenset[str]

    def linear(self, tree: st.Tree) -> bool:
        return not self.adjoints.isdisjoint(st.reads(tree))

    def terms(self, tree: st.Tree) -> Iterator[Term]:
        if not self.linear(tree):
            return
        match tree:
            case st.Read(name):
                yield Term(name)
            case st.Neg(a):
                yield from self.terms(a)
            case st.Add(args):
                for a in args:
                    yield from self.terms(a)
            case st.Mul(args):
                (inner,) = [k for k, a in enumerate(args) if self.linear(a)]
                yield from self.scaled(args[inner], (*args[:inner], *args[inner + 1 :]))
            case st.Div(a, b) if not self.linear(b):
                yield from self.scaled(a, (st.Div(_ONE, b),))
            case st.Reduce(("sum" | "mean") as kind, index, body):
                lengths = tuple(st.Div(_ONE, st.Size(st.axis_of(i))) for i in index if kind == "mean")
                for t in self.scaled(body, lengths):
                    yield replace(t, over=(*t.over, *index))
            case st.Call("where", (condition, a, b)):
                yield from self.scaled(a, (st.Call("where", (condition, _ONE, st.Num(Fraction(0)))),))
                yield from self.scaled(b, (st.Call("where", (condition, st.Num(Fraction(0)), _ONE)),))
            case _:
                raise ValueError(f"not linear in {', '.join(sorted(self.adjoints))}: {tree}")

    def scaled(self, tree: st.Tree, by: tuple[st.Tree, ...]) -> Iterator[Term]:
        """The terms of an expression times factors without adjoints."""
        split = [f for b in by for f in _factors(b)]
        constants = tuple(f for f in split if self.values.isdisjoint(st.reads(f)))
        factors = tuple(f for f in split if f not in constants)
        for t in self.terms(tree):
            yield replace(t, constants=(*constants, *t.constants), factors=(*factors, *t.factors))


def _factors(tree: st.Tree) -> Iterator[st.Tree]:
    """The factors of a product or quotient, without signs; a factor ``u`` below the line is ``1/u``."""
    match tree:
        case st.Num(v) if abs(v) == 1:
            return
        case st.Neg(a):
            yield from _factors(a)
        case st.Mul(args):
            for a in args:
                yield from _factors(a)
        case st.Div(a, b):
            yield from _factors(a)
            for f in _factors(b):
                yield st.Div(_ONE, f)
        case _:
            yield tree
