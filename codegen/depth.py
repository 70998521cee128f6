"""No expression is nested deeper than compilers accept and readers follow: deeper parts become statements of their own.

CPython accepts 200 nested brackets and clang 256. A polynomial of degree 200 in Horner's form has 200.
"""

from __future__ import annotations

from collections.abc import Iterable

from codegen.program import Role, Statement
from derive import syntax as st

__all__ = ["shallow"]

#: The greatest height of a statement's tree, which is about twice the number of brackets.
HEIGHT = 60


def shallow(statements: Iterable[Statement], taken: Iterable[str]) -> list[Statement]:
    """The statements, cut so that no tree is higher than ``HEIGHT``; new names avoid those in ``taken``."""
    names = set(taken)
    out: list[Statement] = []
    for s in statements:
        parts = _Parts(s, names)
        tree, _ = parts.cut(s.tree)
        out += parts.made
        out.append(s if tree is s.tree else Statement(s.name, s.index, tree, s.role, s.over))
    return out


class _Parts:
    """Cuts the tree of one statement."""

    def __init__(self, s: Statement, taken: set[str]):
        self.s, self.taken = s, taken
        self.made: list[Statement] = []

    def cut(self, tree: st.Tree) -> tuple[st.Tree, int]:
        """The tree and its height. A part that would be too high has become a statement, and the tree reads its name."""
        found = [self.cut(child) for child in st.children(tree)]
        if not found:
            return tree, 0
        if any(new is not old for (new, _), old in zip(found, st.children(tree), strict=True)):
            rest = iter(new for new, _ in found)
            tree = st.rebuild(tree, lambda _: next(rest))
        height = 1 + max(h for _, h in found)
        index = tuple(i for i in self.s.index if i in st.free_indices(tree))
        if height < HEIGHT or set(st.free_indices(tree)) - set(index) or isinstance(tree, (st.Compare, st.Match)):
            return tree, height
        self.made.append(Statement(self.name(), index, tree, Role.TEMPORARY))
        return st.Read(self.made[-1].name, index), 0

    def name(self) -> str:
        name = next(n for k in range(1, len(self.taken) + 2) if (n := f"{self.s.name}_inner{k}") not in self.taken)
        self.taken.add(name)
        return name
