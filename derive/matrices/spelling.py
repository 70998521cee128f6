"""Matrix forms as text and in LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from derive import syntax as st
from derive.functions.records import RECORDS
from derive.language.unicode import text
from derive.matrices.forms import (
    Apply,
    Diag,
    Elementwise,
    Matrix,
    MatrixForm,
    Name,
    OneHot,
    Ones,
    Product,
    Scaled,
    Total,
    Transpose,
)
from derive.matrices.layout import View
from derive.show.latex import LatexPrinter

__all__ = ["matrix_latex", "matrix_text", "right_side"]


def matrix_text(name: str, form: MatrixForm, reshaped: Iterable[View] = ()) -> str:
    """An equation in matrix form for a terminal: ``dW = xᵀ dy``; behind it what is ``reshaped`` for it, ``x as [(n,b),k]``."""
    return ", ".join([f"{name} = {right_side(form.right)}", *map(str, reshaped)])


def right_side(form: Matrix) -> str:
    """A matrix form for a terminal."""
    return _spelled(form, TEXT)


def matrix_latex(name: str, form: MatrixForm, reshaped: Iterable[View] = (), *, adjoints: frozenset[str] = frozenset()) -> str:
    """An equation in matrix form as LaTeX mathematics, and behind it the tensors that are ``reshaped``."""
    printer = LatexPrinter(adjoints)
    spelling = _Spelling(
        name=printer.name,
        number=printer.show,
        divided=lambda of, below: rf"\frac{{1}}{{{below}}} \, {of}",
        fraction=lambda above, below: rf"\frac{{{above}}}{{{below}}}",
        word=lambda word: RECORDS[word].latex if word in RECORDS and RECORDS[word].latex else rf"\operatorname{{{word}}}",
        transpose=r"^{\top}",
        product=r" \, ",
        elementwise=r" \odot ",
        times=r" \, ",
        ones=r"\mathbf{1}",
    )
    shown = [f"{printer.name(name)} = {_spelled(form.right, spelling)}"]
    for view in reshaped:
        groups = (",".join(map(printer.name, g)) for g in view.groups)
        below = ",".join(f"({g})" if "," in g else g for g in groups)
        shown.append(rf"{printer.name(view.name)} \text{{ as }} [{below}]")
    return r", \; ".join(shown)


@dataclass(frozen=True)
class _Spelling:
    """How the parts of a matrix form are spelled, and the signs between them."""

    name: Callable[[str], str]
    number: Callable[[st.Tree], str]
    divided: Callable[[str, str], str]
    fraction: Callable[[str, str], str]
    word: Callable[[str], str]
    transpose: str
    product: str
    elementwise: str
    times: str
    ones: str


TEXT = _Spelling(
    name=str,
    number=text,
    divided=lambda of, below: f"{of}/{below}",
    fraction=lambda above, below: f"{above}/{below}",
    word=str,
    transpose="ᵀ",
    product=" ",
    elementwise=" ⊙ ",
    times="·",
    ones="1",
)


def _spelled(form: Matrix, by: _Spelling, level: int = 0) -> str:
    """The form in a spelling. Inside a product of numbers the ``level`` is 1, of elements 2, of matrices 3, below a sign 4."""
    match form:
        case Name(read):
            return by.name(read.name)
        case Ones():
            return by.ones
        case OneHot(name):
            return f"{by.word('onehot')}({by.name(name)})"
        case Diag(a):
            return f"{by.word('diag')}({_spelled(a, by)})"
        case Apply(head, a):
            return f"{by.word(head)}({_spelled(a, by)})"
        case Transpose(a):
            return _spelled(a, by, 4) + by.transpose
        case Product(factors):
            return _wrapped(by.product.join(_spelled(f, by, 3) for f in factors), level > 1)
        case Elementwise(factors):
            return _wrapped(by.elementwise.join(_spelled(f, by, 2) for f in factors), level > 2)
        case Total(terms):
            out = ""
            for negative, term in terms:
                sign = (" - " if negative else " + ") if out else "-" if negative else ""
                out += sign + _spelled(term, by, 0)
            return _wrapped(out, level > 0)
        case Scaled():
            return _wrapped(_scaled(form, by), level > 1)


def _scaled(form: Scaled, by: _Spelling) -> str:
    sign = "-" if form.negative else ""
    of = "" if form.of is None else _spelled(form.of, by, 1)
    above = "" if form.above is None else by.number(form.above)
    if isinstance(form.above, (st.Add, st.Neg)) and (by is TEXT or not form.below):
        above = f"({above})"  # ``(1 - eps)·x``, and ``x - (1 - eps)``
    below = "" if form.below is None else by.number(form.below)
    if by is TEXT and isinstance(form.below, (st.Add, st.Mul, st.Div, st.Neg)):
        below = f"({below})"
    if above and below:
        above = by.fraction(above, below)
    if not above and form.of is not None:
        ambiguous = isinstance(form.of, Product) and isinstance(form.of.factors[-1], Ones)  # ``x 1/n`` is no ``(x 1)/n``
        return sign + (by.divided(_spelled(form.of, by, 2 if ambiguous else 1), below) if below else of)
    return sign + above + (by.times + of if of else "")


def _wrapped(inner: str, needed: bool) -> str:
    return f"({inner})" if needed else inner
