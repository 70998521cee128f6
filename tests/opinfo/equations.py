"""Ops that tests write as equations, for ops of torch that the catalogue does not have by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judged import kernel, module

__all__ = ["written"]


def written(*lines: str) -> Callable[..., Any]:
    """The differentiable torch op of these equations; the first line is the signature. Derived at the first call."""
    text = "\n".join((lines[0], "", *lines[1:]))

    def called(*tensors: Any, **constants: Any) -> Any:
        return getattr(module(text, "torch"), kernel(text).op.name)(*tensors, **constants)

    return called
