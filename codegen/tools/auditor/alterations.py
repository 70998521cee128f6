"""The mistakes that are made in a formula: every expression that one slip makes of a right expression.

Each rule takes one node of an expression and yields what a slip would put in its place. No rule knows an op. The alterations
are evaluated to find the one that was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations

from derive import syntax as st
from derive.language.literals import constant_value
from derive.language.unicode import text

__all__ = ["Alteration", "Scope", "alterations", "unread"]

ONE = st.Num(Fraction(1))
HALF = Fraction(1, 2)
Put = Callable[[st.Tree], st.Tree]
#: The kind of a slip, a sentence on it, and the expression in the node's place.
Change = tuple[str, str, st.Tree]


@dataclass(frozen=True)
class Alteration:
    """An equation with one slip in it, and the slip's kind and description."""

    kind: str
    text: str
    equation: st.Equation


@dataclass(frozen=True)
class Scope:
    """What a rule may know of a node's surroundings.

    ``names`` has the axes of every tensor that could have been meant, and ``defaults`` the constants' defaults. ``above`` are
    the nodes around the node, outermost first. ``index`` are the indices on the left of its equation. ``shown`` is an
    expression for readers.
    """

    names: Mapping[str, tuple[str, ...]]
    defaults: Mapping[str, Fraction]
    index: tuple[str, ...]
    above: tuple[st.Tree, ...] = ()
    shown: Callable[[st.Tree], st.Tree] = lambda tree: tree

    def text(self, tree: st.Tree) -> str:
        return text(self.shown(tree))

    def called(self, read: st.Read) -> str:
        """What readers call a tensor: its name, or the read of the step before for which the name stands."""
        return read.name if self.shown(read) == read else self.text(read)

    @property
    def divides(self) -> bool:
        """Whether the node lies in a divisor."""
        chain = [*self.above]
        return any(isinstance(a, st.Div) and (b is a.den) for a, b in zip(chain, [*chain[1:], None], strict=True))


def alterations(equation: st.Equation, scope: Scope) -> Iterator[Alteration]:
    """Every equation that a single slip makes of one equation."""
    if len(equation.index) == 2:
        yield Alteration("transposed", f"{equation.name} is transposed", _transposed(equation))
    negated = st.Equation(equation.name, equation.index, st.Neg(equation.rhs))
    yield Alteration("sign", f"{equation.name} has the opposite sign", negated)
    for node, put, above in _places(equation.rhs, lambda t: t, ()):
        inside = replace(scope, index=equation.index, above=(*above, node))
        for rule in RULES:
            for kind, sentence, new in rule(node, inside):
                yield Alteration(kind, sentence, st.Equation(equation.name, equation.index, put(new)))


def unread(equation: st.Equation) -> Alteration:
    """The alteration that takes the gradient of a name to be zero, as if the name were constant."""
    name = st.primal_name(equation.name)
    sentence = f"{name} is treated as a constant: what flows back through it is missing"
    return Alteration("missing path", sentence, st.Equation(equation.name, equation.index, st.Num(Fraction(0))))


def _transposed(equation: st.Equation) -> st.Equation:
    return st.Equation(equation.name, equation.index[::-1], equation.rhs)


def _places(node: st.Tree, put: Put, above: tuple[st.Tree, ...]) -> Iterator[tuple[st.Tree, Put, tuple[st.Tree, ...]]]:
    """Every node of an expression, with the function that puts another node in its place, and the nodes around it."""
    yield node, put, above
    for position, child in enumerate(st.children(node)):
        yield from _places(child, _placing(node, position, put), (*above, node))


def _placing(node: st.Tree, position: int, put: Put) -> Put:
    def place(new: st.Tree) -> st.Tree:
        count = iter(range(len(st.children(node))))
        return put(st.rebuild(node, lambda child: new if next(count) == position else child))

    return place


# ---- rules --------------------------------------------------------------------------------------------------------------


def terms_of_a_sum(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """A term is missing, counted twice, or has the wrong sign; two terms are missing."""
    if not isinstance(node, st.Add):
        return
    for k, arg in enumerate(node.args):
        rest = [a for j, a in enumerate(node.args) if j != k]
        kind, sentence = _missing(arg, scope)
        yield kind, sentence, _sum(rest)
        constant = isinstance(arg, st.Read) and arg.name in scope.defaults
        twice = "constant" if constant else "doubled term"
        yield twice, f"the term {_term(scope, arg)} is counted twice", st.Add((*node.args, arg))
        yield "sign", f"the term {_term(scope, arg)} has the wrong sign", st.Add((*rest, st.Neg(arg)))
    for pair in combinations(range(len(node.args)), 2):
        if len(node.args) > 2:
            gone = " and ".join(_term(scope, node.args[k]) for k in pair)
            kept = [a for j, a in enumerate(node.args) if j not in pair]
            yield "missing term", f"the terms {gone} are missing", _sum(kept)


def _missing(arg: st.Tree, scope: Scope) -> tuple[str, str]:
    """The kind and description of a missing term, by the place where it is missing."""
    shifted = any(isinstance(a, st.Call) and a.head == "exp" for a in scope.above)
    if shifted and isinstance(arg, st.Neg):
        return "unshifted exponential", f"the exponential is not shifted: {_term(scope, arg)} is missing in its exponent"
    if isinstance(arg, st.Read) and arg.name in scope.defaults:
        return "constant", f"{arg.name} is missing"
    if scope.divides:
        return "divisor", f"the divisor lacks {_term(scope, arg)}"
    return "missing term", f"the term {_term(scope, arg)} is missing"


def factors_of_a_product(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """A factor is missing, applied twice, or divided by."""
    if not isinstance(node, st.Mul):
        return
    for k, arg in enumerate(node.args):
        rest = _product([a for j, a in enumerate(node.args) if j != k])
        kind = "divisor" if scope.divides else "missing factor"
        yield kind, f"the factor {scope.text(arg)} is missing", rest
        yield "doubled factor", f"the factor {scope.text(arg)} is applied twice", st.Mul((*node.args, arg))
        yield "inverted factor", f"divided by {scope.text(arg)} instead of multiplied", st.Div(rest, arg)


def quotients(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """A divisor is missing, applied twice, multiplied by, or off by one."""
    if not isinstance(node, st.Div):
        return
    yield "divisor", f"the divisor {scope.text(node.den)} is missing", node.num
    yield "divisor", f"multiplied by {scope.text(node.den)} instead of divided", st.Mul((node.num, node.den))
    yield "divisor", f"divided by {scope.text(node.den)} twice", st.Div(node, node.den)
    yield "missing factor", f"the factor {scope.text(node.num)} is missing", st.Div(ONE, node.den)
    for by in (1, -1):
        other = _plus(node.den, by)
        yield "divisor", f"the divisor is {scope.text(other)} instead of {scope.text(node.den)}", st.Div(node.num, other)


def _plus(tree: st.Tree, number: int) -> st.Tree:
    """The tree with a whole number added to it, joined with a number that is there."""
    args = tree.args if isinstance(tree, st.Add) else (tree,)
    known = {k: v for k, a in enumerate(args) if (v := constant_value(a)) is not None}
    total = sum(known.values(), Fraction(number))
    rest = [a for k, a in enumerate(args) if k not in known]
    return _sum([*rest, *([_number(total)] if total or not rest else [])])


def _number(value: Fraction) -> st.Tree:
    return st.Num(value) if value >= 0 else st.Neg(st.Num(-value))


def lengths(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """The length is that of another axis."""
    if isinstance(node, st.Size):
        for axis in sorted({st.axis_of(a) for axes in scope.names.values() for a in axes}):
            if axis != node.axis:
                yield "divisor", f"the length of {axis} is taken where that of {node.axis} belongs", st.Size(axis)
        yield "divisor", f"the length of {node.axis} is left out", ONE


def signs(node: st.Tree, scope: Scope) -> Iterator[Change]:
    if isinstance(node, st.Neg) and len(scope.above) > 1 and not isinstance(scope.above[-2], st.Add):
        yield "sign", f"the minus sign of {scope.text(node)} is missing", node.arg


def numbers(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """A number is left out or off by a factor of two."""
    if not isinstance(node, st.Num) or _in_exponent(scope):
        return
    for value in dict.fromkeys((Fraction(1), node.value * 2, node.value / 2, Fraction(0))):
        if value != node.value:
            yield "coefficient", f"{value} stands where {scope.text(node)} belongs", st.Num(value)


def _in_exponent(scope: Scope) -> bool:
    chain = [*scope.above]
    return any(isinstance(a, st.Pow) and b is a.exp for a, b in zip(chain, chain[1:], strict=False))


def exponents(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """The exponent is another number, or a number that is added to the base is added to the root instead."""
    if not isinstance(node, st.Pow):
        return
    exponent = constant_value(node.exp)
    if exponent is None:
        return
    for other in (
        Fraction(1),
        exponent + 1,
        exponent - 1,
        -exponent,
        exponent / 2,
        exponent * 2,
        exponent + HALF,
        exponent - HALF,
    ):
        if other not in (exponent, 0):
            shown = "is missing" if other == 1 else f"is {other} instead of {exponent}"
            yield "exponent", f"the exponent of {scope.text(node.base)} {shown}", st.Pow(node.base, st.Num(other))
    if isinstance(node.base, st.Add) and exponent.denominator == 2:
        for k, arg in enumerate(node.base.args):
            root = st.Pow(_sum([a for j, a in enumerate(node.base.args) if j != k]), st.Num(abs(exponent)))
            moved: st.Tree = st.Add((root, arg))
            moved = st.Div(ONE, moved) if exponent < 0 else moved
            yield "constant", f"{_term(scope, arg)} is added outside the root instead of under it", moved


def reductions(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """``mean`` stands for ``sum`` or the reverse, a divisor is off by one, or there is no reduction."""
    if not isinstance(node, st.Reduce):
        return
    over = ", ".join(map(st.axis_of, node.index))
    if node.kind == "sum":
        yield "mean for sum", f"a mean over {over} stands where the sum belongs", st.Reduce("mean", node.index, node.body)
        if _labelled(node):
            yield (
                "overwritten",
                f"entries with the same label overwrite each other where they are to be added up over {over}",
                st.Reduce("last", node.index, node.body),
            )
    if node.kind == "mean":
        total = st.Reduce("sum", node.index, node.body)
        count = _product([st.Size(st.axis_of(i)) for i in node.index])
        yield "sum for mean", f"a sum over {over} stands where the mean belongs", total
        fewer = st.Div(total, st.Add((count, st.Neg(ONE))))
        yield "divisor", f"the mean over {over} is divided by {scope.text(count)} - 1 instead of {scope.text(count)}", fewer
        for axis in sorted({st.axis_of(a) for axes in scope.names.values() for a in axes} - set(map(st.axis_of, node.index))):
            other = st.Div(total, st.Size(axis))
            yield "divisor", f"the sum over {over} is divided by the length of {axis}", other
    yield from _other_axes(node, scope, over)


def _other_axes(node: st.Reduce, scope: Scope, over: str) -> Iterator[Change]:
    """The reduction is over fewer, more or other axes. An axis that is no longer reduced becomes an axis of the result."""
    free = [i for i in st.free_indices(node.body) if i not in node.index]
    outer = {st.axis_of(i): i for i in scope.index}
    name = {"sum": "sum", "mean": "mean", "max": "maximum", "min": "minimum", "prod": "product"}.get(node.kind, node.kind)
    for count in range(len(node.index)):
        for kept in combinations(node.index, count):
            freed = {i: outer.get(st.axis_of(i), i) for i in node.index if i not in kept}
            body = st.rename(node.body, dict(freed))
            left = st.Reduce(node.kind, kept, body) if kept else body
            shown = ", ".join(map(st.axis_of, freed))
            yield "missing reduction", f"the {name} over {shown} is missing in {scope.text(node)}", left
    for extra in free:
        inner = f"{extra}'"
        bound = st.rename(node.body, {extra: inner})
        sentence = f"a {name} over {st.axis_of(extra)} as well as {over} stands where {scope.text(node)} belongs"
        yield "axis", sentence, st.Reduce(node.kind, (*node.index, inner), bound)
        for gone in node.index:
            back = outer.get(st.axis_of(gone), st.axis_of(gone))
            body = st.rename(node.body, {extra: inner, gone: back})
            others = tuple(i for i in node.index if i != gone)
            sentence = f"the {name} runs over {st.axis_of(extra)} instead of {st.axis_of(gone)} in {scope.text(node)}"
            yield "axis", sentence, st.Reduce(node.kind, (*others, inner), body)


def _labelled(node: st.Reduce) -> bool:
    return any(
        isinstance(n, st.Match) and (isinstance(n.left, st.Lookup) or isinstance(n.right, st.Lookup))
        for n in st.walk(node.body)
    )


def functions(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """A function is left out, or the branches of a choice are swapped."""
    match node:
        case st.Call("where", (condition, a, b)):
            yield "condition", f"the branches of {scope.text(node)} are exchanged", st.Call("where", (condition, b, a))
            yield "condition", f"the condition of {scope.text(node)} is ignored", a
            yield "condition", f"the condition of {scope.text(node)} is ignored", b
        case st.Call("maximum" | "minimum", args):
            other = "minimum" if node.head == "maximum" else "maximum"
            yield "function", f"{other} stands where {node.head} belongs", st.Call(other, args)
        case st.Call(head, (arg,)):
            yield "function", f"{head} is missing around {scope.text(arg)}", arg
            yield "sign", f"the argument of {scope.text(node)} has the wrong sign", st.Call(head, (st.Neg(arg),))


def conditions(node: st.Tree, scope: Scope) -> Iterator[Change]:
    if isinstance(node, st.Compare):
        for rel in ("<", "<=", ">", ">=", "==", "!="):
            if rel != node.rel:
                other = st.Compare(rel, node.left, node.right)
                yield "condition", f"the condition is {scope.text(other)} instead of {scope.text(node)}", other


def names(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """A name stands in the place of another, or a constant's default in the place of the constant."""
    if not isinstance(node, st.Read):
        return
    if node.name in scope.defaults:
        value = scope.defaults[node.name]
        sentence = f"{node.name} is taken to be {float(value):g}, its default, whatever is passed"
        yield "constant", sentence, st.Num(value)
        yield "constant", f"{node.name} is counted twice", st.Mul((st.Num(Fraction(2)), node))
        yield "constant", f"{node.name} is squared", st.Pow(node, st.Num(Fraction(2)))
    own = scope.names.get(node.name)
    for name, axes in scope.names.items():
        if name != node.name and axes == own:
            other = st.Read(name, node.index)
            yield "another name", f"{scope.called(other)} stands where {scope.called(node)} belongs", other
        elif own and axes and _subset(axes, own) and len(set(own)) == len(own):
            index = tuple(node.index[own.index(a)] for a in axes)
            yield "another name", f"{name} stands where {scope.called(node)} belongs", st.Read(name, index)


def transposes(node: st.Tree, scope: Scope) -> Iterator[Change]:
    """A matrix is transposed, which raises no error where its axes have one length."""
    if not isinstance(node, st.Read) or len(scope.above) < 2:
        return
    if len(node.index) == 2 == len(set(node.index)) and len(set(scope.names.get(node.name, ()))) == 2:
        yield "transposed", f"{node.name} is transposed in {scope.text(scope.above[-2])}", st.Read(node.name, node.index[::-1])


def _subset(axes: tuple[str, ...], own: tuple[str, ...]) -> bool:
    return set(axes) < set(own) and len(set(axes)) == len(axes)


RULES: tuple[Callable[[st.Tree, Scope], Iterator[Change]], ...] = (
    terms_of_a_sum,
    factors_of_a_product,
    quotients,
    lengths,
    reductions,
    exponents,
    signs,
    numbers,
    functions,
    conditions,
    names,
    transposes,
)


def _sum(args: list[st.Tree]) -> st.Tree:
    return args[0] if len(args) == 1 else st.Add(tuple(args)) if args else st.Num(Fraction(0))


def _product(args: list[st.Tree]) -> st.Tree:
    return args[0] if len(args) == 1 else st.Mul(tuple(args)) if args else ONE


def _term(scope: Scope, arg: st.Tree) -> str:
    shown = scope.text(arg)
    return shown if shown.startswith("-") else f"+ {shown}"
