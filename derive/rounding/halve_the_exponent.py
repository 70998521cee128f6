"""Exponentials that underflow before the product in which they stand: ``x*exp(-u)`` is ``(x*h)*h`` with ``h = exp(-u/2)``.

Where ``exp(-u)`` is subnormal it has lost digits, although a large ``x`` may make the product a normal number. The terms of
each side of a condition are rewritten separately.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from derive.rounding.work import Work
from derive.rules import UNFOLD, Rule
from derive.simplify.rewrite import replace_reads, term_open
from derive.syntax import adjoint_name
from derive.terms.sums import Atom, Condition, Exponent, Function, Mono, Read, Sum, atom_sum, negated, term, times

__all__ = ["RULE", "halved_tails"]

RULE = Rule("halve the exponent")

Case = frozenset[Condition]
Terms = dict[Mono, Fraction]


def halved_tails(work: Work) -> None:
    """Halve the exponents in every definition and line in which an exponential multiplies an input."""
    tails = {n: exponent for n in work.definitions if (exponent := _decaying(work, n)) is not None}
    found = [(n, index, _unfolded(work, body, n, tails)) for n, index, body in work.expressions() if n not in tails]
    for name, index, body in found:
        halved = _halved(work, body, index, tails)
        if halved is not None or name in work.lines:
            work.change(UNFOLD, name, body)
        if halved is not None:
            work.change(RULE, name, halved)


def _decaying(work: Work, name: str) -> Read | None:
    """``f`` of a name whose definition is ``exp(f)`` with an ``f`` that is never positive; else None."""
    exponent = work.function(name, "exp")
    return exponent if exponent and "nonpositive" in work.signs.of(exponent.name) else None


def _unfolded(work: Work, body: Sum, own: str, tails: Mapping[str, Read]) -> Sum:
    """The expression with elementwise names that are made from exponentials unfolded, down to the exponentials."""
    if any(m.bound for m in body.terms):
        return body
    while True:
        reads = sorted({a.name for m in body.terms for a, e in m.factors if isinstance(a, Read) and e > 0 and e == int(e)})
        wanted = next((n for n in reads if n != own and _holds(work, n, tails)), None)
        if wanted is None:
            return body
        d = work.definitions[wanted]
        body = replace_reads(body, d.name, d.index, d.body)


def _holds(work: Work, name: str, tails: Mapping[str, Read]) -> bool:
    """Whether a name is made from exponentials without a reduction, and is not itself a function."""
    d = work.definitions.get(name)
    if d is None or name in tails or d.function is not None or not work.elementwise(name):
        return False
    factors = {a.name for m in d.body.terms for a, e in m.factors if isinstance(a, Read) and e > 0}
    return any(n in tails or _holds(work, n, tails) for n in factors)


def _halved(work: Work, body: Sum, index: tuple[str, ...], tails: Mapping[str, Read]) -> Sum | None:
    """The expression with halved exponents in each case; None if no case has an exponential beside an input."""
    out, found = Sum(), False
    for case, terms in _cases(body).items():
        common = _common(terms)
        tail = next((a for a in common if isinstance(a, Read) and a.name in tails), None)
        if tail is None or not _reads_input(work, terms):
            out = out + Sum(terms)
            continue
        found = True
        half = _half(work, tail, tails[tail.name])
        outside = [a for a in common if _given(work, a)]
        part = work.names.read(_inside(terms, {tail, *outside}, case) * half, index, "part", kept=True)
        out = out + term({part: 1, **dict.fromkeys(outside, 1), **dict.fromkeys(case, 1)}) * half
    return out if found else None


def _cases(body: Sum) -> dict[Case, Terms]:
    """The terms, grouped by their conditions. Terms without a condition join both sides of a condition that has two sides."""
    cases: dict[Case, Terms] = {}
    for mono, c in body:
        case = frozenset(a for a, _ in mono.factors if isinstance(a, Condition))
        cases.setdefault(case, {})[mono] = c
    sides = [case for case in cases if len(case) == 1 and frozenset(map(negated, case)) in cases]
    if len(sides) == 2 and len(cases) == 3 and frozenset() in cases:
        free = Sum(cases.pop(frozenset()))
        cases = {case: (Sum(cases[case]) + free * term(dict.fromkeys(case, 1))).terms for case in sides}
    return cases


def _common(terms: Iterable[Mono]) -> list[Atom]:
    """The factors that every term has to the power 1 or more."""
    sets = [{a for a, e in m.factors if e >= 1} for m in terms]
    return [a for a, _ in next(iter(terms)).factors if all(a in s for s in sets)]


def _inside(terms: Terms, without: set[Atom], case: Case) -> Sum:
    """The terms divided by the common factors ``without``, and without the conditions of their case."""
    out = Sum()
    for mono, c in terms.items():
        factors: dict[Atom, Exponent] = {a: e for a, e in mono.factors if a not in case}
        for atom in without:
            times(factors, atom, -1)
        out = out + term_open(factors).scaled(c)
    return out


def _half(work: Work, tail: Read, exponent: Read) -> Sum:
    """A read of ``h = exp(f/2)`` for the read ``tail`` of ``exp(f)``. The definition of ``tail`` becomes ``h**2``."""
    d = work.definitions[tail.name]
    f = work.names.read(work.names.alias(exponent).scaled(Fraction(1, 2)), d.index)
    half = work.names.read(atom_sum(Function("exp", (f,))), d.index, "h")
    work.change(RULE, d.name, term({half: 2}))
    return atom_sum(Read(half.name, tuple(dict(zip(d.index, tail.index, strict=True))[str(i)] for i in half.index)))


def _reads_input(work: Work, terms: Iterable[Mono]) -> bool:
    inputs = {t.name for t in work.op.differentiable}
    return any(isinstance(a, Read) and a.name in inputs and e > 0 for m in terms for a, e in m.factors)


def _given(work: Work, atom: Atom) -> bool:
    """Whether a factor is an adjoint, or an upstream gradient."""
    return isinstance(atom, Read) and (atom.name in work.lines or atom.name in {adjoint_name(t.name) for t in work.op.outputs})
