"""What every command line does alike: one line for an error, a reader of a pipe that has seen enough, Ctrl-C."""

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

__all__ = ["INTERRUPTED", "is_path", "meant", "read_text", "run", "show"]

#: Far beyond any op, in bytes; a file of this size is something else.
LARGEST = 10_000_000
#: When cycles of garbage are looked for. Terms and trees have none and are many: with Python's own thresholds much of the
#: time of a long derivation goes into looking at them again and again.
COLLECTED = (100_000, 50, 100)


def run(command: Callable[[], int]) -> int:
    """The exit status of a command: its own, 1 with a line for an error of the user's, 130 after Ctrl-C.

    A pipe that is closed before all was printed, as by ``head``, is no error.
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
    """Print what a command has found. It still returns its own status where the reader of a pipe has seen enough."""
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        _print_no_more()


def _print_no_more() -> None:
    """Let standard output lead nowhere: what is left in its buffer would raise again when the interpreter ends."""
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


def is_path(what: str) -> bool:
    """Whether an argument means a file: it exists, or it has a folder or an ending, which no op has."""
    try:
        exists = Path(what).exists()
    except (OSError, ValueError):
        exists = False
    return exists or "/" in what or "\\" in what or "." in what


def meant(word: str, known: Iterable[str]) -> str:
    """What to say to somebody who used an unknown word: the known one that looks most like it, or nothing."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""
