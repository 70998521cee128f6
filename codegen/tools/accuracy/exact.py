"""The exact values of an op and its gradients at inputs of a dtype, by mpmath at as many digits as they need.

The closed forms are evaluated at two precisions, which rise until both agree to a millionth of a ULP, since terms of a closed
form may cancel. Agreement proves nothing where a sum has lost all its digits in both evaluations: for large ``x``,
``1 - tanh(x)**2`` is 0 at 40 digits and at 60. Such sums are therefore detected. They count as settled only at a precision at
which the lost digits are far below the smallest subnormal number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from codegen.evaluate.arithmetic import Mpmath
from codegen.evaluate.trees import Named
from codegen.program import Kernel
from codegen.tools.accuracy.terms import sums_of_terms
from codegen.tools.accuracy.ulp import Exact, Format, split
from codegen.tools.auditor.system import System, Values, closed_system
from derive import syntax as st

__all__ = ["Quantity", "exact_pieces", "exact_values"]

#: The digits of the first evaluation, the additional digits of the second, and the most doublings of the precision.
FIRST, MORE, DOUBLINGS = 40, 20, 2
#: The difference, in ULP, up to which two evaluations agree.
AGREEMENT = 1e-6
#: The number of points of an elementwise op that share a precision.
PIECE = 64


@dataclass(frozen=True)
class Quantity:
    """An output or a gradient: its exact entries, and the ULP of the sum of absolute terms of each entry's formula."""

    exact: Exact
    terms: np.ndarray


def exact_values(
    kernel: Kernel, tensors: Mapping[str, np.ndarray], constants: Mapping[str, float], form: Format
) -> dict[str, Quantity]:
    """Every output and gradient; ``tensors`` are inputs and upstream gradients, each ``*s`` a single axis.

    The inputs are taken as exact numbers. Entries that do not settle are marked as not known.
    """
    system = closed_system(kernel)
    wanted = [*(t.name for t in kernel.op.outputs), *kernel.backward.results]

    def split_at(values: Values) -> dict[str, Exact]:
        return {n: split(values.of(n), form) for n in wanted}

    for digits, enough in _precisions(tensors, form):
        watched = _Watched(system, *_numbers(tensors, digits, constants))
        low = split_at(watched)
        if watched.blind and not enough:
            continue
        values = Values(system, *_numbers(tensors, digits + MORE, constants))
        high = split_at(values)
        known = {n: _agree(low[n], high[n]) for n in wanted}
        if all(k.all() for k in known.values()):
            break
    terms = sums_of_terms(values, kernel.forward) | sums_of_terms(values, kernel.backward)
    return {n: Quantity(replace(high[n], known=known[n]), split(terms[n], form).unit) for n in wanted}


def exact_pieces(
    kernel: Kernel, tensors: Mapping[str, np.ndarray], constants: Mapping[str, float], form: Format
) -> dict[str, Quantity]:
    """The exact values of an elementwise op, in pieces, so that points which need many digits cost only their piece more."""
    length = next(iter(tensors.values())).shape[0]
    pieces = [
        exact_values(kernel, {n: v[k : k + PIECE] for n, v in tensors.items()}, constants, form)
        for k in range(0, length, PIECE)
    ]
    return {name: _joined([p[name] for p in pieces]) for name in pieces[0]}


def _joined(pieces: list[Quantity]) -> Quantity:
    whole, part, unit, known = (
        np.concatenate([getattr(p.exact, field) for p in pieces]) for field in ("whole", "part", "unit", "known")
    )
    return Quantity(Exact(pieces[0].exact.format, whole, part, unit, known), np.concatenate([p.terms for p in pieces]))


def _precisions(tensors: Mapping[str, np.ndarray], form: Format) -> Iterator[tuple[int, bool]]:
    """The precisions to try, each with whether it resolves a millionth of the smallest number times any input squared."""
    yield FIRST, False
    largest = max((float(np.abs(v).max()) for v in tensors.values() if v.dtype.kind == "f" and v.size), default=1.0)
    enough = math.ceil(-form.unit * math.log10(2) + 2 * max(math.log10(max(largest, 1.0)), 0.0)) + 10
    yield from ((max(enough, FIRST) * 2**k, True) for k in range(DOUBLINGS + 1))


def _numbers(
    tensors: Mapping[str, np.ndarray], digits: int, constants: Mapping[str, float]
) -> tuple[dict[str, Any], Mapping[str, float], Mpmath]:
    arithmetic = _Fast(digits)
    return {n: arithmetic.exact(v) if v.dtype.kind == "f" else v for n, v in tensors.items()}, constants, arithmetic


def _agree(a: Exact, b: Exact) -> np.ndarray:
    with np.errstate(all="ignore"):
        apart = np.abs((a.lead - b.lead) / b.unit + (a.part * (a.unit / b.unit) - b.part))
    both = (a.overflows & b.overflows & (np.sign(a.whole) == np.sign(b.whole))) | (np.isnan(a.whole) & np.isnan(b.whole))
    return np.asarray(both | (apart <= AGREEMENT))


class _Fast(Mpmath):
    """mpmath's numbers, with an exponential that is fast for huge arguments too: mpmath's own takes a power of e there."""

    def __init__(self, digits: int):
        super().__init__(digits)
        self.functions = self.functions | {"exp": np.frompyfunc(self._exp, 1, 1)}

    def _exp(self, x: Any) -> Any:
        context = self.context
        if not context.isfinite(x) or context.mag(x) < 64:
            return context.exp(x)
        with context.workprec(context.prec + context.mag(x) + 10):
            twos = context.nint(x / context.ln2)
            rest = x - twos * context.ln2
        return context.ldexp(context.exp(rest), int(twos))


class _Watched(Values):
    """Values that note whether a sum lost all its digits."""

    def __init__(self, system: System, inputs: Mapping[str, Any], constants: Mapping[str, float], arithmetic: Mpmath):
        super().__init__(system, inputs, constants, arithmetic)
        self.blind = False
        self._noise = arithmetic.context.mpf(10) ** (2 - arithmetic.context.dps)

    def value(self, tree: st.Tree) -> Named:
        absolute = self.arithmetic.functions["abs"]
        match tree:
            case st.Add(args) if not (len(args) == 2 and all(self._selects(a) for a in args)):
                parts = [self.value(a) for a in args]
                total = self.join(parts, lambda *v: reduce(lambda a, b: a + b, v))
                self._watch(total, self.join(parts, lambda *v: reduce(lambda a, b: a + b, map(absolute, v))))
                return total
            case st.Reduce(kind, index, body) if kind in ("sum", "mean"):
                value, axes = self.value(body)
                total = self.reduced(kind, index, (value, axes))
                self._watch(total, self.reduced(kind, index, self.join([(value, axes)], absolute)))
                return total
        return super().value(tree)

    def _watch(self, total: Named, size: Named) -> None:
        absolute = self.arithmetic.functions["abs"]
        self.blind = self.blind or bool(np.any(absolute(total[0]) < size[0] * self._noise))

    def _selects(self, tree: st.Tree) -> bool:
        """Whether a value is an entry of an input: it has no error, so a difference of 0 from it has lost no digits."""
        match tree:
            case st.Num(v):
                return v.denominator == 1
            case st.Read(name, _):
                equation = self.system.equations.get(name)
                return equation is None or self._selects(equation.rhs)
            case st.Neg(a) | st.Reduce("max" | "min", _, a):
                return self._selects(a)
            case st.Call("maximum" | "minimum", args):
                return all(map(self._selects, args))
        return False
