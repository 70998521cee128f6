"""The supremum of an elementwise derivative: 1 for ``1 - h**2`` where ``h = tanh(z)``, none for ``exp(z)``.

And whether a function has such a supremum and saturates: whether its derivative becomes small beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codegen.evaluate.arithmetic import Numpy
from codegen.evaluate.trees import Evaluation
from derive import syntax as st

__all__ = ["REACH", "SMALL", "STEPS", "can_saturate", "greatest", "supremum"]

#: The grid's range and its number of points. A function that still grows in the outer half counts as unbounded.
REACH, STEPS = 40.0, 8001
#: Larger values count as a pole near a point of the grid.
POLE = 1e3
#: A slope below this share of the greatest is a saturated one.
SMALL = 1e-2


def greatest(tree: st.Tree, name: str, definition: Callable[[st.Read], st.Tree | None]) -> float | None:
    """The supremum of ``|tree|`` over all values of ``name``, found on a grid.

    None if ``tree`` is unbounded, or depends on anything else. ``definition`` gives the expression that a read stands for, and
    None where the name's equation is not elementwise.
    """
    alone = _unfolded(tree, name, definition)
    entries = {n for n in st.walk(alone) if isinstance(n, st.Read)}
    others = any(isinstance(n, st.Reduce | st.Size | st.Position) for n in st.walk(alone))
    if set(st.reads(alone)) != {name} or len(entries) > 1 or others:
        return None
    return supremum(*_on_grid(alone, name, STEPS))


def can_saturate(tree: st.Tree, name: str) -> bool:
    """Whether the slope of a function of ``name`` is bounded, and is somewhere small beside its supremum."""
    found = []
    for steps in (STEPS, 4 * STEPS):
        grid, values = _on_grid(tree, name, steps)
        with np.errstate(all="ignore"):
            slope = np.gradient(values, grid)
        found.append(supremum(grid, slope))
    coarse, fine = found
    if coarse is None or fine is None or abs(coarse - fine) > 0.05 * coarse:  # a slope that grows with the grid is a pole's
        return False
    return float(np.nanmin(np.abs(slope))) < SMALL * coarse


def supremum(grid: np.ndarray, values: np.ndarray) -> float | None:
    """The largest of the absolute values at the points of the grid; None where they grow without bound."""
    size = np.nan_to_num(np.abs(values), nan=0.0, posinf=np.inf)
    inner = float(size[np.abs(grid) <= REACH / 2].max())
    return inner if 0 < inner <= POLE and float(size.max()) <= inner * (1 + 1e-6) else None


def _on_grid(tree: st.Tree, name: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Arguments, and the values of an expression that reads ``name`` alone."""
    op = st.Op("bound", (st.Tensor(name, ("grid",)),), (), (), ())
    grid = np.linspace(-REACH, REACH, steps)
    with np.errstate(all="ignore"):
        value, _ = Evaluation(op, {name: grid}, {}, Numpy(np.float64)).value(_at_each(tree))
    return grid, np.broadcast_to(value, grid.shape)


def _unfolded(tree: st.Tree, name: str, definition: Callable[[st.Read], st.Tree | None]) -> st.Tree:
    if isinstance(tree, st.Read):
        inner = None if tree.name == name else definition(tree)
        return tree if inner is None else _unfolded(inner, name, definition)
    return st.rebuild(tree, lambda child: _unfolded(child, name, definition))


def _at_each(tree: st.Tree) -> st.Tree:
    return st.Read(tree.name, ("grid",)) if isinstance(tree, st.Read) else st.rebuild(tree, _at_each)
