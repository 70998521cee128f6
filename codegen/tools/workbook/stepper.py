"""Runs a filled-in exercise statement by statement, for one blank at a time, so that a mistake affects no other blank."""

from __future__ import annotations

import ast
import contextlib
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codegen.tools.auditor.raised import Raised, raised
from codegen.tools.workbook.filled import Filled, changed

__all__ = ["Stepped", "step"]


@dataclass(frozen=True)
class Stepped:
    """The outcome of a blank: its last value, the line that assigned it (0: none did), and the error that a line raised."""

    value: Any = None
    line: int = 0
    error: Raised | None = None

    @property
    def done(self) -> bool:
        """Whether the blank was filled."""
        return self.error is not None or (self.line > 0 and self.value is not None and self.value is not ...)


def step(filled: Filled, blank: str, right: Mapping[str, Any], statements: Sequence[ast.stmt] | None = None) -> Stepped:
    """Run the statements that give a blank its value. ``right`` holds the right values of all arguments and blanks.

    A statement that changes the blank sees the blank's value so far; every other statement sees the right value.
    ``statements`` run in the place of the filled ones.
    """
    own: dict[str, Any] = {}
    found, ended = Stepped(), None
    for statement in filled.statements if statements is None else statements:
        names = changed(statement)
        if names & set(filled.blanks) and blank not in names:
            continue
        said = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
        shown = {n: _copied(right[n]) for n in said & right.keys() if n not in names or n not in filled.blanks}
        scope = {**filled.scope, **shown}
        scope |= {n: v for n, v in own.items() if n not in filled.blanks or n in names}
        error = _run(statement, scope, filled.file)
        ended = ended or (error if error and error.ends else None)
        own |= {n: scope[n] for n in names if n in scope}
        if blank in names:
            found = Stepped(own.get(blank), statement.lineno, found.error or error)
            found = replace(found, error=ended) if ended and found.done else found
    return found


def _run(statement: ast.stmt, scope: dict[str, Any], file: str) -> Raised | None:
    quiet = contextlib.redirect_stdout(io.StringIO())
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(), quiet:
            warnings.simplefilter("ignore")
            exec(compile(ast.Module([statement], []), file, "exec"), scope)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the learner's code may raise anything, SystemExit too; it is reported
        return raised(error, file)
    return None


def _copied(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else np.array(value) if isinstance(value, np.ndarray) else value
