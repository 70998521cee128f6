"""Run a notebook and save it. Needs nbformat, nbclient and ipykernel."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from derive.called import HOME

__all__ = ["execute", "save"]


def save(build: Callable[[], Any], path: Path) -> int:
    """Write and execute the notebook; returns 0, or 1 with a message if a package is missing or a cell fails.

    If a cell fails, the notebook is written as far as it ran, with the error in it. After Ctrl-C nothing is written.
    """
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
    failed = None
    try:
        execute(notebook, progress(notebook))
    except nbclient.exceptions.CellExecutionError as error:
        failed = error
    nbformat.write(notebook, path)
    if failed is not None:
        print(f"error: a cell of the notebook failed:\n{failed}", file=sys.stderr)
        return 1
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    print(f"{len(notebook.cells)} cells written to {shown}")
    return 0


def progress(notebook: Any) -> Callable[[int], None]:
    """What is shown while cells run: a bar on a terminal, else a line for each section. It is told the number of every cell."""
    from tqdm import tqdm

    sections = {n: c.source.splitlines()[0].lstrip("# ") for n, c in enumerate(notebook.cells) if c.source.startswith("## ")}
    told: set[int] = set()
    bar = tqdm(total=len(notebook.cells), unit="cell", disable=not sys.stderr.isatty(), leave=False)

    def seen(number: int) -> None:
        bar.update(number + 1 - bar.n)
        for start in sorted(n for n in sections if n <= number and n not in told):
            told.add(start)
            if bar.disable:
                print(f"running: {sections[start]}", file=sys.stderr, flush=True)
            bar.set_description(sections[start])
        if number + 1 == len(notebook.cells):
            bar.close()

    return seen


def execute(notebook: Any, seen: Callable[[int], None] = lambda number: None) -> None:
    """Run every cell in a kernel of this environment, in the toolkit's folder (CellExecutionError if one fails).

    ``seen`` is called with the number of each cell before it runs.
    """
    from nbclient import NotebookClient

    where = {"metadata": {"path": str(HOME.resolve())}}
    quiet = ["--log-level=ERROR"]
    options: dict[str, Any] = dict(timeout=600, kernel_name="python3", resources=where, extra_arguments=quiet)
    client = NotebookClient(notebook, on_cell_start=lambda cell, cell_index: seen(cell_index), **options)
    _interruptible(client)


def _interruptible(client: Any) -> None:
    """Execute a client's notebook; KeyboardInterrupt ends the kernel at once.

    nbclient runs in a thread of its own. In the main thread it would handle Ctrl-C itself, and fail.
    """
    tasks: list[asyncio.Task[Any]] = []

    async def task() -> None:
        current = asyncio.current_task()
        assert current is not None
        tasks.append(current)
        await client.async_execute()

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(lambda: asyncio.run(task()))
        try:
            done.result()
        except KeyboardInterrupt:
            client.shutdown_kernel = "immediate"
            for running in tasks:
                running.get_loop().call_soon_threadsafe(running.cancel)
            wait([done])
            raise
