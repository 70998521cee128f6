"""The author's own right sides in the names that a program keeps: ``x*log(t)`` becomes ``x*l`` where ``l`` is saved."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from derive import syntax as st
from derive.derivation import Derivation
from derive.syntax import on_indices
from derive.terms.definitions import Definition
from derive.terms.flatten import flat_body, flat_tree
from derive.terms.names import Names
from derive.terms.reads import syntax_index
from derive.terms.sums import Read, Sum

__all__ = ["Parts"]


class Parts:
    """Finds the parts of trees that have a name."""

    def __init__(self, derivation: Derivation):
        self.op, self.names = derivation.op, Names(derivation.op)
        self.index = {d.name: d.index for d in derivation.forward}
        for d in derivation.forward:
            self.names.register(d)
            self.names.taken.add(d.name)
            if self.names.is_constant(d.body):
                self.names.constants.add(d.name)
        self.reductions = {name: tree for e in derivation.op.equations for name, tree in self.inside(e.rhs, e.index)}

    def named(self, d: Definition, kept: Collection[str]) -> st.Tree | None:
        """The tree of a definition, with a read of a kept name in place of each part that the name stands for.

        None where the tree no longer says what the definition computes, for example where exponentials were stabilised, and
        where the tree has an axis that the definition lacks: what it reads along that axis cancels.
        """
        tree = d.tree or self.reductions.get(d.name)
        if tree is None or not set(d.index).issuperset(st.free_indices(tree)):
            return None
        if kept:
            tree = self.below(tree, kept, d.index)
        return tree if flat_body(tree, self.op, self.names, list(d.index)) == d.body else None

    def inside(self, tree: st.Tree, scope: tuple[str, ...]) -> Iterator[tuple[str, st.Tree]]:
        """The reductions in an equation that the engine has named: the name, and the reduction in its definition's indices."""
        if isinstance(tree, st.Reduce):
            body, inner = flat_tree(tree, self.op, self.names, list(scope)), (*scope, *tree.index)
            read = self.read(body, scope)
            if read is not None and read.name in self.index and all(isinstance(i, str) for i in read.index):
                own = self.index[read.name]
                yield read.name, _unprimed(st.rename(tree, dict(zip(map(str, read.index), own, strict=True))))
        else:
            inner = scope
        for child in st.children(tree):
            if not on_indices(child):
                yield from self.inside(child, inner)

    def part(self, tree: st.Tree, kept: Collection[str], scope: tuple[str, ...]) -> st.Tree:
        if isinstance(tree, (st.Read, st.Num)) or on_indices(tree):
            return tree
        if not isinstance(tree, (st.Compare, st.Match)):
            read = self.read(flat_tree(tree, self.op, self.names, list(scope)), scope)
            if read is not None and read.name in kept:
                return st.Read(read.name, tuple(map(syntax_index, read.index)))
        return self.below(tree, kept, scope)

    def below(self, tree: st.Tree, kept: Collection[str], scope: tuple[str, ...]) -> st.Tree:
        inner = (*scope, *tree.index) if isinstance(tree, st.Reduce) else scope
        return st.rebuild(tree, lambda part: self.part(part, kept, inner))

    def read(self, body: Sum, scope: tuple[str, ...]) -> Read | None:
        """The expression as a read: itself if it is one, else a read of the name defined as it, None without such a name."""
        atom = body.atom
        return atom if isinstance(atom, Read) else self.names.find(body, scope)


def _unprimed(tree: st.Tree) -> st.Tree:
    """A reduction whose bound indices are called as their axes, where no other index of the reduction is."""
    assert isinstance(tree, st.Reduce)
    taken, to = set(st.free_indices(tree.body)), dict[str, st.Index]()
    for i in tree.index:
        if (axis := st.axis_of(i)) not in taken:
            to[i] = axis
            taken.add(axis)
    return st.Reduce(tree.kind, tuple(str(to.get(i, i)) for i in tree.index), st.rename(tree.body, to))
