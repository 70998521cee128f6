"""The elementary functions of the native kernels, compiled and measured: their error in ULP, and what they give at the ends."""

from __future__ import annotations

import ctypes
import math
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import codegen

FOLDER = Path(codegen.__file__).parent / "backends/native/templates" / "functions"
TEXTS = {path.name.removesuffix(".c.j2"): path.read_text() for path in sorted(FOLDER.glob("*.c.j2"))}
NAMES = sorted(TEXTS)

COMPILER = shutil.which("gcc") or shutil.which("cc")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) on this machine")

#: As the kernels are compiled, and with neither vectors nor fused multiply-add.
OPTIONS = {
    "vectorised": ("-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math"),
    "contracted": ("-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    "plain": ("-O1", "-ffp-contract=off"),
}
BITS = (32, 64)
ALLOWED = 2.0  # ULP

PREAMBLE = """
#include <math.h>
#include <stdint.h>
#include <string.h>
#if REAL_BITS == 64
typedef double real;
#else
typedef float real;
#endif
"""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Reference:
    """What a function should give: in float64, to check float32 by, and in mpmath, to check float64 by.

    ``edges`` are the |x| about which both are sampled densely: where a snippet or the result changes its form.
    """

    float64: Callable[[Array], Array]
    exact: Callable[[Any], Any]
    edges: tuple[float, ...]


def torch_function(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Array], Array]:
    return lambda x: function(torch.from_numpy(np.ascontiguousarray(x))).numpy()


HALF_LN2 = math.log(2) / 2
#: Where e^x overflows and where it vanishes, in float32 and in float64.
ENDS = (
    87.336545,
    88.72284,
    103.27893,
    103.972,
    104.0,
    708.39641853226,
    709.78271289338,
    744.44007192138,
    745.1332191019,
    746.0,
)


def far_erfcx(x: Any) -> Any:
    """The asymptotic series of exp(x**2)*erfc(x), as far as it counts for large x."""
    t = 1 / (2 * x * x)
    return (1 - t * (1 - 3 * t * (1 - 5 * t * (1 - 7 * t)))) / (x * mpmath.sqrt(mpmath.pi))


def scaled_erfc(x: Array) -> Array:
    """torch's own is off by up to 7 ULP of float64, which no float32 sees."""
    return torch_function(torch.special.erfcx)(x)


REFERENCES = {
    "exp": Reference(np.exp, mpmath.exp, (HALF_LN2, 3 * HALF_LN2, *ENDS)),
    "log": Reference(np.log, mpmath.log, (2 / 3, 0.5**0.5, 1.0, 4 / 3, 2**0.5, 2.0**-126, 2.0**-1022)),
    "tanh": Reference(np.tanh, mpmath.tanh, (0.625, 0.6875, 3 * HALF_LN2, 9.010914, 19.061547, 10.4, 20.8)),
    "erf": Reference(torch_function(torch.erf), mpmath.erf, (0.9375, 1.0, 1.125, 3.9192059, 3.93, 5.8635847, 5.94)),
    "erfcx": Reference(scaled_erfc, lambda x: mpmath.exp(x * x) * mpmath.erfc(x) if x < 1e4 else far_erfcx(x), (1.0, 2.0, 6.0)),
    "sinh": Reference(np.sinh, mpmath.sinh, (HALF_LN2, 3 * HALF_LN2, 8.0, *ENDS, 89.415986, 710.47586007394)),
    "cosh": Reference(np.cosh, mpmath.cosh, (HALF_LN2, 3 * HALF_LN2, 8.0, *ENDS, 89.415986, 710.47586007394)),
    "sigmoid": Reference(
        torch_function(torch.sigmoid), lambda x: 1 / (1 + mpmath.exp(-x)), (HALF_LN2, 16.635532, 36.736801, 88.0, *ENDS)
    ),
}


def ordered(name: str) -> list[str]:
    """The functions that the text of one builds on, and itself, each after those it needs."""
    first = TEXTS[name].splitlines()[0]
    needs = re.fullmatch(r"/\* needs: (\w+(?:, \w+)*) \*/", first)
    before = [n for need in needs[1].split(", ") for n in ordered(need)] if needs else []
    return list(dict.fromkeys([*before, name]))


def source(names: list[str]) -> str:
    """C text that defines ``NAME_array(n, x, y)``, y[i] = NAME(x[i]), for each of the names, one line each at the end."""
    snippets = dict.fromkeys(n for name in names for n in ordered(name))
    loops = [
        f"void {n}_array(long n, const real *restrict x, real *restrict y) {{"
        f' _Pragma("omp simd") for (long i = 0; i < n; i++) y[i] = real_{n}(x[i]); }}'
        for n in names
    ]
    return "\n".join([PREAMBLE, *(TEXTS[n] for n in snippets), *loops])


def compile_c(text: str, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert COMPILER is not None
    path = output.with_suffix(".c")
    path.write_text(text)
    command = [COMPILER, "-std=c11", *options, "-o", str(output), str(path), "-lm"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Compiled:
    """All functions in one precision, on arrays."""

    def __init__(self, path: Path, bits: int) -> None:
        self.dtype = np.dtype(f"float{bits}")
        self.library = ctypes.CDLL(str(path))

    def __call__(self, name: str, x: Array) -> Array:
        """The function on every element of a one-dimensional array of the precision."""
        assert x.dtype == self.dtype and x.ndim == 1 and x.flags.c_contiguous
        y = np.empty_like(x)
        getattr(self.library, f"{name}_array")(
            ctypes.c_long(x.size), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data)
        )
        return y


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, str], Compiled]:
    folder = tmp_path_factory.mktemp("native_functions")

    @cache
    def build(bits: int, options: str) -> Compiled:
        path = folder / f"functions_{bits}_{options}.so"
        result = compile_c(
            source(NAMES),
            path,
            "-Wall",
            "-Wextra",
            "-Wno-unknown-pragmas",
            "-shared",
            "-fPIC",
            f"-DREAL_BITS={bits}",
            *OPTIONS[options],
        )
        assert result.returncode == 0 and not result.stderr, result.stderr
        return Compiled(path, bits)

    return build


def spacing(reference: Array, bits: int) -> Array:
    """The distance of neighbouring numbers of the precision at a value given in float64; constant below the normal ones."""
    digits, lowest = {32: (24, -126), 64: (53, -1022)}[bits]
    exponent = np.maximum(np.frexp(reference)[1] - 1, lowest)
    result: Array = np.ldexp(1.0, exponent - (digits - 1))
    return result


def ulp_error(got: Array, high: Array, low: Array, bits: int) -> Array:
    """How far results are from the sum high + low of two float64, in units in the last place of the precision.

    Infinite where only one of both is infinite in the precision, or NaN.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = high.astype(got.dtype)
        error = np.abs((got.astype(np.float64) - high) - low) / spacing(np.where(np.isfinite(rounded), high, 1.0), bits)
        error = np.where(np.isfinite(rounded) & np.isfinite(got), error, np.where(got == rounded, 0.0, np.inf))
    return np.where(np.isnan(got) & np.isnan(rounded), 0.0, error)


def worst(error: Array, x: Array, got: Array) -> str:
    at = int(np.argmax(error))
    return f"{error[at]:.3f} ULP at {x[at]!r}: {got[at]!r}"


def in_domain(name: str, x: Array) -> Array:
    return np.abs(x) if name in ("log", "erfcx") else x


@cache
def float32_points(name: str) -> tuple[Array, Array]:
    """float32 inputs from all of its range, and the results in float64."""
    around = np.arange(-1500, 1500)
    edges = np.array(REFERENCES[name].edges)
    edges = edges[edges < np.finfo(np.float32).max].astype(np.float32).view(np.uint32).astype(np.int64)
    patterns = np.concatenate(
        [
            np.arange(0, 2**32, 4099),
            np.arange(3000),
            *(edge + around for edge in edges if edge >= 1500),
            # Every 64th of [1/16, 16), where no function is trivial.
            np.arange(0x3D800000, 0x41800000, 64),
        ]
    ).astype(np.uint32)
    x = np.concatenate([patterns, patterns ^ np.uint32(1 << 31)]).view(np.float32)
    x = np.unique(in_domain(name, x[np.isfinite(x)]))
    with np.errstate(all="ignore"):
        return x, REFERENCES[name].float64(x.astype(np.float64))


def exact(name: str, x: Array) -> tuple[Array, Array]:
    """The results for float64 inputs as sums of two float64."""
    with mpmath.workprec(160):
        values = [REFERENCES[name].exact(mpmath.mpf(v)) for v in x.tolist()]
        high = np.array([float(v) for v in values])
        low = np.array([float(v - h) if math.isfinite(h) else 0.0 for v, h in zip(values, high.tolist(), strict=True)])
    return high, low


@cache
def float64_points(name: str) -> tuple[Array, Array, Array]:
    """float64 inputs from all of its range, and the results as sums of two."""
    rng = np.random.default_rng(0)
    near = [edge * (1 + rng.uniform(-1, 1, 60) * 2.0 ** rng.uniform(-50, -6, 60)) for edge in REFERENCES[name].edges]
    steps = np.arange(-8, 9) * 2.0**-53
    next_to = [edge * (1 + steps) for edge in REFERENCES[name].edges]
    sizes = (np.exp2(rng.uniform(-1074, 1024, 600)), np.exp2(rng.uniform(-30, 10, 600)), rng.uniform(0, 3, 2500))
    x = np.concatenate([*sizes, rng.uniform(0, 750, 300), *near, *next_to])
    x = np.unique(in_domain(name, np.concatenate([x, -x])))
    x = x[np.isfinite(x) & (x != 0)]
    return x, *exact(name, x)


@pytest.mark.parametrize("bits", BITS)
def test_ulp_error_counts_neighbours(bits: int) -> None:
    dtype = np.dtype(f"float{bits}")
    info = np.finfo(dtype)
    reference = np.array([1.5, 5 * info.smallest_subnormal, info.tiny, info.max, -1.5], dtype)
    moved, zeros = reference, np.zeros(reference.size)
    for steps in range(4):
        assert ulp_error(moved, reference.astype(np.float64), zeros, bits).tolist() == [steps] * reference.size
        moved = np.nextafter(moved, np.array([2, 0, 0, 0, -2], dtype))
    unlike = ulp_error(np.array([np.inf, 1, np.nan, np.inf], dtype), np.array([1, np.inf, 1, np.inf]), np.zeros(4), bits)
    assert unlike.tolist() == [np.inf, np.inf, np.inf, 0]


def test_ulp_error_sees_fractions() -> None:
    subnormal = np.array([3 * np.finfo(np.float32).smallest_subnormal])
    assert ulp_error(subnormal, 1.25 * subnormal.astype(np.float64), np.zeros(1), 32).tolist() == [0.75]
    assert ulp_error(np.array([1.5]), np.array([1.5]), np.array([0.25 * 2.0**-52]), 64).tolist() == [0.25]


def test_every_function_has_a_reference() -> None:
    assert NAMES and sorted(REFERENCES) == NAMES
    for name in NAMES:
        assert re.search(rf"^[^\n]*\breal real_{name}\(real x\) {{$", TEXTS[name], re.MULTILINE)
        assert all(len(line) <= 118 for line in TEXTS[name].splitlines())


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_float32_error(compiled: Callable[[int, str], Compiled], name: str, options: str) -> None:
    x, reference = float32_points(name)
    got = compiled(32, options)(name, x)
    error = ulp_error(got, reference, np.zeros_like(reference), 32)
    assert error.max() <= ALLOWED, worst(error, x, got)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_float64_error(compiled: Callable[[int, str], Compiled], name: str, options: str) -> None:
    x, high, low = float64_points(name)
    got = compiled(64, options)(name, x)
    error = ulp_error(got, high, low, 64)
    assert error.max() <= ALLOWED, worst(error, x, got)


@pytest.mark.parametrize("bits", BITS)
def test_erfcx_of_negative_numbers(compiled: Callable[[int, str], Compiled], bits: int) -> None:
    """There it is 2*exp(x**2) - erfcx(-x), whose error grows with the rounding of x**2."""
    library = compiled(bits, "vectorised")
    x = -np.random.default_rng(0).uniform(0, 9 if bits == 32 else 26, 2000).astype(library.dtype)
    got = library("erfcx", x)
    error = ulp_error(got, *exact("erfcx", x.astype(np.float64)), bits)
    assert (error <= 4 + 2 * x.astype(np.float64) ** 2).all(), worst(error, x, got)


@pytest.mark.parametrize("name", NAMES)
@given(x=st.floats(allow_nan=False, allow_infinity=False).filter(bool))
def test_float64_error_anywhere(compiled: Callable[[int, str], Compiled], name: str, x: float) -> None:
    points = in_domain(name, np.array([x]))
    got = compiled(64, "vectorised")(name, points)
    error = ulp_error(got, *exact(name, points), 64)
    assert error.max() <= ALLOWED, worst(error, points, got)


def special_values(name: str, dtype: np.dtype[Any]) -> Array:
    """NaN, infinities, zeros, the least and the greatest numbers, and both sides of where results overflow or vanish."""
    info = np.finfo(dtype)
    with np.errstate(over="ignore"):
        edges = np.array(REFERENCES[name].edges).astype(dtype)
    edges = edges[np.isfinite(edges)]
    values = np.concatenate(
        [
            np.array([0, info.smallest_subnormal, 3 * info.smallest_subnormal, info.tiny, 1, info.max, np.inf, np.nan], dtype),
            np.nextafter(info.tiny, dtype.type(0), dtype=dtype).reshape(1),
            edges,
            np.nextafter(edges, dtype.type(0)),
            np.nextafter(edges, dtype.type(np.inf)),
        ]
    )
    return np.concatenate([values, -values])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("name", NAMES)
def test_special_values(compiled: Callable[[int, str], Compiled], name: str, bits: int, options: str) -> None:
    library = compiled(bits, options)
    x = special_values(name, library.dtype)
    # At every place of a vector, and in the elements after the last whole one.
    x = np.concatenate([np.repeat(x, 17), x])
    got = library(name, x)
    with np.errstate(all="ignore"):
        expected = REFERENCES[name].float64(x.astype(np.float64)).astype(library.dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(expected))
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(expected)[number])
    exactly = number & (~np.isfinite(x) | (x == 0))
    np.testing.assert_array_equal(got[exactly], expected[exactly])
    # Zero and the smallest subnormal are within the error allowed of each other, but not on the wrong side of them.
    zero = number & (expected == 0)
    assert (np.abs(got[zero]) <= np.finfo(library.dtype).smallest_subnormal).all()


@pytest.mark.parametrize("bits", BITS)
def test_no_undefined_behaviour(tmp_path: Path, bits: int) -> None:
    """The special values again, in a program that stops at the first undefined operation."""
    options = ("-O1", f"-DREAL_BITS={bits}", "-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all")
    if compile_c("int main(void) { return 0; }\n", tmp_path / "nothing", *options).returncode:
        pytest.skip("the compiler has no -fsanitize=undefined")
    dtype = np.dtype(f"float{bits}")
    x = np.concatenate([special_values(name, dtype) for name in NAMES] + [np.geomspace(1e-30, 1e30, 500, dtype=dtype)])
    words = ", ".join(f"{word:#x}" for word in x.view(f"uint{bits}").tolist())
    calls = " ".join(f"total += real_{name}(x);" for name in NAMES)
    main = f"""
static const uint{bits}_t words[] = {{{words}}};
int main(void) {{
    volatile real total = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {{
        real x;
        memcpy(&x, &words[i], sizeof x);
        {calls}
        x = -x;
        {calls}
    }}
    return 0;
}}
"""
    result = compile_c(source(NAMES) + main, tmp_path / "special", *options)
    assert result.returncode == 0, result.stderr
    run = subprocess.run([tmp_path / "special"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("bits", BITS)
def test_gcc_vectorises_every_loop(tmp_path: Path, bits: int) -> None:
    options = ("-c", "-march=x86-64-v3", f"-DREAL_BITS={bits}", *(o for o in OPTIONS["vectorised"] if o != "-march=native"))
    if (
        platform.machine() != "x86_64"
        or compile_c("#ifdef __clang__\n#error\n#endif\n", tmp_path / "gcc.o", *options).returncode
    ):
        pytest.skip("no gcc for x86-64 that knows -march=x86-64-v3")
    text = source(NAMES)
    result = compile_c(text, tmp_path / "loops.o", *options, "-fopt-info-vec-optimized")
    assert result.returncode == 0, result.stderr
    found = {int(line) for line in re.findall(r"loops\.c:(\d+):\d+: optimized: loop vectorized", result.stderr)}
    last = len(text.splitlines())
    assert found >= set(range(last - len(NAMES) + 1, last + 1)), result.stderr
