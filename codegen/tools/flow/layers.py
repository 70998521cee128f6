"""The layers of ``torch.nn`` whose op is in the catalogue. Everything said of such a layer comes from the op's derivation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LAYERS", "PARAMETERS", "Layer", "known"]

Module = Any
Tensor = Any


def _nothing(module: Module) -> dict[str, Any]:
    return {}


def _itself(module: Module, tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Layer:
    """How a module is its op.

    ``data`` are the op's names of the module's arguments; ``parameters`` and ``constants`` give the op's other inputs.
    ``placed`` moves the axes of an argument or result to where the op has them. ``only`` says for which settings of the module
    this holds.
    """

    op: str
    data: tuple[str, ...] = ("x",)
    parameters: Callable[[Module], Mapping[str, Tensor]] = _nothing
    constants: Callable[[Module], Mapping[str, float]] = _nothing
    placed: Callable[[Module, Tensor], Tensor] = _itself
    only: Callable[[Module], bool] = lambda module: True


def known(module: Module) -> Layer | None:
    """The layer that a module is; None for any other module, and for settings that the op does not have.

    A subclass may compute something else, so it is not known.
    """
    import torch

    name = type(module).__name__
    if name not in LAYERS or type(module) is not getattr(torch.nn, name, None):
        return None
    layer = LAYERS[name]
    return layer if layer.only(module) else None


def _linear(m: Module) -> dict[str, Tensor]:
    return dict(W=m.weight.T, b=m.bias if m.bias is not None else m.weight.new_zeros(m.weight.shape[0]))


def _affine(m: Module) -> dict[str, Tensor]:
    """Scale and shift, each over one axis; 1 and 0 where the module has none."""
    import torch

    count = getattr(m, "num_features", None) or torch.Size(m.normalized_shape).numel()
    gamma = torch.ones(count) if m.weight is None else m.weight.reshape(-1)
    beta = None if not hasattr(m, "bias") else torch.zeros(count) if m.bias is None else m.bias.reshape(-1)
    return dict(gamma=gamma) if beta is None else dict(gamma=gamma, beta=beta)


def _normalized(m: Module, x: Tensor) -> Tensor:
    """The axes that are normalized together as one."""
    return x.flatten(x.dim() - len(m.normalized_shape))


def _rms_eps(m: Module) -> dict[str, float]:
    import torch

    return dict(eps=torch.finfo(m.weight.dtype if m.weight is not None else torch.float32).eps if m.eps is None else m.eps)


def _last(m: Module, z: Tensor) -> Tensor:
    return z.movedim(m.dim, -1)


_BATCHNORM = Layer(
    "batchnorm",
    parameters=_affine,
    constants=lambda m: dict(eps=m.eps, ddof=0),
    only=lambda m: m.training or m.running_mean is None,  # otherwise the statistics are not those of the batch
)

#: The modules by their names in ``torch.nn``.
LAYERS: dict[str, Layer] = {
    "Linear": Layer("linear", parameters=_linear),
    "Tanh": Layer("tanh"),
    "Sigmoid": Layer("sigmoid"),
    "ReLU": Layer("relu"),
    "SiLU": Layer("silu"),
    "GELU": Layer("gelu", only=lambda m: m.approximate == "none"),
    "BatchNorm1d": _BATCHNORM,
    "BatchNorm2d": _BATCHNORM,
    "BatchNorm3d": _BATCHNORM,
    "LayerNorm": Layer("layernorm", parameters=_affine, constants=lambda m: dict(eps=m.eps), placed=_normalized),
    "RMSNorm": Layer("rmsnorm", parameters=_affine, constants=_rms_eps, placed=_normalized),
    "Embedding": Layer(
        "embedding", ("t",), lambda m: dict(table=m.weight), only=lambda m: m.max_norm is None and not m.scale_grad_by_freq
    ),
    "Softmax": Layer("softmax", ("z",), placed=_last, only=lambda m: m.dim is not None),
    "LogSoftmax": Layer("log_softmax", ("z",), placed=_last, only=lambda m: m.dim is not None),
    "CrossEntropyLoss": Layer(
        "softmax_cross_entropy",
        ("z", "t"),
        only=lambda m: m.weight is None and m.reduction == "mean" and not m.label_smoothing and m.ignore_index < 0,
    ),
}

#: What ``torch.nn`` calls the op's parameters.
PARAMETERS: dict[str, str] = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "table": "weight"}
