"""Trees to SymPy expressions and back, and the derivatives of functions, which SymPy computes."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import sympy
from sympy import Idx, Indexed, IndexedBase, KroneckerDelta, Piecewise, Sum
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from derive.errors import OpError
from derive.functions.records import RECORDS
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
    Position,
    Pow,
    Read,
    Reduce,
    Size,
    Tree,
)

_HEADS = {"Abs": "abs", "Max": "maximum", "Min": "minimum", "ceiling": "ceil", "nearest": "round"}
_RELATION_CLASSES = {">": sympy.Gt, ">=": sympy.Ge, "<": sympy.Lt, "<=": sympy.Le, "==": sympy.Eq, "!=": sympy.Ne}


def length_of(lower: sympy.Expr, upper: sympy.Expr) -> sympy.Expr:
    """The number of integers from ``lower`` to ``upper``, both included."""
    return upper - lower + 1


@cache
def derivative(head: str) -> Tree:
    """The derivative of a function of one argument at ``Read("u")``, as a tree.

    The derivative of ``floor``, ``ceil`` and ``round`` is 0 everywhere, that of ``abs`` is 0 at 0.
    """
    u = sympy.Symbol("u", real=True)
    slope = sympy.diff(RECORDS[head].symbol(u), u).replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
    slope = slope.replace(sympy.Subs, lambda *_: sympy.Integer(0)).replace(sympy.Derivative, lambda *_: sympy.Integer(0))
    return from_sympy(slope)


def from_sympy(expr: sympy.Basic) -> Tree:
    """The tree of a SymPy expression (OpError where the language cannot express it)."""
    match expr:
        case sympy.Rational():
            return Num(Fraction(int(expr.p), int(expr.q)))
        case sympy.Float():
            return Num(Fraction(str(expr)))
        case Indexed():
            return Read(str(expr.base.label), tuple(index_of(i) for i in expr.indices))
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
            return Indicator(Match(index_of(expr.args[0]), index_of(expr.args[1])))
        case Relational():
            return Compare(expr.rel_op, from_sympy(expr.lhs), from_sympy(expr.rhs))
        case sympy.Symbol():
            axis = expr.name.removeprefix("N_")
            return Size(axis) if expr == size_symbol(axis) else Read(expr.name)
    if expr is sympy.pi:
        return Const("pi")
    if expr is sympy.E:
        return Call("exp", (Num(Fraction(1)),))
    return _called(expr)


def _called(expr: sympy.Basic) -> Tree:
    """The tree of a call of a SymPy function (OpError where the language has no such function)."""
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


def index_of(expr: sympy.Basic) -> Index:
    """A symbol as an index, an entry of an integer tensor as a lookup (OpError for anything else)."""
    if isinstance(expr, Indexed):
        return Lookup(str(expr.base.label), tuple(index_of(i) for i in expr.indices))
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
        i = index_of(limit[0])
        if not isinstance(i, str) or (len(limit) == 3 and not isinstance(length_of(limit[1], limit[2]), sympy.Symbol)):
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
    """The SymPy expression of a tree. A mean becomes a sum divided by lengths, ``size(n)`` the symbol ``N_n``.

    A maximum or minimum over axes becomes an undefined function, such as ``max_n``. TypeError for a bare condition.
    """
    match tree:
        case Num(value):
            return sympy.Rational(value.numerator, value.denominator)
        case Const("pi"):
            return sympy.pi
        case Size(axis):
            return size_symbol(axis)
        case Read() | Position():
            return _element(tree)
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
            extremes = {"maximum": sympy.Max, "minimum": sympy.Min, "power": sympy.Pow}
            function = extremes.get(head) or RECORDS[head].symbol
            return function(*map(to_sympy, args))
        case Compare(rel, a, b):
            return _RELATION_CLASSES[rel](to_sympy(a), to_sympy(b))
        case Indicator(cond):
            return _indicator(cond)
        case Reduce(kind, index, body):
            return _reduced(kind, index, to_sympy(body))
    raise TypeError(f"no SymPy for {tree}")


def _element(tree: Read | Position) -> sympy.Expr:
    if isinstance(tree, Position):
        return _to_index(tree.index)
    here = tuple(map(_to_index, tree.index))
    return IndexedBase(tree.name, real=True)[here] if here else sympy.Symbol(tree.name, real=True)


def _indicator(cond: Compare | Match) -> sympy.Expr:
    if isinstance(cond, Compare):
        return Piecewise((1, to_sympy(cond)), (0, True))
    same = KroneckerDelta(_to_index(cond.left), _to_index(cond.right))
    return same if cond.equal else 1 - same


def _reduced(kind: str, index: tuple[str, ...], inner: sympy.Expr) -> sympy.Expr:
    limits = [(sympy.Symbol(i, integer=True), 0, size_symbol(i.rstrip("'")) - 1) for i in index]
    if kind not in ("sum", "mean"):
        return sympy.Function(f"{kind}_{'_'.join(index)}")(inner)
    total = Sum(inner, *limits)
    return total / sympy.Mul(*(size_symbol(i.rstrip("'")) for i in index)) if kind == "mean" else total


def size_symbol(axis: str) -> sympy.Symbol:
    return sympy.Symbol(f"N_{axis}", positive=True, integer=True)


def _to_index(index: Index) -> sympy.Expr:
    if isinstance(index, str):
        return sympy.Symbol(index, integer=True)
    return IndexedBase(index.name, integer=True)[tuple(_to_index(i) for i in index.index)]
