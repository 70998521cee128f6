"""The verification would notice: a backward with one operator changed disagrees with autograd."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np
import pytest

from codegen.backends.arrays.discovery import arrays
from codegen.load import load_source
from codegen.verify.agreement import agreement
from tests import kernels
from tests.kernels import OPS

#: The networks are made of the other ops, and their own mutants would take minutes.
#: Of the accurate gelu the mutants are often as good: a square may be split anywhere.
SMALL = [name for name in OPS if name not in ("mlp", "makemore", "gelu_accurate")]
SWAPPED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}


class Swap(ast.NodeTransformer):
    """Changes the operator number ``target`` of the mathematics of a backward."""

    def __init__(self, target: int):
        self.target, self.seen, self.line = target, 0, ""

    def swapped(self, node: ast.BinOp | ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if type(node.op) in SWAPPED:
            if self.seen == self.target:
                self.line = ast.unparse(node)
                node.op = SWAPPED[type(node.op)]()
            self.seen += 1
        return node

    visit_BinOp = visit_AugAssign = swapped


def mutants(source: str, function: str) -> Iterator[tuple[str, str]]:
    """Every source with one operator of the function's statements swapped, and the expression that was changed."""
    for target in range(1000):
        tree = ast.parse(source)
        backward = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function)
        swap = Swap(target)
        backward.body = [swap.visit(s) for s in backward.body if not isinstance(s, ast.Return)] + [
            s for s in backward.body if isinstance(s, ast.Return)
        ]
        if not swap.line:
            return
        yield ast.unparse(ast.fix_missing_locations(tree)), swap.line


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SMALL)
def test_every_swapped_operator_is_noticed(name: str) -> None:
    kernel = kernels.kernel(name)
    source = arrays("numpy").text(kernel, "a test")
    assert agreement(kernel, load_source(name, source), "numpy").largest < 1e-12
    for mutant, line in mutants(source, kernel.backward.name):
        try:
            found = agreement(kernel, load_source(name, mutant), "numpy").largest
        except (ValueError, TypeError, IndexError, AssertionError, ZeroDivisionError):
            continue
        assert found > 1e-6 or np.isnan(found), f"{name}: nobody noticed the change of {line}"
