"""C's spelling of loops under rows such as ``j <= i``: bounds instead of a test in the loop."""

from __future__ import annotations

from collections.abc import Iterable

from codegen.backends.native.elements import index
from codegen.backends.native.positions import whole
from codegen.backends.native.slides import bounds
from codegen.backends.native.text import CText
from codegen.backends.native.writer import Writer
from codegen.loops.matrix import MatrixAxes
from codegen.loops.nest import InnerLoop, VectorLoop
from codegen.recognise.rows import Row
from derive import syntax as st
from derive.terms.comparisons import tree_of
from derive.terms.forms import Form

__all__ = ["bands", "span_of"]


def span_of(w: Writer, loop: InnerLoop | VectorLoop) -> tuple[str, str] | None:
    """Where a loop begins and under which condition it goes on; None if it runs over its whole axis."""
    if loop.slide:
        begin, end = bounds(w, loop.slide)
        return begin, f"< {end}"
    return _range(w, loop.axis, loop.rows) if loop.rows else None


def _range(w: Writer, axis: str, rows: tuple[Row, ...]) -> tuple[str, str]:
    begins, ends = list[str](), list[str]()
    for row in rows:
        rest = row.without(axis)
        if row.coefficient(axis) < 0:
            begins += [_least(w, row, rest), *(() if _is_position(rest) else ("0",))]
        elif len(rows) == 1 and _inside(w, axis, row):
            return "0", f"<= {_most(w, row, rest)}"
        else:
            ends.append(_above(w, row, rest))
    return _folded(w, "largest", begins or ["0"]), f"< {_folded(w, 'smallest', [w.size(axis), *ends])}"


def _inside(w: Writer, axis: str, row: Row) -> bool:
    """Whether a row ends a loop at a position on an axis of the same length."""
    limit = row.without(axis).scaled(-1)
    return limit.offset == 0 and _is_position(limit) and w.size(str(limit.parts[0][0].index)) == w.size(axis)


def _is_position(form: Form) -> bool:
    """Whether a form is a single index, or one with a number added: it is at least 0."""
    return form.offset >= 0 and len(form.parts) == 1 and form.parts[0][1] == 1 and not form.parts[0][0].symbols


def _folded(w: Writer, pick: str, values: Iterable[str]) -> str:
    first, *others = dict.fromkeys(values)
    for value in others:
        w.helper(pick)
        first = f"{pick}({first}, {value})"
    return first


# ---- limits ----------------------------------------------------------------------------------------------------------------


def _above(w: Writer, row: Row, rest: Form) -> str:
    """One more than the largest ``x`` with ``x + rest <= 0``."""
    if _whole(row):
        return _number(w, rest.scaled(-1).plus(1))
    return f"-{_floored(w, rest)}" if row.strict else f"{_floored(w, rest.scaled(-1))} + 1"


def _most(w: Writer, row: Row, rest: Form) -> str:
    """The largest ``x`` with ``x + rest <= 0``."""
    if _whole(row):
        return _number(w, rest.scaled(-1))
    return f"-{_floored(w, rest)} - 1" if row.strict else _floored(w, rest.scaled(-1))


def _least(w: Writer, row: Row, rest: Form) -> str:
    """The smallest ``x`` with ``rest - x <= 0``."""
    if _whole(row):
        return _number(w, rest)
    return f"{_floored(w, rest)} + 1" if row.strict else f"-{_floored(w, rest.scaled(-1))}"


def _whole(row: Row) -> bool:
    return next(row.form.constants(), None) is None


def _floored(w: Writer, form: Form) -> str:
    """The largest whole number at most a form, whose constants need not be whole numbers."""
    w.helper("floored")
    return f"floored({_number(w, form)})"


def _number(w: Writer, form: Form) -> str:
    def other(tree: st.Tree) -> str:
        if isinstance(tree, st.Size):
            return w.size(tree.axis)
        assert isinstance(tree, st.Read)
        return w.names.tensor(tree.name)

    found: CText = whole(tree_of(form), lambda i: index(w, i), other)
    return found.code


# ---- matrix products ---------------------------------------------------------------------------------------------------------


def bands(w: Writer, axes: MatrixAxes, rows: tuple[Row, ...]) -> str:
    """What the differences inner - row, inner - column and column - row of a product lie between, as arguments."""
    pairs = ((axes.inner, axes.rows), (axes.inner, axes.columns), (axes.columns, axes.rows))
    return ", ".join(_band(w, *pair, [row for row in rows if {*pair[0], *pair[1]} >= row.indices]) for pair in pairs)


def _band(w: Writer, late: tuple[str, ...], early: tuple[str, ...], rows: list[Row]) -> str:
    least, most = list[str](), list[str]()
    for row in rows:
        rest = Row(row.without(late[0])).without(early[0])
        if row.coefficient(late[0]) < 0:
            least.append(_least(w, row, rest))
        else:
            most.append(_most(w, row, rest))
    between = f"{_folded(w, 'largest', least or ['-FAR'])}, {_folded(w, 'smallest', most or ['FAR'])}"
    return f"(band){{{between}}}" if rows else "ANY"
