"""What ``derive`` shows while it works, and what ``check`` says at its end."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from codegen.__main__ import main
from codegen.commands import derive as commands


def stream() -> Iterator[Any]:
    for name in ("tanh", "softmax", "linear"):
        yield SimpleNamespace(name=name, row=SimpleNamespace(certificate="passed: 35 checks at 2 points"))


def test_a_pipe_gets_a_line_for_each_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(commands._progress(stream(), 3))) == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[1] == "[2/3] softmax: passed: 35 checks at 2 points"


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    with open(follower, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        list(commands._progress(stream(), 3))
        shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "100%" in shown and "3/3" in shown and "linear" in shown and "[2/3]" not in shown


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small folder that stands for ``generated/``, as it would be generated."""
    files = {"numpy/a.py": "A = 1\nB = 2\n", "latex/a.tex": "a\n"}
    root = tmp_path / "generated"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(commands, "GENERATED", root)
    monkeypatch.setattr(commands, "generate", lambda *_: SimpleNamespace(files=files))
    return root


def test_check_says_that_all_is_well(generated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "All is well: the 2 files of generated/ are as they would be generated.\n"


def test_check_names_every_difference(generated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (generated / "numpy/a.py").write_text("A = 1\nB = 3\n")
    (generated / "latex/a.tex").unlink()
    (generated / "numpy/b.py").write_text("C = 1\n")
    assert main(["check"]) == 1
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-3:] == [
        "generated/latex/a.tex: is missing",
        "generated/numpy/a.py: differs in 2 lines",
        "generated/numpy/b.py: nothing generates it",
    ]
    assert "-B = 3" in printed.out and "+B = 2" in printed.out
    assert printed.err == "3 differences from what would be generated; `make derive` writes them.\n"
