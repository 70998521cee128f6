"""Flat terms back to trees: common factors pulled out, sums in their best order, what depends on fewer axes first.

``gamma*rstd*dy - gamma*rstd*sum(dy)/N - ...`` becomes ``gamma*rstd*(dy - sum(dy)/N - ...)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from derive import syntax as st
from derive.terms.arranged import added, arranged, multiplied
from derive.terms.factors import (
    Factor,
    Inner,
    Powers,
    Term,
    as_means,
    common_factors,
    factor_indices,
    factor_order,
    loop_of,
    ratio_of,
    roots_down,
    shared_factors,
    sign_of,
    split,
    without,
)
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
    axis_of,
    negated,
    open_mono,
    times,
)
from derive.terms.tidy import tidy

#: A coefficient with a larger numerator or denominator is one number, not a multiplication and a division.
LARGEST_PART = 10_000


def to_tree(body: Sum, index: Iterable[str], style: Style = DEFAULT) -> st.Tree:
    """The factored tree of an expression with the free indices ``index``."""
    return _tree(body, tuple(index), style)


@lru_cache(maxsize=4096)  # a line is priced, judged, certified and printed
def _tree(body: Sum, index: tuple[str, ...], style: Style) -> st.Tree:
    tree = _Builder(style, index).sum([(dict(split(mono)), c) for mono, c in body], ())
    return tree if style.read is DEFAULT.read else tidy(tree)


class _Builder:
    def __init__(self, style: Style, scope: tuple[str, ...]):
        self.style, self.scope = style, scope

    # ---- sums ------------------------------------------------------------------------------------------------------

    def sum(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree:
        """A sum of terms: what all have in common times the rest; a common condition guards the whole."""
        if not terms:
            return st.Num(Fraction(0))
        common, coefficient, rest = self.pulled(terms)
        conditions, counts = self.guards(common)
        plain: Powers = {a: e for a, e in common.items() if a not in conditions and a not in counts}
        inner = None if rest == [({}, Fraction(1))] else self.added(rest, scope)
        return self.guarded(self.product(plain, coefficient, inner, scope), conditions, counts)

    def pulled(self, terms: list[Term]) -> tuple[Powers, Fraction, list[Term]]:
        """The common factors, the number, and what is left of each term.

        A factor of few axes stays inside where every term has another such factor to multiply it first: taking it out
        would cost one multiplication over all axes.
        """
        common, coefficient, rest = common_factors(terms)
        loop = frozenset().union(*(factor_indices(f) for powers, _ in terms for f in powers))
        narrow = {f: e for f, e in common.items() if factor_indices(f) < loop and not isinstance(f, (Condition, Delta))}
        if len(rest) < 2 or not narrow or not all(self.has_narrow(powers, c, loop) for powers, c in rest):
            return common, coefficient, rest
        for powers, _ in rest:
            for f, e in narrow.items():
                times(powers, f, e)
        return {f: e for f, e in common.items() if f not in narrow}, coefficient, rest

    def has_narrow(self, powers: Powers, coefficient: Fraction, loop: frozenset[str]) -> bool:
        return any(factor_indices(f) < loop for f in powers) or abs(coefficient) != 1

    def added(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree:
        """A sum without a common factor: two sides of a condition, then the factor most worth sharing, then term by term."""
        branches = self.branches(terms, scope) or self.unequal(terms) or self.merged(terms, scope)
        if branches is not None:
            return branches
        if (product := self.product_of_sums(terms, scope)) is not None:
            return product
        shared = self.most_shared(terms)
        if shared is None:
            parts = [(self.sum([t], scope), t) for t in terms]
        else:
            with_it = [t for t in terms if t[0].get(shared[0]) and sign_of(t[0][shared[0]]) == shared[1]]
            parts = [(self.sum(with_it, scope), with_it[0]), *((self.sum([t], scope), t) for t in terms if t not in with_it)]
        return added([p for p, _ in sorted(parts, key=lambda p: self.term_order(p[0], p[1]))])

    def branches(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree | None:
        """The two sides of one condition as a single choice, if there are terms of both."""
        for c in [f for powers, _ in terms for f in powers if isinstance(f, Condition)]:
            if not any(negated(c) in powers for powers, _ in terms):
                continue
            c, other = (c, negated(c)) if c.holds else (negated(c), c)
            yes = [(without(p, c), k) for p, k in terms if c in p]
            no = [(without(p, other), k) for p, k in terms if other in p]
            rest = [t for t in terms if c not in t[0] and other not in t[0]]
            choice = st.Call("where", (self.condition(c), self.sum(yes, scope), self.sum(no, scope)))
            return added([choice, self.sum(rest, scope)]) if rest else choice
        return None

    def merged(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree | None:
        """``sum(u) - sum(v)`` as ``sum(u - v)``, where both are over the same loop: what is close to each other meets first."""
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

    def unequal(self, terms: list[Term]) -> st.Tree | None:
        """``1 - [c = j]`` as ``[c != j]``."""
        if len(terms) != 2 or ({}, Fraction(1)) not in terms:
            return None
        ((powers, c),) = [t for t in terms if t != ({}, Fraction(1))]
        hot = next(iter(powers))
        if c != -1 or len(powers) != 1 or not isinstance(hot, Delta):
            return None
        return st.Indicator(st.Match(syntax_index(hot.left), syntax_index(hot.right), False))

    def product_of_sums(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree | None:
        """``u + v + k*u*b + k*v*b`` as ``(1 + k*b)*(u + v)``, so that differences stay differences."""
        if len(terms) < 4 or len(terms) % 2:
            return None
        counts = Counter(fe for powers, _ in terms for fe in powers.items())
        halves = [fe for fe, n in counts.items() if n == len(terms) // 2]
        for factor, e in sorted(halves, key=lambda fe: (factor_order(fe[0]), fe[1])):
            held = [(without(p, factor), c) for p, c in terms if p.get(factor) == e]
            rest = [(p, c) for p, c in terms if factor not in p]
            ratio = ratio_of(held, rest) if len(held) == len(rest) == len(terms) // 2 else None
            if ratio is not None:
                return multiplied([self.sum([({}, Fraction(1)), ({factor: e}, ratio)], scope), self.sum(rest, scope)])
        return None

    def most_shared(self, terms: list[Term]) -> tuple[Factor, int] | None:
        """The factor, with its sign, that most terms share; None if sharing saves no multiplication.

        A factor with fewer axes than its terms is left where it is: there it multiplies what has few axes too.
        """
        if len(terms) < 3:
            return None
        counts: dict[tuple[Factor, int], int] = {}
        axes: dict[tuple[Factor, int], frozenset[str]] = {}
        for powers, _ in terms:
            loop = frozenset().union(*map(factor_indices, powers))
            for f, e in powers.items():
                key = (f, sign_of(e))
                counts[key] = counts.get(key, 0) + 1
                axes[key] = axes.get(key, frozenset()) | loop
        worth = [k for k, n in counts.items() if 1 < n < len(terms) and factor_indices(k[0]) >= axes[k]]
        return max(worth, key=lambda k: (self.saved(k, terms), self.rank(k[0]), factor_order(k[0])), default=None)

    def saved(self, key: tuple[Factor, int], terms: list[Term]) -> int:
        """The multiplications that sharing a factor saves, with all else that the terms which hold it have in common."""
        held = [t for t in terms if t[0].get(key[0]) and sign_of(t[0][key[0]]) == key[1]]
        return (len(held) - 1) * sum(self.elements(f) for f in shared_factors(held))

    def elements(self, factor: Factor) -> int:
        n = 1
        for i in factor_indices(factor):
            n *= self.style.size(axis_of(i))
        return n

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
        """Numerators from few axes to many, each group over the divisors that have no more axes than it."""
        powers, coefficient = roots_down(powers, coefficient)
        powers = as_means(powers)
        groups: list[tuple[frozenset[str], list[st.Tree]]] = []
        if root := self.root_of_quotient(powers):
            powers = {f: e for f, e in powers.items() if not isinstance(f, Irrational)}
            groups.append((frozenset(), [root]))
        powers, quotients = self.powers_of_quotients(powers, scope)
        groups += quotients
        num = [(f, e) for f, e in powers.items() if e > 0]
        for f, e in sorted(num, key=lambda fe: (len(factor_indices(fe[0])), self.rank(fe[0]), factor_order(fe[0]))):
            axes = factor_indices(f)
            if groups and groups[-1][0] == axes:
                groups[-1][1].append(self.power(f, e, scope))
            else:
                groups.append((axes, [self.power(f, e, scope)]))
        if inner is not None:
            groups.append((frozenset(st.free_indices(inner)), [inner]))
        numbers: list[st.Tree] = []
        numerator, denominator = abs(coefficient.numerator), coefficient.denominator
        if max(numerator, denominator) > LARGEST_PART:
            numbers, denominator = [st.Num(Fraction(numerator, denominator))], 1
        elif numerator != 1 or not groups:
            numbers = [st.Num(Fraction(numerator))]
        tree = arranged(groups, numbers, self.divisors(powers, denominator, scope))
        return st.Neg(tree) if coefficient < 0 else tree

    def root_of_quotient(self, powers: Powers) -> st.Tree | None:
        """``sqrt(2)/sqrt(pi)`` as ``sqrt(2/pi)``, where a product has no other roots of numbers."""
        numbers = [f for f in powers if isinstance(f, Irrational)]
        if len(numbers) != 2:
            return None
        roots, half = {powers[f]: f for f in numbers}, Fraction(1, 2)
        if roots.keys() != {half, -half}:
            return None
        return st.Pow(st.Div(self.atom(roots[half]), self.atom(roots[-half])), st.Num(half))

    def powers_of_quotients(
        self, powers: Powers, scope: tuple[str, ...]
    ) -> tuple[Powers, list[tuple[frozenset[str], list[st.Tree]]]]:
        """``u**2/v**2`` as ``(u/v)**2``, which costs a multiplication less and overflows only where the quotient does."""
        above, below = ([f for f, e in powers.items() if e.denominator == 1 and sign * e > 1] for sign in (1, -1))
        if len(above) != 1 or len(below) != 1:
            return powers, []
        (u,), (v,) = above, below
        axes, e = factor_indices(u), powers[u]
        if factor_indices(v) != axes or e != -powers[v]:
            return powers, []
        quotient = st.Pow(st.Div(self.power(u, 1, scope), self.power(v, 1, scope)), st.Num(Fraction(e)))
        return {f: k for f, k in powers.items() if f not in (u, v)}, [(axes, [quotient])]

    def divisors(self, powers: Powers, denominator: int, scope: tuple[str, ...]) -> list[tuple[frozenset[str], st.Tree]]:
        """What is divided by, each with its axes: the number, roots of numbers as one, then few axes to many."""
        den = [(f, -e) for f, e in powers.items() if e < 0]
        den.sort(key=lambda fe: (len(factor_indices(fe[0])), factor_order(fe[0])))
        out: list[tuple[frozenset[str], st.Tree]] = []
        if denominator != 1:
            out.append((frozenset(), st.Num(Fraction(denominator))))
        half = Fraction(1, 2)
        roots = [f for f, e in den if isinstance(f, Irrational) and e == half]
        if len(roots) > 1:  # sqrt(2)*sqrt(pi) reads better as sqrt(2*pi)
            out.append((frozenset(), st.Pow(st.Mul(tuple(map(self.atom, roots))), st.Num(half))))
            den = [(f, e) for f, e in den if f not in roots]
        return out + [(factor_indices(f), self.power(f, e, scope)) for f, e in den]

    def power(self, factor: Factor, e: Exponent, scope: tuple[str, ...]) -> st.Tree:
        tree = self.inner(factor, scope) if isinstance(factor, Inner) else self.atom(factor)
        return tree if e == 1 else st.Pow(tree, st.Num(Fraction(e)))

    # ---- reductions ------------------------------------------------------------------------------------------------

    def inner(self, inner: Inner, scope: tuple[str, ...]) -> st.Tree:
        """The nested sums of one connected group, in the order that costs least."""
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
        """Sum over one group of indices after the other, each over no more factors than carry it; a mean is a mean of each."""
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
        """The product of factors and of trees already built; conditions guard it."""
        conditions, counts = self.guards(factors)
        plain: Powers = {a: e for a, e in factors.items() if a not in conditions and a not in counts}
        tree = self.product(plain, Fraction(1), None, scope) if plain or not trees else None
        parts = ([tree] if tree is not None else []) + trees
        body = multiplied(parts)
        if len(conditions) == 1 and not counts and body == st.Num(Fraction(1)):
            return self.atom(conditions[0])
        return self.guarded(body, conditions, counts)

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
        """The extremum with a name for each of its slots."""
        taken = {*self.scope, *(i for i in atom_indices(atom) if isinstance(i, str))}
        names: list[str] = []
        index: list[Index] = []
        for i in atom.of.index:
            if isinstance(i, Hole):
                names.append(st.fresh_index(i.axis, taken))
                taken.add(names[-1])
            index.append(names[-1] if isinstance(i, Hole) else i)
        return st.Reduce(atom.head, tuple(names), self.atom(Read(atom.of.name, tuple(index))))

    def argument(self, argument: Argument) -> st.Tree:
        if isinstance(argument, Fraction):
            return st.Num(argument) if argument >= 0 else st.Neg(st.Num(-argument))
        return self.atom(argument)

    def guards(self, powers: Mapping[Any, Exponent]) -> tuple[list[Condition], dict[Read, Exponent]]:
        """The conditions in a product, and the counts among its divisors that stay outside them."""
        conditions = sorted((a for a in powers if isinstance(a, Condition)), key=factor_order)
        counts = {a: -e for a, e in powers.items() if isinstance(a, Read) and a.name in self.style.counts and e < 0}
        return conditions, counts if conditions else {}

    def guarded(self, tree: st.Tree, conditions: Iterable[Condition], counts: Mapping[Read, Exponent]) -> st.Tree:
        """The tree where the conditions are 1, else 0, over the counts: 0/0 beside NaN, as torch has it."""
        for c in conditions:
            sides = (tree, st.Num(Fraction(0)))
            tree = st.Call("where", (self.condition(c), *(sides if c.holds else sides[::-1])))
        for count, e in counts.items():
            tree = st.Div(tree, self.power(count, e, ()))
        return tree

    def condition(self, c: Condition) -> st.Compare:
        return st.Compare(c.rel, self.argument(c.left), self.argument(c.right))
