"""What a matrix form is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from derive import syntax as st

__all__ = [
    "Apply",
    "Axes",
    "Diag",
    "Elementwise",
    "Matrix",
    "MatrixForm",
    "Name",
    "OneHot",
    "Ones",
    "Product",
    "Scaled",
    "Total",
    "Transpose",
    "leaves",
]

Axes = tuple[str, ...]


@dataclass(frozen=True)
class Name:
    """A tensor laid out as a matrix: ``read`` is the element in the row ``rows`` and the column ``columns``."""

    read: st.Read
    rows: Axes
    columns: Axes = ()


@dataclass(frozen=True)
class OneHot:
    """The matrix with 1 in each row at the place of the row's label in ``name``, and 0 elsewhere."""

    name: str
    hot: st.Indicator
    rows: Axes
    columns: Axes


@dataclass(frozen=True)
class Ones:
    """A column of ones, one for each position of ``rows``."""

    rows: Axes


@dataclass(frozen=True)
class Transpose:
    of: Matrix


@dataclass(frozen=True)
class Diag:
    """The diagonal matrix of a column."""

    of: Matrix


@dataclass(frozen=True)
class Product:
    """A product of matrices."""

    factors: tuple[Matrix, ...]


@dataclass(frozen=True)
class Elementwise:
    """A product element by element."""

    factors: tuple[Matrix, ...]


@dataclass(frozen=True)
class Total:
    """A sum of matrices; each term with its sign."""

    terms: tuple[tuple[bool, Matrix], ...]


@dataclass(frozen=True)
class Scaled:
    """A number times a matrix, over a number; ``above`` is None for 1, ``of`` for a number alone."""

    above: st.Tree | None
    of: Matrix | None
    below: st.Tree | None = None
    negative: bool = False


@dataclass(frozen=True)
class Apply:
    """A function of every element."""

    head: str
    of: Matrix


Matrix = Name | OneHot | Ones | Transpose | Diag | Product | Elementwise | Total | Scaled | Apply


@dataclass(frozen=True)
class MatrixForm:
    """The right side of a line as a matrix of these rows and columns, for every position of the axes of ``stack``."""

    rows: Axes
    columns: Axes
    stack: Axes
    right: Matrix


def leaves(form: Matrix) -> Iterator[Name | OneHot | Ones]:
    """The tensors and columns of ones that a form is made of."""
    match form:
        case Name() | OneHot() | Ones():
            yield form
        case Transpose(a) | Diag(a) | Apply(_, a):
            yield from leaves(a)
        case Product(parts) | Elementwise(parts):
            for part in parts:
                yield from leaves(part)
        case Total(terms):
            for _, term in terms:
                yield from leaves(term)
        case Scaled(_, of):
            yield from leaves(of) if of is not None else ()
