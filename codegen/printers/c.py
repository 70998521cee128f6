"""C's spelling of scalar expressions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from codegen.printers.axes import ADD, ATOM, COMPARE, MUL, NEG
from derive import syntax as st
from derive.errors import OpError

#: The functions of the language: those inlined from templates/native/functions, and those of the C library.
INLINED = ("exp", "log", "tanh", "erf", "erfcx", "sinh", "cosh", "sigmoid")
LIBRARY = {"sin": "sin", "cos": "cos", "atan": "atan", "abs": "fabs", "floor": "floor", "expm1": "expm1", "log1p": "log1p"}
HELPERS = {"finite": "bounded", "sign": "sign", "maximum": "larger", "minimum": "smaller"}
#: Powers that are products.
POWERS = {2: "square", 3: "cube", 4: "fourth"}

Code = tuple[str, int]


class CExpressions:
    """Spells an expression whose reads ``read`` spells; collects the functions and helpers that the source needs.

    ``length`` spells the length of an axis and ``index`` an index as an integer. Numbers and lengths are computed in double
    precision where they meet nothing else, and rounded once.
    """

    def __init__(self, op: str, read: Callable[[st.Read], str], length: Callable[[str], str], index: Callable[[st.Index], str]):
        self.op, self.read, self.length, self.index = op, read, length, index
        self.constants: frozenset[str] = frozenset()
        self.functions: dict[str, None] = {}
        self.helpers: dict[str, None] = {}
        #: The index of the innermost loop, "" outside of it: dividing by what does not have it is multiplying by an inverse.
        self.inner = ""
        #: Whether a quotient is rounded once, at the cost of a division for every element.
        self.accurate = False

    def show(self, tree: st.Tree) -> str:
        """The expression as C source of type ``real``."""
        return self.code(tree)[0]

    def code(self, tree: st.Tree) -> Code:
        if self.is_number(tree) and not isinstance(tree, st.Read):
            return self.number(tree)
        match tree:
            case st.Read(name, ()) if name in self.constants:
                return f"(real){name}", NEG
            case st.Read():
                return self.read(tree), ATOM
            case st.Neg(a):
                return f"-{_unsigned(self.at(a, MUL))}", NEG
            case st.Add(args):
                return self.added(args), ADD
            case st.Mul(args):
                return " * ".join(self.at(a, MUL if k == 0 else MUL + 1) for k, a in enumerate(args)), MUL
            case st.Div(a, b):
                return self.quotient(a, b)
            case st.Pow(a, st.Num(e)):
                return self.power(a, e)
            case st.Call("where", (c, a, b)):
                return f"({self.show(c)} ? {self.show(a)} : {self.show(b)})", ATOM
            case st.Call(head, args):
                return f"{self.function(head)}({', '.join(self.show(a) for a in args)})", ATOM
            case st.Compare(rel, a, b):
                return f"{self.at(a, COMPARE + 1)} {rel} {self.at(b, COMPARE + 1)}", COMPARE
            case st.Indicator(st.Match(a, b) as match):
                return f"(real)({self.index(a)} {match.rel} {self.index(b)})", NEG
            case st.Indicator(cond):
                return f"(real)({self.show(cond)})", NEG
        raise OpError(f"CExpressions cannot print {type(tree).__name__}; add a case to CExpressions.code", op=self.op)

    def at(self, tree: st.Tree, level: int) -> str:
        text, own = self.code(tree)
        return text if own >= level else f"({text})"

    def added(self, args: tuple[st.Tree, ...]) -> str:
        out = ""
        for a in args:
            negative = isinstance(a, st.Neg)
            text = _unsigned(self.at(a.arg if isinstance(a, st.Neg) else a, MUL))
            out += (f" - {text}" if out else f"-{text}") if negative else (f" + {text}" if out else text)
        return out

    def quotient(self, a: st.Tree, b: st.Tree) -> Code:
        if isinstance(b, st.Num) and b.value.numerator & (b.value.numerator - 1):
            return f"{self.at(a, MUL)} / {self.at(b, MUL + 1)}", MUL
        if isinstance(b, st.Num):
            return f"{self.at(a, MUL)} * {self.number(st.Num(1 / b.value))[0]}", MUL
        if self.is_number(b) and not self.accurate:
            return f"{self.at(a, MUL)} * (real)(1 / {self.at_number(b, NEG)})", MUL
        if self.inner in st.free_indices(a) and self.inner not in st.free_indices(b) and not self.accurate:
            return f"{self.at(a, MUL)} * (1 / {self.at(b, NEG)})", MUL
        return f"{self.at(a, MUL)} / {self.at(b, MUL + 1)}", MUL

    def power(self, a: st.Tree, e: Fraction) -> Code:
        if e.denominator == 1 and abs(e) in POWERS:
            self.helpers[POWERS[abs(int(e))]] = None
            whole = f"{POWERS[abs(int(e))]}({self.show(a)})"
        elif abs(e) == 1:
            whole = self.at(a, NEG)
        elif abs(e) == Fraction(1, 2):
            whole = f"sqrt({self.show(a)})"
        else:
            return f"pow({self.show(a)}, {self.number(st.Num(e))[0]})", ATOM
        return (whole, ATOM) if e > 0 else (f"1 / {whole}", MUL)

    def function(self, head: str) -> str:
        if head in INLINED:
            self.functions[head] = None
            return f"real_{head}"
        if head in HELPERS:
            self.helpers[HELPERS[head]] = None
            return HELPERS[head]
        if head not in LIBRARY:
            raise OpError(f"'{head}' has no spelling in C; add it to codegen/printers/c.py", op=self.op)
        return LIBRARY[head]

    # ---- numbers, lengths and constants ------------------------------------------------------------------------------

    def is_number(self, tree: st.Tree) -> bool:
        """Whether an expression reads no tensor."""
        inside = [n for n in st.walk(tree) if isinstance(n, st.Read | st.Match | st.Reduce)]
        return all(isinstance(n, st.Read) and n.name in self.constants for n in inside)

    def number(self, tree: st.Tree) -> Code:
        if isinstance(tree, st.Num) and tree.value.denominator == 1 and abs(tree.value) < 2**31:
            return str(tree.value), ATOM if tree.value >= 0 else NEG
        return f"(real){self.at_number(tree, NEG)}", NEG

    def at_number(self, tree: st.Tree, level: int) -> str:
        text, own = self.in_double(tree)
        return text if own >= level else f"({text})"

    def in_double(self, tree: st.Tree) -> Code:
        match tree:
            case st.Num(v) if v.denominator == 1:
                return str(v.numerator), ATOM if v >= 0 else NEG
            case st.Num(v) if Fraction(repr(v.numerator / v.denominator)) == v:
                return repr(v.numerator / v.denominator), ATOM if v >= 0 else NEG
            case st.Num(v):
                return f"{v.numerator}.0 / {v.denominator}", MUL
            case st.Const("pi"):
                return "3.141592653589793", ATOM
            case st.Size(axis):
                return f"(double){self.length(axis)}", NEG
            case st.Read():
                return self.read(tree), ATOM
            case st.Neg(a):
                return f"-{_unsigned(self.at_number(a, MUL))}", NEG
            case st.Add(args):
                out = ""
                for a in args:
                    text = _unsigned(self.at_number(a.arg if isinstance(a, st.Neg) else a, MUL))
                    sign = "-" if isinstance(a, st.Neg) else "+"
                    out += f" {sign} {text}" if out else (f"-{text}" if sign == "-" else text)
                return out, ADD
            case st.Mul(args):
                return " * ".join(self.at_number(a, MUL if k == 0 else NEG) for k, a in enumerate(args)), MUL
            case st.Div(a, b):
                left = self.at_number(a, MUL)
                return f"{left if not left.isdigit() else left + '.0'} / {self.at_number(b, NEG)}", MUL
            case st.Pow(a, st.Num(e)) if abs(e) == Fraction(1, 2):
                root = f"sqrt({self.at_double(a)})"
                return (root, ATOM) if e > 0 else (f"1 / {root}", MUL)
            case st.Pow(a, e):
                return f"pow({self.at_double(a)}, {self.at_double(e)})", ATOM
            case st.Call("where", (c, a, b)):
                return f"({self.in_double(c)[0]} ? {self.in_double(a)[0]} : {self.in_double(b)[0]})", ATOM
            case st.Compare(rel, a, b):
                return f"{self.at_number(a, ADD)} {rel} {self.at_number(b, ADD)}", COMPARE
            case st.Indicator(c):
                return f"(double)({self.in_double(c)[0]})", NEG
            case st.Call(head, args):
                name = {"abs": "fabs", "maximum": "fmax", "minimum": "fmin"}.get(head, head)
                return f"{name}({', '.join(self.at_double(a) for a in args)})", ATOM
        raise OpError(f"CExpressions cannot print {type(tree).__name__}; add a case to CExpressions.in_double", op=self.op)

    def at_double(self, tree: st.Tree) -> str:
        """An argument of a library function, which the type-generic ones take for a double."""
        text = self.in_double(tree)[0]
        return f"{text}.0" if text.isdigit() else text


def _unsigned(text: str) -> str:
    """The text in brackets if it begins with a minus sign: two of them in a row are another operator in C."""
    return f"({text})" if text.startswith("-") else text
