"""The supremum of an elementwise derivative: 1 for ``1 - h**2`` where ``h = tanh(z)``, none for ``exp(z)``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codegen.evaluate.arithmetic import Numpy
from codegen.evaluate.trees import Evaluation
from derive import syntax as st

__all__ = ["greatest"]

#: The grid's range and its number of points. A function that still grows in the outer half counts as unbounded.
REACH, STEPS = 40.0, 8001
#: Larger values count as a pole near a point of the grid.
POLE = 1e3


def greatest(tree: st.Tree, name: str, definition: Callable[[st.Read], st.Tree | None]) -> float | None:
    """The supremum of ``|tree|`` over all values of ``name``, found on a grid.

    None if ``tree`` is unbounded, or depends on anything else. ``definition`` gives the expression that a read stands for, and
    None where the name's equation is not elementwise.
    """
    alone = _unfolded(tree, name, definition)
    entries = {n for n in st.walk(alone) if isinstance(n, st.Read)}
    if set(st.reads(alone)) != {name} or len(entries) > 1 or any(isinstance(n, st.Reduce | st.Size) for n in st.walk(alone)):
        return None
    argument = st.Tensor(name, ("grid",))
    op = st.Op("bound", (argument,), (), (), ())
    grid = np.linspace(-REACH, REACH, STEPS)
    with np.errstate(all="ignore"):
        value, _ = Evaluation(op, {name: grid}, {}, Numpy(np.float64)).value(_on_grid(alone))
    size = np.nan_to_num(np.broadcast_to(np.abs(value), grid.shape), nan=0.0, posinf=np.inf)
    inner = float(size[np.abs(grid) <= REACH / 2].max())
    return inner if 0 < inner <= POLE and float(size.max()) <= inner * (1 + 1e-9) else None


def _unfolded(tree: st.Tree, name: str, definition: Callable[[st.Read], st.Tree | None]) -> st.Tree:
    if isinstance(tree, st.Read):
        inner = None if tree.name == name else definition(tree)
        return tree if inner is None else _unfolded(inner, name, definition)
    return st.rebuild(tree, lambda child: _unfolded(child, name, definition))


def _on_grid(tree: st.Tree) -> st.Tree:
    return st.Read(tree.name, ("grid",)) if isinstance(tree, st.Read) else st.rebuild(tree, _on_grid)
