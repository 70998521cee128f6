"""Reasons why torch's own op is closer, where it is, inferred from the figures and said in a few words."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from codegen.tools.accuracy.measure import Errors

__all__ = ["remarks"]

#: The error of a few roundings, in ULP of the sum of absolute terms.
ROUNDINGS = 3.0
#: An error greater than torch's by this factor does not come from the order of summation.
MUCH = 10.0

ORDER = "a few roundings, of other functions or in another order"
CANCELS = "the terms of the formula cancel, and their roundings with them"
LARGER = "what cancels in torch too is rounded in another order"
LONG = "a long sum, added in order"
FUNCTIONS = "a function of the library, which is further off there"
FLUSHED = "what is below the normal numbers is 0 there"


def remarks(groups: Iterable[tuple[str, list[Errors]]], sums: bool = True) -> tuple[str, ...]:
    """A sentence for each reason, with the rows that it holds for.

    A group is the name of a row, and the errors in one quantity at the same inputs, with torch's own last. ``sums`` says
    whether the op has a sum.
    """
    found: dict[str, dict[str, None]] = {}
    for row, (*ours, theirs) in groups:
        for e in ours:
            if why := _reason(e, theirs, LONG if sums else FUNCTIONS):
                found.setdefault(why, {})[f"{row}, {e.label}"] = None
    return tuple(f"closer in torch ({why}): {'; '.join(rows)}" for why, rows in found.items())


def _reason(ours: Errors, theirs: Errors, much: str) -> str:
    """The reason why ``theirs`` is closer; "" where ``ours`` is as close, to a tenth, or is rounded only once."""
    entry, other = _largest(ours.ulps), _largest(theirs.ulps)
    terms, their_terms = _largest(ours.of_terms), _largest(theirs.of_terms)
    if entry <= max(1.1 * other, 0.5 + 1e-9):
        return ""
    if (own := ours.flushed & ~theirs.flushed).any():
        rest = [Errors(e.label, e.name, e.ulps[~own], e.of_terms[~own], e.flushed[~own]) for e in (ours, theirs)]
        return _reason(rest[0], rest[1], much) or FLUSHED
    if terms <= ROUNDINGS:
        return CANCELS if entry > MUCH * max(terms, 1) else ORDER
    return much if terms > MUCH * their_terms else LARGER


def _largest(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.max()) if known.size else 0.0
