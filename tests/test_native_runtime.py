"""The runtime of the native kernels, with small kernels written by hand: what a call takes, returns, refuses and costs."""

from __future__ import annotations

import ctypes
import gc
import importlib
import inspect
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from codegen.render import render

ROOT = Path(__file__).resolve().parent.parent
FILES = ("_build.py", "_blas.py", "_kernel.py", "_call.c")
COMPILER = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
pytestmark = pytest.mark.skipif(COMPILER is None or sys.platform == "win32", reason="needs a C compiler")

#: A batch normalization's backward, a cross-entropy, and functions that fail, wait or take contiguous arrays only.
TOY = r"""
#include <math.h>
#include <stdint.h>
#include <time.h>
#ifndef REAL_BITS
#define REAL_BITS 32
#endif
#if REAL_BITS == 64
typedef double real;
#define PACKED(name) name##_f64_packed
#else
typedef float real;
#define PACKED(name) name##_f32_packed
#endif
#define AT(k, i, j, l) ((real *)data[k])[(i) * STEP(k, 0, d * s) + (j) * STEP(k, 1, s) + (l)]
#define STEP(k, axis, dense) (strides[k] ? strides[k][axis] : (dense))

#if REAL_BITS == 64
#define SET_GEMM toy_set_gemm_f64
#else
#define SET_GEMM toy_set_gemm_f32
#endif
static void *gemm;
void SET_GEMM(void *given) { gemm = given; }
int toy_has_gemm(void) { return gemm != 0; }

/* y = gamma x + beta k, x**2 and the sum over n and s saved; axes n d s; data x gamma y square total. */
int PACKED(toy_forward)(const int64_t *size, void *const *data, const int64_t *const *strides, const double *constants) {
    const int64_t n = size[0], d = size[1], s = size[2];
    for (int64_t j = 0; j < d; j++) ((real *)data[4])[j] = 0;
    for (int64_t i = 0; i < n; i++) for (int64_t j = 0; j < d; j++) for (int64_t l = 0; l < s; l++) {
        const real x = AT(0, i, j, l);
        AT(2, i, j, l) = ((real *)data[1])[j] * x + (real)(constants[0] - constants[1]);
        AT(3, i, j, l) = x * x;
        ((real *)data[4])[j] += x;
    }
    return 0;
}

/* dx = gamma rstd (dy - dbeta/N - xhat dgamma/(N - ddof)); data dy xhat rstd gamma dx dgamma dbeta. */
int PACKED(toy_backward)(const int64_t *size, void *const *data, const int64_t *const *strides, const double *constants) {
    const int64_t n = size[0], d = size[1], s = size[2];
    const real *rstd = data[2], *gamma = data[3];
    real *dgamma = data[5], *dbeta = data[6];
    for (int64_t j = 0; j < d; j++) {
        double g = 0, b = 0;
        for (int64_t i = 0; i < n; i++) for (int64_t l = 0; l < s; l++)
            g += AT(0, i, j, l) * AT(1, i, j, l), b += AT(0, i, j, l);
        dgamma[j] = (real)g, dbeta[j] = (real)b;
        for (int64_t i = 0; i < n; i++) for (int64_t l = 0; l < s; l++)
            AT(4, i, j, l) = gamma[j] * rstd[j] * (AT(0, i, j, l) - dbeta[j] / (n * s)
                             - AT(1, i, j, l) * dgamma[j] / (real)(n * s - constants[0]));
    }
    return 0;
}

/* loss = -dloss mean(z[n, t[n]]) and dz; axes n c; data z t dloss loss dz. */
int PACKED(toy_forward_backward)(const int64_t *size, void *const *data, const int64_t *const *strides, const double *_) {
    const int64_t n = size[0], c = size[1], step = strides[0] ? strides[0][0] : c, one = strides[1] ? strides[1][0] : 1;
    const real *z = data[0], dloss = *(const real *)data[2];
    const int64_t *t = data[1];
    real *dz = data[4], loss = 0;
    for (int64_t i = 0; i < n; i++) if (t[i * one] < 0 || t[i * one] >= c) return 2;
    for (int64_t k = 0; k < n * c; k++) dz[k] = 0;
    for (int64_t i = 0; i < n; i++) loss -= z[i * step + t[i * one]] / n, dz[i * c + t[i * one]] -= dloss / n;
    *(real *)data[3] = loss;
    return 0;
}

/* y[i, *s, j] = x[i, *s, j] and the same elements summed; axes i s j; data x y total. */
int PACKED(toy_middle)(const int64_t *size, void *const *data, const int64_t *const *strides, const double *constants) {
    const int64_t I = size[0], d = size[1], s = size[2];
    real total = 0;
    for (int64_t i = 0; i < I; i++) for (int64_t j = 0; j < d; j++) for (int64_t l = 0; l < s; l++)
        total += AT(1, i, j, l) = AT(0, i, j, l);
    *(real *)data[2] = total;
    return 0;
}

/* y = x + x', square; takes contiguous arrays only; axes i j; data x y. */
int PACKED(toy_contiguous)(const int64_t *size, void *const *data, const int64_t *const *strides, const double *constants) {
    const int64_t n = size[0];
    if (strides[0] || size[1] != n) return 3;
    for (int64_t i = 0; i < n; i++) for (int64_t j = 0; j < n; j++)
        ((real *)data[1])[i * n + j] = ((real *)data[0])[i * n + j] + ((real *)data[0])[j * n + i];
    return 0;
}

/* Answers constants[0] after constants[1] seconds; axes i; data x y. */
int PACKED(toy_answer)(const int64_t *size, void *const *data, const int64_t *const *strides, const double *constants) {
    struct timespec wait = {(time_t)constants[1], (long)(1e9 * (constants[1] - floor(constants[1])))};
    nanosleep(&wait, 0);
    for (int64_t i = 0; i < size[0] && constants[0] == 0; i++) ((real *)data[1])[i] = ((real *)data[0])[i];
    return (int)constants[0];
}
"""

#: The same with NumPy, and how Python is told.
PACKAGE = """
import numpy as np
from ._kernel import Kernel

def forward(x, gamma, shift=0.5, other=0.0):
    wide = gamma.reshape(-1, *[1] * (x.ndim - 2))
    axes = tuple(k for k in range(x.ndim) if k != 1)
    return (wide * x + (shift - other)).astype(x.dtype), (x * x, x.sum(axis=axes))

def backward(dy, xhat, rstd, gamma, ddof=0):
    axes = tuple(k for k in range(dy.ndim) if k != 1)
    rows = dy.size / max(dy.shape[1], 1)
    wide = lambda a: a.reshape(-1, *[1] * (dy.ndim - 2))
    dgamma, dbeta = (dy * xhat).sum(axis=axes), dy.sum(axis=axes)
    dx = wide(gamma * rstd) * (dy - wide(dbeta) / rows - xhat * wide(dgamma) / (rows - ddof))
    return dx.astype(dy.dtype), dgamma, dbeta

def forward_backward(z, t, dloss=1.0):
    if t.size and (t.min() < 0 or t.max() >= z.shape[1]):
        raise IndexError(f"t holds labels from {t.min()} to {t.max()}; expected 0 to {z.shape[1] - 1}")
    dz = np.zeros_like(z)
    np.subtract.at(dz, (np.arange(len(t)), t), dloss / max(len(t), 1))
    return -np.sum(z[np.arange(len(t)), t] / max(len(t), 1), dtype=z.dtype), dz

toy_forward = Kernel(
    "toy_forward", source="toy", axes=("n", "d", "s"), stars=("s",),
    arguments=(("x", "n d s"), ("gamma", "d")), constants=(("shift", 0.5), ("other", 0.0)),
    results=(("y", "n d s"), ("square", "n d s"), ("total", "d")), outputs=1, saved=("square", "total"),
    over=(("y", "x"),), fallback=forward, doc="Forward of toy.",
)
toy_backward = Kernel(
    "toy_backward", source="toy", axes=("n", "d", "s"), stars=("s",),
    arguments=(("dy", "n d s"), ("xhat", "n d s"), ("rstd", "d"), ("gamma", "d")), constants=(("ddof", 0.0),),
    results=(("dx", "n d s"), ("dgamma", "d"), ("dbeta", "d")), outputs=3, over=(("dx", "dy"),), fallback=backward,
)
toy_forward_backward = Kernel(
    "toy_forward_backward", source="toy", axes=("n", "c"), arguments=(("z", "n c"), ("t", "n"), ("dloss", "")),
    labels={"t": "c"}, optional={"dloss": 1.0}, results=(("loss", ""), ("dz", "n c")), out_from=1, over=(("dz", "z"),),
    fallback=forward_backward,
)
toy_middle = Kernel(
    "toy_middle", source="toy", axes=("i", "s", "j"), stars=("s",), arguments=(("x", "i s j"),),
    results=(("y", "i s j"), ("total", "")), outputs=1, saved=("y", "total"),
    fallback=lambda x: (x.copy(), (x.copy(), x.sum())),
)
toy_contiguous = Kernel(
    "toy_contiguous", source="toy", axes=("i", "j"), arguments=(("x", "i j"),), same={"j": "i"},
    results=(("y", "i j"),), fallback=lambda x: x + x.T,
)
toy_answer = Kernel(
    "toy_answer", source="toy", axes=("i",), arguments=(("x", "i"),), constants=(("answer", None), ("seconds", 0.0)),
    results=(("y", "i"),),
)
"""

count = 0


def write_package(folder: Path) -> str:
    """A package with the runtime and the toy; returns its name, which no other has."""
    global count
    count += 1
    name = f"native_toy_{os.getpid()}_{count}"
    (folder / name).mkdir(parents=True)
    for file in FILES:
        (folder / name / file).write_text(render(f"native/{file}.j2"), encoding="utf-8")
    (folder / name / "toy.c").write_text(TOY, encoding="utf-8")
    (folder / name / "__init__.py").write_text(PACKAGE, encoding="utf-8")
    return name


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], ModuleType]]:
    """Import a package that nobody has called yet; the compiled files are shared by the tests of this module."""
    monkeypatch.setenv("BACKPROP_NINJA_CACHE", str(cache))
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def fresh() -> ModuleType:
        made.append(write_package(tmp_path))
        importlib.invalidate_caches()
        return importlib.import_module(made[-1])

    yield fresh
    for name in [n for n in sys.modules if n.partition(".")[0] in made]:
        del sys.modules[name]


def part(package: ModuleType, name: str) -> Any:
    return importlib.import_module(f"{package.__name__}.{name}")


@pytest.fixture(params=["extension", "ctypes", "numpy"])
def toy(request: pytest.FixtureRequest, make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kernels, called in each of the three ways."""
    if request.param == "numpy":
        monkeypatch.setenv("CC", "/nonexistent")
    package = make()
    if request.param == "ctypes":
        monkeypatch.setattr(part(package, "_build"), "extension", lambda: None)
    package.way = request.param
    with warnings.catch_warnings():
        if request.param == "numpy":
            warnings.simplefilter("ignore", RuntimeWarning)
        yield package


@pytest.fixture
def native(make: Callable[[], ModuleType]) -> ModuleType:
    package = make()
    package.way = "extension"
    return package


def sample(dtype: Any = np.float32, shape: tuple[int, ...] = (6, 4), seed: int = 0) -> tuple[Any, ...]:
    """dy, xhat, rstd, gamma."""
    rng = np.random.default_rng(seed)
    d = shape[1]
    return tuple(rng.normal(size=s).astype(dtype) for s in (shape, shape, d, d))


def close(got: Any, expected: Any, dtype: Any = None) -> None:
    """Equal up to rounding, and of the same dtype and shape."""
    expected = [np.asarray(e) for e in expected]
    for a, b in zip(got, expected, strict=True):
        assert np.shape(a) == b.shape
        assert a.dtype == (dtype or b.dtype)
        np.testing.assert_allclose(
            a, b, rtol=1e-3 if a.dtype == np.float16 else 2e-5, atol=1e-2 if a.dtype == np.float16 else 1e-5
        )


# ---- calls ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 5), (3, 4, 2, 3), (1, 1), (0, 4), (6, 0), (6, 4, 0), (1, 4, 1)])
def test_star_axes_and_lengths(toy: ModuleType, dtype: Any, shape: tuple[int, ...]) -> None:
    args = sample(dtype, shape)
    for _ in range(2):  # the first call loads, the second goes the short way
        with np.errstate(all="ignore"):
            close(toy.toy_backward(*args, 0.5), toy.backward(*args, 0.5))
            y, saved = toy.toy_forward(args[0], args[3])
            expected, kept = toy.forward(args[0], args[3])
        close([y, *saved], [expected, *kept])


def test_arguments_by_position_and_by_name(toy: ModuleType) -> None:
    dy, xhat, rstd, gamma = sample()
    expected = toy.backward(dy, xhat, rstd, gamma, 1)
    for _ in range(2):
        close(toy.toy_backward(dy, xhat, rstd, gamma, 1), expected)
        close(toy.toy_backward(dy, xhat, gamma=gamma, rstd=rstd, ddof=1.0), expected)
        close(toy.toy_backward(ddof=np.float64(1), gamma=gamma, rstd=rstd, xhat=xhat, dy=dy), expected)
        close(toy.toy_backward(dy, xhat, rstd, gamma), toy.backward(dy, xhat, rstd, gamma))
        # A name that is not interned.
        close(toy.toy_backward(dy, xhat, rstd, **{"".join(["gam", "ma"]): gamma}), toy.backward(dy, xhat, rstd, gamma))


@pytest.mark.parametrize("labels", [np.int64, np.int32, np.uint8, np.uint64, np.longlong])
def test_labels_scalars_and_results_without_axes(toy: ModuleType, labels: Any) -> None:
    z, t = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([0, 2, 1, 1, 0], labels)
    for dloss in (2, 2.0, np.float32(2), np.float64(2), np.array(2.0), np.array(2, np.float32), True + 1, np.array(2)):
        for _ in range(2):
            loss, dz = toy.toy_forward_backward(z, t, dloss)
            close([loss, dz], toy.forward_backward(z, t, np.float32(2)))
            assert isinstance(loss, np.float32)
    close(toy.toy_forward_backward(z, t), toy.forward_backward(z, t))
    close(toy.toy_forward_backward(z, np.repeat(t, 2)[::2], dloss=1.0), toy.forward_backward(z, t))


def test_star_in_the_middle_and_a_result_that_is_saved_too(toy: ModuleType) -> None:
    for shape in [(3, 4), (3, 2, 4), (3, 2, 5, 4)]:
        x = np.random.default_rng(0).normal(size=shape)
        y, (again, total) = toy.toy_middle(x)
        assert np.array_equal(y, x) and np.array_equal(again, x) and isinstance(total, np.float64)
        np.testing.assert_allclose(total, x.sum())


def test_an_absent_default(toy: ModuleType) -> None:
    with pytest.raises(TypeError, match="misses answer"):
        toy.toy_answer(np.ones(3))


# ---- errors --------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[False, True], ids=["first", "later"])
def warm(request: pytest.FixtureRequest, toy: ModuleType) -> ModuleType:
    """Before and after the function is loaded."""
    if request.param:
        toy.toy_backward(*sample())
        toy.toy_forward_backward(np.ones((2, 3), np.float32), np.array([0, 1]))
    return toy


def backward_with(**changed: Any) -> dict[str, Any]:
    return dict(zip(("dy", "xhat", "rstd", "gamma"), sample(), strict=True)) | changed


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (backward_with(xhat=[1.0]), TypeError, "xhat must be a NumPy array, not list"),
        (backward_with(dy=np.ones((6, 4), int)), TypeError, "dy has dtype int64; expected a floating-point one"),
        (backward_with(rstd=np.ones(4)), TypeError, "rstd has dtype float64; expected float32"),
        (backward_with(xhat=np.ones((5, 4), np.float32)), ValueError, "xhat has length 5 on axis n, where 6 is expected"),
        (backward_with(rstd=np.ones(3, np.float32)), ValueError, "rstd has length 3 on axis d, where 4 is expected"),
        (backward_with(gamma=np.ones((4, 1), np.float32)), ValueError, r"gamma must have the axes \[d\], not shape \(4, 1\)"),
        (backward_with(dy=np.ones(4, np.float32)), ValueError, r"dy must have the axes \[n, d, \*s\], not shape \(4,\)"),
        (
            backward_with(xhat=np.ones((6, 4, 1), np.float32)),
            ValueError,
            r"xhat has length \(1,\) on axis \*s, where \(\) is expected",
        ),
        (backward_with(ddof="1x"), TypeError, "ddof must be a number, not str"),
        (backward_with(ddof=None), TypeError, "ddof must be a number, not NoneType"),
        (backward_with(spam=1), TypeError, r"toy_backward\(\) got an unexpected keyword argument 'spam'"),
    ],
)
def test_wrong_arguments(warm: ModuleType, arguments: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        warm.toy_backward(**arguments)


def test_wrong_calls(warm: ModuleType) -> None:
    args = sample()
    with pytest.raises(TypeError, match="misses gamma"):
        warm.toy_backward(*args[:3])
    with pytest.raises(TypeError, match="takes 5 arguments but 6 were given"):
        warm.toy_backward(*args, 0, 1)
    with pytest.raises(TypeError, match="multiple values for argument 'dy'"):
        warm.toy_backward(*args, dy=args[0])
    if np.dtype(np.longdouble) != np.float64:
        with pytest.raises(TypeError, match="dy has dtype .*; expected float64, float32 or float16"):
            warm.toy_backward(*sample(np.longdouble))


def test_wrong_labels(warm: ModuleType) -> None:
    z, call = np.ones((2, 3), np.float32), warm.toy_forward_backward
    with pytest.raises(IndexError, match="t holds labels from -1 to 2; expected 0 to 2"):
        call(z, np.array([-1, 2]))
    with pytest.raises(IndexError, match="t holds labels from 0 to 3; expected 0 to 2"):
        call(z, np.array([3, 0], np.int16))
    with pytest.raises(IndexError, match="t holds labels from 0 to 9223372036854775808"):
        call(z, np.array([0, 2**63], np.uint64))
    with pytest.raises(TypeError, match="t has dtype float64; expected integers"):
        call(z, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="t has length 3 on axis n, where 2 is expected"):
        call(z, np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"dloss must have the axes \[\], not shape \(1,\)"):
        call(z, np.array([0, 1]), np.ones(1))
    with pytest.raises(TypeError, match="dloss must be a number, not str"):
        call(z, np.array([0, 1]), "much")


def test_answers_of_the_function(native: ModuleType) -> None:
    x = np.ones(3)
    assert np.array_equal(native.toy_answer(x, 0), x)
    for _ in range(2):
        with pytest.raises(MemoryError, match="toy_answer ran out of memory"):
            native.toy_answer(x, 1)
        with pytest.raises(IndexError):
            native.toy_answer(x, 2)
        with pytest.raises(RuntimeError, match="failed with code 7"):
            native.toy_answer(x, 7)


# ---- memory layout -------------------------------------------------------------------------------------------------------


def layouts(a: np.ndarray) -> Iterator[np.ndarray]:
    """The same values laid out in many ways."""
    yield a
    yield np.asfortranarray(a)
    yield np.repeat(a, 2, axis=0)[::2]
    yield np.repeat(a, 2, axis=-1)[..., ::2]
    yield a[::-1].copy()[::-1]
    yield np.swapaxes(np.ascontiguousarray(np.swapaxes(a, 0, 1)), 0, 1)
    yield a.astype(a.dtype.newbyteorder())
    raw = np.zeros(a.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(a.dtype).reshape(a.shape)
    unaligned[...] = a
    yield unaligned
    yield np.pad(a, 1)[tuple(slice(1, -1) for _ in a.shape)]
    yield a.view(type("Subclass", (np.ndarray,), {}))


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 5), (3, 4, 2, 3), (1, 4, 1, 3), (2, 3, 1)])
def test_layouts(toy: ModuleType, shape: tuple[int, ...]) -> None:
    dy, xhat, rstd, gamma = sample(np.float64, shape)
    expected = toy.backward(dy, xhat, rstd, gamma)
    toy.toy_backward(dy, xhat, rstd, gamma)
    for a in layouts(dy):
        close(toy.toy_backward(a, xhat, rstd, gamma), expected, np.float64)
        close(toy.toy_backward(xhat, a, rstd, gamma), toy.backward(xhat, dy, rstd, gamma), np.float64)
    for g in (np.repeat(gamma, 2)[::2], gamma[::-1].copy()[::-1], gamma.astype(gamma.dtype.newbyteorder())):
        close(toy.toy_backward(dy, xhat, rstd, g), expected, np.float64)


def test_rows_that_overlap_are_copied(toy: ModuleType) -> None:
    _, xhat, rstd, gamma = sample(np.float64, (6, 4))
    for dy in (np.broadcast_to(gamma, (6, 4)), np.lib.stride_tricks.sliding_window_view(np.arange(9.0), 4)):
        for _ in range(2):
            close(toy.toy_backward(dy, xhat, rstd, gamma), toy.backward(dy, xhat, rstd, gamma))


def test_strides_reach_the_function(native: ModuleType) -> None:
    """Both ways pass the same strides for a view, and copy only what the function cannot take."""
    kernel = part(native, "_kernel")
    x = np.zeros((5, 6, 2, 3))
    tensor = native.toy_backward._arguments[0]
    assert kernel._strides(tensor, x[:, ::2]) == [36, 12, 1]
    assert kernel._strides(tensor, x[::2, :1]) == [72, 6, 1]
    assert kernel._strides(tensor, x.swapaxes(0, 1)) == [6, 36, 1]
    assert kernel._strides(tensor, x[:, :, :1]) == [36, 6, 1]
    assert kernel._strides(tensor, x[..., 0]) is None
    assert kernel._strides(tensor, x[:, :, :, :2]) is None
    assert kernel._strides(tensor, x[::-1]) is None
    passed, strides = kernel._passed(tensor, x[:, ::2], {}, True)
    assert strides and np.shares_memory(passed, x)


def test_contiguous_only(toy: ModuleType) -> None:
    x = np.arange(32.0).reshape(4, 8)[:, ::2]
    wide = np.arange(32.0).reshape(4, 8)[:, :4]
    for a in (x, wide, x.copy()):
        for _ in range(2):
            assert np.array_equal(toy.toy_contiguous(a), a + a.T)
    with pytest.raises(ValueError, match="x has length 8 on axis i, where 4 is expected"):
        toy.toy_contiguous(np.ones((4, 8)))


# ---- precisions ----------------------------------------------------------------------------------------------------------


def test_half_precision(toy: ModuleType) -> None:
    dy, xhat, rstd, gamma = sample(np.float16)
    wide = [a.astype(np.float32) for a in (dy, xhat, rstd, gamma)]
    expected = toy.backward(*wide)
    close(toy.toy_backward(dy, xhat, rstd, gamma), expected, np.float16)
    close(toy.toy_backward(dy, *wide[1:3], gamma), expected, np.float16)
    y, saved = toy.toy_forward(dy, gamma)
    assert y.dtype == np.float16 and {a.dtype for a in saved} == {np.dtype(np.float32)}
    y, (again, total) = toy.toy_middle(dy)
    assert y.dtype == np.float16 and again.dtype == total.dtype == np.float32
    with pytest.raises(TypeError, match="gamma has dtype float64; expected float16"):
        toy.toy_backward(dy, xhat, rstd, gamma.astype(float))
    out = np.empty_like(dy)
    assert toy.toy_backward(dy, xhat, rstd, gamma, out=out)[0] is out
    close([out], expected[:1], np.float16)
    with pytest.raises(TypeError, match="out for dx has dtype float32; expected float16"):
        toy.toy_backward(dy, xhat, rstd, gamma, out=wide[0])


def test_each_precision_has_its_own_library(native: ModuleType) -> None:
    native.toy_backward(*sample(np.float32))
    assert set(native.toy_backward._functions) == {32}
    native.toy_backward(*sample(np.float64))
    assert set(native.toy_backward._functions) == {32, 64}
    assert part(native, "_build").load("toy", {"REAL_BITS": 32}) is part(native, "_build").load("toy", {"REAL_BITS": 32})


# ---- torch ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_tensors(toy: ModuleType, dtype: torch.dtype) -> None:
    arrays = sample(np.float64, (6, 4, 5))
    tensors = [torch.from_numpy(a).to(dtype) for a in arrays]
    tensors[0].requires_grad_()
    expected = toy.backward(*(t.detach().double().numpy() for t in tensors))
    bound = 1e-5 if dtype.itemsize > 2 else 0.1
    for _ in range(2):
        for got, value in zip(toy.toy_backward(*tensors, torch.tensor(0.0)), expected, strict=True):
            assert isinstance(got, torch.Tensor) and got.dtype == dtype
            torch.testing.assert_close(got.double(), torch.from_numpy(value), rtol=bound, atol=bound)
    y, saved = toy.toy_forward(tensors[0], tensors[3])
    wide = dtype if dtype.itemsize > 2 else torch.float32
    assert y.dtype == dtype and [s.dtype for s in saved] == [wide, wide]
    out = torch.empty_like(tensors[0], requires_grad=False)
    assert toy.toy_backward(*tensors, out=(out,))[0].data_ptr() == out.data_ptr()
    torch.testing.assert_close(out.double(), torch.from_numpy(expected[0]), rtol=bound, atol=bound)


def test_tensors_share_memory_and_mix_with_arrays(toy: ModuleType) -> None:
    z, t = torch.randn(5, 3), torch.tensor([0, 1, 2, 1, 0])
    loss, dz = toy.toy_forward_backward(z, t.numpy(), torch.tensor(1.0))
    assert loss.shape == () and isinstance(dz, torch.Tensor)
    close([dz.numpy()], toy.forward_backward(z.numpy(), t.numpy())[1:])
    dx = torch.empty(5, 3)
    assert toy.toy_forward_backward(z, t, out=dx)[1] is dx
    assert torch.equal(dx, dz)
    with pytest.raises(TypeError, match="z is on meta; expected a tensor on the CPU"):
        toy.toy_forward_backward(z.to("meta"), t)
    with pytest.raises(TypeError, match="z must be a NumPy array, not list"):
        toy.toy_forward_backward([1.0], t)


# ---- out -----------------------------------------------------------------------------------------------------------------


def test_out_is_filled_and_returned(toy: ModuleType) -> None:
    args = sample(np.float64, (6, 4, 5))
    expected = toy.backward(*args)
    for _ in range(2):
        dx, dgamma = np.empty((6, 4, 5)), np.empty(4)
        got = toy.toy_backward(*args, out=(dx, None))
        assert got[0] is dx
        close(got, expected)
        got = toy.toy_backward(*args, out=[None, dgamma, None])
        assert got[1] is dgamma
        close(got, expected)
        assert toy.toy_backward(*args, out=dx)[0] is dx
        y, square, total = np.empty((6, 4, 5)), np.empty((6, 4, 5)), np.empty(4)
        one, (two, three) = toy.toy_forward(args[0], args[3], out=(y, square, total))
        assert one is y and two is square and three is total
        total = np.empty(())
        assert toy.toy_middle(args[0], out=(None, total))[1][1] is total
        np.testing.assert_allclose(total, args[0].sum())
        z, t = np.ones((2, 3)), np.array([0, 1])
        dz = np.empty((2, 3))
        assert toy.toy_forward_backward(z, t, out=dz)[1] is dz


def test_a_result_over_its_argument(toy: ModuleType) -> None:
    for _ in range(2):
        dy, *rest = sample(np.float64, (6, 4, 5))
        expected = toy.backward(dy, *rest)
        got = toy.toy_backward(dy, *rest, out=dy)
        assert got[0] is dy
        close(got, expected)
        same = np.ones((6, 4, 5))
        assert toy.toy_backward(same.view(), *rest, out=same)[0] is same


def bad_outs(args: tuple[Any, ...]) -> Iterator[tuple[Any, type, str]]:
    dy, xhat, rstd, _ = args
    fine = np.empty_like(dy)
    frozen = fine.copy()
    frozen.flags.writeable = False
    buffer = np.empty(2 * dy.size)
    yield np.empty(dy.shape, np.float32), TypeError, "out for dx has dtype float32; expected float64"
    yield np.empty(dy.shape, ">f8"), TypeError, "out for dx has dtype >f8; expected float64"
    yield [1.0], TypeError, "out for dx must be a NumPy array, not float"
    yield np.empty((6, 4)), ValueError, r"out for dx has shape \(6, 4\); expected \(6, 4, 5\)"
    yield np.empty((5, 4, 6)).T, ValueError, "out for dx must be contiguous"
    yield np.empty((6, 4, 10))[:, :, ::2], ValueError, "out for dx must be contiguous"
    yield frozen, ValueError, "out for dx is read-only"
    yield (None, fine), ValueError, "out for dgamma has shape"
    yield (None,) * 4, ValueError, "out holds 4 arrays; expected at most dx, dgamma, dbeta"
    yield xhat, ValueError, "out for dx overlaps xhat"
    yield (None, rstd), ValueError, "out for dgamma overlaps rstd"
    yield (None, np.broadcast_to(dy, dy.shape).reshape(-1)[:4]), ValueError, "out for dgamma overlaps dy|read-only"
    yield (None, dy.reshape(-1)[2:6]), ValueError, "out for dgamma overlaps dy"
    yield (None, rstd.copy(), rstd), ValueError, "out for dbeta overlaps rstd"
    both = np.empty(6)
    yield (None, both[:4], both[2:]), ValueError, "out for dbeta overlaps that for dgamma"
    shifted = buffer[: dy.size].reshape(dy.shape)
    yield (shifted, buffer[dy.size - 1 : dy.size + 3]), ValueError, "out for dgamma overlaps that for dx"


def test_out_that_does_not_fit(warm: ModuleType) -> None:
    args = sample(np.float64, (6, 4, 5))
    warm.toy_backward(*args)
    before = [a.copy() for a in args]
    for out, error, text in bad_outs(args):
        with pytest.raises(error, match=text):
            warm.toy_backward(*args, out=out)
        assert all(np.array_equal(a, b) for a, b in zip(args, before, strict=True))
    long = np.ones((7, 4, 5))
    with pytest.raises(ValueError, match="out for dx overlaps dy"):
        warm.toy_backward(long[:6], *args[1:], out=long[1:])
    with pytest.raises(ValueError, match="out for dx overlaps dy"):
        warm.toy_backward(long[5::-1], *args[1:], out=long[:6])
    with pytest.raises(ValueError, match="out for dx overlaps xhat"):  # dy may be replaced, but xhat is read too
        warm.toy_backward(long[:6], long[:6], *args[2:], out=long[:6])
    neighbours = np.ones((12, 4, 5))
    warm.toy_backward(neighbours[:6], *args[1:], out=neighbours[6:])


# ---- compiling -----------------------------------------------------------------------------------------------------------


def run(folder: Path, code: str, **env: str) -> subprocess.Popen[str]:
    """Python in a process of its own, with the package of ``folder``."""
    clean = {k: v for k, v in os.environ.items() if k not in ("CC", "BACKPROP_NINJA_CFLAGS")}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=clean | {"PYTHONPATH": str(folder)} | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_no_compiler_is_one_warning(make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/nonexistent")
    toy = make()
    text = r"^generated.native: no C compiler was found \(set CC to name one\); the NumPy kernels serve instead$"
    with pytest.warns(RuntimeWarning, match=text) as caught:
        toy.toy_backward(*sample())
        toy.toy_backward(*sample(np.float64))
        toy.toy_forward(*sample()[::3])
    assert len(caught) == 1
    with pytest.raises(RuntimeError, match="toy_answer has no NumPy kernel"):
        toy.toy_answer(np.ones(3), 0)


def test_source_that_does_not_compile(make: Callable[[], ModuleType]) -> None:
    toy = make()
    Path(toy.__file__).with_name("toy.c").write_text("int broken(void) { return spam; }\n")
    with pytest.warns(RuntimeWarning, match="could not compile toy.c .*spam.*the NumPy kernels serve") as caught:
        close(toy.toy_backward(*sample()), toy.backward(*sample()))
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    with pytest.raises(part(toy, "_build").CompileError) as error:
        part(toy, "_build").compile_all(["toy"])
    assert "spam" in error.value.output


def test_no_openmp(make: Callable[[], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that refuses some flags serves without them."""
    wrapper = tmp_path / "plain-cc"
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *-fopenmp*|*-march=native*) exit 1;; esac\nexec {COMPILER} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("CC", f"{wrapper} -g0")
    toy = make()
    with pytest.warns(RuntimeWarning, match="has no OpenMP; the kernels run on one thread") as caught:
        close(toy.toy_backward(*sample()), toy.backward(*sample()))
    assert len(caught) == 1
    compiler = part(toy, "_build").compiler()
    assert compiler.command == (str(wrapper), "-g0") and not compiler.openmp
    assert "-fno-math-errno" in compiler.flags and "-march=native" not in compiler.flags


def test_no_headers(make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toy = make()
    build = part(toy, "_build")
    monkeypatch.setattr(build.sysconfig, "get_path", lambda name: str(tmp_path))
    close(toy.toy_backward(*sample()), toy.backward(*sample()))
    assert build.extension() is None and toy.toy_backward._caller is None


def test_importing_compiles_nothing_and_is_fast(tmp_path: Path) -> None:
    name = write_package(tmp_path)
    code = f"""
        import sys, time, numpy
        best = 1
        for _ in range(5):
            for module in [m for m in sys.modules if m.startswith({name!r})]:
                del sys.modules[module]
            start = time.perf_counter()
            import {name}
            best = min(best, time.perf_counter() - start)
        print(best, {name + "._build"!r} in sys.modules)
    """
    process = run(tmp_path, code, BACKPROP_NINJA_CACHE=str(tmp_path / "cache"), PYTHONDONTWRITEBYTECODE="")
    seconds, built = process.communicate()[0].split()
    assert float(seconds) < 0.02 and built == "False"
    assert not (tmp_path / "cache").exists()


def test_processes_and_threads_start_at_once(tmp_path: Path) -> None:
    """Two processes, four threads each, one empty cache: all are right, and nothing half-written stays behind."""
    name = write_package(tmp_path)
    code = f"""
        import threading, numpy as np, {name} as toy
        x, answers = np.ones((6, 4)), []
        threads = [threading.Thread(target=lambda: answers.append(toy.toy_forward(x, np.ones(4))[0].sum())) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        print(answers == [36.0] * 4, len(toy.toy_forward._functions), toy.toy_forward._caller is not None)
    """
    cache = tmp_path / "cache"
    processes = [run(tmp_path, code, BACKPROP_NINJA_CACHE=str(cache)) for _ in range(2)]
    for process in processes:
        assert process.communicate()[0].split() == ["True", "1", "True"]
    assert sorted(f.name.partition("-")[0] for f in cache.iterdir()) == ["_call", "flags", "toy"]


def test_entries_of_another_machine_are_not_used(make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    build = part(make(), "_build")
    text = "int f(void) { return 0; }\n"
    here = build.compile_source(text)
    assert build.compile_source(text) == here
    assert build.compile_source(text, {"n": 32}) != here != build.compile_source(text + "\n")
    with monkeypatch.context() as patch:
        patch.setattr(build, "cpu", lambda: "another machine")
        there = build.compile_source(text)
        assert there != here
    with monkeypatch.context() as patch:
        patch.setenv("BACKPROP_NINJA_CFLAGS", "-DSANITIZED=1")
        assert build.compile_source(text) not in (here, there)
    stamp = here.stat().st_mtime_ns
    assert build.compile_source(text) == here and here.stat().st_mtime_ns == stamp
    assert build.cpu().strip() and "MHz" not in build.cpu()


def test_macros_and_flags_reach_the_compiler(make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    build = part(make(), "_build")
    monkeypatch.setenv("BACKPROP_NINJA_CFLAGS", "-DEXTRA=3")
    library = ctypes.CDLL(str(build.compile_source("int f(void) { return 10 * n + EXTRA; }\n", {"n": 32})))
    assert library.f() == 323


def test_a_damaged_entry_is_compiled_again(make: Callable[[], ModuleType]) -> None:
    toy = make()
    build = part(toy, "_build")
    source = Path(toy.__file__).with_name("toy.c")
    source.write_text(TOY + "/* of its own */\n")
    path = build.compile_source(source, {"REAL_BITS": 64})
    path.write_bytes(path.read_bytes()[:100])
    close(toy.toy_backward(*sample(np.float64)), toy.backward(*sample(np.float64)))
    assert toy.toy_backward._functions[64] is not None


def test_cache_folder(make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build = part(make(), "_build")
    monkeypatch.delenv("BACKPROP_NINJA_CACHE")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert build.cache_folder() == tmp_path / "xdg" / "backprop-ninja"
        assert build.cache_folder().stat().st_mode & 0o077 == 0
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BACKPROP_NINJA_CACHE", str(tmp_path / "file" / "below"))
    private = build.cache_folder()
    assert private.is_dir() and private == build.cache_folder() and tmp_path not in private.parents


def test_ahead_of_time(make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    toy = make()
    build = part(toy, "_build")
    paths = build.compile_all(["toy"])
    assert len(paths) == 2 and all(p.is_file() for p in paths)
    monkeypatch.setattr(build, "_compile", None)
    close(toy.toy_backward(*sample()), toy.backward(*sample()))


def test_gemm(native: ModuleType) -> None:
    """The address is that of a product with 64-bit integers, and a library that asks for it gets it."""
    single, double = part(native, "_blas").gemm()
    library = part(native, "_build").load("toy", {"REAL_BITS": 64})
    assert bool(library.toy_has_gemm()) == bool(single)
    if not double:
        pytest.skip("neither NumPy nor torch exports a 64-bit BLAS")
    i64, real, ptr = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
    gemm = ctypes.CFUNCTYPE(None, *[ctypes.c_int] * 3, i64, i64, i64, real, ptr, i64, ptr, i64, real, ptr, i64)(double)
    a, b, c = np.random.rand(3, 4), np.random.rand(4, 5), np.empty((3, 5))
    gemm(101, 111, 111, 3, 5, 4, 1.0, a.ctypes.data, 4, b.ctypes.data, 5, 0.0, c.ctypes.data, 5)
    np.testing.assert_allclose(c, a @ b)


# ---- threads and memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["extension", "ctypes"])
def test_other_threads_run_meanwhile(make: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    toy = make()
    if way == "ctypes":
        monkeypatch.setattr(part(toy, "_build"), "extension", lambda: None)
    x = np.ones(3)
    toy.toy_answer(x, 0)
    thread = threading.Thread(target=toy.toy_answer, args=(x, 0, 1.0))
    start = time.perf_counter()
    thread.start()
    while time.perf_counter() - start < 0.2:
        pass
    assert thread.is_alive() and time.perf_counter() - start < 0.8
    thread.join()


def test_calls_from_many_threads(native: ModuleType) -> None:
    args = sample(np.float64, (64, 32))
    expected = native.backward(*args)
    wrong = []

    def work() -> None:
        for _ in range(200):
            if not all(np.allclose(a, b) for a, b in zip(native.toy_backward(*args), expected, strict=True)):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_reference_is_lost_or_kept(native: ModuleType) -> None:
    """Many calls of every kind, failing ones among them, leave all reference counts and the memory as they were."""
    dy, xhat, rstd, gamma = sample(np.float64)
    z, t, bad, dz = np.ones((6, 4)), np.zeros(6, int), np.full(6, 9), np.empty((6, 4))
    square = np.ones((8, 8))[::2, ::2]
    watched = [dy, xhat, rstd, gamma, z, t, bad, dz, square, None, 1.0, native.toy_backward._general, dy.dtype, ()]
    fails = [
        lambda: native.toy_forward_backward(z, bad),
        lambda: native.toy_backward(dy, xhat, rstd),
        lambda: native.toy_backward(dy, xhat, rstd, gamma, out=(xhat,)),
        lambda: native.toy_backward(dy, xhat, rstd, gamma, out=(dz, gamma)),
        lambda: native.toy_backward(dy, xhat[:5], rstd, gamma),
    ]

    def calls(times: int) -> None:
        for _ in range(times):
            native.toy_backward(dy, xhat, rstd, gamma)
            native.toy_backward(dy.T.copy().T, xhat, rstd=rstd, gamma=gamma, ddof=1)
            native.toy_backward(dy, xhat, rstd, gamma, out=(dz, None))
            native.toy_forward(dy, gamma, out=dz)
            native.toy_middle(dy)
            native.toy_forward_backward(z, t, out=dz)
            native.toy_forward_backward(z, t, 2.0)
            native.toy_contiguous(square)

    def failures(times: int) -> None:
        for _ in range(times):
            for fail in fails:
                with pytest.raises((IndexError, TypeError, ValueError)):
                    fail()

    calls(100)
    failures(10)
    gc.collect()
    counts = [sys.getrefcount(a) for a in watched]
    tracemalloc.start()
    calls(100)
    before = tracemalloc.get_traced_memory()[0]
    calls(12_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    failures(100)
    gc.collect()
    after = [sys.getrefcount(a) for a in watched]
    assert max(abs(a - b) for a, b in zip(after, counts, strict=True)) < 10
    assert grown < 10_000


def test_a_kernel_goes_away_with_its_caller(native: ModuleType) -> None:
    kernel = part(native, "_kernel").Kernel(
        "toy_middle", source="toy", axes=("i", "s", "j"), stars=("s",), arguments=(("x", "i s j"),),
        results=(("y", "i s j"), ("total", "")),
    )  # fmt: skip
    kernel(np.ones((2, 2)))
    caller = type(kernel._caller)
    assert any(type(o) is caller for o in gc.get_objects())
    del kernel
    gc.collect()
    assert not any(type(o) is caller for o in gc.get_objects())


# ---- the object ----------------------------------------------------------------------------------------------------------


def test_more_arrays_than_the_extension_takes(native: ModuleType) -> None:
    """Such a kernel goes through ctypes for good."""
    names = tuple((f"c{k}", float(k)) for k in range(100))
    kernel = part(native, "_kernel").Kernel(
        "toy_answer", source="toy", axes=("i",), arguments=(("x", "i"),), results=(("y", "i"),), constants=(("a", 0.0), *names)
    )
    for _ in range(2):
        assert np.array_equal(kernel(np.ones(3)), np.ones(3))
    assert kernel._caller is None


def test_a_kernel_describes_itself(native: ModuleType) -> None:
    kernel = native.toy_forward
    assert kernel.__name__ == "toy_forward" and kernel.__doc__ == "Forward of toy."
    assert str(inspect.signature(kernel)) == "(x, gamma, shift=0.5, other=0.0, *, out=None)"
    assert repr(kernel) == "<native kernel toy_forward(x, gamma, shift=0.5, other=0.0, *, out=None)>"
    assert str(inspect.signature(native.toy_answer)) == "(x, answer, seconds=0.0, *, out=None)"
    assert pickle.loads(pickle.dumps(kernel)) is kernel
