"""What all terms of a sum have in common stands in front of it, and nothing else changes."""

from __future__ import annotations

import pytest

from derive import parse_formula
from derive.language.unicode import text
from derive.textbook.common import common_factors


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("g[i]*a[i]/r[i] - h[i]*b[i]/r[i]", "(g[i]·a[i] - h[i]·b[i])/r[i]"),
        ("r[i]*a[i] - r[i]**3*b[i]", "r[i]·(a[i] - r[i]²·b[i])"),
        ("a[i]*b[i] + a[i]", "a[i]·(b[i] + 1)"),
        ("a[i]/(n*m) + b[i]*a[i]/n", "a[i]/n·(1/m + b[i])"),
        ("-(a[i]*b[i]) - a[i]*c[i]", "a[i]·(-b[i] - c[i])"),
        ("2*a[i] + 2*b[i]", "2·a[i] + 2·b[i]"),
        ("a[i] + b[i]", "a[i] + b[i]"),
        ("1/a[i] + 1/a[i]**2", "(1 + 1/a[i])/a[i]"),
        ("sum[i](a[i]*b*c[i] + a[i]*b)", "sum[i](a[i]·b·(c[i] + 1))"),
    ],
)
def test_a_sum(written: str, expected: str) -> None:
    left = "y" if written.startswith("sum") else "y[i]"
    assert text(common_factors(parse_formula(f"{left} = {written}").equations[-1].rhs)) == expected
