"""A wrong step in any stage fails the certificate, and the first check that fails names the stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

import derive
from codegen import plan as planning
from codegen.certify import program_checks
from codegen.plan import plan
from derive import adjoint, engine, rounding
from derive import syntax as st
from derive.certify import Certificate, certify
from derive.rounding import log1p
from derive.rules import Rule
from derive.show import show
from derive.simplify import folding, work
from derive.stabilise import stabilise
from derive.terms import factor, flatten
from derive.terms.sums import Size, Sum

Patch = pytest.MonkeyPatch
#: The gradient of ``s`` is a mean over nested sums.
NESTED = "y = nested(a[i, k], b[k, j], c[i, j], s)\n\ny = s*mean[i, j](sum[k](a[i, k]*b[k, j])*c[i, j])"


def certified(what: str) -> Certificate:
    """The certificate of a derivation and of its programs."""
    derivation = derive.derive(derive.parse(what) if "=" in what else derive.load(what))
    return certify(derivation).extended(program_checks(derivation, plan(derivation)))


def first(certificate: Certificate) -> str:
    assert not certificate.passed
    return certificate.failures[0].rule


def changed(patch: Patch, where: Any, name: str, change: Callable[..., Any]) -> None:
    """Replace a function by one that changes what it returns."""
    right = getattr(where, name)

    def wrong(*args: Any, **options: Any) -> Any:
        return change(right(*args, **options), *args)

    patch.setattr(where, name, wrong)


def rescaled(body: Sum) -> Sum:
    return body.scaled(Fraction(7, 5))


# ---- the stages ---------------------------------------------------------------------------------------------------------


def test_what_is_right_passes() -> None:
    for what in ("softmax_cross_entropy", "batchnorm", "gelu_accurate", NESTED):
        certificate = certified(what)
        assert certificate.passed, certificate.summary()
        assert {"plan", "exact plan"} <= {c.rule for c in certificate.checks}


def test_flatten(monkeypatch: Patch) -> None:
    """A reduction that forgets that it is a mean."""
    changed(monkeypatch, flatten, "bind", lambda body, *_: rescaled(body))
    assert first(certified("y = f(x[n], w[n])\n\ny = sum[n](x[n]*w[n])")) == "flatten"


def test_a_power_in_flatten(monkeypatch: Patch) -> None:
    changed(monkeypatch, flatten._Flattener, "power", lambda body, _, base, e: body.scaled(1 if e == 1 else 2))
    assert first(certified("rmsnorm")) == "flatten"


@pytest.mark.parametrize("op", ["softmax", "softmax_cross_entropy", "log_softmax", "sigmoid"])
def test_stabilise(op: str, monkeypatch: Patch) -> None:
    """The maximum is not taken off where it is added."""
    changed(monkeypatch, stabilise._Stabiliser, "monomial", lambda pair, *_: (pair[0], pair[1].scaled(2)))
    assert first(certified(op)) == "stabilise"


def test_a_logarithm_in_stabilise(monkeypatch: Patch) -> None:
    def wrong(found: Any, *_: Any) -> Any:
        return found and replace(found, hat=found.hat.scaled(2))

    changed(monkeypatch, stabilise._Stabiliser, "logarithm", wrong)
    assert first(certified("makemore")) == "stabilise"


@pytest.mark.parametrize("op", ["batchnorm", "attention", "gelu", "makemore"])
def test_the_chain_rule(op: str, monkeypatch: Patch) -> None:
    """One read is sent too much."""
    changed(monkeypatch, adjoint, "_send", lambda body, *_: rescaled(body) if len(body.terms) == 1 else body)
    assert first(certified(op)) == "chain rule"


def test_a_derivative_of_a_function(monkeypatch: Patch) -> None:
    changed(monkeypatch, adjoint, "_function_slope", lambda body, _, f, *rest: rescaled(body) if f.head == "tanh" else body)
    certificate = certified("mlp")
    assert first(certificate) == "chain rule"
    assert ("full", certificate.failures[0].name) in {(c.rule, c.name) for c in certificate.failures}


@pytest.mark.parametrize(
    ("where", "name", "change", "rule"),
    [
        (folding, "apply_rewriting", lambda after, before, rule: after if after == before else rescaled(after), "fold xhat"),
        (work, "replace_reads", lambda after, *_: rescaled(after), "inline"),
        (
            folding,
            "fold_patterns",
            lambda found, *_: (rescaled(found[0]), found[1]) if found[1] else found,
            "fold dgamma",
        ),
    ],
)
def test_simplify(where: Any, name: str, change: Callable[..., Any], rule: str, monkeypatch: Patch) -> None:
    changed(monkeypatch, where, name, change)
    assert first(certified("batchnorm")).startswith(rule)


#: What remembers trees from before a change, or from after it.
CACHES = [f for f in vars(factor).values() if hasattr(f, "cache_clear")]


@pytest.mark.parametrize(
    ("op", "stage"), [("batchnorm", "factor"), ("layernorm", "shown"), ("attention", "factor"), (NESTED, "factor")]
)
def test_factor(op: str, stage: str, monkeypatch: Patch) -> None:
    """A mean of nested sums that loses a divisor: flat terms are right, the trees of a line or of a step before it are not."""

    def lost(powers: Any, _: Any) -> Any:
        return {f: e for f, e in powers.items() if not (isinstance(f, Size) and e < 0)}

    changed(monkeypatch, factor, "as_means", lost)
    for known in CACHES:
        known.cache_clear()
    try:
        assert first(certified(op)) == stage
    finally:
        for known in CACHES:
            known.cache_clear()


def test_what_is_printed(monkeypatch: Patch) -> None:
    """The trees from which code is made are right, those that are printed are not."""
    changed(
        monkeypatch,
        show,
        "sections",
        lambda parts, *_: [
            *parts[:-1],
            replace(parts[-1], groups=[[replace(r, tree=st.Neg(r.tree)) for r in g] for g in parts[-1].groups]),
        ],
    )
    from derive.certify import shown

    monkeypatch.setattr(shown, "sections", show.sections)
    assert first(certified("tanh")) == "shown"


def test_a_name_that_is_not_printed(monkeypatch: Patch) -> None:
    from derive.certify import shown

    changed(monkeypatch, show, "_engine_made", lambda *_: [])
    monkeypatch.setattr(shown, "sections", show.sections)
    certificate = certified("softmax")
    assert first(certificate) == "shown"
    assert "is read, and is not printed" in certificate.failures[0].reason


@pytest.mark.parametrize("rule", [log1p.RULE, *rounding.ACCURATE], ids=lambda rule: rule.title)
def test_rounding(rule: Rule, monkeypatch: Patch) -> None:
    op = {
        "no cancellation": "tanh",
        "other shares": "sigmoid",
        "log1p": "softplus",
        "halve the exponent": "silu",
        "split the square": "gelu",
    }[rule.title]
    right = rounding.Work.change

    def wrong(self: Any, applied: Rule, line: str, after: Sum, *rest: Any) -> None:
        right(self, applied, line, rescaled(after) if applied == rule else after, *rest)

    monkeypatch.setattr(rounding.Work, "change", wrong)
    if op == "softplus":
        accurate = derive.parse("y[i] = softplus(x[i])\n\ny[i] = log(1 + exp(x[i]))").as_variant("accurate")
        derivation = derive.derive(accurate)
    else:
        derivation = derive.derive(derive.load(f"{op}_accurate"))
    assert first(certify(derivation)) == rule.title


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (
            "backward",
            lambda program, *_: replace(
                program, statements=tuple(replace(s, tree=st.Neg(s.tree)) if s.name == "dx" else s for s in program.statements)
            ),
        ),
        (
            "forward",
            lambda program, *_: replace(
                program,
                statements=tuple(replace(s, tree=st.Neg(s.tree)) if s.name == "xhat" else s for s in program.statements),
            ),
        ),
        ("backward", lambda program, *_: replace(program, arguments=program.arguments[1:])),
        ("backward", lambda program, *_: replace(program, statements=program.statements[::-1])),
        ("split", lambda pair, *_: (pair[0][:-1], pair[1])),
    ],
    ids=["a gradient", "a saved tensor", "an argument is missing", "the order", "a tensor is not saved"],
)
def test_plan(name: str, change: Callable[..., Any], monkeypatch: Patch) -> None:
    changed(monkeypatch, planning._Planner, name, change)
    certificate = certified("batchnorm")
    assert first(certificate) == "plan"
    assert {c.rule for c in certificate.failures} == {"plan", "exact plan"}


def test_what_is_inlined(monkeypatch: Patch) -> None:
    """A name of the engine's that is written out where it is read, from another definition."""
    changed(monkeypatch, planning._Planner, "inline", lambda tree, *_: tree and st.Neg(tree))
    assert first(certified("gelu")) == "plan"


def test_the_engine_may_not_drop_a_gradient(monkeypatch: Patch) -> None:
    changed(monkeypatch, engine.Simplifier, "run", lambda lines, *_: {n: b for n, b in lines.items() if n != "dgamma"})
    assert not certify(derive.derive(derive.load("rmsnorm"))).passed
