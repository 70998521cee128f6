"""What a report on gradient flow says: factors without a name, dead units in words, the first NaN, at most 100 columns."""

from __future__ import annotations

import re

import numpy as np
import pytest

from codegen.tools.flow import flow, runtime
from codegen.tools.flow.parts import parted, unfolded
from derive import parse, parse_formula
from derive import syntax as st
from derive.language.unicode import language
from generated import makemore, makemore_flow

INLINE = """
loss = network(x[n, k], W1[k, h], W2[h, u])

h1[n, h] = tanh(sum[k](x[n, k] * W1[k, h]))
z2[n, u] = sum[h](h1[n, h] * W2[h, u])
loss     = mean[n, u](z2[n, u]**2)
"""
NAMED = INLINE.replace(
    "h1[n, h] = tanh(sum[k](x[n, k] * W1[k, h]))", "z1[n, h] = sum[k](x[n, k] * W1[k, h])\nh1[n, h] = tanh(z1[n, h])"
)


def data(scale: float = 3.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return dict(x=rng.normal(size=(32, 30)), W1=scale * rng.normal(size=(30, 50)), W2=rng.normal(size=(50, 20)))


# ---- a factor counts wherever it is computed --------------------------------------------------------------------------------


def test_an_argument_needs_no_name() -> None:
    inline, named = flow(parse(INLINE), data()), flow(parse(NAMED), data())
    ((a,), (b,)) = inline.findings, named.findings
    assert (a.kind, a.factor, a.places) == (b.kind, b.factor, b.places) == ("saturated", "1 - h1**2", b.places)
    assert a.text == b.text.replace("z1", "sum[k](x*W1)")
    assert inline.row("h1") == named.row("h1")
    assert flow(parse(INLINE), data(0.05)).findings == ()


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("y[n] = g*tanh(x[n]) + b", {"tanh(x[n])"}),
        ("y[n] = 1/(1 + exp(-(a*x[n] + b)))", {"a*x[n] + b"}),
        ("y[n] = x[n]/(1 + exp(-x[n]))*g", {"x[n]/(1 + exp(-x[n]))"}),
        (
            "y[n] = (a*x[n] + b)*(1 + erf((a*x[n] + b)/sqrt(2)))/2*g[n]",
            {"a*x[n] + b", "(a*x[n] + b)*(1 + erf((a*x[n] + b)/sqrt(2)))/2"},
        ),
        (
            "y[n, u] = sum[d](maximum(sum[k](x[n, k]*V[k, d]), 0)*W[d, u])",
            {"sum[k](x[n, k]*V[k, d])", "maximum(sum[k](x[n, k]*V[k, d]), 0)"},
        ),
        ("y[n] = tanh(tanh(x[n] + b)*g)", {"x[n] + b", "tanh(x[n] + b)", "tanh(x[n] + b)*g"}),
        ("y[n] = x[n] + tanh(x[n])", set()),  # passes a gradient on, whatever tanh does
        ("y[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))", set()),
        ("y[n] = g*x[n]**2", set()),
        ("y[n] = log(x[n]*g)", set()),
        ("y[i, j] = tanh(x[i, j])", set()),
    ],
)
def test_what_gets_a_name(formula, expected) -> None:
    found = parted(parse_formula(formula))
    assert {language(unfolded(e.rhs, found.parts)) for e in found.parts.values()} == expected
    last = found.op.equations[-1]
    assert language(unfolded(last.rhs, found.parts)) == language(parse_formula(formula).equations[-1].rhs)
    assert {n for e in found.op.equations for n in st.reads(e.rhs)} & set(found.parts) == set(found.parts)


def test_a_made_name_is_no_name_of_the_author() -> None:
    op = parse("y[n] = f(x[n], y_in[n], g)\ny[n] = tanh(g*x[n]) + y_in[n]")
    assert not {"y_in", "dy_in"} & set(parted(op).parts)
    report = flow(op, dict(x=np.full(4, 9.0), y_in=np.ones(4), g=np.array(3.0)))
    assert [f.kind for f in report.findings] == ["saturated"]
    assert "tanh(g*x): 100% of entries have 1 - tanh(g*x)**2 below 0.01" in report.findings[0].text


def test_a_large_factor_under_a_sum_counts() -> None:
    op = parse("z[n, u] = scaled(x[n, d], v[d], W[d, u])\nz[n, u] = sum[d](x[n, d]*v[d]**(-1/2)*W[d, u])")
    rng = np.random.default_rng(0)
    v = np.ones(6)
    v[4] = 1e-9
    found = flow(op, dict(x=rng.normal(size=(20, 6)), v=v, W=rng.normal(size=(6, 5)))).findings
    assert [(f.kind, f.places) for f in found if f.name == "dx"] == [("large", ((("d", 4),),))]


# ---- words ------------------------------------------------------------------------------------------------------------------


def relu(dead: list[int]) -> list[str]:
    op = parse("y[n, u] = relu_layer(x[n, d], W[d, u])\nh[n, u] = maximum(sum[d](x[n, d]*W[d, u]), 0)\ny[n, u] = 2*h[n, u]")
    rng = np.random.default_rng(3)
    x, W = np.abs(rng.normal(size=(64, 12))), rng.normal(size=(12, 40))
    W[:, :] -= W.mean(0)
    W[:, dead] = -1.0
    return [f.text for f in flow(op, dict(x=x, W=W)).findings if f.kind == "dead"]


def test_a_dead_unit_is_told_in_words() -> None:
    assert relu([17]) == ["unit 17 of h is 0 for every row: it never learns."]
    assert relu([2, 3, 17, 20]) == ["units 2, 3, 17 and 1 more of h are 0 for every row: they never learn."]
    assert relu([]) == []


def test_a_row_is_told_of_as_a_row() -> None:
    given = data(0.05)
    given["x"][5] = 1e4
    texts = [f.text for f in flow(parse(INLINE), given).findings if f.kind == "dead"]
    assert texts == ["row 5 of h1 has 1 - h1**2 = 0 for every unit: nothing of its gradient gets through to sum[k](x*W1)."]


# ---- not finite -------------------------------------------------------------------------------------------------------------


def test_nan_is_told_of_where_it_begins_and_nowhere_else() -> None:
    given = data(0.05)
    given["x"][3, 7] = np.nan
    (found,) = flow(parse(INLINE), given).findings
    assert (found.kind, found.name, found.places) == ("not finite", "x", ((("n", 3), ("k", 7)),))
    assert "nan at n = 3, k = 7" in found.text and "4 further values and 6 gradients follow from it" in found.text


def test_two_beginnings_are_two() -> None:
    given = data(0.05)
    given["x"][3, 7], given["W2"][1, 2] = np.nan, np.inf
    assert [f.name for f in flow(parse(INLINE), given).findings] == ["x", "W2"]


def test_a_gradient_may_be_where_it_begins() -> None:
    x = np.array([1.0, 2.0, 0.0, 3.0])
    (found,) = flow(parse("y[n] = root(x[n])\ny[n] = sqrt(x[n])"), dict(x=x)).findings
    assert found.name == "dx" and "inf at n = 2, where dy is 1 and x is 0." in found.text


# ---- the page ---------------------------------------------------------------------------------------------------------------


def test_a_report_has_a_legend_and_at_most_100_columns() -> None:
    data = makemore.make_data(makemore.library_words())
    p = makemore.initialise(makemore.Settings(), len(data.alphabet) + 1, np.random.default_rng(0))
    text = str(makemore_flow.flow(p, *(a[:32] for a in data.train)))
    assert max(map(len, text.splitlines())) <= 100
    for word in "largest zeros saturated times".split():
        assert f"{word}: " in text
    assert runtime().text.LEGEND in text  # the same template


def test_long_names_and_texts_are_cut_in_the_tables_only() -> None:
    long = "an_extremely_long_name_for_a_layer"
    op = parse(f"y[n] = long(x[n], gain_of_the_layer)\n{long}[n] = gain_of_the_layer*x[n]\ny[n] = tanh({long}[n])")
    text = str(flow(op, dict(x=np.full(300, 1e3), gain_of_the_layer=np.array(9.0))))
    assert max(map(len, text.splitlines())) <= 100
    assert re.search(r"^an_extremely_\w*\.\.\. ", text, re.M) and long in text
