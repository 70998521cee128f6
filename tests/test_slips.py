"""Typical slips: every wrong line is refused, and nearly every one is told by its true cause."""

from __future__ import annotations

import re
import textwrap
from functools import cache

import pytest

import derive
from codegen.tools.workbook import Exercise, Grade, Grader, exercise, filled_text, sheet
from tests.slips import Slip
from tests.slips.held_out import HELD_OUT
from tests.slips.typical import TYPICAL


@cache
def made(op: str, backend: str) -> tuple[Exercise, str]:
    found = exercise(derive.load(op), backend)
    return found, sheet(found, "mine.py")


def graded(slip: Slip) -> Grade:
    found, text = made(slip.op, slip.backend)
    (indent,) = re.findall(rf"^( *){slip.blank} = \.\.\.$", text, re.MULTILINE)
    filled = text.replace(f"{indent}{slip.blank} = ...\n", textwrap.indent(f"{slip.line}\n", indent))
    return Grader(found, filled_text(filled, "mine.py", found.op, found.names)).grade(slip.blank)


def test_there_are_sixty() -> None:
    assert len(TYPICAL) == len(set(map(str, TYPICAL))) == 60


@pytest.mark.parametrize("slip", (*TYPICAL, *HELD_OUT), ids=str)
def test_a_slip_is_refused_and_told(slip: Slip) -> None:
    grade = graded(slip)
    assert grade.done and not grade.approximate
    assert re.search(slip.cause, grade.remark), grade.remark
    assert grade.code in slip.line.splitlines()
