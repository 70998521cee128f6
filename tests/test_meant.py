"""What an argument of a command means: a name of the catalogue, a file of equations, or a formula."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from derive import OpError, load
from derive.meant import is_formula, meant_op
from derive.show.show import signature


@pytest.mark.parametrize(
    ("formula", "meaning"),
    [
        ("tanh(x)*g", "y[*s] = formula(x[*s], g[*s])"),
        ("0.5*x*(1 + y)", "z[*s] = formula(x[*s], y[*s])"),
        ("x**2 + 1", "y[*s] = formula(x[*s])"),
        ("softmax(x)", "y[*s] = formula(x[*s])"),
        ("y[i] = exp(-x[i]**2)", "y[i] = formula(x[i])"),
        ("y[n] = formula[n]*x[n]", "y[n] = formula_(formula[n], x[n])"),
        ("y[n] = x[n]*w", "y[n] = formula(x[n], w)"),
    ],
)
def test_a_formula_is_an_equation_or_an_expression_of_arrays_of_one_shape(formula: str, meaning: str) -> None:
    assert signature(meant_op(formula)) == meaning


def test_a_formula_may_be_given_a_name() -> None:
    assert signature(meant_op("tanh(x)*g", "gate")) == "y[*s] = gate(x[*s], g[*s])"
    labelled = meant_op("y[n] = z[n, t[n]]*sum[c](z[n, c])", "picked")
    assert labelled.name == "picked" and labelled.tensor("t").integer


@pytest.mark.parametrize("name", ["my gate", "sum", "x", "class"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(OpError):
        meant_op("tanh(x)*g", name)


@pytest.mark.parametrize("what", ["tanh", "my-op", "layer-norm", "my_op.txt", "a/b", "dir/my op.txt", "batch norm"])
def test_a_name_or_a_path_is_no_formula(what: str) -> None:
    assert not is_formula(what)


def test_a_file_that_is_there_is_read_whatever_its_name_looks_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a = b.txt", "f(x) * g", "plain"):
        Path(name).write_text("y[n] = f(x[n])\ny[n] = x[n]**2\n")
        assert meant_op(name).name == "f"
    assert meant_op("tanh") is load("tanh")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("my_opp.txt", "there is no file my_opp.txt (did you mean 'my_op.txt'?)"),
        ("no/such/file.txt", "there is no file no/such/file.txt"),
        ("layer-norm", "did you mean 'layernorm'?"),
        ("tanh(x[i])", "it has no left side; write 'y[n] = tanh(x[i])'"),
        ("exp(3)", "names no array"),
        ("y[i] = sofmax(x[i])", "did you mean 'softmax'?"),
    ],
)
def test_what_cannot_be_understood_is_told_with_what_was_meant(
    what: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_op.txt").write_text("y[n] = f(x[n])\ny[n] = x[n]**2\n")
    with pytest.raises(ValueError) as caught:
        meant_op(what)
    assert message in str(caught.value)


def test_only_a_formula_takes_a_name() -> None:
    with pytest.raises(ValueError, match="the op 'tanh' has one"):
        meant_op("tanh", "mine")


@pytest.mark.parametrize(
    ("formula", "column", "message"),
    [
        ("tanh(x", 5, "'(' is never closed"),
        ("x*tanh(x)+", 10, "nothing follows '+'"),
        ("x^2", 1, "'^' is no power here: write x**2"),
        ("2x", 1, "an operator is missing: write 2*x"),
        ("np.tanh(x)*g", 1, "'np.tanh' has no meaning here: write tanh(...)"),
        ("x*max(y, 0)", 3, "the larger of two values is maximum(y, 0)"),
        ("x*y**z", 6, "an exponent must be a number"),
        ("x*y*gamm(x)", 5, "unknown function or op 'gamm'"),
    ],
)
def test_what_is_wrong_with_a_formula_is_said_where_it_was_written(formula: str, column: int, message: str) -> None:
    """Not in the equation that is made of it."""
    with pytest.raises(OpError) as caught:
        meant_op(formula)
    assert str(caught.value).startswith(f"formula, line 1, column {column}: ") and message in str(caught.value)


def test_nothing_is_no_op() -> None:
    with pytest.raises(ValueError, match="nothing is given; expected an op's name"):
        meant_op(" ")


def test_the_transpose_in_a_formula_is_read_the_other_way_round() -> None:
    """The axes of a formula's inputs are not known."""
    with pytest.raises(OpError, match=re.escape("read the axes in the order that they have, x[n, m] for x.T[m, n]")):
        meant_op("y[i, j] = 2*x.T[i, j]")
