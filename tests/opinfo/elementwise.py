"""Elementwise ops of torch as equations: functions, arithmetic of tensors that broadcast, activations."""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor

from tests.opinfo.equations import written
from tests.opinfo.reasons import Adapter, broadcast, unary, unless

__all__ = ["ELEMENTWISE"]


def of_one(right: str, **constants: Any) -> Adapter:
    """The op ``y = right``, in which the input is ``x`` and constants are named."""
    head = ", ".join(["x[*s]", *(f"{n}={v}" for n, v in constants.items())])
    return written(f"y[*s] = one({head})", "y[*s] = " + re.sub(r"\bx\b", "x[*s]", right))


def of_two(right: str, **constants: Any) -> Adapter:
    head = ", ".join(["a[*s]", "b[*s]", *(f"{n}={v}" for n, v in constants.items())])
    return broadcast(written(f"y[*s] = two({head})", f"y[*s] = {right.format(a='a[*s]', b='b[*s]')}"))


add, subtract = of_two("{a} + alpha*{b}", alpha=1.0), of_two("{a} - alpha*{b}", alpha=1.0)
quotient = of_two("{a}/{b}")
power = of_two("exp({b}*log({a}))")
constant_power = of_one("x**p", p=2.0)
between = of_one("clamp(x, lo, hi)", lo=-1.0, hi=1.0)
at_least, at_most = of_two("where({a} < {b}, {b}, {a})"), of_two("where({a} > {b}, {b}, {a})")
clamped = broadcast(
    written("y[*s] = clamped(x[*s], lo[*s], hi[*s])", "y[*s] = clamp(x[*s], lo[*s], hi[*s])"),
)
interpolated = broadcast(written("y[*s] = lerp(a[*s], b[*s], w[*s])", "y[*s] = a[*s] + w[*s]*(b[*s] - a[*s])"))
chosen = written("y[*s] = choose(k[*s], a[*s], b[*s])", "k[*s] in bool", "y[*s] = where(k[*s], a[*s], b[*s])")
product_added = broadcast(written("y[*s] = addcmul(x[*s], a[*s], b[*s], value=1.0)", "y[*s] = x[*s] + value*a[*s]*b[*s]"))
quotient_added = broadcast(written("y[*s] = addcdiv(x[*s], a[*s], b[*s], value=1.0)", "y[*s] = x[*s] + value*a[*s]/b[*s]"))
over_threshold = of_one("where(x > threshold, x, value)", threshold=0.0, value=0.0)
hardshrunk, softshrunk = (
    of_one("where(abs(x) > lambd, x, 0)", lambd=0.5),
    of_one("where(x > lambd, x - lambd, where(x < -lambd, x + lambd, 0))", lambd=0.5),
)
within = of_one("where(x <= lo, lo, where(x >= hi, hi, x))", lo=-1.0, hi=1.0)
logit_of, logit_within = of_one("log(x/(1 - x))"), of_one("log(clamp(x, eps, 1 - eps)/(1 - clamp(x, eps, 1 - eps)))", eps=0.01)
normalised = written(
    "y[*s, k] = normalised(x[*s, k], eps=1e-12)", "n[*s] = norm[k](x[*s, k])", "y[*s, k] = x[*s, k]/maximum(n[*s], eps)"
)


def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    bounds = [x.new_full((), b) if isinstance(b, (int, float)) else b for b in (min, max)]
    if bounds[1] is None:
        return at_least(x, bounds[0])
    return at_most(x, bounds[1]) if bounds[0] is None else clamped(x, *bounds)


def scaled(op: Adapter) -> Adapter:
    """Sums that scale what is added."""

    def called(x: Any, y: Any, alpha: float = 1) -> Tensor:
        return op(x, y, alpha=float(alpha))

    return called


def division(x: Any, y: Any, rounding_mode: Any = None) -> Tensor:
    unless(rounding_mode is not None, "option")
    return quotient(x, y)


def to_power(x: Any, y: Any) -> Tensor:
    if isinstance(y, (int, float)) and not isinstance(y, bool):
        return constant_power(x, p=float(y))
    unless(bool((torch.as_tensor(x) <= 0).any()), "zero")
    return power(x, y)


def choose(a: Any, keep: Tensor, b: Any) -> Tensor:
    """The sample has the first value before the condition."""
    a, b = (torch.as_tensor(v, dtype=torch.float64) for v in (a, b))
    keep, a, b = torch.broadcast_tensors(keep, a, b)
    return chosen(keep, a, b)


def added(op: Adapter) -> Adapter:
    return lambda x, a, b, value=1: op(x, a, b, value=float(value))


def threshold(x: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    return over_threshold(x, threshold=float(threshold), value=float(value))


def hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    return within(x, lo=float(min_val), hi=float(max_val))


def logit(x: Tensor, eps: Any = None) -> Tensor:
    return logit_of(x) if eps is None else logit_within(x, eps=float(eps))


def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, **_: Any) -> Tensor:
    unless(p != 2, "option")
    return (
        normalised(x.reshape(1) if x.ndim == 0 else x.movedim(dim, -1), eps=eps)
        .movedim(-1, 0 if x.ndim == 0 else dim)
        .reshape(x.shape)
    )


F = "nn.functional."
ELEMENTWISE: dict[str, Adapter] = {
    "abs": unary(of_one("abs(x)")),
    "exp": unary(of_one("exp(x)")),
    "expm1": unary(of_one("expm1(x)")),
    "exp2": unary(of_one("exp(log(2)*x)")),
    "log": unary(of_one("log(x)")),
    "log1p": unary(of_one("log1p(x)")),
    "log2": unary(of_one("log(x)/log(2)")),
    "log10": unary(of_one("log(x)/log(10)")),
    "sqrt": unary(of_one("sqrt(x)")),
    "rsqrt": unary(of_one("1/sqrt(x)")),
    "square": unary(of_one("x**2")),
    "reciprocal": unary(of_one("1/x")),
    "sin": unary(of_one("sin(x)")),
    "cos": unary(of_one("cos(x)")),
    "tan": unary(of_one("sin(x)/cos(x)")),
    "atan": unary(of_one("atan(x)")),
    "asin": unary(of_one("atan(x/sqrt((1 - x)*(1 + x)))")),
    "acos": unary(of_one(f"{math.pi / 2!r} - atan(x/sqrt((1 - x)*(1 + x)))")),
    "sinh": unary(of_one("sinh(x)")),
    "cosh": unary(of_one("cosh(x)")),
    "asinh": unary(of_one("sign(x)*log(abs(x) + sqrt(x**2 + 1))")),
    "acosh": unary(of_one("log(x + sqrt((x - 1)*(x + 1)))")),
    "atanh": unary(of_one("log((1 + x)/(1 - x))/2")),
    "erf": unary(of_one("erf(x)")),
    "special.erfcx": unary(of_one("erfcx(x)")),
    "neg": unary(of_one("-x")),
    "sign": unary(of_one("sign(x)")),
    "sgn": unary(of_one("sign(x)")),
    "floor": unary(of_one("floor(x)")),
    "ceil": unary(of_one("ceil(x)")),
    "trunc": unary(of_one("sign(x)*floor(abs(x))")),
    "frac": unary(of_one("x - sign(x)*floor(abs(x))")),
    "deg2rad": unary(of_one(f"x*{math.pi / 180!r}")),
    "rad2deg": unary(of_one(f"x*{180 / math.pi!r}")),
    "positive": unary(of_one("1*x")),
    F + "softsign": unary(of_one("x/(1 + abs(x))")),
    F + "hardshrink": lambda x, lambd=0.5: hardshrunk(x, lambd=float(lambd)),
    F + "softshrink": lambda x, lambd=0.5: softshrunk(x, lambd=float(lambd)),
    F + "hardtanh": hardtanh,
    F + "threshold": threshold,
    F + "normalize": normalize,
    "logit": logit,
    "add": scaled(add),
    "sub": scaled(subtract),
    "rsub": lambda x, y, alpha=1: subtract(y, x, alpha=float(alpha)),
    "mul": of_two("{a}*{b}"),
    "div": division,
    "true_divide": division,
    "__radd__": lambda x, y: add(y, x),
    "__rmul__": of_two("{b}*{a}"),
    "__rsub__": lambda x, y: subtract(y, x),
    "__rdiv__": lambda x, y: quotient(y, x),
    "pow": to_power,
    "float_power": to_power,
    "__rpow__": lambda x, y: to_power(y, x),
    "maximum": of_two("maximum({a}, {b})"),
    "minimum": of_two("minimum({a}, {b})"),
    "fmax": of_two("maximum({a}, {b})"),
    "fmin": of_two("minimum({a}, {b})"),
    "hypot": of_two("sqrt({a}**2 + {b}**2)"),
    "logaddexp": of_two("log(exp({a}) + exp({b}))"),
    "logaddexp2": of_two("log(exp(log(2)*{a}) + exp(log(2)*{b}))/log(2)"),
    "xlogy": of_two("{a}*log({b})"),
    "special.xlog1py": of_two("{a}*log1p({b})"),
    "ldexp": of_two("{a}*exp(log(2)*{b})"),
    "lerp": interpolated,
    "clamp": clamp,
    "clamp_min": at_least,
    "clamp_max": at_most,
    "where": choose,
    "addcmul": added(product_added),
    "addcdiv": added(quotient_added),
}
