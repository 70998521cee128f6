"""The names of one op while its text is read, and the messages for names that are unknown or read wrongly."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TypeVar

from derive.carries import in_words_of_steps
from derive.errors import OpError
from derive.functions.words import REDUCTIONS, is_function
from derive.language import hints
from derive.language.affine import THERE, Row
from derive.language.literals import LiteralError
from derive.packing import Slots
from derive.syntax import Carry, Compare, Constant, Equation, Op, Reduce, Tensor, Tree, walk

T = TypeVar("T")
Catalogue = Callable[[str], Op | None]


class NameReader:
    """The names read so far, and messages for names that are not among them.

    ``scope`` are the indices of the left side, ``right`` is the right side. ``bound`` maps each index of an enclosing
    reduction, as written, to a distinct name. ``words`` are all names in the text. ``lines`` has the line of each name's
    equation. ``known_ops`` gives the names of the catalogue, for messages. ``packs`` has the slots of every tensor that
    packs axes. ``given`` are the lengths that are given for axes, and ``given_at`` is where. ``rows`` are those of the
    affine slots of the element being read, and ``affine_slots`` the axis and the position of every one. ``lengths`` are
    those that lines declare. ``carried`` are the names that stand for reads one step back, and ``carries`` say of what.
    ``places`` is where the signature has each name.
    """

    def __init__(self, text: str, catalogue: Catalogue, known_ops: Callable[[], Iterable[str]] = tuple):
        self.text, self.catalogue, self.known_ops = text, catalogue, known_ops
        self.name = "op"
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.constants: dict[str, Constant] = {}
        self.assumptions: list[Compare] = []
        self.equations: dict[str, Equation] = {}
        self.carried: dict[str, Tensor] = {}
        self.carries: list[Carry] = []
        self.stars: set[str] = set()
        self.packs: dict[str, Slots] = {}
        self.given: dict[str, int | str] = {}
        self.given_at: dict[str, ast.AST] = {}
        self.left = ""
        self.right: ast.AST | None = None
        self.scope: tuple[str, ...] = ()
        self.bound: dict[str, str] = {}
        self.lengths: dict[str, Tree] = {}
        self.lengths_at: dict[str, ast.AST] = {}
        self.affine_slots: list[tuple[str, Tree]] = []
        self.rows: list[Row] = []
        self.depth = 0
        self.words: frozenset[str] = frozenset()
        self.lines: dict[str, int] = {}
        self.places: dict[str, ast.AST] = {}

    def error(self, node: ast.AST, message: str) -> OpError:
        message = in_words_of_steps(message, self.carries)
        return OpError(message, op=self.name, line=getattr(node, "lineno", 1), column=getattr(node, "col_offset", 0))

    def checked(self, node: ast.expr, make: Callable[[], T]) -> T:
        """What ``make`` returns. A LiteralError becomes an OpError at the node."""
        try:
            return make()
        except LiteralError as error:
            raise self.error(node, str(error)) from None

    def tensors(self) -> dict[str, Tensor]:
        return {**self.inputs, **self.carried, **{e.name: Tensor(e.name, e.index, e.labels) for e in self.equations.values()}}

    def carry(self, carries: Iterable[Carry]) -> None:
        """Note what is carried from step to step."""
        for c in carries:
            self.carries.append(c)
            self.carried[c.name] = Tensor(c.name, c.axes)

    def is_integer(self, name: str) -> bool:
        """Whether a name is that of an integer tensor: of an input, or of positions that an equation finds."""
        tensor = self.inputs.get(name) or self.equations.get(name)
        return tensor is not None and tensor.labels is not None

    def spelled(self) -> dict[str, tuple[str, ...]]:
        """The axes of every known tensor as they are written, for messages."""
        return {n: tuple(("*" if a in self.stars else "") + a for a in t.axes) for n, t in self.tensors().items()}

    def known(self, node: ast.expr, name: str) -> Tensor:
        if name in self.inputs:
            return self.inputs[name]
        if name in self.constants:
            return Tensor(name, ())
        if name in self.carried:
            return self.carried[name]
        if name in self.equations:
            return Tensor(name, self.equations[name].index, self.equations[name].labels)
        if name in self.scope or name in self.bound:
            raise self.error(node, f"'{name}' is an index and has no value; its length is size({name})")
        if is_function(name) or name in REDUCTIONS:
            raise self.error(node, f"'{name}' is a function, expected a call: {name}(...)")
        if name in self.lines:
            raise self.error(node, self.too_early(name))
        known = [*self.inputs, *self.constants, *self.equations]
        near = f"; {hints.NUMBERS[name]}" if name in hints.NUMBERS else hints.meant(name, known)
        raise self.error(node, f"unknown name '{hints.short(name)}'; known here: {hints.listed(known)}{near}")

    def check_place(self, node: ast.Call, kind: str, slots: list[ast.expr], body: Tree) -> None:
        """Check that the position that a reduction gives is one on an axis, and the whole right side (OpError)."""
        named = f"a[n] = {kind}[k](x[n, k]), and then x[n, a[n]]"
        if node is not self.right:
            raise self.error(node, f"'{kind}' gives a position, which is no number: give it a name of its own, {named}")
        if len(slots) != 1 or isinstance(slots[0], ast.Starred | ast.Tuple):
            raise self.error(node, f"'{kind}' gives the position on one axis: {named}")
        if any(isinstance(n, Reduce) and n.kind == THERE for n in walk(body)):
            raise self.error(node, f"'{kind}' takes no sums of positions; give what is read there a name of its own")

    def results(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The outputs that hold numbers, and those that hold positions (OpError for an order or for outputs of no gradient)."""
        found = [Tensor(t.name, t.axes, self.equations[t.name].labels) for t in self.outputs.values()]
        numbers, places = ([t for t in found if t.integer == integer] for integer in (False, True))
        if places and not numbers:
            name = places[0].name
            raise self.error(self.places[name], f"'{name}' holds positions, which have no gradient: give a number beside it")
        if found != [*numbers, *places]:
            order = ", ".join(t.name for t in [*numbers, *places])
            raise self.error(
                self.places[places[0].name], f"outputs that hold positions are named last: {order} = {self.name}(...)"
            )
        return tuple(numbers), tuple(places)

    def no_labels(self, name: str, tensor: Tensor) -> str:
        """The message for a name of numbers that stands where a position on an axis of the tensor is expected."""
        if name in self.carried:
            return f"'{name}' indexes '{tensor.name}', and a step hands numbers on to the next one, no positions"
        return f"'{name}' indexes '{tensor.name}' but is not declared as '{name}[...] in axis'"

    def too_early(self, name: str) -> str:
        """The message for a name that is read before its equation."""
        if name == self.left:
            return f"'{name}' is defined by itself; a recurrence reads one step back along an axis, {name}[t - 1]"
        return f"'{name}' is read before its equation, which is in line {self.lines[name]}; move that line up"

    def loose(self, index: str) -> str:
        """The message for an index that is neither on the left side nor bound by a reduction."""
        known = [*self.scope, *self.bound]
        axes = {a for t in self.tensors().values() for a in t.axes}
        way_out = f"; reduce it, sum[{index}](...), or name it on the left" if index in axes else hints.meant(index, known)
        return f"the index '{hints.short(index)}' is neither on the left nor reduced{way_out}"

    def starless(self, axis: str) -> str:
        """The message for an axis that has a star here and none in the signature."""
        return f"'*{axis}' stands for one axis here; the signature has no '*{axis}': write {axis}"

    def misread(self, tensor: Tensor, slots: int) -> str:
        """The message for a read with ``slots`` indices of a tensor that has another number of axes."""
        axes = ", ".join(("*" if a in self.stars else "") + a for a in tensor.axes)
        count = f"{len(tensor.axes)} {'axis' if len(tensor.axes) == 1 else 'axes'}"
        return f"'{tensor.name}' has {count} [{axes}] but is read with {slots}; {self.whole(tensor)}"

    def whole(self, tensor: Tensor) -> str:
        """A read of the tensor as it should be written, for messages."""
        axes = ", ".join(("*" if a in self.stars else "") + a for a in tensor.axes)
        return f"write {tensor.name}[{axes}]" if axes else f"write {tensor.name}"
