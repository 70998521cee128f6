"""Native kernels of ops of one's own, compiled together; there is no NumPy kernel to serve where C is refused."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import derive
from codegen.backends.native.files import op_files, runtime_files
from codegen.backends.native.package import load_native
from codegen.plan import plan
from codegen.program import Kernel
from generated.native import _build

COMPILER = _build.compiler()
#: Compiled in a fraction of the time, and with every warning an error: these kernels are checked and not measured.
PLAIN = "-O0 -U__AVX__ -U__AVX512F__ -U__FMA__ -Wall -Wextra -Werror -Wno-unknown-pragmas"
NO_NUMPY = """
def __getattr__(name):
    def refused(*args, **kwargs):
        raise AssertionError("the NumPy kernel served")
    return refused
"""


@dataclass(frozen=True)
class Native:
    """The native functions of an op, called with everything by name."""

    kernel: Kernel
    module: ModuleType

    def forward(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The outputs and what is saved, by name."""
        outputs, saved = self.called("forward", values)
        names = [t.name for t in self.kernel.op.outputs]
        return dict(zip(names, [outputs] if len(names) == 1 else outputs, strict=True)), dict(
            zip([t.name for t in self.kernel.saved], saved, strict=True)
        )

    def backward(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The gradients by name; ``values`` holds inputs, saved tensors and upstream gradients."""
        return self.listed("backward", values)

    def forward_backward(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs and gradients by name."""
        return self.listed("forward_backward", values)

    def listed(self, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
        function = getattr(self.module, f"{self.kernel.op.name}_{kind}")
        found = self.called(kind, values)
        names = [t.name for t in function._results]
        return dict(zip(names, [found] if len(names) == 1 else found, strict=True))

    def called(self, kind: str, values: Mapping[str, Any]) -> Any:
        function = getattr(self.module, f"{self.kernel.op.name}_{kind}")
        return function(**{n: values[n] for n in function._names})


@contextmanager
def plainly() -> Iterator[None]:
    """What is loaded meanwhile is compiled so; a fixture of whole modules."""
    before = os.environ.get("BACKPROP_NINJA_CFLAGS")
    os.environ["BACKPROP_NINJA_CFLAGS"] = PLAIN
    yield
    if before is None:
        del os.environ["BACKPROP_NINJA_CFLAGS"]
    else:
        os.environ["BACKPROP_NINJA_CFLAGS"] = before


def kernel_of(text: str) -> Kernel:
    return plan(derive.derive(derive.parse(text)))


def compiled(texts: Sequence[str], bits: Sequence[int] = (32, 64)) -> list[Native]:
    """The kernels of ops, each of another name, compiled at once. Raises CompileError for the first that C refuses."""
    kernels = [kernel_of(text) for text in texts]
    files: dict[str, str] = dict(runtime_files())
    for k in kernels:
        files |= {f"numpy/{k.op.name}.py": NO_NUMPY, **op_files(k, "a test")}
    package = load_native(kernels[0].op.name, files).__package__
    importlib.import_module(f"{package}._build").compile_all([k.op.name for k in kernels], bits)
    return [Native(k, importlib.import_module(f"{package}.{k.op.name}")) for k in kernels]


def units(got: Any, want: Any, dtype: Any) -> float:
    """The largest difference in units in the last place of the precision, where one is NaN and the other is not infinite."""
    got, want = np.asarray(got, dtype=float), np.asarray(want, dtype=float)
    assert got.shape == want.shape, f"shape {got.shape} instead of {want.shape}"
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(all="ignore"):
        spacing = np.spacing(np.abs(want).astype(dtype)).astype(float)
        return float(np.max(np.where(same, 0.0, np.nan_to_num(np.abs(got - want) / spacing, nan=np.inf)), initial=0.0))
