"""Every line of an exercise is graded on random gradients of its own, and whatever is filled in has a grade."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import derive
from codegen.tools.auditor import load_file
from codegen.tools.workbook import Grade, exercise, grade, sheet


def graded(tmp_path: Path, op: str, **lines: str) -> dict[str, Grade]:
    """The grades of an exercise in which these blanks are filled."""
    made = exercise(derive.load(op))
    text = sheet(made, "mine.py")
    for blank, line in lines.items():
        assert f"    {blank} = ...\n" in text
        text = text.replace(f"    {blank} = ...\n", "".join(f"    {part}\n" for part in line.splitlines()))
    path = tmp_path / "mine.py"
    path.write_text(text)
    return {g.name: g for g in grade(made, load_file(path, op))}


def test_a_gradient_that_is_zero_in_this_network_hides_nothing(tmp_path: Path) -> None:
    """The maxima get nothing back, and neither does a bias before batch normalization: any multiple of that is as good."""
    wrong = graded(tmp_path, "makemore", dlogit_maxes="dlogit_maxes = 1234*dnorm_logits.sum(1)", db1="db1 = -77*dhprebn.sum(0)")
    assert not wrong["dlogit_maxes"].approximate and "-1234 times" in wrong["dlogit_maxes"].remark
    assert not wrong["db1"].approximate and "-77 times" in wrong["db1"].remark
    right = graded(tmp_path, "makemore", dlogit_maxes="dlogit_maxes = -dnorm_logits.sum(1)", db1="db1 = dhprebn.sum(0)")
    assert right["dlogit_maxes"].approximate and right["db1"].approximate


def test_closed_forms_of_several_lines_are_right(tmp_path: Path) -> None:
    found = graded(
        tmp_path,
        "makemore",
        dlogits="dlogits = probs.copy()\ndlogits[np.arange(len(t)), t] -= 1\ndlogits *= dloss / len(t)",
        dhprebn="n = len(h)\ndhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0)"
        " - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))",
    )
    assert found["dlogits"].approximate and found["dhprebn"].approximate


def test_a_closed_form_of_gradients_that_follow_from_each_other_is_right(tmp_path: Path) -> None:
    line = (
        "n = x.shape[0]*x.shape[2]\ndx = rstd[:,None]*(dxhat - (gamma*dbeta/n)[:,None] - xhat*(gamma*dgamma/(n-ddof))[:,None])"
    )
    assert graded(tmp_path, "batchnorm", dx=line)["dx"].approximate


def test_the_lines_of_the_course_are_right_and_another_shape_is_not(tmp_path: Path) -> None:
    found = graded(
        tmp_path,
        "makemore",
        dW1="dW1 = embcat.T @ dhprebn",
        dembcat="dembcat = dhprebn @ W1.T",
        demb="demb = dembcat.reshape(emb.shape)",
    )
    assert found["dW1"].approximate and found["dembcat"].approximate and found["demb"].approximate
    wrong = graded(
        tmp_path,
        "makemore",
        dW1="dW1 = (embcat.T @ dhprebn).reshape(emb.shape[1], emb.shape[2], -1)",
        dembcat="dembcat = (dhprebn @ W1.T).T",
        demb="demb = dembcat",
    )
    assert not any(wrong[n].approximate for n in ("dW1", "dembcat", "demb"))
    assert all(f"the shape is {shape}" in wrong[n].remark for n, shape in (("dW1", "(4, 5, 7)"), ("demb", "(3, 20)")))


@pytest.mark.parametrize("empty", ["None", "...", "dprobs = None"])
def test_none_is_not_done_beside_a_wrong_line(tmp_path: Path, empty: str) -> None:
    line = empty if empty.startswith("dprobs") else f"dprobs = {empty}"
    found = graded(tmp_path, "makemore", dprobs=line, db2="db2 = dlogits.sum(1)")
    assert str(found["dprobs"]).endswith("not done")
    assert not found["db2"].approximate and found["db2"].remark


@pytest.mark.parametrize("end", ["exit()", "import sys; sys.exit(0)", "raise SystemExit(0)"])
def test_a_line_that_ends_the_process_is_wrong_and_so_is_what_it_hides(tmp_path: Path, end: str) -> None:
    found = graded(tmp_path, "batchnorm", dbeta="dbeta = dy.sum((0, 2))", dxhat=f"{end}\ndxhat = gamma[:, None] * dy")
    assert found["dbeta"].approximate
    assert not found["dxhat"].approximate and "SystemExit" in found["dxhat"].remark


def test_an_error_is_told_with_its_line_and_shapes(tmp_path: Path) -> None:
    remark = graded(tmp_path, "linear", dx="dx = dy @ W")["dx"].remark
    assert "ValueError" in remark and "dx = dy @ W" in remark and "dy (3, 2), W (4, 2)" in remark
    assert "W is to be transposed" in remark


def check(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "mine.py").write_bytes(text.encode("latin-1"))
    command = [sys.executable, "-m", "codegen", "exercise", "tanh", "--check", "mine.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("end", ["exit()", "import os; os._exit(0)", "import sys; sys.exit(0)"])
def test_a_file_that_ends_its_process_is_not_right(tmp_path: Path, end: str) -> None:
    done = check(tmp_path, f"{end}\ndef tanh_backward(dy, x, y):\n    dx = dy * (1 - y**2)\n    return dx\n")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_a_file_of_another_encoding_is_one_line(tmp_path: Path) -> None:
    done = check(tmp_path, "# caf\xe9\ndef tanh_backward(dy, x, y):\n    dx = dy * (1 - y**2)\n    return dx\n")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
