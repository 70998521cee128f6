"""Convolution, pooling, padding, patches and resampling of torch as equations."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor

from generated import torch as own
from tests.opinfo.equations import written
from tests.opinfo.reasons import Adapter, unless

__all__ = ["WINDOWS"]


def convolution(rank: int) -> Adapter:
    """Over that many axes, in groups; each axis has its own stride, padding before and behind, and dilation."""
    axes = range(rank)
    out, into, kernel = (", ".join(f"{letter}{d}" for d in axes) for letter in "plk")
    read = ", ".join(f"p{d}*stride{d} + k{d}*dilation{d} - pad{d}" for d in axes)
    constants = ", ".join(f"stride{d}=1, pad{d}=0, both{d}=0, dilation{d}=1" for d in axes)
    return written(
        f"y[n, (g, o), {out}] = conv(x[n, (g = groups, c), {into}], W[(g, o), c, {kernel}], b[(g, o)], groups=1, {constants})",
        *(f"size(p{d}) = (size(l{d}) + both{d} - dilation{d}*(size(k{d}) - 1) - 1)//stride{d} + 1" for d in axes),
        f"y[n, g, o, {out}] = b[g, o] + sum[c, {kernel}](x[n, g, c, {read}]*W[g, o, c, {kernel}])",
    )


def transposed(rank: int) -> Adapter:
    axes = range(rank)
    out, into, kernel = (", ".join(f"{letter}{d}" for d in axes) for letter in "plk")
    rows = f"W[g, c, o, {kernel}]*x[n, g, c, {into}]"
    for d in axes:
        rows = f"where(p{d} == l{d}*stride{d} + k{d}*dilation{d} - pad{d}, {rows}, 0)"
    constants = ", ".join(f"stride{d}=1, pad{d}=0, more{d}=0, dilation{d}=1" for d in axes)
    return written(
        f"y[n, (g, o), {out}] = back(x[n, (g = groups, c), {into}], W[(g, c), o, {kernel}], b[(g, o)], groups=1, {constants})",
        *(f"size(p{d}) = (size(l{d}) - 1)*stride{d} - 2*pad{d} + dilation{d}*(size(k{d}) - 1) + more{d} + 1" for d in axes),
        f"y[n, g, o, {out}] = b[g, o] + sum[c, {into}, {kernel}]({rows})",
    )


def each(value: Any, rank: int) -> tuple[int, ...]:
    """A number for all axes, or one for each."""
    return (value,) * rank if isinstance(value, int) else tuple(value) * (rank if len(value) == 1 else 1)


def numbered(**values: Sequence[int]) -> dict[str, int]:
    return {f"{name}{d}": v for name, given in values.items() for d, v in enumerate(given)}


CONVOLUTIONS, TRANSPOSED = [[made(rank) for rank in (1, 2, 3)] for made in (convolution, transposed)]


def conv(rank: int) -> Adapter:
    def called(
        x: Tensor, W: Tensor, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
    ) -> Tensor:
        stride, dilation = each(stride, rank), each(dilation, rank)
        if isinstance(padding, str):
            both = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, W.shape[2:], strict=True)]
            pad = [n // 2 for n in both]
        else:
            pad = list(each(padding, rank))
            both = [2 * n for n in pad]
        b = x.new_zeros(len(W)) if b is None else b
        given = numbered(stride=stride, pad=pad, both=both, dilation=dilation)
        rows = x if x.ndim == rank + 2 else x.unsqueeze(0)
        y = CONVOLUTIONS[rank - 1](rows, W, b, groups=groups, **given)
        return y if x.ndim == rank + 2 else y.squeeze(0)

    return called


def conv_transpose(rank: int) -> Adapter:
    def called(
        x: Tensor,
        W: Tensor,
        b: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Tensor:
        b = x.new_zeros(W.shape[1] * groups) if b is None else b
        names = {"stride": stride, "pad": padding, "more": output_padding, "dilation": dilation}
        given = numbered(**{n: each(v, rank) for n, v in names.items()})
        rows = x if x.ndim == rank + 2 else x.unsqueeze(0)
        y = TRANSPOSED[rank - 1](rows, W, b, groups=groups, **given)
        return y if x.ndim == rank + 2 else y.squeeze(0)

    return called


def pool(right: str) -> Adapter:
    """Over one axis; where windows may begin before the end and reach beyond it, ``extra`` rounds their number up."""
    return written(
        "y[*s, i] = pool(x[*s, l], kernel=2, stride=1, pad=0, dilation=1, extra=0)",
        "size(k) = kernel",
        "size(i) = (size(l) + 2*pad - dilation*(kernel - 1) - 1 + extra)//stride + 1",
        f"y[*s, i] = {right.replace('window', 'x[*s, i*stride + k*dilation - pad]')}",
    )


largest, summed = pool("max[k](window)"), pool("sum[k](window)")


def _extra(length: int, kernel: int, stride: int, pad: int, dilation: int, ceil: bool) -> int:
    """What rounds the number of windows up, but for one that would begin behind the padding."""
    reach = length + 2 * pad - dilation * (kernel - 1) - 1
    count = -(-reach // stride) + 1 if ceil else reach // stride + 1
    count -= ceil and (count - 1) * stride >= length + pad
    return max((count - 1) * stride - reach, 0)


def pooled(op: Adapter, x: Tensor, rank: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Tensor:
    """Over one axis after another."""
    kernel = each(kernel, rank)
    stride = kernel if stride is None or stride == () else each(stride, rank)
    padding, dilation = each(padding, rank), each(dilation, rank)
    for d, (k, s, p, a) in enumerate(zip(kernel, stride, padding, dilation, strict=True)):
        axis = d - rank
        extra = _extra(x.shape[axis], k, s, p, a, ceil)
        found = op(x.movedim(axis, -1), kernel=k, stride=s, pad=p, dilation=a, extra=extra)
        x = found.movedim(-1, axis)
    return x


def max_pool(rank: int) -> Adapter:
    """Values alone: positions are no output of ours."""

    def called(
        x: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Tensor:
        return pooled(largest, x, rank, kernel_size, stride, padding, dilation, ceil_mode)

    return called


def avg_pool(rank: int) -> Adapter:
    def called(
        x: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: Any = None,
    ) -> Tensor:
        sums = partial(pooled, summed, rank=rank, kernel=kernel_size, stride=stride, dilation=1, ceil=ceil_mode)
        found = sums(x, padding=padding)
        if divisor_override is not None:
            return found / divisor_override
        inside = torch.ones_like(x)
        unless(count_include_pad and ceil_mode and any(each(padding, rank)), "option")
        if not count_include_pad:
            return found / sums(inside, padding=padding)
        widths = [p for p in reversed(each(padding, rank)) for _ in (0, 1)]
        return found / sums(torch.nn.functional.pad(inside, widths, value=1.0), padding=0)

    return called


def wanted_sizes(x: Tensor, output_size: Any, rank: int) -> list[int]:
    sizes = output_size if isinstance(output_size, Sequence) else (output_size,) * rank
    return [n if m is None else m for n, m in zip(x.shape[x.ndim - rank :], sizes, strict=True)]


def adaptive_avg_pool(rank: int) -> Adapter:
    def called(x: Tensor, output_size: Any) -> Tensor:
        for d, length in enumerate(wanted_sizes(x, output_size, rank)):
            x = around(x.movedim(d - rank, -1), length=length).movedim(-1, d - rank)
        return x

    return called


def adaptive_max_pool(rank: int) -> Adapter:
    """Where the windows are all of one length and do not overlap."""

    def called(x: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
        lengths = list(zip(x.shape[x.ndim - rank :], wanted_sizes(x, output_size, rank), strict=True))
        unless(any(m == 0 or n % m for n, m in lengths), "option")
        return max_pool(rank)(x, [n // m for n, m in lengths])

    return called


unfolded = written(
    "y[n, c, k, m, p, q] = unfold(x[n, c, h, w], k0=1, k1=1, s0=1, s1=1, p0=0, p1=0, d0=1, d1=1)",
    "size(k) = k0",
    "size(m) = k1",
    "size(p) = (size(h) + 2*p0 - d0*(k0 - 1) - 1)//s0 + 1",
    "size(q) = (size(w) + 2*p1 - d1*(k1 - 1) - 1)//s1 + 1",
    "y[n, c, k, m, p, q] = x[n, c, p*s0 + k*d0 - p0, q*s1 + m*d1 - p1]",
)


def unfold(x: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    letters = zip("kspd", (kernel_size, stride, padding, dilation), strict=True)
    given = {f"{letter}{d}": n for letter, v in letters for d, n in enumerate(each(v, 2))}
    found = unfolded(x if x.ndim == 4 else x.unsqueeze(0), **given).flatten(1, 3).flatten(2)
    return found if x.ndim == 4 else found.squeeze(0)


def padding(right: str, *constants: str) -> Adapter:
    return written(
        f"y[*s, i] = pad({', '.join(['x[*s, l]', 'left=1', 'right=1', *constants])})",
        "size(i) = size(l) + left + right",
        f"y[*s, i] = {right}",
    )


PADDINGS = {
    "constant": padding("where(i - left < 0, value, where(i - left < size(l), x[*s, i - left], value))", "value=0.0"),
    "reflect": padding(
        "x[*s, i - left] + where(i < left, x[*s, left - i], 0) + where(i >= left + size(l), x[*s, 2*size(l) - 2 - i + left], 0)"
    ),
    "replicate": padding("x[*s, i - left] + where(i < left, x[*s, 0], 0) + where(i >= left + size(l), x[*s, size(l) - 1], 0)"),
    "circular": padding("x[*s, i - left] + x[*s, i - left + size(l)] + x[*s, i - left - size(l)]"),
}


def pad(x: Tensor, pad: Any, mode: str = "constant", value: Any = None) -> Tensor:
    """One axis after another, the last one first."""
    unless(mode != "constant" and min(pad, default=0) < 0, "option")
    given = {"value": float(value)} if value else {}
    for k, (left, right) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        if (left, right) == (0, 0):
            continue
        plain = mode == "constant" and not value and min(left, right) >= 0
        op = own.pad1d if plain else partial(PADDINGS[mode], **given)
        x = op(x.movedim(-1 - k, -1), left=left, right=right).movedim(-1, -1 - k)
    return x


nearest = written(
    "y[*s, i] = nearest(x[*s, l], length=2, up=1, down=1, offset=0)",
    "size(i) = length",
    "y[*s, i] = sum[l](where(l*up <= i*down + offset, where(i*down + offset < l*up + up, x[*s, l], 0), 0))",
)
around = written(
    "y[*s, i] = around(x[*s, l], length=2)",
    "size(i) = length",
    "c[i, l] = where(i*size(l) < l*length + length, where(l*length < i*size(l) + size(l), 1, 0), 0)",
    "y[*s, i] = sum[l](c[i, l]*x[*s, l])/sum[l](c[i, l])",
)


def upsample(
    x: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", recompute_scale_factor: Any = None, **_: Any
) -> Tensor:
    """One axis after another: the entry at, or next to, the position that the lengths or the given factor say."""
    unless(mode not in ("nearest", "nearest-exact", "area"), "option")
    rank = x.ndim - 2
    factors = (
        [None] * rank
        if scale_factor is None
        else list(scale_factor)
        if isinstance(scale_factor, Sequence)
        else [scale_factor] * rank
    )
    sizes = [int(n * f) for n, f in zip(x.shape[2:], factors, strict=True)] if size is None else each(size, rank)
    for d, (length, factor) in enumerate(zip(sizes, factors, strict=True)):
        axis = d - rank
        exact = mode == "nearest-exact"
        given = factor is not None and not recompute_scale_factor
        by = Fraction(str(factor)) if given else Fraction(length, x.shape[axis])
        up, down = ((1 + exact) * n for n in (by.numerator, by.denominator))
        op = (
            partial(around, length=length)
            if mode == "area"
            else partial(nearest, length=length, up=up, down=down, offset=exact * by.denominator)
        )
        x = op(x.movedim(axis, -1)).movedim(-1, axis)
    return x


shuffled = written(
    "y[n, c, (h, p), (w, q)] = shuffle(x[n, (c, p = r, q = r), h, w], r=2)", "y[n, c, h, p, w, q] = x[n, c, p, q, h, w]"
)
unshuffled = written(
    "y[n, (c, p, q), h, w] = unshuffle(x[n, c, (h, p = r), (w, q = r)], r=2)", "y[n, c, p, q, h, w] = x[n, c, h, p, w, q]"
)
channels = written("y[n, (c, g), *s] = channels(x[n, (g = groups, c), *s], groups=2)", "y[n, c, g, *s] = x[n, g, c, *s]")


def shuffle(op: Adapter) -> Adapter:
    def called(x: Tensor, upscale_factor: int = 1, downscale_factor: int = 1) -> Tensor:
        y = op(x.reshape(x.shape[:-3].numel(), *x.shape[-3:]), r=upscale_factor * downscale_factor)
        return y.reshape(*x.shape[:-3], *y.shape[1:])

    return called


F = "nn.functional."
WINDOWS: dict[str, Adapter] = {
    **{F + f"conv{rank}d": conv(rank) for rank in (1, 2, 3)},
    **{F + f"conv_transpose{rank}d": conv_transpose(rank) for rank in (1, 2, 3)},
    **{F + f"max_pool{rank}d": max_pool(rank) for rank in (1, 2, 3)},
    **{F + f"avg_pool{rank}d": avg_pool(rank) for rank in (1, 2, 3)},
    **{F + f"adaptive_avg_pool{rank}d": adaptive_avg_pool(rank) for rank in (1, 2, 3)},
    **{F + f"adaptive_max_pool{rank}d": adaptive_max_pool(rank) for rank in (1, 2, 3)},
    F + "unfold": unfold,
    F + "pad": pad,
    "constant_pad_nd": lambda x, pad_, value=0: pad(x, pad_, value=value),
    F + "interpolate": upsample,
    F + "upsample_nearest": upsample,
    F + "pixel_shuffle": shuffle(shuffled),
    F + "pixel_unshuffle": shuffle(unshuffled),
    F + "channel_shuffle": lambda x, groups: channels(x, groups=groups),
}
