"""Words that are short for expressions, such as ``var[n](x[n])``: each is its definition, and what torch computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import derive
from codegen.plan import plan
from derive.errors import OpError
from derive.language.unicode import language
from derive.ops import load as load_op
from derive.syntax import Tree
from tests.systems.check import load

Op = Callable[..., Any]
SQUARES = "mean[d]((x[n, d] - mean[d](x[n, d]))**2)"
ROOT = "where({0} == 0, 0, sqrt(where({0} == 0, 1, {0})))"
#: A call, and the same written out.
WRITTEN_OUT = {
    "var[d](x[n, d])": SQUARES,
    "var[d](x[n, d], correction=1)": "sum[d]((x[n, d] - mean[d](x[n, d]))**2)/(size(d) - 1)",
    "std[d](x[n, d])": ROOT.format(SQUARES),
    "norm[d](x[n, d])": ROOT.format("sum[d](x[n, d]**2)"),
    "logsumexp[d](2*x[n, d])": "log(sum[d](exp(2*x[n, d])))",
    "max[d](clamp(x[n, d], -1, 2))": "max[d](where(x[n, d] < -1, -1, where(x[n, d] > 2, 2, x[n, d])))",
    "max[d](clamp(x[n, d], lo=0))": "max[d](where(x[n, d] < 0, 0, x[n, d]))",
    "max[d](clamp(x[n, d], hi=1))": "max[d](where(x[n, d] > 1, 1, x[n, d]))",
    # A definition uses its argument under two indices, also where the argument has indices of its own.
    "var[d](x[n, d]*var[n](x[n, d]))": "mean[d]((x[n, d]*{0} - mean[d](x[n, d]*{0}))**2)".format(
        "mean[n]((x[n, d] - mean[n](x[n, d]))**2)"
    ),
    "sum[d](var[n, d](x[n, d])*x[n, d])": "sum[d](mean[n, d]((x[n, d] - mean[n, d](x[n, d]))**2)*x[n, d])",
    "var[n, d](x[n, d], correction=1)": "sum[n, d]((x[n, d] - mean[n, d](x[n, d]))**2)/(size(n)*size(d) - 1)",
}


def right(formula: str) -> Tree:
    return derive.parse_formula(formula).equations[-1].rhs


@pytest.mark.parametrize("call", WRITTEN_OUT)
def test_a_word_is_read_as_its_definition(call: str) -> None:
    assert language(right(f"y[n] = {call}")) == language(right(f"y[n] = {WRITTEN_OUT[call]}"))


def test_bounds_of_which_the_order_is_unknown() -> None:
    want = "where(x[n] < lo[n], minimum(lo[n], hi[n]), where(x[n] > hi[n], hi[n], x[n]))"
    assert right("y[n] = clamp(x[n], lo[n], hi[n])") == right(f"y[n] = {want}")
    assert right("y[n] = clamp(x[n], 2, 1)") == right("y[n] = where(x[n] < 2, minimum(2, 1), where(x[n] > 1, 1, x[n]))")


def test_a_definition_reads_the_names_of_the_author() -> None:
    """Layer normalization with ``var`` in it is the op of the catalogue, equation by equation."""
    op = load_op("layernorm")
    assert "mean[d](c[*s, d]**2)" in op.text
    again = derive.parse(op.text.replace("mean[d](c[*s, d]**2)", "var[d](x[*s, d])"), sizes=dict(op.sizes))
    assert again.equations == op.equations


def test_a_name_is_read_only_where_it_is_the_same() -> None:
    text = """
    y[n, i] = f(x[n, i, k])
    m[n, i] = mean[k](x[n, i, k])
    y[n, i] = var[k](x[i, n, k]) + var[i](x[n, i, i])
    """.replace("    ", "")
    rows, diagonal = derive.parse(text).equations[-1].rhs.args  # type: ignore[union-attr]
    assert rows == right("y[n, i] = mean[k]((x[i, n, k] - m[i, n])**2)")
    assert diagonal == right("y[n, i] = mean[i]((x[n, i, i] - mean[i](x[n, i, i]))**2)")


@pytest.mark.parametrize(
    ("known", "other"),
    [
        ("sum[k](where(k <= i, x[n, k], 0))", "sum[k](where(i <= k, x[n, k], 0))"),
        ("sum[k](where(k <= i, x[n, k], 0))", "sum[k](where(k < i, x[n, k], 0))"),
        ("exp(x[n, i])", "tanh(x[n, i])"),
        ("x[n, i] + 1", "x[n, i] + 2"),
        ("x[n, i]/size(n)", "x[n, i]/size(i)"),
        ("sum[k](x[n, k])*x[n, i]", "sum[k](x[k, k])*x[n, i]"),
    ],
)
def test_what_only_looks_alike_is_not_the_same(known: str, other: str) -> None:
    text = f"y[n, i] = f(x[n, i])\nu[n, i] = {known}\ny[n, i] = clamp({{}}, 0, 1)"
    assert "u[" not in language(derive.parse(text.format(other)).equations[-1].rhs)
    assert (
        language(derive.parse(text.format(known)).equations[-1].rhs) == "where(u[n, i] < 0, 0, where(u[n, i] > 1, 1, u[n, i]))"
    )


def test_a_word_may_be_a_tensor_as_well() -> None:
    op = derive.parse("y[n] = f(x[n, d], norm[n])\nvar[n] = var[d](x[n, d])\ny[n] = var[n]*norm[n]*norm[d](x[n, d])\n")
    assert op.equations[0].rhs == right(f"y[n] = {SQUARES}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("var[d](x[n, d], 1)", "'var' takes var[n](a) or var[n](a, correction=1)"),
        ("var[d](x[n, d], ddof=1)", "'var' takes var[n](a) or var[n](a, correction=1)"),
        ("var[d](x[n, d], correction=w[n])", "'correction' of 'var' is a number or a constant of the signature"),
        ("var(x[n, d])", "unknown function or op 'var'; write var[n](a[n])"),
        ("norm[d](x[n, d], p=1)", "'norm' takes norm[n](a)"),
        ("norm[d](w[n])", "the reduced axis 'd' is not used"),
        ("clamp(w[n])", "'clamp' takes clamp(a, lo, hi) or clamp(a, lo=lo) or clamp(a, hi=hi)"),
        ("clamp(w[n], 1, low=2)", "'clamp' takes clamp(a, lo, hi)"),
        ("clamp(w[n], **w)", "'clamp' takes clamp(a, lo, hi)"),
        ("clamp[n](w[n], 0, 1)", "'clamp' reduces nothing: write clamp(...)"),
        ("clip(w[n], 0, 1)", "write clamp(a, low, high)"),
        ("vra[d](x[n, d])", "did you mean 'var'?"),
        ("x.var(1)", "write var[n, d](x[n, d])"),
        ("clamp(" * 12 + "w[n]" + ", 0, 1)" * 12, "give an argument a name of its own"),
    ],
)
def test_misuse_is_refused_in_one_line(call: str, message: str) -> None:
    with pytest.raises(OpError) as error:
        derive.parse(f"y[n] = f(x[n, d], w[n], k=1)\ny[n] = {call}")
    assert message in str(error.value) and "\n" not in str(error.value)


# ---- beside torch -----------------------------------------------------------------------------------------------------------

ROWS = [[0.0, 0.0, 0.0], [2.0, 2.0, 2.0], [1.0, -2.0, 0.5], [30.0, -700.0, 700.0], [1e-3, 0.0, -1e-3]]
ENDS = [-3.0, -1.0, -0.5, 0.0, 1.0, 1.5, 2.0, 7.0]
BESIDE: dict[str, tuple[Op, list[Any]]] = {
    "y[n] = var[d](x[n, d])": (lambda x: x.var(1, correction=0), ROWS),
    "y[n] = var[d](x[n, d], correction=1)": (lambda x: x.var(1), ROWS),
    "y[n] = std[d](x[n, d])": (lambda x: x.std(1, correction=0), ROWS),
    "y[n] = std[d](x[n, d], correction=1)": (lambda x: x.std(1), ROWS),
    "y[n] = norm[d](x[n, d])": (lambda x: torch.linalg.vector_norm(x, dim=1), ROWS),
    "y[n] = logsumexp[d](x[n, d])": (lambda x: x.logsumexp(1), ROWS),
    "y[n] = clamp(x[n], -1, 2)": (lambda x: x.clamp(-1, 2), ENDS),
    "y[n] = clamp(x[n]**2, 1, hi=4)": (lambda x: (x**2).clamp(1, 4), ENDS),
    "y[n] = clamp(x[n], 2, -1)": (lambda x: x.clamp(2, -1), [-3.0, 0.0, 3.0]),
    "y[n] = clamp(x[n], lo=0)": (lambda x: x.clamp(min=0), ENDS),
    "y[n] = clamp(x[n], hi=1)": (lambda x: x.clamp(max=1), ENDS),
}


def derivatives(function: Op, x: torch.Tensor) -> list[torch.Tensor]:
    """Value, gradient and the gradient's gradient in one direction."""
    x = x.clone().requires_grad_()
    y = function(x)
    weights = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).reshape(y.shape)
    (first,) = torch.autograd.grad((weights * y).sum(), x, create_graph=True)
    along = torch.linspace(-1, 2, x.numel(), dtype=x.dtype).reshape(x.shape)
    (second,) = torch.autograd.grad((along * first).sum(), x, allow_unused=True) if first.requires_grad else (None,)
    return [y.detach(), first.detach(), torch.zeros_like(x) if second is None else second]


@pytest.mark.parametrize("formula", BESIDE)
def test_value_and_two_derivatives_are_those_of_torch(formula: str) -> None:
    theirs, points = BESIDE[formula]
    op = derive.parse_formula(formula)
    ours = getattr(load(plan(derive.derive(op)), "torch"), op.name)
    x = torch.tensor(points, dtype=torch.float64)
    for got, want in zip(derivatives(ours, x), derivatives(theirs, x), strict=True):
        assert got.isfinite().all()
        known = want.isfinite()  # torch has no second derivative of a norm at 0
        torch.testing.assert_close(got[known], want[known], rtol=1e-12, atol=1e-12 * max(1.0, float(want[known].abs().max())))
        assert not got[~known].any()


def test_not_a_number_passes_a_clamp() -> None:
    op = derive.parse_formula("y[n] = clamp(x[n], -1, 1)")
    function = load(plan(derive.derive(op)), "torch").y
    found = function(torch.tensor([float("nan"), float("inf"), -float("inf")], dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([float("nan"), 1.0, -1.0], dtype=torch.float64), equal_nan=True)
