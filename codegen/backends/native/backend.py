"""The C backend: kernels are compiled at their first call. Where there is no compiler, the NumPy kernels are used."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from codegen.backends.backend import Backend, Files, Shown
from codegen.backends.native.describe import describe
from codegen.backends.native.differentiable import torch_files, torch_package
from codegen.backends.native.files import exports, op_files, runtime_files
from codegen.backends.native.package import load_native, load_natives
from codegen.program import Kernel
from codegen.render import render

__all__ = ["BACKEND"]


class NativeBackend(Backend):
    name, title, position = "native", "native C", 50
    compiled = scheduled = True
    reserved = frozenset({"np", "numpy", "out", "self"})
    modules = frozenset("immintrin in_torch omp stdatomic stdint stdlib string tgmath".split())
    needs = ("numpy",)

    def files(self, kernel: Kernel, command: str, beside: Collection[str] = ()) -> Files:
        own = op_files(kernel, command)
        return own | torch_files(kernel, command) if "torch" in beside else own

    def exports(self, op: str) -> tuple[str, ...]:
        return exports(op)

    def packages(self, op: str, beside: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
        return super().packages(op) | ({"native/torch": (op,)} if "torch" in beside else {})

    def runtime(self) -> Files:
        return runtime_files()

    def package(self, ops: Iterable[str], command: str, beside: Collection[str] = ()) -> Files:
        ops = list(ops)
        listed = [(op, self.exports(op)) for op in ops]
        own = {"native/__init__.py": render("backends/package.py.j2", backend=self.name, command=command, ops=listed)}
        return own | torch_package(ops, command) if "torch" in beside else own

    def shown(self, op: str) -> Shown:
        return Shown(f"native/{op}.c", "c", f"NAME({op}_forward)(")

    def refuses(self, kernel: Kernel) -> str:
        found = next((e for e in kernel.op.equations if e.labels), None)
        return f"'{found.name}' holds positions, and C has no arrays of these but its arguments" if found else ""

    def schedule(self, kernel: Kernel) -> str:
        return describe(kernel)

    def missing(self) -> str:
        return "" if _compiles(os.environ.get("CC", ""), os.environ.get("PATH", "")) else "no C compiler"

    def load(self, name: str, files: Mapping[str, str]) -> ModuleType:
        return load_native(name, files)

    def load_all(self, names: Iterable[str], files: Mapping[str, str]) -> dict[str, ModuleType]:
        return load_natives(names, files)

    def to(self, array: Any) -> Any:
        return np.asarray(array)

    def back(self, result: Any) -> Any:
        return np.asarray(result)


@cache
def _compiles(named: str, path: str) -> bool:
    """Whether the runtime finds a working C compiler, given ``CC`` and ``PATH``; the runtime tries it on a small file."""
    return load_native("_build", runtime_files()).compiler() is not None


BACKEND = NativeBackend()
