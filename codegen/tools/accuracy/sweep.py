"""The inputs of an elementwise op: a grid over the whole range of the format, dense around the roots of every quantity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from codegen.program import Kernel
from codegen.tools.accuracy.exact import Quantity, exact_pieces
from codegen.tools.accuracy.grid import QUICK, Density, around, bisect, grid
from codegen.tools.accuracy.ulp import Format
from derive import syntax as st

__all__ = ["Sweep", "elementwise", "sweep"]


@dataclass(frozen=True)
class Sweep:
    """Inputs by name, their exact values, and for an op of one input the roots of each quantity, other than 0."""

    form: Format
    inputs: Mapping[str, np.ndarray]
    roots: Mapping[str, tuple[float, ...]]
    exact: Mapping[str, Quantity]


def elementwise(op: st.Op) -> bool:
    """Whether every axis of every tensor is the star axis, and nothing is reduced over it."""
    named = [*(t.axes for t in (*op.inputs, *op.outputs)), *(e.index for e in op.equations)]
    reduced = any(isinstance(node, st.Reduce) for e in op.equations for node in st.walk(e.rhs))
    return bool(op.stars) and all(len(axes) == 1 and axes[0] in op.stars for axes in named) and not reduced


def sweep(kernel: Kernel, constants: Mapping[str, float], form: Format, density: Density) -> Sweep:
    """The inputs of an elementwise op and the exact values there, for upstream gradients of 1."""
    rng = np.random.default_rng(0)
    op = kernel.op

    def exact(inputs: Mapping[str, np.ndarray]) -> dict[str, Quantity]:
        ones = {st.adjoint_name(t.name): np.ones(next(iter(inputs.values())).shape, form.name) for t in op.outputs}
        return exact_pieces(kernel, {**inputs, **ones}, constants, form)

    grids = {t.name: grid(form, density, rng, *_bounds(op, t.name)) for t in op.inputs}
    if len(grids) > 1:
        inputs = _crossed(grids, rng)
        return Sweep(form, inputs, {}, exact(inputs))
    ((name, points),) = grids.items()
    coarse = grid(form, QUICK, rng, *_bounds(op, name))
    roots = _roots(coarse, lambda x: exact({name: x}), form)
    near = [around(r, form) for r in sorted({r for found in roots.values() for r in found})]
    x = np.sort(np.concatenate([points, *near]), kind="stable")
    return Sweep(form, {name: x}, roots, exact({name: x}))


def _bounds(op: st.Op, name: str) -> tuple[float, float]:
    """The open interval to which the op's assumptions restrict an input; an assumption can only be on its sign."""
    sign = next((a.rel[0] for a in op.assumptions if isinstance(a.left, st.Read) and a.left.name == name), "")
    return (0.0 if sign == ">" else -np.inf), (0.0 if sign == "<" else np.inf)


def _crossed(grids: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Every input over its own grid in turn, while the other inputs are drawn from their grids."""
    return {
        name: np.concatenate([points if name == other else rng.choice(points, len(g)) for other, g in grids.items()])
        for name, points in grids.items()
    }


def _roots(
    points: np.ndarray, exact: Callable[[np.ndarray], Mapping[str, Quantity]], form: Format
) -> dict[str, tuple[float, ...]]:
    """For each quantity, the numbers next to which the quantity changes its sign."""

    def crossings(name: str, quantity: Quantity) -> tuple[float, ...]:
        return tuple(_crossings(points, quantity, lambda x: float(_sign(exact(x)[name])[0]), form))

    return {name: crossings(name, quantity) for name, quantity in exact(points).items()}


def _crossings(points: np.ndarray, quantity: Quantity, sign: Callable[[np.ndarray], float], form: Format) -> list[float]:
    signs = _sign(quantity)
    points, signs = points[signs != 0], signs[signs != 0]  # a root may be one of the points
    return [bisect(sign, float(points[k]), float(points[k + 1]), form) for k in np.flatnonzero(signs[:-1] != signs[1:])]


def _sign(quantity: Quantity) -> np.ndarray:
    """The signs of exact numbers, also of numbers too small for the format; 0 where a number is not known."""
    exact = quantity.exact
    return np.where(exact.known, np.where(exact.whole != 0, np.sign(exact.whole), np.sign(exact.part)), 0.0)
