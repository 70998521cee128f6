"""The engine's stages on paper: flatten, split logarithms, differentiate from name to name, simplify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from derive import syntax as st
from derive.adjoint import adjoints
from derive.deep import deeply
from derive.derivation import Derivation, Line
from derive.engine import checked, style_of
from derive.recurrence import step_op
from derive.show.show import adjoint_names
from derive.simplify.budget import Budget
from derive.simplify.rewrite import replace_reads
from derive.simplify.search import long
from derive.simplify.simplify import Simplifier
from derive.stabilise.log_scale import log_relations
from derive.stepped import stepped
from derive.strain import Judge
from derive.terms.definitions import Definition
from derive.terms.factor import to_tree
from derive.terms.flatten import flatten
from derive.terms.sums import Atom, Delta, Exponent, Lookup, Read, Sum, close, open_mono, sum_reads, total
from derive.textbook.called import kept_names, rename_parts
from derive.textbook.logarithms import split_logarithms
from derive.textbook.short import with_short_names

__all__ = ["Paper", "textbook"]


@dataclass(frozen=True)
class Paper:
    """A derivation on paper. ``kept`` are the engine-made names that readers see; all others are written out."""

    derivation: Derivation
    kept: frozenset[str]

    @cached_property
    def adjoints(self) -> frozenset[str]:
        return adjoint_names(self.derivation)


class Patient(Judge):
    """Accepts every rewriting: forms of equal value are equally good on paper.

    Only no input is told in terms of an output, and nothing in terms of ``hidden`` names alone, which readers do not see.
    """

    def __init__(self, op: st.Op, hidden: set[str]) -> None:
        self.inputs, self.outputs = ({t.name for t in tensors} for tensors in (op.inputs, op.outputs))
        self.hidden = hidden

    def define(self, d: Definition, *, data: bool = False) -> None:
        pass

    def keeps(self, before: Sum, after: Sum, index: tuple[str, ...], own: str = "") -> bool:
        return True

    def keeps_empty(self, before: Sum, after: Sum, index: tuple[str, ...], own: str) -> bool:
        return True

    def inherits(self, before: Sum, after: Sum, index: tuple[str, ...]) -> bool:
        return False

    def recovers(self, name: str, index: tuple[str, ...], body: Sum) -> bool:
        return not (name in self.inputs and self.outputs & sum_reads(body)) and not sum_reads(body) <= self.hidden


@deeply
def textbook(op: st.Op) -> Paper:
    """The derivation on paper of an op; a variant, which only rounds otherwise, has that of the op itself.

    OpError: no input is floating-point, or a stage refuses the op.
    """
    checked(op)
    op = with_short_names(op)
    if not op.carries:
        return _of_equations(op)
    steps = _of_equations(step_op(op))
    return replace(steps, derivation=stepped(op, steps.derivation))


def _of_equations(op: st.Op) -> Paper:
    _, names = flatten(op)
    written = rename_parts(names)
    forward, split = split_logarithms(op, written, names)
    kept = kept_names(op, forward)
    chain = adjoints(op, forward, names)
    relations = log_relations(names) if split else []
    forward = tuple(names.definitions)
    chain, shown = _between_names(forward, chain, kept)
    judge = Patient(op, {d.name for d in forward if not d.author} - kept - shown)
    simplifier = Simplifier(op, forward, chain, set(names.constants), style_of(op, forward), relations, Budget(op.name), judge)
    lines, work = simplifier.run(), simplifier.work
    index = {d.name: d.index for d in chain}
    style = style_of(op, forward)
    derivation = Derivation(
        op=op,
        written=written,
        stable=forward,
        forward=forward,
        chain=tuple(chain),
        steps=(*split, *work.steps),
        lines=tuple(Line(n, index[n], body, to_tree(body, index[n], style)) for n, body in lines.items()),
        gradients=tuple(work.gradients),
    )
    return Paper(derivation, frozenset(kept | shown))


def _between_names(
    forward: Sequence[Definition], chain: Sequence[Definition], kept: set[str]
) -> tuple[list[Definition], set[str]]:
    """The adjoints of all but the parts of equations: a part's adjoint is written out in the adjoints that read it.

    Where that gets too long to read, the part keeps its name and its adjoint. Also returns the names of such parts.
    """
    parts = {st.adjoint_name(d.name): d.name for d in forward if not d.author and d.name not in kept}
    found: list[Definition] = []
    inside: dict[str, Definition] = {}
    shown: set[str] = set()
    for d in chain:
        body = d.body
        for name in [n for n in inside if n in sum_reads(body)]:
            after = replace_reads(body, name, inside[name].index, inside[name].body)
            if name in sum_reads(after) or long(after):
                shown |= _show(inside.pop(name), parts, found)
            else:
                body = after
        d = Definition(d.name, d.index, _where_equal(body))
        if d.name in parts:
            inside[d.name] = d
        else:
            found.append(d)
    return found, shown


def _show(d: Definition, parts: dict[str, str], found: list[Definition]) -> set[str]:
    """Add the adjoint of a part to those that are shown."""
    found.append(d)
    return {parts.pop(d.name)}


def _where_equal(body: Sum) -> Sum:
    """``f(t[n])*[c = t[n]]`` as ``f(c)*[c = t[n]]``: so what is divided by a looked-up element cancels with that element."""
    parts = []
    for mono, coefficient in body.terms.items():
        opened = open_mono(mono)
        factors: dict[Atom, Exponent] = dict(opened.factors)
        for atom in opened.factors:
            if isinstance(atom, Delta):
                factors = _at_free(factors, atom)
        parts.append(close(factors, opened.bound).scaled(coefficient))
    return total(parts)


def _at_free(factors: dict[Atom, Exponent], delta: Delta) -> dict[Atom, Exponent]:
    """The factors with the index of a delta in the place of the lookup that the delta says it equals."""
    index, lookup = (delta.left, delta.right) if isinstance(delta.left, str) else (delta.right, delta.left)
    if not isinstance(index, str) or not isinstance(lookup, Lookup):
        return factors
    out: dict[Atom, Exponent] = {}
    for atom, e in factors.items():
        if isinstance(atom, Read):
            atom = Read(atom.name, tuple(index if i == lookup else i for i in atom.index))
        out[atom] = out.get(atom, 0) + e
    return {a: e for a, e in out.items() if e}
