"""The definitions and lines that the rules rewrite, and the steps that they record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from derive import syntax as st
from derive.derivation import Step
from derive.rules import Rule
from derive.simplify.signs import Signs
from derive.terms.definitions import Definition, is_reduction
from derive.terms.names import Names
from derive.terms.order import in_order
from derive.terms.sums import Function, Read, Sum, sum_reads


class Work:
    """The definitions and lines of one derivation. Every change records the whole right side before and after it."""

    def __init__(
        self,
        op: st.Op,
        names: Names,
        forward: Sequence[Definition],
        lines: Mapping[str, Sum],
        index: Mapping[str, tuple[str, ...]],
    ):
        self.op, self.names = op, names
        self.lines, self.index = dict(lines), index
        self.steps: list[Step] = []
        self.changed: dict[str, Definition] = {}
        self.known: dict[str, Definition] = {}
        self.signs = Signs(op, {d.name: d for d in forward})

    @property
    def definitions(self) -> dict[str, Definition]:
        """Every current definition by name, also of names that the rules made."""
        made = self.names.definitions
        if len(self.known) != len(made):
            self.known = {d.name: self.changed.get(d.name, d) for d in made}
        return self.known

    def expressions(self) -> Iterator[tuple[str, tuple[str, ...], Sum]]:
        """The name, index and body of everything that the op's results need: definitions in order, then the lines."""
        needed = self.needed()
        for name in [n for n in self.definitions if n in needed]:
            yield name, self.definitions[name].index, self.definitions[name].body
        for name in list(self.lines):
            yield name, self.index[name], self.lines[name]

    def needed(self) -> set[str]:
        """The outputs, the names that lines read, and all names from which these are made."""
        return self.closure({t.name for t in self.op.outputs} | {n for body in self.lines.values() for n in sum_reads(body)})

    def closure(self, names: Iterable[str]) -> set[str]:
        """The names, and all names from which they are made."""
        definitions = self.definitions
        found = set(names)
        todo = list(found)
        while todo:
            d = definitions.get(todo.pop())
            more = sum_reads(d.body) - found if d else set()
            found |= more
            todo += more
        return found

    def elementwise(self, name: str) -> bool:
        """Whether a name is made from inputs and constants without a reduction."""
        definitions = self.definitions
        return not any(is_reduction(definitions[n]) for n in self.closure([name]) if n in definitions)

    def change(self, rule: Rule, name: str, after: Sum, using: tuple[str, ...] = ()) -> None:
        """Give a name another right side, and record the step."""
        if name in self.lines:
            before, index = self.lines[name], self.index[name]
            self.lines[name] = after
        else:
            d = self.definitions[name]
            before, index = d.body, d.index
            self.put(replace(d, body=after))
        if before != after:
            self.steps.append(Step(rule, name, index, before, after, using))

    def keep(self, name: str) -> None:
        """Mark a name to be computed on its own, and never inlined: the order of its operations matters."""
        self.put(replace(self.definitions[name], kept=True))

    def put(self, d: Definition) -> None:
        """Replace the definition of a name."""
        self.definitions[d.name] = self.changed[d.name] = d

    def function(self, name: str, head: str) -> Read | None:
        """``u`` of a name whose definition is ``head(u)``; else None."""
        d = self.definitions.get(name)
        function: Function | None = d.function if d else None
        if function is None or function.head != head or not isinstance(function.args[0], Read):
            return None
        return function.args[0]

    def ordered(self) -> tuple[Definition, ...]:
        """The definitions, each after the definitions that it reads."""
        definitions = self.definitions
        return tuple(definitions[n] for n in in_order({n: sum_reads(d.body) for n, d in definitions.items()}))
