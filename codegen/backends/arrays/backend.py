"""What array backends have in common: one Python file for each op, and a package around these files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields
from types import ModuleType
from typing import Any

import numpy as np

from codegen.backends.arrays.layout import Layout, lay_out
from codegen.backends.arrays.library import Library
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.backend import Backend, Files, Shown
from codegen.load import load_source
from codegen.program import Kernel, outputs_of
from codegen.render import render
from codegen.source import Code, FileSource
from derive.syntax import adjoint_name

__all__ = ["ArrayBackend"]


class ArrayBackend(Backend):
    """A backend whose kernels are Python functions of arrays; a statement is one expression, or a few."""

    forward_mode = True
    #: The lines that import what the functions refer to.
    library: tuple[Code, ...]
    #: Spells the statements of a kernel.
    printer: type[ArrayPrinter]
    #: Spells the statements of an exercise, as one writes them by hand.
    plain: type[ArrayPrinter]
    #: Lays out the functions of a kernel file.
    layout: type[Layout]
    #: The array library that the kernels compute with.
    arrays: Library

    def scalar(self, name: str, like: str) -> str:
        """The line that gives a scalar the dtype of the array ``like``; "" where it needs none."""
        return ""

    def source(self, kernel: Kernel, command: str) -> FileSource:
        """The parts of the file of one op."""
        return lay_out(kernel, self.layout, command, chooses=self.chooses)

    def text(self, kernel: Kernel, command: str) -> str:
        """The unformatted text of the file of one op."""
        return self.rendered(self.source(kernel, command))

    def rendered(self, source: FileSource, **more: object) -> str:
        """The unformatted text of a file from its parts; ``more`` is given to its template too."""
        data = {f.name: getattr(source, f.name) for f in fields(source)} | more
        return render(f"{self.name}/op.py.j2", backend=self.name, library=self.library, **data)

    def files(self, kernel: Kernel, command: str, beside: Collection[str] = ()) -> Files:
        return {f"{self.name}/{kernel.op.name}.py": self.text(kernel, command)}

    def exports(self, op: str) -> tuple[str, ...]:
        return (f"{op}_forward", f"{op}_backward", f"{op}_jvp")

    def package(self, ops: Iterable[str], command: str, beside: Collection[str] = ()) -> Files:
        listed = [(op, self.exports(op)) for op in ops]
        text = render("backends/package.py.j2", backend=self.name, command=command, ops=listed)
        return {f"{self.name}/__init__.py": text}

    def shown(self, op: str) -> Shown:
        return Shown(f"{self.name}/{op}.py", "python", f"def {op}_forward(")

    def missing(self) -> str:
        return self.arrays.missing()

    def running(self) -> AbstractContextManager[Any]:
        return self.arrays.running()

    def to(self, array: Any) -> Any:
        """The argument as an array of the library: itself if it is one already, else a copy."""
        return array if self.arrays.owns(array) else self.arrays.array(np.asarray(array).copy(), np.shape(array))

    def back(self, result: Any) -> Any:
        return self.arrays.numbers(result)

    def load(self, name: str, files: Mapping[str, str]) -> ModuleType:
        return load_source(f"{name}_{self.name}", files[f"{self.name}/{name}.py"])

    def gradients(self, kernel: Kernel, module: ModuleType, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        op = kernel.op
        moving = {t.name: values[t.name] for t in op.differentiable}
        fixed = {n: values[n] for n in (*(t.name for t in op.inputs if t.integer), *(c.name for c in op.constants))}

        def pulled(arrays: Mapping[str, Any], adjoints: Sequence[Any]) -> dict[str, Any]:
            def numbers(found: Mapping[str, Any]) -> Any:
                outputs = outputs_of(op, getattr(module, op.name)(**found, **fixed))
                return outputs[0] if len(outputs) == 1 else tuple(outputs)

            _, pull = self.arrays.differentiated(numbers, arrays)
            return pull(adjoints)

        if moving and op.name in self.exports(op.name):
            found = self.called(pulled)(moving, [values[adjoint_name(t.name)] for t in op.outputs])
            yield from ((adjoint_name(n), found[n]) for n in moving)
