"""Products of vectors and matrices of torch as equations."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tests.opinfo.equations import written
from tests.opinfo.reasons import Adapter, unless

__all__ = ["PRODUCTS"]


def scaled(signature: str, right: str) -> Adapter:
    """``beta`` times what is there and ``alpha`` times a product; the first input is broadcast to the result."""
    return written(f"y{signature}, beta=1.0, alpha=1.0)", f"y{signature.split(' = ')[0]} = {right}")


matrix_added = scaled("[i, j] = addmm(x[i, j], a[i, k], b[k, j]", "beta*x[i, j] + alpha*sum[k](a[i, k]*b[k, j])")
vector_added = scaled("[i] = addmv(x[i], a[i, k], b[k]", "beta*x[i] + alpha*sum[k](a[i, k]*b[k])")
outer_added = scaled("[i, j] = addr(x[i, j], a[i], b[j]", "beta*x[i, j] + alpha*a[i]*b[j]")
batch_summed = scaled(
    "[i, j] = addbmm(x[i, j], a[n, i, k], b[n, k, j]", "beta*x[i, j] + alpha*sum[n, k](a[n, i, k]*b[n, k, j])"
)
batch_added = scaled(
    "[n, i, j] = baddbmm(x[n, i, j], a[n, i, k], b[n, k, j]", "beta*x[n, i, j] + alpha*sum[k](a[n, i, k]*b[n, k, j])"
)
dot = written("y[*s] = dot(a[*s, k], b[*s, k])", "y[*s] = sum[k](a[*s, k]*b[*s, k])")
inner = written("y[i, j] = inner(a[i, k], b[j, k])", "y[i, j] = sum[k](a[i, k]*b[j, k])")
trace = written("y = trace(x[i, j])", "y = sum[i, j](where(i == j, x[i, j], 0))")
kronecker = written("y[(i, k), (j, l)] = kron(a[i, j], b[k, l])", "y[(i, k), (j, l)] = a[i, j]*b[k, l]")
lower = written("y[*s, i, j] = tril(x[*s, i, j], diagonal=0)", "y[*s, i, j] = where(j - i <= diagonal, x[*s, i, j], 0)")
upper = written("y[*s, i, j] = triu(x[*s, i, j], diagonal=0)", "y[*s, i, j] = where(j - i >= diagonal, x[*s, i, j], 0)")


def with_sum(op: Adapter, shape: Adapter) -> Adapter:
    def called(x: Tensor, a: Tensor, b: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
        return op(x.expand(shape(a, b)), a, b, beta=float(beta), alpha=float(alpha))

    return called


def vecdot(a: Tensor, b: Tensor, dim: int = -1) -> Tensor:
    axes = max(a.ndim, b.ndim)
    a, b = (x.movedim(dim, -1) for x in (a, b))
    unless(axes == 0, "shape")
    shape = (a * 0 + b * 0).shape
    return dot(a.expand(shape), b.expand(shape))


def inner_of(a: Tensor, b: Tensor) -> Tensor:
    unless(0 in (a.ndim, b.ndim), "shape")
    found = inner(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]))
    return found.reshape([*a.shape[:-1], *b.shape[:-1]])


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    left, right = (list(range(a.ndim - dims, a.ndim)), list(range(dims))) if isinstance(dims, int) else dims
    a, b = (x.movedim(d, list(range(len(d)))) for x, d in ((a, left), (b, right)))
    k = len(left)
    unless(a.shape[:k] != b.shape[:k], "shape")
    count = a.shape[:k].numel()
    return inner(a.reshape(count, -1).mT, b.reshape(count, -1).mT).reshape(*a.shape[k:], *b.shape[k:])


def triangle(op: Adapter) -> Adapter:
    return lambda x, diagonal=0: op(x, diagonal=diagonal)


PRODUCTS: dict[str, Adapter] = {
    "addmm": with_sum(matrix_added, lambda a, b: (len(a), b.shape[1])),
    "addmv": with_sum(vector_added, lambda a, b: (len(a),)),
    "addr": with_sum(outer_added, lambda a, b: (len(a), len(b))),
    "addbmm": with_sum(batch_summed, lambda a, b: (a.shape[1], b.shape[2])),
    "baddbmm": with_sum(batch_added, lambda a, b: (len(a), a.shape[1], b.shape[2])),
    "dot": dot,
    "vdot": dot,
    "linalg.vecdot": vecdot,
    "inner": inner_of,
    "tensordot": tensordot,
    "kron": kronecker,
    "trace": trace,
    "tril": triangle(lower),
    "triu": triangle(upper),
}
