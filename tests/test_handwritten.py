"""Hand-written code is audited as it is, without an adapter: right code is correct, and broken code is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codegen.tools.auditor import Report, audit, load_file
from tests.handwritten import CODES, Code

#: What is refused without a cause: another name of the code's own, which the op does not have, stands for the right one.
UNTOLD = ("shifted.copy()", "logprobs.clone()")


def audited(tmp_path: Path, op: str, source: str) -> Report:
    path = tmp_path / "theirs.py"
    path.write_text(source)
    return audit(load_file(path, op), op)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_right_code_is_correct(tmp_path: Path, code: Code) -> None:
    report = audited(tmp_path, code.op, code.source)
    assert report.correct, str(report)


@pytest.mark.parametrize(
    ("code", "old", "new"), [(c, *b) for c in CODES for b in c.broken], ids=lambda v: str(v).replace("\n", " ")
)
def test_broken_code_is_refused(tmp_path: Path, code: Code, old: str, new: str) -> None:
    assert code.source.count(old) >= 1
    report = audited(tmp_path, code.op, code.source.replace(old, new))
    assert not report.correct
    wrong = [f for f in report.findings if f.verdict == "wrong"]
    assert new in UNTOLD or (wrong and any(f.diagnosis or f.reason for f in wrong)), str(report)


def of_rows(dy, xhat, rstd, gamma):
    n = dy.shape[0]
    dx = gamma * rstd / n * (n * dy - dy.sum(0) - xhat * (dy * xhat).sum(0))
    return dx, (dy * xhat).sum(0), dy.sum(0)


def of_matrices(dy, a, b):
    return dy @ b.T, a.T @ dy


@pytest.mark.parametrize(("function", "op"), [(of_rows, "batchnorm"), (of_matrices, "matmul")])
def test_code_for_two_axes_alone_is_correct_and_said_to_be(function: Any, op: str) -> None:
    report = audit(function, op)
    assert report.correct and "*s as no axis" in report.note
    assert "for matrices alone: with axes for *s it raises or returns other shapes" in report.note
    declared = audit(function, op, axes=0)
    assert declared.correct and "alone" not in declared.note


def test_what_is_taken_for_granted_is_told(tmp_path: Path) -> None:
    bessel = next(c for c in CODES if "Bessel" in c.name)
    report = audited(tmp_path, bessel.op, bessel.source)
    assert "with what bn_forward hands over" in report.note and "taking ddof as 1" in report.note


def test_a_backward_that_is_handed_its_statistics_is_not_tried_with_another_divisor() -> None:
    def wrong(dy, xhat, rstd, gamma):
        n = dy.shape[0]
        dx = gamma * rstd / n * (n * dy - dy.sum(0) - n / (n - 1) * xhat * (dy * xhat).sum(0))
        return dx, (dy * xhat).sum(0), dy.sum(0)

    assert not audit(wrong, "batchnorm").correct
