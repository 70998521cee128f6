"""Format Python and C source with the pinned formatters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from clang_format import get_executable

C_STYLE = """{
    BasedOnStyle: Google, IndentWidth: 4, ColumnLimit: 120, PointerAlignment: Right, DerivePointerAlignment: false,
    SortIncludes: Never, AllowShortIfStatementsOnASingleLine: WithoutElse, AllowShortFunctionsOnASingleLine: All
}"""
OPTIONS = ("--line-length", "128", "--target-version", "py311", "--isolated", "--no-cache")


def format_python(files: Mapping[str, str], *, imports: bool = True) -> dict[str, str]:
    """The Python files, by relative path, formatted (RuntimeError with the formatter's message where it refuses a file).

    With ``imports``, imports are sorted and unused imports are left out.
    """
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        if imports:
            _ruff("check", "--select", "I001,F401", "--fix", "--quiet", "--isolated", "--no-cache", str(root))
        _ruff("format", *OPTIONS, "--quiet", str(root))
        return {name: (root / name).read_text(encoding="utf-8") for name in files}


def format_c(files: Mapping[str, str]) -> dict[str, str]:
    """The C sources and headers, by relative path, formatted (RuntimeError with the formatter's message)."""
    if not files:
        return {}
    with TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{k}{Path(name).suffix}" for k, name in enumerate(files)}
        for name, text in files.items():
            paths[name].write_text(text, encoding="utf-8", newline="\n")
        _run([get_executable("clang-format"), f"--style={C_STYLE}", "-i", *map(str, paths.values())])
        return {name: paths[name].read_text(encoding="utf-8") for name in files}


def _ruff(*arguments: str) -> None:
    _run([sys.executable, "-m", "ruff", *arguments])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the formatter refused generated source:\n{done.stdout}{done.stderr}")
