"""The right sides of equations: from an ``ast`` node to a tree, by a whitelist of nodes. Nothing is evaluated."""

from __future__ import annotations

import ast
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

from derive.errors import OpError
from derive.functions.records import RECORDS
from derive.functions.words import NARY, PLACES, REDUCTIONS, SUGAR, is_function
from derive.language import hints
from derive.language.affine import Row, attached, there
from derive.language.defined import DEFINED_FUNCTIONS, DEFINED_REDUCTIONS, Form, Misfit, form_of, written_out
from derive.language.folded import folded
from derive.language.lengths import LengthReader
from derive.language.literals import check_number, constant_value, literal, power
from derive.language.slots import parts_of, slots_of
from derive.syntax import (
    Add,
    Call,
    Compare,
    Const,
    Div,
    Index,
    Indicator,
    Lookup,
    Mul,
    Neg,
    Num,
    Pow,
    Read,
    Reduce,
    Size,
    Tensor,
    Tree,
    axis_of,
    children,
    free_indices,
    fresh_index,
    reads,
)

_T = TypeVar("_T")
#: The deepest nesting of an expression. No later stage exhausts the interpreter's stack at this depth.
DEEPEST = 64
COMPARISON = "a comparison is only meaningful as the first argument of 'where'; write where(condition, 1, 0) for its truth"
_RELATIONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}


class ExpressionReader(LengthReader):
    """Reads expressions in the scope of one equation."""

    def expression(self, node: ast.expr) -> Tree:
        """The whole right side of an equation."""
        tree = self.tree(node)
        if _depth(tree) > DEEPEST:
            raise self.too_deep(node)
        if isinstance(tree, Compare):
            raise self.error(node, COMPARISON)
        return attached(tree, frozenset(self.scope))

    def value(self, node: ast.expr) -> Tree:
        """An operand or argument: anything but a comparison."""
        tree = self.tree(node)
        if isinstance(tree, Compare):
            raise self.error(node, COMPARISON)
        return tree

    def tree(self, node: ast.expr) -> Tree:
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise self.too_deep(node)
            tree = self._tree(node)
        finally:
            self.depth -= 1
        if isinstance(node, ast.BinOp | ast.Call):
            self.checked(node, lambda: check_number(tree))
        return tree

    def too_deep(self, node: ast.expr) -> OpError:
        return self.error(node, f"nested more than {DEEPEST} levels deep; give a part of it a name of its own")

    def _tree(self, node: ast.expr) -> Tree:
        match node:
            case ast.Constant():
                return Num(self.checked(node, lambda: literal(node, self.text)))
            case ast.Name(id="pi"):
                return Const("pi")
            case ast.Name():
                return self.element(node, node.id, [])
            case ast.Subscript(value=ast.Name(id=name)):
                return self.element(node, name, slots_of(node))
            case ast.UnaryOp(op=ast.USub()):
                return Neg(self.value(node.operand))
            case ast.UnaryOp(op=ast.UAdd()):
                return self.value(node.operand)
            case ast.BinOp():
                return self.chain(node)
            case ast.Compare():
                rel = self.relation(node)
                if self.on_indices(node):
                    return self.settled(node, Compare(rel, self.integer(node.left), self.integer(node.comparators[0])))
                return Compare(rel, self.value(node.left), self.value(node.comparators[0]))
            case ast.Call():
                return self.call(node)
            case ast.Starred():
                raise self.error(node, "'*' belongs to an axis, inside brackets: x[*s]")
            case (ast.Attribute() as owner) | ast.Subscript(value=ast.Attribute() as owner):
                raise self.error(node, hints.attribute(owner, self.spelled()))
        raise self.error(node, hints.expression(node))

    # ---- operators -------------------------------------------------------------------------------------------------

    def chain(self, node: ast.BinOp) -> Tree:
        """A chain of operators, read from left to right without recursion: a long sum is a wide tree, and not a deep one."""
        chain: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            if not isinstance(left.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow):
                raise self.error(left, hints.operator(left, self.spelled()))
            chain.append(left)
            left = left.left
        tree = self.value(left)
        depth = _depth(tree)
        for link in reversed(chain):
            right = self.value(link.right)
            wider = (isinstance(link.op, ast.Add | ast.Sub) and isinstance(tree, Add)) or (
                isinstance(link.op, ast.Mult) and isinstance(tree, Mul)
            )
            depth = max(depth + (not wider), _depth(right) + 2)
            if depth > DEEPEST:
                raise self.too_deep(link)
            tree = self.binary(link, tree, right)
        return tree

    def binary(self, node: ast.BinOp, left: Tree, right: Tree) -> Tree:
        match node.op:
            case ast.Add():
                return Add((*left.args, right) if isinstance(left, Add) else (left, right))
            case ast.Sub():
                return Add((*left.args, Neg(right)) if isinstance(left, Add) else (left, Neg(right)))
            case ast.Mult():
                return Mul((*left.args, right) if isinstance(left, Mul) else (left, right))
            case ast.Div():
                if constant_value(right) == 0:
                    raise self.error(node.right, "division by zero")
                return Div(left, right)
        if self.is_constant(right):
            return Call("power", (left, right))
        return self.checked(node.right, lambda: power(left, right))

    def is_constant(self, tree: Tree) -> bool:
        """Whether an expression reads constants of the op, and nothing else."""
        names = set(reads(tree))
        return bool(names) and names <= set(self.constants)

    def relation(self, node: ast.Compare) -> str:
        if len(node.ops) != 1:
            raise self.error(node, "write one comparison at a time")
        rel = _RELATIONS.get(type(node.ops[0]))
        if rel is None:
            raise self.error(node, f"the comparison '{type(node.ops[0]).__name__}' is not part of the language")
        return rel

    # ---- reads -----------------------------------------------------------------------------------------------------

    def element(self, node: ast.expr, name: str, slots: list[ast.expr]) -> Tree:
        """A read as an operand (OpError for a read of an integer tensor, which can only be an index or be compared)."""
        before, self.rows = self.rows, []
        try:
            read = self.truth(node, name) or self.plain_element(node, name, slots)
            return there(read, self.rows)
        finally:
            self.rows = before

    def plain_element(self, node: ast.expr, name: str, slots: list[ast.expr]) -> Read:
        read = self.read(node, name, slots)
        if self.is_integer(name):
            raise self.error(
                node, f"'{name}' holds labels, which are no numbers; look one up with them: w[{hints.brief(node)}]"
            )
        return read

    def read(self, node: ast.expr, name: str, slots: list[ast.expr]) -> Read:
        tensor = self.known(node, name)
        slots = self.unpacked(node, tensor, slots)
        if len(slots) != len(tensor.axes):
            raise self.error(node, self.misread(tensor, len(slots)))
        return Read(name, tuple(self.slot(s, tensor, position) for position, s in enumerate(slots)))

    def slot(self, node: ast.expr, tensor: Tensor, position: int) -> Index:
        """One index of a read. The index of a starred axis may be written with its ``*`` or without."""
        axis = tensor.axes[position]
        inner = node.value if isinstance(node, ast.Starred) else node
        if not isinstance(inner, ast.Name):
            if isinstance(node, ast.Starred) or axis in self.stars:
                raise self.error(node, f"axis {position + 1} of '{tensor.name}' is '*{axis}' and takes no lookup")
            if isinstance(inner, ast.BinOp | ast.UnaryOp | ast.Constant | ast.Call):
                return self.affine(inner, axis)
            return self.lookup(inner, tensor, position)
        if inner.id not in self.bound and inner.id not in self.scope:
            if self.is_integer(inner.id) and not isinstance(node, ast.Starred):
                return self.lookup(inner, tensor, position)
            if inner.id in self.constants and not isinstance(node, ast.Starred):
                return self.affine(inner, axis)
            raise self.error(node, self.loose(inner.id))
        index = self.bound.get(inner.id, inner.id)
        star = inner.id in self.stars
        if isinstance(node, ast.Starred) and not star:
            raise self.error(node, self.starless(inner.id))
        if star != (axis in self.stars):
            want = f"'*{axis}', which takes a starred index" if not star else f"'{axis}', which takes a single index"
            raise self.error(node, f"axis {position + 1} of '{tensor.name}' is {want}, not '{inner.id}'")
        return index

    def affine(self, node: ast.expr, axis: str) -> str:
        """The index of a slot that is a sum of positions. ``rows`` gets the row that says which position it is."""
        at = self.place(node)
        self.affine_slots.append((axis, at))
        taken = {*self.scope, *self.bound.values(), *(r.index for r in self.rows)}
        self.rows.append(Row(fresh_index(axis, taken), at))
        return self.rows[-1].index

    def settled(self, node: ast.expr, condition: Compare) -> Compare:
        """A comparison of positions (OpError where one of them is read at a sum of positions)."""
        if self.rows:
            raise self.error(node, "a condition compares integer tensors at plain indices; compare them where they are, t[j]")
        return condition

    def lookup(self, node: ast.expr, tensor: Tensor, position: int) -> Lookup:
        name = node.value if isinstance(node, ast.Subscript) else node
        if not isinstance(name, ast.Name):
            wanted = (
                f"slot {position + 1} of '{tensor.name}' must be an axis, a sum of positions or an integer tensor such as t[n]"
            )
            raise self.error(node, f"{wanted}; {self.whole(tensor)}")
        labels = self.known(node, name.id)
        if labels.labels is None:
            raise self.error(node, self.no_labels(labels.name, tensor))
        if labels.indexed is None:
            raise self.error(
                node,
                f"'{labels.name}' is in '{labels.labels}' and indexes nothing; declare it 'in {tensor.axes[position]}'",
            )
        if labels.labels != tensor.axes[position]:
            want = tensor.axes[position]
            raise self.error(
                node, f"'{labels.name}' indexes '{labels.labels}', but slot {position + 1} of '{tensor.name}' is '{want}'"
            )
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise self.too_deep(node)
            inner = self.read(node, labels.name, slots_of(node) if isinstance(node, ast.Subscript) else [])
        finally:
            self.depth -= 1
        return Lookup(inner.name, inner.index)

    def call_op(self, node: ast.Call, head: str, left: Tensor | None) -> Tree:
        """Include the equations of an op. Returns a read of the op's result."""
        raise NotImplementedError

    # ---- calls -----------------------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Tree:
        if isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name):
            return self.reduction(node, node.func.value.id, slots_of(node.func))
        if isinstance(node.func, ast.Attribute):
            raise self.error(node, hints.attribute(node.func, self.spelled()))
        if not isinstance(node.func, ast.Name):
            raise self.error(node, "expected a function, a reduction such as sum[n](...), or an op")
        head = node.func.id
        if head == "size":
            return self.size(node)
        if head in REDUCTIONS:
            raise self.error(node, hints.unnamed_reduction(node, head, self.spelled()))
        if is_function(head):
            return self.function(node, head)
        if head in DEFINED_FUNCTIONS:
            return self.defined(node, head)
        return self.call_op(node, head, None)

    def function(self, node: ast.Call, head: str) -> Tree:
        if node.keywords:
            raise self.error(node, f"'{head}' takes no keywords")
        wanted = 1 if head in RECORDS or head in SUGAR else NARY[head]
        if len(node.args) != wanted:
            raise self.error(node, f"'{head}' takes {wanted} argument{'s' * (wanted > 1)}, not {len(node.args)}")
        if head == "where":
            condition = self.tree(node.args[0])
            if isinstance(condition, Indicator) and isinstance(node.args[0], ast.Name | ast.Subscript):
                condition = condition.cond  # an element of a boolean tensor
            if not isinstance(condition, Compare):
                raise self.error(node.args[0], "the first argument of 'where' is a comparison, such as x[n] > 0")
            return Call(head, (condition, *(self.value(a) for a in node.args[1:])))
        args = tuple(self.value(a) for a in node.args)
        if head == "power" and not self.is_constant(args[1]):
            return self.checked(node.args[1], lambda: power(args[0], args[1]))
        if head == "sqrt":
            return Pow(args[0], Num(Fraction(1, 2)))
        return Call(head, args)

    def reduction(self, node: ast.Call, kind: str, slots: list[ast.expr]) -> Tree:
        if kind not in REDUCTIONS and kind not in DEFINED_REDUCTIONS:
            if is_function(kind) or kind in DEFINED_FUNCTIONS or self.catalogue(kind):
                raise self.error(node, f"'{kind}' reduces nothing: write {kind}(...), or sum[n](...)")
            known = (*REDUCTIONS, *DEFINED_REDUCTIONS)
            said = f"; write {hints.ELSEWHERE[kind]}" if kind in hints.ELSEWHERE else hints.meant(kind, known)
            raise self.error(node, f"unknown reduction '{kind}'; known: {', '.join(known)}{said}")
        if kind in REDUCTIONS and (len(node.args) != 1 or node.keywords):
            raise self.error(node, f"'{kind}' takes one expression")
        form = self.form(node, kind) if kind in DEFINED_REDUCTIONS else None
        outer, names = dict(self.bound), list[str]()
        slots = [part for slot in slots for part in parts_of(slot)]
        for slot in slots:
            name = slot.value if isinstance(slot, ast.Starred) else slot
            if not isinstance(name, ast.Name):
                raise self.error(slot, f"'{kind}' names the axes that it reduces: {kind}[n](...)")
            if isinstance(slot, ast.Starred) and name.id not in self.stars:
                raise self.error(slot, self.starless(name.id))
            if any(axis_of(n) == name.id for n in names):
                raise self.error(slot, f"the axis '{name.id}' is reduced twice")
            self.bound[name.id] = fresh_index(name.id, {*self.scope, *outer.values(), *names})
            names.append(self.bound[name.id])
        body = self.value(node.args[0])
        if kind in PLACES:
            self.check_place(node, kind, slots, body)
        used = free_indices(body)
        for slot, index in zip(slots, names, strict=True):
            if index not in used:
                unused = axis_of(index)
                raise self.error(
                    slot, f"the reduced axis '{unused}' is not used by the expression; leave it out, or use size({unused})"
                )
        self.bound = outer
        if form is None:
            return Reduce(kind, tuple(names), body)
        options = {kw.arg or "": self.option(kw, kind) for kw in node.keywords}
        return self.written_out(node, form, {"u": body, **options}, tuple(names))

    # ---- words that are short for expressions ----------------------------------------------------------------------

    def form(self, node: ast.Call, word: str) -> Form:
        """The form of a defined word that takes the arguments of a call (OpError if none does)."""
        return self.fitting(node, lambda: form_of(word, len(node.args), tuple(kw.arg or "**" for kw in node.keywords)))

    def option(self, node: ast.keyword, word: str) -> Tree:
        """An option of a reduction: a number or a constant of the op."""
        value = self.value(node.value)
        if not set(reads(value)) <= set(self.constants):
            raise self.error(node, f"'{node.arg}' of '{word}' is a number or a constant of the signature")
        return value

    def defined(self, node: ast.Call, word: str) -> Tree:
        """A function that is short for an expression."""
        form = self.form(node, word)
        values = dict(zip(form.arguments, map(self.value, node.args), strict=False))
        values |= {kw.arg or "": self.value(kw.value) for kw in node.keywords}
        return self.written_out(node, form, values, ())

    def written_out(self, node: ast.Call, form: Form, values: dict[str, Tree], index: tuple[str, ...]) -> Tree:
        scope = {*self.scope, *self.bound.values()}
        tree = self.fitting(node, lambda: written_out(form, self.definition, values, index, scope))
        return folded(tree, self.equations.values())

    def fitting(self, node: ast.Call, found: Callable[[], _T]) -> _T:
        try:
            return found()
        except Misfit as error:
            raise self.error(node, str(error)) from None

    @staticmethod
    def definition(text: str) -> Tree:
        """The tree of an expression in the language, whose names are its arguments."""
        raise NotImplementedError

    def size(self, node: ast.Call) -> Size:
        if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], ast.Name):
            raise self.error(node, "size takes the name of one axis: size(n)")
        axis = node.args[0].id
        if axis not in (*self.given, *self.lengths) and not any(axis in t.axes for t in self.inputs.values()):
            axes = dict.fromkeys(a for t in self.inputs.values() for a in t.axes)
            known = f"their axes are {hints.listed(list(axes))}" if axes else "they have no axes"
            raise self.error(node.args[0], f"no input has an axis '{axis}'; {known}")
        return Size(axis)


def _depth(tree: Tree) -> int:
    """The number of levels of a tree, counted without recursion."""
    deepest, stack = 0, [(tree, 1)]
    while stack:
        node, level = stack.pop()
        deepest = max(deepest, level)
        stack += [(child, level + 1) for child in children(node)]
    return deepest
