"""Why code is wrong: the one small edit of it that makes it right on every sample, and the line of that edit."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from codegen.backends.arrays.libraries import numbers
from codegen.backends.arrays.library import Library
from codegen.tools.auditor.edits import ACCUMULATED, Edit, Known, edits

__all__ = ["accumulated", "lengths", "repaired", "scope_of_edits"]

#: The most edits that are tried, and the most seconds.
TRIES, SECONDS = 6000, 2.0

#: Whether edited statements give the right result on sample number ``k`` of the trials; False where they raise.
Right = Callable[[tuple[ast.stmt, ...], int], bool]


def repaired(statements: Sequence[ast.stmt], at: Collection[int], known: Known, right: Right, samples: int) -> Edit | None:
    """The first edit, of a statement ``at`` these places, with which the result is right on all samples; None if none is."""
    until = time.monotonic() + SECONDS
    for edit in islice(edits(statements, at, known), TRIES):
        if all(right(edit.statements, k) for k in range(samples)):
            return edit
        if time.monotonic() > until:
            break
    return None


def lengths(axes: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The lengths that a factor may be, as they are shown and as code: of each axis, one less, and Bessel's quotient."""
    out = []
    for a in axes:
        size = f"_size_{a}"
        out += [
            (f"size({a})", size),
            (f"size({a}) - 1", f"({size} - 1)"),
            (f"size({a})/(size({a}) - 1)", f"({size}/({size} - 1))"),
        ]
    return (*out, ("2", "2"))


def scope_of_edits(sizes: Mapping[str, int], library: Library) -> dict[str, Any]:
    """What edited code refers to, beside the names of the code itself."""
    return {f"_size_{a}": n for a, n in sizes.items()} | {ACCUMULATED: accumulated(library)}


def accumulated(library: Library) -> Callable[[Any, Any, Any], Any]:
    """A function of arrays of the library: the array with values added at indices, which may repeat."""

    def add(array: Any, index: Any, value: Any) -> Any:
        out = np.array(numbers(array))
        parts: Any = tuple(p if isinstance(p, slice) else numbers(p) for p in (index if isinstance(index, tuple) else (index,)))
        np.add.at(out, parts, numbers(value))
        return library.array(out, out.shape)

    return add
