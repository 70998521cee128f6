"""A learner who knows no derivative, only how a formula in index notation is written in NumPy.

This is all that the learner knows:

1. ``a[n,u]`` is the array ``a``, whose axes are n and u.
2. Operands of ``+ - · /``, of a comparison and of ``where`` need the same axes in the same order: an array that lacks one gets
   an axis of length 1 in its place, ``a[:, None]``.
3. ``sum[n](e)`` is ``e.sum(k)``, where n is axis k of e; ``mean`` alike.
4. ``size(n)`` is ``a.shape[k]``, where n is axis k of an array a that was seen.
5. An index that stands alone, as the v of ``[v = t[n]]``, is ``np.arange(size(v))``, and ``a[n,t[n]]`` is
   ``a[np.arange(size(n)), t]``.
6. ``(b,e)`` is one axis of an array; where a formula has b or e by themselves too, the array is reshaped to have both.
7. ``[condition]`` is ``1.0 * (condition)``; ``²``, ``^`` are ``**``; ``exp``, ``where`` and other functions are NumPy's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Learner"]

DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
SIGNS = {"·": "*", "^": "**", "π": "np.pi", "≤": "<=", "≥": ">=", "≠": "!="}
#: An array in code, and its axes in order.
Value = tuple[str, tuple[str, ...]]


@dataclass
class Learner:
    """Translates formulas. ``seen`` has the axes of every array that was printed."""

    seen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    alone: set[str] = field(default_factory=set)

    def look(self, text: str) -> None:
        """Note the axes of arrays where a formula defines them."""
        for name, axes in re.findall(r"(\w+)\[([\w,'()]+)\] = ", text):
            self.seen.setdefault(name, slots_of(axes))

    def line(self, formula: str) -> str:
        """``dy[n] = ...`` as a line of NumPy."""
        self.look(formula)
        left, _, right = formula.partition(" = ")
        name, _, axes = left.rstrip("]").partition("[")
        index = slots_of(axes)
        tree = ast.parse(python(right), mode="eval").body
        self.alone = {i for i in index if "(" not in i} | {i for n in ast.walk(tree) for i in alone(n)}
        code, have = self.value(tree)
        code = aligned(ordered((code, have), index), index)
        whole = f"np.zeros([{', '.join(map(self.size, index))}])"  # for the axes that the right side lacks
        return f"{name} = {code} + {whole}" if set(index) - set(have) else f"{name} = {code}"

    def value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(v):
                return repr(v), ()
            case ast.Name(name):
                return (f"np.arange({self.size(name)})", (name,)) if self.is_axis(name) else (name, ())
            case ast.Attribute():
                return ast.unparse(node), ()
            case ast.UnaryOp(ast.USub(), a):
                code, axes = self.value(a)
                return f"(-{code})", axes
            case ast.BinOp(a, op, b):
                sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}[type(op)]
                return self.joined([a, b], lambda x: f"({x[0]} {sign} {x[1]})")
            case ast.Compare(a, [op], [b]):
                sign = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}[type(op)]
                return self.joined([a, b], lambda x: f"({x[0]} {sign} {x[1]})")
            case ast.List([condition]):
                code, axes = self.value(condition)
                return f"(1.0 * {code})", axes
            case ast.Subscript(ast.Name(name), index):
                return self.read(name, index.elts if isinstance(index, ast.Tuple) else [index])
            case ast.Call(ast.Subscript(ast.Name(kind), index), [body]):
                over = [ast.unparse(i) for i in (index.elts if isinstance(index, ast.Tuple) else [index])]
                code, axes = self.value(body)
                places = tuple(axes.index(i) for i in over)
                return f"{code}.{kind}({places})", tuple(a for a in axes if a not in over)
            case ast.Call(ast.Name("size"), [ast.Name(axis)]):
                return self.size(axis), ()
            case ast.Call(ast.Name(name), arguments):
                return self.joined(list(arguments), lambda x: f"np.{name}({', '.join(x)})")
        raise AssertionError(f"the learner does not know {ast.dump(node)}")

    def joined(self, nodes: list[ast.expr], spell: Callable[[list[str]], str]) -> Value:
        """An operation on arrays that were given the same axes."""
        values = [self.value(n) for n in nodes]
        axes = tuple(dict.fromkeys(i for _, own in values for i in own))
        return spell([aligned(ordered(v, axes), axes) for v in values]), axes

    def read(self, name: str, slots: list[ast.expr]) -> Value:
        if any(isinstance(s, ast.Tuple) for s in slots):
            axes = slots_of(",".join(ast.unparse(s).replace(" ", "") for s in slots))
            if not {i for a in axes if "(" in a for i in a.strip("()").split(",")} & self.alone:
                return name, axes
            flat = tuple(i for a in axes for i in a.strip("()").split(","))
            return f"{name}.reshape([{', '.join(map(self.size, flat))}])", flat
        if all(isinstance(s, ast.Name) for s in slots):
            axes = tuple(s.id for s in slots if isinstance(s, ast.Name))
            self.seen.setdefault(name, axes)
            return name, axes
        labels = [self.value(s) for s in slots]
        axes = tuple(dict.fromkeys(i for _, own in labels for i in own))
        return f"{name}[{', '.join(aligned(v, axes) for v in labels)}]", axes

    def is_axis(self, name: str) -> bool:
        return any(name in axes for axes in self.seen.values())

    def size(self, axis: str) -> str:
        if "(" in axis:
            return " * ".join(map(self.size, axis.strip("()").split(",")))
        axis = axis.rstrip("_")
        name = next(n for n, axes in self.seen.items() if axis in axes and not n.startswith("d"))
        return f"{name}.shape[{self.seen[name].index(axis)}]"


def slots_of(axes: str) -> tuple[str, ...]:
    """The axes of an array: ``n`` and ``(b,e)`` of ``n,(b,e)``."""
    return tuple(re.findall(r"\([^)]*\)|[^,()]+", axes))


def alone(node: ast.AST) -> list[str]:
    """The indices of a read that stand by themselves."""
    if not isinstance(node, ast.Subscript) or (isinstance(node.value, ast.Name) and node.value.id in ("sum", "mean")):
        return []
    index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return [i.id for i in index if isinstance(i, ast.Name)]


def ordered(value: Value, order: tuple[str, ...]) -> Value:
    """The array with its axes in this order."""
    code, axes = value
    want = tuple(i for i in order if i in axes)
    return value if axes == want else (f"{code}.transpose({tuple(axes.index(i) for i in want)})", want)


def aligned(value: Value, axes: tuple[str, ...]) -> str:
    """The array with an axis of length 1 wherever it lacks one."""
    code, own = value
    slots = [":" if i in own else "None" for i in axes]
    return code if own == axes or not own else f"{code}[{', '.join(slots)}]"


def python(formula: str) -> str:
    """The formula with Python's signs. A primed index gets an underscore for its prime, a power its brackets."""
    text = re.sub(r"[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda found: f"**({found.group().translate(DIGITS)})", formula)
    for sign, spelled in SIGNS.items():
        text = text.replace(sign, spelled)
    text = re.sub(r"(?<![<>!=]) = ", " == ", text)
    return text.replace("'", "_")
