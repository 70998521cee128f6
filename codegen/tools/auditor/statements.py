"""What a statement of Python reads and assigns to."""

from __future__ import annotations

import ast

__all__ = ["DEFINITIONS", "changed", "read"]

DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


def read(statement: ast.stmt) -> set[str]:
    """The names that a statement reads."""
    found = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return found | (
        {statement.target.id} if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name) else set()
    )


def changed(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns to, whole or in part."""
    found = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
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
