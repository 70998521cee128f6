"""First and second derivatives of equations as written, at hundreds of digits: numbers that carry both, for any evaluation.

At a kink they have the declared slope: a tie shares it equally, ``abs``, ``sign`` and ``floor`` have none there, a condition
takes one branch whole. Nothing here comes from the engine, and nothing from torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import mpmath
import numpy as np

from codegen.evaluate.trees import Evaluation
from derive import syntax as st

__all__ = ["hessian"]

#: Enough for the smaller of two exponentials at 700 beside the larger.
MP = mpmath.mp.clone()
MP.dps = 700
PI = +MP.pi
Array = np.ndarray[Any, Any]
#: An array for each input, and for each pair of inputs.
Gradients, Hessians = dict[str, Array], dict[tuple[str, str], Array]


class Jet:
    """``value + a*h + b*k + c*h*k`` with ``h**2 = k**2 = 0``: first derivatives ``a`` and ``b``, the mixed second ``c``."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Any):
        self.parts = parts

    @property
    def value(self) -> Any:
        return self.parts[0]

    def along(self, value: Any, slope: Any, bend: Any) -> Jet:
        """A function of this number with that value, first and second derivative."""
        _, a, b, c = self.parts
        return Jet(value, slope * a, slope * b, slope * c + bend * a * b)

    def __add__(self, other: Jet) -> Jet:
        return Jet(*(x + y for x, y in zip(self.parts, other.parts, strict=True)))

    def __neg__(self) -> Jet:
        return Jet(*(-x for x in self.parts))

    def __sub__(self, other: Jet) -> Jet:
        return self + -other

    def __mul__(self, other: Jet) -> Jet:
        (v, a, b, c), (w, d, e, f) = self.parts, other.parts
        return Jet(v * w, a * w + v * d, b * w + v * e, c * w + a * e + b * d + v * f)

    def __truediv__(self, other: Jet) -> Jet:
        v = other.value
        return self * other.along(1 / v, -1 / v**2, 2 / v**3)

    def power(self, e: Fraction) -> Jet:
        def at(e: Fraction) -> Any:
            return self.value ** (int(e) if e.denominator == 1 else MP.mpf(e.numerator) / e.denominator)

        first = e * (e - 1)
        return self.along(at(e), _mpf(e) * at(e - 1) if e else 0, _mpf(first) * at(e - 2) if first else 0)

    def __lt__(self, other: Jet) -> bool:
        return bool(self.value < other.value)

    def __le__(self, other: Jet) -> bool:
        return bool(self.value <= other.value)

    def __gt__(self, other: Jet) -> bool:
        return bool(self.value > other.value)

    def __ge__(self, other: Jet) -> bool:
        return bool(self.value >= other.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Jet) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]


def _mpf(value: Fraction | float) -> Any:
    exact = Fraction(value)
    return MP.mpf(exact.numerator) / exact.denominator


def _shared(choose: Callable[[Sequence[Any]], Any], parts: Sequence[Jet]) -> Jet:
    """The largest or the smallest; those that tie share its derivatives."""
    best = choose([p.value for p in parts])
    ties = [p for p in parts if p.value == best]
    total = reduce(Jet.__add__, ties)
    return Jet(*(x / len(ties) for x in total.parts))


def _unary() -> dict[str, Callable[[Jet], Jet]]:
    """The functions with their first and second derivatives."""
    exp, log, tanh, sinh, cosh, sin, cos = MP.exp, MP.log, MP.tanh, MP.sinh, MP.cosh, MP.sin, MP.cos
    bell = 2 / MP.sqrt(PI)

    def scaled(x: Any) -> tuple[Any, Any, Any]:
        y = exp(x * x) * MP.erfc(x)
        slope = 2 * x * y - bell
        return y, slope, 2 * y + 2 * x * slope

    table: dict[str, Callable[[Any], tuple[Any, Any, Any]]] = {
        "exp": lambda x: (exp(x), exp(x), exp(x)),
        "expm1": lambda x: (MP.expm1(x), exp(x), exp(x)),
        "log": lambda x: (log(x), 1 / x, -1 / x**2),
        "log1p": lambda x: (MP.log1p(x), 1 / (1 + x), -1 / (1 + x) ** 2),
        "tanh": lambda x: (tanh(x), 1 / cosh(x) ** 2, -2 * tanh(x) / cosh(x) ** 2),
        "sinh": lambda x: (sinh(x), cosh(x), sinh(x)),
        "cosh": lambda x: (cosh(x), sinh(x), cosh(x)),
        "sin": lambda x: (sin(x), cos(x), -sin(x)),
        "cos": lambda x: (cos(x), -sin(x), -cos(x)),
        "atan": lambda x: (MP.atan(x), 1 / (1 + x**2), -2 * x / (1 + x**2) ** 2),
        "erf": lambda x: (MP.erf(x), bell * exp(-x * x), -2 * x * bell * exp(-x * x)),
        "erfcx": scaled,
        "abs": lambda x: (abs(x), MP.sign(x), 0),
        "sign": lambda x: (MP.sign(x), 0, 0),
        "floor": lambda x: (MP.floor(x), 0, 0),
        "ceil": lambda x: (MP.ceil(x), 0, 0),
        "round": lambda x: (MP.nint(x), 0, 0),
        "stop": lambda x: (x, 0, 0),
    }
    return {head: lambda jet, of=of: jet.along(*of(jet.value)) for head, of in table.items()}


def _elementwise(function: Callable[..., Jet], number: int) -> Callable[..., Array]:
    return np.frompyfunc(function, number, 1)


def _over(choose: Callable[[Sequence[Any]], Any]) -> Callable[..., Array]:
    """An extremum over several axes at once: what ties in two axes shares among all."""

    def reduced(value: Array, axis: tuple[int, ...]) -> Array:
        rest = [k for k in range(value.ndim) if k not in axis]
        rows = value.transpose(*rest, *axis).reshape(*(value.shape[k] for k in rest), -1)
        out = np.empty(rows.shape[:-1], dtype=object)
        for k in np.ndindex(out.shape):
            out[k] = _shared(choose, list(rows[k]))
        return out

    return reduced


def _sum(value: Array, axis: tuple[int, ...]) -> Array:
    return np.add.reduce(value, axis=axis)


def _product(value: Array, axis: tuple[int, ...]) -> Array:
    return np.multiply.reduce(value, axis=axis, initial=constant(1))


def _mean(value: Array, axis: tuple[int, ...]) -> Array:
    count = np.prod([value.shape[k] for k in axis], dtype=int)
    return _sum(value, axis) * constant(Fraction(1, int(count)))


def constant(value: Fraction | float) -> Jet:
    return Jet(_mpf(value), 0, 0, 0)


class Jets:
    """Arrays of jets, as :class:`codegen.evaluate.trees.Evaluation` asks for them."""

    functions: Mapping[str, Callable[..., Any]] = {
        **{head: _elementwise(function, 1) for head, function in _unary().items()},
        "maximum": _elementwise(lambda a, b: _shared(max, (a, b)), 2),
        "minimum": _elementwise(lambda a, b: _shared(min, (a, b)), 2),
        "where": np.where,
    }
    relations: Mapping[str, Callable[..., Any]] = {
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
        "==": np.equal,
        "!=": np.not_equal,
    }
    reductions: Mapping[str, Callable[..., Any]] = {
        "sum": _sum,
        "mean": _mean,
        "max": _over(max),
        "min": _over(min),
        "prod": _product,
    }

    def number(self, value: Fraction | float) -> Array:
        return self.array(constant(value))

    def pi(self) -> Array:
        return self.array(Jet(PI, 0, 0, 0))

    def truth(self, value: Array) -> Array:
        return np.where(value, self.number(1), self.number(0))

    def arange(self, length: int) -> Array:
        return np.arange(length)

    def permute(self, value: Array, order: Sequence[int]) -> Array:
        return np.transpose(value, order)

    def expand(self, value: Array, shape: Sequence[int]) -> Array:
        return np.broadcast_to(value, shape)

    def divide(self, a: Array, b: Array) -> Any:
        return np.divide(a, b)

    def power(self, base: Array, exponent: Fraction) -> Any:
        return np.frompyfunc(lambda jet: jet.power(exponent), 1, 1)(base)

    def array(self, value: Any) -> Array:
        if isinstance(value, np.ndarray):
            return value
        out = np.empty((), dtype=object)
        out[()] = value
        return out


def hessian(
    op: st.Op, inputs: Mapping[str, Array], weights: Mapping[str, Array], constants: Mapping[str, float]
) -> tuple[Gradients, Hessians]:
    """The gradient and the second derivatives of ``sum(weights*outputs)``; each ``*s`` is a single axis of the inputs.

    The second derivative of a pair has the axes of its first input, then of its second.
    """
    places = [(t.name, k) for t in op.differentiable for k in np.ndindex(inputs[t.name].shape)]
    gradients = {t.name: np.zeros(inputs[t.name].shape) for t in op.differentiable}
    pairs = {
        (t.name, u.name): np.zeros(inputs[t.name].shape + inputs[u.name].shape)
        for t in op.differentiable
        for u in op.differentiable
    }
    for n, (one, j) in enumerate(places):
        for other, k in places[n:]:
            _, a, _, c = _loss(op, inputs, weights, constants, ((one, j), (other, k)))
            gradients[one][j] = a
            pairs[one, other][j + k] = pairs[other, one][k + j] = c
    return gradients, pairs


Place = tuple[str, tuple[int, ...]]


def _loss(
    op: st.Op,
    inputs: Mapping[str, Array],
    weights: Mapping[str, Array],
    constants: Mapping[str, float],
    moved: tuple[Place, Place],
) -> tuple[Any, ...]:
    """The parts of the weighted sum, with one entry moved along ``h`` and one along ``k``."""
    jets: dict[str, Array] = {}
    for t in op.inputs:
        if t.labels is not None:
            jets[t.name] = inputs[t.name]
            continue
        jets[t.name] = np.empty(inputs[t.name].shape, dtype=object)
        for k, x in np.ndenumerate(inputs[t.name]):
            jets[t.name][k] = Jet(_mpf(float(x)), int((t.name, k) == moved[0]), int((t.name, k) == moved[1]), 0)
    values = Evaluation(op, jets, constants, Jets()).run()  # type: ignore[arg-type]
    total = constant(0)
    for t in op.outputs:
        for k, w in np.ndenumerate(weights[t.name]):
            total = total + values[t.name][k] * constant(float(w))
    return total.parts
