"""``doctor`` says what is there and how to get the rest, also where nothing is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from codegen import doctor
from codegen.backends.discovery import discovered

ROOT = Path(__file__).resolve().parent.parent
#: An interpreter that has nothing but its own library and this checkout.
BARE = """
import importlib.abc, sys
class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("derive", "codegen", "sitecustomize", "usercustomize"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which nothing is installed."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/sitecustomize.py").write_text(BARE)
    path = os.pathsep.join([str(tmp_path / "bare"), str(ROOT)])
    return {k: v for k, v in os.environ.items() if k != "CC"} | {"PYTHONPATH": path, "PATH": str(tmp_path / "empty")}


def codegen(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codegen", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_it_works_where_nothing_is_installed(bare: dict[str, str], tmp_path: Path) -> None:
    done = codegen(bare, tmp_path, "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    parts = [part for group in doctor.GROUPS.values() for part in group]
    for part in parts:
        state = "ok" if part.name == "Python" else "missing"
        assert re.search(rf"^  {state} +{re.escape(part.name)}\b", done.stdout, re.M), part.name
    assert done.stdout.count("get it: ") == len(parts) - 1
    assert "The core is not complete: sympy, mpmath, numpy" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110


@pytest.mark.parametrize("arguments", [("list",), ("emit", "tanh"), ()])
def test_any_other_command_then_says_what_is_missing_in_one_line(
    arguments: tuple[str, ...], bare: dict[str, str], tmp_path: Path
) -> None:
    done = codegen(bare, tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: No module named 'sympy'; `python -m codegen doctor` says what is needed, and how to get it\n"
    )


def test_the_environment_of_a_clone_is_pointed_at(bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text("")
    assert "source .venv/bin/activate" in codegen(bare, tmp_path, "doctor").stdout


def test_here_the_core_is_complete() -> None:
    text, complete = doctor.report({doctor.CORE: doctor.GROUPS[doctor.CORE]})
    assert complete and "get it" not in text and text.endswith("The core is complete.")


def test_what_is_too_old_or_does_not_import_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crashing.py").write_text("import os\nos.abort()\n")
    (tmp_path / "failing.py").write_text("raise RuntimeError('a library is missing')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert doctor.module("numpy>=1000.1", "").find().wrong == "too old, numpy>=1000.1"
    assert doctor.module("numpy>=1.1", "").find().wrong == ""
    assert "a library is missing" in doctor.module("failing", "").find().wrong
    assert "does not import" in doctor.module("crashing", "").find().wrong
    assert doctor.module("no_such_module", "").find().wrong == "missing"


def test_it_asks_for_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)}
    source = (ROOT / "codegen/doctor.py").read_text(encoding="utf-8")
    for requirement in wanted:
        assert f'module("{requirement.partition(",")[0]}"' in source, requirement
    core = {part.name for part in doctor.GROUPS[doctor.CORE]} - {"Python"}
    assert core == {re.split("[<>=]", requirement)[0] for requirement in project["dependencies"]}


def test_the_compiler_is_the_one_that_kernels_are_compiled_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    compiled = [b for b in discovered().values() if b.compiled]
    (part,) = [p for p in doctor.GROUPS["kernels"] if p.name == "C compiler"]
    for path in (os.environ["PATH"], str(tmp_path)):
        monkeypatch.setenv("PATH", path)
        assert all(bool(b.missing()) == bool(part.find().wrong) for b in compiled)
