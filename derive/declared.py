"""Lengths that equations declare: ``size(i) = (size(l) + 2*pad - size(k))//stride + 1``, for an axis that no input has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod

from derive.trees import Add, Call, Div, Mul, Neg, Num, Position, Read, Size, Tree, reads, walk

__all__ = ["Declared", "needed", "whole_value"]


@dataclass(frozen=True, slots=True)
class Declared:
    """The declared lengths of an op, each after those that it needs.

    A length is a tree of whole numbers: lengths, constants of the op, sums, products, and quotients rounded down, which are
    ``floor`` of a division.
    """

    lengths: tuple[tuple[str, Tree], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lengths)

    def constants(self) -> frozenset[str]:
        """The constants that lengths depend on, which are whole numbers."""
        return frozenset(name for _, tree in self.lengths for name in reads(tree))

    def computed(self, known: Collection[str], root: Mapping[str, str]) -> Iterator[tuple[str, Tree]]:
        """Each declared length that follows from the lengths of the ``known`` axes, with ``root`` of axes of equal length."""
        found = {root.get(a, a) for a in known}
        for axis, tree in self.lengths:
            if {root.get(a, a) for a in needed(tree)} <= found:
                found.add(root.get(axis, axis))
                yield axis, tree

    def completed(self, sizes: Mapping[str, int], constants: Mapping[str, int], root: Mapping[str, str]) -> dict[str, int]:
        """The lengths of axes with those that are declared; axes of one root are equal. A length may come out negative."""
        found = dict(sizes)
        for axis, tree in self.lengths:
            length = whole_value(tree, found, constants, {})
            found |= {a: length for a in (*root, axis) if root.get(a, a) == root.get(axis, axis)}
        return found


def needed(tree: Tree) -> frozenset[str]:
    """The axes whose lengths an expression reads."""
    return frozenset(n.axis for n in walk(tree) if isinstance(n, Size))


def whole_value(tree: Tree, sizes: Mapping[str, int], constants: Mapping[str, int], at: Mapping[str, int]) -> int:
    """The value of a length, or of a side of a row, where the indices are ``at`` these positions."""

    def value(node: Tree) -> int:
        match node:
            case Num(number):
                return int(number)
            case Read(name):
                return constants[name]
            case Size(axis):
                return sizes[axis]
            case Position(str() as index):
                return at[index]
            case Neg(arg):
                return -value(arg)
            case Add(args):
                return sum(map(value, args))
            case Mul(args):
                return prod(map(value, args))
            case Call("floor", (Div(a, b),)):
                return value(a) // value(b)
        raise TypeError(f"{node} is no whole number")

    return value(tree)
