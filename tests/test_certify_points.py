"""Points at which large values cancel, and values that are nothing but rounding: neither refuses what is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

import derive
from codegen.build import build
from derive.certify import Certificate, certify, stage_of
from derive.certify import stage as stages
from derive.derivation import Derivation
from derive.strain import verdict
from derive.strain.floats import single
from derive.strain.points import strained_points

#: Equations in which large values cancel, some of them more digits than a certificate carries where nothing is large.
CANCELLING = {
    "where a function grows": """
        g[s] = f(r[s], score[b])
        m[s] = erfcx(9*sum[b](score[b])*r[s]**2)**2
        g[s] = m[s] - min[b](score[b]) - m[s]
    """,
    "exponentials": "y[n] = f(x[n])\nu[n] = exp(200*x[n]**2)\ny[n] = (u[n] + x[n] - u[n])**2",
    "hyperbolic functions": "y = f(x[n], w[n])\nc[n] = cosh(99*w[n])**2 - sinh(99*w[n])**2\ny = sum[n](c[n]*tanh(x[n]))",
    "behind a choice": "y[n] = f(x[n])\nu[n] = exp(300*x[n]**2)\ny[n] = maximum(u[n] + x[n] - u[n], 0)*x[n]",
    "in a comparison": "y[n] = f(x[n])\nu[n] = exp(300*x[n]**2)\ny[n] = where(u[n] + x[n] - u[n] > x[n]/2, x[n], x[n]**2)",
    "in a divisor": "y[n] = f(x[n], w[n])\nu[n] = exp(300*x[n]**2)\ny[n] = w[n]/(u[n] + x[n] - u[n])",
    "large numbers": "y[n] = f(x[n])\nu[n] = 1e100*x[n]\ny[n] = (u[n] + x[n])*1e60 - 1e60*u[n]",
}


def parsed(text: str) -> derive.Op:
    return derive.parse("\n".join(line.strip() for line in text.strip().splitlines()))


def certified(text: str) -> Certificate:
    return certify(derive.derive(parsed(text)))


@pytest.mark.parametrize("name", CANCELLING)
def test_large_values_may_cancel(name: str) -> None:
    found = certified(CANCELLING[name])
    assert found.passed, found.failures


@pytest.mark.parametrize("name", CANCELLING)
def test_with_the_usual_digits_nothing_would_be_left(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "MODERATE", stages.RANGE)
    stage_of.cache_clear()
    try:
        assert not certified(CANCELLING[name]).passed
    finally:
        stage_of.cache_clear()


@pytest.mark.parametrize("name", CANCELLING)
def test_kernels_are_not_blamed_for_what_cancels_in_the_equations(name: str) -> None:
    """Float64 has no digit left there, and no number at all for some of the values: that is no fault of a kernel."""
    built = build(parsed(CANCELLING[name]), backends=("numpy", "torch"))
    assert built.certified


def changed(derivation: Derivation, name: str, change: Callable[[Any], Any]) -> Derivation:
    lines = tuple(replace(line, body=change(line.body)) if line.name == name else line for line in derivation.lines)
    return replace(derivation, lines=lines)


@pytest.mark.parametrize("name", CANCELLING)
def test_where_large_values_cancel_a_wrong_gradient_is_caught(name: str) -> None:
    """By a part of 1e-30: more digits are carried than the large values cost."""
    derivation = derive.derive(parsed(CANCELLING[name]))
    gradient = next(line.name for line in derivation.lines if line.body and line.name in derivation.gradients)
    found = certify(changed(derivation, gradient, lambda body: body.scaled(1 + Fraction(1, 10**30))))
    assert ("closed form", gradient) in {(c.rule, c.name) for c in found.failures}


def test_a_point_has_as_many_digits_as_it_takes() -> None:
    plain = stage_of(derive.load("batchnorm"), 0).numbers
    large = stage_of(parsed(CANCELLING["where a function grows"]), 0).numbers
    assert (plain.digits, large.digits > 300) == (130, True)  # type: ignore[attr-defined]


# ---- values that are nothing but rounding -------------------------------------------------------------------------------

#: An adjoint that is an exponential of nothing but rounding: 1 as mathematics, and 0 or inf as it is rounded.
LUCK = "r[k] = f(dy[k], x[k])\nr[k] = dy[k]*exp(1e30*(x[k] + pi - x[k] - pi))"
#: The same without rounding: 1 for sure.
SURE = "r[k] = f(dy[k], x[k])\nr[k] = dy[k]*exp(1e30*(x[k] - x[k]))"
#: A closed form without any value.
NOTHING = "r[k] = f(dy[k], x[k])\nr[k] = dy[k]*x[k]/(x[k] - x[k])"


def asked_for(chain: str) -> dict[str, None]:
    """The kinds of strain under which a closed form without a value is refused, where the chain rule's adjoint is ``chain``."""
    op = parsed("y[k] = f(x[k])\ny[k] = x[k]")
    strained = strained_points(op)
    forward, line, closed = _named("y", "y[k] = f(x[k])\ny[k] = x[k]"), _named("dx", chain), _named("dx", NOTHING)
    return verdict._missing(op, strained, ([forward], [line]), ([forward], [closed]), single, ["dx"])["dx"]


def _named(name: str, text: str) -> verdict.Named:
    equation = parsed(text).equations[-1]
    return verdict.Named(name, equation.index, equation.rhs)


def test_a_value_that_the_chain_rule_has_by_luck_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_for(SURE)
    assert not asked_for(LUCK)
    monkeypatch.setattr(verdict, "ROUNDINGS", 0)
    assert asked_for(LUCK)
