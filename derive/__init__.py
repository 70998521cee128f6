"""From text to a certified derivation, and the printing of derivations. Knows SymPy, mpmath, NumPy's floats, and no backend."""

from derive import starting  # noqa: F401 (before what takes long to import)
from derive.derivation import Derivation, Line, Step
from derive.engine import derive, derive_full
from derive.errors import OpError
from derive.language.from_sympy import op_from_sympy
from derive.language.parse import parse as _parse
from derive.language.parse import parse_formula as _parse_formula
from derive.ops import find, load, names
from derive.syntax import Op

__all__ = [
    "Derivation",
    "Line",
    "Op",
    "OpError",
    "Step",
    "derive",
    "derive_full",
    "load",
    "op_from_sympy",
    "parse",
    "parse_formula",
]


def parse(text: str, **options: object) -> Op:
    """Read an op from its equations, which may call ops of the catalogue. See :func:`derive.language.parse.parse`."""
    return _parse(text, catalogue=find, known_ops=names, **options)  # type: ignore[arg-type]


def parse_formula(text: str) -> Op:
    """Read one equation. Its inputs are the names that it reads. See :func:`derive.language.parse.parse_formula`."""
    return _parse_formula(text, catalogue=find, known_ops=names)
