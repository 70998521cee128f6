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
SHELL = [text.splitlines() for kind, text in BLOCKS if kind == "sh"]
COMMANDS = [line for lines in SHELL for line in lines]
PYTHON = [text for kind, text in BLOCKS if kind == "python"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder that holds the files that README.md says to write."""
    for kind, text in BLOCKS:
        if kind.startswith("file "):
            (tmp_path / kind.removeprefix("file ")).write_text(text, encoding="utf-8")
    return tmp_path


def run(arguments: list[str], folder: Path, status: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def run_command(command: str, folder: Path, status: int = 0) -> str:
    words = shlex.split(command, comments=True)
    return run([sys.executable, *words[1:]], folder, status)


def assert_shown(text: str, output: str) -> None:
    """The parts of a text between lines of ``...`` stand in the output, in order."""
    for part in re.split(r"^\.\.\.\n", text, flags=re.M):
        before, found, output = output.partition(part)
        assert found == part, f"{part}\nis not in\n{before}"


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    kinds = {kind.split()[0] if kind else "" for kind, _ in BLOCKS}
    shown = {"text", "text-exit-1", "text-graded", "text-like", "text-printed"}
    assert kinds <= {"", "sh", "python", "python-excerpt", "file", *shown}
    assert COMMANDS and PYTHON


@pytest.mark.parametrize("lines", SHELL, ids=lambda lines: lines[0])
def test_commands(lines: list[str], folder: Path) -> None:
    """Those of a block one after the other in one folder: a later one may read what an earlier one has written."""
    for command in lines:
        if command.startswith("python "):
            assert run_command(command, folder, status=int("# exit status 1" in command)).strip()


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
    tests = re.findall(r"^def (test_\w+)\(\)", source, re.M)
    run([sys.executable, "-c", "\n".join([source, *(f"{name}()" for name in tests)])], folder)


def test_the_equations_shown_are_the_catalogues() -> None:
    from derive.ops import batchnorm

    assert any(kind == "" and text.strip() == batchnorm.TEXT.strip() for kind, text in BLOCKS)


def test_the_source_shown_is_the_generated_source() -> None:
    for kind, text in BLOCKS:
        if kind.startswith("python-excerpt "):
            assert text in (ROOT / kind.split()[1]).read_text(encoding="utf-8")


def shown(kind: str) -> list[tuple[str, str]]:
    """The blocks of a kind, as commands with what they print."""
    return [(k.partition(" ")[2], text) for k, text in BLOCKS if k.partition(" ")[0] == kind]


@pytest.mark.parametrize(
    ("command", "text", "status"),
    [(*block, 0) for block in shown("text")] + [(*block, 1) for block in shown("text-exit-1")],
)
def test_the_output_shown_is_printed(command: str, text: str, status: int, folder: Path) -> None:
    assert_shown(text, run_command(command, folder, status))


@pytest.mark.parametrize(("command", "text"), shown("text-like"))
def test_output_with_numbers_of_this_machine_is_like_the_one_shown(command: str, text: str, folder: Path) -> None:
    assert_shown(without_numbers(text), without_numbers(run_command(command, folder)))


def without_numbers(text: str) -> str:
    return re.sub(r" +", " ", re.sub(r"-?\b[\d.]+(e[+-]\d+)?\b", "#", text))


def test_what_a_snippet_is_said_to_print_is_printed(folder: Path) -> None:
    pairs = [(source, text) for (_, source), (kind, text) in zip(BLOCKS, BLOCKS[1:], strict=False) if kind == "text-printed"]
    assert pairs
    for source, text in pairs:
        assert_shown(text, run([sys.executable, "-c", source], folder))


def test_the_grades_shown_are_those_of_the_lines_in_the_text(folder: Path) -> None:
    ((_, text),) = shown("text-graded")
    run_command("python -m codegen exercise makemore", folder)
    sheet = folder / "makemore_exercise.py"
    filled = sheet.read_text()
    for name, code in re.findall(r"`(d\w+) = ([^`]+)`", TEXT):
        filled = filled.replace(f"    {name} = ...\n", f"    {name} = {code}\n")
    sheet.write_text(filled)
    assert_shown(text, run_command(f"python -m codegen exercise makemore --check {sheet.name}", folder, status=1))


def test_the_layout_names_what_exists() -> None:
    layout = TEXT.partition("## Layout")[2]
    names = [n for cell in re.findall(r"^\| (`[^|]+) \|", layout, re.M) for n in re.findall(r"`([^`]+)`", cell)]
    assert "derive/" in names
    for name in names:
        assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file(), name
