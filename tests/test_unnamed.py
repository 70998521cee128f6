"""Expressions without the names of their tensors: equal where names differ in spelling alone, and else not."""

from __future__ import annotations

import random

import pytest

import derive
from derive.simplify.cost import Model
from derive.terms.sums import Sum
from derive.terms.unnamed import unnamed
from tests.benchmarks.chains import KINDS, chain


def body(text: str) -> Sum:
    """The right side of one equation, in flat terms."""
    op = derive.parse_formula(text)
    return derive.derive(op).written[-1].body


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("y[i] = a[i]*sum[k](b[i, k])", "y[i] = c[i]*sum[k](d[i, k])"),
        ("y[i] = maximum(a[i], b[i])", "y[i] = maximum(a9[i], c[i])"),
        ("y[i] = a[i] + 2*b[i]**2", "y[i] = p[i] + 2*q[i]**2"),
        ("y[i] = where(a[i] > b[i], b[i], 0)", "y[i] = where(u[i] > v[i], v[i], 0)"),
        ("y = max[i](a[i])", "y = max[i](z[i])"),
    ],
)
def test_names_in_the_same_order_are_alike(one: str, other: str) -> None:
    assert unnamed(body(one)) == unnamed(body(other))
    assert body(one) != body(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("y[i] = a[i] + 2*b[i]", "y[i] = b[i] + 2*a[i]"),  # the order of names decides between equally good forms
        ("y[i] = a[i]*b[i]", "y[i] = a[i]*a[i]"),
        ("y[i] = a[i]*b[i]", "y[i, k] = a[i]*b[k]"),
        ("y[i] = a[i]*b[i]", "y[i] = 2*a[i]*b[i]"),
        ("y[i] = exp(a[i])", "y[i] = tanh(a[i])"),
    ],
)
def test_what_differs_otherwise_stays_apart(one: str, other: str) -> None:
    assert unnamed(body(one)) != unnamed(body(other))


def test_names_keep_their_place_beside_a_word() -> None:
    assert unnamed(body("y[i] = a[i]"), "m") != unnamed(body("y[i] = z[i]"), "m")
    assert unnamed(body("y[i] = a[i]"), "m") == unnamed(body("y[i] = b[i]"), "m")
    assert unnamed(body("y[i] = m1[i]"), "m") == body("y[i] = m1[i]")


@pytest.mark.parametrize("kind", KINDS)
def test_a_cost_is_the_same_whatever_was_measured_before(kind: str) -> None:
    derivation = derive.derive(derive.parse(chain(kind, 12)))
    axes = {d.name: d.index for d in (*derivation.stable, *derivation.chain)}
    bodies = [*{side for step in derivation.steps for side in (step.before, step.after)}]
    random.Random(0).shuffle(bodies)
    together = Model({}, axes, frozenset())
    assert [together.of(b) for b in bodies] == [Model({}, axes, frozenset()).of(b) for b in bodies]
