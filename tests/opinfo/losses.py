"""What torch's losses take beyond those of the catalogue, as equations: weights, smoothed labels, each reduction."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from generated import torch as own
from tests.opinfo.equations import written
from tests.opinfo.reasons import Adapter, unless

__all__ = ["LOSSES", "cross_entropy", "nll"]


def of_entries(signature: str, right: str, *before: str) -> dict[str, Adapter]:
    """A loss of each entry under ``none``, and reduced to a number; a name ``e[*s]`` has the entries."""
    lines = (*before, f"e[*s] = {right}")
    ends = {"sum": "sum[s](e[*s])", "mean": "mean[s](e[*s])"}
    made = {how: written(f"loss = entries({signature})", *lines, f"loss = {end}") for how, end in ends.items()}
    return made | {"none": written(f"e[*s] = entries({signature})", *lines)}


def of_rows(signature: str, entry: str, count: str, *before: str) -> dict[str, Adapter]:
    """A loss of rows, whose mean divides by ``count``."""
    lines = (*before, f"e[n] = {entry}")
    mean = f"loss = sum[n](e[n])/{count}"
    return {
        "none": written(f"e[n] = entries({signature})", *lines),
        "sum": written(f"loss = entries({signature})", *lines, "loss = sum[n](e[n])"),
        "mean": written(f"loss = entries({signature})", *lines, mean),
    }


#: The weights of the labels that are not ignored.
KEPT = "sum[n](where(t[n] != ignore, w[t[n]], 0))"
NLL = of_rows("z[n, c], t[n], w[c], ignore=-100", "where(t[n] != ignore, -w[t[n]]*z[n, t[n]], 0)", KEPT, "t[n] in c")
CROSS_ENTROPY = of_rows(
    "z[n, c], t[n], w[c], ignore=-100, smoothing=0.0",
    "where(t[n] != ignore, (smoothing - 1)*w[t[n]]*logp[n, t[n]] - smoothing*mean[c](w[c]*logp[n, c]), 0)",
    KEPT,
    "t[n] in c",
    "logp[n, c] = log(exp(z[n, c])/sum[c](exp(z[n, c])))",
)
SOFT_CROSS_ENTROPY = of_rows(
    "z[n, c], t[n, c], w[c], smoothing=0.0",
    "-sum[c](w[c]*(t[n, c]*(1 - smoothing) + smoothing/size(c))*logp[n, c])",
    "size(n)",
    "logp[n, c] = log(exp(z[n, c])/sum[c](exp(z[n, c])))",
)


def rows_of(x: Tensor) -> Tensor:
    """Classes last, in a matrix."""
    return (x.unsqueeze(0) if x.ndim == 1 else x).movedim(1, -1).flatten(0, -2)


def shaped(found: Tensor, x: Tensor) -> Tensor:
    """The losses of rows in the shape that logits have without their classes; a reduced loss as it is."""
    return found.reshape([n for d, n in enumerate(x.shape) if d != min(1, x.ndim - 1)]) if found.ndim else found


def nll(x: Tensor, t: Tensor, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", **_: Any) -> Tensor:
    rows = rows_of(x)
    w = x.new_ones(rows.shape[1]) if weight is None else weight
    return shaped(NLL[reduction](rows, t.flatten(), w, ignore=ignore_index), x)


def cross_entropy(
    x: Tensor,
    t: Tensor,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    **_: Any,
) -> Tensor:
    rows = rows_of(x)
    w = x.new_ones(rows.shape[1]) if weight is None else weight
    smoothing = float(label_smoothing)
    if t.is_floating_point():
        return shaped(SOFT_CROSS_ENTROPY[reduction](rows, rows_of(t), w, smoothing=smoothing), x)
    return shaped(CROSS_ENTROPY[reduction](rows, t.flatten(), w, ignore=ignore_index, smoothing=smoothing), x)


def linear_cross_entropy(
    x: Tensor,
    W: Tensor,
    t: Tensor,
    *,
    options: Any = None,
    linear_bias: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    **given: Any,
) -> Tensor:
    """Classes stand before further axes in the weights, as in logits."""
    in_chunks = options is not None and not label_smoothing and W.ndim == 2 and not t.is_floating_point()
    unless(in_chunks, "chunked")
    given |= {"ignore_index": -100 if ignore_index is None else ignore_index, "label_smoothing": label_smoothing}
    classes = W.shape[:-1]
    z = own.linear(x, W.flatten(0, -2).T, x.new_zeros(classes.numel()) if linear_bias is None else linear_bias.flatten())
    z = z.reshape(*x.shape[:-1], *classes)
    return cross_entropy(z, t, **given)


LOGARITHMS = (
    "u[*s] = where(x[*s] == 0, -100, log(where(x[*s] == 0, 1, x[*s])))",
    "v[*s] = where(x[*s] == 1, -100, log(where(x[*s] == 1, 1, 1 - x[*s])))",
)
BCE = of_entries("x[*s], t[*s], w[*s]", "-w[*s]*(t[*s]*u[*s] + (1 - t[*s])*v[*s])", *LOGARITHMS)
LOGITS = of_entries("x[*s], t[*s], w[*s], p[*s]", "w[*s]*((1 - t[*s])*log(1 + exp(x[*s])) + t[*s]*p[*s]*log(1 + exp(-x[*s])))")
SQUARES = of_entries("x[*s], t[*s], w[*s]", "w[*s]*(x[*s] - t[*s])**2")
DISTANCES = of_entries("x[*s], t[*s], w[*s]", "w[*s]*abs(x[*s] - t[*s])")
POISSON = {
    log: of_entries(
        "x[*s], t[*s], eps=1e-8, full=0",
        f"{right} + full*where(t[*s] > 1, log(above[*s])*(t[*s] + 0.5) - t[*s] + log(2*{math.pi!r})/2, 0)",
        "above[*s] = where(t[*s] > 1, t[*s], 1)",
    )
    for log, right in ((True, "exp(x[*s]) - t[*s]*x[*s]"), (False, "x[*s] - t[*s]*log(x[*s] + eps)"))
}
KL = {
    False: of_entries("x[*s], t[*s]", "where(t[*s] == 0, 0, t[*s]*log(where(t[*s] == 0, 1, t[*s]))) - t[*s]*x[*s]"),
    True: of_entries("x[*s], t[*s]", "exp(t[*s])*(t[*s] - x[*s])"),
}
HINGE_EMBEDDING = of_entries("x[*s], t[*s], margin=1.0", "where(t[*s] == 1, x[*s], where(x[*s] < margin, margin - x[*s], 0))")
HUBER = of_entries(
    "x[*s], t[*s], w[*s], delta=1.0",
    "w[*s]*where(d[*s] <= delta, d[*s]**2/2, delta*(d[*s] - delta/2))",
    "d[*s] = abs(x[*s] - t[*s])",
)
RANKING = of_entries("a[*s], b[*s], t[*s], margin=0.0", "maximum(0, margin - t[*s]*(a[*s] - b[*s]))")
SOFT_MARGIN = of_entries("x[*s], t[*s]", "log(1 + exp(-t[*s]*x[*s]))")
MULTI_MARGIN = written(
    "e[n] = margins(x[n, c], t[n], w[c], margin=1.0, p=1)",
    "t[n] in c",
    "m[n, c] = maximum(0, margin - x[n, t[n]] + x[n, c])",
    "e[n] = w[t[n]]*sum[c](where(c == t[n], 0, m[n, c]**p))/size(c)",
)


def reduced(entries: Tensor, reduction: str) -> Tensor:
    """A few losses are reduced by torch's own mean and sum, whose gradients are no part of what is tested."""
    return entries if reduction == "none" else entries.mean() if reduction == "mean" else entries.sum()


def entrywise(loss: dict[str, Adapter], tensors: int) -> Adapter:
    """A loss of that many tensors of one shape; those that are left out are ones."""

    def called(
        x: Tensor, *more: Any, reduction: str = "mean", size_average: Any = None, reduce: Any = None, **given: Any
    ) -> Tensor:
        weights = [given.pop(name, None) for name in ("weight", "pos_weight")]
        found = [*more, *weights][: tensors - 1]
        found = [x.new_ones(()) if v is None else v.to(x.dtype) for v in found]
        return loss[reduction](*torch.broadcast_tensors(x, *found), **given)

    return called


def poisson(
    x: Tensor, t: Tensor, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean", **_: Any
) -> Tensor:
    return POISSON[log_input][reduction](*torch.broadcast_tensors(x, t), eps=eps, full=int(full))


def kl(x: Tensor, t: Tensor, reduction: str = "mean", log_target: bool = False, **_: Any) -> Tensor:
    x, t = torch.broadcast_tensors(x, t)
    if reduction == "batchmean":
        return KL[log_target]["sum"](x, t) / (len(x) if x.ndim else 1)
    return KL[log_target][reduction](x, t)


def margin_ranking(a: Tensor, b: Tensor, t: Tensor, margin: float = 0.0, reduction: str = "mean") -> Tensor:
    return RANKING[reduction](*torch.broadcast_tensors(a, b, t.to(a.dtype)), margin=float(margin))


def multi_margin(
    x: Tensor, t: Tensor, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean", **_: Any
) -> Tensor:
    rows = x.reshape(1, -1) if x.ndim < 2 else x
    w = x.new_ones(rows.shape[1]) if weight is None else weight
    entries = MULTI_MARGIN(rows, t.reshape(len(rows)), w, margin=float(margin), p=p)
    return reduced(entries.reshape(t.shape if x.ndim < 2 else -1), reduction)


def multilabel_soft_margin(x: Tensor, t: Tensor, weight: Any = None, reduction: str = "mean", **_: Any) -> Tensor:
    w = torch.ones_like(x) if weight is None else weight.expand(x.shape)
    entries = LOGITS["none"](x, t.to(x.dtype), w, torch.ones_like(x))
    return reduced(entries.mean(-1), reduction)


def huber(x: Tensor, t: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Tensor:
    x, t, w = torch.broadcast_tensors(x, t, x.new_ones(()) if weight is None else weight)
    return HUBER[reduction](x, t, w, delta=float(delta))


def hinge_embedding(x: Tensor, t: Tensor, margin: float = 1.0, reduction: str = "mean", **_: Any) -> Tensor:
    unless(bool((t.abs() != 1).any()), "option")
    return HINGE_EMBEDDING[reduction](*torch.broadcast_tensors(x, t.to(x.dtype)), margin=float(margin))


F = "nn.functional."
LOSSES: dict[str, Adapter] = {
    F + "nll_loss": nll,
    F + "cross_entropy": cross_entropy,
    F + "linear_cross_entropy": linear_cross_entropy,
    F + "binary_cross_entropy": entrywise(BCE, 3),
    F + "binary_cross_entropy_with_logits": entrywise(LOGITS, 4),
    F + "mse_loss": entrywise(SQUARES, 3),
    F + "l1_loss": entrywise(DISTANCES, 3),
    F + "huber_loss": huber,
    F + "soft_margin_loss": entrywise(SOFT_MARGIN, 2),
    F + "hinge_embedding_loss": hinge_embedding,
    F + "poisson_nll_loss": poisson,
    F + "kl_div": kl,
    F + "margin_ranking_loss": margin_ranking,
    F + "multi_margin_loss": multi_margin,
    F + "multilabel_soft_margin_loss": multilabel_soft_margin,
}
