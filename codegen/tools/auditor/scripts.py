"""Plain scripts: lines at the top of a file that find gradients from named arrays, made a function of these arrays.

The function has the lines on which its gradients depend, on the lines of the file where they stand. The op's inputs, which the
file draws or loads, are its parameters.
"""

from __future__ import annotations

import ast
import builtins
import linecache
import math
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

from codegen.tools.auditor.statements import DEFINITIONS, changed, read
from codegen.tools.auditor.vocabulary import understood_gradient, vocabulary
from derive import syntax as st

__all__ = ["Script", "script"]


@dataclass(frozen=True)
class Script:
    """A script's lines as a function, which returns all gradients in their order, with what the file's own arrays tell.

    ``layout`` has the axes of arrays that are not those of the equations,
    ``axes`` the number of axes for ``*s``, None where no array tells it. ``fixed`` are lengths that the lines take for granted.
    """

    function: Callable[..., Any]
    layout: tuple[str, ...] = ()
    axes: int | None = None
    fixed: tuple[tuple[str, int], ...] = ()


def script(path: Path, scope: dict[str, Any], op: st.Op, gradients: Collection[str]) -> Script | None:
    """The script in a file; None where no line of it finds a gradient. ``scope`` has what its names are once it was run."""
    text = path.read_text(encoding="utf-8")
    lines = [s for s in ast.parse(text).body if not isinstance(s, DEFINITIONS)]
    given, shaped = _given(lines, scope, op)
    found = _gradients(lines, given, gradients, op)
    if not found:
        return None
    if not given:
        takes = ", ".join(t.name for t in op.inputs)
        raise ValueError(f"{path}: none of its arrays is an input of {op.name}, which takes {takes}")
    tensors = {t.name: t.axes for t in op.inputs} | {e.name: e.index for e in op.equations}
    whole = Function(path, text, tuple(lines), scope, given, shaped, tensors)
    layout, axes = (shaped.layout(op), shaped.rank if op.stars else None) if shaped else ((), None)
    return Script(whole.made(list(found)), layout, axes, whole.fixed(list(found)))


def _given(lines: Sequence[ast.stmt], scope: Mapping[str, Any], op: st.Op) -> tuple[dict[str, str], Shaped | None]:
    """The script's names for what the op takes, and the axes of these arrays.

    Names that a line computes from other such names are not taken: ``y`` may be a label, or the output.
    """
    upstream = [st.adjoint_name(t.name) for t in op.outputs]
    known = [*(t.name for t in op.inputs), *upstream, *(c.name for c in op.constants)]
    assigned = list(dict.fromkeys(n for s in lines for n in sorted(changed(s))))
    free = [
        n for n in dict.fromkeys(n for s in lines for n in sorted(read(s))) if n not in {*scope, *assigned, *vars(builtins)}
    ]
    arrays = [n for n in assigned if hasattr(scope.get(n), "shape") or isinstance(scope.get(n), int | float)]
    meant = _fitting(arrays, known, scope, op)
    rest = [n for n in (*known, *(e.name for e in op.equations)) if n not in meant.values()]
    meant |= vocabulary(free, rest, op)
    constants = {c.name for c in op.constants}
    tensors = [t for t in (*op.inputs, *(st.Tensor(u, t.axes) for u, t in zip(upstream, op.outputs, strict=True)))]
    shapes = {m: tuple(scope[n].shape) for n, m in meant.items() if hasattr(scope.get(n), "shape")}
    found = shapes and _shaped(op, {t.name: t.axes for t in tensors if t.name in shapes}, shapes)
    if not found:
        return {n: m for n, m in meant.items() if n not in scope or m in constants}, None
    return {n: m for n, m in meant.items() if n not in scope or m in found.groups or m in constants}, found


def _fitting(names: Sequence[str], known: Sequence[str], scope: Mapping[str, Any], op: st.Op) -> dict[str, str]:
    """What names stand for, where their values may be that: labels are whole numbers, and the axes are as many."""
    names = list(names)
    axes = {t.name: t for t in op.inputs} | {st.adjoint_name(t.name): t for t in op.outputs}
    while True:
        meant = vocabulary(names, known, op)
        wrong = [n for n, m in meant.items() if m in axes and not _fits(scope[n], axes[m], op)]
        if not wrong:
            return meant
        names = [n for n in names if n not in wrong]


def _fits(value: Any, tensor: st.Tensor, op: st.Op) -> bool:
    if not hasattr(value, "shape"):
        return not tensor.axes
    counts = {len(_without_stars(op, tensor.name, tensor.axes, rank)) for rank in ((0, 1, 2) if op.stars else (1,))}
    ones = sum(n == 1 for n in value.shape)
    whole = "int" in str(value.dtype)
    return whole == tensor.integer and any(len(value.shape) - ones <= n <= len(value.shape) for n in counts)


def _gradients(lines: Sequence[ast.stmt], given: Mapping[str, str], gradients: Collection[str], op: st.Op) -> dict[str, str]:
    """The script's names of gradients, in the order of the lines that give them their last value."""
    upstream = {st.adjoint_name(t.name) for t in op.outputs}
    found: dict[str, str] = {}
    for statement in lines:
        for name in sorted(changed(statement) - set(given)):
            meant = understood_gradient(name, given, gradients, op)
            if meant and meant not in upstream and meant not in {g for n, g in found.items() if n != name}:
                found.pop(name, None)
                found[name] = meant
    return found


# ---- what the file's own arrays tell ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shaped:
    """The axes of a file's arrays: by name the axes of each axis of the array, ``1`` for one of length 1; and their lengths."""

    rank: int
    groups: Mapping[str, tuple[tuple[str, ...], ...]]
    lengths: Mapping[str, int]

    def layout(self, op: st.Op) -> tuple[str, ...]:
        """The layouts that have to be declared."""
        tensors = {t.name: t.axes for t in op.inputs}
        return tuple(
            f"{n}[{', '.join('*'.join(g) for g in groups)}]"
            for n, groups in self.groups.items()
            if n in tensors and not op.packing.packs(n) and groups != _without_stars(op, n, tensors[n], self.rank)
        )

    def place(self, axis: str) -> tuple[str, int] | None:
        """An array and the place of an axis in it."""
        return next(((n, g.index((axis,))) for n, g in self.groups.items() if (axis,) in g), None)


def _without_stars(op: st.Op, name: str, axes: tuple[str, ...], rank: int) -> tuple[tuple[str, ...], ...]:
    found: list[tuple[str, ...]] = []
    for group in op.packing.slots(name, axes):
        stars = [a for a in group if st.axis_of(a) in op.stars]
        found += [group] if not stars or rank == 1 else [(f"{a}{k}",) for a in stars for k in range(rank)]
    return tuple(found)


def _shaped(op: st.Op, tensors: Mapping[str, tuple[str, ...]], shapes: Mapping[str, tuple[int, ...]]) -> Shaped | None:
    """The axes of arrays by their shapes; None where the shapes fit no number of axes for ``*s``."""
    for rank in (1, 0, 2) if op.stars else (1,):
        groups = {n: _without_stars(op, n, axes, rank) for n, axes in tensors.items()}
        choices = [list(_orders(groups[n], shapes[n])) for n in tensors]
        for chosen in product(*choices):
            lengths = _lengths([(g, shapes[n]) for n, g in zip(tensors, chosen, strict=True)])
            if lengths is not None:
                return Shaped(rank, dict(zip(tensors, chosen, strict=True)), lengths)
    return None


def _orders(groups: tuple[tuple[str, ...], ...], shape: tuple[int, ...]) -> Iterator[tuple[tuple[str, ...], ...]]:
    """The orders in which an array of this shape may have these axes, with axes of length 1 in between."""
    ones = len(shape) - len(groups)
    if ones < 0:
        return
    for order in permutations(groups) if len(groups) == 2 else [groups]:
        for at in permutations(range(len(shape)), ones):
            if list(at) == sorted(at) and all(shape[k] == 1 for k in at):
                rest = iter(order)
                yield tuple(("1",) if k in at else next(rest) for k in range(len(shape)))


def _lengths(arrays: Sequence[tuple[tuple[tuple[str, ...], ...], tuple[int, ...]]]) -> dict[str, int] | None:
    """The lengths of axes, None where arrays disagree. Several axes in one count where all their lengths are known."""
    found: dict[str, int] = {}
    packed = []
    for groups, shape in arrays:
        for group, n in zip(groups, shape, strict=True):
            if len(group) > 1:
                packed.append((group, n))
            elif group != ("1",) and found.setdefault(group[0], n) != n:
                return None
    for group, n in packed:
        if math.prod(found.get(a, 0) for a in group) not in (0, n):
            return None
    return found


# ---- the lines as a function -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """Makes functions of the lines of a script."""

    path: Path
    text: str
    lines: tuple[ast.stmt, ...]
    scope: dict[str, Any]
    given: Mapping[str, str]
    shaped: Shaped | None
    #: The axes of every name of the op.
    tensors: Mapping[str, tuple[str, ...]]

    @property
    def axes(self) -> set[str]:
        return {a for axes in self.tensors.values() for a in axes}

    def made(self, returned: Sequence[str]) -> Callable[..., Any]:
        """A function of the given names that returns these."""
        kept = self._behind(returned)
        used = {n for s in kept for n in read(s)}
        named = {a: n for n, a in self.given.items()}
        text = [""] * len(self.text.splitlines())
        for s in kept:
            code = self._lengths_of(s, named)
            source = "\n".join(self.text.splitlines()[s.lineno - 1 : s.end_lineno]) if self._alone(s) else ast.unparse(s)
            parts = textwrap.indent(code or source, "    ").splitlines()
            at = s.lineno - 1
            if text[at]:  # two statements in one line
                text[at] += f"; {parts[0].strip()}"
            else:
                text[at : at + len(parts)] = parts
            used |= {named[self._place(a)[0]] for a in self._replaced(s).values() if a} if code else set()
        name = f"backward_of_{''.join(c if c.isalnum() else '_' for c in self.path.stem)}"
        text = self._with_lengths(text, kept, used)
        head = f"def {name}({', '.join(n for n in self.given if n in used)}):"
        first = min((s.lineno for s in kept), default=1)
        if first > 1:
            text[first - 2] = head
        else:
            text.insert(0, head)
        text.append(f"    return {', '.join(returned)}")
        file = f"<lines of {self.path.name} for {', '.join(returned)}>"
        source = "\n".join(text) + "\n"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        scope = dict(self.scope)
        exec(compile(source, file, "exec"), scope)
        scope[name].__name__ = f"the backward lines of {self.path.name}"
        return scope[name]

    def _with_lengths(self, text: list[str], kept: Sequence[ast.stmt], used: Collection[str]) -> list[str]:
        """The lines where a name that nothing gives a value, and that is an axis' own, is the length of the axis."""
        known = {*self.scope, *self.given, *vars(builtins), *(n for s in self.lines for n in changed(s))}
        arrays = {n: self.tensors.get(m, ()) for n, m in self.given.items() if n in used}
        places = {a.lower(): f"{n}.shape[{k}]" for n, axes in arrays.items() for k, a in enumerate(axes)}
        heads = [f"{n} = {places[n.lower()]}; " for n in sorted(used) if n not in known and n.lower() in places]
        if heads and kept:
            at = kept[0].lineno - 1
            text[at] = "    " + "".join(heads) + text[at].strip()
        return text

    def _alone(self, statement: ast.stmt) -> bool:
        return statement.col_offset == 0 and not any(
            s is not statement and s.lineno <= (statement.end_lineno or 0) and (s.end_lineno or 0) >= statement.lineno
            for s in self.lines
        )

    def _behind(self, wanted: Collection[str]) -> list[ast.stmt]:
        """The statements that these names come from; what is given is not computed."""
        names, kept = set(wanted), set[int]()
        while True:
            new = {k for k, s in enumerate(self.lines) if k not in kept and (changed(s) - set(self.given)) & names}
            if not new:
                return [self.lines[k] for k in sorted(kept)]
            kept |= new
            names |= {n for k in new for n in read(self.lines[k])} - set(self.given)

    def _place(self, axis: str) -> tuple[str, int]:
        assert self.shaped is not None
        found = self.shaped.place(axis)
        assert found is not None
        return found

    def _replaced(self, statement: ast.stmt) -> dict[str, str]:
        """The whole numbers that a statement names without reading an array, with the axis of which each is the length."""
        names = changed(statement)
        if not isinstance(statement, ast.Assign) or not self.shaped or read(statement) & set(self.given):
            return {}
        values = {n: self.scope.get(n) for n in sorted(names)}
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in values.values()):
            return {}
        return {n: self._axis(v) for n, v in values.items() if isinstance(v, int)}

    def _axis(self, length: int) -> str:
        """The only axis of a length, with an array that has it by itself; "" where there is none, or several."""
        assert self.shaped is not None
        found = [a for a, n in self.shaped.lengths.items() if n == length]
        return found[0] if len(found) == 1 and self.shaped.place(found[0]) else ""

    def _lengths_of(self, statement: ast.stmt, named: Mapping[str, str]) -> str:
        """The line that takes lengths from the arrays instead; "" where the statement names none."""
        replaced = self._replaced(statement)
        if not any(replaced.values()):
            return ""
        parts = []
        for name, axis in replaced.items():
            if axis:
                array, at = self._place(axis)
                parts.append(f"{name} = {named[array]}.shape[{at}]")
            else:
                parts.append(f"{name} = {self.scope[name]}")
        return "; ".join(parts)

    def fixed(self, wanted: Collection[str]) -> tuple[tuple[str, int], ...]:
        """The lengths that lines have as plain numbers, or as names of numbers that may be the length of several axes."""
        if not self.shaped:
            return ()
        numbers: set[int] = set()
        for s in self._behind(wanted):
            replaced = self._replaced(s)
            numbers |= {self.scope[n] for n, axis in replaced.items() if not axis}
            if not replaced:
                numbers |= {
                    n.value for n in ast.walk(s) if isinstance(n, ast.Constant) and type(n.value) is int and n.value > 2
                }
        return tuple((a, n) for a, n in self.shaped.lengths.items() if n in numbers and a in self.axes)
