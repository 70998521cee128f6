"""Reductions and functions that are short for expressions of the language: ``var[n](x[n])``, ``clamp(x[n], -1, 1)``.

The reader puts the definition in the place of the call. Every later stage sees plain equations, so that such a word needs no
derivative, no spelling and no test of its own in any backend. The words are not reserved: ``var`` may be a tensor as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from derive.language.affine import COUNT
from derive.language.literals import constant_value
from derive.syntax import (
    Index,
    Read,
    Reduce,
    Size,
    Tree,
    free_indices,
    fresh_index,
    rebuild,
    rename,
    walk,
)

__all__ = ["DEFINED_FUNCTIONS", "DEFINED_REDUCTIONS", "LARGEST", "Form", "Misfit", "form_of", "parameters_of", "written_out"]

#: The most nodes of an expression that a definition brings. A definition that reads its argument twice doubles it, and nested
#: calls would double it again and again.
LARGEST = 4000


class Misfit(ValueError):
    """Arguments that no form of the word takes. The reader of the text adds line and column."""


@dataclass(frozen=True)
class Form:
    """One form of a word: the names of its arguments, and the right side of its definition in the language.

    The first argument of a reduction is written ``u[k]``, where ``k`` stands for all the axes that are reduced, and
    ``size(k)`` for the number of its elements, without those that an affine read has not.
    """

    arguments: tuple[str, ...]
    text: str


_MEAN_SQUARE = "mean[k]((u[k] - mean[k](u[k]))**2)"
_SPREAD = "sum[k]((u[k] - mean[k](u[k]))**2)/(size(k) - correction)"


def _root(of: str) -> str:
    """The square root with the derivative 0 at 0, as torch declares it for norms and deviations.

    The root is never taken of 0, so that further derivatives are 0 there too.
    """
    return f"where({of} == 0, 0, sqrt(where({of} == 0, 1, {of})))"


#: A variance is the population's unless ``correction`` is subtracted from the number of elements: 1 for a sample's.
DEFINED_REDUCTIONS: Mapping[str, tuple[Form, ...]] = {
    "var": (Form(("u",), _MEAN_SQUARE), Form(("u", "correction"), _SPREAD)),
    "std": (Form(("u",), _root(_MEAN_SQUARE)), Form(("u", "correction"), _root(_SPREAD))),
    "norm": (Form(("u",), _root("sum[k](u[k]**2)")),),
    "logsumexp": (Form(("u",), "log(sum[k](exp(u[k])))"),),
}
#: Between its bounds and at both of them, ``clamp`` has the derivative 1, as in torch. Where ``lo > hi`` it is ``hi``.
DEFINED_FUNCTIONS: Mapping[str, tuple[Form, ...]] = {
    "clamp": (
        Form(("u", "lo", "hi"), "where(u < lo, minimum(lo, hi), where(u > hi, hi, u))"),
        Form(("u", "lo"), "where(u < lo, lo, u)"),
        Form(("u", "hi"), "where(u > hi, hi, u)"),
    ),
}


def parameters_of(word: str) -> tuple[str, ...]:
    """Every argument that some form of a word takes, the longest form's first."""
    forms = (*DEFINED_REDUCTIONS.get(word, ()), *DEFINED_FUNCTIONS.get(word, ()))
    return tuple(dict.fromkeys(a for f in sorted(forms, key=lambda f: -len(f.arguments)) for a in f.arguments))


def form_of(word: str, positional: int, keywords: tuple[str, ...]) -> Form:
    """The form that takes that many arguments by position and those by keyword (Misfit if there is none).

    A reduction takes its options by keyword only.
    """
    forms = DEFINED_REDUCTIONS.get(word) or DEFINED_FUNCTIONS[word]
    for form in forms:
        given = (*form.arguments[:positional], *keywords)
        by_keyword = word in DEFINED_REDUCTIONS and positional > 1
        if len(given) == positional + len(keywords) and sorted(given) == sorted(form.arguments) and not by_keyword:
            return form
    raise Misfit(f"'{word}' takes {' or '.join(_shape(word, form) for form in forms)}")


def _shape(word: str, form: Form) -> str:
    """How a form is called, for a message: ``var[n](a, correction=1)``."""
    first, *options = form.arguments
    if word in DEFINED_REDUCTIONS:
        return f"{word}[n]({', '.join(['a', *(f'{o}=1' for o in options)])})"
    named = options if len(options) == len(parameters_of(word)) - 1 else [f"{o}={o}" for o in options]
    return f"{word}({', '.join(['a', *named])})"


def written_out(
    form: Form, read: Callable[[str], Tree], values: Mapping[str, Tree], index: tuple[str, ...], scope: set[str]
) -> Tree:
    """The definition with ``values`` for its arguments, reduced over ``index``.

    ``read`` gives the tree of a text. ``scope`` are the indices that bound ones must not capture. Misfit: the expression would
    have more than ``LARGEST`` nodes.
    """
    tree = read(form.text)
    taken = scope | set(index) | {i for value in values.values() for i in free_indices(value)}
    found = _Definition(values, index, taken).tree(_plain(tree, values), {})
    if sum(1 for _ in walk(found)) > LARGEST:
        raise Misfit(f"written out, this has more than {LARGEST} parts; give an argument a name of its own")
    return found


def _plain(tree: Tree, values: Mapping[str, Tree]) -> Tree:
    """The definition without the choice between two bounds that are numbers in order: ``minimum(lo, hi)`` is ``lo``."""
    lo, hi = (constant_value(values[a]) if a in values else None for a in ("lo", "hi"))
    if lo is None or hi is None or lo > hi:
        return tree
    smaller = [n for n in walk(tree) if getattr(n, "head", "") == "minimum"]

    def change(node: Tree) -> Tree:
        return Read("lo") if node in smaller else rebuild(node, change)

    return change(tree)


@dataclass(frozen=True)
class _Definition:
    """A definition while arguments are put into it. The axis ``k`` stands for the axes of ``index``."""

    values: Mapping[str, Tree]
    index: tuple[str, ...]
    taken: set[str]

    def tree(self, node: Tree, bound: Mapping[str, tuple[str, ...]]) -> Tree:
        match node:
            case Read(name, slots):
                names = bound[str(slots[0])] if slots else self.index
                to: dict[str, Index] = dict(zip(self.index, names, strict=True))
                return rename(self.values[name], to)
            case Size():
                return Reduce(COUNT, self.index, self.values["u"])
            case Reduce(kind, (k,), body):
                names = self.index if not bound else tuple(fresh_index(i, self.taken) for i in self.index)
                return Reduce(kind, names, self.tree(body, {**bound, k: names}))
        return rebuild(node, lambda child: self.tree(child, bound))
