"""The file of an exercise runs by itself: a batch, the forward pass, and every gradient beside the file's own reference."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import derive
from codegen.tools.workbook import exercise, sheet
from tests import kernels
from tests.backends import each_array_backend


def printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> list[str]:
    path = tmp_path / "mine.py"
    path.write_text(text)
    runpy.run_path(str(path), run_name="__main__")
    return capsys.readouterr().out.splitlines()


@each_array_backend
@pytest.mark.parametrize("name", kernels.OPS)
def test_a_solution_agrees_with_the_files_own_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, backend: str
) -> None:
    if backend == "jax" and name not in ("linear", "embedding", "softmax_cross_entropy", "layernorm"):
        pytest.skip("jax compiles every line by itself")
    made = exercise(derive.load(name), backend)
    text = sheet(made, "mine.py", solved=True)
    lines = printed(tmp_path, capsys, text)
    assert [line.split()[0] for line in lines] == list(made.names)
    assert all("approximate: True" in line for line in lines), "\n".join(lines)
    assert "import codegen" not in text and "import derive" not in text


@each_array_backend
def test_wrong_and_empty_lines_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str) -> None:
    text = sheet(exercise(derive.load("linear"), backend), "mine.py")
    text = text.replace("dx = ...", "dx = 2 * (dy @ W.T)").replace("dW = ...", "dW = dy.T @ x")
    wrong, shape, empty = printed(tmp_path, capsys, text)
    assert "approximate: False" in wrong and ("exact: -" if backend == "numpy" else "exact: False") in wrong
    assert re.search(r"its shape is \[\d, \d\] instead of \[\d, \d\]", shape)
    assert "not done" in empty
