"""What is searched: for each op its words and its formulas, as data for the index' script."""

from __future__ import annotations

from typing import Any

from codegen.tools.atlas.learning import ideas
from codegen.tools.atlas.page import Data
from derive.derivation import Derivation
from derive.language.unicode import language, text
from derive.ops import group
from derive.show.latex import LatexPrinter
from derive.show.solved import equations as for_readers
from derive.show.trees import of_derivation
from derive.syntax import Call, Read, Tree, walk

__all__ = ["entry"]


def entry(derivation: Derivation, printer: LatexPrinter, bases: tuple[str, ...]) -> Data:
    """The words and formulas by which an op is found; ``bases`` are the ops that it builds on.

    A formula is given in the language, as ``show`` prints it, and in LaTeX, without the marks and the layout of a page.
    """
    op, tree_of = derivation.op, of_derivation(derivation)
    equations = [(e.name, e.index, e.rhs) for e in for_readers(op)]
    closed = [(line.name, line.index, tree_of(line.body, line.index)) for line in derivation.lines]
    found: dict[str, Any] = {
        "name": op.name,
        "title": " ".join(op.title.partition("\n\n")[0].split()).replace("``", ""),
        "names": sorted({t.name for t in op.inputs} | {name for name, _, _ in (*equations, *closed)}),
        "group": [kind] if (kind := group(op.base)) else [],
        "function": sorted({*ideas(op), *(head for _, _, tree in closed for head in _functions(tree))}),
        "rule": sorted({step.rule.title for step in derivation.steps}),
        "uses": list(bases),
        "formulas": [
            shown
            for name, index, tree in (*equations, *closed)
            for shown in (
                f"{language(Read(name, index))} = {language(tree)}",
                f"{text(Read(name, index))} = {text(tree)}",
                f"{printer.read(name, index)[0]} = {printer.show(tree)}",
            )
        ],
    }
    return Data(found)


def _functions(tree: Tree) -> set[str]:
    return {node.head for node in walk(tree) if isinstance(node, Call) and node.head != "where"}
