"""The audit of one submission, from the callable to the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from codegen.auditor.counterexample import counterexample, smallest
from codegen.auditor.diagnose import diagnose
from codegen.auditor.differentiable import differentiable_submission
from codegen.auditor.report import BUT, CORRECT, WRONG, Finding, Report
from codegen.auditor.samples import Sample, kinked, random_samples, strained
from codegen.auditor.strain import strain
from codegen.auditor.submission import Submission, backward_submission, is_backward
from codegen.auditor.system import System, chain_system, closed_system
from codegen.auditor.trial import TOLERANCE, Bench, Trial
from codegen.plan import planned
from derive import derive, derive_full, load, parse
from derive import syntax as st

__all__ = ["audit"]


def audit(
    function: Callable[..., Any],
    op: st.Op | str,
    *,
    dtype: str = "float64",
    parameters: Mapping[str, str] | None = None,
) -> Report:
    """Verify a backward function, or a differentiable torch callable, against an op's derivation.

    A function that takes an upstream gradient (``d`` and an output's name) is a backward: its other parameters are names of
    the op in any order (inputs, tensors of the forward, constants), and it returns the gradients of the op's inputs, as a
    tuple in their order, under the names in its ``return`` statement, or as a dict. Arrays are NumPy's, or tensors where its
    module uses torch. Any other callable is differentiated by torch's autograd; of a module, ``parameters`` says which input
    each parameter stands for. ``op`` is an Op, a name of the catalogue, or the text of equations.

    Raises OpError for what is no op, ValueError where the function's parameters or results cannot be matched with it.
    """
    if dtype not in TOLERANCE:
        raise ValueError(f"unknown dtype '{dtype}'; known: {', '.join(TOLERANCE)}")
    op = op if isinstance(op, st.Op) else parse(op) if "=" in op else load(op)
    closed, chain = _systems(op)
    submission = _submission(function, op, closed, chain, parameters)
    with np.errstate(all="ignore"):
        bench, trials = _at_best_rank(closed, chain, submission, dtype)
        findings = tuple(_finding(g, bench, trials) for g in submission.gradients)
    return Report(op.name, submission.name, dtype, findings, _note(bench))


@lru_cache(maxsize=32)
def _systems(op: st.Op) -> tuple[System, System]:
    return closed_system(planned(derive(op))), chain_system(derive_full(op))


def _submission(
    function: Callable[..., Any], op: st.Op, closed: System, chain: System, parameters: Mapping[str, str] | None
) -> Submission:
    if not is_backward(function, op):
        return differentiable_submission(function, op, parameters)
    upstream = {f"d{t.name}" for t in op.outputs}
    inputs, constants = {t.name for t in op.inputs}, {c.name for c in op.constants}
    known = {*inputs, *constants, *upstream, *closed.equations, *chain.equations}
    gradients = {n for n in (*closed.equations, *chain.equations) if n[:1] == "d" and n[1:] in {*inputs, *chain.equations}}
    return backward_submission(function, op, known - {f"d{n}" for n in inputs}, gradients)


def _at_best_rank(closed: System, chain: System, submission: Submission, dtype: str) -> tuple[Bench, list[Trial]]:
    """The trials with as many axes for ``*s`` as suit the submission best: code for fewer axes than an op has is no error."""
    op = closed.op
    best: tuple[float, Bench, list[Trial]] | None = None
    for rank in (1, 0, 2) if op.stars else (1,):
        bench = Bench(closed, chain, submission, dtype, rank)
        trials = [bench.try_on(s) for s in random_samples(op, _fixed(bench), submission.parameters)]
        if all(_fits(g, trials) for g in submission.gradients):
            return bench, trials
        score = sum(t.compare(g).right - bool(t.error) for t in trials for g in submission.gradients)
        if best is None or score > best[0]:
            best = score, bench, trials
    assert best is not None
    return best[1], best[2]


def _fits(gradient: str, trials: Sequence[Trial]) -> bool:
    """Whether the submission returned a gradient of the right shape on every trial, be it right or wrong."""
    return all(t.got is not None and gradient in t.got and t.got[gradient].shape == t.expected(gradient).shape for t in trials)


def _fixed(bench: Bench) -> dict[str, int]:
    lengths = {0: 1, 2: 6}
    star = {s: lengths[bench.rank] for s in bench.op.stars if bench.rank in lengths}
    return dict(bench.submission.fixed) | star


def _note(bench: Bench) -> str:
    stars = ", ".join(f"*{s}" for s in sorted(bench.op.stars))
    return f"{stars} as {'no axis' if bench.rank == 0 else 'two axes'}" if stars and bench.rank != 1 else ""


def _finding(gradient: str, bench: Bench, trials: Sequence[Trial]) -> Finding:
    results = [t.compare(gradient) for t in trials]
    largest = max(r.largest for r in results)
    failed = next((t for t, r in zip(trials, results, strict=True) if not r.right), None)
    if failed is not None:
        reason = failed.compare(gradient).reason
        return Finding(gradient, WRONG, largest, reason, diagnose(gradient, trials), smallest(gradient, bench, failed))
    at_ties = bench.try_on(kinked(bench.op, _fixed(bench), bench.submission.parameters))
    if not at_ties.compare(gradient).right and np.isfinite(at_ties.expected(gradient)).all():
        reason = "where values tie or are zero it does something else than the op"
        if at_ties.error:
            reason += f": it raised {at_ties.error}"
        return Finding(
            gradient, BUT, largest, reason, diagnose(gradient, [at_ties, *trials]), counterexample(gradient, at_ties)
        )
    for sample in _strained(bench):
        if found := strain(gradient, bench, sample, trials):
            return Finding(gradient, BUT, largest, found.reason, found.diagnosis, counterexample(gradient, found.trial))
    return Finding(gradient, CORRECT, largest)


def _strained(bench: Bench) -> Iterator[Sample]:
    return strained(bench.op, _fixed(bench), bench.dtype == "float64")
