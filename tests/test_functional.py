"""``generated.torch.functional`` beside ``torch.nn.functional``: signatures, samples, errors, dtypes, and in its place.

The judges are torch's own functions and torch's own samples of them. What is not served is counted, so that it cannot grow.
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_mode
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput

from codegen.backends.torch.adapters import adapter_files
from codegen.build import COMMAND
from codegen.emit import formatted
from generated.torch import functional
from tests.opinfo.floors import FUNCTIONAL_FLOORS
from tests.opinfo.samples import compare

GENERATED = Path(__file__).resolve().parent.parent / "generated"
NAMES = [f.__name__ for f in functional.FUNCTIONS]
PREFIX = "nn.functional."
#: The samples of these call them otherwise, or draw random numbers.
OTHERWISE = {"embedding", "embedding_bag", "dropout"}
#: Functions of torch that are written in C++ say their arguments in their documentation alone.
DOCUMENTED = {
    "avg_pool2d": "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
    "bilinear": "input1 input2 weight bias",
    "conv1d": "input weight bias stride padding dilation groups",
    "conv2d": "input weight bias stride padding dilation groups",
    "cosine_similarity": "x1 x2 dim eps",
    "gelu": "input approximate",
    "linear": "input weight bias",
    "logsigmoid": "input",
    "max_pool2d": "input kernel_size stride padding dilation ceil_mode return_indices",
    "pairwise_distance": "x1 x2 p eps keepdim",
    "prelu": "input weight",
    "scaled_dot_product_attention": "query key value attn_mask dropout_p is_causal scale enable_gqa",
    "softplus": "input beta threshold",
}


def infos(name: str) -> list[OpInfo]:
    return [info for info in op_db if info.name in (PREFIX + name, name) and info.name != "unfold"]


def samples(name: str) -> Iterator[tuple[OpInfo, SampleInput]]:
    """At most sixty samples of each variant of a function: its value and derivatives are tested with all of them elsewhere."""
    for info in infos(name):
        torch.manual_seed(0)
        for number, sample in enumerate(info.sample_inputs("cpu", torch.float64, requires_grad=True)):
            if number < 60:
                yield info, sample


def raised(function: Callable[..., Any], sample: SampleInput) -> tuple[type, str] | None:
    try:
        function(sample.input, *sample.args, **sample.kwargs)
    except Exception as error:
        return type(error), str(error)
    return None


# ---- the functions ------------------------------------------------------------------------------------------------


def test_what_is_committed_is_what_is_emitted() -> None:
    for path, text in formatted(adapter_files("torch", COMMAND)).items():
        assert (GENERATED / path).read_text(encoding="utf-8") == text, path


@pytest.mark.parametrize("name", NAMES)
def test_a_signature_is_that_of_torch(name: str) -> None:
    own, torchs = inspect.signature(getattr(functional, name)), getattr(F, name)
    if name in DOCUMENTED:
        assert " ".join(own.parameters) == DOCUMENTED[name]
        return
    theirs = inspect.signature(torchs).parameters.values()
    assert [(p.name, p.default, p.kind) for p in own.parameters.values()] == [(p.name, p.default, p.kind) for p in theirs]


def tangents(function: Callable[..., Any], sample: SampleInput) -> list[Tensor]:
    """The value and its tangent, for tangents of all inputs."""
    generator = torch.Generator().manual_seed(0)

    def dual(x: Any) -> Any:
        if not isinstance(x, Tensor) or not x.requires_grad:
            return x
        x = x.detach().clone()
        return forward_mode.make_dual(x, torch.randn(x.shape, dtype=x.dtype, generator=generator))

    with forward_mode.dual_level(), sdpa_kernel(SDPBackend.MATH):
        given = {name: dual(value) for name, value in sample.kwargs.items()}
        found = function(dual(sample.input), *map(dual, sample.args), **given)
        value, tangent = forward_mode.unpack_dual(found)
        return [value.clone(), torch.zeros_like(value) if tangent is None else tangent.clone()]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [n for n in NAMES if n not in OTHERWISE | {"hardsigmoid"}])
def test_forward_mode_is_that_of_torch(name: str) -> None:
    found: Counter[str] = Counter()
    for info, sample in samples(name):
        try:
            ours = tangents(getattr(functional, name), sample)
        except functional.NotServed:
            found["not served"] += 1
            continue
        compare(ours, tangents(info.op, sample))
        found["served"] += 1
    assert found["served"] >= FUNCTIONAL_FLOORS[name], found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [n for n in NAMES if any(info.error_inputs_func for info in infos(n))])
def test_errors_are_those_of_torch(name: str) -> None:
    for info in infos(name):
        for case in info.error_inputs("cpu") if info.error_inputs_func else ():
            sample = case.sample_input
            assert raised(getattr(functional, name), sample) == raised(getattr(F, name), sample) is not None


#: What torch takes and no op computes, by what the error says.
REFUSED: dict[str, Callable[[], Any]] = {
    "tanh: x has dtype torch.complex64": lambda: functional.tanh(torch.ones(2, dtype=torch.complex64)),
    "relu: x has dtype torch.int64": lambda: functional.relu(torch.ones(2, dtype=torch.int64)),
    "conv1d: groups=2": lambda: functional.conv1d(torch.ones(1, 2, 3), torch.ones(2, 1, 1), groups=2),
    "poisson_nll_loss: log_input=False": lambda: functional.poisson_nll_loss(torch.ones(2), torch.ones(2), log_input=False),
    "embedding: max_norm": lambda: functional.embedding(torch.zeros(1, dtype=torch.int64), torch.ones(2, 2), max_norm=1.0),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_served_says_so(text: str) -> None:
    with pytest.raises(NotImplementedError) as caught:
        REFUSED[text]()
    assert str(caught.value).startswith(text)


def test_what_is_not_served_leaves_its_arguments_as_they_were() -> None:
    table = torch.full((2, 2), 5.0)
    with pytest.raises(functional.NotServed):
        functional.embedding(torch.tensor([0]), table, max_norm=1.0)
    assert torch.equal(table, torch.full((2, 2), 5.0))


# ---- labels, running statistics, in place -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_labels_are_of_the_dtypes_that_torch_takes(dtype: torch.dtype) -> None:
    x, t = torch.randn(4, 5, dtype=torch.float64), torch.tensor([0, 4, 2, 2], dtype=dtype)
    torch.testing.assert_close(functional.cross_entropy(x, t), F.cross_entropy(x, t))
    torch.testing.assert_close(functional.nll_loss(x, t), F.nll_loss(x, t))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_labels_of_other_dtypes_are_refused_as_torch_refuses_them(dtype: torch.dtype) -> None:
    sample = SampleInput(torch.randn(2, 3), args=(torch.zeros(2, dtype=dtype),))
    assert raised(functional.cross_entropy, sample) == raised(F.cross_entropy, sample) is not None


@pytest.mark.parametrize("labels", [[0, -100, 2, -100], [-100] * 4])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
def test_ignored_labels_have_no_loss_and_no_gradient(
    labels: list[int], reduction: str, smoothing: float, weighted: bool
) -> None:
    t = torch.tensor(labels)
    w = torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64) if weighted else None
    found = []
    for module in (functional, F):
        torch.manual_seed(0)
        x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
        loss = module.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)
        found.append([loss, *torch.autograd.grad(loss.sum(), x)])
    none = reduction == "mean" and not (t != -100).any()
    torch.testing.assert_close(*(pair[:1] if none else pair for pair in found), equal_nan=True)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_running_statistics_are_moved_as_torch_moves_them(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5).to(dtype)
    running = [[torch.zeros(3), torch.ones(3)] for _ in range(2)]
    running = [[r.double() if dtype == torch.float64 else r for r in pair] for pair in running]
    for module, (mean, var) in zip((functional, F), running, strict=True):
        for _ in range(3):
            getattr(module, name)(x, mean, var, None, None, True, 0.3)
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(*running, **tolerance)
    assert not torch.equal(running[0][0], torch.zeros_like(running[0][0]))


def test_an_empty_batch_moves_no_statistics() -> None:
    mean, var = torch.zeros(3), torch.ones(3)
    functional.batch_norm(torch.ones(0, 3), mean, var, training=True)
    assert torch.equal(mean, torch.zeros(3)) and torch.equal(var, torch.ones(3))


INPLACE = ["relu", "relu6", "silu", "mish", "selu", "elu", "celu", "leaky_relu", "hardswish", "hardsigmoid", "hardtanh"]


@pytest.mark.parametrize("name", INPLACE)
def test_in_place_the_input_is_written_over(name: str) -> None:
    found = []
    for module in (functional, F):
        leaf = torch.linspace(-4, 4, 9, requires_grad=True)
        x = leaf * 1.5
        y = getattr(module, name)(x, inplace=True)
        assert y is x
        found.append([y, *torch.autograd.grad((y**2).sum(), leaf)])
    torch.testing.assert_close(*found)


def test_results_can_be_written_over() -> None:
    """As residual networks do, after a normalisation and after a convolution."""
    found = []
    for module in (functional, F):
        torch.manual_seed(0)
        x, w = torch.randn(2, 3, 5, 5, requires_grad=True), torch.randn(3, 3, 3, 3, requires_grad=True)
        out = module.relu(module.batch_norm(x, None, None, training=True), inplace=True)
        out = module.conv2d(out, w, padding=1)
        out += x
        out = module.layer_norm(out, (5, 5))
        out *= 2
        out = module.dropout(out, 0.0)
        found.append([out, *torch.autograd.grad((out**3).sum(), [x, w])])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_dropout_draws_what_torch_draws() -> None:
    found = []
    for module in (functional, F):
        torch.manual_seed(3)
        found.append([module.dropout(torch.ones(50), p) for p in (0.1, 0.5, 1.0)])
    torch.testing.assert_close(*found)


def test_a_query_that_sees_no_key_gets_nothing_and_gives_no_gradient() -> None:
    found = []
    for module in (functional, F):
        torch.manual_seed(0)
        q, k, v = (torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
        mask = torch.tensor([[True, False, True], [False] * 3, [True] * 3])
        with sdpa_kernel(SDPBackend.MATH):
            y = module.scaled_dot_product_attention(q, k, v, mask)
        found.append([y, *torch.autograd.grad((y**2).sum(), [q, k, v])])
    torch.testing.assert_close(*found)


# ---- dtypes -------------------------------------------------------------------------------------------------------

N = (4, 6)
CALLS: dict[str, Callable[[Any, Callable[..., Tensor]], Tensor]] = {
    "linear": lambda f, r: f.linear(r(*N), r(5, 6), r(5)),
    "conv1d": lambda f, r: f.conv1d(r(1, 4, 6), r(2, 4, 3)),
    "bilinear": lambda f, r: f.bilinear(r(4, 2), r(4, 3), r(5, 2, 3)),
    "scaled_dot_product_attention": lambda f, r: f.scaled_dot_product_attention(r(*N), r(*N), r(*N)),
    "layer_norm": lambda f, r: f.layer_norm(r(*N), (6,), r(6), r(6)),
    "rms_norm": lambda f, r: f.rms_norm(r(*N), (6,), r(6)),
    "group_norm": lambda f, r: f.group_norm(r(*N), 2, r(6), r(6)),
    "batch_norm": lambda f, r: f.batch_norm(r(*N), None, None, r(6), r(6), training=True),
    "softmax": lambda f, r: f.softmax(r(*N), -1),
    "gelu": lambda f, r: f.gelu(r(*N)),
    "softplus": lambda f, r: f.softplus(r(*N)),
    "cross_entropy": lambda f, r: f.cross_entropy(r(*N), torch.tensor([0, 1, 2, -100])),
    "mse_loss": lambda f, r: f.mse_loss(r(*N), r(*N)),
    "huber_loss": lambda f, r: f.huber_loss(r(*N), r(*N)),
    "kl_div": lambda f, r: f.kl_div(r(*N), r(*N).abs(), reduction="batchmean"),
    "binary_cross_entropy_with_logits": lambda f, r: f.binary_cross_entropy_with_logits(r(*N), r(*N).abs()),
    "cosine_embedding_loss": lambda f, r: f.cosine_embedding_loss(r(*N), r(*N), torch.ones(4)),
    "cosine_similarity": lambda f, r: f.cosine_similarity(r(*N), r(*N)),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_dtypes_are_those_of_torch(name: str, given: torch.dtype, autocast: bool) -> None:
    """In bfloat16, under autocast and outside of it, the result has torch's dtype, and is as near as the dtype can tell."""
    found = []
    for module in (functional, F):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found.append(CALLS[name](module, lambda *shape: torch.randn(shape).to(given)))
    assert found[0].dtype == found[1].dtype
    torch.testing.assert_close(*found, **({} if given == torch.float32 and not autocast else {"rtol": 3e-2, "atol": 3e-2}))


# ---- in the place of torch's --------------------------------------------------------------------------------------


def test_what_is_replaced_is_restored_whatever_is_raised() -> None:
    before = {name: getattr(F, name) for name in NAMES}, torch.nn.Tanh.forward
    with pytest.raises(ZeroDivisionError), functional.patch(F):
        assert F.relu is not before[0]["relu"]
        with functional.patch(F, strict=True):  # nothing is left to replace
            pass
        assert F.relu is not before[0]["relu"]
        raise ZeroDivisionError
    assert before == ({name: getattr(F, name) for name in NAMES}, torch.nn.Tanh.forward)


def test_what_is_not_served_is_left_to_torch_and_listed() -> None:
    with functional.patch(F) as left:
        assert torch.equal(F.relu(torch.tensor([-1, 2])), torch.tensor([0, 2]))
        torch.nn.Tanh()(torch.ones(2, dtype=torch.complex64))
        torch.nn.Linear(2, 3)(torch.ones(2))
    assert {name: len(cases) for name, cases in left.items()} == {"relu": 1, "tanh": 1}
    with functional.patch(F, strict=True), pytest.raises(functional.NotServed):
        F.relu(torch.tensor([-1, 2]))


def test_errors_in_the_place_of_torch_are_those_of_torch() -> None:
    sample = SampleInput(torch.ones(2, 3), args=(torch.ones(4, 5),))
    theirs = raised(F.linear, sample)
    with functional.patch(F) as left:
        assert raised(F.linear, sample) == theirs is not None
    assert not left


def test_a_module_of_ones_own_is_patched_where_it_has_the_functions_of_torch() -> None:
    import types

    mine = types.ModuleType("mine")
    mine.relu, mine.other = F.relu, len  # type: ignore[attr-defined]
    with functional.patch(mine, strict=True):
        assert mine.relu is functional.relu and mine.other is len
    assert mine.relu is F.relu


class Block(torch.nn.Module):
    """A block of a GPT: causal attention over heads, and a perceptron, each behind a normalisation."""

    def __init__(self, width: int, heads: int, norm: Callable[[int], torch.nn.Module], act: torch.nn.Module) -> None:
        super().__init__()
        self.heads, self.act = heads, act
        self.one, self.two = norm(width), norm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width, bias=False), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (z.unflatten(-1, (self.heads, -1)).transpose(1, 2) for z in self.qkv(self.one(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(-2))
        return x + self.down(self.act(self.up(self.two(x))))


def gpt(norm: Callable[[int], torch.nn.Module], act: torch.nn.Module) -> torch.nn.Module:
    blocks = [Block(16, 2, norm, act) for _ in range(2)]
    return torch.nn.Sequential(torch.nn.Embedding(11, 16), *blocks, norm(16), torch.nn.Linear(16, 11))


class Encoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = torch.nn.Embedding(11, 16), torch.nn.Linear(16, 11)
        self.layer = torch.nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, activation="gelu", batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.table(x)))


class Residual(torch.nn.Module):
    """Two blocks as residual networks have them, with what they write in place."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(11, 8)
        self.convs = torch.nn.ModuleList(torch.nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(4))
        self.norms = torch.nn.ModuleList(torch.nn.BatchNorm2d(8) for _ in range(4))
        self.relu, self.pool, self.head = torch.nn.ReLU(inplace=True), torch.nn.MaxPool2d(2), torch.nn.Linear(8, 11)

    def forward(self, x: Tensor) -> Tensor:
        h = self.table(x).permute(0, 2, 1).unflatten(-1, (2, -1))
        for k in (0, 2):
            identity = h
            out = self.relu(self.norms[k](self.convs[k](h)))
            out = self.norms[k + 1](self.convs[k + 1](out))
            out += identity
            h = self.relu(out)
        return self.head(self.pool(h).mean((2, 3))).unsqueeze(1).expand(-1, x.shape[1], -1)


MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "a GPT of layer norms": lambda: gpt(torch.nn.LayerNorm, torch.nn.GELU()),
    "a GPT of RMS norms": lambda: gpt(torch.nn.RMSNorm, torch.nn.SiLU()),
    "an encoder": Encoder,
    "residual blocks": Residual,
}


def losses(made: torch.nn.Module, dtype: torch.dtype, compiled: str = "", autocast: bool = False) -> Tensor:
    """The losses of twenty steps on tokens of which some are ignored."""
    model = copy.deepcopy(made).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(0, 11, (3, 8), generator=generator)
    t = torch.randint(0, 11, (3, 8), generator=generator)
    t[:, ::3] = -100

    def step() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return F.cross_entropy(model(x).transpose(1, 2), t)

    if compiled:
        torch._dynamo.reset()
    call = torch.compile(step, backend=compiled) if compiled else step
    found = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = call()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return torch.tensor(found, dtype=torch.float64)


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains_to_the_same_losses(name: str, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    theirs = losses(model, dtype)
    with functional.patch(F, strict=True):
        ours = losses(model, dtype)
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    assert theirs[-1] < theirs[0] - 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_trains_to_the_same_losses(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    theirs = losses(model, torch.float64)
    with functional.patch(F, strict=True):
        ours = losses(model, torch.float64, compiled="aot_eager")
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_trains_under_autocast(name: str) -> None:
    """In bfloat16 both round, each in its own places; the losses fall alike."""
    torch.manual_seed(0)
    model = MODELS[name]()
    theirs = losses(model, torch.float32, autocast=True)
    with functional.patch(F, strict=True):
        ours = losses(model, torch.float32, autocast=True)
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)
