"""Errors in ULP: the unit by brute force, exact values by other formulas, the inputs, and what the command prints."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

from codegen.__main__ import main
from codegen.plan import plan
from codegen.tools.accuracy import Implementation, accuracy, measured, torch_itself
from codegen.tools.accuracy.exact import exact_pieces, exact_values
from codegen.tools.accuracy.grid import FULL, QUICK, around, bisect, grid, number, ordinal
from codegen.tools.accuracy.kinds import FILLS, kinds, sample
from codegen.tools.accuracy.kinds_plot import kinds_plot
from codegen.tools.accuracy.measure import Errors, measure_range
from codegen.tools.accuracy.plot import plot
from codegen.tools.accuracy.remarks import CANCELS, FLUSHED, LARGER, LONG, ORDER, remarks
from codegen.tools.accuracy.svg import marks, share, styles, top
from codegen.tools.accuracy.sweep import elementwise
from codegen.tools.accuracy.ulp import FORMATS, Format, errors, split, ulp
from codegen.verify import agreement
from codegen.verify.reference import evaluate
from derive import derive, parse
from derive.ops import load, names
from tests.kernels import kernel
from tests.long import each

BOTH = pytest.mark.parametrize("form", FORMATS.values(), ids=lambda f: f.name)


def some_numbers(form: Format) -> list[float]:
    """Ends, subnormal numbers, powers of two with their neighbours, and numbers of every exponent; without the largest."""
    largest = ordinal(float(np.finfo(form.name).max), form)
    powers = [ordinal(2.0**k, form) + d for k in range(form.unit, form.emax + 1, 7) for d in (-1, 0, 1)]
    drawn = [int(n) for n in np.random.default_rng(1).integers(0, largest, 300)]
    return [float(x) for x in number([0, 1, 2, 3, largest - 1, *(p for p in powers if p >= 0), *drawn], form)]


@BOTH
def test_a_ulp_is_the_gap_to_the_next_number(form: Format) -> None:
    kind = np.dtype(form.name).type
    for x in some_numbers(form):
        gap = float(np.nextafter(kind(x), kind(np.inf))) - x
        assert ulp(x, form) == ulp(-x, form) == ulp(mpmath.mpf(x), form) == gap
    largest = float(np.finfo(form.name).max)
    gap = largest - float(np.nextafter(kind(largest), kind(0)))
    assert ulp(largest, form) == ulp(mpmath.mpf(10) ** 1000, form) == gap
    assert ulp(mpmath.mpf(10) ** -1000, form) == ulp(0, form) == float(np.nextafter(kind(0), kind(1)))


def test_the_float64_unit_is_that_of_the_standard_library() -> None:
    assert all(ulp(x, FORMATS["float64"]) == math.ulp(x) for x in some_numbers(FORMATS["float64"]))


def test_between_numbers_the_unit_is_that_of_the_binade() -> None:
    below_one = 1 - mpmath.mpf(2) ** -40
    assert ulp(below_one, FORMATS["float32"]) == 2.0**-24
    assert ulp(1, FORMATS["float32"]) == 2.0**-23


def array(*values: Any) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = [mpmath.mpf(v) for v in values]
    return out


@BOTH
def test_errors_are_differences_in_units(form: Format) -> None:
    with mpmath.workprec(400):
        numbers = [mpmath.mpf(x) for x in some_numbers(form)]
        wanted = [x + mpmath.mpf(s) * ulp(x, form) / 3 for x in numbers for s in (-1, 0, 1)]
        got = np.asarray([float(x) for x in numbers for _ in range(3)], dtype=form.name)
        brute = [float(abs(mpmath.mpf(float(g)) - w) / ulp(w, form)) for g, w in zip(got, wanted, strict=True)]
        assert errors(got, split(array(*wanted), form)) == pytest.approx(brute, rel=1e-12, abs=0)
    assert max(brute) > 0.6  # below a power of two, the unit is half as large


@BOTH
def test_an_overflow_is_right_where_rounding_overflows_too(form: Format) -> None:
    largest, unit = float(np.finfo(form.name).max), ulp(float(np.finfo(form.name).max), form)
    with mpmath.workprec(200):
        tie = mpmath.mpf(largest) + mpmath.mpf(unit) / 2
        exact = split(array(tie, -tie, tie - unit / 4, tie, mpmath.mpf(10) ** 5000, mpmath.inf, tie, mpmath.nan), form)
    got = np.asarray([np.inf, -np.inf, np.inf, -np.inf, np.inf, np.inf, largest, np.nan], dtype=form.name)
    assert errors(got, exact).tolist() == [0, 0, np.inf, np.inf, 0, 0, 0.5, 0]
    assert errors(np.asarray([np.nan] * 7, dtype=form.name), split(array(*[1] * 7), form)).tolist() == [np.inf] * 7


@BOTH
def test_the_grid_covers_the_whole_finite_range(form: Format) -> None:
    found = grid(form, FULL, np.random.default_rng(0))
    kind, info = np.dtype(form.name).type, np.finfo(form.name)
    assert found.dtype == form.name and np.isfinite(found).all() and (np.diff(found) >= 0).all()
    assert 5_000 <= len(found) <= 20_000
    have = set(found.tolist())
    smallest = float(np.nextafter(kind(0), kind(1)))
    ends = [smallest, float(info.tiny), float(np.nextafter(info.tiny, kind(0))), float(info.max)]
    powers = [2.0**k for k in range(form.unit, form.emax + 1)]
    beside = [float(np.nextafter(kind(2.0**k), kind(s))) for k in range(-64, 65) for s in (0, np.inf)]
    assert {s * v for v in (*ends, *powers, *beside) for s in (-1, 1)} <= have
    zeros = found[found == 0]
    assert len(zeros) == 2 and np.signbit(zeros).tolist() == [True, False]
    assert np.isin(np.arange(-12, 10), np.floor(np.log2(found[found > 0]))).all()
    assert 100 < len(grid(form, QUICK, np.random.default_rng(0))) < len(found) / 3
    assert (grid(form, QUICK, np.random.default_rng(0), low=0.0) > 0).all()


@BOTH
def test_ordinals_count_the_numbers(form: Format) -> None:
    kind = np.dtype(form.name).type
    for x in some_numbers(form)[:60]:
        assert float(number([ordinal(x, form)], form)[0]) == x and float(number([ordinal(-x, form)], form)[0]) == -x
        assert float(number([ordinal(x, form) + 1], form)[0]) == float(np.nextafter(kind(x), kind(np.inf)))
    root = bisect(lambda x: float(np.sign(x[0].astype(float) ** 2 - 2)), 0.0, 1e10, form)
    assert abs(root - math.sqrt(2)) <= ulp(root, form)
    near = around(root, form)
    assert {float(np.nextafter(kind(root), kind(s))) for s in (0, 9)} <= set(near.tolist()) and near.max() > 1.5 * root


#: Other formulas than the derived ones, none of which cancels.
FORMULAS: dict[str, tuple[Any, Any]] = {
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
    "sigmoid": (lambda x: 1 / (1 + mpmath.exp(-x)), lambda x: 1 / (2 * mpmath.cosh(x / 2)) ** 2),
    "gelu": (
        lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
        lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2 + x * mpmath.npdf(x),
    ),
}


@BOTH
@pytest.mark.parametrize("name", FORMULAS)
def test_exact_values_agree_with_other_formulas(name: str, form: Format) -> None:
    """Also where the closed form loses every digit, down to subnormal numbers and to 0."""
    sizes = [0.0, 1e-30, 0.01, 0.75, 3.3, 9.0, 12.5, 20.0, 37.0, 80.0, 300.0, 700.0, 1e4, 1e30]
    for x in (s * v for s in (-1, 1) for v in sizes):  # one by one, for a neighbour may ask for the digits that another needs
        point = np.asarray([x], dtype=form.name)
        found = exact_pieces(kernel(name), {"x": point, "dy": np.ones_like(point)}, {}, form)
        with mpmath.workdps(700):
            for got, formula in zip(found.values(), FORMULAS[name], strict=True):
                exact = formula(mpmath.mpf(float(point[0])))
                value = (mpmath.mpf(got.exact.whole[0]) + mpmath.mpf(got.exact.part[0])) * mpmath.mpf(got.exact.unit[0])
                assert got.exact.known.all() and abs(value - exact) <= 2e-6 * mpmath.mpf(ulp(exact, form)), x


@BOTH
def test_exact_softmax_agrees_with_another_formula(form: Format) -> None:
    """``dz[c] = p[c]*sum[k](p[k]*(dp[c] - dp[k]))``, which keeps what ``dp - sum[k](p*dp)`` loses for saturated rows."""
    z = np.asarray([[0.5, -1, 2], [1e4, -3, 1], [60, 0, 0], [20, 0.25, 0]], dtype=form.name)
    dp = np.asarray([[1, -2, 0.5]] * 4, dtype=form.name)
    found = exact_values(kernel("softmax"), {"z": z, "dp": dp}, {}, form)
    with mpmath.workdps(60):
        for r, row in enumerate(z):
            e = [mpmath.exp(mpmath.mpf(float(v))) for v in row]
            p = [v / sum(e) for v in e]
            up = [mpmath.mpf(float(v)) for v in dp[r]]
            dz = [p[c] * sum(p[k] * (up[c] - up[k]) for k in range(3)) for c in range(3)]
            for name, exact in (("p", p), ("dz", dz)):
                got = found[name].exact
                for c in range(3):
                    value = (mpmath.mpf(got.whole[r, c]) + mpmath.mpf(got.part[r, c])) * mpmath.mpf(got.unit[r, c])
                    assert got.known[r, c] and abs(value - exact[c]) <= 2e-6 * mpmath.mpf(ulp(exact[c], form))


def test_the_terms_of_a_gradient_are_those_of_its_closed_form() -> None:
    """``dz = p*(dp - sum[c](p*dp))``: the sum inside is bounded by its own terms."""
    form, z = FORMATS["float64"], np.log(np.asarray([[0.25, 0.75]]))
    dp = np.asarray([[3.0, -1.0]])  # the sum of p*dp is 0, of its absolute values 1.5
    found = exact_values(kernel("softmax"), {"z": z, "dp": dp}, {}, form)
    assert found["dz"].terms.tolist() == [[math.ulp(0.25 * 4.5), math.ulp(0.75 * 2.5)]]


def test_a_term_that_is_a_sum_is_bounded_by_its_own_terms() -> None:
    k = plan(derive(parse("y[n] = centred(x[n])\n\nm = sum[n](x[n])\ny[n] = x[n] - m")))
    found = exact_values(k, {"x": np.asarray([1.0, -1.0]), "dy": np.ones(2)}, {}, FORMATS["float64"])
    assert found["y"].exact.lead.tolist() == [1, -1] and found["y"].terms.tolist() == [math.ulp(3.0)] * 2


def one_less_square(inputs: Any, upstream: Any, constants: Any) -> Any:
    """tanh with a correctly rounded value and a gradient that cancels."""
    y = torch.tanh(inputs["x"].double()).to(inputs["x"].dtype)
    return [y], [upstream[0] * (1 - y * y)]


def no_cancellation(inputs: Any, upstream: Any, constants: Any) -> Any:
    e = torch.exp(-2 * inputs["x"].double().abs())
    return [torch.tanh(inputs["x"].double()).float()], [upstream[0] * (4 * e / (1 + e) ** 2).float()]


@BOTH
def test_a_recurrence_is_measured_step_by_step(form: Format) -> None:
    """The terms of a step are those of all steps before it, as if the recurrence were written as a sum."""
    made = plan(derive(parse("c[n, t] = f(a[n], x[n, t])\nc[n, t] = a[n]*c[n, t - 1] + x[n, t]\n")))
    a, x = np.array([1.0, -2.0], form.name), np.array([[1.0, -1.0, 0.5], [3.0, 6.0, -1.0]], form.name)
    dc = np.array([[1.0, -1.0, 1.0], [0.0, 2.0, 0.5]], form.name)
    found = exact_values(made, {"a": a, "x": x, "dc": dc}, {}, form)
    assert found["c"].exact.lead.tolist() == [[1.0, 0.0, 0.5], [3.0, 0.0, -1.0]]
    assert found["dx"].exact.lead.tolist() == [[1.0, 0.0, 1.0], [-2.0, 1.0, 0.5]]
    assert found["da"].exact.lead.tolist() == [0.0, 3.0]
    assert found["c"].terms.tolist() == [[ulp(v, form) for v in row] for row in ([1.0, 2.0, 2.5], [3.0, 12.0, 25.0])]
    assert all(q.exact.known.all() for q in found.values())


def test_a_cancelling_gradient_shows_where_it_cancels() -> None:
    form = FORMATS["float32"]
    which = [Implementation("square", one_less_square), Implementation("exponential", no_cancellation)]
    found = measure_range(kernel("tanh"), which, {}, form, QUICK)
    x = found.sweep.inputs["x"]
    by = {(e.label, e.name): e.ulps for e in found.errors}
    square, exponential = by["square", "dx"], by["exponential", "dx"]
    moderate = np.abs(x) < 80
    assert np.abs(x[np.argmax(square)]) == pytest.approx(9, abs=2)  # where the last digit of 1 - y*y is lost
    assert square.max() > 1e6 and exponential[moderate].max() < 0.501
    assert square[np.abs(x) < 0.5].max() < 4
    assert by["square", "y"].max() < 0.501
    at_nine = exact_pieces(kernel("tanh"), {"x": np.float32([9]), "dy": np.float32([1])}, {}, form)["dx"]
    ((y,), (gradient,)) = one_less_square({"x": torch.tensor([9.0])}, [torch.tensor([1.0])], {})
    expected = abs(float(gradient) - 1 / math.cosh(9) ** 2) / ulp(1 / math.cosh(9) ** 2, form)
    assert errors(gradient.numpy(), at_nine.exact)[0] == pytest.approx(expected, rel=1e-6) and expected > 1e6


def test_the_roots_of_a_gradient_are_found() -> None:
    found = measure_range(kernel("gelu"), [torch_itself(load("gelu"))], {}, FORMATS["float32"], QUICK)
    (root,) = (r for r in found.sweep.roots["dx"] if r)
    with mpmath.workdps(30):
        exact = mpmath.findroot(FORMULAS["gelu"][1], -0.75)
        assert abs(root - exact) <= ulp(root, FORMATS["float32"])
    near = found.sweep.inputs["x"]
    assert {float(np.nextafter(np.float32(root), np.float32(s))) for s in (-9, 9)} <= set(near.tolist())


def test_which_ops_are_elementwise_follows_from_their_equations() -> None:
    assert {n for n in names() if elementwise(load(n))} >= {"tanh", "sigmoid", "gelu", "silu", "relu"}
    assert not any(elementwise(load(n)) for n in ("softmax", "linear", "embedding", "batchnorm", "softmax_cross_entropy"))


def test_hard_inputs_are_what_their_names_say() -> None:
    k = kernel("softmax_cross_entropy")
    every = kinds(k, 8192)
    assert [kind.name for kind in every] == [*FILLS, "c = 8192", "n = 8192"]
    z = {kind.name: sample(k, kind, "float64", 0).inputs["z"] for kind in every}
    assert abs(z["offset 1e4"].mean() - 1e4) < 1 and z["offset 1e4"].std() < 2
    assert 1e-5 < z["scale 1e-4"].std() < 1e-3
    assert 9e3 < np.abs(z["up to 1e4"]).max() <= 1e4
    whole = z["whole, up to 1e4"]
    assert (whole == np.round(whole)).all() and 9e3 < np.abs(whole).max() <= 1e4
    p = torch.softmax(torch.from_numpy(z["one 20 above"]), -1).amax(-1)
    assert ((1 - p > 0) & (1 - p < 1e-6)).all()
    assert z["c = 8192"].shape[1] == 8192 and z["n = 8192"].shape[0] == 8192


def test_a_wrong_kernel_shows_in_every_kind_of_input() -> None:
    k = kernel("softmax")

    def doubled(inputs: Any, upstream: Any, constants: Any) -> Any:
        outputs, gradients = torch_itself(k.op).run(inputs, upstream, constants)
        return outputs, [2 * g for g in gradients]

    report = measured(k, [torch_itself(k.op), Implementation("doubled", doubled)], ["float32"], quick=True)
    ((*found,),) = report.samples
    for s in found:
        if s.kind.name in ("normal", "offset 1e4", "scale 1e-4", "c = 1024"):
            right, wrong = (next(e for e in s.errors if e.label == w and e.name == "dz") for w in ("torch's own", "doubled"))
            assert right.of_terms.max() < 16 and wrong.of_terms.max() > 1e5


def test_the_command_prints_a_row_for_each_quantity_and_implementation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accuracy", "silu", "--quick", "--backend", "numpy,torch", "--dtype", "float32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split("  ")[:2] for line in lines if line.startswith(("y ", "dx"))]
    text = [" ".join(line.split()) for line in lines]
    for name in ("y", "dx"):
        for by in ("numpy", "numpy accurate", "torch", "torch accurate", "torch's own"):
            assert sum(t.startswith(f"{name} {by} ") for t in text) >= 1
    assert len(rows) == 10 and "float32" in lines[2] and any("roots: y at" in t or "roots: dx at" in t for t in text)


def test_the_command_prints_a_row_for_each_kind_of_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accuracy", "softmax", "--quick", "--backend", "numpy", "--dtype", "float64"]) == 0
    out = capsys.readouterr().out
    for kind in (*FILLS, "c = 1024"):
        assert sum(line.startswith(f"{kind}  ") for line in out.splitlines()) == 2  # of p and of dz
    head = next(line for line in out.splitlines() if line.startswith("dz"))
    assert head.split("  ")[0] == "dz" and "numpy" in head and "torch's own" in head


def test_a_variant_stands_beside_its_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accuracy", "tanh", "--quick", "--backend", "numpy", "--dtype", "float32"]) == 0
    rows = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines() if line.startswith("dx")]
    largest = {row[1]: float(row[2]) for row in rows}
    assert list(largest) == ["numpy", "numpy accurate", "torch's own"]
    assert largest["numpy"] > 1e6 and largest["numpy accurate"] < 1


def test_an_op_of_ones_own_has_no_variants_of_the_catalogue() -> None:
    op = parse("y[*s] = tanh(x[*s])\n\ny[*s] = x[*s]**2")
    report = accuracy(op, ["float32"], ["numpy"], quick=True)
    assert {e.label for e in report.ranges[0].errors} == {"numpy", "torch's own"}


def test_an_unknown_dtype_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["accuracy", "tanh", "--dtype", "float16"]) == 1
    assert "'float16' is not measured; known: float32, float64" in capsys.readouterr().err


def test_the_plot_is_inline_svg_of_the_largest_errors() -> None:
    which = [Implementation("square", one_less_square), Implementation("a < b", no_cancellation)]
    found = measure_range(kernel("tanh"), which, {}, FORMATS["float32"], QUICK)
    drawn = plot(found, "dx", ["square", "a < b"])
    assert drawn == plot(found, "dx", ["square", "a < b"])
    root = ElementTree.fromstring(drawn)
    better, square = (line.get("points", "").split() for line in root.iter("polyline"))  # the first is above the others
    peaks = [min((float(p.split(",")[1]), float(p.split(",")[0])) for p in points) for points in (square, better)]
    assert peaks[0][0] < peaks[1][0] and len(square) > 100  # y counts downwards
    assert {"square", "a < b"} <= {t.text for t in root.iter("text")} and "currentColor" in drawn
    with pytest.raises(ValueError, match="no errors of 'dx' by 'nobody'"):
        plot(found, "dx", ["nobody"])


def one_wrong(at: float, by: float) -> Implementation:
    """The function 0 with an error of ``by`` at one number."""

    def run(inputs: Any, upstream: Any, constants: Any) -> Any:
        y = torch.where(inputs["x"] == at, by, 0.0)
        return [y.to(inputs["x"].dtype)], [torch.zeros_like(inputs["x"])]

    return Implementation("wrong", run)


def heights(drawn: str) -> list[tuple[float, float]]:
    """The points of the curve of a drawing, each the distance from the left and that from the top."""
    (line,) = ElementTree.fromstring(drawn).iter("polyline")
    return [(float(x), float(y)) for x, y in (p.split(",") for p in line.get("points", "").split())]


@pytest.mark.parametrize("at", [2.0**-140, -(2.0**10), 2.0**120])
def test_no_error_is_outside_the_plot(at: float) -> None:
    """Nor one that is near 0 or beyond the last mark of the axis."""
    k = plan(derive(parse("y[*s] = f(x[*s])\n\ny[*s] = x[*s] - x[*s]")))
    found = measure_range(k, [one_wrong(at, 1e-30)], {}, FORMATS["float32"], FULL)
    points = heights(plot(found, "y", ["wrong"]))
    (x, peak) = min(points, key=lambda p: p[1])
    rest = {y for _, y in points} - {peak}
    assert len(rest) == 1 and peak < min(rest)
    middle = (points[0][0] + points[-1][0]) / 2
    assert abs(x - middle) < 5 if abs(at) < 1 else (x < middle) == (at < 0)
    assert at < 4096 or x == points[-1][0]


def test_dots_are_as_far_to_the_right_as_their_errors_are_large() -> None:
    k = kernel("softmax")

    def scaled(by: float, label: str) -> Implementation:
        def run(inputs: Any, upstream: Any, constants: Any) -> Any:
            outputs, gradients = torch_itself(k.op).run(inputs, upstream, constants)
            return outputs, [by * g for g in gradients]

        return Implementation(label, run)

    which = [scaled(1, "one"), scaled(2, "one more"), scaled(math.inf, "other")]
    ((*found,),) = measured(k, which, ["float64"], quick=True).samples
    drawn = kinds_plot(found, "dz", ["one", "one more", "other"], "other")
    groups = [g for g in ElementTree.fromstring(drawn) if g.tag == "g" and len(g) == len(found) and g[0].tag == "circle"]
    right, doubled, infinite = ([float(c.get("cx", "")) for c in g] for g in groups)
    assert right[0] < doubled[0] < infinite[0] == max(infinite)
    assert groups[0].get("fill") == groups[1].get("stroke") != groups[2].get("fill")  # a variant has its kernel's colour
    with pytest.raises(ValueError, match="no errors of 'dz' by 'nobody'"):
        kinds_plot(found, "dz", ["nobody"])


def test_an_axis_reaches_the_largest_of_all_numbers() -> None:
    end = top([np.asarray([1.0, np.finfo(np.float64).max, np.inf, np.nan])])
    assert end == 310 and share(np.inf, end) == 1 > share(np.finfo(np.float64).max, end) > 0.99
    assert share(0.0, end) == 0 == marks(end)[0][0] and top([np.asarray([0.2])]) == 1


def test_every_implementation_has_a_style_of_its_own() -> None:
    backends = [f"{b}{v}" for b in ("numpy", "torch", "native") for v in ("", " accurate", " fast")]
    found = styles([*backends, "torch's own"], "torch's own")
    assert len({(s.colour, s.variant) for s in found.values()}) == 10
    for b in ("numpy", "torch", "native"):
        assert found[b].colour == found[f"{b} accurate"].colour != found["torch's own"].colour


# ---- where torch is closer ------------------------------------------------------------------------------------------------


def errors_of(label: str, ulps: float, of_terms: float) -> Errors:
    return Errors(label, "dx", np.array([0.1, np.nan, ulps]), np.array([0.1, np.nan, of_terms]), np.zeros(3, dtype=bool))


@pytest.mark.parametrize(
    ("ours", "theirs", "reason"),
    [
        ((1.3, 1.3), (0.5, 0.5), ORDER),
        ((1e7, 0.9), (1e6, 0.9), CANCELS),
        ((32.0, 16.0), (0.07, 0.03), LONG),
        ((5e4, 3e3), (4e4, 2e3), LARGER),
    ],
)
def test_a_row_says_why_torch_is_closer(ours: tuple[float, float], theirs: tuple[float, float], reason: str) -> None:
    rows = [errors_of("numpy", *ours), errors_of("native", *theirs), errors_of("torch's own", *theirs)]
    assert remarks([("long", rows)]) == (f"closer in torch ({reason}): long, numpy",)


def test_a_subnormal_result_that_became_0_is_the_reason_where_nothing_else_is() -> None:
    flushed, theirs = errors_of("xla", 8e6, 8e6), errors_of("torch's own", 0.5, 0.5)
    ours = replace(flushed, flushed=np.array([False, False, True]))
    assert remarks([("y", [ours, theirs])]) == (f"closer in torch ({FLUSHED}): y, xla",)
    also = replace(ours, ulps=np.array([30.0, np.nan, 8e6]), of_terms=np.array([30.0, np.nan, 8e6]))
    assert remarks([("y", [also, theirs])]) == (f"closer in torch ({LONG}): y, xla",)


def test_no_row_says_why_where_ours_is_as_close_or_rounded_once() -> None:
    for ours, theirs in (((0.5, 0.5), (0.2, 0.2)), ((7.0, 7.0), (7.0, 7.0)), ((1.0, 1.0), (1e7, 1.0))):
        assert remarks([("y", [errors_of("numpy", *ours), errors_of("torch's own", *theirs)])]) == ()


def test_every_row_that_is_further_off_than_torch_is_in_a_remark() -> None:
    report = accuracy(load("sigmoid"), quick=True)
    for found, figures in zip(report.ranges, report.figures, strict=True):
        (table,) = figures.tables
        said = {row for remark in table.remarks for row in remark.partition("): ")[2].split("; ")}
        for name in found.sweep.exact:
            *ours, theirs = [e for e in found.errors if e.name == name]
            for e in ours:
                assert (f"{name}, {e.label}" in said) == (e.ulps.max() > max(1.1 * theirs.ulps.max(), 0.5 + 1e-9))


@pytest.mark.parametrize("name", each(names()))
def test_torch_itself_is_what_the_equations_say(name: str) -> None:
    """Also of inputs that callers have packed, which are measured with the axes of the equations."""
    op = load(name)
    inputs, constants = agreement.sample(op, 1), agreement.constants_of(op)
    values = evaluate(op, inputs, constants)
    upstream = [torch.randn(values[t.name].shape, dtype=torch.float64) for t in op.outputs]
    outputs, gradients = torch_itself(op).run(inputs, upstream, constants)
    want = agreement.autograd(op, inputs, upstream, constants)
    for got, expected in zip([*outputs, *gradients], [*(values[t.name] for t in op.outputs), *want], strict=True):
        torch.testing.assert_close(got, expected)
