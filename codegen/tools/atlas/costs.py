"""The costs of a kernel at its op's reference sizes: operations, and the bytes that are saved for the backward."""

from __future__ import annotations

from math import prod

from codegen.program import Argument, Kernel, Program, Role
from codegen.tools.atlas.operations import operations as of_tree
from derive.terms.factoring import DEFAULT_SIZE

__all__ = ["FLOAT", "LABEL", "elements", "kept", "operations", "sizes_of"]

#: The size in bytes of a float32, and of a label.
FLOAT, LABEL = 4, 8


def sizes_of(kernel: Kernel) -> dict[str, int]:
    """The lengths of the inputs' axes."""
    known = dict(kernel.op.sizes)
    axes = dict.fromkeys(a for t in kernel.op.inputs for a in (*t.axes, *([t.indexed] if t.indexed else [])))
    return {a: known.get(a, DEFAULT_SIZE) for a in axes}


def elements(argument: Argument, sizes: dict[str, int]) -> int:
    """The elements of a tensor that a kernel takes."""
    return prod(sizes.get(a, DEFAULT_SIZE) for a in argument.axes)


def kept(kernel: Kernel) -> int:
    """The bytes, in float32, of the backward's arguments apart from upstream gradients: saved tensors, outputs and inputs."""
    sizes = sizes_of(kernel)
    taken = [a for a in kernel.backward.arguments if a.role is not Role.UPSTREAM]
    return sum(elements(a, sizes) * (LABEL if a.labels else FLOAT) for a in taken)


def operations(kernel: Kernel, program: Program) -> int:
    """The number of floating-point operations of a program."""
    sizes = dict(kernel.op.sizes)
    return sum(of_tree(s.tree, sizes) for s in program.statements)
