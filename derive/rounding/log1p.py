"""The logarithm of a number near 1: ``log(1 + u)`` is ``log1p(u)``.

If two exponentials are shifted by the larger exponent, one of them is 1. Their sum is then 1 plus the smaller exponential:
``exp(-maximum(0, u)) + exp(-maximum(0, -u))`` is ``1 + exp(-abs(u))``.
"""

from __future__ import annotations

from fractions import Fraction

from derive.rounding.gap import larger_of
from derive.rounding.work import Work
from derive.rules import Rule
from derive.terms.definitions import Definition
from derive.terms.sums import ONE, Function, Read, Sum, atom_sum, number, rename_free

__all__ = ["RULE", "logarithms_near_one"]

RULE = Rule("log1p")


def logarithms_near_one(work: Work) -> None:
    """Rewrite every definition that is the logarithm of such a sum."""
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
            work.change(RULE, name, atom_sum(Function("log1p", (read,))), (argument.name,))


def _smaller(work: Work, body: Sum, index: tuple[str, ...]) -> Sum:
    """The smaller of the two exponentials of a sum, if the larger one is 1; 0 for any other sum."""
    reads = [atom for m, c in body if isinstance(atom := Sum({m: c}).atom, Read)]
    exponents = [e for read in reads if (e := _exponent(work, read)) is not None]
    if len(reads) != 2 or len(body) != 2 or len(exponents) != 2:
        return Sum()
    gaps = [_gap(work, e) for e in exponents]
    if gaps[0] is not None and gaps[1] is not None and not gaps[0] + gaps[1]:
        return _of_gap(work, gaps[0], gaps[1], index)
    if not _shifted_by_the_larger(work, exponents):
        return Sum()
    return atom_sum(work.names.read(atom_sum(Function("minimum", (reads[0], reads[1]))), index))


def _of_gap(work: Work, one: Sum, other: Sum, index: tuple[str, ...]) -> Sum:
    """``exp(-abs(u))``, where ``u`` is one of the two gaps. The gaps are ``u`` and ``-u``; one that is a read is preferred."""
    atom = next((g.atom for g in (one, other) if isinstance(g.atom, Read)), None)
    read = atom if isinstance(atom, Read) else work.names.read(one, index)
    size = work.names.read(atom_sum(Function("abs", (read,))), index)
    exponent = work.names.read(atom_sum(size).scaled(-1), index)
    return atom_sum(work.names.read(atom_sum(Function("exp", (exponent,))), index))


def _exponent(work: Work, read: Read) -> Sum | None:
    """``u`` of a read whose definition is ``exp(u)``, with an engine-made ``u`` unfolded; else None."""
    argument = work.function(read.name, "exp")
    d = work.definitions.get(argument.name) if argument else None
    if argument is None:
        return None
    at = dict(zip(work.definitions[read.name].index, read.index, strict=True))
    if d is None or d.author or d.function is not None:
        return rename_free(atom_sum(argument), at)
    inner = rename_free(d.body, dict(zip(d.index, argument.index, strict=True)))
    return rename_free(inner, at)


def _shifted_by_the_larger(work: Work, exponents: list[Sum]) -> bool:
    """Whether the exponents are ``f - m`` and ``g - m`` with ``m`` the larger of ``f`` and ``g``."""
    for m, c in exponents[0].terms.items():
        shift = Sum({m: c}).scaled(-1).atom
        sides = larger_of(work, _unbounded(work, shift)) if isinstance(shift, Read) else None
        whole = [e + atom_sum(shift) for e in exponents] if isinstance(shift, Read) else []
        if sides is not None and whole in ([*sides], [*sides[::-1]]):
            return True
    return False


def _unbounded(work: Work, read: Read) -> Read:
    """``m`` of a read whose definition is ``finite(m)``; any other read as it is."""
    argument = work.function(read.name, "finite")
    d = work.definitions.get(read.name)
    if argument is None or d is None:
        return read
    to = dict(zip(d.index, read.index, strict=True))
    found = rename_free(atom_sum(argument), to).atom
    assert isinstance(found, Read)
    return found


def _gap(work: Work, exponent: Sum) -> Sum | None:
    """``u`` of an exponent ``-maximum(0, u)``; None for any other exponent."""
    larger = exponent.scaled(-1).atom
    m: Definition | None = work.definitions.get(larger.name) if isinstance(larger, Read) else None
    if m is None or m.function is None or m.function.head != "maximum" or m.function.args[0] != Fraction(0):
        return None
    u = m.function.args[1]
    return work.names.alias(u) if isinstance(u, Read) else None
