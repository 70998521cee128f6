"""Ctrl-C while a command starts, which takes a second for SymPy alone, is one line too.

To import this module is all that is needed, before anything that takes long. It changes nothing but for ``python -m``: while
Python looks for the module to run, ``sys.argv[0]`` is ``-m``. Source: Python documentation, Command line and environment.
"""

from __future__ import annotations

import os
import signal
import sys

__all__ = ["INTERRUPTED", "started"]

#: The exit status of a command that Ctrl-C has ended: 128 and the number of the signal, as a shell gives it.
INTERRUPTED = 130


def _end(*_: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(INTERRUPTED)


def started() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
