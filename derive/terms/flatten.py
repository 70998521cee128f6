"""From the author's equations to flat definitions.

The body of a flat definition is a sum of monomials of plain reads, or a single function or extremum of plain arguments. A
sum inside a product, a power or a function gets a name. Equal subexpressions share a name. The display inlines these names.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

from derive import syntax as st
from derive.errors import OpError
from derive.functions.words import LINEAR, is_function
from derive.language.literals import constant_value
from derive.terms.comparisons import flat_index as _index
from derive.terms.comparisons import form_of
from derive.terms.definitions import Definition
from derive.terms.names import Names
from derive.terms.sums import (
    ONE,
    Argument,
    Closed,
    Condition,
    Delta,
    Exponent,
    Extremum,
    Function,
    Hole,
    Index,
    Irrational,
    Lookup,
    Mono,
    Read,
    Size,
    Sum,
    atom_sum,
    axis_of,
    close,
    delta,
    leaves,
    map_atom,
    negated,
    number,
    open_again,
    row,
    sum_indices,
    term,
    total,
)


def flatten(op: st.Op) -> tuple[tuple[Definition, ...], Names]:
    """The op's flat definitions in order, and the registry of all names (OpError for what has no flat form)."""
    names = Names(op)
    for equation in op.equations:
        body = _Flattener(op, names, list(equation.index)).value(equation.rhs)
        _check_left(op, equation, body)
        names.register(Definition(equation.name, equation.index, body, equation.rhs))
    return tuple(names.definitions), names


def flat_tree(tree: st.Tree, op: st.Op, names: Names, scope: list[str]) -> Sum:
    """An expression in flat terms; ``names`` makes the names for its subexpressions, ``scope`` are the indices it may have."""
    return _Flattener(op, names, scope).sum(tree)


def flat_body(tree: st.Tree, op: st.Op, names: Names, scope: list[str]) -> Sum:
    """The right side of a definition in flat terms: unlike in :func:`flat_tree`, a function or extremum may be the whole."""
    return _Flattener(op, names, scope).value(tree)


def flat_power(base: Sum, exponent: Exponent, op: st.Op, names: Names, scope: Iterable[str]) -> Sum:
    """A power in flat terms. The base gets a name where the power does not distribute over it."""
    return _Flattener(op, names, list(scope)).power(base, exponent)


def _check_left(op: st.Op, equation: st.Equation, body: Sum) -> None:
    extra = sum_indices(body) - set(equation.index)
    if extra:
        raise OpError(f"the index '{min(extra)}' is neither on the left nor reduced", op=op.name, line=equation.line)


class _Flattener:
    def __init__(self, op: st.Op, names: Names, scope: list[str]):
        self.op, self.names, self.scope = op, names, scope

    def sum(self, tree: st.Tree) -> Sum:
        """The flat form of an expression. A function or an extremum gets a name."""
        value = self.value(tree)
        only = value.single
        if only and any(isinstance(a, (Function, Extremum)) for a, _ in only[0].factors):
            return atom_sum(self.names.read(value, self.scope))
        return value

    def value(self, tree: st.Tree) -> Sum:
        """The flat form of a right side. A function or an extremum at its top gets no further name."""
        match tree:
            case st.Num(value):
                return number(value)
            case st.Const(name):
                return atom_sum(Irrational(name))
            case st.Size(axis):
                return atom_sum(Size(axis))
            case st.Read(name, index):
                return self.names.alias(Read(name, tuple(map(_index, index))))
            case st.Neg(a):
                return -self.sum(a)
            case st.Add(args):
                return sum(map(self.sum, args), Sum())
            case st.Mul(args):
                return self.product([self.sum(a) for a in args])
            case st.Div(a, b):
                return self.product([self.sum(a), self.power(self.sum(b), Fraction(-1))])
            case st.Pow(a, e):
                exponent = e.value if isinstance(e, st.Num) else constant_value(e)
                if exponent is None:
                    raise OpError(
                        "an exponent must be a number or a constant of the op; write a**b as exp(b*log(a))", op=self.op.name
                    )
                return self.power(self.sum(a), exponent)
            case st.Reduce():
                return self.reduction(tree)
            case st.Indicator(cond):
                return self.indicator(cond)
            case st.Call("where", (st.Compare() as c, a, b)):
                yes = self.condition(c)
                return atom_sum(yes) * self.branch(a) + atom_sum(negated(yes)) * self.branch(b)
            case st.Call(head, args) if is_function(head):
                return self.function(head, args)
        raise OpError(f"'{type(tree).__name__}' has no meaning here", op=self.op.name)

    def function(self, head: str, args: tuple[st.Tree, ...]) -> Sum:
        exponent = constant_value(args[1]) if head == "power" else None
        if exponent is not None:  # an op was called with a number for its constant
            return self.power(self.sum(args[0]), exponent)
        return atom_sum(Function(head, tuple(self.plain(self.sum(a)) for a in args)))

    def indicator(self, cond: st.Compare | st.Match) -> Sum:
        if isinstance(cond, st.Compare):
            return atom_sum(self.condition(cond))
        hot = atom_sum(delta(_index(cond.left), _index(cond.right)))
        return hot if cond.equal else number(1) - hot

    def branch(self, tree: st.Tree) -> Sum:
        """A branch of a choice. A sum that the condition has named already is read by its name: it is not added up again."""
        value = self.sum(tree)
        reduced = any(mono.bound for mono in value.terms)
        known = self.names.find(value, tuple(self.scope)) if reduced else None
        return atom_sum(known) if known else value

    def product(self, parts: list[Sum]) -> Sum:
        """A product. A sum or a function among several factors gets a name, so that nothing is multiplied out."""
        constants = [p for p in parts if self.names.is_constant(p)]
        rest = [p for p in parts if not self.names.is_constant(p)]
        constants = [self.named(p) if len(p) > 1 else p for p in constants]
        if len(rest) > 1:
            rest = [self.named(p) for p in rest]
        out = number(1)
        for p in constants + rest:
            out = out * p
        return out

    def named(self, part: Sum) -> Sum:
        """A monomial of reads as it is, any other expression as a read of a name for it."""
        only = part.single
        if only and not only[0].bound:
            return part
        return atom_sum(self.names.read(part, self.scope))

    def power(self, base: Sum, exponent: Exponent) -> Sum:
        """A power. The base gets a name where the exponent does not distribute (OpError for a division by a sum that is 0)."""
        if exponent == 1 or (not base and exponent > 0):
            return base
        if exponent == 0:  # 0**0 is 1 in IEEE arithmetic too
            return number(1)
        if not base:
            raise OpError("division by zero: the terms of a divisor cancel, whatever the inputs are", op=self.op.name)
        only = base.single
        if only is None or not _may_distribute(only[0], only[1], exponent):
            return term({self.names.read(base, self.scope): exponent})
        mono, coefficient = only
        return term({a: e * exponent for a, e in mono.factors}) * _number_power(coefficient, exponent)

    def condition(self, c: st.Compare) -> Condition:
        if st.on_indices(c):
            form = form_of(st.Add((c.left, st.Neg(c.right))))
            if form is None:
                raise OpError("a condition on indices is a sum of positions, each times whole numbers", op=self.op.name)
            return row(c.rel, form)
        left, right = self.sum(c.left), self.sum(c.right)
        return Condition(c.rel, self.plain(left if right else _unscaled(left)), self.plain(right))

    def plain(self, expr: Sum) -> Argument:
        """A single read or a number as it is, any other expression as a read of a name for it."""
        if not expr:
            return Fraction(0)
        only, atom = expr.single, expr.atom
        if only and only[0] == ONE:
            return only[1]
        return atom if isinstance(atom, Read) else self.names.read(expr, self.scope)

    def reduction(self, tree: st.Reduce) -> Sum:
        if tree.kind == "prod" and len(tree.index) > 1:  # the other factors are those of the other products, and of its own
            *outer, last = tree.index
            return self.reduction(st.Reduce("prod", tuple(outer), st.Reduce("prod", (last,), tree.body)))
        self.scope.extend(tree.index)
        inner, where = st.taking_part(tree)
        body = self.sum(inner)
        if tree.kind not in LINEAR:
            of = self.plain(body) if set(tree.index) <= sum_indices(body) else None
            if not isinstance(of, Read):  # terms cancelled, and the body has fewer axes: repeat it, as an axis may be empty
                of = self.names.read(body, self.scope, over=tree.index)
            rows = tuple(map(self.condition, where))
            out = atom_sum(extremum(self.names, tree.kind, of, tree.index, self.scope, rows))
        else:
            out = bind(body, tree.index)
            for i in tree.index if tree.kind == "mean" else ():
                out = out * term({Size(axis_of(i)): -1})
        for i in tree.index:
            self.scope.remove(i)
        return out


def extremum(
    names: Names, kind: str, read: Read, index: Iterable[str], scope: Iterable[str], where: Iterable[Condition] = ()
) -> Extremum:
    """The extremum of a read over ``index``. A read of a diagonal, or of such an index inside a lookup, is named first.

    Elements at which a condition of ``where`` does not hold take no part.
    """
    index = set(index)
    inside = {leaf for slot in read.index if isinstance(slot, Lookup) for leaf in leaves(slot)}
    if inside & index or any(read.index.count(i) != 1 for i in index):
        read = names.read(atom_sum(read), scope)
    holes = tuple(Hole(axis_of(i)) if isinstance(i, str) and i in index else i for i in read.index)
    own: dict[str, Index] = {i: Hole(axis_of(i)) for i in index}
    rows = [map_atom(c, lambda i: own.get(str(i), i)) for c in where]
    return Extremum(kind, Read(read.name, holes), tuple(c for c in rows if isinstance(c, Condition)))


def bind(expr: Sum, index: Iterable[str]) -> Sum:
    """Sum an expression over free indices."""
    index = tuple(index)
    return total(_bound(mono, index).scaled(c) for mono, c in expr.terms.items())


@lru_cache(maxsize=50_000)
def _bound(mono: Mono, index: tuple[str, ...]) -> Closed:
    opened = open_again(mono, "b")
    return close(opened.factors, (*opened.bound, *index))


def _may_distribute(mono: Mono, coefficient: Fraction, exponent: Exponent) -> bool:
    """Whether ``(a*b)**e`` may be written ``a**e * b**e``.

    It may for a whole ``e``, unless ``e`` is negative and a factor is an indicator, which may be 0. For another ``e`` the
    coefficient must not be negative, and at most one factor may be a read, to the power 1 or -1.
    """
    if mono.bound or (exponent < 0 and any(isinstance(a, (Delta, Condition)) for a, _ in mono.factors)):
        return False
    if exponent.denominator == 1:
        return True
    if coefficient < 0:
        return False
    reads = [(a, e) for a, e in mono.factors if not isinstance(a, (Size, Irrational))]
    return not reads or (len(reads) == 1 and reads[0][1] in (1, -1) and isinstance(reads[0][0], Read))


def _unscaled(expr: Sum) -> Sum:
    """A positive multiple of a read as the read alone, for comparisons with 0. Any other expression stays as it is."""
    only = expr.single
    if only is None or only[0].bound or only[1] <= 0:
        return expr
    rest = [(a, e) for a, e in only[0].factors if not isinstance(a, Irrational)]
    return atom_sum(rest[0][0]) if len(rest) == 1 and rest[0][1] == 1 and isinstance(rest[0][0], Read) else expr


def _number_power(value: Fraction, exponent: Exponent) -> Sum:
    """``(p/q)**e`` as roots of integers: ``p**e * q**(-e)``."""
    if exponent.denominator == 1:
        return number(value ** int(exponent))
    out = number(1)
    for part, sign in ((value.numerator, 1), (value.denominator, -1)):
        if part != 1:
            out = out * term({Irrational(str(part)): exponent * sign})
    return out
