"""An error that a submission raised, as its author needs it: the message, the line, and the shapes of its arrays."""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass
from types import FrameType, TracebackType

from derive.visible import visible

__all__ = ["Raised", "raised"]


@dataclass(frozen=True)
class Raised:
    """An error with its line.

    The error is ``deliberate`` if a ``raise`` or ``assert`` of the submission raised it. It ``ends`` the process if it is not
    an :class:`Exception`, such as the SystemExit of ``exit()``.
    """

    text: str
    deliberate: bool = False
    ends: bool = False

    def __str__(self) -> str:
        return self.text


def raised(error: BaseException, file: str) -> Raised:
    """An error that the submission in ``file`` raised. For SystemExit the message says that the process would have ended."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SystemExit):
        said = f"SystemExit, which ends the process with status {error.code or 0}"
    said = visible(" ".join(said.split()))
    found = _innermost(error.__traceback__, file)
    ends = not isinstance(error, Exception)
    if found is None:
        return Raised(said, ends=ends)
    frame, number, last = found
    line = visible(linecache.getline(file, number).strip())
    shapes = ", ".join(f"{name} {shape}" for name, shape in _shapes(line, frame).items())
    text = f"{said} (line {number}" + (f": {line}" if line else "") + (f", with {shapes}" if shapes else "") + ")"
    return Raised(text, last and line.startswith(("raise", "assert")), ends)


def _innermost(trace: TracebackType | None, file: str) -> tuple[FrameType, int, bool] | None:
    """The innermost frame of the submission's file, its line, and whether the error was raised in this very frame."""
    found = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            found = trace.tb_frame, trace.tb_lineno, trace.tb_next is None
        trace = trace.tb_next
    return found


def _shapes(line: str, frame: FrameType) -> dict[str, tuple[int, ...]]:
    """The shapes of the arrays that a line names, in the line's order."""
    names = dict.fromkeys(re.findall(r"(?<![\w.])[^\W\d]\w*", line))
    found = {n: getattr(frame.f_locals.get(n), "shape", None) for n in names}
    return {n: tuple(shape) for n, shape in found.items() if isinstance(shape, tuple)}
