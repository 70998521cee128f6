"""Equations that step along an axis: cells with gates, scans, running extrema, and anything that reads one step back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.systems.vocabulary import chance, pick

if TYPE_CHECKING:
    from tests.systems.generate import Known, Writer

#: Of a hundred lines, so many are followed by a recurrence.
RECURRENT = 9


@dataclass(frozen=True)
class Stepped:
    """A tensor that is read at one step only: ``form`` stands in the slot of ``axis``."""

    known: Known
    axis: str
    form: str


@dataclass
class _Group:
    """What steps together: names over ``axis``, those of ``known`` that are carried, and the slot of the step before."""

    writer: Writer
    arguments: list[str]
    axis: str
    known: list[Known]
    down: bool

    @property
    def form(self) -> str:
        if not self.down:
            return f"{self.axis} - 1"
        return f"1 + {self.axis}" if chance(self.writer.rng, 20) else f"{self.axis} + 1"

    def carried(self, t: Known, lines: list[str]) -> bool:
        """Whether the lines up to that of a name read it one step back."""
        forms = rf"({self.axis} [-+] 1|1 \+ {self.axis})"
        return any(re.search(rf"\b{t.name}\[([^\]]*, )?{forms}[],]", line) for line in lines)

    def back(self, t: Known, scope: tuple[str, ...]) -> str:
        """The value of the step before, with the axes that the scope has not summed over or looked up."""
        rng = self.writer.rng
        slots = [self.form if a == self.axis else self.writer.starred(a) for a in t.axes]
        free = [a for a in t.axes if a not in scope]
        read = _spell(t.name, slots)
        if not free:
            return self.mixed(t, scope, slots) if chance(rng, 40) else read
        over = ", ".join(map(self.writer.starred, free))
        return f"{pick(rng, ('sum', 'mean', 'max', 'min', 'prod'))}[{over}]({read})"

    def mixed(self, t: Known, scope: tuple[str, ...], slots: list[str]) -> str:
        """The value of the step before, mixed along another of its axes: by a matrix, a window or a mask, or reversed."""
        writer, rng = self.writer, self.writer.rng
        places = [k for k, a in enumerate(t.axes) if a != self.axis and a not in writer.stars]
        if not places:
            return _spell(t.name, slots)
        k = places[rng.randrange(len(places))]
        axis, other = t.axes[k], writer.names.axis()
        kind = rng.randrange(7)
        if kind == 0:
            slots[k] = pick(rng, (f"size({axis}) - 1 - {axis}", f"{axis} - 1", f"2*{axis}", "0"))
            return _spell(t.name, slots)
        if kind == 1 and [n for n, (index, of) in writer.labels.items() if of == axis and {*index} <= {*scope}]:
            slots[k] = writer.slot(axis, scope) or axis
            return _spell(t.name, slots)
        slots[k] = other
        read = _spell(t.name, slots)
        if kind == 2:
            row = f"{other} {pick(rng, ('<=', '>', '!=', '=='))} {axis}"
            return f"{pick(rng, ('sum', 'max', 'mean'))}[{other}](where({row}, {read}, 0))"
        matrix = self.given((other, axis))
        if kind == 3:
            return f"{pick(rng, ('max', 'min', 'logsumexp'))}[{other}]({read} + {matrix})"
        return f"{pick(rng, ('sum', 'sum', 'mean'))}[{other}]({read}*{matrix})"

    def given(self, axes: tuple[str, ...]) -> str:
        """A new input, read where it stands."""
        from tests.systems.generate import Known

        t = Known(self.writer.names.tensor(), axes)
        starred = ["*" + a if a in self.writer.stars else a for a in axes]
        self.arguments.insert(0, _spell(t.name, starred))
        if not axes or axes[0] in self.writer.axes:
            self.writer.tensors.append(t)
        return _spell(t.name, list(axes))


def _spell(name: str, slots: list[str]) -> str:
    return f"{name}[{', '.join(slots)}]" if slots else name


def recurrence(writer: Writer, arguments: list[str], own: Random) -> tuple[list[str], list[Known]]:
    """The lines of a recurrence and the names that they define; ``arguments``, those of the signature, may become more."""
    from tests.systems.generate import Known

    plain = [a for a in writer.axes if a not in writer.stars]
    if not plain or not chance(own, RECURRENT):
        return [], []
    rng = writer.rng
    axis = pick(rng, plain)
    others = writer.one_star([a for a in writer.axes if a != axis and chance(rng, 60)])[:2]
    known = []
    for _ in range(1 + rng.randrange(3)):
        axes = [a for a in others if chance(rng, 85)]
        axes.insert(rng.randrange(len(axes) + 1), axis)
        known.append(Known(writer.names.tensor(), tuple(axes)))
    group = _Group(writer, arguments, axis, known, chance(rng, 35))
    lines = list[str]()
    for k, t in enumerate(known):
        writer.stepped = [Stepped(u, axis, group.form) for u in known] + [Stepped(u, axis, axis) for u in known[:k]]
        lines.append(f"{_spell(t.name, [writer.starred(a) for a in t.axes])} = {_cell(group, k)}")
    writer.stepped = []
    firsts = [_first(group, t) for k, t in enumerate(known) if group.carried(t, lines[: k + 1]) and chance(rng, 55)]
    late = chance(rng, 15)
    lines = [*([] if late else firsts), *lines, *(firsts if late else [])]
    writer.tensors += known
    return lines + _after(group), known


def _cell(group: _Group, k: int) -> str:
    """What a name of the group is at a step."""
    writer, rng, t = group.writer, group.writer.rng, group.known[k]
    scope = t.axes
    if chance(rng, 25):
        return writer.expression(scope, 1 + rng.randrange(2))
    back = group.back(group.known[rng.randrange(len(group.known))], scope)
    own = group.back(t, scope)
    given = _gate(group, k, scope)
    forms: tuple[Callable[[], str], ...] = (
        lambda: f"tanh({given} + {back})",
        lambda: f"tanh({writer.expression(scope, 1)} + {back})",
        lambda: f"{pick(rng, ('0.5', '-1/4', *writer.constants))}*{own} + {given}",
        lambda: f"sigmoid({given})*{own} + {writer.read(scope)}",
        lambda: f"{own} + sigmoid({given})*(tanh({back}) - {own})",
        lambda: f"where({writer.row(scope) or '0 < 1'}, {own}, {given})",
        lambda: f"{pick(rng, ('maximum', 'minimum'))}({own}, {given})",
        lambda: f"{own}*{given}",
        lambda: f"{own} - {given}*{back}",
        lambda: _called(group, t, scope) or f"sin({back})*{given}",
        lambda: f"exp(-abs({own}))*{given}",
        lambda: f"stop({back}) + {given}*{own}",
    )
    return forms[rng.randrange(len(forms))]()


def _gate(group: _Group, k: int, scope: tuple[str, ...]) -> str:
    """What a step reads of the names above it, or of anything else."""
    rng = group.writer.rng
    above = [t for t in group.known[:k] if set(t.axes) <= {*scope}]
    if above and chance(rng, 60):
        t = above[rng.randrange(len(above))]
        return _spell(t.name, [group.writer.starred(a) for a in t.axes])
    return group.writer.read(scope)


def _called(group: _Group, t: Known, scope: tuple[str, ...]) -> str:
    """An op of the catalogue over the step before; the axis of the steps is one of those along which it does not mix."""
    writer, rng = group.writer, group.writer.rng
    if writer.called >= 2 or len(t.axes) < 2 or t.axes[-1] in (group.axis, *writer.stars) or not {*t.axes} <= {*scope}:
        return ""
    if any(a in writer.stars for a in t.axes):
        return ""
    writer.called += 1
    read = _spell(t.name, [group.form if a == group.axis else a for a in t.axes])
    head = pick(rng, ("softmax", "log_softmax", "rmsnorm", "silu", "sigmoid", "gelu", "lstm_cell"))
    if head == "rmsnorm":
        return f"rmsnorm({read}, {group.given(t.axes[-1:])}, eps=0.01)"
    if head == "lstm_cell":
        return f"lstm_cell({group.given(t.axes)}, {group.given(t.axes)}, {read}, {read})"
    return f"{head}({read}) + {writer.read(scope)}"


def _first(group: _Group, t: Known) -> str:
    """The line that says what the first step reads."""
    writer, rng = group.writer, group.writer.rng
    rest = tuple(a for a in t.axes if a != group.axis)
    at = f"size({group.axis})" if group.down else "-1"
    left = _spell(t.name, [at if a == group.axis else writer.starred(a) for a in t.axes])
    kind = rng.randrange(10)
    if kind < 4:
        return f"{left} = {group.given(rest)}"
    if kind < 6:
        return f"{left} = {pick(rng, ('1', '0', '0.5', '-1/3', *writer.constants))}"
    return f"{left} = {writer.expression(rest, 1)}"


def _after(group: _Group) -> list[str]:
    """Now and then an equation that reads a step by its position, or the steps before."""
    from tests.systems.generate import Known

    writer, rng = group.writer, group.writer.rng
    if not chance(rng, 40):
        return []
    t = group.known[rng.randrange(len(group.known))]
    rest = [a for a in t.axes if a != group.axis]

    def at(form: str) -> str:
        return _spell(t.name, [form if a == group.axis else a for a in t.axes])

    kinds = [at(f"size({group.axis}) - 1"), at("0"), f"{pick(rng, ('sum', 'mean', 'max'))}[{group.axis}]({at(group.form)}**2)"]
    axes = rest
    right = pick(rng, kinds)
    if chance(rng, 35):
        axes, right = list(t.axes), f"{at(group.axis)} - {at(group.form)}"
    y = Known(writer.names.tensor(), tuple(axes))
    writer.tensors.append(y)
    group.known.append(y)
    return [f"{_spell(y.name, [writer.starred(a) for a in axes])} = {right}"]
