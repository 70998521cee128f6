"""The derivation of an op with recurrences, from the derivation of its step op (:mod:`derive.recurrence`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from derive import syntax as st
from derive.derivation import Derivation, Line, Step
from derive.recurrence import received
from derive.renaming import renamed_tree
from derive.rules import CHAIN_RULE
from derive.terms.definitions import Definition, rename_reads
from derive.terms.sums import Read, Sum, atom_sum

__all__ = ["stepped"]


def stepped(op: st.Op, step: Derivation) -> Derivation:
    """The derivation of ``op``. Its lines are those of the step op, after one for each adjoint that comes from two sides.

    A line may read what the adjoints carry (:func:`derive.recurrence.adjoint_carries`), and so a line that stands after it.
    """
    to = received(op)
    own = {st.adjoint_name(c.name) for c in op.carries}
    sums = list(_sums(op))
    return replace(
        step,
        op=op,
        chain=(*sums, *(replace(d, body=rename_reads(d.body, to)) for d in step.chain)),
        steps=(*map(_first_step, sums), *(_step(s, to) for s in step.steps)),
        lines=(*map(_own_line, sums), *(_line(line, to) for line in step.lines)),
        gradients=tuple(g for g in step.gradients if g not in own),
        step=step,
    )


def _sums(op: st.Op) -> Iterable[Definition]:
    """The adjoints of what is both carried and an output: its upstream gradient, and what the next step sends."""
    outputs = {t.name for t in op.outputs}
    for c in op.carries:
        if c.of in outputs:
            parts = (Read(st.adjoint_name(n), c.axes) for n in (c.of, c.next))
            yield Definition(st.adjoint_name(c.step), c.axes, sum(map(atom_sum, parts), Sum()))


def _first_step(d: Definition) -> Step:
    return Step(CHAIN_RULE, d.name, d.index, atom_sum(Read(d.name, d.index)), d.body)


def _own_line(d: Definition) -> Line:
    reads = (st.Read(a.name, d.index) for m in d.body.terms for a, _ in m.factors if isinstance(a, Read))
    return Line(d.name, d.index, d.body, st.Add(tuple(reads)))


def _line(line: Line, to: dict[str, str]) -> Line:
    return replace(line, body=rename_reads(line.body, to), tree=renamed_tree(line.tree, to))


def _step(step: Step, to: dict[str, str]) -> Step:
    before, after = (rename_reads(side, to) for side in (step.before, step.after))
    return replace(step, before=before, after=after, using=tuple(to.get(n, n) for n in step.using))
