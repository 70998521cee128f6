"""How expressions and names are shown in a report on gradient flow."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.tools.flow.parts import Parts, unfolded
from derive import syntax as st
from derive.language.unicode import language

__all__ = ["Words"]


@dataclass(frozen=True)
class Words:
    """The texts of one op; a name made for a part of an equation is shown as this part."""

    parts: Parts

    def text(self, tree: st.Tree) -> str:
        """The expression without the plain indices of its reads: ``1 - h**2``."""
        return language(_bare(self.shown(tree)))

    def shown(self, tree: st.Tree) -> st.Tree:
        """The tree in the author's names; the gradient of a part is ``d(part)``."""
        if isinstance(tree, st.Read) and st.primal_name(tree.name) in self.parts:
            return st.Read(st.adjoint_name(f"({self.text(st.Read(st.primal_name(tree.name)))})"))
        if isinstance(tree, st.Read) and tree.name in self.parts:
            e = self.parts[tree.name]
            return unfolded(tree if tree.index else st.Read(tree.name, e.index), self.parts)
        return st.rebuild(tree, self.shown)


def _bare(tree: st.Tree) -> st.Tree:
    if isinstance(tree, st.Read) and all(isinstance(i, str) for i in tree.index):
        return st.Read(tree.name)
    return st.rebuild(tree, _bare)
