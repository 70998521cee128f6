"""The chain rule, measured by dual numbers: the contributions of all definitions that read a name to the name's adjoint.

For ``v = f(u, ...)`` and a random direction ``r``, ``v`` contributes ``sum(dv * df(u + h*r)/dh)`` to ``sum(du * r)``.
"""

from __future__ import annotations

from typing import Any

from derive.adjoint import whole_adjoint
from derive.certify.differences import direction
from derive.certify.duals import Dual, Duals
from derive.certify.flat import Values
from derive.certify.stage import Stage
from derive.derivation import Derivation
from derive.syntax import adjoint_name
from derive.terms.definitions import Definition
from derive.terms.sums import sum_reads

__all__ = ["Sender"]


class Sender:
    """The adjoints of a derivation, which ``values`` evaluates, and the definitions that contribute to each of them."""

    def __init__(self, stage: Stage, derivation: Derivation, values: Values):
        self.stage, self.values = stage, values
        self.duals = Duals(stage.numbers)
        self.readers: dict[str, list[Definition]] = {}
        for d in derivation.stable:
            for name in sum_reads(d.body):
                self.readers.setdefault(name, []).append(d)
        outputs, chain = {t.name for t in stage.op.outputs}, {d.name for d in derivation.chain}
        names = [t.name for t in stage.op.inputs] + [d.name for d in derivation.stable]
        #: The name of each name's whole adjoint. For an output that other equations read, that is not the upstream gradient.
        self.adjoint = {n: adjoint_name(n) for n in names}
        self.adjoint |= {n: whole for n in outputs if (whole := whole_adjoint(n, names)) in chain}
        self.of = {adjoint: n for n, adjoint in self.adjoint.items()}

    def missing(self, adjoint: str, seed: int) -> str:
        """Why an adjoint is not the sum of the contributions to it; "" if it is (KeyError if no name has this adjoint)."""
        numbers, name = self.stage.numbers, self.of[adjoint]
        du = self.values.table(adjoint)
        r = [numbers.number(v) for v in direction(len(du), self.stage.op.name, seed, name)]
        expected = numbers.times(du, r)
        sent: list[Any] = []
        if adjoint != adjoint_name(name):  # an output that other equations read: the upstream gradient is part of its adjoint
            sent += numbers.times(self.values.table(adjoint_name(name)), r)
        for d in self.readers.get(name, ()):
            dv = self.adjoint[d.name]
            if dv in self.values.definitions or dv in self.values.tables:
                sent += numbers.times(self.values.table(dv), self.slopes(d, name, r))
        agree = numbers.near(numbers.total(expected), numbers.total(sent), [*expected, *sent])
        return "" if agree else "it is not what the definitions that read the name send to it"

    def slopes(self, d: Definition, name: str, r: list[Any]) -> list[Any]:
        """The derivative of a definition along the direction ``r`` in one of the names that it reads."""
        moved = list(map(Dual, self.values.table(name), r))
        return self.duals.slopes(self.values.replaced(d.body, name, moved, self.duals).sum(d.body, d.index))
