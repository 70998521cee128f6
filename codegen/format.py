"""Format Python source with the pinned formatter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

OPTIONS = ("--line-length", "128", "--target-version", "py311", "--isolated", "--no-cache")


def format_python(files: Mapping[str, str]) -> dict[str, str]:
    """The files (by relative path) as the formatter writes them; one process for all (RuntimeError with its message)."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        _ruff("check", "--select", "I001,F401", "--fix", "--quiet", "--isolated", "--no-cache", str(root))
        _ruff("format", *OPTIONS, "--quiet", str(root))
        return {name: (root / name).read_text(encoding="utf-8") for name in files}


def _ruff(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ruff", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the formatter refused generated source:\n{done.stdout}{done.stderr}")
