"""Conditions on indices: comparisons of positions, ``j <= i``, of integer tensors, ``t[n] != ignore``, and boolean tensors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fractions import Fraction

from derive.language import hints
from derive.language.slots import SlotReader, slots_of
from derive.syntax import TRUTH, Add, Compare, Indicator, Lookup, Mul, Neg, Num, Position, Read, Size, Tree

__all__ = ["PositionReader"]


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
        return index or (name.id in self.inputs and self.inputs[name.id].integer)

    def integer(self, node: ast.expr) -> Tree:
        """A whole number in a condition on indices (OpError for anything else)."""
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
                return Neg(self.integer(node.operand))
            case ast.BinOp(op=ast.Add()):
                return Add((self.integer(node.left), self.integer(node.right)))
            case ast.BinOp(op=ast.Sub()):
                return Add((self.integer(node.left), Neg(self.integer(node.right))))
            case ast.BinOp(op=ast.Mult()):
                return Mul((self.integer(node.left), self.integer(node.right)))
        what = "a condition on indices compares sums of axes, integer tensors, integer constants and whole numbers"
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
            raise self.error(node, f"'{name}' is compared with positions and must be a whole number, not {default}")
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
