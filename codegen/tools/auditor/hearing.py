"""A submission heard at every number of axes for ``*s``, with statistics as the equations have them and with kept axes.

Both are conventions of whoever calls a backward, so one of the two is enough. The numbers of axes are not: code that is right
for rows alone gives something else for batches of rows, or raises.
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

#: Errors up to here, of the largest sum of terms, are those of float32.
COARSE = 1e-5
#: The numbers of axes that ``*s`` is tried with: the usual one first.
RANKS = (1, 0, 2)


def asked(op: st.Op) -> tuple[int, ...]:
    """The numbers of axes that code is to serve: one and two, and none where at least two axes are left then.

    A vector that is no row of a matrix, and a lone number, are cases that nobody writes code for.
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
        """What is judged: the outputs that come with the gradients, and these."""
        submission = self.bench.submission
        return (*submission.outputs, *submission.gradients)

    @property
    def passes(self) -> bool:
        return len(self.right) == len(self.judged)

    @property
    def coarse(self) -> bool:
        """Whether all that is wrong is off by no more than float32 is."""
        wrong = [g for g in self.judged if g not in self.right]
        return all(t.compare(g).largest <= COARSE for t in self.trials for g in wrong)

    @cached_property
    def error(self) -> Raised | None:
        """What it raised, where it raised in every trial."""
        errors = [t.error for t in self.trials]
        return errors[0] if all(errors) else None

    def failed(self, name: str) -> Trial:
        """A trial on which a name is wrong."""
        return next(t for t in self.trials if not t.compare(name).right)


@dataclass(frozen=True)
class Hearing:
    """The sessions of one submission by the number of axes, under the convention for statistics that suits it best.

    ``others`` are those under the other one. ``main`` is the session that findings are taken from.
    """

    sessions: Mapping[int, Session]
    others: Mapping[int, Session]
    main: Session

    def wrong_elsewhere(self, name: str) -> Session | None:
        """A session at another number of axes that runs, and gives something else than the gradient.

        Under the other convention it is to have the shape of the gradient: else that one is not meant.
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
    """The hearing of a submission. ``ranks`` are the numbers of axes that it is to serve, ``layouts`` what was declared."""
    submission = _with_library(submission, lambda s: _session(Bench(closed, chain, s, dtype, ranks[0], layouts)))
    bench = Bench(closed, chain, submission, dtype, ranks[0], {**with_gradients(submission.layouts), **layouts})
    conventions = [_sessions(b, ranks) for b in _conventions(bench)]
    best = max(conventions, key=_score)
    others = next((c for c in conventions if c is not best), {})
    main = max(best.values(), key=lambda s: (s.passes, len(s.right), not s.error))
    return Hearing(best, others, main)


def _with_library(submission: Submission, session: Callable[[Submission], Session]) -> Submission:
    """The submission with the library that its arrays are of: the first whose arrays it takes and gives back.

    Else the first whose arrays are no error, or the first of all.
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
    """The bench with statistics as the equations have them, and with kept axes where that makes a difference."""
    found = {n: x for n, x in _kept(bench).items() if n not in bench.layouts}
    shown = {n: x for n, x in found.items() if n in bench.submission.parameters}
    if not shown:
        return [bench]
    return [
        bench,
        replace(bench, layouts={**bench.layouts, **shown}, optional={n: x for n, x in found.items() if n not in shown}),
    ]


def _kept(bench: Bench) -> dict[str, Layout]:
    """The layouts with kept axes of the names of the forward, and of their gradients."""
    forward: dict[str, st.Equation] = {e.name: e for e in bench.op.equations}
    known = {*forward, *(t.name for t in bench.op.inputs)}
    forward |= {n: e for n, e in bench.closed.equations.items() if not {n, st.primal_name(n)} & known}
    return with_gradients(kept(bench.op, forward.values()))


def _score(sessions: Mapping[int, Session]) -> tuple[int, int, int]:
    """How well a convention suits: where all is right, how much is, and where it runs."""
    found = sessions.values()
    return sum(s.passes for s in found), sum(len(s.right) for s in found), sum(not s.error for s in found)
