"""The double backward: the backward is an op, and these are its gradients.

``dx`` is a function of ``dy`` and of the inputs. The engine derives it by all of them: the adjoint of ``dy`` is the tangent of
``y``, as in :mod:`derive.tangents`, and the adjoint of ``x`` is what reaches ``x`` through the slopes in the backward. Together
they are what a Hessian-vector product needs. The closed lines of the backward are the equations, and no rule is added.

Source: Pearlmutter, Fast Exact Multiplication by the Hessian, Neural Computation 6(1), 1994.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from derive import syntax as st
from derive.adjoint_names import primal_name
from derive.deep import deeply
from derive.derivation import Derivation
from derive.engine import derive
from derive.errors import OpError
from derive.renaming import fresh_name, renamed
from derive.tangents import backward_op

__all__ = ["DoubleBackward", "double_backward"]


@dataclass(frozen=True)
class DoubleBackward:
    """The vector-Jacobian product of a backward.

    ``derivation`` is that of the backward as an op. There gradients are called ``x_bar``, and ``dx`` is the adjoint of ``x``.
    ``names`` has what readers call them: ``dx`` for ``x_bar``, ``ddx`` for its adjoint, which is given, and ``d2x`` for the
    adjoint of ``x``, which is a result as ``ddy`` is.
    """

    derivation: Derivation
    names: Mapping[str, str]


@deeply
def double_backward(derivation: Derivation) -> DoubleBackward:
    """The gradients of a backward by the upstream gradients and the inputs, given those of its results.

    OpError: the op has a recurrence, or one of its names is that of an adjoint of an adjoint.
    """
    if derivation.op.carries:
        raise OpError("there is no double backward of a recurrence; differentiate its steps", op=derivation.op.name)
    plain = backward_op(derivation)
    adjoint = st.adjoint_name
    own = {*(t.name for t in plain.inputs), *(c.name for c in plain.constants), *(e.name for e in plain.equations)}
    first = [*(adjoint(t.name) for t in derivation.op.outputs), *(line.name for line in derivation.lines)]
    taken = set(own)
    bars = {name: fresh_name(f"{primal_name(name) or name}_bar", taken) for name in first}
    second = derive(replace(renamed(plain, bars), name=f"{derivation.op.name}_double_backward", held=frozenset()))
    names = {bar: name for name, bar in bars.items()}
    found, made = dict(names), {*own, *(d.name for d in second.forward)}
    for name in dict.fromkeys((*(adjoint(t.name) for t in second.op.outputs), *(line.name for line in second.lines))):
        of = primal_name(name)
        found[name] = fresh_name(adjoint(names[of]) if of in names else f"d2{of or name}", made)
    return DoubleBackward(second, found)
