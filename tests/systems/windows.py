"""Axes whose lengths a text declares, and the windows of other axes that their positions read: ``x[n, q*stride + k - pad]``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.systems.vocabulary import chance, pick

if TYPE_CHECKING:
    from tests.systems.generate import Writer

#: Of a hundred systems that have an axis to slide along, so many declare lengths.
DECLARED = 25
#: Of a hundred reads that may be those of a window, so many are.
READ = 70


@dataclass(frozen=True)
class Window:
    """The axis ``of`` is read at ``form``, which mentions ``tap`` where that is no empty text.

    ``covered`` says that each window has an element, unless an axis is very short.
    """

    of: str
    tap: str
    form: str
    covered: bool

    def reads(self, axis: str, scope: Iterable[str], nearest: tuple[str, ...] | None) -> bool:
        """Whether the window may stand for an axis; ``nearest`` are the axes of a reduction that needs an element."""
        inside = not self.tap or self.tap in scope
        return axis == self.of and inside and (nearest is None or (self.covered and self.tap in ("", *nearest)))


def declare(writer: Writer, arguments: list[str]) -> list[str]:
    """Declare one or two axes, seldom any: the lines that say their lengths. The writer has the axes and the windows."""
    rng = writer.rng
    plain = [a for a in writer.axes if a not in writer.stars]
    if not plain or not chance(rng, DECLARED):
        return []
    lines = list[str]()
    for _ in range(1 + chance(rng, 20)):
        of = pick(rng, plain)
        tap, own = _tap(writer, [a for a in plain if a != of], arguments)
        axis = writer.names.axis()
        step, apart, back = (
            _number(writer, of, arguments) for of in (("1", "1", "2", "3"), ("1", "1", "1", "2"), ("0", "1", "1"))
        )
        fitting = chance(rng, 75)
        length = (
            _fitting(of, tap, step, apart, back) if fitting else pick(rng, (f"size({of})", f"size({of}) + 2", f"2*size({of})"))
        )
        form = _form(rng, axis, tap, step, apart, back)
        if form == axis and not fitting:  # by itself it would say that both axes have one length
            form += " + 0"
        writer.windows[axis] = Window(of, tap, form, fitting and (bool(tap) or back == "0"))
        lines += [*own, f"size({axis}) = {length}"]
        writer.axes.append(axis)
    return lines


def _tap(writer: Writer, others: list[str], arguments: list[str]) -> tuple[str, list[str]]:
    """The axis along a window: one of the inputs, or one whose length a line gives; or none."""
    kind = writer.rng.randrange(10)
    if kind < 5 and others:
        return pick(writer.rng, others), []
    if kind < 8:
        tap = writer.names.axis()
        writer.axes.append(tap)
        return tap, [f"size({tap}) = {_number(writer, ('2', '3'), arguments)}"]
    return "", []


def _number(writer: Writer, of: tuple[str, ...], arguments: list[str]) -> str:
    """A whole number, or a constant of the signature that has it as default."""
    value = pick(writer.rng, of)
    if not chance(writer.rng, 25):
        return value
    name = writer.names.tensor()
    arguments.append(f"{name}={value}")
    writer.constants[name] = False
    return name


def _fitting(of: str, tap: str, step: str, apart: str, back: str) -> str:
    """The length of an axis so that each window begins and ends at most ``back`` outside."""
    around = f"size({of})" if back == "0" else f"size({of}) + 2*{back}"
    if tap and (step, apart) == ("1", "1"):
        return f"{around} - size({tap}) + 1"
    around += " - 1" if not tap else f" - size({tap})" if apart == "1" else f" - {apart}*(size({tap}) - 1) - 1"
    return f"({around})//{step} + 1"


def _form(rng: Random, axis: str, tap: str, step: str, apart: str, back: str) -> str:
    """The position that a window reads, its terms in one order or the other."""
    terms = [_times(axis, step, rng), *([_times(tap, apart, rng)] if tap else [])]
    form = " + ".join(reversed(terms) if chance(rng, 25) else terms)
    return form if back == "0" else f"{form} - {back}"


def _times(axis: str, factor: str, rng: Random) -> str:
    return axis if factor == "1" else f"{factor}*{axis}" if chance(rng, 50) else f"{axis}*{factor}"
