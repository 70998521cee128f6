"""Checks in processes of their own: a crash in C or an endless loop costs one system and not the run.

A process that something outside ends says nothing about its system: it is checked once more. Whenever a process ends without
a verdict, or the run is terminated, it is said which system was being checked, at which stage, and what ended the process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from tests.systems import check
from tests.systems.check import Verdict

Task = tuple[Any, str, int]

#: The signals that come from others, such as that of a machine without memory. A process brings all other signals on itself.
OUTSIDE = frozenset((signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP))
#: The longest name of a stage, in bytes.
LONGEST = 80
#: How many seconds a process has to end once its pipe is closed.
GRACE = 10


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    stage: Any
    task: Task | None = None

    @property
    def where(self) -> str:
        return self.stage.value.decode(errors="replace") or "process"

    def __str__(self) -> str:
        return f"system {self.task[0] if self.task else None}, {self.where}"


def _serve(pipe: Connection, stage: Any, backends: tuple[str, ...], limit: float) -> None:
    def entered(name: str) -> None:
        stage.value = name.encode()[:LONGEST]

    check.watchers.append(entered)
    while (task := pipe.recv()) is not None:
        _, text, seed = task
        pipe.send(check.timed(text, seed, backends, limit))


def ended(status: int | None) -> str:
    """What ended a process, from its exit status as ``multiprocessing`` has it."""
    return f"signal {-status} ({signal.Signals(-status).name})" if status and status < 0 else f"status {status}"


class _Pool:
    def __init__(self, backends: tuple[str, ...], limit: float, jobs: int, total: float):
        self.backends, self.limit, self.total = backends, limit, total
        self.workers = [self.started() for _ in range(jobs)]
        #: Tasks to be checked once more, and the names of those that were.
        self.again: list[Task] = []
        self.repeated: set[Any] = set()

    def started(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        stage = context.Array("c", LONGEST + 1, lock=False)
        process = context.Process(target=_serve, args=(theirs, stage, self.backends, self.limit), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, stage)

    @property
    def busy(self) -> list[_Worker]:
        return [w for w in self.workers if w.task is not None]

    def run(self, stream: Iterator[Task]) -> Iterator[tuple[Task, Verdict, float]]:
        while self.handed_out(stream):
            ready = wait([w.pipe for w in self.busy], timeout=self.total)
            for worker in [w for w in self.busy if not ready or w.pipe in ready]:
                task = worker.task
                found = self.received(worker) if ready else self.stopped(worker)
                if found is not None and task is not None:
                    yield task, *found

    def handed_out(self, stream: Iterator[Task]) -> bool:
        """Give every idle process a task, as long as there are tasks. Whether any process has one."""
        for worker in [w for w in self.workers if w.task is None]:
            worker.task = self.again.pop() if self.again else next(stream, None)
            if worker.task is not None:
                worker.pipe.send(worker.task)
        return bool(self.busy)

    def received(self, worker: _Worker) -> tuple[Verdict, float] | None:
        """What a process sends; if it has ended instead, a crash; None if the task is to be checked once more."""
        try:
            found: tuple[Verdict, float] = worker.pipe.recv()
        except (EOFError, ConnectionError):
            return self.lost(worker)
        worker.task = None
        return found

    def stopped(self, worker: _Worker) -> tuple[Verdict, float]:
        self.replace(worker)
        return Verdict("slow", worker.where, f"{self.total:g} s"), 0.0

    def lost(self, worker: _Worker) -> tuple[Verdict, float] | None:
        worker.process.join(GRACE)
        self.replace(worker)
        status, task = worker.process.exitcode, worker.task
        if task is not None and -status in OUTSIDE and task[0] not in self.repeated:
            print(f"{worker}: ended by {ended(status)} from outside; it is checked once more", file=sys.stderr, flush=True)
            self.again.append(task)
            self.repeated.add(task[0])
            return None
        return Verdict("crash", worker.where, f"the process was ended by {ended(status)}"), 0.0

    def replace(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.join()
        self.workers[self.workers.index(worker)] = self.started()


@contextmanager
def _told(pool: _Pool) -> Iterator[None]:
    """Where the run itself is terminated, SystemExit says at what."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(f"ended by {ended(-number)} at {'; '.join(map(str, pool.busy)) or 'no system'}")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(
    tasks: Iterable[Task], backends: tuple[str, ...], limit: float, jobs: int, total: float = 600.0
) -> Iterator[tuple[Task, Verdict, float]]:
    """Each task with its verdict and its seconds, as they come; ``total`` seconds without any are taken for a hang."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    pool = _Pool(backends, limit, jobs, total)
    try:
        with _told(pool):
            yield from pool.run(iter(tasks))
    finally:
        for worker in pool.workers:
            worker.process.kill()
