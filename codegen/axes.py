"""In which order expressions and loops have their axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from derive import syntax as st


def merge(sequences: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All axes in one order that respects each sequence's own. Where two sequences disagree, the earlier sequence decides."""
    rows = [list(s) for s in sequences if s]
    names = list(dict.fromkeys(n for row in rows for n in row))
    out: list[str] = []
    while names:
        ready = [n for n in names if not any(n in r and any(m in names for m in r[: r.index(n)]) for r in rows)]
        pick = ready[0] if ready else names[0]
        out.append(pick)
        names.remove(pick)
    return tuple(out)


def tensor_axes(index: tuple[st.Index, ...]) -> tuple[str, ...]:
    """The axes of a read. A lookup has, in its position, the axes of its labels."""
    out: list[str] = []
    for i in index:
        out.extend(n for n in st.index_names(i) if n not in out)
    return tuple(out)


def natural_order(tree: st.Tree, first: Sequence[str] = ()) -> tuple[str, ...]:
    """The axes of an expression in the order in which its widest tensors hold them, after ``first``."""
    rows = [tensor_axes(n.index) for n in st.walk(tree) if isinstance(n, st.Read)]
    rows += [tuple(n for i in (m.left, m.right) for n in st.index_names(i)) for m in st.walk(tree) if isinstance(m, st.Match)]
    rows += [tuple(st.index_names(p.index)) for p in st.walk(tree) if isinstance(p, st.Position)]
    return merge([*sorted(rows, key=len, reverse=True), tuple(first)])


def lengths_used(index: tuple[str, ...], tree: st.Tree) -> set[str]:
    """The axes over which a statement loops, and those whose lengths it mentions."""
    found = {st.axis_of(i) for i in index}
    for node in st.walk(tree):
        match node:
            case st.Read(_, slots) | st.Reduce(_, slots, _):
                found |= {st.axis_of(i) for slot in slots for i in st.index_names(slot)}
            case st.Match(left, right):
                found |= {st.axis_of(i) for slot in (left, right) for i in st.index_names(slot)}
            case st.Position(slot):
                found |= {st.axis_of(i) for i in st.index_names(slot)}
            case st.Size(axis):
                found.add(axis)
    return found
