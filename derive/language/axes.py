"""Which axes of an op must have the same length."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from derive import syntax as st


def equal_axes(op: st.Op) -> dict[str, str]:
    """A map from every axis to the first of the axes that must have its length, because equations read one as the other."""
    axes = {t.name: t.axes for t in op.inputs} | {e.name: e.index for e in op.equations} | {c.name: () for c in op.constants}
    axes |= {c.name: c.axes for c in op.carries}
    labels = {t.name: t.indexed for t in op.inputs} | {e.name: e.labels for e in op.equations}
    root: dict[str, str] = {st.axis_of(a): st.axis_of(a) for index in axes.values() for a in index}
    root |= {a: a for a in labels.values() if a and a not in root}
    root |= {a: a for a, _ in (*op.packing.lengths, *op.declared.lengths) if a not in root}

    def join(a: str, b: str) -> None:
        one, other = (root.setdefault(st.axis_of(x), st.axis_of(x)) for x in (a, b))
        for axis, r in root.items():
            if r == other:
                root[axis] = one

    def slot(axis: str, index: st.Index) -> None:
        if isinstance(index, st.Lookup):
            join(axis, labels[index.name] or axis)
            read(index.name, index.index)
        else:
            join(axis, index)

    def read(name: str, index: tuple[st.Index, ...]) -> None:
        for axis, i in zip(axes[name], index, strict=True):
            slot(axis, i)

    for equation in op.equations:
        for node in st.walk(equation.rhs):
            if isinstance(node, st.Read):
                read(node.name, node.index)
            elif isinstance(node, st.Position) and isinstance(node.index, st.Lookup):
                read(node.index.name, node.index.index)
            elif isinstance(node, st.Match):
                left, right = node.left, node.right
                at = left if isinstance(left, str) else labels[left.name]
                assert at is not None
                slot(at, left)
                slot(at, right)
    return root


def indices_read_as(tensors: Mapping[str, st.Tensor], equations: Iterable[st.Equation]) -> set[tuple[str, str]]:
    """Every pair of an index and of an axis that it reads somewhere: their lengths are equal."""
    found: set[tuple[str, str]] = set()
    for e in equations:
        for node in st.walk(e.rhs):
            if isinstance(node, st.Read) and node.name in tensors:
                slots = zip(node.index, tensors[node.name].axes, strict=True)
                found |= {(st.axis_of(i), st.axis_of(a)) for i, a in slots if isinstance(i, str)}
                for i in node.index:
                    if not isinstance(i, str):
                        inner = zip(st.index_names(i), tensors[i.name].axes, strict=False)
                        found |= {(st.axis_of(j), st.axis_of(a)) for j, a in inner}
    return found
