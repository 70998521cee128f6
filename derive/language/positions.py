"""Positions: comparisons of them, ``j <= i``, and of integer tensors, ``t[n] != ignore``; boolean tensors; ``x[2*p + 1]``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fractions import Fraction

from derive.language import hints
from derive.language.literals import constant_value
from derive.language.slots import SlotReader, slots_of
from derive.syntax import TRUTH, Add, Compare, Indicator, Lookup, Mul, Neg, Num, Position, Read, Size, Tree, walk

__all__ = ["PositionReader"]

_CONDITION = "a condition on indices compares sums of axes, integer tensors, integer constants and whole numbers"
_PLACE = "a position is a sum of axes, integer tensors, integer constants and whole numbers"


class PositionReader(SlotReader):
    """Reads whole numbers: sums and products of positions, labels, constants, lengths and integers."""

    def read(self, node: ast.expr, name: str, slots: list[ast.expr]) -> Read:
        """A read of a tensor by its name and the nodes of its indices."""
        raise NotImplementedError

    def size(self, node: ast.Call) -> Size:
        """The length that ``size(n)`` names."""
        raise NotImplementedError

    def on_indices(self, node: ast.Compare) -> bool:
        """Whether a comparison is one of positions or of integer tensors."""
        return any(self.position(n) for side in (node.left, node.comparators[0]) for n in _operands(side))

    def position(self, node: ast.expr) -> bool:
        name = node.value if isinstance(node, ast.Subscript) else node
        if not isinstance(name, ast.Name):
            return False
        index = isinstance(node, ast.Name) and (name.id in self.bound or name.id in self.scope)
        return index or self.is_integer(name.id)

    def place(self, node: ast.expr) -> Tree:
        """The position in an affine slot: a sum of positions, each times whole numbers (OpError for anything else)."""
        for part in ast.walk(node):
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div | ast.FloorDiv):
                repeat = "to repeat elements, pack the result: y[(i, r = 2)] = x[i]"
                raise self.error(part, f"'{hints.brief(part)}' is no position, as it may be no whole number; {repeat}")
        found = self.integer(node, _PLACE)
        if (product := _of_positions(found)) is not None:
            raise self.error(node, f"'{hints.brief(node)}' is no sum of positions, as it multiplies {' and '.join(product)}")
        last = constant_value(found)
        if last is not None and last < 0:
            raise self.error(node, f"the first position is 0, and {last} is before it; the last is size(n) - 1")
        return found

    def integer(self, node: ast.expr, what: str = _CONDITION) -> Tree:
        """A whole number made of positions (OpError for anything else, which begins with ``what`` was expected)."""
        match node:
            case ast.Constant(value=int(value)) if not isinstance(node.value, bool):
                return Num(Fraction(value))
            case ast.Name(id=name) if name in self.bound or name in self.scope:
                if name in self.stars:
                    raise self.error(node, f"'*{name}' stands for any number of axes and has no position; name the axis")
                return Position(self.bound.get(name, name))
            case ast.Name() | ast.Subscript() if self.position(node):
                return Position(self.label(node))
            case ast.Name(id=name) if name in self.constants:
                return self.whole_constant(node, name)
            case ast.Call(func=ast.Name(id="size")):
                return self.size(node)
            case ast.UnaryOp(op=ast.USub()):
                return Neg(self.integer(node.operand, what))
            case ast.BinOp(op=ast.Add()):
                return Add((self.integer(node.left, what), self.integer(node.right, what)))
            case ast.BinOp(op=ast.Sub()):
                return Add((self.integer(node.left, what), Neg(self.integer(node.right, what))))
            case ast.BinOp(op=ast.Mult()):
                return Mul((self.integer(node.left, what), self.integer(node.right, what)))
        raise self.error(node, f"{what}, and '{hints.brief(node)}' is none of them")

    def label(self, node: ast.expr) -> Lookup:
        """An element of an integer tensor."""
        name = node.value if isinstance(node, ast.Subscript) else node
        assert isinstance(name, ast.Name)
        found = self.read(node, name.id, slots_of(node) if isinstance(node, ast.Subscript) else [])
        return Lookup(found.name, found.index)

    def whole_constant(self, node: ast.expr, name: str) -> Read:
        default = self.constants[name].default
        if default is not None and Fraction(default).denominator != 1:
            raise self.error(node, f"'{name}' stands among positions and must be a whole number, not {default}")
        return Read(name)

    def truth(self, node: ast.expr, name: str) -> Indicator | None:
        """An element of a boolean tensor as the number 1 or 0; None for another tensor."""
        if name not in self.inputs or self.inputs[name].labels != TRUTH:
            return None
        return Indicator(Compare("!=", Position(self.label(node)), Num(Fraction(0))))


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    """The operands of sums and products, from left to right."""
    if isinstance(node, ast.BinOp):
        yield from _operands(node.left)
        yield from _operands(node.right)
    elif isinstance(node, ast.UnaryOp):
        yield from _operands(node.operand)
    else:
        yield node


def _of_positions(tree: Tree) -> list[str] | None:
    """The indices of two positions that a product multiplies; None if there is no such product."""
    for node in walk(tree):
        if isinstance(node, Mul):
            found = [part.index for factor in node.args for part in walk(factor) if isinstance(part, Position)]
            if sum(any(isinstance(part, Position) for part in walk(factor)) for factor in node.args) > 1:
                return [i if isinstance(i, str) else i.name for i in found]
    return None
