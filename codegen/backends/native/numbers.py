"""C's spelling of numbers: expressions that read no tensor, computed in double precision and rounded once.

A rational number is computed here, exactly, and spelled as the double nearest to it. An expression with a length, a constant of
the op or a function is spelled as an expression of doubles. In it a bare integer stands only beside a double, so that C never
divides, adds or multiplies two integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from codegen.backends.arrays.spelling import ADD, ATOM, COMPARE, MUL, NEG
from codegen.backends.native.library import DOUBLES
from codegen.backends.native.needs import Needs
from codegen.backends.native.text import CText, signed_sum
from codegen.evaluate.arithmetic import nearest
from derive import syntax as st
from derive.errors import OpError
from derive.language.literals import constant_value

#: Functions of a double that the C library has. Others are in ``DOUBLES``.
LIBRARY = {h: h for h in ("exp", "log", "tanh", "sinh", "cosh", "sin", "cos", "atan", "erf", "floor", "expm1", "log1p")}
LIBRARY |= {"abs": "fabs", "ceil": "ceil", "round": "rint", "power": "pow"}
#: The bounds below which an integer is a double exactly, and fits into C's ``int``.
EXACT, SMALL = 2**53, 2**31


def folded(tree: st.Tree) -> st.Tree:
    """A rational number in place of an expression whose value is one."""
    value = None if isinstance(tree, st.Num) else constant_value(tree)
    return tree if value is None else st.Num(value)


def is_bare(tree: st.Tree) -> bool:
    """Whether a number is spelled as an integer of C."""
    return isinstance(tree, st.Num) and tree.value.denominator == 1 and abs(tree.value) < SMALL


def out_of_range(value: Fraction) -> bool:
    """Whether a number is beyond the range of doubles, but its inverse is not."""
    return value != 0 and math.isinf(nearest(value)) and bool(nearest(1 / value))


def literal(value: Fraction) -> CText:
    """A rational number as a correctly rounded double literal, or as an integer literal if it fits into an ``int``."""
    minus = value < 0
    level = NEG if minus else ATOM
    if value.denominator == 1 and abs(value) < SMALL:
        return CText(str(value.numerator), level, minus)
    number = nearest(value)
    if math.isinf(number):
        return CText("-INFINITY" if minus else "INFINITY", level, minus)
    if Fraction(repr(number)) != value and abs(value.numerator) < EXACT and value.denominator < SMALL:
        return CText(f"{value.numerator}.0 / {value.denominator}", MUL, minus)
    return CText(repr(number), level, minus)


@dataclass(frozen=True)
class CNumbers:
    """Spells expressions of numbers, lengths of axes and constants of the op.

    ``length`` spells the length of an axis, and ``constant`` a constant. Functions that the file must define go to ``needs``.
    """

    op: str
    length: Callable[[str], str]
    constant: Callable[[st.Read], str]
    needs: Needs

    def at(self, tree: st.Tree, level: int) -> CText:
        """The expression, in brackets if it binds less strongly than ``level``."""
        return self.code(tree).within(level)

    def double(self, tree: st.Tree, level: int = 0) -> CText:
        """The expression as :meth:`at` has it, but always of type double, where no other operand makes it one."""
        tree = folded(tree)
        text = self.at(tree, NEG if is_bare(tree) else level)
        return CText(f"{text}.0", text.level, text.minus) if is_bare(tree) else text

    def code(self, tree: st.Tree) -> CText:
        """The expression: a double, or a bare integer."""
        match folded(tree):
            case st.Num(v):
                return literal(v)
            case st.Const("pi"):
                return CText("3.141592653589793")
            case st.Const("inf"):
                return CText("INFINITY")
            case st.Size(axis):
                return CText(f"(double){self.length(axis)}", NEG)
            case st.Read() as read:
                return CText(self.constant(read))
            case st.Neg(a):
                return CText(f"-{self.at(a, MUL).unsigned()}", NEG, minus=True)
            case st.Add(args):
                return self.added(args)
            case st.Mul(args):
                return self.multiplied(args)
            case st.Div(a, b):
                top = self.double(a, MUL)
                return CText(f"{top} / {self.at(b, NEG)}", MUL, top.minus)
            case st.Pow(a, e):
                return self.power(a, e)
            case st.Call("stop", (a,)):  # C differentiates nothing
                return self.code(a)
            case st.Call("where", (c, a, b)):
                return CText(f"({self.condition(c)} ? {self.double(a)} : {self.at(b, 0)})")
            case st.Indicator(c):
                return CText(f"(double)({self.condition(c)})", NEG)
            case st.Call(head, args):
                return CText(f"{self.function(head)}({', '.join(str(self.double(a)) for a in args)})")
        raise OpError(f"{type(tree).__name__} has no spelling in C as a number; add a case to CNumbers.code", op=self.op)

    def added(self, args: tuple[st.Tree, ...]) -> CText:
        terms = [_signed(a) for a in args]
        # The first two terms are added first, so one of them has to be a double.
        bare = is_bare(terms[0][0]) and is_bare(terms[1][0])
        texts = [(self.double(a, MUL) if k == 0 and bare else self.at(a, MUL), minus) for k, (a, minus) in enumerate(terms)]
        return CText(signed_sum(texts), ADD, terms[0][1])

    def multiplied(self, args: tuple[st.Tree, ...]) -> CText:
        first, *rest = map(folded, args)
        left = self.double(first, MUL) if is_bare(first) and is_bare(rest[0]) else self.at(first, MUL)
        return CText(" * ".join(map(str, [left, *(self.at(a, NEG) for a in rest)])), MUL, left.minus)

    def power(self, a: st.Tree, e: st.Tree) -> CText:
        e = folded(e)
        if isinstance(e, st.Num) and abs(e.value) == Fraction(1, 2):
            root = f"sqrt({self.double(a)})"
            return CText(root) if e.value > 0 else CText(f"1 / {root}", MUL)
        return CText(f"pow({self.double(a)}, {self.double(e)})")

    def condition(self, tree: st.Tree) -> str:
        match tree:
            case st.Compare(rel, a, b):
                return f"{self.double(a, COMPARE + 1)} {rel} {self.double(b, COMPARE + 1)}"
        raise OpError(f"{type(tree).__name__} has no spelling in C as a condition of numbers", op=self.op)

    def function(self, head: str) -> str:
        if head in DOUBLES:
            self.needs.doubles.add(head)
            return f"double_{head}"
        if head not in LIBRARY:
            raise OpError(f"'{head}' has no spelling in C; add it to codegen/backends/native/numbers.py", op=self.op)
        return LIBRARY[head]


def _signed(tree: st.Tree) -> tuple[st.Tree, bool]:
    """A term without its minus sign, and whether it has one."""
    tree = folded(tree)
    match tree:
        case st.Neg(a):
            return folded(a), True
        case st.Num(v) if v < 0:
            return st.Num(-v), True
    return tree, False
