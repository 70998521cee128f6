"""The native kernels inside torch: when they run, when torch's do, and that nobody could tell from the results.

What autograd, vmap, compile and export make of them is tested in ``test_differentiable.py``, side by side with the plain ops.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

import generated.native.torch
import generated.torch
from derive.ops import names, variants
from generated.native.torch import _native
from tests import kernels
from tests.kernels import OPS

every = pytest.mark.parametrize("name", OPS)
LABELLED = [n for n in OPS if any(t.labels for t in kernels.kernel(n).op.inputs)]
Counts = dict[str, int]


def native(name: str) -> Callable[..., torch.Tensor]:
    return getattr(generated.native.torch, name)


def plain(name: str) -> Callable[..., torch.Tensor]:
    return getattr(generated.torch, name)


def values(name: str, dtype: torch.dtype = torch.float64, seed: int = 3, **options: Any) -> list[torch.Tensor]:
    drawn = kernels.inputs(name, np.random.default_rng(seed), dtype, **{"low": 2, "high": 5, "star": 1, **options})
    return [v.requires_grad_(v.is_floating_point()) for v in drawn.values()]


def floating(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    return [t for t in tensors if t.is_floating_point()]


def results(function: Callable[..., torch.Tensor], tensors: list[torch.Tensor], second: bool = False) -> list[torch.Tensor]:
    """The output and the gradients of its weighted sum of squares, or the second derivatives of that."""
    output = function(*tensors)
    weights = torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype).reshape(output.shape)
    found = torch.autograd.grad((weights * output**2).sum(), floating(tensors), create_graph=second)
    if second:
        found = torch.autograd.grad(sum((g**2).sum() for g in found), floating(tensors), allow_unused=True)
    return [output.detach(), *(torch.zeros(()) if g is None else g for g in found)]


def agree(got: list[torch.Tensor], want: list[torch.Tensor], tolerance: float) -> None:
    for g, w in zip(got, want, strict=True):
        assert g.dtype == w.dtype and g.shape == w.shape
        scale = max(1.0, float(w.abs().max())) if w.numel() else 1.0
        assert torch.allclose(g, w, rtol=tolerance, atol=tolerance * scale)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Counts]:
    """A function that starts to count the calls of an op's native kernels."""

    def start(name: str) -> Counts:
        results(native(name), values(name))  # the first call of a kernel puts its compiled function in place
        results(native(name), values(name, torch.float32))
        found = {"forward": 0, "backward": 0}
        for part in found:
            kernel = getattr(kernels.module(name, "native"), f"{name}_{part}")

            def counted(*args: Any, part: str = part, call: Callable[..., Any] = kernel._call, **kwargs: Any) -> Any:
                found[part] += 1
                return call(*args, **kwargs)

            monkeypatch.setattr(kernel, "_call", counted)
        return found

    return start


# ---- what they offer, and that they run -------------------------------------------------------------------------------------


def test_the_same_ops_with_the_same_signatures() -> None:
    assert set(generated.native.torch.__all__) == {*names(), *variants()}
    for name in generated.native.torch.__all__:
        assert inspect.signature(native(name)) == inspect.signature(plain(name))
        assert native(name).__doc__ == plain(name).__doc__


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_native_kernels_run_forward_and_backward(name: str, dtype: torch.dtype, counts: Callable[[str], Counts]) -> None:
    found = counts(name)
    results(native(name), values(name, dtype))
    assert found == {"forward": 1, "backward": 1}


@every
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-4)], ids=str)
def test_results_are_those_of_torch(name: str, dtype: torch.dtype, tolerance: float) -> None:
    for star in range(4):
        drawn = values(name, dtype, seed=star, star=star)
        agree(results(native(name), drawn), results(plain(name), drawn), tolerance)


@pytest.mark.parametrize("name", ["layernorm", "batchnorm", "rmsnorm", "softmax_cross_entropy", "attention"])
def test_second_derivatives_go_through_what_was_saved(name: str) -> None:
    """Statistics that the forward saved depend on the inputs: taken for constants, these come out wrong."""
    drawn = values(name, star=1)
    agree(results(native(name), drawn, second=True), results(plain(name), drawn, second=True), 1e-10)


def test_constants_reach_the_kernels() -> None:
    x, gamma, beta = values("batchnorm")
    for eps, ddof in ((1e-5, 0), (0.5, 1)):
        got = results(lambda *v, e=eps, d=ddof: native("batchnorm")(*v, eps=e, ddof=d), [x, gamma, beta])
        want = results(lambda *v, e=eps, d=ddof: plain("batchnorm")(*v, e, d), [x, gamma, beta])
        agree(got, want, 1e-11)


@every
def test_gradients_of_any_subset_of_the_inputs(name: str) -> None:
    drawn = values(name)
    whole = dict(zip(map(id, floating(drawn)), results(native(name), drawn)[1:], strict=True))
    for wanted in itertools.islice(itertools.combinations(floating(drawn), 1), 3):
        some = [v if v is wanted[0] or not v.is_floating_point() else v.detach() for v in drawn]
        output = native(name)(*some)
        weights = torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype).reshape(output.shape)
        (got,) = torch.autograd.grad((weights * output**2).sum(), wanted)
        assert torch.allclose(got, whole[id(wanted[0])])
    assert not native(name)(*(v.detach() for v in drawn)).requires_grad


def test_an_expanded_upstream_gradient_and_no_axes_at_all() -> None:
    (x,) = values("tanh")
    native("tanh")(x).sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, 1 - torch.tanh(x.detach()) ** 2)
    point = torch.tensor(0.5, requires_grad=True)
    agree(results(native("tanh"), [point]), results(plain("tanh"), [point]), 1e-6)


def test_a_tensor_that_is_negated_when_read() -> None:
    x = torch.tensor([1.0 + 2.0j], dtype=torch.complex128).conj().imag
    assert x.is_neg() and x.is_contiguous()
    agree([native("tanh")(x)], [torch.tanh(x)], 1e-12)


def test_empty_tensors() -> None:
    for shape in ((0, 3), (2, 0)):
        x = torch.zeros(shape, requires_grad=True)
        agree(results(native("softmax"), [x]), results(plain("softmax"), [x]), 0)


# ---- where torch's kernels run ---------------------------------------------------------------------------------------------


@every
def test_other_layouts_and_dtypes_go_to_torch(name: str, counts: Callable[[str], Counts]) -> None:
    """Strided and half precision: equal to the last bit, for the same kernels ran, and no native one."""
    found = counts(name)
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        drawn = values(name, dtype)
        if dtype == torch.float64:
            drawn = [v.detach().repeat_interleave(2, -1)[..., ::2].requires_grad_(v.requires_grad) for v in drawn]
            assert not any(v.is_contiguous() for v in drawn if v.shape[-1] > 1)
        got, want = results(native(name), drawn), results(plain(name), drawn)
        assert all(torch.equal(g, w) or torch.isnan(w).any() for g, w in zip(got, want, strict=True))
    assert found == {"forward": 0, "backward": 0}


def test_mixed_precision_subclasses_and_constants_that_are_tensors_go_to_torch(counts: Callable[[str], Counts]) -> None:
    found = counts("layernorm")
    x, gamma, beta = values("layernorm")
    native("layernorm")(x, gamma.float(), beta)
    native("layernorm")(x, gamma, beta, torch.tensor(1e-5))
    assert found["forward"] == 0
    native("layernorm")(torch.nn.Parameter(x.detach()), gamma, beta)
    assert found["forward"] == 1


@pytest.mark.parametrize("name", LABELLED)
def test_labels_of_32_bits(name: str) -> None:
    drawn = values(name)
    narrow = [v if v.is_floating_point() else v.int() for v in drawn]
    agree(results(native(name), narrow), results(native(name), drawn), 0)


@pytest.mark.parametrize("name", ["layernorm", "softmax_cross_entropy", "attention"])
def test_vmap_and_batched_gradients(name: str) -> None:
    drawn = values(name)
    stacked = [torch.stack([v.detach()] * 3) for v in drawn]
    stacked = [v * torch.arange(1, 4).reshape(3, *[1] * (v.ndim - 1)) if v.is_floating_point() else v for v in stacked]
    agree([torch.vmap(native(name))(*stacked)], [torch.vmap(plain(name))(*stacked)], 1e-12)
    twice = [torch.stack([v, v]) for v in stacked]
    agree([torch.vmap(torch.vmap(native(name)))(*twice)], [torch.vmap(torch.vmap(plain(name)))(*twice)], 1e-12)
    output = native(name)(*drawn)
    upstream = torch.randn(4, *output.shape, dtype=output.dtype)
    batched = torch.autograd.grad(output, floating(drawn), upstream, is_grads_batched=True, retain_graph=True)
    for k in range(4):
        agree(
            [b[k] for b in batched], list(torch.autograd.grad(output, floating(drawn), upstream[k], retain_graph=True)), 1e-12
        )


# ---- errors ----------------------------------------------------------------------------------------------------------------

BAD: dict[str, tuple[str, Callable[..., list[Any]]]] = {
    "length": ("layernorm", lambda x, g, b: [x, g[:1], b]),
    "rank": ("layernorm", lambda x, g, b: [x, g[None], b]),
    "star": ("attention", lambda q, k, v: [q, k[:1], v]),
    "integers": ("layernorm", lambda x, g, b: [x.long(), g, b]),
    "array": ("layernorm", lambda x, g, b: [x.numpy(), g, b]),
    "list": ("layernorm", lambda x, g, b: [x, g, b.tolist()]),
    "constant": ("layernorm", lambda x, g, b: [x, g, b, "1"]),
    "label": ("softmax_cross_entropy", lambda z, t: [z, t + z.shape[1]]),
    "negative label": ("embedding", lambda table, t: [table, t - 100]),
    "label type": ("embedding", lambda table, t: [table, t.to(torch.uint8)]),
}


@pytest.mark.parametrize("what", BAD)
def test_errors_are_those_of_torch(what: str) -> None:
    name, spoil = BAD[what]
    bad = spoil(*(v.detach() for v in values(name)))
    raised = []
    for function in (native(name), plain(name)):
        with pytest.raises((TypeError, ValueError, IndexError)) as caught:
            function(*bad)
        raised.append((type(caught.value), str(caught.value)))
    assert raised[0] == raised[1]


# ---- compilers -------------------------------------------------------------------------------------------------------------


@every
def test_compile_forward_and_backward_in_one_graph(name: str, counts: Callable[[str], Counts]) -> None:
    """The native kernels stay in the graph, with the shapes that they return."""
    found, drawn = counts(name), values(name)
    torch._dynamo.reset()
    compiled = torch.compile(native(name), fullgraph=True, backend="aot_eager", dynamic=True)
    agree(results(compiled, drawn), results(plain(name), drawn), 1e-11)
    assert found["forward"] == found["backward"] == 1


@pytest.mark.parametrize("name", ["layernorm", "softmax_cross_entropy"])
def test_compile_of_func_grad(name: str) -> None:
    """A compiler takes the autograd.Function apart here: the opaque op alone would have no gradient."""
    drawn = [v.detach() for v in values(name)]
    wanted = tuple(k for k, v in enumerate(drawn) if v.is_floating_point())

    def gradient(function: Callable[..., torch.Tensor]) -> Callable[..., Any]:
        return torch.func.grad(lambda *v: (function(*v) ** 3).sum(), argnums=wanted)

    torch._dynamo.reset()
    compiled = torch.compile(gradient(native(name)), fullgraph=True, backend="aot_eager")
    agree(list(compiled(*drawn)), list(gradient(plain(name))(*drawn)), 1e-11)


@every
def test_an_exported_program_calls_the_native_kernel(name: str, counts: Callable[[str], Counts]) -> None:
    found, drawn = counts(name), [v.detach() for v in values(name)]

    class Module(torch.nn.Module):
        def forward(self, *args: torch.Tensor) -> torch.Tensor:
            return native(name)(*args)

    program = torch.export.export(Module(), tuple(drawn))
    assert f"generated_native_torch.{name}_forward" in str(program.graph)
    assert torch.allclose(program.module()(*drawn), plain(name)(*drawn))
    assert found["forward"] == 1


@pytest.mark.parametrize("name", ["batchnorm", "softmax", "softmax_cross_entropy"])
def test_the_ops_pass_the_checks_of_torch(name: str) -> None:
    """Schema, registrations, and what a compiler is told against what a call returns."""
    ops, drawn = torch.ops.generated_native_torch, [v.detach() for v in values(name)]
    given = kernels.constants(name)
    k = kernels.kernel(name)
    forward = getattr(ops, f"{name}_forward").default
    arguments = (*drawn, *(float(given[c.name]) for c in k.forward.constants))
    torch.library.opcheck(forward, arguments)
    found = forward(*arguments)
    names = [*dict.fromkeys([t.name for t in (*k.op.outputs, *k.saved)])]
    tensors = dict(zip(names, [found] if isinstance(found, torch.Tensor) else found, strict=True))
    tensors |= dict(zip([t.name for t in k.op.inputs], drawn, strict=True))
    tensors |= {f"d{t.name}": torch.ones_like(tensors[t.name]) for t in k.op.outputs}
    backward = (*(tensors[a.name] for a in k.backward.arguments), *(float(given[c.name]) for c in k.backward.constants))
    torch.library.opcheck(getattr(ops, f"{name}_backward").default, backward)


# ---- who listens to ops ----------------------------------------------------------------------------------------------------


class Listener(TorchDispatchMode):
    """Writes down the ops that are called under it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.heard.append(str(func))
        return func(*args, **(kwargs or {}))


def test_modes_tracers_and_fake_tensors_meet_the_op() -> None:
    (x,) = values("softmax")
    with Listener() as listener:
        native("softmax")(x).sum().backward()
    assert [h for h in listener.heard if "softmax" in h] == [
        f"generated_native_torch.softmax_{part}.default" for part in ("forward", "backward")
    ]
    assert "generated_native_torch.softmax_forward" in str(make_fx(native("softmax"))(x.detach()).graph)
    with FakeTensorMode() as mode:
        fake = native("layernorm")(*(mode.from_tensor(v.detach()) for v in values("layernorm")))
    assert fake.shape == values("layernorm")[0].shape and type(fake) is not torch.Tensor


def test_an_ordinary_call_passes_by_the_dispatcher() -> None:
    x = torch.zeros(3)
    assert _native._direct((x, torch.nn.Parameter(x), torch.zeros(2, dtype=torch.int32), 1e-5))
    assert not _native._direct((x.to(torch.complex64).conj().imag,))
    with Listener():
        assert not _native._direct((x,))
    seen: list[bool] = []
    torch.func.grad(lambda v: seen.append(_native._direct((v,))) or v.sum())(x)
    torch.vmap(lambda v: seen.append(_native._direct((v,))) or v)(x)
    assert seen == [False, False]


def test_autograd_sees_through_the_bare_op() -> None:
    """Where the op is met without its autograd.Function, the gradient is right rather than absent."""
    (x,) = values("softmax")
    bare = torch.ops.generated_native_torch.softmax_forward.default
    assert torch.autograd.gradcheck(bare, [x])


class Named(torch.Tensor):
    """A tensor whose class survives torch's functions."""


@pytest.mark.parametrize("name", ["tanh", "layernorm", "softmax_cross_entropy"])
def test_a_subclass_of_tensor_keeps_its_class(name: str) -> None:
    drawn = values(name)
    dressed = [v.detach().as_subclass(Named).requires_grad_(v.requires_grad) for v in drawn]
    got = native(name)(*dressed)
    assert type(got) is type(plain(name)(*dressed)) is Named
    torch.testing.assert_close(got.detach().as_subclass(torch.Tensor), native(name)(*drawn).detach())
