"""The audit of one submission, from the callable to the report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from codegen.plan import planned
from codegen.tools.auditor.combined import combined
from codegen.tools.auditor.differentiable import differentiable_submissions
from codegen.tools.auditor.habits import meanings, pairs, partner, told, variants
from codegen.tools.auditor.hearing import RANKS, Hearing, asked, hear
from codegen.tools.auditor.judge import judge
from codegen.tools.auditor.layers import layer, layer_submissions
from codegen.tools.auditor.layouts import Layout, declared, with_gradients
from codegen.tools.auditor.parameters import names_of
from codegen.tools.auditor.report import Report
from codegen.tools.auditor.submission import Submission, backward_submission, is_backward
from codegen.tools.auditor.system import System, chain_system, closed_system
from derive import derive, derive_full, load, parse
from derive import syntax as st

__all__ = ["audit", "systems"]

#: The dtypes in which a submission may be audited.
DTYPES = ("float64", "float32")
#: What is said of code that is right for tensors of two axes alone.
ALONE = "for matrices alone: with axes for *s it raises or returns other shapes, so that it is not right for every shape"


def audit(
    function: Callable[..., Any],
    op: st.Op | str,
    *,
    dtype: str | None = None,
    names: Mapping[str, str] | None = None,
    layout: Iterable[str] = (),
    axes: int | Sequence[int] | None = None,
    parameters: Mapping[str, str] | None = None,
    lengths: Mapping[str, int] | None = None,
    in_order: bool = False,
) -> Report:
    """Verify a backward function, or a differentiable callable, against an op's derivation.

    A function that takes an upstream gradient (``d`` and an output's name) is a backward. Its other parameters are names of the
    op in any order: inputs, tensors of the forward, constants. It returns the gradients of the op's inputs, as a tuple in the
    inputs' order, under the names in its ``return`` statement, or as a dict. Its arrays are of the library that its module
    uses: NumPy, torch or JAX.

    Any other callable is differentiated by its library: a function, a subclass of ``torch.autograd.Function``, a module, a
    ``custom_vjp``. ``op`` is an Op, a name of the catalogue, or the text of equations.

    ``names`` maps other names of parameters, of results and of a module's parameters to the op's names: ``{"dout": "dy"}``. It
    may also give a number for an upstream gradient that is not passed: ``{"dloss": "1"}``. ``parameters`` is another name for
    ``names``. ``layout`` declares the axes of arrays whose axes are not those of the equations: ``["W[h, k]", "gamma[1, d]"]``.
    ``axes`` is the number of axes, or several numbers, for which each ``*s`` stands; by default one and two, and also none if
    the tensors then have two axes left. ``lengths`` are lengths of axes that the code takes for granted. Unless ``dtype`` names
    one dtype, arrays are float64, and float32 arrays must give float32 gradients as well.
    ``in_order`` says that gradients come of one another: then only random arrays are tried, and only the first wrong one is
    explained.

    Raises OpError for text that is no op, ValueError where the function's parameters or results cannot be matched with the op.
    """
    if dtype not in (None, *DTYPES):
        raise ValueError(f"unknown dtype '{dtype}'; known: {', '.join(DTYPES)}")
    op = op if isinstance(op, st.Op) else parse(op) if "=" in op else load(op)
    closed, chain = systems(op)
    layouts = _layouts(op, closed, chain, layout)
    ranks = _ranks(op, axes)
    heard = None
    with np.errstate(all="ignore"):
        for submission in _submissions(function, op, closed, chain, {**(parameters or {}), **(names or {})}):
            submission = replace(submission, fixed={**submission.fixed, **(lengths or {})})
            found = hear(closed, chain, submission, "float64", ranks, layouts)
            suits = set(submission.outputs) <= found.main.right if submission.outputs else found.main.passes
            if heard is None or suits:
                heard = found
            if suits:
                break
        assert heard is not None
        rows = axes is None and _for_rows(heard)
        if rows:
            submission = heard.main.bench.submission
            assumed = "; ".join(filter(None, (ALONE, submission.assumed)))
            heard = hear(closed, chain, replace(submission, assumed=assumed), "float64", (0,), layouts)
        return judge(_in_reach(heard, dtype, layouts), dtype, declared=rows or axes is not None, in_order=in_order)


def _for_rows(heard: Hearing) -> bool:
    """Whether a submission is written for tensors of two axes alone: it is right for them alone."""
    first = heard.sessions.get(0)
    others = [s for r, s in heard.sessions.items() if r]
    return bool(first and first.passes and others) and all(s.error or s.misshapen for s in others)


def _in_reach(heard: Hearing, dtype: str | None, layouts: Mapping[str, Layout]) -> Hearing:
    """The hearing in float64, in which wrong formulas differ from rounding; in float32 for code that computes only in it."""
    bench = heard.main.bench
    if dtype != "float32" or heard.main.passes:
        return heard
    other = hear(bench.closed, bench.chain, bench.submission, "float32", tuple(heard.sessions), layouts)
    return other if len(other.main.right) > len(heard.main.right) and (heard.main.error or heard.main.coarse) else heard


@lru_cache(maxsize=32)
def systems(op: st.Op) -> tuple[System, System]:
    return closed_system(planned(derive(op))), chain_system(derive_full(op))


def _ranks(op: st.Op, axes: int | Sequence[int] | None) -> tuple[int, ...]:
    """The numbers of axes to try for each ``*s``."""
    chosen = asked(op) if axes is None else (axes,) if isinstance(axes, int) else tuple(axes)
    if unknown := [n for n in chosen if n not in RANKS]:
        raise ValueError(f"axes={unknown[0]}: *s is tried as 0, 1 or 2 axes")
    if axes is not None and not op.stars:
        raise ValueError(f"axes={axes}: {op.name} has no axes written with a star")
    return tuple(r for r in RANKS if r in chosen) if op.stars else (1,)


def _layouts(op: st.Op, closed: System, chain: System, texts: Iterable[str]) -> dict[str, Layout]:
    """The declared layouts, by name."""
    inputs = {t.name: t.axes for t in op.inputs}
    axes = {n: e.index for s in (chain, closed) for n, e in s.equations.items()} | inputs
    axes |= {st.adjoint_name(t.name): t.axes for t in op.outputs}
    return with_gradients(dict(declared(text, axes) for text in texts))


def _submissions(
    function: Callable[..., Any], op: st.Op, closed: System, chain: System, names: Mapping[str, str]
) -> Iterable[Submission]:
    upstream = {st.adjoint_name(t.name) for t in op.outputs}
    inputs, constants = {t.name for t in op.inputs}, {c.name for c in op.constants}
    known = {*inputs, *constants, *upstream, *closed.equations, *chain.equations}
    gradients = {n for n in (*closed.equations, *chain.equations) if st.primal_name(n) in {*inputs, *chain.equations}}
    givable = known - {st.adjoint_name(n) for n in inputs}
    if layer(function):
        return layer_submissions(function, op, names)
    if both := list(combined(function, op, names)):
        return both
    meant = meanings(function, op, sorted(givable), gradients, names)
    if not is_backward(function, op, meant):
        return differentiable_submissions(function, op, names)
    return _backwards(function, op, givable, gradients, meant, names)


def _backwards(
    function: Callable[..., Any],
    op: st.Op,
    known: Collection[str],
    gradients: Collection[str],
    meant: Mapping[str, str],
    declared: Mapping[str, str],
) -> Iterator[Submission]:
    """A backward by itself; then with the forward beside it, which knows what it hands over."""
    forward = None if declared else partner(function, meant, known)
    if forward is not None:
        yield from pairs(forward, function, op, gradients, meant)
    else:
        for chosen in variants(function, op, meant) if not declared else ({},):
            found = {**meant, **chosen}
            submission = backward_submission(function, op, known, gradients, found)
            own = {*names_of(function), *(c.name for c in op.constants), *(st.adjoint_name(t.name) for t in op.outputs)}
            assumed = {n: m for n, m in found.items() if n not in declared and n in own and n != m}
            yield replace(submission, assumed=told(assumed))
