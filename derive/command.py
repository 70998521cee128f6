"""What every command line does alike: one line for an error, a reader of a pipe that has seen enough, Ctrl-C."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from derive.visible import visible

__all__ = ["INTERRUPTED", "meant", "read_text", "run", "show"]

#: The exit status of a command that Ctrl-C has ended: 128 and the number of the signal, as a shell gives it.
INTERRUPTED = 130


def run(command: Callable[[], int]) -> int:
    """The exit status of a command: its own, 1 with a line for an error of the user's, 130 after Ctrl-C.

    A pipe that is closed before all was printed, as by ``head``, is no error.
    """
    status = 0
    try:
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
    """The text of a UTF-8 file, with or without a byte order mark. ValueError with the line where it is in another encoding."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"byte 0x{data[error.start]:02x} in line {line}"
        raise ValueError(f"{path} is not encoded in UTF-8: {found}; save it as UTF-8") from None


def meant(word: str, known: Iterable[str]) -> str:
    """What to say to somebody who used an unknown word: the known one that looks most like it, or nothing."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""
