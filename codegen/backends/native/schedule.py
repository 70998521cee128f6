"""Which statements share a loop, and where each value lives: the one place where native code is planned.

Fusion is by level. Within a loop nest a statement goes into the first loop over its next axis that comes after everything
it needs complete; a value is complete inside a loop as long as it is not reduced over that loop's axis and is read at that
loop's own index. What is only a prefix of a nest's axes is computed once per row, outside the inner loops.

A value that no result needs lives in a register where all its uses are in one loop body; is computed again where that is
cheaper than keeping it; else in a row of the thread that needs it, or, where it crosses nests, in an array, which shares
the memory of a result that is written over it only after its last use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from codegen.backends.native.flat import CHEAP, Flat, flatten, operations, taken
from codegen.backends.native.hoist import hoist
from codegen.backends.native.logistic import with_logistics
from codegen.program import Program
from derive import syntax as st


@dataclass(frozen=True)
class Loop:
    """A loop over one axis; ``key`` is its place in the tree, which no other loop has."""

    axis: str
    body: tuple[Item, ...]
    key: tuple[int, ...]

    @property
    def innermost(self) -> bool:
        return all(isinstance(item, Flat) for item in self.body)


Item = Loop | Flat
#: A result is said to fit over so many arguments at most: of all pairs there may be as many as the square of the names.
MOST_HOSTS = 4


@dataclass(frozen=True)
class Place:
    """Where a value lives.

    ``kind``: "result", the array that the caller gets; "local", a variable; "again", nowhere, it is computed where it is
    used; "row", a buffer of the thread over ``axes``; "array", a buffer of the call over ``axes``, in the memory of
    ``over`` if that is not empty.
    """

    kind: str
    axes: tuple[str, ...] = ()
    over: str = ""


@dataclass(frozen=True)
class Schedule:
    """A program as loop nests in order, with the place of every value.

    ``flats`` are all its statements, those too that stand nowhere because they are computed again where they are used.
    ``batch`` is the axis of an outermost loop around all nests, or "".
    ``overwritable`` pairs each result with the arguments that it may be written over.
    """

    program: Program
    flats: tuple[Flat, ...]
    body: tuple[Item, ...]
    places: dict[str, Place]
    overwritable: tuple[tuple[str, str], ...]
    batch: str = ""


@lru_cache(maxsize=16)
def schedule(program: Program) -> Schedule:
    """The loop nests of a program."""
    flats = hoist(flatten(with_logistics(program)), taken(program))
    batch = _batch(flats)
    body = (Loop(batch, fuse(flats, (batch,), (0,)), (0,)),) if batch else fuse(flats, ())
    placing = _Placing(program, body, 1 if batch else 0)
    places = placing.places()
    return Schedule(program, flats, _pruned(body, places), places, placing.overwritable(), batch)


def _batch(flats: tuple[Flat, ...]) -> str:
    """The axis over which matrix products and everything between them are independent of each other, or "".

    One element of it after the other keeps what the products leave for each other in the cache.
    """
    products = [f for f in flats if f.kind == "product"]
    axis = products[0].index[0] if products and products[0].index else ""
    made = {f.name: f for f in flats}

    def independent(f: Flat) -> bool:
        if f.kind == "scatter" or f.index[:1] != (axis,) or axis in f.reduced:
            return False
        if f.kind == "product" and not all(r.index[:1] == (axis,) for r in st.walk(f.body) if isinstance(r, st.Read)):
            return False
        if f.reduces and f.loops[1:2] and f.loops[1] in f.reduced:
            return False
        slots = [(made[n.name], n) for n in st.walk(f.body) if isinstance(n, st.Read) and n.name in made]
        return f.loops[:1] in ((), (axis,)) and all(_slot(given, read, axis) for given, read in slots)

    return axis if len(products) > 1 and axis and all(map(independent, flats)) else ""


def _pruned(body: tuple[Item, ...], places: dict[str, Place]) -> tuple[Item, ...]:
    """The body without loops in which nothing is left: what they held is computed elsewhere."""
    kept: list[Item] = []
    for item in body:
        if isinstance(item, Flat):
            kept.append(item)
        elif any(places[f.name].kind != "again" for f, _ in flats_in(item.body)):
            kept.append(Loop(item.axis, _pruned(item.body, places), item.key))
    return tuple(kept)


# ---- fusion ------------------------------------------------------------------------------------------------------------


def fuse(flats: tuple[Flat, ...], prefix: tuple[str, ...], key: tuple[int, ...] = ()) -> tuple[Item, ...]:
    """The statements inside the loops ``prefix`` as an ordered body: loops over further axes, and what runs once."""
    level = _levels(flats, len(prefix))
    if not prefix:
        level = _postponed(flats, level)
    groups: dict[tuple[int, str], list[Flat]] = {}
    for f, at in zip(flats, level, strict=True):
        groups.setdefault((at, _next_axis(f, len(prefix))), []).append(f)
    body: list[Item] = []
    for (_, axis), members in sorted(groups.items(), key=lambda item: item[0][0]):
        if axis:
            own = (*key, len(body))
            body.append(Loop(axis, fuse(tuple(members), (*prefix, axis), own), own))
        else:
            body.extend(members)
    return tuple(body)


def _next_axis(f: Flat, depth: int) -> str:
    return "" if f.opaque or len(f.loops) == depth else f.loops[depth]


def _levels(flats: tuple[Flat, ...], depth: int) -> list[int]:
    """Loops get odd levels, what runs once between them even ones; each statement the earliest that its needs allow.

    What is to be written over an argument comes after all else that is not, since that may read the argument.
    """
    level: list[int] = []
    last = 0
    for k, f in enumerate(flats):
        axis, at = _next_axis(f, depth), last + 1 if f.over and not depth else 0
        for j in range(k):
            if flats[j].name in f.needs:
                at = max(at, _after(flats[j], level[j], f, axis, depth))
        level.append(at + (at % 2 == 0) if axis else at + at % 2)
        last = last if f.over else max(last, level[-1])
    return level


def _postponed(flats: tuple[Flat, ...], level: list[int]) -> list[int]:
    """The levels with each reduction in the nest, of those that it may stand in, that reads most of what it reads anyway.

    A sum of ``dy`` alone could be taken in the very first pass, which would then read ``dy`` for its sake only.
    """
    level = list(level)
    for k, f in enumerate(flats):
        axis = _next_axis(f, 0)
        if not axis or not f.reduces:
            continue
        users = [j for j in range(k + 1, len(flats)) if f.name in flats[j].needs]
        last = min((level[j] - 1 for j in users), default=level[k])
        places = [
            l
            for l in range(level[k], last + 1, 2)
            if any(_next_axis(g, 0) == axis and level[j] == l for j, g in enumerate(flats))
        ]

        def alone(at: int, k: int = k, f: Flat = f) -> int:
            """How many names the nest at a level would read for this statement only."""
            others = [g.needs for j, g in enumerate(flats) if j != k and level[j] == at and _next_axis(g, 0)]
            return len(f.needs.difference(*others))

        level[k] = min(places, key=alone, default=level[k])
    return level


def _after(given: Flat, level: int, f: Flat, axis: str, depth: int) -> int:
    """The first level at which ``f`` may use a value that is computed at ``level``."""
    if level % 2 == 0:
        return level
    shared = axis == _next_axis(given, depth) and axis in given.index and axis not in given.reduced
    return level if shared and all(_slot(given, r, axis) for r in f.reads.get(given.name, ())) else level + 1


def _slot(given: Flat, read: st.Read, axis: str) -> bool:
    """Whether a read takes the value at the loop's own index of that axis."""
    return read.index[given.index.index(axis)] == axis


def flats_in(body: tuple[Item, ...], path: tuple[Loop, ...] = ()) -> Iterator[tuple[Flat, tuple[Loop, ...]]]:
    """Every statement in order of execution, with the loops around it."""
    for item in body:
        if isinstance(item, Loop):
            yield from flats_in(item.body, (*path, item))
        else:
            yield item, path


# ---- places ------------------------------------------------------------------------------------------------------------

Path = tuple[Loop, ...]
#: A statement that writes to some memory, with the loops around it and its position.
_Writer = tuple[Flat, Path, int]


@dataclass(frozen=True)
class _Use:
    """A statement that reads a value, and where it is evaluated: not always where it stands, if it is computed again."""

    by: Flat
    path: Path
    position: int

    def reads(self, name: str) -> tuple[st.Read, ...]:
        return self.by.reads.get(name, ())


class _Placing:
    def __init__(self, program: Program, body: tuple[Item, ...], batch: int):
        self.program, self.batch = program, batch
        self.sites = list(flats_in(body))
        self.made = {f.name: (f, path) for f, path in reversed(self.sites)}
        self.written: dict[str, list[_Writer]] = {name: [] for name in self.made}
        self.used: dict[str, dict[tuple[str, str, int], _Use]] = {}
        for k, (f, path) in enumerate(self.sites):
            self.written[f.name].append((f, path, k))
            for name in f.needs:
                self.use(name, _Use(f, path, k))
        self.found: dict[str, Place] = {}

    def use(self, name: str, use: _Use) -> None:
        self.used.setdefault(name, {}).setdefault((use.by.name, use.by.kind, use.position), use)

    def uses(self, name: str) -> list[_Use]:
        return list(self.used.get(name, {}).values())

    def places(self) -> dict[str, Place]:
        for name in [f.name for f, _ in reversed(self.sites)]:
            if name not in self.found:
                self.found[name] = self.place(name)
        for name, place in self.found.items():
            if place.kind == "array":
                self.found[name] = Place("array", place.axes, self.host(name))
        return dict(reversed(self.found.items()))

    def place(self, name: str) -> Place:
        f, path = self.made[name]
        if f.fate != "temporary":
            return Place("result", f.index)
        if f.opaque:
            return Place("array", f.index[self.batch :])
        home = _home(f, path)
        uses = self.uses(name)
        plain = all(r.index == f.index for u in uses for r in u.reads(name))
        # What is compared with its own extremum, or shifted by it, must be the very same number in both places.
        exact = any(u.by.kind in ("max", "min") for u in uses)
        changed = any(u.by.kind == "point" and u.by.name == name for u in uses)
        if plain and not changed:
            inside = all(u.path[: len(home)] == home for u in uses)
            if inside and {l.axis for l in home} >= set(f.index):
                return Place("local")
            if (
                f.kind == "map"
                and not f.kept
                and not exact
                and operations(f.body) <= CHEAP
                and path
                and not any(u.by.opaque for u in uses)
            ):
                for needed in f.needs:  # its operands are then needed where it is used
                    for u in uses:
                        self.use(needed, _Use(f, u.path, u.position))
                return Place("again")
        shared = len(home)
        for u in uses:
            shared = min(shared, _shared(home, u.path, f, u.reads(name)))
        around = {l.axis for l in home[:shared]}
        axes = tuple(i for i in f.index if i not in around)
        return Place("row" if shared > self.batch else "array", axes)

    # ---- memory shared -------------------------------------------------------------------------------------------------

    def host(self, name: str) -> str:
        """A result, or another array, that may take the memory of a temporary array: it is written after the last use."""
        f, _ = self.made[name]
        if len(f.index) < 2:
            return ""
        taken = {p.over for p in self.found.values()}
        for other, place in self.found.items():
            host = self.made[other][0]
            fits = place.kind in ("result", "array") and host.index == f.index and not host.over
            if other != name and other not in taken and fits and self.may_overwrite(other, self.written[other], name, f.index):
                return other
        return ""

    def overwritable(self) -> tuple[tuple[str, str], ...]:
        pairs: list[tuple[str, str]] = []
        for result in dict.fromkeys(self.program.results):
            writers, index = self.writers(result), self.made[result][0].index
            hosts = [a.name for a in self.program.arguments if a.axes and a.axes == index and a.labels is None]
            hosts = [name for name in hosts if self.may_overwrite(result, writers, name, index)]
            own = [name for name in hosts if result == st.adjoint_name(name)]
            pairs += [(result, name) for name in hosts if name in (*own, *hosts[: MOST_HOSTS - len(own)])]
        return tuple(pairs)

    def may_overwrite(self, result: str, writers: list[_Writer], name: str, index: tuple[str, ...]) -> bool:
        """Whether every read of ``name`` comes before the element that it reads is written to the memory of ``result``."""
        if any(f.kind not in ("map", "point") and f.name == result for f, _, _ in writers):
            return False
        return all(
            _before(use, path, position, writer, index, use.reads(name))
            for use in self.uses(name)
            for writer, path, position in writers
        )

    def writers(self, result: str) -> list[_Writer]:
        """The statements that write to the memory of a result, with the loops around them and their positions."""
        return [w for name, own in self.written.items() if result in (name, self.owner(name)) for w in own]

    def owner(self, name: str) -> str:
        """The result in whose memory a temporary array lies."""
        while name in self.found and self.found[name].over:
            name = self.found[name].over
        return name


def _before(use: _Use, written: Path, position: int, writer: Flat, index: tuple[str, ...], reads: tuple[st.Read, ...]) -> bool:
    """Whether each element is read before, or by the statement that writes it, with the loops ``written`` around it."""
    same = {l.axis for l in written[: _common(use.path, written)]}
    if any(i in same and i != s for r in reads for i, s in zip(index, r.index, strict=True)):
        return False
    return use.position < position or (use.position == position and writer.kind == "map")


def _home(f: Flat, path: Path) -> Path:
    """The loops within which a value is complete: those outside the first that it is reduced over."""
    for k, loop in enumerate(path):
        if loop.axis in f.reduced:
            return path[:k]
    return path


def _common(a: Path, b: Path) -> int:
    n = 0
    while n < min(len(a), len(b)) and a[n] is b[n]:
        n += 1
    return n


def _shared(home: Path, use: Path, f: Flat, reads: tuple[st.Read, ...]) -> int:
    """The number of outer loops in which a value is made and used at one and the same index."""
    n = _common(home, use)
    for k in range(n):
        axis = home[k].axis
        if axis in f.index and any(not _slot(f, r, axis) for r in reads):
            return k
    return n
