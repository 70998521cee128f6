"""The torch backend: kernels of plain differentiable operations, and the differentiable op around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.torch.differentiable import differentiable
from codegen.backends.torch.layout import TorchLayout
from codegen.backends.torch.library import TorchLibrary
from codegen.backends.torch.printer import TorchPrinter
from codegen.program import Kernel
from codegen.source import Code, FileSource
from derive.syntax import adjoint_name

__all__ = ["BACKEND"]


class TorchBackend(ArrayBackend):
    name, title, position = "torch", "torch", 10
    reserved = frozenset({"torch", "math", "dict"})
    modules = frozenset({"functools", "math", "torch"})
    library = (Code("import torch"),)
    printer, plain, layout = TorchPrinter, TorchPrinter, TorchLayout
    arrays = TorchLibrary()

    def source(self, kernel: Kernel, command: str) -> FileSource:
        exports = self.exports(kernel.op.name)
        return replace(super().source(kernel, command), exports=exports, differentiable=differentiable(kernel))

    def exports(self, op: str) -> tuple[str, ...]:
        return (op, *super().exports(op))

    def gradients(self, kernel: Kernel, module: ModuleType, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The gradients that autograd gets; those of an output that does not depend on an input are 0."""
        import torch

        op = kernel.op
        leaves = {t.name: values[t.name].clone().requires_grad_(not t.integer) for t in op.inputs}
        found = getattr(module, op.name)(*leaves.values(), *(values[c.name] for c in op.constants))
        outputs = [found] if len(op.outputs) == 1 else list(found)
        pairs = zip(outputs, [values[adjoint_name(t.name)] for t in op.outputs], strict=True)
        moving = [(y, dy) for y, dy in pairs if y.requires_grad]
        wanted = [leaves[t.name] for t in op.differentiable]
        gradients: Sequence[Any] = [None] * len(wanted)
        if moving and wanted:
            gradients = torch.autograd.grad([y for y, _ in moving], wanted, [dy for _, dy in moving], allow_unused=True)
        for t, leaf, gradient in zip(op.differentiable, wanted, gradients, strict=True):
            yield adjoint_name(t.name), torch.zeros_like(leaf) if gradient is None else gradient


BACKEND = TorchBackend()
