"""The recipes for those who carry on the work do what they say, on a copy of the tree."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes import RECIPES, ROOT

#: What the last command of a recipe prints once it has been followed.
SHOWN = {
    "An op": "softsign_backward",
    "A function": "swing",
    "A rule": "haversine_accurate",
    "A backend": "text",
}


def python(folder: Path, *words: str, status: int | None = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("derive", "codegen"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def follow(name: str, folder: Path) -> None:
    for path, text in RECIPES[name].files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    if RECIPES[name].diff:
        subprocess.run(
            ["git", "apply", "--unidiff-zero", "-"],
            cwd=folder,
            input=RECIPES[name].diff,
            text=True,
            check=True,
            capture_output=True,
        )


def test_there_is_a_recipe_for_each() -> None:
    assert RECIPES.keys() == SHOWN.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_a_recipe_works_as_it_stands(name: str, tree: Path) -> None:
    """And without it, its first command fails in one line."""
    own = {path: text for path, text in RECIPES[name].files.items() if path.endswith(".txt")}
    for path, text in own.items():
        (tree / path).write_text(text, encoding="utf-8")
    first, *_ = (shlex.split(c)[1:] for c in RECIPES[name].commands)
    before = python(tree, *first, status=None)
    follow(name, tree)
    printed = [python(tree, *shlex.split(c)[1:]) for c in RECIPES[name].commands]
    assert SHOWN[name] in printed[-1] and printed[0] != before


def test_the_rule_is_a_step_and_the_function_is_in_every_backend(tree: Path) -> None:
    follow("A rule", tree)
    shown = python(tree, *shlex.split(RECIPES["A rule"].commands[0])[1:])
    assert "(no cancellation)" in shown and "passed" in shown
    follow("A function", tree)
    python(tree, *shlex.split(RECIPES["A function"].commands[0])[1:])
    for path in ("numpy/swing.py", "torch/swing.py", "jax/swing.py", "native/swing.c", "latex/swing.tex"):
        assert "tan(" in (tree / "out" / path).read_text(encoding="utf-8")
