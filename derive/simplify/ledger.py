"""The cost of all lines of a derivation together, updated as single lines change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from derive.simplify.contractions import contracts
from derive.simplify.cost import READ_WEIGHT, Cost, Model
from derive.terms.sums import Mono, Sum

__all__ = ["Ledger"]


#: A part that several lines may share: a reduction with its cost, or a name that is read.
Part = tuple[Mono, int] | str


class Ledger:
    """The cost of all lines together. A part that several lines share counts once.

    Only the lines ``among`` are compared with those before, where a caller knows that no other line is changed.
    """

    def __init__(self, model: Model):
        self.model = model
        self.lines: dict[str, Sum] = {}
        self.users: Counter[Part] = Counter()
        self.total = 0
        #: The part of the total that is in contractions.
        self.contracted = 0

    def cost(self, lines: Mapping[str, Sum], among: Iterable[str] | None = None) -> int:
        """The cost of all lines together."""
        for name in {*lines, *self.lines} if among is None else among:
            before, body = self.lines.get(name), lines.get(name)
            if before is not body:
                if before is not None:
                    self.remove(self.model.of(self.lines.pop(name)))
                if body is not None:
                    self.add(self.model.of(body))
                    self.lines[name] = body
        return self.total

    def instead(self, lines: Mapping[str, Sum], name: str, *bodies: Sum, among: Iterable[str] | None = None) -> list[int]:
        """The cost of all lines together if the line ``name`` had another body, for each of the given bodies."""
        self.cost(lines, among)
        own, found = self.lines.get(name), []
        if own is not None:
            self.remove(self.model.of(own))
        for other in map(self.model.of, bodies):
            self.add(other)
            found.append(self.total)
            self.remove(other)
        if own is not None:
            self.add(self.model.of(own))
        return found

    def add(self, cost: Cost) -> None:
        self.total += cost.own
        for part in parts(cost):
            self.users[part] += 1
            if self.users[part] == 1:
                self.pay(part, 1)

    def remove(self, cost: Cost) -> None:
        self.total -= cost.own
        for part in parts(cost):
            self.users[part] -= 1
            if not self.users[part]:
                self.pay(part, -1)

    def pay(self, part: Part, sign: int) -> None:
        price = sign * self.price(part)
        self.total += price
        if not isinstance(part, str) and contracts(part[0]):
            self.contracted += price

    def price(self, part: Part) -> int:
        """The cost of a shared part, which all its users pay once."""
        if isinstance(part, str):
            return 0 if part in self.model.free else READ_WEIGHT * self.model.elements(part)
        return part[1]


def parts(cost: Cost) -> Iterator[Part]:
    """The parts of a line that other lines may share."""
    yield from cost.reductions
    yield from cost.reads
