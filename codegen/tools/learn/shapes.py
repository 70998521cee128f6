"""The axes of what comes back and of what is to be found: a picture, and the rule that leads from the one to the other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from codegen.axes import merge
from codegen.tools.learn.contributions import Contribution
from codegen.tools.learn.told import inside, slots, told
from derive import syntax as st
from derive.language.unicode import text

__all__ = ["listed", "multiplies", "picture", "rules", "spread"]


def picture(name: str, parts: Sequence[Contribution], sizes: Mapping[str, int]) -> list[str]:
    """A table with a row for each gradient that comes back and one for the gradient to find, and a column for each axis.

    A cell has the length of the axis where it is known, and else a square. It is a dot where the row has no such axis.
    """
    rows = [(u, _slots(own[0].upstream, own[0]), f"{_origin(own[0])}{_short(own)}") for u, own in _by_upstream(parts).items()]
    rows.append((name, _slots(parts[0].target, parts[0]) if parts else (), "to find"))
    columns = merge([axes for _, axes, _ in rows])
    cells = {a: _length(a, sizes) for a in columns}
    wide = {a: max(len(a), len(cells[a])) for a in columns}
    first = max(len(name) for name, _, _ in rows)
    lines = ["  ".join([" " * first, *(a.rjust(wide[a]) for a in columns)]).rstrip()]
    for label, axes, note in rows:
        line = "  ".join([label.ljust(first), *((cells[a] if a in axes else "·").rjust(wide[a]) for a in columns)])
        lines.append(f"{line}   {note}".rstrip())
    return lines if columns else lines[1:]


def rules(name: str, part: Contribution) -> list[str]:
    """What happens to each axis on the way of one contribution, in sentences."""
    found = [*_labelled(name, part), *_summed(name, part), *_repacked(name, part)]
    if any(i != st.axis_of(i) for i in part.summed):
        return found
    if multiplies(part):
        a, b = (f"{r.name} has {listed(slots(r, part.packing))}" for r in part.factors[:2])
        found.append(f"{a}; {b}: summed over {listed(part.summed)}, that is a product of matrices.")
    else:
        found += _repeated(part)
    if not found and part.axes:
        found.append(f"{listed([*(r.name for r in part.factors if r.index), name])} have the same axes: entry by entry.")
    return found


def _repeated(part: Contribution) -> Iterator[str]:
    """Which factors lack which axes. The axes whose entries labels choose are told by the labels."""
    loop = [i for i in (*part.axes, *part.summed) if i not in _targets(part)]
    lacking: dict[tuple[str, ...], list[str]] = {}
    for r in part.factors:
        missing = tuple(i for i in loop if i not in st.free_indices(r))
        if missing and r.index:
            lacking.setdefault(missing, []).append(r.name)
        elif missing and r == part.upstream:
            yield f"{r.name} is a number: it is the same for every entry."
    for missing, names in lacking.items():
        one = len(set(names)) == 1
        has, is_ = ("has", "it is") if one else ("have", "they are")
        yield f"{listed(names)} {has} no {listed(missing, 'or')}: {is_} the same for every {listed(missing)}."


def listed(words: Iterable[st.Index], link: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``; a word that was there before is left out."""
    found = list(dict.fromkeys(map(_word, words)))
    return f" {link} ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))


def _word(word: st.Index) -> str:
    return text(st.Read(word.name, word.index)) if isinstance(word, st.Lookup) else word


def _by_upstream(parts: Sequence[Contribution]) -> dict[str, list[Contribution]]:
    found: dict[str, list[Contribution]] = {}
    for p in parts:
        found.setdefault(p.upstream.name, []).append(p)
    return found


def _slots(read: st.Read, part: Contribution) -> tuple[str, ...]:
    """The axes of an array, without the primes of the indices."""
    found = [i if isinstance(i, str) else i.name for i in slots(read, part.packing)]
    return tuple(dict.fromkeys(i.replace("'", "") for i in found))


def _length(axis: str, sizes: Mapping[str, int]) -> str:
    """The length of an axis, or of several that are one; a square where it is not known."""
    axes = inside(axis) or (axis,)
    return str(math.prod(sizes[a] for a in axes)) if set(axes) <= sizes.keys() else "■"


def _repacked(name: str, part: Contribution) -> Iterator[str]:
    """Which axes are one axis of one array and several of another."""
    reads = [*part.factors, st.Read(name, part.axes)]
    found = {i: r.name for r in reads for i in slots(r, part.packing) if inside(i)}
    for packed, whole in found.items():
        apart = [r.name for r in reads if set(inside(packed)) <= set(slots(r, part.packing))]
        if apart:
            shape = f"give it the shape of {part.target.name}"
            yield f"{whole} has the one axis {packed} where {listed(apart)} has {listed(inside(packed))}: {shape}."


def _origin(part: Contribution) -> str:
    if part.reader is None:
        return "given"
    number = "" if part.upstream.index else ", a number"
    return f"comes back from {part.source}{number}"


def _short(parts: Sequence[Contribution]) -> str:
    """What becomes of the axes, in a few words."""
    said = [_shortly(p) for p in parts]
    if len(parts) > 1:
        said = [s or "entry by entry" for s in said]
    found = " and ".join(dict.fromkeys(said))
    return f": {found}" if found else ""


def _shortly(part: Contribution) -> str:
    said = []
    labels = {i for m in _matches(part) for i in _label_indices(m)}
    for m in _matches(part):
        what = "added to" if _label_indices(m) & set(part.summed) else "goes to"
        said.append(f"{what} the entries with {told(m, part.packing)}")
    if plain := [i for i in part.summed if i not in labels]:
        said.append(f"sum over {listed(map(st.axis_of, plain))}")
    if part.upstream.index and (apart := spread(part)):
        said.append(f"the same for every {listed(apart)}")
    every = (*_slots(part.upstream, part), *_slots(part.target, part))
    packed = next(filter(inside, every), "")
    if packed and set(inside(packed)) <= {*every}:
        said.append(f"{packed} is {listed(inside(packed))} in one axis")
    return ", ".join(said)


def spread(part: Contribution) -> list[str]:
    """The axes of the target that nothing on the way has."""
    have = {i for r in part.factors for i in st.free_indices(r)} | set(_targets(part))
    return [i for i in part.axes if i not in have]


def _matches(part: Contribution) -> list[st.Match]:
    """The conditions that an index be a label."""
    found = [n.cond for n in st.walk(part.local) if isinstance(n, st.Indicator) and isinstance(n.cond, st.Match)]
    return [m for m in dict.fromkeys(found) if m.equal]


def _label_indices(match: st.Match) -> set[str]:
    return {i for side in (match.left, match.right) if isinstance(side, st.Lookup) for i in st.index_names(side)}


def _targets(part: Contribution) -> list[str]:
    """The axes of the target whose entries labels choose."""
    return [side for m in _matches(part) for side in (m.left, m.right) if isinstance(side, str)]


def _labelled(name: str, part: Contribution) -> Iterator[str]:
    of = part.target.name
    only = "only they get a gradient, all others get 0."
    for m in _matches(part):
        lookup = next((side for side in (m.left, m.right) if isinstance(side, st.Lookup)), None)
        axis = next((side for side in (m.left, m.right) if isinstance(side, str)), "")
        if lookup is None:
            yield f"only the entries of {of} with {told(m, part.packing)} were read: {only}"
        elif _label_indices(m) & set(part.summed):
            label = told(st.Read(lookup.name, lookup.index), part.packing)
            yield (
                f"{label} says which {axis} of {of} was read. A label may occur several times, so {name} at {axis} gets the "
                f"sum over all {listed(st.index_names(lookup))} with {told(m, part.packing)}."
            )
        else:
            yield f"only the entries of {of} with {told(m, part.packing)} were read: {only}"


def _summed(name: str, part: Contribution) -> Iterator[str]:
    labels = {i for m in _matches(part) for i in _label_indices(m)}
    rest = [i for i in part.summed if i not in labels]
    axes = {st.axis_of(i) for i in part.axes}
    missing = [i for i in rest if st.axis_of(i) not in axes]
    if missing:
        are = "are" if len(missing) > 1 else "is"
        yield f"{listed(missing)} {are} missing from {name}, so sum over {listed(missing)}."
    if others := [i for i in rest if i not in missing]:
        value, by = part.derivative
        shown, every = told(by, part.packing), told(value, part.packing)
        yield f"each {shown} was used for every {every}, so sum over {listed(others)}."


def multiplies(part: Contribution) -> bool:
    """Whether two factors have an axis each that the other lacks, beside the axes that are summed."""
    sets = [set(st.free_indices(r)) for r in part.factors]
    return len(sets) == 2 and bool(set(part.summed) & sets[0] & sets[1]) and bool(sets[0] - sets[1]) and bool(sets[1] - sets[0])
