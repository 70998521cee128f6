"""Runs a filled-in exercise statement by statement, for one blank at a time, so that a mistake affects no other blank."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import textwrap
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from codegen.tools.auditor.raised import Raised, raised

__all__ = ["Filled", "Stepped"]


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


@dataclass(frozen=True)
class Filled:
    """The filled-in function of an exercise. ``blanks`` are the names that it has to find.

    Raises ValueError where the function has no source to step through.
    """

    function: Callable[..., Any]
    blanks: tuple[str, ...]

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """The statements of the body, without docstring and return, with the lines that they have in the file."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        try:
            lines, start = inspect.getsourcelines(self.function)
            tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
        except (OSError, TypeError, SyntaxError, UnicodeDecodeError) as error:
            raise ValueError(f"{name} cannot be read: {error}") from error
        if not isinstance(tree, ast.FunctionDef):
            raise ValueError(f"{name} is not the function of an exercise")
        ast.increment_lineno(tree, start - 1)
        return [s for s in tree.body if not isinstance(s, ast.Return)]

    def reads(self, blank: str) -> set[str]:
        """The names that a blank is computed from, also through local variables of the function."""
        found: set[str] = set()
        waiting = {blank}
        while waiting:
            name = waiting.pop()
            for statement in self.statements:
                if name in _changed(statement):
                    new = _read(statement) - found
                    found |= new
                    waiting |= {n for n in new if n not in self.blanks}
        return found - {blank}

    def step(self, blank: str, right: Mapping[str, Any]) -> Stepped:
        """Run the statements that give a blank its value. ``right`` holds the right values of all arguments and blanks.

        A statement that changes the blank sees the blank's value so far; every other statement sees the right value.
        """
        own: dict[str, Any] = {}
        found, ended = Stepped(), None
        for statement in self.statements:
            changed = _changed(statement)
            if changed & set(self.blanks) and blank not in changed:
                continue
            shown = {n: _copied(v) for n, v in right.items() if n not in changed or n not in self.blanks}
            scope = {**getattr(self.function, "__globals__", {}), **shown}
            scope |= {n: v for n, v in own.items() if n not in self.blanks or n in changed}
            error = self._run(statement, scope)
            ended = ended or (error if error and error.ends else None)
            own |= {n: scope[n] for n in changed if n in scope}
            if blank in changed:
                found = Stepped(own.get(blank), statement.lineno, found.error or error)
                found = replace(found, error=ended) if ended and found.done else found
        return found

    def _run(self, statement: ast.stmt, scope: dict[str, Any]) -> Raised | None:
        file = inspect.getfile(self.function)
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


def _read(statement: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _changed(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns to, whole or in part."""
    found = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        found |= {name for t in targets if (name := _base(t))}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITES:
            found |= {name for a in (node.func.value, *node.args[:1]) if (name := _base(a))}
    return found


#: Methods and functions that write into the object they are called on, or into their first argument.
_WRITES = ("at", "index_add_", "scatter_add_", "add_", "sub_", "mul_", "div_", "fill_", "zero_", "index_put_", "put_along_axis")


def _base(node: ast.expr) -> str:
    """The name of ``x`` in ``x``, ``x[i]`` and ``x.flat[i]``."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _copied(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else np.array(value) if isinstance(value, np.ndarray) else value
