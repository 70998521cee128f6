"""Functions written in JAX are audited and graded as those in NumPy and torch are."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import codegen
import derive
from codegen.tools.auditor import load_file
from codegen.tools.auditor.report import BUT, CHOICE, CORRECT, WRONG, Report
from codegen.tools.workbook import exercise, grade

jax = pytest.importorskip("jax", reason="JAX is not installed")
import jax.numpy as jnp  # noqa: E402

ROWMAX = "y[n] = rowmax(x[n, c])\ny[n] = max[c](x[n, c])"
#: The functions themselves, of arrays in the order of their inputs.
FORWARD: dict[str, tuple[tuple[str, ...], str, Callable[..., Any]]] = {
    "tanh": (("x",), "y", jnp.tanh),
    "relu": (("x",), "y", lambda x: jnp.where(x > 0, x, 0)),
    "softmax": (("z",), "p", lambda z: jax.nn.softmax(z, axis=-1)),
    "linear": (("x", "W", "b"), "y", lambda x, W, b: x @ W + b),
    ROWMAX: (("x",), "y", lambda x: x.max(axis=1)),
}
SHAPES = {"W": (4, 2), "b": (2,)}


def said(report: Report) -> str:
    return " ".join(str(report).split())


def in_jax(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which fails where an argument is no array of JAX's."""

    @functools.wraps(function)
    def checked(*given: Any, **named: Any) -> Any:
        arrays = [a for a in (*given, *named.values()) if not isinstance(a, tuple | float | int)]
        assert all(isinstance(a, jax.Array) for a in arrays)
        return function(*given, **named)

    return checked


def off(function: Callable[..., Any], op: str, dtype: str = "float64") -> bool:
    """Whether a backward gives something else than ``jax.vjp`` of the forward, or in another dtype, ties among its input."""
    inputs, output, forward = FORWARD[op]
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), len(inputs) + 1)
        values = {n: jax.random.normal(k, SHAPES.get(n, (3, 4)), dtype) for n, k in zip(inputs, keys[1:], strict=True)}
        values[inputs[0]] = values[inputs[0]].at[0].set(values[inputs[0]][0, 0])
        values[output], pull = jax.vjp(forward, *values.values())
        values[f"d{output}"] = jax.random.normal(keys[0], values[output].shape, dtype)
        given = function.__code__.co_varnames[: function.__code__.co_argcount]  # type: ignore[attr-defined]
        found = function(*(values[n] for n in given))
        pairs = zip(found if isinstance(found, tuple) else [found], pull(values[f"d{output}"]), strict=True)
        return not all(g.shape == w.shape and g.dtype == w.dtype and jnp.allclose(g, w, 1e-5, 1e-6) for g, w in pairs)


def forgotten_sum(dp, p):
    return jnp.multiply(p, dp)


def wrong_sign(dy, y):
    return -dy * (1 - jnp.square(y))


def narrower(dy, y):
    return (dy * (1 - y**2)).astype(jnp.float32)


def wider(dy, y):
    return dy.astype(jnp.float64) * (1 - y**2)


def transposed(dy, x, W):
    return dy @ W.T, jnp.einsum("nh,nk->hk", dy, x), dy.sum(0)


def each_of_equal_maxima(dy, x, y):
    return jnp.where(x == y[:, None], dy[:, None], 0)


def twice(dy, y):
    return 2 * dy * (1 - jnp.square(y))


def over_rows(dp, p):
    return p * (dp - jnp.sum(dp * p, axis=0))


WRONGS = [
    (forgotten_sum, "softmax", {}, WRONG, "the term -sum[c'](dp[s,c']·p[s,c']) is missing"),
    (wrong_sign, "tanh", {}, WRONG, "dx has the opposite sign"),
    (narrower, "tanh", {}, WRONG, "it is float32 where the arguments are float64"),
    (wider, "tanh", {}, WRONG, "it is float64 where the arguments are float32"),
    (transposed, "linear", {"axes": 1}, WRONG, "its shape is (2, 4) instead of (4, 2)"),
    (each_of_equal_maxima, ROWMAX, {}, BUT, "where values tie or are zero it is no gradient of the op from any side"),
    (twice, "tanh", {}, WRONG, "dx is 2 times what it should be"),
    (over_rows, "softmax", {"axes": 1}, WRONG, "the sum runs over s instead of c"),
]


@pytest.mark.parametrize(("function", "op", "declared", "verdict", "words"), WRONGS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_wrong_one_is_refused_and_told_why(
    function: Callable[..., Any], op: str, declared: dict[str, Any], verdict: str, words: str
) -> None:
    assert off(function, op) or off(function, op, "float32")
    with jax.enable_x64(True):  # else there is no float64 beside float32
        report = codegen.audit(in_jax(function), op, **declared)
    assert report.verdict == verdict and words in said(report), str(report)


def tanh_backward(dy, y):
    return dy * (1 - jnp.square(y))


@jax.jit
def softmax_backward(dp, p):
    return p * (dp - jnp.sum(dp * p, axis=-1, keepdims=True))


def linear_backward(dy, x, W):
    return dy @ W.T, jnp.einsum("...k,...h->kh", x, dy), dy.sum(range(dy.ndim - 1))


def relu_backward(dy, y):
    return jnp.where(y > 0, dy, 0)


def shared_maxima(dy, x, y):
    at = (x == y[:, None]).astype(x.dtype)
    return dy[:, None] * at / jnp.sum(at, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("function", "op"),
    [(tanh_backward, "tanh"), (linear_backward, "linear"), (relu_backward, "relu"), (shared_maxima, ROWMAX)],
)
def test_a_right_one_is_accepted(function: Callable[..., Any], op: str) -> None:
    assert not off(function, op)
    report = codegen.audit(in_jax(function), op)
    assert report.correct, str(report)


def test_a_compiled_one_is_accepted() -> None:
    assert codegen.audit(softmax_backward, "softmax").verdict == CORRECT


def cross_entropy(dloss, z, t):
    return dloss * (jax.nn.softmax(z, -1) - jax.nn.one_hot(t, z.shape[-1])) / len(t)


def test_arrays_of_the_default_dtype_are_float32_where_the_arguments_are() -> None:
    """Unless JAX is set up for float64, in which ``one_hot`` is then."""
    assert codegen.audit(in_jax(cross_entropy), "softmax_cross_entropy").verdict == CORRECT
    with jax.enable_x64(True):
        report = codegen.audit(cross_entropy, "softmax_cross_entropy")
    assert report.verdict == WRONG and "it is float64 where the arguments are float32" in said(report)


@in_jax
def of_a_cache(cache, dout):
    p, scale = cache
    return scale * p * (dout - (dout * p).sum(-1, keepdims=True))


def test_one_that_takes_a_cache_is_accepted_with_its_names() -> None:
    equations = "y[n, c] = scaled(z[n, c], k=2.0)\np[n, c] = exp(z[n, c]) / sum[c](exp(z[n, c]))\ny[n, c] = k*p[n, c]"
    assert codegen.audit(of_a_cache, equations, names={"dout": "dy", "cache": "p,k"}).verdict == CORRECT


def test_the_emitted_functions_are_accepted() -> None:
    from generated.jax import softmax, tanh, tanh_backward

    assert codegen.audit(tanh_backward, "tanh").verdict == CORRECT
    assert codegen.audit(tanh, "tanh").verdict == CORRECT
    assert codegen.audit(jax.jit(softmax), "softmax").verdict == CORRECT


@jax.custom_vjp
def cube_root(x):
    return jnp.cbrt(x)


def root_fwd(x):
    y = cube_root(x)
    return y, y


def root_bwd(y, dy):
    return (dy / (3 * y),)


cube_root.defvjp(root_fwd, root_bwd)


@jax.custom_vjp
def logistic(x):
    return jax.nn.sigmoid(x)


logistic.defvjp(lambda x: (jax.nn.sigmoid(x),) * 2, lambda y, dy: (dy * y * (1 - y),))


def test_a_custom_vjp_is_judged_by_its_own_derivative() -> None:
    found = codegen.audit(cube_root, "y[n] = root(x[n])\nx > 0\ny[n] = x[n]**(1/3)")
    assert found.verdict == WRONG and found["dx"].verdict == WRONG
    assert codegen.audit(logistic, "sigmoid").verdict == CORRECT


def test_a_plain_function_is_differentiated() -> None:
    assert codegen.audit(lambda x: jnp.maximum(x, 0), "relu").verdict == CHOICE
    assert codegen.audit(jnp.tanh, "tanh").verdict == CORRECT  # which takes its argument by position alone
    other = codegen.audit(lambda x: jnp.sinh(x), "tanh")
    assert other.verdict == WRONG and "not what tanh computes" in said(other)


def test_what_it_raises_is_told_with_its_line_and_shapes() -> None:
    words = said(codegen.audit(lambda dy, y: dy @ jnp.ones((9, 9)), "tanh"))
    assert "raised TypeError" in words and "with dy (" in words


def test_an_argument_that_is_given_away_is_written_to() -> None:
    given_away = jax.jit(lambda dy, y: dy * (1 - y**2), donate_argnums=0)
    assert "it writes to dy" in said(codegen.audit(given_away, "tanh"))


BOTH = {
    "jnp names np": ("import numpy as np\nimport jax.numpy as jnp\n", "dy * (np.pi / np.pi) * (1 - jnp.square(y))"),
    "np names none": ("import numpy as np\nimport jax.numpy as jnp\n", "dy * (1 - y**2)"),
    "np beside jnp": ("import numpy as np\nimport jax.numpy as jnp\n", "dy * (1 - np.square(y))"),
    "all of three": ("import numpy as np\nimport torch\nimport jax.numpy as jnp\n", "dy * (1 - jnp.square(y))"),
    "torch alone": ("import torch\nimport jax\n", "dy * (1 - torch.square(y))"),
}


@pytest.mark.parametrize(("head", "body"), BOTH.values(), ids=BOTH)
def test_the_library_is_told_by_what_the_function_names_or_gives_back(tmp_path: Path, head: str, body: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"{head}\ndef backward(dy, y):\n    return {body}\n")
    assert codegen.audit(load_file(path, "tanh"), "tanh").verdict == CORRECT


SOFTMAX = """
import jax
import jax.numpy as jnp

@jax.custom_vjp
def mine(z):
    return jax.nn.softmax(z, axis=-1)

def mine_fwd(z):
    p = mine(z)
    return p, p

def mine_bwd(p, dp):
    return (p * (dp{}),)

mine.defvjp(mine_fwd, mine_bwd)
"""


@pytest.mark.parametrize(
    ("rest", "status"), [pytest.param(" - (dp * p).sum(-1, keepdims=True)", 0, marks=pytest.mark.long), ("", 1)]
)
def test_a_file_with_a_custom_vjp_is_audited_by_the_command(tmp_path: Path, rest: str, status: int) -> None:
    (tmp_path / "mine.py").write_text(SOFTMAX.format(rest))
    command = [sys.executable, "-m", "codegen", "audit", "mine.py", "--op", "softmax"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == status and not done.stderr, done.stderr
    assert "mine, audited as softmax" in done.stdout and ("is missing" in done.stdout) == bool(status)


FILLED = """
import jax.numpy as jnp

def batchnorm_backward(dy, x, gamma, beta, mu, c, var, rstd, xhat, y, eps=1e-5, ddof=0):
    dgamma = jnp.sum(dy * xhat, axis=(0, 2))
    dbeta = jnp.sum(dy, axis=(0, 2))
    dxhat = jnp.multiply(gamma[:, None], dy)
    drstd = jnp.zeros_like(rstd).at[:].set(-jnp.sum(dxhat * c, axis=(0, 2)))
    dvar = ...
    return dgamma, dbeta
"""


def test_a_filled_in_exercise_is_graded_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(FILLED)
    found = {g.name: g for g in grade(exercise(derive.load("batchnorm"), "jax"), load_file(path, "batchnorm"))}
    assert all(found[n].approximate for n in ("dgamma", "dbeta", "dxhat"))
    assert not found["drstd"].approximate and "opposite sign" in found["drstd"].remark
    assert str(found["dvar"]).endswith("not done")


def test_what_is_missing_is_said_of_the_library_that_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from codegen.backends.arrays.libraries import libraries

    for library in libraries():
        if library.differentiates:
            monkeypatch.setattr(library, "missing", lambda title=library.title: f"{title} is not installed")
    with pytest.raises(ValueError, match="torch is not installed, JAX is not installed") as every:
        codegen.audit(abs, "tanh")
    assert "\n" not in str(every.value)
    with pytest.raises(ValueError, match="JAX is not installed") as one:
        codegen.audit(lambda x: jnp.tanh(x), "tanh")
    assert "torch" not in str(one.value)
