"""The rules by which names are folded and unfolded, each taken from a definition of the op.

* An *elimination* writes an earlier name in terms of a later one: ``xhat = c*rstd`` gives ``c = xhat/rstd``. It divides only
  by factors that are proved nonzero, or by which the definition itself divides.
* A *product* is a monomial definition. It matches a term that has all of its factors, and so never divides.
* A *pattern* is a reduction that a name holds: ``mu = sum[n](x)/N`` gives ``sum[n](x) = N*mu``.
* A *total* is a sum of several terms whose value is a name or 1: ``z = u/w`` and ``q = v/w`` of ``w = u + v`` give
  ``z + q = 1``. It matches an expression that has all of these terms, times a common factor.
* A *solution* writes one term of a sum in terms of the sum: ``a = e + f`` gives ``f = a - e``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Generic, TypeVar

from derive.simplify.signs import Signs
from derive.terms.atoms import rename
from derive.terms.definitions import Definition
from derive.terms.sums import (
    Atom,
    Condition,
    Exponent,
    Irrational,
    Mono,
    Read,
    Size,
    Sum,
    atom_indices,
    atom_reads,
    atom_sum,
    axis_of,
    canonical_order,
    number,
    open_mono,
    sum_reads,
    term,
    times,
    whole,
)


@dataclass(frozen=True)
class Rewriting:
    """``name[index] = body``, which follows from the definition of ``using``.

    ``roots`` says that every factor of the body is positive where the name is positive: a root of the body is then the
    product of the factors' roots.
    """

    name: str
    index: tuple[str, ...]
    body: Sum
    using: str
    roots: bool = False


@dataclass(frozen=True)
class Product:
    """``coefficient * factors = using[index]``; all sides have the same free indices."""

    factors: tuple[tuple[Atom, Exponent], ...]
    coefficient: Fraction
    index: tuple[str, ...]
    using: str

    @cached_property
    def names(self) -> frozenset[str]:
        """The tensors among the factors. An expression matches only if it reads all of them."""
        return frozenset(a.name for a, _ in self.factors if isinstance(a, Read))


@dataclass(frozen=True)
class Total:
    """``terms = value`` over the free indices ``index``. No term is a reduction."""

    terms: tuple[tuple[Mono, Fraction], ...]
    value: Sum
    index: tuple[str, ...]
    using: str

    @cached_property
    def names(self) -> frozenset[str]:
        """The tensors in the terms. An expression matches only if it reads all of them."""
        return sum_reads(Sum(dict(self.terms)))


@dataclass(frozen=True)
class Pattern:
    """The value of a reduction that is given in canonical form; ``index`` are its free indices in canonical order."""

    index: tuple[str, ...]
    value: Sum
    using: str


Named = TypeVar("Named", Product, Total)


class ByName(Generic[Named]):
    """Rules, found by the tensors that an expression has to read for them to match."""

    def __init__(self) -> None:
        self.rules: dict[str, list[tuple[int, Named]]] = {}
        self.count = 0

    def add(self, rule: Named) -> None:
        """Add a rule. A rule that needs no tensor is never found."""
        if rule.names:
            self.rules.setdefault(min(rule.names), []).append((self.count, rule))
            self.count += 1

    def among(self, names: frozenset[str]) -> list[Named]:
        """The rules that need no tensors but ``names``, in the order in which they were added."""
        found = [pair for name in names for pair in self.rules.get(name, ()) if pair[1].names <= names]
        return [rule for _, rule in sorted(found, key=lambda pair: pair[0])]


PatternKey = tuple[tuple[tuple[Atom, Exponent], ...], tuple[str, ...]]
#: The tensors that a reduction reads, and the number of its factors: what is seen of it before its canonical form is found.
Outline = tuple[frozenset[str], int]


class Patterns:
    """The patterns by the canonical form of their reductions. Of two names that hold the same reduction, the first counts."""

    def __init__(self) -> None:
        self.by_key: dict[PatternKey, Pattern] = {}
        self.outlines: set[Outline] = set()

    def add(self, key: PatternKey, pattern: Pattern) -> None:
        self.by_key.setdefault(key, pattern)
        self.outlines.add((frozenset(name for a, _ in key[0] for name in atom_reads(a)), len(key[0])))


def pattern_key(factors: dict[Atom, Exponent], bound: Iterable[str]) -> tuple[PatternKey, tuple[str, ...]]:
    """The canonical form of a sum over ``bound``, independent of index names, and the sum's free indices in canonical order."""
    bound = set(bound)
    names = sorted({i for a in factors for i in atom_indices(a) if isinstance(i, str)})
    kind = {n: f"1{axis_of(n)}" if n in bound else "0" for n in names}
    order, ordered = canonical_order(factors, names, kind)
    free = tuple(n for n in order if n not in bound)
    return (ordered, tuple(kind[n] for n in order)), free


def guarded_names(definitions: Iterable[Definition]) -> set[str]:
    """The names from which terms with a condition are made. Where the condition does not hold, a guarded name may be undefined.

    So a root of a guarded name does not prove that the name is positive.
    A name that the condition itself is computed from is not guarded: for a relu after a batch norm, the batch norm is needed.
    """
    sources: dict[str, set[str]] = {}
    guarded: set[str] = set()

    def behind(atoms: Iterable[Atom]) -> set[str]:
        return {name for a in atoms for read in atom_reads(a) for name in sources.get(read, {read})}

    for d in definitions:
        sources[d.name] = {d.name} | behind(a for mono in d.body.terms for a, _ in mono.factors)
        for mono in d.body.terms:
            conditions = [a for a, _ in mono.factors if isinstance(a, Condition)]
            if conditions:
                guarded |= behind(a for a, _ in mono.factors if a not in conditions) - behind(conditions)
    return guarded


class Tables:
    """All rules that follow from the definitions of one op."""

    def __init__(
        self,
        signs: Signs,
        constants: set[str],
        inputs: set[str],
        guarded: set[str],
        recovers: Callable[[str, tuple[str, ...], Sum], bool],
    ):
        self.signs, self.constants, self.inputs = signs, constants, inputs
        self.guarded, self.recovers = guarded, recovers
        self.definitions: dict[str, Definition] = {}
        self.eliminations: dict[str, Rewriting] = {}
        self.solutions: dict[str, Rewriting] = {}
        self.products: ByName[Product] = ByName()
        self.totals: ByName[Total] = ByName()
        self.patterns = Patterns()
        #: The names in terms of which eliminations write other computed names.
        self.last: set[str] = set()
        #: The conditions on indices outside of which a name is 0.
        self.support: dict[str, list[Condition]] = {}

    def add_forward(self, d: Definition, body: Sum) -> None:
        """Add the rules of a forward definition. ``body`` is its right side after the eliminations known so far."""
        self.definitions[d.name] = d
        only = body.single
        if only is not None and not only[0].bound:
            self.add_monomial(d, dict(only[0].factors), only[1])
        if len(d.body) > 1:
            self.add_solution(d)

    def add_reduction(self, d: Definition, body: Sum) -> None:
        """Add the rule of a definition that is a single reduction. ``body`` is its right side after all eliminations."""
        self.definitions[d.name] = d
        only = body.single
        if only is not None and only[0].bound:
            self.add_pattern(d, body)
        elif len(body) > 1 and d.index and not any(mono.bound for mono in body.terms):
            self.add_total(d, body)

    def add_total(self, d: Definition, body: Sum) -> None:
        """Add ``z + q = 1`` for ``w = z*w + q*w``. Here ``w`` is not 0, because ``z`` and ``q`` divide by it."""
        own = Read(d.name, d.index)
        if not all((own, 1) in mono.factors for mono in body.terms):
            self.totals.add(Total(tuple(body), atom_sum(own), d.index, d.name))
            return
        shares = body * term({own: -1})
        self.totals.add(Total(tuple(shares), number(1), d.index, d.name))
        if len(shares) == 2:
            for m, c in shares:
                one, other = Sum({m: c}), shares - Sum({m: c})
                self.totals.add(Total(tuple(number(1) - one), other, d.index, d.name))

    def add_monomial(self, d: Definition, factors: dict[Atom, Exponent], coefficient: Fraction) -> None:
        """Add the rule of a product of reads: an elimination of one factor if there is one, else the product.

        A product under conditions on indices eliminates nothing: where they do not hold, it is 0.
        """
        rows = [a for a in factors if isinstance(a, Condition) and a.form is not None]
        self.support |= {d.name: rows} if rows else {}
        if not all(isinstance(a, (Read, Size, Irrational)) or (isinstance(a, Condition) and a.form) for a in factors):
            return
        varying = [a for a in factors if isinstance(a, Read) and a.name not in self.constants]
        if not d.author and not rows and len(varying) == 1 and factors[varying[0]] == 1:
            roots = all(a == varying[0] or self.positive(a) for a in factors)
            self.eliminations[d.name] = Rewriting(d.name, d.index, term(factors, (), coefficient), d.name, roots)
            return
        chosen = None if rows else self.eliminated(d, factors, coefficient)
        if chosen is not None:
            self.eliminations[chosen.name] = chosen
            if chosen.name not in self.inputs:
                self.last.add(d.name)
        elif len(factors) > 1 and any(isinstance(a, Read) and a.name not in self.constants for a in factors):
            self.products.add(Product(tuple(factors.items()), coefficient, d.index, d.name))

    def eliminated(self, d: Definition, factors: dict[Atom, Exponent], coefficient: Fraction) -> Rewriting | None:
        """The elimination of one factor in terms of ``d``, None if no factor can be: engine-made names first, inputs last."""
        candidates = [a for a in factors if isinstance(a, Read) and self.may_eliminate(d, a, factors, coefficient)]
        for f in sorted(candidates, key=lambda a: (a.name in self.inputs, self.author(a.name), a)):
            rule = self.written_by(d, f, factors, coefficient)
            if self.recovers(rule.name, rule.index, rule.body):
                return rule
        return None

    def written_by(self, d: Definition, f: Read, factors: dict[Atom, Exponent], coefficient: Fraction) -> Rewriting:
        """The factor ``f`` of a product in terms of the product ``d`` and the other factors."""
        e = Fraction(factors[f])
        body: dict[Atom, Exponent] = {Read(d.name, d.index): 1 / e}
        for g, k in factors.items():
            if g != f:
                body[g] = -Fraction(k) / e
        index = tuple(str(i) for i in f.index)
        scale = Fraction(1) if coefficient == 1 else coefficient ** int(-1 / e)
        roots = all(g == f or self.positive(g) for g in factors)
        return Rewriting(f.name, index, term({a: whole(k) for a, k in body.items()}, (), scale), d.name, roots)

    def may_eliminate(self, d: Definition, f: Read, factors: dict[Atom, Exponent], coefficient: Fraction) -> bool:
        """Whether ``d = coefficient * f**e * g**k * ...`` may be solved for ``f``: without dividing by 0, and for one root.

        A name that stands for another computed name is not eliminated itself. Else each name in a chain of normalizations
        would become the last name times all norms in between, and lines would grow with the chain.

        With ``e > 0`` the solution divides by each ``g`` in the numerator. With ``e < 0`` it divides by ``d``, which is 0
        where such a ``g`` is 0. What ``d`` divides by is not 0. ``f**e`` determines ``f`` if ``f`` is positive. The definition
        requires what stands under a root to be positive, unless a condition guards the root. The root of a product is taken
        factor by factor, so that each factor has to be positive.
        """
        e = Fraction(factors[f])
        if f.name in self.constants or f.name in self.last or sorted(map(str, f.index)) != sorted(d.index):
            return False
        if any(f.name in atom_reads(g) for g in factors if g != f):  # the solution would read another element of f
            return False
        if not d.author and (f.name in self.inputs or self.author(f.name)):
            return False
        if e not in (1, -1) and (coefficient != 1 or (e.denominator == 1 and not self.signs.positive(f.name))):
            return False
        if e.denominator != 1 and d.name in self.guarded and not self.signs.positive(f.name):
            return False
        if (1 / e).denominator != 1:
            return all(g == f or self.positive(g) for g in factors)
        return all(g == f or k < 0 or self.nonzero(g) for g, k in factors.items())

    def author(self, name: str) -> bool:
        return name in self.definitions and self.definitions[name].author

    def positive(self, atom: Atom) -> bool:
        return isinstance(atom, (Size, Irrational)) or (isinstance(atom, Read) and self.signs.positive(atom.name))

    def nonzero(self, atom: Atom) -> bool:
        return isinstance(atom, (Size, Irrational)) or (isinstance(atom, Read) and self.signs.nonzero(atom.name))

    def add_pattern(self, d: Definition, body: Sum) -> None:
        """Add ``sum(g) = d/f`` for ``d = f * sum(g)``, where ``f`` is not 0 or ``d`` divides by it."""
        only = body.single
        assert only is not None
        opened = open_mono(only[0])
        bound = set(opened.bound)
        inside = {a: e for a, e in opened.factors.items() if atom_indices(a) & bound}
        outside = {a: e for a, e in opened.factors.items() if a not in inside}
        if not all(e < 0 or self.nonzero(a) for a, e in outside.items()):
            return
        self.add_sum(d, inside, outside, bound, only[1])
        if supported := self.supported(inside, bound):
            self.add_sum(d, inside | dict.fromkeys(supported, 1), outside, bound, only[1])

    def supported(self, factors: dict[Atom, Exponent], bound: set[str]) -> set[Condition]:
        """The conditions about bound indices outside of which a product is 0, apart from those among its factors."""
        found: set[Condition] = set()
        for a in [f for f in factors if isinstance(f, Read)]:
            for c in self.support.get(a.name, ()):
                here = rename(c, dict(zip(self.definitions[a.name].index, a.index, strict=True)))
                if isinstance(here, Condition) and atom_indices(here) & bound:
                    found.add(here)
        return found - factors.keys()

    def add_sum(
        self, d: Definition, inside: dict[Atom, Exponent], outside: dict[Atom, Exponent], bound: set[str], scale: Fraction
    ) -> None:
        key, free = pattern_key(inside, bound)
        if set(free) | {i for a in outside for i in atom_indices(a)} > set(d.index) or set(d.index) - set(free):
            return
        quotient: dict[Atom, Exponent] = {a: -e for a, e in outside.items()}
        times(quotient, Read(d.name, d.index), 1)
        value = term(quotient, (), 1 / scale)
        self.patterns.add(key, Pattern(free, value, d.name))

    def add_solution(self, d: Definition) -> None:
        """Add ``u = d - rest`` for ``d = u + rest``, where ``u`` is the last term that is a lone read over ``d``'s indices."""
        for mono, c in d.body:
            if mono.bound or len(mono.factors) != 1 or abs(c) != 1:
                continue
            atom, e = mono.factors[0]
            if not isinstance(atom, Read) or e != 1 or sorted(map(str, atom.index)) != sorted(d.index):
                continue
            if atom.name in self.constants or atom.name in self.inputs:
                continue
            rest = d.body - Sum({mono: c})
            body = (term({Read(d.name, d.index): 1}) - rest).scaled(c)
            self.solutions[atom.name] = Rewriting(atom.name, tuple(str(i) for i in atom.index), body, d.name)
