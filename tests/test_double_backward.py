"""The double backward of every op: the gradients of its backward, derived by the same engine and certified by brute force."""

from __future__ import annotations

import pytest

import derive
from derive.__main__ import main
from derive.certify import certify
from derive.double_backward import DoubleBackward, double_backward
from derive.language.unicode import language
from derive.renaming import renamed_tree
from tests.kernels import OPS

ARRAYS = [name for name in OPS if not derive.load(name).carries]


def found(text: str) -> DoubleBackward:
    op = derive.load(text) if "=" not in text else derive.parse(text)
    return double_backward(derive.derive(op))


def lines(text: str) -> dict[str, str]:
    """The closed lines of the double backward, in the names of readers."""
    double = found(text)
    return {double.names[line.name]: language(renamed_tree(line.tree, double.names)) for line in double.derivation.lines}


# ---- forms -------------------------------------------------------------------------------------------------------------------


def test_the_forms_are_those_that_one_would_publish() -> None:
    assert lines("linear") == {
        "d2b": "0",
        "d2x": "sum[h](ddW[k, h]*dy[s, h])",
        "d2W": "sum[s](ddx[s, k]*dy[s, h])",
        "ddy": "ddb[h] + sum[k](ddx[s, k]*W[k, h]) + sum[k](ddW[k, h]*x[s, k])",
    }
    assert lines("tanh")["d2x"] == "-2*ddx[s]*y[s]*dx[s]"
    assert lines("softmax_cross_entropy")["d2z"] == "dloss/size(n)*p[n, c]*(ddz[n, c] - sum[c](ddz[n, c]*p[n, c]))"
    assert lines("layernorm")["ddxhat"] == "rstd[s]*(ddx[s, d] - mean[d](ddx[s, d]) - xhat[s, d]*mean[d](ddx[s, d]*xhat[s, d]))"


def test_what_reaches_the_upstream_gradient_is_the_tangent() -> None:
    """The backward is linear in it."""
    tangent = derive.tangents.tangents(derive.derive(derive.load("layernorm")))
    spelled = {"x_dot": "ddx", "gamma_dot": "ddgamma", "beta_dot": "ddbeta", "xhat_part": "ddxhat", "y_dot": "ddy"}
    names = {name: spelled[to] for name, to in tangent.names.items() if to in spelled}
    expected = {names[line.name]: language(renamed_tree(line.tree, names)) for line in tangent.derivation.lines}
    assert {name: text for name, text in lines("layernorm").items() if name in expected} == expected


def test_names_give_way_to_those_of_the_op() -> None:
    assert lines("y[i] = f(x[i], x_bar[i])\ny[i] = x[i]*x_bar[i]") == {
        "ddy": "ddx_bar[i]*x[i] + ddx[i]*x_bar[i]",
        "d2x": "ddx_bar[i]*dy[i]",
        "d2x_bar": "ddx[i]*dy[i]",
    }


def test_a_recurrence_has_none() -> None:
    with pytest.raises(derive.OpError, match="rnn: there is no double backward of a recurrence; differentiate its steps"):
        found("rnn")


# ---- proof -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARRAYS)
def test_every_line_is_certified(name: str) -> None:
    certificate = certify(found(name).derivation, (0,))
    assert certificate.passed, certificate.summary()


@pytest.mark.parametrize("length", [2, 64])
def test_a_product_inside_a_sum_over_its_own_axis_is_evaluated(length: int) -> None:
    """At a short reference length the products between two positions are written out in the sum over one of them."""
    double = found(f"y = f(x[j])\nsizes: j={length}\ny = prod[j](x[j])")
    assert certify(double.derivation).passed


# ---- print -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["layernorm", "softmax", "causal_attention"])
def test_it_is_shown_in_text_and_in_latex(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", name, "--double-backward", "--certify"]) == 0
    text = capsys.readouterr().out
    (output,) = derive.load(name).outputs
    assert "double backward\n" in text and f"dd{output.name}[" in text and "certificate: passed" in text
    assert main(["show", name, "--double-backward", "--latex"]) == 0
    (first, *_) = derive.load(name).differentiable
    assert rf"\mathrm{{d}}^{{2}}{first.name}_" in capsys.readouterr().out
