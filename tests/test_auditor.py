"""The auditor: right backwards are accepted however they are written, wrong ones rejected and explained."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import codegen
from codegen.backends.arrays.discovery import arrays
from codegen.load import load_source
from codegen.testing import assert_backward
from codegen.tools.auditor import Report, load_file
from codegen.tools.auditor.report import BUT, CHOICE, CORRECT, WRONG
from codegen.verify.agreement import agreement
from derive import OpError
from tests import kernels
from tests.mutants import Mutant, mutants

SMALL = [name for name in kernels.OPS if name not in ("mlp", "makemore")]


# ---- what is right is accepted ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("name", kernels.OPS)
def test_every_emitted_kernel_is_accepted(name: str, backend: str) -> None:
    backward = getattr(kernels.module(name, backend), f"{name}_backward")
    report = codegen.audit(backward, name)
    assert report.verdict == CORRECT, str(report)
    assert [f.gradient for f in report.findings] == [f"d{t.name}" for t in kernels.kernel(name).op.differentiable]


@pytest.mark.parametrize("name", SMALL)
def test_every_native_kernel_is_accepted(name: str) -> None:
    report = codegen.audit(getattr(kernels.module(name, "native"), f"{name}_backward"), name)
    assert report.verdict == CORRECT, str(report)


TORCH_OPS: dict[str, Callable[..., Any]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "silu": F.silu,
    "gelu": F.gelu,
    "matmul": torch.matmul,
    "softmax": lambda z: F.softmax(z, -1),
    "log_softmax": lambda z: F.log_softmax(z, -1),
    "softmax_cross_entropy": F.cross_entropy,
    "embedding": lambda table, t: F.embedding(t, table),
    "linear": lambda x, W, b: F.linear(x, W.T, b),
    "layernorm": lambda x, gamma, beta, eps: F.layer_norm(x, x.shape[-1:], gamma, beta, eps),
    "rmsnorm": lambda x, gamma, eps: F.rms_norm(x, x.shape[-1:], gamma, eps),
    "batchnorm": lambda x, gamma, beta, eps: F.batch_norm(x, None, None, gamma, beta, True, eps=eps),
    "attention": F.scaled_dot_product_attention,
}


@pytest.mark.parametrize("name", TORCH_OPS)
def test_torchs_own_ops_are_accepted(name: str) -> None:
    report = codegen.audit(TORCH_OPS[name], name)
    assert report.verdict == CORRECT, str(report)


def test_a_module_is_audited_with_its_parameters() -> None:
    assert codegen.audit(torch.nn.LayerNorm(5).double(), "layernorm").correct
    assert codegen.audit(torch.nn.LayerNorm(5).double(), "layernorm", parameters={"weight": "gamma", "bias": "beta"}).correct
    swapped = codegen.audit(torch.nn.LayerNorm(5).double(), "layernorm", parameters={"weight": "beta", "bias": "gamma"})
    assert swapped.verdict == WRONG
    assert codegen.audit(torch.nn.BatchNorm1d(4).double(), "batchnorm").correct


def test_a_module_with_running_statistics_keeps_them_and_may_be_float32() -> None:
    module = torch.nn.BatchNorm1d(4)
    report = codegen.audit(module, "batchnorm")
    assert report.correct, str(report)
    assert module.num_batches_tracked == 0 and torch.equal(module.running_mean, torch.zeros(4))


def norm(x: Any, eps: float) -> tuple[Any, Any]:
    rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + eps)
    return (x - x.mean(-1, keepdims=True)) * rstd, rstd


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Rewritings:
    """The same gradients, written as different people write them; the name before ``__`` is the op's."""

    def tanh__of_y(dy, y):
        return dy - dy * y * y

    def tanh__factored(dy, y):
        return dy * (1 - y) * (1 + y)

    def tanh__of_x(x, dy):
        return dy / np.cosh(x) ** 2

    def tanh__exponential(dy, x):
        e = np.exp(-2 * np.abs(x))
        return dy * 4 * e / (1 + e) ** 2

    def sigmoid__of_y(dy, y):
        return y * dy - y**2 * dy

    def sigmoid__of_x(dy, x):
        e = np.exp(-np.abs(x))
        return dy * e / (1 + e) ** 2

    def silu__of_g(dy, x, g):
        return dy * g * (1 + x * (1 - g))

    def silu__split(dy, x, g):
        return dy * g + dy * x * g * (1 - g)

    def gelu__torch(dy, x):
        cdf = 0.5 * torch.erfc(-x / math.sqrt(2))
        return dy * (cdf + x * torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))

    def gelu__product(dy, x, cdf):
        pdf = np.exp(-0.5 * x**2) / (2 * math.pi) ** 0.5
        return dy * cdf + dy * x * pdf

    def relu__mask(dy, x):
        return (x > 0) * dy

    def relu__filled(dy, x):
        dx = dy.copy()
        dx[x <= 0] = 0
        return dx

    def relu__of_y(dy, y):
        return dy * np.sign(y)

    def softmax__jacobian(dp, p):
        jacobian = p[:, :, None] * (np.eye(p.shape[1], dtype=p.dtype) - p[:, None, :])
        return np.einsum("sij,sj->si", jacobian, dp)

    def softmax__expanded(dp, p):
        return p * dp - p * np.sum(p * dp, axis=1, keepdims=True)

    def softmax__recomputed(z, dp):
        p = softmax(z)
        return p * (dp - np.einsum("sc,sc->s", dp, p)[:, None])

    def log_softmax__of_z(dy, z):
        return dy - softmax(z) * dy.sum(-1, keepdims=True)

    def softmax_cross_entropy__copied(dloss, p, t):
        dz = p.copy()
        dz[np.arange(len(t)), t] -= 1
        return dz * dloss / len(t)

    def softmax_cross_entropy__one_hot(z, t, dloss):
        return (softmax(z) - np.eye(z.shape[1], dtype=z.dtype)[t]) * (dloss / z.shape[0])

    def softmax_cross_entropy__others(dloss, p, t):
        rows = np.arange(len(t))
        dz = p.copy()
        dz[rows, t] = 0
        dz[rows, t] = -dz.sum(-1)
        return dz / len(t) * dloss

    def layernorm__three_terms(dy, x, gamma, eps):
        xhat, rstd = norm(x, eps)
        dxhat, d = dy * gamma, x.shape[-1]
        dx = rstd / d * (d * dxhat - dxhat.sum(-1, keepdims=True) - xhat * (dxhat * xhat).sum(-1, keepdims=True))
        return dx, (dy * xhat).sum(0), dy.sum(0)

    def layernorm__by_the_chain_rule(dy, x, gamma, mu, var, eps):
        d, rstd = x.shape[-1], (var + eps) ** -0.5
        c = x - mu[:, None]
        dxhat = dy * gamma
        dvar = (dxhat * c).sum(-1) * -0.5 * rstd**3
        dmu = -(dxhat * rstd[:, None]).sum(-1) + dvar * -2 * c.mean(-1)
        dx = dxhat * rstd[:, None] + dvar[:, None] * 2 * c / d + dmu[:, None] / d
        return {"dx": dx, "dgamma": np.einsum("sd,sd,s->d", dy, c, rstd), "dbeta": dy.sum(0)}

    def layernorm__named(dy, xhat, rstd, gamma):
        dbeta = np.ones_like(dy[:, 0]) @ dy
        dgamma = np.einsum("sd,sd->d", dy, xhat)
        g = dy * gamma
        dx = (g - g.mean(-1)[:, None] - xhat * (g * xhat).mean(-1)[:, None]) * rstd[:, None]
        return dbeta, dgamma, dx

    def rmsnorm__of_x(dy, x, gamma, rstd):
        dxhat = dy * gamma
        dx = rstd[:, None] * dxhat - x * (rstd**3 * (dxhat * x).mean(-1))[:, None]
        return dx, (dy * x * rstd[:, None]).sum(0)

    def rmsnorm__of_y(dy, x, y, gamma, eps):
        rms = np.sqrt((x**2).mean(-1, keepdims=True) + eps)
        return (dy * gamma - x / rms * (dy * y).mean(-1, keepdims=True)) / rms, (dy * x / rms).sum(0)

    def batchnorm__exercise(dy, xhat, rstd, gamma, ddof):
        n = len(dy)
        dgamma, dbeta = (dy * xhat).sum(0), dy.sum(0)
        dx = gamma * rstd / n * (n * dy - dy.sum(0) - n / (n - ddof) * xhat * (dy * xhat).sum(0))
        return dx, dgamma, dbeta

    def batchnorm__centred(dy, x, gamma, eps=1e-5):
        c = x - x.mean(0)
        rstd = 1 / np.sqrt((c**2).mean(0) + eps)
        dx = gamma * rstd * (dy - dy.mean(0) - c * rstd**2 * (dy * c).mean(0))
        return dx, rstd * (dy * c).sum(0), dy.sum(0)

    def batchnorm__any_rank(dy, x, gamma, eps):
        axes = (0, 2)
        mu, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        xhat = (x - mu) / np.sqrt(var + eps)
        dgamma, dbeta = (dy * xhat).sum(axes, keepdims=True), dy.sum(axes, keepdims=True)
        n = x.size / x.shape[1]
        dx = gamma[None, :, None] / np.sqrt(var + eps) * (dy - dbeta / n - xhat * dgamma / n)
        return dx, dgamma.ravel(), dbeta.ravel()

    def linear__einsum(dy, x, W):
        return np.einsum("sh,kh->sk", dy, W), np.einsum("sk,sh->kh", x, dy), np.einsum("sh->h", dy)

    def linear__transposed(dy, x, W):
        return (W @ dy.T).T, (dy.T @ x).T, np.add.reduce(dy)

    def matmul__swapped(dy, a, b):
        return dy @ b.swapaxes(-1, -2), np.swapaxes(np.swapaxes(dy, -1, -2) @ a, -1, -2)

    def embedding__loop(dy, table, t):
        dtable = np.zeros_like(table)
        for row, label in zip(dy, t, strict=True):
            dtable[label] += row
        return dtable

    def embedding__one_hot(dy, table, t):
        return np.eye(len(table), dtype=dy.dtype)[:, t] @ dy

    def attention__jacobian(do, q, k, v, P):
        dv = np.swapaxes(P, -1, -2) @ do
        dP = do @ np.swapaxes(v, -1, -2)
        dS = P * (dP - (P * dP).sum(-1, keepdims=True))
        scale = q.shape[-1] ** -0.5
        return scale * dS @ k, scale * np.swapaxes(dS, -1, -2) @ q, dv


REWRITINGS = {n: f for n, f in vars(Rewritings).items() if "__" in n and not n.startswith("__")}
#: For how many axes ``*s`` they were written, where it is not for any.
WRITTEN_FOR = {
    "softmax__jacobian": 1,
    "softmax__expanded": 1,
    "softmax__recomputed": 1,
    "layernorm__three_terms": 1,
    "layernorm__by_the_chain_rule": 1,
    "layernorm__named": 1,
    "rmsnorm__of_x": 1,
    "rmsnorm__of_y": 1,
    "batchnorm__exercise": 0,
    "batchnorm__centred": 0,
    "batchnorm__any_rank": 1,
    "linear__einsum": 1,
    "linear__transposed": 1,
    "embedding__loop": 1,
    "embedding__one_hot": 1,
}


def test_there_are_many_rewritings() -> None:
    assert len(REWRITINGS) >= 30


@pytest.mark.parametrize("name", REWRITINGS)
def test_an_equal_rewriting_is_accepted(name: str) -> None:
    report = codegen.audit(REWRITINGS[name], name.partition("__")[0], axes=WRITTEN_FOR.get(name))
    assert report.verdict == CORRECT, str(report)


@pytest.mark.parametrize("name", WRITTEN_FOR)
def test_a_rewriting_for_some_axes_alone_says_so(name: str) -> None:
    """Without the axes ``*s`` it is right, and what it was tried on is said; with a number of them, it is not."""
    report = codegen.audit(REWRITINGS[name], name.partition("__")[0])
    assert report.correct == (WRITTEN_FOR[name] == 0)
    words = {0: "no axis", 1: "one axis"}[WRITTEN_FOR[name]]
    assert f"*s as {words}" in " ".join(str(report).split())


@pytest.mark.parametrize(
    "name", ["softmax__recomputed", "linear__einsum", "layernorm__named", "relu__mask", "attention__jacobian"]
)
def test_float32_is_judged_by_its_own_precision(name: str) -> None:
    report = codegen.audit(REWRITINGS[name], name.partition("__")[0], dtype="float32", axes=WRITTEN_FOR.get(name))
    assert report.verdict == CORRECT, str(report)
    assert codegen.audit(lambda dy, y: dy * (1 - 1.01 * y**2), "tanh", dtype="float32").verdict == WRONG


# ---- what is wrong is rejected and explained ----------------------------------------------------------------------------


def running_mutants(name: str, every: int) -> list[tuple[Mutant, Callable[..., Any]]]:
    """Of every so many mutants of a kernel's backward one, if it runs and is not equal to it, as autograd judges."""
    kernel = kernels.kernel(name)
    source = arrays("numpy").text(kernel, "a test")
    out = []
    for mutant in list(mutants(source, kernel.backward.name))[::every]:
        module = load_source(name, mutant.source)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                equal = agreement(kernel, module, "numpy").largest < 1e-9
        except (ValueError, TypeError, IndexError, AssertionError, NameError):
            continue  # it does not run
        if not equal:
            out.append((mutant, getattr(module, kernel.backward.name)))
    return out


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.long)])
def test_mutants_are_rejected_and_their_cause_is_named(every: int) -> None:
    count = explained = 0
    for name in SMALL:
        for mutant, backward in running_mutants(name, every):
            report = codegen.audit(backward, kernels.kernel(name).op)
            assert report.verdict == WRONG, f"{name} was not rejected: {mutant.change}"
            found = [f.diagnosis for f in report.findings if f.verdict == WRONG]
            assert all(f.counterexample for f in report.findings if f.verdict == WRONG)
            count += 1
            explained += any(d is not None and d.kind in mutant.causes for d in found)
    assert count >= 150 / every
    assert explained >= 0.85 * count, f"{explained} of {count}"


def batchnorm_with(rstd: Callable[[Any, Any], Any], n: Callable[[Any], float] = len) -> Callable[..., Any]:
    def backward(dy, x, gamma, eps):
        r, count = rstd(x, eps), n(x)
        xhat = (x - x.mean(0)) * r
        dgamma, dbeta = (dy * xhat).sum(0), dy.sum(0)
        return gamma * r * (dy - dbeta / count - xhat * dgamma / count), dgamma, dbeta

    return backward


def without_gamma(dy, xhat, rstd, gamma):
    return rstd * (dy - dy.mean(0) - xhat * (dy * xhat).mean(0)), (dy * xhat).sum(0), dy.sum(0)


def constant_variance(dy, xhat, rstd, gamma):
    dx = gamma * rstd * (dy - dy.mean(0))
    return dx, (dy * xhat).sum(0), dy.sum(0)


def eps_in_place_of_the_argument(dy, x, gamma, eps):
    return batchnorm_with(lambda x, eps: (x.var(0) + 1e-5) ** -0.5)(dy, x, gamma, eps)


def diagonal_softmax(dp, p):
    return dp * p * (1 - p)


def overwriting_embedding(dy, table, t):
    dtable = np.zeros_like(table)
    dtable[t] = dy
    return dtable


def kept_axis(dy, x, W):
    return dy @ W.T, x.T @ dy, dy.sum(0, keepdims=True)


def no_broadcast_sum(dy, x, W):
    db = dy
    return dy @ W.T, x.T @ dy, db


def transposed_weights(dy, x, W):
    dW = dy.T @ x
    return dy @ W.T, dW, dy.sum(0)


def sum_not_mean(dloss, p, t):
    p[np.arange(len(t)), t] -= 1
    return dloss * p


def probabilities_alone(dloss, p, t):
    return dloss * p / len(t)


def unscaled_attention(do, q, k, v, P):
    dP = do @ np.swapaxes(v, -1, -2)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True))
    return dS @ k / math.sqrt(q.shape[-1]), np.swapaxes(dS, -1, -2) @ q, np.swapaxes(P, -1, -2) @ do


def twice_and_a_half(dy, y):
    return 2.5 * dy * (1 - y**2)


MISTAKES: list[tuple[str, Callable[..., Any], str, str, str]] = [
    ("batchnorm", without_gamma, "dx", "missing factor", "gamma"),
    ("batchnorm", constant_variance, "dx", "missing term", "xhat"),
    ("batchnorm", batchnorm_with(lambda x, eps: x.var(0) ** -0.5), "dx", "constant", "eps is missing"),
    ("batchnorm", batchnorm_with(lambda x, eps: 1 / (x.std(0) + eps)), "dgamma", "constant", "outside the root"),
    ("batchnorm", batchnorm_with(lambda x, eps: (x.var(0) + 2 * eps) ** -0.5), "dgamma", "constant", "twice"),
    ("batchnorm", eps_in_place_of_the_argument, "dgamma", "constant", "default"),
    ("batchnorm", batchnorm_with(lambda x, eps: (x.var(0, ddof=1) + eps) ** -0.5), "dgamma", "divisor", "size(n)"),
    ("softmax", diagonal_softmax, "dz", "missing reduction", "over c"),
    ("embedding", overwriting_embedding, "dtable", "overwritten", "over s"),
    ("linear", kept_axis, "db", "shape", "(1, "),
    ("linear", no_broadcast_sum, "db", "missing reduction", "over s"),
    ("linear", transposed_weights, "dW", "transposed", "dW"),
    ("softmax_cross_entropy", sum_not_mean, "dz", "divisor", "size(n)"),
    ("softmax_cross_entropy", probabilities_alone, "dz", "missing term", "[c = t[n]]"),
    ("attention", unscaled_attention, "dk", "divisor", "sqrt(size(f))"),
    ("tanh", twice_and_a_half, "dx", "coefficient", "5/2"),
]


@pytest.mark.parametrize(("op", "backward", "gradient", "kind", "words"), MISTAKES, ids=lambda v: getattr(v, "__name__", None))
def test_a_common_mistake_is_named(op: str, backward: Callable[..., Any], gradient: str, kind: str, words: str) -> None:
    report = codegen.audit(backward, op)
    finding = report[gradient]
    assert finding.verdict == WRONG
    assert finding.diagnosis is not None, str(report)
    assert finding.diagnosis.kind == kind, str(report)
    assert words in finding.diagnosis.text
    assert finding.diagnosis.text in " ".join(str(report).split())


def test_only_the_wrong_gradient_is_called_wrong() -> None:
    report = codegen.audit(unscaled_attention, "attention")
    assert [f.verdict for f in report.findings] == [CORRECT, WRONG, CORRECT]


def test_the_counterexample_is_small_and_fails() -> None:
    finding = codegen.audit(probabilities_alone, "softmax_cross_entropy")["dz"]
    example = finding.counterexample
    assert example is not None and example.got is not None
    assert dict(example.sizes) == {"n": 2, "c": 2}  # of one class, or one row, the loss says nothing
    arguments = dict(example.arguments)
    assert np.array_equal(probabilities_alone(**{n: np.array(v) for n, v in arguments.items()}), example.got)
    assert not np.allclose(example.got, example.expected)


def test_an_error_of_the_submission_is_reported_and_not_raised() -> None:
    def backward(dy, y):
        raise RuntimeError("no such luck")

    report = codegen.audit(backward, "tanh")
    assert report.verdict == WRONG
    assert "RuntimeError: no such luck" in str(report)


def test_arguments_written_to_are_reported_and_do_not_spoil_the_audit() -> None:
    def backward(dy, y):
        dx = dy * (1 - y**2)
        dy[:], y[:] = 0, 0
        return dx

    report = codegen.audit(backward, "tanh")
    assert report.verdict == WRONG and report["dx"].verdict == CORRECT
    assert "it writes to dy, y" in str(report)


# ---- right, but ---------------------------------------------------------------------------------------------------------


def unshifted(dp, z):
    e = np.exp(z)
    p = e / e.sum(-1, keepdims=True)
    return p * (dp - (dp * p).sum(-1, keepdims=True))


def raw_moments(dy, x, gamma, eps):
    var = (x**2).mean(0) - x.mean(0) ** 2
    return batchnorm_with(lambda x, eps: (var + eps) ** -0.5)(dy, x, gamma, eps)


def at_least_zero(dy, x):
    return dy * (x >= 0)


def every_maximum(dy, x, y):
    """Ties get the whole gradient each, which no side of a tie does."""
    return dy[:, None] * (x == y[:, None])


def overflowing_sigmoid(dy, x):
    return dy * np.exp(x) / (1 + np.exp(x)) ** 2


def recomputed_attention(do, q, k, v, o):
    """The rows of dS no longer sum to zero where P and o were rounded apart."""
    S = np.einsum("sif,sjf->sij", q, k) / math.sqrt(q.shape[-1])
    P = softmax(S)
    delta = (do * o).sum(-1)
    dS = P * (np.einsum("sid,sjd->sij", do, v) - delta[..., None]) / math.sqrt(q.shape[-1])
    return np.einsum("sij,sjf->sif", dS, k), np.einsum("sij,sif->sjf", dS, q), np.einsum("sij,sid->sjd", P, do)


@pytest.mark.parametrize(
    ("op", "backward", "gradient", "words"),
    [
        ("attention", recomputed_attention, "dq", "digits cancel"),
        ("softmax", unshifted, "dz", "large"),
        ("batchnorm", raw_moments, "dx", "far from zero"),
        ("y[n] = peak(x[n, c])\ny[n] = max[c](x[n, c])", every_maximum, "dx", "tie or are zero"),
        ("sigmoid", overflowing_sigmoid, "dx", "not a number"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_what_is_equal_and_fails_on_some_input_is_right_but(
    op: str, backward: Callable[..., Any], gradient: str, words: str
) -> None:
    finding = codegen.audit(backward, op)[gradient]
    assert finding.verdict == BUT
    assert words in finding.reason
    example = finding.counterexample
    assert example is not None and example.got is not None
    assert not np.allclose(example.got, example.expected, rtol=1e-7)


def test_an_unshifted_exponential_is_named() -> None:
    diagnosis = codegen.audit(unshifted, "softmax")["dz"].diagnosis
    assert diagnosis is not None
    assert diagnosis.kind == "unshifted exponential"


def test_another_derivative_at_zero_is_a_choice() -> None:
    report = codegen.audit(at_least_zero, "relu")
    assert report.correct and report.verdict == report["dx"].verdict == CHOICE
    diagnosis = report["dx"].diagnosis
    assert diagnosis is not None and diagnosis.text == "the condition is x[s] < 0 instead of x[s] ≤ 0"
    assert "correct, another choice at ties" in str(report)


# ---- how a submission is understood -------------------------------------------------------------------------------------


def test_an_op_of_ones_own() -> None:
    text = "y[n] = norms(x[n, d])\ny[n] = sqrt(sum[d](x[n, d]**2))"
    assert codegen.audit(lambda dy, x, y: dy[:, None] * x / y[:, None], text).correct
    report = codegen.audit(lambda dy, x, y: dy[:, None] * x, text)
    assert report["dx"].diagnosis is not None
    assert report["dx"].diagnosis.kind == "divisor"


def test_gradients_in_the_middle_can_be_audited() -> None:
    def chain(dy, gamma, c):
        dxhat = dy * gamma
        drstd = (dxhat * c).sum(-1)
        return dxhat, drstd

    report = codegen.audit(chain, "layernorm")
    assert [f.gradient for f in report.findings] == ["dxhat", "drstd"]
    assert report.correct, str(report)


def test_only_the_keys_of_a_dict_are_audited() -> None:
    def some(dy, xhat):
        return {"dgamma": (dy * xhat).sum(0), "dbeta": dy.sum()}

    report = codegen.audit(some, "layernorm", axes=1)
    assert [(f.gradient, f.verdict) for f in report.findings] == [("dgamma", CORRECT), ("dbeta", WRONG)]


def test_a_gradient_that_is_not_returned_is_wrong() -> None:
    def some(dy, xhat):
        found = {"dgamma": (dy * xhat).sum(0)}
        return found

    report = codegen.audit(some, "layernorm", axes=1)
    assert [f.verdict for f in report.findings] == [WRONG, CORRECT, WRONG]
    assert "dx, got = nothing" in str(report)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (lambda dx: None, "it is None, and no array of numbers"),
        (lambda dx: "dx", "it is of type str, and no array of numbers"),
        (lambda dx: (dx for _ in "1"), "it is of type generator, and no array of numbers"),
        (lambda dx: dx.astype(object), "it is an array of dtype object, and no array of numbers"),
        (lambda dx: dx.astype(complex), "it is of dtype complex128"),
    ],
    ids=["nothing", "text", "a generator", "objects", "complex numbers"],
)
def test_what_is_no_array_of_numbers_is_said(result: Callable[[np.ndarray], Any], says: str) -> None:
    report = codegen.audit(lambda dy, y: result(dy * (1 - y * y)), "tanh")
    assert report.verdict == WRONG
    assert says in " ".join(str(report).split())


def test_a_number_of_results_that_fits_nothing_is_reported() -> None:
    report = codegen.audit(lambda dy, xhat, rstd, gamma: (dy, dy), "layernorm")
    assert report.verdict == WRONG
    assert "returned 2 values, and 3 are expected: dx, dgamma, dbeta" in " ".join(str(report).split())


def test_more_parameters_than_there_are_inputs_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(ValueError, match="'first' is no name of layernorm; its names are: .*mu, .*rstd"):
        codegen.audit(lambda dy, first, second, third, fourth: dy, "layernorm")


def test_what_a_name_is_taken_for_is_said() -> None:
    assert "taking mean as mu" in str(codegen.audit(lambda dy, mean: dy, "layernorm"))
    assert "taking kurtosis as x" in str(codegen.audit(lambda dy, kurtosis: dy, "layernorm"))


def test_a_function_that_takes_neither_an_upstream_gradient_nor_the_inputs_is_an_error() -> None:
    expected = r"backward\(speed, x\) is neither a backward of softmax, which takes dp, nor softmax itself, which takes z"

    def backward(speed, x):
        return speed

    with pytest.raises(ValueError, match=expected):
        codegen.audit(backward, "softmax")


def test_an_unknown_op_and_dtype_are_errors() -> None:
    with pytest.raises((OpError, KeyError), match="nosuch"):
        codegen.audit(lambda dy: dy, "nosuch")
    with pytest.raises(ValueError, match="float16"):
        codegen.audit(lambda dy: dy, "tanh", dtype="float16")


def test_the_helper_for_test_suites() -> None:
    assert_backward(lambda dy, y: dy * (1 - y**2), "tanh")
    with pytest.raises(AssertionError, match="the exponent of y"):
        assert_backward(lambda dy, y: dy * (1 - y**3), "tanh")


def test_a_report_is_the_same_on_every_run() -> None:
    first, second = (str(codegen.audit(constant_variance, "batchnorm")) for _ in range(2))
    assert first == second


FILE = """
import numpy as np

def helper(a):
    return a.reshape(-1, a.shape[-1]).sum(0)

def layernorm_backward(dy, xhat, rstd, gamma):
    dxhat = gamma * dy
    dx = rstd[..., None] * (dxhat - dxhat.mean(-1, keepdims=True))
    return dx, helper(dy * xhat), helper(dy)
"""


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "codegen", *arguments], capture_output=True, text=True, check=False)


def test_the_command_names_the_missing_term(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FILE)
    done = run_command("audit", str(tmp_path / "mine.py"), "--op", "layernorm")
    assert done.returncode == 1
    assert "dgamma  correct" in done.stdout
    assert "the term -xhat[s,d]·mean[d'](dxhat[s,d']·xhat[s,d']) is missing" in done.stdout


def test_the_command_takes_equations_and_torch(tmp_path: Path) -> None:
    (tmp_path / "op.txt").write_text("y[n] = square(x[n])\ny[n] = x[n]**2\n")
    (tmp_path / "mine.py").write_text("import torch\n\ndef backward(dy, x):\n    return torch.mul(dy, x) * 2\n")
    done = run_command("audit", str(tmp_path / "mine.py"), "--equations", str(tmp_path / "op.txt"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "backward, audited as square in float64: correct" in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(dy): pass\ndef g(dy): pass\n", "there are: f, g"),
        ("x = 1\n", "there is none"),
        ("import nosuchmodule\n", "No module named 'nosuchmodule'"),
        ("def f(:\n", "SyntaxError"),
    ],
)
def test_a_file_that_says_nothing_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_file(path, "tanh")


def test_importing_the_auditor_loads_no_torch() -> None:
    code = "import sys, codegen; codegen.audit; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_report_knows_its_gradients() -> None:
    report = codegen.audit(lambda dy, y: dy, "tanh")
    assert isinstance(report, Report)
    with pytest.raises(KeyError):
        report["dy"]
