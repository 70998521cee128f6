"""Outputs that hold positions: integers behind the numbers, with no gradient, in every backend that has them."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.discovery import by_name
from codegen.build import build
from codegen.plan import plan
from codegen.verify.agreement import load_kernel
from derive.certify import certify
from derive.errors import OpError
from derive.show.show import signature
from derive.tangents import tangents
from tests.backends import each_array_backend
from tests.judged import kernel, lines, module, normal

BEST = """
    y[n], a[n] = best(x[n, k])
    a[n] = argmax[k](x[n, k])
    y[n] = x[n, a[n]]**2
"""
#: The position is read by no equation, and the maximum shares its gradient among ties.
STARRED = """
    m[n, *s], a[n, *s], b[*s] = starred(x[n, k, *s], w[*s])
    a[n, *s] = argmax[k](x[n, k, *s])
    m[n, *s] = w[*s]*max[k](x[n, k, *s])
    b[*s] = argmin[n](m[n, *s])
"""
PACKED = """
    m[n, (h, f)], a[n, (h, f)] = packed(x[n, k, (h = 2, f)])
    a[n, h, f] = argmax[k](x[n, k, h, f])
    m[n, h, f] = x[n, a[n, h, f], h, f]**2
"""
WHOLE = """
    y, a = whole(x[k])
    a = argmax[k](x[k])
    y = x[a]**2
"""
#: The best path: which step before was the best one for each.
VITERBI = """
    v[t, k], b[t, k] = viterbi(x[t, k], T[j, k])
    s[t, j, k] = v[t - 1, j] + T[j, k]
    b[t, k] = argmax[j](s[t, j, k])
    v[t, k] = x[t, k] + max[j](s[t, j, k])
"""
LARGEST = """
    y[n, k] = largest(x[n, k], count=3)
    r[n, k] = sum[j](where(x[n, j] > x[n, k], 1, where(x[n, j] == x[n, k], where(j < k, 1, 0), 0)))
    y[n, k] = where(r[n, k] < count, x[n, k], 0)
"""
TIED = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, -1.0, 0.0], [1.0, math.nan, 3.0], [-math.inf, -math.inf, -math.inf]]


def forward(text: str, backend: str, *inputs: Any) -> list[np.ndarray]:
    """What the forward gives its callers, as NumPy arrays."""
    made, found = kernel(text), by_name(backend)
    with found.running():
        outputs, _ = getattr(module(text, backend), made.forward.name)(*(found.to(np.asarray(v)) for v in inputs))
        return [np.asarray(found.back(v)) for v in outputs]


def differentiable(text: str) -> ModuleType:
    """The torch module of an op, which has tangents too."""
    derivation = derive.derive(derive.parse(lines(text)))
    return load_kernel(plan(derivation, tangents(derivation)), "torch")


@each_array_backend
def test_the_first_of_the_largest_is_found_as_torch_finds_it(backend: str) -> None:
    y, a = forward(BEST, backend, TIED)
    assert a.dtype.kind == "i" and a.tolist() == torch.tensor(TIED).argmax(1).tolist()
    np.testing.assert_array_equal(y, np.array(TIED)[np.arange(5), a] ** 2)


@each_array_backend
def test_positions_have_the_axes_that_callers_have(backend: str) -> None:
    (x, w, p) = normal((3, 4, 2, 5), (2, 5), (3, 4, 6))
    m, a, b = forward(STARRED, backend, x, w)
    wanted = w * x.amax(1)
    assert np.array_equal(a, x.argmax(1)) and np.array_equal(b, wanted.argmin(0)) and np.allclose(m, wanted)
    _, a = forward(PACKED, backend, p)
    assert np.array_equal(a, p.argmax(1))
    y, a = forward(WHOLE, backend, x[0, :, 0, 0])
    assert a.shape == () and int(a) == int(x[0, :, 0, 0].argmax())


@each_array_backend
def test_a_recurrence_gives_back_pointers(backend: str) -> None:
    """Followed from the last step, they are the best of all paths, of which there are 3**4."""
    x, T = (v.numpy() for v in normal((4, 3), (3, 3)))
    v, b = forward(VITERBI, backend, x, T)
    paths = np.stack(np.meshgrid(*[range(3)] * 4, indexing="ij"), -1).reshape(-1, 4)
    scores = [sum(x[t, p[t]] for t in range(4)) + sum(T[p[t - 1], p[t]] for t in range(1, 4)) for p in paths]
    scores = [s + T[:, p[0]].max() for s, p in zip(scores, paths, strict=True)]  # before the first step, every score is 0
    path = [int(v[3].argmax())]
    for t in (3, 2, 1):
        path.insert(0, int(b[t, path[0]]))
    assert path == paths[int(np.argmax(scores))].tolist()


@pytest.mark.parametrize("text", [BEST, STARRED, PACKED, WHOLE, VITERBI, LARGEST])
def test_derivations_are_certified(text: str) -> None:
    assert certify(derive.derive(derive.parse(lines(text)))).passed


def test_positions_have_no_adjoint() -> None:
    derivation = derive.derive(derive.parse(lines(STARRED)))
    assert not {"da", "db"} & {d.name for d in derivation.chain}
    assert [a.name for a in kernel(STARRED).backward.arguments][0] == "dm"
    assert not {"da", "db"} & {a.name for a in kernel(STARRED).backward.arguments}
    assert signature(derivation.op).startswith("m[n, *s], a[n, *s], b[*s] = starred(x[n, k, *s], w[*s])")


def test_torch_differentiates_the_numbers_alone() -> None:
    f, (x,) = differentiable(BEST).best, normal((4, 3))
    leaf = x.clone().requires_grad_()
    y, a = f(leaf)
    assert a.dtype == torch.int64 and not a.requires_grad and y.requires_grad
    y.sum().backward()
    wanted = torch.zeros_like(x).scatter(1, x.argmax(1)[:, None], 2 * x.amax(1)[:, None])
    torch.testing.assert_close(leaf.grad, wanted)
    assert torch.autograd.gradcheck(lambda x: f(x)[0], leaf, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: f(x)[0], leaf)


def test_transforms_of_torch_give_positions() -> None:
    f, (x, t) = differentiable(STARRED).starred, normal((6, 3, 4, 2), (2,))
    wanted = (x.amax(2) * t, x.argmax(2))
    m, a, b = torch.vmap(f, in_dims=(0, None))(x, t)
    torch.testing.assert_close((m, a), wanted)
    assert b.tolist() == wanted[0].argmin(1).tolist()
    compiled = torch.compile(f, backend="eager", fullgraph=True)(x[0], t)
    torch.testing.assert_close(compiled[:2], (wanted[0][0], wanted[1][0]))
    (m, a, _), (tangent, _, _) = torch.func.jvp(lambda x: f(x, t), (x[0],), (torch.ones_like(x[0]),))
    torch.testing.assert_close(tangent, t.expand_as(tangent))
    gradient, (a, _) = torch.func.grad(lambda x: (lambda m, *found: (m.sum(), found))(*f(x, t)), has_aux=True)(x[0])
    torch.testing.assert_close(gradient.sum(1), t.expand(3, 2))
    assert a.tolist() == wanted[1][0].tolist()


def test_jax_differentiates_the_numbers_alone() -> None:
    jax = pytest.importorskip("jax")
    f, x = module(BEST, "jax").best, np.random.default_rng(0).normal(size=(4, 3))
    with by_name("jax").running():
        (_, a), pull = jax.vjp(jax.jit(f), x)
        (dx,) = pull((np.ones(4), np.zeros(4, dtype=jax.dtypes.float0)))
        again = jax.vmap(f)(np.stack([x, x[::-1]]))[1]
    assert a.tolist() == x.argmax(1).tolist() and again[1].tolist() == a[::-1].tolist()
    np.testing.assert_allclose(dx, np.where(np.arange(3) == np.asarray(a)[:, None], 2 * x, 0))


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "native"])
def test_the_largest_are_chosen_by_their_ranks(backend: str) -> None:
    found, made = by_name(backend), kernel(LARGEST)
    x = np.array([[4.0, 1.0, 9.0, 7.0, 2.0], [2.0, 2.0, 2.0, 2.0, 1.0]])
    with found.running():
        kernels = module(LARGEST, backend)
        y, saved = kernels.largest_forward(found.to(x), count=3)
        given = dict(zip([t.name for t in made.saved], saved, strict=True)) | {"x": found.to(x), "dy": found.to(x)}
        dx = kernels.largest_backward(*(given[a.name] for a in made.backward.arguments), count=3)
        wanted = np.array([[4.0, 0.0, 9.0, 7.0, 0.0], [2.0, 2.0, 2.0, 0.0, 0.0]])
        np.testing.assert_array_equal(found.back(y), wanted)
        np.testing.assert_array_equal(found.back(dx), wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a[n] = f(x[n, k])\na[n] = argmax[k](x[n, k])",
            "'a' holds positions, which have no gradient: give a number beside it",
        ),
        (
            "a[n], y[n] = f(x[n, k])\na[n] = argmax[k](x[n, k])\ny[n] = x[n, a[n]]",
            "outputs that hold positions are named last: y, a = f(...)",
        ),
    ],
)
def test_an_output_that_cannot_be_is_told(text: str, said: str) -> None:
    with pytest.raises(OpError, match="line 1") as caught:
        derive.parse(text)
    assert said in str(caught.value)


def test_c_refuses_by_name() -> None:
    with pytest.raises(OpError, match="there are no native C kernels of it: 'a' holds positions"):
        build(derive.parse(lines(WHOLE)), backends=["native"])
