"""Exercises: a backward pass with its gradients left blank, hints for each, and the grading of what somebody filled in."""

from codegen.workbook.blanks import Blank, Exercise, exercise
from codegen.workbook.grade import Grade, grade
from codegen.workbook.hints import hint
from codegen.workbook.sheet import sheet

__all__ = ["Blank", "Exercise", "Grade", "exercise", "grade", "hint", "sheet"]
