"""What is timed by itself: compiling a kernel, calling one, deriving an op."""

from __future__ import annotations

import ctypes
import os
import tempfile
import time
import timeit
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import derive
from derive.ops import names
from generated.native import _build, batchnorm_backward

from .regimes import pin_to

#: Calls a compiled function again and again, without a detour through Python.
REPEAT = r"""
#include <stdint.h>
typedef int (*Packed)(const int64_t *, void *const *, const int64_t *const *, const double *);
int repeat(Packed f, const int64_t *size, void *const *data, const int64_t *const *strides, const double *constants,
           int64_t count) {
    int answer = 0;
    for (int64_t k = 0; k < count; ++k) answer |= f(size, data, strides, constants);
    return answer;
}
"""


@dataclass(frozen=True)
class Once:
    """Everything in seconds. ``sources`` are compiled for float32 by name, each with the number of its functions.

    ``catalogue`` is all sources in both precisions, as many at a time as there are processors. ``kernel`` is batchnorm's
    backward of 32x64 by itself, ``into`` a call of it with ``out=`` and ``call`` one without. None where there is no compiler.
    """

    sources: tuple[tuple[str, int, float], ...]
    catalogue: float | None
    kernel: float | None
    into: float | None
    call: float | None
    derivations: tuple[tuple[str, float], ...]


def time_once(ops: Sequence[str], cpus: Sequence[int], quick: bool) -> Once:
    """Compile these ops, call one and derive them; in a hurry neither the whole catalogue nor any derivation."""
    if _build.compiler() is None:
        return Once((), None, None, None, None, () if quick else tuple(_derivations(ops)))
    sources = tuple(_compiled(ops, quick))
    catalogue = None if quick else _catalogue(cpus)
    kernel, into, call = _call()
    return Once(sources, catalogue, kernel, into, call, () if quick else tuple(_derivations(ops)))


def _derivations(ops: Sequence[str]) -> Iterator[tuple[str, float]]:
    """The first derivation of each op, which no later one is slower than."""
    for op in ops:
        parsed = derive.load(op)
        start = time.perf_counter()
        derive.derive(parsed)
        yield op, time.perf_counter() - start


# ---- compiling -----------------------------------------------------------------------------------------------------------


def _compiled(ops: Sequence[str], quick: bool) -> Iterator[tuple[str, int, float]]:
    """Each source by itself; in a hurry the longest one."""
    for op in [max(ops, key=lambda op: (_build.FOLDER / f"{op}.c").stat().st_size)] if quick else ops:
        source = _build.FOLDER / f"{op}.c"
        functions = source.read_text(encoding="utf-8").count("\nint PACKED(")
        with _empty_cache():
            start = time.perf_counter()
            _build.compile_source(source, {"REAL_BITS": 32})
            yield op, functions, time.perf_counter() - start


def _catalogue(cpus: Sequence[int]) -> float:
    own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    pin_to(cpus)  # this thread has a processor of its own, and the compilers that it starts would have no other
    try:
        with _empty_cache():
            start = time.perf_counter()
            _build.compile_all(names())
            return time.perf_counter() - start
    finally:
        if own:
            pin_to(sorted(own))


@contextmanager
def _empty_cache() -> Iterator[None]:
    before = os.environ.get("BACKPROP_NINJA_CACHE")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        os.environ["BACKPROP_NINJA_CACHE"] = str(Path(folder))
        try:
            yield
        finally:
            del os.environ["BACKPROP_NINJA_CACHE"]
            if before is not None:
                os.environ["BACKPROP_NINJA_CACHE"] = before


# ---- calling -------------------------------------------------------------------------------------------------------------


def _call() -> tuple[float, float, float]:
    """batchnorm's backward of 32x64: by itself, with ``out=``, without; medians of turns, in seconds."""
    rng = np.random.default_rng(0)
    dy, xhat = (rng.standard_normal((32, 64), dtype=np.float32) for _ in range(2))
    rstd, gamma = (rng.standard_normal(64, dtype=np.float32) for _ in range(2))
    out = batchnorm_backward(dy, xhat, rstd, gamma)
    scope = {"f": batchnorm_backward, "dy": dy, "xhat": xhat, "rstd": rstd, "gamma": gamma, "out": out}
    calls = [timeit.Timer(f"f(dy, xhat, rstd, gamma{more})", globals=scope) for more in (", out=out", "")]

    function = _build.load("batchnorm", {"REAL_BITS": 32}).batchnorm_backward_f32_packed
    repeat = ctypes.CDLL(str(_build.compile_source(REPEAT))).repeat
    arrays = (dy, xhat, rstd, gamma, *out)
    data = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
    size = (ctypes.c_int64 * 3)(32, 64, 1)
    # The Python side passes the strides of contiguous arguments as NULL, too.
    passed = (function, size, data, (ctypes.c_void_p * len(arrays))(), (ctypes.c_double * 1)(0.0))

    def kernel(count: int) -> float:
        start = time.perf_counter()
        repeat(*passed, ctypes.c_int64(count))
        return time.perf_counter() - start

    count, turns = 2000, []
    for _ in range(40):
        turns.append([kernel(count), *(c.timeit(count) for c in calls)])
    alone, into, call = (sorted(column)[len(turns) // 2] / count for column in zip(*turns, strict=True))
    return alone, into, call
