"""Sums of a number and a power of a function in which both cancel, rewritten by identities in one variable ``u``.

Each identity holds for every real ``u``. No terms cancel on its right side, where all sums have positive terms. The only
exception is ``2 - v`` with ``v`` between 0 and 1, which loses no digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from derive import syntax as st
from derive.language.parse import parse_formula
from derive.rounding.work import Work
from derive.rules import UNFOLD, Rule
from derive.simplify.rewrite import replace_reads, term_open
from derive.terms.flatten import bind, flat_tree, flatten
from derive.terms.reads import with_arguments
from derive.terms.sums import (
    ONE,
    Atom,
    Exponent,
    Mono,
    Read,
    Sum,
    atom_indices,
    atom_sum,
    close,
    open_mono,
    rename_free,
    sum_reads,
    times,
)

__all__ = ["RULE", "IDENTITIES", "Identity", "identities", "without_cancellation"]

RULE = Rule("no cancellation")

#: Each left side is a number and a power of a function of ``u``. Where the right side has a condition, ``abs(u)`` is written
#: by that condition too. At the tie both then have the slope of the same side, and so has their product when it is
#: differentiated again.
IDENTITIES = (
    ("1 - tanh(u)**2", "4*exp(-2*abs(u))/(1 + exp(-2*abs(u)))**2"),
    ("1 + tanh(u)", "where(u < 0, 2*exp(-2*where(u < 0, -u, u)), 2)/(1 + exp(-2*where(u < 0, -u, u)))"),
    ("1 - tanh(u)", "where(u > 0, 2*exp(-2*where(u > 0, u, -u)), 2)/(1 + exp(-2*where(u > 0, u, -u)))"),
    ("1 + erf(u)", "where(u < 0, exp(-u**2)*erfcx(where(u < 0, -u, u)), 2 - exp(-u**2)*erfcx(where(u < 0, -u, u)))"),
    ("1 - erf(u)", "where(u > 0, exp(-u**2)*erfcx(where(u > 0, u, -u)), 2 - exp(-u**2)*erfcx(where(u > 0, u, -u)))"),
    ("exp(u) - 1", "expm1(u)"),
)


@dataclass(frozen=True)
class Identity:
    """``number + slope*head(u)**power = value``, where ``value`` is a tree in ``u``."""

    number: Fraction
    slope: Fraction
    head: str
    power: Exponent
    value: st.Tree


@cache
def identities() -> tuple[Identity, ...]:
    """``IDENTITIES``, read from their texts."""
    return tuple(_identity(left, right) for left, right in IDENTITIES)


def _identity(left: str, right: str) -> Identity:
    definitions, _ = flatten(parse_formula(f"w = {left}"))
    body = definitions[-1].body
    ((mono, slope),) = [(m, c) for m, c in body.terms.items() if m != ONE]
    ((atom, power),) = mono.factors
    assert isinstance(atom, Read)
    function = next(d.function for d in definitions if d.name == atom.name)
    assert function is not None
    return Identity(body.terms[ONE], slope, function.head, power, parse_formula(f"w = {right}").equations[0].rhs)


def without_cancellation(work: Work) -> None:
    """Apply the identities to every definition and line until none applies."""
    for name, _, body in work.expressions():
        for identity in identities():
            while True:
                found = _applied(work, body, identity)
                if found is None and (unfolded := _unfolded(work, body, identity)) is not None:
                    work.change(UNFOLD, name, unfolded)
                    found = _applied(work, unfolded, identity)
                if found is None:
                    break
                body, using = found
                work.change(RULE, name, body, (using,))


def _unfolded(work: Work, body: Sum, identity: Identity) -> Sum | None:
    """The expression with the name of a product of the function unfolded, if the identity then applies; else None."""
    for name in sorted(sum_reads(body)):
        d = work.definitions.get(name)
        only = d.body.single if d else None
        if d is None or only is None or only[0].bound:
            continue
        if any(isinstance(a, Read) and work.function(a.name, identity.head) is not None for a, _ in only[0].factors):
            unfolded = replace_reads(body, d.name, d.index, d.body)
            if unfolded != body and _applied(work, unfolded, identity) is not None:
                return unfolded
    return None


def _applied(work: Work, body: Sum, identity: Identity) -> tuple[Sum, str] | None:
    """The expression with the first left side replaced, and the name of the function's value there; None if there is none."""
    for mono, c in body:
        for read, rest, bound in _without_power(work, mono, identity):
            partner = close(rest, bound)
            if partner.mono is None:
                continue
            scale = c / identity.slope
            if body.terms.get(partner.mono) != scale * identity.number * partner.coefficient:
                continue
            value = _value(work, identity, read)
            left = Sum({mono: c, partner.mono: body.terms[partner.mono]})
            return body - left + bind(term_open(rest) * value, bound).scaled(scale), read.name
    return None


def _without_power(work: Work, mono: Mono, identity: Identity) -> Iterator[tuple[Read, dict[Atom, Exponent], tuple[str, ...]]]:
    """Each read of a value of the function to the identity's power, with the other factors and the bound indices."""
    opened = open_mono(mono)
    for atom, e in opened.factors.items():
        if isinstance(atom, Read) and e == identity.power and work.function(atom.name, identity.head) is not None:
            rest = dict(opened.factors)
            times(rest, atom, -e)
            yield atom, rest, opened.bound


def _value(work: Work, identity: Identity, read: Read) -> Sum:
    """The identity's right side, at the argument of the function whose value is read."""
    argument = work.function(read.name, identity.head)
    assert argument is not None
    to = dict(zip(work.definitions[read.name].index, read.index, strict=True))
    at = rename_free(atom_sum(argument), to).atom
    assert isinstance(at, Read)
    scope = sorted(i for i in atom_indices(at) if isinstance(i, str))
    order = [i for slot in at.index for i in scope if i == slot] + scope
    return flat_tree(with_arguments(identity.value, u=at), work.op, work.names, order)
