"""Whether a rewriting rounds worse than the form that it replaces.

Both forms are evaluated at strained points (:mod:`derive.strain.points`) with every operation rounded to float32. Each is
compared with its own value in float64, in two ways:

* ``keeps`` gives both forms the same rounded values of the forward names. The new form must be finite wherever the old form
  is, and its own error may exceed that of the old form only by a small factor.
* ``inherits`` asks whether the rounding of the forward names costs the new form more digits than the old form. An example is
  ``1 - y`` in the place of ``exp(-x)*y``, where ``y`` was rounded to 1.

For each kind of strain, the distributions of errors over all elements are compared, as a single element may be rounded well
by chance.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd edition, 2002), sections 1.4 and 1.5, for the two errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from derive import syntax as st
from derive.strain.floats import Floats, Truths, double, silent, single
from derive.strain.grid import Evaluation, Table
from derive.strain.points import Strained, emptied_points, strained_points
from derive.terms.definitions import Definition
from derive.terms.factor import to_tree
from derive.terms.style import Style
from derive.terms.sums import Read, Sum, atom_sum, sum_reads

__all__ = ["UNIT", "Emptied", "Judge", "Profile", "changed", "valid", "valid_in_float32", "worse_kinds"]

#: The unit roundoff of float32. Errors below ``FLOOR``, a few roundings, count as none.
UNIT = 2.0**-24
FLOOR = 2 * UNIT
#: Values at points with an empty axis are equal if they differ by no more than this, relative to their size plus 1.
SAME = 1e-6
#: Smaller numbers are not compared: underflow takes their digits in every form.
LEAST = 1e-30
#: The relative error up to which a value of float32 counts as right, and the largest value of float32.
RIGHT, LARGEST = 1e-3, float(2**128 - 2**104)
#: How many times larger an error may be, for each quantile of the errors of one kind. Large quantiles vary by chance.
QUANTILES = {0.25: 4.0, 0.5: 4.0, 0.75: 6.0, 0.9: 16.0}

Profile = Mapping[str, tuple[float, ...]]


class Own(NamedTuple):
    """Where a form is finite, and for each kind of strain the quantiles of the errors that its own evaluation adds.

    ``finite`` has the elements in float32, then those in float64. For the errors, the names that the form reads are given
    rounded.
    """

    finite: Truths
    errors: Profile


@silent
def changed(before: Table, after: Table) -> bool:
    """Whether a finite value of ``before`` is not finite in ``after``, or differs by more than rounding."""
    a, b = before.entries, after.entries
    return bool(np.any(np.isfinite(a) & ~(np.abs(a - b) <= SAME * (1 + np.abs(a)))))


class Emptied:
    """The values of one op's names where an axis is empty, in float64."""

    def __init__(self, points: Strained):
        self.kind, self.values = points.kinds[0], Evaluation(points.grid, points.tables, double)
        #: The names that are NaN here, such as a mean over no elements.
        self.undefined: set[str] = set()

    def define(self, name: str, index: tuple[str, ...], tree: st.Tree) -> None:
        """Evaluate a name, unless it has no entries here."""
        if not self.values.grid.count(index):
            self.values.tables[name] = Table(index, np.empty(0))
        elif np.isnan(self.values.define(name, index, tree)).any():
            self.undefined.add(name)

    def has_values(self, names: Iterable[str]) -> bool:
        """Whether all entries of the names are finite."""
        return all(bool(np.isfinite(self.values.tables[name].entries).all()) for name in names)

    def seen(self, chain: Sequence[Definition], results: Iterable[str]) -> frozenset[str]:
        """The adjoints of the chain rule whose values enter a result that has entries here, the result itself included.

        No value gets through an adjoint without entries.
        """
        found = set(results)
        for d in reversed(chain):
            if d.name in found and self.values.grid.count(d.index):
                found |= sum_reads(d.body)
        return frozenset(found)

    def keeps(self, before: st.Tree, after: st.Tree, index: tuple[str, ...], seen: bool) -> bool:
        """Whether ``after`` has the value of ``before`` wherever ``before`` is finite.

        So a sum of shares may not become 1, as it is 0 over an empty axis. A line that is not ``seen`` in a result may read
        undefined names.
        """
        if not self.values.grid.count(index) or (not seen and self.undefined & set(st.reads(after))):
            return True
        old, new = (Table(index, self.values.value(tree, index)) for tree in (before, after))
        return not changed(old, new)


class Judge:
    """The values of one op's names at its strained points, in float64 and rounded, and the errors of forms that read them.

    ``chain`` are the adjoints by the chain rule. They say which lines enter which results.
    """

    def __init__(self, op: st.Op, forward: Iterable[Definition], style: Style, chain: Sequence[Definition] = ()):
        self.style = style
        strained = strained_points(op)
        self.kinds = strained.kinds
        self.exact = Evaluation(strained.grid, strained.tables, double)
        self.given = Evaluation(strained.grid, strained.tables, double)
        self.rounded = Evaluation(strained.grid, strained.tables, single)
        self.measured: dict[tuple[Sum, tuple[str, ...]], Own] = {}
        self.kept: dict[tuple[Sum, Sum, tuple[str, ...], tuple[bool, ...]], bool] = {}
        self.emptied = [Emptied(points) for points in emptied_points(op)]
        results = [st.adjoint_name(t.name) for t in op.differentiable]
        self.seen = [emptied.seen(chain, results) for emptied in self.emptied]
        for d in forward:
            self.define(d, data=True)
        #: For each point, whether the forward names have values that count, in float32 and in float64.
        self.sound = valid(strained, self.exact)
        self.valid = valid_in_float32(op, strained, self.rounded, self.exact)
        self.grouped = Grouped(self.kinds, self.valid)

    def define(self, d: Definition, *, data: bool = False) -> None:
        """Evaluate a name, in float64 and rounded. All names that it reads must be defined.

        To other forms, a name that is ``data`` is given by its rounded value.
        """
        tree = to_tree(d.body, d.index, self.style)
        for emptied in self.emptied:
            emptied.define(d.name, d.index, tree)
        self.exact.define(d.name, d.index, tree)
        self.rounded.define(d.name, d.index, tree)
        if data:
            self.given.tables[d.name] = self.rounded.tables[d.name]
        else:
            self.given.define(d.name, d.index, tree)

    def keeps(self, before: Sum, after: Sum, index: tuple[str, ...], own: str = "") -> bool:
        """Whether ``after`` is finite where ``before`` is, and rounds no worse, in the line ``own``."""
        if not self.keeps_empty(before, after, index, own):
            return False
        old, new = self.own(before, index), self.own(after, index)
        if np.any(old.finite & ~new.finite):
            return False
        return not worse_kinds(old.errors, new.errors)

    def keeps_empty(self, before: Sum, after: Sum, index: tuple[str, ...], own: str) -> bool:
        """Whether ``after`` has the value of ``before`` wherever ``before`` is finite, at points with an empty axis."""
        seen = tuple(own in names for names in self.seen)
        key = (before, after, index, seen)
        if key not in self.kept:
            old, new = (to_tree(b, index, self.style) for b in (before, after))
            self.kept[key] = all(e.keeps(old, new, index, there) for e, there in zip(self.emptied, seen, strict=True))
        return self.kept[key]

    def inherits(self, before: Sum, after: Sum, index: tuple[str, ...]) -> bool:
        """Whether ``after`` loses more digits than ``before`` to the rounding of the names that it reads.

        Both forms have the same exact value.
        """
        truth = self.exact.value(to_tree(before, index, self.style), index)
        return bool(worse_kinds(*(self.profile(self.computed(body, index), truth) for body in (before, after))))

    def recovers(self, name: str, index: tuple[str, ...], body: Sum) -> bool:
        """Whether an expression may replace a name: it loses no more digits than the name's own computation."""
        before = atom_sum(Read(name, index))
        return self.keeps(before, body, index) and not self.inherits(before, body, index)

    def own(self, body: Sum, index: tuple[str, ...]) -> Own:
        """Where a form is finite, and the errors that its evaluation adds to the rounded names that it reads."""
        key = (body, index)
        if key not in self.measured:
            tree = to_tree(body, index, self.style)
            found, given = self.rounded.value(tree, index), self.given.value(tree, index)
            exact = self.exact.value(tree, index)
            finite = np.concatenate([_finite(found, self.valid), _finite(exact, self.sound)])
            self.measured[key] = Own(finite, self.profile(found, given))
        return self.measured[key]

    def computed(self, body: Sum, index: tuple[str, ...]) -> Floats:
        """The values of a form, computed in float32 from rounded names."""
        return self.rounded.value(to_tree(body, index, self.style), index)

    def of_name(self, name: str) -> Profile:
        """The errors of a name's rounded values against its float64 values."""
        return self.profile(self.rounded.tables[name].entries, self.exact.tables[name].entries)

    @silent
    def profile(self, found: Floats, wanted: Floats) -> Profile:
        """The quantiles of the relative errors, by kind of strain. Elements whose wanted value is not finite are left out."""
        errors = np.where(np.isfinite(wanted), np.where(found == wanted, 0.0, _relative(found, wanted)), np.nan)
        return self.grouped.quantiles(errors)


class Grouped:
    """Points by their kind, those left out that are not ``valid``."""

    def __init__(self, kinds: Sequence[str], valid: Truths):
        self.kinds, self.points = kinds, len(kinds)
        #: The valid points of each kind.
        self.places: dict[str, list[int]] = {}
        for point, kind in enumerate(kinds):
            if valid[point]:
                self.places.setdefault(kind, []).append(point)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """The points of each kind in a row. Each row is filled up with the number of points, which no point has."""
        most = max(map(len, self.places.values()), default=0)
        filled = [[*points, *[self.points] * (most - len(points))] for points in self.places.values()]
        return np.array(filled, dtype=np.intp).reshape(len(filled), most)

    def quantiles(self, errors: Floats) -> Profile:
        """The quantiles of errors, by kind; NaN is left out, and so is a kind that has no error."""
        at = errors.reshape(self.points, errors.size // self.points)
        filled = np.concatenate([at, np.full((1, at.shape[1]), np.nan)])
        ordered = np.sort(filled[self.rows].reshape(len(self.rows), self.rows.shape[1] * at.shape[1]))  # NaN last
        counts = np.count_nonzero(~np.isnan(ordered), axis=1)
        chosen = (np.array(list(QUANTILES)) * (counts[:, None] - 1)).astype(np.intp)
        rows = np.take_along_axis(ordered, np.maximum(chosen, 0), axis=1) if ordered.size else ordered
        return {kind: tuple(row) for kind, row, n in zip(self.places, rows.tolist(), counts, strict=True) if n}


def valid(strained: Strained, values: Evaluation) -> Truths:
    """For each point, whether every name is finite."""
    out = np.full(len(strained.kinds), True)
    for table in values.tables.values():
        out &= strained.all_finite(table.entries)
    return out


def valid_in_float32(op: st.Op, strained: Strained, rounded: Evaluation, exact: Evaluation) -> Truths:
    """For each point, whether every name is finite in float32, or overflows where that does no harm.

    In ``x*tanh(x**3)`` the cube may overflow. Where a variance overflows, the standard score is 0, which is finite and wrong:
    no harm is done where the outputs are finite, and every name that is finite is right.
    """
    found, sound = valid(strained, rounded), valid(strained, exact)
    if (found | ~sound).all():
        return found
    outputs, harmless = {t.name for t in op.outputs}, sound
    for name, table in exact.tables.items():
        right = _harmless(rounded.tables[name].entries, table.entries, name in outputs)
        harmless = harmless & right.reshape(len(found), -1).all(axis=1)
    return found | harmless


@silent
def _harmless(found: Floats, wanted: Floats, output: bool) -> Truths:
    """Whether each entry of a name is right, or infinite where that is right of a name that is no output."""
    right = _relative(found, wanted) <= RIGHT
    return right if output else right | (np.isinf(found) & (wanted * np.copysign(1, found) > LARGEST))


def _finite(found: Floats, valid: Truths) -> Truths:
    """For each element, whether it is finite and its point is valid."""
    return np.repeat(valid, found.size // valid.size) & np.isfinite(found)


def _relative(a: Floats, b: Floats) -> Floats:
    """The errors of ``a``, relative to ``b``, where ``b`` is finite: at most 1."""
    error = np.minimum(np.abs(a - b) / np.maximum(np.abs(b), LEAST), 1.0)
    return np.where((np.abs(b) < LEAST) & (np.abs(a) < LEAST), 0.0, np.where(np.isfinite(a), error, 1.0))


def worse_kinds(old: Profile, new: Profile) -> tuple[str, ...]:
    """The kinds of strain under which the new errors exceed the old errors by more than the factors in ``QUANTILES``."""
    none = (inf,) * len(QUANTILES)
    return tuple(
        kind
        for kind, errors in new.items()
        if any(b > f * (a + FLOOR) for f, a, b in zip(QUANTILES.values(), old.get(kind, none), errors, strict=True))
    )
