"""Products of exponentials whose logarithm has a name: where ``y = u - log(v)``, ``exp(u)/v`` is ``exp(y)``.

So the backward pass of a log-softmax reads only the output of the forward pass, and no exponential or sum of exponentials.
"""

from __future__ import annotations

from derive.simplify.tables import Rewriting
from derive.terms.definitions import Definition, is_reduction
from derive.terms.names import Names
from derive.terms.sums import Function, Read, Sum, atom_sum, rename_free, term


def log_relations(names: Names) -> list[Rewriting]:
    """The rewriting ``e = exp(y)*v**k`` for every ``e = exp(u)`` and every name of the author's ``y = u - k*log(v)``.

    ``k`` is 1 or -1. ``exp(y)`` gets a name of its own, defined after all other names.
    """
    definitions = {d.name: d for d in names.definitions}
    found = []
    sums = [d for d in definitions.values() if d.author and len(d.body) > 1]
    for e in definitions.values():
        exponent = _argument(e, "exp")
        expanded = _expanded(exponent, definitions) if exponent else Sum()
        for y in sums if exponent else ():
            factor = _factor(y.body - expanded, definitions) if y.index == e.index else None
            if factor is not None:
                read = names.read(atom_sum(Function("exp", (Read(y.name, y.index),))), y.index)
                found.append(Rewriting(e.name, e.index, atom_sum(read) * factor, read.name))
    return found


def _factor(difference: Sum, definitions: dict[str, Definition]) -> Sum | None:
    """``v**k`` where ``difference``, of two exponents, is ``-k*log(v)``; None where it is anything else."""
    only = difference.single
    if only is None or abs(only[1]) != 1:
        return None
    read = difference.scaled(only[1]).atom
    log = definitions.get(read.name) if isinstance(read, Read) else None
    of = _argument(log, "log") if log else None
    if log is None or of is None or not isinstance(read, Read):
        return None
    return rename_free(term({of: int(-only[1])}), dict(zip(log.index, read.index, strict=True)))


def _argument(d: Definition, head: str) -> Read | None:
    """``u``, if the definition is ``head(u)``; else None."""
    function = d.function
    if function is None or function.head != head or not isinstance(function.args[0], Read):
        return None
    return function.args[0]


def _expanded(read: Read, definitions: dict[str, Definition]) -> Sum:
    """An exponent by its definition if the engine named it, else as it is."""
    d = definitions.get(read.name)
    if d is None or d.author or d.function is not None or is_reduction(d):
        return atom_sum(read)
    return rename_free(d.body, dict(zip(d.index, read.index, strict=True)))
