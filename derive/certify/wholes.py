"""The parts of trees that are no numbers of an arithmetic: whole numbers of positions, exponents, masks of extrema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from math import prod

from derive import syntax as st
from derive.certify.arrays import Frame

__all__ = ["NOTHING", "affine_reads", "exponent", "masked", "whole_numbers"]

#: What stands in the place of an element that takes no part in an extremum.
NOTHING = (st.Neg(st.Const("inf")), st.Const("inf"))


def masked(tree: st.Reduce) -> bool:
    """Whether a reduction is an extremum of the elements at which a condition holds: the others are infinite."""
    body = tree.body
    return tree.kind in ("max", "min") and isinstance(body, st.Call) and body.head == "where" and body.args[2] in NOTHING


def affine_reads(body: st.Tree) -> Iterator[st.AffineRead]:
    """The reads at sums of positions in the body of a reduction of which this is the nearest one around them."""
    waiting = [body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, st.AffineRead):
            yield node
        elif not isinstance(node, st.Reduce):
            waiting += st.children(node)


def whole_numbers(
    frame: Frame,
    labels: Mapping[str, list[int]],
    position: Callable[[st.Index, tuple[str, ...]], list[int]],
    tree: st.Tree,
    over: tuple[str, ...],
) -> list[int]:
    """The whole number that an expression of positions is, at every position of ``over``.

    ``labels`` has the constants that are whole numbers, ``position`` the values of an index. TypeError for other expressions.
    """

    def of(tree: st.Tree) -> list[int]:
        match tree:
            case st.Position(index):
                return position(index, over)
            case st.Neg(arg):
                return [-v for v in of(arg)]
            case st.Add(args):
                return [sum(vs) for vs in zip(*map(of, args), strict=True)]
            case st.Mul(args):
                return [prod(vs) for vs in zip(*map(of, args), strict=True)]
            case st.Num(value):
                one = int(value)
            case st.Size(axis):
                one = frame.length(axis)
            case st.Read(name):
                one = labels[name][0]
            case _:
                raise TypeError(f"not a whole number: {tree}")
        return [one] * frame.count(over)

    return of(tree)


def exponent(tree: st.Tree) -> Fraction:
    """The value of a constant exponent (TypeError for any other)."""
    match tree:
        case st.Num(value):
            return value
        case st.Neg(arg):
            return -exponent(arg)
        case st.Add(args):
            return sum(map(exponent, args), Fraction(0))
        case st.Mul((a, *rest)):
            return exponent(a) if not rest else exponent(a) * exponent(st.Mul(tuple(rest)))
        case st.Div(a, b):
            return exponent(a) / exponent(b)
    raise TypeError(f"the exponent {tree} is not a number")
