"""Runs a filled-in exercise statement by statement, each from right values: a mistake does not spoil the next line."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Stepped", "step_through"]


@dataclass(frozen=True)
class Stepped:
    """What became of each blank: its last value, the line that gave it, and the error that a line raised."""

    values: Mapping[str, Any]
    lines: Mapping[str, int]
    errors: Mapping[str, str]


def step_through(function: Callable[..., Any], right: Mapping[str, Any], blanks: tuple[str, ...]) -> Stepped:
    """Run the statements of a function's body. ``right`` holds the right values of all its arguments and blanks.

    A statement that changes a blank sees what the function itself has put there so far; any other reads the right value.
    """
    statements, start = _statements(function)
    own: dict[str, Any] = {}
    lines: dict[str, int] = {}
    errors: dict[str, str] = {}
    for statement in statements:
        changed = _changed(statement)
        shown = {n: _copied(v) for n, v in right.items() if n not in changed or n not in blanks}
        scope = {**getattr(function, "__globals__", {}), **shown, **own_of(own, changed, blanks)}
        for name in changed & set(blanks):
            lines[name] = start + statement.lineno - 1
        try:
            with np.errstate(all="ignore"):
                exec(compile(ast.Module([statement], []), inspect.getfile(function), "exec"), scope)
        except Exception as error:  # it is the learner's code; the error is what is reported
            said = f"{type(error).__name__}: {error}"
            errors |= {n: said for n in changed}
        own |= {n: scope[n] for n in changed if n in scope}
    missing = {n: e for n, e in errors.items() if n in blanks}
    return Stepped({n: own[n] for n in blanks if n in own}, lines, missing)


def own_of(own: Mapping[str, Any], changed: set[str], blanks: tuple[str, ...]) -> dict[str, Any]:
    """The function's own names that a statement may see: helpers always, a blank only where the statement changes it."""
    return {n: v for n, v in own.items() if n not in blanks or n in changed}


def _statements(function: Callable[..., Any]) -> tuple[list[ast.stmt], int]:
    """The statements of the body, without docstring and return, and the line that the function begins at."""
    lines, start = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return [s for s in tree.body if not isinstance(s, ast.Return)], start


def _changed(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns to, whole or in part."""
    found = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(statement):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
        found |= {name for t in targets if (name := _base(t))}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITES:
            found |= {name for a in (node.func.value, *node.args[:1]) if (name := _base(a))}
    return found


#: Calls that write into what they are called on, or into their first argument.
_WRITES = ("at", "index_add_", "scatter_add_", "add_", "sub_", "mul_", "div_", "fill_", "zero_", "index_put_", "put_along_axis")


def _base(node: ast.expr) -> str:
    """The name of ``x`` in ``x``, ``x[i]`` and ``x.flat[i]``."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _copied(value: Any) -> Any:
    return value.clone() if hasattr(value, "clone") else np.array(value) if isinstance(value, np.ndarray) else value
