"""What the array printers write says the same as the tree that it was printed from."""

from __future__ import annotations

import ast
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.arrays.axes import Value
from codegen.backends.arrays.discovery import arrays
from codegen.backends.arrays.spelling import Text
from codegen.backends.discovery import by_name
from codegen.load import load_source
from codegen.plan import plan
from codegen.program import Argument, Program, Role, Statement
from codegen.render import environment
from derive import syntax as st
from tests import trees
from tests.backends import RUNNING_ARRAYS, each_array_backend

# ---- read back ------------------------------------------------------------------------------------------------------------


def read_back(node: ast.expr) -> Any:
    """The structure of a Python expression, up to where a product carries its sign."""
    match node:
        case ast.BinOp(a, ast.Add(), b):
            return added([*terms(read_back(a)), (1, read_back(b))])
        case ast.BinOp(a, ast.Sub(), b):
            return added([*terms(read_back(a)), (-1, read_back(b))])
        case ast.BinOp(a, ast.Mult(), b):
            return multiplied([read_back(a), read_back(b)])
        case ast.BinOp(a, ast.Div(), b):
            return signed("/", read_back(a), read_back(b))
        case ast.BinOp(a, ast.MatMult(), b):
            return signed("@", read_back(a), read_back(b))
        case ast.BinOp(a, ast.Pow(), b):
            return ("**", read_back(a), read_back(b))
        case ast.UnaryOp(ast.USub(), a):
            return negative(read_back(a))
        case ast.Name(name):
            return name
        case ast.Constant(v):
            return Fraction(repr(v))
        case ast.Call(ast.Attribute(_, "tanh"), [a]):
            return ("tanh", read_back(a))
    raise AssertionError(f"unexpected in printed source: {ast.unparse(node)}")


def structure(tree: st.Tree) -> Any:
    """The same of a tree."""
    match tree:
        case st.Num(v):
            return Fraction(repr(float(v))) if v >= 0 else negative(Fraction(repr(float(-v))))
        case st.Read(name):
            return name
        case st.Neg(a):
            return negative(structure(a))
        case st.Add(args):
            first, *rest = [(-1, structure(a.arg)) if isinstance(a, st.Neg) else (1, structure(a)) for a in args]
            return added([*(terms(first[1]) if first[0] > 0 else [(1, negative(first[1]))]), *rest])
        case st.Mul(args):
            return multiplied([structure(a) for a in args])
        case st.Div(a, b):
            return signed("/", structure(a), structure(b))
        case st.Pow(a, st.Num(Fraction(numerator=-1, denominator=1))):
            return signed("/", Fraction(1), structure(a))
        case st.Pow(a, st.Num(e)):
            return ("**", structure(a), structure(st.Num(e)))
        case st.Call("tanh", (a,)):
            return ("tanh", structure(a))
        case st.Reduce("sum", _, st.Mul((*rows, column))):
            return ("@", structure(st.Mul(tuple(rows)) if len(rows) > 1 else rows[0]), structure(column))
    raise AssertionError(f"unexpected in a tree: {tree}")


def terms(found: Any) -> list[Any]:
    return list(found[1:]) if isinstance(found, tuple) and found[0] == "+" else [(1, found)]


def added(parts: list[Any]) -> Any:
    return ("+", *parts)


def multiplied(parts: list[Any]) -> Any:
    """A product; what stands first in it may be a product itself, for that is how Python reads it."""
    first, *rest = parts
    if isinstance(first, tuple) and first[0] == "-":
        return negative(multiplied([first[1], *rest]))
    return ("*", *(first[1:] if isinstance(first, tuple) and first[0] == "*" else (first,)), *rest)


def signed(sign: str, a: Any, b: Any) -> Any:
    return negative((sign, a[1], b)) if isinstance(a, tuple) and a[0] == "-" else (sign, a, b)


def negative(found: Any) -> Any:
    return found[1] if isinstance(found, tuple) and found[0] == "-" else ("-", found)


class Elementwise(trees.Generator):
    """Expressions over names of one shape, with products of matrices among them."""

    def leaf(self) -> st.Tree:
        kind = self.random.random()
        if kind < 0.15:
            return st.Num(Fraction(self.random.choice([2, 3, -2, Fraction(5, 2)])))
        return st.Read(self.random.choice("xyz"), ("i", "k"))

    def tree(self, depth: int) -> st.Tree:
        if depth == 0:
            return self.leaf()
        kinds = [self.sum, self.product, self.quotient, self.negated, self.raised, self.tanh, self.matrix, self.matrix]
        return self.random.choice(kinds)(depth - 1)

    def raised(self, depth: int) -> st.Tree:
        return st.Pow(self.tree(depth), st.Num(Fraction(self.random.choice([2, 3, -1, -2]))))

    def tanh(self, depth: int) -> st.Tree:
        return st.Call("tanh", (self.tree(depth),))

    def matrix(self, depth: int) -> st.Tree:
        """``M @ V`` or ``(M * N) @ V``."""
        rows = [st.Read(n, ("i", "j")) for n in self.random.sample(["M", "N"], self.random.choice([1, 2]))]
        return st.Reduce("sum", ("j",), st.Mul((*rows, st.Read("V", ("j", "k")))))


def is_number(tree: st.Tree) -> bool:
    return not any(st.reads(tree))


@each_array_backend
def test_printed_expressions_read_back_as_their_trees(backend: str) -> None:
    program = Program("test", tuple(Argument(n, ("i", "k"), Role.INPUT) for n in "xyz"), (), (), (), "", False)
    matrices = 0
    for seed in range(1500):
        tree = Elementwise(seed).tree(1 + seed % 4)
        if any(is_number(n) for n in st.walk(tree) if not isinstance(n, (st.Num, st.Read))):
            continue  # Python's own arithmetic of numbers may be written as its result
        code = arrays(backend).printer(program).value(tree, ("i", "k")).code
        matrices += "@" in code
        assert read_back(ast.parse(code, mode="eval").body) == structure(tree), code
    assert matrices > 300


# ---- evaluated ------------------------------------------------------------------------------------------------------------


def function_of(tree: st.Tree, index: tuple[str, ...], backend: str) -> tuple[Any, str]:
    """A function of all tensors, labels and constants that computes one statement, and its source."""
    arguments = [Argument(n, axes, Role.INPUT) for n, axes in trees.TENSORS.items()]
    arguments += [Argument(n, axes, Role.INPUT, into) for n, (axes, into) in trees.LABELS.items()]
    constants = tuple(st.Constant(n, None) for n in trees.CONSTANTS)
    statement = Statement("y", index, tree, Role.OUTPUT)
    program = Program("test", tuple(arguments), constants, (statement,), ("y",), "", False)
    printer = arrays(backend).printer(program, kernel=True)
    lines = printer.statement(statement)
    lines = [
        *(f"{c} = {printer.typed(Value(Text(c), number=True)).code}" for c in trees.CONSTANTS if c not in printer.numbers),
        *lines,
    ]
    lines += [f"y = {printer.typed(Value(Text('y'), number=True)).code}"] if "y" in printer.numbers else []
    lengths = [f"{axis} = {length}" for axis, length in trees.LENGTH.items()]
    names = ", ".join([*trees.TENSORS, *trees.LABELS, *trees.CONSTANTS])
    helpers = [environment().get_template("arrays/helper.py.j2").render(backend=backend, name=h) for h in printer.helpers]
    body = "\n    ".join([*lengths, *lines, "return y"])
    source = "\n".join(["import math", *arrays(backend).library, f"def test({names}):\n    {body}", *helpers])
    return load_source("test", source).test, "\n".join(lines)


@each_array_backend
@pytest.mark.parametrize("block", range(4))
def test_printed_expressions_have_the_values_of_their_trees(backend: str, block: int) -> None:
    """Entry by entry, in float64; and float32 stays float32."""
    given = trees.values()
    every = 5 if backend == "jax" else 1  # JAX compiles each operation
    for seed in range(100 * block, 100 * (block + 1), every):
        generator = trees.Generator(seed)
        tree = generator.tree(2 + seed % 3)
        index = list(st.free_indices(tree))
        index += [i for i in trees.LENGTH if i not in index and generator.random.random() < 0.2]
        generator.random.shuffle(index)
        wanted = trees.array(tree, tuple(index), given)
        function, source = function_of(tree, tuple(index), backend)
        with np.errstate(all="ignore"):
            for dtype in ("float32", "float64"):
                with by_name(backend).running():
                    found = function(**{n: converted(v, dtype, backend) for n, v in given.items()})
                assert str(found.dtype).endswith(dtype), f"seed {seed}: {found.dtype} from {dtype} in\n{source}"
                assert tuple(found.shape) == wanted.shape, f"seed {seed}: {tuple(found.shape)} in\n{source}"
            np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}:\n{source}")


def converted(value: Any, dtype: str, backend: str) -> Any:
    if isinstance(value, float):
        return value
    value = np.asarray(value, dtype=dtype if value.dtype.kind == "f" else value.dtype)
    return by_name(backend).to(value)


# ---- whole systems --------------------------------------------------------------------------------------------------------


def modules(text: str) -> dict[str, Any]:
    op = derive.parse(text)
    kernel = plan(derive.derive(op))
    return {b: load_source(op.name, arrays(b).text(kernel, "a test")) for b in RUNNING_ARRAYS}


@pytest.mark.parametrize("also", ["", " + h[n, o]"])
def test_a_product_of_rows_is_formed_before_it_meets_the_matrix(also: str) -> None:
    text = f"y[n, o] = gated(g[n, m], u[n, m], W[m, o], h[n, o])\ny[n, o] = sum[m](silu(g[n, m])*u[n, m]*W[m, o]){also}"
    torch.manual_seed(0)
    leaves = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((4, 3), (4, 3), (3, 4), (4, 4))]
    g, u, W, h = leaves
    wanted = (torch.nn.functional.silu(g) * u) @ W + (h if also else 0)
    dy = torch.randn_like(wanted)
    theirs = torch.autograd.grad(wanted, leaves, dy, allow_unused=True)
    made = modules(text)
    found = made["torch"].gated(*leaves)
    torch.testing.assert_close(found, wanted)
    for ours, their in zip(torch.autograd.grad(found, leaves, dy), theirs, strict=True):
        torch.testing.assert_close(ours, torch.zeros_like(ours) if their is None else their)
    arrays = [v.detach().numpy() for v in leaves]
    y, saved = made["numpy"].gated_forward(*arrays)
    np.testing.assert_allclose(y, wanted.detach().numpy(), rtol=1e-12)
