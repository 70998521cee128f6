"""Ops to pages: each op is taken through all stages, and its sections are put in reading order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from codegen.build import Built, build
from codegen.emit import formatted
from codegen.tools.atlas.certificate import certificate_section
from codegen.tools.atlas.derivation import PAGE, equation_sections
from codegen.tools.atlas.drawing import drawing
from codegen.tools.atlas.formula import equation
from codegen.tools.atlas.graph import graph
from codegen.tools.atlas.page import Page, Section, prose
from codegen.tools.atlas.sources import sources_section
from codegen.tools.atlas.work import work_section
from derive import derive
from derive.errors import OpError
from derive.show.latex import LatexPrinter
from derive.show.show import adjoint_names, assumptions, signature
from derive.show.trees import of_derivation
from derive.syntax import Op

__all__ = ["More", "pages"]

#: Gives further sections for the end of an op's page.
More = Callable[[Op], Sequence[Section]]


def pages(ops: Iterable[Op], more: More = lambda op: ()) -> tuple[Page, ...]:
    """The pages of these ops; OpError if one fails or does not certify."""
    built = [(op, build(op, check=False)) for op in ops]
    if failed := [b for _, b in built if not b.certified]:
        raise OpError("; ".join(b.certificate for b in failed), op=", ".join(b.op for b in failed))
    files = formatted({name: text for _, b in built for name, text in b.files.items()})
    return tuple(_page(op, b, files, more) for op, b in built)


def _page(op: Op, built: Built, files: dict[str, str], more: More) -> Page:
    derivation = derive(op)
    adjoints = adjoint_names(derivation)
    equations, *steps = equation_sections(derivation)
    saved = frozenset(t.name for t in built.kernel.saved)
    title, _, notes = op.title.partition("\n\n")
    line = next(line for line in derivation.lines if line.name == derivation.gradients[0])
    tree = of_derivation(derivation)(line.body, line.index)
    return Page(
        name=op.name,
        base=op.base,
        title=prose(title),
        notes=tuple(prose(note) for note in (*notes.split("\n\n"), *op.notes) if note),
        signature=signature(op),
        assumptions=tuple(assumptions(op)),
        source=op.source,
        formula=equation(line.name, line.index, tree, LatexPrinter(adjoints), limit=PAGE),
        sections=(
            equations,
            Section(
                "graph",
                "Computation graph",
                "graph.html.j2",
                drawing(graph(derivation, saved)),
                prose("Values flow down, adjoints up."),
            ),
            *steps,
            sources_section(op.name, files),
            work_section(built.kernel, adjoints),
            certificate_section(built.files[f"certificates/{op.name}.json"], adjoints),
            *more(op),
        ),
    )
