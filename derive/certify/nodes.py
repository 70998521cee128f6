"""The record of an evaluation: values, and the operations that computed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from derive.certify.arrays import Array

__all__ = ["Back", "Column", "Node", "in_order"]

Column = list[Any]
#: The vector-Jacobian product of an operation: from the result's adjoint to a contribution for each operand.
Back = Callable[[Column], Sequence[Column]]


def _same(sent: Column) -> Sequence[Column]:
    return (sent,)


class Node:
    """A value, the operands of the operation that computed it, and the operation's vector-Jacobian product ``back``."""

    __slots__ = ("array", "operands", "back")

    def __init__(self, array: Array, operands: Sequence[Node] = (), back: Back = _same):
        self.array, self.operands, self.back = array, operands, back


def in_order(roots: Sequence[Node]) -> list[Node]:
    """The nodes from which ``roots`` are made, each after its operands."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(r, False) for r in roots]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((operand, False) for operand in node.operands)
    return order
