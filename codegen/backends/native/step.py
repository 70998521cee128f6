"""A whole training step as one program: forward, backward and a step of gradient descent.

An op whose file sets ``STEP`` gets ``OP_step`` beside its native kernels. The op's inputs are the trained parameters. The step
returns the loss and the new parameters; the old parameters may be donated to the new ones.
"""

from __future__ import annotations

from fractions import Fraction

from codegen.loops.fused import forward_backward
from codegen.program import Kernel, Program, Role, Statement
from derive import syntax as st
from derive.ops import asks

#: The name of the learning rate, the constant by which a gradient is multiplied.
RATE = "rate"


def has_step(op: str) -> bool:
    """Whether an op of the catalogue asks for a training step."""
    return asks(op, "STEP")


def step(kernel: Kernel) -> Program:
    """The program that takes the inputs of a loss to the loss and the inputs after a step of gradient descent."""
    both, op = forward_backward(kernel), kernel.op
    (loss,) = op.outputs
    one: dict[str, st.Tree] = {st.adjoint_name(loss.name): st.Num(Fraction(1))}
    statements = [_replaced(s, one, loss.name) for s in both.statements]
    updates = [_update(t) for t in op.differentiable]
    return Program(
        name=f"{op.name}_step",
        arguments=tuple(a for a in both.arguments if a.role is Role.INPUT),
        constants=(st.Constant(RATE, None), *both.constants),
        statements=(*statements, *updates),
        results=(loss.name, *(u.name for u in updates)),
        star=both.star,
        collapsed=both.collapsed,
        ranked=both.ranked,
        equal=both.equal,
    )


def _replaced(s: Statement, one: dict[str, st.Tree], loss: str) -> Statement:
    """The statement with 1 in place of the upstream gradient; only the loss stays a result."""

    def tree(node: st.Tree) -> st.Tree:
        return one[node.name] if isinstance(node, st.Read) and node.name in one else st.rebuild(node, tree)

    return Statement(s.name, s.index, tree(s.tree), Role.OUTPUT if s.name == loss else Role.TEMPORARY)


def _update(t: st.Tensor) -> Statement:
    new, gradient = st.Read(t.name, t.axes), st.Read(st.adjoint_name(t.name), t.axes)
    tree = st.Add((new, st.Neg(st.Mul((st.Read(RATE), gradient)))))
    return Statement(f"{t.name}_next", t.axes, tree, Role.OUTPUT, over=t.name)
