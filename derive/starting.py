"""Ctrl-C ends a command with one line even while its modules are imported. The import of SymPy alone takes a second.

The import of this module installs a signal handler, so it must come before imports that take long. Only ``python -m`` is
affected: ``sys.argv[0]`` is ``-m`` while Python looks for the module to run.
Source: Python documentation, Command line and environment.
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
    """Let Ctrl-C raise KeyboardInterrupt again: the imports are done."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
