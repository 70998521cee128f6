"""Verification at ties and zeros: a kernel with another gradient there than the declared one is refused, a right one is not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random
from types import ModuleType

import numpy as np
import pytest

import derive
from codegen.backends.arrays.discovery import arrays
from codegen.load import load_source
from codegen.plan import plan
from codegen.program import Kernel
from codegen.verify.judge import judge
from derive.certify import certify, tied_point
from derive.certify.swayed import Swayed
from derive.points import has_kinks
from tests.systems.generate import generate

#: Systems, each with a slip in its NumPy source that changes nothing but what a gradient is where values tie or are 0.
SLIPS: dict[str, tuple[str, str, str]] = {
    "relu has the slope 1 at 0": ("y[n] = maximum(x[n], 0)", "dy.dtype.type(1 / 2)", "1"),
    "relu has the slope 0 at 0": ("y[n] = maximum(x[n], 0)", "dy.dtype.type(1 / 2)", "0"),
    "the first of two has all of the gradient": (
        "y[n] = maximum(x[n], z[n])",
        "dx = np.where(x < z, 0, dy * np.where(x == z, dy.dtype.type(1 / 2), 1))",
        "dx = np.where(x >= z, dy, 0)",
    ),
    "each of equal entries has all of the gradient": ("y[n] = max[k](x[n, k])", " / total[:, None]", ""),
    "the first of equal entries has all of the gradient": (
        "y[n] = max[k](x[n, k])",
        "dx = np.where(x == y[:, None], dy[:, None], 0) / total[:, None]",
        "dx = np.where(np.arange(x.shape[1]) == x.argmax(1)[:, None], dy[:, None], 0)",
    ),
    "abs has the slope 1 at 0": ("y[n] = abs(x[n])", "np.sign(x)", "np.where(x < 0, -1, 1).astype(x.dtype)"),
    "a choice is another at its boundary": ("y[n] = where(x[n] > z[n], x[n], 2*z[n])", "x > z", "x >= z"),
}


def kernel_of(equation: str) -> Kernel:
    axes = "x[n, k]" if "x[n, k]" in equation else "x[n]"
    arguments = ", ".join([axes, "z[n]"] if "z" in equation else [axes])
    return plan(derive.derive(derive.parse(f"y[n] = f({arguments})\n{equation}")))


def module_of(source: str) -> ModuleType:
    return load_source("f_numpy", source)


@pytest.mark.parametrize("name", SLIPS)
def test_another_gradient_at_ties_is_refused(name: str) -> None:
    equation, right, wrong = SLIPS[name]
    kernel = kernel_of(equation)
    source = arrays("numpy").text(kernel, "a test")
    forward, between, backward = source.rpartition("def f_backward")
    assert right in backward
    assert not judge(kernel, module_of(source), "numpy").fault
    assert judge(kernel, module_of(forward + between + backward.replace(right, wrong)), "numpy").fault


def test_what_rounding_decides_is_not_told_from_right() -> None:
    """``x/3*3`` and ``x`` are equal or either is larger: each gradient between those of the two is right."""
    op = derive.parse("y[n] = f(x[n], z[n])\ny[n] = maximum(tanh(x[n]), tanh(x[n] + z[n] - z[n])*2/2)*3")
    kernel = plan(derive.derive(op))
    source = arrays("numpy").text(kernel, "a test")
    assert not judge(kernel, module_of(source), "numpy").fault


def test_a_sway_moves_what_rounding_may_and_nothing_else() -> None:
    swayed, other = Swayed(0, 1), Swayed(0, -1)
    half, third = (swayed.number(v) for v in (Fraction(1, 2), Fraction(1, 3)))
    assert half == swayed.number(Fraction(1, 2)) and third != swayed.number(Fraction(1, 3))
    assert swayed.sign(*swayed.plus([half], [half]), swayed.one) == 0
    thirds = swayed.total([third, third, third])
    assert swayed.sign(thirds, swayed.one) in (-1, 1)
    assert other.sign(other.number(Fraction(1, 3)), half) == -1
    assert swayed.call("tanh", [swayed.zero]) == [0] and swayed.call("exp", [swayed.zero]) != [1]
    assert np.isnan(float(swayed.times([swayed.zero], [swayed.nan])[0]))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("where(x[n] <= 0, 0, x[n])", "where(x[n] < 0, 0, x[n])"),
        ("maximum(x[n], z[n])", "where(x[n] >= z[n], x[n], z[n])"),
        ("abs(x[n])", "where(x[n] < 0, -x[n], x[n])"),
    ],
)
def test_a_line_that_is_wrong_at_ties_alone_fails_its_certificate(right: str, wrong: str) -> None:
    one, other = (derive.derive(derive.parse(f"y[n] = f(x[n], z[n])\ny[n] = {e} + z[n]")) for e in (right, wrong))
    assert certify(one).passed and certify(other).passed
    mixed = replace(one, lines=other.lines)
    assert {check.rule for check in certify(mixed).failures} == {"ties"}


def test_nearly_every_system_that_chooses_has_a_point_with_ties() -> None:
    kinked = [op for k in range(80) if has_kinks(op := derive.parse(generate(Random(f"ties:{k}"))))]
    assert len(kinked) > 20
    assert sum(tied_point(op, 0) is None for op in kinked) <= len(kinked) / 10
