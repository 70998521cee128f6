"""Exercises on recurrences: the blanks of one step, which taken step by step are backpropagation through time."""

from __future__ import annotations

import subprocess
import sys
from html import unescape
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.__main__ import main
from codegen.tools.auditor import load_file
from codegen.tools.notebook.op import build_op
from codegen.tools.workbook import Grade, exercise, filled_text, grade, hint, sheet
from derive.recurrence import opened
from tests.judged import lines, module
from tests.learner import lines as typed
from tests.learner import played
from tests.test_recurrences import BACK, GATED, LAYERS, LSTM, PACKED, RNN, STARRED

OPS = {"rnn": RNN, "lstm": LSTM, "gated": GATED, "back": BACK, "layers": LAYERS, "packed": PACKED, "starred": STARRED}


def graded(text: str, **blanks: str) -> dict[str, Grade]:
    """The grades of an exercise solved but for these blanks."""
    made = exercise(derive.parse(lines(text)))
    source = sheet(made, "mine.py", solved=not blanks)
    for name, code in blanks.items():
        source = source.replace(f"    {name} = ...\n", f"    {name} = {code}\n")
    return {g.name: g for g in grade(made, filled_text(source, "mine.py", made.op, made.names))}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_solution_is_right(tmp_path: Path, name: str, backend: str) -> None:
    made = exercise(derive.parse(lines(OPS[name])), backend)
    path = tmp_path / "mine.py"
    path.write_text(sheet(made, "mine.py", solved=True))
    grades = grade(made, load_file(path, made.op.name))
    assert [g.name for g in grades] == list(made.names) and all(g.approximate for g in grades), "\n".join(map(str, grades))


def moved(value: Any, first: Any, c: derive.syntax.Carry, back: bool) -> Any:
    """An array with each entry one step later, or with ``back`` one step earlier; ``first`` is what then begins it."""
    at, up = c.axes.index(c.axis), c.down == back
    rest = np.moveaxis(value, at, 0)
    start = np.broadcast_to(first, rest[:1].shape)
    return np.moveaxis(np.concatenate([start, rest[:-1]] if up else [rest[1:], start]), 0, at)


@pytest.mark.parametrize("text", [RNN, LSTM, GATED, BACK])
def test_a_solution_that_is_given_what_it_sends_back_is_backpropagation_through_time(text: str) -> None:
    """Called as often as there are steps: each time, one step more is given what belongs to it."""
    op = derive.parse(lines(text))
    source = ModuleType("solved")
    exec(sheet(exercise(op), "mine.py", solved=True), source.__dict__)
    forward, backward = (getattr(source, f"{op.name}_{way}") for way in ("forward", "backward"))
    rng, size = np.random.default_rng(3), {"n": 2, "t": 4, "d": 3, "k": 5, "j": 5}
    inputs = {t.name: rng.normal(size=[size[a] for a in t.axes]) for t in op.inputs}
    upstream = {f"d{t.name}": rng.normal(size=[size[a] for a in t.axes]) for t in op.outputs}
    empty = {c.name: np.zeros([size[a] for a in c.axes]) for c in op.carries}
    state, sent = empty, {f"d{c.next}": empty[c.name] for c in op.carries}
    starts = {f"d{c.first}": np.zeros([size[a] for a in c.rest]) for c in op.carries if c.first}
    for _ in range(size["t"] + 1):
        values = forward(**inputs, **state)
        state = {c.name: moved(values[c.of], values[c.first] if c.first else 0, c, False) for c in op.carries}
    known = {e.name: values[e.name] for e in opened(op).equations}
    names = [f"d{t.name}" for t in opened(op).inputs]
    for _ in range(size["t"] + 1):
        found = dict(zip(names, backward(**upstream, **sent, **starts, **inputs, **state, **known), strict=True))
        sent = {f"d{c.next}": moved(found[f"d{c.name}"], 0, c, True) for c in op.carries}
        begun = {c: np.moveaxis(found[f"d{c.name}"], c.axes.index(c.axis), 0)[-1 if c.down else 0] for c in op.carries}
        starts = {f"d{c.first}": start for c, start in begun.items() if c.first}
    leaves = {n: torch.tensor(v, requires_grad=True) for n, v in inputs.items()}
    results = getattr(module(text, "torch"), op.name)(*leaves.values())
    torch.autograd.backward(results, [torch.tensor(v) for v in upstream.values()])
    for name, leaf in leaves.items():
        assert np.allclose(found[f"d{name}"], leaf.grad, rtol=1e-10, atol=1e-12), name


def test_a_mistake_is_named_and_the_lines_after_it_are_right() -> None:
    found = graded(RNN, dh_total="dh", dh_prev="(dh_total*(1 - h**2)) @ U", db="(dh_total*(1 - h**2)).sum((0, 1))")
    assert "dh_next" in found["dh_total"].remark and not found["dh_total"].approximate
    assert "U" in found["dh_prev"].remark and "transposed" in found["dh_prev"].remark
    assert found["db"].approximate and not found["dx"].done


def test_a_line_may_be_as_good_as_the_closed_form() -> None:
    """``r*(1 - r)`` loses the digits of ``exp(-x)`` where ``r`` is near 1, which the line of the chain rule keeps."""
    made = exercise(derive.load("gru"))
    text = sheet(made, "mine.py") + "\n\ndef once(dh_total, m, z, r, a):\n    dsigmoid_x = LINE\n    return dsigmoid_x\n"
    for line, right in (("dh_total*(1 - z)*(1 - m**2)*a*r*(1 - r)", True), ("dh_total*(1 - z)*(1 - m**2)*a*r*(1 - m)", False)):
        filled = filled_text(text.replace("LINE", line), "mine.py", made.op, made.names, "once")
        (found,) = grade(made, filled, ["dsigmoid_x"])
        assert found.approximate == right, found


def test_what_is_handed_on_is_told_in_every_tool(tmp_path: Path) -> None:
    told = "dg_next[t,n] is what the next step sends back, dg_prev[t - 1,n], at the last step 0."
    op = derive.parse(lines(BACK))
    assert told in sheet(exercise(op), "mine.py")
    assert told in played(op, tmp_path / "mine.py", typed("quit"))
    assert any(told in unescape(c.source) for c in build_op(op).cells)
    assert hint(exercise(op), "dg_total", 1).startswith("g is read by\n  g_next[t,n] = g[t,n]\n")


def test_the_commands_take_a_recurrence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["exercise", "rnn", "--solution"]) == 0
    assert main(["exercise", "rnn", "--check", "rnn_solution.py"]) == 0
    assert "7 of 7 right" in capsys.readouterr().out
    done = subprocess.run([sys.executable, "rnn_solution.py"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.count("approximate: True") == 7, done.stdout
