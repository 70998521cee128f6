"""Declared lengths of a random system, ``size(q) = (size(l) - size(k))//2 + 1``, and its reference lengths."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.systems.dual import BadPoint

if TYPE_CHECKING:
    from tests.systems.language import System

_DECLARED = re.compile(r"^size\((\w+)\)(?= *=)", re.MULTILINE)
_REFERENCE = re.compile(r"^sizes: ([^#\n]*)", re.MULTILINE)


def as_python(text: str) -> str:
    """The text as Python parses it: no call is assigned to, and reference lengths are an annotation."""
    return _REFERENCE.sub(lambda m: f"sizes: {m[1].strip()!r}", _DECLARED.sub(r"size[\1]", text))


def as_written(text: str) -> str:
    """What :func:`as_python` made of a text, as the language has it."""
    return re.sub(r"^sizes: '([^']*)'", r"sizes: \1", text, flags=re.MULTILINE)


def completed(
    system: System, root: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, float]
) -> dict[str, tuple[int, ...]]:
    """The shapes with declared lengths (BadPoint where one comes out negative, or is not that of an axis it must equal)."""
    found = dict(shapes)
    for axis, node in system.lengths.items():
        length = _value(node, found, constants)
        if length < 0:
            raise BadPoint("a length is negative")
        found |= {a: (length,) for a in (*root, axis) if root.get(a, a) == root.get(axis, axis)}
    if any(_value(node, found, constants) != found[axis][0] for axis, node in system.lengths.items()):
        raise BadPoint("declared lengths that differ where equations read one axis as the other")
    return found


def _value(node: ast.expr, shapes: Mapping[str, tuple[int, ...]], constants: Mapping[str, float]) -> int:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return int(constants[name])
        case ast.Call(args=[ast.Name(id=axis)]):
            return shapes[axis][0]
        case ast.BinOp(left=left, op=op, right=right):
            a, b = (_value(side, shapes, constants) for side in (left, right))
            match op:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.FloorDiv():
                    return a // b
    raise TypeError(ast.dump(node))
