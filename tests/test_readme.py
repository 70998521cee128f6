"""Every command and snippet of README.md is executed, and what it claims to show is what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [(m[1].strip(), m[2]) for m in re.finditer(r"^```([^\n]*)\n(.*?)^```$", TEXT, re.M | re.S)]
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder that holds the files that README.md says to write."""
    for kind, text in BLOCKS:
        if kind.startswith("file "):
            (tmp_path / kind.removeprefix("file ")).write_text(text, encoding="utf-8")
    return tmp_path


def run(arguments: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    kinds = {kind.split()[0] if kind else "" for kind, _ in BLOCKS}
    assert kinds <= {"", "sh", "python", "python-excerpt", "text", "file"}
    assert COMMANDS and PYTHON


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python ")])
def test_command(command: str, folder: Path) -> None:
    words = shlex.split(command)
    assert run([sys.executable, *words[1:]], folder).strip()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_target_exists(command: str) -> None:
    """The targets themselves are what runs these tests; here: that make knows them."""
    target = command.split("#")[0].split()[1]
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_is_run() -> None:
    assert all(c.startswith(("python ", "make ")) for c in COMMANDS)


@pytest.mark.parametrize("source", PYTHON)
def test_snippet(source: str, folder: Path) -> None:
    run([sys.executable, "-c", source], folder)


def test_the_equations_shown_are_the_catalogues() -> None:
    from derive.ops import batchnorm

    assert any(kind == "" and text.strip() == batchnorm.TEXT.strip() for kind, text in BLOCKS)


def test_the_source_shown_is_the_generated_source() -> None:
    for kind, text in BLOCKS:
        if kind.startswith("python-excerpt "):
            assert text in (ROOT / kind.split()[1]).read_text(encoding="utf-8")


@pytest.mark.parametrize(("command", "text"), [(k.removeprefix("text "), t) for k, t in BLOCKS if k.startswith("text ")])
def test_the_output_shown_is_printed(command: str, text: str, folder: Path) -> None:
    assert text in run([sys.executable, *shlex.split(command)[1:]], folder)


def test_the_layout_names_what_exists() -> None:
    for name in re.findall(r"^\| `([\w/]+)/`", TEXT, re.M):
        assert (ROOT / name).is_dir(), name
