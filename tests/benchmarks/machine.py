"""What the figures depend on: processor, caches, versions, threads, and who else was there."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: The product of two square matrices, and what it is timed in: GFLOP/s of the best of several.
GEMM = """
import time, numpy as np
a = np.ones((512, 512), np.float32)
b = a.copy()
best = 1e9
for _ in range(40):
    start = time.perf_counter()
    a @ b
    best = min(best, time.perf_counter() - start)
print(2 * 512**3 / best / 1e9)
"""


@dataclass(frozen=True)
class Machine:
    """Each fact with its name, in order."""

    facts: tuple[tuple[str, str], ...]


def describe(cpus: Sequence[int], coretype: str | None, allocation: bool) -> Machine:
    """Describe this machine from inside a process that measures; ``coretype`` is OPENBLAS_CORETYPE as the user has it."""
    import numpy as np
    import torch

    compiler = _compiler()
    facts = [
        ("processor", f"{_processor()}, {os.cpu_count()} cores seen, pinned to {', '.join(map(str, cpus))}"),
        ("caches", _caches()),
        ("vectors", torch.backends.cpu.get_cpu_capability()),
        ("threads", f"{len(cpus)}, one a core; torch {torch.get_num_threads()}"),
        ("system", f"{platform.system()} {platform.release()}, {'-'.join(platform.libc_ver())}, huge pages {_huge_pages()}"),
        ("compiler", compiler or "none was found: no native kernels and no floor"),
        ("versions", f"Python {platform.python_version()}, NumPy {np.__version__}, torch {torch.__version__}, JAX {_jax()}"),
        ("OpenBLAS", f"{_corename()}; OPENBLAS_CORETYPE {_coretype(coretype)}"),
        ("allocation", "told by mallopt, for all sides" if allocation else "as the C library has it: regimes not kept apart"),
    ]
    return Machine(tuple(facts))


def loads() -> str:
    """How many processes want to run, over 1, 5 and 15 minutes."""
    return " ".join(f"{v:.2f}" for v in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in found.items()}
    family = ", ".join(f"{n} {facts[k]}" for n, k in (("family", "cpu family"), ("model", "model")) if k in facts)
    return f"{facts.get('model name', platform.machine())}{f' ({family})' if family else ''}"


def _caches() -> str:
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    found = []
    for index in sorted(folder.glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return ", ".join(found) or "unknown"


def _huge_pages() -> str:
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return "unknown"
    return text.partition("[")[2].partition("]")[0]


def _compiler() -> str:
    from generated.native import _build

    found = _build.compiler()
    return f"{found.version.splitlines()[0]}, {' '.join(f for f in found.flags if f != '-shared')}" if found else ""


def _jax() -> str:
    if importlib.util.find_spec("jax") is None:
        return "not installed, so it is left out"
    return str(importlib.import_module("jax").__version__)


def _corename() -> str:
    """The processor that NumPy's OpenBLAS takes this one for."""
    import numpy as np

    path = sys.modules["numpy._core._multiarray_umath"].__file__
    for name in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
        try:
            function = getattr(ctypes.CDLL(path), name)
        except (AttributeError, OSError):
            continue
        function.restype = ctypes.c_char_p
        return f"takes the processor for {function().decode()}"
    return f"not what NumPy {np.__version__} was built with"


def _coretype(named: str | None) -> str:
    if named is None:
        return "is not set"
    with_it, without = (_gemm({"OPENBLAS_CORETYPE": named}), _gemm({}))
    return f"was {named}, unset here: a product of 512x512 matrices makes {with_it} GFLOP/s with it, {without} without"


def _gemm(more: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", GEMM], env={**os.environ, **more}, capture_output=True, text=True, check=False)
    return f"{float(done.stdout):.0f}" if done.returncode == 0 else "no"
