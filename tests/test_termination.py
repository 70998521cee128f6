"""Equations on which a rule could undo another, or itself: each derivation ends, and is right."""

from __future__ import annotations

import sys

import pytest

import derive
from codegen.certify import program_checks
from codegen.plan import planned
from derive.certify import certify
from derive.deep import deeply
from derive.errors import OpError

ENDS = {
    "a tensor and its transpose": "z[i, j] = f(x[i, j])\nx > 0\nz[i, j] = x[i, j]*x[j, i]",
    "a tensor and its gather": "O[d] = f(phi[d], t[d])\nt[d] in d\nphi > 0\nO[d] = phi[t[d]]*phi[d]",
    "a scale that is read again": "y = f(x[h, m], g[m], b[m])\ng > 0\ny = sum[h, m](layernorm(x[h, m]*g[m], g[m], b[m]))",
    "a circle of products": "z, w, k = f(x, g, h)\nx > 0\ng > 0\nh > 0\nz = x*g\nw = g*h\nk = h*x",
    "no power": "y[i] = f(w[i])\nw > 0\ny[i] = w[i]**0",
    "a power of nothing": "y[i] = f(x[i])\ny[i] = (x[i] - x[i])**2 + x[i]",
    "a gathered exponential": "y = f(x[c], t[b])\nt[b] in c\ny = sum[b](exp(x[t[b]]))",
    "a diagonal of exponentials": "y = f(x[i, j])\ny = log(sum[i](exp(x[i, i])))",
}


@pytest.mark.parametrize("case", ENDS)
def test_ends_and_is_right(case: str) -> None:
    certificate = certify(derive.derive(derive.parse(ENDS[case])))
    assert certificate.passed, certificate.summary()


def test_a_divisor_that_cancels_is_refused() -> None:
    with pytest.raises(OpError, match="division by zero: the terms of a divisor cancel"):
        derive.derive(derive.parse("y[i] = f(x[i, j], g[i])\ny[i] = g[i]/sum[j](x[i, j] - x[i, j])"))


def contraction(axes: int) -> str:
    """A chain of matrices, each tied to the next."""
    names = [f"x{k}[a{k}, a{k + 1}]" for k in range(axes - 1)]
    return f"y = f({', '.join(names)})\ny = sum[{', '.join(f'a{k}' for k in range(axes))}]({'*'.join(names)})"


LARGE = {
    "a huge power": "y[i] = f(x[i])\ny[i] = x[i]**999999",
    "a power of a sum": "y = f(x[n])\ny = sum[n](x[n])**64",
    "forty powers": "y[i] = f(x[i])\ny[i] = " + " + ".join(f"x[i]**{k}" for k in range(1, 41)),
    "a contraction over 14 axes": contraction(14),
    "25 products": "y[i] = f({})\ny[i] = tanh({})".format(
        ", ".join(f"x{k}[i], w{k}" for k in range(25)), " + ".join(f"x{k}[i]*w{k}" for k in range(25))
    ),
    "eight axes": "y[a, b, c, d] = f(x[a, e, f, b], w[e, g, h, c], v[f, g, h, d])\n"
    "y[a, b, c, d] = sum[e, f, g, h](x[a, e, f, b]*w[e, g, h, c]*v[f, g, h, d])",
    "a scalar label": "y = f(x[c], t)\nt in c\ny = exp(x[t]) - log(sum[c](exp(x[c])))",
    "an input called as a whole adjoint is": "y[i], z[i] = f(x[i], y_total[i])\n"
    "y[i] = x[i]*y_total[i]\nz[i] = exp(y[i])*y_total[i]",
}


@pytest.mark.parametrize("case", LARGE)
def test_large_systems_end_and_are_right(case: str) -> None:
    certificate = certify(derive.derive(derive.parse(LARGE[case])))
    assert certificate.passed, certificate.summary()


def test_chains_deeper_than_the_stack() -> None:
    """Neither ordering nor evaluating goes down a chain by recursion."""
    lines = ["y[n] = f(x[n], w[n])", "a0[n] = x[n]*w[n] + x[n]"]
    lines += [f"a{k}[n] = a{k - 1}[n]*w[n] + x[n]" for k in range(1, 1100)]
    derivation = derive.derive(derive.parse("\n".join([*lines, "y[n] = a1099[n]*w[n]"])))
    assert {"dx", "dw"} <= {line.name for line in derivation.lines}


def test_trees_deeper_than_python_calls_are_planned() -> None:
    """A polynomial of degree 200, whose form of fewest operations is nested 200 times: planned, checked and given back."""
    before = sys.getrecursionlimit()
    text = "y[i] = f(x[i])\ny[i] = " + " + ".join(f"x[i]**{k}" for k in range(1, 201))
    derivation = derive.derive(derive.parse(text))
    assert not [check for check in program_checks(derivation, planned(derivation)) if not check.passed]
    assert sys.getrecursionlimit() == before


def test_what_is_deeper_still_is_refused_by_name() -> None:
    @deeply
    def endless(n: int) -> int:
        return endless.__wrapped__(n + 1)  # type: ignore[attr-defined, no-any-return]

    with pytest.raises(OpError, match="nested too deep; give parts of them names"):
        endless(0)
