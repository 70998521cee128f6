"""The dot-product test of a tangent: ``sum(dy*y_dot)`` is ``sum(dx*x_dot)``, whatever ``dy`` and ``x_dot`` are.

The right side is made of the gradients that brute force gives. So a tangent is judged without a derivative of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codegen.program import Kernel, given_tangents
from derive import syntax as st

__all__ = ["dot_fault", "drawn_tangents"]

#: The difference of the two sides that counts, relative to the sum of their absolute terms.
OWN = 1e-9


def drawn_tangents(kernel: Kernel, given: Mapping[str, Any]) -> dict[str, Any]:
    """A random tangent of each floating-point input, in the shape of the input."""
    rng = np.random.default_rng(0)
    names = given_tangents(kernel.tangent) if kernel.tangent else []
    return {n: rng.standard_normal(given[t.name].shape) for n, t in zip(names, kernel.op.differentiable, strict=True)}


def dot_fault(
    kernel: Kernel, found: Sequence[Any], given: Mapping[str, Any], expected: Mapping[str, Any], allowed: Mapping[str, Any]
) -> str:
    """What is wrong with the tangents of the outputs, in words; "" where nothing is.

    ``given`` has the arguments, ``expected`` the gradients, ``allowed`` the error that rounding explains in each gradient.
    Where a gradient has no finite value, nothing is asked.
    """
    adjoint = st.adjoint_name
    tangents = drawn_tangents(kernel, given)
    sent = [(expected[adjoint(t.name)], v) for t, v in zip(kernel.op.differentiable, tangents.values(), strict=True)]
    if not all(np.isfinite(dx).all() for dx, _ in sent):
        return ""
    outputs = kernel.op.outputs
    pairs = [
        (given[adjoint(t.name)], np.asarray(v).reshape(given[adjoint(t.name)].shape))
        for t, v in zip(outputs, found, strict=True)
    ]
    forward, backward = (sum(float((a * b).sum()) for a, b in both) for both in (pairs, sent))
    scale = sum(float(np.abs(a * b).sum()) for a, b in (*pairs, *sent))
    known = (
        np.asarray(allowed[adjoint(t.name)]) * np.abs(v)
        for t, v in zip(kernel.op.differentiable, tangents.values(), strict=True)
    )
    most = OWN * scale + sum(float(np.sum(k)) for k in known)
    if abs(forward - backward) <= most:
        return ""
    names = ", ".join(kernel.tangent.results if kernel.tangent else ())
    return f"{names}: sum(dy*y_dot) is {forward:.6g} where sum(dx*x_dot) is {backward:.6g}"
