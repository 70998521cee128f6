"""SymPy expressions in and out of the language's trees.

In: ``Indexed``, ``Sum`` over ``Idx`` or symbols, elementwise functions, ``Max``, ``Min``, ``Piecewise``,
``KroneckerDelta``. Out: the same, for printing and for comparing formulas as expressions.
"""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Idx, Indexed, IndexedBase, KroneckerDelta, Piecewise, Sum
from sympy.core.relational import Relational

from derive.errors import OpError
from derive.syntax import (
    Add,
    Call,
    Compare,
    Const,
    Constant,
    Div,
    Equation,
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
    Tensor,
    Tree,
)

_HEADS = {"Abs": "abs", "Max": "maximum", "Min": "minimum"}
_RELATION_CLASSES = {">": sympy.Gt, ">=": sympy.Ge, "<": sympy.Lt, "<=": sympy.Le, "==": sympy.Eq, "!=": sympy.Ne}


def op_from_sympy(
    name: str,
    inputs: list[Indexed | sympy.Symbol],
    equations: list[sympy.Eq],
    *,
    outputs: list[str] | None = None,
    constants: dict[str, str | None] | None = None,
    labels: dict[str, str] | None = None,
) -> Op:
    """An op from SymPy equations ``Eq(y[i], ...)``.

    ``outputs`` names the outputs (the last equation by default), ``constants`` gives each constant's default as text,
    and ``labels`` the axis that each integer input indexes. Raises OpError for what the language does not have.
    """
    labels = labels or {}
    made = []
    for equation in equations:
        left = from_sympy(equation.lhs)
        if not isinstance(left, Read):
            raise OpError(f"the left side {equation.lhs} is not a tensor", op=name)
        made.append(Equation(left.name, tuple(str(i) for i in left.index), from_sympy(equation.rhs)))
    tensors = []
    for given in inputs:
        read = from_sympy(given)
        assert isinstance(read, Read)
        tensors.append(Tensor(read.name, tuple(str(i) for i in read.index), labels.get(read.name)))
    wanted = outputs or [made[-1].name]
    return Op(
        name=name,
        inputs=tuple(tensors),
        outputs=tuple(Tensor(e.name, e.index) for w in wanted for e in made if e.name == w),
        constants=tuple(Constant(k, v) for k, v in (constants or {}).items()),
        equations=tuple(made),
    )


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
            return Read(expr.name)
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
        assert isinstance(i, str)
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
            return getattr(sympy, names.get(head, head))(*map(to_sympy, args))
        case Compare(rel, a, b):
            return _RELATION_CLASSES[rel](to_sympy(a), to_sympy(b))
        case Indicator(Match(a, b)):
            return KroneckerDelta(_to_index(a), _to_index(b))
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
