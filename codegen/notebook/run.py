"""Run a notebook and save it. Needs nbformat, nbclient and ipykernel."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["execute", "save"]

ROOT = Path(__file__).resolve().parent.parent.parent


def save(build: Callable[[], Any], path: Path) -> int:
    """Write and execute the notebook; 1 with a message where what that takes is not installed or a cell fails."""
    try:
        import ipykernel  # noqa: F401
        import matplotlib  # noqa: F401
        import nbclient
        import torch  # noqa: F401

        nbformat: Any = importlib.import_module("nbformat")
    except ImportError as error:
        print(f"error: the notebook needs {error.name}: pip install 'backprop-ninja[dev]'", file=sys.stderr)
        return 1
    notebook = build()
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        execute(notebook)
    except nbclient.exceptions.CellExecutionError as error:
        print(f"error: a cell of the notebook failed:\n{error}", file=sys.stderr)
        return 1
    finally:
        nbformat.write(notebook, path)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    print(f"{len(notebook.cells)} cells written to {shown}")
    return 0


def execute(notebook: Any) -> None:
    """Run every cell in a kernel of this environment, in the repository's folder (CellExecutionError if one fails)."""
    from nbclient import NotebookClient

    where = {"metadata": {"path": str(ROOT)}}
    quiet = ["--log-level=ERROR"]
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where, extra_arguments=quiet).execute()
