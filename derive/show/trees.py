"""Trees for readers: engine-made names are inlined, unless they stand for reductions."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from functools import cache, lru_cache

from derive import syntax as st
from derive.derivation import Derivation
from derive.engine import style_of
from derive.show.solved import in_op
from derive.terms.definitions import Definition, is_reduction
from derive.terms.factor import to_tree
from derive.terms.reads import syntax_index
from derive.terms.sums import Read, Sum

TreeOf = Callable[[Sum, tuple[str, ...]], st.Tree]


def tree_of(op: st.Op, forward: Iterable[Definition], keep: Container[str] = (), written_out: bool = False) -> TreeOf:
    """A function from an expression and its free indices to a tree for readers, in which engine-made names are inlined.

    Names in ``keep`` stay names, and so do names of reductions unless ``written_out``. ``keep`` may get more names that are in
    no tree made so far.
    """
    definitions = {d.name: d for d in forward}
    own = {d.name for d in definitions.values() if d.author or not written_out and (d.kept or is_reduction(d))}
    plain = style_of(op, list(definitions.values()))

    def read(r: Read) -> st.Tree | None:
        d = definitions.get(r.name)
        if d is None or d.name in own or d.name in keep:
            return None
        to = {i: syntax_index(j) for i, j in zip(d.index, r.index, strict=True)}
        return st.rename(to_tree(d.body, d.index, style), to)

    style = replace(plain, read=read)
    return cache(lambda body, index: in_op(op, to_tree(body, index, style)))


def as_written(derivation: Derivation) -> TreeOf:
    """The function :func:`tree_of` for the equations before stabilisation.

    All engine-made names are inlined, as a name of the same spelling may stand for something else after stabilisation.
    """
    return tree_of(derivation.op, derivation.written, written_out=True)


@lru_cache(maxsize=2)
def of_derivation(derivation: Derivation) -> TreeOf:
    """The function :func:`tree_of` for everything in a derivation. A name whose adjoint is in the derivation stays a name.

    The certificate and every form of print use this function, and so see the same trees.
    """
    adjoints = {d.name for d in derivation.chain}
    keep = {d.name for d in derivation.forward if st.adjoint_name(d.name) in adjoints}
    return tree_of(derivation.op, derivation.forward, keep)
