"""Which results of a program have memory of their own."""

from __future__ import annotations

from codegen.program import Program, Role
from derive import syntax as st

__all__ = ["alias_of", "borrowed"]


def borrowed(program: Program) -> frozenset[str]:
    """The results that would be the memory of an argument or of another result, or a view of it, unless they are copied.

    Where two results are one array, what is written into the one is found in the other; and autograd sends what is asked of
    the one to the other.
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
