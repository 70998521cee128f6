"""Exercises: a backward pass whose gradients are blanks, hints for each blank, and the grading of filled-in blanks."""

from codegen.tools.workbook.blanks import Blank, Exercise, exercise
from codegen.tools.workbook.grade import Grade, grade
from codegen.tools.workbook.hints import hint
from codegen.tools.workbook.sheet import sheet

__all__ = ["Blank", "Exercise", "Grade", "exercise", "grade", "hint", "sheet"]
