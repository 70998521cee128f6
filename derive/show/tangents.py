"""The tangents of an op as shown: the closed lines of forward mode, below the forward pass."""

from __future__ import annotations

from derive.renaming import renamed_tree
from derive.show.show import Part, Row, Section, made_names
from derive.show.solved import equations
from derive.show.trees import of_derivation
from derive.syntax import Op, adjoint_name, reads
from derive.tangents import Tangents

__all__ = ["sections_of_tangents"]


def sections_of_tangents(op: Op, found: Tangents) -> tuple[Section, ...]:
    """The forward pass, the engine's names that the tangents read, and the tangents."""
    derivation, tree_of = found.derivation, of_derivation(found.derivation)
    rows = [Row(line.name, line.index, tree_of(line.body, line.index), True) for line in derivation.lines]
    wanted = {n for row in rows for n in reads(row.tree)} & made_names(derivation) - {e.name for e in op.equations}
    made = [Row(d.name, d.index, tree_of(d.body, d.index), True) for d in derivation.forward if d.name in wanted]
    written = [Row(e.name, e.index, e.rhs, True) for e in equations(op)]
    given = ", ".join(found.names[adjoint_name(adjoint_name(t.name))] for t in op.differentiable)
    told = f"Given {given}. The backward is linear in the upstream gradients; these are the adjoints of its own lines."
    steps = {c.name: c.of for c in (*op.carries, *found.carries(op))}
    told += f" One step before, {', '.join(f'{of} is {name}' for name, of in steps.items())}." if steps else ""
    for row in rows:
        row.name, row.tree = found.names.get(row.name, row.name), renamed_tree(row.tree, found.names)
    tangents = Section(Part.TANGENTS, [[row] for row in rows], told)
    return (Section(Part.FORWARD, [[row] for row in (*written, *made)]), tangents)
