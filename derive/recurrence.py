"""Recurrences: the op of one step, the groups of equations that step together, and equations in which steps are unrolled.

What a recurrence carries is an input of its *step op*, and what it hands to the next step is an output. The step op has no
cycle, so that every stage of the engine works on it as on any op: nothing is inlined across a step. The adjoint of a carry is a
carry that runs the other way: ``dh_next[n, t, k] = dh_prev[n, t + 1, k]``, and the adjoint of the first value is
``dh_prev[n, 0, k]``.
Source: Werbos, Backpropagation through time: what it does and how to do it, Proceedings of the IEEE 78 (1990).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from derive import syntax as st
from derive.renaming import renamed_tree

__all__ = [
    "Wrong",
    "adjoint_carries",
    "carried_wrongly",
    "first_adjoints",
    "group_of",
    "moved",
    "opened",
    "parts",
    "read_recurrences",
    "received",
    "shifted",
    "step_op",
    "unrolled",
    "unrolled_op",
]

ZERO = st.Num(Fraction(0))


@dataclass(frozen=True)
class Wrong:
    """What is wrong with the equation of a name."""

    name: str
    said: str


def step_op(op: st.Op) -> st.Op:
    """The op whose inputs are also what the steps before hand on, and whose outputs are also what the steps hand on."""
    handed = dict.fromkeys(st.Tensor(c.of, c.axes) for c in op.carries)
    firsts = [st.Tensor(c.first, c.rest) for c in op.carries if c.first]
    return replace(
        op,
        carries=(),
        inputs=(*op.inputs, *(st.Tensor(c.name, c.axes) for c in op.carries)),
        outputs=(*op.outputs, *(t for t in handed if t not in op.outputs), *firsts),
    )


def opened(op: st.Op) -> st.Op:
    """The op of one step with a name of its own for all that steps hand on, so that each has its own upstream gradient.

    The adjoint of ``h_next`` is what the next step sends back, apart from the upstream gradient of ``h``. An op without
    recurrences stays as it is.
    """
    step = step_op(op)
    handed = tuple(st.Tensor(c.next, c.axes) for c in op.carries)
    firsts = tuple(st.Tensor(c.first, c.rest) for c in op.carries if c.first)
    copies = tuple(st.Equation(c.next, c.axes, st.Read(c.of, c.axes)) for c in op.carries)
    return replace(step, outputs=(*op.outputs, *handed, *firsts), equations=(*step.equations, *copies)) if op.carries else op


def read_recurrences(op: st.Op) -> st.Op:
    """The op without the recurrences on which no output depends, which would hand adjoints back that come from nowhere."""
    reads = {e.name: set(st.reads(e.rhs)) for e in op.equations}
    edges = {**reads, **{c.name: {c.of, c.first} for c in op.carries}}
    results = {t.name for t in op.results}
    read = _reached(results, edges) | results
    left = {c.name for c in op.carries if c.name not in read}
    left |= {c.first for c in op.carries} - read
    if not left:
        return op
    equations = tuple(e for e in op.equations if e.name in read or not ({e.name} | _reached({e.name}, edges)) & left)
    return replace(op, equations=equations, carries=tuple(c for c in op.carries if c.name in read))


def adjoint_carries(op: st.Op) -> tuple[st.Carry, ...]:
    """What the adjoints carry: the adjoint of ``next`` is what the adjoint of the carry was one step later."""
    adjoint = st.adjoint_name
    return tuple(replace(c, name=adjoint(c.next), of=adjoint(c.name), down=not c.down, first="") for c in op.carries)


def received(op: st.Op) -> dict[str, str]:
    """The upstream gradients of the step op that are others than those of the op, and what they are there.

    What is an output and is carried receives its upstream gradient and what the next step sends: the adjoint of ``step``.
    """
    outputs = {t.name for t in op.outputs}
    return {st.adjoint_name(c.of): st.adjoint_name(c.step if c.of in outputs else c.next) for c in op.carries}


def first_adjoints(op: st.Op) -> tuple[st.Equation, ...]:
    """The adjoints of the first values: what the adjoints of the carries are at the first step."""
    adjoint = st.adjoint_name
    reads = ((c, st.Read(adjoint(c.name), c.axes)) for c in op.carries if c.first)
    return tuple(st.Equation(adjoint(c.first), c.rest, st.Reduce("sum", (c.axis,), at_first(c, read))) for c, read in reads)


# ---- groups ----------------------------------------------------------------------------------------------------------------


def group_of(carry: st.Carry, reads: Mapping[str, Collection[str]], carries: Iterable[st.Carry]) -> frozenset[str]:
    """The names that step together with a carry: they depend on it, and it on them. ``reads`` says what each name reads."""
    edges = {**{n: set(r) for n, r in reads.items()}, **{c.name: {c.of} for c in carries}}
    behind = _reached({carry.name}, edges)
    back: dict[str, set[str]] = {}
    for name, read in edges.items():
        for other in read:
            back.setdefault(other, set()).add(name)
    return frozenset(behind & _reached({carry.name}, back))


def _reached(names: set[str], edges: Mapping[str, Collection[str]]) -> set[str]:
    found, todo = set[str](), list(names)
    while todo:
        for other in edges.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return found


def carried_wrongly(op: st.Op) -> Wrong | None:
    """What is wrong with the recurrences of an op; None if nothing is."""
    reads = {e.name: set(st.reads(e.rhs)) for e in op.equations}
    for c in op.carries:
        group = group_of(c, reads, op.carries)
        for other in op.carries:
            if other.name in group and (other.axis, other.down) != (c.axis, c.down):
                ways = {False: "t - 1", True: "t + 1"}
                who = f"'{c.of}' and '{other.of}' step together" if c.of != other.of else f"'{c.of}' is carried twice"
                said = f"{who}, and so along one axis and one way"
                if other.axis == c.axis:
                    said += f": both at {ways[c.down].replace('t', c.axis)}, or both at {ways[not c.down].replace('t', c.axis)}"
                return Wrong(c.of, said)
        for e in op.equations:
            if e.name not in group:
                continue
            if _reached({c.first}, reads) & group:
                return Wrong(c.of, f"the first value of '{c.of}' depends on '{c.of}' itself")
            if c.axis not in e.index:
                said = f"'{e.name}' is part of the recurrence of '{c.of}' and has no axis '{c.axis}'"
                return Wrong(e.name, f"{said}: a step reads the step before, and no other")
            for node in st.walk(e.rhs):
                if isinstance(node, st.Read) and node.name in group and node.index[_place(op, node.name, c)] != c.axis:
                    said = f"'{e.name}' reads '{op_name(op, node.name)}' at other steps than its own and the one before"
                    return Wrong(e.name, f"{said}; name '{op_name(op, node.name)}' one step back and carry that further")
    return None


def op_name(op: st.Op, name: str) -> str:
    """A name as the author wrote it."""
    return next((c.of for c in op.carries if c.name == name), name)


def _place(op: st.Op, name: str, carry: st.Carry) -> int:
    return op.tensor(name).axes.index(carry.axis)


# ---- values step by step ---------------------------------------------------------------------------------------------------


def shifted(carry: st.Carry) -> st.Tree:
    """``name`` in terms of ``of`` and ``first``, as an expression over the carry's axes."""
    body = moved(carry, st.Add((st.Position(carry.axis), carry.back)))
    return body if not carry.first else st.Add((body, at_first(carry, st.Read(carry.first, carry.rest))))


def moved(carry: st.Carry, position: st.Tree) -> st.Tree:
    """``of`` at a position on the axis of the steps, and 0 where the axis has no such position."""
    other = st.fresh_index(carry.axis, set(carry.axes))
    row = st.Compare("==", st.Position(other), position)
    read = st.Read(carry.of, tuple(other if a == carry.axis else a for a in carry.axes))
    return st.Reduce("sum", (other,), st.Call("where", (row, read, ZERO)))


def at_first(carry: st.Carry, tree: st.Tree) -> st.Tree:
    """An expression at the first step, and 0 at the others."""
    return st.Call("where", (st.Compare("==", st.Position(carry.axis), carry.begin), tree, ZERO))


@dataclass(frozen=True)
class Part:
    """Names that are worked out together: those that step together with what they carry, or a single name that carries none.

    A carry with which nothing steps is such a single name.
    """

    names: tuple[str, ...]
    carries: tuple[st.Carry, ...] = ()


def parts(reads: Mapping[str, Collection[str]], carries: Sequence[st.Carry]) -> list[Part]:
    """The names of ``reads`` and those of the carries in an order in which each part reads only what stands before it."""
    groups = {c.name: group_of(c, reads, carries) for c in carries}
    plain = {c.name: {c.of, c.first} - {""} for c in carries if not groups[c.name]}
    member = {n: g for c, g in groups.items() for n in g}
    needs = {**reads, **plain}
    known, done, out = {*needs, *groups}, set[str](), list[Part]()
    waiting = list(needs)
    while waiting:
        for name in waiting:
            group = member.get(name, frozenset({name}))
            own = tuple(c for c in carries if c.name in group and c.name not in plain)
            outside = {n for m in group for n in needs.get(m, ())} | {c.first for c in own if c.first}
            if (outside & known) - group <= done:
                out.append(Part(tuple(n for n in needs if n in group), own))
                done |= group
                waiting = [n for n in waiting if n not in group]
                break
        else:
            raise AssertionError("the equations have a cycle")
    return out


def unrolled(equations: Sequence[st.Equation], carries: Sequence[st.Carry], sizes: Mapping[str, int]) -> list[st.Equation]:
    """Equations without a cycle that have the values of a recurrence at these lengths.

    Every carry is worked out as often as there are steps. After ``k`` times, the values of the first ``k`` steps are right, and
    nothing else is read of them. Names of these rounds have a number; the last round has the names themselves.
    """
    if not carries:
        return list(equations)
    own = {e.name: e for e in equations}
    own |= {c.name: st.Equation(c.name, c.axes, shifted(c)) for c in carries}
    out: list[st.Equation] = []
    for part in parts({e.name: set(st.reads(e.rhs)) for e in equations}, carries):
        found = [own[n] for n in part.names]
        out += _rounds(found, part.carries, sizes) if part.carries else found
    return out


def _rounds(own: Sequence[st.Equation], carries: Sequence[st.Carry], sizes: Mapping[str, int]) -> list[st.Equation]:
    steps = max(sizes[carries[0].axis], 1)
    group = {e.name for e in own} | {c.name for c in carries}
    out = []
    for k in range(1, steps + 1):
        mark = {n: n if k == steps else f"{n}__{k}" for n in group}  # no name of an author's has two underscores side by side
        for c in carries:
            start = st.Read(c.first, c.rest) if c.first else ZERO
            tree = start if k == 1 else renamed_tree(shifted(c), {c.of: f"{c.of}__{k - 1}"})
            out.append(st.Equation(mark[c.name], c.axes, tree))
        out += [replace(e, name=mark[e.name], rhs=renamed_tree(e.rhs, mark)) for e in own]
    return out


def unrolled_op(op: st.Op, sizes: Mapping[str, int]) -> st.Op:
    """An op without recurrences that has the values of ``op`` at these lengths."""
    return replace(op, carries=(), equations=tuple(unrolled(op.equations, op.carries, sizes))) if op.carries else op
