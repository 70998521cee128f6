"""The common part of all printers of expressions: operators, precedence, signs and parentheses.

A subclass says how each kind of node is spelled. A sign at the front of a product or a quotient is pulled out, so that
``a + (-2*b)`` is printed ``a - 2*b``. Parentheses otherwise follow the tree: ``a*(b*c)`` keeps the author's order of
evaluation.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Context, Decimal, Inexact
from enum import IntEnum
from fractions import Fraction

from derive.syntax import (
    Add,
    AffineRead,
    Call,
    Compare,
    Const,
    Div,
    Index,
    Indicator,
    Lookup,
    Match,
    Mul,
    Neg,
    Num,
    Position,
    Pow,
    Read,
    Reduce,
    Size,
    Tree,
)

__all__ = ["Prec", "Printed", "Printer", "product_of", "split_sign"]

#: The largest float64 as an integer.
LARGEST = int(sys.float_info.max)


class Prec(IntEnum):
    """How tightly the outermost operator of a printed expression binds."""

    CONDITION = 0
    SUM = 1
    SIGNED = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5


Printed = tuple[str, Prec]
#: A context of 24 decimal digits, in which a result that would have to be rounded raises Inexact.
_EXACTLY = Context(prec=24, traps=[Inexact])


def product_of(args: tuple[Tree, ...]) -> Tree:
    return args[0] if len(args) == 1 else Mul(args)


def split_sign(node: Tree) -> tuple[bool, Tree]:
    """Whether the expression begins with a minus sign, and the expression without it."""
    match node:
        case Neg(arg):
            return True, arg
        case Num(value) if value < 0:
            return True, Num(-value)
        case Mul((first, *rest)):
            negative, core = split_sign(first)
            if negative:
                return True, product_of(tuple(rest)) if rest and core == Num(Fraction(1)) else Mul((core, *rest))
        case Div(num, den):
            negative, core = split_sign(num)
            if negative:
                return True, Div(core, den)
    return False, node


class Printer(ABC):
    """Prints trees; the subclasses spell the parts."""

    times = "*"
    over = "/"
    relations: dict[str, str] = {}

    def show(self, node: Tree) -> str:
        return self.render(node)[0]

    def at(self, node: Tree, least: Prec) -> str:
        """The expression as an operand: in parentheses if it binds less tightly than ``least``."""
        printed, prec = self.render(node)
        return printed if prec >= least else self.parens(printed)

    def render(self, node: Tree) -> Printed:
        """The expression, and how tightly its outermost operator binds."""
        negative, core = split_sign(node)
        if negative:
            return "-" + self.at(core, Prec.PRODUCT), Prec.SIGNED
        match node:
            case Num(value):
                return self.number(value)
            case Const(name):
                return self.constant(name), Prec.ATOM
            case Read(name, index):
                return self.read(name, index)
            case AffineRead() | Position() | Size():
                return self.placed(node)
            case Add(args):
                return self.add(args)
            case Mul(args):
                return self.multiply(args)
            case Div(num, den):
                return self.divide(num, den)
            case Pow(base, exp):
                return self.power(base, exp)
            case Call(head, args):
                return self.call(head, args)
            case Reduce(kind, index, body):
                return self.reduce(kind, index, body)
            case Compare(rel, left, right):
                sides = self.at(left, Prec.SUM), self.at(right, Prec.SUM)
                return f"{sides[0]} {self.relations.get(rel, rel)} {sides[1]}", Prec.CONDITION
            case Match(left, right):
                return f"{self.index(left)} {self.relations.get(node.rel, node.rel)} {self.index(right)}", Prec.CONDITION
            case Indicator(cond):
                return self.indicator(cond)
        raise TypeError(f"not an expression: {node!r}")

    def placed(self, node: AffineRead | Position | Size) -> Printed:
        """A read at sums of positions, a position, or a length."""
        if isinstance(node, AffineRead):
            slots = (self.index(s.index) if isinstance(s, Position) else self.show(s) for s in node.slots)
            return self.element(node.name, list(slots))
        return self.position(node.index) if isinstance(node, Position) else self.size(node.axis), Prec.ATOM

    # ---- operators, spelled the same way on one line ------------------------------------------------------------------

    def add(self, args: tuple[Tree, ...]) -> Printed:
        if len(args) < 2:
            return self.render(args[0]) if args else self.number(Fraction(0))
        return self.at(args[0], Prec.SUM) + "".join(" " + self.addend(a) for a in args[1:]), Prec.SUM

    def addend(self, arg: Tree) -> str:
        """A term of a sum that is not the first, with its sign."""
        negative, core = split_sign(arg)
        return ("- " if negative else "+ ") + self.at(core, Prec.PRODUCT)

    def multiply(self, args: tuple[Tree, ...]) -> Printed:
        if len(args) < 2:
            return self.render(args[0]) if args else self.number(Fraction(1))
        factors = [self.at(args[0], Prec.PRODUCT), *(self.at(a, Prec.POWER) for a in args[1:])]
        return self.times.join(factors), Prec.PRODUCT

    def divide(self, num: Tree, den: Tree) -> Printed:
        return self.at(num, Prec.PRODUCT) + self.over + self.at(den, Prec.POWER), Prec.PRODUCT

    def parens(self, inner: str) -> str:
        return f"({inner})"

    def number(self, value: Fraction) -> Printed:
        """A non-negative rational: a fraction if its denominator is small, else a decimal if it has a finite one."""
        if value.denominator == 1 and value < 10**6:
            return str(value.numerator), Prec.ATOM
        if (value.denominator == 1 or value.denominator > 9) and (decimal := decimal_of(value)) is not None:
            return decimal, Prec.ATOM
        if value.denominator == 1:
            return str(value.numerator), Prec.ATOM
        return f"{_whole(value.numerator)}{self.over}{_whole(value.denominator)}", Prec.PRODUCT

    # ---- spelling ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def constant(self, name: str) -> str: ...

    @abstractmethod
    def index(self, index: Index) -> str: ...

    @abstractmethod
    def element(self, name: str, slots: Sequence[str]) -> Printed:
        """An element of a tensor, with its slots as they are printed; a scalar has none."""

    def read(self, name: str, index: tuple[Index, ...]) -> Printed:
        return self.element(name, list(map(self.index, index)))

    def position(self, index: Index) -> str:
        """An index as a whole number, in a condition."""
        return self.index(index)

    @abstractmethod
    def size(self, axis: str) -> str: ...

    @abstractmethod
    def power(self, base: Tree, exp: Tree) -> Printed: ...

    @abstractmethod
    def call(self, head: str, args: tuple[Tree, ...]) -> Printed: ...

    @abstractmethod
    def reduce(self, kind: str, index: tuple[str, ...], body: Tree) -> Printed: ...

    @abstractmethod
    def indicator(self, cond: Compare | Match) -> Printed: ...


class LinePrinter(Printer):
    """The common part of the two printers of plain text."""

    comma = ", "

    def constant(self, name: str) -> str:
        return name

    def index(self, index: Index) -> str:
        return self.read(index.name, index.index)[0] if isinstance(index, Lookup) else index

    def element(self, name: str, slots: Sequence[str]) -> Printed:
        return (f"{name}[{self.comma.join(slots)}]" if slots else name), Prec.ATOM

    def size(self, axis: str) -> str:
        return f"size({axis})"

    def call(self, head: str, args: tuple[Tree, ...]) -> Printed:
        if head == "power":
            return self.power(args[0], args[1])
        return f"{head}({', '.join(map(self.show, args))})", Prec.ATOM

    def reduce(self, kind: str, index: tuple[str, ...], body: Tree) -> Printed:
        return f"{kind}[{self.comma.join(map(self.index, index))}]({self.show(body)})", Prec.ATOM


def long_decimal(value: Fraction) -> str | None:
    """The nearest float64 of a rational with a large numerator or denominator, for readers; None for any other rational."""
    if max(value.numerator, value.denominator) <= 10**6 or value.denominator == 1:
        return None
    return repr(value.numerator / value.denominator)


def decimal_of(value: Fraction) -> str | None:
    """The shortest decimal that equals the rational exactly; None if there is no short one."""
    decimal = repr(float(value)) if max(value.numerator, value.denominator) <= LARGEST else ""
    return decimal if decimal and Fraction(decimal) == value else _digits_of(value)


def _digits_of(value: Fraction) -> str | None:
    """The exact decimal of a rational that needs more digits than float64 has, such as a product of decimals; None if long."""
    try:
        exact = _EXACTLY.divide(Decimal(value.numerator), Decimal(value.denominator))
    except Inexact:
        return None
    return str(exact.normalize(_EXACTLY)).lower()


def _whole(value: int) -> str:
    """An integer, as a decimal with an exponent where that is much shorter."""
    decimal = decimal_of(Fraction(value)) if value >= 10**6 else None
    return decimal if decimal is not None and len(decimal) < len(str(value)) else str(value)
