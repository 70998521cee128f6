"""The check of printed lines: each holds for the forward pass printed above it, and reads only names that are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any

from derive import syntax as st
from derive.certify.flat import Values
from derive.certify.numbers import PART, Real
from derive.certify.stage import Stage
from derive.certify.trees import Trees
from derive.derivation import Derivation
from derive.show.show import Row, sections
from derive.show.trees import of_derivation

__all__ = ["printed", "shown", "tolerances"]


def printed(derivation: Derivation) -> dict[str, list[Row]]:
    """The printed lines, by name."""
    rows: dict[str, list[Row]] = {}
    for section in sections(derivation, tree_of=of_derivation(derivation), full=False):
        for group in section.groups:
            for row in group:
                rows.setdefault(row.name, []).append(row)
    return rows


def shown(
    derivation: Derivation, rows: Mapping[str, list[Row]], stage: Stage, values: Values
) -> Iterator[tuple[str, Callable[[], str]]]:
    """For each printed name, a function that returns what is wrong with its lines, "" if nothing is wrong.

    A name of the author's has the value that the equations give it, an engine-made name that of its printed definition, and
    an adjoint that of the chain rule, from ``values``.
    """
    trees = stage.trees()
    trees.nodes |= {e.name: stage.author.nodes[e.name] for e in derivation.op.equations}
    adjoints = {d.name: d.index for d in derivation.chain if d.name in rows}
    for name, mine in rows.items():  # an engine-made name is printed before the lines that read it
        if name not in adjoints and name not in trees.nodes and not _unknown(trees, mine[0]):
            trees.define(name, mine[0].index, mine[0].tree)
    for name, mine in rows.items():
        yield name, partial(_wrong, trees, mine, adjoints, values, stage)


def _unknown(trees: Trees, row: Row) -> list[str]:
    """The names that a line reads and that were not printed before it."""
    return [n for n in st.reads(row.tree) if n not in trees.nodes]


def _wrong(trees: Trees, rows: list[Row], adjoints: Mapping[str, tuple[str, ...]], values: Values, stage: Stage) -> str:
    """Which printed line of a name does not hold; "" if all hold."""
    for row in rows:
        for name in [*_unknown(trees, row), row.name]:
            if name in adjoints:
                trees.know(name, adjoints[name], values.table(name))
            elif name not in trees.nodes:
                return f"{name} is read, and is not printed"
        here = trees.table(st.Read(row.name, row.index), row.index)
        printed = trees.table(row.tree, row.index)
        # In a printed tree, 0 times an undefined value is undefined. In flat terms a condition that is 0 excludes its term.
        without = [k for k, v in enumerate(printed) if not stage.numbers.finite(v)]
        printed = [here[k] if k in without else v for k, v in enumerate(printed)]
        if reason := stage.difference(here, printed, row.index, partial(tolerances, trees, row.tree, len(printed))):
            return reason
    return ""


def tolerances(trees: Trees, tree: st.Tree, count: int) -> list[Any]:
    """For each element, the size of terms whose tolerance is the rounding error of the largest part or known value.

    An exact arithmetic has none.
    """
    known = (v for node in trees.nodes.values() for v in node.array.values)  # adjoints too, as they are given
    parts = [v.copy_abs() for v in chain(trees.parts(tree), known) if isinstance(v, Decimal) and v.is_finite()]
    if not isinstance(numbers := trees.numbers, Real):
        return [numbers.one] * count
    return [numbers.context.divide(numbers.rounding(max(parts)), PART)] * count
