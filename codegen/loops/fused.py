"""Forward and backward as one program, in which the tensors saved by the forward are temporaries."""

from __future__ import annotations

from dataclasses import replace

from codegen.program import Kernel, Program, Role, Statement, taken


def forward_backward(kernel: Kernel) -> Program:
    """The program that computes the outputs and the gradients from the inputs and the upstream gradients."""
    forward, backward = kernel.forward, kernel.backward
    results = (*(t.name for t in kernel.op.outputs), *backward.results)
    statements: dict[str, Statement] = {}
    for s in (*forward.statements, *backward.statements):
        statements.setdefault(s.name, replace(s, role=Role.OUTPUT if s.name in results else Role.TEMPORARY))
    upstream = tuple(a for a in backward.arguments if a.role is Role.UPSTREAM)
    inputs = tuple(taken(kernel.op, t) for t in kernel.op.inputs)
    used = {c.name for c in (*forward.constants, *backward.constants)}
    return Program(
        name=f"{kernel.op.name}_forward_backward",
        arguments=(*inputs, *upstream),
        constants=tuple(c for c in kernel.op.constants if c.name in used),
        statements=tuple(statements.values()),
        results=results,
        star=forward.star,
        collapsed=forward.collapsed or backward.collapsed,
        ranked=forward.ranked,
        equal=forward.equal,
        loops=(*forward.loops, *backward.loops),
        shifts=(*forward.shifts, *backward.shifts),
    )
