"""The JAX backend: pure kernels, and the ``custom_vjp`` around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.jax.differentiable import custom_vjp
from codegen.backends.jax.layout import JaxLayout
from codegen.backends.jax.library import JaxLibrary
from codegen.backends.jax.printer import JaxPrinter
from codegen.program import Kernel
from codegen.source import Code
from derive.syntax import adjoint_name

__all__ = ["BACKEND"]


class JaxBackend(ArrayBackend):
    name, title, position = "jax", "JAX", 20
    reserved = frozenset({"jax", "jnp", "math"})
    modules = frozenset({"functools", "jax", "math"})
    library = (Code("import jax"), Code("import jax.numpy as jnp"))
    printer, plain, layout = JaxPrinter, JaxPrinter, JaxLayout
    arrays = JaxLibrary()

    def text(self, kernel: Kernel, command: str) -> str:
        source = replace(self.source(kernel, command), exports=self.exports(kernel.op.name))
        return self.rendered(source, differentiable=custom_vjp(kernel))

    def exports(self, op: str) -> tuple[str, ...]:
        return (op, *super().exports(op))

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiled as a whole, which takes less time than each operation on its own."""
        import jax

        return jax.jit(function)

    def gradients(self, kernel: Kernel, module: ModuleType, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        op = kernel.op
        moving = {t.name: values[t.name] for t in op.differentiable}
        fixed = {t.name: values[t.name] for t in op.inputs if t.integer} | {c.name: values[c.name] for c in op.constants}

        def pulled(arrays: dict[str, Any], adjoints: list[Any]) -> dict[str, Any]:
            _, pull = self.arrays.differentiated(lambda found: getattr(module, op.name)(**found, **fixed), arrays)
            return pull(adjoints)

        if moving:
            found = self.called(pulled)(moving, [values[adjoint_name(t.name)] for t in op.outputs])
            yield from ((adjoint_name(n), found[n]) for n in moving)


BACKEND = JaxBackend()
