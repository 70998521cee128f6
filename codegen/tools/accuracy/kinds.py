"""Inputs of ops with reductions: kinds that are hard for a sum, a mean, an exponential or a difference from one.

A kind determines the op's first floating-point input. The other inputs and the upstream gradients are normal random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from codegen.labels import drawn_labels
from codegen.lengths import roomy, whole_numbers
from codegen.program import Kernel
from derive import syntax as st
from derive.language.axes import equal_axes

__all__ = ["Kind", "Sample", "kinds", "sample"]

Fill = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A name, the values of the first input, and the axis that is long ("" if none is) with its length."""

    name: str
    fill: Fill
    long: str = ""
    length: int = 0


#: The greatest length of a reduced axis where no axis is long, and the greatest product of such lengths.
LONGEST, BUDGET = 12, 2000
#: The most iterations over all kinds with a long axis. With mpmath's numbers an iteration takes a few microseconds.
VOLUME = 380_000


@dataclass(frozen=True)
class Sample:
    """Inputs and upstream gradients by name, each ``*s`` a single axis."""

    inputs: dict[str, np.ndarray]
    upstream: dict[str, np.ndarray]


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(size=shape)


def _far_above(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Rows whose first entry is larger than the others by 20, so that their softmax is within 1e-7 of one-hot."""
    values = rng.normal(size=shape)
    values[..., :1] += 20
    return values


FILLS: dict[str, Fill] = {
    "normal": _normal,
    "offset 1e4": lambda rng, shape: 1e4 + rng.normal(size=shape),
    "scale 1e-4": lambda rng, shape: 1e-4 * rng.normal(size=shape),
    "up to 1e4": lambda rng, shape: rng.uniform(-1e4, 1e4, shape),
    "whole, up to 1e4": lambda rng, shape: rng.integers(-(10**4), 10**4, shape, endpoint=True).astype(float),
    "one 20 above": _far_above,
}


def kinds(kernel: Kernel, long: int) -> list[Kind]:
    """A kind for each fill, and one for each reduced axis, which is ``long`` or as long as can be afforded."""
    axes = reduced_axes(kernel)
    longest = {a: _affordable(kernel, a, long, VOLUME // len(axes)) for a in axes}
    return [Kind(n, f) for n, f in FILLS.items()] + [Kind(f"{a} = {n}", _normal, a, n) for a, n in longest.items()]


def _affordable(kernel: Kernel, axis: str, length: int, volume: int) -> int:
    """The length, halved until the loops of both programs together have at most ``volume`` iterations."""
    while length > 2 and _volume(kernel, _lengths(kernel, axis, length)) > volume:
        length //= 2
    return length


def _volume(kernel: Kernel, length: Mapping[str, int]) -> int:
    """The number of iterations of all statements, their reductions included."""
    same = equal_axes(kernel.op)
    loops: list[tuple[str, ...]] = []
    for s in (*kernel.forward.statements, *kernel.backward.statements):
        inner = [node for node in st.walk(s.tree) if isinstance(node, st.Reduce)]
        loops += [s.index, *((*st.free_indices(node), *node.index) for node in inner)]
    return sum(math.prod(length[same.get(a, a)] for a in map(st.axis_of, loop)) for loop in loops)


def reduced_axes(kernel: Kernel) -> list[str]:
    """The axes that the forward reduces over, then those of the backward; of axes of equal length only the first.

    Lengths that follow from others, or from constants, cannot be chosen: these axes are left out.
    """
    same = equal_axes(kernel.op)
    trees = [s.tree for p in (kernel.forward, kernel.backward) for s in p.statements]
    nodes = [node for tree in trees for node in st.walk(tree) if isinstance(node, st.Reduce)]
    given = {same.get(a, a) for a, _ in (*kernel.op.packing.lengths, *kernel.op.declared.lengths)}
    found = dict.fromkeys(same.get(a, a) for node in nodes for a in map(st.axis_of, node.index))
    return [a for a in found if a not in given]


def sample(kernel: Kernel, kind: Kind, dtype: str, seed: int) -> Sample:
    """Random inputs of a kind in a dtype, which respect the op's assumptions; equal seeds give equal inputs."""
    op, rng = kernel.op, np.random.default_rng(seed)
    length, same, whole = _lengths(kernel, kind.long, kind.length), equal_axes(op), whole_numbers(op)

    def shape(tensor: st.Tensor) -> tuple[int, ...]:
        return tuple(length[same.get(a, a)] for a in tensor.axes)

    first = op.differentiable[0].name
    inputs: dict[str, np.ndarray] = {}
    for t in op.inputs:
        if t.labels is not None:
            inputs[t.name] = drawn_labels(op, t, {a: length[r] for a, r in same.items() if r in length}, whole, rng)
        else:
            values = (kind.fill if t.name == first and shape(t) else _normal)(rng, shape(t))
            inputs[t.name] = np.asarray(_allowed(op, t.name, values), dtype=dtype)
    upstream = {st.adjoint_name(t.name): np.asarray(_normal(rng, shape(t)), dtype=dtype) for t in op.outputs}
    return Sample(inputs, upstream)


def _lengths(kernel: Kernel, long: str, length: int) -> dict[str, int]:
    """Lengths of all axes: short, so that exact values of contractions can be afforded, and shorter if one axis is long."""
    op = kernel.op
    axes = {a for t in (*op.inputs, *op.outputs) for a in (*t.axes, *([t.indexed] if t.indexed else []))}
    if long:
        found = {a: 2 for a in axes} | {a: 1 for a in axes & op.stars} | {long: length}
    else:
        reduced = set(reduced_axes(kernel))
        short = max(3, min(LONGEST, int(BUDGET ** (1 / max(len(reduced), 1)))))
        found = {a: short if a in reduced else 4 for a in axes} | {a: 3 for a in axes & op.stars}
    return roomy(op, found, whole_numbers(op), {long})


def _allowed(op: st.Op, name: str, values: np.ndarray) -> np.ndarray:
    """The values with the sign that the op assumes of them."""
    sign = next((a.rel[0] for a in op.assumptions if isinstance(a.left, st.Read) and a.left.name == name), "")
    return np.abs(values) if sign == ">" else -np.abs(values) if sign == "<" else values
