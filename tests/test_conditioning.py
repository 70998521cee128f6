"""The plain closed forms round no worse than autograd's own chain rule on the same equations, where the numbers are hard."""

from __future__ import annotations

import inspect
import math
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import derive
from codegen.backends.arrays.discovery import arrays
from codegen.backends.discovery import by_name
from codegen.load import load_source
from codegen.plan import plan
from derive.engine import style_of
from derive.language.unicode import language
from derive.ops import names
from derive.show.trees import of_derivation
from derive.strain import Judge
from derive.strain.verdict import without_value
from derive.terms.definitions import Definition
from derive.terms.style import DEFAULT
from derive.terms.sums import Read
from tests.backends import arguments, each_array_backend
from tests.conditioning import worse
from tests.long import NETWORKS, each
from tests.test_invented_systems import SYSTEMS as INVENTED

SYSTEMS = {
    "gate": "y[n] = gate(a[n], b[n])\ng[n] = sigmoid(b[n])\ny[n] = tanh(a[n])*g[n]",
    "lstm cell": """
        hn[n], cn[n] = cell(i[n], f[n], o[n], u[n], c[n])
        cn[n] = c[n]/(1 + exp(-f[n])) + tanh(u[n])/(1 + exp(-i[n]))
        hn[n] = tanh(cn[n])/(1 + exp(-o[n]))
    """,
    "gru": """
        y[n] = gru(az[n], an[n], h[n])
        z[n] = sigmoid(az[n])
        m[n] = tanh(an[n])
        y[n] = (1 - z[n])*m[n] + z[n]*h[n]
    """,
    "radial basis": "k[i, j] = rbf(x[i, d], z[j, d])\nk[i, j] = exp(-sum[d]((x[i, d] - z[j, d])**2)/2)",
    "mish": "y[n] = mish(x[n])\ny[n] = x[n]*tanh(log(1 + exp(x[n])))",
    "tanh gelu": """
        y[n] = tgelu(x[n])
        y[n] = 0.5*x[n]*(1 + tanh(0.7978845608028654*(x[n] + 0.044715*x[n]**3)))
    """,
    "softplus": "y[n] = softplus(x[n])\ny[n] = log(1 + exp(x[n]))",
    "logaddexp": "y[n] = logaddexp(u[n], v[n])\ny[n] = log(exp(u[n]) + exp(v[n]))",
    "mixture": """
        y[n] = mixture(u[n], v[n], beta=0.3)
        beta > 0
        beta < 1
        y[n] = log(beta*exp(u[n]) + (1 - beta)*exp(v[n]))
    """,
    "bce": """
        l[n] = bce(x[n], t[n])
        p[n] = sigmoid(x[n])
        l[n] = -t[n]*log(p[n]) - (1 - t[n])*log(1 - p[n])
    """,
    "log of a complement": "y[n] = f(x[n])\np[n] = sigmoid(x[n])\ny[n] = log(1 - p[n])",
    "log-sum-exp": "y[l] = lse(x[l, r])\ny[l] = log(sum[r](exp(x[l, r])))",
    "likelihood": """
        l[n] = likelihood(m[n], s[n], t[n])
        l[n] = log(s[n]**2 + 1e-6)/2 + (m[n] - t[n])**2/(2*(s[n]**2 + 1e-6))
    """,
    "distance": "y[i, j] = dist(x[i, d], z[j, d])\ny[i, j] = sqrt(sum[d]((x[i, d] - z[j, d])**2) + 1)",
    "highway": """
        y[n] = highway(x[n], t[n], h[n])
        g[n] = sigmoid(t[n])
        y[n] = g[n]*tanh(h[n]) + (1 - g[n])*x[n]
    """,
}
SYSTEMS |= INVENTED

#: Why a row is worse than autograd's: no mend is known that costs nothing.
OUTPUT = "starts from a rounded value: 1 - y, where y is next to 1"
CENTRE = "starts from a rounded mean, whose own gradient is exactly 0 and is left out"
ORDER = "1 and -1, which cancel, are added in another order"
ROUNDED = "starts from the rounded output, as a row sum of the upstream gradient times it"
REASONS = {
    ("sigmoid", "dx"): OUTPUT,
    ("silu", "dx"): OUTPUT,
    ("gate", "db"): OUTPUT,
    ("glu", "db"): OUTPUT,
    ("gru_cell", "dz"): OUTPUT,
    ("gru_cell", "dr"): OUTPUT,
    ("lstm_cell", "di"): OUTPUT,
    ("lstm_cell", "df"): OUTPUT,
    ("lstm cell", "di"): OUTPUT,
    ("lstm cell", "df"): OUTPUT,
    ("lstm cell", "do"): OUTPUT,
    ("batchnorm", "dx"): CENTRE,
    ("layernorm", "dx"): CENTRE,
    ("weighted variance", "dv"): CENTRE,
    ("weighted variance", "dw"): CENTRE,
    ("two outputs", "dx"): CENTRE,
    ("softplus and friends", "dx"): ORDER,
    ("attention", "dq"): ROUNDED,
    ("attention", "dk"): ROUNDED,
    ("attention row", "dquery"): ROUNDED,
    ("attention row", "dkeys"): ROUNDED,
}


def parsed(text: str) -> derive.Op:
    return derive.parse("\n".join(line.strip() for line in text.strip().splitlines()))


def compiled(text: str, backend: str) -> ModuleType:
    op = parsed(text)
    kernel = plan(derive.derive(op))
    return load_source(f"conditioning_{op.name}_{backend}", arrays(backend).text(kernel, "tests"))


@pytest.mark.parametrize("name", each((n for n in names() if n not in NETWORKS), SYSTEMS))
def test_no_worse_than_autograd(name: str) -> None:
    op = parsed(SYSTEMS[name]) if name in SYSTEMS else derive.load(name)
    found = [w for w in worse(op, each=4) if (name, w.name) not in REASONS]
    assert not found, found


def gradients(module: ModuleType, name: str, inputs: dict[str, Any], dy: Any) -> list[float]:
    """What the emitted backward returns, its arguments found by their names."""
    _, saved = getattr(module, f"{name}_forward")(*inputs.values())
    backward = getattr(module, f"{name}_backward")
    wanted = [p.name for p in inspect.signature(backward).parameters.values() if p.default is p.empty]
    rest = [p for p in wanted[1:] if p not in inputs]
    values = inputs | dict(zip(rest, saved, strict=True))
    found = backward(dy, *(values[p] for p in wanted[1:]))
    return [float(g[0]) for g in (found if isinstance(found, tuple) else (found,))]


@each_array_backend
def test_a_gate_that_underflows_is_not_divided_by(backend: str) -> None:
    """sigmoid(-110) is 0 in float32: autograd gives 0, and y**2/g would be NaN."""
    with by_name(backend).running():
        a, b, dy = (by_name(backend).to(np.array([v], np.float32)) for v in (0.5, -110.0, 1.0))
        found = gradients(compiled(SYSTEMS["gate"], backend), "gate", {"a": a, "b": b}, dy)
    assert found == [0.0, 0.0]


@each_array_backend
@pytest.mark.parametrize(("x", "slope"), [(1e14, 1.0), (-1e14, 0.0), (3e17, 1.0)])
def test_a_name_may_overflow_where_the_output_does_not(backend: str, x: float, slope: float) -> None:
    """x**3 is infinite in float32, and tanh of it is 1 or -1: y is x or 0."""
    module = compiled(SYSTEMS["tanh gelu"], backend)
    with by_name(backend).running(), np.errstate(all="ignore"):
        given, dy = arguments(backend, np.array([x], np.float32), np.array([1.0], np.float32))
        assert gradients(module, "tgelu", {"x": given}, dy) == [slope]


@each_array_backend
@pytest.mark.parametrize("x", [[-math.inf, -math.inf], [math.inf, 0.0], [math.inf, -math.inf], [-math.inf, 1.0], [3.0, 3.0]])
def test_log_sum_exp_of_infinities_is_one(backend: str, x: list[float]) -> None:
    wanted = float(torch.logsumexp(torch.tensor(x, dtype=torch.float64), 0))
    row = compiled(SYSTEMS["log-sum-exp"], backend)
    pair = compiled(SYSTEMS["logaddexp"], backend)
    with by_name(backend).running(), np.errstate(all="ignore"):
        whole, left, right = arguments(backend, np.array([x]), np.array(x[:1]), np.array(x[1:]))
        y, _ = row.lse_forward(whole)
        z, _ = pair.logaddexp_forward(left, right)
    for found in (y, z):
        assert float(found[0]) == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize("x", [-30.0, -15.0, -1.0, 0.0, 2.0, 40.0])
def test_softplus_and_the_logarithm_of_a_complement(x: float) -> None:
    """log(1 + exp(-15)) and log(1 - sigmoid(20)), to a few units of float32."""
    softplus, other = compiled(SYSTEMS["softplus"], "numpy"), compiled(SYSTEMS["log of a complement"], "numpy")
    given = np.array([x], np.float32)
    wanted = mpmath.log1p(mpmath.exp(x))
    assert abs(softplus.softplus_forward(given)[0][0] - wanted) <= 4 * 2.0**-24 * abs(wanted)
    assert abs(other.f_forward(given)[0][0] + wanted) <= 4 * 2.0**-24 * abs(wanted)


# ---- the judge ----------------------------------------------------------------------------------------------------------


def test_without_the_judge_the_engine_takes_what_is_cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same search divides by the gate and multiplies differences out as soon as nobody looks at the rounding."""
    monkeypatch.setattr(Judge, "keeps", lambda *_: True)
    monkeypatch.setattr(Judge, "inherits", lambda *_: False)
    gate = derive.derive(parsed(SYSTEMS["gate"]))
    powers = {(a.name, e) for line in gate.lines for m in line.body.terms for a, e in m.factors if isinstance(a, Read)}
    assert ("g", -1) in powers
    rbf = derive.derive(parsed(SYSTEMS["radial basis"]))
    assert "dt" not in {line.name for line in rbf.lines}


def test_a_rewriting_that_divides_by_what_underflows_is_refused() -> None:
    derivation = derive.derive(parsed(SYSTEMS["gate"]))
    for line in derivation.lines:
        for mono in line.body.terms:
            assert all(e > 0 for a, e in mono.factors if isinstance(a, Read) and a.name == "g"), line


def without(text: str) -> dict[str, str]:
    """For each gradient of a derivation, where it has no value although the chain rule's adjoint has one."""
    derivation = derive.derive(parsed(text))
    op, style = derivation.op, style_of(derivation.op, derivation.forward)
    lines = [Definition(line.name, line.index, line.body) for line in derivation.lines]
    return without_value(op, derivation.stable, derivation.chain, derivation.forward, lines, style)


def test_the_judge_sees_what_only_float64_reaches() -> None:
    """``y**2/(l*e)`` for ``y*l*e/m**2`` overflows at every ``y`` beyond 1e154, which no strained point has in float32."""
    found = without(
        """
        y[n] = f(x[n], t, p[n], w, r[n, b])
        y[n] = log1p(maximum(sum[n](x[n]), 1/4))*exp(t**4/4)/maximum(sum[b](w*p[n]*r[n, b]), 1/4)
        """
    )
    assert not any(found.values()), found


def test_the_end_of_the_range_is_no_place_to_compare() -> None:
    """``sum(u**2*dt)/4`` is inf where ``sum(u**2/4*dt)`` is 1e38, at one of the strained points."""
    found = without(
        """
        e[b], a, true = mix(free[b], u[h], bias[b, h], q[h], complex_[h], v[h], r=0.25, gain=-1)
        e[b] = relu(free[b])
        a = mean[b, h](exp(u[h]*free[b]*u[h]*(0.25)/(abs(size(h)) + 0.5)))
        true = sum[b](a*free[b])
        """
    )
    assert not any(found.values()), found


def test_a_sum_over_nothing_stays_0() -> None:
    """What is summed over an empty axis may be NaN: the sum is 0, and is not taken apart there."""
    found = without(
        """
        m[a], total[a, s] = f(beta[s], w[s, a])
        m[a] = tanh(mean[s, a](maximum(beta[s]/(1 + w[s, a]**2), sinh(tanh(beta[s])))))
        total[a, s] = m[a]/(1 + beta[s]**2)
        """
    )
    assert not any(found.values()), found


def closed(name: str) -> dict[str, str]:
    derivation = derive.derive(parsed(SYSTEMS[name]))
    show = of_derivation(derivation)
    return {line.name: language(show(line.body, line.index)) for line in derivation.lines}


def test_closed_forms_that_an_expert_would_write() -> None:
    assert closed("bce") == {"dt": "-dl[n]*x[n]", "dx": "dl[n]*(p[n] - t[n])"}
    assert closed("gru")["daz"] == "dy[n]*z[n]*t5[n]*(h[n] - m[n])"
    assert closed("gate")["da"] == "dy[n]*g[n]*(1 - t5[n]**2)"


def test_the_judge_computes_in_float32() -> None:
    """The emulated arithmetic is NumPy's own: the same operations give the same bits."""
    op = parsed("y[i] = f(x[i], w[i])\ny[i] = x[i]/w[i] - w[i]**2")
    values = Judge(op, derive.derive(op).stable, DEFAULT).rounded.tables
    x, w, y = (np.array(values[name].entries, np.float32) for name in ("x", "w", "y"))
    with np.errstate(all="ignore"):
        assert np.array_equal(x / w - w**2, y, equal_nan=True)
