"""A pool of processes on all cores that end at once when Ctrl-C ends the command."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import InvalidStateError, ProcessPoolExecutor
from contextlib import contextmanager

__all__ = ["all_cores"]


@contextmanager
def all_cores(method: str | None = None) -> Iterator[ProcessPoolExecutor]:
    """A pool of as many processes as there are cores, started by ``method`` (default: the platform's own).

    Ctrl-C goes to every process of a terminal's job. The workers ignore it, so that only the command reports it; the command
    then ends the workers.
    """
    pool = ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context(method), _deaf)
    before = set(multiprocessing.active_children())
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        _let_futures_be_cancelled()
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - before:
            worker.terminate()
        raise


def _let_futures_be_cancelled() -> None:
    """Keep the pool's thread quiet about futures that are cancelled already.

    When workers are ended, that thread sets an error in every future, which fails for a cancelled future.
    """
    before = threading.excepthook

    def hook(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_type is not InvalidStateError:
            before(failure)

    threading.excepthook = hook


def _deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
