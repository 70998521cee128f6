"""Forward mode: the tangents of an op, as the adjoints of its backward.

The backward is linear in the upstream gradients, ``dx = Jᵀ dy``. So the adjoint of ``dy`` in it is ``J`` times the adjoint of
``dx``: the tangent of ``y`` where that of ``x`` is the adjoint of ``dx``. The adjoint statement (:mod:`derive.adjoint`) is read
a second time, and no rule is added. The closed lines of the backward are the equations. So tangents start from their form: the
projections of a normalization, and the ``o*sum(do*o)`` of attention, are found again.

Source: Radul, Paszke, Frostig, Johnson and Maclaurin, You Only Linearize Once: Tangents Transpose to Gradients, POPL 2023,
arXiv:2204.10923, which goes the other way, from tangents to gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from derive import syntax as st
from derive.adjoint_names import primal_name
from derive.deep import deeply
from derive.derivation import Derivation, Line
from derive.engine import derive, style_of
from derive.errors import OpError
from derive.packing import Packing
from derive.renaming import fresh_name
from derive.simplify.rewrite import replace_reads
from derive.terms.definitions import Definition, is_reduction
from derive.terms.factor import to_tree
from derive.terms.flatten import flat_body
from derive.terms.names import Names
from derive.terms.style import Style
from derive.terms.sums import sum_reads

__all__ = ["Tangents", "backward_op", "by_the_chain_rule", "tangents"]


@dataclass(frozen=True)
class Tangents:
    """The Jacobian-vector product of an op.

    ``derivation`` is that of the op's backward (:func:`backward_op`) by its upstream gradients: the adjoint of ``dx`` is given,
    and the adjoint of ``dy`` is the result. ``names`` has what readers call these adjoints of adjoints: ``x_dot``, ``y_dot``,
    and ``P_part`` for what stands between them. That is a part of the tangent of ``P`` where the backward has folded a part of
    what it sends through ``dP`` into another name.
    """

    derivation: Derivation
    names: Mapping[str, str]

    def carries(self, op: st.Op) -> tuple[st.Carry, ...]:
        """What the tangents of an op with recurrences carry, in the direction in which the op steps."""

        def named(name: str) -> str:
            return self.names[st.adjoint_name(st.adjoint_name(name))] if name else ""

        return tuple(replace(c, name=named(c.name), of=named(c.of), first=named(c.first)) for c in op.carries)

    def packed(self, op: st.Op) -> Packing:
        """The packing of the op, where each tangent is packed as its tensor is."""
        slots = {st.adjoint_name(st.adjoint_name(n)): slots for n, slots in op.packing.tensors}
        return replace(
            op.packing, tensors=op.packing.tensors + tuple((self.names[n], s) for n, s in slots.items() if n in self.names)
        )


def by_the_chain_rule(found: Tangents) -> Tangents:
    """The same tangents as the chain rule gives them, for where the closed form loses a value that these have."""
    d = found.derivation
    style = style_of(d.op, d.forward)
    lines = tuple(Line(line.name, line.index, line.body, to_tree(line.body, line.index, style)) for line in d.chain)
    return replace(found, derivation=replace(d, forward=d.stable, lines=lines, steps=()))


@deeply
def tangents(derivation: Derivation) -> Tangents:
    """The tangents of the outputs, given those of the floating-point inputs.

    Of an op with recurrences they are those of its step op. OpError: a name of the op is that of an adjoint of an adjoint.
    """
    derivation = derivation.step or derivation
    op = backward_op(derivation)
    second = derive(op, _names_of_lines(op, derivation))
    adjoint = st.adjoint_name
    dots = {adjoint(adjoint(t.name)): f"{t.name}_dot" for t in (*derivation.op.inputs, *derivation.op.outputs)}
    lines = dict.fromkeys((*(line.name for line in second.lines), *(d.name for d in second.chain)))
    taken, found = {*_names(op), *lines}, dict[str, str]()
    for name in dict.fromkeys((*(adjoint(g) for g in derivation.gradients), *lines)):
        found[name] = fresh_name(dots.get(name) or f"{primal_name(primal_name(name)) or primal_name(name)}_part", taken)
    return Tangents(second, found)


def backward_op(derivation: Derivation) -> st.Op:
    """The backward as an op: it takes the inputs and the upstream gradients, and computes the gradients by the closed lines.

    Only the upstream gradients are differentiable: the inputs are held.
    """
    op = derivation.op
    upstream = tuple(st.Tensor(st.adjoint_name(t.name), t.axes) for t in op.outputs)
    lines = {line.name: line for line in derivation.lines}
    style = style_of(op, derivation.forward)
    forward = _needed(derivation)
    known = {*_names_of(op), *(d.name for d in forward)}
    found = replace(
        op,
        name=f"{op.name}_backward",
        inputs=(*op.inputs, *upstream),
        outputs=tuple(st.Tensor(name, lines[name].index) for name in derivation.gradients),
        equations=(
            *(_equation(d, style, known) for d in forward),
            *(st.Equation(line.name, line.index, line.tree) for line in derivation.lines),
        ),
        assumptions=tuple(a for a in op.assumptions if _said_of(a) <= known),
        packing=_packing(op, lines),
        held=frozenset(t.name for t in op.inputs),
        text="",
    )
    wrong = {st.adjoint_name(n) for n in (*(t.name for t in upstream), *lines)} & {*_names(found)}
    if wrong:
        raise OpError(f"'{min(wrong)}' is the name of an adjoint of an adjoint; rename it", op=op.name)
    return found


def _needed(derivation: Derivation) -> list[Definition]:
    """The forward definitions of the outputs, of all that the closed lines read, and of all that these depend on."""
    wanted = {*(t.name for t in derivation.op.outputs), *(n for line in derivation.lines for n in sum_reads(line.body))}
    found: list[Definition] = []
    for d in reversed(derivation.forward):
        if d.name in wanted:
            found.insert(0, d)
            wanted |= sum_reads(d.body)
    return found


def _names_of_lines(op: st.Op, derivation: Derivation) -> Names:
    """The backward in flat terms.

    A factor that depends on the upstream gradients has a name, and so one adjoint: ``dP - s`` in ``P*(dP - s)``. Other factors
    are multiplied out.
    """
    names = Names(op)
    found, active = _needed(derivation), {st.adjoint_name(t.name) for t in derivation.op.outputs}
    for d in found:
        names.register(d)
    for line in derivation.lines:
        count, parts = len(found), dict[str, Definition]()
        body = flat_body(line.tree, op, names, list(line.index))
        for d in (*names.definitions[count:], Definition(line.name, line.index, body, line.tree)):
            for part in parts.values():
                d = replace(d, body=replace_reads(d.body, part.name, part.index, part.body))
            found += [parts.pop(n) for n in sum_reads(d.body) & parts.keys()]  # inside of a function, or divided by
            if sum_reads(d.body) & active:
                active.add(d.name)
            if d.author or d.name in active or d.function or is_reduction(d):
                found.append(d)
            else:
                parts[d.name] = d
        names.forget(count)
        for d in found[count:]:
            names.register(d)
    return names


def _equation(d: Definition, style: Style, known: set[str]) -> st.Equation:
    """A definition as an equation: the author's own, which evaluates only what it chooses, if all it reads is ``known``."""
    own = d.tree is not None and set(st.reads(d.tree)) <= known
    return st.Equation(d.name, d.index, d.tree if own and d.tree else to_tree(d.body, d.index, style))


def _packing(op: st.Op, lines: Mapping[str, object]) -> Packing:
    """The packing of the op's tensors and of their adjoints."""
    adjoints = ((st.adjoint_name(n), slots) for n, slots in op.packing.tensors)
    known = {*lines, *(st.adjoint_name(t.name) for t in op.outputs)}
    return replace(op.packing, tensors=(*op.packing.tensors, *((n, slots) for n, slots in adjoints if n in known)))


def _said_of(assumption: st.Compare) -> set[str]:
    return {n for side in (assumption.left, assumption.right) for n in st.reads(side)}


def _names_of(op: st.Op) -> Iterable[str]:
    return (*(t.name for t in op.inputs), *(c.name for c in op.constants))


def _names(op: st.Op) -> Iterable[str]:
    return (*_names_of(op), *(e.name for e in op.equations))
