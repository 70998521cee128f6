"""A diagnosis where no single slip explains a gradient: the coefficients of the right formula's terms in the gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from codegen.tools.auditor.report import Diagnosis, formula
from codegen.tools.auditor.trial import Trial
from derive import syntax as st
from derive.language.unicode import text

__all__ = ["distributed", "fitted"]

#: Coefficients that differ by less than this count as equal.
NEAR = 1e-6


def fitted(gradient: str, trials: Sequence[Trial]) -> Diagnosis | None:
    """The diagnosis of wrong coefficients; None where the gradient is no linear combination of the formula's terms."""
    equation = trials[0].bench.system_of(gradient).equations[gradient]
    terms = list(_terms(equation.rhs))
    # A trial with fewer entries than terms does not determine the coefficients.
    trials = [t for t in trials if t.expected(gradient).size > len(terms)]
    rows = [_coefficients(gradient, terms, t) for t in trials]
    if len(rows) < 2 or any(r is None for r in rows):
        return None
    found = np.array(rows)
    if np.all(np.abs(found - found[:, :1]) < NEAR):
        return _scaled(gradient, equation, found[:, 0], trials)
    said = [_said(term, found[:, k], trials) for k, term in enumerate(terms)]
    wrong = [s for s in said if s]
    if not wrong or "" in [s for s in wrong if s is not None]:
        return None
    return Diagnosis("coefficient", "; ".join(wrong), gradient, formula(trials[0].bench.op, equation))


def distributed(tree: st.Tree) -> st.Tree:
    """The formula as a sum of terms."""
    terms = tuple(_terms(tree))
    return st.Add(terms) if len(terms) > 1 else tree


def _terms(tree: st.Tree) -> Iterator[st.Tree]:
    """The terms of a formula, products distributed over its outermost sums."""
    match tree:
        case st.Add(args):
            for a in args:
                yield from _terms(a)
        case st.Neg(a):
            yield from (st.Neg(t) for t in _terms(a))
        case st.Div(a, b):
            yield from (st.Div(t, b) for t in _terms(a))
        case st.Mul(args):
            at = next((k for k, a in enumerate(args) if isinstance(a, st.Add)), None)
            if at is None:
                yield tree
            else:
                for t in _terms(args[at]):
                    yield st.Mul((*args[:at], t, *args[at + 1 :]))
        case _:
            yield tree


def _coefficients(gradient: str, terms: list[st.Tree], trial: Trial) -> np.ndarray | None:
    values, want = trial.values_of(gradient), trial.expected(gradient)
    assert trial.got is not None
    got = trial.got[gradient]
    if got.shape != want.shape or not np.isfinite(got).all():
        return None
    values.of(gradient)
    axes = trial.bench.axes(gradient)
    columns = np.stack([np.ravel(values.spread(*values.value(t), axes)) for t in terms], axis=1).astype(float)
    sizes = np.abs(columns).max(axis=0)
    if not np.isfinite(columns).all() or not sizes.all():
        return None
    solution, _, rank, _ = np.linalg.lstsq(columns / sizes, np.ravel(got).astype(float), rcond=None)
    left = np.abs(columns / sizes @ solution - np.ravel(got)).max()
    if rank < len(terms) or left > NEAR * np.abs(got).max():
        return None
    return np.asarray(solution / sizes)


def _scaled(gradient: str, equation: st.Equation, found: np.ndarray, trials: Sequence[Trial]) -> Diagnosis | None:
    factor = _named(found, trials)
    if factor is None or factor == "1":
        return None
    kind = "sign" if factor == "-1" else "coefficient"
    return Diagnosis(kind, f"{gradient} is {factor} times what it should be", gradient, formula(trials[0].bench.op, equation))


def _said(term: st.Tree, found: np.ndarray, trials: Sequence[Trial]) -> str | None:
    """A sentence on one term's wrong coefficient; None if the coefficient is right, "" if it has no simple value."""
    factor = _named(found, trials)
    if factor == "1":
        return None
    shown = text(term)
    if factor == "0":
        return f"the term {shown} is missing"
    return f"the term {shown} is multiplied by {factor}" if factor else ""


def _named(found: np.ndarray, trials: Sequence[Trial]) -> str | None:
    """A number or a quotient of axis lengths that equals the coefficient on every sample."""
    if np.all(np.abs(found - found[0]) < NEAR * max(1.0, abs(found[0]))):
        nearest = Fraction(float(found[0])).limit_denominator(12)
        return str(nearest) if abs(float(nearest) - found[0]) < NEAR * max(1.0, abs(found[0])) else f"{found[0]:.6g}"
    for axis in trials[0].sample.sizes:
        n = np.array([t.sample.sizes[axis] for t in trials], dtype=float)
        for shown, value in ((f"size({axis})", n), (f"1/size({axis})", 1 / n)):
            for sign in ("", "-"):
                if np.allclose(found, -value if sign else value, rtol=NEAR):
                    return sign + shown
        for shown, value in (
            (f"size({axis})/(size({axis}) - 1)", n / (n - 1)),
            (f"(size({axis}) - 1)/size({axis})", (n - 1) / n),
        ):
            if np.allclose(found, value, rtol=NEAR):
                return shown
    return None
