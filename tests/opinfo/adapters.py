"""How an op of torch is called as one of ours: a thin function each, of the arguments of a sample.

What torch has as a function of ``torch.nn.functional`` is that of ``generated.torch.functional``. The other adapters move,
flatten or split tensors. Where a sample asks for what our op does not have, an adapter raises
:class:`~tests.opinfo.reasons.NotApplicable`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from generated import torch as own
from generated.torch import functional
from tests.opinfo.elementwise import ELEMENTWISE
from tests.opinfo.losses import LOSSES
from tests.opinfo.products import PRODUCTS
from tests.opinfo.reasons import NotApplicable, either, unless
from tests.opinfo.reductions import REDUCTIONS
from tests.opinfo.windows import WINDOWS

__all__ = ["ADAPTERS", "CATALOGUE"]


def product(name: str) -> Callable[..., Tensor]:
    """A function of the product, which says that a sample does not apply where it is not served."""
    function = getattr(functional, name)

    def called(*tensors: Any, **given: Any) -> Tensor:
        try:
            return function.served(*tensors, **given)
        except functional.NotServed:
            raise NotApplicable("option") from None

    return called


def along(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An op over the last axis, called over any."""

    def called(x: Tensor, dim: int, dtype: Any = None, **_: Any) -> Tensor:
        unless(dtype not in (None, x.dtype), "dtype")
        return op(x.movedim(dim, -1)).movedim(-1, dim) if x.ndim else op(x.reshape(1)).reshape(())

    return called


def logsumexp(x: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    dims = [d % max(x.ndim, 1) for d in ((dim,) if isinstance(dim, int) else dim)]
    unless(x.ndim == 0 or not dims, "shape")
    rest = [d for d in range(x.ndim) if d not in dims]
    found = own.logsumexp(x.permute(*rest, *dims).flatten(len(rest)))
    return found.reshape([1 if d in dims else n for d, n in enumerate(x.shape)]) if keepdim else found


def prod(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    unless(dtype not in (None, x.dtype), "dtype")
    if dim is None:
        return own.total_product(x.flatten())
    unless(x.ndim == 0, "shape")
    found = own.total_product(x.movedim(dim, -1))
    return found.unsqueeze(dim) if keepdim else found


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Vectors are matrices with one row or column, and stacks are broadcast, as NumPy has it."""
    unless(0 in (a.ndim, b.ndim), "shape")
    left, right = a.unsqueeze(0) if a.ndim == 1 else a, b.unsqueeze(-1) if b.ndim == 1 else b
    stack = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    y = own.matmul(left.expand(*stack, *left.shape[-2:]), right.expand(*stack, *right.shape[-2:]))
    y = y.squeeze(-1) if b.ndim == 1 else y
    return y.squeeze(-2 if b.ndim > 1 else -1) if a.ndim == 1 else y


def unfold(x: Tensor, dim: int, size: int, step: int) -> Tensor:
    unless(x.ndim == 0 or not size, "shape")
    moved = x.movedim(dim, -1)
    found = own.unfold1d(moved.reshape(1, -1, moved.shape[-1]), kernel=size, stride=step).mT
    return found.reshape(*moved.shape[:-1], *found.shape[-2:]).movedim(-2, dim - 1 if dim < 0 else dim)


def table_first(name: str) -> Callable[..., Tensor]:
    """The samples of a lookup have the table before the labels."""
    return lambda table, labels, *more, **given: product(name)(labels, table, *more, **given)


def hardsigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    raise NotApplicable("float32")


F = "nn.functional."
#: What torch calls in another way than as functions of ``torch.nn.functional``.
OTHERS: dict[str, Callable[..., Any]] = {
    **{name: product(name) for name in ("tanh", "sigmoid", "softmax", "log_softmax")},
    F + "hardsigmoid": hardsigmoid,
    **{F + name: table_first(name) for name in ("embedding", "embedding_bag")},
    "logsumexp": logsumexp,
    "prod": prod,
    "cumsum": along(own.cumsum),
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "mv": matmul,
    "unfold": unfold,
    "outer": lambda a, b: own.outer(a, b),
}
#: Random numbers are drawn anew at each call.
RANDOM = "dropout"
#: Ops of the catalogue by the names that torch has for them.
CATALOGUE: dict[str, Callable[..., Any]] = {
    F + f.__name__: product(f.__name__) for f in functional.FUNCTIONS if f.__name__ not in OTHERS and f.__name__ != RANDOM
} | OTHERS
#: Ops that the tests write as equations, alone or where the catalogue's does not take all that torch's takes.
WRITTEN = {**ELEMENTWISE, **REDUCTIONS, **PRODUCTS, **WINDOWS, **LOSSES}
#: The adapters by the names that torch has for its ops.
ADAPTERS: dict[str, Callable[..., Any]] = (
    CATALOGUE | WRITTEN | {name: either(op, WRITTEN[name]) for name, op in CATALOGUE.items() if name in WRITTEN}
)
