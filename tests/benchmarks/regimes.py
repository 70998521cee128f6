"""The two regimes of allocation, and threads that stay where they are.

What a call returns lies in memory that is either *kept*, mapped already and used again, or *fresh*, mapped by page faults while
the call writes to it. For an output of 134 MB that is the larger part of the time, so a comparison across regimes says nothing.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REGIMES = ("kept", "fresh")

# Numbers of mallopt's parameters in glibc.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, MMAP_MAX = -1, -2, -3, -4


def environment(regime: str, cpus: Sequence[int], given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that measures: read by the libraries while they load, so it cannot be set later."""
    threads = str(len(cpus))
    changed = {
        "OMP_NUM_THREADS": threads,
        "OMP_PROC_BIND": "close",
        "OMP_PLACES": ",".join(f"{{{cpu}}}" for cpu in cpus),
        "OMP_DYNAMIC": "false",
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        # Idle threads of OpenBLAS would spin for 2**26 cycles, into the sample of another side.
        "OPENBLAS_THREAD_TIMEOUT": "20",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "XLA_FLAGS": given.get("XLA_FLAGS", ""),
    }
    if regime == "kept":
        # NumPy asks for huge pages where an array is large; with this torch does, and kept pages are alike on both sides.
        changed["THP_MEM_ALLOC_ENABLE"] = "1"
    kept = {name: value for name, value in given.items() if name not in ("OPENBLAS_CORETYPE", "THP_MEM_ALLOC_ENABLE")}
    return {**kept, **changed}


def set_allocation(regime: str) -> bool:
    """Make malloc keep or give back large blocks, for all sides alike; False where the C library cannot be told.

    By itself glibc maps a large block anew until one of that size has been freed, and then keeps those up to 32 MiB.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    if regime == "kept":
        return bool(mallopt(MMAP_MAX, 0) and mallopt(TRIM_THRESHOLD, -1) and mallopt(TOP_PAD, 64 << 20))
    return bool(mallopt(MMAP_THRESHOLD, 128 << 10) and mallopt(TRIM_THRESHOLD, 128 << 10))


def usable_cpus(count: int) -> list[int]:
    """That many of the processors that this process may run on, or all of them if there are fewer."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    return cpus[:count]


def pin_to(cpus: Sequence[int]) -> None:
    """Let this thread, and those that it starts, run on these processors."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def pin_workers(cpus: Sequence[int]) -> None:
    """Put each thread but the first, which are those of OpenBLAS after NumPy was imported, on a processor of its own."""
    tasks = Path("/proc/self/task")
    if not sys.platform.startswith("linux") or not tasks.is_dir() or len(cpus) < 2:
        return
    others = sorted(int(task.name) for task in tasks.iterdir() if int(task.name) != os.getpid())
    for k, thread in enumerate(others):
        os.sched_setaffinity(thread, {cpus[1 + k % (len(cpus) - 1)]})
