"""The common part of all command lines: errors in one line, pipes that are closed early, and Ctrl-C."""

from __future__ import annotations

import codecs
import difflib
import gc
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from derive.starting import INTERRUPTED, started
from derive.visible import visible

__all__ = ["INTERRUPTED", "meant", "read_text", "run", "show"]

#: The largest file that is read, in bytes. No op comes near this size.
LARGEST = 10_000_000
#: Thresholds of Python's garbage collector, which looks for reference cycles. Terms and trees are many and have no cycles:
#: with the default thresholds, a long derivation spends much of its time on scanning them.
COLLECTED = (100_000, 50, 100)


def run(command: Callable[[], int]) -> int:
    """Run a command. Returns its own exit status, 1 after a user's error (printed in one line), or 130 after Ctrl-C.

    A pipe that its reader closes early, as ``head`` does, is no error.
    """
    status = 0
    gc.set_threshold(*COLLECTED)
    try:
        started()
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:
        _print_no_more()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except KeyError as error:
        return _failed(error.args[0] if error.args else error)
    except (ValueError, OSError, RuntimeError) as error:
        return _failed(error)
    return status


def show(*lines: object) -> None:
    """Print lines to standard output. If the reader of a pipe has closed it, nothing is printed and nothing raised."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        _print_no_more()


def _print_no_more() -> None:
    """Redirect standard output to nowhere: text left in its buffer would raise again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(message: object) -> int:
    print(f"error: {visible(str(message), lines=True)}", file=sys.stderr)
    return 1


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark (ValueError that names the file for anything else)."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder; expected a text file of equations")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST:
        raise ValueError(f"{path} has more than {LARGEST} bytes; expected a text file of equations")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"byte 0x{data[error.start]:02x} in line {line}"
        wide = " (it looks like UTF-16)" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
        raise ValueError(f"{path} is not encoded in UTF-8: {found}{wide}; save it as UTF-8") from None


def meant(word: str, known: Iterable[str]) -> str:
    """The hint for an unknown word: the known word that looks most like it; "" if none does."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""
