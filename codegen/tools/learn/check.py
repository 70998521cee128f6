"""Grading in a process of its own, so that an answer may loop, exit or crash."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from codegen.tools.auditor.isolated import isolated
from codegen.tools.workbook import Exercise, Grade, filled_text, grade

__all__ = ["Checker"]


class Checker:
    """Grades texts of a learner's file, which is run: it is the learner's own code."""

    def __init__(self, exercise: Exercise, file: Path, seconds: float):
        self.exercise, self.file, self.seconds = exercise, file, seconds

    def grades(self, text: str, names: Collection[str], function: str = "") -> tuple[Grade, ...]:
        """The grades of these gradients, each as if all above it were right.

        ``function`` is where they are found, by default the file's own statements. Raises ValueError where the file cannot be
        run, RuntimeError where it ends its process or takes too long.
        """

        def work() -> tuple[Grade, ...]:
            sys.path.insert(0, str(self.file.resolve().parent))  # the file may import its neighbours, as a script does
            exercise = self.exercise
            return grade(exercise, filled_text(text, self.file.name, exercise.op, exercise.names, function), names)

        return isolated(work, "your line", self.seconds)

    def each(self, text: str, names: Sequence[str], function: str = "") -> tuple[Grade, ...]:
        """The same, with a process for each gradient if a single one for all comes to no end."""
        try:
            return self.grades(text, names, function) if names else ()
        except RuntimeError as error:
            if len(names) == 1:
                return (Grade(names[0], 1, False, False, float("inf"), str(error)),)
            return tuple(g for n in names for g in self.each(text, [n], function))
