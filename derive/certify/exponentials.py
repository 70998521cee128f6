"""Flat terms in which exponentials keep their laws where numbers are residues: a sum of exponents is a product of exponentials.

``exp(u)``, with the linear definitions behind ``u`` written out, is the product of a random value for each term, to the power
of its coefficient; a term ``log(v)`` gives ``v``. So the folds that read ``exp(u)/v`` as ``exp(u - log(v))`` can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from typing import Any

from derive.certify.flat import Values
from derive.terms.sums import ONE, Argument, Extremum, Function, Mono, Read, Sum, atom_sum, rename_free

__all__ = ["ExponentialValues"]

#: A name whose definition has more terms than these when it is written out stays a name.
TERMS = 64


class ExponentialValues(Values):
    """The values of flat expressions, exponentials by their terms."""

    def function(self, atom: Function, argument: list[Any], over: tuple[str, ...]) -> list[Any]:
        if atom.head != "exp":
            return super().function(atom, argument, over)
        out = [self.numbers.one] * len(argument)
        for mono, c in self.exponent(atom.args[0]).terms.items():
            out = self.numbers.times(out, self.numbers.power(self.base(mono, over), c))
        return out

    def exponent(self, argument: Argument) -> Sum:
        """The exponent in terms that are no names for sums."""
        return Sum({ONE: argument}) if isinstance(argument, Fraction) else self.written_out(argument)

    def written_out(self, read: Read) -> Sum:
        found = self.linear.get(read.name)
        if found is None:
            return atom_sum(read)
        return rename_free(found, dict(zip(self.definitions[read.name].index, read.index, strict=True)))

    @cached_property
    def linear(self) -> dict[str, Sum]:
        """The names that stand for sums of terms, with those terms; in the order of the definitions."""
        out: dict[str, Sum] = {}
        wanted = self.behind(self.exponents())
        for d in self.definitions.values():
            if d.name not in wanted or any(m.bound for m in d.body.terms) or isinstance(d.body.atom, (Function, Extremum)):
                continue
            body = Sum()
            for mono, c in d.body.terms.items():
                read = _lone(mono)
                body = body + (Sum({mono: c}) if read is None else self.named(read, out).scaled(c))
            if len(body) <= TERMS:
                out[d.name] = body
        return out

    def named(self, read: Read, known: dict[str, Sum]) -> Sum:
        if read.name not in known:
            return atom_sum(read)
        return rename_free(known[read.name], dict(zip(self.definitions[read.name].index, read.index, strict=True)))

    def exponents(self) -> Iterable[str]:
        """The names of which there is an exponential."""
        for d in self.definitions.values():
            atom = d.body.atom
            if isinstance(atom, Function) and atom.head == "exp" and isinstance(atom.args[0], Read):
                yield atom.args[0].name

    def behind(self, names: Iterable[str]) -> set[str]:
        """The names and those that they are sums of."""
        found, todo = set[str](), list(names)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                d = self.definitions.get(name)
                todo += [read.name for m in (d.body.terms if d else ()) if (read := _lone(m))]
        return found

    def base(self, mono: Mono, over: tuple[str, ...]) -> list[Any]:
        """What the exponential of one term is: the number of which it is the logarithm, or a random square."""
        read = _lone(mono)
        d = self.definitions.get(read.name) if read else None
        function = d.body.atom if d else None
        if read and d and isinstance(function, Function) and function.head == "log" and isinstance(function.args[0], Read):
            of = rename_free(atom_sum(function.args[0]), dict(zip(d.index, read.index, strict=True)))
            return self.sum(of, over)
        return self.numbers.power(self.numbers.call("exp", self.sum(Sum({mono: Fraction(1)}), over)), Fraction(2))


def _lone(mono: Mono) -> Read | None:
    """The read that a term is, if it is nothing else."""
    atom = Sum({mono: 1}).atom
    return atom if isinstance(atom, Read) else None
