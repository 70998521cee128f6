"""The exact check: the rational part of a derivation modulo random primes, on random sizes.

* ``exact full``: each adjoint of the equations as written is the sum of the contributions to it, and each gradient is the
  brute-force derivative. Functions have unknown values; a table gives their derivatives.
* ``exact``: each closed line equals the chain rule's adjoint and its own tree, and each adjoint of the stabilised equations is
  the sum of the contributions to it. Exponentials keep the laws ``exp(a + b) = exp(a)*exp(b)`` and ``exp(log(a)) = a``.

Branches and maxima follow a random order. Roots are taken of squares only. Two things are left out: rewritings that change
only rounding, and the equivalence of the equations before and after stabilisation.

After clearing divisors, polynomials are compared. A polynomial of degree ``d`` that is not 0 vanishes at a random point modulo
``p`` with probability at most ``d/p`` (:mod:`derive.certify.degrees`).
Source: Schwartz, Fast probabilistic algorithms for verification of polynomial identities, J. ACM 27 (1980), corollary 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from typing import Any

from derive import syntax as st
from derive.certify.arrays import Frame
from derive.certify.certificate import Check, Exact
from derive.certify.degrees import Degrees, false_pass
from derive.certify.exponentials import ExponentialValues
from derive.certify.flat import Bound, Values
from derive.certify.residues import Residues, random_prime
from derive.certify.sent import Sender
from derive.certify.stage import Stage, reason_of
from derive.derivation import Derivation, Line
from derive.labels import label_values, whole_constants, whole_number
from derive.language.axes import equal_axes
from derive.points import Point, interval, loops, nests, random_of, shallow, shorten, sized
from derive.rounding import ACCURATE, COMMON
from derive.terms.sums import Read, sum_reads

__all__ = ["exact_checks", "residue_stage"]

#: The largest length of an axis, and the most positions of a loop.
LARGEST, POSITIONS = 7, 800
#: The most draws until every root is taken of a square. Axes get shorter from draw to draw.
ATTEMPTS = 150
#: The most draws that may leave an equation undefined, if no output reads it.
GUARDED = 10

Column = list[Any]


def exact_checks(derivation: Derivation, full: Derivation, seed: int) -> tuple[list[Check], Exact]:
    """The checks at one random point modulo one random prime, and the record of this draw."""
    stages = (s for s in map(_draws(derivation.op, seed).stage, range(ATTEMPTS)) if s.defined())
    modular = next((m for m in (_Modular(derivation, full, stage, seed) for stage in stages) if m.defined()), None)
    if modular is None:
        return [], Exact(random_prime(derivation.op.name, seed), skipped="no residues were found of which every root exists")
    checks, stage = list(modular.run()), modular.stage
    axes = {**stage.axes, **{d.name: d.index for d in (*derivation.stable, *derivation.chain, *full.stable, *full.chain)}}
    definitions: list[Bound] = [*full.stable, *full.chain, *derivation.stable, *derivation.chain, *derivation.lines]
    degrees = Degrees(stage.frame, axes, definitions)
    numbers = stage.numbers
    assert isinstance(numbers, Residues)
    bits = false_pass(numbers.p, degrees, sum(map(len, _bounded(derivation.op, stage.at))))
    return checks, Exact(numbers.p, tuple(stage.at.sizes.items()), bits)


def residue_stage(op: st.Op, seed: int) -> Stage | None:
    """A random point modulo a prime at which every equation has a value, or else every output; None if none is found."""
    draws = _draws(op, seed)
    whole = (s for s in map(draws.stage, range(ATTEMPTS)) if s.defined())
    return next(whole, None) or next((s for s in map(draws.stage, range(GUARDED)) if s.finite()), None)


# ---- points -------------------------------------------------------------------------------------------------------------


class _Draws:
    """Random points modulo one prime. Axes get shorter from attempt to attempt."""

    def __init__(self, op: st.Op, seed: int):
        self.op, self.seed, self.numbers = op, seed, Residues(random_prime(op.name, seed))
        self.classes, self.loops, self.nests = equal_axes(op), loops(op), nests(op)
        self.drawn: dict[int, Stage] = {}

    def stage(self, attempt: int) -> Stage:
        """The op at the point of this attempt, cached."""
        if attempt not in self.drawn:
            self.drawn[attempt] = self.draw(attempt)
        return self.drawn[attempt]

    def draw(self, attempt: int) -> Stage:
        op, classes = self.op, self.classes
        rng, largest = random_of("exact", op.name, self.seed, attempt), max(2, LARGEST - attempt // 10)
        length = {r: rng.randint(2, largest) for r in dict.fromkeys(classes.values())}
        order = rng.sample(sorted(length), len(length))
        shorten(length, [{classes[a] for a in loop} for loop in self.loops], order, POSITIONS)
        shallow(length, self.nests, classes, order)
        sizes = {a: length[r] for a, r in classes.items()}
        tables: dict[str, Sequence[Fraction | int]] = {}
        whole = {c.name: whole_number(c, rng if attempt % 2 else None) for c in op.constants if c.name in whole_constants(op)}
        if op.declared:
            sizes, whole = (dict(found) for found in sized(op, attempt, tuple(range(2, largest + 1))))
        for t in (*op.inputs, *(st.Tensor(st.adjoint_name(o.name), o.axes) for o in op.outputs)):
            count = Frame(sizes).count(t.axes)
            values = label_values(op, t, sizes, whole) if t.integer else ()
            tables[t.name] = [rng.choice(values) if t.integer else self.inside(t.name, rng) for _ in range(count)]
        for c in op.constants:
            tables[c.name] = [whole[c.name] if c.name in whole else self.inside(c.name, rng)]
        return Stage(op, Point(sizes, tables), self.numbers)

    def inside(self, name: str, rng: Any) -> int:
        """A random residue between the bounds that the op states for a name: its differences from the bounds are squares."""
        numbers, (low, high) = self.numbers, interval(self.op, name)
        while True:
            v = int(rng.randrange(1, numbers.p))
            above = low is None or numbers.sign(v, numbers.number(low)) == 1
            if above and (high is None or numbers.sign(numbers.number(high), v) == 1):
                return v


_draws = lru_cache(maxsize=4)(_Draws)


def _bounded(op: st.Op, at: Point) -> Iterator[Sequence[object]]:
    """The values of the tensors for which the op states bounds, once for each bound."""
    for name, values in at.tables.items():
        yield from (values for bound in interval(op, name) if bound is not None)


# ---- checks -------------------------------------------------------------------------------------------------------------


class _Modular:
    def __init__(self, derivation: Derivation, full: Derivation, stage: Stage, seed: int):
        self.derivation, self.full, self.stage, self.seed = derivation, full, stage, seed
        known = {d.name for d in derivation.stable}
        self.forward = [*derivation.stable, *(d for d in derivation.forward if d.name not in known)]
        self.chain = self.of_exponentials([*self.forward, *derivation.chain])
        self.closed = self.of_exponentials([*self.forward, *derivation.lines])
        self.plain = stage.values([*derivation.stable, *derivation.chain])

    def defined(self) -> bool:
        """Whether every forward value exists, before and after stabilisation: every root is taken of a square.

        A closed line may have a name in the place of the root of an even power of that name. Such a name must be a square
        too, as it is taken to be positive.
        """
        sign = self.stage.numbers.sign
        rooted = [v for name in self.rooted() for values in (self.plain, self.chain) for v in values.table(name)]
        if not all(sign(v, 0) == 1 for v in rooted):
            return False
        written = self.stage.values(self.full.forward)
        tables = [(written, self.full.forward), (self.plain, self.derivation.stable), (self.chain, self.derivation.stable)]
        return all(v == v for values, definitions in tables for d in definitions for v in values.table(d.name))

    def rooted(self) -> Iterator[str]:
        """The names that the derivation takes to be positive: where it replaced the root of an even power by the name."""
        bodies = {d.name: d.body.single for d in self.derivation.stable}
        for a, e in (f for line in self.derivation.lines for mono in line.body.terms for f in mono.factors):
            if isinstance(a, Read) and Fraction(e).denominator % 2 == 0 and (power := bodies.get(a.name)):
                yield from (b.name for b, k in power[0].factors if isinstance(b, Read) and k % 2 == 0)

    @cached_property
    def rounded(self) -> frozenset[str]:
        """The lines that a rule changed only for rounding, and all lines that read these.

        Such a rule is an identity of functions, which does not hold for unknown functions.
        """
        found = {s.name for s in self.derivation.steps if s.rule in ACCURATE or s.rule in COMMON}
        for line in self.derivation.lines:  # in topological order
            if sum_reads(line.body) & found:
                found.add(line.name)
        return frozenset(found)

    def run(self) -> Iterator[Check]:
        yield from self.chain_rule()
        yield from self.lines()

    def chain_rule(self) -> Iterator[Check]:
        values = self.stage.values([*self.full.forward, *self.full.lines])
        sender = Sender(self.stage, self.full, values)
        for line in self.full.lines:
            yield self.check("exact full", line.name, partial(self.sent, sender, values, line))

    def sent(self, sender: Sender, values: Values, line: Line) -> str:
        if line.name in self.full.gradients:
            truth = self.stage.truth[line.name]
            if reason := self.difference("brute force", values.table(line.name), truth, line.index):
                return reason
        return sender.missing(line.name, self.seed)

    def lines(self) -> Iterator[Check]:
        derivation = self.derivation
        sender = Sender(self.stage, derivation, self.plain)
        for line in derivation.lines:
            yield self.check("exact", line.name, partial(self.line, line))
        if derivation.stable != self.full.stable:
            for name in sorted(d.name for d in derivation.chain):
                yield self.check("exact chain rule", name, partial(sender.missing, name, self.seed))

    def line(self, line: Line) -> str:
        found = self.closed.table(line.name)
        whole = line.name not in self.rounded
        if whole and (reason := self.difference("the chain rule", found, self.chain.table(line.name), line.index)):
            return reason
        read = {name: self.closed.table(name) for name in st.reads(line.tree)}
        tree = self.stage.trees(read, self.closed.axes).table(line.tree, line.index)
        return self.difference("its tree", found, tree, line.index)

    def of_exponentials(self, definitions: Sequence[Any]) -> Values:
        stage = self.stage
        return ExponentialValues(stage.frame, stage.numbers, stage.axes, stage.given, definitions, stage.labels)

    def difference(self, what: str, one: Column, other: Column, index: tuple[str, ...]) -> str:
        found = self.stage.difference(one, other, index)
        return f"it is not that of {what}: {found}" if found else ""

    def check(self, rule: str, name: str, compute: Callable[[], str]) -> Check:
        reason = reason_of(compute, f"modulo a prime, seed {self.seed}")
        return Check(rule, name, not reason, reason)
