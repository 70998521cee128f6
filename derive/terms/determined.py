"""Indices that equality rows determine: where ``[l = i + k - pad]``, any two of ``l``, ``i`` and ``k`` determine the third.

A loop under such a row runs over all its indices but one: the longest of those with coefficient 1 or -1. Which one that is
depends on nothing but the row and the lengths of axes. Inequalities take no loop away: they count as any condition does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from derive.terms.atoms import Atom, Condition, Exponent, Form, Hole, Index, Lookup, axis_of
from derive.terms.indices import leaves
from derive.terms.settled import substitute

__all__ = ["determined", "equality", "length", "longest", "solvable", "taken_away"]

Size = Callable[[str], int]


def equality(atom: Atom) -> Form | None:
    """The form of an equality row that determines one of its indices; None for any other atom."""
    form = atom.form if isinstance(atom, Condition) and atom.rel == "==" else None
    return form if form is not None and solvable(form) else None


def solvable(form: Form) -> list[str | Hole]:
    """The indices with coefficient 1 or -1 that occur once in a form, in the form's order."""
    occurring = [i for index in form.indices() for i in _places(index)]
    plain = (p.index for p, c in form.parts if isinstance(p.index, (str, Hole)) and not p.symbols and abs(c) == 1)
    return [i for i in plain if occurring.count(i) == 1]


def _places(index: Index) -> Iterator[Index]:
    """The names and holes in an index, also inside lookups."""
    if isinstance(index, Lookup):
        for i in index.index:
            yield from _places(i)
    else:
        yield index


def longest(indices: Iterable[str | Hole], size: Size) -> str | Hole | None:
    """The first of the indices whose axis is longest; None of no indices."""
    return max(indices, key=lambda i: length(i, size), default=None)


def length(index: str | Hole, size: Size) -> int:
    """The length of the axis that an index runs over."""
    return size(index.axis if isinstance(index, Hole) else axis_of(index))


def taken_away(rows: Iterable[Iterable[str | Hole]], size: Size) -> list[str | Hole]:
    """The indices that a loop need not run over: for each row one of its solvable indices that no row before it took."""
    taken: list[str | Hole] = []
    for row in rows:
        found = longest((i for i in row if i not in taken), size)
        taken += [] if found is None else [found]
    return taken


def determined(factors: Mapping[Atom, Exponent], size: Size) -> tuple[dict[Atom, Exponent], dict[str, frozenset[str]]]:
    """A product as a loop computes it that does not run over determined indices, and what each of these depends on.

    The rows are left out. In the place of a determined index stands a lookup by the indices that it depends on.
    """
    own = dict(factors)
    depends: dict[str, frozenset[str]] = {}
    while (found := next(((a, form) for a in own if (form := equality(a)) is not None), None)) is not None:
        row, form = found
        index = longest(solvable(form), size)
        del own[row]
        if isinstance(index, str):
            others = frozenset(i for part in form.indices() for i in leaves(part) if isinstance(i, str)) - {index}
            own = substitute(own, {index: Lookup("", tuple(sorted(others)))})
            depends = {i: (d - {index}) | others if index in d else d for i, d in depends.items()} | {index: others}
    return own, depends
