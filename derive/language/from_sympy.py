"""An op from SymPy's equations.

These may have ``Indexed``, ``Sum`` over ``Idx`` or symbols, elementwise functions, ``Max``, ``Min``, ``Piecewise`` and
``KroneckerDelta``. The maximum over an axis is written ``Function("max_n")(x[n])``.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy
from sympy import Idx, Indexed, Sum
from sympy.core.relational import Relational

from derive.errors import OpError
from derive.language.parse import parse
from derive.language.unicode import language
from derive.sympy_bridge import from_sympy, index_of, length_of, size_symbol
from derive.syntax import Op, Read

__all__ = ["op_from_sympy"]


def op_from_sympy(
    name: str,
    inputs: Sequence[Indexed | sympy.Symbol],
    equations: Sequence[sympy.Eq],
    *,
    outputs: Sequence[str] | None = None,
    constants: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    assumptions: Sequence[Relational] = (),
) -> Op:
    """An op from SymPy equations ``Eq(y[i], ...)``.

    ``outputs`` are the names of the outputs, by default that of the last equation. ``constants`` has each constant's default
    as text. ``labels`` has, for each integer input, the axis that its values index. Inputs and constants that SymPy knows to
    be positive are assumed positive. The length of an axis, as in ``Sum(x[n], (n, 0, N - 1))/N``, becomes ``size(n)``.

    The equations are written in the language and then parsed, so that they pass the same checks as text. OpError: the language
    cannot express an equation, or a check fails; its line and column are those of the written text, which the op keeps.
    """
    lengths = _lengths(equations)
    made: list[tuple[Read, str]] = []
    for equation in equations:
        left = _reading(equation.lhs, name)
        made.append((left, f"{language(left)} = {language(from_sympy(equation.rhs.xreplace(lengths)))}"))
    if not made:
        raise OpError("expected at least one equation", op=name)
    wanted = list(outputs or [made[-1][0].name])
    left_sides = {left.name: language(left) for left, _ in made}
    if missing := [w for w in wanted if w not in left_sides]:
        raise OpError(f"the output '{missing[0]}' is never assigned", op=name)
    tensors = [_reading(given, name) for given in inputs]
    arguments = [language(t) for t in tensors] + [f"{k}={v}" for k, v in (constants or {}).items()]
    lines = [f"{', '.join(left_sides[w] for w in wanted)} = {name}({', '.join(arguments)})", ""]
    lines += [f"{language(t)} in {labels[t.name]}" for t in tensors if labels and t.name in labels]
    lines += [f"{k} > 0" for k in _positive(inputs, equations, constants or {})]
    lines += [f"{a.lhs} {a.rel_op} {a.rhs}" for a in assumptions]
    return parse("\n".join(lines + [text for _, text in made]))


def _reading(given: sympy.Basic, op: str) -> Read:
    tree = from_sympy(given)
    if not isinstance(tree, Read):
        raise OpError(f"'{given}' is not a tensor with its indices", op=op)
    return tree


def _lengths(equations: Sequence[sympy.Eq]) -> dict[sympy.Basic, sympy.Symbol]:
    """The symbols that stand for the length of an axis, found in the ranges of sums and indices."""
    found: dict[sympy.Basic, sympy.Symbol] = {}
    for equation in equations:
        for total in equation.atoms(Sum):
            for index, *limits in total.limits:
                if len(limits) == 2:
                    found[length_of(limits[0], limits[1])] = size_symbol(str(index_of(index)))
        for index in equation.atoms(Idx):
            if index.upper is not None:
                found[length_of(index.lower, index.upper)] = size_symbol(str(index.label))
    return {length: symbol for length, symbol in found.items() if isinstance(length, sympy.Symbol)}


def _positive(inputs: Sequence[Indexed | sympy.Symbol], equations: Sequence[sympy.Eq], constants: dict[str, str]) -> list[str]:
    known = [str(given.base.label) if isinstance(given, Indexed) else given.name for given in inputs if given.is_positive]
    symbols = {s for e in equations for s in e.atoms(sympy.Symbol)}
    return known + [c for c in constants if any(s.name == c and s.is_positive for s in symbols)]
