"""``*s`` wherever it may stand, for any number of axes, none among them, and for empty ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch

from tests.backends import arguments, each_array_backend
from tests.judged import judge, kernel, module, normal

#: The lengths of the axes in the place of ``*s``.
RANKS = ((), (3,), (2, 3), (2, 1, 3), (2, 0, 3), (0,))
N, C, R = 2, 4, 3


class System(NamedTuple):
    """Equations, the shapes of the inputs for given star axes, and the same in torch."""

    text: str
    shapes: Callable[[tuple[int, ...]], list[tuple[int, ...]]]
    reference: Callable[..., Any]


def ahead(v: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    """A vector whose axis comes before all those of another tensor."""
    return v.reshape(-1, *[1] * of.ndim)


def over_star(x: torch.Tensor, lead: int) -> tuple[int, ...]:
    return tuple(range(lead, x.ndim))


def total(x: torch.Tensor, lead: int) -> torch.Tensor:
    """The sum over all axes but the leading ones."""
    return x.sum(over_star(x, lead)) if x.ndim > lead else x


SYSTEMS = {
    "behind an axis": System(
        """y[c, *s] = f(w[c], x[*s])
        y[c, *s] = w[c]*x[*s]""",
        lambda s: [(C,), s],
        lambda w, x: ahead(w, x) * x,
    ),
    "moved behind": System(
        """y[r, *s] = f(x[*s, r])
        y[r, *s] = x[*s, r]""",
        lambda s: [(*s, R)],
        lambda x: x.movedim(-1, 0) * 1,
    ),
    "in the middle": System(
        """y[r, *s, c] = f(x[c, *s], w[*s, r])
        y[r, *s, c] = exp(x[c, *s])*w[*s, r]""",
        lambda s: [(C, *s), (*s, R)],
        lambda x, w: torch.exp(x).movedim(0, -1) * w.movedim(-1, 0)[..., None],
    ),
    "averaged": System(
        """mu[n, c] = f(x[n, c, *s])
        mu[n, c] = mean[s](x[n, c, *s]**2)""",
        lambda s: [(N, C, *s)],
        lambda x: (x**2).reshape(N, C, math.prod(x.shape[2:])).mean(-1),
    ),
    "summed beside another, and kept": System(
        """r[*s] = f(a[k, *s])
        r[*s] = sum[k, s](a[k, *s]**2)""",
        lambda s: [(R, *s)],
        lambda a: (a**2).sum().expand(a.shape[1:]),
    ),
    "summed beside another": System(
        """r[n, *s] = f(a[k, *s], b[n, *s])
        h = sum[k, s](a[k, *s])
        r[n, *s] = h*b[n, *s] + sum[k](a[k, *s])""",
        lambda s: [(R, *s), (N, *s)],
        lambda a, b: a.sum() * b + a.sum(0),
    ),
    "a contraction": System(
        """y[c] = f(x[c, *s], g[*s])
        y[c] = sum[s](x[c, *s]*g[*s])""",
        lambda s: [(C, *s), s],
        lambda x, g: total(x * g, 1),
    ),
    "a matrix product over it": System(
        """y[c, r] = f(x[c, *s], g[*s, r])
        y[c, r] = sum[s](x[c, *s]*g[*s, r])""",
        lambda s: [(C, *s), (*s, R)],
        lambda x, g: x.reshape(C, math.prod(x.shape[1:])) @ g.reshape(math.prod(x.shape[1:]), R),
    ),
    "a softmax before it": System(
        """y[c, *s] = f(x[c, *s])
        y[c, *s] = exp(x[c, *s])/sum[c](exp(x[c, *s]))""",
        lambda s: [(C, *s)],
        lambda x: torch.softmax(x, 0),
    ),
    "a softmax over it": System(
        """y[c, *s] = f(x[c, *s])
        y[c, *s] = softmax(x[c, *s])""",
        lambda s: [(C, *s)],
        lambda x: torch.softmax(x.reshape(C, math.prod(x.shape[1:])), 1).reshape(x.shape),
    ),
    "a scalar of it": System(
        """q[i, *s] = f(v[*s], w[i])
        h = sum[s](v[*s])
        q[i, *s] = h*w[i] + 0*v[*s]""",
        lambda s: [s, (R,)],
        lambda v, w: (v.sum() * ahead(w, v)).expand(R, *v.shape) * 1,
    ),
    "summed alone": System(
        """y = f(x[*s])
        y = sum[s](x[*s])""",
        lambda s: [s],
        lambda x: x.sum() * 1,
    ),
    "repeated over it": System(
        """y[d, n, *s] = f(w[n], z[d, *s])
        y[d, n, *s] = w[n]""",
        lambda s: [(N,), (R, *s)],
        lambda w, z: ahead(w, z[0]).expand(R, N, *z.shape[1:]) * 1,
    ),
    "repeated behind it": System(
        """y[*s, c] = f(x[*s], w[c])
        y[*s, c] = w[c]""",
        lambda s: [s, (C,)],
        lambda x, w: w.expand(*x.shape, C) * 1,
    ),
    "before an axis of another": System(
        """y[*s, c] = f(x[*s], g[c])
        y[*s, c] = x[*s]*g[c]""",
        lambda s: [s, (C,)],
        lambda x, g: x[..., None] * g,
    ),
    "an outer product that is summed": System(
        """y[*s] = f(x[*s], g[c])
        y[*s] = sum[c](tanh(x[*s]*g[c]))""",
        lambda s: [s, (C,)],
        lambda x, g: torch.tanh(x[..., None] * g).sum(-1),
    ),
    "transposed behind it": System(
        """y[*s, c, r] = f(x[*s, r, c], w[r, c])
        y[*s, c, r] = x[*s, r, c]*w[r, c]""",
        lambda s: [(*s, R, C), (R, C)],
        lambda x, w: (x * w).mT * 1,
    ),
    "three axes permuted behind it": System(
        """y[*s, n, c, r] = f(x[*s, c, r, n])
        y[*s, n, c, r] = exp(x[*s, c, r, n])""",
        lambda s: [(*s, C, R, N)],
        lambda x: torch.exp(x).movedim(-1, -3),
    ),
    "a diagonal behind it": System(
        """y[*s, i] = f(x[*s, i, j])
        y[*s, i] = x[*s, i, i]**2""",
        lambda s: [(*s, R, R)],
        lambda x: x.diagonal(0, -2, -1) ** 2,
    ),
    "of an input that nothing reads": System(
        """y[n] = f(x[n], u[*s], v[n, *s])
        y[n] = x[n]**2""",
        lambda s: [(N,), s, (N, *s)],
        lambda x, u, v: x**2,
    ),
    "a number over it": System(
        """y[*s] = f(x[*s])
        y[*s] = 2""",
        lambda s: [s],
        lambda x: torch.full_like(x, 2),
    ),
    "the identity": System(
        """y[*s] = f(x[*s])
        y[*s] = x[*s]""",
        lambda s: [s],
        lambda x: x * 1,
    ),
    "counted": System(
        """y[n] = f(x[n, *s])
        y[n] = sum[s](x[n, *s])*(size(s) + size(n))""",
        lambda s: [(N, *s)],
        lambda x: total(x, 1) * (math.prod(x.shape[1:]) + N),
    ),
    "two of them": System(
        """y[*s], z[*r, n] = f(x[*s], w[n, *r])
        h = sum[r, n](w[n, *r])
        y[*s] = exp(x[*s])*h
        z[*r, n] = w[n, *r]**2*sum[s](x[*s])""",
        lambda s: [s, (N, 2, 1)],
        lambda x, w: (torch.exp(x) * w.sum(), (w**2 * x.sum()).movedim(0, -1)),
    ),
    "labels of it": System(
        """y[*s, d] = f(table[v, d], t[*s], w[*s])
        t[*s] in v
        y[*s, d] = table[t[*s], d]*w[*s]""",
        lambda s: [(C, R), s, s],
        lambda table, t, w: table[t] * w[..., None],
    ),
    "labels at it": System(
        """y[*s] = f(z[*s, v], t[*s])
        t[*s] in v
        y[*s] = z[*s, t[*s]]**2""",
        lambda s: [(*s, C), s],
        lambda z, t: z.gather(-1, t[..., None])[..., 0] ** 2,
    ),
    "labels of something else before it": System(
        """y[n, *s] = f(z[v, *s], t[n])
        t[n] in v
        y[n, *s] = z[t[n], *s]**2""",
        lambda s: [(C, *s), (N,)],
        lambda z, t: z[t] ** 2,
    ),
    "before what another axis was averaged out of": System(
        """y[*s, c], r[*s, c] = f(x[*s, c], h[n, c])
        y[*s, c] = x[*s, c]*mean[n](h[n, c])
        r[*s, c] = mean[n](h[n, c])""",
        lambda s: [(*s, C), (N, C)],
        lambda x, h: (x * h.mean(0), h.mean(0).expand(x.shape)),
    ),
}


@each_array_backend
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_star_anywhere_stands_for_any_number_of_axes(name: str, backend: str) -> None:
    system = SYSTEMS[name]
    for seed, star in enumerate(RANKS):
        shapes = system.shapes(star)
        inputs = normal(*shapes, seed=seed)
        for k, t in enumerate(kernel(system.text).op.inputs):
            if t.labels is not None:
                inputs[k] = torch.randint(0, C, shapes[k])
        judge(system.text, backend, system.reference, inputs)


@each_array_backend
def test_arguments_whose_star_axes_differ_are_refused_though_their_entries_are_as_many(backend: str) -> None:
    text = "y[c, *s] = f(w[c, *s], x[*s])\ny[c, *s] = w[c, *s]*x[*s]"
    w, x = normal((C, 2, 3), (3, 2))
    with pytest.raises(ValueError, match=r"x has length .* on axis \*s"):
        module(text, backend).f_forward(*arguments(backend, w, x))
