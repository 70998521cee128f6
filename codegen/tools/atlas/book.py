"""Ops to pages: each op is taken through all stages, and its sections are put in reading order."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from codegen.build import Built, build
from codegen.emit import formatted
from codegen.tools.atlas.catalogue import entry
from codegen.tools.atlas.certificate import certificate_section
from codegen.tools.atlas.derivation import derivation_section, equation_sections
from codegen.tools.atlas.drawing import drawing
from codegen.tools.atlas.formula import equation
from codegen.tools.atlas.graph import graph
from codegen.tools.atlas.learning import Lesson, curriculum
from codegen.tools.atlas.page import Page, Prose, Section, prose
from codegen.tools.atlas.playground import playground_section
from codegen.tools.atlas.rows import PAGE
from codegen.tools.atlas.sources import sources_section
from codegen.tools.atlas.work import work_section
from derive import derive
from derive.derivation import Derivation
from derive.errors import OpError
from derive.ops import group
from derive.show.caller import packed_lines
from derive.show.latex import LatexPrinter
from derive.show.show import adjoint_names, assumptions, made_names, signature
from derive.show.trees import of_derivation
from derive.syntax import Op

__all__ = ["More", "pages"]

#: Gives further sections for the end of an op's page.
More = Callable[[Op], Sequence[Section]]


def pages(ops: Iterable[Op], more: More = lambda op: ()) -> tuple[Page, ...]:
    """The pages of these ops in the order for learners, variants after their op; OpError if one fails or does not certify."""
    built = [(op, build(op, check=False)) for op in ops]
    if failed := [b for _, b in built if not b.certified]:
        raise OpError("; ".join(b.certificate for b in failed), op=", ".join(b.op for b in failed))
    files = formatted({name: text for _, b in built for name, text in b.files.items()})
    derivations = {op.name: derive(op) for op, _ in built}
    lessons = curriculum([op for op, _ in built if not op.variant], {name: len(d.steps) for name, d in derivations.items()})
    place = {lesson.op: k for k, lesson in enumerate(lessons)}
    ordered = sorted(built, key=lambda b: (place.get(b[0].base, -1), b[0].name))
    lesson_of = {lesson.op: lesson for lesson in lessons}
    return tuple(
        _page(derivations[op.name], b, files, lesson_of.get(op.name) or Lesson(op.name, _bases(op, place), ()), more)
        for op, b in ordered
    )


def _bases(variant: Op, known: Container[str]) -> tuple[str, ...]:
    """What a variant builds on: its op."""
    return (variant.base,) if variant.base in known else ()


def notes(op: Op) -> tuple[Prose, ...]:
    """What is said below an op's signature: how callers' arrays pack axes, the rest of its text, and remarks."""
    packed = (f"``{line}``" for line in packed_lines(op))
    _, _, below = op.title.partition("\n\n")
    return tuple(prose(note) for note in (*packed, *below.split("\n\n"), *op.notes) if note)


def _page(derivation: Derivation, built: Built, files: dict[str, str], lesson: Lesson, more: More) -> Page:
    op = derivation.op
    saved = frozenset(t.name for t in built.kernel.saved)
    printer = LatexPrinter(adjoint_names(derivation), made_names(derivation))
    equations, chain = equation_sections(derivation, printer)
    line = next(line for line in derivation.lines if line.name == derivation.gradients[0])
    tree = of_derivation(derivation)(line.body, line.index)
    return Page(
        name=op.name,
        base=op.base,
        title=prose(op.title.partition("\n\n")[0]),
        notes=notes(op),
        signature=signature(op),
        assumptions=tuple(assumptions(op)),
        source=op.source,
        formula=equation(line.name, line.index, tree, printer, limit=PAGE),
        sections=(
            equations,
            derivation_section(derivation, printer),
            playground_section(derivation, printer),
            Section(
                "graph",
                "Computation graph",
                "graph.html.j2",
                drawing(graph(derivation, saved)),
                prose("Values flow down, adjoints up."),
            ),
            chain,
            sources_section(op.name, files),
            work_section(built.kernel, printer),
            certificate_section(built.files[f"certificates/{op.name}.json"], printer),
            *more(op),
        ),
        group=group(op.base),
        entry=entry(derivation, printer, () if op.variant else lesson.bases),
        lesson=lesson,
    )
