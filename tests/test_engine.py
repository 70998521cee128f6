"""The rules of the engine, each on the smallest system that shows it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from textwrap import dedent

import pytest

import derive
from derive import Derivation, OpError
from derive.certify import certify
from derive.language.unicode import language
from derive.ops import names
from derive.rules import CHAIN_RULE, STABILISE
from derive.show.trees import as_written, of_derivation
from derive.simplify.cost import Model
from derive.simplify.ledger import Ledger
from derive.terms.flatten import bind
from derive.terms.sums import Exponent, Read, Sum, atom_sum, term
from tests.long import CORE, each

ROOT = Path(__file__).resolve().parent.parent


def derived(text: str) -> Derivation:
    """The closed derivation of a system, certified: a form that is wrong fails here, whatever it looks like."""
    derivation = derive.derive(derive.parse(dedent(text).strip()))
    certificate = certify(derivation)
    assert certificate.passed, certificate.summary()
    return derivation


def shown(derivation: Derivation) -> dict[str, str]:
    """The lines in the language, the engine's own names replaced by what they stand for."""
    tree = of_derivation(derivation)
    return {line.name: language(tree(line.body, line.index)) for line in derivation.lines}


def closed(text: str) -> dict[str, str]:
    return shown(derived(text))


def chain(text: str) -> dict[str, str]:
    """The adjoint of every equation as the chain rule gives it."""
    return shown(derive.derive_full(derive.parse(dedent(text).strip())))


def forward(derivation: Derivation) -> dict[str, str]:
    tree = of_derivation(derivation)
    return {d.name: language(tree(d.body, d.index)) for d in derivation.forward}


def exponents(derivation: Derivation, name: str) -> set[Exponent]:
    """The exponents under which the derivation reads a name, in its steps and in its lines."""
    bodies = [*(s.after for s in derivation.steps), *(line.body for line in derivation.lines)]
    return {e for b in bodies for m in b.terms for a, e in m.factors if isinstance(a, Read) and a.name == name}


# ---- the one adjoint statement ------------------------------------------------------------------------------------------

STATEMENT = {
    "elementwise": ("y[i] = f(x[i])\ny[i] = x[i]**3", {"dx": "3*dy[i]*x[i]**2"}),
    "a function of a product": (
        "y[i] = f(x[i])\ny[i] = tanh(2*x[i])",
        {"dt": "dy[i]*(1 - y[i]**2)", "dx": "2*dt[i]"},
    ),
    "broadcast": (
        "y[n, d] = f(x[n, d], b[d])\ny[n, d] = x[n, d]*b[d]",
        {"dx": "b[d]*dy[n, d]", "db": "sum[n](dy[n, d]*x[n, d])"},
    ),
    "reduction": ("y[n] = f(x[n, d])\ny[n] = sum[d](x[n, d]**2)", {"dx": "2*dy[n]*x[n, d]"}),
    "mean": ("y[n] = f(x[n, d])\ny[n] = mean[d](x[n, d])", {"dx": "dy[n]/size(d)"}),
    "an axis that a term lacks": ("y = f(x, w[n])\ny = sum[n](x + w[n])", {"dx": "dy*size(n)", "dw": "dy"}),
    "contraction": (
        "y[n, m] = f(a[n, k], b[k, m])\ny[n, m] = sum[k](a[n, k]*b[k, m])",
        {"da": "sum[m](dy[n, m]*b[k, m])", "db": "sum[n](dy[n, m]*a[n, k])"},
    ),
    "gather": ("y[s, d] = f(E[v, d], t[s])\nt[s] in v\ny[s, d] = E[t[s], d]", {"dE": "sum[s](dy[s, d]*(v == t[s]))"}),
    "gather along a loop": (
        "y = f(z[n, c], t[n])\nt[n] in c\ny = sum[n](z[n, t[n]]**2)",
        {"dz": "2*dy*z[n, t[n]]*(c == t[n])"},
    ),
    "diagonal": ("y = f(a[i, j])\ny = sum[i](a[i, i])", {"da": "dy*(i == j)"}),
    "two reads of one tensor": (
        "y[i, j] = f(x[i])\ny[i, j] = x[i]*x[j]",
        {"dx": "sum[i2](x[i2]*dy[i2, i]) + sum[j](x[j]*dy[i, j])"},
    ),
    "ties of max": (
        "y[n] = f(x[n, d])\ny[n] = max[d](x[n, d])",
        {"dx": "where(x[n, d] == y[n], dy[n], 0)/total[n]"},
    ),
    "ties of maximum": (
        "y[i] = f(a[i], b[i])\ny[i] = maximum(a[i], b[i])",
        {
            "da": "where(a[i] < b[i], 0, dy[i]*where(a[i] == b[i], 1/2, 1))",
            "db": "where(b[i] < a[i], 0, dy[i]*where(a[i] == b[i], 1/2, 1))",
        },
    ),
    "where": (
        "y[i] = f(x[i], a[i])\ny[i] = where(x[i] > 0, a[i], 2*a[i])",
        {"dx": "0", "da": "dy[i]*where(x[i] > 0, 1, 2)"},
    ),
    "an output that is read": (
        "y, z = f(x)\ny = x**2\nz = y*x",
        {"dy_total": "dy + dz*x", "dx": "2*dy_total*x + dz*y"},
    ),
}


@pytest.mark.parametrize("case", STATEMENT)
def test_the_adjoint_statement(case: str) -> None:
    text, expected = STATEMENT[case]
    assert chain(text) == expected
    derived(text)


def test_ties_of_max_are_counted() -> None:
    assert forward(derived(STATEMENT["ties of max"][0]))["total"] == "sum[d](where(x[n, d] == y[n], 1, 0))"


@pytest.mark.parametrize(
    "text",
    [
        "y, y_total = f(x)\ny = x**2\ny_total = y*x",
        "y, z = f(x[i], y_total)\ny = sum[i](x[i])*y_total\nz = y**2",
        "y = f(x[i], y_total)\ny = sum[i](x[i])*y_total",
    ],
)
def test_the_whole_adjoint_of_an_output_is_told_from_the_adjoint_of_a_name(text: str) -> None:
    derivation = derived(text)
    names = [d.name for d in derivation.chain]
    assert len(names) == len(set(names))
    assert certify(derivation).passed


# ---- flattening ---------------------------------------------------------------------------------------------------------


def test_equal_subexpressions_share_one_name() -> None:
    derivation = derived(
        """
        y[i] = f(x[i], w[i])
        y[i] = exp(x[i]*w[i])*sin(w[i]*x[i]) + exp(w[i]*x[i])
        """
    )
    heads = [d.function.head for d in derivation.forward if d.function]
    assert sorted(heads) == ["cos", "exp", "sin"]


def test_the_reciprocal_of_a_choice_is_not_a_choice_of_reciprocals() -> None:
    """1/where(c, w, 0) is infinite where c fails; [c]/w would be 0 there."""
    found = forward(derive.derive(derive.parse("y[i] = f(w[i])\ny[i] = 1/where(w[i] > 0, w[i], 0)")))
    assert found == {"t": "where(w[i] > 0, w[i], 0)", "y": "1/t[i]"}


# ---- folding ------------------------------------------------------------------------------------------------------------


def test_folding_does_not_divide_by_what_may_be_zero() -> None:
    """With y = gamma*xhat the name xhat could be y/gamma, and gamma may be zero."""
    derivation = derived(
        """
        y[n, d] = f(xhat[n, d], gamma[d])
        y[n, d] = gamma[d]*xhat[n, d]
        """
    )
    assert shown(derivation) == {"dxhat": "gamma[d]*dy[n, d]", "dgamma": "sum[n](dy[n, d]*xhat[n, d])"}
    assert all(e > 0 for name in ("gamma", "y", "xhat") for e in exponents(derivation, name))


def test_folding_divides_by_what_is_stated_not_to_be_zero() -> None:
    """The square of y replaces gamma**2*x**2 either way; only with the assumption may x itself be y/gamma."""
    text = "y[i], z[i] = f(x[i], gamma[i])\n{}y[i] = gamma[i]*x[i]\nz[i] = x[i]**2*y[i]"
    assert all(e > 0 for e in exponents(derived(text.format("")), "gamma"))
    assert any(e < 0 for e in exponents(derived(text.format("gamma != 0\n")), "gamma"))


def test_a_reduction_is_recovered_only_from_a_factor_that_is_not_zero() -> None:
    """y = g*sum(x) holds the sum that dw needs, but not where g is zero."""
    text = "y[d], z = f(x[n, d], g[d], w[d])\n{}y[d] = sum[n](g[d]*x[n, d])\nz = sum[n, d](w[d]*x[n, d])"
    assert closed(text.format(""))["dw"] == "dz*sum[n](x[n, d])"
    assert closed(text.format("g != 0\n"))["dw"] == "dz*(y[d]/g[d])"


def test_folding_divides_by_what_the_definition_divides_by() -> None:
    """c*rstd is xhat and rstd is a reciprocal root: c itself is xhat/rstd, so c needs not be saved."""
    found = closed(
        """
        xhat[n] = f(c[n])
        r       = sqrt(sum[n](c[n]**2) + 1)
        xhat[n] = c[n]/r
        """
    )
    assert found == {"dc": "(dxhat[n] - xhat[n]*sum[n](dxhat[n]*xhat[n]))/r"}


def test_a_denominator_is_not_recovered_from_a_quotient_that_may_be_zero() -> None:
    """q = g/den gives den = g/q only where g is not zero: dg is dq/den, not dq*q/g."""
    derivation = derived(
        """
        q[i] = f(g[i], x[i])
        den[i] = x[i]**2 + 1
        q[i] = g[i]/den[i]
        """
    )
    assert shown(derivation) == {"dg": "dq[i]/den[i]", "dx": "-2*dq[i]*x[i]*q[i]/den[i]"}
    assert not {e for name in ("g", "q", "dq") for e in exponents(derivation, name) if e < 0}


def test_a_root_of_a_product_is_not_split_where_factors_may_be_negative() -> None:
    """With w < 0 the positive den**2 is q/w, but neither q nor w has a root."""
    derivation = derived(
        """
        q[i], s[i] = f(x[i], w[i])
        w < 0
        den[i] = x[i]**2 + 1
        q[i] = w[i]*den[i]**2
        s[i] = den[i]*w[i]
        """
    )
    assert all(Fraction(e).denominator == 1 for name in ("q", "w") for e in exponents(derivation, name))


@pytest.mark.parametrize(
    ("use", "squared"),
    [
        ("y[i] = r[i]*x[i] + q[i]", True),
        ("y[i] = where(q[i] > 0, r[i]*x[i], w[i]*q[i])", False),
        ("t[i] = tanh(r[i])\ny[i] = where(x[i] > 0, t[i], q[i])", False),
    ],
    ids=["unguarded", "guarded", "guarded further on"],
)
def test_a_root_is_squared_only_where_every_value_needs_it(use: str, squared: bool) -> None:
    """r = sqrt(q) gives q = r**2, but not where a condition does without r because q may be negative."""
    derivation = derived(f"y[i] = f(x[i], w[i])\nq[i] = x[i]/w[i]\nr[i] = q[i]**(1/2)\n{use}")
    read = {a.name for line in derivation.lines for m in line.body.terms for a, _ in m.factors if isinstance(a, Read)}
    assert ("q" not in read) == squared


def test_a_condition_that_needs_the_root_guards_nothing() -> None:
    """A relu behind a batch norm, whose variance has no sign that could be proved: n - ddof may be anything."""
    found = closed(
        """
        y[n] = f(x[n], eps=1e-5, ddof=0)
        eps > 0
        mu      = mean[n](x[n])
        c[n]    = x[n] - mu
        var     = sum[n](c[n]**2)/(size(n) - ddof)
        rstd    = (var + eps)**(-1/2)
        xhat[n] = c[n]*rstd
        y[n]    = where(xhat[n] > 0, xhat[n], 0)
        """
    )
    assert found == {
        "dxhat": "where(xhat[n] > 0, dy[n], 0)",
        "dx": "rstd*(dxhat[n] - mean[n](dxhat[n]) - xhat[n]*(sum[n](dxhat[n]*xhat[n])/(size(n) - ddof)))",
    }


# ---- unfolding ----------------------------------------------------------------------------------------------------------


def test_unfolding_finds_that_a_normalized_row_sums_to_zero() -> None:
    found = closed(
        """
        xhat[n] = f(x[n])
        mu      = mean[n](x[n])
        c[n]    = x[n] - mu
        xhat[n] = c[n]/sqrt(mean[n](c[n]**2) + 1)
        """
    )
    assert found == {"dx": "(dxhat[n] - mean[n](dxhat[n]) - xhat[n]*mean[n](dxhat[n]*xhat[n]))/sqrt(total)"}


@pytest.mark.parametrize(
    ("text", "gradient"),
    [
        ("s, x_[i] = f(x[i])\nc[i] = x[i] - mean[i](x[i])\nx_[i] = x[i]**2\ns = sum[i](c[i])", "2*dx_[i]*x[i]"),
        ("s = f(z[c])\np[c] = exp(z[c])/sum[c](exp(z[c]))\ns = sum[c](p[c])", "0"),
    ],
    ids=["sum[i](x - mean(x)) = 0", "sum[c](p) = 1"],
)
def test_a_constant_has_no_gradient(text: str, gradient: str) -> None:
    (found,) = closed(text).values()
    assert found == gradient


def test_a_line_never_reads_a_line_that_comes_later() -> None:
    for name in CORE:
        derivation = derive.derive(derive.load(name))
        known: set[str] = set()
        adjoints = {d.name for d in derivation.chain}
        for line in derivation.lines:
            reads = {a.name for m in line.body.terms for a, _ in m.factors if isinstance(a, Read)}
            assert reads & adjoints <= known, (name, line.name)
            known.add(line.name)


# ---- scaled exponentials ------------------------------------------------------------------------------------------------


def shifts(derivation: Derivation) -> list[str]:
    tree = of_derivation(derivation)
    return [language(tree(s.after, s.index)) for s in derivation.steps if s.rule == STABILISE]


def test_a_naive_softmax_is_shifted_by_its_maximum() -> None:
    derivation = derived("p[n, c] = f(z[n, c])\np[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))")
    found = forward(derivation)
    assert shifts(derivation) == ["total[n]*exp(m[n])", "e[n, c]/total[n]"]
    assert found["m"] == "max[c](z[n, c])"
    assert found["e"] == "exp(t[n, c])"
    assert found["t"] == "z[n, c] - m[n]"
    assert found["p"] == "e[n, c]/total[n]"
    assert shown(derivation) == {"dz": "p[n, c]*(dp[n, c] - sum[c](dp[n, c]*p[n, c]))"}


@pytest.mark.parametrize(
    "exponential",
    ["e[n, c] = exp(z[n, c] - m[n])", "u[n, c] = z[n, c] - m[n]\ne[n, c] = exp(u[n, c])"],
    ids=["in place", "under a name"],
)
def test_a_shift_that_the_author_wrote_stays_as_it_is(exponential: str) -> None:
    derivation = derived(f"p[n, c] = f(z[n, c])\nm[n] = max[c](z[n, c])\n{exponential}\np[n, c] = e[n, c]/sum[c](e[n, c])")
    assert not shifts(derivation)
    assert {d.name: d.body for d in derivation.written}.items() <= {d.name: d.body for d in derivation.forward}.items()


def test_a_logistic_is_shifted_by_the_larger_of_its_exponents() -> None:
    derivation = derived("y[i] = f(x[i])\ny[i] = 1/(1 + exp(-x[i]))")
    assert forward(derivation)["m"] == "maximum(0, t[i])"
    assert shifts(derivation) == ["t4[i]*exp(m[i])", "e[i]/t4[i]"]
    assert shown(derivation) == {"dx": "dy[i]*y[i]*(1 - y[i])"}


@pytest.mark.parametrize(
    ("text", "gradient"),
    [
        ("y[n] = f(z[n, c])\ny[n] = log(sum[c](exp(z[n, c])))", {"dz": "e[n, c]*(dy[n]/total[n])"}),
        ("y[i] = f(x[i])\ny[i] = log(1 + exp(x[i]))", {"dx": "dy[i]*e2[i]/t3[i]"}),
    ],
    ids=["log-sum-exp", "softplus"],
)
def test_a_logarithm_splits_the_maximum_off(text: str, gradient: dict[str, str]) -> None:
    derivation = derived(text)
    index = derivation.forward[0].index[:1]
    y = next(d for d in derivation.forward if d.name == "y")
    parts = {a.name for m in y.body.terms for a, _ in m.factors if isinstance(a, Read)}
    assert parts == {"m", "l"}
    assert len(y.body) == 2
    assert atom_sum(Read("m", index)).terms.keys() <= y.body.terms.keys()
    assert shown(derivation) == gradient


@pytest.mark.parametrize(
    "text",
    [
        "y[i] = f(x[i])\ny[i] = exp(x[i])*x[i]",
        "y[i] = f(x[i])\ny[i] = exp(x[i]) - exp(-x[i])",
        "y[i] = f(x[i, j], w[j])\ny[i] = sum[j](w[j]*exp(x[i, j]))",
        "y[i] = f(x[i])\ny[i] = log(x[i]**2 + 1)",
    ],
    ids=["no sum", "a difference", "weights of either sign", "no exponential"],
)
def test_what_is_no_positive_sum_of_exponentials_is_left_alone(text: str) -> None:
    derivation = derived(text)
    assert not shifts(derivation)
    written = {d.name: d.body for d in derivation.written}
    assert {d.name: d.body for d in derivation.stable if d.name in written} == written


def test_weights_that_are_positive_are_summed_with_the_shift() -> None:
    derivation = derived("y[i] = f(x[i, j], w[j])\nw > 0\ny[i] = log(sum[j](w[j]*exp(x[i, j])))")
    assert forward(derivation)["total"] == "sum[j](w[j]*e[i, j])"


def test_a_condition_on_an_exponential_compares_the_exponential_itself() -> None:
    derivation = derived(
        """
        s[i] = f(x[i])
        a[i] = exp(x[i])
        b[i] = where(a[i] > 2, a[i], 0)*a[i]
        s[i] = log(1 + b[i])
        """
    )
    assert forward(derivation)["a"] == "exp(x[i])"


def test_an_exponential_of_an_exponential_keeps_the_inner_one() -> None:
    derivation = derived("s[i] = f(x[i])\na[i] = exp(x[i])\ns[i] = log(1 + exp(a[i]))")
    assert forward(derivation)["a"] == "exp(x[i])"
    assert shown(derivation)["dx"] != "0"


def test_a_root_of_scaled_exponentials_takes_the_root_of_their_coefficient() -> None:
    derivation = derived("s = f(x[i])\na[i] = 2*exp(x[i])\ns = sum[i](a[i]**(1/2))")
    assert forward(derivation)["total"] == "sqrt(2)*sum[i](e[i])"


@pytest.mark.parametrize(
    ("text", "hat"),
    [
        ("u != 0\na[i] = u[i]**2*exp(y[i])", "u[i]**2"),
        ("u < 0\na[i] = -u[i]*exp(y[i])", "-u[i]"),
    ],
    ids=["an even power", "two negative factors"],
)
def test_a_logarithm_is_not_split_over_factors_that_may_be_negative(text: str, hat: str) -> None:
    derivation = derived(f"s = f(u[i], y[i])\n{text}\ns = sum[i](log(a[i]))")
    found = forward(derivation)
    assert found["l"] == "log(t[i])"
    assert found["t"] == hat


# ---- the cost -----------------------------------------------------------------------------------------------------------


def model(**sizes: int) -> Model:
    axes = {"x": ("n", "d"), "y": ("n", "d"), "w": ("d",)}
    return Model(sizes, axes, frozenset())


X, Y, W = (atom_sum(Read(n, i)) for n, i in (("x", ("n", "d")), ("y", ("n", "d")), ("w", ("d",))))


def test_a_reduction_that_two_lines_need_counts_once() -> None:
    total = bind(X * Y, ("d",))
    costs = model(n=10, d=100)
    apart = costs.alone(total * X) + costs.alone(total * Y)
    reads = 4 * 2 * 1000
    together = Ledger(costs).cost({"one": total * X, "other": total * Y})
    assert apart - together == 2 * 1000 + reads, "the loop over x*y, and the reading of x and y"


def test_the_cost_of_lines_follows_each_of_them() -> None:
    costs = model(n=10, d=100)
    lines = {"one": bind(X * Y, ("d",)) * X, "other": X * Y, "third": W * X}
    ledger = Ledger(costs)
    for name, body in (("one", X * X), ("third", X), ("other", bind(X * Y, ("d",)) * X)):
        assert ledger.instead(lines, name, body) == [Ledger(costs).cost(lines | {name: body})]
        lines[name] = body
        assert ledger.cost(lines) == Ledger(costs).cost(lines)
    del lines["other"]
    assert ledger.cost(lines) == Ledger(costs).cost(lines)


def test_what_depends_on_fewer_axes_costs_less() -> None:
    costs = model(n=10, d=100)
    few = costs.alone(W * W * X)
    many = costs.alone(W * X * X)
    assert few < many


def test_reading_a_saved_tensor_costs_and_an_upstream_gradient_is_free() -> None:
    assert model(n=10, d=100).alone(X) == 4 * 1000
    assert Model({"n": 10, "d": 100}, {"x": ("n", "d")}, frozenset({"x"})).alone(X) == 0


def test_costs_are_whole_numbers_so_that_no_order_of_addition_changes_them() -> None:
    huge = model(n=10**6 + 1, d=10**9 + 1)
    assert isinstance(huge.alone(bind(X * Y * term({Read("w", ("d",)): Fraction(1, 2)}), ("d",))), int)


def test_reference_sizes_decide_the_order_of_a_product_of_matrices() -> None:
    """The same system with its long axis elsewhere: the sum over the short side comes last."""
    text = "y[n, l] = f(a[n, k], b[k, m], c[m, l])\ny[n, l] = sum[k, m](a[n, k]*b[k, m]*c[m, l])"
    found = {}
    for long in ("k", "m"):
        sizes = {"n": 8, "l": 8, "k": 8, "m": 8, long: 1000}
        found[long] = derive.derive(derive.parse(text, sizes=sizes)).lines[0].tree
    assert found["k"] != found["m"]


# ---- the record ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", each(names()))
def test_no_step_changes_nothing_and_each_starts_where_the_last_one_ended(name: str) -> None:
    derivation = derive.derive(derive.load(name))
    state: dict[str, Sum] = {}
    stable = {d.name: d.body for d in derivation.stable}  # what the rounding of a forward equation starts from
    before, after = as_written(derivation), of_derivation(derivation)
    for step in derivation.steps:
        if step.rule == STABILISE:  # the engine's names are others before it
            assert before(step.before, step.index) != after(step.after, step.index)
        else:
            assert step.before != step.after
        if step.rule in (CHAIN_RULE, STABILISE):
            assert step.name not in state
        else:
            assert step.before == (state[step.name] if step.name in state else stable[step.name])
        state[step.name] = step.after
    for line in derivation.lines:
        assert state[line.name] == line.body


@pytest.mark.parametrize("name", each(names()))
def test_the_full_derivation_keeps_every_equation(name: str) -> None:
    op = derive.load(name)
    full = derive.derive_full(op)
    assert not full.steps
    assert {line.name for line in full.lines} >= set(full.gradients)
    assert [d.name for d in full.written if d.author] == [e.name for e in op.equations]


def test_nothing_to_differentiate_is_an_error() -> None:
    op = derive.parse("y[n] = f(t[n], k[n], c[n, v])\nt[n] in v\ny[n] = c[n, t[n]]")
    assert derive.derive(op).gradients == ("dk", "dc")
    with pytest.raises(OpError, match="no floating-point input"):
        derive.derive(replace(op, inputs=op.inputs[:1]))


RECORD = """
import derive
from derive.language.unicode import text
for name in ("softmax_cross_entropy", "batchnorm", "attention", "mlp"):
    derivation = derive.derive(derive.load(name))
    for step in derivation.steps:
        print(step.title, step.name, step.index, list(step.before), list(step.after), step.using)
    for line in derivation.lines:
        print(line.name, line.index, text(line.tree))
    for definition in (*derivation.forward, *derivation.chain):
        print(definition.name, definition.index, list(definition.body))
"""


def test_a_derivation_is_the_same_under_any_hash_seed() -> None:
    """Sets of names are iterated in many places; none of them may decide anything."""
    found = {
        subprocess.run(
            [sys.executable, "-c", RECORD],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(found) == 1
    assert "dlogits" in found.pop()
