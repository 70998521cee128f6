"""Guided sessions: what is asked, in which order, how answers are taken, and that the hints suffice."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import derive
from codegen.tools.auditor import load_file
from codegen.tools.learn import rounds
from codegen.tools.learn.console import WIDTH
from codegen.tools.workbook import exercise, grade, sheet
from tests.learner import Typing, lines, played
from tests.learner.template import Learner

#: A quotient, a choice, an output that is read on, a maximum that may tie, a number.
RATIO = """
y[n], s = ratio(x[n], w[n])
q[n] = x[n]/(1 + w[n]**2)
y[n] = where(q[n] > 0, q[n], q[n]/10)
s = max[n](y[n])
"""


def formulas(printed: list[str]) -> list[str]:
    """The formulas of a hint, which stand by themselves; a long one goes on further in."""
    found: list[str] = []
    for line in printed:
        if line.startswith(" " * 10):
            found[-1] += f" {line.strip()}"
        elif line.startswith(" " * 6):
            found.append(line.strip())
    return found


def by_hints(number: int) -> Typing:
    """The learner who asks for so many hints, types the formula of the last one in NumPy, and gives up if it is not right."""
    learner = Learner()
    answer: list[str] = []
    asked: dict[str, int] = {}

    def typing(prompt: str, printed: list[str]) -> str | None:
        if answer:
            return answer.pop(0)
        learner.look("\n".join(printed))
        task = next(line for line in reversed(printed) if line.startswith("──"))
        asked[task] = asked.get(task, 0) + 1
        if asked[task] <= number:
            return "?"
        if asked[task] > number + 1:
            return "skip"
        start = max(k for k, line in enumerate(printed) if line.startswith(f"hint {number}"))
        answer.extend([*map(learner.line, formulas(printed[start + 1 :])), ""])
        return answer.pop(0)

    return typing


def test_the_second_hints_of_the_exercise_suffice(tmp_path: Path) -> None:
    """At least 20 of the 26 were asked for."""
    found = played(derive.load("makemore"), tmp_path / "mine.py", by_hints(2))
    assert "26 of 26 gradients right" in found, found
    assert "2 of 2 rounds in one line right" in found, found
    assert "db1 is 0 whatever the data" in found


@pytest.mark.parametrize("name", ["batchnorm", "softmax_cross_entropy", "embedding", "attention", "rnn"])
def test_the_second_hints_of_other_ops_suffice(tmp_path: Path, name: str) -> None:
    found = played(derive.load(name), tmp_path / "mine.py", by_hints(2))
    assert "not right" not in found, found
    assert re.search(r"^(\d+) of \1 gradients? right", found, re.M)


def test_the_second_hints_of_ones_own_op_suffice(tmp_path: Path) -> None:
    found = played(derive.parse(RATIO), tmp_path / "mine.py", by_hints(2))
    assert "4 of 4 gradients right" in found, found
    assert "y is a result, whose gradient dy is given, and is read by one equation besides" in found


def test_the_session_in_the_documentation_is_what_is_printed(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "codegen/tools/learn/README.md").read_text(encoding="utf-8")
    shown = text.partition("```text\n")[2].partition("```")[0]
    typed = re.findall(r"^dgamma = (.+)$", shown, re.M)
    assert len(typed) == 5
    assert shown in played(derive.load("batchnorm"), tmp_path / "mine.py", lines(*typed))


# ---- what is said ----------------------------------------------------------------------------------------------------------


def test_cross_entropy_comes_first_and_its_picture_has_the_lengths_of_the_course(tmp_path: Path) -> None:
    found = played(derive.load("makemore"), tmp_path / "mine.py", lines("quit"))
    assert "1 of 26 ── dlogprobs[n,v]" in found
    assert re.search(r"^ +dlogprobs +32 +27 +to find$", found, re.M)


def test_the_hints_grow(tmp_path: Path) -> None:
    found = played(derive.load("makemore"), tmp_path / "mine.py", lines("go dbngain", "?", "?", "?", "?"))
    first, second, third, last = re.split(r"^dbngain = \?$", found, flags=re.M)[1:]
    assert "∂hpreact[n,u]/∂bngain[u] = bnraw[n,u]" in first and "sum" not in first
    assert "n is missing from dbngain, so sum over n." in second
    assert "dbngain[u] = sum[n](dhpreact[n,u]·bnraw[n,u])" in second and "axis=0" not in second
    assert "(dhpreact * bnraw).sum(axis=0)" in third and "n is axis 0 of [n, u]" in third
    assert "no further hint" in last


def test_labels_that_repeat_are_added_up(tmp_path: Path) -> None:
    found = played(derive.load("embedding"), tmp_path / "mine.py", lines("?", "?", "?"))
    assert "A label may occur several times" in found
    assert "np.add.at(dtable, t, dy)" in found
    assert "dtable[t] += dy would not do" in found


def test_what_is_read_twice_is_added_up_and_ties_are_told(tmp_path: Path) -> None:
    found = played(derive.load("makemore"), tmp_path / "mine.py", lines("go dlogits", "?", "?"))
    assert "logits is read by two equations. Each sends something back, and the contributions are added up:" in found
    assert "entries that tie share it equally" in found


def test_rounds_are_told_by_the_derivation() -> None:
    """A gradient that only copies another has no round, nor has one that is a single line of the chain rule."""
    assert [m.name for m in rounds(exercise(derive.load("makemore"))).melted] == ["dlogits", "dhprebn"]
    assert [m.name for m in rounds(exercise(derive.load("batchnorm"))).melted] == ["dx"]
    assert [m.name for m in rounds(exercise(derive.load("attention"))).melted] == ["dS"]
    assert not rounds(exercise(derive.load("linear"))).melted


def test_a_round_does_without_the_gradients_that_melt(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    op = derive.load("softmax_cross_entropy")
    file.write_text(sheet(exercise(op), file.name, solved=True))
    found = played(op, file, lines("dp * p", "hot = np.arange(z.shape[1]) == t[:, None]", "dloss / len(t) * (p - hot)", ""))
    assert "dp melts away in this round" in found
    assert "1 of 1 round in one line right" in found
    assert "def dz_in_one_line(dloss, z, t, p):" in file.read_text()
    again = played(op, file, lines())
    assert "now in one line" not in again
    assert "1 of 1 round in one line right" in again


def test_a_line_that_is_in_one_line_already_is_not_asked_for_again(tmp_path: Path) -> None:
    typed = lines("p * (dp - (dp * p).sum(-1, keepdims=True))")
    found = played(derive.load("softmax"), tmp_path / "mine.py", typed)
    assert "Your line for dz is in one line already." in found
    assert "1 of 1 round in one line right" in found


def test_axes_that_are_one_axis_of_an_array_are_told_as_one(tmp_path: Path) -> None:
    typed = ("go dW1", "?", "?", "?", "go demb", "?", "?", "dembcat.reshape(emb.shape)")
    found = played(derive.load("makemore"), tmp_path / "mine.py", lines(*typed))
    assert re.search(r"^ +dW1 +· +30 +200 +to find$", found, re.M)
    assert "embcat has n and (b,e): summed over n, that is a product of matrices." in found
    assert "embcat.T @ dhprebn" in found
    assert "dembcat has the one axis (b,e) where demb has b and e: give it the shape of emb." in found
    assert "1 of 26 gradients right" in found


def test_a_hint_has_the_matrix_form_and_a_round_the_fact_that_makes_it_short(tmp_path: Path) -> None:
    assert "In matrices: dW = xᵀ dy" in played(derive.load("linear"), tmp_path / "linear.py", lines("go dW", "?", "?"))
    file, op = tmp_path / "mine.py", derive.load("batchnorm")
    file.write_text(sheet(exercise(op), file.name, solved=True))
    assert "It helps that sum[n](xhat[n,d]) = 0." in played(op, file, lines("?"))


def test_what_is_spread_is_repeated_to_its_whole_shape(tmp_path: Path) -> None:
    found = played(derive.load("makemore"), tmp_path / "mine.py", lines("go dbndiff2", "?", "?"))
    assert "dbndiff2 has the shape of bndiff2, so repeat along n." in found


# ---- answers ---------------------------------------------------------------------------------------------------------------


def test_progress_is_in_the_file_and_the_next_session_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    op = derive.load("batchnorm")
    first = played(op, file, lines("(dy * xhat).sum((0, 2))", "dbeta = dy.sum((0, 2))", "quit"))
    assert "2 of 8 gradients right" in first
    assert "    dgamma = (dy * xhat).sum((0, 2))\n" in file.read_text()
    second = played(op, file, lines())
    assert "of 2 lines in your file 2 are right" in second
    assert "3 of 8 ── dxhat" in second and "1 of 8" not in second
    made = exercise(op)
    grades = grade(made, load_file(file, "batchnorm"))
    assert sum(g.approximate for g in grades) == 2


def test_a_wrong_line_is_not_kept_and_is_diagnosed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    found = played(derive.load("batchnorm"), file, lines("dgamma = (dy * xhat).mean((0, 2))"))
    assert "not right: a mean over n, s stands where the sum belongs" in found
    assert "mean((0" not in file.read_text()


def test_several_lines_end_with_an_empty_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    typed = ("v = table.shape[0]", "dtable = np.zeros((v, dy.shape[1]))", "np.add.at(dtable, t, dy)", "")
    assert "1 of 1 gradient right" in played(derive.load("embedding"), file, lines(*typed))
    assert "np.add.at(dtable, t, dy)" in file.read_text()
    other = ("dtable = np.zeros_like(table)", "for k in range(len(t)):", "    dtable[t[k]] += dy[k]", "")
    assert "1 of 1 gradient right" in played(derive.load("embedding"), tmp_path / "other.py", lines(*other))


def test_a_right_line_may_be_replaced_by_another(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    op = derive.load("batchnorm")
    played(
        op, file, lines("rows = dy * xhat", "dgamma = rows.sum((0, 2))", "", "back", "np.einsum('nds,nds->d', dy, xhat)", "")
    )
    text = file.read_text()
    assert "einsum" in text and "rows" not in text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("dgamma = (dy * xhat", "neither a command nor Python"),
        ("please give me a hint", "neither a command nor Python"),
        ("hnit", "'hnit' is no command and no name here (did you mean 'hint'?)"),
        ("dgama = dy.sum((0, 2))", "the line is for dgamma, and yours assigns dgama"),
        ("dbeta = dy.sum((0, 2))", "the line is for dgamma, and yours assigns dbeta"),
        ("(dy * xhat).sum(0)", "shape"),
        ("dy * nosuch", "NameError"),
        ("dy + exit()", "SystemExit"),
        ("dy + __import__('os')._exit(0)", "ended its process (status 0)"),
        ("dy * input()", "EOFError"),
        ("go nosuch", "there is no gradient 'nosuch'"),
        ("back", "This is the first."),
        ("help", "leave this one open"),
    ],
)
def test_whatever_is_typed_the_session_goes_on(tmp_path: Path, typed: str, said: str) -> None:
    file = tmp_path / "mine.py"
    found = played(derive.load("batchnorm"), file, lines(typed, "", "(dy * xhat).sum((0, 2))"))
    assert said in found.replace("\n", " ")
    assert "1 of 8 gradients right" in found


def test_a_line_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    typed = ("while True: dgamma = dy", "")
    found = played(derive.load("batchnorm"), tmp_path / "mine.py", lines(*typed), seconds=1)
    assert "your line was not done after 1 seconds, and was stopped" in found


def test_a_file_that_is_no_python_any_more_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def batchnorm_backward(:\n")
    with pytest.raises(ValueError, match="the file is no Python any more"):
        played(derive.load("batchnorm"), file, lines())
    assert file.read_text() == "def batchnorm_backward(:\n"


# ---- over a pipe -----------------------------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "codegen", "learn", *arguments]


def test_a_session_over_a_pipe(tmp_path: Path) -> None:
    typed = "?\ndlogprobs = -dloss / len(t) * (np.arange(logprobs.shape[1]) == t[:, None])\ndlogprobs / probs\nquit\n"
    done = subprocess.run(command(), cwd=tmp_path, input=typed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 26 gradients right, in makemore_exercise.py." in done.stdout
    assert "To go on:  python -m codegen learn\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert all(len(line) <= WIDTH for line in done.stdout.splitlines())


def read_until(prompt: str, process: subprocess.Popen[str], seconds: float = 60) -> bool:
    """Whether a process prints this in time; what it prints is read that far."""
    assert process.stdout is not None
    seen, end = b"", time.monotonic() + seconds
    while not seen.endswith(prompt.encode()) and select.select([process.stdout], [], [], max(end - time.monotonic(), 0))[0]:
        letter = os.read(process.stdout.fileno(), 1)
        if not letter:
            return False
        seen += letter
    return seen.endswith(prompt.encode())


def test_ctrl_c_stops_a_session_and_leaves_the_file_whole(tmp_path: Path) -> None:
    (tmp_path / "ratio.txt").write_text(RATIO)
    process = subprocess.Popen(
        command("ratio.txt"),
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite run in the background ignores it
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    file = tmp_path / "ratio_exercise.py"
    assert read_until("\ndy_total = ", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "interrupted\n"
    assert "To go on:  python -m codegen learn ratio.txt" in out
    assert file.read_text().count(" = ...\n") == 4
    assert not list(tmp_path.glob(".*"))


def test_a_session_goes_on_in_the_library_of_the_file(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(*arguments), cwd=tmp_path, input="?\n?\n?\n", capture_output=True, text=True, check=False)

    (tmp_path / "total.txt").write_text("s = total(x[n])\ns = sum[n](x[n])\n")
    (tmp_path / "total_exercise.py").write_text(sheet(exercise(derive.parse((tmp_path / "total.txt").read_text()), "jax"), "f"))
    assert "jnp." in run("total.txt").stdout
    refused = run("total.txt", "--backend", "torch")
    assert refused.returncode == 1
    assert "total_exercise.py is written in jax, not in torch" in refused.stderr


def test_a_file_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    for out, said in (("no/such/mine.py", "there is no folder no/such"), (".", ". is a folder")):
        done = subprocess.run(
            command("relu", "--out", out), cwd=tmp_path, capture_output=True, text=True, input="", check=False
        )
        assert (done.returncode, done.stderr) == (1, f"error: {said}\n")
    assert not list(tmp_path.iterdir())
