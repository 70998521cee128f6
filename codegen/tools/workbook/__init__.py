"""Exercises: a backward pass whose gradients are blanks, hints for each blank, and the grading of filled-in blanks."""

from codegen.tools.workbook.blanks import Blank, Exercise, exercise
from codegen.tools.workbook.filled import Filled, changed, filled_file, filled_text, read
from codegen.tools.workbook.grade import Grade, Grader, grade
from codegen.tools.workbook.hints import hint
from codegen.tools.workbook.sheet import function_name, sheet

__all__ = [
    "Blank",
    "Exercise",
    "Filled",
    "Grade",
    "Grader",
    "changed",
    "exercise",
    "filled_file",
    "filled_text",
    "function_name",
    "grade",
    "hint",
    "read",
    "sheet",
]
