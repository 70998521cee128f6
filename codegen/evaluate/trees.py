"""Expressions evaluated as written, one broadcast operation for each node, in arrays of any arithmetic.

This evaluation shares no code with derivation or emission, so that it can serve as their reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from codegen.evaluate.arithmetic import Arithmetic
from codegen.lengths import settled
from derive import syntax as st
from derive.recurrence import unrolled_op

__all__ = ["Evaluation", "Magnitudes", "Named"]

#: An array, and the index that each of its axes runs over.
Named = tuple[Any, tuple[str, ...]]


class Evaluation:
    """The values of an op on one input. ``value`` evaluates any expression over these values, and returns its axes too.

    ``inputs`` holds an array for each input, in which each ``*s`` is a single axis. It may hold values of further names.
    """

    def __init__(self, op: st.Op, inputs: Mapping[str, Any], constants: Mapping[str, float], arithmetic: Arithmetic):
        self.size = {a: n for t in op.inputs for a, n in zip(t.axes, inputs[t.name].shape, strict=True)}
        if (op.declared or op.packing.lengths) and op.length_constants <= constants.keys():
            self.size = settled(op, self.size, constants)
        op = unrolled_op(op, self.size)
        self.op, self.arithmetic, self.values = op, arithmetic, dict(inputs)
        self.axes = {t.name: t.axes for t in op.inputs} | {e.name: e.index for e in op.equations}
        self.values |= {k: arithmetic.number(v) for k, v in constants.items()}

    def run(self) -> dict[str, Any]:
        """Evaluate every equation in order; returns the values by name."""
        for e in self.op.equations:
            self.define(e)
        return self.values

    def define(self, equation: st.Equation) -> Any:
        """Evaluate an equation, keep its value, and return it."""
        self.axes[equation.name] = equation.index
        value, axes = self.value(equation.rhs)
        self.values[equation.name] = self.spread(value, axes, equation.index)
        return self.values[equation.name]

    def length(self, index: str) -> int:
        axis = st.axis_of(index)
        if axis not in self.size:
            for e in self.op.equations:
                for node in st.walk(e.rhs):
                    if isinstance(node, st.Read):
                        for slot, own in zip(node.index, self.axes.get(node.name, ()), strict=False):
                            if isinstance(slot, str) and st.axis_of(slot) == axis and own in self.size:
                                self.size[axis] = self.size[own]
        return int(self.size[axis])

    def spread(self, value: Any, axes: tuple[str, ...], want: tuple[str, ...]) -> Any:
        """The array with the axes ``want``, expanded along axes that it lacks."""
        return self.arithmetic.expand(self.fit(value, axes, want), [self.length(i) for i in want])

    def fit(self, value: Any, axes: tuple[str, ...], want: tuple[str, ...]) -> Any:
        """The array with the axes ``want`` in this order; axes that it lacks have length 1."""
        inside = [i for i in want if i in axes]
        if list(axes) != inside:
            value = self.arithmetic.permute(value, [axes.index(i) for i in inside])
        if len(inside) == len(want):
            return value
        return value.reshape([value.shape[inside.index(i)] if i in axes else 1 for i in want])

    def join(self, parts: list[Named], function: Callable[..., Any]) -> Named:
        """A broadcast function of several arrays."""
        axes = tuple(dict.fromkeys(i for _, a in parts for i in a))
        return self.arithmetic.array(function(*(self.fit(v, a, axes) for v, a in parts))), axes

    def value(self, tree: st.Tree) -> Named:
        """The value of an expression and its axes (TypeError for an expression that has no value, as a bare condition)."""
        arithmetic = self.arithmetic
        match tree:
            case st.Num() | st.Const() | st.Size():
                return self.number(tree), ()
            case st.Read(name, index):
                return self.read(name, index)
            case st.Neg(a):
                return self.join([self.value(a)], lambda v: -v)
            case st.Add(args):
                return self.join([self.value(a) for a in args], lambda *v: reduce(lambda a, b: a + b, v))
            case st.Mul(args):
                return self.join([self.value(a) for a in args], lambda *v: reduce(lambda a, b: a * b, v))
            case st.Div(a, b):
                return self.join([self.value(a), self.value(b)], arithmetic.divide)
            case st.Pow(a, e):
                exponent = rational(e)
                return self.join([self.value(a)], lambda v: arithmetic.power(v, exponent))
            case st.Reduce(kind, index, body):
                return self.reduced(kind, index, self.value(body))
            case st.Compare(rel, a, b):
                return self.join([self.value(a), self.value(b)], arithmetic.relations[rel])
            case st.Call(head, args):
                return self.join([self.value(a) for a in args], arithmetic.functions[head])
            case st.Match(a, b, equal):
                return self.join([self.index(a), self.index(b)], lambda u, v: (u == v) == equal)
            case st.Position(index):
                return self.index(index)
            case st.Indicator(cond):
                truth, axes = self.value(cond)
                return arithmetic.truth(truth), axes
        raise TypeError(f"no value of {tree}")

    def number(self, tree: st.Num | st.Const | st.Size) -> Any:
        match tree:
            case st.Num(v):
                return self.arithmetic.number(v)
            case st.Size(axis):
                return self.arithmetic.number(self.length(axis))
        return self.arithmetic.pi() if tree == st.Const("pi") else self.arithmetic.number(math.inf)

    def index(self, index: st.Index) -> Named:
        if isinstance(index, str):
            return self.arithmetic.arange(self.length(index)), (index,)
        return self.read(index.name, index.index)

    def slot(self, index: st.Index, length: int) -> Named:
        """An index of an axis. A label outside counts as the nearest one inside: what is read there is not used."""
        value, axes = self.index(index)
        return (value, axes) if isinstance(index, str) else (value.clip(0, max(length - 1, 0)), axes)

    def read(self, name: str, index: tuple[st.Index, ...]) -> Named:
        value = self.values[name]
        if all(isinstance(i, str) for i in index) and len(set(index)) == len(index):
            return value, index  # type: ignore[return-value]
        parts = [self.slot(i, n) for i, n in zip(index, value.shape, strict=True)]
        axes = tuple(dict.fromkeys(i for _, a in parts for i in a))
        return value[tuple(self.fit(v, a, axes) for v, a in parts)], axes

    def reduced(self, kind: str, index: tuple[str, ...], body: Named) -> Named:
        value, axes = body
        rest = tuple(a for a in axes if a not in index)
        missing = [i for i in index if i not in axes]
        if missing:  # the body does not depend on an axis that it is reduced over
            axes = (*axes, *missing)
            value = self.spread(value, body[1], axes)
        found = self.arithmetic.reductions[kind](value, axis=tuple(axes.index(i) for i in index))
        return self.arithmetic.array(found), rest


class Magnitudes(Evaluation):
    """Evaluates formulas with each term in absolute value: the rounding error of a sum is relative to this value."""

    def magnitude(self, tree: st.Tree) -> Named:
        absolute = self.arithmetic.functions["abs"]
        match tree:
            case st.Neg(a):
                return self.magnitude(a)
            case st.Add(args):
                return self.join([self.magnitude(a) for a in args], lambda *v: reduce(lambda a, b: a + b, v))
            case st.Mul(args):
                return self.join([self.magnitude(a) for a in args], lambda *v: reduce(lambda a, b: a * b, v))
            case st.Div(a, b):
                return self.join([self.magnitude(a), self.value(b)], lambda u, v: self.arithmetic.divide(u, absolute(v)))
            case st.Pow(a, e) if rational(e) > 0:
                exponent = rational(e)
                return self.join([self.magnitude(a)], lambda v: self.arithmetic.power(v, exponent))
            case st.Reduce(kind, index, body) if kind in ("sum", "mean", "prod"):
                return self.reduced(kind, index, self.magnitude(body))
            case st.Call("where", (condition, a, b)):
                where = self.arithmetic.functions["where"]
                return self.join([self.value(condition), self.magnitude(a), self.magnitude(b)], where)
        value, axes = self.value(tree)
        return absolute(value), axes


def rational(tree: st.Tree) -> Any:
    """The value of a constant exponent (TypeError for any other)."""
    match tree:
        case st.Num(v):
            return v
        case st.Neg(a):
            return -rational(a)
        case st.Div(a, b):
            return rational(a) / rational(b)
    raise TypeError(f"not a constant exponent: {tree}")
