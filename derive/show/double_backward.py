"""The double backward of an op as shown: its closed lines, below the forward pass and the backward."""

from __future__ import annotations

from collections.abc import Sequence

from derive.double_backward import DoubleBackward
from derive.renaming import renamed_tree
from derive.show.show import Part, Row, Section, made_names
from derive.show.solved import equations
from derive.show.trees import of_derivation
from derive.syntax import Op, adjoint_name, reads

__all__ = ["sections_of_double_backward"]


def sections_of_double_backward(op: Op, found: DoubleBackward) -> tuple[Section, ...]:
    """The forward pass with the engine's names that the lines read, the backward, and the double backward."""
    derivation, tree_of = found.derivation, of_derivation(found.derivation)
    backward = [Row(e.name, e.index, e.rhs, True) for e in derivation.op.equations if e.name in found.names]
    double = [Row(line.name, line.index, tree_of(line.body, line.index), True) for line in derivation.lines]
    names = made_names(derivation)
    own = [Row(d.name, d.index, tree_of(d.body, d.index), True) for d in derivation.forward if d.name in names]
    made = _read_by(double, own)
    known = {*found.names, *(e.name for e in op.equations)}
    rest = [Row(e.name, e.index, e.rhs, True) for e in derivation.op.equations if e.name not in known]
    engine = _read_by([*backward, *made, *double], rest)
    written = [Row(e.name, e.index, e.rhs, True) for e in equations(op)]
    given = [found.names[adjoint_name(t.name)] for t in derivation.op.outputs]
    told = f"Given {', '.join(given)}, the adjoints of the results of the backward."
    for row in (*backward, *made, *double):
        row.name, row.tree = found.names.get(row.name, row.name), renamed_tree(row.tree, found.names)
    forward = Section(Part.FORWARD, [[row] for row in (*written, *engine)])
    middle = Section(Part.BACKWARD, [[row] for row in backward])
    return (forward, middle, Section(Part.DOUBLE_BACKWARD, [[row] for row in (*made, *double)], told))


def _read_by(rows: Sequence[Row], candidates: Sequence[Row]) -> list[Row]:
    """Those of the candidates, in order, that rows read, or that such a candidate reads."""
    wanted = {n for row in rows for n in reads(row.tree)}
    found: list[Row] = []
    for row in reversed(candidates):
        if row.name in wanted:
            found.insert(0, row)
            wanted |= {*reads(row.tree)}
    return found
