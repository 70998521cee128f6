"""Conditions on indices, ignored labels, boolean tensors and sums of positions in every tool that takes an op."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codegen.lengths import settled, whole_numbers
from codegen.plan import planned
from codegen.tools.accuracy.exact import exact_values
from codegen.tools.accuracy.kinds import kinds, sample
from codegen.tools.accuracy.ulp import FORMATS
from codegen.tools.auditor import audit
from codegen.tools.auditor.samples import Free, kinked, random_samples, small_samples
from codegen.tools.flow import flow
from codegen.tools.workbook import exercise, filled_text, grade, sheet
from codegen.verify.agreement import autograd
from derive import derive, load, parse
from derive import syntax as st
from tests.learner import lines, played

TEXTS = {
    "causal": """
o[i, d] = causal(q[i, f], k[j, f], v[j, d])

s[i, j] = sum[f](q[i, f] * k[j, f])
a[i, j] = where(j <= i, exp(s[i, j]), 0)
p[i, j] = a[i, j] / sum[j](a[i, j])
o[i, d] = sum[j](p[i, j] * v[j, d])
""",
    "ignored": """
loss = ignored(z[n, c], t[n], ignore=-100)

t[n] in c
p[n, c] = softmax(z[n, c])
loss = sum[n](where(t[n] != ignore, -log(p[n, t[n]]), 0)) / sum[n](where(t[n] != ignore, 1, 0))
""",
    "masked": """
y[n, c] = masked(x[n, c], keep[n, c])

keep[n, c] in bool
a[n, c] = where(keep[n, c], exp(x[n, c]), 0)
y[n, c] = a[n, c] / sum[c](a[n, c])
""",
    "conv": """
y[n, o, i] = conv(x[n, c, l], W[o, c, k], stride=1, pad=0)

size(i)    = (size(l) + 2*pad - size(k))//stride + 1
y[n, o, i] = sum[c, k](x[n, c, i*stride + k - pad] * W[o, c, k])
""",
}
NAMES = (*TEXTS, "max_pool2d")
#: A batch whose labels are ignored, or whose elements are masked, in part.
GIVEN: dict[str, dict[str, Any]] = {
    "causal": {"q": (5, 3), "k": (5, 3), "v": (5, 2)},
    "ignored": {"z": (6, 4), "t": np.array([0, -100, 2, 3, 1, -100])},
    "masked": {"x": (3, 4), "keep": np.array([[True, False, True, True], [False, False, False, True], [True] * 4])},
    "conv": {"x": (2, 3, 8), "W": (4, 3, 3)},
    "max_pool2d": {"x": (2, 3, 6, 7)},
}


def op_of(name: str) -> st.Op:
    return parse(TEXTS[name]) if name in TEXTS else load(name)


def batch(name: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {n: rng.normal(size=v) if isinstance(v, tuple) else v for n, v in GIVEN[name].items()}


# ---- what inputs are drawn --------------------------------------------------------------------------------------------------


def test_labels_that_are_ignored_are_drawn_and_every_batch_has_others() -> None:
    op = op_of("ignored")
    drawn = [s.tensors["t"] for s in (*random_samples(op, Free()), *kinked(op, Free()))]
    assert any((t == -100).any() for t in drawn)
    assert all((t != -100).any() for t in drawn)
    passed = [s.constants["ignore"] for s in random_samples(op, Free(passed=frozenset({"ignore"})), 8)]
    assert all(isinstance(v, int) and v < 0 for v in passed) and len(set(passed)) > 1


def test_boolean_inputs_are_booleans_and_leave_no_row_empty() -> None:
    drawn = [s.tensors["keep"] for s in random_samples(op_of("masked"), Free(), 12)]
    assert all(k.dtype == bool and k.any(axis=1).all() for k in drawn)
    assert any(not k.all() for k in drawn)


@pytest.mark.parametrize("name", ["conv", "max_pool2d"])
def test_declared_lengths_follow_from_those_drawn_and_from_constants(name: str) -> None:
    op = op_of(name)
    passed = frozenset(c.name for c in op.constants)
    samples = [*random_samples(op, Free(passed=passed), 6), *list(small_samples(op, Free(passed=passed)))[:40]]
    strides = set()
    for s in samples:
        strides.add(s.constants["stride"])
        chosen = {a: s.sizes[a] for t in op.inputs for a in t.axes}
        assert dict(s.sizes) == settled(op, chosen, s.constants)
        assert all(s.sizes[a] > 0 for a, _ in op.declared.lengths)
        assert all(s.tensors[t.name].shape == tuple(s.sizes[a] for a in t.axes) for t in op.inputs)
    assert len(strides) > 1


def test_constants_without_a_length_are_a_message() -> None:
    with pytest.raises(ValueError, match="conv: no small lengths are found"):
        random_samples(op_of("conv"), Free(given=(("stride", 0.0),)))


# ---- the exercise -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_of_an_exercise_is_right_by_the_grader_and_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    made = exercise(op_of(name))
    file = tmp_path / "solved.py"
    file.write_text(sheet(made, file.name, solved=True))
    found = grade(made, filled_text(file.read_text(), file.name, made.op, made.names))
    assert found and all(g.approximate for g in found), found
    runpy.run_path(str(file), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("approximate: True") == len(made.names), printed


@pytest.mark.parametrize(
    ("name", "backend"),
    [("ignored", "torch"), ("masked", "torch"), ("conv", "torch"), pytest.param("ignored", "jax", marks=pytest.mark.slow)],
)
def test_the_batch_of_an_exercise_runs_in_other_libraries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, backend: str
) -> None:
    pytest.importorskip(backend)
    made = exercise(op_of(name), backend)
    file = tmp_path / f"{name}.py"
    file.write_text(sheet(made, file.name, solved=True))
    runpy.run_path(str(file), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count("approximate: True") == len(made.names), printed


@pytest.mark.parametrize(
    ("name", "blank", "line", "said"),
    [
        ("causal", "ds", "da * np.exp(s)", "the condition of where(j ≤ i, da[i,j], 0) is ignored"),
        ("ignored", "dp", "-dloss / len(t) * (np.arange(p.shape[1]) == t[:, None]) / p", ""),
        ("masked", "dx", "da * np.exp(x)", "the condition of where(keep[n,c] ≠ 0, da[n,c], 0) is ignored"),
    ],
)
def test_a_line_without_the_condition_is_wrong_and_the_grader_says_so(name: str, blank: str, line: str, said: str) -> None:
    made = exercise(op_of(name))
    text = sheet(made, "mine.py").replace(f"{blank} = ...", f"{blank} = {line}")
    (found,) = grade(made, filled_text(text, "mine.py", made.op, made.names), [blank])
    assert not found.approximate and said in found.remark, found


def test_a_sheet_shows_equations_with_their_rows_solved() -> None:
    text = sheet(exercise(op_of("conv")), "mine.py")
    assert "y[n, o, i] = sum[c, k](x[n, c, i*stride + k - pad]*W[o, c, k])" in text and "where" not in text.partition("def ")[0]
    assert "keep[n, c] of booleans" in sheet(exercise(op_of("masked")), "mine.py")


@pytest.mark.parametrize("name", NAMES)
def test_every_hint_of_a_guided_session_is_there(tmp_path: Path, name: str) -> None:
    op = op_of(name)
    count = len(exercise(op).names)
    found = played(op, tmp_path / "mine.py", lines(*["?", "?", "?", "skip", "", ""] * (count + 2)))
    assert found.count("hint 3 of 3: as code") >= count, found


def test_a_hint_says_how_ignored_labels_are_looked_up(tmp_path: Path) -> None:
    found = played(op_of("ignored"), tmp_path / "mine.py", lines("?", "?", "?"))
    assert "p[np.arange(n), t_at]" in found and "t_at = np.where(t != ignore, t, 0)" in found


# ---- the auditor ------------------------------------------------------------------------------------------------------------


def causal_backward(do: Any, q: Any, k: Any, v: Any) -> Any:
    s = np.where(np.arange(len(k)) <= np.arange(len(q))[:, None], q @ k.T, -np.inf)
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    dp = do @ v.T
    ds = p * (dp - (dp * p).sum(1, keepdims=True))
    return ds @ k, ds.T @ q, p.T @ do


def causal_without_the_sum(do: Any, p: Any, q: Any, k: Any, v: Any) -> Any:
    ds = p * (do @ v.T)
    return ds @ k, ds.T @ q, p.T @ do


def ignored_backward(dloss: Any, z: Any, t: Any, ignore: Any) -> Any:
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    kept = t != ignore
    p[kept, t[kept]] -= 1
    return dloss * p * kept[:, None] / z.dtype.type(kept.sum())


def ignored_mean_of_all(dloss: Any, z: Any, t: Any, ignore: Any) -> Any:
    return ignored_backward(dloss, z, t, ignore) * ((t != ignore).sum() / len(t))


def masked_backward(dy: Any, x: Any, keep: Any) -> Any:
    e = np.where(keep, np.exp(x - np.where(keep, x, -np.inf).max(1, keepdims=True)), 0)
    y = e / e.sum(1, keepdims=True)
    return y * (dy - (dy * y).sum(1, keepdims=True))


def masked_unmasked(dy: Any, x: Any, keep: Any) -> Any:
    return masked_backward(dy, x, keep | True)


def conv(x: Any, W: Any, stride: int, pad: int) -> Any:
    return torch.nn.functional.conv1d(x, W, None, stride, pad)


def conv_unflipped(dy: Any, x: Any, W: Any) -> Any:
    dx, dW = np.zeros_like(x), np.zeros_like(W)
    taps, count = W.shape[2], dy.shape[2]
    for at in range(taps):
        dx[:, :, at : at + count] += np.einsum("noi,oc->nci", dy, W[:, :, taps - 1 - at])
        dW[:, :, at] = np.einsum("noi,nci->oc", dy, x[:, :, at : at + count])
    return dx, dW


def max_pool2d(x: Any, kernel: int, stride: int, pad: int) -> Any:
    padded = torch.nn.functional.pad(x, (pad,) * 4, value=-torch.inf)
    return padded.unfold(2, kernel, stride).unfold(3, kernel, stride).amax((-2, -1))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("causal", causal_backward),
        ("ignored", ignored_backward),
        ("masked", masked_backward),
        ("conv", conv),
        ("max_pool2d", max_pool2d),
    ],
)
def test_what_is_right_is_found_right(name: str, function: Callable[..., Any]) -> None:
    report = audit(function, op_of(name))
    assert report.correct, str(report)


@pytest.mark.parametrize(
    ("name", "function", "wrong", "said"),
    [
        ("causal", causal_without_the_sum, ["dq", "dk"], "is missing"),
        ("ignored", ignored_mean_of_all, ["dz"], "the condition of where(t[n] ≠ ignore, 1, 0) is ignored"),
        ("masked", masked_unmasked, ["dx"], "keep = "),
        ("conv", conv_unflipped, ["dx"], "W = "),
    ],
)
def test_what_is_wrong_is_found_wrong_and_shown(name: str, function: Callable[..., Any], wrong: list[str], said: str) -> None:
    report = audit(function, op_of(name))
    assert [f.gradient for f in report.findings if f.verdict == "wrong"] == wrong, str(report)
    assert said in str(report)


def test_padding_that_is_written_into_the_code_is_found() -> None:
    """Constants of the signature are tried as 0, 1 and 2 where a backward that computes its own forward does not take them."""

    def conv_backward(dy: Any, x: Any, W: Any) -> Any:
        dx, dW = conv_unflipped(dy, np.pad(x, ((0, 0), (0, 0), (1, 1))), W[:, :, ::-1])
        return dx[:, :, 1:-1], dW

    report = audit(conv_backward, op_of("conv"))
    assert [f.verdict for f in report.findings] == ["correct", "correct"], str(report)
    assert "pad as 1" in report.note


# ---- notebook, flow, accuracy ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_cells_of_a_notebook_run_and_every_comparison_is_true(name: str) -> None:
    pytest.importorskip("nbformat")
    from codegen.tools.notebook import build_op

    scope: dict[str, Any] = {}
    found = []
    for cell in build_op(op_of(name)).cells:
        if cell.cell_type == "code" and "pyplot" not in cell.source:
            *body, last = cell.source.rpartition("\n")
            at_end = "torch.allclose" in last or last == "]"
            exec(cell.source, scope)
            if at_end:
                expression = cell.source[cell.source.rindex("\n[\n") :] if last == "]" else last
                found.append(eval(expression.strip(), scope))
    assert found and all(np.all(answers) for answers in found)
    build_op(op_of(name), blanks=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_flow_measures_the_gradients_that_autograd_finds(name: str) -> None:
    op, given = op_of(name), batch(name)
    report = flow(op, given)
    assert "No gradient vanishes or explodes." in str(report) or "times that of" in str(report)
    tensors = {n: torch.from_numpy(v) for n, v in given.items()}
    constants = dict(whole_numbers(op))
    shape = settled(op, {a: n for t in op.inputs for a, n in zip(t.axes, given[t.name].shape, strict=True)}, constants)
    ones = [torch.ones([shape[a] for a in t.axes], dtype=torch.float64) for t in op.outputs]
    for t, want in zip(op.differentiable, autograd(op, tensors, ones, constants), strict=True):
        row = next(line.split() for line in str(report).splitlines() if line.split()[:1] == [t.name])
        assert abs(float(row[-2]) - float(want.abs().max())) <= 0.05 * float(want.abs().max()) + 1e-12, (t.name, row)


@pytest.mark.parametrize("name", NAMES)
def test_exact_values_are_those_of_autograd(name: str) -> None:
    op = op_of(name)
    kernel = planned(derive(op))
    chosen = kinds(kernel, 8)
    assert not {k.long for k in chosen} & {a for a, _ in (*op.declared.lengths, *op.packing.lengths)}
    for kind in chosen[:1] if name == "max_pool2d" else (chosen[0], chosen[-1]):
        drawn, constants = sample(kernel, kind, "float64", seed=0), dict(whole_numbers(op))
        exact = exact_values(kernel, {**drawn.inputs, **drawn.upstream}, constants, FORMATS["float64"])
        tensors = {n: torch.from_numpy(v) for n, v in drawn.inputs.items()}
        wanted = autograd(op, tensors, [torch.from_numpy(v) for v in drawn.upstream.values()], constants)
        for t, want in zip(op.differentiable, wanted, strict=True):
            np.testing.assert_allclose(exact[st.adjoint_name(t.name)].exact.lead, want.numpy(), rtol=1e-9, atol=1e-12)
