"""Three hints for a gradient, each larger: the local derivatives, the rule of shapes with the formula, the idioms as code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codegen.tools.learn.contributions import Contribution, contributions
from codegen.tools.learn.idioms import idioms
from codegen.tools.learn.shapes import listed, multiplies, rules, spread
from codegen.tools.learn.told import equation_told, told
from codegen.tools.workbook import Blank, Exercise
from derive import syntax as st
from derive.matrices import matrix_of, matrix_text

__all__ = ["HINTS", "Hint", "hint"]

#: How many hints there are.
HINTS = 3


@dataclass(frozen=True)
class Hint:
    """A hint: its title, sentences, and formulas or code that stand by themselves below the sentences."""

    title: str
    sentences: tuple[str, ...]
    formulas: tuple[str, ...]
    notes: tuple[str, ...] = ()


def hint(exercise: Exercise, blank: Blank, number: int) -> Hint:
    """The first, second or third hint."""
    parts = contributions(exercise, blank)
    return (_derivative, _shapes, _code)[number - 1](exercise, blank, parts)


def _derivative(exercise: Exercise, blank: Blank, parts: tuple[Contribution, ...]) -> Hint:
    if not parts:
        return Hint("the local derivative", (f"nothing that {blank.of} is read by depends on its value.",), ())
    said = [_quotient(p) for p in parts if p.reader is not None]
    made = [line for line in blank.lines[:-1] if any(line.name in set(st.reads(p.local)) for p in parts)]
    where = [f"where {equation_told(line, exercise.op)}" for line in made]
    trees = [p.local for p in parts] + [line.rhs for line in made]
    title = "the local derivative" if len(said) < 2 else "the local derivatives"
    return Hint(title, (), (*said, *where), tuple(_remarks(blank, trees)))


def _quotient(part: Contribution) -> str:
    value, by = part.derivative
    return f"∂{told(value, part.packing)}/∂{told(by, part.packing)} = {told(part.local, part.packing)}"


def _shapes(exercise: Exercise, blank: Blank, parts: tuple[Contribution, ...]) -> Hint:
    sentences: list[str] = []
    several = len({p.source for p in parts}) > 1
    for part in parts:
        lead = f"from {part.source}: " if several and part.reader is not None else ""
        lead = f"{part.upstream.name} is given: " if part.reader is None else lead
        sentences += [f"{lead}{rule}" for rule in rules(blank.name, part)]
    if len(parts) > 1:
        count = {2: "both", 3: "all three"}.get(len(parts), f"all {len(parts)}")
        sentences.append(f"{blank.name} is the sum of {count}.")
    elif parts and parts[0].upstream.index and (along := spread(parts[0])):
        sentences.append(f"{blank.name} has the shape of {blank.of}, so repeat along {listed(along)}.")
    formulas = tuple(equation_told(line, exercise.op) for line in blank.lines)
    last = blank.lines[-1]
    form = matrix_of(last.index, last.rhs) if any(map(multiplies, parts)) else None
    matrices = [f"In matrices: {matrix_text(last.name, form)}"] if form is not None else []
    remarks = [*matrices, *_remarks(blank, [e.rhs for e in blank.lines])]
    return Hint("shapes, and the formula", tuple(sentences), formulas, tuple(remarks))


def _code(exercise: Exercise, blank: Blank, parts: tuple[Contribution, ...]) -> Hint:
    found = idioms(exercise, blank)
    width = max((len(i.formula) for i in found), default=0)
    lines: list[str] = []
    for i in found:
        first, *more = i.code
        apart = width > 40
        lines += [i.formula, *(f"    {line}" for line in i.code)] if apart else [f"{i.formula.ljust(width)}    {first}"]
        lines += [] if apart else [f"{'':{width}}    {line}" for line in more]
    return Hint("as code", (), tuple(lines), tuple(dict.fromkeys(i.why for i in found if i.why)))


def _remarks(blank: Blank, trees: Iterable[st.Tree]) -> Iterator[str]:
    """What a reader has to know of the signs in the formulas."""
    nodes = [n for tree in trees for n in st.walk(tree)]
    if any(isinstance(n, st.Indicator) for n in nodes):
        yield "[...] is 1 where the condition holds, and 0 elsewhere."
    if any(isinstance(n, st.Call) and n.head == "where" for n in nodes):
        yield "where(condition, a, b) is a where the condition holds, and b elsewhere."
    kinds = {
        n.kind
        for e in blank.readers
        for n in st.walk(e.rhs)
        if isinstance(n, st.Reduce) and n.kind in ("max", "min") and blank.of in set(st.reads(n))
    }
    for kind in sorted(kinds):
        yield f"only an entry that attains the {kind} gets a gradient; entries that tie share it equally."
    if any(isinstance(n, st.Read) and any("'" in i for i in st.free_indices(n)) for n in nodes):
        primed = [i for n in nodes if isinstance(n, st.Read) for i in st.free_indices(n) if "'" in i]
        yield f"{listed(primed)} runs over the same axis as {listed(map(st.axis_of, primed))}, independently of it."
