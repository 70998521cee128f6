"""What a session asks for: the line of a gradient by the chain rule, or a gradient in one line."""

from __future__ import annotations

import ast
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from codegen.tools.learn.answers import statements
from codegen.tools.learn.check import Checker
from codegen.tools.learn.contributions import contributions
from codegen.tools.learn.hints import Hint, hint
from codegen.tools.learn.page import Page
from codegen.tools.learn.rounds import Melted, facts
from codegen.tools.learn.shapes import listed, picture
from codegen.tools.learn.told import equation_told, told
from codegen.tools.workbook import Blank, Exercise, Grade, read
from derive import syntax as st

__all__ = ["LineTask", "RoundTask", "Task"]


@dataclass(frozen=True)
class Task(ABC):
    """One gradient to find."""

    exercise: Exercise

    @property
    @abstractmethod
    def name(self) -> str:
        """The gradient's name."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What the task is called: the gradient's name, which is not that of another task."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The task in a few words."""

    @abstractmethod
    def introduction(self) -> tuple[str, list[str], str, list[str]]:
        """A sentence and formulas that belong to it, then another sentence and a picture."""

    @abstractmethod
    def hint(self, number: int) -> Hint:
        """The first, second or third hint."""

    @abstractmethod
    def solution(self) -> list[str]:
        """A right answer."""

    @abstractmethod
    def answer(self, page: Page) -> tuple[str, ...]:
        """The learner's lines in the file; none where they are missing."""

    @abstractmethod
    def answered(self, page: Page, lines: Sequence[str]) -> Page:
        """The file with an answer (ValueError where it cannot be one)."""

    @abstractmethod
    def graded(self, checker: Checker, page: Page) -> Grade:
        """The grade of the answer in the file."""

    def gradients(self) -> set[str]:
        """The names of all gradients."""
        return {b.name for b in self.exercise.blanks} | {st.adjoint_name(t.name) for t in self.exercise.op.outputs}


@dataclass(frozen=True)
class LineTask(Task):
    """A gradient from the gradients above it."""

    blank: Blank

    @property
    def name(self) -> str:
        return self.blank.name

    @property
    def label(self) -> str:
        return self.blank.name

    @property
    def title(self) -> str:
        return told(st.Read(self.blank.name, self.blank.index), self.exercise.op.packing)

    def introduction(self) -> tuple[str, list[str], str, list[str]]:
        readers = [equation_told(e, self.exercise.op) for e in self.blank.readers]
        count = {0: "nothing", 1: "one equation", 2: "two equations"}.get(len(readers), f"{len(readers)} equations")
        of = f"{self.blank.of} is read by {count}"
        more = "" if len(readers) < 2 else ". Each sends something back, and the contributions are added up"
        parts = contributions(self.exercise, self.blank)
        if given := next((p.upstream.name for p in parts if p.reader is None), ""):
            of = f"{self.blank.of} is a result, whose gradient {given} is given, and is read by {count} besides"
            more = f". {self.name} is the whole gradient: {given} and what comes back"
        return f"{of}{more}:" if readers else f"{of}.", readers, "", picture(self.name, parts, dict(self.exercise.op.sizes))

    def hint(self, number: int) -> Hint:
        return hint(self.exercise, self.blank, number)

    def solution(self) -> list[str]:
        source = self.blank.source
        last = [f"{self.name} = {source.returned}"] if source.returned != self.name else []
        return [*source.prologue, *source.body, *last]

    def answer(self, page: Page) -> tuple[str, ...]:
        return page.lines(self.name)

    def answered(self, page: Page, lines: Sequence[str]) -> Page:
        return page.with_lines(self.name, statements(lines, self.name, self.gradients()))

    def graded(self, checker: Checker, page: Page) -> Grade:
        return checker.each(page.text, [self.name])[0]


@dataclass(frozen=True)
class RoundTask(Task):
    """A gradient from further above, in one line."""

    melted: Melted

    @property
    def name(self) -> str:
        return self.melted.name

    @property
    def label(self) -> str:
        return self.melted.function

    @property
    def title(self) -> str:
        return f"now in one line: {told(st.Read(self.name, self.melted.index), self.exercise.op.packing)}"

    def introduction(self) -> tuple[str, list[str], str, list[str]]:
        melts = self.melted.melts
        one = len(melts) == 1
        sentence = (
            f"You found {self.name} by way of {listed(melts)}. {'It melts' if one else 'They melt'} away: find {self.name} "
            f"from {listed(self.melted.reads)} and the values of the forward pass. By the chain rule it was:"
        )
        lines = [e for b in self.exercise.blanks if b.name in (*melts, self.name) for e in b.lines]
        return sentence, [equation_told(e, self.exercise.op) for e in lines], "", []

    def hint(self, number: int) -> Hint:
        lines = self.melted.lines
        if number == 1:
            return self._ingredients()
        if number == 2:
            return Hint("the formula", (), tuple(equation_told(e, self.exercise.op) for e in lines))
        return Hint("as code", (), tuple(self.solution()))

    def _ingredients(self) -> Hint:
        read = [n for line in self.melted.lines for n in st.reads(line.rhs) if n not in {e.name for e in self.melted.lines}]
        equations = {e.name: e for e in self.exercise.op.equations}
        formulas = [equation_told(equations[n], self.exercise.op) for n in dict.fromkeys(read) if n in equations]
        sentence = f"put the lines into each other, and write what you get in {listed(read)}."
        known = facts(self.exercise.op)
        used = dict.fromkeys(f for n in (*self.melted.melts, self.name) for f in known.get(n, ()))
        return Hint("what it is made of", (sentence,), tuple(formulas), tuple(f"It helps that {f}." for f in used))

    def solution(self) -> list[str]:
        source = self.melted.source
        last = [f"{self.name} = {source.returned}"] if source.returned != self.name else []
        return [*source.prologue, *source.body, *last]

    def answer(self, page: Page) -> tuple[str, ...]:
        return page.function_lines(self.melted.function)

    def answered(self, page: Page, lines: Sequence[str]) -> Page:
        found = statements(lines, self.name, self.gradients())
        used = _read_names(found)
        if wrong := [n for n in self.melted.melts if n in used]:
            melts = "melts" if len(wrong) == 1 else "melt"
            raise ValueError(
                f"{listed(wrong)} {melts} away in this round: use {listed(self.melted.reads)} and the forward pass only"
            )
        return page.with_function(self.melted.function, self._source(found, used))

    def _source(self, lines: Sequence[str], used: Collection[str]) -> list[str]:
        op = self.exercise.op
        names = [*(st.adjoint_name(t.name) for t in op.outputs), *(b.name for b in self.exercise.blanks if b.name != self.name)]
        names += [*(t.name for t in op.inputs), *(e.name for e in op.equations)]
        signature = [n for n in dict.fromkeys(names) if n in used]
        signature += [f"{c.name}={c.default}" if c.default else c.name for c in op.constants if c.name in used]
        doc = f'"""{self.name} at once: {listed(self.melted.melts)} melted."""'
        return [
            f"def {self.melted.function}({', '.join(signature)}):",
            *(f"    {line}" if line else "" for line in [*_wrapped(doc), *lines, f"return {self.name}"]),
        ]

    def graded(self, checker: Checker, page: Page) -> Grade:
        return checker.each(page.text, [self.name], self.melted.function)[0]


def _wrapped(doc: str) -> list[str]:
    return textwrap.wrap(doc, 92)


def _read_names(lines: Sequence[str]) -> set[str]:
    """The names that lines of code read."""
    return {n for s in ast.parse("\n".join(lines)).body for n in read(s)}
