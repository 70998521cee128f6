"""Calls of the catalogue's ops inside equations: the arguments of a call, and the callee's equations that it includes."""

from __future__ import annotations

import ast

from derive.functions.records import RECORDS
from derive.functions.words import NARY, REDUCTIONS, SUGAR
from derive.language import hints
from derive.language.defined import DEFINED_FUNCTIONS
from derive.language.expressions import ExpressionReader
from derive.language.include import Arguments, Misfit, include
from derive.language.slots import flat_slots, slots_of
from derive.syntax import Compare, Equation, Read, Tensor, Tree, axis_of, free_indices


class CallReader(ExpressionReader):
    """Reads expressions that may call ops."""

    def call_op(self, node: ast.Call, head: str, left: Tensor | None) -> Tree:
        """Include the equations of an op. Returns a read of the op's result, which is a read of ``left`` if that is given."""
        callee = None if head == self.name else self.catalogue(head)
        if callee is None:
            raise self.error(node, self.uncallable(head))
        if len(callee.outputs) != 1:
            many = f"'{head}' has {len(callee.outputs)} outputs and cannot be called inside equations; write its equations out"
            raise self.error(node, many)
        arguments = self.arguments(node, head, left)
        try:
            found = include(callee, self.prefix(head), arguments, self.tensors())
        except Misfit as error:
            raise self.error(node, str(error)) from None
        result = found.result
        loose = [i for i in free_indices(result) if i not in (*self.scope, *self.bound.values())]
        if loose:
            index = axis_of(loose[0])
            rest = f"is neither on the left nor reduced; reduce it, sum[{index}](...), or name it on the left"
            raise self.error(node, f"the index '{index}' of the result of '{head}' {rest}")
        self.carry(found.carries)
        for e in found.equations:
            self.equations[e.name] = Equation(e.name, e.index, e.rhs, node.lineno)
        for axis, length in found.lengths.items():
            self.give(axis, length, node)
        for axis, tree in found.declared.items():
            if self.lengths.setdefault(axis, tree) != tree:
                raise self.error(node, f"the axis '{axis}' has another length than '{head}' declares for its result")
        for a in found.assumptions:
            # Assumptions are about inputs and constants only: the signs of any other name follow from its equation.
            given = isinstance(a.left, Read) and a.left.name in {**self.inputs, **self.constants}
            if given:
                self.assume(a, node)
        return result

    def uncallable(self, head: str) -> str:
        """The message for a name in call position that is neither a function nor an op."""
        if head in {**self.inputs, **self.constants, **self.equations}:
            axes = ", ".join(self.spelled().get(head, ()))
            return (
                f"'{head}' is no function; a product is written a*b, and axes stand in square brackets: {head}[{axes or 'n'}]"
            )
        if head == self.name:
            return "an op cannot call itself"
        return hints.unknown_function(head, (*RECORDS, *SUGAR, *NARY, *DEFINED_FUNCTIONS, *REDUCTIONS, *self.known_ops()))

    def arguments(self, node: ast.Call, head: str, left: Tensor | None) -> Arguments:
        """The call's arguments. Their indices name axes, and need not be indices of the left side: ``linear(x[n, k], ...)``."""
        # A tensor in index position is a scalar label.
        scope, known = self.scope, {*self.scope, *self.bound, *self.tensors(), *self.constants}
        self.scope = (*scope, *(i for i in _written_indices(node.args) if i not in known))
        try:
            positional = [self.argument(a) for a in node.args]
        finally:
            self.scope = scope
        keywords: dict[str, Tree] = {}
        for kw in node.keywords:
            if kw.arg is None:
                raise self.error(kw.value, "'**' has no meaning here: write each constant as name=value")
            keywords[kw.arg] = self.value(kw.value)
        lengths = frozenset([*self.given, *self.lengths])
        return Arguments(positional, keywords, left, frozenset(self.constants), self.words, lengths)

    def argument(self, node: ast.expr) -> Tree:
        """An argument: an expression, or a read of an integer tensor."""
        name = node.value if isinstance(node, ast.Subscript) else node
        if isinstance(name, ast.Name) and self.is_integer(name.id):
            read = self.read(node, name.id, slots_of(node) if isinstance(node, ast.Subscript) else [])
            if self.rows:
                raise self.error(node, f"an op takes '{name.id}' at plain indices; {self.whole(self.known(node, name.id))}")
            return read
        return self.value(node)

    def prefix(self, head: str) -> str:
        """The prefix of the names that a call includes: the op's name, with a number from the second call on."""
        taken = {*self.inputs, *self.outputs, *self.constants, *self.equations, *self.carried, *self.words}
        prefix, count = head, 1
        while any(name.startswith(prefix + "_") for name in taken):
            count += 1
            prefix = f"{head}{count}"
        return prefix

    def assume(self, assumption: Compare, node: ast.AST) -> None:
        """Add an assumption about an input or a constant."""
        raise NotImplementedError


def _written_indices(args: list[ast.expr]) -> list[str]:
    """The indices in the arguments that no reduction there binds, in order of appearance."""
    found: dict[str, None] = {}
    local: set[str] = set()
    for arg in args:
        nodes = list(ast.walk(arg))
        heads = {id(n.func) for n in nodes if isinstance(n, ast.Call)}
        for n in nodes:
            if isinstance(n, ast.Subscript):
                plain = [name for slot in flat_slots(n) for name in _names(slot)]
                if id(n) in heads:
                    local.update(plain)
                else:
                    found.update(dict.fromkeys(plain))
    return [name for name in found if name not in local]


def _names(slot: ast.expr) -> list[str]:
    """The plain indices of a slot: those of a sum of positions too, but not those inside a lookup."""
    match slot:
        case ast.Name():
            return [slot.id]
        case ast.Starred():
            return _names(slot.value)
        case ast.BinOp():
            return _names(slot.left) + _names(slot.right)
        case ast.UnaryOp():
            return _names(slot.operand)
    return []
