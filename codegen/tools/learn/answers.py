"""What a learner types as an answer: when it is complete, and the code that it stands for."""

from __future__ import annotations

import ast
import codeop
import difflib
from collections.abc import Collection, Sequence

from codegen.tools.workbook import changed
from derive.visible import visible

__all__ = ["complete", "statements"]

COMPOUND = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.FunctionDef, ast.Match)
#: Attributes and functions that tell of an array, or make one, without its entries.
ABOUT = ("shape", "dtype", "ndim", "size", "device", "new_zeros", "new_full")
LIKE = ("zeros_like", "ones_like", "empty_like", "full_like", "len", "size")
#: How like the wanted name an assigned name has to be in order to count as misspelt.
ALIKE = 0.8


def complete(lines: Sequence[str], name: str, gradients: Collection[str]) -> bool:
    """Whether the lines typed so far are an answer. What is no Python is one too: more lines would not help.

    A line that is not an answer yet assigns another name, or uses the entries of no gradient. Several such lines are an answer
    only when an empty line ends them.
    """
    text = "\n".join(lines)
    try:
        if codeop.compile_command(text, symbol="exec") is None:
            return False
        body = ast.parse(text).body
    except (SyntaxError, ValueError, OverflowError, MemoryError):
        return len(lines) == 1
    if not body or isinstance(body[-1], COMPOUND) or body[-1].lineno > 1:
        return False
    if _is_value(body[-1], name) or _misnamed(body, name, gradients):
        return True
    return name in changed(body[-1]) and any(_uses(s, gradients) for s in body)


def statements(lines: Sequence[str], name: str, gradients: Collection[str]) -> tuple[str, ...]:
    """The answer as lines that give ``name`` its value (ValueError for what is no Python, or gives it none)."""
    text = "\n".join(lines)
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, OverflowError, MemoryError) as error:
        raise ValueError(_unread(error, lines)) from None
    if wrong := _misnamed(body, name, gradients):
        raise ValueError(f"the line is for {name}, and yours assigns {wrong}")
    last = body[-1] if body else None
    if last is not None and _is_value(last, name):
        first = last.lineno - 1
        parts = [*lines[:first], f"{name} = {lines[first][last.col_offset :]}", *lines[first + 1 :]]
        if lines[first][: last.col_offset].strip():  # a statement stands before it in the same line
            parts[first] = f"{lines[first][: last.col_offset]}{parts[first]}"
        return tuple(parts)
    if not any(name in changed(s) for s in body):
        raise ValueError(f"no line gives {name} a value")
    return tuple(line.rstrip() for line in lines)


def _uses(node: ast.AST, gradients: Collection[str]) -> bool:
    """Whether code uses the entries of a gradient, and not its shape or dtype alone."""
    if isinstance(node, ast.Attribute) and node.attr in ABOUT:
        return False
    if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in LIKE:
        return False
    if isinstance(node, ast.Name):
        return node.id in gradients and isinstance(node.ctx, ast.Load)
    return any(_uses(child, gradients) for child in ast.iter_child_nodes(node))


def _is_value(statement: ast.stmt, name: str) -> bool:
    return isinstance(statement, ast.Expr) and name not in changed(statement)


def _misnamed(body: Sequence[ast.stmt], name: str, gradients: Collection[str]) -> str:
    """The name that the answer assigns in the place of the wanted one, if it is another gradient's or much like it."""
    assigned = {n for s in body for n in changed(s)}
    if name in assigned:
        return ""
    close = difflib.get_close_matches(name, sorted(assigned), 1, ALIKE)
    return next(iter(sorted(assigned & set(gradients))), close[0] if close else "")


def _unread(error: Exception, lines: Sequence[str]) -> str:
    if not isinstance(error, SyntaxError) or not error.lineno or not 0 < error.lineno <= len(lines):
        return f"this is neither a command nor Python: {visible(str(error))}"
    line, at = lines[error.lineno - 1], max((error.offset or 1) - 1, 0)
    return f"this is neither a command nor Python: {error.msg}\n    {visible(line)}\n    {' ' * len(visible(line[:at]))}^"
