"""The run of random systems says what was being checked when a process ended, and why it ended."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest

from tests.systems import pool
from tests.systems.check import Verdict

Deaths = list[signal.Signals]


def serve(pipe: Connection, stage: Any, deaths: Any) -> None:
    """Stands for a process that checks: it is ended by the next signal, if there is one left."""
    faulthandler.disable()
    while (task := pipe.recv()) is not None:
        stage.value = b"certify"
        number = next((k for k, n in enumerate(deaths) if n), None)
        if task[0] == "bad" and number is not None:
            signum, deaths[number] = deaths[number], 0
            os.kill(os.getpid(), signum)
        pipe.send((Verdict("ok"), 0.1))


class Pool(pool._Pool):
    def __init__(self, deaths: Deaths):
        self.context = multiprocessing.get_context("fork")
        self.deaths = self.context.Array("i", [*deaths, 0], lock=False)
        super().__init__(("numpy",), 1.0, 1, 60.0)

    def started(self) -> pool._Worker:
        ours, theirs = self.context.Pipe()
        stage = self.context.Array("c", pool.LONGEST + 1, lock=False)
        process = self.context.Process(target=serve, args=(theirs, stage, self.deaths), daemon=True)
        process.start()
        theirs.close()
        return pool._Worker(process, ours, stage)


def verdicts(*deaths: signal.Signals) -> dict[str, Verdict]:
    made = Pool(list(deaths))
    tasks: Iterator[pool.Task] = ((name, "", 0) for name in ("one", "bad", "two"))
    try:
        return {str(task[0]): verdict for task, verdict, _ in made.run(tasks)}
    finally:
        for worker in made.workers:
            worker.process.kill()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_others_end_is_checked_once_more(capfd: pytest.CaptureFixture[str]) -> None:
    assert {v.kind for v in verdicts(signal.SIGTERM).values()} == {"ok"}
    said = capfd.readouterr().err
    assert said == "system bad, certify: ended by signal 15 (SIGTERM) from outside; it is checked once more\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("deaths", [(signal.SIGSEGV,), (signal.SIGKILL, signal.SIGKILL)], ids=["by itself", "twice"])
def test_a_crash_names_its_stage_and_its_signal(deaths: tuple[signal.Signals, ...]) -> None:
    found = verdicts(*deaths)
    assert found["one"].kind == found["two"].kind == "ok"
    what = f"the process was ended by signal {deaths[-1].value} ({deaths[-1].name})"
    assert found["bad"] == Verdict("crash", "certify", what)


def test_the_run_says_where_it_was_terminated() -> None:
    made = Pool([])
    try:
        made.workers[0].task = ("suite:7", "", 7)
        with pytest.raises(SystemExit, match=r"^ended by signal 15 \(SIGTERM\) at system suite:7, process$"), pool._told(made):
            signal.raise_signal(signal.SIGTERM)
    finally:
        made.workers[0].process.kill()
