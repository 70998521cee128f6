"""Exercises: a backward pass with its gradients left blank, hints for each, and the grading of what somebody filled in."""

from codegen.tools.workbook.blanks import Blank, Exercise, exercise
from codegen.tools.workbook.grade import Grade, grade
from codegen.tools.workbook.hints import hint
from codegen.tools.workbook.sheet import sheet

__all__ = ["Blank", "Exercise", "Grade", "exercise", "grade", "hint", "sheet"]
