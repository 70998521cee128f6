"""How native code is planned: shared loops, where values live, what may be overwritten; and random systems end to end."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.native.files import op_files
from codegen.backends.native.machine import scheduled
from codegen.loops.assignment import (
    Assignment,
    Elementwise,
    EntryUpdate,
    Fold,
    MatrixProduct,
    Reduction,
    ScatterAdd,
)
from codegen.loops.flatten import flatten
from codegen.loops.fused import forward_backward
from codegen.loops.hoist import hoist
from codegen.loops.loop import Item, Loop, assignments_in
from codegen.loops.schedule import Schedule
from codegen.loops.star import without_star
from codegen.loops.storage import Array, Recomputed, Result, Row, Storage, Variable
from codegen.program import Kernel, Program
from codegen.verify.agreement import constants_of, load_kernel
from codegen.verify.reference import evaluate
from derive import syntax as st
from derive.errors import OpError
from derive.language.axes import equal_axes
from tests import kernels
from tests.judged import kernel as kernel_of

needs_compiler = pytest.mark.skipif(not any(shutil.which(c) for c in ("cc", "gcc", "clang")), reason="needs a C compiler")

# ---- plans ---------------------------------------------------------------------------------------------------------------


def planned(program: Program, rows: bool = False) -> Schedule:
    """The schedule of a program; ``rows`` for callers without any axis in place of a star."""
    return scheduled(without_star(program, program.star) if rows else program)


def shown(body: Sequence[Item]) -> list[Any]:
    """Loops as pairs of an axis and their body, statements as their names."""
    return [(i.axis, shown(i.body)) if isinstance(i, Loop) else i.name for i in body]


def kinds(plan: Schedule) -> dict[str, type[Storage]]:
    return {name: type(place) for name, place in plan.storage.items()}


def arrays(plan: Schedule) -> dict[str, tuple[str, ...]]:
    """The arrays that have memory of their own."""
    return {n: p.axes for n, p in plan.storage.items() if isinstance(p, Array) and not p.over}


def test_the_backward_of_batchnorm_is_two_nests_with_both_sums_in_the_first() -> None:
    plan = planned(kernels.kernel("batchnorm").backward)
    assert shown(plan.body) == [("n", [("d", [("s", ["dgamma", "dbeta"])])]), ("n", [("d", [("s", ["dx"])])])]
    assert set(kinds(plan).values()) == {Result}
    assert plan.overwritable == (("dx", "dy"), ("dx", "xhat"))


def test_the_backward_of_batchnorm_without_axes_takes_what_no_row_changes_out_of_the_rows() -> None:
    plan = planned(kernels.kernel("batchnorm").backward, rows=True)
    assert [i.axis for i in plan.body if isinstance(i, Loop) and i.innermost] == ["d"] * 2
    nests = [shown([i]) for i in plan.body if isinstance(i, Loop) and not i.innermost]
    assert nests == [[("n", [("d", ["dgamma", "dbeta"])])], [("n", [("d", ["dx"])])]]
    kept = [f for f, _ in assignments_in(plan.body) if f.kept]
    assert {f.name for f in kept} == {"gamma_rstd", "dbeta_scaled", "dgamma_ddof"} and all(f.index == ("d",) for f in kept)
    assert arrays(plan) == {f.name: ("d",) for f in kept}


def test_the_forward_of_batchnorm_computes_the_centred_rows_again() -> None:
    for rows in (False, True):
        plan = planned(kernels.kernel("batchnorm").forward, rows)
        assert kinds(plan)["c"] is Recomputed and kinds(plan)["var"] is Variable
        assert arrays(plan) == {"mu": ("d",), "sum_c2": ("d",)}
        assert plan.overwritable == (("y", "x"), ("xhat", "x"))


def test_the_backward_of_layernorm_is_one_nest_of_two_sweeps() -> None:
    plan = planned(kernels.kernel("layernorm").backward)
    first, second = ("dgamma", "dbeta", "dxhat", "mean_dxhat", "mean_dxhat_xhat"), ("dx",)
    assert shown(plan.body) == [("s", [("d", list(first)), ("d", list(second))])]
    assert kinds(plan)["dxhat"] is Recomputed
    assert kinds(plan)["mean_dxhat"] is kinds(plan)["mean_dxhat_xhat"] is Variable
    assert not arrays(plan)


def test_cross_entropy_with_its_gradient_is_one_nest_of_three_sweeps() -> None:
    plan = planned(forward_backward(kernels.kernel("softmax_cross_entropy")))
    nest, *rest = plan.body
    assert isinstance(nest, Loop) and rest and all(isinstance(i, Assignment) for i in rest)
    sweeps = [shown(i.body) for i in nest.body if isinstance(i, Loop)]
    assert sweeps == [["m"], ["e", "total"], ["p", "dz"]]
    places = kinds(plan)
    assert plan.storage["e"] == Row(("c",))
    assert places["p"] is places["m"] is places["total"] is Variable
    assert not arrays(plan)
    assert plan.overwritable == (("dz", "z"),)


def test_attention_has_two_arrays_over_pairs_at_most() -> None:
    """P, and dP with dS in one memory; its forward and backward alone have P only, and one more."""
    k = kernels.kernel("attention")
    pairs = [
        {n for n, axes in arrays(planned(p)).items() if {"i", "j"} <= set(axes)}
        for p in (k.forward, k.backward, forward_backward(k))
    ]
    assert [len(p) for p in pairs] == [0, 1, 2]
    backward = planned(k.backward)
    assert backward.storage["dP"] == Array(("i", "j"), "dS") and backward.storage["dS"] == Array(("i", "j"))


def test_reductions_inside_an_expression_become_statements_and_equal_ones_one() -> None:
    op = derive.parse("y[n, d] = f(x[n, d])\ny[n, d] = x[n, d]*sum[d](x[n, d]**2)/(1 + max[n](sum[d](x[n, d]**2)*x[n, d]))")
    (equation,) = op.equations
    program = kernel_of("y[n, d] = f(x[n, d])\ny[n, d] = x[n, d]").forward
    program = replace(program, statements=(replace(program.statements[0], tree=equation.rhs),))
    found = flatten(program)
    assert [(f.name, f.kind, f.index) for f in found] == [
        ("sum_x2", Reduction(Fold.SUM, ("d",)), ("n",)),
        ("y_max", Reduction(Fold.MAX, ("n",)), ("d",)),
        ("y", Elementwise(), ("n", "d")),
    ]
    assert not any(isinstance(node, st.Reduce) for f in found for node in st.walk(f.body))


def test_a_contraction_is_a_product_and_a_row_sum_is_none() -> None:
    found = flatten(
        kernel_of("y[n, m], r[n] = f(a[n, d], b[d, m])\ny[n, m] = sum[d](a[n, d]*b[d, m])\nr[n] = sum[d](a[n, d]**2)").forward
    )
    assert {f.name: type(f.kind) for f in found if f.name in "yr"} == {"y": MatrixProduct, "r": Reduction}


def test_a_gather_becomes_a_scatter_and_a_label_a_correction() -> None:
    assert [type(f.kind) for f in flatten(kernels.kernel("embedding").backward)] == [ScatterAdd]
    assert [type(f.kind) for f in flatten(kernels.kernel("softmax_cross_entropy").backward)] == [Elementwise, EntryUpdate]


def test_labels_that_are_read_at_labels_are_scattered_to_as_well() -> None:
    kernel = kernel_of("y[n] = f(w[v], t[m], u[n])\nt[m] in v\nu[n] in m\ny[n] = w[t[u[n]]]")
    assert [type(f.kind) for f in flatten(kernel.backward)] == [ScatterAdd]


def test_what_lacks_the_inner_axis_is_not_hoisted_into_a_row() -> None:
    program = kernel_of("y[n, d] = f(x[n, d], u[n], w[d], v[d])\ny[n, d] = x[n, d]*exp(u[n])*tanh(w[d])*v[d]").forward
    found = hoist(flatten(program))
    kept = [f for f in found if f.kept]
    assert kept and all(f.index == ("d",) for f in kept)
    assert not any("u" in f.name.split("_") for f in kept)


def test_a_value_read_at_another_row_is_complete_before_it_is_read() -> None:
    plan = planned(kernel_of("y[n] = f(x[n, d], t[n])\nt[n] in n\nr[n] = sum[d](x[n, d]**2)\ny[n] = r[t[n]]*r[n]").forward)
    nests = [{f.name for f, _ in assignments_in((i,))} for i in plan.body if isinstance(i, Loop)]
    assert len(nests) == 2 and "y" in nests[1] and "y" not in nests[0]


def test_a_prefix_of_the_axes_is_computed_once_a_row() -> None:
    plan = planned(kernel_of("y[n, d] = f(x[n, d], u[n])\ny[n, d] = x[n, d]*(1 + exp(u[n])*sum[d](x[n, d]))").forward)
    nests = [i for i in plan.body if isinstance(i, Loop)]
    assert len(nests) == 1
    assert [i.axis for i in nests[0].body if isinstance(i, Loop)] == ["d", "d"]


# ---- overwriting -----------------------------------------------------------------------------------------------------------

#: Forward equations, and the pairs of a result and an argument of which the one may replace the other.
REPLACES = {
    "elementwise": ("y[n, d] = f(x[n, d])\ny[n, d] = exp(x[n, d]) + x[n, d]", {("y", "x")}),
    "read again after": (
        "y[n, d], z[n] = f(x[n, d])\ny[n, d] = x[n, d]**2\nm = sum[n, d](y[n, d])\nz[n] = m*sum[d](x[n, d])",
        set(),
    ),
    "a later sweep": ("y[n, d], s[n] = f(x[n, d])\ny[n, d] = 2*x[n, d]\ns[n] = sum[d](y[n, d])*max[d](x[n, d])", {("y", "x")}),
    "an earlier sweep": ("y[n, d] = f(x[n, d])\ny[n, d] = x[n, d] - mean[d](x[n, d])", {("y", "x")}),
    "another row": ("y[n, d] = f(x[n, d], t[n])\nt[n] in n\ny[n, d] = x[n, d]*x[t[n], d]", set()),
    "another column": ("y[n, d] = f(x[n, d], t[n])\nt[n] in d\ny[n, d] = x[n, d]*x[n, t[n]]", set()),
    "transposed": ("y[n, m] = f(x[n, m])\ny[n, m] = x[n, m]*x[m, n]", set()),
    "a later product": (
        "y[n, m], z[n, k] = f(x[n, m], w[m, k])\ny[n, m] = x[n, m]**3\nz[n, k] = sum[m](y[n, m]*w[m, k])*x[n, 0]".replace(
            "*x[n, 0]", ""
        ),
        {("y", "x")},
    ),
    "a product that comes after": (
        "y[n, m], z[n, k] = f(x[n, m], w[m, k])\ny[n, m] = x[n, m]*sum[m](x[n, m])\nz[n, k] = sum[m](x[n, m]*w[m, k])",
        None,
    ),
    "the product itself": (
        "y[n, m] = f(x[n, m], w[k, m])\nt[n, k] = sum[m](x[n, m]*w[k, m])\ny[n, m] = sum[k](t[n, k]*w[k, m])",
        None,
    ),
    "a whole sum first": ("y[n] = f(x[n], u[n])\ny[n] = x[n]/sum[n](x[n]*u[n])", {("y", "x"), ("y", "u")}),
    "a cumulated row": ("y[d] = f(x[n, d], w[d])\ny[d] = w[d]*sum[n](x[n, d]*w[d])", None),
}


@pytest.mark.parametrize("name", REPLACES)
def test_results_replace_only_arguments_that_are_not_read_again(name: str) -> None:
    text, wanted = REPLACES[name]
    program = kernel_of(text).forward
    inputs = {a.name for a in program.arguments}
    outputs = {r for r in program.results if r in "yzs"}
    found = {(r, a) for r, a in planned(program).overwritable if a in inputs and r in outputs}
    if wanted is not None:
        assert found <= wanted or name == "elementwise" and found == wanted
        if name in ("elementwise", "an earlier sweep", "a whole sum first"):
            assert found == wanted


@needs_compiler
@pytest.mark.parametrize("name", REPLACES)
def test_replacing_gives_the_same_bits_or_is_refused(name: str) -> None:
    """Every result over every argument of the same shape, small and on two threads."""
    kernel = kernel_of(REPLACES[name][0])
    native = load_kernel(kernel, "native")
    for lengths in ((4, 5), (300, 211)):
        values = sample(kernel, dict(zip("nd", lengths, strict=True)) | {"m": lengths[name != "transposed"], "k": 6}, 0)
        env = {n: v.numpy() for n, v in values.items()}
        for function in (getattr(native, kernel.forward.name), getattr(native, f"{kernel.op.name}_forward_backward")):
            rng = np.random.default_rng(1)
            outputs, _ = getattr(native, kernel.forward.name)(*(env[t.name] for t in kernel.op.inputs))
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            env |= {
                f"d{t.name}": np.asarray(rng.normal(size=np.shape(o))) for t, o in zip(kernel.op.outputs, outputs, strict=True)
            }
            given = [env[t.name] for t in function._arguments]
            overlaps(function, given)


def overlaps(function: Any, given: list[Any]) -> None:
    """Each result over each argument: the bits of fresh memory where it is allowed, else an error."""
    fresh = [np.asarray(r) for r in function._flat(function(*given))]
    for r in range(function._out_from, len(fresh)):
        for a, value in enumerate(given):
            if value.dtype.kind != "f" or value.shape != fresh[r].shape or not value.ndim:
                continue
            copies = [v.copy() for v in given]
            out: list[Any] = [None] * len(fresh)
            out[r] = copies[a]
            if (r, a) not in function._over:
                with pytest.raises(ValueError, match="overlap"):
                    function(*copies, out=tuple(out[function._out_from :]))
                continue
            found = function._flat(function(*copies, out=tuple(out[function._out_from :])))
            shown = f"{function._results[r].name} over {function._names[a]}"
            assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(found, fresh, strict=True)), shown


# ---- systems of equations, end to end ----------------------------------------------------------------------------------------


def sample(kernel: Kernel, size: dict[str, int], seed: int, ties: bool = False) -> dict[str, torch.Tensor]:
    """Random inputs of given lengths; with ``ties`` few values, so that maxima are met more than once."""
    rng, op = np.random.default_rng(seed), kernel.op
    axes = dict.fromkeys(a for t in op.inputs for a in (*t.axes, *([t.indexed] if t.indexed else [])))
    same = equal_axes(op)
    lengths = {a: size.get(a, 3 + k) for k, a in enumerate(axes)}
    lengths = {a: lengths[same.get(a, a)] for a in axes}
    signs = {a.left.name: a.rel for a in op.assumptions if isinstance(a.left, st.Read)}
    out = {}
    for t in op.inputs:
        shape = tuple(lengths[a] for a in t.axes)
        if t.labels:
            out[t.name] = torch.from_numpy(np.asarray(rng.integers(0, lengths[t.labels], shape)))
        else:
            values = rng.integers(-2, 3, shape) / 2 if ties else rng.normal(rng.normal(), 1.0, shape)
            values = np.abs(values) + 0.1 if signs.get(t.name, "").startswith(">") else values
            out[t.name] = torch.from_numpy(np.asarray(values, dtype=np.float64))
    return out


def gradients(kernel: Kernel, inputs: dict[str, torch.Tensor], upstream: list[torch.Tensor], given: dict[str, float]) -> Any:
    """Outputs by the reference and gradients by autograd; what depends on nothing has the gradient 0."""
    leaves = {n: v.clone().requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
    values = evaluate(kernel.op, leaves, given)
    outputs = [values[t.name] for t in kernel.op.outputs]
    pairs = [(o, u) for o, u in zip(outputs, upstream, strict=True) if o.requires_grad]
    wanted = [leaves[t.name] for t in kernel.op.differentiable]
    found = torch.autograd.grad([o for o, _ in pairs], wanted, [u for _, u in pairs], allow_unused=True)
    return [o.detach() for o in outputs], [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)]


SIZES = ((4, 3, 5), (1, 1, 1), (3, 7, 2), (45, 40, 23))


def agrees(text: str, tolerance: float = 1e-10) -> None:
    """The native forward, backward and both in one against the reference and autograd, and in place with the same bits."""
    kernel = kernel_of(text)
    op = kernel.op
    native = load_kernel(kernel, "native")
    forward, backward = getattr(native, kernel.forward.name), getattr(native, kernel.backward.name)
    together = getattr(native, f"{op.name}_forward_backward")
    for seed, lengths in enumerate(SIZES):
        size = dict(zip("nds", lengths, strict=True))
        inputs, given = sample(kernel, size, seed), constants_of(op, seed)
        rng = np.random.default_rng(seed)
        shapes = [evaluate(op, inputs, given)[t.name].shape for t in op.outputs]
        upstream = [torch.from_numpy(np.asarray(rng.normal(size=tuple(s)))) for s in shapes]
        outputs, wanted = gradients(kernel, inputs, upstream, given)
        env = {n: v.numpy() for n, v in inputs.items()}
        env |= {f"d{t.name}": u.numpy() for t, u in zip(op.outputs, upstream, strict=True)}

        def call(function: Any, env: dict[str, Any] = env, given: dict[str, float] = given) -> list[Any]:
            constants = {n: given[n] for n in function._names[len(function._arguments) :]}
            return list(function._flat(function(*(env[t.name] for t in function._arguments), **constants)))

        made = call(forward)
        env |= dict(zip([t.name for t in forward._results], made, strict=True))
        apart = [*made[: len(outputs)], *call(backward)]
        both = call(together)
        names = [t.name for t in together._results]
        for name, got, other, want in zip(names, apart, both, [*outputs, *wanted], strict=True):
            close(got, want, tolerance, f"{name} for {lengths}")
            close(other, want, tolerance, f"{name} together for {lengths}")
        if not together._names[len(together._arguments) :]:
            overlaps(together, [np.asarray(env[t.name]) for t in together._arguments])


def close(got: Any, want: torch.Tensor, tolerance: float, shown: str) -> None:
    got, wanted = np.asarray(got), want.numpy()
    assert got.shape == wanted.shape, shown
    assert np.array_equal(np.isnan(got), np.isnan(wanted)), shown
    if wanted.size:
        scale = max(float(np.nan_to_num(np.abs(wanted)).max()), 1e-3)
        with np.errstate(invalid="ignore"):  # the difference of equal infinities
            assert float(np.nan_to_num(np.abs(got - wanted)).max()) <= tolerance * scale, shown


SYSTEMS = {
    "scalars only": "a, b = f(k, m)\na = exp(k)*m\nb = tanh(a) + k**2",
    "a sum over three axes": "a = f(x[n, d, s])\na = sum[n, d, s](x[n, d, s]**2)",
    "a mean over three axes": "a = f(x[n, d, s])\na = mean[n, d, s](x[n, d, s]**3)",
    "a maximum over three axes": "a = f(x[n, d, s])\na = max[n, d, s](x[n, d, s])",
    "two inner axes": "a[n] = f(x[n, d, s, r])\na[n] = sum[d, s, r](x[n, d, s, r]**2)",
    "a mean in two parts": "v = f(u[n], q[d, n])\nv = mean[d, n](u[n]/(1 + q[d, n]**2))",
    "two minus signs": "v = f(x[n], k)\nr = (2 + (-(-k))**2)**(-1/2)\nv = sum[n](x[n]*r)*k",
    "a difference of minus signs": "y[n] = f(x[n], k)\ny[n] = -(-x[n]) - (-k) + (-2)*(-x[n])**3",
    "a row before a column": "y[n, d, s], o = f(r[s, d], u[n])\ny[n, d, s] = r[s, d]\no = sum[n](u[n])",
    "two sweeps over two axes": "y[n, d, s], b[n, d, s] = f(x[n, d, s])\na[n] = sum[d, s](x[n, d, s]**3)\n"
    "y[n, d, s] = x[n, d, s]**2\nb[n, d, s] = x[n, d, s]*a[n]",
    "two orders of axes": "y[n, d, s], b[n, s, d] = f(x[n, d, s], r[n, s, d])\ny[n, d, s] = x[n, d, s]**2*r[n, s, d]\n"
    "b[n, s, d] = r[n, s, d]*x[n, d, s]*2",
    "three orders of axes": "v[d, n], y[n, d, s], e = f(q[d, n], z[n, d, s], w[d], u[n])\nv[d, n] = q[d, n]**2\n"
    "y[n, d, s] = z[n, d, s]*w[d]*u[n]\ne = sum[d, n](q[d, n]*u[n])",
    "scalar and tensor outputs": "a, b[n], c = f(x[n, d], k)\na = sum[n, d](x[n, d])*k\nb[n] = max[d](x[n, d])\nc = k**2",
    "a gram matrix": "g[n, m], c = f(x[n, d], z[n, m])\ng[n, m] = sum[d](x[n, d]*x[m, d])\n"
    "c = sum[n, m]((g[n, m] - z[n, m])**2)",
    "a diagonal": "a[n], b = f(q[n, m])\na[n] = q[n, n]\nb = sum[n, m](q[n, m]*q[m, n])",
    "a quadratic form": "e[n] = f(x[n, d], q[d, c])\ne[n] = sum[d, c](x[n, d]*q[d, c]*x[n, c])",
    "labels and rows": "a[n], b = f(x[n, d], w[d], t[n])\nt[n] in d\na[n] = x[n, t[n]]*w[t[n]]\nb = mean[n](log(1 + a[n]**2))",
    "labels of rows": "y[n, d] = f(x[n, d], t[n])\nt[n] in n\ny[n, d] = x[t[n], d] - x[n, d]",
    "labels twice": "a[n] = f(q[c, d], t[n], r[n])\nt[n] in c\nr[n] in d\na[n] = q[t[n], r[n]]**2",
    "a softmax over the rows": "p[n, d] = f(z[n, d])\np[n, d] = exp(z[n, d])/sum[n](exp(z[n, d]))",
    "a softmax over both": "p[n, d] = f(z[n, d])\np[n, d] = exp(z[n, d])/sum[n, d](exp(z[n, d]))",
    "a maximum of scaled values": "m[n] = f(x[n, d], w[d], k)\nm[n] = max[d]((w[d] + w[d]*x[n, d] - k)/(1 + k**2))",
    "a minimum over rows of scaled values": "m[d] = f(x[n, d], u[n], k)\nm[d] = min[n]((x[n, d] - u[n])/(3 + k**2))",
    "a whole minimum": "a = f(x[n, d], w[d], k)\na = min[n, d]((w[d] + w[d]*x[n, d] - k)/(1 + k**2))",
    "a minimum that is computed twice": "a[d], b[n] = f(z[n, d, s], w[d], k)\n"
    "low = min[d, n]((sum[s](z[n, d, s]*w[d]) + (w[d] - k))/(1 + (k**2 - sin(k))**2))\na[d] = low*w[d]\n"
    "b[n] = sum[d, s](z[n, d, s])",
    "a difference of equals": "y[n, d] = f(x[n, d])\nu[n, d] = x[n, d]**2\ny[n, d] = u[n, d] - u[n, d]",
    "roots and powers": "y[n], z = f(x[n], w[n])\nx > 0\nr[n] = x[n]**(-3/2) + x[n]**(1/3)\ny[n] = r[n]*w[n]\n"
    "z = sum[n](r[n]**(1/2))",
    "pieces": "y[n, d] = f(x[n, d], w[d])\ny[n, d] = where(x[n, d] > w[d], x[n, d]*w[d], minimum(x[n, d], 1/3)) + abs(w[d])",
    "numbers": "y[n] = f(x[n], k=3)\ny[n] = x[n]*sqrt(2*pi)/size(n) + k*x[n]**2/7 - 1/3",
    "a name of a partial sum": "y = f(x[n, d, s], y_partial)\ny = sum[n, d, s](x[n, d, s]*y_partial)",
    "a name of the next value": "m[n] = f(x[n, d], m_next, m_is_nan)\nm[n] = max[d](x[n, d]*m_next*m_is_nan)",
    "a name of a mean's sum": "v[n] = f(x[n, d], v_sum)\nv[n] = mean[d](x[n, d]*v_sum)",
    "a name of a pointer": "y[n, d] = f(x[n, d], x_n[n], y_n[n])\ny[n, d] = x[n, d]*x_n[n] + y_n[n]**2",
    "a name of a row": "p[n, d] = f(z[n, d], e_row[d], e[n])\np[n, d] = exp(z[n, d]*e[n])/sum[d](exp(z[n, d]*e[n]))*e_row[d]",
}


@needs_compiler
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_agrees_with_autograd(name: str) -> None:
    agrees(SYSTEMS[name])


@needs_compiler
@pytest.mark.parametrize("name", [n for n in SYSTEMS if "axes" in n or "sweeps" in n or "outputs" in n])
def test_a_system_agrees_past_the_cache(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of results that are larger than the cache."""
    monkeypatch.setenv("BACKPROP_NINJA_CFLAGS", "-DSTREAM_ABOVE=0 -O1")
    agrees(SYSTEMS[name])


@needs_compiler
@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("form", ["m[n] = {}[d](x[n, d])", "m[d] = {}[n](x[n, d])", "m = {}[n, d](x[n, d])"])
@pytest.mark.parametrize("lengths", [(4, 5), (300, 211)])
def test_extremes_share_ties_and_pass_nan_on(kind: str, form: str, lengths: tuple[int, int]) -> None:
    left = form.partition(" = ")[0]
    kernel = kernel_of(f"{left} = extreme(x[n, d])\n{form.format(kind)}")
    native = load_kernel(kernel, "native")
    x = sample(kernel, dict(zip("nd", lengths, strict=True)), 0, ties=True)["x"]
    for special in (None, np.nan, np.inf, -np.inf):
        if special is not None:
            x[1, 2], x[3, 0] = special, special
        value = evaluate(kernel.op, {"x": x}, {})["m"]
        upstream = [torch.ones_like(value)]
        (want,), (gradient,) = gradients(kernel, {"x": x}, upstream, {})
        got, dx = native.extreme_forward_backward(x.numpy(), upstream[0].numpy())
        close(got, want, 0.0, f"{kind} with {special}")
        if special is None or not np.isnan(special):
            close(dx, gradient, 1e-14, f"gradient of {kind} with {special}")


# ---- names -----------------------------------------------------------------------------------------------------------------

NAMES = """first last count thread threads scratch total totals streaming block row fill stream padded square cube sign larger
smaller data strides constants real panel tile pack matmul gemm chunk allocated thread_number thread_count block_rows smallest
sum_block sum_threads max_threads labels_in_range real_exp I complex NULL NAN INFINITY CHUNK REAL_BITS size_n size_d x_strides
x_stride_n
y_buffer y_buffers mu_block mu_blocks mu_total mu_totals m_next k y0 j1 gamma index div round signal main time""".split()
ROLES = {
    "tensor": "y[n, d] = f(NAME[n, d], w[d])\nmu[d] = mean[n](NAME[n, d])\nm[n] = max[d](NAME[n, d])\n"
    "y[n, d] = exp(NAME[n, d] - mu[d])*w[d] - m[n]**2",
    "scalar": "y[n, d] = f(x[n, d], NAME)\nmu[d] = mean[n](x[n, d])\nm[n] = max[d](x[n, d]*NAME)\n"
    "y[n, d] = exp(x[n, d] - mu[d])*NAME - m[n]**2",
    "axis": "y[n, NAME] = f(x[n, NAME], w[NAME])\nmu[NAME] = mean[n](x[n, NAME])\nm[n] = max[NAME](x[n, NAME])\n"
    "y[n, NAME] = exp(x[n, NAME] - mu[NAME])*w[NAME] - m[n]**2",
    "row": "y[NAME, d] = f(x[NAME, d], w[d])\nmu[d] = mean[NAME](x[NAME, d])\nm[NAME] = max[d](x[NAME, d])\n"
    "y[NAME, d] = exp(x[NAME, d] - mu[d])*w[d] - m[NAME]**2",
}


@needs_compiler
@pytest.mark.parametrize("role", ROLES)
def test_no_name_that_the_language_allows_collides_with_the_source(role: str) -> None:
    """Every name in its own source, all in one program of warnings and errors only."""
    broken: list[str] = []
    for name in NAMES:
        try:
            kernel = kernel_of(ROLES[role].replace("NAME", name))
        except OpError:  # the language reserves it
            continue
        files = op_files(kernel, "a test")
        text = next(t for n, t in files.items() if n.endswith(".h")) + next(t for n, t in files.items() if n.endswith(".c"))
        compiler = next(c for c in ("cc", "gcc", "clang") if shutil.which(c))
        command = [compiler, "-std=c11", "-fsyntax-only", "-fopenmp", "-Winit-self", "-Wall", "-Werror", "-x", "c", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            first = re.search(r"error: .*", done.stderr)
            broken.append(f"{name}: {first.group() if first else done.stderr[:80]}")
    assert not broken, "\n".join(broken)


@needs_compiler
@pytest.mark.parametrize("name", ["first", "count", "thread", "scratch", "data", "size_", "total"])
def test_a_taken_name_computes_the_same(name: str) -> None:
    agrees(ROLES["tensor"].replace("NAME", name))


# ---- random systems ----------------------------------------------------------------------------------------------------------

TENSORS = {"x": "nd", "z": "nds", "w": "d", "u": "n", "m": "ds", "q": "dn", "k": "", "r": "sd", "b": "ns"}
FORMS = (
    "({} + {})", "({} - {})", "{}*{}", "{}*{}", "-{}", "tanh({})", "sin({})", "log(1 + exp(sin({})))", "({})**2",
    "{}/(1 + ({})**2)", "maximum({}, {})", "minimum({}, {})", "where({} > {}, {}, {})", "abs({})", "sqrt(1 + ({})**2)",
    "(2 + ({})**2)**(-1/2)", "({})**3/6",
)  # fmt: skip


class Systems:
    """Random systems of equations over the axes n, d and s; the same for a seed always."""

    def __init__(self, seed: int):
        self.rng, self.seed = random.Random(seed), seed
        self.inputs = {n: TENSORS[n] for n in self.rng.sample(sorted(TENSORS), self.rng.randint(3, 5))}
        for axis, name in (("n", "x"), ("d", "x"), ("s", "m")):
            if not any(axis in axes for axes in self.inputs.values()):
                self.inputs[name] = TENSORS[name]
        self.have, self.label = dict(self.inputs), self.rng.random() < 0.4

    def read(self, name: str) -> str:
        axes = self.have.get(name, "")
        return f"{name}[{', '.join(axes)}]" if axes else name

    def expression(self, free: str, depth: int = 0) -> str:
        """An expression whose free indices are among ``free``."""
        names = [n for n, axes in self.have.items() if set(axes) <= set(free)]
        if depth > 2 or self.rng.random() < 0.25 or not names:
            return self.read(self.rng.choice(names)) if names else self.rng.choice(["1/2", "size(n)/3"])
        if self.rng.random() < 0.15:
            over = [(n, a) for n, axes in self.have.items() for a in axes if a not in free and set(axes) <= {*free, a}]
            if over:
                name, axis = self.rng.choice(over)
                kind = self.rng.choice(("sum", "mean", "max", "min"))
                return f"{kind}[{axis}]({self.read(name)}*{self.expression(free + axis, depth + 2)})"
        form = self.rng.choice(FORMS)
        return form.format(*(self.expression(free, depth + 1) for _ in range(form.count("{}"))))

    def equation(self) -> tuple[str, str]:
        """Axes and right side of a statement."""
        form = self.rng.choice(("map", "map", "reduce", "reduce", "product", "product", "normal", *["gather"] * 2 * self.label))
        wide = [n for n, axes in self.have.items() if len(axes) > 1]
        if form == "reduce":
            free = self.rng.choice(("nd", "nds", "ds", "ns", "dn"))
            over = self.rng.sample(free, self.rng.randint(1, len(free)))
            body = self.expression(free)
            over = [a for a in over if re.search(rf"[\[ ]{a}[,\]]", re.sub(r"(sum|mean|max|min|size)[\[(].[\])]", "", body))]
            rest = "".join(a for a in free if a not in over)
            return rest, f"{self.rng.choice(('sum', 'mean', 'max', 'min'))}[{', '.join(over)}]({body})" if over else body
        pairs = [(a, b) for a in self.have for b in wide if set(self.have[a]) & set(self.have[b])]
        if form == "product" and pairs:
            a, b = self.rng.choice(pairs)
            shared = sorted(set(self.have[a]) & set(self.have[b]))
            over = self.rng.sample(shared, self.rng.randint(1, len(shared)))
            left = [i for i in dict.fromkeys(self.have[a] + self.have[b]) if i not in over]
            if self.rng.random() < 0.3:
                self.rng.shuffle(left)
            more = self.rng.choice(("", "", " + 1/3", f"/sqrt(size({over[0]}))"))
            return "".join(left), f"sum[{', '.join(over)}]({self.read(a)}*{self.read(b)}){more}"
        if form == "normal" and wide:
            name = self.rng.choice(wide)
            axis, value = self.rng.choice(self.have[name]), self.read(name)
            share = f"exp(tanh({value}))/sum[{axis}](exp(tanh({value})))"
            return self.have[
                name
            ], share if self.rng.random() < 0.5 else f"{value} - {self.rng.choice(('mean', 'max'))}[{axis}]({value})"
        rows = [n for n, axes in self.have.items() if "d" in axes]
        if form == "gather" and rows:
            name = self.rng.choice(rows)
            index = ", ".join("t[n]" if a == "d" else a for a in self.have[name])
            free = "".join(dict.fromkeys("n" if a == "d" else a for a in self.have[name]))
            return free, f"sin({name}[{index}])*{self.expression(free, 2)}"
        free = self.rng.choice(("nd", "nds", "d", "n", "ds", "", "dn", "sd"))
        return free, self.expression(free)

    def text(self) -> str:
        """Two to four equations; what no later one reads is an output, and so is a mean of the inputs that none reads."""
        bodies: dict[str, str] = {}
        for k in range(self.rng.randint(2, 4)):
            axes, body = self.equation()
            bodies[f"v{k}"] = body
            self.have[f"v{k}"] = axes
        read = {n for body in bodies.values() for n in re.findall(r"\b[a-z]\d?\b", re.sub(r"\[[^\]]*\]", "", body))}
        rest = [n for n in self.inputs if n not in read]
        if rest:
            squares = (f"mean[{', '.join(self.inputs[n])}]({self.read(n)}**2)" if self.inputs[n] else f"{n}**2" for n in rest)
            bodies["extra"] = " + ".join(squares)
        labels = any("t[n]" in body for body in bodies.values())
        outputs = ", ".join(self.read(n) for n in bodies if n not in read)
        inputs = ", ".join([*(self.read(n) for n in self.inputs), *["t[n]"] * labels])
        lines = [f"{outputs} = random{self.seed}({inputs})", *["t[n] in d"] * labels]
        return "\n".join([*lines, *(f"{self.read(n)} = {body}" for n, body in bodies.items())])


@needs_compiler
@pytest.mark.parametrize("scale", [1e3, 1e5])
def test_what_an_exponential_is_shifted_by_is_one_of_its_own_arguments(scale: float) -> None:
    """Computed again with other rounding, a large product less its maximum would be above 0, and its exponential overflow."""
    rng = np.random.default_rng(0)
    q, k, v = ((scale * rng.normal(size=(4, 8))).astype(np.float32) for _ in range(3))
    native, plain = (load_kernel(kernels.kernel("attention"), b).attention_forward(q, k, v)[0] for b in ("native", "numpy"))
    assert np.isfinite(native).all()
    np.testing.assert_allclose(native, plain, rtol=1e-5)


@needs_compiler
@pytest.mark.parametrize("seed", range(40))
def test_a_random_system_agrees_with_autograd(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other one takes the path past the cache."""
    if seed % 2:
        monkeypatch.setenv("BACKPROP_NINJA_CFLAGS", "-DSTREAM_ABOVE=0 -O1")
    agrees(Systems(seed).text())
