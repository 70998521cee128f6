"""Flat definitions: a name, its indices and the sum of monomials that it stands for."""

from __future__ import annotations

from dataclasses import dataclass

from derive import syntax as st
from derive.terms.sums import (
    Argument,
    Atom,
    Condition,
    Extremum,
    Function,
    Read,
    Sum,
    close,
    open_mono,
    total,
)

__all__ = ["Definition", "is_reduction", "rename_reads"]


@dataclass(frozen=True)
class Definition:
    """``name[index] = body``. ``tree`` is the author's right side; None for a name that the engine made.

    A ``kept`` name is computed on its own and never inlined, because the order of its operations matters.
    """

    name: str
    index: tuple[str, ...]
    body: Sum
    tree: st.Tree | None = None
    kept: bool = False

    @property
    def author(self) -> bool:
        return self.tree is not None

    @property
    def function(self) -> Function | None:
        """The body as a function of plain arguments; None if the body is anything else."""
        atom = self.body.atom
        return atom if isinstance(atom, Function) else None


def is_reduction(d: Definition) -> bool:
    """Whether the definition sums over an axis, or takes a maximum or minimum over one."""
    return any(m.bound or any(isinstance(a, Extremum) for a, _ in m.factors) for m in d.body.terms)


def rename_reads(body: Sum, to: dict[str, str]) -> Sum:
    """The expression with its tensors renamed, also inside lookups."""

    def read(r: Read) -> Read:
        return Read(to.get(r.name, r.name), r.index)

    def argument(a: Argument) -> Argument:
        return read(a) if isinstance(a, Read) else a

    def atom(a: Atom) -> Atom:
        if isinstance(a, Read):
            return read(a)
        if isinstance(a, Function):
            return Function(a.head, tuple(map(argument, a.args)))
        if isinstance(a, Condition) and a.form is None:
            left, right = map(argument, a.sides)
            return a._replace(left=left, right=right)
        return a._replace(of=read(a.of)) if isinstance(a, Extremum) else a

    parts = []
    for mono, c in body.terms.items():
        opened = open_mono(mono)
        parts.append(close({atom(a): e for a, e in opened.factors.items()}, opened.bound).scaled(c))
    return total(parts)
