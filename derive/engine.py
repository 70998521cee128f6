"""An op becomes a derivation in six stages.

* flatten: equations become flat definitions.
* stabilise: exponentials in the definitions are scaled, so that none overflows.
* adjoints: the chain rule gives the adjoint of each definition.
* simplify: adjoints become closed lines, and every step is recorded.
* rounded: forms change where another form of the same value loses fewer digits.
* factor: flat lines become trees, from which formulas and code are written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from derive import syntax as st
from derive.adjoint import adjoints, tie_counts
from derive.deep import deeply
from derive.derivation import Derivation, Line, Step
from derive.errors import OpError
from derive.language.identifiers import check_names
from derive.recurrence import step_op
from derive.rounding import rounded
from derive.rules import STABILISE
from derive.simplify.budget import CLOSED, Budget
from derive.simplify.simplify import Simplifier
from derive.stabilise.log_scale import log_relations
from derive.stabilise.stabilise import stabilise
from derive.stepped import stepped
from derive.strain.verdict import losses
from derive.terms.coefficients import check_coefficients
from derive.terms.definitions import Definition
from derive.terms.factor import to_tree
from derive.terms.factoring import DEFAULT_SIZE
from derive.terms.flatten import flatten
from derive.terms.names import Names
from derive.terms.style import Style


@deeply
def derive(op: st.Op, names: Names | None = None) -> Derivation:
    """Derive the closed vector-Jacobian product of an op or of its variant.

    ``names`` are the equations in flat terms if those are known, and stable, already.
    OpError: no input is floating-point, or a stage refuses the op.
    """
    if op.carries:
        return stepped(op, derive(step_op(op)))
    checked(op)
    given, (written, names) = names, (tuple(names.definitions), names) if names else flatten(op)
    check_coefficients(op.name, ((d.name, d.body) for d in written))
    forward, shifts = (written, []) if given else stabilise(op, written, names)
    chain = adjoints(op, forward, names)
    relations = log_relations(names)
    forward = tuple(names.definitions)  # the adjoints and the relations may have needed more names
    budget = Budget(op.name, CLOSED if given else 1)
    simplifier = Simplifier(op, forward, chain, set(names.constants), style_of(op, forward), relations, budget)
    lines, work = simplifier.run(), simplifier.work
    author = {e.name for e in op.equations}
    steps = [Step(STABILISE, s.name if s.name in author else names.fresh("Z"), s.index, s.before, s.after) for s in shifts]
    index = {d.name: d.index for d in chain}
    computed, lines, last = rounded(op, names, forward, lines, index)
    check_coefficients(op.name, [*((d.name, d.body) for d in computed), *lines.items()])
    style = style_of(op, computed)
    closed = [Definition(name, index[name], body) for name, body in lines.items()]
    return Derivation(
        op=op,
        written=written,
        stable=forward,
        forward=computed,
        chain=tuple(chain),
        steps=(*steps, *work.steps, *last),
        lines=tuple(Line(n, index[n], body, to_tree(body, index[n], style)) for n, body in lines.items()),
        gradients=tuple(work.gradients),
        losses=losses(op, computed, closed, style) if op.variant else (),
    )


@deeply
def derive_full(op: st.Op) -> Derivation:
    """The adjoint of every equation as the chain rule gives it, with nothing stabilised, folded or inlined.

    OpError: no input is floating-point, or the op cannot be flattened.
    """
    if op.carries:
        return stepped(op, derive_full(step_op(op)))
    checked(op)
    written, names = flatten(op)
    chain = tuple(adjoints(op, written, names))
    forward = tuple(names.definitions)
    style = style_of(op, forward)
    lines = tuple(Line(d.name, d.index, d.body, to_tree(d.body, d.index, style)) for d in chain)
    return Derivation(
        op, forward, forward, forward, chain, (), lines, tuple(st.adjoint_name(t.name) for t in op.differentiable)
    )


def style_of(op: st.Op, forward: Sequence[Definition]) -> Style:
    """A style whose products begin with the upstream gradient, then list names in the order in which the op introduces them.

    An axis has the length that the op states. Equal names and lengths have the same style, so that caches know its trees.
    """
    names = (*(t.name for t in op.inputs), *(d.name for d in forward), *(c.name for c in op.constants))
    return _style(names, op.sizes, tie_counts(forward))


@lru_cache(maxsize=16)
def _style(names: tuple[str, ...], lengths: tuple[tuple[str, int], ...], counts: frozenset[str]) -> Style:
    order = {name: k for k, name in enumerate(names)}
    return Style(rank=lambda name: order.get(name, -1), size=_size(lengths), counts=counts)


@lru_cache(maxsize=16)
def _size(lengths: tuple[tuple[str, int], ...]) -> Callable[[str], int]:
    sizes = dict(lengths)
    return lambda axis: sizes.get(axis, DEFAULT_SIZE)


def checked(op: st.Op) -> None:
    check_names(op)
    if not op.differentiable:
        raise OpError("there is no floating-point input to differentiate", op=op.name)
