"""A submission tried at every number of axes for ``*s``, and under two conventions for statistics.

Statistics, such as a mean, may have the axes of the equations, or keep reduced axes with length 1. A backward has to be right
under one of the conventions. It has to be right for every number of axes: code that is right for rows alone may give wrong
results for batches of rows, or raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from codegen.tools.auditor.layouts import Layout, kept, with_gradients
from codegen.tools.auditor.raised import Raised
from codegen.tools.auditor.samples import random_samples
from codegen.tools.auditor.submission import Submission
from codegen.tools.auditor.system import System
from codegen.tools.auditor.trial import Bench, Trial
from derive import syntax as st

__all__ = ["COARSE", "Hearing", "RANKS", "Session", "asked", "hear"]

#: Errors up to this, relative to the largest sum of terms, are float32's.
COARSE = 1e-5
#: The numbers of axes with which ``*s`` is tried, the usual number first.
RANKS = (1, 0, 2)


def asked(op: st.Op) -> tuple[int, ...]:
    """The numbers of axes that code has to support: one and two, and also none if tensors then have at least two axes left.

    Otherwise, without axes for ``*s`` tensors would be single vectors or numbers, for which nobody writes such code.
    """
    left = [len(set(t.axes) - op.stars) for t in (*op.inputs, *op.outputs) if set(t.axes) & op.stars]
    return RANKS if min(left, default=0) > 1 else tuple(r for r in RANKS if r)


@dataclass(frozen=True)
class Session:
    """The trials on random inputs under one convention."""

    bench: Bench
    trials: tuple[Trial, ...]

    @property
    def rank(self) -> int:
        return self.bench.rank

    @cached_property
    def right(self) -> frozenset[str]:
        """The gradients that are right in every trial."""
        return frozenset(g for g in self.judged if all(t.compare(g).right for t in self.trials))

    @property
    def judged(self) -> tuple[str, ...]:
        """The names that are judged: the outputs returned beside the gradients, and the gradients."""
        submission = self.bench.submission
        return (*submission.outputs, *submission.gradients)

    @property
    def passes(self) -> bool:
        return len(self.right) == len(self.judged)

    @property
    def misshapen(self) -> bool:
        """Whether a result has a shape that is not its name's in any trial."""
        return any(all(not t.error and n in (t.got or {}) and not t.fits(n) for t in self.trials) for n in self.judged)

    @property
    def coarse(self) -> bool:
        """Whether every wrong result is off by no more than float32's rounding."""
        wrong = [g for g in self.judged if g not in self.right]
        return all(t.compare(g).largest <= COARSE for t in self.trials for g in wrong)

    @cached_property
    def error(self) -> Raised | None:
        """The error that the submission raised, if it raised in every trial; else None."""
        errors = [t.error for t in self.trials]
        return errors[0] if all(errors) else None

    def failed(self, name: str) -> Trial:
        """The first trial on which a name's result is wrong."""
        return next(t for t in self.trials if not t.compare(name).right)


@dataclass(frozen=True)
class Hearing:
    """The sessions of one submission, by number of axes, under the convention for statistics that suits it best.

    ``others`` are the sessions under the other convention. ``main`` is the session from which findings are taken.
    """

    sessions: Mapping[int, Session]
    others: Mapping[int, Session]
    main: Session

    def wrong_elsewhere(self, name: str) -> Session | None:
        """A session at another number of axes in which the submission runs, and gives a wrong gradient; None if there is none.

        A session under the other convention counts only if the result has the gradient's shape.
        """
        for rank, session in self.sessions.items():
            if rank == self.main.rank or name in session.right:
                continue
            if not session.error:
                return session
            other = self.others.get(rank)
            if other and not other.error and name not in other.right and all(t.fits(name) for t in other.trials):
                return other
        return None

    @property
    def refused(self) -> list[Session]:
        """The sessions in which the submission raised."""
        return [s for s in self.sessions.values() if s.error]


def hear(
    closed: System,
    chain: System,
    submission: Submission,
    dtype: str,
    ranks: Sequence[int],
    layouts: Mapping[str, Layout],
) -> Hearing:
    """The hearing of a submission. ``ranks`` are the numbers of axes to support, ``layouts`` the declared layouts."""
    submission = _with_library(submission, lambda s: _session(Bench(closed, chain, s, dtype, ranks[0], layouts)))
    bench = Bench(closed, chain, submission, dtype, ranks[0], {**with_gradients(submission.layouts), **layouts})
    conventions = [_sessions(b, ranks) for b in _conventions(bench)]
    best = max(conventions, key=_score)
    others = next((c for c in conventions if c is not best), {})
    main = max(best.values(), key=lambda s: (s.passes, len(s.right), not s.error))
    return Hearing(best, others, main)


def _with_library(submission: Submission, session: Callable[[Submission], Session]) -> Submission:
    """The submission with the library that it is written for: the first library whose arrays it takes and returns.

    If there is none, it is the first library with whose arrays the submission does not raise, or the first of all.
    """
    if len(submission.libraries) == 1:
        return submission
    tried = [session(replace(submission, libraries=(a,))) for a in submission.libraries]
    return max(tried, key=lambda s: (not s.error, not any(t.foreign for t in s.trials))).bench.submission


def _sessions(bench: Bench, ranks: Sequence[int]) -> dict[int, Session]:
    return {rank: _session(replace(bench, rank=rank)) for rank in ranks}


def _session(bench: Bench) -> Session:
    return Session(bench, tuple(bench.try_on(s) for s in random_samples(bench.op, bench.free)))


def _conventions(bench: Bench) -> list[Bench]:
    """The bench with statistics as in the equations, and the bench with kept axes if it differs."""
    found = {n: x for n, x in _kept(bench).items() if n not in bench.layouts}
    shown = {n: x for n, x in found.items() if n in bench.submission.parameters}
    if not shown:
        return [replace(bench, optional=found)]
    return [
        bench,
        replace(bench, layouts={**bench.layouts, **shown}, optional={n: x for n, x in found.items() if n not in shown}),
    ]


def _kept(bench: Bench) -> dict[str, Layout]:
    """The layouts, with kept axes, of the forward's names and of their gradients."""
    forward: dict[str, st.Equation] = {e.name: e for e in bench.op.equations}
    known = {*forward, *(t.name for t in bench.op.inputs)}
    forward |= {n: e for n, e in bench.closed.equations.items() if not {n, st.primal_name(n)} & known}
    return with_gradients(kept(bench.op, forward.values()))


def _score(sessions: Mapping[int, Session]) -> tuple[int, int, int]:
    """How well a convention suits: the numbers of sessions that pass, of right results, and of sessions without an error."""
    found = sessions.values()
    return sum(s.passes for s in found), sum(len(s.right) for s in found), sum(not s.error for s in found)
