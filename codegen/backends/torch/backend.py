"""The torch backend: kernels of plain differentiable operations, and the differentiable op around them."""

from __future__ import annotations

from dataclasses import replace

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.backend import Files
from codegen.backends.torch.adapters import adapter_files
from codegen.backends.torch.differentiable import differentiable, helpers
from codegen.backends.torch.layout import TorchLayout
from codegen.backends.torch.library import TorchLibrary
from codegen.backends.torch.plain import PlainTorch
from codegen.backends.torch.printer import TorchPrinter
from codegen.program import Kernel
from codegen.source import Code, FileSource

__all__ = ["BACKEND"]


class TorchBackend(ArrayBackend):
    name, title, position = "torch", "torch", 10
    chooses = True
    reserved = frozenset({"torch", "itertools", "math", "dict", "range", "reversed", "tuple"})
    modules = frozenset({"functools", "itertools", "math", "torch"})
    library = (Code("import torch"),)
    printer, plain, layout = TorchPrinter, PlainTorch, TorchLayout
    arrays = TorchLibrary()

    def source(self, kernel: Kernel, command: str) -> FileSource:
        exports = self.exports(kernel.op.name)
        source = super().source(kernel, command)
        needed = tuple(sorted({*source.helpers, *helpers(kernel)}))
        return replace(source, exports=exports, helpers=needed, differentiable=differentiable(kernel))

    def exports(self, op: str) -> tuple[str, ...]:
        return (op, *super().exports(op))

    def adapters(self, command: str) -> Files:
        return adapter_files(self.name, command)


BACKEND = TorchBackend()
