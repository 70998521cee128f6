"""Lengths of packed axes: how they are written, which of them follow from which shapes, also where axes are empty."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.discovery import by_name
from codegen.plan import plan
from derive.errors import OpError
from derive.show.show import signature
from tests.backends import each_backend
from tests.judged import kernel, module


def lengths(x: Any, w: Any, v: Any, q: Any, g: Any, s: Any) -> tuple[Any, ...]:
    y = (x.reshape(len(w), len(v), len(q)) + w[:, None, None] * q + v[:, None]).reshape(x.shape)
    return y, (3 * v**2).repeat(3), g.reshape(len(s), len(s)).diagonal() * s


def losses(z: Any, t: Any, w: Any) -> Any:
    return (torch.nn.functional.cross_entropy(z, t, reduction="none").reshape(-1, len(w)) * w).mean()


def pair(u: Any, c: Any) -> Any:
    apart = u.reshape(len(u), 2, len(c))
    return (apart * c / torch.sqrt((apart**2).sum(1, keepdim=True) + 1)).reshape(u.shape)


#: Ops, and what they compute of the caller's tensors. The backward of the first reads none of what gives it lengths, its
#: second output has an axis that no input has, and its third reads a diagonal, so that both of its axes have one length.
OPS = {
    "lengths": (
        """y[(a, b), n], z[(3, b)], r[i] = lengths(x[(a, b), n], w[a], v[b], q[n], g[(i, j)], s[j])
y[(a, b), n] = x[(a, b), n] + w[a]*q[n] + v[b]
z[k, b] = size(k)*v[b]**2
r[i] = g[i, i]*s[i]""",
        lengths,
    ),
    "losses": (
        """l = losses(z[(n, b), c], t[(n, b)], w[b])
t[(n, b)] in c
l = mean[n, b](w[b]*(log(sum[c](exp(z[n, b, c]))) - z[n, b, t[n, b]]))""",
        losses,
    ),
    "pair": (
        """y[n, (2, m)] = pair(u[n, (2, m)], c[m])
y[n, p, m] = u[n, p, m]*c[m]/sqrt(sum[q](u[n, q, m]**2) + 1)""",
        pair,
    ),
}


def judge(name: str, backend: str, *shapes: tuple[int, ...], labels: int = 0) -> None:
    """Outputs and gradients of arguments with these shapes against autograd; integer arguments are below ``labels``."""
    rng, found, k = np.random.default_rng(0), by_name(backend), kernel(OPS[name][0])
    values = {
        t.name: rng.integers(0, labels, shape) if t.labels else np.asarray(rng.normal(size=shape))
        for t, shape in zip(k.op.inputs, shapes, strict=True)
    }
    leaves = {n: torch.tensor(v, requires_grad=v.dtype.kind == "f") for n, v in values.items()}
    want = OPS[name][1](*leaves.values())
    wanted = [*want] if isinstance(want, tuple) else [want]
    upstream = [torch.from_numpy(np.asarray(rng.normal(size=tuple(o.shape)))) for o in wanted]
    wanted += torch.autograd.grad(wanted, [v for v in leaves.values() if v.requires_grad], upstream)
    with found.running():
        env = {n: found.to(v) for n, v in values.items()}
        env |= {f"d{t.name}": found.to(u.numpy()) for t, u in zip(k.op.outputs, upstream, strict=True)}

        def call(program: Any) -> Any:
            return found.called(getattr(module(OPS[name][0], backend), program.name))(*(env[a.name] for a in program.arguments))

        outputs, saved = call(k.forward)
        env |= dict(zip([t.name for t in k.saved], saved, strict=True))
        gradients = call(k.backward)
        got = [*outputs] if len(upstream) > 1 else [outputs]
        got += [*gradients] if len(k.backward.results) > 1 else [gradients]
        for value, expected in zip(map(found.back, got), wanted, strict=True):
            assert tuple(np.shape(value)) == tuple(expected.shape)
            np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-9, atol=1e-12)


@each_backend
def test_a_backward_takes_the_empty_axes_that_its_forward_takes(backend: str) -> None:
    for a, b, n, i in ((0, 2, 2, 3), (2, 0, 1, 0)):
        judge("lengths", backend, (a * b, n), (a,), (b,), (n,), (i * i,), (i,))


def test_a_backward_takes_no_more_than_it_needs_where_a_length_is_given() -> None:
    op = derive.parse("y[n, (h, f)] = op(x[n, (h = 2, f)], v[f])\ny[n, h, f] = x[n, h, f] + v[f]")
    assert [a.name for a in plan(derive.derive(op)).backward.arguments] == ["dy"]


def test_a_labelled_entry_is_corrected_by_what_varies_along_one_packed_axis() -> None:
    judge("losses", "torch", (6, 4), (6,), (2,), labels=4)


# ---- numbers in the place of axes -------------------------------------------------------------------------------------------


def test_a_number_packs_an_axis_that_equations_name() -> None:
    judge("pair", "numpy", (3, 8), (4,))
    judge("pair", "numpy", (2, 0), (0,))


def test_a_number_is_written_with_the_name_that_equations_give_to_its_axis() -> None:
    op = kernel(OPS["pair"][0]).op
    assert signature(op) == "y[n, (p, m)] = pair(u[n, (p = 2, m)], c[m])"
    three = derive.parse("y[n] = op(u[n, (2, m, 3)])\ny[n] = sum[i, j, k](u[n, i, j, k])")
    assert three.packing.lengths == (("i", 2), ("k", 3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y[n] = op(u[n, (2, m)], w[m])\ny[n] = sum[m](w[m]) + u[n]", "the axis of length 2 needs a name: (p = 2, ...)"),
        ("y[n] = op(u[n, (2, m)])\ny[n] = sum[m](u[n, 0, m])", "the axis of length 2 needs a name: (p = 2, ...)"),
        ("y[n] = op(u[p, (2, m)], w[n])\ny[n] = w[n]*sum[p, m](u[n, p, m])", "the axis of length 2 needs a name"),
        ("y[n] = op(u[n, (2, m)], t[n])\nt[n] in m\ny[n] = sum[m](u[n, t[n], m])", "the axis of length 2 needs a name"),
        ("y[n] = op(u[n, (2.5, m)])\ny[n] = sum[p, m](u[n, p, m])", "the length of 'p' is a number from 1 to"),
        ("y[n] = op(u[n, (0, m)])\ny[n] = sum[p, m](u[n, p, m])", "the length of 'p' is a number from 1 to"),
        ("y[n] = op(u[n, (2, m)], v[(3, m)])\ny[n] = sum[p, m](u[n, p, m]*v[p, m])", "'p' is given the lengths 2 and 3"),
        ("y[n] = op(u[n, (2, m)])\nz[n, (2, m)] = u[n, p, m]\ny[n] = sum[p, m](z[n, p, m])", "needs a name"),
        ("y[n] = op(u[n, m = 2])\ny[n] = sum[m](u[n, m])", "a length is given in the brackets of a packed axis only"),
    ],
)
def test_what_is_no_length_is_refused(text: str, message: str) -> None:
    with pytest.raises(OpError) as error:
        derive.parse(text)
    assert message in str(error.value) and "\n" not in str(error.value)
