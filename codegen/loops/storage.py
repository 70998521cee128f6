"""The storage of each value, and which arguments may be donated to results.

A value that is no result has the first of these storages that is possible:

- a variable, if all uses are in one loop body;
- none, if rematerialising the value where it is used is cheaper than keeping it;
- a row of the worker that uses it, if it is used in one nest;
- an array. The array lies in the memory of a result, if the result is written only after the array's last use.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.loops.assignment import Assignment, Elementwise, fold_of
from codegen.loops.cost import operations
from codegen.loops.fusion import same_slot
from codegen.loops.loop import Item, Path, assignments_in
from codegen.loops.machine import Machine
from codegen.program import Program
from derive import syntax as st

#: The most arguments that are listed as donatable to one result, since the pairs grow with the square of the names.
MOST_HOSTS = 4


@dataclass(frozen=True)
class Result:
    """The array over ``axes`` that is returned to the caller."""

    axes: tuple[str, ...]


@dataclass(frozen=True)
class Variable:
    """A variable inside the loops that the value is computed in."""


@dataclass(frozen=True)
class Recomputed:
    """No storage: the value is rematerialised where it is used."""


@dataclass(frozen=True)
class Row:
    """A buffer over ``axes``, one for each worker."""

    axes: tuple[str, ...]


@dataclass(frozen=True)
class Array:
    """A buffer over ``axes``, one for each call; it lies in the memory of the result ``over`` unless that is ""."""

    axes: tuple[str, ...]
    over: str = ""


Memory = Result | Row | Array
Storage = Memory | Variable | Recomputed


#: A statement that writes to memory, the loops around it, and its position in the order of execution.
_Writer = tuple[Assignment, Path, int]


@dataclass(frozen=True)
class _Use:
    """A statement that reads a value, and a place where it is evaluated; a rematerialised statement may have several."""

    by: Assignment
    path: Path
    position: int

    def reads(self, name: str) -> tuple[st.Read, ...]:
        return self.by.reads.get(name, ())


class Placing:
    """Finds the storage of every value of a body; ``batch`` is the number of loops around all nests."""

    def __init__(self, program: Program, body: tuple[Item, ...], batch: int, machine: Machine):
        self.program, self.batch, self.machine = program, batch, machine
        self.sites = list(assignments_in(body))
        self.made = {f.name: (f, path) for f, path in reversed(self.sites)}
        self.written: dict[str, list[_Writer]] = {name: [] for name in self.made}
        self.used: dict[str, dict[tuple[str, bool, int], _Use]] = {}
        for k, (f, path) in enumerate(self.sites):
            self.written[f.name].append((f, path, k))
            for name in f.needs:
                self.use(name, _Use(f, path, k))
        self.found: dict[str, Storage] = {}

    def use(self, name: str, use: _Use) -> None:
        self.used.setdefault(name, {}).setdefault((use.by.name, use.by.updates, use.position), use)

    def uses(self, name: str) -> list[_Use]:
        return list(self.used.get(name, {}).values())

    def storage(self) -> dict[str, Storage]:
        """The storage of each value by its name, in order of execution."""
        for name in [f.name for f, _ in reversed(self.sites)]:
            if name not in self.found:
                self.found[name] = self.place(name)
        for name, place in self.found.items():
            if isinstance(place, Array):
                self.found[name] = Array(place.axes, self.host(name))
        return dict(reversed(self.found.items()))

    def place(self, name: str) -> Storage:
        f, path = self.made[name]
        if f.result:
            return Result(f.index)
        if f.opaque:
            return Array(f.index[self.batch :])
        home, uses = _home(f, path), self.uses(name)
        if found := self.without_memory(f, path, home, uses):
            return found
        shared = min([len(home), *(_shared(home, u.path, f, u.reads(name)) for u in uses)])
        around = {l.axis for l in home[:shared]}
        axes = tuple(i for i in f.index if i not in around)
        return Row(axes) if shared > self.batch else Array(axes)

    def without_memory(self, f: Assignment, path: Path, home: Path, uses: list[_Use]) -> Variable | Recomputed | None:
        """A variable, or no storage at all; None where the value needs memory."""
        plain = all(r.index == f.index for u in uses for r in u.reads(f.name))
        if not plain or any(u.by.updates and u.by.name == f.name for u in uses):
            return None
        if all(u.path[: len(home)] == home for u in uses) and {l.axis for l in home} >= set(f.index):
            return Variable()
        if not path or not self.cheap(f, uses):
            return None
        for needed in f.needs:  # its operands are then read where the value is used
            for u in uses:
                self.use(needed, _Use(f, u.path, u.position))
        return Recomputed()

    def cheap(self, f: Assignment, uses: list[_Use]) -> bool:
        """Whether rematerialising a value is correct, and cheaper than keeping it."""
        if not isinstance(f.kind, Elementwise) or f.kept or operations(f.body) > self.machine.recomputed:
            return False
        # A value that is compared with its own extremum, or shifted by it, must be the same number in both places, to the bit.
        return not any(((fold := fold_of(u.by)) and fold.compares) or u.by.opaque for u in uses)

    # ---- memory shared -------------------------------------------------------------------------------------------------

    def host(self, name: str) -> str:
        """A result or array in whose memory a temporary array may lie, since it is written after the temporary's last use."""
        f, _ = self.made[name]
        if len(f.index) < 2:
            return ""
        taken = {_over(place) for place in self.found.values()}
        for other, place in self.found.items():
            host = self.made[other][0]
            fits = isinstance(place, Result | Array) and host.index == f.index and not host.over
            if other != name and other not in taken and fits and self.may_overwrite(other, self.written[other], name, f.index):
                return other
        return ""

    def overwritable(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a result and an argument that may be donated to it."""
        pairs: list[tuple[str, str]] = []
        for result in dict.fromkeys(self.program.results):
            writers, index = self.writers(result), self.made[result][0].index
            hosts = [a.name for a in self.program.arguments if a.axes and a.axes == index and a.labels is None]
            hosts = [name for name in hosts if self.may_overwrite(result, writers, name, index)]
            own = [name for name in hosts if result == st.adjoint_name(name)]
            pairs += [(result, name) for name in hosts if name in (*own, *hosts[: MOST_HOSTS - len(own)])]
        return tuple(pairs)

    def may_overwrite(self, result: str, writers: list[_Writer], name: str, index: tuple[str, ...]) -> bool:
        """Whether each element of ``name`` is read for the last time before ``result`` is written over that element."""
        if any(f.reduced and f.name == result for f, _, _ in writers):
            return False
        return all(_before(use, writer, index, use.reads(name)) for use in self.uses(name) for writer in writers)

    def writers(self, result: str) -> list[_Writer]:
        """The statements that write to the memory of a result, with the loops around them and their positions."""
        return [w for name, own in self.written.items() if result in (name, self.owner(name)) for w in own]

    def owner(self, name: str) -> str:
        """The result in whose memory a temporary array lies."""
        while name in self.found and (over := _over(self.found[name])):
            name = over
        return name


def _over(place: Storage) -> str:
    """The name in whose memory an array lies; "" if the array has memory of its own."""
    return place.over if isinstance(place, Array) else ""


def _before(use: _Use, writer: _Writer, index: tuple[str, ...], reads: tuple[st.Read, ...]) -> bool:
    """Whether each element is read before the writer writes it, or by the writer itself."""
    f, written, position = writer
    same = {l.axis for l in written[: _common(use.path, written)]}
    if any(i in same and i != s for r in reads for i, s in zip(index, r.index, strict=True)):
        return False
    return use.position < position or (use.position == position and isinstance(f.kind, Elementwise))


def _home(f: Assignment, path: Path) -> Path:
    """The loops inside which a value is complete: all loops outside the first loop that the value is reduced over."""
    for k, loop in enumerate(path):
        if loop.axis in f.scoped:
            return path[:k]
    return path


def _common(a: Path, b: Path) -> int:
    n = 0
    while n < min(len(a), len(b)) and a[n] is b[n]:
        n += 1
    return n


def _shared(home: Path, use: Path, f: Assignment, reads: tuple[st.Read, ...]) -> int:
    """The number of outer loops that a value's definition and a use share, both at the loop's own index."""
    n = _common(home, use)
    for k in range(n):
        axis = home[k].axis
        if axis in f.index and any(not same_slot(f, r, axis) for r in reads):
            return k
    return n
