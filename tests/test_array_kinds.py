"""What one may write: diagonals, outputs that are inputs or numbers, inputs that nothing reads, many axes and arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from codegen.backends.arrays.discovery import arrays
from codegen.backends.discovery import by_name
from codegen.depth import shallow
from codegen.program import Argument, Program, Role, Statement
from codegen.verify.agreement import run_kernel
from derive import syntax as st
from derive.errors import OpError
from tests.backends import RUNNING_ARRAYS, arguments, each_array_backend
from tests.judged import judge, kernel, module, normal
from tests.long import all_but


class System(NamedTuple):
    text: str
    shapes: list[tuple[int, ...]]
    reference: Callable[..., Any]


def picked(b: torch.Tensor, i: int, j: int) -> torch.Tensor:
    """``b[i, j, i]`` of three axes, over i and j."""
    return b.diagonal(0, i, j).movedim(-1, 0)


SYSTEMS = {
    "a partial diagonal": System(
        """f[i, j] = read(b[i, j, k])
        f[i, j] = b[i, j, i]""",
        [(3, 4, 3)],
        lambda b: picked(b, 0, 2) * 1,
    ),
    "a whole diagonal of three axes": System(
        """f[i] = read(b[i, j, k])
        f[i] = b[i, i, i]**2""",
        [(3, 3, 3)],
        lambda b: b.diagonal(0, 0, 1).diagonal(0, 0, 1) ** 2,
    ),
    "a partial diagonal beside its tensor": System(
        """f[i, j] = read(b[i, j, k], w[j])
        f[i, j] = b[i, j, i]*w[j] + sum[k](b[i, j, k]*b[k, j, i])""",
        [(3, 4, 3), (4,)],
        lambda b, w: picked(b, 0, 2) * w + torch.einsum("ijk,kji->ij", b, b),
    ),
    "a trace": System(
        """f = read(b[i, j])
        f = sum[i](exp(b[i, i]))""",
        [(3, 3)],
        lambda b: torch.exp(b.diagonal()).sum(),
    ),
    "an input that nothing reads": System(
        """y[n] = f(x[n], u[n, k], v)
        y[n] = x[n]**2""",
        [(3,), (3, 2), ()],
        lambda x, u, v: x**2,
    ),
    "no input that anything reads": System(
        """y[n] = f(x[n, k], v)
        y[n] = 3""",
        [(3, 2), ()],
        lambda x, v: x.new_full((3,), 3.0),
    ),
    "an output that is an input": System(
        """y[n], z = f(x[n], k)
        y[n] = x[n]
        z = k""",
        [(3,), ()],
        lambda x, k: (x * 1, k * 1),
    ),
    "an output that is an input, transposed": System(
        """y[m, n] = f(x[n, m])
        y[m, n] = x[n, m]""",
        [(3, 2)],
        lambda x: x.T * 1,
    ),
    "two outputs that are one": System(
        """y[n], z[n] = f(x[n])
        y[n] = exp(x[n])
        z[n] = y[n]""",
        [(3,)],
        lambda x: (torch.exp(x), torch.exp(x)),
    ),
    "an output that lacks its axes": System(
        """y[n, m] = f(x[n], u[m])
        y[n, m] = x[n]**2""",
        [(3,), (4,)],
        lambda x, u: (x**2)[:, None].expand(3, 4) * 1,
    ),
    "an output that lacks the other axis": System(
        """y[n, m] = f(x[n], u[m])
        y[n, m] = u[m]""",
        [(4,), (4,)],
        lambda x, u: u.expand(4, 4) * 1,
    ),
    "ones under a sum": System(
        """y = f(q[l, a], x[n])
        w[l, a] = 1
        y = sum[l, a](w[l, a]*q[l, a]) + sum[n](x[n])*sum[l, a](w[l, a])""",
        [(3, 2), (4,)],
        lambda q, x: q.sum() + x.sum() * 6,
    ),
    "reductions of what does not vary": System(
        """y[n], z[n] = f(x[n], q[l, a])
        w[n, l] = x[n]
        v[l, a] = 2
        y[n] = max[l](w[n, l])*mean[l, a](v[l, a]) + sum[l](w[n, l])
        z[n] = x[n]*min[l, a](v[l, a])*sum[l, a](v[l, a])""",
        [(4,), (3, 2)],
        lambda x, q: (2 * x + 3 * x, x * 2 * 12),
    ),
    "a scalar that is spread": System(
        """y[n] = f(x[n], k)
        y[n] = k""",
        [(4,), ()],
        lambda x, k: k.expand(4) * 1,
    ),
    "a copy that is needed again": System(
        """x[n] = op(m[n], gain[n])
        K[n] = gain[n]
        x[n] = (K[n]*size(n)*gain[n])**5""",
        [(3,), (3,)],
        lambda m, gain: (gain**2 * 3) ** 5,
    ),
}


@each_array_backend
@pytest.mark.parametrize("name", SYSTEMS)
def test_whatever_one_writes(name: str, backend: str) -> None:
    system = SYSTEMS[name]
    inputs = [v / 2 for v in normal(*system.shapes)]
    judge(system.text, backend, system.reference, inputs)


@each_array_backend
@pytest.mark.parametrize("name", [n for n, s in SYSTEMS.items() if s.shapes[0] and "diagonal" not in n and "trace" not in n])
def test_with_an_empty_axis(name: str, backend: str) -> None:
    """Where the first axis of every input is empty; what counts lengths is left out."""
    system = SYSTEMS[name]
    shapes = [(0, *s[1:]) if s and s[0] == system.shapes[0][0] else s for s in system.shapes]
    made = kernel(system.text)
    inputs = dict(zip([t.name for t in made.op.inputs], normal(*shapes), strict=True))
    size = {a: n for t in made.op.inputs for a, n in zip(t.axes, inputs[t.name].shape, strict=True)}
    upstream = normal(*([size[a] for a in t.axes] for t in made.op.outputs))
    outputs, gradients = run_kernel(made, module(system.text, backend), backend, inputs, upstream, {})
    for t, v in zip((*made.op.outputs, *made.op.inputs), (*outputs, *gradients), strict=True):
        assert list(v.shape) == [size[a] for a in t.axes]


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize(
    "name", ["an output that is an input", "an output that is an input, transposed", "two outputs that are one"]
)
def test_results_are_arrays_of_their_own(name: str, backend: str) -> None:
    """Whoever writes to a result changes neither an argument nor another result. Nobody can write to an array of JAX."""
    system = SYSTEMS[name]
    made, given = kernel(system.text), normal(*system.shapes)
    arrays = given if backend == "torch" else [v.numpy() for v in given]
    forward, backward = (getattr(module(system.text, backend), p.name) for p in (made.forward, made.backward))
    outputs, saved = forward(*arrays)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for groups in (arrays, outputs):
        for other in groups:
            for y in outputs:
                if y is not other and np.shape(y):
                    assert not np.shares_memory(np.asarray(y), np.asarray(other))
    env = {f"d{t.name}": o for t, o in zip(made.op.outputs, outputs, strict=True)}
    env |= dict(zip([t.name for t in made.saved], saved, strict=True)) | dict(
        zip([t.name for t in made.op.inputs], arrays, strict=True)
    )
    gradients = backward(*(env[a.name] for a in made.backward.arguments))
    for g in gradients if isinstance(gradients, tuple) else (gradients,):
        for y in outputs:
            if np.shape(g):
                assert not np.shares_memory(np.asarray(g), np.asarray(y))


def executed(lines: Sequence[str], backend: str, **given: torch.Tensor) -> dict[str, Any]:
    """What statements of a backend leave behind."""
    with by_name(backend).running():
        scope: dict[str, Any] = dict(zip(given, arguments(backend, *given.values()), strict=True))
        exec("\n".join([*arrays(backend).library, *lines]), scope)
        return scope | {"y": by_name(backend).back(scope["y"])}


@pytest.mark.parametrize("backend", all_but(["jax"], RUNNING_ARRAYS))
def test_more_than_sixty_four_arguments(backend: str) -> None:
    names = [f"u{k}" for k in range(70)]
    terms = " + ".join(f"{k + 1}*{u}[n]/700" for k, u in enumerate(names))
    text = f"y[n] = f({', '.join(f'{u}[n]' for u in names)})\ny[n] = tanh({terms})"
    judge(text, backend, lambda *u: torch.tanh(sum((k + 1) * v / 700 for k, v in enumerate(u))), normal(*[(2,)] * 70))


@each_array_backend
@pytest.mark.parametrize("n", [14, 30])
def test_a_contraction_of_more_axes_than_the_alphabet_has(backend: str, n: int) -> None:
    """n axes of each operand alone, one in both and one summed, in an order that no matrix product has."""
    a, b = [f"a{k}" for k in range(n)], [f"b{k}" for k in range(n)]
    x, w = st.Read("x", ("c", *a, "k")), st.Read("w", (*b, "k", "c"))
    s = Statement("y", ("c", *b, *a), st.Reduce("sum", ("k",), st.Mul((x, w))), Role.OUTPUT)
    arguments = tuple(Argument(r.name, tuple(map(str, r.index)), Role.INPUT) for r in (x, w))
    printer = arrays(backend).printer(Program("f", arguments, (), (s,), ("y",), "", False))
    if 2 * n + 2 > 52:
        with pytest.raises(OpError, match="an einsum has letters for 52 axes, not for 62"):
            printer.statement(s)
        return
    left, right = normal([2, 2, *[1] * (n - 1), 3], [2, *[1] * (n - 1), 3, 2])
    scope = executed(printer.statement(s), backend, x=left, w=right)
    wanted = torch.einsum("cak,bkc->cba", left.reshape(2, 2, 3), right.reshape(2, 3, 2))
    np.testing.assert_allclose(np.asarray(scope["y"]), wanted.reshape([2, 2, *[1] * (n - 1), 2, *[1] * (n - 1)]), rtol=1e-12)


@each_array_backend
def test_a_polynomial_of_high_degree_is_nested_no_deeper_than_python_reads(backend: str) -> None:
    """Horner's form of a sum of 220 powers, to which a gradient is factored."""
    x = st.Read("x", ("n",))
    tree: st.Tree = st.Num(Fraction(1))
    for k in range(220):
        tree = st.Add((st.Num(Fraction(k % 7 - 3, 2)), st.Mul((x, tree))))
    statements = shallow([Statement("y", ("n",), tree, Role.OUTPUT)], {"x", "y", "y_inner2"})
    assert len({s.name for s in statements} - {"x", "y_inner2"}) == len(statements) > 5
    program = Program("f", (Argument("x", ("n",), Role.INPUT),), (), tuple(statements), ("y",), "", False)
    printer = arrays(backend).printer(program)
    (given,) = normal((5,))
    given = given / 2
    scope = executed([line for s in statements for line in printer.statement(s)], backend, x=given)
    wanted = torch.ones_like(given)
    for k in range(220):
        wanted = (k % 7 - 3) / 2 + given * wanted
    np.testing.assert_allclose(np.asarray(scope["y"]), wanted, rtol=1e-12)


# ---- scalars and labels ---------------------------------------------------------------------------------------------------

LABELLED = {
    "a label without axes": (
        "y = f(x[a], t)\nt in a\ny = exp(x[t])",
        [(4,)],
        lambda x, t: torch.exp(x[t]),
    ),
    "one that picks the middle axis": (
        "y[n, m] = f(x[n, a, m], t)\nt in a\ny[n, m] = x[n, t, m]**2",
        [(3, 4, 2)],
        lambda x, t: x[:, t] ** 2,
    ),
    "one behind a star": (
        "y[*s] = f(x[*s, a], t)\nt in a\ny[*s] = x[*s, t]**2",
        [(3, 2, 4)],
        lambda x, t: x[..., t] ** 2,
    ),
}


@each_array_backend
@pytest.mark.parametrize("name", LABELLED)
def test_a_label_may_have_no_axes(name: str, backend: str) -> None:
    text, shapes, reference = LABELLED[name]
    for label in (0, 3):
        judge(text, backend, reference, [*normal(*shapes), torch.tensor(label)])


SCATTERED = {
    "beside factors": (
        "y[d] = f(x[v, d], t[n], w[n], k)\nt[n] in v\ny[d] = k*sum[n](x[t[n], d]*w[n])**2",
        lambda x, t, w, k: k * (x[t] * w[:, None]).sum(0) ** 2,
    ),
    "beside another term": (
        "y = f(x[v, d], t[n], w[n], k)\nt[n] in v\ny = sum[n, d](exp(x[t[n], d])*w[n]) + k*sum[v, d](x[v, d]**3)",
        lambda x, t, w, k: (torch.exp(x[t]) * w[:, None]).sum() + k * (x**3).sum(),
    ),
    "transposed": (
        "y[d] = f(x[d, v], t[n], w[n], k)\nt[n] in v\ny[d] = sum[n](tanh(x[d, t[n]])*w[n]*k)",
        lambda x, t, w, k: (torch.tanh(x[:, t]) * w * k).sum(1),
    ),
}


@each_array_backend
@pytest.mark.parametrize("name", SCATTERED)
def test_what_labels_scatter_is_added_row_by_row_wherever_it_stands(name: str, backend: str) -> None:
    """And not as a matrix of zeros and ones, whose memory is that of labels times rows."""
    text, reference = SCATTERED[name]
    shape = (2, 5) if name == "transposed" else (5, 2)
    x, w, k = normal(shape, (7,), ())
    judge(text, backend, reference, [x, torch.tensor([0, 4, 4, 2, 0, 0, 1]), w, k])
    source = arrays(backend).text(kernel(text), "a test")
    kernels = source[: source.index("\ndef _")]
    added = {"numpy": "_scatter_add(", "torch": "index_add(", "jax": ".at["}
    assert added[backend] in kernels and "arange" not in kernels


@each_array_backend
def test_a_scalar_is_no_array(backend: str) -> None:
    """Which would be repeated without a word."""
    (wrong,) = arguments(backend, np.ones(3))
    right = wrong[0]
    made = module("y[n] = f(x[n], k)\ny[n] = k*x[n]", backend)
    assert made.f_forward(wrong, right)[0].shape == (3,)
    with pytest.raises(ValueError, match="^k must"):
        made.f_forward(wrong, wrong)
    made = module("z = f(a, b)\nz = a*exp(b)", backend)
    with pytest.raises(ValueError, match="^b must"):
        made.f_forward(right, wrong)
