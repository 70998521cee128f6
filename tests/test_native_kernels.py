"""The catalogue's native kernels beyond what every backend promises: together, in place, on threads, and as plain C."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.native.package import load_native
from generated.native import _build
from tests import kernels
from tests.kernels import OPS

COMPILER = _build.compiler()
pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
NATIVE = Path(_build.__file__).parent
KINDS = ("forward", "backward", "forward_backward", "step")
FUNCTIONS = [(name, kind) for name in OPS for kind in KINDS if kind != "step" or name == "mlp"]
every = pytest.mark.parametrize("name", OPS)
functions = pytest.mark.parametrize(("name", "kind"), FUNCTIONS, ids=[f"{n}_{k}" for n, k in FUNCTIONS])
both = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])

#: Lengths with enough iterations for a second thread; ``s`` stands for the lengths in place of a star.
LARGE: dict[str, dict[str, Any]] = {
    "attention": {"s": (2,), "i": 130, "j": 131, "f": 9, "d": 20},
    "batchnorm": {"n": 70, "d": 31, "s": (17,)},
    "matmul": {"s": (2,), "n": 130, "m": 131, "k": 17},
    "makemore": {"n": 300, "b": 3, "v": 27, "e": 10, "u": 128},
    "mlp": {"n": 300, "b": 3, "v": 27, "e": 10, "h": 128},
}
ROWS = {"s": (190,), "n": 190, "d": 181, "c": 181, "h": 181, "k": 33, "v": 40}


def native(name: str, kind: str) -> Any:
    """A function of the checked-in native kernels."""
    return getattr(kernels.module(name, "native"), f"{name}_{kind}")


def large(name: str) -> dict[str, Any]:
    """Lengths above the threshold for threads."""
    stars, rows = kernels.kernel(name).op.stars, LARGE.get(name, ROWS)
    if stars and all(set(t.axes) <= stars for t in kernels.kernel(name).op.inputs):
        return {"s": (190, 181)}
    return rows


def sized(name: str, size: Mapping[str, Any], dtype: Any, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Random inputs of given lengths, in the shapes of callers; labels are in range."""
    rng, op, out = np.random.default_rng(seed), kernels.kernel(name).op, {}
    for t in op.inputs:
        shape = tuple(n for a in t.axes for n in (size[a] if a in op.stars else (size[a],)))
        if t.labels:
            out[t.name] = np.asarray(rng.integers(0, size[t.labels], shape))
        else:
            shape = op.packing.shape(t.name, t.axes, size) if op.packing.packs(t.name) else shape
            out[t.name] = np.asarray(rng.normal(rng.normal(), 1.0, shape), dtype=dtype)
    return out


def complete(name: str, inputs: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """Every argument that some function of an op takes: inputs, what the forward returns and saves, random gradients."""
    k, rng = kernels.kernel(name), np.random.default_rng([seed, 1])
    forward = native(name, "forward")
    results = forward._flat(forward(*inputs.values(), **constants(forward)))
    env = dict(inputs) | dict(zip([t.name for t in forward._results], results, strict=True))
    dtype = next(v.dtype for v in inputs.values() if v.dtype.kind == "f")
    for t in k.op.outputs:
        env[f"d{t.name}"] = np.asarray(rng.normal(size=np.shape(env[t.name])), dtype=dtype)
    return env


def constants(function: Any) -> dict[str, float]:
    """The constants of a function, none of them 0."""
    names = function._names[len(function._arguments) :]
    return {n: {"rate": 0.1, "ddof": 1.0}.get(n, 1e-3) for n in names}


def arguments(function: Any, env: Mapping[str, Any]) -> list[Any]:
    """The tensors of a call in order."""
    return [env[t.name] for t in function._arguments]


def called(function: Any, values: Sequence[Any], out: Sequence[Any] | None = None) -> list[np.ndarray[Any, Any]]:
    """Every result of a call, in the order of the description; ``out`` has a place for each."""
    given = {} if out is None else {"out": tuple(out[function._out_from :])}
    return [np.asarray(r) for r in function._flat(function(*values, **constants(function), **given))]


def same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Equal to the bit."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Kernels run on two threads meanwhile, whatever the suite's setting is."""
    library = _build.load("tanh", {"REAL_BITS": 32})
    before = library.omp_get_max_threads()
    library.omp_set_num_threads(2)
    yield
    library.omp_set_num_threads(before)


@pytest.fixture
def streaming(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A loader of kernels whose results all bypass the cache, as otherwise only large ones do."""
    monkeypatch.setenv("BACKPROP_NINJA_CFLAGS", "-DSTREAM_ABOVE=0 -O1")
    return streamed


@cache
def streamed(name: str) -> Any:
    """The native module of an op from copies of its files."""
    files = {f"native/{p.name}": p.read_text(encoding="utf-8") for p in (NATIVE / f"{name}.{e}" for e in ("c", "h", "py"))}
    files |= {
        f"native/{n}": (NATIVE / n).read_text(encoding="utf-8") for n in ("_build.py", "_blas.py", "_kernel.py", "_call.c")
    }
    numpy = NATIVE.parent / "numpy"
    return load_native(name, files | {f"numpy/{name}.py": (numpy / f"{name}.py").read_text(encoding="utf-8")})


# ---- forward and backward in one call ----------------------------------------------------------------------------------


def bound_of(name: str, values: dict[str, torch.Tensor], upstream: torch.Tensor) -> list[float]:
    """For the output and each gradient, what its rounding is relative to."""
    given = dict(kernels.constants(name)) | {n: v for n, v in (("eps", 1e-3), ("ddof", 1.0)) if n in kernels.constants(name)}
    output, _, _ = kernels.expected(name, values, upstream, given)
    bounds = kernels.term_bounds(name, values, upstream, given)
    noise = max(float(upstream.abs().max()) if upstream.numel() else 0.0, *bounds)
    return [max(float(output.abs().max()) if output.numel() else 0.0, 1e-3), *(b or noise for b in bounds)]


@every
@both
@pytest.mark.parametrize("seed", range(6))
def test_forward_backward_equals_forward_and_backward(name: str, dtype: Any, seed: int) -> None:
    """Random shapes and ranks, arguments contiguous or rows of something wider, into fresh memory or ``out``."""
    rng = np.random.default_rng(seed)
    wide = kernels.inputs(name, rng, low=2, star=seed % 4)
    inputs = {n: v.numpy().astype(dtype) if v.is_floating_point() else v.numpy() for n, v in wide.items()}
    env = complete(name, inputs, seed)
    function, backward = native(name, "forward_backward"), native(name, "backward")
    outputs = [env[t.name] for t in kernels.kernel(name).op.outputs]
    apart = [*outputs, *called(backward, arguments(backward, env))]
    values = [padded(v) if seed % 2 and v.ndim > 1 and v.dtype.kind == "f" else v for v in arguments(function, env)]
    out = [None if k < function._out_from or seed % 3 == 0 else np.full_like(r, np.nan) for k, r in enumerate(apart)]
    together = called(function, values, out)
    exact = {n: torch.as_tensor(v).double() if v.dtype.kind == "f" else torch.as_tensor(v) for n, v in inputs.items()}
    upstream = torch.as_tensor(env[f"d{kernels.kernel(name).op.outputs[0].name}"]).double()
    rounding = 1e-12 if dtype == np.float64 else 64 * float(np.finfo(np.float32).eps)
    for got, want, bound, target in zip(together, apart, bound_of(name, exact, upstream), out, strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype == dtype
        assert target is None or np.shares_memory(got, target)
        assert not got.size or float(np.abs(got.astype(float) - want).max()) <= rounding * bound


def padded(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same values as the leading part of rows that are 3 longer, NaN beyond."""
    wider = np.full((*array.shape[:-1], array.shape[-1] + 3), np.nan, dtype=array.dtype)
    view = wider[..., : array.shape[-1]]
    view[...] = array
    return view


@functions
def test_rows_of_something_wider_give_the_same(name: str, kind: str) -> None:
    """Each argument in turn stands in a larger array, along each of its axes."""
    env = complete(name, sized_small(name, np.float64), 3)
    function = native(name, kind)
    values = arguments(function, env)
    plain = called(function, values)
    for k, value in enumerate(values):
        for axis in range(value.ndim if value.dtype.kind == "f" else 0):
            wider = np.full([n + 3 * (a == axis) for a, n in enumerate(value.shape)], np.nan)
            view = wider[tuple(slice(0, n) for n in value.shape)]
            view[...] = value
            found = called(function, [*values[:k], view, *values[k + 1 :]])
            for tensor, got, want in zip(function._results, found, plain, strict=True):
                assert np.allclose(got, want, rtol=1e-9, atol=1e-12), f"{tensor.name} for {function._names[k]}, axis {axis}"


def sized_small(name: str, dtype: Any, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of a few rows."""
    size = {a: 4 + k for k, a in enumerate("n d c h k v b e u i j f m".split())}
    return sized(name, size | {"s": (3, 2)}, dtype, seed)


def test_the_gradient_of_a_loss_may_be_left_out() -> None:
    function = native("softmax_cross_entropy", "forward_backward")
    z, t = sized("softmax_cross_entropy", {"n": 5, "c": 7}, np.float64).values()
    assert all(same(np.asarray(a), np.asarray(b)) for a, b in zip(function(z, t), function(z, t, 1.0), strict=True))
    assert np.allclose(function(z, t, dloss=3.0)[1], 3 * function(z, t)[1], rtol=1e-14)


# ---- in place ----------------------------------------------------------------------------------------------------------


def in_place(function: Any, env: Mapping[str, Any]) -> None:
    """Every result over every argument that it may replace, alone and together with others."""
    fresh = called(function, [v.copy() for v in arguments(function, env)])
    pairs = sorted(p for p in function._over if p[0] >= function._out_from)
    groups = [(p,) for p in pairs] + [g for g in itertools.combinations(pairs, 2) if apart(g)] + together(pairs)
    for group in groups:
        values = [v.copy() for v in arguments(function, env)]
        out: list[Any] = [None] * len(fresh)
        for r, a in group:
            out[r] = values[a]
        found = called(function, values, out)
        for k, (tensor, got, want) in enumerate(zip(function._results, found, fresh, strict=True)):
            shown = ", ".join(f"{function._results[r].name} over {function._names[a]}" for r, a in group)
            assert same(got, want), f"{tensor.name} differs with {shown}"
            assert out[k] is None or np.shares_memory(got, out[k])


def apart(group: Sequence[tuple[int, int]]) -> bool:
    return len({r for r, _ in group}) == len({a for _, a in group}) == len(group)


def together(pairs: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, int], ...]]:
    """As many pairs at once as there can be, chosen from the front and from the back."""
    found = []
    for order in (pairs, list(reversed(pairs))):
        chosen: list[tuple[int, int]] = []
        for pair in order:
            if apart([*chosen, pair]):
                chosen.append(pair)
        found.append(tuple(chosen))
    return [g for g in found if len(g) > 2]


OVER = [(n, k) for n, k in FUNCTIONS if native(n, k)._over]
over = pytest.mark.parametrize(("name", "kind"), OVER, ids=[f"{n}_{k}" for n, k in OVER])


@over
@both
def test_in_place_gives_the_same_bits(name: str, kind: str, dtype: Any, two_threads: None) -> None:
    """On one thread and on two; batchnorm also without further axes, for which it has other loops."""
    for size in (None, large(name), *([{"n": 190, "d": 181, "s": ()}] if name == "batchnorm" else [])):
        inputs = sized_small(name, dtype) if size is None else sized(name, size, dtype)
        in_place(native(name, kind), complete(name, inputs))


@over
def test_in_place_gives_the_same_bits_past_the_cache(name: str, kind: str, streaming: Any, two_threads: None) -> None:
    """The path of results that are larger than the cache, which are written a row late."""
    for size in (None, large(name), *([{"n": 190, "d": 181, "s": ()}] if name == "batchnorm" else [])):
        inputs = sized_small(name, np.float32) if size is None else sized(name, size, np.float32)
        in_place(getattr(streaming(name), f"{name}_{kind}"), complete(name, inputs))


@functions
def test_results_past_the_cache_have_the_same_values(name: str, kind: str, streaming: Any, two_threads: None) -> None:
    for inputs in (sized_small(name, np.float32), sized(name, large(name), np.float32)):
        env = complete(name, inputs)
        function = native(name, kind)
        plain = called(function, arguments(function, env))
        found = called(getattr(streaming(name), f"{name}_{kind}"), arguments(function, env))
        for tensor, got, want in zip(function._results, found, plain, strict=True):
            assert np.allclose(got, want, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(want).max()))), tensor.name


@functions
def test_other_overlaps_are_refused(name: str, kind: str) -> None:
    """A result over an argument that it may not replace, over part of one that it may, and over another result."""
    function = native(name, kind)
    env = complete(name, sized_small(name, np.float64))
    values = arguments(function, env)
    results = called(function, values)
    for r, result in enumerate(results):
        if r < function._out_from:
            continue
        for a, value in enumerate(values):
            if value.dtype.kind != "f" or not value.ndim:
                continue
            memory = np.zeros(value.size + 1 + result.size)
            moved = memory[: value.size].reshape(value.shape)
            moved[...] = value
            shifted = memory[1 : 1 + result.size].reshape(result.shape)
            whole = memory[: result.size].reshape(result.shape)
            given = [*values[:a], moved, *values[a + 1 :]]
            for target in (shifted, *([] if (r, a) in function._over else [whole])):
                out: list[Any] = [None] * len(results)
                out[r] = target
                with pytest.raises(ValueError, match="overlap"):
                    called(function, given, out)
    pairs = [p for p in itertools.combinations(range(function._out_from, len(results)), 2)]
    for r, other in pairs:
        if results[r].shape == results[other].shape and results[r].size:
            out = [None] * len(results)
            out[r] = out[other] = np.zeros_like(results[r])
            with pytest.raises(ValueError, match="overlap"):
                called(function, values, out)


def test_the_gradient_of_a_cross_entropy_may_replace_the_logits() -> None:
    z, t = sized("softmax_cross_entropy", {"n": 300, "c": 190}, np.float32).values()
    function = native("softmax_cross_entropy", "forward_backward")
    loss, dz = function(z, t)
    given = z.copy()
    found, replaced = function(given, t, out=given)
    assert replaced is given and same(np.asarray(found), np.asarray(loss)) and same(given, dz)


# ---- a training step ---------------------------------------------------------------------------------------------------

STEP = {"n": 32, "b": 3, "v": 27, "e": 10, "h": 64}


@both
@pytest.mark.parametrize("size", [STEP, large("mlp"), {"n": 2, "b": 1, "v": 1, "e": 1, "h": 1}], ids=["small", "large", "tiny"])
def test_a_step_takes_the_gradients_away(size: dict[str, int], dtype: Any, two_threads: None) -> None:
    inputs = sized("mlp", size, dtype)
    loss, *gradients = native("mlp", "forward_backward")(*inputs.values())
    found, *stepped = native("mlp", "step")(*inputs.values(), 0.3)
    assert abs(float(found) - float(loss)) <= 8 * np.finfo(dtype).eps * max(1.0, abs(float(loss)))
    names = [t.name for t in kernels.kernel("mlp").op.differentiable]
    for name, new, gradient in zip(names, stepped, gradients, strict=True):
        want = inputs[name] - dtype(0.3) * gradient
        scale = float(np.abs(inputs[name]).max() + np.abs(gradient).max())
        assert float(np.abs(new - want).max()) <= 32 * np.finfo(dtype).eps * scale, name
    # All parameters at once in their own memory.
    copies = {n: v.copy() for n, v in inputs.items()}
    native("mlp", "step")(*copies.values(), 0.3, out=tuple(copies[n] for n in names))
    assert all(same(copies[n], new) for n, new in zip(names, stepped, strict=True))


def packed(library: ctypes.CDLL, bits: int, size: Mapping[str, int], inputs: Mapping[str, Any]) -> tuple[int, list[Any]]:
    """A step by the C function of arrays itself: what it returns, and the results."""
    function = native("mlp", "step")
    dtype = np.float32 if bits == 32 else np.float64
    data = [np.array(v, dtype=np.int64 if v.dtype.kind == "i" else dtype) for v in inputs.values()]
    results = [np.full([size[a] for a in t.axes], np.nan, dtype) for t in function._results]
    pointers = [a.ctypes.data for a in (*data, *results)]
    entry = getattr(library, f"mlp_step_f{bits}_packed")
    answer = entry(
        (ctypes.c_int64 * len(function._axes))(*(size[a] for a in function._axes)),
        (ctypes.c_void_p * len(pointers))(*pointers),
        (ctypes.c_void_p * len(pointers))(),
        (ctypes.c_double * 2)(0.3, 1e-5),
    )
    return answer, results


@pytest.mark.parametrize("bits", [32, 64])
def test_a_step_with_lengths_fixed_gives_the_same_bits(bits: int) -> None:
    """And refuses other lengths, without writing anything."""
    library = _build.load("mlp", {"REAL_BITS": bits, **{f"FIXED_{a}": n for a, n in STEP.items()}})
    inputs = sized("mlp", STEP, np.float32 if bits == 32 else np.float64)
    answer, found = packed(library, bits, STEP, inputs)
    _, free = packed(_build.load("mlp", {"REAL_BITS": bits}), bits, STEP, inputs)
    assert answer == 0 and all(np.isfinite(f).all() for f in found)
    assert all(same(a, b) for a, b in zip(found, free, strict=True))
    for axis in STEP:
        other = STEP | {axis: STEP[axis] + 1}
        answer, found = packed(library, bits, other, sized("mlp", other, np.float32))
        assert answer == 4 and all(np.isnan(f).all() for f in found), axis


# ---- the same from run to run --------------------------------------------------------------------------------------------

REPEATED = """
import hashlib, sys
import numpy as np
import generated.native as native
rng = np.random.default_rng(0)
def array(*shape): return rng.normal(size=shape).astype(sys.argv[2])
def labels(high, *shape): return rng.integers(0, high, shape)
x, w, dy = array(300, 211), array(211), array(300, 211)
q, k, v = array(2, 130, 9), array(2, 131, 9), array(2, 131, 20)
mlp = (labels(27, 300, 3), labels(27, 300), array(27, 10), array(30, 128), *(array(128) for _ in range(3)),
       array(128, 27), array(27))
calls = {
    "batchnorm": lambda: native.batchnorm_forward_backward(x, w, w, dy),
    "batchnorm with axes": lambda: native.batchnorm_forward_backward(
        x.reshape(60, 5, 211), w[:5], w[:5], dy.reshape(60, 5, 211)),
    "layernorm": lambda: native.layernorm_forward_backward(x, w, w, dy),
    "rmsnorm": lambda: native.rmsnorm_forward_backward(x, w, dy),
    "softmax": lambda: native.softmax_forward_backward(x, dy),
    "log_softmax": lambda: native.log_softmax_forward_backward(x, dy),
    "cross-entropy": lambda: native.softmax_cross_entropy_forward_backward(x, np.arange(300) % 211),
    "gelu": lambda: native.gelu_forward_backward(x, dy),
    "linear": lambda: native.linear_forward_backward(x, array_w, w[:77], array_dy),
    "matmul": lambda: native.matmul_forward_backward(x, array_w, array_dy),
    "embedding": lambda: native.embedding_forward_backward(array_table, rows, dy),
    "attention": lambda: native.attention_forward_backward(q, k, v, array_do),
    "mlp": lambda: native.mlp_step(*mlp, 0.1),
}
array_w, array_dy, array_table = array(211, 77), array(300, 77), array(50, 211)
rows, array_do = labels(50, 300), array(2, 130, 20)
for repeat in range(int(sys.argv[1])):
    for name, call in calls.items():
        print(name, hashlib.sha256(b"".join(np.asarray(r).tobytes() for r in call())).hexdigest(), sep=": ")
"""


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_number_of_threads_always_gives_the_same_bits(threads: int) -> None:
    """Several times in one process, and in another one."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", "OMP_DYNAMIC": "false"}
    environment |= {"OPENBLAS_NUM_THREADS": str(threads), "PYTHONPATH": str(NATIVE.parent.parent)}
    found: dict[str, set[str]] = {}
    for repeats, dtype in itertools.product(("4", "2"), ("float32", "float64")):
        command = [sys.executable, "-c", REPEATED, repeats, dtype]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "NumPy kernels serve" not in done.stderr
        for line in done.stdout.splitlines():
            name, digest = line.split(": ")
            found.setdefault(f"{name} in {dtype}", set()).add(digest)
    assert len(found) == 26
    assert not [name for name, digests in found.items() if len(digests) > 1]


def test_fewer_threads_than_asked_for_change_no_value(monkeypatch: pytest.MonkeyPatch, two_threads: None) -> None:
    """OpenMP may always give a region fewer threads (OMP_DYNAMIC, a limit, nested calls): all rows are still written."""
    monkeypatch.setenv("BACKPROP_NINJA_CFLAGS", "'-Dnum_threads(count)=num_threads(1)' -O1")
    function = streamed.__wrapped__("embedding").embedding_backward
    env = complete("embedding", sized("embedding", large("embedding"), np.float64))
    out = [np.full(env["table"].shape, np.nan)]
    want = called(native("embedding", "backward"), arguments(function, env))
    assert np.allclose(called(function, arguments(function, env), out)[0], want[0])


# ---- sanitizers ----------------------------------------------------------------------------------------------------------

#: What calls every function of an op on many lengths: buffers of exactly the size that is needed, labels in range,
#: arguments contiguous and not. Every element of a result has to be written.
DRIVER = r"""
#include <stdio.h>

typedef int entry_point(const int64_t *size, void *const *data, const int64_t *const *strides, const double *constants);
typedef struct { int rank, axes[4], labels; } tensor;
typedef struct { const char *name; entry_point *entry; int axes, arguments, results; tensor tensors[24]; } function;

static uint64_t state = 88172645463325252u;
static uint64_t next(void) { return state ^= state << 13, state ^= state >> 7, state ^= state << 17; }

static int64_t count(tensor t, const int64_t *size) {
    int64_t n = 1;
    for (int k = 0; k < t.rank; ++k) n *= size[t.axes[k]];
    return n;
}

static int run(const function *f, const int64_t *size, int64_t pad) {
    void *data[24], *memory[24];
    int64_t strides[24][4];
    const int64_t *given[24];
    const double constants[2] = {0.5, 0.5};
    int expected = 0;
    for (int k = 0; k < f->arguments + f->results; ++k) {
        const tensor t = f->tensors[k];
        const int64_t n = count(t, size);
        given[k] = NULL;
        if (t.labels >= 0) {
            int64_t *labels = memory[k] = malloc((size_t)n * sizeof *labels);
            for (int64_t i = 0; i < n; ++i) labels[i] = size[t.labels] ? (int64_t)(next() % (uint64_t)size[t.labels]) : 0;
            if (n && !size[t.labels]) expected = LABEL_OUT_OF_RANGE;
        } else if (k < f->arguments) {
            int64_t whole = n;
            if (pad && t.rank > 1 && n) {
                /* Rows are pad longer, and the last one ends where the buffer does. */
                int64_t inner = size[t.axes[t.rank - 1]];
                for (int a = t.rank - 1; a-- > 0;) {
                    strides[k][a] = inner + pad;
                    inner = (inner + pad) * size[t.axes[a]];
                }
                strides[k][t.rank - 1] = 1;
                given[k] = strides[k];
                whole = 1;
                for (int a = 0; a < t.rank; ++a) whole += (size[t.axes[a]] - 1) * strides[k][a];
            }
            real *values = memory[k] = malloc((size_t)whole * sizeof *values);
            for (int64_t i = 0; i < whole; ++i) values[i] = (real)((double)(next() % 4001) / 1000 - 2);
        } else {
            memory[k] = malloc((size_t)n * sizeof(real));
            memset(memory[k], 0x5a, (size_t)n * sizeof(real));
        }
        data[k] = memory[k];
    }
    const int answer = f->entry(size, data, given, constants);
    int failed = answer != expected && !(pad && answer == NOT_CONTIGUOUS);
    if (failed) printf("%s returned %d\n", f->name, answer);
    real unwritten;
    memset(&unwritten, 0x5a, sizeof unwritten);
    for (int k = f->arguments; k < f->arguments + f->results; ++k)
        for (int64_t i = 0; !answer && i < count(f->tensors[k], size); ++i)
            if (!memcmp((real *)memory[k] + i, &unwritten, sizeof unwritten)) {
                printf("%s: result %d, element %lld is not written\n", f->name, k - f->arguments, (long long)i);
                failed = 1;
                break;
            }
    for (int k = 0; k < f->arguments + f->results; ++k) free(memory[k]);
    return failed;
}
"""
LENGTHS = (0, 1, 2, 3, 17, 65, 130)


def lengths(axes: int, seed: int) -> list[tuple[int, ...]]:
    """Lengths of all axes: every one of LENGTHS on every axis, in products that stay small."""
    rng = np.random.default_rng(seed)
    found = {(n,) * axes for n in LENGTHS[:4]}
    for axis, n in itertools.product(range(axes), LENGTHS):
        for _ in range(3):
            size = [int(rng.choice(LENGTHS[1:])) for _ in range(axes)]
            size[axis] = n
            while math.prod(max(k, 1) for k in size) > 40_000:
                widest = max((k for k in range(axes) if k != axis), key=lambda k: size[k])
                size[widest] = LENGTHS[LENGTHS.index(size[widest]) - 1]
            found.add(tuple(size))
    return sorted(found)


def driver(name: str) -> str:
    """A C program that calls every function of an op, from the descriptions of the functions."""
    tables: list[str] = []
    functions: list[str] = []
    for kind in KINDS:
        if (name, kind) not in FUNCTIONS:
            continue
        f = native(name, kind)
        number = {axis: k for k, axis in enumerate(f._axes)}
        tensors = []
        for t in (*f._arguments, *f._results):
            axes = ", ".join(str(number[f._same.get(a, a)]) for a in t.axes) or "0"
            labels = number[f._same.get(t.labels, t.labels)] if t.labels else -1
            tensors.append(f"{{{len(t.axes)}, {{{axes}}}, {labels}}}")
        sizes = lengths(len(f._axes), len(functions))
        rows = ", ".join("{" + ", ".join(map(str, s)) + "}" for s in sizes)
        tables.append(f"static const int64_t sizes_{kind}[][{len(f._axes)}] = {{{rows}}};")
        described = (
            f'{{"{name}_{kind}", PACKED({name}_{kind}), {len(f._axes)}, {len(f._arguments)}, {len(f._results)}, '
            f"{{{', '.join(tensors)}}}}}"
        )
        functions.append(
            f"    const function {kind} = {described};\n"
            f"    for (int k = 0; k < {len(sizes)}; ++k) failed |= run(&{kind}, sizes_{kind}[k], 0) | "
            f"run(&{kind}, sizes_{kind}[k], 3);"
        )
    main = "int main(void) {\n    int failed = 0;\n" + "\n".join(functions) + "\n    return failed;\n}\n"
    return DRIVER + "\n".join(tables) + "\n" + main


def built(text: str, flags: Sequence[str], name: str) -> Path:
    """A program from C source, kept beside the compiled kernels under a name that says what it was made of."""
    assert COMPILER is not None
    digest = hashlib.sha256("\0".join([text, *flags, *COMPILER.command, COMPILER.version, _build.cpu()]).encode()).hexdigest()
    target = _build.cache_folder() / f"{name}-{digest[:40]}"
    if not target.exists():
        partial = target.with_suffix(f".{os.getpid()}")
        command = [*COMPILER.command, *flags, "-x", "c", "-", "-o", str(partial), "-lm"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        partial.replace(target)
    return target


SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")


@cache
def sanitizers() -> bool:
    """Whether programs can be made with the sanitizers and run."""
    try:
        program = built("int main(void) { return 0; }", SANITIZE, "sanitized-probe")
        return subprocess.run([program], capture_output=True, check=False).returncode == 0
    except AssertionError:
        return False


def flags_of_programs() -> list[str]:
    """The flags of the kernels but for those that make a library of them."""
    assert COMPILER is not None
    return [f for f in COMPILER.flags if f not in ("-shared", "-O3")]


@every
@pytest.mark.parametrize("bits", [32, 64])
def test_no_access_is_out_of_bounds_and_no_behaviour_undefined(name: str, bits: int) -> None:
    """Under the sanitizers of addresses, leaks and undefined behaviour, in a program of C alone on two threads.

    Threads already serve few rows here. float32 takes the path past the cache, float64 the other one.
    """
    if not sanitizers():
        pytest.skip("the compiler has no sanitizers")
    source = (NATIVE / f"{name}.c").read_text(encoding="utf-8")
    text = source.replace("#define PARALLEL_ABOVE 32768", "#define PARALLEL_ABOVE 100")
    assert text != source
    # Every call has scratch memory of its own, so that none is larger than it should be.
    text, kept = re.subn(r"#define KEPT_BELOW .*", "#define KEPT_BELOW 0", text)
    assert kept == ("give_back(" in text)
    flags = [*flags_of_programs(), *SANITIZE, f"-DREAL_BITS={bits}", *(["-DSTREAM_ABOVE=0"] if bits == 32 else [])]
    program = built(text + driver(name), flags, f"sanitized-{name}")
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive", "ASAN_OPTIONS": "detect_leaks=1"}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-6000:]}"


# ---- plain C -------------------------------------------------------------------------------------------------------------


def compiles(command: Sequence[str], text: str, language: str) -> None:
    done = subprocess.run(
        [*command, "-x", language, "-", "-c", "-o", os.devnull], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[:3000]


STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")


@every
@pytest.mark.parametrize("bits", [32, 64])
def test_a_source_compiles_without_a_warning(name: str, bits: int) -> None:
    """With its header before it, with the flags of its first lines, and with no flag at all but for the warnings."""
    assert COMPILER is not None
    text = (NATIVE / f"{name}.h").read_text(encoding="utf-8") + (NATIVE / f"{name}.c").read_text(encoding="utf-8")
    defines = [f"-DREAL_BITS={bits}"]
    compiles([*COMPILER.command, *flags_of_programs(), *STRICT, *defines], text, "c")
    compiles([*COMPILER.command, "-std=c11", *STRICT, "-Wno-unknown-pragmas", *defines], text, "c")


@every
def test_a_header_is_also_one_of_cpp(name: str) -> None:
    compiler = next((c for c in ("c++", "g++", "clang++") if shutil.which(c)), None)
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    text = (NATIVE / f"{name}.h").read_text(encoding="utf-8")
    use = f"void *used[] = {{(void *){name}_forward_f32, (void *){name}_backward_f64}};"
    compiles([compiler, "-Wall", "-Wextra", "-Werror"], text + text + use, "c++")


PROGRAM = r"""
#include <stdio.h>
#include "batchnorm.h"

int main(void) {
    enum { N = 5, D = 3, S = 2 };
    const int64_t strides[] = {11, 3, 1}, dense[] = {6, 2, 1};
    float dy[N * 11], xhat[N * D * S], rstd[D] = {0.5f, 2.0f, 1.25f}, gamma[D] = {1.5f, -2.0f, 0.25f};
    float dx[N * D * S], dgamma[D], dbeta[D];
    for (int k = 0; k < N * 11; ++k) dy[k] = (float)((k * 7) % 13 - 6) / 4;
    for (int k = 0; k < N * D * S; ++k) xhat[k] = (float)((k * 5) % 11 - 5) / 2;
    if (batchnorm_backward_f32(N, D, S, dy, strides, xhat, dense, rstd, gamma, 1, dx, dgamma, dbeta)) return 1;
    for (int k = 0; k < N * D * S; ++k) printf("%.9g\n", dx[k]);
    for (int k = 0; k < D; ++k) printf("%.9g\n%.9g\n", dgamma[k], dbeta[k]);
    return 0;
}
"""


def test_a_program_of_ones_own_calls_a_kernel_with_strides(tmp_path: Path) -> None:
    assert COMPILER is not None
    (tmp_path / "own.c").write_text(PROGRAM, encoding="utf-8")
    program = tmp_path / "own"
    command = [*COMPILER.command, "-std=c11", "-O1", f"-I{NATIVE}", str(tmp_path / "own.c"), str(NATIVE / "batchnorm.c")]
    subprocess.run([*command, "-o", str(program), "-lm"], check=True, capture_output=True)
    printed = [float(v) for v in subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()]
    rows = ((np.arange(55) * 7) % 13 - 6).reshape(5, 11) / 4
    dy = np.stack([rows[:, 0:2], rows[:, 3:5], rows[:, 6:8]], axis=1)
    xhat = (((np.arange(30) * 5) % 11 - 5) / 2).reshape(5, 3, 2)
    rstd, gamma = np.array([0.5, 2.0, 1.25]), np.array([1.5, -2.0, 0.25])
    dx, dgamma, dbeta = kernels.module("batchnorm", "numpy").batchnorm_backward(dy, xhat, rstd, gamma, ddof=1)
    want = [*dx.ravel(), *np.stack([dgamma, dbeta], axis=1).ravel()]
    assert np.allclose(printed, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["matmul", "tanh"])
def test_both_precisions_link_into_one_program(name: str, tmp_path: Path) -> None:
    """Compiled once each, as the first lines of a source say."""
    assert COMPILER is not None
    objects = []
    for bits in (32, 64):
        objects.append(str(tmp_path / f"{bits}.o"))
        command = [*COMPILER.command, "-std=c11", f"-DREAL_BITS={bits}", "-c", str(NATIVE / f"{name}.c"), "-o", objects[-1]]
        subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "main.c").write_text(
        f'#include "{name}.h"\nint main(void) {{ return !{name}_forward_f32 || !{name}_forward_f64; }}', encoding="utf-8"
    )
    command = [*COMPILER.command, f"-I{NATIVE}", str(tmp_path / "main.c"), *objects, "-o", str(tmp_path / "main"), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@every
def test_indices_have_64_bits(name: str) -> None:
    """No loop variable and no parameter for a length is narrower; what counts threads or vectors of a tile is few."""
    text = (NATIVE / f"{name}.c").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    few = {"thread", "t", "v", "r", "k"}
    for kind, variable, limit in re.findall(r"for \((\w+) (\w+) = [^;]*; \w+ \S+ ([^;]+);", text):
        assert kind == "int64_t" or (variable in few and re.fullmatch(r"threads|rows( \* vectors)?|vectors", limit)), variable
    for name, limit in re.findall(r"\b(?:int|unsigned|long|short|int32_t|size_t) (?:const )?(\w+) = ([^;]*);", text):
        assert "size_" not in limit or name.endswith("threads") or name == "streaming", f"{name} = {limit}"
    assert not re.search(r"\(int\)|\(unsigned\)|\(int32_t\)", text)


@pytest.mark.skipif("BACKPROP_NINJA_BIG" not in os.environ, reason="needs 20 GB of memory; set BACKPROP_NINJA_BIG to run it")
def test_more_elements_than_32_bits_count() -> None:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if free < 20 * 2**30:
        pytest.skip("needs 20 GB of memory")
    x = np.zeros(2**31 + 5, np.float32)
    x[-3:] = 0.5, 1.0, -1.0
    y, _ = native("tanh", "forward")(x, out=(x,))
    assert np.allclose(y[-3:], np.tanh([0.5, 1.0, -1.0])) and not y[:-3].any()


# ---- short axes, special values, rounding --------------------------------------------------------------------------------


def lengths_with(name: str) -> Iterator[dict[str, Any]]:
    """Lengths with 0 or 1 on each axis in turn and on all at once, and no axis at all in place of a star."""
    op = kernels.kernel(name).op
    axes = dict.fromkeys(a for t in op.inputs for a in (*t.axes, *([t.indexed] if t.indexed else [])))
    plain: dict[str, Any] = {a: 4 + k for k, a in enumerate("n d c h k v b e u i j f m".split())} | {"s": (3, 2)}
    for n in (0, 1):
        for axis in axes:
            yield from ([plain | {"s": (n, 2)}, plain | {"s": (2, n)}] if axis in op.stars else [plain | {axis: n}])
        yield {a: (n,) if a in op.stars else n for a in axes}
    yield plain | {"s": ()}


@every
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_axes_of_length_0_and_1_give_what_numpy_gives(name: str) -> None:
    """Values and NaN masks; where NumPy's kernel divides by the integer 0, everything native is still written."""
    k, module = kernels.kernel(name), kernels.module(name, "numpy")
    checked = 0
    for size in lengths_with(name):
        try:
            inputs = sized(name, size, np.float64)
        except ValueError:  # labels of nothing
            continue
        forward = native(name, "forward")
        try:
            returned = getattr(module, f"{name}_forward")(*inputs.values(), **constants(forward))
        except ZeroDivisionError:
            assert name == "makemore" and size["n"] < 2
            continue
        env = complete(name, inputs)
        want = {t.name: np.asarray(r) for t, r in zip(forward._results, forward._flat(returned), strict=True)}
        for t in forward._results:
            agrees(env[t.name], want[t.name], f"{t.name} for {size}")
        env |= want
        backward, together = native(name, "backward"), native(name, "forward_backward")
        try:
            gradients = getattr(module, f"{name}_backward")(*arguments(backward, env), **constants(backward))
        except ValueError as error:  # the length of an axis beside an empty one, in a packed axis of length 0
            assert "which leaves that of" in str(error)
            with pytest.raises(ValueError, match="which leaves that of"):
                called(backward, arguments(backward, env))
            continue
        gradients = gradients if len(k.backward.results) > 1 else (gradients,)
        found = called(together, arguments(together, env))
        for t, got, other, right in zip(
            backward._results, called(backward, arguments(backward, env)), found[len(k.op.outputs) :], gradients, strict=True
        ):
            agrees(got, right, f"{t.name} for {size}")
            agrees(other, right, f"{t.name} together for {size}")
        checked += 1
    assert checked > 3


def agrees(got: Any, want: Any, shown: str) -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, shown
    assert np.array_equal(np.isnan(got), np.isnan(want)), shown
    assert np.allclose(got, want, rtol=1e-9, atol=1e-11, equal_nan=True), shown


SPECIAL = {
    "NaN": [np.nan],
    "infinite": [np.nan, np.inf, -np.inf],
    "huge and tiny": [1e18, -1e18, 1e-18, 1e-42, -1e-42, 0.0, -0.0, 88.0, -104.0, 200.0, -800.0],
}
#: Where torch's own function differs from the op's equations as torch evaluates them: masks of its fused
#: kernels, and gradients that the derivation knows to be exactly 0.
OWN = {
    ("gelu", "infinite", "y"),
    ("attention", "infinite", "o"),
    ("attention", "infinite", "dq"),
    ("batchnorm", "infinite", "y"),
    ("layernorm", "infinite", "dx"),
    *((name, kind, "db1") for name in ("mlp", "makemore") for kind in SPECIAL),
}


@every
@both
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_and_infinity_are_where_torch_has_them(name: str, kind: str, dtype: Any) -> None:
    """Sprinkled over inputs and upstream gradients: as the same equations in torch, and as torch's own function."""
    output, base = kernels.kernel(name).op.outputs[0].name, kernels.kernel(name).op.base
    names = [output, *kernels.kernel(name).backward.results]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        inputs = sized_small(name, dtype, seed)
        for v in inputs.values():
            if v.dtype.kind == "f":
                chosen = rng.random(v.shape) < (0.02 if seed % 2 else 0.15)
                v[chosen] = rng.choice(SPECIAL[kind], int(chosen.sum())).astype(dtype)
        values = {n: torch.from_numpy(v) for n, v in inputs.items()}
        given = kernels.constants(name)
        _, upstream, _ = kernels.expected(name, values, None, given)
        if seed % 4 > 1 and upstream.ndim:
            chosen = rng.random(tuple(upstream.shape)) < 0.05
            upstream = upstream.clone()
            upstream[torch.from_numpy(chosen)] = torch.from_numpy(rng.choice(SPECIAL[kind], int(chosen.sum())).astype(dtype))
        own, _, gradients = kernels.expected(name, values, upstream, given)
        found, computed = kernels.run(name, "native", values, upstream, given)
        same_found, same_computed = kernels.run(name, "torch", values, upstream, given)
        for n, got, equations, theirs in zip(
            names, [found, *computed], [same_found, *same_computed], [own, *gradients], strict=True
        ):
            for mask in (torch.isnan, torch.isinf):
                assert torch.equal(mask(got), mask(equations)), f"{n}, seed {seed}"
                # What overflows in torch's own order of operations only is not the kernels' matter.
                assert kind == "huge and tiny" or (base, kind, n) in OWN or torch.equal(mask(got), mask(theirs)), (
                    f"{n}, seed {seed}"
                )


SQUARE: dict[str, dict[str, Any]] = {
    "batchnorm": {"n": 1000, "d": 1000, "s": ()},
    "gelu": {"s": (1000, 1000)},
    "layernorm": {"s": (1000,), "d": 1000},
    "rmsnorm": {"s": (1000,), "d": 1000},
    "softmax": {"s": (1000,), "c": 1000},
    "softmax_cross_entropy": {"n": 1000, "c": 1000},
    "tanh": {"s": (1000, 1000)},
}


#: The inlined tanh is within 1.5 ULP, torch's within 1.
LESS_EXACT = pytest.mark.xfail(reason="tanh in float32 is off by up to 1.4 ULP where torch's is by 1", strict=True)


@pytest.mark.parametrize("name", [pytest.param(n, marks=LESS_EXACT) if n == "tanh" else n for n in SQUARE])
def test_float32_is_as_exact_as_torch(name: str) -> None:
    """Root mean square and largest error against float64, over seeds; half an ULP of the largest entry is exact."""
    ours: dict[str, list[np.ndarray[Any, Any]]] = {}
    names = [kernels.kernel(name).op.outputs[0].name, *kernels.kernel(name).backward.results]
    given = kernels.constants(name)
    for seed in range(3):
        values = {n: torch.from_numpy(v) for n, v in sized(name, SQUARE[name], np.float32, seed).items()}
        output, upstream, gradients = kernels.expected(name, values, None, given)
        wide = {n: v.double() if v.is_floating_point() else v for n, v in values.items()}
        exact, _, exact_gradients = kernels.expected(name, wide, upstream.double(), given)
        found, computed = kernels.run(name, "native", values, upstream, given)
        for n, got, theirs, want in zip(
            names, [found, *computed], [output, *gradients], [exact, *exact_gradients], strict=True
        ):
            half = float(np.spacing(np.float32(want.abs().max()))) / 2
            errors = [(v.double() - want).abs() / half for v in (got, theirs)]
            ours.setdefault(n, []).append(np.array([[float((e**2).mean()), float(e.max())] for e in errors]))
    for n, each in ours.items():
        (mean, largest), (their_mean, their_largest) = np.mean(each, axis=0)
        assert math.sqrt(mean) <= max(1.1 * math.sqrt(their_mean), 1.0), n
        assert largest <= max(1.5 * their_largest, 2.0), n
