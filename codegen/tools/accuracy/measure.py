"""Implementations run beside the exact values: the errors as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from codegen.program import Kernel
from codegen.tools.accuracy.exact import Quantity, exact_values
from codegen.tools.accuracy.grid import Density
from codegen.tools.accuracy.implementations import Implementation
from codegen.tools.accuracy.kinds import Kind, sample
from codegen.tools.accuracy.sweep import Sweep, sweep
from codegen.tools.accuracy.ulp import Format, errors
from derive.syntax import adjoint_name

__all__ = ["Errors", "Range", "Sampled", "measure_kind", "measure_range"]


@dataclass(frozen=True)
class Errors:
    """The errors of one implementation in one output or gradient, an entry each.

    ``ulps`` are in ULP of the entry, ``of_terms`` in ULP of the sum of absolute terms of its formula. Both are nan where the
    exact entry could not be determined. ``flushed`` marks the entries that are 0 although the exact value is not 0, but is at
    most about the smallest normal number.
    """

    label: str
    name: str
    ulps: np.ndarray
    of_terms: np.ndarray
    flushed: np.ndarray


@dataclass(frozen=True)
class Range:
    """An elementwise op over the whole range of a format."""

    sweep: Sweep
    errors: tuple[Errors, ...]


@dataclass(frozen=True)
class Sampled:
    """An op at one kind of input."""

    form: Format
    kind: Kind
    errors: tuple[Errors, ...]


def measure_range(
    kernel: Kernel, measured: Sequence[Implementation], constants: Mapping[str, float], form: Format, density: Density
) -> Range:
    """The errors of an elementwise op."""
    swept = sweep(kernel, constants, form, density)
    ones = {adjoint_name(t.name): np.ones(next(iter(swept.inputs.values())).shape, form.name) for t in kernel.op.outputs}
    return Range(swept, _errors(measured, swept.inputs, ones, constants, swept.exact))


def measure_kind(
    kernel: Kernel, measured: Sequence[Implementation], constants: Mapping[str, float], form: Format, kind: Kind
) -> Sampled:
    """The errors of an op at one kind of input."""
    drawn = sample(kernel, kind, form.name, seed=0)
    exact = exact_values(kernel, {**drawn.inputs, **drawn.upstream}, constants, form)
    return Sampled(form, kind, _errors(measured, drawn.inputs, drawn.upstream, constants, exact))


def _errors(
    measured: Sequence[Implementation],
    inputs: Mapping[str, np.ndarray],
    upstream: Mapping[str, np.ndarray],
    constants: Mapping[str, float],
    exact: Mapping[str, Quantity],
) -> tuple[Errors, ...]:
    """The errors of every implementation in every quantity, in that order."""
    out = []
    for implementation in measured:
        tensors = {n: torch.tensor(v) for n, v in inputs.items()}  # copies: an implementation may write to its arguments
        above = [torch.tensor(v) for v in upstream.values()]
        with np.errstate(all="ignore"):
            outputs, gradients = implementation.run(tensors, above, dict(constants))
        for (name, q), got in zip(exact.items(), [*outputs, *gradients], strict=True):
            value = got.detach().numpy()
            least = 2 * np.finfo(q.exact.format.name).tiny
            flushed = (value == 0) & (q.exact.lead != 0) & (np.abs(q.exact.lead) <= least)
            out.append(Errors(implementation.label, name, errors(value, q.exact), errors(value, q.exact, q.terms), flushed))
    return tuple(out)
