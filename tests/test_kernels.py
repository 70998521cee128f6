"""Every generated kernel against autograd through torch's own function: values, shapes, dtypes, edges and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import derive
from codegen.backends.discovery import by_name
from codegen.plan import plan
from codegen.verify.agreement import load_kernel, run_kernel
from tests import kernels
from tests.backends import each_backend
from tests.backends import given as passed
from tests.kernels import OPS

#: With shapes drawn at random; JAX compiles for each, and has drawn ones in ``test_jax.py``.
both = pytest.mark.parametrize("backend", ["numpy", "torch", "native"])
every = pytest.mark.parametrize("name", OPS)


def close(found: torch.Tensor, wanted: torch.Tensor, bound: float, scale: float | None = None) -> None:
    """Equal shapes, and no entry further off than ``bound`` times the largest magnitude."""
    assert found.shape == wanted.shape
    if wanted.numel():
        size = max(float(wanted.abs().max()), scale or 0.0)
        assert float((found.double() - wanted.double()).abs().max()) <= bound * size


def magnitude(name: str, values: dict[str, torch.Tensor], upstream: torch.Tensor) -> float:
    """A bound on the terms that a gradient is a sum of: what cancels to a small gradient is not small itself."""
    return float(upstream.abs().sum()) * max(
        [1.0, *(float(v.abs().max()) for v in values.values() if v.is_floating_point() and v.numel())]
    )


@both
@every
@settings(max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), power=st.integers(-3, 3))
def test_gradients_equal_autograd(name: str, backend: str, seed: int, power: int) -> None:
    """Random shapes and ranks, scales 1e-3 to 1e3, float64."""
    values = kernels.inputs(name, np.random.default_rng(seed), scale=10.0**power)
    given = kernels.constants(name)
    output, upstream, gradients = kernels.expected(name, values, None, given)
    found, computed = kernels.run(name, backend, values, upstream, given)
    close(found, output, 1e-11, 1e-3)
    bounds = kernels.term_bounds(name, values, upstream, given)
    # What is exactly 0 in the closed form (xhat of a single element, a bias before a batchnorm) is autograd's rounding noise.
    noise = max(float(upstream.abs().max()) if upstream.numel() else 0.0, *bounds)
    # What autograd cancels, an accurate variant does not: the two differ by autograd's rounding.
    noise = max(noise, magnitude(name, values, upstream)) if kernels.kernel(name).op.variant else noise
    floor = 1e-6 * noise if kernels.kernel(name).op.variant else 0.0
    for got, want, bound in zip(computed, gradients, bounds, strict=True):
        close(got, want, 1e-9, max(bound, floor) or noise)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 7), (3, 2, 4, 5)])
@pytest.mark.parametrize("ddof", [0, 1])
@each_backend
def test_batchnorm_takes_any_number_of_axes(backend: str, ddof: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    values = {
        "x": torch.from_numpy(rng.normal(3.0, 2.0, shape)),
        "gamma": torch.from_numpy(rng.normal(size=shape[1])),
        "beta": torch.from_numpy(rng.normal(size=shape[1])),
    }
    given = {"eps": 1e-3, "ddof": ddof}
    output, upstream, gradients = kernels.expected("batchnorm", values, None, given)
    found, computed = kernels.run("batchnorm", backend, values, upstream, given)
    close(found, output, 1e-12)
    for got, want in zip(computed, gradients, strict=True):
        close(got, want, 1e-12)


@each_backend
@every
def test_float32_stays_float32_and_is_as_close_as_torch(name: str, backend: str) -> None:
    """Against float64 on the same numbers, at most four times torch's own error, or a few roundings of the largest entry."""
    values = kernels.inputs(name, np.random.default_rng(3), dtype=torch.float32)
    given = kernels.constants(name)
    output, upstream, gradients = kernels.expected(name, values, None, given)
    wide = {n: v.double() if v.is_floating_point() else v for n, v in values.items()}
    exact, _, exact_gradients = kernels.expected(name, wide, upstream.double(), given)
    found, computed = kernels.run(name, backend, values, upstream, given)
    for got, theirs, want in zip([found, *computed], [output, *gradients], [exact, *exact_gradients], strict=True):
        assert got.dtype == torch.float32
        rounding = 8 * torch.finfo(torch.float32).eps * float(want.abs().max())
        assert float((got.double() - want).abs().max()) <= max(4 * float((theirs.double() - want).abs().max()), rounding)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@every
def test_half_precision_accumulates_in_float32(name: str, dtype: torch.dtype) -> None:
    """Half inputs give half results within one rounding of the float32 computation on the same values."""
    values = kernels.inputs(name, np.random.default_rng(5), dtype=dtype)
    wide = {n: v.float() if v.is_floating_point() else v for n, v in values.items()}
    given = kernels.constants(name)
    output, upstream, gradients = kernels.expected(name, wide, None, given)
    found, computed = kernels.run(name, "torch", values, upstream.to(dtype), given)
    step = torch.finfo(dtype).eps
    assert found.dtype == dtype
    close(found, output, step, 1e-3)
    for got, want in zip(computed, gradients, strict=True):
        assert got.dtype == dtype
        close(got, want, 4 * step, magnitude(name, wide, upstream) * 1e-2)


@each_backend
@every
def test_strided_input(name: str, backend: str) -> None:
    """Every second element of larger arrays gives what contiguous copies give."""
    values = kernels.inputs(name, np.random.default_rng(11))
    given = kernels.constants(name)
    _, upstream, _ = kernels.expected(name, values, None, given)
    plain = kernels.run(name, backend, values, upstream, given)

    def strided(t: torch.Tensor) -> torch.Tensor:
        big = torch.zeros([2 * n for n in t.shape], dtype=t.dtype)
        view = big[tuple(slice(None, None, 2) for _ in t.shape)]
        view.copy_(t)
        return view

    spread = kernels.run(name, backend, {n: strided(v) for n, v in values.items()}, strided(upstream), given)
    for got, want in zip([spread[0], *spread[1]], [plain[0], *plain[1]], strict=True):
        close(got, want, 1e-12, 1e-6)


@each_backend
@every
def test_arguments_are_left_as_they_were(name: str, backend: str) -> None:
    values = kernels.inputs(name, np.random.default_rng(13))
    before = {n: v.clone() for n, v in values.items()}
    given = kernels.constants(name)
    _, upstream, _ = kernels.expected(name, values, None, given)
    kept = upstream.clone()
    kernels.run(name, backend, values, upstream, given)
    assert torch.equal(upstream, kept)
    assert all(torch.equal(values[n], before[n]) for n in values)


@each_backend
@pytest.mark.parametrize("name", [n for n in OPS if n not in ("mlp", "makemore", "softmax_cross_entropy")])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_empty_batch_gives_empty_gradients(name: str, backend: str) -> None:
    """A leading axis of length 0: gradients of what does not carry it are 0, as autograd's are."""
    rng = np.random.default_rng(17)
    values = kernels.inputs(name, rng, star=1)
    first = kernels.kernel(name).op
    axis = "s" if "s" in first.stars and first.inputs[0].axes[0] != "n" else "n"
    for t in first.inputs:
        if axis in t.axes:
            values[t.name] = values[t.name].narrow(t.axes.index(axis), 0, 0)
    given = kernels.constants(name)
    output, upstream, gradients = kernels.expected(name, values, None, given)
    found, computed = kernels.run(name, backend, values, upstream, given)
    for got, want in zip([found, *computed], [output, *gradients], strict=True):
        assert got.shape == want.shape
        assert torch.equal(torch.nan_to_num(got), torch.nan_to_num(want))


@each_backend
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_over_no_class_is_empty(name: str, backend: str) -> None:
    values = {"z": torch.zeros(3, 0, dtype=torch.float64)}
    found, computed = kernels.run(name, backend, values, torch.zeros(3, 0, dtype=torch.float64), {})
    assert found.shape == computed[0].shape == (3, 0)


@each_backend
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_softmax_of_a_row_of_minus_infinity_is_nan(backend: str) -> None:
    values = {"z": torch.tensor([[-torch.inf, -torch.inf], [0.0, 1.0]], dtype=torch.float64)}
    found, computed = kernels.run("softmax", backend, values, torch.ones(2, 2, dtype=torch.float64), {})
    assert found[0].isnan().all() and computed[0][0].isnan().all()
    assert found[1].isfinite().all() and computed[0][1].isfinite().all()


@each_backend
def test_large_logits_are_finite_and_no_worse_than_torch(backend: str) -> None:
    """float32 logits up to 1e4 against float64."""
    rng = np.random.default_rng(19)
    z = torch.from_numpy(rng.uniform(-1e4, 1e4, (64, 50))).float()
    t = torch.from_numpy(rng.integers(0, 50, 64))
    exact = kernels.expected("softmax_cross_entropy", {"z": z.double(), "t": t}, None, {})
    theirs = kernels.expected("softmax_cross_entropy", {"z": z, "t": t}, exact[1].float(), {})
    ours = kernels.run("softmax_cross_entropy", backend, {"z": z, "t": t}, exact[1].float(), {})
    assert ours[0].isfinite() and ours[1][0].isfinite().all()
    for k, (got, other, want) in enumerate([(ours[0], theirs[0], exact[0]), (ours[1][0], theirs[2][0], exact[2][0])]):
        worst = float((other.double() - want).abs().max())
        rounding = torch.finfo(torch.float32).eps * float(want.abs().max())
        assert float((got.double() - want).abs().max()) <= max(worst, rounding), k


@each_backend
def test_a_long_batch_with_a_large_mean_is_no_worse_than_torch(backend: str) -> None:
    """float32 batch normalization of 65,536 rows with mean 1e4 against float64."""
    rng = np.random.default_rng(23)
    values = {
        "x": torch.from_numpy(rng.normal(1e4, 1.0, (65536, 3))).float(),
        "gamma": torch.from_numpy(rng.normal(size=3)).float(),
        "beta": torch.from_numpy(rng.normal(size=3)).float(),
    }
    given = {"eps": 1e-5, "ddof": 0}
    wide = {n: v.double() for n, v in values.items()}
    upstream = torch.from_numpy(rng.normal(size=(65536, 3))).float()
    output, _, gradients = kernels.expected("batchnorm", wide, upstream.double(), given)
    other, _, theirs = kernels.expected("batchnorm", values, upstream, given)
    found, ours = kernels.run("batchnorm", backend, values, upstream, given)
    for got, torchs, want in zip([found, *ours], [other, *theirs], [output, *gradients], strict=True):
        assert got.isfinite().all()
        worst = float((torchs.double() - want).abs().max())
        rounding = torch.finfo(torch.float32).eps * float(want.abs().max())
        assert float((got.double() - want).abs().max()) <= max(worst, rounding)


@each_backend
@every
def test_a_wrong_rank_is_a_value_error_naming_the_argument(name: str, backend: str) -> None:
    values = kernels.inputs(name, np.random.default_rng(29))
    k = kernels.kernel(name)
    for t in k.op.inputs:
        if not t.axes or (set(t.axes) <= k.op.stars):
            continue
        wrong = dict(values)
        wrong[t.name] = (
            values[t.name][(None,) * 9]
            if not set(t.axes) & k.op.stars
            else values[t.name].reshape(-1)[:0].reshape(())
            if values[t.name].numel() == 0
            else values[t.name].reshape(-1)[0]
        )
        with pytest.raises(ValueError, match=rf"\b{t.name}\b"):
            _forward(name, backend, wrong)


def shared_axes(name: str) -> list[tuple[str, int]]:
    """The inputs and positions of axes that another input has too."""
    op = kernels.kernel(name).op
    return [
        (t.name, k - len(slots))
        for t in op.inputs
        for slots in [op.packing.slots(t.name, t.axes)]
        for k, (axis, *packed) in enumerate(slots)
        if not packed and axis not in op.stars and not {a for slot in slots[k:] for a in slot} & op.stars
        if any(axis in o.axes for o in op.inputs if o is not t)
    ]


@each_backend
@pytest.mark.parametrize("name", [n for n in OPS if shared_axes(n)])
def test_a_wrong_length_is_a_value_error_not_a_broadcast(name: str, backend: str) -> None:
    """Length 1 where another input has more would broadcast silently; so would nothing else."""
    values = kernels.inputs(name, np.random.default_rng(31), low=2)
    for argument, position in shared_axes(name):
        for wrong in (values[argument].narrow(position, 0, 1), torch.cat([values[argument]] * 2, dim=position)):
            with pytest.raises(ValueError, match="axis"):
                _forward(name, backend, {**values, argument: wrong.contiguous()})


@each_backend
@every
def test_a_wrong_dtype_is_a_type_error_naming_the_argument(name: str, backend: str) -> None:
    values = kernels.inputs(name, np.random.default_rng(37))
    for t in kernels.kernel(name).op.inputs:
        wrong = dict(values)
        wrong[t.name] = values[t.name].double() if t.labels else values[t.name].long()
        with pytest.raises(TypeError, match=rf"\b{t.name}\b"):
            _forward(name, backend, wrong)
        with pytest.raises(TypeError, match=rf"\b{t.name}\b"):
            _forward(name, backend, values, **{t.name: [1.0, 2.0]})


@each_backend
@pytest.mark.parametrize("wrong", [-1, 1000])
@pytest.mark.parametrize("name", [n for n in OPS if any(t.labels for t in kernels.kernel(n).op.inputs)])
def test_a_label_out_of_range_is_an_index_error_naming_the_argument(name: str, backend: str, wrong: int) -> None:
    values = kernels.inputs(name, np.random.default_rng(41), star=1)
    for t in kernels.kernel(name).op.inputs:
        if t.labels:
            bad = {**values, t.name: values[t.name].clone()}
            bad[t.name].view(-1)[0] = wrong
            with pytest.raises(IndexError, match=rf"\b{t.name}\b"):
                _forward(name, backend, bad)


def _forward(name: str, backend: str, values: dict[str, torch.Tensor], **replaced: object) -> None:
    k = kernels.kernel(name)
    with by_name(backend).running():
        env = {n: passed(backend, v) for n, v in values.items()} | replaced
        getattr(kernels.module(name, backend), k.forward.name)(*(env[a.name] for a in k.forward.arguments))


def test_the_error_function_is_within_two_ulp_of_float64() -> None:
    """NumPy has no erf; the one emitted for gelu, against the C library's, densely over the range and near 0."""
    erf = kernels.module("gelu", "numpy")._erf
    x = np.concatenate(
        [np.linspace(-7, 7, 20001), 10.0 ** -np.linspace(0, 300, 2001), np.random.default_rng(0).normal(size=5000)]
    )
    exact = np.array([math.erf(v) for v in x])
    assert (np.abs(erf(x) - exact) <= 2 * np.spacing(np.abs(exact))).all()
    special = erf(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0]))
    assert np.isnan(special[0]) and special[1:].tolist() == [1.0, -1.0, 0.0, 0.0] and np.signbit(special[4])


@pytest.mark.parametrize(
    "equations",
    [
        "loss = -mean[n](log(exp(z[n, t[n]]) / sum[c](exp(z[n, c]))))",
        "m[n] = max[c](z[n, c])\nloss = -mean[n](log(exp(z[n, t[n]] - m[n]) / sum[c](exp(z[n, c] - m[n]))))",
        "lse[n] = log(sum[c](exp(z[n, c])))\nloss = mean[n](lse[n] - z[n, t[n]])",
        "q[n, c] = exp(z[n, c]) / sum[c](exp(z[n, c]))\nl[n, c] = log(q[n, c])\nloss = -mean[n](l[n, t[n]])",
    ],
    ids=["naive", "shifted by the author", "log-sum-exp", "through the probabilities"],
)
@each_backend
def test_cross_entropy_is_stable_however_it_is_written(backend: str, equations: str) -> None:
    """The emitted code neither overflows nor takes the logarithm of an underflow, for logits up to 1e4."""
    op = derive.parse(f"loss = ce(z[n, c], t[n])\nt[n] in c\n{equations}")
    kernel = plan(derive.derive(op))
    module = load_kernel(kernel, backend)
    rng = np.random.default_rng(43)
    values = {"z": torch.from_numpy(rng.uniform(-1e4, 1e4, (7, 5))), "t": torch.from_numpy(rng.integers(0, 5, 7))}
    output, upstream, gradients = kernels.expected("softmax_cross_entropy", values, None, {})
    found, computed = run_kernel(kernel, module, backend, values, [upstream], {})
    close(found[0], output, 1e-12)
    close(computed[0], gradients[0], 1e-12)
