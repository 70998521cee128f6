"""The planned programs evaluated, statement by statement, and compared with the derivation that they were planned from.

There are two checks. ``plan``: a program, given its arguments alone, computes the outputs that the equations give, the saved
tensors that the derivation's definitions give, and the gradients that brute force gives. ``exact plan``: modulo random primes,
a program computes exactly what the flat definitions and lines give. A name of the engine's that is confined to a condition
(:mod:`codegen.confined`) may be 0 in place of what its definition gives: the backward has to be right with these zeros.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from codegen.confined import confined_in
from codegen.program import Kernel, Program
from codegen.steps import straight
from derive.certify import Check, NoPoint, Stage, certify, merged, residue_stage, stage_of
from derive.certify.flat import Values
from derive.certify.stage import guarded, reason_of
from derive.certify.steps import stepwise
from derive.deep import deeply
from derive.derivation import Derivation
from derive.tangents import Tangents

__all__ = ["program_checks"]

Tables = Mapping[str, list[Any]]


@deeply
def tangent_checks(tangents: Tangents, kernel: Kernel, seeds: tuple[int, ...] = (0,)) -> tuple[Check, ...]:
    """The checks of the tangents: that the backward's adjoints are right, and that their program computes these.

    The backward is right by its own certificate. Its adjoints by its upstream gradients are checked as any op's are, at one
    point: the equations that they are taken of are lines that were checked already.
    """
    checks, names = certify(tangents.derivation, seeds).checks, tangents.names
    found = [replace(c, rule=f"tangents, {c.rule}", name=names.get(c.name, c.name)) for c in checks]
    planned: list[Check] = []
    if kernel.tangent and not kernel.op.carries:  # the program of a recurrence is judged by what it computes
        for seed in seeds:
            if (stage := _stage(tangents.derivation, seed)) is not None:
                planned = merged(planned, list(_tangent_checks(tangents, kernel, kernel.tangent, stage, f"seed {seed}")))
    return (*found, *planned)


def _tangent_checks(tangents: Tangents, kernel: Kernel, program: Program, stage: Stage, at: str) -> Iterator[Check]:
    """A check of each result of the tangents' program, which is given what the forward saved."""
    values = stage.values([*tangents.derivation.forward, *tangents.derivation.lines])
    old = {new: name for name, new in tangents.names.items()}
    known = dict(stage.given) | {t.name: values.table(t.name) for t in kernel.saved if t.name in values.axes}
    known |= {a.name: stage.given[old[a.name]] for a in program.arguments if a.name in old}
    axes = {**stage.axes, **values.axes}
    axes |= {new: axes[name] for new, name in old.items() if name in axes}
    found, missing = guarded(partial(_run, program, stage, known, axes))
    for new in program.results:
        name = old[new]
        wrong = partial(_wrong, name, {name: found[new]} if found else {}, stage.truth, values, stage, False)
        reason = reason_of(wrong, at) if found else f"{missing} ({at})"
        yield Check("tangents, plan", new, not reason, reason)


@deeply
def program_checks(derivation: Derivation, kernel: Kernel, seeds: tuple[int, ...] = (0, 1)) -> tuple[Check, ...]:
    """The checks of both programs at the points of a certificate; none where there is no such point."""
    plain: list[Check] = []
    exact: list[Check] = []
    for seed in seeds:
        if (stage := _stage(derivation, seed)) is not None:
            truth = {t.name: stage.author.nodes[t.name].array.values for t in derivation.op.outputs} | stage.truth
            plain = merged(plain, list(_checks(derivation, kernel, stage, "plan", f"seed {seed}", truth)))
        if (stage := residue_stage(derivation.op, seed)) is not None:
            exact = merged(exact, list(_checks(derivation, kernel, stage, "exact plan", f"modulo a prime, seed {seed}", {})))
    return (*plain, *exact)


def _stage(derivation: Derivation, seed: int) -> Stage | None:
    try:
        return stage_of(derivation.op, seed)
    except NoPoint:
        return None


def _checks(derivation: Derivation, kernel: Kernel, stage: Stage, rule: str, at: str, truth: Tables) -> Iterator[Check]:
    """A check of each result of the forward program, and of the backward program, which is given what the forward saved."""
    values = _values(derivation, stage)
    axes, known = {**stage.axes, **values.axes}, dict(stage.given)
    own = {d.name for d in derivation.forward if not d.author}
    for program in (kernel.forward, kernel.backward):
        found, missing = guarded(partial(_run, program, stage, known, axes))
        zeros = own & confined_in(program.statements)
        for name in dict.fromkeys(program.results):
            wrong = partial(_wrong, name, found or {}, truth, values, stage, name in zeros)
            reason = reason_of(wrong, at) if found else f"{missing} ({at})"
            yield Check(rule, name, not reason, reason)
        known |= {name: found[name] for name in program.results} if found else {}


@dataclass(frozen=True)
class _Stepwise:
    """The values of an op with recurrences, as :class:`derive.certify.flat.Values` has those of other ops."""

    axes: Mapping[str, tuple[str, ...]]
    tables: Tables

    def table(self, name: str) -> list[Any]:
        return self.tables[name]


def _values(derivation: Derivation, stage: Stage) -> Values | _Stepwise:
    if not derivation.step:
        return stage.values([*derivation.forward, *derivation.lines])
    axes = {d.name: d.index for d in derivation.forward} | {line.name: line.index for line in derivation.lines}
    return _Stepwise(axes | {c.name: c.axes for c in derivation.op.carries}, stepwise(derivation, stage))


def _wrong(name: str, found: Tables, truth: Tables, values: Values | _Stepwise, stage: Stage, zeros: bool) -> str:
    """Where a result differs from the expected value, in words; "" where it does not. With ``zeros`` it may be 0."""
    expected = truth[name] if name in truth else values.table(name)
    if zeros:
        expected = [want if got else got for want, got in zip(expected, found[name], strict=True)]
    return stage.difference(expected, found[name], values.axes[name])


def _run(program: Program, stage: Stage, known: Tables, axes: Mapping[str, tuple[str, ...]]) -> Tables:
    """The results of a program from its arguments alone (KeyError for a name that a statement reads and nothing defines)."""
    given = [*(a.name for a in program.arguments), *(c.name for c in program.constants)]
    trees = stage.trees({name: known[name] for name in given}, axes)
    computed = {e.name: trees.define(e.name, e.index, e.rhs) for e in straight(program, stage.at.sizes)}
    return {name: computed[name] for name in program.results}
