"""Any op as a notebook: its cells run, and every comparison with autograd holds."""

from __future__ import annotations

import ast

import pytest

from codegen.__main__ import main
from derive import derive_full, load, parse
from derive.recurrence import opened
from derive.textbook.pages import textbook_parts

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("torch")

from codegen.tools.notebook import build_op, execute  # noqa: E402
from codegen.tools.notebook.op import lengths  # noqa: E402
from tests.long import all_but  # noqa: E402

OPS = {
    "softplus_pair": "y[n] = softplus_pair(x[n], a)\na > 0\nb[n] = a*x[n]\ny[n] = log(1 + exp(b[n])) + b[n]",
    "two_outputs": "m[n], s[n] = two_outputs(x[n, d])\nm[n] = mean[d](x[n, d])\ns[n] = sum[d]((x[n, d] - m[n])**2)",
    "largest": "y = largest(x[n, c], k=2)\nbig[n] = max[c](x[n, c])\ny = sum[n](k*big[n]**2)",
    "fixed": "y[n] = fixed(x[n], p)\ny[n] = p*x[n]**2",
}


def op_of(name):
    return parse(OPS[name]) if name in OPS else load(name)


def comparisons(notebook) -> list[str]:
    """What the cells printed that compare something, in order."""
    return [
        output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.cell_type == "code" and "torch.allclose" in cell.source
        for output in cell.outputs
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    all_but(
        ["batchnorm", "tanh", "attention", "linear_recurrence", "largest", "fixed"],
        ["batchnorm", "softmax_cross_entropy", "tanh", "attention", "embedding", "linear_recurrence", "rnn", *OPS],
    ),
)
def test_every_comparison_is_true(name) -> None:
    pytest.importorskip("ipykernel")
    op = opened(op_of(name))
    notebook = build_op(op_of(name))
    execute(notebook)
    answers = comparisons(notebook)
    names = {t.name for t in op.inputs} | {e.name for e in op.equations}
    chained = [d for d in derive_full(op).chain if d.name[1:].removesuffix("_total") in names]
    assert len(answers) == len(chained) + 1  # each adjoint, then the kernels
    assert answers[-1].count("True") == len(op.outputs) + len(op.differentiable)
    assert all("True" in a and "False" not in a for a in answers)


@pytest.mark.slow
def test_a_wrong_adjoint_is_told() -> None:
    """The comparison is with autograd, not with the notebook's own code."""
    pytest.importorskip("ipykernel")
    notebook = build_op(load("tanh"))
    (cell,) = [c for c in notebook.cells if c.source.startswith("def dx(")]
    assert "1 - y**2" in cell.source
    cell.source = cell.source.replace("1 - y**2", "1 - y")
    execute(notebook)
    assert [("False" in a) for a in comparisons(notebook)] == [True, False]


@pytest.mark.parametrize("name", ["rmsnorm", "matmul", "mlp", *OPS])
def test_a_notebook_is_valid_and_the_same_every_time(name) -> None:
    notebook = build_op(op_of(name))
    nbformat.validate(notebook)
    assert notebook == build_op(op_of(name))
    assert all(ast.parse(c.source) for c in notebook.cells if c.cell_type == "code")


def test_each_adjoint_stands_below_its_equation_and_above_its_comparison() -> None:
    notebook = build_op(load("batchnorm"))
    found = []
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code" and cell.source.startswith("def d"):
            name = cell.source[4 : cell.source.index("(")]
            assert before.source.startswith(f"### {name}\n") and before.source.count("$$") in (4, 6)
            assert f'torch.allclose(manual["{name}"], autograd["{name}"]' in cell.source
            found.append(name)
    assert found == "dgamma dbeta dxhat drstd dvar dc dmu dx".split()


def test_the_closed_form_is_derived_and_its_kernels_are_shown() -> None:
    text = "\n".join(c.source for c in build_op(load("batchnorm")).cells)
    assert r"\boxed{\mathrm{d}x_{n,d,s}" in text
    assert "def batchnorm_forward(" in text and "def batchnorm_backward(dy, xhat, rstd, gamma, ddof=0, *, wanted=" in text


def test_the_derivation_is_that_of_a_textbook() -> None:
    """The shift of the exponents is a remark, and no name of the engine's carries the story."""
    op = load("softmax_cross_entropy")
    [derived] = [c.source for c in build_op(op).cells if c.source.startswith("## The closed forms")]
    story, remark = derived.split("**Remark**")
    assert r"\boxed" not in story and r"\mathrm{onehot}" in story.replace("operatorname", "mathrm")
    assert "max" not in story and "total" not in derived and "The kernels subtract the largest exponent" in remark
    assert all(line in derived for _, lines in textbook_parts(op) for line in lines)


def test_a_starred_axis_is_one_plain_axis() -> None:
    text = "\n".join(c.source for c in build_op(load("batchnorm")).cells)
    assert '"x": torch.randn(16, 17, 16)' in text
    assert "*s]" not in text


def test_axes_are_as_long_as_the_op_says_but_not_much_longer() -> None:
    assert lengths(load("makemore")) == dict(n=16, b=3, v=18, e=10, u=20)
    assert lengths(parse("y = trace(a[i, j])\ny = sum[i](a[i, i])")) == dict(i=5, j=5)


def test_inputs_respect_what_the_op_assumes() -> None:
    text = "\n".join(c.source for c in build_op(parse("y[n] = root(x[n], z[n])\nx > 0\nz < 0\ny[n] = sqrt(x[n]*-z[n])")).cells)
    assert '"x": torch.randn(4).abs() + 0.1,' in text
    assert '"z": -torch.randn(4).abs() - 0.1,' in text


# ---- the command ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_takes_an_op_or_a_file(tmp_path, capsys) -> None:
    pytest.importorskip("ipykernel")
    equations, out = tmp_path / "two.txt", tmp_path / "below" / "two.ipynb"
    equations.write_text(OPS["two_outputs"], encoding="utf-8")
    assert main(["notebook", str(equations), "--out", str(out)]) == 0
    assert f"cells written to {out}" in capsys.readouterr().out
    notebook = nbformat.read(out, as_version=4)
    assert comparisons(notebook)
    assert all("False" not in a for a in comparisons(notebook))


def test_the_command_names_an_op_that_there_is_not(tmp_path, capsys) -> None:
    out = tmp_path / "nothing.ipynb"
    assert main(["notebook", "batchnrom", "--out", str(out)]) == 1
    assert "no op 'batchnrom' in the catalogue" in capsys.readouterr().err
    assert not out.exists()


def test_nothing_is_written_for_an_op_without_gradients(tmp_path, capsys) -> None:
    equations, out = tmp_path / "none.txt", tmp_path / "none.ipynb"
    equations.write_text("y[n] = none(t[n])\nt[n] in c\ny[n] = 2", encoding="utf-8")
    assert main(["notebook", str(equations), "--out", str(out)]) == 1
    assert "error: " in capsys.readouterr().err
    assert not out.exists()
