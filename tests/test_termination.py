"""Equations on which a rule could undo another, or itself: each derivation ends, and is right."""

from __future__ import annotations

import pytest

import derive
from derive.certify import certify
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
