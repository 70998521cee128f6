"""Checks in processes of their own: a crash in C or an endless loop costs one system and not the run."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from tests.systems.check import Verdict, timed

Task = tuple[Any, str, int]


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    task: Task | None = None


def _serve(pipe: Connection, backends: tuple[str, ...], limit: float) -> None:
    while (task := pipe.recv()) is not None:
        _, text, seed = task
        pipe.send(timed(text, seed, backends, limit))


def _start(backends: tuple[str, ...], limit: float) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, backends, limit), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def run(
    tasks: Iterable[Task], backends: tuple[str, ...], limit: float, jobs: int, total: float = 600.0
) -> Iterator[tuple[Task, Verdict, float]]:
    """Each task with its verdict and its seconds, as they come; ``total`` seconds without any are taken for a hang."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    stream, workers = iter(tasks), [_start(backends, limit) for _ in range(jobs)]
    idle = list(workers)
    try:
        while True:
            while idle and (task := next(stream, None)) is not None:
                worker = idle.pop()
                worker.task = task
                worker.pipe.send(task)
            busy = [w for w in workers if w.task is not None]
            if not busy:
                return
            ready = wait([w.pipe for w in busy], timeout=total)
            for worker in [w for w in busy if not ready or w.pipe in ready]:
                task, worker.task = worker.task, None
                assert task is not None
                try:
                    if not ready:
                        raise TimeoutError
                    verdict, seconds = worker.pipe.recv()
                except (EOFError, ConnectionError, TimeoutError) as error:
                    slow = isinstance(error, TimeoutError)
                    worker.process.kill()
                    worker.process.join()
                    status = worker.process.exitcode
                    verdict = (
                        Verdict("slow", "all", f"{total:g} s") if slow else Verdict("crash", "process", f"status {status}")
                    )
                    seconds = 0.0
                    workers.remove(worker)
                    worker = _start(backends, limit)
                    workers.append(worker)
                idle.append(worker)
                yield task, verdict, seconds
    finally:
        for worker in workers:
            worker.process.kill()
