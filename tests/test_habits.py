"""Other people's backwards: every right one is accepted, every wrong one refused and told why."""

from __future__ import annotations

import pytest

import codegen
from codegen.tools.auditor.report import WRONG
from tests.habits import RIGHT, Habit, right_callables, right_numpy, wrong_conduct, wrong_layout, wrong_results, wrong_torch
from tests.habits import WRONG as MISTAKEN
from tests.habits.judged import failings
from tests.habits.right_torch import MODULES

# Imported for what they register.
assert all((right_numpy, right_callables, wrong_conduct, wrong_layout, wrong_results, wrong_torch))


def test_there_are_many() -> None:
    assert len(MISTAKEN) >= 60 and len(RIGHT) >= 40
    assert {h.kind for h in MISTAKEN} == {"value", "raises", "dtype", "writes", "memory"}


@pytest.mark.parametrize("habit", RIGHT, ids=str)
def test_a_right_one_is_right_and_accepted(habit: Habit) -> None:
    """As autograd says, with statistics that keep their axis or without."""
    assert set() in (failings(habit, kept=False), failings(habit, kept=True))
    report = codegen.audit(habit.call, habit.op, **habit.declared)
    assert report.correct, str(report)


@pytest.mark.parametrize("habit", MODULES, ids=str)
def test_a_module_is_accepted_whatever_the_layout_of_its_parameters(habit: Habit) -> None:
    report = codegen.audit(habit.call, habit.op)
    assert report.correct, str(report)


@pytest.mark.parametrize("habit", MISTAKEN, ids=str)
def test_a_wrong_one_is_wrong_and_refused(habit: Habit) -> None:
    """As autograd and plain comparison say, however statistics are passed; and the reason is told."""
    either = [failings(habit, kept=False), failings(habit, kept=True)]
    assert all(either) and habit.kind in set.union(*either)
    report = codegen.audit(habit.call, habit.op, **habit.declared)
    assert not report.correct
    assert report.verdict == WRONG or habit.kind == "raises"
    assert habit.says in " ".join(str(report).split()), str(report)
