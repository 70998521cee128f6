"""Runs user code in a process of its own. If that process ends without a verdict, that is reported, and not success.

User code may end its process while it is imported or called, at exit, or by a crash of a linked library, even with status 0.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar, cast

__all__ = ["isolated"]

#: The seconds that a process may take to end once its work is done.
GRACE = 1
T = TypeVar("T")


def isolated(work: Callable[[], T], what: str, seconds: float | None = None) -> T:
    """The result of ``work``, done in a copy of this process and sent back from it.

    Raises what ``work`` raises. Raises RuntimeError, which names ``what``, where the process has ended without a result, or is
    not done after so many ``seconds``. Where processes cannot be copied, the work is done here, however long it takes.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        return work()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(work, there))
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, RuntimeWarning):  # warnings of forking beside threads; BLAS' threads survive it
            warnings.simplefilter("ignore", kind)
        process.start()
    there.close()
    try:
        if not here.poll(seconds):
            raise RuntimeError(f"{what} was not done after {seconds:g} seconds, and was stopped")
        found = here.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{what} ended its process ({_how(process.exitcode)}) before there was a verdict") from None
    finally:  # the process' threads may keep it alive
        process.join(timeout=GRACE)
        process.kill()
    if isinstance(found, BaseException):
        raise found
    return cast(T, found)


def _how(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"status {status}"


def _send(work: Callable[[], Any], to: Connection) -> None:
    try:
        to.send(work())
    except KeyboardInterrupt:
        to.send(KeyboardInterrupt())
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        to.send(_plain(error))


def _plain(error: Exception) -> Exception:
    """The error as a ValueError with its message, which can be sent between processes."""
    return ValueError(error.args[0] if isinstance(error, KeyError) and error.args else str(error))
