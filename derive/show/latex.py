"""Expressions as mathematics in LaTeX with amsmath."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from derive.functions.records import RECORDS
from derive.functions.words import LINEAR, PLACES
from derive.language.printer import Prec, Printed, Printer, decimal_of, long_decimal, split_sign
from derive.syntax import Add, Call, Compare, Div, Index, Lookup, Match, Mul, Neg, Num, Pow, Reduce, Tree, axis_of, primal_name
from derive.visible import escaped, visible

__all__ = ["MARKS", "LatexPrinter", "equation_lines", "escape", "latex", "left_side", "product_factors", "width"]

_GREEK = frozenset(
    "alpha beta gamma delta zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split()
)
_SYMBOLS = {**{g: f"\\{g}" for g in _GREEK}, "eps": r"\varepsilon", "epsilon": r"\varepsilon", "lam": r"\lambda"}
_ACCENTS = {"hat": r"\hat", "bar": r"\bar", "tilde": r"\tilde", "_dot": r"\dot"}
#: The functions whose powers are typeset as in sin^2(x).
_FUNCTIONS = tuple(f.name for f in RECORDS.values() if f.powers)
#: The brackets of functions that are written as brackets.
_STEPS = {
    "floor": (r"\lfloor ", r" \rfloor"),
    "ceil": (r"\lceil ", r" \rceil"),
    "round": (r"\lfloor ", r" \rceil"),
}
_OPERATORS = {f.name: f.latex for f in RECORDS.values() if f.latex} | {"maximum": r"\max", "minimum": r"\min"}
_TALL = ("\\frac", "\\sum", "\\prod", "\\sqrt", "\\begin", "\\left", "\\max_", "\\min_", "^")
#: Commands that a document may define to mark a part of a formula. Their names count nothing in a formula's width.
MARKS = (r"\new", r"\old")
#: The characters that pdflatex typesets with its own fonts, among them accented letters, dashes and quotation marks.
_SET = re.compile(r"[ -~¡£§©®°±¶·¿À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýÿĀ-ďĒ-ĥĨ-ķĹ-ňŌ-ťŨ-ſ–—‘’“”…]")
#: Arguments of exp up to this width, in letters, are typeset as exponents of e.
_SHORT = 12.0


def latex(tree: Tree, *, adjoints: frozenset[str] = frozenset()) -> str:
    """The expression as LaTeX mathematics without delimiters. Names in ``adjoints`` are typeset as d of another name."""
    return LatexPrinter(adjoints).show(tree)


def left_side(name: str, index: tuple[Index, ...], *, adjoints: frozenset[str] = frozenset()) -> str:
    """The left side of an equation as LaTeX mathematics."""
    return LatexPrinter(adjoints).read(name, index)[0]


def equation_lines(tree: Tree, limit: float, *, adjoints: frozenset[str] = frozenset()) -> list[str]:
    """The expression in lines of at most ``limit`` letters' width, broken before + and -.

    A line that has no sum cannot be broken, and may be wider.
    """
    return LatexPrinter(adjoints).lines(tree, limit)


def escape(text: str) -> str:
    """Plain text for LaTeX's text mode, on one line. Characters that pdflatex's own fonts lack are spelled out."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    shown = "".join(c if _SET.match(c) else escaped(c) for c in visible(re.sub(r"\s*\n\s*", " ", text)))
    return re.sub(r"[\\~^#$%&_{}]", lambda m: special.get(m[0], "\\" + m[0]), shown)


class LatexPrinter(Printer):
    """Spells trees in LaTeX. A subclass may mark parts of a formula with ``MARKS``.

    ``adjoints`` are typeset as d of another name. Names that the engine ``made`` are typeset in typewriter, as they are
    spelled: a ``t3`` of the engine is no third ``t``.
    """

    times = r" \, "
    relations = {"==": "=", "!=": r"\ne", ">=": r"\ge", "<=": r"\le"}

    def __init__(self, adjoints: frozenset[str], made: frozenset[str] = frozenset()):
        self.adjoints, self.made = adjoints, made

    # ---- names and indices --------------------------------------------------------------------------------------------

    def name(self, name: str) -> str:
        if name in self.adjoints and (primal := primal_name(name)):
            sign, rest = _differential(primal)
            return sign + self.name(rest)
        base, primes = axis_of(name), len(name) - len(axis_of(name))
        return self.symbol(base) + "'" * primes

    def symbol(self, name: str) -> str:
        """A name without indices: a Greek letter, a letter with an accent, a letter with a number, or an upright word."""
        if name in self.made:
            return rf"\mathtt{{{escape(name)}}}"
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        if len(name) == 1:
            return name
        for suffix, accent in _ACCENTS.items():
            base = name.removesuffix(suffix)
            if base != name and (len(base) == 1 or base in _SYMBOLS):
                return f"{accent}{{{self.symbol(base)}}}"
        if numbered := _numbered(name):
            return f"{numbered[0]}_{{{numbered[1]}}}"
        return rf"\mathrm{{{escape(name)}}}"

    def constant(self, name: str) -> str:
        return self.symbol(name)

    def index(self, index: Index) -> str:
        if isinstance(index, Lookup):
            return self.read(index.name, index.index)[0]
        axis = index.removeprefix("size(").removesuffix(")")  # the slot of a first value is ``-1`` or ``size(t)``
        return self.size(axis) if axis != index else index if index == "-1" else self.name(index)

    def element(self, name: str, slots: Sequence[str]) -> Printed:
        if not slots:
            return self.name(name), Prec.POWER if name in self.adjoints else Prec.ATOM
        below = f"_{{{','.join(slots)}}}"
        if name in self.adjoints and (primal := primal_name(name)):
            sign, rest = _differential(primal)
            return sign + self.element(rest, slots)[0], Prec.POWER
        if name not in self.made and (numbered := _numbered(name)):
            # The subscript has the indices, so that the number of a name such as W1 becomes a superscript: W^{(1)}_{k,d}.
            return f"{numbered[0]}^{{({numbered[1]})}}{below}", Prec.POWER
        return self.name(name) + below, Prec.ATOM

    def size(self, axis: str) -> str:
        return f"N_{{{self.name(axis_of(axis))}}}"

    # ---- operators ----------------------------------------------------------------------------------------------------

    def parens(self, inner: str, opening: str = "(", closing: str = ")") -> str:
        if any(t in inner for t in _TALL):
            return rf"\left{opening} {inner} \right{closing}"
        return f"{opening}{inner}{closing}"

    def number(self, value: Fraction) -> Printed:
        decimal = long_decimal(value) or (decimal_of(value) if value.denominator > 9 or value >= 10**6 else None)
        if decimal is not None and (scientific := re.fullmatch(r"([\d.]+)e([+-]\d+)", decimal)):
            power = f"10^{{{int(scientific[2])}}}"
            return (power if scientific[1] == "1" else rf"{scientific[1]} \cdot {power}"), Prec.PRODUCT
        if decimal is not None:
            return decimal.removesuffix(".0"), Prec.ATOM
        printed, prec = super().number(value)
        if prec is Prec.PRODUCT:
            return rf"\frac{{{value.numerator}}}{{{value.denominator}}}", Prec.POWER
        return printed.removesuffix(".0"), prec

    def multiply(self, args: tuple[Tree, ...]) -> Printed:
        factors = product_factors(args)
        if len(factors) < 2:
            return self.render(factors[0]) if factors else self.number(Fraction(1))
        return self.join([self.factor(f, last=i == len(factors) - 1) for i, f in enumerate(factors)]), Prec.PRODUCT

    def factor(self, node: Tree, *, last: bool) -> str:
        """A factor of a product. A sum gets parentheses unless it is the last factor: its sign governs all that follows."""
        return self.at(node, Prec.PRODUCT if last and isinstance(node, Reduce) else Prec.POWER)

    def join(self, factors: list[str]) -> str:
        out = factors[0]
        for f in factors[1:]:
            out += self.between(out, f) + f
        return out

    def between(self, left: str, right: str) -> str:
        """The separator of two factors: a dot where digits would run together."""
        digits = right[0].isdigit() or (right.startswith(r"\frac{") and left[-1:].isdigit())
        return r" \cdot " if digits else self.times

    def divide(self, num: Tree, den: Tree) -> Printed:
        return rf"\frac{{{self.show(num)}}}{{{self.show(den)}}}", Prec.POWER

    def power(self, base: Tree, exp: Tree) -> Printed:
        value = exp.value if isinstance(exp, Num) else None
        if value is not None and value < 0:
            return rf"\frac{{1}}{{{self.show(Pow(base, Num(-value))) if value != -1 else self.show(base)}}}", Prec.POWER
        if value is not None and value.numerator == 1 and 1 < value.denominator < 5:
            root = "" if value.denominator == 2 else f"[{value.denominator}]"
            return rf"\sqrt{root}{{{self.show(base)}}}", Prec.POWER
        if isinstance(base, Call) and base.head in _FUNCTIONS and value is not None and value.denominator == 1:
            return f"\\{base.head}^{{{value}}}{self.parens(', '.join(map(self.show, base.args)))}", Prec.POWER
        shown = f"{value.numerator}/{value.denominator}" if value is not None and value.denominator > 1 else self.show(exp)
        return f"{self.at(base, Prec.ATOM)}^{{{shown}}}", Prec.POWER

    def call(self, head: str, args: tuple[Tree, ...]) -> Printed:
        if head == "power":
            return self.power(args[0], args[1])
        shown = [self.show(a) for a in args]
        if head == "where":
            cond, yes, no = shown
            cases = rf"{yes} & \text{{if }} {cond} \\ {no} & \text{{otherwise}}"
            return rf"\begin{{cases}} {cases} \end{{cases}}", Prec.CONDITION
        if head == "exp":
            if width(shown[0]) <= _SHORT and not any(t in shown[0] for t in _TALL):
                return f"e^{{{shown[0]}}}", Prec.POWER
            return rf"\exp{self.parens(shown[0])}", Prec.POWER
        if head == "abs":
            return self.parens(shown[0], "|", "|"), Prec.ATOM
        if head in _STEPS:
            return self.parens(shown[0], *_STEPS[head]), Prec.ATOM
        operator = _OPERATORS.get(head, rf"\operatorname{{{escape(head)}}}")
        return operator + self.parens(", ".join(shown)), Prec.POWER

    def reduce(self, kind: str, index: tuple[str, ...], body: Tree) -> Printed:
        return f"{self.reduction(kind, index)} {self.at(body, _body_prec(kind))}", Prec.PRODUCT

    def reduction(self, kind: str, index: tuple[str, ...]) -> str:
        under = ",".join(map(self.index, index))
        if kind in PLACES:
            return rf"\operatorname{{{kind}}}_{{{under}}}"
        if kind not in LINEAR:
            return rf"\{kind}_{{{under}}}"
        over = r" \, ".join(map(self.size, index))
        return (rf"\frac{{1}}{{{over}}} " if kind == "mean" else "") + rf"\sum_{{{under}}}"

    def indicator(self, cond: Compare | Match) -> Printed:
        return self.parens(rf"\,{self.show(cond)}\,", "[", "]"), Prec.ATOM

    # ---- lines --------------------------------------------------------------------------------------------------------

    def lines(self, tree: Tree, limit: float) -> list[str]:
        """The expression in lines of at most ``limit`` letters' width, as far as it can be broken."""
        lines: list[str] = []
        for piece in self.pieces(tree, limit):
            if lines and width(lines[-1] + piece) <= limit:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
        return lines

    def pieces(self, node: Tree, limit: float) -> list[str]:
        """The expression in parts that may each begin a line. All but the first begin with a sign."""
        whole = self.show(node)
        if width(whole) <= limit:
            return [whole]
        negative, core = split_sign(node)
        if negative:
            return _prefixed("-", self.bracketed(core, limit) if isinstance(core, Add) else self.pieces(core, limit))
        match node:
            case Add(args) if len(args) > 1:
                parts = self.pieces(args[0], limit)
                for arg in args[1:]:
                    negative, core = split_sign(arg)
                    sign = "- " if negative else "+ "
                    parts += _prefixed(sign, self.bracketed(core, limit) if isinstance(core, Add) else self.pieces(core, limit))
                return parts
            case Mul(args):
                return self.product_pieces(product_factors(args), limit) or [whole]
            case Reduce(kind, index, body):
                simple = _body_prec(kind) is Prec.PRODUCT and not isinstance(body, (Add, Neg))
                inner = self.pieces(body, limit) if simple else self.bracketed(body, limit)
                return _prefixed(self.reduction(kind, index) + " ", inner) if len(inner) > 1 else [whole]
            case Div(num, den) if width(self.show(num)) > width(self.show(den)):
                inner = self.bracketed(num, limit)
                return _prefixed(rf"\frac{{1}}{{{self.show(den)}}} ", inner) if len(inner) > 1 else [whole]
        return [whole]

    def product_pieces(self, factors: tuple[Tree, ...], limit: float) -> list[str]:
        """A product, broken inside the widest factor that can be broken: a sum in parentheses, or a last reduction."""
        last = len(factors) - 1
        shown = [self.factor(f, last=i == last) for i, f in enumerate(factors)]
        breakable = [i for i, f in enumerate(factors) if isinstance(f, Add) or (i == last and isinstance(f, (Reduce, Div)))]
        if not breakable:
            return []
        at = max(breakable, key=lambda i: width(shown[i]))
        before, after = shown[:at], shown[at + 1 :]
        inner = self.bracketed(factors[at], limit) if isinstance(factors[at], Add) else self.pieces(factors[at], limit)
        if before:
            inner = _prefixed(self.join(before) + self.times, inner)
        if after:
            inner[-1] += self.times + self.join(after)
        return inner

    def bracketed(self, node: Tree, limit: float) -> list[str]:
        """The parts of an expression in parentheses. Parts may stand on different lines, where \\left has no \\right."""
        parts = self.pieces(node, limit)
        if len(parts) == 1:
            return [self.parens(parts[0])]
        size = "bigg" if any(t in p for p in parts for t in _TALL[:-1]) else "big"
        parts[0] = rf"\{size}l( {parts[0]}"
        parts[-1] += rf" \{size}r)"
        return parts


def product_factors(args: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """The factors of a product, with nested products flattened: juxtaposed factors need no parentheses."""
    return tuple(f for a in args for f in (product_factors(a.args) if isinstance(a, Mul) else (a,)))


def _differential(primal: str) -> tuple[str, str]:
    """The sign of an adjoint, and the name below it: ``d2x`` is what reaches ``x`` in a double backward."""
    return (r"\mathrm{d}^{2}", primal[1:]) if primal[1:] and primal[0] == "2" else (r"\mathrm{d}", primal)


def _numbered(name: str) -> tuple[str, str] | None:
    """The letter and the number of a name such as ``W1`` or ``alpha2``; None for any other name."""
    parts = re.fullmatch(r"([A-Za-z]+?)(\d+)", name)
    if parts is None or not (len(parts[1]) == 1 or parts[1] in _SYMBOLS):
        return None
    return _SYMBOLS.get(parts[1], parts[1]), parts[2]


def _body_prec(kind: str) -> Prec:
    return Prec.PRODUCT if kind in LINEAR else Prec.POWER


def _prefixed(prefix: str, parts: list[str]) -> list[str]:
    return [prefix + parts[0], *parts[1:]]


_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.")
_WIDTHS = {r"\,": 0.3, r"\\": 0.0, r"\cdot": 1.2, r"\left": 0.4, r"\right": 0.4, r"\sqrt": 1.2, "e": 1.0, r"\arctan": 6.0}
_WORDS = frozenset((r"\sum", r"\prod", r"\max", r"\min", *(_OPERATORS[h] for h in _FUNCTIONS)))
_NOTHING = frozenset(
    r"\mathrm \mathtt \operatorname \text \hat \bar \tilde \begin \end \bigl \bigr \biggl \biggr & [ ]".split()
).union(MARKS)


def width(source: str) -> float:
    """The approximate width of typeset mathematics, in letters. A fraction has the width of its wider part."""
    tokens = [t for t in _TOKEN.findall(source) if not t.isspace()]
    return _width(tokens, 0)[0]


def _width(tokens: list[str], at: int, *, one: bool = False) -> tuple[float, int]:
    """The width of the tokens from ``at`` to the end of the group, and the position of that end.

    With ``one``, only the next token or group is measured.
    """
    total = 0.0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token == "}":
            break
        if token == "{":
            inner, at = _width(tokens, at)
            total += inner
        elif token == r"\frac":
            num, at = _width(tokens, at, one=True)
            den, at = _width(tokens, at, one=True)
            total += max(num, den) + 0.5
        elif token in ("_", "^"):
            small, at = _width(tokens, at, one=True)
            total += 0.7 * small
        elif token in ("+", "-", "=", "<", ">", r"\le", r"\ge", r"\ne"):
            total += 2.2
        elif token in _WORDS:
            total += 2.5 if token in (r"\sum", r"\prod") else len(token) - 0.5
        elif token not in _NOTHING:
            total += _WIDTHS.get(token, 1.0)
        if one:
            break
    return total, at
