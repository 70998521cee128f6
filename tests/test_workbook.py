"""Exercises: blanks for every gradient, graded each by itself, with hints."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import derive
from codegen.tools.auditor import load_file
from codegen.tools.workbook import Grade, exercise, grade, hint, sheet
from tests import kernels
from tests.backends import each_array_backend


def filled(tmp_path: Path, name: str, backend: str = "numpy", **lines: str) -> tuple[Grade, ...]:
    """The grades of an exercise whose blanks are filled with the right code, but for the lines given."""
    made = exercise(derive.load(name), backend)
    text = sheet(made, "mine.py", solved=True)
    if lines:
        text = sheet(made, "mine.py")
        for blank, line in lines.items():
            assert f"    {blank} = ...\n" in text
            text = text.replace(f"    {blank} = ...\n", "".join(f"    {part}\n" for part in line.splitlines()))
    path = tmp_path / "mine.py"
    path.write_text(text)
    return grade(made, load_file(path, name))


def only(grades: tuple[Grade, ...], name: str) -> Grade:
    return next(g for g in grades if g.name == name)


@each_array_backend
@pytest.mark.parametrize("name", kernels.OPS)
def test_the_solution_of_every_exercise_is_right(tmp_path: Path, name: str, backend: str) -> None:
    grades = filled(tmp_path, name, backend)
    assert all(g.approximate for g in grades), "\n".join(map(str, grades))
    assert [g.name for g in grades] == [b.name for b in exercise(derive.load(name)).blanks]


def test_the_exercise_has_its_26_gradients_and_leaves_them_blank() -> None:
    made = exercise(derive.load("makemore"))
    text = sheet(made, "mine.py")
    assert len(made.blanks) == 26
    assert text.count(" = ...\n") == 26
    assert "--check mine.py" in text


def test_an_empty_exercise_is_not_done(tmp_path: Path) -> None:
    made = exercise(derive.load("layernorm"))
    path = tmp_path / "mine.py"
    path.write_text(sheet(made, "mine.py"))
    grades = grade(made, load_file(path, "layernorm"))
    assert all(g.line == 0 and not g.approximate for g in grades)
    assert str(grades[0]).split() == ["dgamma", "not", "done"]


def test_a_mistake_does_not_spoil_the_lines_after_it(tmp_path: Path) -> None:
    grades = filled(tmp_path, "batchnorm", dxhat="dxhat = dy", drstd="drstd = (dxhat * c).sum((0, 2))")
    assert not only(grades, "dxhat").approximate
    assert "gamma[d] is missing" in only(grades, "dxhat").remark
    assert only(grades, "drstd").exact


def test_a_gradient_may_be_summed_up_in_several_places(tmp_path: Path) -> None:
    first = "dc = rstd[:, None] * dxhat"
    rest = "dmu = -dc.sum((0, 2))\nn = x.shape[0] * x.shape[2]\ndc += 2 * c * (dvar / (n - ddof))[:, None]"
    grades = filled(tmp_path, "batchnorm", dc=first, dmu=rest)
    assert only(grades, "dc").approximate
    assert only(grades, "dmu").approximate


def test_loops_and_writing_in_place_are_understood(tmp_path: Path) -> None:
    loop = "dtable = np.zeros_like(table)\nfor k in range(len(t)):\n    dtable[t[k]] += dy[k]"
    assert filled(tmp_path, "embedding", dtable=loop)[0].approximate
    at = "dtable = np.zeros_like(table)\nnp.add.at(dtable, t, dy)"
    assert filled(tmp_path, "embedding", dtable=at)[0].exact


def test_an_alias_does_not_change_the_right_value(tmp_path: Path) -> None:
    wrong = "dmu = -dc.sum((0, 2))\ndx = dc\ndx += 1"
    grades = filled(tmp_path, "batchnorm", dmu=wrong, dbeta="dbeta = dy.sum((0, 2))")
    assert only(grades, "dmu").approximate
    assert not only(grades, "dx").approximate


@pytest.mark.parametrize(
    ("line", "remark"),
    [
        ("dmu = dc.sum((0, 2))", "sign"),
        ("dmu = -dc.mean((0, 2))", "mean"),
        ("dmu = -dc", "over n is missing"),
        ("dmu = -dc.sum((0, 2), keepdims=True)", "shape"),
        ("dmu = nosuch", "NameError"),
        ("dmu = dc @ dc", "ValueError"),
    ],
)
def test_a_line_is_diagnosed(tmp_path: Path, line: str, remark: str) -> None:
    found = only(filled(tmp_path, "batchnorm", dmu=line), "dmu")
    assert not found.approximate
    assert remark in found.remark


def test_hints_go_one_step_at_a_time() -> None:
    made = exercise(derive.load("makemore"))
    first, second, third, last = (hint(made, "dhprebn", k) for k in range(1, 5))
    assert "hprebn is read by" in first and "dbndiff" not in first
    assert "dbndiff[n,u]" in second and "dbnmeani" not in second
    assert "dbnmeani[u]" in third
    assert "dhprebn[n,u] = dbndiff[n,u] + 1/size(n)·dbnmeani[u]" in last
    with pytest.raises(ValueError, match="the steps 1 to 4"):
        hint(made, "dhprebn", 5)


def test_an_unknown_blank_is_an_error() -> None:
    with pytest.raises(ValueError, match="no gradient 'dnosuch' in tanh; there are: dx"):
        exercise(derive.load("tanh")).blank("dnosuch")


Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def command(*arguments: str) -> Any:
        whole = [sys.executable, "-m", "codegen", "exercise", *arguments]
        return subprocess.run(whole, cwd=tmp_path, capture_output=True, text=True, check=False)

    return command


def test_the_commands(tmp_path: Path, run: Run) -> None:
    assert run("softmax").returncode == 0
    path = tmp_path / "softmax_exercise.py"
    path.write_text(path.read_text().replace("dz = ...", "dz = p * (dp - (dp * p).sum(-1, keepdims=True))"))
    done = run("softmax", "--check", path.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "approximate: True" in done.stdout and "1 of 1 right" in done.stdout
    assert "z is read by" in run("softmax", "--hint", "dz").stdout
    again = run("softmax")
    assert again.returncode == 1 and "exists" in again.stderr
    assert run("softmax", "--solution").returncode == 0
    assert run("softmax", "--check", "softmax_solution.py").returncode == 0


def test_the_commands_in_an_exercise_of_ones_own_op_are_right(tmp_path: Path, run: Run) -> None:
    (tmp_path / "my op.txt").write_text("y[n] = square(x[n])\ny[n] = x[n]**2\n")
    assert run("my op.txt").returncode == 0
    text = (tmp_path / "square_exercise.py").read_text()
    check, show = (shlex.split(line)[4:] for line in text.splitlines() if "python -m codegen exercise" in line)
    assert check == ["my op.txt", "--check", "square_exercise.py"]
    assert "0 of 1 right" in run(*check).stdout
    assert "x is read by" in run(*show).stdout
