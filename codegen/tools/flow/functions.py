"""Functions that do what a layer does: ``torch.relu(x)`` is recorded as ``nn.ReLU()`` is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.modules import activation, loss
from torch.overrides import TorchFunctionMode

__all__ = ["Functions", "as_layer"]


class Recording(Protocol):
    """What functions are recorded in: the calls that have not ended, and how another is recorded."""

    open: list[Any]

    def function(self, module: nn.Module, name: str, run: Callable[[], Any], given: Any) -> Any: ...


class Functions(TorchFunctionMode):
    """While this is entered, activations and losses that are called as functions are recorded as the layers of that name.

    What a layer of ``torch.nn`` calls inside is a part of this layer, and so is what a module without parameters calls.
    """

    def __init__(self, seen: Recording):
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        module = None if self.seen.open and _is_closed(self.seen.open[-1].module) else as_layer(func, args, kwargs)
        if module is None:
            return func(*args, **kwargs)
        name = func.__name__.rstrip("_")
        return self.seen.function(module, name, lambda: func(*args, **kwargs), (args, kwargs))


def as_layer(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> nn.Module | None:
    """The layer that does what a function does with these arguments; None where there is none."""
    kind = _KINDS.get(getattr(func, "__name__", "").replace("_", ""))
    if kind is None or not args or not isinstance(args[0], Tensor) or not args[0].is_floating_point():
        return None
    taken = inspect.signature(kind).parameters
    try:
        given = inspect.signature(func).bind(*args, **kwargs).arguments
    except (ValueError, TypeError):  # a function of C has no signature; its settings come in the layer's order
        given = {**dict(zip(taken, args[1:], strict=False)), **kwargs}
    try:
        return kind(**{n: v for n, v in given.items() if n in taken})
    except TypeError:
        return None


def _is_closed(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.") or not any(True for _ in module.parameters())


def _kinds() -> Iterator[tuple[str, type[nn.Module]]]:
    """Layers without parameters by the names of their functions, without underscores."""
    for room in (activation, loss):
        for name in room.__all__:
            kind = getattr(room, name)
            yield name.lower(), kind
            yield name.removesuffix("Loss").lower(), kind


_KINDS = {name: kind for name, kind in _kinds() if kind not in (nn.MultiheadAttention, nn.PReLU, nn.Softmax2d)}
