"""The order for learners, and what the search knows: both are read from the ops."""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from codegen.tools.atlas.catalogue import entry
from codegen.tools.atlas.learning import LOOKUP, PRODUCT, ROOT, builds_on, curriculum, ideas
from derive import derive, load, parse
from derive.show.latex import LatexPrinter
from tests.long import CORE

CATALOGUE = [load(name) for name in CORE]
SIZES = {op.name: 10 * len(op.equations) for op in CATALOGUE}


def test_every_op_comes_once_after_all_that_it_builds_on() -> None:
    lessons = curriculum(CATALOGUE, SIZES)
    place = {lesson.op: k for k, lesson in enumerate(lessons)}
    assert sorted(place) == sorted(CORE)
    for one, other in permutations(CATALOGUE, 2):
        if builds_on(one, other):
            assert place[other.name] < place[one.name], (one.name, other.name)
    assert all(place[base] < place[lesson.op] for lesson in lessons for base in lesson.bases)


def test_what_is_new_in_an_op_is_what_no_op_before_it_needs() -> None:
    known: set[str] = set()
    for lesson in curriculum(CATALOGUE, SIZES):
        assert set(lesson.new) == set(ideas(load(lesson.op))) - known
        known |= set(lesson.new)
    assert known == {idea for one in CATALOGUE for idea in ideas(one)}


def test_of_ops_with_as_much_that_is_new_the_shorter_derivation_comes_first() -> None:
    ops = [
        parse(f"y[i] = {name}(x[i])\n\ny[i] = {body}")
        for name, body in (("a", "x[i]**2"), ("b", "x[i]**3"), ("c", "exp(x[i])"))
    ]
    assert [lesson.op for lesson in curriculum(ops, {"a": 9, "b": 2, "c": 1})] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("one", "bases"),
    [
        ("silu", {"sigmoid"}),
        ("log_softmax", {"softmax"}),
        ("softmax_cross_entropy", {"softmax"}),
        ("attention", {"softmax", "matmul"}),
        ("linear", {"matmul"}),
        ("relu", set()),
    ],
)
def test_an_op_builds_on_what_it_calls_or_has_in_its_equations(one: str, bases: set[str]) -> None:
    assert {base.name for base in CATALOGUE if builds_on(load(one), base)} == bases


def test_an_op_that_calls_another_builds_on_it_and_not_on_the_bases_of_that() -> None:
    (lesson,) = (found for found in curriculum(CATALOGUE, SIZES) if found.op == "mlp")
    assert {"embedding", "batchnorm", "softmax_cross_entropy", "linear"} <= set(lesson.bases)
    assert "softmax" not in lesson.bases


@pytest.mark.parametrize(
    "right",
    ["exp(z[a, b]) / sum[a](exp(z[a, b]))", "exp(z[a, b]) / sum[b](exp(u[a, b]))", "exp(z[a, b]) / max[b](exp(z[a, b]))"],
)
def test_equations_that_only_look_alike_are_not_built_on(right: str) -> None:
    """Each letter has to stand for the same everywhere: over another axis, of another tensor, or with another reduction."""
    assert not builds_on(parse(f"y[a, b] = f(z[a, b], u[a, b])\n\ny[a, b] = 2*({right}) + u[a, b]*z[a, b]"), load("softmax"))


def test_ideas_are_read_from_the_equations() -> None:
    text = "y[i, k] = f(a[i, j], x[j, k], t[i])\n\nt[i] in j\n"
    found = parse(text + "y[i, k] = tanh(sum[j](a[i, j]*x[j, k])) + x[t[i], k]**(1/2) + max[j](a[i, j])")
    assert set(ideas(found)) == {"tanh", PRODUCT, LOOKUP, ROOT, "maxima"}
    assert ideas(parse("y[i] = f(a[i, j])\n\ny[i] = sum[j](a[i, j]*a[i, j])")) == ("sums",)


def test_the_search_knows_an_ops_words_and_formulas() -> None:
    derivation = derive(load("softmax_cross_entropy"))
    found = entry(derivation, LatexPrinter(frozenset({"dz"})), ("softmax",)).value
    assert {"exp", "log", "means", "lookups by label"} <= set(found["function"])
    assert "fold" in found["rule"] and found["uses"] == ["softmax"]
    assert any(text.startswith("dz[n, c] = ") for text in found["formulas"])
    assert any(r"\mathrm{d}z_{n,c} = " in text for text in found["formulas"])
    assert not any(re.search(r"\\(?:new|old|phantom)", text) for text in found["formulas"])
