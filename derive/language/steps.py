"""Recurrences: ``h[n, t, k] = tanh(x[n, t, k] + sum[j](h[n, t - 1, j]*U[j, k]))`` with ``h[n, -1, k] = h0[n, k]``.

An equation may read a name that depends on it, or stands below it, one step back along an axis: at ``t - 1``, or everywhere
at ``t + 1``. What is read so is carried: the statements get another name for it, ``h_prev[n, t, j]``, before they are read. So
the readers of expressions know nothing of recurrences. ``h[n, -1, k] = ...`` says what the first step reads, and becomes an
equation of its own. Steps that go down begin at ``h[n, size(t), k] = ...``. Without such a line the first step reads 0.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from derive.errors import OpError
from derive.language import hints
from derive.language.lengths import declares_length
from derive.language.slots import flat_slots, parts_of, slots_of
from derive.renaming import fresh_name

__all__ = ["Carried", "with_names"]

#: The most steps back of which each is written out in a message.
MOST = 3

Fail = Callable[[ast.AST, str], OpError]


@dataclass(frozen=True)
class Carried:
    """A name that is read one step back: ``name`` stands for the read, ``place`` is the slot of the axis of the steps."""

    name: str
    of: str
    next: str
    step: str
    place: int
    down: bool
    first: str
    target: ast.Subscript


def with_names(body: list[ast.stmt], fail: Fail) -> tuple[list[ast.stmt], list[Carried]]:
    """The statements after the signature, in which what is carried has a name of its own, and what is carried.

    OpError: a name is read at two kinds of steps, or a first value belongs to no recurrence.
    """
    targets = {node: t for node in body if (t := _target(node)) is not None}
    bases = {node: t for node, t in targets.items() if any(map(_outside, flat_slots(t)))}
    at = {_name(t): k for k, (node, t) in enumerate(targets.items()) if node not in bases}
    own = {_name(t): t for node, t in targets.items() if node not in bases}
    read = {
        _name(t): {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} for node, t in targets.items() if node not in bases
    }
    steps: dict[str, list[ast.Subscript]] = {}
    again: dict[ast.stmt, set[str]] = {node: set() for node in targets}
    for k, (node, target) in enumerate(targets.items()):
        for one in _reads(node) if node not in bases else ():
            name = _name(one)
            if not (at.get(name, -1) >= k or (name in at and _depends(name, _name(target), read))):
                continue
            if further := _further_back(one, own[name], f"{name}_back"):
                raise fail(one, further)
            if _steps(one):
                _has_all_axes(one, own[name], fail)
                again[node].add(name)
                steps.setdefault(name, []).append(one)
    places = _places(steps, fail)
    taken = {n.id for node in body for n in ast.walk(node) if isinstance(n, ast.Name)}
    found = [_carried(name, *places[name], own[name], bases, taken, fail) for name in places]
    for node in (n for n in body if isinstance(n, ast.Assign) and not declares_length(n)):
        _rename(node, {c.of: c for c in found if c.first or c.of in again.get(node, ())})
    for node, target in bases.items():
        assert isinstance(node, ast.Assign)
        node.targets = [_settled(target, {c.of: c for c in found}, fail)]
    return body, found


def _depends(name: str, other: str, read: Mapping[str, set[str]]) -> bool:
    """Whether the equation of a name reads another name, or a name that depends on it."""
    found, todo = {name}, [name]
    while todo:
        more = read.get(todo.pop(), set()) & read.keys() - found
        found |= more
        todo += more
    return other in found


def _has_all_axes(read: ast.Subscript, target: ast.Subscript, fail: Fail) -> None:
    """OpError: a read has more or fewer slots than the name has axes."""
    axes, slots = [_plain(s) for s in flat_slots(target)], flat_slots(read)
    if len(slots) == len(axes):
        return
    moved = {axis: hints.brief(slots[k]) for k, (axis, _) in _steps(read).items()}
    count = f"{len(axes)} {'axis' if len(axes) == 1 else 'axes'} [{', '.join(axes)}]"
    way_out = f"write {_name(read)}[{', '.join(moved.get(a, a) for a in axes)}]"
    raise fail(read, f"'{_name(read)}' has {count} but is read with {len(slots)}; {way_out}")


def _target(node: ast.stmt) -> ast.Subscript | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and not declares_length(node):
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            return target
    return None


def _name(node: ast.Subscript) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


def _outside(slot: ast.expr) -> bool:
    """Whether a slot is a position before the first or behind the last of an axis: ``-1``, ``size(t)``."""
    sizes = (isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "size" for n in ast.walk(slot))
    return isinstance(slot, ast.UnaryOp) or (isinstance(slot, ast.Call | ast.BinOp) and any(sizes))


def _reads(node: ast.stmt) -> Iterator[ast.Subscript]:
    value = node.value if isinstance(node, ast.Assign) else node
    return (n for n in ast.walk(value) if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name))


def _places(steps: Mapping[str, list[ast.Subscript]], fail: Fail) -> dict[str, tuple[int, bool]]:
    """The slot of the steps of each name, and whether they go down, from its reads one step back.

    Of several slots in which every read is one step away, as in ``h[t - 1, i - 1]``, it is that of the axis along which most
    reads of the text step.
    """
    ways = Counter(way for reads in steps.values() for one in reads for way in _steps(one).values())
    out = {}
    for name, reads in steps.items():
        found = _steps(reads[0])
        for one in reads:
            found = {place: way for place, way in found.items() if _steps(one).get(place, ("", None))[1] == way[1]}
            if not found:
                raise fail(one, f"'{name}' is carried along one axis, and one way: at t - 1 everywhere, or at t + 1")
        place = max(found, key=lambda place: ways[found[place]])
        out[name] = place, found[place][1]
    return out


def _steps(read: ast.Subscript) -> dict[int, tuple[str, bool]]:
    """The slots that are one step away, ``t - 1`` or ``t + 1``: each with its axis, and whether it is ``t + 1``."""
    return {k: step for k, slot in enumerate(flat_slots(read)) if (step := _step(slot)) is not None}


def _step(slot: ast.expr) -> tuple[str, bool] | None:
    match slot:
        case ast.BinOp(ast.Name(axis), ast.Add() | ast.Sub() as sign, ast.Constant(value=int(one))) if one is not True:
            return (axis, isinstance(sign, ast.Add)) if one == 1 else None
        case ast.BinOp(ast.Constant(value=int(one)), ast.Add(), ast.Name(axis)) if one is not True:
            return (axis, True) if one == 1 else None
        case ast.BinOp(ast.UnaryOp(ast.USub(), ast.Constant(value=int(one))), ast.Add(), ast.Name(axis)) if one is not True:
            return (axis, False) if one == 1 else None
    return None


def _further_back(read: ast.Subscript, target: ast.Subscript, wanted: str) -> str:
    """The way out where a slot is read several steps away, ``t - 2``; "" where none is."""
    for k, slot in enumerate(slots_of(read)):
        match slot:
            case ast.BinOp(ast.Name(axis), ast.Add() | ast.Sub() as sign, ast.Constant(int(count))) if count > 1:
                away = f"{axis} {'+' if isinstance(sign, ast.Add) else '-'}"
                name, slots = _name(read), [hints.brief(s) for s in slots_of(target)]

                def at(of: str, slots: list[str], place: str, k: int = k) -> str:
                    return f"{of}[{', '.join(place if j == k else s for j, s in enumerate(slots))}]"

                back = [wanted + (str(n) if n > 1 else "") for n in range(1, min(count, MOST + 1))]
                lines = [f"{at(b, slots, axis)} = {at(a, slots, f'{away} 1')}" for a, b in pairwise([name, *back])]
                last = back[-1] if count <= MOST else f"{wanted}{hints.short(str(count - 1))}"
                own = at(last, [hints.brief(s) for s in slots_of(read)], f"{away} 1")
                said = f"'{name}' is read {hints.short(str(count))} steps away, and a step reads the one before"
                return f"{said}: add {' and '.join(lines)}{' and so on' if count > MOST else ''}, and read {own}"
    return ""


def _carried(
    name: str, place: int, down: bool, target: ast.Subscript, bases: dict[ast.stmt, ast.Subscript], taken: set[str], fail: Fail
) -> Carried:
    own = [base for base in bases.values() if _name(base) == name]
    if len(own) > 1:
        raise fail(own[1], f"what the first step reads of '{name}' is said twice")
    first = fresh_name(f"{name}_first", taken) if own else ""
    carry, after, both = (fresh_name(f"{name}_{part}", taken) for part in ("prev", "next", "step"))
    return Carried(carry, name, after, both, place, down, first, target)


def _rename(node: ast.stmt, carried: dict[str, Carried]) -> None:
    """Give every read of a carried name one step back the name of the carry.

    Without a first value, only reads are carried on which a name depends, or that stand above its equation. Of all other ones
    a read before the first step is absent.
    """
    for read in list(_reads(node)) if carried else ():
        c = carried.get(_name(read))
        if c is None or (step := _steps(read).get(c.place)) is None or step[1] != c.down:
            continue
        slot = flat_slots(read)[c.place]
        slots = _replaced(read, slot, [ast.copy_location(ast.Name(step[0], ast.Load()), slot)])
        if _widths(read) == _widths(c.target):  # brackets as in the equation, which for what is carried are left out
            slots = [part for whole in slots for part in parts_of(whole)]
        read.slice = ast.copy_location(ast.Tuple(slots, ast.Load()), read.slice) if len(slots) > 1 else slots[0]
        read.value = ast.copy_location(ast.Name(c.name, ast.Load()), read.value)


def _widths(node: ast.Subscript) -> list[int]:
    return [len(parts_of(slot)) for slot in slots_of(node)]


def _replaced(node: ast.Subscript, slot: ast.expr, by: list[ast.expr]) -> list[ast.expr]:
    """The slots of a tensor with others in the place of one. A packed axis of which one axis is left is that axis."""
    out: list[ast.expr] = []
    for whole in slots_of(node):
        if not isinstance(whole, ast.Tuple):
            out += by if whole is slot else [whole]
            continue
        parts = [p for part in whole.elts for p in (by if part is slot else [part])]
        out += parts if len(parts) == 1 else [ast.copy_location(ast.Tuple(parts, ast.Load()), whole)]
    return out


def _settled(target: ast.Subscript, carried: dict[str, Carried], fail: Fail) -> ast.expr:
    """The target of a first value, ``h[n, -1, k]``, as that of an equation without the axis of the steps."""
    name, slots = _name(target), flat_slots(target)
    c = carried.get(name)
    if c is None:
        odd = next(filter(_outside, flat_slots(target)))
        raise fail(
            odd,
            f"'{hints.brief(odd)}' is no axis: a first value '{hints.brief(target)}' needs an equation of '{name}' "
            "that reads one step back, at t - 1",
        )
    own = flat_slots(c.target)
    wanted = f"size({_plain(own[c.place])})" if c.down else "-1"
    if len(slots) != len(own) or ast.unparse(slots[c.place]) != wanted:
        shown = [wanted if k == c.place else hints.brief(s) for k, s in enumerate(own)]
        raise fail(target, f"what the first step reads of '{name}' is {name}[{', '.join(shown)}] = ...")
    named = [_plain(s) for k, s in enumerate(own) if k != c.place]
    if [_plain(s) for k, s in enumerate(slots) if k != c.place] != named:
        raise fail(target, f"'{name}' has the axes [{', '.join(named)}] here, as in its equation")
    rest = _replaced(target, slots[c.place], [])
    head = ast.copy_location(ast.Name(c.first, ast.Store()), target)
    if not rest:
        return head
    inner = rest[0] if len(rest) == 1 else ast.copy_location(ast.Tuple(rest, ast.Load()), target.slice)
    return ast.copy_location(ast.Subscript(head, inner, ast.Store()), target)


def _plain(slot: ast.expr) -> str:
    """An axis without its star: in equations both are one axis."""
    return hints.brief(slot.value if isinstance(slot, ast.Starred) else slot)
