"""A filled-in exercise as statements: those of the learner's own part of a script, or those of one function."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from codegen.tools.auditor.raised import raised
from codegen.tools.auditor.statements import DEFINITIONS, changed, read
from derive import syntax as st

__all__ = ["Filled", "changed", "filled_file", "filled_function", "filled_text", "read"]


@dataclass(frozen=True)
class Filled:
    """The statements in which a learner finds the ``blanks``, with the line numbers of their ``file``.

    ``scope`` holds what the statements may refer to: modules, functions of the file. ``script`` says that the file's own
    forward pass stands before them, so that the lengths of axes have names too; ``setup`` is that part of the file.
    """

    name: str
    statements: tuple[ast.stmt, ...]
    blanks: tuple[str, ...]
    file: str
    scope: Mapping[str, Any] = field(default_factory=dict)
    script: bool = False
    lines: tuple[str, ...] = ()
    setup: tuple[ast.stmt, ...] = ()

    def line(self, number: int) -> str:
        """The text of a line of the file; "" where it is not known."""
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""

    @cached_property
    def changes(self) -> dict[int, frozenset[str]]:
        """The names that each statement assigns to, by the statement's place."""
        return {k: frozenset(changed(s)) for k, s in enumerate(self.statements)}

    def behind(self, blank: str) -> tuple[int, ...]:
        """The places of the statements that a blank's value comes from, other blanks being given."""
        wanted = {blank}
        found: set[int] = set()
        while True:
            new = {
                k
                for k, names in self.changes.items()
                if k not in found and names & wanted and not (names & set(self.blanks) and blank not in names)
            }
            if not new:
                return tuple(sorted(found))
            found |= new
            wanted |= {n for k in new for n in read(self.statements[k]) if n not in self.blanks}

    def reads(self, blank: str) -> set[str]:
        """The names that a blank is computed from, also through local variables."""
        return {n for k in self.behind(blank) for n in read(self.statements[k])} - {blank}


def filled_function(function: Callable[..., Any], blanks: Collection[str]) -> Filled:
    """The statements of a function's body, without docstring and return (ValueError where it has no source)."""
    name = getattr(function, "__name__", type(function).__name__)
    try:
        lines, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
        file = inspect.getfile(function)
    except (OSError, TypeError, SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error
    if not isinstance(tree, ast.FunctionDef):
        raise ValueError(f"{name} is not the function of an exercise")
    ast.increment_lineno(tree, start - 1)
    statements = tuple(s for s in tree.body if not isinstance(s, ast.Return))
    text = ("",) * (start - 1) + tuple(line.rstrip("\n") for line in lines)
    return Filled(name, statements, tuple(blanks), file, getattr(function, "__globals__", {}), lines=text)


def filled_file(path: Path, op: st.Op, blanks: Collection[str], function: str = "") -> Filled:
    """The statements of a file, as :func:`filled_text` finds them (ValueError where it cannot be read)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return filled_text(text, str(path), op, blanks, function)


def filled_text(text: str, file: str, op: st.Op, blanks: Collection[str], function: str = "") -> Filled:
    """The statements of a script after its forward pass, or those of its ``function`` (ValueError where it is no Python).

    A file without assignments to blanks of its own has a function called ``OP_backward``, and is run whole, as by an import. Of
    a script nothing is run here but its imports, its functions, and what it names before its forward pass.
    """
    try:
        tree = ast.parse(text, file)
    except (SyntaxError, ValueError) as error:
        at = f" (line {error.lineno}: {(error.text or '').strip()})" if isinstance(error, SyntaxError) else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"{file} cannot be read: {said}{at}") from error
    values = {t.name for t in op.inputs} | {e.name for e in op.equations}
    lines = tuple(text.splitlines())
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # what errors quote
    own = {s.name: s for s in tree.body if isinstance(s, ast.FunctionDef)}
    found = not any(changed(s) & set(blanks) for s in tree.body if not isinstance(s, DEFINITIONS))
    if (chosen := own.get(function or (f"{op.name}_backward" if found else ""))) is not None:
        scope = _scope(tree.body, () if function else tuple(tree.body), file, set() if found else values, every=found)
        statements = tuple(s for s in chosen.body if not isinstance(s, ast.Return))
        return Filled(chosen.name, statements, tuple(blanks), file, scope, lines=lines)
    if function:
        raise ValueError(f"{file} has no function '{function}'; there are: {', '.join(own) or 'none'}")
    start = _after_forward(tree.body, op)
    setup, body = tuple(tree.body[:start]), tuple(tree.body[start:])
    statements = tuple(s for s in body if not isinstance(s, DEFINITIONS))
    return Filled(Path(file).name, statements, tuple(blanks), file, _scope(tree.body, setup, file, values), True, lines, setup)


def _after_forward(body: list[ast.stmt], op: st.Op) -> int:
    """The place after the statement that first assigns the op's last name; 0 where a script has no forward pass."""
    last = op.equations[-1].name
    return next((k + 1 for k, s in enumerate(body) if last in changed(s)), 0)


def _scope(
    body: list[ast.stmt], setup: tuple[ast.stmt, ...], file: str, values: set[str], every: bool = False
) -> dict[str, Any]:
    """What a script's statements may refer to: its modules and functions, and what it names beside the op's own names.

    A name that cannot be computed without the op's values is left out, unless ``every`` statement is asked for. ``cmp`` does
    nothing while lines are graded.
    """
    scope: dict[str, Any] = {"__name__": "exercise", "__file__": file}
    for statement in body:
        needed = every or isinstance(statement, DEFINITIONS)
        if not needed and (statement not in setup or not isinstance(statement, ast.Assign) or changed(statement) & values):
            continue
        try:
            exec(compile(ast.Module([statement], []), file, "exec"), scope)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a learner's file may raise anything, SystemExit too
            if needed:
                raise ValueError(f"{file} cannot be imported: {raised(error, file)}") from error
    return scope | {"cmp": _nothing}


def _nothing(*_: Any, **__: Any) -> None:
    """In the place of the exercise's own ``cmp``."""
