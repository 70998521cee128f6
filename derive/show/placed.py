"""Trees with a sum of positions in the place of an index."""

from __future__ import annotations

from derive import syntax as st
from derive.terms.atoms import row
from derive.terms.comparisons import comparison, form_of, place
from derive.terms.forms import Form, Part, combined
from derive.terms.indices import leaves

__all__ = ["at_position", "replaceable"]


def replaceable(tree: st.Tree, index: str) -> bool:
    """Whether a free index stands only where a sum of positions can stand: in slots of reads, and in conditions on indices."""
    match tree:
        case st.Reduce(_, bound, _) if index in bound:
            return True
        case st.Read(_, slots):
            return all(index == slot or index not in st.index_names(slot) for slot in slots)
        case st.Position(slot):
            return index == slot or index not in st.index_names(slot)
        case st.Match():
            return index not in st.own_indices(tree)
        case st.Compare() if st.on_indices(tree) and index in st.free_indices(tree):
            return _difference(tree) is not None
    return all(replaceable(part, index) for part in st.children(tree))


def at_position(tree: st.Tree, index: str, at: Form) -> st.Tree:
    """The tree with a :func:`replaceable` index at a position."""
    match tree:
        case st.Reduce(kind, bound, body):
            return tree if index in bound else st.Reduce(kind, *_inside(bound, body, index, at))
        case st.Read(name, slots) if index in slots:
            return _read(name, tuple(place(at) if i == index else st.Position(i) for i in slots))
        case st.AffineRead(name, slots) if index in st.free_indices(tree):
            return _read(name, tuple(_moved(slot, index, at) for slot in slots))
        case st.Compare() if st.on_indices(tree) and index in st.free_indices(tree):
            form = _difference(tree)
            assert form is not None
            found = row(tree.rel, _substituted(form, index, at))
            assert found.form is not None
            return comparison(found.rel, found.form)
    return st.rebuild(tree, lambda part: at_position(part, index, at))


def _inside(bound: tuple[str, ...], body: st.Tree, index: str, at: Form) -> tuple[tuple[str, ...], st.Tree]:
    """The indices and the body of a reduction, with primes at the indices that the position has too."""
    taken = {str(i) for position in at.indices() for i in leaves(position)}
    if index in st.free_indices(body) and taken & set(bound):
        every = taken | set(st.free_indices(body))
        apart: dict[str, st.Index] = {}
        for i in bound:
            apart[i] = st.fresh_index(i, every) if i in taken else i
            every.add(str(apart[i]))
        bound, body = tuple(map(str, apart.values())), st.rename(body, apart)
    return bound, at_position(body, index, at)


def _read(name: str, slots: tuple[st.Tree, ...]) -> st.Tree:
    """A read at these positions; a plain one where each is an index."""
    plain = tuple(slot.index for slot in slots if isinstance(slot, st.Position))
    return st.Read(name, plain) if len(plain) == len(slots) else st.AffineRead(name, slots)


def _moved(slot: st.Tree, index: str, at: Form) -> st.Tree:
    form = form_of(slot)
    assert form is not None, "every slot is a sum of positions"
    return place(_substituted(form, index, at))


def _difference(tree: st.Compare) -> Form | None:
    """The form that a comparison of positions compares with 0."""
    left, right = form_of(tree.left), form_of(tree.right)
    return None if left is None or right is None else left.plus(right.scaled(-1))


def _substituted(form: Form, index: str, at: Form) -> Form:
    """The form with another form in the place of an index."""
    out = combined([], form.offset)
    for part, c in form.parts:
        if part.index == index:
            moved = at.times(Form(((Part(None, part.symbols), 1),)) if part.symbols else Form((), 1))
            assert moved is not None, "a product of lengths and constants has no position"
            out = out.plus(moved.scaled(c))
        else:
            out = out.plus(combined([(part, c)]))
    return out
