"""The JAX backend: pure kernels, and the ``custom_vjp`` around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.jax.differentiable import custom_vjp
from codegen.backends.jax.layout import JaxLayout
from codegen.backends.jax.library import JaxLibrary
from codegen.backends.jax.printer import JaxPrinter
from codegen.program import Kernel
from codegen.source import Code

__all__ = ["BACKEND"]


class JaxBackend(ArrayBackend):
    name, title, position = "jax", "JAX", 20
    reserved = frozenset({"jax", "jnp", "math", "range"})
    modules = frozenset({"functools", "jax", "jnp", "math"})
    library = (Code("import jax"), Code("import jax.numpy as jnp"))
    printer, plain, layout = JaxPrinter, JaxPrinter, JaxLayout
    arrays = JaxLibrary()

    def text(self, kernel: Kernel, command: str) -> str:
        source = replace(self.source(kernel, command), exports=self.exports(kernel.op.name))
        return self.rendered(source, differentiable=custom_vjp(kernel))

    def exports(self, op: str) -> tuple[str, ...]:
        return (op, *super().exports(op))

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function under ``jit``: compiling it whole takes less time than compiling each operation by itself.

        Python's integers are static: they are lengths of axes.
        """
        import jax

        def run(*given: Any, **named: Any) -> Any:
            static = [k for k, v in enumerate(given) if type(v) is int], [n for n, v in named.items() if type(v) is int]
            return jax.jit(function, static_argnums=static[0], static_argnames=static[1])(*given, **named)

        return run


BACKEND = JaxBackend()
