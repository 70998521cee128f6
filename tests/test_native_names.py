"""Names in C: whatever an author calls a tensor, an axis or a constant, no two things of a function share a name.

What the compiler has other uses for is asked of the compiler: its macros, the words of its headers, in every mode.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import codegen
from codegen.backends.native.files import op_files, rendered
from codegen.backends.native.function import function
from codegen.backends.native.layout import file_of
from codegen.backends.native.names import Names
from codegen.backends.native.taken import FILE, KEYWORDS, MACROS, OWN, is_taken
from codegen.program import Argument, Program, Role, Statement
from derive import syntax as st
from tests.native_ops import COMPILER, compiled, kernel_of, plainly

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")
TEMPLATES = Path(codegen.__file__).parent / "backends/native/templates"
MODES = ("c11", "gnu11", "gnu2x")
HEADERS = tuple(re.findall(r"#include <(\w+\.h)>", (TEMPLATES / "op.c.j2").read_text()))
STANDARD = "complex ctype errno fenv float inttypes limits locale setjmp signal stdarg stddef stdio time wchar".split()


def preprocessed(mode: str, headers: Sequence[str], *options: str) -> str:
    assert COMPILER is not None
    text = "".join(f"#include <{h}>\n" for h in headers)
    flags = [f for f in COMPILER.flags if not f.startswith("-std=") and f != "-shared"]
    command = [*COMPILER.command, *flags, f"-std={mode}", "-E", *options, "-x", "c", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


@cache
def macros(mode: str, headers: tuple[str, ...]) -> frozenset[str]:
    """The macros of headers that are replaced wherever they stand."""
    defined = re.findall(r"^#define ([A-Za-z]\w*)(\(?)", preprocessed(mode, headers, "-dM"), re.MULTILINE)
    return frozenset(name for name, bracket in defined if not bracket)


@cache
def words(mode: str) -> frozenset[str]:
    """Every identifier in the text of the headers: types, functions, their parameters."""
    found = re.findall(r"\b[A-Za-z]\w*", preprocessed(mode, HEADERS, "-P"))
    functions = re.findall(r"^#define ([A-Za-z]\w*)", preprocessed(mode, HEADERS, "-dM"), re.MULTILINE)
    return frozenset(found) | frozenset(functions)


def of_templates() -> set[str]:
    """What the templates define at file scope."""
    texts = [p.read_text() for folder in ("helpers", "functions", "doubles") for p in (TEMPLATES / folder).glob("*.j2")]
    text = "\n".join([*texts, (TEMPLATES / "op.c.j2").read_text()])
    found = set(re.findall(r"^ *#define (\w+)", text, re.MULTILINE))
    found |= set(re.findall(r"^(?:__attribute__\S+ )?(?:static|typedef|inline)\b[^;{]*?(\w+)\s*\(", text, re.MULTILINE))
    found |= set(re.findall(r"^(?:static|typedef)\b[^;{(]*?(\w+)(?: __attribute__.*)?;", text, re.MULTILINE))
    return found | set(re.findall(r"\b([A-Z_]+) = \d", text))


def test_what_the_templates_define_is_taken() -> None:
    defined = of_templates()
    assert {"real", "gemm", "lanes", "matmul", "real_exp", "double_erfcx", "OUT_OF_MEMORY", "CHUNK", "give_back"} <= defined
    assert not {name for name in defined if not is_taken(name) and not name.startswith("_")}


@pytest.mark.parametrize("mode", MODES)
def test_macros_that_are_replaced_wherever_they_stand_are_taken(mode: str) -> None:
    assert not {m for m in macros(mode, HEADERS) if not is_taken(m)}
    # A program may include the header of an op after others of the standard library.
    others = "errno stdin stdout stderr EOF EDOM ERANGE BUFSIZ DBL_MAX FLT_EPSILON CHAR_BIT INT_MAX ULONG_MAX SIGINT SIG_ERR"
    others += " LC_ALL FE_INEXACT PRId64 CLOCKS_PER_SEC SEEK_SET WEOF RAND_MAX MB_CUR_MAX NDEBUG"
    assert not {m for m in others.split() if not is_taken(m)}


# ---- every word in every place -------------------------------------------------------------------------------------------


def program_of(
    tensors: Sequence[str], axes: Sequence[str], constants: Sequence[str], values: Sequence[str], name: str
) -> Program:
    """A program with such names: ``value = sum(exp(tensor))``, and then ``out = tensor*value + constant/size``."""
    statements: list[Statement] = []
    for k, (x, a, c, v) in enumerate(zip(tensors, axes, constants, values, strict=True)):
        read = st.Read(x, (a,))
        statements.append(Statement(v, (), st.Reduce("sum", (a,), st.Call("exp", (read,))), Role.TEMPORARY))
        tree = st.Add((st.Mul((read, st.Read(v))), st.Div(st.Read(c), st.Size(a))))
        statements.append(Statement(f"out of {k}".replace(" ", "__"), (a,), tree, Role.OUTPUT))
    return Program(
        name=f"{name}_forward",
        arguments=tuple(Argument(x, (a,), Role.INPUT) for x, a in zip(tensors, axes, strict=True)),
        constants=tuple(st.Constant(c, None) for c in constants),
        statements=tuple(statements),
        results=tuple(s.name for s in statements if s.role is Role.OUTPUT),
        star="",
        collapsed=False,
    )


@cache
def every_word() -> tuple[str, str]:
    """The C file, and its header, in which each word that C has a use for is a tensor, an axis, a constant and a value."""
    known = {w for mode in MODES for w in macros(mode, HEADERS) | words(mode)} | KEYWORDS | MACROS | FILE | OWN | of_templates()
    every = sorted(w for w in known if not w.startswith("_"))
    assert len(every) > 1000
    groups = [every[k : k + 10] for k in range(0, len(every), 10)]
    groups[-1] += [f"word{k}" for k in range(10 - len(groups[-1]))]
    programs = [program_of(*(groups[(k + shift) % len(groups)] for shift in range(4)), f"word_{k}") for k in range(len(groups))]
    op = kernel_of("y[a] = word(x[a])\ny[a] = x[a]").op
    functions = [function(op, p) for p in programs]
    return rendered(file_of(op, "a test", functions))


def compiles(text: str, mode: str, language: str = "c") -> None:
    assert COMPILER is not None
    command = [shutil.which("g++") or "c++"] if language == "c++" else [*COMPILER.command, f"-std={mode}", "-fopenmp"]
    command += ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", language, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:2000]


@pytest.mark.parametrize("mode", MODES)
def test_any_word_of_the_headers_may_be_a_name(mode: str) -> None:
    """Keywords, macros, types, functions and their parameters, and what the file itself defines, each in every place."""
    text, header = every_word()
    compiles(text, mode)
    included = "".join(f"#include <{h}.h>\n" for h in STANDARD if h != "complex")
    compiles(included + header, mode)
    if shutil.which("g++") or shutil.which("c++"):
        compiles(included + header, mode, "c++")


def test_a_free_name_is_kept_and_a_taken_one_gets_an_underscore() -> None:
    for name, want in {"y1": "y1", "x_term": "x_term", "index": "index", "signal": "signal", "gamma": "gamma"}.items():
        assert named(name) == want
    for name in ("I", "real", "int64_t", "NAN", "SIZE_MAX", "class", "linux", "thread", "cexpf", "typeof_unqual"):
        assert named(name) == f"{name}_"


def named(name: str) -> str:
    return Names(program_of([name], ["a"], ["c"], ["v"], "one")).tensor(name)


# ---- values ----------------------------------------------------------------------------------------------------------------

#: Names in fours: what is made of one of them is what another is called.
SYSTEMS = [
    "y[n,d] = f{k}({a}[n,d], {b}[d], {c}, k={k}.5)\n{e}[n] = sum[d]({a}[n,d]*{b}[d])\n"
    "y[n,d] = {a}[n,d]*tanh({e}[n]) + {c}*{b}[d]*k",
    "{e}[n] = f{k}({a}[n,d], {b}[n,d], {c})\nm[n] = max[d]({a}[n,d])\n{e}[n] = sum[d](exp({a}[n,d] - m[n])*{b}[n,d])*{c}",
]
FOURS = [
    ("x", "x_n", "x_strides", "x_n_d"),
    ("x", "x_row", "x_value", "x_term"),
    ("SIZE_MAX", "size_n", "size_d", "NAN"),
    ("x", "sum_x", "sum_x_value", "y_value"),
    ("I", "linux", "unix", "real"),
    ("INFINITY", "M_PI", "M_E", "errno"),
    ("j0", "y1", "gamma_", "index"),
    ("thread", "threads", "first", "count"),
    ("memory", "streaming", "last", "fill"),
    ("x", "y_n", "y_n_d", "y_block"),
    ("main", "int64_t", "size_t", "stdin"),
    ("n2", "d2", "e_total", "e_totals"),
    ("x_stride_n", "x", "x_stride_d", "x_values"),
    ("t" * 100, "u" * 100, "t" * 98 + "_n", "v" * 99),
]


@pytest.fixture(scope="module", autouse=True)
def flags() -> Iterator[None]:
    with plainly():
        yield


def reference(system: int, names: Sequence[str], values: dict[str, Any], k: float) -> dict[str, Any]:
    """The outputs and the gradients, for an upstream gradient of ones, by hand."""
    a, b, c, e = names
    x, w, s = values[a], values[b], values[c]
    if system == 0:
        total = (x * w).sum(1, keepdims=True)
        t = np.tanh(total)
        back = (x.sum(1, keepdims=True)) * (1 - t * t)
        return {
            "y": x * t + s * w * k,
            f"d{a}": t + back * w,
            f"d{b}": (back * x).sum(0) + len(x) * s * k,
            f"d{c}": len(x) * w.sum() * k,
        }
    m = x.max(1, keepdims=True)
    p = np.exp(x - m)
    first = (x == m) * (p * w).sum(1, keepdims=True)
    return {e: (p * w).sum(1) * s, f"d{a}": (p * w - first) * s, f"d{b}": p * s, f"d{c}": (p * w).sum()}


@pytest.mark.parametrize("system", range(len(SYSTEMS)))
def test_values_are_right_under_any_names(system: int) -> None:
    texts = [SYSTEMS[system].format(a=a, b=b, c=c, e=e, k=k) for k, (a, b, c, e) in enumerate(FOURS)]
    rng = np.random.default_rng(system)
    for k, (op, names) in enumerate(zip(compiled(texts, [64]), FOURS, strict=True)):
        given: dict[str, Any] = {
            t.name: rng.normal(size=[3, 4][-len(t.axes) :] if len(t.axes) < 2 else (3, 4)) for t in op.kernel.op.inputs
        }
        given[names[2]] = float(rng.normal())
        outputs, saved = op.forward(given | {"k": k + 0.5})
        upstream = {f"d{n}": np.ones_like(v) for n, v in outputs.items()}
        apart = outputs | op.backward(given | saved | upstream | {"k": k + 0.5})
        together = op.forward_backward(given | upstream | {"k": k + 0.5})
        for name, want in reference(system, names, given, k + 0.5).items():
            assert np.allclose(apart[name], want, rtol=1e-12, atol=1e-12), (names, name)
            assert np.allclose(together[name], want, rtol=1e-12, atol=1e-12), (names, name)


@pytest.mark.parametrize(
    "text",
    [
        "y[n] = spread(omp[n, m], u[n])\ny[n] = u[n]*size(m)",
        "y[n] = spread(simd[n, m], u[n])\ny[n] = u[n]*size(m)",
        "y[n] = squared(threads[n])\ny[n] = threads[n]**2",
    ],
)
@pytest.mark.parametrize("option", ["-fopenmp", "-Wno-unknown-pragmas"])
def test_what_only_a_directive_or_a_comment_names_is_not_used(text: str, option: str) -> None:
    """C is told of a parameter that only says a length, and without OpenMP of a number of threads, that they are unused."""
    assert COMPILER is not None
    kernel = kernel_of(text)
    source = op_files(kernel, "a test")[f"native/{kernel.op.name}.c"]
    command = [*COMPILER.command, "-std=c11", option, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
