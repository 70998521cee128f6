"""The differentiable JAX op around a kernel: what its ``custom_vjp`` saves and returns.

For a second derivative JAX differentiates the forward and the backward as they are, so nothing is rematerialised.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.backends.arrays.signature import listed, shapes, signature, tupled
from codegen.backends.arrays.windows import static_constants
from codegen.locals import local
from codegen.program import Kernel
from codegen.source import Code
from derive import syntax as st

__all__ = ["CustomVjp", "custom_vjp"]


@dataclass(frozen=True)
class CustomVjp:
    """The ``custom_vjp`` around a kernel as text. ``kept`` are the residuals; ``given`` is the tuple of upstream gradients.

    ``static`` are the constants that are lengths of axes or decide slices, which no gradient and no tracing reaches.
    """

    name: str
    signature: Code
    doc: tuple[str, ...]
    arguments: Code
    call: Code
    made: Code
    outputs: Code
    kept: Code
    kept_name: str
    given: str
    taken: tuple[Code, ...]
    backward: Code
    returned: Code
    decorator: Code
    static: Code


def custom_vjp(kernel: Kernel) -> CustomVjp:
    """The differentiable op that has the kernel's name."""
    op, backward = kernel.op, kernel.backward
    inputs, outputs = [t.name for t in op.inputs], [t.name for t in op.results]
    constants, saved = [c.name for c in op.constants], [t.name for t in kernel.saved]
    forward = ", ".join([*inputs, *(c.name for c in kernel.forward.constants)])
    arguments = [*(a.name for a in backward.arguments), *(c.name for c in backward.constants)]
    adjoints = [st.adjoint_name(t.name) for t in op.outputs] + ["_"] * len(op.positions)
    saved_name, residuals, given = (local(kernel, n) for n in ("saved", "residuals", "adjoints"))
    static = [n for n in constants if n in op.length_constants | static_constants(kernel)]
    own = [n for n in arguments if n not in adjoints and n not in saved and n not in static]
    places = ", ".join(str(k) for k, n in enumerate([*inputs, *constants]) if n in static)
    single = len(outputs) == 1
    gradients = [st.adjoint_name(n) if st.adjoint_name(n) in backward.results else "None" for n in inputs]
    kept, names = tupled(own), listed(own) if own else ""
    if saved:
        kept = f"({', '.join([saved_name, *own])})" if own else saved_name
        names = ", ".join([tupled(saved), *own])
    taken = [f"{names} = {residuals}"] if saved or own else []
    taken += [] if single else [f"{', '.join(adjoints)} = {given}"]
    return CustomVjp(
        name=op.name,
        signature=Code(signature(op)),
        doc=(
            f"Differentiable {op.name}: a custom_vjp, right under jit, vmap, grad and grad of grad.",
            "",
            f"Shapes: {shapes(op)}." + (f" No gradient flows to {' and '.join(constants)}." if constants else ""),
        ),
        arguments=Code(", ".join([*inputs, *constants])),
        call=Code(f"{op.name}_forward({forward})"),
        made=Code(f"{outputs[0] if single else tupled(outputs)}, {saved_name if saved else '_'}"),
        outputs=Code(outputs[0] if single else tupled(outputs)),
        kept=Code(kept),
        kept_name=residuals if saved or own else "_",
        given=adjoints[0] if single else given,
        taken=tuple(map(Code, taken)),
        backward=Code(f"{', '.join(backward.results)} = {op.name}_backward({', '.join(arguments)})"),
        returned=Code(tupled([*gradients, *["None"] * (len(constants) - len(static))])),
        decorator=Code(f"functools.partial(jax.custom_vjp, nondiff_argnums=({places},))" if static else "jax.custom_vjp"),
        static=Code("".join(f"{n}, " for n in static)),
    )
