"""Flat terms back to trees: common factors pulled out, sums in their best order, what depends on fewer axes first.

``gamma*rstd*dy - gamma*rstd*sum(dy)/N - ...`` becomes ``gamma*rstd*(dy - sum(dy)/N - ...)``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import permutations
from typing import Any, NamedTuple

from derive import syntax as st
from derive.terms.atoms import connected
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
    Lookup,
    Mono,
    Order,
    Read,
    Size,
    Sum,
    atom_indices,
    atom_order,
    axis_of,
    close,
    free_names,
    negated,
    open_mono,
    term,
    times,
)
from derive.terms.tidy import tidy


class Inner(NamedTuple):
    """A sum (or mean) over bound indices that stands as one factor; ``mono`` has no factor outside the sum."""

    mono: Mono
    kind: str = "sum"
    tag: str = "inner"


#: The length that an axis is taken to have where the op states none.
DEFAULT_SIZE = 512

#: A coefficient with a larger numerator or denominator is one number, not a multiplication and a division.
LARGEST_PART = 10_000

Factor = Atom | Inner
Powers = dict[Factor, Exponent]


@dataclass(frozen=True)
class Style:
    """How names are ordered and how long axes are taken to be; the tree of a read can be replaced.

    ``counts`` are the names that say how many entries share a maximum: at least 1, or 0 beside NaN.
    """

    rank: Callable[[str], int] = lambda name: 0
    size: Callable[[str], int] = lambda axis: DEFAULT_SIZE
    read: Callable[[Read], st.Tree | None] = lambda read: None
    counts: frozenset[str] = frozenset()


DEFAULT = Style()


def to_tree(body: Sum, index: Iterable[str], style: Style = DEFAULT) -> st.Tree:
    """The factored tree of an expression with the free indices ``index``."""
    return _tree(body, tuple(index), style)


@lru_cache(maxsize=4096)  # a line is priced, judged, certified and printed
def _tree(body: Sum, index: tuple[str, ...], style: Style) -> st.Tree:
    tree = _Builder(style, index).sum([(dict(split(mono)), c) for mono, c in body], ())
    return tree if style.read is DEFAULT.read else tidy(tree)


@lru_cache(maxsize=50_000)
def split(mono: Mono) -> Mapping[Factor, Exponent]:
    """A term as a product in which every connected group of bound indices is one :class:`Inner` factor."""
    opened = open_mono(mono)
    groups = connected(opened.factors, opened.bound)  # the sum over two of them is the product of two sums
    out: Powers = {}
    taken: set[Atom] = set()
    for group in groups:
        inside = {a: e for a, e in opened.factors.items() if atom_indices(a) & group}
        taken |= set(inside)
        scaled = close(inside, sorted(group))
        assert scaled.mono is not None and scaled.coefficient == 1
        times(out, Inner(scaled.mono), 1)
    for atom, e in opened.factors.items():
        if atom not in taken:
            times(out, atom, e)
    return out


def product_of(powers: Mapping[Factor, Exponent]) -> Sum:
    """The flat term of a product, its inner sums included."""
    out = term({f: e for f, e in powers.items() if not isinstance(f, Inner)})
    for f, e in powers.items():
        if isinstance(f, Inner):
            for _ in range(int(e)):
                out = out * Sum({f.mono: Fraction(1)})
    return out


@lru_cache(maxsize=50_000)
def factor_indices(factor: Factor) -> frozenset[str]:
    """The free indices of a factor."""
    if isinstance(factor, Inner):
        return free_names(factor.mono)
    return frozenset(i for i in atom_indices(factor) if isinstance(i, str))


def _order(factor: Factor) -> Order:
    if isinstance(factor, Inner):
        return ("z", len(factor.mono.bound), tuple(atom_order(a) for a, _ in factor.mono.factors))
    return ("a", 0, atom_order(factor))


Term = tuple[Powers, Fraction]


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
        common, coefficient, rest = _common(terms)
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
            with_it = [t for t in terms if t[0].get(shared[0]) and _sign(t[0][shared[0]]) == shared[1]]
            parts = [(self.sum(with_it, scope), with_it[0]), *((self.sum([t], scope), t) for t in terms if t not in with_it)]
        return _added([p for p, _ in sorted(parts, key=lambda p: self.term_order(p[0], p[1]))])

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
            return _added([choice, self.sum(rest, scope)]) if rest else choice
        return None

    def merged(self, terms: list[Term], scope: tuple[str, ...]) -> st.Tree | None:
        """``sum(u) - sum(v)`` as ``sum(u - v)``, where both are over the same loop: what is close to each other meets first."""
        loops = [_loop(powers) for powers, _ in terms]
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
        return _added([tree, self.sum(rest, scope)]) if rest else tree

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
        for factor, e in sorted(halves, key=lambda fe: (_order(fe[0]), fe[1])):
            held = [(without(p, factor), c) for p, c in terms if p.get(factor) == e]
            rest = [(p, c) for p, c in terms if factor not in p]
            ratio = _ratio(held, rest) if len(held) == len(rest) == len(terms) // 2 else None
            if ratio is not None:
                return _multiplied([self.sum([({}, Fraction(1)), ({factor: e}, ratio)], scope), self.sum(rest, scope)])
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
                key = (f, _sign(e))
                counts[key] = counts.get(key, 0) + 1
                axes[key] = axes.get(key, frozenset()) | loop
        worth = [k for k, n in counts.items() if 1 < n < len(terms) and factor_indices(k[0]) >= axes[k]]
        return max(worth, key=lambda k: (self.saved(k, terms), self.rank(k[0]), _order(k[0])), default=None)

    def saved(self, key: tuple[Factor, int], terms: list[Term]) -> int:
        """The multiplications that sharing a factor saves, with all else that the terms which hold it have in common."""
        held = [t for t in terms if t[0].get(key[0]) and _sign(t[0][key[0]]) == key[1]]
        return (len(held) - 1) * sum(self.elements(f) for f in _shared(held))

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
        return (negative, any(isinstance(f, Delta) for f in first[0]), inner, weight, ranks, sorted(map(_order, first[0])))

    # ---- products --------------------------------------------------------------------------------------------------

    def product(self, powers: Powers, coefficient: Fraction, inner: st.Tree | None, scope: tuple[str, ...]) -> st.Tree:
        """Numerators from few axes to many, each group over the divisors that have no more axes than it."""
        powers, coefficient = _roots_down(powers, coefficient)
        powers = _as_means(powers)
        groups: list[tuple[frozenset[str], list[st.Tree]]] = []
        if root := self.root_of_quotient(powers):
            powers = {f: e for f, e in powers.items() if not isinstance(f, Irrational)}
            groups.append((frozenset(), [root]))
        powers, quotients = self.powers_of_quotients(powers, scope)
        groups += quotients
        num = [(f, e) for f, e in powers.items() if e > 0]
        for f, e in sorted(num, key=lambda fe: (len(factor_indices(fe[0])), self.rank(fe[0]), _order(fe[0]))):
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
        tree = _arranged(groups, numbers, self.divisors(powers, denominator, scope))
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
        den.sort(key=lambda fe: (len(factor_indices(fe[0])), _order(fe[0])))
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
        body = _multiplied(parts)
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
        conditions = sorted((a for a in powers if isinstance(a, Condition)), key=_order)
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


def best_order(factors: dict[Atom, Exponent], bound: tuple[str, ...], size: Callable[[str], int]) -> list[tuple[str, ...]]:
    """The order of summation that takes the fewest operations; indices that may go together do."""
    if len(bound) == 1:
        return [bound]
    sets = [frozenset(i for i in atom_indices(a) if isinstance(i, str)) for a in factors]
    candidates = permutations(bound) if len(bound) <= 4 else [bound]
    best: tuple[int, int, list[tuple[str, ...]]] | None = None
    for order in candidates:
        apart: list[tuple[str, ...]] = [(i,) for i in order]
        for steps in (apart, _grouped(sets, order)):
            found = (_elimination_cost(sets, steps, size), len(steps), steps)
            if best is None or found[:2] < best[:2]:
                best = found
    assert best is not None
    return [tuple(i for i in bound if i in group) for group in best[2]]  # within one step the order is the term's own


def _grouped(sets: list[frozenset[str]], order: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Sum adjacent indices in one step where the same factors carry them."""
    steps: list[tuple[str, ...]] = []
    for i in order:
        if steps and _users(sets, i) == _users(sets, steps[-1][0]):
            steps[-1] = (*steps[-1], i)
        else:
            steps.append((i,))
    if len(steps) == 2 and len(sets) <= 2:
        steps = [tuple(order)]
    return steps


def _users(sets: list[frozenset[str]], i: str) -> list[bool]:
    return [i in s for s in sets]


def _elimination_cost(sets: list[frozenset[str]], steps: list[tuple[str, ...]], size: Callable[[str], int]) -> int:
    """Operations of summing in these steps: each loops over all that its factors carry, and leaves the rest behind."""
    cost = 0
    for group in steps:
        touched = [s for s in sets if s & set(group)]
        sets = [s for s in sets if not s & set(group)]
        union: frozenset[str] = frozenset().union(*touched)
        n = 1
        for i in union:
            n *= size(axis_of(i))
        cost += n * max(len(touched), 1)
        sets.append(union - set(group))
    return cost


# ---- helpers ------------------------------------------------------------------------------------------------------------


def syntax_index(index: Index) -> st.Index:
    """A named index in the syntax of trees."""
    assert not isinstance(index, (int, Hole)), "a bound index has no name here"
    if isinstance(index, Lookup):
        return st.Lookup(index.name, tuple(map(syntax_index, index.index)))
    return index


def with_arguments(tree: st.Tree, **reads: Read) -> st.Tree:
    """A tree in names without axes, with a read in the place of each."""
    if isinstance(tree, st.Read):
        return st.Read(reads[tree.name].name, tuple(map(syntax_index, reads[tree.name].index)))
    return st.rebuild(tree, lambda child: with_arguments(child, **reads))


def _sign(e: Exponent) -> int:
    return 1 if e > 0 else -1


def without(powers: Mapping[Factor, Exponent], factor: Factor) -> Powers:
    """The product with one factor left out."""
    return {f: e for f, e in powers.items() if f != factor}


def _roots_down(powers: Powers, coefficient: Fraction) -> tuple[Powers, Fraction]:
    """``2**(1/2)/2 = 1/2**(1/2)``."""
    out = dict(powers)
    for f, e in powers.items():
        if isinstance(f, Irrational) and f.name.isdigit() and coefficient.denominator % int(f.name) == 0 and e > 0:
            coefficient *= int(f.name)
            out[f] = e - 1
    return out, coefficient


def _as_means(powers: Powers) -> Powers:
    """``sum[n](x)/size(n) = mean[n](x)``, for a sum that is no contraction."""
    out = dict(powers)
    for f, e in powers.items():
        if isinstance(f, Inner) and e == 1 and len(set(f.mono.bound)) == len(f.mono.bound) and _is_plain(f.mono):
            sizes = [Size(axis) for axis in f.mono.bound]
            if all(out.get(size, 0) <= -1 for size in sizes):
                del out[f]
                for size in sizes:
                    times(out, size, 1)
                times(out, Inner(f.mono, "mean"), 1)
    return out


class Loop(NamedTuple):
    """What two sums must have in common to be one: the factors outside, the reduction, and the indices of the loop."""

    outside: frozenset[tuple[Factor, Exponent]]
    kind: str
    bound: tuple[str, ...]
    free: frozenset[str]


def _loop(powers: Powers) -> Loop | None:
    """The loop of a term that is a single plain reduction, times what is outside of it; None for any other."""
    inner = [f for f in powers if isinstance(f, Inner)]
    if len(inner) != 1 or powers[inner[0]] != 1:
        return None
    mono = inner[0].mono
    if len(set(mono.bound)) < len(mono.bound) or not _is_plain(mono):
        return None
    outside = frozenset((f, e) for f, e in powers.items() if f != inner[0])
    return Loop(outside, inner[0].kind, tuple(sorted(mono.bound)), free_names(mono))


def _is_plain(mono: Mono) -> bool:
    """Whether some factor carries every index of the loop: a reduction, not a contraction."""
    every = frozenset().union(*(atom_indices(a) for a, _ in mono.factors))
    return any(atom_indices(a) == every for a, _ in mono.factors) and not any(isinstance(a, Delta) for a, _ in mono.factors)


def _ratio(one: list[Term], other: list[Term]) -> Fraction | None:
    """The number by which each term of one sum is that of the other, in whatever order; None if there is none."""
    known = {frozenset(powers.items()): c for powers, c in other}
    ratios = {c / known[key] if (key := frozenset(powers.items())) in known else None for powers, c in one}
    return ratios.pop() if len(ratios) == 1 else None


def _shared(terms: list[Term]) -> Powers:
    """The common monomial: of each factor the power nearest to 0, where all have the same sign."""
    common = dict(terms[0][0])
    for powers, _ in terms[1:]:
        for f in list(common):
            e = powers.get(f)
            if e is None or _sign(e) != _sign(common[f]):
                del common[f]
            elif e != common[f]:
                common[f] = min(e, common[f]) if e > 0 else max(e, common[f])
    return common


def _common(terms: list[Term]) -> tuple[Powers, Fraction, list[Term]]:
    """The common monomial, the common number, and what is left of each term."""
    if len(terms) == 1:
        return dict(terms[0][0]), terms[0][1], [({}, Fraction(1))]
    common = _shared(terms)
    sizes = {abs(c) for _, c in terms}
    number = min(sizes) if len(sizes) == 1 else Fraction(1)
    if all(c < 0 for _, c in terms):
        number = -number
    rest: list[Term] = []
    for powers, c in terms:
        left = dict(powers)
        for f, e in common.items():
            times(left, f, -e)
        rest.append((left, c if number == 1 else c / number))
    return common, number, rest


def _added(parts: list[st.Tree]) -> st.Tree:
    flat: list[st.Tree] = []
    for p in parts:
        flat.extend(p.args if isinstance(p, st.Add) else (p,))
    return flat[0] if len(flat) == 1 else st.Add(tuple(flat))


def _multiplied(parts: list[st.Tree]) -> st.Tree:
    flat: list[st.Tree] = []
    for p in parts:
        flat.extend(p.args if isinstance(p, st.Mul) else (p,))
    return flat[0] if len(flat) == 1 else st.Mul(tuple(flat))


def _arranged(
    groups: list[tuple[frozenset[str], list[st.Tree]]], numbers: list[st.Tree], divisors: list[tuple[frozenset[str], st.Tree]]
) -> st.Tree:
    """Multiply and divide so that what has few axes is combined before it meets what has many."""
    groups = groups or [(frozenset(), [])]
    left, parts = list(divisors), []
    covered: frozenset[str] = frozenset()
    for k, (axes, factors) in enumerate(groups):
        covered |= axes
        last = k == len(groups) - 1
        here = [t for a, t in left if last or a <= covered]
        left = [d for d in left if not (last or d[0] <= covered)]
        tree = _multiplied([*numbers, *factors] if k == 0 else factors)
        parts.append(st.Div(tree, _multiplied(here)) if here else tree)
    if len(parts) == 2 and isinstance(parts[0], (st.Div, st.Reduce)) and isinstance(parts[1], (st.Read, st.Pow)):
        parts.reverse()
    return _multiplied(parts)
