"""Stars anywhere among the axes, for any number of axes in their place, held against the same in torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from tests.native_ops import COMPILER, Native, compiled, plainly

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

Function = Callable[..., Any]
SIZES = {"n": 2, "c": 3, "k": 4, "i": 3, "j": 2, "d": 5, "v": 4, "r": 2}
#: What stands in place of a star.
SHAPES = [(), (3,), (2, 3), (2, 1, 3), (1, 1), (0, 2)]


@dataclass(frozen=True)
class Case:
    """An op and the same in torch. ``*s`` comes as one axis, to which the function need not know how many it stands for."""

    text: str
    torch: Function


CASES = [
    Case("y[c,*s] = scaled(w[c], x[*s])\ny[c,s] = w[c]*x[s]", lambda w, x: w[:, None] * x),
    Case("y[r,*s] = turned(x[*s,r])\ny[r,s] = x[s,r]", lambda x: x.T),
    Case("mu[n,c] = centre(x[n,c,*s])\nmu[n,c] = mean[s](x[n,c,s])", lambda x: x.mean(-1)),
    Case("r[*s] = whole(a[k,*s])\nr[s] = sum[k,s](a[k,s])", lambda a: a.sum().expand(a.shape[1])),
    Case("y[c] = against(x[c,*s], g[*s])\ny[c] = sum[s](x[c,s]*g[s])", lambda x, g: x @ g),
    Case("p[c,*s] = shares(x[c,*s])\np[c,s] = exp(x[c,s])/sum[c](exp(x[c,s]))", lambda x: x.softmax(0)),
    Case("p[c,*s] = along(x[c,*s])\np[c,s] = exp(x[c,s])/sum[s](exp(x[c,s]))", lambda x: x.softmax(1)),
    Case(
        "q[i,*s] = spread(v[*s], u[i])\nh = sum[s](v[s])\nq[i,s] = h*u[i]",
        lambda v, u: (v.sum() * u)[:, None].expand(-1, len(v)),
    ),
    Case("q[i,*s] = both(v[*s], u[i])\nh = sum[s](v[s])\nq[i,s] = h*u[i] + v[s]", lambda v, u: v.sum() * u[:, None] + v),
    Case(
        "y[d,n,*s] = repeated(w[n], x[d,*s])\ny[d,n,s] = w[n]", lambda w, x: w[None, :, None].expand(x.shape[0], -1, x.shape[1])
    ),
    Case("y[*s] = biggest(x[k,*s])\ny[s] = max[k](x[k,s])", lambda x: x.amax(0)),
    Case(
        "y[c] = biggest_of_all(x[c,*s])\ny[c] = max[s](x[c,s]**2 + 1)",
        lambda x: torch.cat([x**2 + 1, -torch.inf * torch.ones(len(x), 1)], 1).amax(1),
    ),
    Case(
        "y[i,*s,j] = middle(x[i,*s,j], w[*s])\ny[i,s,j] = x[i,s,j]*w[s] + sum[s](x[i,s,j])",
        lambda x, w: x * w[:, None] + x.sum(1, keepdim=True),
    ),
    Case("y[i,*s] = product(a[i,k], b[k,*s])\ny[i,s] = sum[k](a[i,k]*b[k,s])", lambda a, b: a @ b),
    Case("y[i,j] = gram(a[i,*s], b[j,*s])\ny[i,j] = sum[s](a[i,s]*b[j,s])", lambda a, b: a @ b.T),
    Case(
        "y[c] = share(x[c,*s])\ny[c] = sum[s](x[c,s])/(1 + size(s)) + size(s)/2",
        lambda x: x.sum(1) / (1 + x.shape[1]) + x.shape[1] / 2,
    ),
    Case("y[d,*s] = looked_up(w[v,d], t[*s])\nt[s] in v\ny[d,s] = w[t[s],d]", lambda w, t: w[t].T),
    Case(
        "y[*s] = picked(z[c,*s], t[*s])\nt[s] in c\ny[s] = z[t[s],s] - log(sum[c](exp(z[c,s])))",
        lambda z, t: z.log_softmax(0).gather(0, t[None])[0],
    ),
    Case(
        "y[d,*s] = normed(x[d,*s], g[d])\nmu[s] = mean[d](x[d,s])\nc[d,s] = x[d,s] - mu[s]\n"
        "y[d,s] = g[d]*c[d,s]/sqrt(mean[d](c[d,s]**2) + 1/100)",
        lambda x, g: g[:, None] * (x - x.mean(0)) / (((x - x.mean(0)) ** 2).mean(0) + 0.01).sqrt(),
    ),
    Case("y[*s], z[c] = two(x[c,*s])\ny[s] = sum[c](x[c,s])\nz[c] = sum[s](x[c,s]**2)", lambda x: (x.sum(0), (x**2).sum(1))),
    Case("y[*s] = other(x[*s], w[*t])\ny[s] = x[s]*sum[t](w[t]**2)", lambda x, w: x * (w**2).sum()),
]


@pytest.fixture(scope="module")
def ops() -> Iterator[dict[str, Native]]:
    with plainly():
        found = compiled([case.text for case in CASES])
        yield dict(zip([case.text for case in CASES], found, strict=True))


def tensors(op: Native, star: tuple[int, ...], dtype: Any, seed: int) -> dict[str, np.ndarray[Any, Any]]:
    rng, out = np.random.default_rng(seed), {}
    for t in op.kernel.op.inputs:
        shape = [n for a in t.axes for n in (star if a in op.kernel.op.stars else (SIZES[a],))]
        out[t.name] = rng.integers(0, SIZES[t.labels], shape) if t.labels else rng.normal(size=shape).astype(dtype)
    return out


def flat(op: Native, name: str, value: Any, star: tuple[int, ...]) -> torch.Tensor:
    """A tensor in float64 with one axis in place of each star."""
    axes = op.kernel.op.tensor(name).axes
    shape = [math.prod(star) if a in op.kernel.op.stars else SIZES[a] for a in axes]
    found = torch.as_tensor(np.asarray(value)).reshape(shape)
    return found.double() if found.is_floating_point() else found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("star", SHAPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text.split(" = ")[1].split("(")[0])
def test_a_star_anywhere(ops: dict[str, Native], case: Case, star: tuple[int, ...], dtype: Any) -> None:
    """Values, shapes and gradients, forward and backward apart and together."""
    op = ops[case.text]
    names = [t.name for t in op.kernel.op.outputs]
    given: dict[str, Any] = tensors(op, star, dtype, len(star))
    leaves = {n: flat(op, n, v, star).requires_grad_(v.dtype.kind == "f") for n, v in given.items()}
    found = case.torch(*leaves.values())
    wanted = dict(zip(names, found if isinstance(found, tuple) else (found,), strict=True))
    outputs, saved = op.forward(given)
    rng = np.random.default_rng(0)
    upstream = {f"d{n}": rng.normal(size=np.shape(v)).astype(dtype) for n, v in outputs.items()}
    inputs = [n for n, v in leaves.items() if v.requires_grad]
    slopes = torch.autograd.grad(
        list(wanted.values()),
        [leaves[n] for n in inputs],
        [flat(op, n, upstream[f"d{n}"], star) for n in names],
        allow_unused=True,
    )
    for n, g in zip(inputs, slopes, strict=True):
        wanted[f"d{n}"] = torch.zeros_like(leaves[n]) if g is None else g
    apart = outputs | op.backward(given | saved | upstream)
    together = op.forward_backward(given | upstream)
    for name, want in wanted.items():
        want = want.detach()
        largest = float(want.nan_to_num().abs().max()) if want.numel() else 0.0
        for got in (apart[name], together[name]):
            like = given[name[1:]] if name not in names else outputs[name]
            assert np.shape(got) == np.shape(like) and np.asarray(got).dtype == dtype, name
            bound = 1e-12 if dtype is np.float64 else 1e-5
            shown = torch.as_tensor(np.asarray(got)).double().reshape(want.shape)
            assert torch.allclose(shown, want, rtol=bound, atol=bound * largest, equal_nan=True), name
    for t in op.kernel.op.outputs:
        shape = [n for a in t.axes for n in (star if a in op.kernel.op.stars else (SIZES[a],))]
        assert np.shape(outputs[t.name]) == tuple(shape)
