"""The logarithm of a number near 1: ``log(1 + u)`` is ``log1p(u)``, and one of two shifted exponentials is 1.

``exp(-maximum(0, u)) + exp(-maximum(0, -u))`` is ``1 + exp(-abs(u))``.
"""

from __future__ import annotations

from fractions import Fraction

from derive.rounding.work import Work
from derive.terms import ONE, Function, Read, Sum, atom_sum, number, rename_free

__all__ = ["logarithms_near_one"]


def logarithms_near_one(work: Work, rule: str) -> None:
    """Rewrite the logarithms among the definitions."""
    for name, index, _ in work.expressions():
        argument = work.function(name, "log") if name in work.definitions else None
        d = work.definitions.get(argument.name) if argument else None
        if argument is None or d is None:
            continue
        body = rename_free(d.body, dict(zip(d.index, argument.index, strict=True)))
        rest = body - number(1) if body.terms.get(ONE) == 1 else _smaller(work, body, index)
        if rest:
            atom = rest.atom
            read = atom if isinstance(atom, Read) else work.names.read(rest, index)
            work.change(rule, name, atom_sum(Function("log1p", (read,))), (argument.name,))


def _smaller(work: Work, body: Sum, index: tuple[str, ...]) -> Sum:
    """``exp(-abs(u))`` for the sum of two exponentials whose larger one is 1; nothing for another sum."""
    gaps = [gap for m, c in body.terms.items() if (gap := _gap(work, Sum({m: c}))) is not None]
    if len(gaps) != 2 or len(body) != 2 or gaps[0] + gaps[1]:
        return Sum()
    atom = next((g.atom for g in gaps if isinstance(g.atom, Read)), None)
    read = atom if isinstance(atom, Read) else work.names.read(gaps[0], index)
    size = work.names.read(atom_sum(Function("abs", (read,))), index)
    exponent = work.names.read(atom_sum(size).scaled(-1), index)
    return atom_sum(work.names.read(atom_sum(Function("exp", (exponent,))), index))


def _gap(work: Work, part: Sum) -> Sum | None:
    """``u`` of ``exp(-maximum(0, u))``."""
    atom = part.atom
    exponent = work.function(atom.name, "exp") if isinstance(atom, Read) else None
    d = work.definitions.get(exponent.name) if exponent else None
    larger = d.body.scaled(-1).atom if d else None
    m = work.definitions.get(larger.name) if isinstance(larger, Read) else None
    if m is None or m.function is None or m.function.head != "maximum" or m.function.args[0] != Fraction(0):
        return None
    u = m.function.args[1]
    return work.names.alias(u) if isinstance(u, Read) else None
