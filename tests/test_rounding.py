"""The rewritings of the accurate variants: identities, where they apply, and that certificates see a wrong one."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import generated.torch
from codegen.evaluate.arithmetic import Mpmath
from codegen.evaluate.trees import Evaluation
from codegen.plan import plan
from codegen.tools.accuracy import measured
from codegen.tools.accuracy.implementations import implementations
from codegen.tools.atlas.costs import kept, operations, sizes_of
from codegen.verify.agreement import agreement, load_kernel
from derive import Derivation, Op, derive, load, parse, syntax
from derive.certify import Stage, certify, point
from derive.certify.condition import worse
from derive.language.parse import parse_formula
from derive.language.unicode import language
from derive.ops import variants
from derive.rounding import ACCURATE, no_cancellation
from tests.backends import RUNNING

ACCURACY = Path(__file__).parent.parent / "generated/ACCURACY.md"

SOFTPLUS = "y[*s] = softplus(x[*s])\n\ny[*s] = log(1 + exp(x[*s]))"
ELU = "y[*s] = elu(x[*s], alpha=1.0)\n\ny[*s] = where(x[*s] > 0, x[*s], alpha*(exp(x[*s]) - 1))"
MISH = "y[*s] = mish(x[*s])\n\nsp[*s] = log(1 + exp(x[*s]))\ny[*s] = x[*s]*tanh(sp[*s])"
GAUSS = "y[*s] = gauss(x[*s])\n\ny[*s] = exp(-3*x[*s]**2)"
GATE = "y[n, d] = gate(a[n, d], b[n, d])\n\ny[n, d] = a[n, d]/(1 + exp(-b[n, d]))"
CELL = "h[n] = cell(i[n], f[n], c[n])\n\ncn[n] = c[n]/(1 + exp(-f[n])) + i[n]\nh[n] = tanh(cn[n])"
FOCAL = """
loss = focal(z[n, c], t[n])

t[n] in c
p[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))
loss    = -mean[n]((1 - p[n, t[n]])**2*log(p[n, t[n]]))
"""
OWN = {"softplus": SOFTPLUS, "elu": ELU, "mish": MISH, "gauss": GAUSS, "gate": GATE, "cell": CELL, "focal": FOCAL}


def accurate(what: str) -> Derivation:
    op = parse(OWN[what]) if what in OWN else load(what)
    return derive(op.as_variant("accurate"))


def lines(derivation: Derivation) -> dict[str, str]:
    """The statements of the emitted forward and backward, by name."""
    kernel = plan(derivation)
    return {s.name: language(s.tree) for p in (kernel.forward, kernel.backward) for s in p.statements}


# ---- identities ---------------------------------------------------------------------------------------------------------


def value(tree: syntax.Tree, u: float, digits: int = 400) -> mpmath.mpf:
    arithmetic = Mpmath(digits)
    op = syntax.Op("formula", (syntax.Tensor("u", ()),), (), (), ())
    found, _ = Evaluation(op, {"u": arithmetic.exact(np.asarray(u))}, {}, arithmetic).value(tree)
    return found[()]


@pytest.mark.parametrize("number", range(len(no_cancellation.IDENTITIES)))
@settings(max_examples=60)
@given(u=st.floats(-12, 12))
def test_an_identity_holds_for_every_real_number(number: int, u: float) -> None:
    left, right = no_cancellation.IDENTITIES[number]
    sides = [value(parse_formula(f"w = {side}").equations[0].rhs, u) for side in (left, right)]
    assert abs(sides[0] - sides[1]) <= mpmath.mpf(10) ** -300


@pytest.mark.parametrize("name", [*variants(), *OWN])
def test_a_variant_is_certified_and_agrees_with_autograd(name: str) -> None:
    derivation = accurate(name) if name in OWN else derive(load(name))
    assert certify(derivation).passed
    kernel = plan(derivation)
    for backend in RUNNING:
        assert agreement(kernel, load_kernel(kernel, backend), backend).largest < 1e-12


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "silu", "gelu", "softmax_cross_entropy"])
def test_a_variant_ends_in_the_same_gradient_by_further_steps(name: str) -> None:
    plain, other = derive(load(name)), accurate(name)
    count = len(plain.steps)
    assert {s.rule for s in other.steps} & ACCURATE.keys()
    assert not {s.rule for s in plain.steps} & ACCURATE.keys()
    assert other.gradients == plain.gradients and len(other.steps) > count
    assert other.stable == plain.stable and other.chain == plain.chain


# ---- the rules ----------------------------------------------------------------------------------------------------------


def test_the_gradient_of_tanh_is_a_product() -> None:
    assert lines(accurate("tanh"))["dx"] == "4*dy[s]*e[s]/(1 + e[s])**2"
    assert lines(accurate("tanh"))["e"] == "exp(-2*abs(x[s]))"


def test_one_less_a_logistic_is_the_other_share() -> None:
    assert lines(accurate("sigmoid"))["dx"] == "dy[s]*e[s]*e2[s]/(e[s] + e2[s])**2"


def test_one_less_a_probability_is_the_sum_of_the_others() -> None:
    found = lines(accurate("softmax_cross_entropy"))
    assert found["others"] == "sum[c](e[n, c]*(c != t[n]))/total[n]"
    assert found["dz"] == "dloss/size(n)*(p[n, c]*(c != t[n]) - others[n]*(c == t[n]))"
    assert "sum[c](e[n, c]*(c != t[n]))/total[n]" in lines(accurate("focal")).values()


def test_logarithms_and_exponentials_beside_one() -> None:
    assert lines(accurate("softplus"))["y"] == "maximum(0, x[s]) + log1p(exp(-abs(x[s])))"
    assert lines(accurate("elu"))["y"] == "where(x[s] > 0, x[s], alpha*expm1(x[s]))"


def test_a_product_is_written_out_where_an_identity_needs_it() -> None:
    """Nothing is subtracted where the chain rule has ``1 - tanh(sp)**2``, in whichever names the closed form has it."""
    assert not any("tanh" in text and " - " in text for name, text in lines(accurate("mish")).items() if name.startswith("d"))


def test_an_exponential_beside_an_input_is_multiplied_in_halves() -> None:
    found = lines(accurate("silu"))
    assert found["h"] == "exp(-maximum(0, -x[s])/2)"
    assert found["y"] == "h[s]*part[s]" and found["part"].startswith("x[s]*h[s]/")


@pytest.mark.parametrize("k", [Fraction(1, 100), Fraction(1, 4), Fraction(3), Fraction(50)])
def test_a_square_under_an_exponential_is_split(k: Fraction) -> None:
    """Beyond its reach the exponential is 0; below, the rest is at most 1/2 and the leading part's square exact in float32."""
    op = parse(f"y[*s] = gauss(x[*s])\n\ny[*s] = exp(-{k}*x[*s]**2)")
    found = re.fullmatch(r"floor\((\d+)\*minimum\(abs\(x\[s\]\), (\d+)\)\)/\1", lines(derive(op.as_variant("accurate")))["v"])
    assert found
    steps, reach = int(found[1]), int(found[2])
    k /= 2  # halved, for the gradient has x beside it
    assert k * reach**2 > 746  # exp(-746) is 0 in float64
    assert k * 2 * math.sqrt(746 / k) / steps <= 0.5
    assert steps * math.sqrt(104 / k) < 2**12  # exp(-104) is 0 in float32, which has 24 bits for a square


def test_what_stays_as_it_is() -> None:
    """No rule applies to a matrix product, a relu or an attention: their variants are the ops themselves."""
    for name in ("matmul", "relu", "attention", "embedding"):
        plain, other = derive(load(name)), accurate(name)
        assert [line.body for line in other.lines] == [line.body for line in plain.lines]


def test_the_smaller_exponential_of_an_infinite_argument_is_zero() -> None:
    import torch

    x = torch.tensor([-np.inf, np.inf], requires_grad=True)
    for op in (generated.torch.sigmoid, generated.torch.sigmoid_accurate):
        y = op(x)
        (dx,) = torch.autograd.grad(y, x, torch.ones(2))
        assert y.tolist() == [0, 1] and dx.tolist() == [0, 0]


# ---- certificates -------------------------------------------------------------------------------------------------------


def test_a_wrong_identity_does_not_certify(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = (("1 - tanh(u)**2", "2*exp(-2*abs(u))/(1 + exp(-2*abs(u)))**2"),)
    monkeypatch.setattr(no_cancellation, "IDENTITIES", wrong)
    no_cancellation.identities.cache_clear()
    try:
        certificate = certify(accurate("tanh"))
    finally:
        no_cancellation.identities.cache_clear()
    assert not certificate.passed and "'no cancellation' on dx" in certificate.summary()


def test_a_step_that_loses_digits_is_noticed() -> None:
    derivation = accurate("tanh")
    step = next(s for s in derivation.steps if s.rule == no_cancellation.RULE)
    at = point(derivation.op, 0)
    at.tables["x"] = [10 + v for v in at.tables["x"]]
    stage = Stage(derivation.op, at)
    values = stage.values([*derivation.stable, *derivation.forward[1:], *derivation.chain])
    assert not worse(step, values, stage)
    assert "the condition rises" in worse(replace(step, before=step.after, after=step.before), values, stage)


def test_an_unknown_variant_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no variant 'fast'"):
        load("tanh").as_variant("fast")


def test_a_variant_of_an_op_of_ones_own_is_more_accurate() -> None:
    """float32, over the whole range: within 2 ULP, where the plain elu is off by millions. log1p is in every softplus."""
    for name, plain in (("softplus", 0), ("elu", 1e6)):
        op: Op = parse(OWN[name])
        kernels = {v: plan(derive(op.as_variant(v))) for v in ("", "accurate")}
        (found,) = measured(kernels[""], implementations(kernels, ("numpy",)), ("float32",), quick=True).ranges
        largest = {e.label: float(np.nanmax(e.ulps)) for e in found.errors if e.name == "y"}
        assert largest["numpy accurate"] <= 2 and largest["numpy"] > plain
        assert plain or largest["numpy"] <= 2


# ---- what ACCURACY.md says of them ------------------------------------------------------------------------------------------


def test_the_document_states_what_the_variants_cost() -> None:
    """Bytes kept for the backward and operations, for each element of the first input."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d.]+) → ([\d.]+) \| (\d+) → (\d+) \|", ACCURACY.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {f"{name}_accurate" for name, *_ in rows} == set(variants())
    for name, *stated in rows:
        plain, other = (plan(derive(load(n))) for n in (name, f"{name}_accurate"))
        count = math.prod(sizes_of(plain)[a] for a in plain.op.inputs[0].axes)
        found = [f"{kept(k) / count:.2f}".removesuffix(".00") for k in (plain, other)]
        found += [f"{sum(operations(k, p) for p in (k.forward, k.backward)) / count:.0f}" for k in (plain, other)]
        assert stated == found, name
