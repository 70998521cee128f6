"""Packed axes of a random system: written into its text, and read out of it again.

A text with packed axes means what it means without their brackets; only the shapes of its tensors differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from tests.systems.vocabulary import chance

#: A length that a signature may give.
GIVEN = (1, 2, 3)
_TENSOR = re.compile(r"(\w+)\[([^\]]*)\]")
_LEFT = re.compile(r"^(\w+)\[([^\]]*)\](?=\s*=)")


@dataclass(frozen=True)
class Packs:
    """``widths`` says how many axes each axis of a packed tensor stands for; ``lengths`` are those that are given.

    ``counts`` are the constants that are lengths.
    """

    widths: dict[str, tuple[int, ...]] = field(default_factory=dict)
    lengths: dict[str, int] = field(default_factory=dict)
    counts: set[str] = field(default_factory=set)


def unpacked(text: str) -> tuple[str, Packs]:
    """The text without packed axes, and what it packs."""
    signature, *rest = text.split("\n")
    packs = Packs()

    def plain(found: re.Match[str]) -> str:
        slots = [part.strip() for part in re.findall(r"\s*\w*\([^)]*\)|[^,]+", found[2])]
        axes: list[str] = []
        widths: list[int] = []
        for slot in slots:
            inner = slot[1:-1].split(",") if slot[0] == "(" else [slot]
            parts = [[q.strip() for q in p.split("=")] for p in inner]
            for name, *length in parts:
                axes.append(name)
                for n in length:
                    packs.lengths[name] = int(n) if n.isdigit() else _default(signature, n)
                    packs.counts.update(set() if n.isdigit() else {n})
            widths.append(len(parts))
        if max(widths, default=1) > 1:
            packs.widths[found[1]] = tuple(widths)
        return f"{found[1]}[{', '.join(axes)}]"

    return "\n".join([_TENSOR.sub(plain, signature), *(_LEFT.sub(plain, line) for line in rest)]), packs


def _default(signature: str, constant: str) -> int:
    found = re.search(rf"\b{constant}=(\d+)", signature)
    assert found is not None
    return int(found[1])


def open_lengths(slots: Iterable[tuple[str, ...]], known: Iterable[str], length: dict[str, int]) -> bool:
    """Whether shapes leave the length of an axis open: what packs it is 0 long by another of its axes."""
    found, slots = set(known), list(slots)
    for slot in slots * len(slots):
        missing = [a for a in slot if a not in found]
        if len(missing) == 1 and all(length[a] for a in slot if a in found):
            found.add(missing[0])
    return any(a not in found for slot in slots for a in slot)


def packed(rng: Random, text: str, root: dict[str, str], declared: Iterable[str] = ()) -> str:
    """The text with some axes packed; ``root`` has a representative of all axes of one length.

    All lengths of a packed axis but one follow from the shapes of inputs that have such an axis, or are given, or ``declared``.
    """
    signature, *rest = text.split("\n")
    writer = _Writer(rng, root, {a.lstrip("*") for a in re.findall(r"\*\s*\w+", signature)}, text)
    runs = [(m, writer.run(m)) for m in _TENSOR.finditer(signature)]
    inputs = [(m, run) for m, run in runs if m.start() > signature.index(" = ")]
    writer.plain = {root[a] for m, run in inputs for k, a in enumerate(_axes(m)) if k not in run}
    writer.declared = {root[a] for a in declared}
    for m, run in runs:
        writer.give([_axes(m)[k] for k in run])
    spelled = iter([writer.spelled(m, run) for m, run in runs])
    first = _TENSOR.sub(lambda m: next(spelled), signature)
    call, sign, comment = first.partition("  #")
    end = call.rindex(")")
    given = "".join(f", {name}={value}" for name, value in writer.constants.items())
    return "\n".join([call[:end] + given + call[end:] + sign + comment, *(_LEFT.sub(writer.left, line) for line in rest)])


def _axes(found: re.Match[str]) -> list[str]:
    return [a.strip().lstrip("*") for a in found[2].split(",")]


@dataclass
class _Writer:
    """Packs the tensors of a text. ``plain`` has the axes that an input has by themselves, ``declared`` those of no input."""

    rng: Random
    root: dict[str, str]
    stars: set[str]
    text: str
    plain: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    lengths: dict[str, int | str] = field(default_factory=dict)
    constants: dict[str, int] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)

    def run(self, found: re.Match[str]) -> range:
        """The positions of the axes that a tensor packs, mostly two, none as often as not."""
        axes = _axes(found)
        if not {*axes} <= {*self.root}:  # what the first step of a recurrence reads
            return range(0)
        starts = [k for k in range(len(axes) - 1) if not self.stars & {axes[k], axes[k + 1]}]
        if not starts or not chance(self.rng, 50):
            return range(0)
        start = starts[self.rng.randrange(len(starts))]
        more = chance(self.rng, 30) and start + 2 < len(axes) and axes[start + 2] not in self.stars
        return range(start, start + 2 + more)

    def give(self, slot: list[str]) -> None:
        """Give the lengths of all axes of a packed axis but one, where no input has them by themselves, and some more."""
        left = self.rng.randrange(len(slot)) if slot else 0
        for k, axis in enumerate(slot):
            known = self.root[axis] in self.plain
            if k == left or self.root[axis] in {*self.lengths, *self.declared} or (known and not chance(self.rng, 20)):
                continue
            length = GIVEN[self.rng.randrange(len(GIVEN))]
            self.lengths[self.root[axis]] = self.constant(length) if chance(self.rng, 25) else length

    def constant(self, length: int) -> str:
        name = next(n for k in count() if (n := f"count{k}") not in self.text and n not in self.constants)
        self.constants[name] = length
        return name

    def spelled(self, found: re.Match[str], run: range) -> str:
        slots = [a.strip() for a in found[2].split(",")]
        if run:
            slots[run.start : run.stop] = [f"({', '.join(self.axis(a) for a in slots[run.start : run.stop])})"]
        return f"{found[1]}[{', '.join(slots)}]"

    def axis(self, name: str) -> str:
        if self.root[name] not in self.lengths or name in self.shown:
            return name
        self.shown.add(name)
        return f"{name} = {self.lengths[self.root[name]]}"

    def left(self, found: re.Match[str]) -> str:
        """The left side of an equation: a name of the author's may be packed as well."""
        name, run = found[1], self.run(found)
        slots = [a.strip() for a in found[2].split(",")]
        if not run or self.signed(name):
            return found[0]
        slots[run.start : run.stop] = [f"({', '.join(slots[run.start : run.stop])})"]
        return f"{name}[{', '.join(slots)}]"

    def signed(self, name: str) -> bool:
        """Whether the signature has a tensor."""
        return re.search(rf"\b{name}\b", self.text.split("\n")[0]) is not None
