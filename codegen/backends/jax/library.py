"""JAX's arrays, which are immutable, and its differentiation of functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from codegen.backends.arrays.library import Applied, Library, Pull, single

__all__ = ["JaxLibrary"]


class JaxLibrary(Library):
    name, title = "jax", "JAX"

    def running(self, dtype: str = "float64") -> AbstractContextManager[Any]:
        """A context in which JAX computes in float64, which is off by default; for float32, JAX stays as it is set up."""
        import jax

        return jax.enable_x64(True) if dtype == "float64" else nullcontext()

    def owns(self, value: Any) -> bool:
        return self.loaded is not None and isinstance(value, self.loaded.Array)

    def array(self, value: np.ndarray, shape: tuple[int, ...]) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(np.broadcast_to(value, shape))

    def numbers(self, array: Any) -> np.ndarray:
        import jax.numpy as jnp

        return np.asarray(array.astype(jnp.float32) if array.dtype == jnp.bfloat16 else array)

    def writes(self, array: Any) -> int:
        """1 if the array was donated to a result, and thereby deleted; else 0."""
        return int(array.is_deleted())

    def applied(self, value: Any) -> Applied | None:
        """A ``custom_vjp`` or ``custom_jvp``."""
        kinds = (self.loaded.custom_vjp, self.loaded.custom_jvp) if self.loaded else ()
        return Applied(value, value) if isinstance(value, kinds) else None

    def differentiated(self, function: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any]) -> tuple[list[Any], Pull]:
        import jax

        outputs, back = jax.vjp(lambda moving: single(function(moving)), dict(arrays))

        def pull(upstream: Sequence[Any]) -> dict[str, Any]:
            (found,) = back([u.astype(o.dtype) for o, u in zip(outputs, upstream, strict=True)])
            return dict(found)

        return outputs, pull
