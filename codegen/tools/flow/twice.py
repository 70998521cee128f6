"""Layers that take logits and are given what a softmax or a sigmoid has already made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["distribution", "normalized_before"]

#: By how much the shares of a distribution may miss 1, in half precision too.
_SHARES = 1e-2


def distribution(values: np.ndarray) -> int | None:
    """The axis along which all entries are shares of 1; None where there is none."""
    if not values.ndim or not values.size or not (values >= 0).all():
        return None
    axes = (k for k in reversed(range(values.ndim)) if values.shape[k] > 1)
    return next((k for k in axes if np.allclose(values.sum(axis=k), 1.0, rtol=0, atol=_SHARES)), None)


def normalized_before(taking: Any, giving: Any, values: np.ndarray) -> str:
    """What the layer ``giving``, whose result is ``values``, did to the logits of the layer ``taking``; "" if nothing."""
    kind = type(taking).__name__
    return _NORMALIZED[kind](giving, values) if kind in _NORMALIZED else ""


def _shares(giving: Any, values: np.ndarray) -> str:
    axis = distribution(values)
    return "" if axis is None or values.shape[axis] < 2 else "a softmax: its rows sum to 1"


def _chances(giving: Any, values: np.ndarray) -> str:
    return "a sigmoid: all of it lies between 0 and 1" if "sigmoid" in type(giving).__name__.lower() else ""


#: By the name of a layer of ``torch.nn`` that takes logits: what has been done to them.
_NORMALIZED: dict[str, Callable[[Any, np.ndarray], str]] = {
    "Softmax": _shares,
    "LogSoftmax": _shares,
    "CrossEntropyLoss": _shares,
    "BCEWithLogitsLoss": _chances,
    "MultiLabelSoftMarginLoss": _chances,
}
