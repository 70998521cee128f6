"""SymPy expressions in and out of the language's trees.

In: ``Indexed``, ``Sum`` over ``Idx`` or symbols, elementwise functions, ``Max``, ``Min``, ``Piecewise``,
``KroneckerDelta``, and ``Function("max_n")(x[n])`` for the maximum over an axis.
Out: the same, for printing and for comparing formulas as expressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import sympy
from sympy import Idx, Indexed, IndexedBase, KroneckerDelta, Piecewise, Sum
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from derive.errors import OpError
from derive.syntax import (
    Add,
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
    Op,
    Pow,
    Read,
    Reduce,
    Size,
    Tree,
)


class erfcx(sympy.Function):
    """``exp(u**2)*erfc(u)``, the scaled complementary error function, which SymPy does not have. Positive for real ``u``.

    Source: DLMF 7.2; its derivative is ``2*u*erfcx(u) - 2/sqrt(pi)``.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        (u,) = self.args
        return 2 * u * erfcx(u) - 2 / sympy.sqrt(sympy.pi)

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_extended_real else None

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real


class finite(sympy.Function):
    """The identity on the real numbers; 0 in the place of an infinity, which only floating point has.

    A shift by it keeps differences defined: ``-inf - finite(-inf)`` is ``-inf``.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.Integer(1)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real


#: What SymPy has under no name of its own.
_FUNCTIONS = {"erfcx": erfcx, "finite": finite, "expm1": expm1, "log1p": log1p}
_HEADS = {"Abs": "abs", "Max": "maximum", "Min": "minimum"}
_RELATION_CLASSES = {">": sympy.Gt, ">=": sympy.Ge, "<": sympy.Lt, "<=": sympy.Le, "==": sympy.Eq, "!=": sympy.Ne}


def op_from_sympy(
    name: str,
    inputs: Sequence[Indexed | sympy.Symbol],
    equations: Sequence[sympy.Eq],
    *,
    outputs: Sequence[str] | None = None,
    constants: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    assumptions: Sequence[Relational] = (),
) -> Op:
    """An op from SymPy equations ``Eq(y[i], ...)``.

    ``outputs`` names the outputs (the last equation by default), ``constants`` gives each constant's default as text,
    and ``labels`` the axis that each integer input indexes. Inputs and constants that SymPy knows to be positive are
    assumed so. The length of an axis, as in ``Sum(x[n], (n, 0, N - 1))/N``, is ``size(n)``.

    The equations are written in the language and parsed, so they pass the same checks; the line and column of an
    OpError are those of that text, which the op keeps.
    """
    # Imported here: the parser asks derive.functions.table for the functions, and those ask this module for derivatives.
    from derive.language.parse import parse
    from derive.language.unicode import language

    lengths = _lengths(equations)
    made: list[tuple[Read, str]] = []
    for equation in equations:
        left = _reading(equation.lhs, name)
        made.append((left, f"{language(left)} = {language(from_sympy(equation.rhs.xreplace(lengths)))}"))
    if not made:
        raise OpError("expected at least one equation", op=name)
    wanted = list(outputs or [made[-1][0].name])
    left_sides = {left.name: language(left) for left, _ in made}
    if missing := [w for w in wanted if w not in left_sides]:
        raise OpError(f"the output '{missing[0]}' is never assigned", op=name)
    tensors = [_reading(given, name) for given in inputs]
    arguments = [language(t) for t in tensors] + [f"{k}={v}" for k, v in (constants or {}).items()]
    lines = [f"{', '.join(left_sides[w] for w in wanted)} = {name}({', '.join(arguments)})", ""]
    lines += [f"{language(t)} in {labels[t.name]}" for t in tensors if labels and t.name in labels]
    lines += [f"{k} > 0" for k in _positive(inputs, equations, constants or {})]
    lines += [f"{a.lhs} {a.rel_op} {a.rhs}" for a in assumptions]
    return parse("\n".join(lines + [text for _, text in made]))


def _reading(given: sympy.Basic, op: str) -> Read:
    tree = from_sympy(given)
    if not isinstance(tree, Read):
        raise OpError(f"'{given}' is not a tensor with its indices", op=op)
    return tree


def _lengths(equations: Sequence[sympy.Eq]) -> dict[sympy.Basic, sympy.Symbol]:
    """The symbols that stand for the length of an axis, told by the ranges of sums and indices."""
    found: dict[sympy.Basic, sympy.Symbol] = {}
    for equation in equations:
        for total in equation.atoms(Sum):
            for index, *limits in total.limits:
                if len(limits) == 2:
                    found[_length(limits[0], limits[1])] = size_symbol(str(_index(index)))
        for index in equation.atoms(Idx):
            if index.upper is not None:
                found[_length(index.lower, index.upper)] = size_symbol(str(index.label))
    return {length: symbol for length, symbol in found.items() if isinstance(length, sympy.Symbol)}


def _length(lower: sympy.Expr, upper: sympy.Expr) -> sympy.Expr:
    return upper - lower + 1


def _positive(inputs: Sequence[Indexed | sympy.Symbol], equations: Sequence[sympy.Eq], constants: dict[str, str]) -> list[str]:
    known = [str(given.base.label) if isinstance(given, Indexed) else given.name for given in inputs if given.is_positive]
    symbols = {s for e in equations for s in e.atoms(sympy.Symbol)}
    return known + [c for c in constants if any(s.name == c and s.is_positive for s in symbols)]


def from_sympy(expr: sympy.Basic) -> Tree:
    """The tree of a SymPy expression (OpError where the language has no such node)."""
    match expr:
        case sympy.Rational():
            return Num(Fraction(int(expr.p), int(expr.q)))
        case sympy.Float():
            return Num(Fraction(str(expr)))
        case Indexed():
            return Read(str(expr.base.label), tuple(_index(i) for i in expr.indices))
        case sympy.Add():
            return Add(tuple(from_sympy(a) for a in expr.as_ordered_terms()))
        case sympy.Mul():
            return _product(expr)
        case sympy.Pow() if expr.exp.is_Rational:
            return Pow(from_sympy(expr.base), from_sympy(expr.exp))
        case sympy.Pow():
            return Call("exp", (from_sympy(expr.exp * sympy.log(expr.base)),))
        case Sum():
            return _reduction(expr)
        case Piecewise():
            return _piecewise(expr)
        case KroneckerDelta():
            return Indicator(Match(_index(expr.args[0]), _index(expr.args[1])))
        case Relational():
            return Compare(expr.rel_op, from_sympy(expr.lhs), from_sympy(expr.rhs))
        case sympy.Symbol():
            axis = expr.name.removeprefix("N_")
            return Size(axis) if expr == size_symbol(axis) else Read(expr.name)
    if expr is sympy.pi:
        return Const("pi")
    if expr is sympy.E:
        return Call("exp", (Num(Fraction(1)),))
    if isinstance(expr, (sympy.Max, sympy.Min)):
        head, args = _HEADS[type(expr).__name__], [from_sympy(a) for a in expr.args]
        tree = args[0]
        for a in args[1:]:
            tree = Call(head, (tree, a))
        return tree
    if isinstance(expr, AppliedUndef) and len(expr.args) == 1 and type(expr).__name__.startswith(("max_", "min_")):
        kind, *axes = type(expr).__name__.split("_")
        return Reduce(kind, tuple(axes), from_sympy(expr.args[0]))
    if isinstance(expr, sympy.Function) and len(expr.args) == 1:
        head = _HEADS.get(type(expr).__name__, type(expr).__name__)
        return Call(head, (from_sympy(expr.args[0]),))
    raise OpError(f"SymPy's {type(expr).__name__} has no counterpart in the language: {expr}", op="sympy")


def _index(expr: sympy.Basic) -> Index:
    if isinstance(expr, Indexed):
        return Lookup(str(expr.base.label), tuple(_index(i) for i in expr.indices))
    if isinstance(expr, (Idx, sympy.Symbol)):
        return str(expr.label if isinstance(expr, Idx) else expr)
    raise OpError(f"'{expr}' is not an index", op="sympy")


def _product(expr: sympy.Mul) -> Tree:
    num, den = sympy.fraction(expr, exact=True)
    sign = num.could_extract_minus_sign()
    num = -num if sign else num
    factors = [from_sympy(a) for a in num.as_ordered_factors()]
    tree: Tree = factors[0] if len(factors) == 1 else Mul(tuple(factors))
    if den != 1:
        tree = Div(tree, from_sympy(den))
    return Neg(tree) if sign else tree


def _reduction(expr: Sum) -> Tree:
    index = []
    for limit in expr.limits:
        i = _index(limit[0])
        if not isinstance(i, str) or (len(limit) == 3 and not isinstance(_length(limit[1], limit[2]), sympy.Symbol)):
            raise OpError(f"a Sum runs over a whole axis, from 0 to its length minus 1: {expr}", op="sympy")
        index.append(i)
    return Reduce("sum", tuple(index), from_sympy(expr.function))


def _piecewise(expr: Piecewise) -> Tree:
    *cases, last = expr.args
    if last[1] != sympy.true:
        raise OpError(f"a Piecewise must end in (value, True): {expr}", op="sympy")
    tree = from_sympy(last[0])
    for value, condition in reversed(cases):
        tree = Call("where", (from_sympy(condition), from_sympy(value), tree))
    return tree


def to_sympy(tree: Tree) -> sympy.Expr:
    """The SymPy expression of a tree; a mean is a sum over its sizes, ``size(n)`` the symbol ``N_n``."""
    match tree:
        case Num(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Const("pi"):
            return sympy.pi
        case Size(axis):
            return size_symbol(axis)
        case Read(name, ()):
            return sympy.Symbol(name, real=True)
        case Read(name, index):
            return IndexedBase(name, real=True)[tuple(_to_index(i) for i in index)]
        case Neg(a):
            return -to_sympy(a)
        case Add(args):
            return sympy.Add(*map(to_sympy, args))
        case Mul(args):
            return sympy.Mul(*map(to_sympy, args))
        case Div(a, b):
            return to_sympy(a) / to_sympy(b)
        case Pow(a, b):
            return to_sympy(a) ** to_sympy(b)
        case Call("where", (Compare() as c, a, b)):
            return Piecewise((to_sympy(a), to_sympy(c)), (to_sympy(b), True))
        case Call(head, args):
            names = {v: k for k, v in _HEADS.items()}
            function = _FUNCTIONS.get(head) or getattr(sympy, names.get(head, head))
            return function(*map(to_sympy, args))
        case Compare(rel, a, b):
            return _RELATION_CLASSES[rel](to_sympy(a), to_sympy(b))
        case Indicator(Match(a, b, equal)):
            same = KroneckerDelta(_to_index(a), _to_index(b))
            return same if equal else 1 - same
        case Indicator(cond):
            return Piecewise((1, to_sympy(cond)), (0, True))
        case Reduce(kind, index, body):
            inner = to_sympy(body)
            limits = [(sympy.Symbol(i, integer=True), 0, size_symbol(i.rstrip("'")) - 1) for i in index]
            if kind in ("sum", "mean"):
                total = Sum(inner, *limits)
                return total / sympy.Mul(*(size_symbol(i.rstrip("'")) for i in index)) if kind == "mean" else total
            return sympy.Function(f"{kind}_{'_'.join(index)}")(inner)
    raise TypeError(f"no SymPy for {tree}")


def size_symbol(axis: str) -> sympy.Symbol:
    return sympy.Symbol(f"N_{axis}", positive=True, integer=True)


def _to_index(index: Index) -> sympy.Expr:
    if isinstance(index, str):
        return sympy.Symbol(index, integer=True)
    return IndexedBase(index.name, integer=True)[tuple(_to_index(i) for i in index.index)]
