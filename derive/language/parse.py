"""From text to :class:`~derive.syntax.Op`. The text has Python's grammar; ``ast`` parses it, and nothing is evaluated."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable, Iterable
from functools import cache

from derive.declared import Declared
from derive.errors import OpError
from derive.functions.words import REDUCTIONS, is_function
from derive.language import hints
from derive.language.assumptions import contradiction
from derive.language.axes import indices_read_as
from derive.language.calls import CallReader
from derive.language.defined import DEFINED_FUNCTIONS
from derive.language.formula import infer_inputs
from derive.language.lengths import declares_length
from derive.language.literals import default_text, literal
from derive.language.names import Catalogue
from derive.language.sizes import sizes_from, sizes_in, with_sizes
from derive.language.slots import flat_slots, named_numbers, slots_of
from derive.language.steps import with_names
from derive.language.text import LONGEST, plain, statements
from derive.packing import Packing, solved
from derive.recurrence import carried_wrongly, read_recurrences
from derive.syntax import (
    TRUTH,
    WHOLE,
    Carry,
    Compare,
    Constant,
    Equation,
    Num,
    Op,
    Read,
    Tensor,
    Tree,
    axis_of,
    primal_name,
)

__all__ = ["RESERVED", "Catalogue", "parse", "parse_formula"]

#: The words of the language other than functions. A backend renames names that are reserved in its own code.
RESERVED = frozenset({"size", "pi", WHOLE, TRUTH, *REDUCTIONS})


def parse(
    text: str,
    *,
    catalogue: Catalogue = lambda name: None,
    known_ops: Callable[[], Iterable[str]] = tuple,
    sizes: dict[str, int] | None = None,
    title: str = "",
    source: str = "",
    notes: tuple[str, ...] = (),
) -> Op:
    """Read an op: its signature, then assumptions and equations.

    ``catalogue`` maps a name to the op that equations may call by it, or to None. ``known_ops`` gives the names of these ops
    for messages. ``sizes`` are the axis lengths at which costs are compared: they take the place of those that a line
    ``sizes: i=4096, f=64`` of the text gives. ``title``, ``source`` and ``notes`` are kept for display. OpError, with the op,
    the line and the column: the text cannot be understood.
    """
    text, shown, given = sizes_in(plain(text))
    first, *rest = statements(text)
    reader = _Reader(text, catalogue, known_ops)
    reader.look_ahead([first, *rest])
    named_numbers(first, rest)
    reader.signature(first)
    for statement in reader.carrying(rest):
        reader.statement(statement)
    return with_sizes(reader.finish(shown, title, source, notes), given, sizes_from(sizes or {}))


def parse_formula(text: str, *, catalogue: Catalogue = lambda name: None, known_ops: Callable[[], Iterable[str]] = tuple) -> Op:
    """Read one equation, such as ``y[i] = exp(-x[i]**2)``. The names that it reads are the op's inputs.

    The op has the output's name.
    OpError: the text is not a single equation, or cannot be understood.
    """
    text = plain(text)
    body = statements(text)
    if len(body) != 1:
        raise OpError(f"expected one equation, found {len(body)} statements", op="formula")
    reader = _Reader(text, catalogue, known_ops)
    reader.look_ahead(body)
    reader.infer_signature(body[0])
    reader.statement(body[0])
    return reader.finish(text, "", "", ())


class _Reader(CallReader):
    """Reads the statements of one op in order."""

    def __init__(self, text: str, catalogue: Catalogue, known_ops: Callable[[], Iterable[str]]):
        super().__init__(text, catalogue, known_ops)
        self.formula = False

    def look_ahead(self, body: list[ast.stmt]) -> None:
        """Note the line of each equation, and every name in the text: names that a call includes must differ from these."""
        self.words = frozenset(n.id for statement in body for n in ast.walk(statement) if isinstance(n, ast.Name))
        for node in body[1:]:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            name = target.value if isinstance(target, ast.Subscript) else target
            if isinstance(name, ast.Name) and not declares_length(node):
                self.lines.setdefault(name.id, node.lineno)

    # ---- signature -------------------------------------------------------------------------------------------------

    def signature(self, node: ast.stmt) -> None:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call)):
            raise self.error(
                node, "the first statement must be the signature, such as 'y[n] = op(x[n], eps=1e-5)'; equations follow"
            )
        call = node.value
        if not isinstance(call.func, ast.Name):
            raise self.error(call, "expected the op's name before '('")
        if not is_function(call.func.id):
            self.check_name(call.func.id, call.func)
        self.name = call.func.id
        for argument in call.args:
            tensor = self.declared(argument, signature=True)
            if tensor.name in self.inputs:
                raise self.error(argument, f"the input '{tensor.name}' is given twice")
            self.introduce(tensor, argument)
            self.inputs[tensor.name] = tensor
        for kw in call.keywords:
            self.constant(kw)
        target = node.targets[0]
        for out in target.elts if isinstance(target, ast.Tuple) else [target]:
            tensor = self.declared(out, signature=True)
            if tensor.name in {**self.outputs, **self.inputs, **self.constants}:
                raise self.error(out, f"the output '{tensor.name}' is named twice")
            self.introduce(tensor, out)
            self.outputs[tensor.name] = tensor
        self.check_stars(node)

    def constant(self, kw: ast.keyword) -> None:
        if kw.arg is None:
            raise self.error(kw.value, "'**' has no meaning here: write each constant as name=default")
        self.check_name(kw.arg, kw)
        if kw.arg in {**self.inputs, **self.constants}:
            raise self.error(kw, f"the name '{kw.arg}' is given twice")
        value = self.checked(kw.value, lambda: literal(kw.value, self.text))
        source = ast.get_source_segment(self.text, kw.value) or ""
        self.constants[kw.arg] = Constant(kw.arg, default_text(source, value))
        self.places[kw.arg] = kw

    def infer_signature(self, node: ast.stmt) -> None:
        """Declare every name that a formula reads as an input, with the axes of its first plain read."""
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
            raise self.error(node, "expected one equation, such as 'y[i] = exp(-x[i]**2)'")
        self.formula = True
        output = self.declared(node.targets[0], signature=True)
        self.name = output.name
        self.introduce(output, node.targets[0])
        self.outputs[output.name] = output
        found, at = infer_inputs(node, lambda n: self.declared(n, signature=True), self.error)
        for tensor in found:
            if tensor.name == output.name:
                raise self.error(at[tensor.name], f"'{output.name}' is defined by itself")
            self.introduce(tensor, at[tensor.name])
            self.inputs[tensor.name] = tensor

    def introduce(self, tensor: Tensor, node: ast.AST) -> None:
        """Check the names of a tensor and its axes, and remember where it was written."""
        self.check_name(tensor.name, node)
        for axis in tensor.axes:
            self.check_name(axis, node, "the axis ")
        self.pack(tensor, node)
        self.places[tensor.name] = node

    def declared(self, node: ast.expr, *, signature: bool = False) -> Tensor:
        """A tensor with plain, distinct axes. Only the signature declares ``*s``; after it ``s`` and ``*s`` mean the same."""
        if isinstance(node, ast.Name):
            return Tensor(node.id, ())
        if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
            raise self.error(node, "expected a tensor with its axes, such as 'x[n, d]'")
        axes: list[str] = []
        known = {**self.outputs, **self.inputs}.get(node.value.id)
        if known is not None and not signature:
            self.unpacked(node, known, slots_of(node))
        for slot in self.axes_in(node, node.value.id):
            name = slot.value if isinstance(slot, ast.Starred) else slot
            if not isinstance(name, ast.Name):
                raise self.error(slot, f"expected the name of an axis of '{node.value.id}'{hints.first_value(slot)}")
            if isinstance(slot, ast.Starred) and name.id not in self.stars:
                if not signature:
                    raise self.error(slot, self.starless(name.id))
                self.stars.add(name.id)
            if name.id in axes:
                raise self.error(slot, f"the axis '{name.id}' of '{node.value.id}' is named twice")
            axes.append(name.id)
        if len(self.stars.intersection(axes)) > 1:
            raise self.error(
                node, f"'{node.value.id}' has more than one starred axis, which cannot be told apart; name the axes of one"
            )
        return Tensor(node.value.id, tuple(axes))

    def check_stars(self, node: ast.Assign) -> None:
        """Check that each axis of the signature has a star everywhere or nowhere (OpError)."""
        for n in ast.walk(node):
            if isinstance(n, ast.Subscript):
                for slot in flat_slots(n):
                    if isinstance(slot, ast.Name) and slot.id in self.stars:
                        raise self.error(slot, f"the axis '{slot.id}' is written '*{slot.id}' elsewhere in the signature")

    # ---- statements ------------------------------------------------------------------------------------------------

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            self.assumption(node.value)
        elif isinstance(node, ast.Assign) and declares_length(node):
            self.declare_length(node)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            self.equation(node)
        else:
            raise self.error(node, hints.statement(node))

    def carrying(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements, in which reads one step back have names of their own, and note these names."""
        body, found = with_names(body, self.error)
        for c in found:
            own = self.declared(c.target)
            axis = own.axes[c.place]
            if axis in self.stars:
                raise self.error(c.target, f"'*{axis}' stands for any number of axes, along which nothing steps; name the axis")
            self.carry([Carry(c.name, c.of, c.next, c.step, own.axes, axis, c.down, c.first)])
        return body

    def assumption(self, node: ast.Compare) -> None:
        if len(node.ops) != 1:
            raise self.error(node, "write one comparison at a time")
        if isinstance(node.ops[0], ast.In):
            self.labels(node)
            return
        rel = self.relation(node)
        left, right = node.left, node.comparators[0]
        tensor = self.declared(left) if isinstance(left, ast.Name | ast.Subscript) else None
        if tensor is None or tensor.name not in {**self.inputs, **self.constants}:
            what = "an assumption compares an input or a constant of the signature with a number, such as 'eps > 0'"
            raise self.error(left, what + hints.mirrored(node))
        if tensor.axes and tensor.axes != self.inputs.get(tensor.name, tensor).axes:
            raise self.error(left, self.no_input(tensor))
        number = self.checked(right, lambda: literal(right, self.text))
        self.assume(Compare(rel, Read(tensor.name), Num(number)), node)

    def assume(self, assumption: Compare, node: ast.AST) -> None:
        """Add an assumption, once (OpError if it contradicts the other assumptions or the constant's default)."""
        if assumption in self.assumptions:
            return
        self.assumptions.append(assumption)
        assert isinstance(assumption.left, Read)
        constant = self.constants.get(assumption.left.name)
        if problem := contradiction(assumption.left.name, constant.default if constant else None, self.assumptions):
            raise self.error(node, problem)

    def no_input(self, tensor: Tensor) -> str:
        """The message for an assumption about a tensor that is not an input."""
        what = f"'{tensor.name}' with these axes is not an input of the signature"
        if tensor.name in self.inputs:
            return f"{what}; {self.whole(self.inputs[tensor.name])}"
        return f"{what}; its inputs are {hints.listed(list(self.inputs))}"

    def labels(self, node: ast.Compare) -> None:
        """``t[n] in c``: the values of ``t`` index the axis ``c``; ``in int`` and ``in bool``: they are such values."""
        tensor, axis = self.declared(node.left), node.comparators[0]
        if tensor.name not in self.inputs or self.inputs[tensor.name].axes != tensor.axes:
            raise self.error(node.left, self.no_input(tensor))
        if not isinstance(axis, ast.Name):
            raise self.error(axis, "expected the axis that the labels index, such as 't[n] in c'")
        if axis.id not in (WHOLE, TRUTH) and not any(axis.id in t.axes for t in self.inputs.values() if t.name != tensor.name):
            raise self.error(axis, f"no other input has an axis '{axis.id}' for '{tensor.name}' to index")
        if axis.id in self.stars:
            raise self.error(axis, f"'*{axis.id}' may stand for several axes, so '{tensor.name}' cannot index it")
        self.inputs[tensor.name] = Tensor(tensor.name, tensor.axes, axis.id)

    def equation(self, node: ast.Assign) -> None:
        target = node.targets[0]
        left = self.declared(target)
        if left.name in self.inputs or left.name in self.constants:
            raise self.error(
                target, f"'{left.name}' is an input or a constant and cannot be assigned; give the value a name of its own"
            )
        if left.name in self.equations:
            raise self.error(target, f"'{left.name}' is assigned twice; give the second value a name of its own")
        if left.name not in self.outputs:
            self.introduce(left, target)
        elif self.outputs[left.name].axes != left.axes:
            want = ", ".join(self.outputs[left.name].axes)
            raise self.error(target, f"the signature gives '{left.name}' the axes [{want}]")
        self.left, self.right, self.scope, self.bound = left.name, node.value, left.axes, {}
        head = node.value.func.id if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) else None
        if isinstance(node.value, ast.Call) and head and self.catalogue_op(head):
            tree = self.call_op(node.value, head, left)
        else:
            tree = self.expression(node.value)
        if left.name not in self.equations:  # a call whose result is the left side has brought the equation
            self.equations[left.name] = Equation(left.name, left.axes, tree, node.lineno)

    def catalogue_op(self, name: str) -> bool:
        """Whether a name in call position is an op of the catalogue. A function such as ``tanh`` hides the op of its name."""
        return not is_function(name) and name not in RESERVED and name not in DEFINED_FUNCTIONS

    @staticmethod
    @cache
    def definition(text: str) -> Tree:
        return parse_formula(f"v = {text}").equations[0].rhs

    # ---- the whole -------------------------------------------------------------------------------------------------

    def check_name(self, name: str, node: ast.AST, kind: str = "") -> None:
        if name in RESERVED or keyword.iskeyword(name) or is_function(name):
            raise self.error(node, f"{kind}'{name}' is a reserved word of the language; write '{name}_', say")
        if len(name) > LONGEST:
            raise self.error(node, f"{kind}'{name[:20]}...' has {len(name)} letters; a name has at most {LONGEST}")
        if name.startswith("_") or not name.isascii():
            raise self.error(node, f"{kind}'{name}' must be ASCII and must not start with '_'")

    def finish(self, text: str, title: str, source: str, notes: tuple[str, ...]) -> Op:
        for name in self.outputs:
            if name not in self.equations:
                first = "; the first statement is the signature, and equations follow" if not self.equations else ""
                raise self.error(self.places[name], f"the output '{name}' is never assigned{first}")
        outputs, positions = self.results()
        self.check_collisions()
        self.check_given()
        self.check_lengths()
        op = Op(
            name=self.name,
            inputs=tuple(self.inputs.values()),
            outputs=outputs,
            positions=positions,
            constants=tuple(self.constants.values()),
            equations=tuple(self.equations.values()),
            assumptions=tuple(self.assumptions),
            stars=frozenset(self.stars),
            text=text.strip() + "\n",
            title=title,
            source=source,
            notes=notes,
            packing=Packing(tuple(self.packs.items()), tuple(self.given.items())),
            declared=Declared(tuple(self.lengths.items())),
            carries=tuple(self.carries),
        )
        if problem := carried_wrongly(op):
            raise self.error(ast.Pass(lineno=self.equations[problem.name].line, col_offset=0), problem.said)
        self.check_equal(op)
        return read_recurrences(op)

    def at(self, name: str) -> ast.AST:
        """The node where a name was written. A name that a call included has the place of its equation's line."""
        if name in self.places:
            return self.places[name]
        line = self.equations[name].line if name in self.equations else 1
        return ast.Pass(lineno=line, col_offset=0)

    def check_collisions(self) -> None:
        """Check that no name means two things in the derivation or in the code (OpError)."""
        tensors = {**self.inputs, **self.equations}
        axes: dict[str, str] = {}
        for t in (*self.inputs.values(), *self.tensors().values()):
            for axis in t.axes:
                axes.setdefault(axis_of(axis), t.name)
        for name in [*tensors, *self.constants, *axes]:
            if (primal := primal_name(name)) in tensors:
                raise self.error(self.at(axes.get(name, name)), f"'{name}' collides with the adjoint of '{primal}'; rename one")
        if not self.formula and (self.name in tensors or self.name in self.constants):
            raise self.error(self.at(self.name), f"the op and one of its names are both called '{self.name}'; rename one")
        for axis, name in axes.items():
            if axis in tensors or axis in self.constants:
                later = max(self.at(name), self.at(axis), key=lambda n: (getattr(n, "lineno", 1), getattr(n, "col_offset", 0)))
                raise self.error(later, f"'{axis}' names both an axis and a tensor or constant; rename one")

    def check_lengths(self) -> None:
        """Check that every axis has a length (OpError).

        An axis of an input has one; of axes that are only packed together, all but one must have their lengths from elsewhere.
        An index that reads a tensor has the length of the axis read: ``g[i, j] = x[i]*x[j]``.
        """
        slots = [slot for t in self.inputs.values() for slot in self.packs.get(t.name, [(a,) for a in t.axes])]
        inputs = {a for slot in slots for a in slot}
        known = {slot[0] for slot in slots if len(slot) == 1} | set(self.given) | set(self.lengths)
        read_as = indices_read_as(self.tensors(), self.equations.values())
        read_as |= {(a, i) for i, a in read_as if a in inputs}
        while more := ({i for i, a in read_as if a in known} | solved(slots, known)) - known:
            known |= more
        for t in self.inputs.values():
            for slot in self.packs.get(t.name, ()):
                if missing := [a for a in slot if a not in known]:
                    raise self.error(self.at(t.name), self.unsolved(t.name, slot, missing))
        for e in self.equations.values():
            for i in e.index:
                if axis_of(i) not in known:
                    way_out = self.way_out(axis_of(i))
                    raise self.error(self.at(e.name), f"the axis '{i}' of '{e.name}' has no length: no input has it{way_out}")
