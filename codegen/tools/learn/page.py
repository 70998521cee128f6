"""The learner's file as text: where each gradient's lines stand, and the same text with other lines there."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from codegen.tools.workbook import changed

__all__ = ["Page", "imports", "save"]


@dataclass(frozen=True)
class Page:
    """The text of the file, and the names of the gradients that it is to find."""

    text: str
    blanks: tuple[str, ...]

    @cached_property
    def tree(self) -> ast.Module:
        """The file's statements (ValueError where it is no Python)."""
        try:
            return ast.parse(self.text)
        except SyntaxError as error:
            said = f"line {error.lineno}: {(error.text or '').strip()}"
            raise ValueError(f"the file is no Python any more: {error.msg} ({said})") from None
        except ValueError as error:
            raise ValueError(f"the file is no Python any more: {error}") from None

    @cached_property
    def body(self) -> list[ast.stmt]:
        """The statements among which most gradients are found: those of the file, or of one of its functions."""
        bodies = [self.tree.body, *(s.body for s in self.tree.body if isinstance(s, ast.FunctionDef))]
        wanted = set(self.blanks)
        return max(bodies, key=lambda body: len(wanted & {n for s in body for n in _changed(s)}))

    def lines(self, name: str) -> tuple[str, ...]:
        """The lines that give a name its value, without indentation; none where it has none or is left blank."""
        found = self._block(name)
        if not found or _blank(found[-1]):
            return ()
        rows = self.text.splitlines()[_first(found[0]) - 1 : found[-1].end_lineno]
        indent = found[0].col_offset
        return tuple(row[indent:] if not row[:indent].strip() else row for row in rows)

    def function_lines(self, name: str) -> tuple[str, ...]:
        """The lines of a function of the file, without its documentation and return; none where there is no such function."""
        found = next((s for s in self.tree.body if isinstance(s, ast.FunctionDef) and s.name == name), None)
        if found is None:
            return ()
        documented = ast.get_docstring(found) is not None
        own = [s for s in found.body[documented:] if not isinstance(s, ast.Return)]
        rows = self.text.splitlines()
        return tuple(row[own[0].col_offset :] for row in rows[own[0].lineno - 1 : own[-1].end_lineno]) if own else ()

    def filled(self) -> tuple[str, ...]:
        """The gradients that have a value."""
        return tuple(n for n in self.blanks if self.lines(n))

    def with_lines(self, name: str, lines: Sequence[str]) -> Page:
        """The file with these lines in the place of a gradient's own (ValueError where it has no place for the gradient)."""
        found = self._block(name)
        if not found:
            raise ValueError(f"the file has no line for {name} any more; put back  {name} = ...")
        rows = self.text.splitlines()
        start, end = _first(found[0]) - 1, found[-1].end_lineno or 0
        new = [" " * found[0].col_offset + line if line.strip() else "" for line in lines]
        return Page("\n".join([*rows[:start], *new, *rows[end:], ""]), self.blanks)

    def with_function(self, name: str, source: Sequence[str]) -> Page:
        """The file with a function at its end, or in the place of the function of that name."""
        rows = self.text.splitlines()
        old = next((s for s in self.tree.body if isinstance(s, ast.FunctionDef) and s.name == name), None)
        if old is None:
            while rows and not rows[-1].strip():
                rows.pop()
            return Page("\n".join([*rows, "", "", *source, ""]), self.blanks)
        return Page("\n".join([*rows[: _first(old) - 1], *source, *rows[old.end_lineno :], ""]), self.blanks)

    def _block(self, name: str) -> list[ast.stmt]:
        """The statements from which a gradient has its value: the last that assigns it, and those that stand right above."""
        at = [k for k, s in enumerate(self.body) if name in _changed(s)]
        if not at:
            return []
        found = [self.body[at[-1]]]
        for s in reversed(self.body[: at[-1]]):
            apart = (s.end_lineno or 0) + 1 < _first(found[0])
            others = _changed(s) & (set(self.blanks) - {name})
            if (apart and name not in _changed(s)) or others or not _changed(s) or _named(s):
                break
            found.insert(0, s)
        return found


def imports(text: str) -> set[str]:
    """The modules that a file imports by its own statements; none where it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return set()
    found = {a.name for s in tree.body if isinstance(s, ast.Import) for a in s.names}
    return {name.partition(".")[0] for name in found | {s.module or "" for s in tree.body if isinstance(s, ast.ImportFrom)}}


def save(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _changed(statement: ast.stmt) -> set[str]:
    return set() if _named(statement) else changed(statement)


def _named(statement: ast.stmt) -> bool:
    """Whether a statement defines a function or class, whose own variables are none of the file."""
    return isinstance(statement, ast.FunctionDef | ast.ClassDef)


def _blank(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant) and statement.value.value is ...


def _first(statement: ast.stmt) -> int:
    decorated: Iterator[int] = (d.lineno for d in getattr(statement, "decorator_list", []))
    return min([statement.lineno, *decorated])
