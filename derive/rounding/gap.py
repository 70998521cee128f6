"""``f - maximum(f, g)`` is ``-maximum(0, g - f)``.

Where ``f`` is inf and ``g`` finite, the left side is a difference of infinities, which is NaN. The right side is 0. So the
logistic sigmoid of -inf, whose shifted exponentials are then 1 and 0, is 0.
"""

from __future__ import annotations

from fractions import Fraction

from derive.rounding.work import Work
from derive.rules import Rule
from derive.terms.sums import Argument, Atom, Function, Read, Sum, atom_sum, number, rename_free

__all__ = ["RULE", "gaps", "larger_of"]

RULE = Rule("gap")


def gaps(work: Work) -> None:
    """Rewrite every definition that is a difference ``f - maximum(f, g)``."""
    for name, index, body in work.expressions():
        for mono, c in body.terms.items():
            atom = Sum({mono: c}).scaled(-1).atom if c == -1 else None
            larger = larger_of(work, atom)
            if larger is None:
                continue
            rest = body - Sum({mono: c})
            for f, g in (larger, larger[::-1]):
                if rest == f and name in work.definitions:
                    work.change(RULE, name, -_larger(work, g - f, index), (str(atom.name),) if isinstance(atom, Read) else ())
                    break


def larger_of(work: Work, atom: Atom | None) -> tuple[Sum, Sum] | None:
    """``f`` and ``g`` of a read whose definition is ``maximum(f, g)``, with engine-made names unfolded; else None."""
    d = work.definitions.get(atom.name) if isinstance(atom, Read) else None
    if d is None or d.function is None or d.function.head != "maximum" or not isinstance(atom, Read):
        return None
    to = dict(zip(d.index, atom.index, strict=True))
    a, b = (rename_free(_expanded(work, argument), to) for argument in d.function.args)
    return a, b


def _expanded(work: Work, argument: Argument) -> Sum:
    if isinstance(argument, Fraction):
        return number(argument)
    d = work.definitions.get(argument.name)
    if d is None or d.author or d.function is not None or any(m.bound for m in d.body.terms):
        return atom_sum(argument)
    return rename_free(d.body, dict(zip(d.index, argument.index, strict=True)))


def _larger(work: Work, gap: Sum, index: tuple[str, ...]) -> Sum:
    atom = gap.atom
    read = atom if isinstance(atom, Read) else work.names.read(gap, index)
    return atom_sum(work.names.read(atom_sum(Function("maximum", (Fraction(0), read))), index))
