"""How an op of torch is called as one of ours: a thin function each, of the arguments of a sample.

An adapter only moves, flattens or splits tensors. Where a sample asks for what our op does not have, it raises
:class:`~tests.opinfo.reasons.NotApplicable`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from generated import torch as own
from tests.opinfo.elementwise import ELEMENTWISE
from tests.opinfo.losses import LOSSES
from tests.opinfo.products import PRODUCTS
from tests.opinfo.reasons import NotApplicable, either, unary, unless
from tests.opinfo.reductions import REDUCTIONS
from tests.opinfo.windows import OF_CATALOGUE, WINDOWS

__all__ = ["ADAPTERS", "CATALOGUE"]


def reduced(op: Callable[..., Tensor], reduction: str, *tensors: Tensor, **given: Any) -> Tensor:
    """A loss that is the mean of its entries, as their mean, their sum, or each by itself."""
    if reduction == "mean":
        return op(*tensors, **given)
    if reduction == "sum":
        return op(*tensors, **given) * tensors[0].numel()
    entries = [x.flatten() for x in tensors]
    return torch.vmap(lambda *one: op(*one, **given))(*entries).reshape(tensors[0].shape)


def of_rows(op: Callable[..., Tensor], reduction: str, *tensors: Tensor, **given: Any) -> Tensor:
    """A loss that is the mean over rows, as it is, as the sum, or of each row by itself."""
    if reduction == "none":
        return torch.vmap(lambda *row: op(*(x.unsqueeze(0) for x in row), **given))(*tensors)
    return op(*tensors, **given) * (len(tensors[0]) if reduction == "sum" else 1)


def along(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An op over the last axis, called over any."""

    def called(x: Tensor, dim: int, dtype: Any = None, **_: Any) -> Tensor:
        unless(dtype not in (None, x.dtype), "dtype")
        return op(x.movedim(dim, -1)).movedim(-1, dim) if x.ndim else op(x.reshape(1)).reshape(())

    return called


def loss(op: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A loss of two tensors of one shape, whose further arguments are called as torch's are."""

    def called(x: Tensor, t: Tensor, weight: Any = None, *, reduction: str = "mean", **given: Any) -> Tensor:
        unless(weight is not None, "weight")
        unless(not set(given) <= {"delta", "beta"} or given.get("beta") == 0, "option")
        return reduced(op, reduction, *torch.broadcast_tensors(x, t), **given)

    return called


def softplus(x: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    unless(bool((beta * x > threshold).any()), "threshold")
    return own.softplus(beta * x) / beta


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    return own.gelu(x) if approximate == "none" else own.gelu_tanh(x)


def glu(x: Tensor, dim: int = -1) -> Tensor:
    return own.glu(*x.chunk(2, dim))


def prelu(x: Tensor, weight: Tensor) -> Tensor:
    unless(x.ndim < 2 and weight.numel() > 1, "shape")
    return own.prelu(x if x.ndim > 1 else x.reshape(-1, 1), weight.expand(x.shape[1] if x.ndim > 1 else 1)).reshape(x.shape)


def hardtanh(x: Tensor, min_val: float = -1, max_val: float = 1, inplace: bool = False) -> Tensor:
    unless((min_val, max_val) != (-1, 1), "option")
    return own.hardtanh(x)


def logsumexp(x: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    dims = [d % max(x.ndim, 1) for d in ((dim,) if isinstance(dim, int) else dim)]
    unless(x.ndim == 0 or not dims, "shape")
    rest = [d for d in range(x.ndim) if d not in dims]
    found = own.logsumexp(x.permute(*rest, *dims).flatten(len(rest)))
    return found.reshape([1 if d in dims else n for d, n in enumerate(x.shape)]) if keepdim else found


def product(x: Tensor, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    unless(dtype not in (None, x.dtype), "dtype")
    if dim is None:
        return own.total_product(x.flatten())
    unless(x.ndim == 0, "shape")
    found = own.total_product(x.movedim(dim, -1))
    return found.unsqueeze(dim) if keepdim else found


def poisson_nll(
    x: Tensor, t: Tensor, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
) -> Tensor:
    unless(not log_input or full, "option")
    return reduced(own.poisson_nll, reduction, x, t)


def gaussian_nll(x: Tensor, t: Tensor, var: Tensor, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Tensor:
    unless(bool((var < eps).any()), "option")
    if var.shape != x.shape:
        var = var if var.ndim == x.ndim else var.unsqueeze(-1)
    constant = math.log(2 * math.pi) / 2 * (x.numel() if reduction == "sum" else 1) if full else 0.0
    return reduced(own.gaussian_nll, reduction, *torch.broadcast_tensors(x, t, var)) + constant


def kl(x: Tensor, t: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    unless(reduction not in ("mean", "batchmean") or log_target, "reduction" if not log_target else "option")
    unless(x.ndim == 0 or bool((t <= 0).any()), "shape" if x.ndim == 0 else "empty")
    x, t = torch.broadcast_tensors(x, t)
    rows = x.flatten(1) if x.ndim > 1 else x.unsqueeze(1)
    found = own.kl(rows, t.reshape(rows.shape))
    return found if reduction == "batchmean" else found * len(x) / x.numel()


def _classes_last(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and labels of any number of axes as rows and their labels."""
    x = x.unsqueeze(0) if x.ndim == 1 else x
    return x.movedim(1, -1).flatten(0, -2), t.flatten()


def _summed(found: Tensor, reduction: str, count: Any) -> Tensor:
    unless(reduction == "none", "reduction")
    return found * count if reduction == "sum" else found


def nll(x: Tensor, t: Tensor, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", **_: Any) -> Tensor:
    unless(weight is not None, "weight")
    rows, labels = _classes_last(x, t)
    kept = labels != ignore_index
    if not kept.all():
        unless(reduction == "sum" and not bool(kept.any()), "empty")
        return _summed(own.nll_ignore(rows, labels, ignore=ignore_index), reduction, kept.sum())
    return _summed(own.nll(rows, labels), reduction, len(rows))


def cross_entropy(
    x: Tensor,
    t: Tensor,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    **_: Any,
) -> Tensor:
    unless(weight is not None, "weight")
    if t.is_floating_point():
        unless(label_smoothing != 0, "option")
        rows = [(u.unsqueeze(0) if u.ndim == 1 else u).movedim(1, -1).flatten(0, -2) for u in (x, t)]
        return _summed(own.soft_cross_entropy(*rows), reduction, len(rows[0]))
    rows, labels = _classes_last(x, t)
    kept = labels != ignore_index
    if not kept.all():
        unless(bool(label_smoothing), "ignored")
        unless(reduction == "sum" and not bool(kept.any()), "empty")
        return _summed(own.cross_entropy_ignore(rows, labels, ignore=ignore_index), reduction, kept.sum())
    if label_smoothing:
        return _summed(own.label_smoothing(rows, labels, smoothing=label_smoothing), reduction, len(rows))
    return _summed(own.softmax_cross_entropy(rows, labels), reduction, len(rows))


def triplet(
    a: Tensor,
    p: Tensor,
    n: Tensor,
    margin: float = 1.0,
    p_: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
    **given: Any,
) -> Tensor:
    unless(swap or given.get("p", 2) != 2, "option")
    unless(a.ndim != 2 or a.shape != p.shape or a.shape != n.shape, "shape")
    return of_rows(own.triplet, reduction, a, p, n, margin=margin, eps=eps)


def margin_ranking(a: Tensor, b: Tensor, t: Tensor, margin: float = 0.0, reduction: str = "mean") -> Tensor:
    unless(not t.is_floating_point(), "dtype")
    return reduced(own.margin_ranking, reduction, *torch.broadcast_tensors(a, b, t), margin=margin)


def _affine(weight: Any, bias: Any, like: Tensor, n: int) -> tuple[Tensor, Tensor]:
    ones = like.new_ones(n) if weight is None else weight
    return ones, like.new_zeros(n) if bias is None else bias


def batch_norm(
    x: Tensor,
    mean: Any,
    var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    unless(x.ndim < 2, "empty")
    gamma, beta = _affine(weight, bias, x, x.shape[1])
    if training:
        return own.batchnorm(x, gamma, beta, eps=eps)
    return own.batchnorm_eval(x, mean, var, gamma, beta, eps=eps)


def instance_norm(
    x: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not use_input_stats:
        return own.batchnorm_eval(x, running_mean, running_var, *_affine(weight, bias, x, x.shape[1]), eps=eps)
    return own.instancenorm(x, *_affine(weight, bias, x, x.shape[1]), eps=eps)


def group_norm(x: Tensor, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    return own.groupnorm(x, *_affine(weight, bias, x, x.shape[1]), groups=groups, eps=eps)


def layer_norm(x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    k = len(shape)
    gamma, beta = _affine(
        None if weight is None else weight.flatten(), None if bias is None else bias.flatten(), x, x.shape[x.ndim - k :].numel()
    )
    return own.layernorm(x.flatten(x.ndim - k), gamma, beta, eps=eps).reshape(x.shape)


def rms_norm(x: Tensor, shape: Any, weight: Any = None, eps: Any = None) -> Tensor:
    k = len(shape)
    gamma = x.new_ones(x.shape[x.ndim - k :].numel()) if weight is None else weight.flatten()
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    return own.rmsnorm(x.flatten(x.ndim - k), gamma, eps=eps).reshape(x.shape)


def linear(x: Tensor, W: Tensor, b: Any = None) -> Tensor:
    unless(W.ndim == 1, "shape")
    return own.linear(x, W.T, x.new_zeros(len(W)) if b is None else b)


def bilinear(a: Tensor, b: Tensor, W: Tensor, c: Any = None) -> Tensor:
    return own.bilinear(a, b, W, a.new_zeros(len(W)) if c is None else c)


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Vectors are matrices with one row or column, and stacks are broadcast, as NumPy has it."""
    unless(0 in (a.ndim, b.ndim), "shape")
    left, right = a.unsqueeze(0) if a.ndim == 1 else a, b.unsqueeze(-1) if b.ndim == 1 else b
    stack = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    y = own.matmul(left.expand(*stack, *left.shape[-2:]), right.expand(*stack, *right.shape[-2:]))
    y = y.squeeze(-1) if b.ndim == 1 else y
    return y.squeeze(-2 if b.ndim > 1 else -1) if a.ndim == 1 else y


def embedding(
    table: Tensor, t: Tensor, padding_idx: Any = None, max_norm: Any = None, scale_grad_by_freq: bool = False, **_: Any
) -> Tensor:
    unless(max_norm is not None or scale_grad_by_freq, "option")
    if padding_idx is not None:
        return own.embedding_padding(table, t, padding=padding_idx % len(table))
    return own.embedding(table, t)


def embedding_bag(table: Tensor, t: Tensor, offsets: Any = None, mode: str = "mean", **given: Any) -> Tensor:
    unless(offsets is not None or mode == "max" or any(v is not None and v is not False for v in given.values()), "option")
    return own.embedding_bag(table, t) / (t.shape[1] if mode == "mean" else 1)


def cosine_similarity(a: Tensor, b: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    a, b = torch.broadcast_tensors(a, b)
    unless(a.ndim == 0, "shape")
    return own.cosine_similarity(a.movedim(dim, -1), b.movedim(dim, -1))


def attention(
    q: Tensor, k: Tensor, v: Tensor, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, **given: Any
) -> Tensor:
    unless(dropout_p != 0, "dropout")
    unless(attn_mask is not None and attn_mask.dtype == torch.bool, "mask")
    unless(any(v for v in given.values()), "option")
    stack = torch.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    q, k, v = (x.expand(*stack, *x.shape[-2:]) for x in (q, k, v))
    if attn_mask is None:
        return own.causal_attention(q, k, v) if is_causal else own.attention(q, k, v)
    return own.attention_bias(q, k, v, attn_mask.expand(*stack, q.shape[-2], k.shape[-2]))


def cosine_embedding(a: Tensor, b: Tensor, t: Tensor, margin: float = 0.0, reduction: str = "mean", **_: Any) -> Tensor:
    unless(a.ndim != 2, "shape")
    return of_rows(own.cosine_embedding, reduction, a, b, t.to(a.dtype), margin=margin)


def hinge_embedding(x: Tensor, t: Tensor, margin: float = 1.0, reduction: str = "mean", **_: Any) -> Tensor:
    unless(bool((t.abs() != 1).any()), "option")
    return reduced(own.hinge_embedding, reduction, *torch.broadcast_tensors(x, t.to(x.dtype)), margin=margin)


def pairwise_distance(a: Tensor, b: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    unless(p != 2, "option")
    found = own.pairwise_distance(*torch.broadcast_tensors(a, b), eps=eps)
    return found.unsqueeze(-1) if keepdim else found


def unfold(x: Tensor, dim: int, size: int, step: int) -> Tensor:
    unless(x.ndim == 0 or not size, "shape")
    moved = x.movedim(dim, -1)
    found = own.unfold1d(moved.reshape(1, -1, moved.shape[-1]), kernel=size, stride=step).mT
    return found.reshape(*moved.shape[:-1], *found.shape[-2:]).movedim(-2, dim - 1 if dim < 0 else dim)


def hardsigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    raise NotApplicable("float32")


F = "nn.functional."
#: Ops of the catalogue by the names that torch has for them.
CATALOGUE: dict[str, Callable[..., Any]] = {
    "tanh": unary(own.tanh),
    "sigmoid": unary(own.sigmoid),
    F + "relu": unary(own.relu),
    F + "relu6": unary(own.relu6),
    F + "silu": unary(own.silu),
    F + "mish": unary(own.mish),
    F + "selu": unary(own.selu),
    F + "hardswish": unary(own.hardswish),
    F + "hardsigmoid": hardsigmoid,
    F + "hardtanh": hardtanh,
    F + "logsigmoid": unary(own.logsigmoid),
    F + "tanhshrink": unary(own.tanhshrink),
    F + "elu": lambda x, alpha=1.0, inplace=False: own.elu(x, alpha=alpha),
    F + "celu": lambda x, alpha=1.0, inplace=False: own.celu(x, alpha=alpha),
    F + "leaky_relu": lambda x, negative_slope=0.01, inplace=False: own.leaky_relu(x, slope=negative_slope),
    F + "softplus": softplus,
    F + "gelu": gelu,
    F + "glu": glu,
    F + "prelu": prelu,
    "softmax": along(own.softmax),
    "log_softmax": along(own.log_softmax),
    "logsumexp": logsumexp,
    "prod": product,
    "cumsum": along(own.cumsum),
    F + "mse_loss": loss(own.mse),
    F + "l1_loss": loss(own.l1),
    F + "huber_loss": loss(own.huber),
    F + "smooth_l1_loss": loss(own.smooth_l1),
    F + "soft_margin_loss": loss(own.soft_margin),
    F + "binary_cross_entropy_with_logits": loss(own.bce_with_logits),
    F + "poisson_nll_loss": poisson_nll,
    F + "gaussian_nll_loss": gaussian_nll,
    F + "kl_div": kl,
    F + "nll_loss": nll,
    F + "cross_entropy": cross_entropy,
    F + "triplet_margin_loss": triplet,
    F + "margin_ranking_loss": margin_ranking,
    F + "batch_norm": batch_norm,
    F + "instance_norm": instance_norm,
    F + "group_norm": group_norm,
    F + "layer_norm": layer_norm,
    F + "rms_norm": rms_norm,
    F + "linear": linear,
    F + "bilinear": bilinear,
    F + "embedding": embedding,
    F + "embedding_bag": embedding_bag,
    F + "cosine_similarity": cosine_similarity,
    F + "scaled_dot_product_attention": attention,
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "mv": matmul,
    F + "cosine_embedding_loss": cosine_embedding,
    F + "hinge_embedding_loss": hinge_embedding,
    F + "pairwise_distance": pairwise_distance,
    "unfold": unfold,
    "outer": lambda a, b: own.outer(a, b),
    **OF_CATALOGUE,
}
#: Ops that the tests write as equations, alone or where the catalogue's does not take all that torch's takes.
WRITTEN = {**ELEMENTWISE, **REDUCTIONS, **PRODUCTS, **WINDOWS, **LOSSES}
#: The adapters by the names that torch has for its ops.
ADAPTERS: dict[str, Callable[..., Any]] = (
    CATALOGUE | WRITTEN | {name: either(op, WRITTEN[name]) for name, op in CATALOGUE.items() if name in WRITTEN}
)
