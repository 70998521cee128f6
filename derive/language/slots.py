"""What stands between the brackets of a tensor: axes, and packed axes such as ``(b, e)`` or ``(h = heads, f)``."""

from __future__ import annotations

import ast
import re

from derive.language import hints
from derive.language.names import NameReader
from derive.packing import Slot, Slots
from derive.syntax import Tensor

__all__ = [
    "LONGEST_AXIS",
    "SlotReader",
    "as_subscripts",
    "flat_slots",
    "marked",
    "named_numbers",
    "parts_of",
    "slots_of",
    "with_packs",
]

#: The longest axis whose length a signature may give.
LONGEST_AXIS = 10**6
_LINE = re.compile(r"^([ \t]*size[ \t]*)\(([^()\n]*\w[^()\n]*)\)(?=[ \t]*=(?!=))", re.MULTILINE)


def slots_of(node: ast.Subscript) -> list[ast.expr]:
    """The nodes between the brackets of a subscript, one for each axis of the caller's tensor."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def flat_slots(node: ast.Subscript) -> list[ast.expr]:
    """The nodes between the brackets of a subscript, one for each axis of the equations."""
    return [part for slot in slots_of(node) for part in parts_of(slot)]


def parts_of(slot: ast.expr) -> list[ast.expr]:
    """The axes that a slot packs, without the lengths that are given; the slot itself if it packs none."""
    if not isinstance(slot, ast.Tuple):
        return [slot]
    return [part.target if isinstance(part, ast.NamedExpr) else part for part in slot.elts]


# ---- Python's grammar ------------------------------------------------------------------------------------------------------


def marked(text: str) -> str:
    """The text with ``@`` for the ``=`` in a packed axis, where Python's grammar has none. All columns stay as they are."""
    out, opened, before, comment = list(text), list[str](), "", False
    for k, c in enumerate(text):
        comment = (comment or c == "#") and c != "\n"
        if comment or c.isspace():
            continue
        if c in "([{":
            opened.append("slot" if c == "(" and opened[-1:] == ["["] and before in "[," else c)
        elif c in ")]}":
            opened = opened[:-1]
        elif c == "=" and opened[-1:] == ["slot"] and text[k + 1 : k + 2] != "=" and before not in "=<>!:":
            out[k] = "@"
        before = c
    return "".join(out)


def as_subscripts(text: str) -> str:
    """The text with ``size[i] =`` for ``size(i) =``, as Python assigns to no call. All columns stay as they are."""
    return _LINE.sub(r"\1[\2]", text)


def with_packs(body: list[ast.stmt], text: str) -> list[ast.stmt]:
    """The statements of a :func:`marked` text, with a tuple for every packed axis and ``:=`` for its ``=``.

    Python does not tell ``x[(b, e)]`` from ``x[b, e]``: the text does.
    """
    lines = text.encode().splitlines()  # bytes, as columns count these
    for node in (n for statement in body for n in ast.walk(statement)):
        if isinstance(node, ast.Subscript):
            if isinstance(node.slice, ast.Tuple) and _begins(lines, node.slice) and _in_parentheses(_source(text, node.slice)):
                node.slice = ast.copy_location(ast.Tuple([node.slice], ast.Load()), node.slice)
            for slot in slots_of(node):
                if isinstance(slot, ast.Tuple):
                    slot.elts = [_given(part, text) for part in slot.elts]
    return body


def _begins(lines: list[bytes], node: ast.expr) -> bool:
    """Whether a node begins with a parenthesis. To ask for its source is to walk through the whole text."""
    return lines[node.lineno - 1][node.col_offset : node.col_offset + 1] == b"("


def _source(text: str, node: ast.expr) -> str:
    return ast.get_source_segment(text, node) or ""


def _in_parentheses(segment: str) -> bool:
    """Whether the first bracket of a text closes at its end."""
    depth = 0
    for k, c in enumerate(segment):
        depth += (c in "([{") - (c in ")]}")
        if not depth:
            return segment[0] == "(" and k == len(segment) - 1
    return False


def _given(part: ast.expr, text: str) -> ast.expr:
    """``h = heads`` as Python's ``h := heads``."""
    if isinstance(part, ast.BinOp) and isinstance(part.op, ast.MatMult) and isinstance(part.left, ast.Name):
        line = text.split("\n")[part.lineno - 1]
        if "=" in (line[part.left.end_col_offset : part.right.col_offset] if part.right.lineno == part.lineno else "="):
            return ast.copy_location(ast.NamedExpr(part.left, part.right), part)
    return part


def named_numbers(signature: ast.stmt, equations: list[ast.stmt]) -> None:
    """Write the ``(2, m)`` of a signature as ``(p = 2, m)``, with the name by which the equations first read the axis.

    A number stays as it is where no equation names its axis.
    """
    reads = sorted((n for e in equations for n in _tensors(e)), key=lambda n: (n.lineno, n.col_offset))
    tensors = _tensors(signature)
    taken = {_name(t) for t in tensors}
    for tensor in tensors:
        own, k = flat_slots(tensor), 0
        alike = [flat_slots(n) for n in reads if _name(n) == _name(tensor)]
        used = taken | {part.id for part in own if isinstance(part, ast.Name)}
        for slot in slots_of(tensor):
            if isinstance(slot, ast.Tuple):
                written = [[r[k + j] for r in alike if len(r) == len(own)] for j in range(len(slot.elts))]
                slot.elts = [_named(part, w, used) for part, w in zip(slot.elts, written, strict=True)]
            k += len(parts_of(slot))


def _tensors(statement: ast.stmt) -> list[ast.Subscript]:
    return [n for n in ast.walk(statement) if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name)]


def _name(tensor: ast.Subscript) -> str:
    return tensor.value.id if isinstance(tensor.value, ast.Name) else ""


def _named(part: ast.expr, written: list[ast.expr], used: set[str]) -> ast.expr:
    """The number ``2`` as ``p = 2``, where ``p`` is the first name that is ``written`` in its place and not ``used``."""
    name = next((w.id for w in written if isinstance(w, ast.Name) and w.id not in used), None)
    if name is None or not isinstance(part, ast.Constant):
        return part
    used.add(name)
    return ast.copy_location(ast.NamedExpr(ast.copy_location(ast.Name(name, ast.Store()), part), part), part)


# ---- reading ---------------------------------------------------------------------------------------------------------------


class SlotReader(NameReader):
    """Reads packed axes. ``packs`` has the slots of every tensor that packs any, ``given`` the lengths that are given."""

    def pack(self, tensor: Tensor, node: ast.AST) -> None:
        """Note what a tensor packs where it is declared."""
        if not isinstance(node, ast.Subscript):
            return
        for slot in slots_of(node):
            if isinstance(slot, ast.Tuple):
                for part in slot.elts:
                    if isinstance(part, ast.NamedExpr):
                        self.length(part, tensor)
        sizes = [len(parts_of(slot)) for slot in slots_of(node)]
        if sum(sizes) == len(tensor.axes) > len(sizes):
            ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
            self.packs[tensor.name] = tuple(tensor.axes[end - n : end] for end, n in zip(ends, sizes, strict=True))

    def length(self, part: ast.NamedExpr, tensor: Tensor) -> None:
        """``h = heads``: the length of an axis, which is a positive integer or a constant of the signature."""
        axis, value = part.target.id, part.value
        found: int | str
        if isinstance(value, ast.Name):
            found = value.id
        elif isinstance(value, ast.Constant) and type(value.value) is int and 1 <= value.value <= LONGEST_AXIS:
            found = value.value
        else:
            raise self.error(
                value, f"the length of '{axis}' is a number from 1 to {LONGEST_AXIS}, or a constant of the signature"
            )
        self.give(axis, found, part)

    def give(self, axis: str, length: int | str, node: ast.AST) -> None:
        """Note the length of an axis (OpError if it was given another)."""
        if self.given.setdefault(axis, length) != length:
            raise self.error(node, f"the axis '{axis}' is given the lengths {self.given[axis]} and {length}")
        self.given_at.setdefault(axis, node)

    def axes_in(self, node: ast.Subscript, owner: str) -> list[ast.expr]:
        """The nodes of a declared tensor's axes. OpError for what is no packed axis: ``(2, m)``, ``(b,)``, ``((a, b), c)``."""
        for slot in slots_of(node):
            if not isinstance(slot, ast.Tuple):
                continue
            if len(slot.elts) < 2:
                raise self.error(slot, f"a packed axis of '{owner}' has two or more axes: (b, e)")
            for part in slot.elts:
                if isinstance(part, ast.Constant):
                    raise self.error(
                        part, f"the axis of length {hints.brief(part)} needs a name: (p = {hints.brief(part)}, ...)"
                    )
                if isinstance(part, ast.Tuple):
                    raise self.error(part, f"a packed axis of '{owner}' names its axes one after the other, without brackets")
                star = part.value if isinstance(part, ast.Starred) else None
                if isinstance(star, ast.Name):
                    raise self.error(part, f"'*{star.id}' stands for any number of axes and cannot be packed; name the axes")
        return flat_slots(node)

    def unpacked(self, node: ast.expr, tensor: Tensor, slots: list[ast.expr]) -> list[ast.expr]:
        """The slots of a read, one for each axis. OpError where brackets stand around other axes than the tensor packs."""
        flat: list[ast.expr] = []
        for slot in slots:
            if isinstance(slot, ast.Tuple):
                declared = self.slots_at(tensor, len(flat))
                if declared is None or len(declared) != len(slot.elts):
                    raise self.error(slot, self.otherwise_packed(tensor, hints.brief(slot)))
                for part in slot.elts:
                    if isinstance(part, ast.NamedExpr) and self.given.get(part.target.id) != _plain(part.value):
                        raise self.error(part, "a length is given where the axis is declared, not where it is read")
            flat += parts_of(slot)
        return flat

    def slots_at(self, tensor: Tensor, position: int) -> tuple[str, ...] | None:
        """The slot of a packed tensor that begins with this axis; None if there is none."""
        start = 0
        for slot in self.packs.get(tensor.name, ()):
            if start == position:
                return slot
            start += len(slot)
        return None

    def unsolved(self, name: str, slot: Slot, missing: list[str]) -> str:
        """The message for a packed axis of which no more than the product of some lengths is known."""
        shown, many = f"({', '.join(slot)})", len(missing) > 1 and len(missing) == len(slot)
        what = "none of their lengths is" if many else f"the lengths of {' and '.join(map(repr, missing))} are not"
        way_out = f"({missing[0]} = 2, ...)" if not self.constants else f"({missing[0]} = {next(iter(self.constants))}, ...)"
        return f"'{name}' packs the axes {shown}, and {what} known from elsewhere; give one, such as {way_out}"

    def otherwise_packed(self, tensor: Tensor, given: str) -> str:
        """The message for a packed axis that the tensor does not have."""
        if tensor.name not in self.packs:
            return f"'{tensor.name}' has no packed axis {given}; {self.whole(tensor)}"
        return f"'{tensor.name}' has no packed axis {given}; write {tensor.name}[{', '.join(spelled(self.packs[tensor.name]))}]"


def _plain(node: ast.expr) -> int | str | None:
    return node.id if isinstance(node, ast.Name) else node.value if isinstance(node, ast.Constant) else None  # type: ignore


def spelled(slots: Slots) -> list[str]:
    """The slots as they are written in the language."""
    return [slot[0] if len(slot) == 1 else f"({', '.join(slot)})" for slot in slots]
