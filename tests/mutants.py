"""Mutants of emitted NumPy source: one slip each, made on Python's syntax and so not by the auditor's own rules."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Mutant", "mutants"]


@dataclass(frozen=True)
class Mutant:
    """A source with one slip in it; ``causes`` are the kinds of diagnosis that name this slip."""

    source: str
    change: str
    causes: frozenset[str]


#: What may be put in an expression's place, with what that is called.
Change = tuple[ast.expr, str]

TERM = "missing term, divisor, constant, missing path, missing factor, coefficient"
FACTOR = "missing factor, divisor, missing term, coefficient, function, missing path"


def dropped_term(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield node.left, TERM
        right = node.right if isinstance(node.op, ast.Add) else ast.UnaryOp(ast.USub(), node.right)
        yield right, TERM + ", sign"


def swapped_sign(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield ast.BinOp(node.left, other, node.right), "sign, divisor, condition, coefficient"


def doubled_term(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        twice = ast.BinOp(ast.Constant(2), ast.Mult(), node.right)
        yield ast.BinOp(node.left, node.op, twice), "doubled term, coefficient, divisor, constant"


def dropped_factor(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield node.left, FACTOR
        yield node.right, FACTOR


def divided(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield ast.BinOp(node.left, ast.Div(), node.right), "inverted factor, divisor, exponent, coefficient"


def divisor(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield node.left, "divisor, coefficient, mean for sum, sum for mean"
        yield ast.BinOp(node.left, ast.Mult(), node.right), "divisor, coefficient"
        less = ast.BinOp(node.right, ast.Sub(), ast.Constant(1))
        yield ast.BinOp(node.left, ast.Div(), less), "divisor, coefficient"


def squared(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield ast.BinOp(node, ast.Mult(), node.right), "doubled factor, coefficient, exponent"


def exponent(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        yield ast.BinOp(node.left, ast.Pow(), ast.Constant(3)), "exponent"
        yield node.left, "exponent"


def reduction(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_sum", "_mean"):
        other = "_mean" if node.func.id == "_sum" else "_sum"
        call = ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords)
        yield call, "mean for sum, sum for mean"
        for k, word in enumerate(node.keywords):
            if word.arg == "axis" and isinstance(word.value, ast.Tuple):
                for axis in word.value.elts:
                    words = list(node.keywords)
                    words[k] = ast.keyword("axis", axis)
                    yield ast.Call(node.func, node.args, words), "missing reduction, axis"
            elif word.arg == "axis":
                words = list(node.keywords)
                words[k] = ast.keyword("axis", ast.Constant(0 if ast.unparse(word.value) != "0" else -1))
                yield ast.Call(node.func, node.args, words), "axis, missing reduction"


def negated_argument(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.exp", "_erf", "np.tanh"):
        yield ast.Call(node.func, [ast.UnaryOp(ast.USub(), node.args[0])], []), "sign, coefficient"


def condition(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Gt):
        yield ast.Compare(node.left, [ast.Lt()], node.comparators), "condition, sign"
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.where":
        yield ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], []), "condition"
        yield node.args[1], "condition"


def wrong_number(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div) and isinstance(node.right, ast.Constant):
        twice = ast.Constant(node.right.value * 2)  # type: ignore[operator]
        yield ast.BinOp(node.left, node.op, twice), "coefficient, divisor"


MUTATIONS: tuple[Callable[[ast.expr], Iterator[Change]], ...] = (
    dropped_term,
    swapped_sign,
    doubled_term,
    dropped_factor,
    divided,
    divisor,
    squared,
    exponent,
    reduction,
    negated_argument,
    condition,
    wrong_number,
)


def mutants(source: str, function: str) -> Iterator[Mutant]:
    """Every source with one slip in the mathematics of the function."""
    tree = ast.parse(source)
    body = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function).body
    for number, statement in enumerate(body):
        if isinstance(statement, ast.Return | ast.Expr) or _prepares(statement):
            continue
        for place, node in enumerate(ast.walk(statement)):
            if not isinstance(node, ast.expr):
                continue
            for mutation in MUTATIONS:
                for new, causes in mutation(node):
                    text = _with(tree, function, number, place, new)
                    change = f"{ast.unparse(statement)}: {ast.unparse(node)} -> {ast.unparse(new)}"
                    yield Mutant(text, f"{mutation.__name__}: {change}", frozenset(causes.split(", ")))


def _prepares(statement: ast.stmt) -> bool:
    """Whether a statement checks or reshapes arguments; mutants of it are no slips of mathematics."""
    text = ast.unparse(statement)
    return any(word in text for word in ("_lengths(", "_labels(", "size[", ".reshape(", "as_double", "astype", "size ="))


def _with(tree: ast.Module, function: str, number: int, place: int, new: ast.expr) -> str:
    changed = copy.deepcopy(tree)
    body = next(n for n in changed.body if isinstance(n, ast.FunctionDef) and n.name == function).body
    target = list(ast.walk(body[number]))[place]
    body[number] = _Replace(target, copy.deepcopy(new)).visit(body[number])
    return ast.unparse(ast.fix_missing_locations(changed))


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.expr):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)
