"""One step of a recurrence: the statements of a loop over steps, without the axis of the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from codegen.program import Loop, Program, Role, Statement
from derive import syntax as st
from derive.carries import first_step

ZERO = st.Num(Fraction(0))

__all__ = ["ZERO", "Body", "Handed", "body_of", "conditions_of", "in_blocks", "masks_of"]


@dataclass(frozen=True)
class Handed:
    """What one step hands to the next: a local variable, its axes, what it is before the first step, and what is handed on."""

    name: str
    axes: tuple[str, ...]
    first: st.Tree
    value: str


@dataclass(frozen=True)
class Body:
    """One step. ``at`` is the variable of the loop.

    ``slices`` are the tensors of which a step reads its own part, each by the alias that the statements have for that part.
    ``kept`` are the names that are read after the loop, each with the local variable of a step. ``last`` are those of which
    only the last step's value is read, each with the variable that hands it on.
    """

    loop: Loop
    at: str
    statements: tuple[Statement, ...]
    handed: tuple[Handed, ...]
    kept: tuple[tuple[Statement, str], ...]
    last: Mapping[str, str]
    slices: Mapping[str, st.Read] = field(default_factory=dict)
    conditions: tuple[st.Compare, ...] = ()

    def rest(self, index: Iterable[str]) -> tuple[str, ...]:
        return tuple(i for i in index if i != self.loop.axis)


def body_of(
    loop: Loop,
    program: Program,
    statements: Sequence[Statement],
    local: Callable[[str], str],
    alias: Callable[[str, int], str] = lambda name, k: f"{name}@{k}",
) -> Body:
    """The body of a loop of a program, whose ``statements`` may be held otherwise than the program has them.

    ``local`` gives names to local variables, and ``alias`` to the parts of tensors that belong to a step.
    """
    own = [s for s in statements if s.name in loop.names]
    here = {s.name: local(f"{s.name}_{loop.axis}") for s in own}
    here |= {c.name: local(f"{c.name}_{loop.axis}") for c in loop.carries}
    after = [s for s in statements if s.name not in loop.names]
    last = {s.name: here[c.name] for s in after for c in loop.carries if _last(s, loop) == c.of and not c.first}
    read = {n for s in after if s.name not in last for n in st.reads(s.tree)} | set(program.results)
    slices: dict[st.Read, str] = {}

    def sliced(tree: st.Tree) -> st.Tree:
        if isinstance(tree, st.Compare) and st.on_indices(tree):
            return tree
        if not isinstance(tree, st.Read):
            return st.rebuild(tree, sliced)
        index = tuple(i for i in tree.index if i != loop.axis)
        if tree.name in here:
            return st.Read(here[tree.name], index)
        if loop.axis not in tree.index:
            return tree
        return st.Read(slices.setdefault(tree, alias(tree.name, len(slices))), index)

    rest = [replace(s, name=here[s.name], index=tuple(i for i in s.index if i != loop.axis), tree=sliced(s.tree)) for s in own]
    handed = [Handed(here[c.name], c.rest, st.Read(c.first, c.rest) if c.first else ZERO, here[c.of]) for c in loop.carries]
    return Body(
        loop=loop,
        at=local(f"at_{loop.axis}"),
        statements=tuple(replace(s, role=Role.TEMPORARY, over="") for s in rest),
        handed=tuple(handed),
        kept=tuple((s, here[s.name]) for s in own if s.name in read),
        last=last,
        slices={alias: read for read, alias in slices.items()},
        conditions=conditions_of(loop, own),
    )


def _last(s: Statement, loop: Loop) -> str:
    """The name of which a statement reads the value at the last step, and nothing else; "" for any other statement."""
    match s.tree:
        case st.Reduce("sum", (axis,), st.Call("where", (row, st.Read(name, index), st.Num()))) if axis == loop.axis:
            if row == st.Compare("==", st.Position(axis), first_step(axis, not loop.down)) and s.index == tuple(
                i for i in index if i != axis
            ):
                return name
    return ""


def conditions_of(loop: Loop, statements: Iterable[Statement]) -> tuple[st.Compare, ...]:
    """The conditions on positions in the statements of a loop, and those on integer tensors that differ from step to step."""
    trees = [s.tree for s in statements if s.name in loop.names]
    return tuple(dict.fromkeys(c for tree in trees for c in (*masks_of(tree), *_at_steps(tree, loop.axis))))


def _at_steps(tree: st.Tree, axis: str) -> Iterator[st.Compare]:
    """The conditions on positions and integer tensors that differ from step to step."""
    for node in st.walk(tree):
        if isinstance(node, st.Compare) and st.on_indices(node) and axis in st.free_indices(node):
            yield node


def in_blocks(statements: Sequence[Statement], bodies: Sequence[Body]) -> Iterator[Statement | Body]:
    """The statements in order, those of a loop as its body."""
    of = {name: body for body in bodies for name in body.loop.names}
    seen = set[str]()
    for s in statements:
        if s.name not in of:
            yield s
        elif s.name not in seen:
            seen.update(of[s.name].loop.names)
            yield of[s.name]


def masks_of(tree: st.Tree) -> Iterator[st.Compare]:
    """The comparisons of positions in an expression, each once."""
    yield from dict.fromkeys(n for n in st.walk(tree) if isinstance(n, st.Compare) and _compares_positions(n))


def _compares_positions(tree: st.Tree) -> bool:
    return any(isinstance(n, st.Position) and isinstance(n.index, str) for n in st.walk(tree))
