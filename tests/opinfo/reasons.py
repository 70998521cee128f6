"""Why a sample of torch's is not asked of our ops, and what the adapters share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["REASONS", "Adapter", "NotApplicable", "broadcast", "either", "over", "same_dtype", "unary", "unless"]

Adapter = Callable[..., Any]

#: What our ops do not have, and why that is no error.
REASONS = {
    "weight": "our op has no weights, or has them always",
    "dtype": "our op has the dtype of its input",
    "training": "our op is for the other mode, or keeps no running averages",
    "dropout": "our op draws no random numbers",
    "mask": "our op has no mask",
    "shape": "our op has other axes",
    "complex": "our op is for real numbers",
    "option": "our op lacks this option",
    "float32": "torch's own gradient rounds a constant to float32",
    "threshold": "torch's own op is linear from a threshold on",
    "empty": "torch refuses or defines what is empty otherwise",
    "zero": "torch has another subgradient at 0, or a derivative where there is none",
    "rounding": "the second gradient is nothing but rounding",
    "chunked": "torch's own op in chunks gives 0 for the second gradient",
}


class NotApplicable(Exception):
    """A sample asks for what our op does not have; the argument is one of :data:`REASONS`."""


def unless(condition: bool, reason: str) -> None:
    if condition:
        raise NotApplicable(reason)


def either(op: Adapter, other: Adapter) -> Adapter:
    """The first where it applies, which is of the catalogue, and else the other, which is written for the sample."""

    def called(*tensors: Any, **given: Any) -> Any:
        try:
            return op(*tensors, **given)
        except NotApplicable:
            return other(*tensors, **given)

    return called


def same_dtype(x: Tensor, dtype: Any) -> None:
    unless(dtype not in (None, x.dtype), "dtype")


def unary(op: Adapter) -> Adapter:
    return lambda x, inplace=False: op(x)


def broadcast(op: Adapter) -> Adapter:
    """An op of tensors of one shape, called with tensors and numbers that are broadcast to one."""

    def called(*tensors: Any, **given: Any) -> Tensor:
        like = next(x for x in tensors if isinstance(x, Tensor))
        found = [x if isinstance(x, Tensor) else torch.tensor(x, dtype=like.dtype) for x in tensors]
        unless(any(x.dtype != like.dtype for x in found), "dtype")
        return op(*torch.broadcast_tensors(*found), **given)

    return called


def over(op: Adapter, *tensors: Tensor, dim: Any = None, keepdim: bool = False, none_is_all: bool = True, **given: Any) -> Any:
    """An op over the last axis, called over some axes: None for all, and so are no axes where ``none_is_all``."""
    x = tensors[0]
    axes = max(x.ndim, 1)
    dims = [d % axes for d in ((dim,) if isinstance(dim, int) else dim or ())]
    dims = dims if dims or (dim is not None and not none_is_all) else list(range(x.ndim))
    rest = [d for d in range(x.ndim) if d not in dims]
    rows = [flat(t.expand(x.shape), rest, dims) for t in tensors]
    found = op(*rows, **given)
    shape = [1 if d in dims else n for d, n in enumerate(x.shape)]
    single = not isinstance(found, tuple)
    kept = [f.reshape(shape) if keepdim else f for f in ((found,) if single else found)]
    return kept[0] if single else tuple(kept)


def flat(x: Tensor, rest: Sequence[int], dims: Sequence[int]) -> Tensor:
    """The axes ``dims`` as one, behind the others."""
    if x.ndim == 0:
        return x.reshape(1)
    return x.permute(*rest, *dims).reshape([*(x.shape[d] for d in rest), torch.Size([x.shape[d] for d in dims]).numel()])
