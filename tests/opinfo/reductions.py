"""Reductions and scans of torch as equations over the last axis, called over any axes, with masks or without."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from generated import torch as own
from tests.opinfo.equations import written
from tests.opinfo.reasons import Adapter, over, same_dtype, unless

__all__ = ["REDUCTIONS"]


def of_rows(right: str, *before: str, constants: str = "") -> Adapter:
    """The op ``y[*s] = right``, in which the input is ``x[*s, k]``."""
    return written(f"y[*s] = reduced(x[*s, k]{constants})", *before, f"y[*s] = {right}")


def of_masked(right: str, constants: str = "") -> Adapter:
    return written(f"y[*s] = masked(x[*s, k], keep[*s, k]{constants})", "keep[*s, k] in bool", f"y[*s] = {right}")


def of_scan(right: str) -> Adapter:
    return written("y[*s, i] = scan(x[*s, i])", f"y[*s, i] = {right}")


total, average = of_rows("sum[k](x[*s, k])"), of_rows("mean[k](x[*s, k])")
largest, smallest = of_rows("max[k](x[*s, k])"), of_rows("min[k](x[*s, k])")
variance = of_rows("var[k](x[*s, k], correction=c)", constants=", c=1.0")
deviation = of_rows("std[k](x[*s, k], correction=c)", constants=", c=1.0")
NORMS: dict[float, Adapter] = {
    2: of_rows("norm[k](x[*s, k])"),
    1: of_rows("sum[k](abs(x[*s, k]))"),
    0: of_rows("sum[k](where(x[*s, k] == 0, 0, 1)) + 0*sum[k](x[*s, k])"),
    math.inf: of_rows("max[k](abs(x[*s, k]))"),
    -math.inf: of_rows("min[k](abs(x[*s, k]))"),
}
any_norm = of_rows("sum[k](abs(x[*s, k])**p)**(1/p)", constants=", p=3.0")
differences = written(
    "y[*s, i] = diff(x[*s, l], ahead=1, here=0)",
    "size(i) = size(l) - ahead",
    "y[*s, i] = x[*s, i + ahead] - x[*s, i + here]",
)
even_trapezoids = written("y[*s] = even(x[*s, l], h=1.0)", "y[*s] = h*(sum[l](x[*s, l]) - (x[*s, 0] + x[*s, size(l) - 1])/2)")
trapezoids = written(
    "y[*s] = trapezoid(u[*s, l], x[*s, l])",
    "y[*s] = sum[l](where(l < size(l) - 1, (x[*s, l + 1] - x[*s, l])*(u[*s, l + 1] + u[*s, l]), 0))/2",
)
cumulative_product = of_scan("prod[j](where(j <= i, x[*s, j], 1))")
cumulative_logsumexp = of_scan("log(sum[j](where(j <= i, exp(x[*s, j]), 0)))")
softmax_backward = written("d[*s, k] = back(g[*s, k], y[*s, k])", "d[*s, k] = y[*s, k]*(g[*s, k] - sum[k](g[*s, k]*y[*s, k]))")

MASKED: dict[str, Adapter] = {
    "sum": of_masked("sum[k](where(keep[*s, k], x[*s, k], 0))"),
    "prod": of_masked("prod[k](where(keep[*s, k], x[*s, k], 1))"),
    "mean": of_masked("sum[k](where(keep[*s, k], x[*s, k], 0))/sum[k](where(keep[*s, k], 1, 0))"),
    "logsumexp": of_masked("log(sum[k](where(keep[*s, k], exp(x[*s, k]), 0)))"),
    "norm": of_masked("norm[k](where(keep[*s, k], x[*s, k], 0))"),
}
masked_variance = written(
    "y[*s] = masked(x[*s, k], keep[*s, k], correction=1)",
    "keep[*s, k] in bool",
    "n[*s] = sum[k](where(keep[*s, k], 1, 0))",
    "mu[*s] = sum[k](where(keep[*s, k], x[*s, k], 0))/n[*s]",
    "y[*s] = sum[k](where(keep[*s, k], (x[*s, k] - mu[*s])**2, 0))/(n[*s] - correction)",
)
MASKED_NORMS: dict[float, Adapter] = {
    2: MASKED["norm"],
    1: of_masked("sum[k](where(keep[*s, k], abs(x[*s, k]), 0))"),
    math.inf: of_masked("max[k](where(keep[*s, k], abs(x[*s, k]), 0))"),
}
any_masked_norm = of_masked("sum[k](where(keep[*s, k], abs(x[*s, k])**p, 0))**(1/p)", constants=", p=3.0")


def reduction(op: Adapter, none_is_all: bool = True) -> Adapter:
    def called(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
        same_dtype(x, dtype)
        return over(op, x, dim=dim, keepdim=keepdim, none_is_all=none_is_all)

    return called


def extremum(op: Adapter) -> Adapter:
    """Values alone: positions are no output of ours."""

    def called(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        found = over(op, x, dim=dim, keepdim=keepdim)
        return found

    return called


def _correction(dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    """torch takes ``unbiased`` in the place of ``dim`` too."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return dim, float(unbiased) if unbiased is not None else 1.0 if correction is None else float(correction)


def spread(op: Adapter, with_mean: bool = False) -> Adapter:
    def called(x: Tensor, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None) -> Any:
        dim, c = _correction(dim, unbiased, correction)
        found = over(partial(op, c=c), x, dim=dim, keepdim=keepdim)
        return (found, over(average, x, dim=dim, keepdim=keepdim)) if with_mean else found

    return called


def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    same_dtype(x, dtype)
    unless(ord not in NORMS and bool((x == 0).any()) or (ord == 2 and x.numel() > 0 and bool((x == 0).all())), "zero")
    return over(NORMS.get(ord) or partial(any_norm, p=float(ord)), x, dim=dim, keepdim=keepdim)


def norm(x: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    unless(p == "nuc", "option")
    return vector_norm(x, 2 if p in ("fro", None) else p, dim, keepdim, dtype)


def linalg_norm(x: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    axes = x.ndim if dim is None else 1 if isinstance(dim, int) else len(dim)
    if axes == 2 and ord is not None:
        return matrix_norm(x, ord, (-2, -1) if dim is None else dim, keepdim, dtype)
    return vector_norm(x, 2 if ord in (None, "fro") else ord, dim, keepdim, dtype)


def matrix_norm(x: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Sums of absolute values of columns or rows, of which the largest or smallest."""
    if ord == "fro":
        return vector_norm(x, 2, dim, keepdim, dtype)
    unless(ord not in (1, -1, math.inf, -math.inf), "option")
    same_dtype(x, dtype)
    rows, columns = (d % x.ndim for d in dim)
    first, second = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = over(NORMS[1], x, dim=first, keepdim=True)
    found = over(largest if ord > 0 else smallest, sums, dim=second, keepdim=True)
    return found if keepdim else found.squeeze((rows, columns))


def dist(a: Tensor, b: Tensor, p: float = 2) -> Tensor:
    return vector_norm(a - b, p)


def cdist(a: Tensor, b: Tensor, p: float = 2.0, compute_mode: Any = None) -> Tensor:
    stack = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (x.expand(*stack, *x.shape[-2:]) for x in (a, b))
    return vector_norm(a.unsqueeze(-2) - b.unsqueeze(-3), p, -1)


def scan(op: Adapter) -> Adapter:
    def called(x: Tensor, dim: int, dtype: Any = None, **_: Any) -> Tensor:
        same_dtype(x, dtype)
        return op(x.reshape(1)).reshape(()) if x.ndim == 0 else op(x.movedim(dim, -1)).movedim(-1, dim)

    return called


def logcumsumexp(x: Tensor, dim: int) -> Tensor:
    unless(bool((x.abs() > 1e3).any()), "rounding")
    return scan(cumulative_logsumexp)(x, dim)


def diff(x: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    if n == 0:
        return x
    x = torch.cat([t for t in (prepend, x, append) if t is not None], dim).movedim(dim, -1)
    unless(n > x.shape[-1], "empty")
    for _ in range(n):
        x = differences(x)
    return x.movedim(-1, dim)


def trapezoid(y: Tensor, x: Any = None, dx: float = 1.0, dim: int = -1) -> Tensor:
    y = y.movedim(dim, -1)
    if x is None:
        return even_trapezoids(y, h=float(dx))
    return trapezoids(y, (x if x.ndim == 1 else x.movedim(dim, -1)).expand(y.shape))


def masked(op: Adapter, none_is_all: bool = True) -> Adapter:
    def called(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None, mask: Any = None, **given: Any) -> Tensor:
        same_dtype(x, dtype)
        kept = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
        return over(op, x, kept.broadcast_to(x.shape), dim=dim, keepdim=keepdim, none_is_all=none_is_all, **given)

    return called


def masked_spread(root: bool) -> Adapter:
    def called(x: Tensor, dim: Any = None, unbiased: Any = None, *, correction: Any = None, **given: Any) -> Tensor:
        unless(root, "option")
        dim, c = _correction(dim, unbiased, correction)
        return masked(masked_variance)(x, dim, correction=c, **given)

    return called


def masked_norm(x: Tensor, ord: Any = 2, dim: Any = None, **given: Any) -> Tensor:
    unless(ord in (0, -math.inf) or ord < 0, "option")
    return masked(MASKED_NORMS.get(ord) or partial(any_masked_norm, p=float(ord)))(x, dim, **given)


def softmax_gradient(g: Tensor, y: Tensor, dim: int, dtype: Any) -> Tensor:
    same_dtype(g, dtype)
    return softmax_backward(g.movedim(dim, -1), y.movedim(dim, -1)).movedim(-1, dim)


def safe_softmax(x: Tensor, dim: int, dtype: Any = None) -> Tensor:
    unless(bool((x == -math.inf).all(dim).any()), "empty")
    return scan(own.softmax)(x, dim, dtype)


def softmin(x: Tensor, dim: int, dtype: Any = None, **_: Any) -> Tensor:
    return scan(own.softmax)(-x, dim, dtype)


REDUCTIONS: dict[str, Adapter] = {
    "sum": reduction(total),
    "mean": reduction(average),
    "amax": reduction(largest),
    "amin": reduction(smallest),
    "aminmax": lambda x, dim=None, keepdim=False: (
        over(smallest, x, dim=dim, keepdim=keepdim),
        over(largest, x, dim=dim, keepdim=keepdim),
    ),
    "var": spread(variance),
    "std": spread(deviation),
    "var_mean": spread(variance, with_mean=True),
    "std_mean": spread(deviation, with_mean=True),
    "norm": norm,
    "linalg.vector_norm": vector_norm,
    "linalg.norm": linalg_norm,
    "linalg.matrix_norm": matrix_norm,
    "dist": dist,
    "cdist": cdist,
    "cumprod": scan(cumulative_product),
    "logcumsumexp": logcumsumexp,
    "diff": diff,
    "trapezoid": trapezoid,
    "trapz": trapezoid,
    "_softmax_backward_data": softmax_gradient,
    "nn.functional.softmin": softmin,
    "torch.ops.aten._safe_softmax.default": safe_softmax,
    "masked.sum": masked(MASKED["sum"]),
    "masked.prod": masked(MASKED["prod"]),
    "masked.mean": masked(MASKED["mean"]),
    "masked.logsumexp": masked(MASKED["logsumexp"]),
    "masked.var": masked_spread(root=False),
    "masked.norm": masked_norm,
}
