"""What each equation sends back to a name: its own gradient times a local derivative, summed over some axes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from codegen.tools.workbook import Blank, Exercise
from derive import syntax as st
from derive.packing import Packing
from derive.textbook.readable import apart

__all__ = ["Contribution", "contributions"]

ZERO, ONE = st.Num(Fraction(0)), st.Num(Fraction(1))


@dataclass(frozen=True)
class Contribution:
    """``upstream*local`` summed over ``summed``, which goes to the entry ``target`` of a gradient; ``packing`` is the op's.

    ``source`` is the name whose gradient ``upstream`` is. ``reader`` is this name's equation, which reads the target's name.
    It is None where the caller passes the gradient in.
    """

    reader: st.Equation | None
    source: str
    upstream: st.Read
    local: st.Tree
    summed: tuple[str, ...]
    target: st.Read
    packing: Packing

    @property
    def derivative(self) -> tuple[st.Read, st.Read]:
        """The entries of the local derivative: what is differentiated, and by what."""
        return st.Read(self.source, self.upstream.index), self.target

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of the gradient that it goes to."""
        return tuple(i for i in self.target.index if isinstance(i, str))

    @property
    def factors(self) -> tuple[st.Read, ...]:
        """Every tensor that is read, the upstream gradient first."""
        found = (n for n in st.walk(self.local) if isinstance(n, st.Read))
        return (self.upstream, *dict.fromkeys(found))


def contributions(exercise: Exercise, blank: Blank) -> tuple[Contribution, ...]:
    """The contributions to a gradient, in the order of its line."""
    source = {b.name: b.of for b in exercise.blanks} | {st.adjoint_name(t.name): t.name for t in exercise.op.outputs}
    equations = {e.name: e for e in blank.readers}
    target = st.Read(blank.of, blank.index)
    found = []
    for upstream, local, summed in _sent(apart(_whole(blank.lines, source.keys()), set(blank.index)), source.keys()):
        name = source[upstream.name]
        found.append(Contribution(equations.get(name), name, upstream, _tidied(local), summed, target, exercise.op.packing))
    return tuple(found)


def _whole(lines: Sequence[st.Equation], gradients: Collection[str]) -> st.Tree:
    """The last line, with the gradients that the lines before it name written out."""
    inner: dict[str, st.Equation] = {}
    for line in lines:
        tree = _written_out(line.rhs, inner)
        if line is lines[-1]:
            return tree
        if set(st.reads(tree)) & set(gradients):
            inner[line.name] = st.Equation(line.name, line.index, tree)
    return ZERO


def _written_out(tree: st.Tree, inner: dict[str, st.Equation]) -> st.Tree:
    if isinstance(tree, st.Read) and tree.name in inner:
        line = inner[tree.name]
        return st.rename(line.rhs, dict(zip(line.index, tree.index, strict=True)))
    return st.rebuild(tree, lambda child: _written_out(child, inner))


Sent = tuple[st.Read, st.Tree, tuple[str, ...]]


def _sent(tree: st.Tree, gradients: Collection[str]) -> Iterator[Sent]:
    """The gradients in an expression that is linear in them, each with its factor and the indices summed over."""
    match tree:
        case st.Read(name) if name in gradients:
            yield tree, ONE, ()
        case st.Neg(a):
            yield from ((u, _negated(f), over) for u, f, over in _sent(a, gradients))
        case st.Add(args):
            for a in args:
                yield from _sent(a, gradients)
        case st.Mul(args):
            for k, a in enumerate(args):
                for u, f, over in _sent(a, gradients):
                    yield u, _product((*args[:k], f, *args[k + 1 :])), over
        case st.Div(a, b):
            yield from ((u, st.Div(f, b), over) for u, f, over in _sent(a, gradients))
        case st.Reduce("sum" | "mean", index, body):
            count = tuple(st.Size(st.axis_of(i)) for i in index) if tree.kind == "mean" else ()
            for u, f, over in _sent(body, gradients):
                yield u, st.Div(f, _product(count)) if count else f, (*index, *over)
        case st.Call("where", (condition, a, b)):
            yield from ((u, st.Call("where", (condition, f, ZERO)), over) for u, f, over in _sent(a, gradients))
            yield from ((u, st.Call("where", (condition, ZERO, f)), over) for u, f, over in _sent(b, gradients))


def _tidied(tree: st.Tree) -> st.Tree:
    """A product or quotient as one fraction, with a single number in it."""
    number, above, below = _fraction(tree)
    if not above and not below:
        return st.Num(number)
    if number < 0:
        return _negated(_ratio(-number, above, below))
    return _ratio(number, above, below)


def _ratio(number: Fraction, above: list[st.Tree], below: list[st.Tree]) -> st.Tree:
    above = above if number.numerator == 1 else [st.Num(Fraction(number.numerator)), *above]
    below = below if number.denominator == 1 else [*below, st.Num(Fraction(number.denominator))]
    top = _product(tuple(above))
    return st.Div(top, _product(tuple(below))) if below else top


def _fraction(tree: st.Tree) -> tuple[Fraction, list[st.Tree], list[st.Tree]]:
    """The number in a product or quotient, the other factors, and the other divisors."""
    match tree:
        case st.Num(value):
            return value, [], []
        case st.Neg(a):
            number, above, below = _fraction(a)
            return -number, above, below
        case st.Mul(args):
            parts = [_fraction(a) for a in args]
            number = math.prod((n for n, _, _ in parts), start=Fraction(1))
            return number, [f for _, above, _ in parts for f in above], [f for _, _, below in parts for f in below]
        case st.Div(a, b):
            (m, above, under), (n, over, below) = _fraction(a), _fraction(b)
            if n:
                return m / n, [*above, *below], [*under, *over]
    return Fraction(1), [tree], []


def _negated(tree: st.Tree) -> st.Tree:
    return tree.arg if isinstance(tree, st.Neg) else st.Neg(tree)


def _product(args: tuple[st.Tree, ...]) -> st.Tree:
    """The product without factors 1, its sign in front."""
    flat: list[st.Tree] = []
    negative = False
    for a in args:
        negative ^= isinstance(a, st.Neg)
        a = a.arg if isinstance(a, st.Neg) else a
        flat += a.args if isinstance(a, st.Mul) else () if a == ONE else (a,)
    tree: st.Tree = ONE if not flat else flat[0] if len(flat) == 1 else st.Mul(tuple(flat))
    return st.Neg(tree) if negative else tree
