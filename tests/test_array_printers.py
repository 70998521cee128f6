"""How the NumPy kernels compute: in place where nothing is lost, as matrix products, and as accurately as before."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.arrays.discovery import arrays
from codegen.load import load_source
from codegen.plan import plan
from codegen.program import Kernel
from codegen.verify.agreement import agreement
from tests import kernels


def numpy_kernel(text: str) -> tuple[Kernel, str, ModuleType]:
    """The kernel of an op's text, its source, and the source as a module. Its gradients agree with autograd's."""
    kernel = plan(derive.derive(derive.parse(text)))
    source = arrays("numpy").text(kernel, "a test")
    module = load_source(kernel.op.name, source)
    assert agreement(kernel, module, "numpy").largest < 1e-12
    return kernel, source, module


def body(source: str) -> list[str]:
    """The lines of the source, without indentation."""
    return [line.strip() for line in source.splitlines()]


# ---- in place -------------------------------------------------------------------------------------------------------------


def test_an_array_that_nothing_needs_any_more_takes_the_result() -> None:
    _, source, _ = numpy_kernel("y[n, c] = f(x[n, c], g[n])\na[n, c] = x[n, c] + 2*g[n]\ny[n, c] = a[n, c] - g[n]")
    assert "y = np.subtract(a, g[:, None], out=a)" in body(source)


def test_a_function_works_on_its_own_argument() -> None:
    _, source, _ = numpy_kernel(
        "y[n, c] = f(x[n, c], g[n])\na[n, c] = x[n, c] - g[n]\nb[n, c] = exp(a[n, c])\ny[n, c] = b[n, c]*g[n]"
    )
    assert "b = np.exp(a, out=a)" in body(source)
    lines = body(numpy_kernel("y[n, c] = f(x[n, c], g[n])\ny[n, c] = tanh(x[n, c] - g[n])")[1])
    assert lines[lines.index("y = x - g[:, None]") + 1] == "np.tanh(y, out=y)"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("y[n, c] = f(x[n, c], g[n])\ny[n, c] = x[n, c]*g[n]", "an argument"),
        ("y[n, c], a[n, c] = f(x[n, c], g[n])\na[n, c] = x[n, c] + 2*g[n]\ny[n, c] = a[n, c]*g[n]", "an output"),
        (
            "y[n, c] = f(x[n, c])\na[n, c] = x[n, c] + 2\nb[n, c] = 2*a[n, c]\ny[n, c] = b[n, c] + a[n, c]",
            "read later",
        ),
        (
            "y[n, c], b[n, c] = f(x[n, c], g[n])\na[n, c] = x[n, c] + 2*g[n]\nb[n, c] = a[n, c]\ny[n, c] = a[n, c] - g[n]",
            "an alias",
        ),
        (
            "y[n, c], b[c, n] = f(x[n, c], g[n])\na[n, c] = x[n, c] + 2*g[n]\nb[c, n] = a[n, c]\ny[n, c] = a[n, c] - g[n]",
            "a view",
        ),
        ("y[n, c] = f(x[n, c], g[n])\na[n] = 2*g[n]\ny[n, c] = a[n] + x[n, c]", "of a smaller shape"),
        ("y[*s] = f(x[*s])\na[*s] = x[*s] + 2\ny[*s] = exp(a[*s])", "maybe a scalar"),
    ],
)
def test_what_is_needed_is_not_written_over(text: str, kept: str) -> None:
    kernel, source, module = numpy_kernel(text)
    forward = source[source.index("def f_forward") : source.index("def f_backward")]
    assert "out=a)" not in forward, f"written over, although it is {kept}"


def test_an_elementwise_op_takes_an_array_without_axes() -> None:
    _, _, module = numpy_kernel("y[*s] = f(x[*s])\na[*s] = x[*s] + 2\ny[*s] = exp(a[*s])*a[*s]")
    y, saved = module.f_forward(np.array(1.0))
    assert y == pytest.approx(3 * np.exp(3.0))
    assert np.shape(module.f_backward(np.array(1.0), *saved)) == ()


# ---- products and sums ----------------------------------------------------------------------------------------------------


def test_several_summed_axes_are_one_matrix_product() -> None:
    text = "y[n, h] = f(x[n, b, e], W[b, e, h])\ny[n, h] = sum[b, e](x[n, b, e]*W[b, e, h])"
    _, source, _ = numpy_kernel(text)
    assert "y = x.reshape(n, b * e) @ W.reshape(b * e, h)" in body(source)
    assert "dx = (dy @ W.reshape(b * e, h).T).reshape(n, b, e)" in body(source)
    assert "dW = (x.reshape(n, b * e).T @ dy).reshape(b, e, h)" in body(source)


@pytest.mark.parametrize(
    "x, W",
    [("n, b, e", "b, e, h"), ("b, e, n", "b, e, h"), ("n, b, e", "h, b, e"), ("b, n, e", "b, e, h"), ("n, e, b", "b, e, h")],
)
def test_however_the_axes_lie_the_product_is_right(x: str, W: str) -> None:
    numpy_kernel(f"y[n, h] = f(x[{x}], W[{W}])\ny[n, h] = sum[b, e](x[{x}]*W[{W}])")


def test_a_sum_of_products_over_the_last_axis_needs_no_array_for_them() -> None:
    text = "y[n] = f(x[n, d], w[n, d])\ny[n] = sum[d](x[n, d]*w[n, d]) + mean[d](x[n, d]**2)"
    _, source, _ = numpy_kernel(text)
    assert "y = _dot(x, w) + _dot(x, x) / d" in body(source)
    _, source, _ = numpy_kernel("y[d] = f(x[n, d], w[n, d])\ny[d] = sum[n](x[n, d]*w[n, d])")
    assert "y = _sum(x * w, axis=0)" in body(source)


def test_a_gather_takes_whatever_axis_the_labels_name() -> None:
    _, source, _ = numpy_kernel("y[d, s] = f(table[d, v], t[s])\nt[s] in v\ny[d, s] = table[d, t[s]]")
    assert "y = table.take(t, axis=1)" in body(source)


def sums(text: str) -> Any:
    return numpy_kernel(text)[2].f_forward


@pytest.mark.parametrize(
    "shape", [(100_003, 3), (4096, 64), (129, 5), (32, 200), (5, 100_003), (3, 2_000_003), (300, 4096), (7, 1)]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_float32_sums_are_no_worse_than_torchs(shape: tuple[int, int], axis: int) -> None:
    """The root mean square of the error, against float64; of a mean that is not 0, so that what is added up grows."""
    index = "nd"[axis]
    rest = "dn"[axis]
    rng = np.random.default_rng(0)
    x, w = (rng.normal(0.5, 1.0, shape).astype(np.float32) for _ in range(2))

    def error(found: Any, exact: np.ndarray) -> float:
        return float(np.sqrt(((np.asarray(found) - exact) ** 2).mean()))

    for what, exact, theirs in (
        ("x[n, d]", x.astype(float), torch.from_numpy(x)),
        ("x[n, d]*w[n, d]", x.astype(float) * w, torch.from_numpy(x) * torch.from_numpy(w)),
    ):
        for kind in ("sum", "mean"):
            arguments = (x, w) if "w" in what else (x,)
            signature = "x[n, d], w[n, d]" if "w" in what else "x[n, d]"
            found, _ = sums(f"y[{rest}] = f({signature})\ny[{rest}] = {kind}[{index}]({what})")(*arguments)
            wanted = getattr(exact, kind)(axis=axis)
            assert found.dtype == np.float32 and found.shape == wanted.shape
            rounding = 2**-24 * float(np.abs(wanted).max())
            assert error(found, wanted) <= max(1.2 * error(getattr(theirs, kind)(axis).numpy(), wanted), rounding), (what, kind)


def test_the_mean_of_nothing_is_nan_and_its_sum_0() -> None:
    x = np.ones((0, 3), dtype=np.float32)
    for kind, value in (("mean", np.nan), ("sum", 0.0)):
        found, _ = sums(f"y[d] = f(x[n, d])\ny[d] = {kind}[n](x[n, d])")(x)
        np.testing.assert_array_equal(found, np.full(3, value, dtype=np.float32), strict=True)
        np.testing.assert_equal(sums(f"y = f(x[n, d])\ny = {kind}[n, d](x[n, d])")(x)[0], np.float32(value))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_its_own_sum(value: float) -> None:
    x = np.ones((200, 6), dtype=np.float32)
    x[150, 4] = value
    by_column, _ = sums("y[d] = f(x[n, d])\ny[d] = sum[n](x[n, d])")(x)
    by_row, _ = sums("y[n] = f(x[n, d])\ny[n] = sum[d](x[n, d])")(x)
    np.testing.assert_array_equal(by_column, x.sum(axis=0))
    np.testing.assert_array_equal(by_row, x.sum(axis=1))


# ---- scatter-add ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 7, 300])
@pytest.mark.parametrize("length", [5, 400])
@pytest.mark.parametrize("shape", [(), (0,), (64,), (8, 5)])
def test_rows_are_added_to_those_that_their_labels_name(width: int, length: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(width)
    labels = np.asarray(rng.integers(0, length, shape))
    rows = rng.normal(size=(*shape, width)).astype(np.float32)
    wanted = np.zeros((length, width))
    np.add.at(wanted, labels, rows.astype(float))
    found = kernels.module("embedding", "numpy").embedding_backward(rows, np.zeros((length, width), np.float32), labels)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted.astype(np.float32))


@pytest.mark.parametrize("width", [3, 300])
def test_a_nan_stays_in_the_row_of_its_label(width: int) -> None:
    labels, rows = np.array([0, 2, 2, 1]), np.ones((4, width), dtype=np.float32)
    rows[1] = np.nan
    found = kernels.module("embedding", "numpy").embedding_backward(rows, np.zeros((4, width), np.float32), labels)
    assert np.isnan(found).any(axis=1).tolist() == [False, False, True, False]


# ---- arguments ------------------------------------------------------------------------------------------------------------


def test_what_was_seen_to_fit_lets_nothing_else_through() -> None:
    """The check is remembered by type, shape and dtype: all three count, and an error is not remembered."""
    linear = kernels.module("linear", "numpy").linear_forward
    x, W, b = np.ones((4, 3)), np.ones((3, 2)), np.ones(2)
    for _ in range(2):
        linear(x, W, b)
        with pytest.raises(TypeError, match="b must be a NumPy array, not Tensor"):
            linear(x, W, torch.ones(2, dtype=torch.float64))
        with pytest.raises(TypeError, match="W must be a NumPy array, not list"):
            linear(x, W.tolist(), b)
        with pytest.raises(TypeError, match="b has dtype float32; expected float64"):
            linear(x, W, b.astype(np.float32))
        with pytest.raises(TypeError, match="x has dtype int64; expected a floating-point one"):
            linear(x.astype(np.int64), W, b)
        with pytest.raises(ValueError, match="W has length 3 on axis k, where 2 is expected"):
            linear(x[:, :2], W, b)
        with pytest.raises(ValueError, match=r"W must have the axes \[k, h\], not shape \(3,\)"):
            linear(x, W[:, 0], b)


def test_axes_that_must_be_equal_are_checked() -> None:
    _, source, module = numpy_kernel("y[i] = f(sim[i, j])\ny[i] = sim[i, i] + sum[j](sim[i, j])")
    assert '_lengths("sim[i, j]; i = j", sim)' in source
    assert module.f_forward(np.eye(3))[0].tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="sim has length 4 on axis j, where 3 is expected"):
        module.f_forward(np.ones((3, 4)))


def test_scalars_alone_need_no_check() -> None:
    _, source, module = numpy_kernel("y = f(a, b)\ny = a*exp(b)")
    assert "_lengths" not in source
    assert module.f_forward(2.0, 0.0)[0] == 2.0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_labels_may_be_any_integers(dtype: str) -> None:
    embedding = kernels.module("embedding", "numpy")
    table = np.arange(40.0).reshape(10, 4)
    labels = np.array([[3, 9], [0, 3]], dtype=dtype)
    np.testing.assert_array_equal(embedding.embedding_forward(table, labels)[0], table[labels])
    with pytest.raises(IndexError, match="t holds labels from 0 to 10; expected 0 to 9"):
        embedding.embedding_forward(table, np.array([0, 10], dtype=dtype))
    if dtype[0] == "i":
        with pytest.raises(IndexError, match="t holds labels from -1 to 9; expected 0 to 9"):
            embedding.embedding_forward(table, np.array([9, -1], dtype=dtype))
