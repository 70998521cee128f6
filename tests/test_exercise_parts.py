"""Exercises in part: the whole gradient of an output that is read on, single blanks graded, work that does not end."""

from __future__ import annotations

from pathlib import Path

import pytest

import derive
from codegen.tools.auditor import load_file
from codegen.tools.auditor.isolated import isolated
from codegen.tools.workbook import exercise, filled_text, grade, sheet
from codegen.tools.workbook.lengths import axis_lengths

READ_ON = """
y[n], s = totals(x[n])
y[n] = x[n]**2
s = sum[n](y[n]*x[n])
"""


def test_the_whole_gradient_of_an_output_has_the_equations_that_read_the_output() -> None:
    blank = exercise(derive.parse(READ_ON)).blank("dy_total")
    assert blank.of == "y"
    assert [e.name for e in blank.readers] == ["s"]


def test_a_single_blank_is_graded_alone(tmp_path: Path) -> None:
    made = exercise(derive.load("layernorm"))
    path = tmp_path / "mine.py"
    path.write_text(sheet(made, "mine.py", solved=True))
    (found,) = grade(made, load_file(path, "layernorm"), ["drstd"])
    assert (found.name, found.approximate) == ("drstd", True)


def test_work_that_does_not_end_is_stopped() -> None:
    def work() -> int:
        while True:
            pass

    with pytest.raises(RuntimeError, match="the answer was not done after 0.2 seconds, and was stopped"):
        isolated(work, "the answer", 0.2)


def test_an_error_in_a_line_that_calls_a_library_is_told_with_the_shapes_of_arrays_alone(tmp_path: Path) -> None:
    """A library has functions called as attributes of arrays are."""
    made = exercise(derive.load("embedding"))
    path = tmp_path / "mine.py"
    path.write_text(sheet(made, "mine.py").replace("dtable = ...", "dtable = np.add.at(nosuch, t, dy)"))
    (found,) = grade(made, load_file(path, "embedding"))
    assert "NameError" in found.remark


def test_the_lengths_of_axes_have_names_in_the_function() -> None:
    """As in the course, where a line may have ``-1.0 / n``."""
    made = exercise(derive.load("makemore"))
    text = sheet(made, "mine.py").replace(
        "    dlogprobs = ...\n", "    dlogprobs = np.zeros_like(logprobs)\n    dlogprobs[range(n), t] = -1.0 / n\n"
    )
    (found,) = grade(made, filled_text(text, "mine.py", made.op, made.names), ["dlogprobs"])
    assert found.exact, str(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y[n, k] = f(x[n, k], w[k])\ny[n, k] = x[n, k]*w[k]", {"n": "n, k = x.shape", "k": "n, k = x.shape"}),
        ("y[n] = f(x[n], n0)\ny[n] = x[n]*n0", {"n": "n = x.shape[0]"}),
        ("y[n] = f(x[n, (a, b)], w[b])\ny[n] = sum[a, b](x[n, a, b]*w[b])", {"n": "n = x.shape[0]", "b": "b = w.shape[0]"}),
        ("y[*s, c] = f(x[*s, c], w[c])\ny[*s, c] = x[*s, c]*w[c]", {"c": "c = w.shape[0]"}),
    ],
)
def test_a_length_is_read_where_its_axis_stands_alone(text: str, expected: dict[str, str]) -> None:
    assert axis_lengths(derive.parse(text)) == expected
