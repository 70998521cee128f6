"""Conditions on indices between trees and affine forms: read from an author's comparison, and written for readers."""

from __future__ import annotations

from fractions import Fraction

from derive import syntax as st
from derive.terms.forms import Form, Part, combined
from derive.terms.indices import Index, Lookup, index_order
from derive.terms.reads import syntax_index

__all__ = ["comparison", "flat_index", "form_of", "place", "tree_of"]

_FLIPPED = {"<=": ">=", "<": ">"}
Parts = list[tuple[Part, int]]


def flat_index(index: st.Index) -> Index:
    """An index of a tree as an index of a flat term."""
    if isinstance(index, str):
        return index
    return Lookup(index.name, tuple(map(flat_index, index.index)))


def form_of(tree: st.Tree) -> Form | None:
    """A whole-number expression as an affine form; None for any other expression."""
    match tree:
        case st.Num(value):
            return Form((), int(value)) if value.denominator == 1 else None
        case st.Position(index):
            return combined([(Part(flat_index(index)), 1)])
        case st.Read(name, ()):
            return combined([(Part(None, (name,)), 1)])
        case st.Size(axis):
            return combined([(Part(None, (f"#{axis}",)), 1)])
        case st.Neg(arg):
            found = form_of(arg)
            return found and found.scaled(-1)
        case st.Add(args) | st.Mul(args):
            out: Form | None = Form((), 0 if isinstance(tree, st.Add) else 1)
            for part in map(form_of, args):
                if out is None or part is None:
                    return None
                out = out.plus(part) if isinstance(tree, st.Add) else out.times(part)
            return out
    return None


# ---- for readers ----------------------------------------------------------------------------------------------------------


def comparison(rel: str, form: Form) -> st.Compare:
    """``form rel 0`` with positions on the left and numbers on the right, or with positions on either side of ``j <= i``."""
    positions: Parts = [(p, c) for p, c in form.parts if p.index is not None]
    symbols: Parts = [(p, c) for p, c in form.parts if p.index is None]
    strict = rel == "<=" and form.offset == 1
    offset, shown = (0, "<") if strict else (form.offset, rel)
    above, below = ([(p, abs(c)) for p, c in positions if (c > 0) == wanted] for wanted in (True, False))
    if above and below and not symbols and not offset:
        return st.Compare(shown, _tree(above, 0), _tree(below, 0))
    right = symbols[0][1] if symbols else offset
    if below and (not above or right > 0):
        positions = [(p, -c) for p, c in positions]
        return st.Compare(_FLIPPED.get(shown, shown), _tree(positions, 0), _tree(symbols, offset))
    return st.Compare(shown, _tree(positions, 0), _tree([(p, -c) for p, c in symbols], -offset))


def tree_of(form: Form) -> st.Tree:
    """An affine form as a whole-number expression, the inverse of :func:`form_of`."""
    return _tree(list(form.parts), form.offset)


def _tree(parts: Parts, offset: int) -> st.Tree:
    """A sum of parts and of a number, the positive parts first."""
    ordered = sorted(parts, key=lambda pc: pc[1] < 0)
    terms = [_signed(_part(p, abs(c)), c < 0) for p, c in ordered]
    if offset or not terms:
        terms.append(_signed(st.Num(Fraction(abs(offset))), offset < 0))
    return terms[0] if len(terms) == 1 else st.Add(tuple(terms))


def _signed(tree: st.Tree, minus: bool) -> st.Tree:
    return st.Neg(tree) if minus else tree


def _part(part: Part, coefficient: int) -> st.Tree:
    factors: list[st.Tree] = [] if coefficient == 1 else [st.Num(Fraction(coefficient))]
    factors += [st.Size(s[1:]) if s.startswith("#") else st.Read(s) for s in part.symbols]
    factors += [] if part.index is None else [st.Position(syntax_index(part.index))]
    return st.product(factors)


def place(form: Form) -> st.Tree:
    """A form as the position of an element, ``2*i + k - pad``: positions first, then constants and lengths, then the number."""

    def order(part: tuple[Part, int]) -> tuple[object, ...]:
        return (part[0].index is None, part[1] < 0, "" if part[0].index is None else index_order(part[0].index))

    terms = [_signed(_placed(p, abs(c)), c < 0) for p, c in sorted(form.parts, key=order)]
    if form.offset or not terms:
        terms.append(_signed(st.Num(Fraction(abs(form.offset))), form.offset < 0))
    if isinstance(terms[0], st.Neg):
        terms.sort(key=lambda term: isinstance(term, st.Neg))
    return terms[0] if len(terms) == 1 else st.Add(tuple(terms))


def _placed(part: Part, coefficient: int) -> st.Tree:
    """A term of a position, with its index before constants and lengths: ``i*stride``."""
    factors: list[st.Tree] = [] if coefficient == 1 else [st.Num(Fraction(coefficient))]
    factors += [] if part.index is None else [st.Position(syntax_index(part.index))]
    factors += [st.Size(s[1:]) if s.startswith("#") else st.Read(s) for s in part.symbols]
    return st.product(factors)
