"""The files of the native backend: three for each op, and the runtime that compiles and calls kernels."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from codegen.backends.native.bindings import bindings
from codegen.backends.native.layout import CFile, lay_out
from codegen.backends.native.step import has_step
from codegen.program import Kernel
from codegen.render import render

#: The runtime, which compiles and calls the kernels of every op.
RUNTIME = ("_build.py", "_blas.py", "_kernel.py", "_call.c")


def op_files(kernel: Kernel, command: str) -> dict[str, str]:
    """``OP.c``, its header and its Python description, not yet formatted."""
    name = kernel.op.name
    source, header = rendered(lay_out(kernel, command))
    return {
        f"native/{name}.c": source,
        f"native/{name}.h": header,
        f"native/{name}.py": render("native/op.py.j2", **_data(bindings(kernel, command))),
    }


def rendered(file: CFile) -> tuple[str, str]:
    """The C source and its header."""
    data = _data(file)
    return render("native/op.c.j2", **data), render("native/op.h.j2", **data)


def runtime_files() -> dict[str, str]:
    """The files of the runtime."""
    return {f"native/{name}": render(f"native/{name}.j2") for name in RUNTIME}


def exports(op: str) -> tuple[str, ...]:
    """The names that ``generated.native`` exports of an op."""
    return (f"{op}_forward", f"{op}_backward", f"{op}_forward_backward", *([f"{op}_step"] if has_step(op) else []))


def _data(source: Any) -> dict[str, Any]:
    assert is_dataclass(source)
    return {f.name: getattr(source, f.name) for f in fields(source)}
