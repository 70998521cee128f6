"""Flat terms to trees.

:mod:`derive.terms.factoring` and :mod:`derive.terms.products` decide which operations there are. Here the forms are ordered
for readers:
``gamma*rstd*dy - gamma*rstd*sum(dy)/N - ...`` becomes ``gamma*rstd*(dy - sum(dy)/N - ...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

from derive import syntax as st
from derive.terms.arranged import added, multiplied, readable
from derive.terms.comparisons import comparison
from derive.terms.factoring import Choice, Factoring, ProductOfSums, Unequal, conditions
from derive.terms.factors import Factor, Inner, Powers, Term, as_means, factor_indices, factor_order, loop_of, split
from derive.terms.products import Bracket, Part, Piece, Power, Quotient, Root, product
from derive.terms.reads import syntax_index
from derive.terms.style import DEFAULT, Style
from derive.terms.summation import best_order
from derive.terms.sums import (
    Argument,
    Atom,
    Condition,
    Delta,
    Exponent,
    Extremum,
    Function,
    Hole,
    Index,
    Irrational,
    Order,
    Read,
    Size,
    Sum,
    atom_indices,
    open_mono,
)
from derive.terms.tidy import tidy
from derive.terms.unnamed import names_of, place, unnamed


def to_tree(body: Sum, index: Iterable[str], style: Style = DEFAULT) -> st.Tree:
    """The factored tree of an expression with the free indices ``index``."""
    return _tree(body, tuple(index), style)


@lru_cache(maxsize=1 << 15)  # judging, certifying and printing a line ask for the same tree
def _tree(body: Sum, index: tuple[str, ...], style: Style) -> st.Tree:
    if style.read is not DEFAULT.read:
        return tidy(_built(body, index, style))
    names = names_of(body)
    ranks = {rank: k for k, rank in enumerate(sorted({style.rank(name) for name in names}))}
    places = tuple(_Place(ranks[style.rank(name)], name in style.counts) for name in names)
    return _named(_shape(unnamed(body), index, places, style.size), {place(k): name for k, name in enumerate(names)})


class _Place(NamedTuple):
    """What the tree of an expression depends on of a name, besides the order of names: its rank and whether it counts ties."""

    rank: int
    counts: bool


@lru_cache(maxsize=1 << 13)  # the layers of a deep network differ in names
def _shape(body: Sum, index: tuple[str, ...], places: tuple[_Place, ...], size: Callable[[str], int]) -> st.Tree:
    """The tree of an expression without names."""
    ranks = {place(k): p.rank for k, p in enumerate(places)}
    counts = frozenset(place(k) for k, p in enumerate(places) if p.counts)
    return _built(body, index, Style(ranks.__getitem__, size, counts=counts))


def _named(tree: st.Tree, names: Mapping[str, str]) -> st.Tree:
    if isinstance(tree, st.Read):
        return st.Read(names.get(tree.name, tree.name), tree.index)
    return st.rebuild(tree, lambda child: _named(child, names))


def _built(body: Sum, index: tuple[str, ...], style: Style) -> st.Tree:
    return _Builder(style, index).sum([(dict(split(mono)), c) for mono, c in body], ())


class _Builder:
    def __init__(self, style: Style, scope: tuple[str, ...]):
        self.style, self.scope = style, scope
        self.factoring = Factoring(style.size, self.order)

    def order(self, factor: Factor) -> Order:
        """The sort key of a factor: names in the order in which the author introduces them, then all other factors."""
        return (self.rank(factor), factor_order(factor))

    # ---- sums ------------------------------------------------------------------------------------------------------

    def sum(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree:
        """A sum as its common factors times the rest. A condition that all terms have guards the whole product."""
        if not terms:
            return st.Num(Fraction(0))
        common, coefficient, rest = self.factoring.pulled(terms)
        cases = self.factoring.cases(rest)
        guarding, counts = self.guards({**common, **dict.fromkeys(cases.guards, 1)})
        plain: Powers = {a: e for a, e in common.items() if a not in guarding and a not in counts}
        parts = [] if cases.whole else [self.added(cases.rest, scope)]
        parts += [self.choice(c, scope) for c in cases.choices]
        inner = multiplied(parts) if parts else None
        return self.guarded(self.product(plain, coefficient, inner, scope), guarding, counts)

    def added(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree:
        """A sum without a common factor."""
        match self.factoring.exclusive(terms):
            case Choice() as choice:
                return self.choice(choice, scope)
            case Unequal(equal):
                return st.Indicator(st.Match(syntax_index(equal.left), syntax_index(equal.right), False))
        if (merged := self.merged(terms, scope)) is not None:
            return merged
        form = self.factoring.shared(terms)
        if isinstance(form, ProductOfSums):
            return multiplied([self.sum(form.one, scope), self.sum(form.other, scope)])
        parts = [(self.sum(part, scope), part[0]) for part in form.parts]
        return added([p for p, _ in sorted(parts, key=lambda p: self.term_order(p[0], p[1]))])

    def choice(self, choice: Choice, scope: tuple[str, ...]) -> st.Tree:
        sides = self.sum(choice.yes, scope), self.sum(choice.no, scope)
        tree = st.Call("where", (self.condition(choice.condition), *sides))
        return added([tree, self.sum(choice.rest, scope)]) if choice.rest else tree

    def merged(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree | None:
        """``sum(u) - sum(v)`` as ``sum(u - v)``, where both sums have the same loop; None where no loop occurs twice.

        Values that nearly cancel are then subtracted before rounding errors of the sums add up.
        """
        loops = [loop_of(powers) for powers, _ in terms]
        key = next((k for k in loops if k is not None and loops.count(k) > 1), None)
        if key is None:
            return None
        names: dict[str, str] = {}
        for axis in key.bound:
            names[axis] = st.fresh_index(axis, {*self.scope, *scope, *key.free, *names.values()})
        inside: list[Term] = []
        for (powers, c), loop in zip(terms, loops, strict=True):
            if loop == key:
                mono = next(f.mono for f in powers if isinstance(f, Inner))
                inside.append(({f: e for f, e in open_mono(mono, names.__getitem__).factors.items()}, c))
        body = self.sum(inside, (*scope, *names.values()))
        tree = self.product(dict(key.outside), Fraction(1), st.Reduce(key.kind, tuple(names.values()), body), scope)
        rest = [t for t, loop in zip(terms, loops, strict=True) if loop != key]
        return added([tree, self.sum(rest, scope)]) if rest else tree

    def rank(self, factor: Factor) -> int:
        return self.style.rank(factor.name) if isinstance(factor, Read) else 10**6

    def term_order(self, tree: st.Tree, first: Term) -> Order:
        negative = isinstance(tree, st.Neg)
        inner = sum(isinstance(f, Inner) for f in first[0])
        weight = sum(1 for n in st.walk(tree) if isinstance(n, (st.Read, st.Call)))
        ranks = sorted(self.rank(f) for f in first[0])
        return (
            negative,
            any(isinstance(f, Delta) for f in first[0]),
            inner,
            weight,
            ranks,
            sorted(map(factor_order, first[0])),
        )

    # ---- products --------------------------------------------------------------------------------------------------

    def product(self, powers: Powers, coefficient: Fraction, inner: st.Tree | None, scope: tuple[str, ...]) -> st.Tree:
        """A product of factors, of a number, and of the sum ``inner`` if there is one."""
        bracket = None if inner is None else Bracket(frozenset(st.free_indices(inner)))
        found = product(as_means(powers), coefficient, bracket, self.order)
        tree = multiplied(readable([self.part(p, inner, scope) for p in found.parts]))
        return st.Neg(tree) if found.negative else tree

    def part(self, part: Part, inner: st.Tree | None, scope: tuple[str, ...]) -> st.Tree:
        above, below = (multiplied([self.piece(p, inner, scope) for p in ps]) if ps else None for ps in part)
        assert above is not None
        return above if below is None else st.Div(above, below)

    def piece(self, piece: Piece, inner: st.Tree | None, scope: tuple[str, ...]) -> st.Tree:
        match piece:
            case Fraction():
                return st.Num(piece)
            case Power(factor, e):
                return self.power(factor, e, scope)
            case Quotient(u, v, e):
                return st.Pow(st.Div(self.power(u, 1, scope), self.power(v, 1, scope)), st.Num(Fraction(e)))
            case Root(above, below):
                whole = multiplied(list(map(self.atom, above)))
                return st.Pow(whole if below is None else st.Div(whole, self.atom(below)), st.Num(Fraction(1, 2)))
            case Bracket():
                assert inner is not None
                return inner

    def power(self, factor: Factor, e: Exponent, scope: tuple[str, ...]) -> st.Tree:
        tree = self.inner(factor, scope) if isinstance(factor, Inner) else self.atom(factor)
        return tree if e == 1 else st.Pow(tree, st.Num(Fraction(e)))

    # ---- reductions ------------------------------------------------------------------------------------------------

    def inner(self, inner: Inner, scope: tuple[str, ...]) -> st.Tree:
        """The nested sums of an inner factor, in the order that takes the fewest operations."""
        taken = {*self.scope, *scope, *factor_indices(inner)}

        def name(axis: str) -> str:
            i = st.fresh_index(axis, taken)
            taken.add(i)
            return i

        opened = open_mono(inner.mono, name)
        order = best_order(opened.factors, opened.bound, self.style.size)
        return self.eliminate(inner.kind, opened.factors, order, (*scope, *opened.bound))

    def eliminate(
        self, kind: str, factors: dict[Atom, Exponent], order: list[tuple[str, ...]], scope: tuple[str, ...]
    ) -> st.Tree:
        """Reduce over one group of indices after the other; each reduction holds only the factors that have its indices.

        A mean over several groups is a mean of means.
        """
        pending: list[tuple[frozenset[str], st.Tree]] = []
        for group in order:
            touched = {a: e for a, e in factors.items() if atom_indices(a) & set(group)}
            factors = {a: e for a, e in factors.items() if a not in touched}
            joined = [p for p in pending if p[0] & set(group)]
            pending = [p for p in pending if p not in joined]
            body = self.factors(touched, [t for _, t in joined], scope)
            tree = st.Reduce(kind, group, body)
            pending.append((frozenset(st.free_indices(tree)), tree))
        if not factors and len(pending) == 1:
            return pending[0][1]
        return self.factors(factors, [t for _, t in pending], scope)

    def factors(self, factors: dict[Atom, Exponent], trees: list[st.Tree], scope: tuple[str, ...]) -> st.Tree:
        """The product of factors and of ``trees``, guarded by the conditions among the factors."""
        guarding, counts = self.guards(factors)
        plain: Powers = {a: e for a, e in factors.items() if a not in guarding and a not in counts}
        tree = self.product(plain, Fraction(1), None, scope) if plain or not trees else None
        parts = ([tree] if tree is not None else []) + trees
        body = multiplied(parts)
        if len(guarding) == 1 and not counts and body == st.Num(Fraction(1)):
            return self.atom(guarding[0])
        return self.guarded(body, guarding, counts)

    # ---- atoms -----------------------------------------------------------------------------------------------------

    def atom(self, atom: Atom) -> st.Tree:
        if isinstance(atom, Read):
            return self.style.read(atom) or st.Read(atom.name, tuple(map(syntax_index, atom.index)))
        if isinstance(atom, Size):
            return st.Size(atom.axis)
        if isinstance(atom, Irrational):
            return st.Num(Fraction(int(atom.name))) if atom.name.isdigit() else st.Const(atom.name)
        if isinstance(atom, Delta):
            return st.Indicator(st.Match(syntax_index(atom.left), syntax_index(atom.right)))
        if isinstance(atom, Condition):
            return st.Indicator(self.condition(atom)) if atom.holds else self.guarded(st.Num(Fraction(1)), [atom], {})
        if isinstance(atom, Function):
            return st.Call(atom.head, tuple(map(self.argument, atom.args)))
        return self.extremum(atom)

    def extremum(self, atom: Extremum) -> st.Reduce:
        """The extremum as a reduction, with a bound index in the place of each hole."""
        taken = {*self.scope, *(i for i in atom_indices(atom) if isinstance(i, str))}
        names: list[str] = []
        index: list[Index] = []
        for i in atom.of.index:
            if isinstance(i, Hole):
                names.append(st.fresh_index(i.axis, taken))
                taken.add(names[-1])
            index.append(names[-1] if isinstance(i, Hole) else i)
        body = self.atom(Read(atom.of.name, tuple(index)))
        own = {h.axis: n for h, n in zip((i for i in atom.of.index if isinstance(i, Hole)), names, strict=True)}
        for c in atom.where:
            assert c.form is not None
            body = st.Call("where", (comparison(c.rel, c.form.filled(own)), body, st.NEUTRAL[atom.head]))
        return st.Reduce(atom.head, tuple(names), body)

    def argument(self, argument: Argument) -> st.Tree:
        if isinstance(argument, Fraction):
            return st.Num(argument) if argument >= 0 else st.Neg(st.Num(-argument))
        return self.atom(argument)

    def guards(self, powers: Mapping[Any, Exponent]) -> tuple[list[Condition], dict[Read, Exponent]]:
        """The conditions in a product, and the divisors that are counts of ties: these divide outside of the conditions."""
        found = conditions(powers)
        counts = {a: -e for a, e in powers.items() if isinstance(a, Read) and a.name in self.style.counts and e < 0}
        return found, counts if found else {}

    def guarded(self, tree: st.Tree, guarding: Sequence[Condition], counts: Mapping[Read, Exponent]) -> st.Tree:
        """``where(condition, tree, 0) / counts``. Beside NaN the count of ties is 0, and 0/0 is NaN, as in torch.

        A condition on indices guards the quotient: where it does not hold, no tie is counted, and NaN stays apart.
        """
        inside, around = ([c for c in guarding if (c.form is not None and bool(counts)) == on] for on in (False, True))
        tree = self.chosen(tree, inside)
        for count, e in counts.items():
            tree = st.Div(tree, self.power(count, e, ()))
        return self.chosen(tree, around)

    def chosen(self, tree: st.Tree, guarding: Iterable[Condition]) -> st.Tree:
        """The tree where all conditions hold, else 0."""
        for c in guarding:
            sides = (tree, st.Num(Fraction(0)))
            tree = st.Call("where", (self.condition(c), *(sides if c.holds else sides[::-1])))
        return tree

    def condition(self, c: Condition) -> st.Compare:
        if c.form is not None:
            return comparison(c.rel, c.form)
        left, right = map(self.argument, c.sides)
        return st.Compare(c.rel, left, right)
