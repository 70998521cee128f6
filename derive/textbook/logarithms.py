"""The logarithm of a quotient of exponentials, as on paper: ``log(exp(z)/Z)`` is ``z - log(Z)``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from derive import syntax as st
from derive.derivation import Step
from derive.rules import SPLIT_LOG
from derive.simplify.signs import Signs
from derive.terms.definitions import Definition
from derive.terms.names import Names
from derive.terms.sums import Atom, Function, Irrational, Mono, Read, Size, Sum, atom_sum, leaves, number, rename_free

__all__ = ["split_logarithms"]


def split_logarithms(op: st.Op, definitions: Sequence[Definition], names: Names) -> tuple[tuple[Definition, ...], list[Step]]:
    """The definitions with such logarithms written as sums, and the steps; ``names`` afterwards holds the new definitions.

    A logarithm is split where it meets an exponential that stands in its own argument, or in the equation of the one name
    that is its argument. So ``log(p)`` is split where ``p = exp(z)/Z`` was written in one equation. Where the author took
    the steps one by one, and named the exponentials first, they stay.
    """
    known = {d.name: d for d in definitions}
    signs = Signs(op, known)
    if not any(_product(d, known, signs) for d in definitions):
        return tuple(definitions), []
    names.restart()
    steps: list[Step] = []
    changed: dict[str, tuple[Sum, str]] = {}
    for d in definitions:
        found = _product(d, known, signs)
        if found is None:
            names.register(d)
            continue
        of, mono = found
        body = _split(of, mono, d, known, names)
        names.register(Definition(d.name, d.index, body, d.tree))
        changed[d.name] = (body, of.name)
    for d in definitions:  # a logarithm inside an equation is told as a step of that equation
        using = [of for name, (_, of) in changed.items() if name == d.name or name in _inside(d, known)]
        if d.author and using:
            after = next(x.body for x in names.definitions if x.name == d.name)
            seen = tuple(dict.fromkeys(name for name in using if known[name].author))
            steps.append(Step(SPLIT_LOG, d.name, d.index, d.body, after, seen))
    return tuple(names.definitions), steps


def _product(d: Definition, known: dict[str, Definition], signs: Signs) -> tuple[Read, Mono] | None:
    """What ``d`` takes the logarithm of, where that is a product of positive factors with an exponential among them."""
    function = d.function
    if function is None or function.head != "log" or not isinstance(of := function.args[0], Read) or of.name not in known:
        return None
    inner = known[of.name]
    only = inner.body.single
    if only is None or only[0].bound or only[1] != 1:
        return None
    factors = only[0].factors
    if not all(_positive(a, known, signs) for a, _ in factors):
        return None
    exponentials = [a for a, _ in factors if isinstance(a, Read) and _exponent(a, known) is not None]
    return (of, only[0]) if any(not known[a.name].author for a in exponentials) else None


def _positive(atom: Atom, known: dict[str, Definition], signs: Signs) -> bool:
    if not isinstance(atom, Read):
        return isinstance(atom, (Size, Irrational))
    return signs.positive(atom.name) or (atom.name in known and signs.sum_positive(known[atom.name].body))


def _exponent(read: Read, known: dict[str, Definition]) -> Sum | None:
    """The exponent, where the read is of a name for an exponential."""
    d = known.get(read.name)
    function = d.function if d else None
    if d is None or function is None or function.head != "exp" or not isinstance(function.args[0], Read):
        return None
    return rename_free(atom_sum(function.args[0]), dict(zip(d.index, read.index, strict=True)))


def _split(of: Read, mono: Mono, d: Definition, known: dict[str, Definition], names: Names) -> Sum:
    """The sum of the logarithms of the factors."""
    to = dict(zip(known[of.name].index, of.index, strict=True))
    out = Sum()
    for atom, e in mono.factors:
        factor = rename_free(atom_sum(atom), to).atom
        assert factor is not None
        exponent = _exponent(factor, known) if isinstance(factor, Read) else None
        if exponent is None:
            scope = [i for slot in of.index for i in leaves(slot) if isinstance(i, str)]
            read = factor if isinstance(factor, Read) else names.read(atom_sum(factor), ())
            exponent = atom_sum(names.read(atom_sum(Function("log", (read,))), scope or d.index))
        out = out + exponent * number(e)
    return out


def _inside(d: Definition, known: dict[str, Definition]) -> Iterator[str]:
    """The engine-made names in the equation of ``d``, at any depth."""
    for mono in d.body.terms:
        for atom, _ in mono.factors:
            reads = [atom] if isinstance(atom, Read) else list(atom.args) if isinstance(atom, Function) else []
            for read in reads:
                if isinstance(read, Read) and read.name in known and not known[read.name].author:
                    yield read.name
                    yield from _inside(known[read.name], known)
