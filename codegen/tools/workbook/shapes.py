"""A result of a wrong shape, told by the names of its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from codegen.tools.auditor.trial import Trial

__all__ = ["misshapen"]


def misshapen(name: str, trials: Sequence[Trial]) -> str:
    """The axes of a result beside those of its gradient: ``dW is [200, 30] = (h, k); expected [30, 200] = (k, h)``."""
    trial = trials[0]
    assert trial.got is not None
    if name not in trial.got:
        return ""
    got, groups = trial.got[name].shape, trial.bench.layout(name).groups
    axes = ["·".join(group) for group in groups]
    found = _named(got, trials, name)
    expected = f"{list(trial.caller_shape(name))} = ({', '.join(axes)})" if axes else "a number"
    if found is None:
        return f"{name} is {list(got)}; expected {expected}"
    transposed = ": transposed" if len(axes) == 2 and found == axes[::-1] else ""
    shown = f"{list(got)} = ({', '.join(found)})" if got else "a number"
    return f"{name} is {shown}; expected {expected}{transposed}"


def _named(got: tuple[int, ...], trials: Sequence[Trial], name: str) -> list[str] | None:
    """The axes of a result, each found by its lengths on all samples; None where a length is no axis' own."""
    out = []
    for at in range(len(got)):
        shapes = [(t.got or {})[name].shape for t in trials if name in (t.got or {})]
        if any(len(s) != len(got) for s in shapes):
            return None
        lengths = [s[at] for s in shapes]
        fits = [n for n, found in _lengths(trials).items() if found == lengths]
        if not fits:
            return None
        out.append(fits[0])
    return out


def _lengths(trials: Sequence[Trial]) -> Mapping[str, list[int]]:
    """The lengths, on each sample, that an axis of a result may have: those of the op's axes, of two side by side, and 1."""
    axes = list(trials[0].sample.sizes)
    single = {a: [t.sample.sizes[a] for t in trials] for a in axes}
    pairs = {f"{a}·{b}": [m * n for m, n in zip(single[a], single[b], strict=True)] for a, b in combinations(axes, 2)}
    return {**single, "1": [1] * len(trials), **pairs}
