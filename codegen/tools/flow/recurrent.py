"""What happens to the gradient inside one call of a recurrent layer of ``torch.nn``, from step to step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from codegen.tools.flow.recording import Call

__all__ = ["Steps", "through_time"]


@dataclass(frozen=True)
class Steps:
    """The size of the gradient of the input at the first step over that at the last that has one, and the steps between."""

    ratio: float
    count: int


def through_time(call: Call) -> Steps | None:
    """How the gradient changes through the steps of a recurrent layer; None for another layer, and where steps have no axis.

    In a packed sequence they have none, and in a layer of both directions neither end is the last.
    """
    layer = call.module
    if not isinstance(layer, nn.RNNBase) or layer.bidirectional or not call.arguments:
        return None
    gradient = call.arguments[0].gradient
    if gradient is None or gradient.dim() not in (2, 3) or not all(a.value.is_floating_point() for a in call.arguments):
        return None
    time = 1 if layer.batch_first and gradient.dim() == 3 else 0
    sizes = gradient.double().movedim(time, 0).flatten(1).norm(dim=1)
    reached = torch.nonzero(sizes)
    if not reached.numel() or not bool(sizes.isfinite().all()):
        return None
    last = int(reached[-1])
    return Steps(float(sizes[0] / sizes[last]), last) if last else None
