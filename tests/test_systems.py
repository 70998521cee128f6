"""Random systems of equations: forward and every gradient of every backend against brute force, and what once failed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import derive
from tests.systems import language
from tests.systems.check import BACKENDS, OWN32, Verdict, check
from tests.systems.dual import constant, variable
from tests.systems.evaluate import Evaluation
from tests.systems.functions import call
from tests.systems.generate import generate
from tests.systems.kept import KEPT
from tests.systems.library import sigmoid
from tests.systems.points import points
from tests.systems.shrink import shrink
from tests.systems.vocabulary import EXTREME

COUNT, CHUNK = 150, 5


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compile without optimization: what the compiler makes of loops is tested elsewhere."""
    monkeypatch.setenv("BACKPROP_NINJA_CFLAGS", "-O0")
    yield


def judged(text: str, seed: int) -> Verdict:
    """JAX compiles what it is given, size by size, so that a part of the systems has to do for it."""
    backends = BACKENDS if seed % CHUNK == 0 else tuple(b for b in BACKENDS if b != "jax")
    return check(text, seed, backends, narrow=seed % 3 == 0)


def smallest(text: str, seed: int, verdict: Verdict) -> str:
    def fails(candidate: str) -> bool:
        try:
            return judged(candidate, seed).like(verdict)
        except Exception:
            return False

    return shrink(text, fails, attempts=60)


@pytest.mark.parametrize("start", range(0, COUNT, CHUNK))
def test_random_systems_are_right_in_every_backend(start: int) -> None:
    for seed in range(start, start + CHUNK):
        text = generate(Random(f"suite:{seed}"))
        verdict = judged(text, seed)
        assert not verdict.failed, f"{verdict}\n{text}\nshrunk:\n{smallest(text, seed, verdict)}"


@pytest.mark.parametrize(
    "each", [pytest.param(False, id="in most"), pytest.param(True, id="in each backend", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("name", KEPT)
def test_what_once_failed_is_right(name: str, each: bool) -> None:
    text = "\n".join(line.strip() for line in KEPT[name].strip().splitlines()) + "\n"
    verdict = check(text, 0, BACKENDS, narrow=False) if each else judged(text, list(KEPT).index(name))
    assert verdict.kind == "ok", f"{verdict}\n{text}"


@pytest.mark.parametrize("x", [3.0, 9.0, 15.4, 16.0])
def test_a_logistic_next_to_1_is_judged_by_what_float32_holds(x: float) -> None:
    """``y*(1 - y)`` starts from a rounded ``y``, here as in torch; away from 1 its digits are asked for."""
    y = sigmoid(np.array([variable(x, 0, 1)], dtype=object))[0]
    single = np.float32(y.value)
    assert abs(float(single * (1 - single)) - y.slopes[0]) <= OWN32 * y.sizes[0]
    assert x > 9 or y.sizes[0] < 2.5 * y.slopes[0]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("y[n] = f(x[n, m])\nsize(k) = size(m) + 2\ny[n] = sum[k](x[n, k - 1])", True),
        ("y[n] = f(x[n])\nsize(k) = size(n) + 2\ny[n] = x[n]*sum[k](x[k])", False),
        ("y[n] = f(x[n])\nsize(k) = 2*size(n) - 3\ny[n] = x[n]*sum[k](x[k])", True),
    ],
    ids=["a window", "an axis that is longer than itself", "an axis that is 3 long"],
)
def test_lengths_are_drawn_as_they_are_declared(text: str, lengths: bool) -> None:
    found = [p for p in points(language.read(text), 0) if p.kind == "random"]
    assert bool(found) == lengths
    assert not lengths or check(text + "\n", 0, ("numpy",)).kind == "ok"


def test_what_no_point_decides_is_pointless() -> None:
    """A mean of nothing at every first step: the certificate finds no point, and there is none."""
    verdict = check("y[n] = f(x[n, m])\ny[n] = mean[m](x[n - 1, m])\n", 0, ("numpy",))
    assert (verdict.kind, verdict.stage) == ("pointless", "certify") and "no random point gives finite outputs" in verdict.what


def test_shapes_that_leave_a_length_open_are_refused_and_counted() -> None:
    text = "y[(f, b)] = op(K[(f, r)], W[r], a[b])\ny[f, b] = a[b]*sum[r](W[r])\n"
    verdicts = [check(text, seed, ("numpy",)) for seed in (0, 6)]  # the latter empties b
    assert [v.kind for v in verdicts] == ["ok", "refused"] and "leaves that of f open" in verdicts[1].what


def test_a_derivative_is_known_as_well_as_its_place() -> None:
    """The sine of 1e30 and its slope are any numbers; those of 1 are not, and neither is a square of what does not cancel."""
    far, near = (call("sin", variable(1.0, 0, 1) + constant(c, 1)) for c in (1e30, 0.0))
    assert far.sizes[0] * OWN32 > 1 and near.sizes[0] * OWN32 < 0.1
    assert constant(1e20, 1).power(2.0).sizes[0] == 0 and variable(3.0, 0, 1).power(2.0).sizes[0] == 6


def test_float32_is_not_asked_for_what_it_cannot_hold() -> None:
    """``exp(100)``, also where nothing reads it: 0 times infinity is no number, in every library."""
    texts = [f"y = f(x[n])\nz[n] = exp({c} + x[n])\ny = sum[n](where(n > 9, z[n], x[n]))" for c in (100, 10)]
    assert [[p.narrow for p in points(language.read(t), 0) if p.checked][0] for t in texts] == [False, True]


def _ways(systems: list[language.System]) -> Iterator[bool]:
    return (down for system in systems for down in system.steps.axes.values())


def test_the_reference_takes_steps() -> None:
    """Values and gradients of a recurrence that are known in closed form: powers of its factor."""
    system = language.read("h[t] = f(x[t], h0)\nh[-1] = h0\nh[t] = 3*h[t - 1] + x[t]\n")
    found = Evaluation(system, {"t": 3}, {"x": np.array([1.0, 0.0, 2.0]), "h0": np.array(5.0)}, {})
    found.run()
    assert [h.value for h in found.values["h"]] == [16, 48, 146]
    assert [list(h.slopes) for h in found.values["h"]] == [[1, 0, 0, 3], [3, 1, 0, 9], [9, 3, 1, 27]]
    down = language.read("g[t] = f(x[t])\ng[t] = x[t]*g[t + 1] + 1\n")
    found = Evaluation(down, {"t": 3}, {"x": np.array([2.0, 3.0, 4.0])}, {})
    found.run()
    assert [g.value for g in found.values["g"]] == [9, 4, 1]


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_every_random_system_parses_and_has_points(rng: Random) -> None:
    """Both readers agree on what a text says, and the generator is no generator of trivial or empty systems."""
    text = generate(rng)
    op, system = derive.parse(text), language.read(text)
    assert [t.name for t in op.inputs] == list(system.inputs)
    assert {t.name: t.labels for t in op.inputs if t.labels} == {n: a for n, a in system.labels.items() if n in system.inputs}
    assert op.stars == system.stars


def test_the_generator_covers_the_language() -> None:
    """Every function, reduction and kind of equation comes up, and nearly every system has a point to be judged at."""
    texts = [generate(Random(f"cover:{k}")) for k in range(800)]
    everything = "\n".join(texts)
    words = (
        "exp( expm1( log( log1p( tanh( sinh( cosh( sin( cos( atan( erf( erfcx( abs( sign( floor( sqrt( where( maximum( "
        "minimum( sum[ mean[ max[ min[ size( softmax( layernorm( rmsnorm( batchnorm( attention( silu( gelu( relu( sigmoid( "
        "log_softmax( var[ std[ norm[ logsumexp[ clamp( correction= ceil( round( stop( "
        "** pi 2/3 # sizes: //"
    ).split()
    assert not [w for w in words if w not in everything] and any(w in everything for w in EXTREME)
    systems = [language.read(t) for t in texts]
    slots = {ast.unparse(s) for system in systems for s in language.forms(system)}
    kinds = (r"\w+ [+-] \w+", r"[+-] \d+$", r"\d \* \w+", r"\w+ \* [a-z_]\w+", r"size\(", r"^0$")
    assert not [k for k in kinds if not any(re.search(k, s) for s in slots)]
    assert sum(bool(s.lengths) for s in systems) >= 100
    stepping = [s for s in systems if s.steps.back]
    assert len(stepping) >= 80 and sum(bool(s.firsts) for s in stepping) >= 40 and {*_ways(stepping)} == {False, True}
    judged = [bool([p for p in points(language.read(t), k) if p.checked]) for k, t in enumerate(texts[:100])]
    assert sum(judged) >= 90
