"""Loop nests are whole without a target: what they say can be run as it stands, and each op has the nests that it should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codegen.backends.native.machine import scheduled
from codegen.loops.assignment import Fold
from codegen.loops.fused import forward_backward
from codegen.loops.lower import nests
from codegen.loops.machine import Machine as Costs
from codegen.loops.nest import FlatNest, InMemory, InVariable, Once, Part, Product, RowNest, Scatter, SmallLoop, VectorLoop
from codegen.loops.schedule import schedule
from codegen.loops.storage import Recomputed, Row
from codegen.program import Kernel
from codegen.verify.agreement import constants_of
from codegen.verify.reference import evaluate
from tests import kernels
from tests.judged import kernel as kernel_of
from tests.loop_machine import Machine

# ---- run as they are -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", kernels.OPS)
def test_the_nests_of_an_op_compute_what_torch_does(name: str, workers: int) -> None:
    """Forward and backward in one, whatever the number of workers and the costs that were planned for."""
    kernel, rng = kernels.kernel(name), np.random.default_rng(workers)
    values, given = kernels.inputs(name, rng, star=1, high=4), kernels.constants(name)
    output, upstream, gradients = kernels.expected(name, values, None, given)
    arrays = {n: v.numpy() for n, v in kernels.as_equations(kernel.op, values).items()}
    arrays[f"d{kernel.op.outputs[0].name}"] = upstream.numpy()
    program = forward_backward(kernel)
    constants = {c.name: float(given[c.name]) for c in program.constants}
    arguments = {a.name: arrays[a.name] for a in program.arguments}
    for costs in (Costs(recomputed=3, cached=True), Costs(recomputed=0, cached=False), Costs(recomputed=20, cached=True)):
        found = Machine(schedule(program, costs), arguments, constants, workers).run()
        for got, want in zip(found.values(), (output, *gradients), strict=True):
            found_here = np.reshape(got, want.shape)  # nests know nothing of axes that callers pack
            np.testing.assert_allclose(found_here, want.numpy(), rtol=1e-9, atol=1e-9 * max(1.0, float(want.abs().max())))


SYSTEMS = {
    "a sum over rows of what a row has": "y[n, d] = f(x[n, d])\nm[n] = max[d](x[n, d])\ny[n, d] = x[n, d]*sum[n](m[n]*x[n, d])",
    "a row read at a label": "y[n, d] = f(x[n, d], t[n])\nt[n] in n\ny[n, d] = x[t[n], d] + sum[d](x[n, d]**2)",
    "extrema over both axes": "y[n, d] = f(x[n, d])\ny[n, d] = (x[n, d] - min[n, d](x[n, d]))/(1 + max[n, d](x[n, d]**2))",
    "a sum inside a row with an axis of its own": "y[n, d] = f(x[n, d, s])\ny[n, d] = exp(-mean[s](x[n, d, s]**2))",
    "an inner sum that the rows are summed over": "r[d] = f(x[n, d, s])\nr[d] = sum[n, s](sin(x[n, d, s]))",
    "a value read across rows": "y[n, d] = f(x[n, d], w[n])\ne[n] = exp(w[n])\ny[n, d] = e[n]*x[n, d]/sum[n](e[n])",
    "several passes over one axis": "p[n] = f(z[n])\ne[n] = exp(z[n] - max[n](z[n]))\np[n] = e[n]/sum[n](e[n])",
    "a window": "y[n, s] = f(x[n, s], w[d])\ny[n, s] = sum[d](x[n, s + d - 1]*w[d])",
    "a window with a stride": "y[n, s] = f(x[n, c], w[n, d], b[s])\ny[n, s] = b[s] + sum[d](x[n, 2*s - d + 1]*w[n, d]**2)",
    "the largest of a window": "y[n, s] = f(x[n, s], w[d])\ny[n, s] = max[d](x[n, s + d - 1]*w[d])",
    "two windows": "y[n, s] = f(x[n, s], w[d, c])\ny[n, s] = sum[d, c](x[n + c - 1, s + d - 1]*w[d, c])",
    "a window over one axis": "y[s] = f(x[s], w[d])\ny[s] = sum[d](x[s + d - 1]*w[d])",
    "a shift": "y[s] = f(x[s], w[s])\ny[s] = w[s]*x[s - 1]",
    "two shifts": "y[n, s] = f(x[n, s])\ny[n, s] = x[n - 1, s + 1]**2",
    "a one-hot row": "l[n] = f(z[n, c], t[n])\nt[n] in c\nl[n] = log(sum[c](exp(z[n, c]))) - z[n, t[n]]",
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_nests_of_a_system_compute_what_the_equations_say(name: str) -> None:
    """The gradients are torch's autograd through the equations, read by an evaluator that knows no loops."""
    kernel, rng = kernel_of(SYSTEMS[name]), np.random.default_rng(3)
    op, lengths = kernel.op, {"n": 4, "d": 3, "s": 2, "c": 5}
    inputs = {
        t.name: torch.from_numpy(
            rng.integers(0, lengths[t.labels], [lengths[a] for a in t.axes])
            if t.labels
            else rng.normal(size=[lengths[a] for a in t.axes])
        )
        for t in op.inputs
    }
    leaves = {n: v.clone().requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
    outputs = [evaluate(op, leaves, constants_of(op))[t.name] for t in op.outputs]
    upstream = [torch.from_numpy(rng.normal(size=tuple(o.shape))) for o in outputs]
    gradients = torch.autograd.grad(outputs, [leaves[t.name] for t in op.differentiable], upstream)
    given = {n: v.numpy() for n, v in inputs.items()}
    given |= {f"d{t.name}": u.numpy() for t, u in zip(op.outputs, upstream, strict=True)}
    program = forward_backward(kernel)
    for workers in (1, 2, 5):
        arguments = {a.name: given[a.name] for a in program.arguments}
        found = Machine(scheduled(program), arguments, {}, workers).run()
        for got, want in zip(found.values(), (*outputs, *gradients), strict=True):
            np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-11, atol=1e-12)


# ---- what they are ---------------------------------------------------------------------------------------------------------


def parts(kernel: Kernel, which: str = "forward") -> tuple[Part, ...]:
    return nests(scheduled(getattr(kernel, which))).parts


def test_an_elementwise_op_is_a_flat_nest() -> None:
    (nest,) = parts(kernels.kernel("tanh"))
    assert isinstance(nest, FlatNest) and nest.loop.axis == "s" and not nest.totals


def test_a_row_of_softmax_is_three_sweeps_over_variables() -> None:
    (nest,) = parts(kernels.kernel("softmax"))
    assert isinstance(nest, RowNest) and nest.axes == ("s",) and not nest.totals
    sweeps = [node for node in nest.body if isinstance(node, VectorLoop)]
    assert [type(b) for sweep in sweeps for b in sweep.begun] == [InVariable, InVariable]
    assert [b.fold for sweep in sweeps for b in sweep.begun] == [Fold.MAX, Fold.SUM]


def test_sums_over_the_rows_are_totals_of_the_workers() -> None:
    (nest,) = parts(kernels.kernel("layernorm"), "backward")
    assert isinstance(nest, RowNest)
    assert {(t.assignment.name, t.fold, t.assignment.index) for t in nest.totals} == {
        ("dgamma", Fold.SUM, ("d",)),
        ("dbeta", Fold.SUM, ("d",)),
    }
    begun = {b.assignment.name for node in nest.body if isinstance(node, VectorLoop) for b in node.begun}
    assert begun == {"mean_dxhat", "mean_dxhat_xhat"}


def test_sums_within_a_total_are_partial() -> None:
    (nest, *_) = parts(kernel_of("r[d] = f(x[n, d, s])\nr[d] = sum[n, s](sin(x[n, d, s]))"))
    assert isinstance(nest, RowNest) and [t.assignment.name for t in nest.totals] == ["r"]
    (over_d,) = nest.body
    assert not isinstance(over_d, VectorLoop)
    (over_s,) = over_d.body  # type: ignore[union-attr]
    assert isinstance(over_s, VectorLoop) and [p.assignment.name for p in over_s.partial] == ["r"] and not over_s.begun


def test_a_partial_sum_is_one_number_for_all_of_its_innermost_loops() -> None:
    (nest, *_) = parts(kernel_of("r[d] = f(x[n, d, s, k])\nr[d] = sum[n, s, k](sin(x[n, d, s, k]))"))
    assert isinstance(nest, RowNest)
    (over_d,) = nest.body
    (over_s,) = over_d.body  # type: ignore[union-attr]
    (over_k,) = over_s.body  # type: ignore[union-attr]
    assert [p.assignment.name for p in over_s.partial] == ["r"]  # type: ignore[union-attr]
    assert isinstance(over_k, VectorLoop) and not over_k.partial and not over_k.begun


def test_a_sum_with_an_axis_of_its_own_is_added_up_in_memory() -> None:
    (nest, *_) = parts(kernel_of("y[n, d] = f(x[n, k, d])\ny[n, d] = sum[k](sin(x[n, k, d]))"))
    assert isinstance(nest, RowNest) and not nest.totals
    (over_k,) = nest.body
    assert [(type(b), b.axes) for b in over_k.begun] == [(InMemory, ("d",))]  # type: ignore[union-attr]


def test_contractions_and_gathers_have_parts_of_their_own() -> None:
    assert [type(p) for p in parts(kernels.kernel("matmul"))] == [Product]
    assert [type(p) for p in parts(kernels.kernel("embedding"), "backward")] == [Scatter]


def test_what_is_small_or_single_is_not_shared() -> None:
    found = parts(kernel_of("y[n, d] = f(x[n, d], w[d])\nv[d] = exp(w[d])\ny[n, d] = x[n, d]*v[d]/(1 + sum[d](v[d]))"))
    assert {SmallLoop, Once, RowNest} >= {type(p) for p in found} > {RowNest}


def test_what_a_machine_finds_cheap_is_computed_again_and_else_kept_in_a_row() -> None:
    program = kernels.kernel("layernorm").backward
    assert schedule(program, Costs(recomputed=3, cached=True)).storage["dxhat"] == Recomputed()
    assert schedule(program, Costs(recomputed=0, cached=True)).storage["dxhat"] == Row(("d",))


def test_a_batch_of_products_has_a_loop_around_it_where_what_was_written_is_cached() -> None:
    program = kernels.kernel("attention").forward
    assert nests(schedule(program, Costs(recomputed=3, cached=True))).batch == "s"
    assert nests(schedule(program, Costs(recomputed=3, cached=False))).batch == ""
