"""The author's equations evaluated directly in torch, so that autograd can differentiate them.

Nothing is shared with derivation or emission: expressions are walked as written, one broadcast operation a node. It is the
reference for ops that torch has no function for.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from derive import syntax as st

Named = tuple[torch.Tensor, tuple[str, ...]]

_FUNCTIONS = {
    "exp": torch.exp,
    "log": torch.log,
    "tanh": torch.tanh,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "sin": torch.sin,
    "cos": torch.cos,
    "atan": torch.atan,
    "erf": torch.erf,
    "abs": torch.abs,
    "sign": torch.sign,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}
_RELATIONS = {"<": torch.lt, "<=": torch.le, ">": torch.gt, ">=": torch.ge, "==": torch.eq, "!=": torch.ne}


def evaluate(op: st.Op, inputs: dict[str, torch.Tensor], constants: dict[str, float]) -> dict[str, torch.Tensor]:
    """Every named value of the op; each ``*s`` is a single axis of the inputs. Differentiable in the inputs."""
    return Evaluation(op, inputs, constants).run()


class Evaluation:
    """The values of one op on one input; ``value`` gives any expression over them, with the axes of the result."""

    def __init__(self, op: st.Op, inputs: dict[str, torch.Tensor], constants: dict[str, float]):
        self.op, self.values = op, dict(inputs)
        self.axes = {t.name: t.axes for t in op.inputs} | {e.name: e.index for e in op.equations}
        dtype = next(v.dtype for v in inputs.values() if v.is_floating_point())
        self.dtype = dtype
        self.values |= {k: torch.tensor(float(v), dtype=dtype) for k, v in constants.items()}
        self.size = {a: n for t in op.inputs for a, n in zip(t.axes, inputs[t.name].shape, strict=True)}

    def run(self) -> dict[str, torch.Tensor]:
        for e in self.op.equations:
            value, axes = self.value(e.rhs)
            self.values[e.name] = self.spread(value, axes, e.index)
        return self.values

    def length(self, index: str) -> int:
        axis = st.axis_of(index)
        if axis not in self.size:
            for e in self.op.equations:
                for node in st.walk(e.rhs):
                    if isinstance(node, st.Read):
                        for slot, own in zip(node.index, self.axes.get(node.name, ()), strict=False):
                            if isinstance(slot, str) and st.axis_of(slot) == axis and own in self.size:
                                self.size[axis] = self.size[own]
        return self.size[axis]

    def spread(self, value: torch.Tensor, axes: tuple[str, ...], want: tuple[str, ...]) -> torch.Tensor:
        return self.fit(value, axes, want).expand([self.length(i) for i in want])

    def fit(self, value: torch.Tensor, axes: tuple[str, ...], want: tuple[str, ...]) -> torch.Tensor:
        inside = [i for i in want if i in axes]
        value = value.permute([axes.index(i) for i in inside])
        shape = [value.shape[inside.index(i)] if i in axes else 1 for i in want]
        return value.reshape(shape)

    def join(self, parts: list[Named], function: Any) -> Named:
        axes = tuple(dict.fromkeys(i for _, a in parts for i in a))
        return function(*(self.fit(v, a, axes) for v, a in parts)), axes

    def number(self, value: float) -> Named:
        return torch.tensor(value, dtype=self.dtype), ()

    def number_of(self, truth: Named) -> Named:
        return truth[0].to(self.dtype), truth[1]

    def value(self, tree: st.Tree) -> Named:
        match tree:
            case st.Num(v):
                return self.number(v.numerator / v.denominator)
            case st.Const("pi"):
                return self.number(math.pi)
            case st.Size(axis):
                return self.number(self.length(axis))
            case st.Read(name, index):
                return self.read(name, index)
            case st.Neg(a):
                return self.join([self.value(a)], torch.neg)
            case st.Add(args):
                return self.join([self.value(a) for a in args], lambda *v: sum(v[1:], v[0]))
            case st.Mul(args):
                return self.join([self.value(a) for a in args], lambda *v: math.prod(v[1:], start=v[0]))
            case st.Div(a, b):
                return self.join([self.value(a), self.value(b)], torch.div)
            case st.Pow(a, e):
                exponent = float(self.value(e)[0])
                return self.join([self.value(a)], lambda v: v**exponent)
            case st.Reduce(kind, index, body):
                return self.reduced(kind, index, body)
            case st.Compare(rel, a, b):
                return self.join([self.value(a), self.value(b)], _RELATIONS[rel])
            case st.Call("where", args):
                return self.join([self.value(a) for a in args], torch.where)
            case st.Call(head, args):
                return self.join([self.value(a) for a in args], _FUNCTIONS[head])
            case st.Indicator(st.Match(a, b)):
                return self.number_of(self.join([self.index(a), self.index(b)], torch.eq))
            case st.Indicator(cond):
                return self.number_of(self.value(cond))
        raise TypeError(f"no torch for {tree}")

    def index(self, index: st.Index) -> Named:
        if isinstance(index, str):
            return torch.arange(self.length(index)), (index,)
        return self.read(index.name, index.index)

    def read(self, name: str, index: tuple[st.Index, ...]) -> Named:
        parts = [self.index(i) for i in index]
        if not parts:
            return self.values[name], ()
        axes = tuple(dict.fromkeys(i for _, a in parts for i in a))
        return self.values[name][tuple(self.fit(v, a, axes) for v, a in parts)], axes

    def reduced(self, kind: str, index: tuple[str, ...], body: st.Tree) -> Named:
        value, axes = self.value(body)
        where = [axes.index(i) for i in index]
        rest = tuple(a for a in axes if a not in index)
        reduce: Any = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}[kind]
        return reduce(value, dim=where), rest
