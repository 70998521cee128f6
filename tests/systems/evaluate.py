"""The equations of a system evaluated as they are written, one position at a time, on dual numbers.

An element is worked out when something reads it, so that a recurrence needs nothing of its own but its first values.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from itertools import product
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import numpy as np

from tests.systems import language
from tests.systems.dual import BadPoint, Dual, constant, order, share, variable
from tests.systems.functions import SMOOTH, STEPS, call
from tests.systems.language import System, Tensor
from tests.systems.library import FUNCTIONS

Env = dict[str, int]
RELATIONS = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq, "!=": ne}
Array = np.ndarray[Any, Any]


class Evaluation:
    """``lengths`` are those of the axes, a starred axis counted as one; ``values`` what every name holds."""

    def __init__(self, system: System, lengths: Mapping[str, int], inputs: Mapping[str, Array], constants: Mapping[str, float]):
        self.system, self.lengths = system, lengths
        self.count = sum(inputs[t.name].size for t in system.floating)
        self.values: dict[str, Array] = {}
        self.own = {left.name: (left, rhs) for left, rhs in system.equations}
        self.firsts = {n: np.empty([lengths[a] for a in f.axes], dtype=object) for n, f in system.firsts.items()}
        self.known: dict[tuple[int, tuple[int, ...]], Dual] = {}
        self.calls: dict[tuple[int, tuple[int, ...]], tuple[list[str], Array]] = {}
        self.free_of: dict[int, list[str]] = {}
        #: The largest terms of what was worked out so far, and of its derivatives.
        self.reach = 0.0
        start = 0
        for name, given in inputs.items():
            table = np.empty(given.shape, dtype=object)
            for offset, k in enumerate(np.ndindex(given.shape)):
                table[k] = int(given[k]) if name in system.labels else variable(float(given[k]), start + offset, self.count)
            start += 0 if name in system.labels else given.size
            self.values[name] = table
        for name, value in constants.items():
            self.values[name] = np.array(self.number(value), dtype=object)

    def run(self) -> None:
        """Evaluate every equation in order (BadPoint where a value is not finite or next to a kink)."""
        for left, _ in self.system.equations:
            self.values[left.name] = np.empty([self.lengths[a] for a in left.axes], dtype=object)
        for left, _ in self.system.equations:
            for k in self.in_order(left):
                self.element(left.name, k)
        for name, table in self.firsts.items():
            for k in np.ndindex(table.shape):
                self.begin(name, k)

    def in_order(self, left: Tensor) -> list[tuple[int, ...]]:
        """The positions of a tensor, those of earlier steps first."""
        steps = [(k, -1 if self.system.steps.axes[a] else 1) for k, a in enumerate(left.axes) if a in self.system.steps.axes]
        return sorted(np.ndindex(self.values[left.name].shape), key=lambda at: [sign * at[k] for k, sign in steps])

    def element(self, name: str, k: tuple[int, ...]) -> Any:
        table = self.values[name]
        if table[k] is None:
            left, rhs = self.own[name]
            table[k] = self.value(rhs, dict(zip(left.axes, k, strict=True)))
        return table[k]

    def begin(self, name: str, k: tuple[int, ...]) -> Any:
        """What is read of a name before its first step."""
        if name not in self.firsts:
            return self.number(0.0)
        table, first = self.firsts[name], self.system.firsts[name]
        if table[k] is None:
            table[k] = self.value(first.value, dict(zip(first.axes, k, strict=True)))
        return table[k]

    def number(self, value: float) -> Dual:
        return constant(value, self.count)

    def value(self, node: ast.expr, env: Env) -> Dual:
        found = self.worked_out(node, env)
        if isinstance(found, Dual):  # and no position
            self.reach = max(self.reach, found.size, float(found.sizes.max(initial=0.0)))
        return found

    def worked_out(self, node: ast.expr, env: Env) -> Dual:
        match node:
            case ast.Constant() | ast.UnaryOp(operand=ast.Constant()):
                return self.number(language.number(node))
            case ast.Name(id="pi"):
                return self.number(math.pi)
            case ast.Name() | ast.Subscript():
                return self.read(node, env)
            case ast.UnaryOp(op=op, operand=operand):
                value = self.value(operand, env)
                return -value if isinstance(op, ast.USub) else value
            case ast.BinOp():
                return self.binary(node, env)
            case ast.Call():
                return self.call(node, env)
        raise TypeError(ast.dump(node))

    def binary(self, node: ast.BinOp, env: Env) -> Dual:
        a = self.value(node.left, env)
        if isinstance(node.op, ast.Pow):
            constants = any(isinstance(n, ast.Name) for n in ast.walk(node.right))
            return a.power(self.plain(node.right) if constants else _exponent(node.right))
        b = self.value(node.right, env)
        match node.op:
            case ast.Add():
                return a + b
            case ast.Sub():
                return a - b
            case ast.Mult():
                return a * b
            case ast.Div():
                return a / b
        raise TypeError(ast.dump(node.op))

    def read(self, node: ast.Name | ast.Subscript, env: Env) -> Dual:
        """One element of a tensor."""
        name = node.value if isinstance(node, ast.Subscript) else node
        assert isinstance(name, ast.Name)
        if isinstance(node, ast.Subscript) and self.absent(node, env):
            return self.number(0.0)
        where = tuple(self.slot(s, env) for s in language.slots(node)) if isinstance(node, ast.Subscript) else ()
        place = self.back(node)
        if place is not None and not 0 <= where[place] < self.values[name.id].shape[place]:
            first: Dual = self.begin(name.id, where[:place] + where[place + 1 :])
            return first
        element: Dual = self.element(name.id, where)
        return element

    def back(self, node: ast.expr) -> int | None:
        """The slot of the step in a read one step back; None for any other read."""
        return self.system.steps.back.get(node) if isinstance(node, ast.Subscript) else None

    def absent(self, node: ast.Subscript, env: Env) -> bool:
        """Whether a read is at a sum of positions that no element has."""
        assert isinstance(node.value, ast.Name)
        if node.value.id not in self.values:
            return False
        slots, lengths = language.slots(node), self.values[node.value.id].shape
        return any(
            not 0 <= self.whole(slot, env) < length
            for k, (slot, length) in enumerate(zip(slots, lengths, strict=True))
            if language.is_form(self.system, slot) and k != self.back(node)
        )

    def slot(self, node: ast.expr, env: Env) -> int:
        if language.is_form(self.system, node):
            return self.whole(node, env)
        if isinstance(node, ast.Name):
            return env[node.id] if node.id in env else int(self.element(node.id, ()))
        assert isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
        return int(self.element(node.value.id, tuple(self.slot(s, env) for s in language.slots(node))))

    # ---- calls -----------------------------------------------------------------------------------------------------

    def call(self, node: ast.Call, env: Env) -> Dual:
        if language.is_reduction(node):
            key = (id(node), tuple(env[i] for i in self.free(node) if i in env))
            if key not in self.known:
                self.known[key] = self.reduction(node, env)
            return self.known[key]
        assert isinstance(node.func, ast.Name)
        head = node.func.id
        if head == "size":
            assert isinstance(node.args[0], ast.Name)
            return self.number(float(self.lengths[node.args[0].id]))
        if head == "where":
            return self.value(node.args[1 if self.holds(node.args[0], env) else 2], env)
        if head in ("maximum", "minimum"):
            a, b = (self.value(x, env) for x in node.args)
            return share([a, b], 1 if head == "maximum" else -1)
        if head == "clamp":
            return self.clamped(node, env)
        if head in SMOOTH or head in STEPS or head in ("abs", "sign", "stop"):
            return call(head, self.value(node.args[0], env))
        indices, table = self.called(node, head, env)
        element: Dual = table[tuple(env[i] for i in indices)]
        return element

    def clamped(self, node: ast.Call, env: Env) -> Dual:
        """The argument between its bounds and at them, else the bound; the upper one where they are not in order."""
        x, *bounds = (self.value(a, env) for a in node.args)
        given = dict(zip(("lo", "hi"), bounds, strict=False)) | {k.arg: self.value(k.value, env) for k in node.keywords}
        lo, hi = given.get("lo"), given.get("hi")
        if lo is not None and order(x, lo) < 0:
            return share([lo, hi], -1) if hi is not None else lo
        return hi if hi is not None and order(x, hi) > 0 else x

    def holds(self, node: ast.expr, env: Env) -> bool:
        assert isinstance(node, ast.Compare)
        sides = (node.left, node.comparators[0])
        if self.system.on_indices(node):
            one, other = (self.whole(side, env) for side in sides)
            return RELATIONS[language.relation(node.ops[0])](one, other)
        a, b = self.value(node.left, env), self.value(node.comparators[0], env)
        found = order(a, b)
        rel = language.relation(node.ops[0])
        return {"<": found < 0, "<=": found <= 0, ">": found > 0, ">=": found >= 0, "==": found == 0, "!=": found != 0}[rel]

    def whole(self, node: ast.expr, env: Env) -> int:
        """The whole number that a side of a condition on indices is."""
        match node:
            case ast.Constant(value=int(value)):
                return value
            case ast.Name(id=name) if name in env:
                return env[name]
            case ast.Name(id=name) if name in self.system.constants:
                return int(self.values[name][()].value)
            case ast.Name() | ast.Subscript():
                return self.slot(node, env)
            case ast.Call(args=[ast.Name(id=axis)]):
                return self.lengths[axis]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.whole(operand, env)
            case ast.BinOp(left=a, op=op, right=b):
                x, y = self.whole(a, env), self.whole(b, env)
                return x * y if isinstance(op, ast.Mult) else x + y if isinstance(op, ast.Add) else x - y
        raise TypeError(ast.dump(node))

    def free(self, node: ast.expr) -> list[str]:
        if id(node) not in self.free_of:
            self.free_of[id(node)] = language.free(node, self.system.scalars, self.lengths)
        return self.free_of[id(node)]

    def reduction(self, node: ast.Call, env: Env) -> Dual:
        kind, axes, body = language.reduced(node)
        positions = [{**env, **dict(zip(axes, k, strict=True))} for k in product(*(range(self.lengths[a]) for a in axes))]
        reads = language.in_reach(body)
        parts = [self.value(body, at) for at in positions if not any(self.absent(read, at) for read in reads)]
        if kind in ("max", "min"):
            if not parts:
                raise BadPoint("an extremum of nothing")
            return share(parts, 1 if kind == "max" else -1)
        if kind in ("argmax", "argmin"):
            return self.place(parts, 1 if kind == "argmax" else -1)
        if kind == "sum":
            return self.total(parts)
        if kind == "prod":
            return math.prod(parts, start=self.number(1.0))
        if not parts:
            raise BadPoint(f"the {kind} of nothing")
        if kind == "norm":
            return self.root(self.total([p.power(2.0) for p in parts]))
        if kind == "logsumexp":
            top = self.number(max(p.value for p in parts))
            return call("log", self.total([call("exp", p - top) for p in parts])) + top
        mean = self.total(parts) / self.number(float(len(parts)))
        if kind == "mean":
            return mean
        correction = self.value(node.keywords[0].value, env) if node.keywords else self.number(0.0)
        squares = self.total([(p - mean).power(2.0) for p in parts])
        spread = squares / (self.number(float(len(parts))) - correction)
        return self.root(spread) if kind == "std" else spread

    def place(self, parts: list[Dual], sign: int) -> Any:
        """The position of the first of the largest (``sign`` 1) or smallest parts, which is no number."""
        top = share(parts, sign)
        return next(k for k, p in enumerate(parts) if order(p, top) == 0)

    def total(self, parts: list[Dual]) -> Dual:
        return sum(parts[1:], parts[0]) if parts else self.number(0.0)

    def root(self, of: Dual) -> Dual:
        """A square root, whose derivative at 0 is declared as 0."""
        zero = self.number(0.0)
        return call("sqrt", of) if order(of, zero) else zero

    def called(self, node: ast.Call, head: str, env: Env) -> tuple[list[str], Array]:
        """The result of an op of the catalogue as a whole, and the indices of its axes; of a recurrence that of one step."""
        held = {i: env[i] for i in self.system.steps.held.get(node, ())}
        key = (id(node), tuple(held.values()))
        if key not in self.calls:
            looked_up = head in ("embedding", "softmax_cross_entropy")
            arrays = [self.labels(a) if looked_up and k == 1 else self.argument(a, held) for k, a in enumerate(node.args)]
            keywords = {k.arg or "": self.plain(k.value) for k in node.keywords}
            if any(not a.size for a in arrays):
                raise BadPoint("a call on nothing")
            table = FUNCTIONS[head](*arrays, **keywords)
            self.calls[key] = (language.result(node, {*self.system.scalars, *held}, self.lengths), table)
        return self.calls[key]

    def argument(self, node: ast.expr, held: Env) -> Array:
        """The argument over all of its free indices but those that are held."""
        indices = [i for i in self.free(node) if i not in held]
        table = np.empty([self.lengths[i] for i in indices], dtype=object)
        for k in np.ndindex(table.shape):
            table[k] = self.value(node, {**held, **dict(zip(indices, k, strict=True))})
        return table

    def labels(self, node: ast.expr) -> Array:
        """The labels that an argument is."""
        name = node.value if isinstance(node, ast.Subscript) else node
        assert isinstance(name, ast.Name)
        for k in np.ndindex(self.values[name.id].shape) if name.id in self.own else ():
            self.element(name.id, k)
        return self.values[name.id]

    def plain(self, node: ast.expr) -> float:
        return float(self.value(node, {}).value)


def _exponent(node: ast.expr) -> float:
    """An exponent is an expression of literals."""
    match node:
        case ast.BinOp(left=a, op=op, right=b):
            x, y = _exponent(a), _exponent(b)
            match op:
                case ast.Add():
                    return x + y
                case ast.Sub():
                    return x - y
                case ast.Mult():
                    return x * y
            return x / y
        case ast.UnaryOp(op=ast.USub(), operand=a):
            return -_exponent(a)
    return language.number(node)


def gradients(evaluation: Evaluation, upstream: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
    """For every floating input the gradient of ``sum(dy*y)``, and for each entry the sum of its absolute terms."""
    slopes, sizes = np.zeros(evaluation.count), np.zeros(evaluation.count)
    for t in evaluation.system.outputs:
        for y, dy in zip(evaluation.values[t.name].flat, np.asarray(upstream[t.name]).flat, strict=True):
            slopes += dy * y.slopes
            sizes += abs(dy) * y.sizes
    if not (np.isfinite(slopes).all() and np.isfinite(sizes).all()):
        raise BadPoint("a gradient that is not finite")
    out, start = {}, 0
    for t in evaluation.system.inputs.values():
        if t.name in evaluation.system.labels:
            continue
        table = evaluation.values[t.name]
        part = slice(start, start + table.size)
        out[t.name] = (slopes[part].reshape(table.shape), sizes[part].reshape(table.shape))
        start += table.size
    return out
