"""Reference lengths of axes: the line ``sizes: i=4096, f=64`` of a text, or the option ``--sizes i=4096,f=64``.

Costs are compared at these lengths. So they may decide which form of a gradient is chosen, and never what it computes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate

from derive.errors import OpError
from derive.language import hints
from derive.language.axes import equal_axes
from derive.language.text import code_of, name_in
from derive.syntax import Op

__all__ = ["LONGEST_AXIS", "Given", "sizes_from", "sizes_in", "sizes_of_option", "with_sizes"]

#: The greatest length of an axis: what a signed integer of 64 bits holds.
LONGEST_AXIS = 2**63 - 1
_LINE = re.compile(r"sizes[ \t]*:")
_ENTRY = re.compile(r"\*?([A-Za-z]\w*)\s*=\s*(\S+)")


@dataclass(frozen=True)
class Given:
    """One length as it was written, and where: ``line`` counts from 1, ``column`` from 0. Without a line, ``where`` says it."""

    axis: str
    length: str
    line: int | None = None
    column: int = 0
    where: str = ""

    def error(self, op: str, message: str) -> OpError:
        return OpError(message, op=self.where or op, line=self.line, column=self.column)


def sizes_in(text: str) -> tuple[str, str, tuple[Given, ...]]:
    """The text with an empty line in the place of every line of sizes, the text as it is shown, and the lengths given.

    Such a line stands outside of brackets. A line of sizes inside of brackets stays, as a part of its equation. OpError: a
    line of sizes stands before the signature, or has something other than lengths.
    """
    op, lines, found, taken, depth = name_in(text), text.split("\n"), list[Given](), set[int](), 0
    for k, line in enumerate(lines):
        code = code_of(line)
        if not depth and (head := _LINE.match(code)):
            if not any(code_of(other).strip() for other in lines[:k]):
                raise OpError("sizes stand after the signature, on a line of their own", op=op, line=k + 1, column=0)
            found += _given(code[head.end() :], Given("", "", k + 1, head.end()), op)
            lines[k] = ""
            taken.add(k)
        depth += sum(code.count(c) for c in "([{") - sum(code.count(c) for c in ")]}")
    return "\n".join(lines), "\n".join(_without(lines, taken)), tuple(found)


def _without(lines: Iterable[str], taken: Collection[int]) -> list[str]:
    """The lines that are not taken. Of two empty lines that are neighbours now, one goes too."""
    kept, cut = list[str](), False
    for k, line in enumerate(lines):
        if k in taken:
            cut = True
        elif line.strip() or not (cut and kept and not kept[-1].strip()):
            kept.append(line)
            cut = False
    return kept


def sizes_of_option(text: str) -> tuple[Given, ...]:
    """The lengths that ``i=4096,f=64`` on a command line gives; none for an empty text (OpError for any other)."""
    return tuple(_given(text, Given("", "", where="--sizes"), "")) if text.strip() else ()


def sizes_from(lengths: Mapping[str, int]) -> tuple[Given, ...]:
    """Lengths that Python code gives."""
    return tuple(Given(axis, str(length)) for axis, length in lengths.items())


def with_sizes(op: Op, *given: Collection[Given]) -> Op:
    """The op at other reference lengths. What a collection gives takes the place of what was there before.

    Axes that must have one length all get the length of the one that is given. OpError: the op has no such axis, the length
    is no whole number of at least 1 or is beyond ``LONGEST_AXIS``, or one collection gives an axis two lengths.
    """
    return reduce(_with, filter(None, given), op)


def _with(op: Op, given: Collection[Given]) -> Op:
    roots, of = equal_axes(op), dict[str, Given]()
    for g in given:
        _check_length(g, op.name)
        if g.axis not in roots:
            known = hints.listed(list(roots)) or "none"
            raise g.error(op.name, f"there is no axis '{hints.short(g.axis)}'; the axes: {known}{hints.meant(g.axis, roots)}")
        other = of.setdefault(roots[g.axis], g)
        if other is not g and (other.axis == g.axis or int(other.length) != int(g.length)):
            raise g.error(op.name, _twice(other, g))
    for axis, length in op.packing.lengths:
        g = of.get(roots.get(axis, axis), Given("", str(length)))
        if isinstance(length, int) and int(g.length) != length:
            raise g.error(op.name, f"the signature gives '{axis}' the length {length}, not {g.length}")
    own = dict(op.sizes)
    own |= {axis: int(of[root].length) for axis, root in roots.items() if root in of}
    return replace(op, sizes=tuple(sorted(own.items())))


def _given(text: str, at: Given, op: str) -> Iterable[Given]:
    """The lengths of a list such as ``i=4096, f=64``, which begins at a place."""
    parts = text.split(",")
    for part, start in zip(parts, accumulate((len(p) + 1 for p in parts), initial=0), strict=False):
        here = replace(at, column=at.column + start + len(part) - len(part.lstrip()))
        if not (entry := _ENTRY.fullmatch(part.strip())):
            raise here.error(op, f"expected the length of an axis, such as i=4096, not '{hints.short(part.strip())}'")
        yield replace(here, axis=entry[1], length=entry[2])


def _check_length(g: Given, op: str) -> None:
    digits = g.length.isascii() and g.length.isdecimal()
    if not digits or not g.length.strip("0"):
        raise g.error(op, f"the length of '{g.axis}' is a whole number of at least 1, not {hints.short(g.length)}")
    if len(g.length) > len(str(LONGEST_AXIS)) or int(g.length) > LONGEST_AXIS:
        raise g.error(op, f"no axis is as long as '{g.axis}' = {hints.short(g.length)}; the most is {LONGEST_AXIS}")


def _twice(one: Given, other: Given) -> str:
    if one.axis == other.axis:
        return f"the length of '{other.axis}' is given twice"
    return f"the axes '{one.axis}' and '{other.axis}' have one length, and are given {one.length} and {other.length}"
