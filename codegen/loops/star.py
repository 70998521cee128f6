"""A program specialised to callers whose arrays have no axis in place of ``*s``."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from codegen.loops.trees import product
from codegen.program import Program
from derive import syntax as st


def without_star(program: Program, star: str) -> Program:
    """The program with ``*s`` removed from all tensors."""

    def starred(i: st.Index) -> bool:
        return isinstance(i, str) and st.axis_of(i) == star

    def index(old: tuple[st.Index, ...]) -> tuple[st.Index, ...]:
        return tuple(slot(i) for i in old if not starred(i))

    def slot(i: st.Index) -> st.Index:
        return st.Lookup(i.name, index(i.index)) if isinstance(i, st.Lookup) else i

    def tree(node: st.Tree) -> st.Tree:
        match node:
            case st.Read(name, old):
                return st.Read(name, index(old))
            case st.Indicator(st.Match(left, right, equal)) if starred(left) and starred(right):
                return st.Num(Fraction(equal))  # both are the index of the single element
            case st.Match(left, right, equal):
                return st.Match(slot(left), slot(right), equal)
            case st.Position(index_):
                return st.Num(Fraction(0)) if starred(index_) else st.Position(slot(index_))
            case st.Size(axis) if axis == star:
                return st.Num(Fraction(1))
            case st.Reduce(kind, old, body):
                kept = tuple(i for i in old if not starred(i))
                return st.Reduce(kind, kept, tree(body)) if kept else tree(body)
            case st.Mul(args):
                return product(tuple(t for t in map(tree, args) if t != st.Num(Fraction(1))))
        return st.rebuild(node, tree)

    def axes(old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(i for i in old if not starred(i))

    return replace(
        program,
        arguments=tuple(replace(a, axes=axes(a.axes)) for a in program.arguments),
        statements=tuple(replace(s, index=axes(s.index), tree=tree(s.tree)) for s in program.statements),
        star="",
        collapsed=False,
    )
