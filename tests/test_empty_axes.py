"""Axes without entries: a length of 0 is divided by only where the author's equations divide by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import derive
from derive.certify import certify
from derive.strain.judge import Judge
from tests.backends import each_array_backend
from tests.judged import judge, lines

#: Systems with the length of an axis or an extremum over it as a factor, and what they compute.
CASES: dict[str, tuple[str, Callable[..., Any], list[tuple[str, ...]]]] = {
    "a length as a factor": (
        """
        y[n], t, m[b] = f(x[n], z[b])
        y[n] = size(b)/(exp(tanh(x[n])) + 1)
        t = sum[n](y[n])
        m[b] = t
        """,
        lambda x, z: (
            (y := len(z) / (torch.exp(torch.tanh(x)) + 1)),
            y.sum(),
            y.sum().expand(len(z)),
        ),
        [("n",), ("b",)],
    ),
    "the smaller of a length and a number": (
        """
        y[n] = f(x[n], z[b])
        h[n] = minimum(size(b), 0.5)*exp(x[n])
        y[n] = h[n]**2 + h[n]*x[n]
        """,
        lambda x, z: (h := min(len(z), 0.5) * torch.exp(x)) ** 2 + h * x,
        [("n",), ("b",)],
    ),
    "a sum of repetitions": (
        """
        y[n] = f(x[n], z[b], w[n])
        q[n, b] = w[n]*exp(x[n])
        y[n] = sum[b](q[n, b])*w[n]
        """,
        lambda x, z, w: len(z) * w**2 * torch.exp(x),
        [("n",), ("b",), ("n",)],
    ),
    "an input that a name without a value there would stand for": (
        """
        y[n], r[n] = f(x[n], h[k])
        y[n] = sum[k](x[n]*h[k])
        c = (mean[n](x[n]**2) + 2)**(-1/2)
        r[n] = x[n]*c
        """,
        lambda x, h: (x * h.sum(), x / torch.sqrt((x**2).mean() + 2)),
        [("n",), ("k",)],
    ),
    "shares, which sum to 1, and to 0 where there are none": (
        """
        y[k] = f(a[b], w[k], p[n])
        s[n] = exp(p[n])/sum[n](exp(p[n]))
        y[k] = sum[n, b](a[b]*s[n]) + w[k]
        """,
        lambda a, w, p: w + a.sum() * torch.softmax(p, 0).sum(),
        [("b",), ("k",), ("n",)],
    ),
    "a factor that is the inverse of nothing": (
        """
        y[n], t = f(x[n, k], w[b])
        t = sum[b](w[b])
        y[n] = sum[k](x[n, k]/t)
        """,
        lambda x, w: ((x / w.sum()).sum(1), w.sum()),
        [("n", "k"), ("b",)],
    ),
    "a factor that is the logarithm of nothing": (
        """
        y[n] = f(x[n, k], w[b])
        t = sum[b](w[b]**2)
        y[n] = sum[k](x[n, k]*log(t))
        """,
        lambda x, w: (x * torch.log((w**2).sum())).sum(1),
        [("n", "k"), ("b",)],
    ),
    "sums within a product, of factors that are nothing's": (
        """
        y[n], z[n] = f(x[n, k], w[b], u[n])
        s = sum[b](w[b]**2)
        m = max[b](w[b])
        y[n] = u[n]*sum[k](x[n, k]*log(s))
        z[n] = u[n]*sum[k](x[n, k]*exp(-m)) + u[n]*sum[k](x[n, k]/s)
        """,
        lambda x, w, u: (
            u * (x * torch.log((w**2).sum())).sum(1),
            u * (x * torch.exp(-(w.amax() if len(w) else w.new_full((), -torch.inf)))).sum(1) + u * (x / (w**2).sum()).sum(1),
        ),
        [("n", "k"), ("b",), ("n",)],
    ),
    "a factor that is the mean of nothing": (
        """
        y[k], q = f(x[n, k], w[b])
        t = mean[b](w[b])
        q = sum[n, k](t*x[n, k]**2)
        y[k] = sum[n](t*x[n, k])
        """,
        lambda x, w: ((w.mean() * x).sum(0), (w.mean() * x**2).sum()),
        [("n", "k"), ("b",)],
    ),
    "a factor that is the largest of nothing": (
        """
        y[n] = f(x[n, k], w[b])
        t = max[b](w[b])
        y[n] = sum[k](x[n, k]*t)
        """,
        lambda x, w: (x * (w.amax() if len(w) else w.new_full((), -torch.inf))).sum(1),
        [("n", "k"), ("b",)],
    ),
    "a factor over the axis that is summed over": (
        """
        y[n] = f(x[n, k])
        m[n] = max[k](x[n, k])
        y[n] = sum[k](m[n]*m[n]*x[n, k]**2)
        """,
        lambda x: (x.amax(1, keepdim=True) ** 2 * x**2).sum(1) if x.shape[1] else x.sum(1),
        [("n", "k")],
    ),
    "a sum that several gradients need, times the inverse of a mean of nothing": (
        """
        y[n] = f(v[n], w[b])
        v > 0
        w > 0
        t = sum[b](w[b])
        y[n] = (t*v[n]*rmsnorm(v[n], v[n], eps=0.01))**2
        """,
        lambda v, w: (w.sum() * v**3 / torch.sqrt((v**2).mean() + 0.01)) ** 2,
        [("n",), ("b",)],
    ),
    "a sum of exponentials": (
        """
        y[n] = f(x[n, k], g[n])
        e[n] = sum[k](exp(x[n, k]))
        y[n] = g[n]*e[n]/(1 + e[n]) + log(1 + e[n])
        """,
        lambda x, g: g * (e := torch.exp(x).sum(1)) / (1 + e) + torch.log(1 + e),
        [("n", "k"), ("n",)],
    ),
}


@each_array_backend
@pytest.mark.parametrize("empty", ["", "n", "b", "k", "bk"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_where_an_axis_is_empty(name: str, empty: str, backend: str) -> None:
    text, reference, axes = CASES[name]
    generator = torch.Generator().manual_seed(0)
    shapes = [tuple(0 if a in empty else 3 for a in index) for index in axes]
    inputs = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    judge(text, backend, reference, [v.abs() for v in inputs] if "> 0" in text else inputs)


def test_without_the_points_at_empty_axes_a_length_is_divided_by(monkeypatch: pytest.MonkeyPatch) -> None:
    text = lines(CASES["a length as a factor"][0])
    assert certify(derive.derive(derive.parse(text))).passed
    monkeypatch.setattr(Judge, "keeps_empty", lambda *_: True)
    certificate = certify(derive.derive(derive.parse(text)))
    assert not certificate.passed and "no b" in certificate.summary()


def test_a_line_may_be_nan_only_where_no_result_with_entries_reads_it() -> None:
    """dt enters dw, which has entries where n is empty: the inverse of a mean over n may not leave the sum over n."""
    name = "a sum that several gradients need, times the inverse of a mean of nothing"
    assert certify(derive.derive(derive.parse(lines(CASES[name][0])))).passed


def test_nothing_is_asked_of_gradients_where_an_output_has_no_value() -> None:
    """The mean of nothing is NaN, and so is what depends on it, in whatever form it is written."""
    text = lines("""
        q[o] = f(x[s], X[h, b, o])
        m[s, o] = sum[b, h](X[h, b, o]*x[s]*X[h, b, o])
        q[o] = maximum(mean[s](m[s, o]), min[s](x[s]))
    """)
    assert certify(derive.derive(derive.parse(text))).passed
