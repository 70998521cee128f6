"""Certificates: every stage of a derivation, every step and every result, checked in numbers at random points.

A forward name has the value of its definition, an adjoint the value that the chain rule gives it. The checks are:

* ``flatten``: each equation in flat terms has the value of the equation as written.
* ``differences``: the brute-force derivatives of the equations as written equal difference quotients.
* ``chain rule``: each adjoint is the sum of the contributions of all definitions that read its name, by dual numbers.
* every other rule: both sides of the step are equal.
* ``condition``: the right side of a rewriting for accuracy loses no digits where the left side loses none.
* ``forward``: each name of the author's, as it is computed, has the value that the equations give it.
* ``closed form``: each line, computed from the other lines alone, equals the chain rule's adjoint, and each gradient equals
  the brute-force derivative.
* ``factor``: each line's tree, from which code is made, has the line's value.
* ``shown``: each printed line holds for the printed forward pass, and reads only printed names.
* ``full``: the derivation that keeps the adjoint of every equation is right too.
* ``ties``: where values tie or are 0, each gradient equals the brute-force derivative, which is the declared one at kinks.
* ``strained``: at strained points a gradient is finite, in float32 and in float64, wherever the chain rule's adjoint is,
  however that is rounded. Where axes are empty, both have the same value (:mod:`derive.strain`).

* ``recurrence``: of an op with recurrences, all of this is checked of its step op; and with the steps unrolled, each gradient
  equals the brute-force derivative.

Arithmetic modulo random primes repeats checks of the rational part without rounding (:mod:`derive.certify.exact`). Nothing
here knows a rule. So a wrong rule shows as the step in which it was applied, and the first check that fails names the stage.
"""

from __future__ import annotations

from collections.abc import Mapping

from derive.certify.certificate import DIGITS, Certificate, Check, Exact, merged
from derive.certify.checks import Checker
from derive.certify.exact import exact_checks, residue_stage
from derive.certify.shown import printed
from derive.certify.stage import NoPoint, Stage, point, precise, stage_of, tied_point
from derive.certify.steps import recurrence_checks
from derive.deep import deeply
from derive.derivation import Derivation
from derive.engine import derive_full, style_of
from derive.points import sizes_of
from derive.show.show import Row
from derive.strain.points import strained_kinds
from derive.strain.verdict import without_value
from derive.terms.definitions import Definition

__all__ = [
    "DIGITS",
    "Certificate",
    "Check",
    "NoPoint",
    "Stage",
    "certify",
    "merged",
    "point",
    "residue_stage",
    "stage_of",
    "tied_point",
]


@deeply
def certify(derivation: Derivation, seeds: tuple[int, ...] = (0, 1), full: Derivation | None = None) -> Certificate:
    """Check a derivation at one random point for every seed. The certificate reports failures; none is raised.

    ``full`` is the op's derivation by :func:`derive.engine.derive_full`, where the caller has it.
    """
    op = derivation.op
    full = full or derive_full(op)
    if derivation.step:
        return certify(derivation.step, seeds, full.step).extended(recurrence_checks(derivation, seeds))
    rows = printed(derivation)
    sizes: list[tuple[tuple[str, int], ...]] = []
    checks: list[Check] = []
    draws: list[tuple[list[Check], Exact]] = []
    for seed in seeds:
        try:
            stage = stage_of(op, seed)
        except NoPoint as error:
            found = [Check("point", op.name, False, str(error))]
        else:
            found = Checker(derivation, full, rows, stage, seed).run()
        checks = merged(checks, found)
        sizes.append(tuple(sizes_of(op, seed).items()))
        draws.append(exact_checks(derivation, full, seed))
    checks += _tied(derivation, seeds, full, rows)
    exact: list[Check] = []
    for found, _ in draws:
        exact = merged(exact, found)
    found = _strained(derivation) if seeds else []
    return Certificate(
        op.name, tuple(seeds), tuple(sizes), (*checks, *exact, *found), tuple(draw for _, draw in draws), strained_kinds(op)
    )


def _tied(derivation: Derivation, seeds: tuple[int, ...], full: Derivation, rows: Mapping[str, list[Row]]) -> list[Check]:
    """The checks of the gradients at a point with ties for every seed; none for an op without kinks."""
    checks: list[Check] = []
    for seed in seeds:
        if (at := tied_point(derivation.op, seed)) is not None:
            tied = Stage(derivation.op, at)
            checks = merged(checks, list(Checker(derivation, full, rows, precise(tied) or tied, seed).tied()))
    return checks


def _strained(derivation: Derivation) -> list[Check]:
    """The checks that each gradient has a value at strained points."""
    lines = [Definition(line.name, line.index, line.body) for line in derivation.lines]
    style = style_of(derivation.op, derivation.forward)
    found = without_value(derivation.op, derivation.stable, derivation.chain, derivation.forward, lines, style)
    said = {name: f"no value, or another one, under: {kinds}" if kinds else "" for name, kinds in found.items()}
    return [Check("strained", name, not reason, reason) for name, reason in said.items()]
