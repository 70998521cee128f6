"""Lines that declare lengths: ``size(i) = (size(l) + 2*pad - dilation*(size(k) - 1) - 1)//stride + 1``."""

from __future__ import annotations

import ast
from fractions import Fraction

from derive.language import hints
from derive.language.affine import signed_terms
from derive.language.axes import equal_axes
from derive.language.positions import PositionReader
from derive.syntax import Add, Call, Div, Mul, Neg, Num, Op, Position, Read, Size, Tree, axis_of, walk

__all__ = ["LengthReader", "declares_length"]

_TERMS = "sizes of axes, integer constants, whole numbers, and quotients a//b"


def declares_length(node: ast.stmt) -> bool:
    """Whether a statement declares the length of an axis."""
    target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
    return isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id == "size"


class LengthReader(PositionReader):
    """Reads declared lengths. ``lengths`` has the tree of each, and ``lengths_at`` is where it stands."""

    def declare_length(self, node: ast.Assign) -> None:
        """Note the length that a line declares (OpError if it is no length, or the second of an axis)."""
        target = node.targets[0]
        axis = target.slice.id if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Name) else ""
        if not axis:
            raise self.error(target, "a length is declared for one axis: size(i) = ...")
        if axis in self.stars:
            raise self.error(target, f"'*{axis}' stands for any number of axes, which have no one length")
        if axis in self.lengths or axis in self.given:
            raise self.error(target, f"the length of '{axis}' is declared twice")
        match node.value:
            case ast.Name(id=name) if name in self.constants:
                self.give(axis, name, node)
            case ast.Constant(value=int(length)) if length >= 1 and not isinstance(length, bool):
                self.give(axis, length, node)
            case _:
                self.lengths[axis] = self.length_tree(node.value, axis)
        self.lengths_at[axis] = target

    def length_tree(self, node: ast.expr, axis: str) -> Tree:
        match node:
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return Num(Fraction(value))
            case ast.Name(id=name) if name in self.constants:
                return self.whole_constant(node, name)
            case ast.Call(func=ast.Name(id="size"), args=[ast.Name(id=other)]) if not node.keywords:
                return self.known_length(node, other, axis)
            case ast.UnaryOp(op=ast.USub()):
                return Neg(self.length_tree(node.operand, axis))
            case ast.BinOp(op=ast.Add()):
                return Add((self.length_tree(node.left, axis), self.length_tree(node.right, axis)))
            case ast.BinOp(op=ast.Sub()):
                return Add((self.length_tree(node.left, axis), Neg(self.length_tree(node.right, axis))))
            case ast.BinOp(op=ast.Mult()):
                return Mul((self.length_tree(node.left, axis), self.length_tree(node.right, axis)))
            case ast.BinOp(op=ast.FloorDiv()):
                return Call("floor", (Div(self.length_tree(node.left, axis), self.divisor(node.right)),))
            case ast.BinOp(op=ast.Div()):
                whole = hints.brief(ast.BinOp(node.left, ast.FloorDiv(), node.right), "a//b").replace(" // ", "//")
                raise self.error(node, f"a length is a whole number: write {whole}, which is rounded down")
        raise self.error(node, f"a length is made of {_TERMS}, and '{hints.brief(node)}' is none of them")

    def divisor(self, node: ast.expr) -> Tree:
        """What a length may be divided by: a positive whole number, or a constant that is one."""
        match node:
            case ast.Constant(value=int(value)) if value >= 1 and not isinstance(value, bool):
                return Num(Fraction(value))
            case ast.Name(id=name) if name in self.constants:
                default = self.constants[name].default
                if default is None or Fraction(default) >= 1:
                    return self.whole_constant(node, name)
        wanted = "a positive whole number or a constant that is one"
        raise self.error(node, f"a length is divided by {wanted}, and not by '{hints.brief(node)}'")

    def known_length(self, node: ast.expr, other: str, axis: str) -> Size:
        if other == axis:
            raise self.error(node, f"the length of '{axis}' is declared by itself; say it by the lengths of other axes")
        inputs = {a for t in self.inputs.values() for a in t.axes}
        if other in self.lengths or other in self.given or other in inputs:
            return Size(other)
        raise self.error(node, f"the length of '{other}' is not known here: no input has it, and no line above declares it")

    def check_given(self) -> None:
        """Check that every name that is given as a length is a constant of the signature, and its default a length."""
        for axis, value in self.given.items():
            if not isinstance(value, str):
                continue
            at = self.given_at[axis]
            if value not in self.constants:
                known = hints.listed(list(self.constants)) or "none"
                raise self.error(at, f"the length '{value}' of '{axis}' is no constant of the signature; it has: {known}")
            default = self.constants[value].default
            if default is not None and (Fraction(default) < 1 or Fraction(default).denominator != 1):
                raise self.error(at, f"'{value}' is the length of '{axis}' and a whole number of at least 1, not {default}")

    def check_equal(self, op: Op) -> None:
        """Check that axes which must have one length are given no two numbers."""
        root, of = equal_axes(op), dict[str, str]()
        for axis, length in self.given.items():
            other = of.setdefault(root[axis], axis) if isinstance(length, int) else axis
            if self.given[other] != length:
                both = f"the axes '{other}' and '{axis}' have one length, and are given {self.given[other]} and {length}"
                raise self.error(self.given_at[axis], both)

    def way_out(self, axis: str) -> str:
        """The line that declares a length so that a window fits everywhere, with as many positions before it as after."""
        for slot, at in self.affine_slots:
            terms = list(signed_terms(at, 1))
            own = [(sign, t) for sign, t in terms if _has(t, axis)]
            if len(own) == 1 and own[0][0] > 0 and (step := _factor(own[0][1])) is not None:
                lost = [_lost(sign, t) for sign, t in terms if not _has(t, axis)]
                inside = " ".join([f"size({slot})", *(text for text, _ in lost)])
                more = sum(positions for _, positions in lost)
                count = inside + _plus(more) if step == "1" else f"({inside}{_plus(more - 1)})//{step} + 1"
                return f"; declare it, such as size({axis}) = {count}"
        return f"; declare it: size({axis}) = ..."


def _plus(number: int) -> str:
    return f" {'+' if number > 0 else '-'} {abs(number)}" if number else ""


def _has(tree: Tree, axis: str) -> bool:
    return any(isinstance(n, Position) and isinstance(n.index, str) and axis_of(n.index) == axis for n in walk(tree))


def _factor(tree: Tree) -> str | None:
    """What multiplies the position of a term, as text; None for what is no number and no constant."""
    if isinstance(tree, Position):
        return "1"
    factors = [t for t in tree.args if not isinstance(t, Position)] if isinstance(tree, Mul) else []
    shown = [str(f.value) if isinstance(f, Num) else f.name for f in factors if isinstance(f, Num | Read)]
    return "*".join(shown) if isinstance(tree, Mul) and len(factors) == len(shown) == len(tree.args) - 1 else None


def _lost(sign: int, term: Tree) -> tuple[str, int]:
    """How many positions of a window a term takes away: a text, and a number to add to it.

    What the window is moved back by, it gains on both sides.
    """
    index = next((n.index for n in walk(term) if isinstance(n, Position)), None)
    if index is None:
        shown = str(term.value) if isinstance(term, Num) else term.name if isinstance(term, Read) else "..."
        return f"- {shown}" if sign > 0 else f"+ 2*{shown}", 0
    if not isinstance(index, str):
        return "- ..." if sign > 0 else "+ ...", 0
    step, size = _factor(term), f"size({axis_of(index)})"
    if step == "1":
        return (f"- {size}", 1) if sign > 0 else (f"+ {size}", -1)
    return f"{'-' if sign > 0 else '+'} {step}*({size} - 1)", 0
