"""Which axes of a contraction are the rows, the columns and the inner dimension of a matrix product."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.recognise.rows import Row
from derive import syntax as st


@dataclass(frozen=True)
class MatrixAxes:
    """The axes of ``out[batch, rows, columns] = sum[inner](left*right)``. If ``swapped``, ``left`` has the columns."""

    batch: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    inner: tuple[str, ...]
    swapped: bool

    def banded(self, row: Row) -> bool:
        """Whether a row bounds the difference of two of the product's three indices, where each stands for one axis."""
        roles = [group[0] for group in (self.rows, self.columns, self.inner) if len(group) == 1]
        own = [i for i in roles if i in row.indices]
        grouped = row.indices & {*self.rows, *self.columns, *self.inner}
        return len(own) == len(grouped) == 2 and sorted(map(row.coefficient, own)) == [-1, 1]


def matrix_axes(left: st.Read, right: st.Read, index: tuple[str, ...], reduced: tuple[str, ...]) -> MatrixAxes | None:
    """The roles of the axes; None where the axes of one role are not adjacent in a tensor that has them."""
    a, b = (tuple(str(i) for i in r.index) for r in (left, right))
    batch = tuple(i for i in index if i in a and i in b)
    first, second = tuple(i for i in index if i in a and i not in b), tuple(i for i in index if i in b and i not in a)
    inner = tuple(i for i in a if i in reduced)
    if {*a, *b} != {*index, *reduced} or index[: len(batch)] != batch or not inner:
        return None
    swapped = index == (*batch, *second, *first) and index != (*batch, *first, *second)
    if not swapped and index != (*batch, *first, *second):
        return None
    groups = {a: (batch, first, inner), b: (batch, second, inner)}
    for axes, parts in groups.items():
        if axes[: len(batch)] != batch or not all(_adjacent(p, axes) for p in parts[1:]):
            return None
    rows, columns = (second, first) if swapped else (first, second)
    return MatrixAxes(batch, rows, columns, inner, swapped)


def _adjacent(group: tuple[str, ...], axes: tuple[str, ...]) -> bool:
    if not group:
        return True
    start = axes.index(group[0])
    return axes[start : start + len(group)] == group
