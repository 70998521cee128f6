"""What conditions on indices say of each other: which always hold, exclude each other, or follow from each other.

Only the difference of two forms is looked at. So ``j < i`` and ``i < j`` exclude each other, and ``i - j < 3`` follows from
``i - j < 2``; nothing is concluded from the lengths of axes.
"""

from __future__ import annotations

from fractions import Fraction

from derive.terms.atoms import Atom, Condition, Delta, Form, row
from derive.terms.forms import Part, combined

__all__ = ["decided", "excluded", "implied", "row_of"]


def decided(c: Condition) -> bool | None:
    """Whether a condition on indices holds, where its form is a number; None for any other."""
    assert isinstance(c.left, Form)
    if c.left.parts:
        return None
    return {"<=": c.left.offset <= 0, "==": c.left.offset == 0, "!=": c.left.offset != 0}[c.rel]


def row_of(atom: Atom) -> tuple[str, Form] | None:
    """The relation to 0 of a form that an atom states; None for an atom that states none."""
    if isinstance(atom, Delta):
        found = row("==", combined([(Part(atom.left), 1), (Part(atom.right), -1)]))
    elif isinstance(atom, Condition):
        found = atom
    else:
        return None
    return (found.rel, found.left) if isinstance(found.left, Form) and found.right == Fraction(0) else None


def excluded(a: Atom, b: Atom) -> bool:
    """Whether two conditions on indices never hold together."""
    one, other = row_of(a), row_of(b)
    if one is None or other is None:
        return False
    if one[0] == "!=" or other[0] == "!=":
        return {one[0], other[0]} == {"==", "!="} and one[1] == other[1]
    return any(_beyond(f.plus(g)) for f in _below(*one) for g in _below(*other))


def implied(a: Atom, b: Atom) -> bool:
    """Whether condition ``a`` holds wherever ``b`` does."""
    one, other = row_of(a), row_of(b)
    if one is None or other is None:
        return False
    if one[0] == "<=":  # a <= 0 follows from b <= 0 where a - b is a number of at most 0
        return other[0] != "!=" and any(not (f := one[1].plus(g.scaled(-1))).parts and f.offset <= 0 for g in _below(*other))
    if one[0] == "==":
        return isinstance(b, Delta) and one[1] == other[1]
    return any(_beyond(f.plus(g)) for f in (one[1], one[1].scaled(-1)) for g in _below(*other)) if other[0] != "!=" else False


def _below(rel: str, form: Form) -> tuple[Form, ...]:
    """The forms of which the relation says that they are at most 0."""
    return (form,) if rel == "<=" else (form, form.scaled(-1))


def _beyond(form: Form) -> bool:
    """Whether a form is a number above 0."""
    return not form.parts and form.offset > 0
