"""Packed axes: one axis of the caller's tensor is several axes of the equations, in every backend and at any strides.

The judges are functions of torch that take the caller's tensors apart themselves, and autograd through them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.discovery import by_name, load_kernel
from codegen.build import build
from codegen.chain import render_chain
from codegen.plan import plan
from codegen.program import Kernel
from derive.certify import certify
from derive.errors import OpError
from derive.language.parse import parse_formula
from derive.show.show import show_text, signature
from derive.show.trees import of_derivation
from tests.backends import RUNNING_ARRAYS, each_array_backend, each_backend

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Case:
    """An op, what it should compute of the caller's tensors, and their shapes for some lengths of the axes."""

    text: str
    function: Callable[..., Any]
    shapes: Callable[..., Shapes]
    constants: dict[str, int | float]
    sizes: tuple[dict[str, int], ...]
    labels: dict[str, str]


def heads(q: Any, k: Any, v: Any, heads: int) -> Any:
    apart = (t.reshape(*t.shape[:-1], heads, t.shape[-1] // heads).transpose(1, 2) for t in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(*apart).transpose(1, 2).reshape(q.shape)


def threefold(x: Any, w: Any, v: Any) -> Any:
    apart = x.reshape(len(w), -1, len(v))
    return torch.einsum("abc,a,c->ab", torch.tanh(apart), w, v).reshape(-1)


def pairs(x: Any, w: Any) -> Any:
    n, m = len(x), len(w)
    real, imaginary = x.reshape(n, 2, m).unbind(1)
    size = torch.sqrt(real**2 + imaginary**2 + 1)
    return torch.cat([w * real / size, w * imaginary / size], 1)


def looked_up(t: Any, C: Any, W: Any, z: Any) -> tuple[Any, Any]:
    emb = torch.nn.functional.embedding(t, C).flatten(1)
    b, c = t.shape[1], len(C)
    return emb, emb @ W + torch.gather(z.reshape(len(t), b, c), 2, t[:, :, None])[..., 0].sum(1)[:, None]


CASES = {
    "heads": Case(
        """o[n, i, (h, f)] = heads_(q[n, i, (h = heads, f)], k[n, j, (h, f)], v[n, j, (h, f)], heads=2)
s[n, h, i, j] = sum[f](q[n, i, (h, f)]*k[n, j, h, f])/sqrt(size(f))
p[n, h, i, j] = exp(s[n, h, i, j])/sum[j](exp(s[n, h, i, j]))
o[n, i, (h, f)] = sum[j](p[n, h, i, j]*v[n, j, (h, f)])""",
        heads,
        lambda n, i, j, h, f: {"q": (n, i, h * f), "k": (n, j, h * f), "v": (n, j, h * f)},
        {"heads": 2},
        tuple(dict(zip("nijhf", s, strict=True)) for s in ((2, 3, 4, 2, 3), (1, 1, 1, 2, 1), (3, 2, 5, 2, 4), (0, 2, 3, 2, 2))),
        {},
    ),
    "groups": Case(
        """y[n, (g, c), *s] = group_norm(x[n, (g = groups, c), *s], gamma[(g, c)], beta[(g, c)], groups=3, eps=1e-5)
eps > 0
mu[n, g]         = mean[c, s](x[n, g, c, s])
d[n, g, c, s]    = x[n, g, c, s] - mu[n, g]
rstd[n, g]       = (mean[c, s](d[n, g, c, s]**2) + eps)**(-1/2)
y[n, (g, c), *s] = gamma[g, c]*d[n, g, c, s]*rstd[n, g] + beta[g, c]""",
        lambda x, gamma, beta, groups, eps: torch.nn.functional.group_norm(x, groups, gamma, beta, eps),
        lambda n, c, s, **_: {"x": (n, 3 * c, *(s,) * (s > 1), 2), "gamma": (3 * c,), "beta": (3 * c,)},
        {"groups": 3, "eps": 1e-5},
        tuple(dict(zip("ncs", s, strict=True)) for s in ((2, 2, 3), (1, 1, 4), (4, 3, 1), (0, 2, 2))),
        {},
    ),
    "threefold": Case(
        """y[(a, b)] = threefold(x[(a, b, c)], w[a], v[c])
y[(a, b)] = sum[c](w[a]*tanh(x[(a, b, c)])*v[c])""",
        threefold,
        lambda a, b, c: {"x": (a * b * c,), "w": (a,), "v": (c,)},
        {},
        tuple(dict(zip("abc", s, strict=True)) for s in ((2, 3, 4), (1, 1, 1), (3, 0, 2), (5, 2, 1))),
        {},
    ),
    "pairs": Case(
        """y[n, (p, m)] = pairs(x[n, (p = 2, m)], w[m])
size_[n, m]  = sqrt(sum[p](x[n, p, m]**2) + 1)
y[n, (p, m)] = w[m]*x[n, (p, m)]/size_[n, m]""",
        pairs,
        lambda n, m: {"x": (n, 2 * m), "w": (m,)},
        {},
        ({"n": 3, "m": 4}, {"n": 1, "m": 1}, {"n": 0, "m": 3}, {"n": 2, "m": 0}),
        {},
    ),
    "looked_up": Case(
        """embcat[n, (b, e)], y[n, u] = looked_up(t[n, b], C[v, e], W[(b, e), u], z[n, (b, v)])
t[n, b] in v
embcat[n, (b, e)] = C[t[n, b], e]
y[n, u] = sum[b, e](embcat[n, (b, e)]*W[(b, e), u]) + sum[b](z[n, b, t[n, b]])""",
        looked_up,
        lambda n, b, e, u, v: {"t": (n, b), "C": (v, e), "W": (b * e, u), "z": (n, b * v)},
        {},
        tuple(dict(zip("nbeuv", s, strict=True)) for s in ((4, 3, 2, 5, 6), (1, 1, 1, 1, 1), (0, 2, 3, 2, 4), (3, 2, 4, 0, 3))),
        {"t": "v"},
    ),
}


@cache
def kernel(name: str) -> Kernel:
    return plan(derive.derive(derive.parse(CASES[name].text)))


@cache
def module(name: str, backend: str) -> Any:
    return load_kernel(kernel(name), backend)


def given(name: str, sizes: dict[str, int], seed: int, dtype: type = np.float64) -> dict[str, np.ndarray]:
    case, rng = CASES[name], np.random.default_rng(seed)
    return {
        n: rng.integers(0, sizes[case.labels[n]], shape) if n in case.labels else rng.normal(1.5, 2, shape).astype(dtype)
        for n, shape in case.shapes(**sizes).items()
    }


def expected(name: str, values: dict[str, np.ndarray]) -> tuple[list[Any], list[Any], list[Any]]:
    """Outputs, upstream gradients and gradients by autograd."""
    case, rng = CASES[name], np.random.default_rng(7)
    leaves = {n: torch.tensor(v, requires_grad=v.dtype.kind == "f") for n, v in values.items()}
    found = case.function(*leaves.values(), **case.constants)
    outputs = list(found) if isinstance(found, tuple) else [found]
    upstream = [torch.from_numpy(rng.normal(size=tuple(o.shape))) for o in outputs]
    wanted = [v for v in leaves.values() if v.requires_grad]
    gradients = torch.autograd.grad(outputs, wanted, upstream, allow_unused=True, materialize_grads=True)
    return [o.detach().numpy() for o in outputs], [u.numpy() for u in upstream], [g.numpy() for g in gradients]


Lay = Callable[[np.ndarray], np.ndarray]


def run(name: str, backend: str, values: dict[str, np.ndarray], upstream: list[np.ndarray], lay: Lay) -> list[np.ndarray]:
    """Outputs and gradients of the kernels, as arrays, of arguments that are laid out in memory by ``lay``."""
    k, found, case = kernel(name), by_name(backend), CASES[name]
    with found.running():
        to = found.to if backend not in ("numpy", "native") else lambda a: a
        if backend == "torch":
            to = torch.from_numpy
        env = {n: to(lay(v)) for n, v in values.items()}
        env |= {f"d{t.name}": to(lay(u)) for t, u in zip(k.op.outputs, upstream, strict=True)}

        def call(program: Any) -> Any:
            function = found.called(getattr(module(name, backend), program.name))
            return function(*(env[a.name] for a in program.arguments), *(case.constants[c.name] for c in program.constants))

        outputs, saved = call(k.forward)
        env |= dict(zip([t.name for t in k.saved], saved, strict=True))
        gradients = call(k.backward)
        several = [outputs] if len(k.op.outputs) == 1 else [*outputs]
        several += [gradients] if len(k.backward.results) == 1 else [*gradients]
        return [np.asarray(found.back(r)) for r in several]


def judge(name: str, backend: str, sizes: dict[str, int], seed: int, lay: Lay = np.ascontiguousarray) -> None:
    values = given(name, sizes, seed)
    outputs, upstream, gradients = expected(name, values)
    for got, want in zip(run(name, backend, values, upstream, lay), [*outputs, *gradients], strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9 * max(np.abs(want).max(initial=0.0), 1e-3))


# ---- kernels ----------------------------------------------------------------------------------------------------------------


@each_backend
@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_have_the_callers_axes(name: str, backend: str) -> None:
    for seed, sizes in enumerate(CASES[name].sizes):
        judge(name, backend, sizes, seed)


def transposed(a: np.ndarray) -> np.ndarray:
    return np.array(a, order="F")


def every_other(a: np.ndarray) -> np.ndarray:
    room = np.zeros([2 * n for n in a.shape], a.dtype)[tuple(slice(None, None, 2) for _ in a.shape)]
    room[...] = a
    return room


def last_rows_apart(a: np.ndarray) -> np.ndarray:
    """The last axis dense, the rows apart: what C takes as it is."""
    room = np.zeros((*a.shape[:-1], a.shape[-1] + 3), a.dtype)[..., : a.shape[-1]] if a.ndim else a.copy()
    room[...] = a
    return room


def backwards(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a[tuple(slice(None, None, -1) for _ in a.shape)])[tuple(slice(None, None, -1) for _ in a.shape)]


@each_backend
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("lay", [transposed, every_other, last_rows_apart, backwards])
def test_any_strides(name: str, backend: str, lay: Lay) -> None:
    if backend == "torch" and lay is backwards:
        pytest.skip("torch has no negative strides")
    judge(name, backend, CASES[name].sizes[0], 3, lay)
    judge(name, backend, CASES[name].sizes[1], 4, lay)


@each_backend
def test_float32_stays_float32(backend: str) -> None:
    values = given("pairs", CASES["pairs"].sizes[0], 0, np.float32)
    results = run("pairs", backend, values, [np.ones_like(values["x"])], np.ascontiguousarray)
    assert {r.dtype for r in results} == {np.dtype(np.float32)}


@each_backend
def test_lengths_that_do_not_fit_are_told_with_the_numbers(backend: str) -> None:
    found = by_name(backend)
    with found.running():
        ones = lambda *shape: found.to(np.ones(shape))  # noqa: E731
        three, two = (getattr(module(n, backend), kernel(n).forward.name) for n in ("threefold", "pairs"))
        message = r"x has length 7 on axis \(a, b, c\), where a multiple of a = 2 \* c = 3 is expected"
        with pytest.raises(ValueError, match=message):
            three(ones(7), ones(2), ones(3))
        with pytest.raises(ValueError, match=r"x has length 9 on axis \(p, m\), where p = 2 \* m = 4 is expected"):
            two(ones(3, 9), ones(4))
        with pytest.raises(ValueError, match=r"x has length 0 on axis \(a, b, c\), which leaves that of b open"):
            three(ones(0), ones(0), ones(3))
        many = getattr(module("heads", backend), kernel("heads").forward.name)
        with pytest.raises(ValueError, match=r"q has length 5 on axis \(h, f\), where a multiple of h = 2 is expected"):
            many(ones(1, 1, 5), ones(1, 1, 5), ones(1, 1, 5))
        with pytest.raises(ValueError, match=r"k has length 6 on axis \(h, f\), where h = 2 \* f = 2 is expected"):
            many(ones(1, 1, 4), ones(1, 1, 6), ones(1, 1, 4))
        with pytest.raises(ValueError, match=r"heads is the length of an axis, a whole number of at least 1, not 0"):
            many(ones(1, 1, 4), ones(1, 1, 4), ones(1, 1, 4), heads=0)
        with pytest.raises(ValueError, match=r"not 1\.5"):
            many(ones(1, 1, 4), ones(1, 1, 4), ones(1, 1, 4), heads=1.5)
        with pytest.raises(ValueError, match="must have the axes"):
            two(ones(3, 2, 4), ones(4))


@each_backend
def test_a_constant_is_a_length_of_any_value(backend: str) -> None:
    rng, found = np.random.default_rng(0), by_name(backend)
    arrays = [rng.normal(size=(2, 3, 12)) for _ in "qkv"]
    for count in (1, 3, 4, 12):
        want = heads(*map(torch.from_numpy, arrays), count).numpy()
        with found.running():
            function = found.called(getattr(module("heads", backend), kernel("heads").forward.name))
            got = found.back(function(*map(found.to, arrays), count)[0])
        np.testing.assert_allclose(got, want, rtol=1e-10)


# ---- torch ------------------------------------------------------------------------------------------------------------------


def differentiable(name: str) -> Any:
    return getattr(module(name, "torch"), kernel(name).op.name)


def leaves(name: str, sizes: int = 0) -> tuple[list[torch.Tensor], dict[str, Any]]:
    values = given(name, CASES[name].sizes[sizes], 5)
    return [torch.tensor(v, requires_grad=v.dtype.kind == "f") for v in values.values()], dict(CASES[name].constants)


@pytest.mark.parametrize("name", CASES)
def test_torch_differentiates_twice(name: str) -> None:
    tensors, constants = leaves(name)
    assert torch.autograd.gradcheck(lambda *a: differentiable(name)(*a, **constants), tensors)
    assert torch.autograd.gradgradcheck(lambda *a: differentiable(name)(*a, **constants), tensors)


@pytest.mark.parametrize("name", CASES)
def test_torch_maps_over_batches(name: str) -> None:
    tensors, constants = leaves(name)
    batch = [torch.stack([t.detach(), t.detach().flip(0)]) for t in tensors]

    def loss(function: Any) -> Any:
        def total(*args: Any) -> Any:
            found = function(*args, **constants)
            return sum(o.sin().sum() for o in (found if isinstance(found, tuple) else (found,)))

        return total

    moving = tuple(k for k, t in enumerate(tensors) if t.requires_grad)
    for own in (torch.func.grad(loss(differentiable(name)), moving),):
        want = [torch.func.grad(loss(CASES[name].function), moving)(*(b[k] for b in batch)) for k in range(2)]
        for got, *each in zip(torch.func.vmap(own)(*batch), *want, strict=True):
            torch.testing.assert_close(got, torch.stack(each))


def test_torch_compiles_and_exports() -> None:
    tensors, constants = leaves("pairs")
    want = pairs(*tensors)
    found = torch.compile(differentiable("pairs"), backend="eager", fullgraph=True)(*tensors)
    torch.testing.assert_close(found, want)

    class Module(torch.nn.Module):
        def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            return differentiable("pairs")(x, w)

    exported = torch.export.export(Module(), tuple(t.detach() for t in tensors))
    torch.testing.assert_close(exported.module()(*(t.detach() for t in tensors)), want.detach())


def test_an_output_may_be_written_to() -> None:
    tensors, constants = leaves("heads")
    output = differentiable("heads")(*tensors, **constants)
    output *= 2  # autograd refuses this for a view that an autograd.Function made
    output.sum().backward()
    assert tensors[0].grad is not None


@pytest.mark.skipif("jax" not in RUNNING_ARRAYS, reason="there is no JAX")
def test_jax_differentiates_with_a_static_length() -> None:
    import jax

    found = by_name("jax")
    tensors, constants = leaves("heads")
    with found.running():
        arrays = [found.to(t.detach().numpy()) for t in tensors]
        own = getattr(module("heads", "jax"), kernel("heads").op.name)
        gradients = jax.jit(jax.grad(lambda *a: jax.numpy.sin(own(*a, 2)).sum(), (0, 1, 2)))(*arrays)
    want = torch.autograd.grad(heads(*tensors, 2).sin().sum(), tensors)
    for got, g in zip(gradients, want, strict=True):
        np.testing.assert_allclose(np.asarray(got), g.numpy(), rtol=1e-9, atol=1e-12)


# ---- the language -----------------------------------------------------------------------------------------------------------


def test_the_equations_are_those_of_the_axes_apart() -> None:
    packed = derive.parse("y[n, u] = op(x[n, b], W[(b, e), u], C[e])\ny[n, u] = sum[b, e](x[n, b]*W[(b, e), u]*C[e])")
    apart = derive.parse("y[n, u] = op(x[n, b], W[b, e, u], C[e])\ny[n, u] = sum[b, e](x[n, b]*W[b, e, u]*C[e])")
    assert packed.equations == apart.equations and packed.inputs == apart.inputs
    assert packed.packing.slots("W", ("b", "e", "u")) == packed.packing.slots("dW", ("b", "e", "u")) == (("b", "e"), ("u",))
    assert not apart.packing


def test_a_formula_may_pack() -> None:
    op = parse_formula("y[n, (h = 2, f)] = tanh(x[n, h, f])*w[(h, f)]")
    assert signature(op) == "y[n, (h, f)] = y(x[n, h, f], w[(h = 2, f)])"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "y[n] = op(x[n, (h, f)])\ny[n] = sum[h, f](x[n, h, f])",
            "'x' packs the axes (h, f), and none of their lengths is known",
        ),
        (
            "y[n] = op(x[n, (a, b, c)], w[a])\ny[n] = sum[a, b, c](x[n, a, b, c]*w[a])",
            "the lengths of 'b' and 'c' are not known",
        ),
        ("y[n] = op(x[n, (2, f)])\ny[n] = sum[f](x[n, f])", "the axis of length 2 needs a name: (p = 2, ...)"),
        ("y[n] = op(x[n, (h = 0, f)])\ny[n] = sum[h, f](x[n, h, f])", "the length of 'h' is a number from 1 to"),
        ("y[n] = op(x[n, (h = 2.5, f)])\ny[n] = sum[h, f](x[n, h, f])", "the length of 'h' is a number from 1 to"),
        ("y[n] = op(x[n, (h = k, f)])\ny[n] = sum[h, f](x[n, h, f])", "the length 'k' of 'h' is no constant of the signature"),
        ("y[n] = op(x[n, (h = k, f)], k=0.5)\ny[n] = sum[h, f](x[n, h, f])", "a whole number of at least 1, not 0.5"),
        ("y[n] = op(x[n, (h = 2, f)], w[(h = 3, f)])\ny[n] = sum[h, f](x[n, h, f])", "'h' is given the lengths 2 and 3"),
        (
            "y[n] = op(x[n, (h = 2, *f)])\ny[n] = sum[h, f](x[n, h, f])",
            "'*f' stands for any number of axes and cannot be packed",
        ),
        ("y[n] = op(x[n, ((a, b), c)])\ny[n] = sum[a](x[n, a])", "names its axes one after the other, without brackets"),
        ("y[n] = op(x[n, (a,)])\ny[n] = sum[a](x[n, a])", "has two or more axes: (b, e)"),
        ("y[n] = op(x[n, (n, a)])\ny[n] = sum[a](x[n, n, a])", "the axis 'n' of 'x' is named twice"),
        ("y[n] = op(x[n, (h = 2, f)])\ny[n] = sum[h, f](x[(n, h), f])", "'x' has no packed axis (n, h); write x[n, (h, f)]"),
        ("y[n] = op(x[n, h], w[h])\ny[n] = sum[h](x[(n, h)]*w[h])", "'x' has no packed axis (n, h); write x[n, h]"),
        ("y[n] = op(x[n, (h = 2, f)])\ny[n] = sum[h, f](x[n, (h = 3, f)])", "a length is given where the axis is declared"),
        ("y[n, (h, f)] = op(x[n, (h = 2, f)])\ny[(n, h), f] = x[n, h, f]", "'y' has no packed axis (n, h); write y[n, (h, f)]"),
        ("y[n] = op(x[n, (h @ 2, f)])\ny[n] = sum[h, f](x[n, h, f])", "expected the name of an axis of 'x'"),
        (
            "y[h] = op(x[(h = 2, f)], w[(g = 3, f)])\ny[h] = sum[f](x[h, f]*w[h, f])",
            "the axes 'h' and 'g' have one length, and are given 2 and 3",
        ),
    ],
)
def test_what_is_no_packed_axis_is_refused(text: str, message: str) -> None:
    with pytest.raises(OpError) as error:
        derive.parse(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_call_brings_the_length_of_its_callee() -> None:
    callee = derive.parse(CASES["pairs"].text)
    text = "z[n] = op(x[n, a, b], w[b])\ny[n, a, b] = pairs(x[n, a, b], w[b])\nz[n] = sum[a, b](y[n, a, b])"
    op = derive.language.parse.parse(text, catalogue={"pairs": callee}.get)
    assert op.packing.lengths == (("a", 2),)


@pytest.mark.parametrize("name", CASES)
def test_the_derivation_certifies_and_shows_the_callers_axes(name: str) -> None:
    derivation = derive.derive(derive.parse(CASES[name].text))
    assert certify(derivation).passed
    first = show_text(derivation, tree_of=of_derivation(derivation)).split("\n")[0]
    assert first == CASES[name].text.split("\n")[0]
    assert derive.parse("\n".join([first, *CASES[name].text.split("\n")[1:]])).packing == derivation.op.packing


# ---- source -----------------------------------------------------------------------------------------------------------------


@each_array_backend
def test_the_chain_rule_has_the_lines_of_the_course(backend: str) -> None:
    source = render_chain(derive.load("makemore"), by_name(backend), "a check")
    for line in ("hprebn = embcat @ W1 + b1", "return embcat.T @ dhprebn", "return dhprebn @ W1.T"):
        assert line in source


def test_a_kernel_takes_apart_only_what_it_must() -> None:
    text = "y[n, (h, f)] = op(x[n, (h = 2, f)], w[(h, f)])\ny[n, (h, f)] = tanh(x[n, h, f])*w[h, f]"
    built = build(derive.parse(text), backends=["numpy"])
    assert "reshape(" not in built.files["numpy/op.py"].partition("def _")[0]
