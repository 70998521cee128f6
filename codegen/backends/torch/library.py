"""torch's tensors and their differentiation by autograd, and classes that have their own derivative or parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from codegen.backends.arrays.library import Applied, Library, Model, Pull, single

__all__ = ["TorchLibrary"]


class TorchLibrary(Library):
    name, title = "torch", "torch"
    strided = True

    def owns(self, value: Any) -> bool:
        return self.loaded is not None and isinstance(value, self.loaded.Tensor)

    def array(self, value: np.ndarray, shape: tuple[int, ...]) -> Any:
        import torch

        tensor = torch.from_numpy(value)
        return tensor if tuple(tensor.shape) == shape else tensor.expand(shape)

    def numbers(self, array: Any) -> np.ndarray:
        import torch

        array = array.detach().cpu()
        array = array.to_dense() if array.is_sparse else array
        return np.asarray((array.float() if array.dtype == torch.bfloat16 else array).numpy())

    def writes(self, array: Any) -> int:
        """The tensor's version, which every write increases, even a write of the same numbers."""
        return int(array._version)

    def applied(self, value: Any) -> Applied | None:
        """A subclass of ``torch.autograd.Function``; its context does not count as a parameter."""
        if self.loaded is None or not inspect.isclass(value) or not issubclass(value, self.loaded.autograd.Function):
            return None
        function: Any = value
        apart = any("setup_context" in vars(c) for c in function.__mro__ if c.__module__ != "torch.autograd.function")
        found = list(inspect.signature(function.forward).parameters.values())
        return Applied(function.apply, function.backward, tuple(found[0 if apart else 1 :]))

    def model(self, value: Any) -> Model | None:
        """An instance of ``nn.Module``."""
        if self.loaded is None or not isinstance(value, self.loaded.nn.Module):
            return None

        def call(parameters: Mapping[str, Any], arguments: Sequence[Any]) -> Any:
            import torch

            dtype = next(a.dtype for a in (*arguments, *parameters.values()) if a.is_floating_point())
            # Buffers are copied: running statistics are written to, and must have the dtype that is audited.
            state = {n: b.to(dtype if b.is_floating_point() else b.dtype, copy=True) for n, b in value.named_buffers()}
            return torch.func.functional_call(value, {**state, **parameters}, tuple(arguments))

        shapes = {n: tuple(p.shape) for n, p in value.named_parameters()}
        return Model(type(value).__name__, shapes, value, call, type(value).forward)

    def differentiated(self, function: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any]) -> tuple[list[Any], Pull]:
        """The outputs, and their vector-Jacobian product by autograd; a gradient is 0 where no output depends on the array."""
        import torch

        leaves = {n: a.detach().requires_grad_() for n, a in arrays.items()}
        outputs = single(function(leaves))

        def pull(upstream: Sequence[Any]) -> dict[str, Any]:
            given = [(o, u.to(o.dtype)) for o, u in zip(outputs, upstream, strict=True) if o.requires_grad]
            moving, adjoints = ([pair[k] for pair in given] for k in (0, 1))
            found = torch.autograd.grad(moving, list(leaves.values()), adjoints, allow_unused=True, materialize_grads=True)
            return dict(zip(leaves, found, strict=True))

        return outputs, pull
