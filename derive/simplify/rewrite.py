"""The rewritings of flat expressions: fold, unfold, inline. Each is a pure function, and adds no division by a possible 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from derive.simplify.tables import Outline, PatternKey, Patterns, Product, Rewriting, Total, pattern_key
from derive.terms.flatten import bind
from derive.terms.sums import (
    Atom,
    Condition,
    Exponent,
    Index,
    Mono,
    Read,
    Sum,
    atom_indices,
    atom_reads,
    close,
    number,
    open_again,
    rename_free,
    sum_reads,
    term,
    times,
    whole,
)

#: The most terms, and the largest power, to which sums are multiplied out. A longer form is never cheaper.
MOST, POWER = 144, 4


def replace_reads(expr: Sum, name: str, index: tuple[str, ...], body: Sum, roots: bool = False) -> Sum:
    """The expression with ``body`` in the place of every read of ``name`` to a positive whole power. Sums are multiplied out.

    A monomial body also replaces reads to a negative whole power. It replaces reads to a fractional power too if ``roots``
    says that a root of it is the product of its factors' roots.
    """
    if name not in sum_reads(expr):
        return expr
    out: dict[Mono, Fraction] = {}
    for mono, c in expr.terms.items():
        reads = any(isinstance(a, Read) and a.name == name for a, _ in mono.factors)
        found = _replaced(mono, Rewriting(name, index, body, name, roots)).terms if reads else {mono: Fraction(1)}
        for m, k in found.items():
            out[m] = out.get(m, Fraction(0)) + c * k
    return Sum(out)


def apply_rewriting(expr: Sum, rule: Rewriting) -> Sum:
    """The expression with every read of the rule's name replaced, where :func:`replace_reads` can."""
    return replace_reads(expr, rule.name, rule.index, rule.body, rule.roots)


@lru_cache(maxsize=20_000)
def _replaced(mono: Mono, rule: Rewriting) -> Sum:
    opened = open_again(mono, "u")
    rest: dict[Atom, Exponent] = {}
    value = number(1)
    for atom, e in opened.factors.items():
        power = None
        if isinstance(atom, Read) and atom.name == rule.name:
            at = rename_free(rule.body, dict(zip(rule.index, atom.index, strict=True)))
            power = _power(at, e, rule.roots)
        if power is None or 1 < len(value) > MOST // max(len(power), 1):
            times(rest, atom, e)
        else:
            value = value * power
    return bind(term_open(rest) * value, opened.bound)


def _power(body: Sum, e: Exponent, roots: bool) -> Sum | None:
    """``body**e`` in flat terms; None where that would need a name for ``body``, or too many terms."""
    only = body.single
    if only and not only[0].bound:
        if e.denominator != 1 and not (only[1] == 1 and (roots or isinstance(body.atom, Read))):
            return None
        scale = only[1] ** int(e) if e.denominator == 1 else 1
        return term({a: whole(k * e) for a, k in only[0].factors}, (), scale)
    if e.denominator != 1 or not 0 <= e <= POWER or len(body) ** int(e) > MOST:
        return None
    out = number(1)
    for _ in range(int(e)):
        out = out * body
    return out


def term_open(factors: Mapping[Atom, Exponent]) -> Sum:
    """A product as an expression, not in canonical form: its bound indices still have names, and no delta may collapse yet."""
    return Sum({Mono(tuple(factors.items())): Fraction(1)})


def fold_product(expr: Sum, rule: Product) -> Sum:
    """Replace the factors of a monomial definition by its name, once in every term that has all of these factors."""
    if not rule.names <= sum_reads(expr):
        return expr
    out: dict[Mono, Fraction] = {}
    for mono, c in expr.terms.items():
        mono, c = _fold_product(mono, c, rule)
        out[mono] = out.get(mono, Fraction(0)) + c
    return Sum(out)


def _fold_product(mono: Mono, c: Fraction, rule: Product) -> tuple[Mono, Fraction]:
    """Fold the rule's factors where a term has them. The factor with most indices maps the definition's to the term's."""
    if not rule.names <= {a.name for a, _ in mono.factors if isinstance(a, Read)}:
        return mono, c
    opened = open_again(mono, "p")
    widest = max((a for a, _ in rule.factors if isinstance(a, Read)), key=lambda a: len(a.index))
    if sorted(map(str, widest.index)) != sorted(rule.index):
        return mono, c
    for atom in list(opened.factors):
        if isinstance(atom, Read) and atom.name == widest.name:
            to: dict[str, Index] = dict(zip(map(str, widest.index), atom.index, strict=True))
            need = rename_free(Sum({Mono(rule.factors): Fraction(1)}), to).single
            if need is None:
                continue
            wanted = dict(need[0].factors)
            if all(_covers(opened.factors.get(a, 0), e) for a, e in wanted.items()):
                for a, e in wanted.items():
                    if not isinstance(a, Condition):  # it guards what else stands in the term
                        times(opened.factors, a, -e)
                at = tuple(to[i] for i in rule.index)
                times(opened.factors, Read(rule.using, at), 1)
                closed = close(opened.factors, opened.bound)
                assert closed.mono is not None
                return closed.mono, c * closed.coefficient / rule.coefficient
    return mono, c


def fold_total(expr: Sum, rule: Total) -> Sum:
    """Replace terms whose sum has a name, times a common factor: ``k*u + k*v`` is ``k*w`` where ``w = u + v``."""
    anchor, scale = max(rule.terms, key=lambda t: len(t[0].factors))
    widest = max((a for a, _ in anchor.factors if isinstance(a, Read)), key=lambda a: len(a.index), default=None)
    if widest is None or sorted(map(str, widest.index)) != sorted(rule.index):
        return expr
    for mono, c in expr:
        opened = open_again(mono, "t")
        for atom in [a for a in opened.factors if isinstance(a, Read) and a.name == widest.name]:
            to: dict[str, Index] = dict(zip(map(str, widest.index), atom.index, strict=True))
            terms = [(m, k) for m, k in rename_free(Sum(dict(rule.terms)), to).terms.items()]
            first = rename_free(Sum({anchor: scale}), to).single
            if len(terms) < len(rule.terms) or first is None:
                continue
            if not all(_covers(opened.factors.get(a, 0), e) for a, e in first[0].factors):
                continue
            rest = dict(opened.factors)
            for a, e in first[0].factors:
                times(rest, a, -e)
            factor = term_open(rest).scaled(c / first[1])
            left = expr - bind(factor * Sum(dict(terms)), opened.bound)
            if len(left) <= len(expr) - len(terms):
                return left + bind(factor * rename_free(rule.value, to), opened.bound)
    return expr


def _covers(have: Exponent, need: Exponent) -> bool:
    """Whether ``u**need`` can be divided out of ``u**have`` without a new division by ``u``."""
    return need <= have if need > 0 else have <= need


def fold_patterns(expr: Sum, patterns: Patterns, allowed: Callable[[str], bool]) -> tuple[Sum, str]:
    """Replace the first reduction that an allowed name holds. Returns the expression and that name, "" if there is none."""
    for mono, c in expr:
        if mono.bound:
            found = _fold_pattern(mono, patterns, allowed)
            if found is not None:
                return expr - Sum({mono: c}) + found[0].scaled(c), found[1]
    return expr, ""


def _fold_pattern(mono: Mono, patterns: Patterns, allowed: Callable[[str], bool]) -> tuple[Sum, str] | None:
    for part in _parts(mono):
        if part.outline not in patterns.outlines:
            continue
        key, free = _part_key(part)
        found = patterns.by_key.get(key)
        if found is not None and allowed(found.using):
            value = rename_free(found.value, dict(zip(found.index, free, strict=True)))
            return bind(term_open(dict(part.rest)) * value, part.left), found.using
    return None


class _Held(NamedTuple):
    """A factor of a monomial, its indices, and the tensors that it reads."""

    factor: tuple[Atom, Exponent]
    indices: frozenset[str | int]
    reads: frozenset[str]


class _Part(NamedTuple):
    """A sum over some of a monomial's bound indices, ``over``, and the rest of the monomial.

    ``inside`` are the factors under the sum, ``rest`` the other factors, ``left`` the other bound indices.
    """

    outline: Outline
    over: tuple[str, ...]
    inside: tuple[tuple[Atom, Exponent], ...]
    rest: tuple[tuple[Atom, Exponent], ...]
    left: tuple[str, ...]


@lru_cache(maxsize=20_000)
def _parts(mono: Mono) -> tuple[_Part, ...]:
    """The sums over each choice of one to three bound indices, fewer indices first."""
    opened = open_again(mono, "q")
    factors = [_Held((a, e), atom_indices(a), frozenset(atom_reads(a))) for a, e in opened.factors.items()]
    parts = []
    for width in range(1, min(len(opened.bound), 3) + 1):
        for over in combinations(opened.bound, width):
            inside = [f for f in factors if not f.indices.isdisjoint(over)]
            rest = tuple(f.factor for f in factors if f.indices.isdisjoint(over))
            reads = frozenset[str]().union(*(f.reads for f in inside))
            left = tuple(b for b in opened.bound if b not in over)
            parts.append(_Part((reads, len(inside)), over, tuple(f.factor for f in inside), rest, left))
    return tuple(parts)


@lru_cache(maxsize=20_000)
def _part_key(part: _Part) -> tuple[PatternKey, tuple[str, ...]]:
    """The canonical form of a part's sum, and the sum's free indices in canonical order."""
    return pattern_key(dict(part.inside), part.over)
