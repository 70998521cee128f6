"""The rounds "now in one line": gradients whose lines melt into a closed form, as the derivation finds them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from codegen.backends.arrays.discovery import arrays
from codegen.chain import Chain, ChainLines
from codegen.source import FunctionSource
from codegen.tools.workbook import Exercise
from derive import derive
from derive import syntax as st
from derive.derivation import Derivation, Step
from derive.rules import CHAIN_RULE, INLINE
from derive.terms.definitions import Definition
from derive.terms.sums import sum_reads
from derive.textbook import textbook
from derive.textbook.pages import TextbookRow, textbook_sections

__all__ = ["Melted", "Rounds", "facts", "rounds"]


@dataclass(frozen=True)
class Melted:
    """A gradient in closed form: its lines, the gradients that the form reads, and those that melt into it, as they come."""

    name: str
    index: tuple[str, ...]
    lines: tuple[st.Equation, ...]
    reads: tuple[str, ...]
    melts: tuple[str, ...]
    source: FunctionSource

    @property
    def function(self) -> str:
        """The name of the function that a learner writes for it."""
        return f"{self.name}_in_one_line"


@dataclass(frozen=True)
class Rounds:
    """The gradients to be found in one line, and those that are 0 whatever the data."""

    melted: tuple[Melted, ...]
    zeros: tuple[str, ...]


def rounds(exercise: Exercise) -> Rounds:
    """The rounds of an exercise, from the loss back.

    A gradient has a round where its closed form skips other lines of the exercise, and where more was done on the way than to
    put one line into the next: something was folded, or cancelled.
    """
    derivation = derive(exercise.op)
    upstream = [st.adjoint_name(t.name) for t in exercise.op.outputs]
    names = [b.name for b in exercise.blanks]
    behind = {b.name: _reads(b.lines, [*upstream, *names]) for b in exercise.blanks}
    known = {*upstream, *names}
    chain = {d.name: sum_reads(d.body) for d in derivation.chain}
    closed = _closed(derivation, exercise.backend)
    found, zeros = [], []
    for name in names:
        lines, source = closed.get(name, ((), None))
        if source is None:
            continue
        reads = _reads(lines, [*upstream, *names])
        melts = {name, *_between(name, reads, behind)}
        melting = [line.name for b in exercise.blanks if b.name in melts for line in _gradients(b.lines, known)]
        if not reads and behind[name]:
            zeros.append(name)
        elif len(melting) > 1 and _worked(derivation.steps, {name, *_between(name, reads, chain)}):
            found.append(Melted(name, lines[-1].index, lines, tuple(reads), tuple(melting[:-1]), source))
    return Rounds(tuple(found), tuple(zeros))


@lru_cache(maxsize=4)
def facts(op: st.Op) -> dict[str, tuple[str, ...]]:
    """The identities that the textbook's derivation uses on the way to each gradient, such as ``sum[n](xhat[n,d]) = 0``."""
    found: dict[str, dict[str, None]] = {}
    for section in textbook_sections(textbook(op)):
        for row in (r for group in section.groups for r in group):
            if isinstance(row, TextbookRow):
                found.setdefault(row.name, {}).update(dict.fromkeys(map(str, row.facts)))
    return {name: tuple(said) for name, said in found.items()}


def _closed(derivation: Derivation, backend: str) -> dict[str, tuple[tuple[st.Equation, ...], FunctionSource | None]]:
    """The lines of every closed form, with the names that the engine made written out, and their code."""
    chain = tuple(Definition(line.name, line.index, line.body) for line in derivation.lines)
    closed = replace(derivation, chain=chain)
    lines = ChainLines(closed)
    source = {f.name: f for f in Chain(closed, arrays(backend), plain=True).source("").adjoints}
    return {
        d.name: (tuple(st.Equation(s.name, s.index, s.tree) for s in lines.statements(d)), source.get(d.name))
        for d in lines.own()
    }


def _reads(lines: tuple[st.Equation, ...], gradients: Collection[str]) -> list[str]:
    """The gradients that lines read."""
    read = {n for line in lines for n in st.reads(line.rhs)}
    return [n for n in gradients if n in read]


def _gradients(lines: Sequence[st.Equation], known: Collection[str]) -> list[st.Equation]:
    """The lines that are gradients: those that read one."""
    found: list[st.Equation] = []
    for line in lines:
        if set(st.reads(line.rhs)) & {*known, *(e.name for e in found)}:
            found.append(line)
    return found


def _between(name: str, reads: Collection[str], behind: Mapping[str, Collection[str]]) -> set[str]:
    """The gradients on the way by the chain rule from those that a closed form reads to the gradient itself."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = {n for n in behind.get(waiting.pop(), ()) if n in behind and n not in reads} - found
        found |= new
        waiting += new
    return found


def _worked(steps: tuple[Step, ...], names: Collection[str]) -> bool:
    return any(s.name in names and s.rule not in (CHAIN_RULE, INLINE) for s in steps)
