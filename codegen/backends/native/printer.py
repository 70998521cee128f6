"""C's spelling of scalar expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from codegen.backends.arrays.numerals import known_number
from codegen.backends.arrays.spelling import ADD, COMPARE, MUL, NEG
from codegen.backends.native.library import FUNCTIONS
from codegen.backends.native.needs import Needs
from codegen.backends.native.numbers import LIBRARY, CNumbers, folded, is_bare, literal, out_of_range
from codegen.backends.native.positions import condition as on_positions
from codegen.backends.native.text import CText, signed_sum
from codegen.recognise.selection import selection
from derive import syntax as st
from derive.errors import OpError
from derive.syntax import on_indices

#: The helpers for functions that neither templates/native/functions nor the C library has.
HELPERS = {"finite": "bounded", "sign": "sign", "maximum": "larger", "minimum": "smaller"}
#: Powers that are spelled as products, and the helpers for them.
POWERS = {2: "square", 3: "cube", 4: "fourth"}
#: The range of float32's normal numbers. A divisor whose inverse lies outside of the range stays a divisor.
TINY, HUGE = Fraction(1, 2**126), Fraction(2**127)
#: The largest number of float32.
LARGEST = Fraction(2**128 - 2**104)
#: Integers below this are exact in float32 too.
EXACT = 2**24


@dataclass(frozen=True)
class CExpressions:
    """Spells expressions in C. Functions and helpers that the file must define go to ``needs``.

    ``read`` spells a read, ``length`` the length of an axis, and ``index`` an index as an integer; ``position`` spells it in a
    condition, where a label is one as the caller gave it. ``constants`` are names of
    numbers in double precision: constants of the op, and values that depend on constants only. An expression that reads no
    tensor is computed in double precision and rounded once.

    ``inner`` is the index of the innermost loop, "" outside of loops. The inverse of an ``invertible`` value is finite. A
    division by such a value without the index ``inner`` is spelled as multiplication by its inverse. ``accurate`` asks for
    quotients that are rounded once, at the cost of a division for every element.
    """

    op: str
    read: Callable[[st.Read], str]
    length: Callable[[str], str]
    index: Callable[[st.Index], str]
    position: Callable[[st.Index], str]
    needs: Needs
    constants: frozenset[str]
    invertible: frozenset[str]
    inner: str
    accurate: bool

    @cached_property
    def numbers(self) -> CNumbers:
        """The printer of expressions that read no tensor."""
        return CNumbers(self.op, self.length, self.read, self.needs)

    def show(self, tree: st.Tree) -> str:
        """The expression as C source that can be assigned to a ``real``."""
        return self.code(tree).code

    def code(self, tree: st.Tree) -> CText:
        tree = self.gathered(folded(tree))
        if self.is_number(tree):
            return self.number(tree)
        if isinstance(tree, st.Mul | st.Div) and (wide := self.wide(tree)):
            return CText(f"(real)({wide})", NEG)
        match tree:
            case st.Read():
                return CText(self.read(tree))
            case st.Neg(a):
                return CText(f"-{self.at(a, MUL).unsigned()}", NEG, minus=True)
            case st.Add(args):
                return self.added(args)
            case st.Mul(args) if (choice := selection(args)) is not None:
                return self.code(choice)
            case st.Mul((first, *rest)):
                left = self.at(first, MUL)
                return CText(" * ".join(map(str, [left, *(self.at(a, MUL + 1) for a in rest)])), MUL, left.minus)
            case st.Div(a, b):
                return self.quotient(a, folded(b))
            case st.Pow(a, st.Num(e)):
                return self.power(a, e)
            case st.Call("stop", (a,)):  # C differentiates nothing
                return self.code(a)
            case st.Call("where", (c, a, b)):
                return CText(f"({self.condition(c)} ? {self.chosen(a, b)} : {self.show(b)})")
            case st.Call(head, args):
                return CText(f"{self.function(head)}({', '.join(self.show(a) for a in args)})")
            case st.Indicator(cond):
                return CText(f"(real)({self.condition(cond)})", NEG)
        raise OpError(f"{type(tree).__name__} has no spelling in C; add a case to CExpressions.code", op=self.op)

    def condition(self, tree: st.Tree) -> str:
        match tree:
            case st.Match(a, b):
                return f"{self.index(a)} {tree.rel} {self.index(b)}"
            case st.Compare() if on_indices(tree):
                return on_positions(tree, self.position, self.whole)
            case st.Compare(rel, a, b) if not self.is_number(tree):
                return f"{self.at(a, COMPARE + 1)} {rel} {self.at(b, COMPARE + 1)}"
        return self.numbers.condition(tree)

    def whole(self, tree: st.Tree) -> str:
        """A length or a constant of the op, in a condition on indices."""
        return self.length(tree.axis) if isinstance(tree, st.Size) else self.show(tree)

    def chosen(self, a: st.Tree, b: st.Tree) -> str:
        """The first of two alternatives, cast to ``real`` if both are bare integers."""
        text = self.show(a)
        return f"(real){text}" if is_bare(folded(a)) and is_bare(folded(b)) else text

    def at(self, tree: st.Tree, level: int) -> CText:
        """The expression, in brackets if it binds less strongly than ``level``."""
        return self.code(tree).within(level)

    def gathered(self, tree: st.Tree) -> st.Tree:
        """A product or quotient of tensors with all its numbers multiplied into one in front, unless all are small integers."""
        if not isinstance(tree, st.Mul | st.Div) or self.is_number(tree):
            return tree
        above, below = self.factors(tree)
        over, under = ([t for t in part if self.is_number(t)] for part in (above, below))
        single = len(over) + len(under) < 2 and not any(
            isinstance(t, st.Num) and out_of_range(t.value) for t in (*over, *under)
        )
        if single or all(map(self.exact, (*over, *under))):
            return tree
        number = folded(_quotient(over, under))
        left, right = ([t for t in part if not self.is_number(t)] for part in (above, below))
        if isinstance(number, st.Num) and out_of_range(number.value):
            return _quotient(left, [st.Num(1 / number.value), *right])
        return _quotient([number, *left], right)

    def wide(self, tree: st.Tree) -> str:
        """A product or quotient in double precision, if a number in it is not normal in float32; else "".

        In float32 such a number would be infinite, so that its product with 0 is NaN, or it would lose digits.
        """
        above, below = self.factors(tree)
        over, under = ([t for t in part if self.is_number(t)] for part in (above, below))
        if not any(v and not TINY <= abs(v) <= LARGEST for v in map(known_number, (*over, *under))):
            return ""
        left, right = ([t for t in part if not self.is_number(t)] for part in (above, below))
        first = [self.numbers.double(t, MUL) for t in over] or [CText("1.0")]
        top = " * ".join(map(str, [*first, *(self.at(t, MUL + 1) for t in left)]))
        bottom = [*(self.numbers.double(t, MUL + 1) for t in under), *(self.at(t, MUL + 1) for t in right)]
        return " / ".join(map(str, [top, *bottom]))

    def exact(self, tree: st.Tree) -> bool:
        """Whether a number is exact in float32, or is a length by which an accurate kernel divides."""
        small = isinstance(tree, st.Num) and is_bare(tree) and abs(tree.value) < EXACT
        return small or (self.accurate and isinstance(tree, st.Size))

    def factors(self, tree: st.Tree) -> tuple[list[st.Tree], list[st.Tree]]:
        """The factors of a product or quotient, above and below the line. A minus sign is a factor -1, a number one factor."""
        if self.is_number(tree):
            return [tree], []
        match tree:
            case st.Neg(a):
                above, below = self.factors(a)
                return [st.Num(Fraction(-1)), *above], below
            case st.Mul(args):
                parts = [self.factors(a) for a in args]
                return [t for above, _ in parts for t in above], [t for _, below in parts for t in below]
            case st.Div(a, b):
                (above, below), (under, over) = self.factors(a), self.factors(b)
                return [*above, *over], [*below, *under]
        return [tree], []

    def added(self, args: tuple[st.Tree, ...]) -> CText:
        """The sum, with the numbers in front added into one term."""
        count = next((k for k, a in enumerate(args) if not self.is_number(a)), len(args))
        terms = (st.Add(args[:count]), *args[count:]) if count > 1 else args
        texts = [(self.at(a.arg, MUL), True) if isinstance(a, st.Neg) else (self.at(a, MUL), False) for a in terms]
        return CText(signed_sum(texts), ADD, texts[0][1])

    def quotient(self, a: st.Tree, b: st.Tree) -> CText:
        if isinstance(b, st.Num):
            exact = b.value.numerator & (b.value.numerator - 1) == 0 and b.value and TINY <= abs(1 / b.value) <= HUGE
            return self.multiplied(a, str(self.number(st.Num(1 / b.value)))) if exact else self.divided(a, b)
        if self.is_number(b) and not self.accurate:
            return self.multiplied(a, f"(real)(1 / {self.numbers.at(b, NEG)})")
        invertible = isinstance(b, st.Read) and b.name in self.invertible and self.inner not in st.free_indices(b)
        if invertible and self.inner in st.free_indices(a) and not self.accurate:
            return self.multiplied(a, f"(1 / {self.at(b, NEG)})")
        return self.divided(a, b)

    def multiplied(self, a: st.Tree, by: str) -> CText:
        left = self.at(a, MUL)
        return CText(f"{left} * {by}", MUL, left.minus)

    def divided(self, a: st.Tree, b: st.Tree) -> CText:
        top = self.at(a, MUL)
        return CText(f"{top} / {self.at(b, MUL + 1)}", MUL, top.minus)

    def power(self, a: st.Tree, e: Fraction) -> CText:
        if e.denominator == 1 and abs(e) in POWERS:
            self.needs.helpers.add(POWERS[abs(int(e))])
            whole = CText(f"{POWERS[abs(int(e))]}({self.show(a)})")
        elif abs(e) == 1:
            whole = self.at(a, NEG)
        elif abs(e) == Fraction(1, 2):
            whole = CText(f"sqrt({self.show(a)})")
        else:
            return CText(f"pow({self.show(a)}, (real){self.numbers.at(st.Num(e), NEG)})")
        return whole if e > 0 else CText(f"1 / {whole}", MUL)

    def function(self, head: str) -> str:
        if head in FUNCTIONS:
            self.needs.functions.add(head)
            return f"real_{head}"
        if head in HELPERS:
            self.needs.helpers.add(HELPERS[head])
            return HELPERS[head]
        if head not in LIBRARY:
            raise OpError(f"'{head}' has no spelling in C; add it to codegen/backends/native/printer.py", op=self.op)
        return LIBRARY[head]

    # ---- numbers, lengths and constants ------------------------------------------------------------------------------

    def is_number(self, tree: st.Tree) -> bool:
        """Whether an expression reads no tensor."""
        inside = [n for n in st.walk(tree) if isinstance(n, st.Read | st.Position | st.Match | st.Reduce)]
        return all(isinstance(n, st.Read) and n.name in self.constants for n in inside)

    def number(self, tree: st.Tree) -> CText:
        """A number as a ``real``. A small integer is not cast, since beside a ``real`` C converts it."""
        tree = folded(tree)
        if is_bare(tree) and isinstance(tree, st.Num):
            return literal(tree.value)
        return CText(f"(real){self.numbers.at(tree, NEG)}", NEG)


def _quotient(above: list[st.Tree], below: list[st.Tree]) -> st.Tree:
    top, bottom = (st.product(tuple(part)) for part in (above, below))
    return st.Div(top, bottom) if below else top
