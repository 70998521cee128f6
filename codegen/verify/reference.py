"""The author's equations evaluated directly in torch, so that autograd can differentiate them.

This is the reference for ops for which torch has no function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch

from codegen.evaluate.arithmetic import nearest
from codegen.evaluate.trees import Evaluation
from derive import syntax as st

__all__ = ["Torch", "evaluate", "evaluation"]


def _prod(value: torch.Tensor, axis: Sequence[int]) -> torch.Tensor:
    """The product over several axes, for torch takes one at a time."""
    for k in sorted(axis, reverse=True):
        value = torch.prod(value, k)
    return value


class Torch:
    """Tensors of one floating-point dtype."""

    functions: dict[str, Callable[..., Any]] = {
        "exp": torch.exp,
        "log": torch.log,
        "tanh": torch.tanh,
        "sinh": torch.sinh,
        "cosh": torch.cosh,
        "sin": torch.sin,
        "cos": torch.cos,
        "atan": torch.atan,
        "erf": torch.erf,
        "erfcx": torch.special.erfcx,
        "expm1": torch.expm1,
        "log1p": torch.log1p,
        "floor": torch.floor,
        "ceil": torch.ceil,
        "round": torch.round,
        "stop": torch.detach,
        "finite": lambda x: torch.nan_to_num(x, nan=math.nan, posinf=0, neginf=0),
        "abs": torch.abs,
        "sign": torch.sign,
        "power": torch.pow,
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "where": torch.where,
    }
    relations: dict[str, Callable[..., Any]] = {
        "<": torch.lt,
        "<=": torch.le,
        ">": torch.gt,
        ">=": torch.ge,
        "==": torch.eq,
        "!=": torch.ne,
    }
    #: ``amax`` divides the gradient evenly among ties, as the engine does.
    reductions: dict[str, Callable[..., Any]] = {
        "sum": torch.sum,
        "mean": torch.mean,
        "max": torch.amax,
        "min": torch.amin,
        "prod": _prod,
        "argmax": lambda value, axis: torch.argmax(value, *axis),
        "argmin": lambda value, axis: torch.argmin(value, *axis),
    }

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype

    def number(self, value: Fraction | float) -> torch.Tensor:
        return torch.tensor(nearest(value), dtype=self.dtype)

    def pi(self) -> torch.Tensor:
        return self.number(math.pi)

    def truth(self, value: torch.Tensor) -> torch.Tensor:
        return value.to(self.dtype)

    def arange(self, length: int) -> torch.Tensor:
        return torch.arange(length)

    def permute(self, value: torch.Tensor, order: Sequence[int]) -> torch.Tensor:
        return value.permute(*order) if order else value

    def expand(self, value: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        return value.expand(*shape) if shape else value

    def divide(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.div(a, b)

    def power(self, base: torch.Tensor, exponent: Fraction) -> torch.Tensor:
        return base ** float(exponent)

    def array(self, value: torch.Tensor) -> torch.Tensor:
        return value


def evaluation(op: st.Op, inputs: Mapping[str, torch.Tensor], constants: Mapping[str, float]) -> Evaluation:
    """An evaluation of the op in the dtype of its first floating-point input."""
    dtype = next(v.dtype for v in inputs.values() if v.is_floating_point())
    return Evaluation(op, inputs, constants, Torch(dtype))


def evaluate(op: st.Op, inputs: Mapping[str, torch.Tensor], constants: Mapping[str, float]) -> dict[str, torch.Tensor]:
    """Every named value of the op; each ``*s`` is a single axis of the inputs. Differentiable in the inputs."""
    return evaluation(op, inputs, constants).run()
