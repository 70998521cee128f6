"""The arithmetic under strain against Python's own floats, one number at a time."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from itertools import product
from random import Random

import numpy as np
import pytest

from derive.strain.floats import double, extreme, powers, randomly, single
from derive.strain.grid import Evaluation, Grid, Table
from derive.strain.judge import QUANTILES, Grouped
from derive.syntax import Lookup, Num, Pow, Read, Reduce, Tree

VALUES = [0.0, -0.0, 1.0, -1.5, 1e-46, 3e38, 4e38, -1e300, 5e-324, math.inf, -math.inf, math.nan]


def same(found: np.ndarray, wanted: list[float]) -> bool:
    """Whether numbers are equal bit by bit; any NaN is as good as another."""
    return [v.hex() for v in map(float, found)] == [float(v).hex() for v in wanted]


def floats(values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def evaluated(tree: Tree, tables: dict[str, Table], sizes: dict[str, int], points: int, index: tuple[str, ...]) -> np.ndarray:
    return Evaluation(Grid(sizes, points), tables, single).value(tree, index)


def test_rounding_to_float32_is_that_of_the_processor() -> None:
    with np.errstate(all="ignore"):
        assert same(single(floats(VALUES)), array("f", VALUES).tolist())


@pytest.mark.parametrize("exponent", [2.0, -1.0, 3.0, -2.0, 0.5, -0.5, 0.0])
def test_powers_never_raise(exponent: float) -> None:
    def power(base: float) -> float:
        if base < 0 and exponent % 1:
            return math.nan
        if not base and exponent < 0:
            return math.inf
        try:
            return base**exponent
        except OverflowError:
            return math.copysign(math.inf, base if exponent % 2 else 1)

    with np.errstate(all="ignore"):
        assert same(powers(floats(VALUES), exponent), list(map(power, VALUES)))


@pytest.mark.parametrize("head", ["max", "min"])
def test_an_extremum_with_nan_is_nan_and_of_equals_is_the_first(head: str) -> None:
    pairs = list(product(VALUES, VALUES))
    wanted = [math.nan if a != a or b != b else (max if head == "max" else min)(a, b) for a, b in pairs]
    assert same(extreme(head, floats([a for a, _ in pairs]), floats([b for _, b in pairs])), wanted)


@pytest.mark.parametrize("kind", ["sum", "prod", "mean", "max", "min"])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_reduction_rounds_each_partial_result_in_order(kind: str, count: int) -> None:
    rng, points, rows = Random(0), 3, 2
    values = array("f", [rng.uniform(-9, 9) for _ in range(points * count * rows)]).tolist()
    tree = Reduce(kind, ("k",), Read("x", ("k", "n")))
    found = evaluated(tree, {"x": Table(("k", "n"), floats(values))}, {"k": count, "n": rows}, points, ("n",))
    wanted = []
    for p, n in product(range(points), range(rows)):
        row = [values[(p * count + k) * rows + n] for k in range(count)]
        out = row[0] if row else {"sum": 0.0, "prod": 1.0, "mean": 0.0, "max": -math.inf, "min": math.inf}[kind]
        for v in row[1:]:
            joined = {"sum": out + v, "mean": out + v, "prod": out * v, "max": max(out, v), "min": min(out, v)}[kind]
            (out,) = array("f", [joined])
        if kind == "mean":
            out = array("f", [out / count])[0] if count else math.nan
        wanted.append(out)
    assert same(found, wanted)


def test_a_label_outside_of_its_axis_reads_the_nearest_element() -> None:
    x = Table(("n", "c"), floats([*range(12)]))
    t = Table(("n",), floats([0, 7, -100, 1]))
    found = evaluated(Read("x", ("n", Lookup("t", ("n",)))), {"x": x, "t": t}, {"n": 2, "c": 3}, 2, ("n",))
    assert found.tolist() == [0, 5, 6, 10]


def test_entries_are_repeated_at_each_point_along_axes_that_a_tensor_lacks() -> None:
    grid = Grid({"a": 2, "b": 3}, 2)
    table = Table(("b",), floats([*range(6)]))
    assert grid.spread(table, ("a", "b")).tolist() == [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]
    assert grid.spread(table, ("b", "a")).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_random_rounding_moves_a_number_by_one_place_at_most() -> None:
    rounded = randomly(double, Random(0))(np.ones(100))
    assert set(rounded.tolist()) == {1 - 2.0**-52, 1.0, 1 + 2.0**-52}


def test_quantiles_are_those_of_sorted_errors_of_valid_points() -> None:
    rng = Random(1)
    kinds = ["one"] * 3 + ["other"] * 2 + ["one"] * 2 + ["none"]
    valid = np.array([True, False, True, True, True, True, True, False])
    errors = [math.nan if rng.random() < 0.3 else rng.random() for _ in range(8 * 4)]
    wanted = {}
    for kind in ("one", "other"):
        mine = sorted(e for p in range(8) if kinds[p] == kind and valid[p] for e in errors[4 * p : 4 * p + 4] if e == e)
        wanted[kind] = tuple(mine[int(q * (len(mine) - 1))] for q in QUANTILES)
    assert Grouped(kinds, valid).quantiles(floats(errors)) == wanted
    assert Grouped(kinds, np.full(8, False)).quantiles(floats(errors)) == {}
    assert Grouped(kinds, valid).quantiles(np.full(32, math.nan)) == {}


def test_powers_of_a_tree_are_those_of_its_base() -> None:
    x = Table(("n",), floats([3.0, 0.0]))
    assert evaluated(Pow(Read("x", ("n",)), Num(Fraction(-1))), {"x": x}, {"n": 2}, 1, ("n",)).tolist() == [
        float(np.float32(1) / np.float32(3)),
        math.inf,
    ]
