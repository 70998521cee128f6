"""What the native planner makes of programs: ratios of exponentials, reductions that wait, batches of matrix products."""

from __future__ import annotations

import pytest

import derive
from codegen.backends.native.describe import describe
from codegen.backends.native.files import op_files
from codegen.backends.native.machine import scheduled
from codegen.backends.native.programs import programs
from codegen.loops.fused import forward_backward
from codegen.loops.logistic import with_logistics
from codegen.loops.loop import Loop, assignments_in
from codegen.loops.schedule import Schedule
from codegen.loops.storage import Array
from codegen.plan import plan
from codegen.program import Kernel, Program
from derive.language.unicode import language
from tests import kernels


def planned(text: str) -> Kernel:
    return plan(derive.derive(derive.parse("\n".join(line.strip() for line in text.strip().splitlines()))))


def formulas(program: Program) -> dict[str, str]:
    return {s.name: language(s.tree) for s in program.statements}


@pytest.mark.parametrize(("name", "value"), [("sigmoid", "y"), ("silu", "g")])
def test_a_logistic_is_one_function_and_needs_no_shift(name: str, value: str) -> None:
    program = with_logistics(kernels.kernel(name).forward)
    assert formulas(program)[value] == "sigmoid(x[s])"
    assert not {"m", "e"} & {s.name for s in program.statements}


def test_a_weighted_share_of_two_exponentials_is_a_logistic_of_the_difference() -> None:
    forward = planned("y[i] = share(a[i], b[i])\ny[i] = exp(a[i]) / (exp(a[i]) + exp(b[i]))").forward
    assert formulas(with_logistics(forward))["y"] in ("sigmoid(a[i] - b[i])", "sigmoid(-b[i] + a[i])")


@pytest.mark.parametrize(
    "equation",
    ["y[i] = exp(x[i]) / (2 + exp(x[i]))", "y[i] = x[i] / (x[i] + exp(x[i]))", "y[i] = 1 / (exp(x[i]) + exp(-x[i]) + 1)"],
)
def test_other_ratios_stay_as_they_are(equation: str) -> None:
    forward = planned(f"y[i] = ratio(x[i])\n{equation}").forward
    assert "sigmoid" not in " ".join(formulas(with_logistics(forward)).values())


def nests(found: Schedule) -> list[set[str]]:
    """The names that each nest computes."""
    return [{f.name for f, _ in assignments_in((item,))} for item in found.body if isinstance(item, Loop)]


def test_a_sum_waits_for_the_pass_that_reads_its_operand_anyway() -> None:
    """dbeta could be summed in the first pass over x, which would read dy for nothing else."""
    found = nests(scheduled(forward_backward(kernels.kernel("batchnorm"))))
    assert any({"dgamma", "dbeta"} <= nest for nest in found)
    assert not any({"mu", "dbeta"} <= nest for nest in found)


def test_attention_is_one_batch_and_its_buffers_are_of_one_element() -> None:
    found = scheduled(forward_backward(kernels.kernel("attention")))
    assert found.batch == "s" and len(found.body) == 1
    assert all("s" not in p.axes for p in found.storage.values() if isinstance(p, Array))
    large = [n for n, p in found.storage.items() if isinstance(p, Array) and not p.over and p.axes == ("i", "j")]
    assert len(large) == 2, large  # P, and dP that becomes dS


@pytest.mark.parametrize("name", ["linear", "mlp", "softmax", "batchnorm"])
def test_what_mixes_rows_is_no_batch(name: str) -> None:
    assert all(scheduled(p).batch == "" for p in programs(kernels.kernel(name)))


def test_a_sum_over_the_batch_axis_is_no_batch() -> None:
    text = """
        loss = pairs(a[s, i, f], b[s, j, f], c[s, j, d])
        G[s, i, j] = sum[f](a[s, i, f]*b[s, j, f])
        H[s, i, d] = sum[j](G[s, i, j]*c[s, j, d])
        loss       = sum[s, i, d](H[s, i, d]**2)
    """
    assert all(scheduled(p).batch == "" for p in programs(planned(text)) if "loss" in p.results)


@pytest.mark.parametrize("name", kernels.OPS)
def test_every_schedule_can_be_shown_and_moves_no_less_than_the_floor(name: str) -> None:
    shown = describe(kernels.kernel(name))
    factors = [float(line.split("so ")[1].split(" ")[0]) for line in shown.splitlines() if "times the floor" in line]
    assert len(factors) == len(programs(kernels.kernel(name)))
    assert min(factors) >= 0.99


def of_many(count: int) -> Kernel:
    names = [f"x{k}" for k in range(count)]
    return planned(f"y[n] = f({', '.join(f'{x}[n]' for x in names)})\ny[n] = {' + '.join(f'{x}[n]**2' for x in names)}")


def test_what_is_emitted_grows_with_the_number_of_names_and_not_with_its_square() -> None:
    few, some, many = (sum(map(len, op_files(of_many(n), "a test").values())) for n in (12, 24, 48))
    assert many - some < 2.2 * (some - few)


def test_many_results_do_not_fill_the_stack_with_buffers() -> None:
    text = op_files(of_many(48), "a test")["native/f.c"]
    assert "dx47[n]" in text and text.count("[CHUNK];") < 10
