"""Which results of a program would be aliases of arguments or of other results."""

from __future__ import annotations

from codegen.program import Program, Role
from derive import syntax as st

__all__ = ["alias_of", "borrowed"]


def borrowed(program: Program) -> frozenset[str]:
    """The results that would be an alias or a view of an argument or of another result, unless they are copied.

    If two results were one array, a write to one would change the other, and autograd would mix up their gradients.
    """
    origin = {a.name: a.name for a in program.arguments}
    taken, found = set(origin), set()
    for s in program.statements:
        origin[s.name] = origin.get(alias_of(s.tree), s.name)
        if s.role is not Role.TEMPORARY:
            if origin[s.name] in taken:
                found.add(s.name)
                origin[s.name] = s.name
            taken.add(origin[s.name])
    return frozenset(found)


def alias_of(tree: st.Tree) -> str:
    """The tensor that an expression is, or of which it is a transpose or a diagonal; "" for anything else."""
    return tree.name if isinstance(tree, st.Read) and all(isinstance(i, str) for i in tree.index) else ""
