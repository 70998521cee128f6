"""The evaluators of certificates: trees with their derivatives, flat terms, dual numbers, and arithmetic modulo a prime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import derive
from derive.certify import Stage
from derive.certify.duals import Dual, Duals
from derive.certify.numbers import REAL, slope
from derive.certify.residues import Residues, random_prime
from derive.points import Point

MP = REAL.mp
TINY = Point({"i": 2}, {"x": [Fraction(2), Fraction(-1)], "w": [Fraction(1, 2), Fraction(3)], "dy": [Fraction(5)]})
HALF, THIRD = Fraction(1, 2), Fraction(1, 3)


def stage(text: str, at: Point = TINY) -> Stage:
    return Stage(derive.parse(text), at)


def near(found: Sequence[Any], expected: Sequence[Any], digits: int = 100) -> bool:
    pairs = zip(map(REAL.to_mp, found), expected, strict=True)
    return all(
        abs(a - (MP.mpf(b.numerator) / b.denominator if isinstance(b, Fraction) else b)) < MP.mpf(10) ** -digits
        for a, b in pairs
    )


# ---- trees and their derivatives ----------------------------------------------------------------------------------------


def test_an_op_is_differentiated_as_by_hand() -> None:
    at = stage("y = tiny(x[i], w[i])\n\ns = sum[i](w[i]*x[i])\ny = s**2/max[i](w[i])")
    # s = 1/2*2 + 3*(-1) = -2, max(w) = 3 = w[1]: y = 4/3.
    assert near(at.author.nodes["y"].array.values, [Fraction(4, 3)])
    # dx = dy*2*s/m*w, dw = dy*(2*s/m*x - [w = m]*s**2/m**2).
    assert near(at.truth["dx"], [Fraction(-10, 3), Fraction(-20)])
    assert near(at.truth["dw"], [Fraction(-40, 3), Fraction(20, 3) - Fraction(20, 9)])


def test_functions_are_differentiated() -> None:
    truth = stage("y = smooth(x[i], w[i])\n\ny = sum[i](exp(x[i])*w[i]**2)").truth
    assert near(truth["dx"], [5 * MP.exp(2) / 4, 5 * MP.exp(-1) * 9])
    assert near(truth["dw"], [5 * MP.exp(2), 5 * MP.exp(-1) * 6])


@pytest.mark.parametrize("head", sorted(REAL.functions.keys() - {"stop"}))  # whose derivative is declared
def test_the_table_of_derivatives_is_that_of_the_functions(head: str) -> None:
    """A central difference of mpmath's own function."""
    x = Decimal("0.37")
    (found,) = slope(REAL, head, [x], REAL.call(head, [x]))
    h = MP.mpf(10) ** -40
    ends = [REAL.to_mp(REAL.functions[head](REAL.of_mp(REAL.to_mp(x) + s))) for s in (h, -h)]
    assert abs(REAL.to_mp(found) - (ends[0] - ends[1]) / (2 * h)) < MP.mpf(10) ** -70


KINKS = {
    "the shares of a maximum": ("y = f(x[i])\ny = max[i](x[i])", [1, 2, 2], [0, HALF, HALF]),
    "the shares of a minimum": ("y = f(x[i])\ny = min[i](x[i])", [2, 2, 2], [THIRD, THIRD, THIRD]),
    "the larger of two": ("y = f(x[i])\ny = sum[i](maximum(x[i], 0))", [-1, 0, 3], [0, HALF, 1]),
    "the smaller of two": ("y = f(x[i])\ny = sum[i](minimum(0, x[i]))", [-1, 0, 3], [1, HALF, 0]),
    "a relu": ("y = f(x[i])\ny = sum[i](relu(x[i]))", [-1, 0, 3], [0, 0, 1]),
    "an absolute value": ("y = f(x[i])\ny = sum[i](abs(x[i]))", [-1, 0, 3], [-1, 0, 1]),
    "a sign": ("y = f(x[i])\ny = sum[i](sign(x[i])*x[i])", [-1, 0, 3], [-1, 0, 1]),
    "a maximum of zeros": ("y = f(x[i])\ny = max[i](relu(x[i]))", [-1, -2, -3], [0, 0, 0]),
    "a branch without a value": (
        "y = f(x[i])\ny = sum[i](where(x[i] > 0, sqrt(x[i]), 2*x[i]))",
        [-1, 4, 9],
        [2, Fraction(1, 4), Fraction(1, 6)],
    ),
    "an undefined branch": ("y = f(x[i])\ny = sum[i](where(x[i] > 0, log(x[i]), x[i]))", [0, 4, -9], [1, Fraction(1, 4), 1]),
}


@pytest.mark.parametrize("case", KINKS)
def test_kinks_have_the_declared_derivative(case: str) -> None:
    text, x, expected = KINKS[case]
    at = Point({"i": 3}, {"x": [Fraction(v) for v in x], "dy": [Fraction(1)]})
    assert near(stage(text, at).truth["dx"], expected)


def test_a_read_at_two_places_is_sent_both_parts() -> None:
    at = Point({"i": 2, "j": 3}, {"a": [Fraction(v) for v in (1, 2, 3, 4, 5, 6)], "t": [2, 0], "dy": [Fraction(1)]})
    text = "y = f(a[i, j], t[i])\nt[i] in j\ny = sum[i](a[i, t[i]]**2) + sum[i, j](a[i, j]*a[i, t[i]])"
    # For row i: 2*a[t] + sum(a) + a[t] at t, and a[t] elsewhere.
    assert near(stage(text, at).truth["da"], [3, 3, 6 + 6 + 3, 8 + 15 + 4, 4, 4])


# ---- flat terms ---------------------------------------------------------------------------------------------------------


def test_flat_terms_have_the_value_that_was_written() -> None:
    op = derive.parse("y[i] = flat(a[i, j], b[j], t[i])\n\nt[i] in j\ny[i] = sum[j]((a[i, j] - b[j])**2)/b[t[i]]")
    tables = {"a": [Fraction(1), Fraction(2)], "b": [Fraction(4), Fraction(7)], "t": [1], "dy": [Fraction(1)]}
    values = Stage(op, Point({"i": 1, "j": 2}, tables)).values(derive.derive(op).written)
    assert near(values.table("y"), [Fraction(34, 7)])  # (9 + 25)/7


def test_magnitudes_sum_absolute_values_inside_reductions() -> None:
    op = derive.parse("y = centred(x[i])\n\nmu = mean[i](x[i])\ny = sum[i](x[i] - mu)")
    written = derive.derive(op).written
    values = Stage(op, TINY).values(written)
    assert values.table("y") == [0]
    assert near(values.magnitudes().sum(written[-1].body, ()), [Fraction(2 + 1 + 1)])


def test_numbers_of_a_million_digits_are_compared() -> None:
    """exp(2e15) and exp(-1e15) are numbers here, and so are their differences."""
    at = Point({"i": 2}, {"x": [Fraction(2), Fraction(-1)], "dy": [Fraction(1)] * 2})
    large = "maximum(0, exp(1e15*x[i])) + where(exp(-1e15*x[i]) < x[i], 1, minimum(exp(exp(30*x[i])), 2))"
    values = stage(f"y[i] = f(x[i])\ny[i] = {large}", at)
    assert all(v.is_finite() for v in values.author.nodes["y"].array.values)
    big = REAL.call("exp", [REAL.number(Fraction(10**20))])[0]
    assert (REAL.sign(big, REAL.zero), REAL.sign(REAL.zero, big), REAL.sign(big, big)) == (1, -1, 0)
    assert REAL.near(big, big, [big, big])


@pytest.mark.parametrize("head", sorted(REAL.functions))
@pytest.mark.parametrize("x", ["1e1000000000", "-1e1000000000", "1e999999999999999999", "-1e5000"])
def test_functions_of_numbers_beyond_any_range(head: str, x: str) -> None:
    """The function's limit or no value, and no memory for a billion digits."""
    (found,) = REAL.call(head, [Decimal(x)])
    assert not found.is_infinite()
    if head in ("tanh", "erf"):
        assert found == (-1 if x[0] == "-" else 1)


def test_zero_times_what_is_undefined_is_zero() -> None:
    for numbers in (REAL, Residues(random_prime("a test"))):
        assert numbers.times([numbers.zero, numbers.one], [numbers.nan, numbers.one]) == [numbers.zero, numbers.one]


# ---- dual numbers -------------------------------------------------------------------------------------------------------


def test_dual_numbers_differentiate() -> None:
    numbers = Duals(REAL)
    x = [Dual(Decimal(2), Decimal(1)), Decimal(3)]
    cube = numbers.power(x, Fraction(3))
    assert (cube[0], cube[1]) == (Dual(Decimal(8), Decimal(12)), Dual(Decimal(27), Decimal(0)))
    assert numbers.slopes(numbers.over(numbers.plus(x, x), numbers.times(x, x))) == [Decimal("-0.5"), Decimal(0)]  # 2/x
    tie = numbers.larger("maximum", [Dual(Decimal(2), Decimal(1))], [Decimal(2)])
    assert numbers.slopes(tie) == [Decimal("0.5")]
    assert numbers.extreme("max", [Decimal(1), *([Dual(Decimal(2), Decimal(3))] * 2), Decimal(2)]) == Dual(
        Decimal(2), Decimal(2)
    )


# ---- modulo a prime -----------------------------------------------------------------------------------------------------

FIELD = Residues(random_prime("the tests"))


def random_residues(count: int) -> list[int]:
    return [FIELD.unknown("a test", k) for k in range(count)]


def test_positive_numbers_of_a_prime_are_closed_under_products_and_roots() -> None:
    some = random_residues(60)
    positive = [v for v in some if FIELD.sign(v, 0) == 1]
    assert 15 < len(positive) < 45
    assert all(FIELD.sign(-v % FIELD.p, 0) == -s for v in some if (s := FIELD.sign(v, 0)))
    assert all(FIELD.sign(a * b % FIELD.p, 0) == 1 for a, b in zip(positive, positive[1:], strict=False))
    for e in (HALF, THIRD, Fraction(1, 4), Fraction(-3, 2)):
        for a, b in zip(positive, positive[1:], strict=False):
            product, root_a, root_b = FIELD.power([a * b % FIELD.p, a, b], e)
            assert product == root_a * root_b % FIELD.p
            assert FIELD.power([root_a], 1 / e) == [a]
    negative = next(v for v in some if FIELD.sign(v, 0) == -1)
    assert math.isnan(FIELD.power([negative], HALF)[0])


def test_integers_are_ordered_as_they_are() -> None:
    assert all(FIELD.sign(n, 0) == 1 for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
    assert FIELD.number(Fraction(2, 3)) * 3 % FIELD.p == 2


def test_unknown_functions_are_functions() -> None:
    a, b = random_residues(2)
    assert FIELD.call("tanh", [a, b, a]) == [FIELD.call("tanh", [v])[0] for v in (a, b, a)]
    assert len({*FIELD.call("tanh", [a, b]), *FIELD.call("exp", [a, b])}) == 4


def test_primes_differ_and_are_the_same_again() -> None:
    assert len({random_prime("x", seed) for seed in range(5)}) == 5
    assert random_prime("x", 3) == random_prime("x", 3)
    assert 2**60 < random_prime("x", 3) < 2**61
