"""Values of flat terms in residues, with exponentials that keep the law ``exp(a + b) = exp(a)*exp(b)``.

For ``exp(u)``, the linear definitions behind ``u`` are unfolded. Each term of the resulting sum has a random value as its
exponential, and a term ``log(v)`` has ``v``. ``exp(u)`` is the product of these values, each to the power of its term's
coefficient. So folds of ``exp(u)/v`` to ``exp(u - log(v))`` can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cached_property
from typing import Any

from derive.certify.flat import Values
from derive.terms.sums import ONE, Argument, Extremum, Function, Mono, Read, Sum, atom_sum, rename_free

__all__ = ["ExponentialValues"]

#: A name whose unfolded definition would have more terms is not unfolded.
TERMS = 64


class ExponentialValues(Values):
    """The values of flat expressions, with exponentials as products over the terms of their exponents."""

    def function(self, atom: Function, argument: list[Any], over: tuple[str, ...]) -> list[Any]:
        if atom.head != "exp":
            return super().function(atom, argument, over)
        out = [self.numbers.one] * len(argument)
        for mono, c in self.exponent(atom.args[0]).terms.items():
            out = self.numbers.times(out, self.numbers.power(self.base(mono, over), c))
        return out

    def exponent(self, argument: Argument) -> Sum:
        """The exponent with names of sums unfolded."""
        return Sum({ONE: argument}) if isinstance(argument, Fraction) else self.written_out(argument)

    def written_out(self, read: Read) -> Sum:
        found = self.linear.get(read.name)
        if found is None:
            return atom_sum(read)
        return rename_free(found, dict(zip(self.definitions[read.name].index, read.index, strict=True)))

    @cached_property
    def linear(self) -> dict[str, Sum]:
        """The names that stand for sums of terms, each with its unfolded definition, in the order of the definitions."""
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
        """The names of which an exponential is taken."""
        for d in self.definitions.values():
            atom = d.body.atom
            if isinstance(atom, Function) and atom.head == "exp" and isinstance(atom.args[0], Read):
                yield atom.args[0].name

    def behind(self, names: Iterable[str]) -> set[str]:
        """The names, and all names of which they are sums."""
        found, todo = set[str](), list(names)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                d = self.definitions.get(name)
                todo += [read.name for m in (d.body.terms if d else ()) if (read := _lone(m))]
        return found

    def base(self, mono: Mono, over: tuple[str, ...]) -> list[Any]:
        """The exponential of one term: ``v`` for a term ``log(v)``, a random square for any other."""
        read = _lone(mono)
        d = self.definitions.get(read.name) if read else None
        function = d.body.atom if d else None
        if read and d and isinstance(function, Function) and function.head == "log" and isinstance(function.args[0], Read):
            of = rename_free(atom_sum(function.args[0]), dict(zip(d.index, read.index, strict=True)))
            return self.sum(of, over)
        return self.numbers.power(self.numbers.call("exp", self.sum(Sum({mono: Fraction(1)}), over)), Fraction(2))


def _lone(mono: Mono) -> Read | None:
    """The read that a monomial consists of; None for any other monomial."""
    atom = Sum({mono: 1}).atom
    return atom if isinstance(atom, Read) else None
