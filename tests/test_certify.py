"""Certificates: everything derived is checked in numbers, and what is wrong is caught and named."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

import derive
from derive import engine
from derive.certify import Certificate, NoPoint, certify, point
from derive.ops import names
from derive.points import sizes_of
from derive.rules import FOLD
from derive.simplify import folding
from tests.long import each

ROOT = Path(__file__).resolve().parent.parent


#: The checks of a stage; all others are named as the rule of a step is.
STAGES = {"flatten", "differences", "condition", "forward", "closed form", "factor", "shown", "full"}
STAGES |= {"exact", "exact full", "exact chain rule", "strained", "ties"}


def certified(text: str, seeds: tuple[int, ...] = (0, 1)) -> Certificate:
    return certify(derive.derive(derive.parse(text.strip())), seeds)


def assert_passed(certificate: Certificate) -> None:
    assert certificate.passed, "\n".join(map(str, certificate.failures))


def failed(certificate: Certificate) -> set[tuple[str, str]]:
    return {(c.rule, c.name) for c in certificate.failures}


# ---- what is right passes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", each(names()))
def test_the_catalogue_certifies(name: str) -> None:
    derivation = derive.derive(derive.load(name))
    certificate = certify(derivation)
    assert_passed(certificate)
    checked = [(c.rule, c.name) for c in certificate.checks]
    steps = [(s.title, s.name) for s in derivation.steps]
    assert [c for c in checked if c[0] not in STAGES] == steps
    for gradient in derivation.gradients:
        assert {(rule, gradient) for rule in ("differences", "closed form", "factor", "shown", "full", "exact full")} <= set(
            checked
        )
    assert all(draw.bits >= 35 and not draw.skipped for draw in certificate.exact)  # what CERTIFICATES.md says
    assert {("flatten", e.name) for e in derivation.op.equations} <= set(checked)


@pytest.mark.parametrize(
    "text",
    [
        "y[i], z = outputs(x[i], w[i])\n\ny[i] = x[i]*w[i]\nz = sum[i](y[i]**2)",
        "y = total(x[i])\n\na[i] = x[i]**2\na_total = sum[i](a[i])\ny = a_total**2 + sum[i](a[i]**3)",
        "y[i] = guarded(x[i])\n\ny[i] = where(x[i] > 0, log(x[i]), 0)",
        "y[i] = rational(x[i], w[i, j])\n\nt[i] = sum[j](w[i, j]/(x[i] + w[i, j]**2 + 3))\n"
        "y[i] = t[i]/sum[i](abs(t[i])) + maximum(x[i], t[i])",
        "loss = diagonal(z[i, d], w[j, d])\n\nS[i, j] = sum[d](z[i, d]*w[j, d])\n"
        "loss = -mean[i](S[i, i] - log(sum[j](exp(S[i, j]))))",
        "y[n] = gather(p[n, c], t[n], w[c])\n\nt[n] in c\np[n, c] > 0\ny[n] = -w[t[n]]*log(p[n, t[n]]/sum[c](p[n, c]))",
        "e = entropy(p[i])\n\np > 0\np < 1\ne = -sum[i](p[i]*log(p[i]) + (1 - p[i])*log(1 - p[i]))",
        "y[n] = extrema(x[n, c], k=-1)\n\nm[n] = max[c](x[n, c])\ny[n] = sum[c](exp(k*x[n, c]))/m[n] + min[c](x[n, c]**2)",
        "y = zero(x[i])\n\np[i] = exp(x[i])/sum[i](exp(x[i]))\nq = sum[i](p[i])\ny = log(q)*sum[i](x[i]) + q",
    ],
    ids=lambda text: text.split("=")[1].split("(")[0].strip(),
)
def test_other_ops_certify(text: str) -> None:
    assert_passed(certified(text, (0, 1, 2)))


# ---- what is wrong is caught, and named ---------------------------------------------------------------------------------


def test_a_wrong_fold_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = folding.Folding.once

    def doubled(self, expr, own, unfolded):  # type: ignore[no-untyped-def]
        change = fold(self, expr, own, unfolded)
        folds_xhat = change is not None and change.rule == FOLD and change.using == "xhat"
        return change._replace(after=change.after.scaled(2)) if folds_xhat else change

    monkeypatch.setattr(folding.Folding, "once", doubled)
    certificate = certify(derive.derive(derive.load("batchnorm")))
    assert not certificate.passed
    # The first failure is the culprit; what follows from its result is wrong too.
    first = certificate.failures[0]
    assert first.rule == "fold xhat"
    assert "xhat[" not in first.before.replace("dxhat[", "") and "2*" in first.after
    assert first.rule in certificate.summary() and first.name in certificate.summary()
    assert first.before in certificate.to_json()


def test_a_wrong_pattern_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = folding.fold_patterns

    def halved(expr, patterns, allowed):  # type: ignore[no-untyped-def]
        after, using = fold(expr, patterns, allowed)
        return (after.scaled(Fraction(1, 2)), using) if using else (after, using)

    monkeypatch.setattr(folding, "fold_patterns", halved)
    certificate = certify(derive.derive(derive.load("batchnorm")))
    assert not certificate.passed
    wrong = [c for c in certificate.failures if c.rule.startswith("fold ")]
    assert wrong and all(c.before and c.after for c in wrong)


@pytest.mark.parametrize(("op", "culprit"), [("softmax_cross_entropy", "dz"), ("batchnorm", "dvar"), ("mlp", "dact")])
def test_an_adjoint_of_the_wrong_sign_is_named(op: str, culprit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = engine.adjoints

    def negated(*args):  # type: ignore[no-untyped-def]
        return [replace(d, body=-d.body) if d.name == culprit else d for d in right(*args)]

    monkeypatch.setattr(engine, "adjoints", negated)
    derivation = derive.derive(derive.load(op))
    monkeypatch.undo()
    certificate = certify(derivation)
    wrong = {(rule, name) for rule, name in failed(certificate) if rule not in STAGES}
    assert wrong == {("chain rule", culprit)}
    assert certificate.failures[0].rule == "chain rule"
    assert any(rule == "closed form" for rule, _ in failed(certificate))


def test_a_dropped_term_of_an_adjoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    right = engine.adjoints

    def dropped(*args):  # type: ignore[no-untyped-def]
        return [
            replace(d, body=type(d.body)(dict(list(d.body.terms.items())[1:]))) if d.name == "dx" else d for d in right(*args)
        ]

    monkeypatch.setattr(engine, "adjoints", dropped)
    derivation = derive.derive(derive.load("batchnorm"))
    assert {("chain rule", "dx"), ("full", "dx"), ("closed form", "dx")} <= failed(certify(derivation))


def test_a_wrong_closed_line_is_caught_by_brute_force() -> None:
    derivation = derive.derive(derive.load("tanh"))
    (line,) = derivation.lines
    wrong = replace(derivation, lines=(replace(line, body=line.body.scaled(Fraction(1001, 1000))),))
    certificate = certify(wrong)
    assert {rule for rule, _ in failed(certificate)} == {"closed form", "factor", "shown", "exact"}
    assert re.match(r"FAILED: \d+ of \d+ checks at 2 points, first 'closed form' on dx: ", certificate.summary())


def test_a_wrong_line_that_others_read_is_named() -> None:
    derivation = derive.derive(derive.load("attention"))
    lines = tuple(replace(n, body=n.body.scaled(2)) if n.name == "dP" else n for n in derivation.lines)
    wrong = failed(certify(replace(derivation, lines=lines)))
    assert ("closed form", "dP") in wrong and ("closed form", "dv") not in wrong
    assert ("closed form", "dq") in wrong


def test_a_missing_line_is_caught() -> None:
    derivation = derive.derive(derive.load("matmul"))
    certificate = certify(replace(derivation, lines=derivation.lines[:1]))
    assert ("closed form", derivation.lines[1].name) in failed(certificate)


def test_a_wrong_definition_is_named() -> None:
    derivation = derive.derive(derive.load("layernorm"))
    forward = tuple(replace(d, body=d.body.scaled(3)) if d.name == "var" else d for d in derivation.forward)
    assert ("forward", "var") in failed(certify(replace(derivation, forward=forward)))


def test_an_error_of_the_thirtieth_digit_is_seen() -> None:
    derivation = derive.derive(derive.load("sigmoid"))
    (line,) = derivation.lines
    near = replace(line, body=line.body.scaled(1 + Fraction(1, 10**30)))
    assert not certify(replace(derivation, lines=(near,))).passed


def test_an_op_without_values_does_not_pass() -> None:
    certificate = certified("y = nowhere(x[i])\n\ny = sum[i](log(-exp(x[i])))")
    assert not certificate.passed
    assert "state what the inputs satisfy" in certificate.summary()


def test_a_certificate_of_nothing_does_not_pass() -> None:
    assert not certify(derive.derive(derive.load("tanh")), seeds=()).passed


# ---- the certificate ----------------------------------------------------------------------------------------------------


def test_the_text_of_a_certificate_holds_no_measured_number() -> None:
    certificate = certify(derive.derive(derive.load("linear")))
    read = json.loads(certificate.to_json())
    assert list(read) == ["op", "passed", "tolerance", "points", "exact", "strained", "checks"]
    assert read["points"][0] == {"seed": 0, "sizes": {"s": 3, "k": 4, "h": 2}}
    for draw in read["exact"]:
        assert 2**60 < draw["prime"] < 2**61 and set(draw["sizes"]) == {"s", "k", "h"}
        assert draw["false pass"].startswith("at most 2**-5")
    assert all(set(c) == {"rule", "name", "passed"} for c in read["checks"])
    assert {"rule": "closed form", "name": "dW", "passed": True} in read["checks"]
    assert not any(isinstance(v, float) for v in _leaves(read))
    assert certificate.summary() == f"passed: {len(read['checks'])} checks at 2 points"


def _leaves(node: object) -> Iterator[object]:
    if isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _leaves(child)
    else:
        yield node


def test_a_certificate_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import derive; from derive.certify import certify, point\n"
        "for name in ('batchnorm', 'softmax_cross_entropy'):\n"
        "    op = derive.load(name); print(certify(derive.derive(op)).to_json(), point(op, 1))"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1] and '"passed": true' in texts[0]


# ---- points -------------------------------------------------------------------------------------------------------------


def test_sizes_are_equal_only_where_reads_make_them_so() -> None:
    op = derive.parse("y = clip(z[i, d], w[j, d])\n\nS[i, j] = sum[d](z[i, d]*w[j, d])\ny = sum[i](S[i, i])")
    assert sizes_of(op, 0) == {"i": 3, "d": 4, "j": 3}
    sizes = [sizes_of(derive.load("mlp"), seed) for seed in (0, 1)]
    axes = list(sizes[0])
    assert all(any(s[a] != s[b] for s in sizes) for a in axes for b in axes if a != b)
    assert all(size > 1 for s in sizes for size in s.values())


def test_points_respect_assumptions_labels_and_defaults() -> None:
    op = derive.parse(
        "y[n] = within(p[n, c], q[n], t[n], eps=1e-3)\n\nt[n] in c\np > 0\np < 1\nq <= -2\n"
        "y[n] = log(p[n, t[n]])*log(1 - p[n, t[n]])*q[n] + eps"
    )
    first, second = (point(op, seed) for seed in (0, 1))
    for at in (first, second):
        assert all(0 < v < 1 for v in at.tables["p"])
        assert all(v < -2 for v in at.tables["q"])
        assert all(0 <= v < at.sizes["c"] for v in at.tables["t"])
    assert first.tables["eps"] == [Fraction(1, 1000)] != second.tables["eps"]
    assert first.tables["p"] != second.tables["p"]


def test_a_logarithm_finds_inputs_that_have_one() -> None:
    assert all(v > 0 for v in point(derive.parse("y[i] = ln(x[i])\n\ny[i] = log(x[i])"), 0).tables["x"])


def test_no_point_says_so() -> None:
    with pytest.raises(NoPoint, match="nowhere: no random point"):
        point(derive.parse("y = nowhere(x[i])\n\ny = sum[i](log(-exp(x[i])))"), 0)
