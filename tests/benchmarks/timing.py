"""The measurement: sides in turn, the floor before and after each, medians.

Bandwidth drifts by a factor of several within seconds, so nothing here compares what was not measured side by side.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from . import problem
from .cases import Case
from .sides import AUTOGRAD, COMPARED, Side


@dataclass(frozen=True)
class Budget:
    """How long to measure a case, in seconds; ``least`` rounds are made whatever they take, and never more than ``most``.

    ``short`` is what a sample lasts at least, in seconds: a shorter call is repeated in it.
    """

    seconds: float
    large_seconds: float
    least: int
    most: int = 60
    short: float = 2e-3


@dataclass(frozen=True)
class Timing:
    """The samples of a side: seconds a call, and for each the mean of the floors around it, where there is one.

    ``faults`` is the number of pages that a call maps, ``started`` the seconds until the first result was there, compilation
    included, and ``problem`` says why there are no samples.
    """

    side: str
    seconds: tuple[float, ...] = ()
    floors: tuple[float, ...] = ()
    faults: int = 0
    started: float = 0.0
    problem: str = ""

    @property
    def median(self) -> float:
        """Seconds a call; NaN without samples."""
        return statistics.median(self.seconds) if self.seconds else float("nan")

    @property
    def spread(self) -> float:
        """The middle half of the samples, over their median."""
        if len(self.seconds) < 3:
            return float("nan")
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / self.median

    @property
    def floor_ratio(self) -> float:
        """The median over the floor; NaN without a floor."""
        return self.median / statistics.median(self.floors) if self.floors else float("nan")


@dataclass(frozen=True)
class Measurement:
    """The timings of all sides of a case in one regime, with the floor of the sides that do not work in place.

    ``floor`` is in seconds, ``bytes`` what it moves; both 0 where there is none.
    """

    op: str
    what: str
    shape: str
    regime: str
    floor: float
    bytes: int
    timings: tuple[Timing, ...]

    @property
    def title(self) -> str:
        return f"{self.op} {self.what}, {self.shape}"

    def of(self, side: str) -> Timing:
        """The timing of a side; one without samples if it was not there."""
        return next((t for t in self.timings if t.side == side), Timing(side))

    def ratio(self, side: str, to: str) -> float:
        """How many times as fast as another a side is, by medians; NaN where either is missing."""
        return self.of(to).median / self.of(side).median


@dataclass
class _Running:
    """A side under measurement."""

    side: Side
    call: Callable[[], Any]
    count: int  # calls a sample
    once: float  # seconds a call, as first seen
    seconds: list[float]
    floors: list[float]
    faults: list[int]
    started: float


def measure(case: Case, regime: str, sides: Sequence[Side], budget: Budget) -> Measurement:
    """Check every side against torch, then time them in turn."""
    failed: dict[str, str] = {}
    running: list[_Running] = []
    expected: list[Any] = []
    for side in sides:
        start = time.perf_counter()
        try:
            call = side.build()
            results = problem.flat(call())
            if side.name == AUTOGRAD:
                expected = [r.clone() for r in results]
            started = time.perf_counter() - start
            wrong = problem.disagreement(results, expected)
            del results
        except Exception as error:  # torch.compile without a compiler, say: no reason to lose the other sides
            wrong = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        if wrong:
            failed[side.name] = wrong
        else:
            running.append(_warmed(side, call, budget.short, started))
    expected.clear()
    floor = next((r.side.floor for r in running if r.side.floor is not None), None)
    floors = _rounds(running, budget.large_seconds if case.large else budget.seconds, budget)
    timings = {name: Timing(name, problem=text) for name, text in failed.items()}
    for r in running:
        faults = int(statistics.median(r.faults))
        timings[r.side.name] = Timing(r.side.name, tuple(r.seconds), tuple(r.floors), faults, r.started)
    return Measurement(
        case.op,
        case.what,
        case.shape,
        regime,
        statistics.median(floors) if floors else 0.0,
        floor.bytes if floor else 0,
        tuple(timings[s.name] for s in sides),
    )


def _warmed(side: Side, call: Callable[[], Any], short: float, started: float) -> _Running:
    """Find how many calls make a sample of a function that was called once before."""
    once, count = _sample(call, 1), 1
    if once < short:
        once = min(_sample(call, 5) for _ in range(3))
        count = max(1, round(short / once))
    return _Running(side, call, count, once, [], [], [], started)


def _rounds(running: list[_Running], seconds: float, budget: Budget) -> list[float]:
    """Rounds until the time is over; the floors of the sides that do not work in place, in seconds."""
    shared: list[float] = []
    common = running[0].side.floor if running else None
    stop = time.perf_counter() + seconds
    enabled = gc.isenabled()
    gc.disable()
    try:
        for number in range(budget.most):
            if number >= budget.least and time.perf_counter() > stop:
                break
            # Another order each time, so that no side always follows the same one.
            for k in range(len(running)):
                one = running[(k + number) % len(running)]
                if number % _every(one):
                    continue
                floor = one.side.floor
                before = _floor_sample(floor, budget) if floor else 0.0
                if one.once < 5e-3:
                    one.call()  # what the floor displaced from the caches is back when the sample begins
                mapped = _faults()
                taken = _sample(one.call, one.count)
                one.faults.append((_faults() - mapped) // one.count)
                one.seconds.append(taken)
                if floor:
                    after = _floor_sample(floor, budget)
                    one.floors.append((before + after) / 2)
                    if floor is common:
                        shared += [before, after]
            gc.collect(0)
    finally:
        if enabled:
            gc.enable()
    return shared


def _every(one: _Running) -> int:
    """In which rounds a side takes part: a slow one that no bar needs in fewer."""
    return 1 if one.side.name in COMPARED else min(3, 1 + int(one.once / 0.2))


def _floor_sample(floor: Any, budget: Budget) -> float:
    """Seconds that the floor takes; where it is short, the mean of several."""
    start = time.perf_counter()
    floor.call()
    once = time.perf_counter() - start
    return once if once > budget.short else _sample(floor.call, max(1, min(20, round(budget.short / once / 2))))


def _sample(call: Callable[[], Any], count: int) -> float:
    """Seconds a call, over that many; a result is given back before the next call, inside the time."""
    start = time.perf_counter_ns()
    for _ in repeat(None, count):
        call()
    return (time.perf_counter_ns() - start) / count / 1e9


def _faults() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
