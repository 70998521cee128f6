"""Statements that need not take packed axes apart.

Where a statement has the axes ``b, e`` of a packed axis only side by side, it has the packed axis itself: the sum over b and e
of ``embcat[n, (b, e)]*W1[(b, e), u]`` is ``embcat @ W1``. Here such statements get one axis for both. Tensors are held packed
where all statements that read or write them can have them so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from codegen.program import Statement
from derive import syntax as st
from derive.packing import Packing, Slot

__all__ = ["APART", "Repacked", "repacked"]


@dataclass(frozen=True)
class Repacked:
    """Statements in which some packed axes are single axes.

    ``joined`` has the axes that each new axis stands for. ``axes`` has the axes of every tensor as it is held in memory.
    """

    statements: tuple[Statement, ...]
    joined: Mapping[str, Slot] = field(default_factory=dict)
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def widths(self, index: Iterable[st.Index]) -> tuple[int, ...]:
        """How many axes of the equations each index stands for."""
        return tuple(len(self.joined.get(st.axis_of(i), (i,))) if isinstance(i, str) else 1 for i in index)

    def of_width(self, name: str, index: tuple[st.Index, ...]) -> list[Slot]:
        """The axes of a tensor, packed as an index reads them."""
        flat = [a for axis in self.axes[name] for a in self.joined.get(axis, (axis,))]
        ends = list(accumulate(self.widths(index)))
        return [tuple(flat[end - n : end]) for n, end in zip(self.widths(index), ends, strict=True)]

    def apart(self, name: str, index: tuple[st.Index, ...]) -> bool:
        """Whether a tensor is held with other axes packed than it is read, or written, with."""
        return name in self.axes and self.widths(self.axes[name]) != self.widths(index)


#: Nothing is packed.
APART = Repacked(())


def repacked(
    statements: Sequence[Statement], tensors: Mapping[str, tuple[str, ...]], packing: Packing, *, fixed: bool = False
) -> Repacked:
    """The statements with packed axes left together where that saves taking tensors apart.

    ``tensors`` are the arguments and those results whose shape is the caller's, with their axes; all other names are free.
    If ``fixed``, the former are held as the caller has them; else where no statement takes them apart.
    """
    if not packing.tensors:
        return Repacked(tuple(statements))
    read = {n for s in statements for n in st.reads(s.tree)}
    names = {n: axes for n, axes in tensors.items() if n in read} | {s.name: s.index for s in statements}
    taken = {st.axis_of(i) for index in names.values() for i in index} | set(names)
    found = Repacked(tuple(statements), {}, dict(names))
    groups = dict.fromkeys(slot for n, axes in names.items() for slot in packing.slots(n, axes) if len(slot) > 1)
    for group in groups:
        joint = "".join(group)
        while joint in taken:
            joint += "_"
        taken.add(joint)
        found = _Group(group, joint, packing, frozenset(tensors), fixed).joined(found)
    return found


@dataclass(frozen=True)
class _Group:
    """One packed axis: the axes that it packs, the name of the axis that they make together, and the callers' tensors.

    ``fixed`` says that the latter are held as the callers have them.
    """

    group: Slot
    joint: str
    packing: Packing
    callers: frozenset[str]
    fixed: bool

    def joined(self, found: Repacked) -> Repacked:
        able = {s.name for s in found.statements if self.able(s)}
        touching = {n: [s for s in found.statements if n == s.name or n in set(st.reads(s.tree))] for n in found.axes}
        # Whether it is packed for the caller, or may be held as is best.
        packed = {n for n, axes in found.axes.items() if self.group in self.packing.slots(n, axes)}
        free = {n for n in found.axes if n not in self.callers and all(s.name in able for s in touching[n])}
        chosen = {s.name for s in found.statements if s.name in able and self.pays(s, found, packed, packed | free)}
        held = {n for n in packed | free if all(s.name in chosen for s in touching[n])}
        held |= packed & self.callers if self.fixed else set()
        if not chosen and not held:
            return found
        return replace(
            found,
            statements=tuple(self.statement(s) if s.name in chosen else s for s in found.statements),
            joined={**found.joined, self.joint: self.group},
            axes={n: self.index(axes) if n in held else axes for n, axes in found.axes.items()},
        )

    def able(self, s: Statement) -> bool:
        """Whether the statement has the axes of the group only side by side, and nothing that depends on one of them."""
        return self.together(s.index) and all(map(self.node, st.walk(s.tree)))

    def node(self, node: st.Tree) -> bool:
        match node:
            case st.Read(_, index):
                plain = all(isinstance(i, str) for i in index) and len(set(index)) == len(index)
                return self.together(index) and (plain or not any(self.run(index, k) for k in range(len(index))))
            case st.Size(axis):
                return axis not in self.group
            case st.Match(left, right):
                return not any(st.axis_of(i) in self.group for slot in (left, right) for i in st.index_names(slot))
            case st.Position(slot):
                return not any(st.axis_of(i) in self.group for i in st.index_names(slot))
            case st.Reduce(kind, index, _):
                own = sorted((i for i in index if st.axis_of(i) in self.group), key=lambda i: self.group.index(st.axis_of(i)))
                return not own or (kind != "mean" and self.together(tuple(own)))
        return True

    def together(self, index: tuple[st.Index, ...]) -> bool:
        rest: list[st.Index] = []
        k = 0
        while k < len(index):
            run = self.run(index, k)
            rest += [] if run else [index[k]]
            k += len(self.group) if run else 1
        return not any(st.axis_of(i) in self.group for slot in rest for i in st.index_names(slot))

    def run(self, index: tuple[st.Index, ...], k: int) -> str:
        """The joint index of the group's axes at position ``k``, with its primes; "" where they do not stand there."""
        part = index[k : k + len(self.group)]
        plain = [i for i in part if isinstance(i, str)]
        if len(plain) != len(self.group) or tuple(map(st.axis_of, plain)) != self.group:
            return ""
        primes = {i.removeprefix(st.axis_of(i)) for i in plain}
        return self.joint + primes.pop() if len(primes) == 1 else ""

    def pays(self, s: Statement, found: Repacked, packed: set[str], either: set[str]) -> bool:
        """Whether no more tensors must be reshaped where the axes are together than where they are apart."""
        reads = {n for n in st.reads(s.tree) if n in found.axes and set(self.group) <= set(found.axes[n])}
        here = {*reads, s.name} if set(self.group) <= set(s.index) else reads
        together, apart = len(here - either), len(here & packed)
        return apart > 0 and together <= apart

    # ---- the statement with one axis for the group ----------------------------------------------------------------

    def statement(self, s: Statement) -> Statement:
        return replace(s, index=self.index(s.index), tree=self.tree(s.tree))

    def tree(self, node: st.Tree) -> st.Tree:
        match node:
            case st.Read(name, index):
                return st.Read(name, self.index(index))
            case st.Reduce(kind, index, body):
                own = [i for i in index if st.axis_of(i) in self.group]
                ordered = sorted(own, key=lambda i: self.group.index(st.axis_of(i)))
                first = [i for i in index if i not in own[1:]]
                kept = [self.run(tuple(ordered), 0) if i in own else i for i in first]
                return st.Reduce(kind, tuple(kept), self.tree(body))
        return st.rebuild(node, self.tree)

    def index(self, index: tuple[st.Index, ...]) -> tuple:  # type: ignore[type-arg]
        out: list[st.Index] = []
        k = 0
        while k < len(index):
            run = self.run(index, k)
            out.append(run or index[k])
            k += len(self.group) if run else 1
        return tuple(out)
