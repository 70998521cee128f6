"""Recurrences, ``h[n, t - 1, k]``: what may be said, derivations as in the textbook, and every backend against torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.discovery import by_name
from codegen.build import build
from codegen.evaluate.arithmetic import Numpy
from codegen.evaluate.trees import Evaluation
from codegen.plan import plan
from codegen.verify.agreement import agreement
from codegen.verify.agreement import load_kernel as load
from derive.certify import certify
from derive.errors import OpError
from derive.language.unicode import text
from derive.recurrence import unrolled_op
from derive.show.show import show_latex, show_text
from derive.show.solved import in_op
from derive.show.trees import of_derivation
from tests.backends import each_backend
from tests.judged import judge, kernel, lines, normal

RNN = """
    h[n, t, k] = rnn_over(x[n, t, d], W[d, k], U[j, k], b[k], h0[n, k])
    h[n, -1, k] = h0[n, k]
    h[n, t, k] = tanh(sum[d](x[n, t, d]*W[d, k]) + sum[j](h[n, t - 1, j]*U[j, k]) + b[k])
"""
LSTM = """
    h[n, t, k], c[n, t, k] = lstm_over(a[n, t, k], e[n, t, k], p[n, t, k], q[n, t, k], A[j, k], B[j, k], E[j, k], F[j, k])
    i[n, t, k] = sigmoid(a[n, t, k] + sum[j](h[n, t - 1, j]*A[j, k]))
    f[n, t, k] = sigmoid(e[n, t, k] + sum[j](h[n, t - 1, j]*B[j, k]))
    g[n, t, k] = tanh(p[n, t, k] + sum[j](h[n, t - 1, j]*E[j, k]))
    o[n, t, k] = sigmoid(q[n, t, k] + sum[j](h[n, t - 1, j]*F[j, k]))
    c[n, t, k] = f[n, t, k]*c[n, t - 1, k] + i[n, t, k]*g[n, t, k]
    h[n, t, k] = o[n, t, k]*tanh(c[n, t, k])
"""
GRU = """
    h[n, t, k] = gru_over(a[n, t, k], b[n, t, k], e[n, t, k], R[j, k], Z[j, k], C[j, k], h0[n, k])
    h[n, -1, k] = h0[n, k]
    r[n, t, k] = sigmoid(a[n, t, k] + sum[j](h[n, t - 1, j]*R[j, k]))
    z[n, t, k] = sigmoid(b[n, t, k] + sum[j](h[n, t - 1, j]*Z[j, k]))
    m[n, t, k] = tanh(e[n, t, k] + r[n, t, k]*sum[j](h[n, t - 1, j]*C[j, k]))
    h[n, t, k] = m[n, t, k] + z[n, t, k]*(h[n, t - 1, k] - m[n, t, k])
"""
GATED = """
    y[n, t, k] = gated(u[n, t, k], v[n, t, k], w[k])
    s[n, t, k] = v[n, t, k]*s[n, t - 1, k] + u[n, t, k]
    y[n, t, k] = s[n, t, k]*w[k]
"""
SUMS = """
    c[i] = sums(x[i])
    c[i] = c[i - 1] + x[i]
"""
PRODUCTS = """
    p[n, i] = products(x[n, i])
    p[n, -1] = 1
    p[n, i] = p[n, i - 1]*x[n, i]
"""
SMOOTHED = """
    h[i] = smoothed(x[i], a=0.5)
    h[-1] = a
    h[i] = (1 - a)*h[i - 1] + a*x[i]
"""
BACK = """
    g[t, n] = discounted(r[t, n], last[n], decay=0.9)
    g[size(t), n] = last[n]
    g[t, n] = r[t, n] + decay*g[t + 1, n]
"""
LAYERS = """
    y[t, n, m] = layers(x[t, n, d], W[d, k], U[j, k], V[k, m], S[l, m])
    h[t, n, k] = tanh(sum[d](x[t, n, d]*W[d, k]) + sum[j](h[t - 1, n, j]*U[j, k]))
    y[size(t), n, m] = sum[k](h[0, n, k]*V[k, m])
    y[t, n, m] = tanh(sum[k](h[t, n, k]*V[k, m]) + sum[l](y[t + 1, n, l]*S[l, m]))
"""
LAST = """
    l[n] = last_of(x[n, t], w)
    h[n, t] = tanh(w*h[n, t - 1] + x[n, t])
    l[n] = h[n, size(t) - 1] + mean[t](h[n, t - 1]**2)
"""
CALLED = """
    c[n, t] = cells(i[n, t], f[n, t], g[n, t], start[n])
    c[n, -1] = start[n]
    c[n, t] = lstm_cell(i[n, t], f[n, t], g[n, t], c[n, t - 1])
"""
EARLY = """
    y[n, t] = early(x[n, t])
    y[n, t] = x[n, t]*h[n, t - 1]
    h[n, t] = exp(x[n, t])
"""
WHERE = """
    h[n, t, i] = where_over(x[n, t, i], keep[n, t])
    keep[n, t] in bool
    h[n, t, i] = where(t == 0, x[n, t, i], where(keep[n, t], sum[j](where(j <= i, h[n, t - 1, j], 0)), 0) + x[n, t, i]**2)
"""
STARRED = """
    h[*s, t] = starred(a[*s, t], x[*s, t])
    h[*s, t] = a[*s, t]*h[*s, t - 1] + x[*s, t]
"""
PACKED = """
    h[n, t, (m, f)] = packed_over(x[n, t, (m = 2, f)], w[m, f])
    h[n, t, m, f] = w[m, f]*h[n, t - 1, m, f] + x[n, t, m, f]
"""
SECOND = """
    f[t] = second(x[t])
    g[t] = f[t - 1]
    f[t] = f[t - 1] + 0.5*g[t - 1] + x[t]
"""
HEAT = """
    h[t, i] = heat(x[t, i], w[k])
    h[t, i] = x[t, i] + tanh(sum[k](h[t - 1, i + k - 1]*w[k]))
"""
TOKENS = """
    h[n, t, k] = tokens(E[v, k], tok[n, t], U[j, k])
    tok[n, t] in v
    h[n, t, k] = tanh(E[tok[n, t], k] + sum[j](h[n, t - 1, j]*U[j, k]))
"""
STACKED = """
    y[t, n, k] = stacked(x[n, t, d], W[d, k], U[j, k], b[k], a[n, t, k], h0[n, k])
    h[n, t, k] = rnn(x[n, t, d], W[d, k], U[j, k], b[k], h0[n, k])
    g[n, t, k] = h[n, t, k] + rnn(x[n, t, d], W[d, k], U[j, k], 2*b[k], h0[n, k])
    y[t, n, k] = h[n, t, k]*linear_recurrence(a[n, t, k], g[n, t, k], h0[n, k])
"""
BEST = """
    a[n, t, k] = best(x[n, t, k], T[j, k], a0[n, k])
    a[n, -1, k] = a0[n, k]
    a[n, t, k] = x[n, t, k] + max[j](a[n, t - 1, j] + T[j, k])
"""


def steps(x: Any, first: Any, one: Callable[[Any, Any], Any], dim: int = 1, down: bool = False) -> Any:
    """The values of a recurrence, one step after the other."""
    found, h = [], first
    inputs = list(zip(*(v.unbind(dim) for v in x), strict=True))
    for given in reversed(inputs) if down else inputs:
        h = one(given, h)
        found.append(h)
    return torch.stack(found[::-1] if down else found, dim)


def rnn(x: Any, W: Any, U: Any, b: Any, h0: Any) -> Any:
    """torch's own op."""
    zero = torch.zeros_like(b)
    return torch._VF.rnn_tanh(x, h0[None], [W.T, U.T, b, zero], True, 1, 0.0, False, False, True)[0]


def lstm(a: Any, e: Any, p: Any, q: Any, A: Any, B: Any, E: Any, F: Any) -> Any:
    """torch's own op, with the four sums over its inputs given."""
    x = torch.cat([a, e, p, q], 2)
    weights = [torch.eye(x.shape[2], dtype=x.dtype), torch.cat([A, B, E, F], 1).T]
    weights += [torch.zeros(x.shape[2], dtype=x.dtype)] * 2
    start = torch.zeros(1, len(x), len(A), dtype=x.dtype)
    cells = []
    h, c = start, start
    for given in x.unbind(1):
        _, h, c = torch._VF.lstm(given[:, None], (h, c), weights, True, 1, 0.0, False, False, True)
        cells.append((h[0], c[0]))
    return tuple(torch.stack(found, 1) for found in zip(*cells, strict=True))


def gru(a: Any, b: Any, e: Any, R: Any, Z: Any, C: Any, h0: Any) -> Any:
    x = torch.cat([a, b, e], 2)
    weights = [torch.eye(x.shape[2], dtype=x.dtype), torch.cat([R, Z, C], 1).T]
    weights += [torch.zeros(x.shape[2], dtype=x.dtype)] * 2
    return torch._VF.gru(x, h0[None], weights, True, 1, 0.0, False, False, True)[0]


def gated(u: Any, v: Any, w: Any) -> Any:
    return steps((u, v), torch.zeros_like(u[:, 0]), lambda given, s: given[1] * s + given[0]) * w


def smoothed(x: Any, a: float) -> Any:
    return steps((x,), torch.full_like(x[0], a), lambda given, h: (1 - a) * h + a * given[0], 0)


def back(r: Any, last: Any, decay: float) -> Any:
    return steps((r,), last, lambda given, g: given[0] + decay * g, 0, True)


def layers(x: Any, W: Any, U: Any, V: Any, S: Any) -> Any:
    h = steps((x,), torch.zeros(x.shape[1], len(U), dtype=x.dtype), lambda g, h: torch.tanh(g[0] @ W + h @ U), 0)
    return steps((h,), h[0] @ V, lambda g, y: torch.tanh(g[0] @ V + y @ S), 0, True)


def last_of(x: Any, w: Any) -> Any:
    h = steps((x,), torch.zeros(len(x), dtype=x.dtype), lambda g, h: torch.tanh(w * h + g[0]))
    return h[:, -1] + (h[:, :-1] ** 2).mean(1)


def called(i: Any, f: Any, g: Any, start: Any) -> Any:
    def one(given: Any, c: Any) -> Any:
        return torch.sigmoid(given[1]) * c + torch.sigmoid(given[0]) * torch.tanh(given[2])

    return steps((i, f, g), start, one)


def early(x: Any) -> Any:
    return x * torch.nn.functional.pad(x.exp(), (1, 0))[:, :-1]


def where(x: Any, keep: Any) -> Any:
    found = [x[:, 0]]
    for t in range(1, x.shape[1]):
        found.append(keep[:, t, None] * found[-1].cumsum(1) + x[:, t] ** 2)
    return torch.stack(found, 1)


def second(x: Any) -> Any:
    found = [torch.zeros_like(x[0])] * 2
    for step in x:
        found.append(found[-1] + 0.5 * found[-2] + step)
    return torch.stack(found[2:])


def heat(x: Any, w: Any) -> Any:
    def one(given: Any, h: Any) -> Any:
        return given[0] + torch.tanh(torch.nn.functional.conv1d(h[None, None], w[None, None], padding=1)[0, 0])

    return steps((x,), torch.zeros_like(x[0]), one, 0)


def tokens(E: Any, tok: Any, U: Any) -> Any:
    return steps((E[tok],), torch.zeros(len(tok), len(U), dtype=E.dtype), lambda g, h: torch.tanh(g[0] + h @ U))


def best(x: Any, T: Any, a0: Any) -> Any:
    return steps((x,), a0, lambda g, a: g[0] + (a[:, :, None] + T).amax(1))


def starred(a: Any, x: Any) -> Any:
    return steps((a, x), torch.zeros_like(x[..., 0]), lambda g, h: g[0] * h + g[1], x.ndim - 1)


def packed_over(x: Any, w: Any) -> Any:
    return steps((x,), torch.zeros_like(x[:, 0]), lambda g, h: w * h + g[0])


def stacked(x: Any, W: Any, U: Any, b: Any, a: Any, h0: Any) -> Any:
    h = rnn(x, W, U, b, h0)
    found = steps((a, h + rnn(x, W, U, 2 * b, h0)), h0, lambda g, y: g[0] * y + g[1])
    return (h * found).transpose(0, 1)


KEEP = torch.tensor([[True, False, True, True], [False, True, True, False]])
CASES: dict[str, tuple[str, Callable[..., Any], list[torch.Tensor]]] = {
    "rnn": (RNN, rnn, normal((3, 5, 2), (2, 4), (4, 4), (4,), (3, 4))),
    "lstm": (LSTM, lstm, normal(*[(2, 5, 3)] * 4, *[(3, 3)] * 4)),
    "gru": (GRU, gru, normal(*[(2, 5, 3)] * 3, *[(3, 3)] * 3, (2, 3))),
    "gated": (GATED, gated, normal((2, 6, 3), (2, 6, 3), (3,))),
    "sums": (SUMS, lambda x: x.cumsum(0), normal((7,))),
    "products": (PRODUCTS, lambda x: x.cumprod(1), normal((3, 6))),
    "smoothed": (SMOOTHED, smoothed, normal((5,))),
    "back": (BACK, back, normal((5, 3), (3,))),
    "layers": (LAYERS, layers, normal((4, 2, 3), (3, 5), (5, 5), (5, 2), (2, 2))),
    "last": (LAST, last_of, normal((3, 5), ())),
    "called": (CALLED, called, normal(*[(3, 4)] * 3, (3,))),
    "early": (EARLY, early, normal((3, 4))),
    "starred": (STARRED, starred, normal((2, 4), (2, 4))),
    "packed": (PACKED, packed_over, normal((3, 4, 2, 3), (2, 3))),
    "second": (SECOND, second, normal((6,))),
    "heat": (HEAT, heat, normal((4, 6), (3,))),
    "tokens": (TOKENS, tokens, [*normal((5, 3)), torch.tensor([[2, 0, 4], [1, 1, 3]]), *normal((3, 3))]),
    "stacked": (STACKED, stacked, normal((2, 4, 3), (3, 2), (2, 2), (2,), (2, 4, 2), (2, 2))),
    "best": (BEST, best, normal((2, 4, 3), (3, 3), (2, 3))),
    "where": (WHERE, where, [*normal((2, 4, 3)), KEEP]),
}


def closed(op: str) -> list[str]:
    found = derive.derive(derive.parse(lines(op)))
    return [f"{d.name}[{','.join(d.index)}] = {text(in_op(found.op, d.tree))}" for d in found.lines]


# ---- derivations ------------------------------------------------------------------------------------------------------------


def test_backpropagation_through_time_is_as_in_the_textbook() -> None:
    assert closed(RNN) == [
        "dh_step[n,t,k] = dh[n,t,k] + dh_prev[n,t + 1,k]",
        "dtotal[n,t,k] = dh_step[n,t,k]·(1 - h[n,t,k]²)",
        "dx[n,t,d] = sum[k](W[d,k]·dtotal[n,t,k])",
        "dW[d,k] = sum[n,t](dtotal[n,t,k]·x[n,t,d])",
        "dU[j,k] = sum[n,t](dtotal[n,t,k]·h[n,t - 1,j])",
        "db[k] = sum[n,t](dtotal[n,t,k])",
        "dh_prev[n,t,k] = sum[k'](U[k,k']·dtotal[n,t,k'])",
        "dh0[n,k] = dh_prev[n,0,k]",
    ]


def test_the_gradient_of_a_cumulative_sum_is_one_in_the_other_direction() -> None:
    assert closed(SUMS) == ["dc_step[i] = dc[i] + dc_prev[i + 1]", "dx[i] = dc_step[i]", "dc_prev[i] = dc_step[i]"]


def test_the_adjoint_of_a_recurrence_that_runs_down_runs_up() -> None:
    assert closed(BACK) == [
        "dg_step[t,n] = dg[t,n] + dg_prev[t - 1,n]",
        "dr[t,n] = dg_step[t,n]",
        "dg_prev[t,n] = decay·dg_step[t,n]",
        "dlast[n] = dg_prev[size(t) - 1,n]",
    ]


def test_elementwise_work_is_not_repeated_beside_a_matrix_product() -> None:
    """The adjoint of a cell is one line, which four gates read: all its terms together cost less than a matrix product."""
    found = closed(LSTM)
    assert sum(line.startswith("dc_total[n,t,k] =") for line in found) == 1
    assert not any("/o[" in line for line in found)


def test_readers_see_the_equations_as_written() -> None:
    found = derive.derive(derive.parse(lines(RNN)))
    shown = show_text(found, tree_of=of_derivation(found))
    assert "h[n,-1,k] = h0[n,k]" in shown
    assert "h[n,t,k] = tanh(sum[d](x[n,t,d]·W[d,k]) + sum[j](h[n,t - 1,j]·U[j,k]) + b[k])" in shown
    assert "h_first" not in shown
    typeset = show_latex(found, tree_of=of_derivation(found))
    assert "h_{n,-1,k} &= h^{(0)}_{n,k}" in typeset
    down = derive.derive(derive.parse(lines(BACK)))
    assert r"g_{N_{t},n} &= \mathrm{last}_{n}" in show_latex(down, tree_of=of_derivation(down))


@pytest.mark.parametrize("name", CASES)
def test_recurrences_certify(name: str) -> None:
    found = certify(derive.derive(derive.parse(lines(CASES[name][0]))))
    assert found.passed, found.summary()
    assert any(check.rule == "recurrence" for check in found.checks)


def test_a_wrong_line_of_a_recurrence_does_not_certify() -> None:
    """The step op's own checks see no step: that of the whole compares with the unrolled equations."""
    found = derive.derive(derive.parse(lines(RNN)))
    first = found.lines[0]
    wrong = replace(first, tree=derive.syntax.Read("dh", first.index))  # what the next step sends is lost
    broken = certify(replace(found, lines=(wrong, *found.lines[1:])))
    assert {check.rule for check in broken.failures} == {"recurrence"}


# ---- kernels ----------------------------------------------------------------------------------------------------------------


@each_backend
@pytest.mark.parametrize("name", CASES)
def test_kernels_agree_with_torch(name: str, backend: str) -> None:
    written, reference, inputs = CASES[name]
    judge(written, backend, reference, inputs)


@each_backend
@pytest.mark.parametrize("shape", [(0, 4, 2), (3, 1, 2), (3, 4, 0), (1, 1, 1)])
def test_empty_and_single_axes(shape: tuple[int, int, int], backend: str) -> None:
    n, t, k = shape
    judge(GATED, backend, gated, normal((n, t, k), (n, t, k), (k,)))


@each_backend
def test_no_steps(backend: str) -> None:
    """Nothing is stepped through, and the first value gets nothing."""
    made = kernel(RNN)
    module = load(made, backend)
    found = by_name(backend)
    shapes = {"x": (3, 0, 2), "W": (2, 4), "U": (4, 4), "b": (4,), "h0": (3, 4), "dh": (3, 0, 4)}
    with found.running():
        given = {name: found.to(np.ones(shape)) for name, shape in shapes.items()}
        h, saved = module.rnn_over_forward(*(given[a.name] for a in made.forward.arguments))
        given |= dict(zip([t.name for t in made.saved], saved, strict=True))
        gradients = module.rnn_over_backward(*(given[a.name] for a in made.backward.arguments))
        assert np.shape(found.back(h)) == (3, 0, 4)
        assert all(not np.asarray(found.back(g)).any() for g in gradients)


def test_second_derivatives_and_vmap() -> None:
    module = load(kernel(RNN), "torch")
    inputs = [v.requires_grad_() for v in normal((2, 3, 2), (2, 2), (2, 2), (2,), (2, 2))]
    assert torch.autograd.gradgradcheck(module.rnn_over, inputs)
    x = torch.stack([inputs[0], 2 * inputs[0]]).detach()
    rest = [v.detach() for v in inputs[1:]]
    found = torch.func.vmap(torch.func.grad(lambda v: (module.rnn_over(v, *rest) ** 2).sum()))(x)
    assert torch.allclose(found[1], torch.func.grad(lambda v: (module.rnn_over(v, *rest) ** 2).sum())(x[1]))


def test_half_precision_keeps_its_dtype() -> None:
    module = load(kernel(RNN), "torch")
    inputs = [v.to(torch.bfloat16).requires_grad_() for v in normal((2, 3, 2), (2, 2), (2, 2), (2,), (2, 2))]
    h = module.rnn_over(*inputs)
    h.sum().backward()
    assert h.dtype == torch.bfloat16 and all(v.grad is not None and v.grad.dtype == torch.bfloat16 for v in inputs)


@each_backend
@pytest.mark.parametrize("name", ["gated", "back", "lstm"])
def test_accurate_variants_step_once(name: str, backend: str) -> None:
    """What is carried is saved, whatever else the backward computes again."""
    made = plan(derive.derive(derive.parse(lines(CASES[name][0])).as_variant("accurate")))
    assert agreement(made, load(made, backend), backend).largest < 1e-10


def test_a_sum_over_all_inputs_is_a_product_before_the_loop() -> None:
    source = build(derive.parse(lines(RNN)), backends=["numpy"]).files["numpy/rnn_over.py"]
    before, _, loop = source.partition("for at_t in range(t):")
    assert "x.reshape(n * t, d) @ W" in before and "@ W" not in loop.partition("return")[0]


def test_unrolled_equations_have_no_carries() -> None:
    found = unrolled_op(derive.parse(lines(RNN)), {"t": 3})
    assert not found.carries and [e.name for e in found.equations][-1] == "h"


# ---- errors -----------------------------------------------------------------------------------------------------------------


def test_a_call_of_a_recurrence_steps_under_the_name_on_the_left() -> None:
    text = "y[n, t, k] = f(a[n, t, k], h0[n, k])\ny[n, t, k] = linear_recurrence(a[n, t, k], a[n, t, k], h0[n, k])\n"
    assert closed(text) == [
        "dy_step[n,t,k] = dy[n,t,k] + dy_prev[n,t + 1,k]",
        "da[n,t,k] = dy_step[n,t,k]·(1 + y[n,t - 1,k])",
        "dy_prev[n,t,k] = dy_step[n,t,k]·a[n,t,k]",
        "dh0[n,k] = dy_prev[n,0,k]",
    ]


def test_a_recurrence_along_one_axis_may_not_be_called_in_one_along_another() -> None:
    text = """
        y[n, t, l] = f(a[n, t, l], w[n, l], h0[n, l])
        z[n, t, l] = tanh(w[n, l]*y[n, t, l - 1])
        y[n, t, l] = linear_recurrence(z[n, t, l], a[n, t, l], h0[n, l])
    """
    with pytest.raises(OpError, match="'y' is carried twice, and so along one axis and one way"):
        derive.parse(lines(text))


def test_a_recurrence_that_no_output_depends_on_is_left_out() -> None:
    """Its adjoint would come from nowhere; what it reads of another recurrence stays carried there."""
    op = derive.parse("h[n] = f(x[n])\nu[n] = tanh(u[n - 1]) + h[n - 1]\nv[n] = u[n]*2\nh[n] = h[n - 1]*x[n]\nw[n] = h[n]\n")
    assert [e.name for e in op.equations] == ["h", "w"] and [c.of for c in op.carries] == ["h"]


def test_a_scalar_equation_reads_the_first_value_too() -> None:
    """What stands before the first step counts in a mean, whatever axes the left side has."""
    text = "m = f(x[c], b)\nh[-1] = b\nh[c] = h[c - 1]*x[c]\nm = mean[c](h[c - 1]**2)\n"
    assert "h_prev" in derive.syntax.reads(derive.parse(text).equations[-1].rhs)
    judge(text, "numpy", lambda x, b: torch.cat([b[None], b * x.cumprod(0)[:-1]]).square().mean(), normal((4,), ()))


def test_steps_run_along_the_axis_that_all_reads_share() -> None:
    """A read may be one step away along several axes; which of them the steps take is decided by the others."""
    body = ["h[i, t] = f(x[i, t])", "h[i, t] = h[i - 1, t - 1] + x[i, t]*h[i, t - 1]"]
    op = derive.parse("\n".join(body))
    assert [(c.axis, c.down) for c in op.carries] == [("t", False)]
    both = ["h[i, t] = f(x[i, t])", "g[i, t] = h[i - 1, t - 1]", "h[i, t] = g[i, -1 + t]*x[i, t]"]
    assert [(c.of, c.axis) for c in derive.parse("\n".join(both)).carries] == [("h", "t"), ("g", "t")]


@pytest.mark.parametrize("first", ["h[*s, -1, f]", "h[s, -1, f]"])
def test_a_first_value_of_a_name_that_is_starred_and_packed(first: str) -> None:
    text = f"h[*s, (k, f)] = g(x[*s, (k, f)], w[f])\n{first} = w[f]\nh[s, (k, f)] = h[*s, (k - 1, f)]*w[f] + x[s, k, f]\n"
    (carry,) = derive.parse(text.replace("w[f])", "w[f], W[k])")).carries
    assert (carry.axis, carry.axes, carry.first) == ("k", ("s", "k", "f"), "h_first")


def test_a_read_two_steps_back_works_as_its_message_says() -> None:
    """A linear recurrence of second order: the message's equation before the other one, or behind it."""
    back, own = "b[t] = h[t - 1]\n", "h[t] = h[t - 1] + 0.5*b[t - 1] + x[t]\n"
    x = np.array([1.0, 2.0, -1.0, 0.5])
    want = [1.0, 3.0, 2.5, 4.5]
    for body in (back + own, own + back):
        found = derive.parse("h[t] = f(x[t])\n" + body)
        assert Evaluation(found, {"x": x}, {}, Numpy()).run()["h"].tolist() == want


HEAD = "h[n, t, k] = f(x[n, t, k], h0[n, k])\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("h[n, t, k] = h[n, t, k] + x[n, t, k]", "'h' is defined by itself; a recurrence reads one step back"),
        (
            "h[n, t, k] = h[n, t - 2, k] + x[n, t, k]",
            "'h' is read 2 steps away, and a step reads the one before: "
            "add h_back[n, t, k] = h[n, t - 1, k], and read h_back[n, t - 1, k]",
        ),
        (
            "h[n, t, k] = sum[j](h[n, t + 3, j]) + x[n, t, k]",
            "'h' is read 3 steps away, and a step reads the one before: add h_back[n, t, k] = h[n, t + 1, k] and "
            "h_back2[n, t, k] = h_back[n, t + 1, k], and read h_back2[n, t + 1, j]",
        ),
        ("h[n, t, k] = h[n, t - 1, k] + h[n, t + 1, k]", "'h' is carried along one axis, and one way"),
        ("h[n, t, k] = h[n, t - 1, k] + h[n - 1, t, k]", "'h' is carried along one axis, and one way"),
        ("h[n, -1, k] = h0[n, k]\nh[n, t, k] = x[n, t, k]", "a first value 'h[n, -1, k]' needs an equation of 'h'"),
        (
            "h[n, 0, k] = h0[n, k]\nh[n, t, k] = h[n, t - 1, k]",
            "axis of 'h'; what the first step of a recurrence reads is said at -1",
        ),
        ("h[n, -2, k] = h0[n, k]\nh[n, t, k] = h[n, t - 1, k]", "what the first step reads of 'h' is h[n, -1, k] = ..."),
        ("h[n, -1, k] = h0[n, k]\nh[n, -1, k] = 0\nh[n, t, k] = h[n, t - 1, k]", "said twice"),
        ("h[k, -1, n] = h0[n, k]\nh[n, t, k] = h[n, t - 1, k]", "'h' has the axes [n, k] here, as in its equation"),
        (
            "h[n, t, k] = h[n, t - 1] + x[n, t, k]",
            "line 2, column 14: 'h' has 3 axes [n, t, k] but is read with 2; write h[n, t - 1, k]",
        ),
        ("h[n, t, k] = h[n, k, t, t - 1]", "but is read with 4; write h[n, t - 1, k]"),
        ("h[n, t, k] = h[n, t - 1.0, k]", "'h' is defined by itself"),
        ("h[n, t, k] = h[n, t - 1, k] + sum[t](h[n, t - 1, k])", "line 2, column 1: 'h' reads 'h' at other steps than its own"),
        (
            "a[n, t, k] = h[n, t - 1, k]\nb[n, t, k] = a[n, t - 2, k] + a[n, t, k]\nh[n, t, k] = b[n, t, k]",
            "'a' is read 2 steps away, and a step reads the one before: "
            "add a_back[n, t, k] = a[n, t - 1, k], and read a_back[n, t - 1, k]",
        ),
        (
            "a[n, t, k] = h[n, t - 1, k]\nb[n, t, k] = a[n, t + 1, k] + a[n, t, k]\nh[n, t, k] = b[n, t, k]",
            "'h' and 'a' step together, and so along one axis and one way",
        ),
        (
            "h[n, t, k] = where(t < h[n, t - 1, k], x[n, t, k], 0)",
            "integer constants and whole numbers, and 'h[n, t - 1, k]' is none of them",
        ),
        (
            "h[n, t, k] = x[h[n, t - 1, k], t, k]",
            "'h[n, t - 1, k]' indexes 'x', and a step hands numbers on to the next one, no positions",
        ),
        (
            "h[n, t, k] = x[p[n, t + 1], t, k]\np[n, t] = argmax[k](h[n, t, k])",
            "'p[n, t + 1]' indexes 'x', and a step hands numbers on to the next one, no positions",
        ),
        ("s[n, k] = sum[t](h[n, t - 1, k])\nh[n, t, k] = s[n, k] + x[n, t, k]", "has no axis 't'"),
        ("a[n, t, k] = h[n, t - 1, k]\nh[n, -1, k] = a[n, 0, k]\nh[n, t, k] = a[n, t, k]", "depends on 'h' itself"),
        (
            "a[n, t, k] = h[n, t - 1, k]\nb[n, t, k] = a[n, t, k] + h[n, t, k]\nh[n, t, k] = b[n, t + 1, k]",
            "'h' is read before its equation",
        ),
    ],
)
def test_messages(body: str, said: str) -> None:
    with pytest.raises(OpError) as error:
        derive.parse(HEAD + body)
    assert said in str(error.value)
