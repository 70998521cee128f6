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
from tests.systems.dual import variable
from tests.systems.evaluate import Evaluation
from tests.systems.generate import generate
from tests.systems.kept import KEPT
from tests.systems.library import sigmoid
from tests.systems.points import points
from tests.systems.shrink import shrink
from tests.systems.vocabulary import EXTREME

COUNT, CHUNK = 150, 5
#: Systems that are known to fail, and how: lengths that are declared by an axis of a recurrence are drawn without it.
OPEN = {93: "where size(n) ="}


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
        if seed in OPEN:
            assert OPEN[seed] in str(verdict), f"{verdict}\n{text}"
            continue
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
