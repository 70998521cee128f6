"""Signs of a tree after names in it were inlined: ``-(a*-(b + c))`` is ``a*(b + c)``."""

from __future__ import annotations

from derive import syntax as st

__all__ = ["tidy"]


def tidy(tree: st.Tree) -> st.Tree:
    """The tree with the signs of factors pulled out of products, and double signs dropped. Nothing else changes."""
    node = st.rebuild(tree, tidy)
    match node:
        case st.Neg(st.Neg(a)):
            return a
        case st.Mul(args) if any(isinstance(a, st.Neg) for a in args):
            return _signed(st.Mul(tuple(map(_bare, args))), sum(isinstance(a, st.Neg) for a in args))
        case st.Div(a, b) if isinstance(a, st.Neg) or isinstance(b, st.Neg):
            return _signed(st.Div(_bare(a), _bare(b)), isinstance(a, st.Neg) + isinstance(b, st.Neg))
        case st.Add(args) if all(isinstance(a, st.Neg) for a in args):
            return st.Neg(st.Add(tuple(map(_bare, args))))
        case st.Add(args) if any(isinstance(a, st.Add) for a in args):
            return st.Add(tuple(b for a in args for b in (a.args if isinstance(a, st.Add) else (a,))))
    return node


def _bare(tree: st.Tree) -> st.Tree:
    return tree.arg if isinstance(tree, st.Neg) else tree


def _signed(tree: st.Tree, signs: int) -> st.Tree:
    return st.Neg(tree) if signs % 2 else tree
