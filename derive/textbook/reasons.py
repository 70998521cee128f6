"""Why one line of the textbook track equals the line before it: the rules that were used, and the facts.

A fact is an identity that the rules proved on the way and that a reader knows by heart or can check: ``sum[c](p[n,c]) = 1``.
It takes the place of the unfoldings and folds that proved it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from derive.derivation import Step
from derive.rules import SOLVE, UNFOLD, Rule
from derive.syntax import Tree
from derive.terms.factors import Factor, Inner, factor_indices, product_of, split, without
from derive.terms.sums import Read, Size, Sum, atom_sum, sum_reads, term

__all__ = ["Fact", "Reader", "Reason", "reasons_of"]

TreeOf = Callable[[Sum, tuple[str, ...]], Tree]


@dataclass(frozen=True)
class Fact:
    """``left = right`` over the indices ``index``."""

    left: Sum
    right: Sum
    index: tuple[str, ...]


@dataclass(frozen=True)
class Reason:
    """A rule and the names whose definitions it used; or a fact, which has no rule."""

    rule: Rule | None
    using: tuple[str, ...] = ()
    fact: Fact | None = None


@dataclass(frozen=True)
class Reader:
    """What a reader sees. ``hidden`` names are written out; ``names`` are those that a right side shows.

    ``unfolded`` is an expression in terms of the inputs, as far as that goes.
    """

    hidden: Callable[[str], bool]
    names: Callable[[Sum, tuple[str, ...]], frozenset[str]]
    unfolded: Callable[[Sum], Sum]


def reasons_of(steps: Sequence[Step], reader: Reader) -> list[Reason]:
    """The reasons of a line, from the steps that led to it, each once.

    A step which only names or unnames what is written out for readers is no reason.
    """
    hidden = reader.hidden
    out: list[Reason] = []
    k = 0
    while k < len(steps):
        step, found = steps[k], None
        if step.rule in (UNFOLD, SOLVE):
            found = _proved(steps, k, reader)
        if found is not None:
            fact, k = found
            out.append(Reason(None, fact=fact))
        elif step.using == ():
            out.append(Reason(step.rule))
        elif using := tuple(n for n in step.using if not hidden(n)) or _newly_read(step, reader):
            out += [Reason(step.rule, (name,)) for name in using]
        k += 1
    return list(dict.fromkeys(out)) or [Reason(step.rule) for step in steps[-1:]]


def _newly_read(step: Step, reader: Reader) -> tuple[str, ...]:
    """The names that readers see for the first time after a step that used hidden names only."""
    return tuple(sorted(reader.names(step.after, step.index) - reader.names(step.before, step.index)))


def _proved(steps: Sequence[Step], first: int, reader: Reader) -> tuple[Fact, int] | None:
    """The fact that an unfolding and the steps after it proved, and the last of these steps; None where they proved none."""
    name = steps[first].using[0]
    before = steps[first].before
    for last in range(first, len(steps)):
        fact = _fact(before, steps[last].after, steps[first].rule, name, reader)
        if fact is not None:
            return fact, last
    return None


def _fact(before: Sum, after: Sum, rule: Rule, name: str, reader: Reader) -> Fact | None:
    """The value that a factor of ``before`` has in ``after``, where all else is as it was."""
    for factor in sorted({f for m in before.terms for f in split(m)}, key=repr):
        if isinstance(factor, Inner):
            left, wanted = Sum({factor.mono: 1}), name in sum_reads(Sum({factor.mono: 1}))
        else:
            left, wanted = atom_sum(factor), rule == SOLVE and isinstance(factor, Read) and reader.hidden(factor.name)
        value = _value(before, after, factor, reader) if wanted else None
        if value is not None and (_constant(value) if rule == UNFOLD else not any(map(reader.hidden, sum_reads(value)))):
            return Fact(left, value, tuple(sorted(i for i in factor_indices(factor) if isinstance(i, str))))
    return None


def _value(before: Sum, after: Sum, factor: Factor, reader: Reader) -> Sum | None:
    """The value V with ``before = rest + held*factor`` and ``after = rest + held*V``; None where there is none.

    Where ``held`` has another sum as a factor, that sum may be what vanishes. The value is then proved by itself.
    """
    held = Sum({m: c for m, c in before.terms.items() if split(m).get(factor) == 1})
    rest = before - held
    if not held or any(factor in split(m) for m in rest.terms):
        return None
    beside = sum((product_of(without(split(m), factor)).scaled(c) for m, c in held), Sum())
    only = next(Sum({m: c}) for m, c in beside)
    if not rest and not any(m.factors for m in beside.terms):
        return None  # the factor is all that there is: its value would be the line itself
    value = (after - rest) * _inverse(only) if not any(m.bound for m in only.terms) else Sum()
    if rest + beside * value != after:
        return None
    alone = not any(isinstance(f, Inner) for m in beside.terms for f in split(m))
    left = product_of({factor: 1})
    return value if alone or reader.unfolded(left) == reader.unfolded(value) else None


def _inverse(expr: Sum) -> Sum:
    ((mono, c),) = expr.terms.items()
    return term({a: -e for a, e in mono.factors}, (), 1 / c)


def _constant(value: Sum) -> bool:
    """Whether a value is a number or made of lengths."""
    return all(isinstance(a, Size) for m in value.terms for a, _ in m.factors)
