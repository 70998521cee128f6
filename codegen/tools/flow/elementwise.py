"""A layer that no op of the catalogue is, but that is a function of one number: its slope, beside what it can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codegen.tools.flow.bounds import REACH, SMALL, STEPS, supremum
from codegen.tools.flow.inside import runtime
from codegen.tools.flow.ranks import axes_of
from codegen.tools.flow.recording import Call

__all__ = ["measured"]


@dataclass(frozen=True)
class _Slope:
    """The derivative at each entry of an argument, and its supremum over all arguments."""

    values: np.ndarray
    greatest: float


def measured(call: Call) -> Any:
    """The line of the chain rule through such a layer, measured; None for another layer, and for one that cannot saturate."""
    if call.gradient is None or call.value is None or not call.arguments or call.arguments[0].value.shape != call.value.shape:
        return None
    argument, lines = call.arguments[0], runtime().lines
    found = _slope(call.module, argument.value)
    if found is None or not found.values.size:
        return None
    whole = lines.Axes(found.values, axes_of(found.values.ndim))
    value = lines.Axes(call.value.double().cpu().numpy(), whole.axes)
    size = runtime().Numbers.of
    upstream = size(call.gradient.double().cpu().numpy()).size
    passed = 0.0 if argument.gradient is None else size(argument.gradient.double().cpu().numpy()).size
    ratio = passed / upstream if upstream else float("nan")
    share = float(lines.is_small(found.values, found.greatest).mean())
    factor = lines.factor("dy/dx", whole, [])
    line = runtime().Line("dx", "x", "chain", "dy*dy/dx", "dy", "y", ratio, ratio, True, False, False, share, (factor,))
    typical = float(np.median(np.abs(argument.value.double().cpu().numpy())))
    return lines.Measured(line, (whole,), (), whole, "dy/dx", found.greatest, True, value, typical, (0.0, 0.0))


def _slope(module: nn.Module, argument: Tensor) -> _Slope | None:
    """The slope of a function of one number; None for anything else, and where the slope is nowhere small."""
    if not argument.is_floating_point() or any(True for _ in (*module.parameters(), *module.buffers())):
        return None
    grid = torch.linspace(-REACH, REACH, STEPS, dtype=torch.float64, device=argument.device)
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        try:
            on_grid = _at(module, grid)
            if not torch.equal(_at(module, grid[::3]), on_grid[::3]):  # an entry depends on others, or on chance
                return None
            values = _at(module, argument.double())
        except Exception:  # whatever a module raises that takes no such tensor: it is no function of one number
            return None
    greatest = supremum(grid.cpu().numpy(), on_grid.cpu().numpy())
    if greatest is None or float(on_grid.abs().min()) > SMALL / 2 * greatest:
        return None
    return _Slope(values.cpu().numpy(), greatest)


def _at(module: nn.Module, argument: Tensor) -> Tensor:
    x = argument.detach().clone().requires_grad_()
    y = module(x.clone())  # a clone, as the function may write over its argument
    return torch.autograd.grad(y.sum(), x)[0] if y.requires_grad and y.shape == x.shape else torch.full_like(x, torch.nan)
