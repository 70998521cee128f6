"""Names as a person would choose them, for the parts of an equation that cannot do without one."""

from __future__ import annotations

from collections.abc import Iterable

from derive import syntax as st
from derive.language.unicode import text
from derive.show.trees import TreeOf, tree_of
from derive.simplify.contractions import contraction
from derive.terms.definitions import Definition
from derive.terms.names import Names

__all__ = ["kept_names", "rename_parts"]

#: A part of more letters than this, written out with its axes, is not repeated in every line that needs it.
LONG = 60
#: What parts are called, in this order: the letters that the author left free, products of matrices from the first list.
PRODUCTS, PARTS = ("a", "b", "o", "w"), ("u", "v", "r", "q", "g", "h", "k", "l")


def rename_parts(names: Names) -> tuple[Definition, ...]:
    """Give every engine-made name of ``names`` a letter that is free; the definitions in their new names."""

    def call(d: Definition) -> str:
        letters = PRODUCTS if contraction(d.body) else PARTS
        free = [x for x in letters if x not in names.taken and st.adjoint_name(x) not in names.taken]
        return names.fresh(free[0] if free else letters[0])

    names.tidy(call)
    return tuple(names.definitions)


def kept_names(op: st.Op, definitions: Iterable[Definition]) -> set[str]:
    """The engine-made names that readers need: of products of matrices inside an equation, and of long parts."""
    kept: set[str] = set()
    definitions = tuple(definitions)
    trees = tree_of(op, definitions, kept, written_out=True)
    for d in definitions:  # after all that it reads
        if not d.author and (contraction(d.body) or len(_text(trees, d)) > LONG):
            kept.add(d.name)
    return kept


def _text(tree: TreeOf, d: Definition) -> str:
    return text(tree(d.body, d.index))
