"""Forward mode: the tangents of every op, from the same adjoint statement as its gradients, in every array backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

import derive
from codegen import build, certify
from codegen.backends.discovery import by_name
from codegen.plan import planned
from codegen.program import given_tangents
from codegen.verify.judge import judge
from derive.__main__ import main
from derive.certify import certify as certified
from derive.language.unicode import language
from derive.renaming import renamed_tree
from derive.tangents import backward_op, tangents
from tests import kernels
from tests.backends import each_array_backend
from tests.backends import given as passed
from tests.kernels import OPS
from tests.test_differentiable import both, op, small

every = pytest.mark.parametrize("name", OPS)


def lines(text: str) -> dict[str, str]:
    """The closed lines of the tangents of an op, as text."""
    op = derive.load(text) if "=" not in text else derive.parse(text)
    found = tangents(derive.derive(op))
    return {found.names[line.name]: language(renamed_tree(line.tree, found.names)) for line in found.derivation.lines}


# ---- forms ------------------------------------------------------------------------------------------------------------------


def test_the_forms_are_those_of_textbooks() -> None:
    assert lines("tanh") == {"y_dot": "x_dot[s]*(1 - y[s]**2)"}
    assert lines("softmax") == {"p_dot": "p[s, c]*(z_dot[s, c] - sum[c](z_dot[s, c]*p[s, c]))"}
    assert lines("attention")["o_dot"] == (
        "sum[j](v_dot[s, j, d]*P[s, i, j]) + sum[j](P_part[s, i, j]*v[s, j, d]) - o[s, i, d]*sum[j](P_part[s, i, j])"
    )


def test_the_tangent_of_a_recurrence_runs_with_it() -> None:
    assert (
        lines("linear_recurrence")["h_dot"]
        == "x_dot[n, t, k] + h_prev_dot[n, t, k]*a[n, t, k] + a_dot[n, t, k]*h_prev[n, t, k]"
    )
    (loop,) = kernels.kernel("linear_recurrence").tangent.loops
    assert not loop.down and [c.first for c in loop.carries] == ["h0_dot"]


def test_a_name_that_an_adjoint_of_an_adjoint_has_is_refused() -> None:
    with pytest.raises(derive.OpError, match="'ddx' is the name of an adjoint of an adjoint; rename it"):
        lines("y[i] = f(x[i], ddx[i])\ny[i] = x[i]*ddx[i]")


def test_tangents_give_way_to_the_names_of_the_op() -> None:
    assert lines("y[i] = f(x[i], x_dot[i])\ny[i] = x[i]*x_dot[i]") == {"y_dot": "x_dot_dot[i]*x[i] + x_dot2[i]*x_dot[i]"}


def test_an_op_may_hold_inputs() -> None:
    """No gradient of a held input is derived."""
    op = replace(derive.load("linear"), held=frozenset({"W", "b"}))
    assert derive.derive(op).gradients == ("dx",)


@pytest.mark.parametrize("name", ["layernorm", "causal_attention", "rnn"])
def test_tangents_are_shown_in_text_and_in_latex(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", name, "--jvp", "--certify"]) == 0
    text = capsys.readouterr().out
    (output,) = derive.load(name).outputs
    assert f"{output.name}_dot[" in text and f"  {output.name}_dot: " in text and "passed" in text
    assert main(["show", name, "--jvp", "--latex"]) == 0
    assert rf"\dot{{{output.name}}}" in capsys.readouterr().out


# ---- proof ------------------------------------------------------------------------------------------------------------------


def test_a_wrong_line_is_found() -> None:
    derivation = derive.derive(derive.load("softmax"))
    found = tangents(derivation)
    checks = certify.tangent_checks(found, planned(derivation, found))
    assert all(c.passed for c in checks)
    assert {("tangents, closed form", "p_dot"), ("tangents, plan", "p_dot")} <= {(c.rule, c.name) for c in checks}
    (line,) = found.derivation.lines
    wrong = replace(found, derivation=replace(found.derivation, lines=(replace(line, body=line.body.scaled(2)),)))
    assert any(not c.passed for c in certify.tangent_checks(wrong, planned(derivation, wrong)))


def test_a_wrong_program_is_found() -> None:
    derivation = derive.derive(derive.load("softmax"))
    found = tangents(derivation)
    kernel = planned(derivation, found)
    (s,) = kernel.tangent.statements
    other = replace(s, tree=derive.syntax.Mul((s.tree, s.tree)))
    wrong = replace(kernel, tangent=replace(kernel.tangent, statements=(other,)))
    assert [c.rule for c in certify.tangent_checks(found, wrong) if not c.passed] == ["tangents, plan"]


@each_array_backend
@pytest.mark.parametrize("name", ["layernorm", "rnn", "softmax_cross_entropy", "relu"])
def test_a_kernel_that_differs_is_not_written(name: str, backend: str) -> None:
    """The judge compares ``sum(dy*y_dot)`` with ``sum(dx*x_dot)``."""
    kernel, module = kernels.kernel(name), kernels.module(name, backend)
    assert not judge(kernel, module, backend, seeds=(0,)).fault

    class Wrong:
        def __getattr__(self, of: str) -> object:
            real = getattr(module, of)
            return (lambda *args: real(*args) * 1.001) if of.endswith("_jvp") else real

    assert "sum(dy*y_dot) is" in judge(kernel, Wrong(), backend, seeds=(0,)).fault  # type: ignore[arg-type]


# ---- kernels ----------------------------------------------------------------------------------------------------------------


def tangents_of(name: str, values: dict[str, torch.Tensor], seed: int = 5) -> dict[str, torch.Tensor]:
    """A random tangent of each floating-point input, by the input's name."""
    generator = torch.Generator().manual_seed(seed)
    moving = [t.name for t in kernels.kernel(name).op.differentiable]
    return {n: torch.randn(values[n].shape, generator=generator, dtype=values[n].dtype) for n in moving}


def truth(name: str, values: dict[str, torch.Tensor], moved: dict[str, torch.Tensor]) -> torch.Tensor:
    """The tangent of the output by torch's own function, differentiated twice in reverse mode."""
    given = kernels.constants(name)

    def function(*tensors: torch.Tensor) -> torch.Tensor:
        return kernels.reference(name)(values | dict(zip(moved, tensors, strict=True)), given)

    return torch.autograd.functional.jvp(function, tuple(values[n] for n in moved), tuple(moved.values()))[1]


@every
@each_array_backend
@pytest.mark.parametrize("seed", range(2))
def test_the_tangent_is_that_of_torchs_own_function(name: str, backend: str, seed: int) -> None:
    kernel, given = kernels.kernel(name), kernels.constants(name)
    values = kernels.inputs(name, np.random.default_rng(seed))
    moved = tangents_of(name, values)
    want = truth(name, values, moved)
    program = kernel.tangent
    with by_name(backend).running():
        env = {n: passed(backend, v) for n, v in values.items()}
        env |= {n: passed(backend, v) for n, v in zip(given_tangents(program), moved.values(), strict=True)}
        forward = by_name(backend).called(getattr(kernels.module(name, backend), kernel.forward.name))
        _, saved = forward(*(env[a.name] for a in kernel.forward.arguments), **constants(kernel.forward, given))
        env |= dict(zip([t.name for t in kernel.saved], saved, strict=True))
        function = by_name(backend).called(getattr(kernels.module(name, backend), program.name))
        found = function(*(env[a.name] for a in program.arguments), **constants(program, given))
        got = torch.as_tensor(by_name(backend).back(found))
    assert got.shape == want.shape and got.dtype == want.dtype
    scale = max(1.0, float(want.abs().max())) if want.numel() else 1.0
    assert torch.allclose(got, want, rtol=1e-7, atol=1e-7 * scale, equal_nan=True)


def constants(program: object, given: dict[str, float]) -> dict[str, float]:
    return {c.name: given[c.name] for c in program.constants}  # type: ignore[attr-defined]


# ---- torch ------------------------------------------------------------------------------------------------------------------


@every
@both
def test_torch_checks_forward_mode(name: str, backend: str) -> None:
    options = {"check_forward_ad": True, "check_backward_ad": False, "check_undefined_grad": False}
    assert torch.autograd.gradcheck(op(name, backend), small(name), check_batched_forward_grad=True, **options)


#: Ops whose operations have no derivative of a derivative to lose: a matrix product, a norm, a loss, a choice.
SOME = ("linear", "layernorm", "softmax_cross_entropy", "gelu", "causal_attention", "rnn")


def scalar(name: str, backend: str) -> tuple[Callable[[torch.Tensor], torch.Tensor], torch.Tensor]:
    values = [v.detach() for v in small(name)]

    def function(x: torch.Tensor) -> torch.Tensor:
        return (op(name, backend)(x.sin(), *values[1:]) ** 3).sum()

    return function, values[0]


@pytest.mark.parametrize("name", SOME)
@both
@pytest.mark.parametrize("second", ["fwd over rev", "rev over fwd", "fwd over fwd"])
def test_second_derivatives_by_forward_mode(name: str, backend: str, second: str) -> None:
    function, x = scalar(name, backend)
    outer, inner = {"fwd": torch.func.jacfwd, "rev": torch.func.jacrev}, second.split(" over ")
    found = outer[inner[0]](outer[inner[1]](function))(x)
    assert torch.allclose(found, torch.func.jacrev(torch.func.jacrev(function))(x), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", SOME)
@both
def test_a_tangent_may_be_differentiated_by_autograd(name: str, backend: str) -> None:
    """Without torch.func: dual tensors that require a gradient."""
    function, x = scalar(name, backend)
    v = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)
    with torch.autograd.forward_ad.dual_level():
        leaf = x.clone().requires_grad_()
        tangent = torch.autograd.forward_ad.unpack_dual(function(torch.autograd.forward_ad.make_dual(leaf, v))).tangent
        (found,) = torch.autograd.grad(tangent, leaf)
    want = torch.autograd.functional.hvp(function, x, v)[1]
    assert torch.allclose(found, want, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", SOME)
@both
@pytest.mark.parametrize("wanted", ["the point", "the tangent", "both"])
def test_autograd_may_follow_a_product_of_torch_func(name: str, backend: str, wanted: str) -> None:
    """The transform is inside: what autograd follows is wrapped where the op sees it."""
    function, x = scalar(name, backend)
    v = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).reshape(x.shape)
    leaf = x.clone().requires_grad_()
    point, tangent = (leaf if wanted in ("the point", "both") else x), (leaf if wanted in ("the tangent", "both") else v)
    (found,) = torch.autograd.grad(torch.func.jvp(function, (point,), (tangent,))[1], leaf)
    gradient = torch.func.grad(function)(x)
    along = tangent.detach()
    of_point = torch.autograd.functional.hvp(function, x, along)[1]
    want = {"the point": of_point, "the tangent": gradient, "both": of_point + gradient}[wanted]
    assert torch.allclose(found, want, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", SOME)
@both
def test_forward_mode_under_vmap_and_linearize(name: str, backend: str) -> None:
    function, x = scalar(name, backend)
    stack = torch.stack([torch.ones_like(x), torch.linspace(0, 1, x.numel(), dtype=x.dtype).reshape(x.shape)])
    want = torch.stack([torch.autograd.functional.jvp(function, x, v)[1] for v in stack])
    assert torch.allclose(torch.vmap(lambda v: torch.func.jvp(function, (x,), (v,))[1])(stack), want, rtol=1e-9)
    assert torch.allclose(torch.func.linearize(function, x)[1](stack[1]), want[1], rtol=1e-9)


@pytest.mark.parametrize("name", ["layernorm", "softmax_cross_entropy"])
@both
def test_forward_mode_compiles(name: str, backend: str) -> None:
    function, x = scalar(name, backend)
    for transform in (torch.func.jacfwd, torch.func.hessian):
        torch._dynamo.reset()
        assert torch.allclose(torch.compile(transform(function), backend="aot_eager")(x), transform(function)(x), rtol=1e-9)


def test_what_the_jacobian_vector_product_needs_is_taken_from_the_forward() -> None:
    """The forward runs once: the tangent is made of what it saved."""
    module = kernels.module("layernorm", "torch")
    calls, real = [], module.layernorm_forward
    x = torch.randn(3, 4, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "layernorm_forward", lambda *args: calls.append(1) or real(*args))
        torch.func.jvp(lambda x: module.layernorm(x, torch.ones(4), torch.zeros(4)), (x,), (x,))
    assert len(calls) == 1


# ---- one's own ops -----------------------------------------------------------------------------------------------------------

OWN = {
    "a choice": "y[i] = f(x[i], w[i])\ny[i] = where(x[i] > w[i], x[i]*w[i], exp(w[i]))",
    "a choice beside what has no value": "y[i] = f(x[i], w[i])\ny[i] = where(x[i] > 0, sqrt(x[i]), w[i]*x[i]**3)",
    "a position of constants": "y[i], z = f(x[i], p=2)\nu[i] = p\nk = argmin[i](u[i])\ny[i] = x[i]\nz = x[k]*p",
    "a number in a function": "y[i, c] = f(x[i], w[c], k=1)\n"
    "y[i, c] = maximum(w[c]**2, maximum(5/2, k)**(1/2))/(1 + cos(x[i])**2)**2",
    "a maximum": "y[i] = f(x[i, j])\ny[i] = max[j](x[i, j])*sum[j](x[i, j])",
    "two outputs": "y[i], z = f(x[i], w[i])\ny[i] = tanh(x[i])*w[i]\nz = sum[i](y[i]**2)",
    "packed axes": "y[n, h, f] = f(x[n, (h, f)], w[h])\ny[n, h, f] = x[n, h, f]*w[h]",
    "a window": "y[i] = f(x[l], w[k], pad=1)\nsize(i) = size(l) + 2*pad - size(k) + 1\ny[i] = sum[k](x[i + k - pad]*w[k])",
    "labels": "y[n] = f(x[n, c], t[n])\nt[n] in c\ny[n] = x[n, t[n]]**2 - logsumexp[c](x[n, c])",
    "a product": "y[i] = f(x[i, j])\ny[i] = prod[j](x[i, j])",
    "a star": "y[*s] = f(x[*s, c], g[c])\ny[*s] = sum[c](x[*s, c]*g[c])*mean[c](x[*s, c])",
    "a recurrence": "h[n, t] = f(x[n, t], a, h0[n])\nh[n, t] = tanh(a*h[n, t - 1] + x[n, t])\nh[n, -1] = h0[n]",
    "an output that others read": "y[i], z[i] = f(x[i])\ny[i] = exp(x[i])\nz[i] = y[i]*x[i]",
}


@pytest.mark.parametrize("name", OWN)
def test_ones_own_ops_have_tangents(name: str) -> None:
    """Certified, and judged in NumPy and torch."""
    built = build.build(derive.parse(OWN[name]), backends=("numpy", "torch"))
    assert built.certified, built.certificate
    assert "def f_jvp(" in built.files["numpy/f.py"] and "_FTangent" in built.files["torch/f.py"]


def test_where_the_closed_form_loses_a_value_the_chain_rule_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    derivation = derive.derive(derive.load("softmax"))
    wrong = iter([(certify.Check("tangents", "p_dot", False, "made up"),)])
    real = certify.tangent_checks
    monkeypatch.setattr(build, "tangent_checks", lambda *args: next(wrong, None) or real(*args))
    kernel, checks = build.with_tangents(derivation)
    assert all(c.passed for c in checks) and len(kernel.tangent.statements) > 1


def test_the_backward_is_certified_as_an_op() -> None:
    derivation = derive.derive(derive.load("mse"))
    assert backward_op(derivation).held and certified(tangents(derivation).derivation).passed
