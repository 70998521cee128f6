"""Random expressions over tensors of small lengths, and their values entry by entry, computed with Python's own numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from derive import syntax as st

LENGTH = {"i": 2, "j": 3, "k": 2}
TENSORS = {
    "a": ("i",),
    "b": ("j",),
    "c": ("i", "j"),
    "d": ("j", "i"),
    "e": (),
    "f": ("i", "j", "k"),
    "g": ("k", "i"),
    "u": ("j", "k"),
    "w": ("k", "j"),
}
CONSTANTS = {"lo": 0.75, "hi": -1.5}
#: Labels over i that index j, and over i and j that index k.
LABELS = {"t": (("i",), "j"), "r": (("i", "j"), "k")}


def values(seed: int = 0) -> dict[str, Any]:
    """An array for every tensor and every label, and the constants."""
    rng = np.random.default_rng(seed)
    out: dict[str, Any] = {n: np.asarray(rng.normal(0.2, 1.0, [LENGTH[x] for x in axes])) for n, axes in TENSORS.items()}
    for name, (axes, into) in LABELS.items():
        out[name] = rng.integers(0, LENGTH[into], [LENGTH[x] for x in axes])
    return out | CONSTANTS


# ---- random expressions ---------------------------------------------------------------------------------------------------


class Generator:
    """Makes expressions; ``arrays`` says whether reads, reductions and gathers may occur that are not elementwise."""

    def __init__(self, seed: int, arrays: bool = True):
        self.random, self.arrays = random.Random(seed), arrays

    def tree(self, depth: int) -> st.Tree:
        r = self.random
        if depth == 0:
            return self.leaf()
        kinds: list[Callable[[int], st.Tree]] = [self.sum, self.sum, self.product, self.product, self.quotient, self.negated]
        kinds += [self.power, self.function, self.choice]
        if self.arrays:
            kinds += [self.reduction, self.reduction, self.contraction, self.contraction, self.match]
        return r.choice(kinds)(depth - 1)

    def leaf(self) -> st.Tree:
        r = self.random
        kind = r.random()
        if kind < 0.15:
            return self.number()
        if kind < 0.25:
            return st.Read(r.choice(list(CONSTANTS)))
        if kind < 0.3:
            return st.Size(r.choice(list(LENGTH)))
        if kind < 0.4 and self.arrays:
            lookups = [st.Read("b", (st.Lookup("t", ("i",)),)), st.Read("d", (st.Lookup("t", ("i",)), "i"))]
            lookups += [st.Read("f", ("i", "j", st.Lookup("r", ("i", "j")))), st.Read("w", (st.Lookup("r", ("i", "j")), "j"))]
            lookups += [st.Read("c", ("i", st.Lookup("t", ("i",)))), st.Read("u", (st.Lookup("t", ("i",)), "k"))]
            return r.choice(lookups)
        name = r.choice(list(TENSORS))
        return st.Read(name, TENSORS[name])

    def number(self) -> st.Tree:
        return st.Num(self.random.choice([Fraction(2), Fraction(1, 3), Fraction(5, 2), Fraction(7), Fraction(44715, 10**6)]))

    def several(self, depth: int) -> tuple[st.Tree, ...]:
        return tuple(self.tree(self.random.randint(0, depth)) for _ in range(self.random.choice([2, 2, 3])))

    def sum(self, depth: int) -> st.Tree:
        return st.Add(tuple(st.Neg(t) if self.random.random() < 0.4 else t for t in self.several(depth)))

    def product(self, depth: int) -> st.Tree:
        return st.Mul(self.several(depth))

    def quotient(self, depth: int) -> st.Tree:
        return st.Div(self.tree(depth), self.tree(self.random.randint(0, depth)))

    def negated(self, depth: int) -> st.Tree:
        return st.Neg(self.tree(depth))

    def power(self, depth: int) -> st.Tree:
        e = Fraction(self.random.choice(["2", "3", "-1", "-2", "1/2", "-1/2", "2/3"]))
        base = self.tree(depth)
        return st.Pow(base if e.denominator == 1 else st.Call("abs", (base,)), st.Num(e))

    def function(self, depth: int) -> st.Tree:
        head = self.random.choice(["tanh", "exp", "abs", "sign", "erf", "floor", "maximum", "minimum"])
        arguments = (self.tree(depth),) if head not in ("maximum", "minimum") else (self.tree(depth), self.tree(0))
        return st.Call(head, (st.Call("tanh", arguments),) if head == "exp" else arguments)

    def choice(self, depth: int) -> st.Tree:
        condition = st.Compare(self.random.choice(["<", ">", "<=", ">="]), self.tree(depth), self.tree(0))
        if self.random.random() < 0.3:
            return st.Indicator(condition)
        return st.Call("where", (condition, self.tree(depth), self.tree(0)))

    def match(self, depth: int) -> st.Tree:
        left, name = self.random.choice([("j", "t"), ("k", "r")])
        return st.Indicator(st.Match(left, st.Lookup(name, LABELS[name][0]), self.random.random() < 0.8))

    def reduction(self, depth: int) -> st.Tree:
        body = self.tree(depth)
        free = st.free_indices(body)
        if not free:
            return body
        index = tuple(self.random.sample(free, self.random.randint(1, min(2, len(free)))))
        return st.Reduce(self.random.choice(["sum", "sum", "mean", "max", "min", "prod"]), index, body)

    def contraction(self, depth: int) -> st.Tree:
        pairs = [("c", "u"), ("d", "g"), ("f", "w"), ("a", "d"), ("g", "c"), ("f", "c"), ("u", "f")]
        x, y = self.random.choice(pairs)
        summed = [i for i in TENSORS[x] if i in TENSORS[y]]
        left: st.Tree = st.Read(x, TENSORS[x])
        if self.random.random() < 0.5:
            left = st.Mul((st.Call("tanh", (left,)), left))
        factors = (*(left.args if isinstance(left, st.Mul) else (left,)), st.Read(y, TENSORS[y]))
        return st.Reduce("sum", tuple(self.random.sample(summed, self.random.randint(1, len(summed)))), st.Mul(factors))


# ---- their values ---------------------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[..., float]] = {
    "tanh": math.tanh,
    "exp": math.exp,
    "abs": abs,
    "sign": lambda x: math.copysign(1.0, x) if x else x,
    "erf": math.erf,
    "floor": lambda x: float(np.floor(x)),
    "maximum": lambda x, y: math.nan if math.isnan(x) or math.isnan(y) else max(x, y),
    "minimum": lambda x, y: math.nan if math.isnan(x) or math.isnan(y) else min(x, y),
}
RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda x, y: x < y,
    ">": lambda x, y: x > y,
    "<=": lambda x, y: x <= y,
    ">=": lambda x, y: x >= y,
}


def entry(tree: st.Tree, values: Mapping[str, Any], at: Mapping[str, int]) -> Any:
    """One entry of an expression, at the positions of its free indices."""

    def position(index: st.Index) -> int:
        return at[index] if isinstance(index, str) else int(values[index.name][tuple(map(position, index.index))])

    def sub(node: st.Tree) -> float:
        return np.float64(entry(node, values, at))

    match tree:
        case st.Num(v):
            return float(v)
        case st.Size(axis):
            return float(LENGTH[axis])
        case st.Read(name, index):
            return float(values[name][tuple(map(position, index))]) if index else float(values[name])
        case st.Neg(a):
            return -sub(a)
        case st.Add(args):
            return sum(map(sub, args))
        case st.Mul(args):
            return math.prod(map(sub, args))
        case st.Div(a, b):
            return sub(a) / sub(b)
        case st.Pow(a, st.Num(e)):
            return sub(a) ** float(e)
        case st.Call("where", (condition, a, b)):
            return sub(a) if entry(condition, values, at) else sub(b)
        case st.Call(head, args):
            return FUNCTIONS[head](*map(sub, args))
        case st.Compare(rel, a, b):
            return RELATIONS[rel](sub(a), sub(b))
        case st.Match(a, b, equal):
            return (position(a) == position(b)) == equal
        case st.Indicator(condition):
            return float(entry(condition, values, at))
        case st.Reduce(kind, index, body):
            found = [entry(body, values, {**at, **dict(zip(index, p, strict=True))}) for p in _positions(index)]
            mean = lambda v: math.fsum(v) / len(v)  # noqa: E731
            total = {"sum": math.fsum, "mean": mean, "max": np.max, "min": np.min, "prod": math.prod}[kind]
            return float(total(found)) if all(map(math.isfinite, found)) else float(getattr(np, kind)(found))
    raise TypeError(f"no value of {tree}")


def array(tree: st.Tree, index: tuple[str, ...], values: Mapping[str, Any]) -> np.ndarray:
    """All entries of an expression over an index."""
    out = np.empty([LENGTH[i] for i in index])
    with np.errstate(all="ignore"):
        for p in _positions(index):
            out[p] = entry(tree, values, dict(zip(index, p, strict=True)))
    return out


def _positions(index: tuple[str, ...]) -> Any:
    return product(*(range(LENGTH[i]) for i in index))
