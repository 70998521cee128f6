# ruff: noqa: E501 -- tables of cases
"""The gradient flow of torch modules: each illness is named at its place with its cause, a healthy network has none.

And the module is left as it was, whatever it is made of and whatever happens in it.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from codegen.tools.flow import flow  # noqa: E402
from codegen.tools.flow.layer import examined  # noqa: E402
from codegen.tools.flow.layers import LAYERS, PARAMETERS, known  # noqa: E402
from codegen.tools.flow.recording import record  # noqa: E402
from derive import load  # noqa: E402
from tests.networks import Chained  # noqa: E402

CROSS_ENTROPY = nn.CrossEntropyLoss()


def numbers(rows=64, features=20, classes=10):
    return torch.randn(rows, features), torch.randint(0, classes, (rows,))


def characters(rows=64, block=3):
    return torch.randint(0, 27, (rows, block)), torch.randint(0, 10, (rows,))


def named(**layers):
    return nn.Sequential(OrderedDict(layers))


def mlp(act=nn.Tanh, hidden=50):
    return named(fc1=nn.Linear(20, hidden), act1=act(), fc2=nn.Linear(hidden, hidden), act2=act(), out=nn.Linear(hidden, 10))


def deep(depth, act, scale):
    layers = {}
    for k in range(depth):
        layers |= {f"fc{k}": nn.Linear(20, 20, bias=False), f"act{k}": act()}
        with torch.no_grad():
            layers[f"fc{k}"].weight.copy_(scale / 20**0.5 * torch.randn(20, 20))
    return named(**layers, out=nn.Linear(20, 10))


def changed(module, change):
    with torch.no_grad():
        change(module)
    return module


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.pos = nn.Embedding(27, 16), nn.Parameter(0.02 * torch.randn(8, 16))
        self.norm1, self.mix = nn.LayerNorm(16), nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm2, self.up, self.act, self.down = nn.LayerNorm(16), nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16)
        self.head = nn.Linear(16, 10)

    def forward(self, t):
        x = self.emb(t) + self.pos[: t.shape[1]]
        n = self.norm1(x)
        x = x + self.mix(n, n, n, need_weights=False)[0]
        x = x + self.down(self.act(self.up(self.norm2(x))))
        return self.head(x.mean(1))


def convolutions():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(288, 10),
    )


def learnt():
    """A classifier that has found all labels, with room to spare."""
    net, (x, t) = mlp(), numbers(32)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        functional.cross_entropy(net(x), t).backward()
        optimizer.step()
    assert functional.cross_entropy(net(x), t) < 1e-3
    return net, (x, t)


HEALTHY = {
    "tanh": lambda: (mlp(), numbers()),
    "batch norm and relu": lambda: (
        nn.Sequential(nn.Linear(20, 50), nn.BatchNorm1d(50), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.Linear(50, 10)),
        numbers(),
    ),
    "characters": lambda: (
        nn.Sequential(nn.Embedding(27, 10), nn.Flatten(), nn.Linear(30, 50), nn.LayerNorm(50), nn.SiLU(), nn.Linear(50, 10)),
        characters(),
    ),
    "residual": lambda: (Residual(), characters(block=8)),
    "convolutions": lambda: (convolutions(), (torch.randn(16, 1, 8, 8), torch.randint(0, 10, (16,)))),
    "deep": lambda: (deep(8, nn.Tanh, 1.2), numbers()),
    "learnt": learnt,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_has_no_finding(name, seed) -> None:
    torch.manual_seed(seed)
    net, batch = HEALTHY[name]()
    report = flow(net, CROSS_ENTROPY, batch)
    assert report.findings == ()
    assert max(map(len, str(report).splitlines())) <= 100


def with_weights(name, factor):
    return lambda net: getattr(net, name).weight.mul_(factor)


def nan_weight(net):
    net.fc2.weight[3, 4] = float("nan")


def shut(net):
    net.fc1.bias[[7, 9]] = -1e3


def constant(net):
    for p in net.parameters():
        p.fill_(0.1)


def nothing(net):
    for p in net.parameters():
        p.zero_()


def flat_feature(net):
    net.fc.weight[5] = 0.0


def normed(norm):
    return named(fc=nn.Linear(20, 30), norm=norm, act=nn.ReLU(), out=nn.Linear(30, 10))


def words(scale, *behind):
    return changed(
        named(emb=nn.Embedding(27, 10), flat=nn.Flatten(), **dict(behind), out=nn.Linear(50, 10)), with_weights("emb", scale)
    )


#: The network, its batch, and of one finding the kind, the name and what the text says.
SICK = {
    "saturated tanh": (lambda: (changed(mlp(), with_weights("fc1", 60)), numbers()), "saturated", "act1", "1 - y**2 below 0.01, as x is"),
    "saturated sigmoid": (lambda: (changed(mlp(nn.Sigmoid), with_weights("fc2", 300)), numbers()), "saturated", "act2", "y*(1 - y) below 0.0025"),
    "dead relu": (lambda: (changed(mlp(nn.ReLU), shut), numbers()), "dead", "act1", "units 7, 9 of y are 0 for every row: they never"),
    "exploding weights": (lambda: (deep(8, nn.Identity, 5.0), numbers()), "path", "fc0", "explodes"),
    "vanishing depth": (lambda: (deep(12, nn.Sigmoid, 1.0), numbers()), "path", "fc0", "vanishes"),
    "nan in a weight": (lambda: (changed(mlp(), nan_weight), numbers()), "not finite", "fc2.weight", "nan at axis0 = 3, axis1 = 4"),
    "a logarithm of what may be negative": (
        lambda: (Chained(lambda m, x: m.out(torch.log(m.fc(x))), fc=nn.Linear(20, 30), out=nn.Linear(30, 10)), numbers()),
        "not finite", "input of out", "It is computed from fc, by none of the layers.",
    ),
    "huge logits": (lambda: (changed(mlp(), with_weights("out", 300)), numbers()), "certain", "loss", "are certain of a wrong label"),
    "batch norm of two rows": (lambda: (changed(normed(nn.BatchNorm1d(30)), with_weights("fc", 30)), numbers(2)), "line", "norm", "for its terms cancel"),
    "a feature without variance": (
        lambda: (changed(normed(nn.BatchNorm1d(30)), flat_feature), numbers()), "large", "norm", "rstd is 320 at d = 5"
    ),
    "a tiny eps and no variance": (
        lambda: (changed(normed(nn.BatchNorm1d(30, eps=1e-12)), flat_feature), numbers()), "large", "norm", "rstd is 1e+06 at d = 5"
    ),
    "the same weights everywhere": (lambda: (changed(mlp(), constant), numbers()), "alike", "fc1.weight", "fc1.weight, fc2.weight: their units are all the same"),
    "zeros": (lambda: (changed(mlp(), nothing), numbers()), "alike", "fc1.weight", "they never learn"),
    "a large embedding": (
        lambda: (words(300.0, ("fc", nn.Linear(30, 50)), ("act", nn.Tanh())), characters()), "saturated", "act", "as x is typically 1"
    ),
    "a small embedding": (
        lambda: (words(1e-5, ("norm", nn.LayerNorm(30)), ("fc", nn.Linear(30, 50))), characters()), "line", "norm", "rstd is typically 3"
    ),
    "a softmax before the loss that has one": (
        lambda: (named(fc=nn.Linear(20, 10), soft=nn.Softmax(-1)), numbers()), "twice", "loss", "but soft is the result of a softmax"
    ),
    "a detached layer": (
        lambda: (Chained(lambda m, x: m.out(m.fc(x).detach()), fc=nn.Linear(20, 30), out=nn.Linear(30, 10)), numbers()),
        "cut", "fc", "no gradient reaches it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", SICK)
def test_an_illness_is_named_at_its_place(name, seed) -> None:
    make, kind, where, text = SICK[name]
    torch.manual_seed(seed)
    net, batch = make()
    found = flow(net, CROSS_ENTROPY, batch).findings
    assert (kind, where) in {(f.kind, f.name) for f in found}, [str(f) for f in found]
    assert any(text in f.text for f in found if (f.kind, f.name) == (kind, where)), [str(f) for f in found]
    assert len(found) <= 5, [str(f) for f in found]


def test_a_sigmoid_before_the_loss_that_has_one() -> None:
    x, t = torch.randn(32, 20), torch.rand(32, 1).round()
    found = flow(named(fc=nn.Linear(20, 1), squash=nn.Sigmoid()), nn.BCEWithLogitsLoss(), (x, t)).findings
    assert [(f.kind, f.name) for f in found] == [("twice", "loss")]
    assert flow(named(fc=nn.Linear(20, 1), squash=nn.Sigmoid()), nn.BCELoss(), (x, t)).findings == ()
    assert flow(named(fc=nn.Linear(20, 1)), nn.BCEWithLogitsLoss(), (x, t)).findings == ()


class Last(nn.Module):
    """A recurrent layer of which the last step is read."""

    def __init__(self, kind=nn.RNN, scale=1.0):
        super().__init__()
        self.rnn, self.head = kind(20, 32, batch_first=True), nn.Linear(32, 10)
        with torch.no_grad():
            nn.init.orthogonal_(self.rnn.weight_hh_l0)
            self.rnn.weight_hh_l0.mul_(scale)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


@pytest.mark.parametrize(("scale", "word"), [(0.3, "vanishes"), (20.0, "explodes"), (1.0, "")])
def test_a_gradient_that_is_lost_within_a_recurrent_layer(scale, word) -> None:
    torch.manual_seed(1)
    net, x, t = Last(scale=scale), 1e-2 * torch.randn(32, 12, 20), torch.randint(0, 10, (32,))
    found = [f for f in flow(net, CROSS_ENTROPY, (x, t)).findings if f.kind == "path" and f.name == "rnn"]
    assert len(found) == bool(word) and all(f"the gradient {word} through its 11 steps" in f.text for f in found)


def test_steps_of_a_packed_sequence_have_no_axis() -> None:
    net, x, t = Last(scale=0.1), torch.randn(8, 12, 20), torch.randint(0, 10, (8,))
    net.forward = lambda x: net.head(net.rnn(nn.utils.rnn.pack_padded_sequence(x, [12] * 8, batch_first=True))[1][0])
    assert not [f for f in flow(net, CROSS_ENTROPY, (x, t)).findings if f.name == "rnn"]


def test_a_logarithm_of_shares_is_no_second_softmax() -> None:
    """The logarithm of a softmax is the same under another: cross-entropy takes it for the logits."""
    found = flow(named(fc=nn.Linear(20, 10), soft=nn.LogSoftmax(-1)), CROSS_ENTROPY, numbers()).findings
    assert found == ()


def test_batch_norm_of_one_row_fails_at_its_place() -> None:
    with pytest.raises(
        ValueError, match=r"the forward pass failed in norm \(BatchNorm1d\): ValueError: Expected more than 1 value"
    ):
        flow(normed(nn.BatchNorm1d(30)), CROSS_ENTROPY, numbers(1))


# ---- the numbers ------------------------------------------------------------------------------------------------------------


def test_gradients_are_those_of_autograd() -> None:
    torch.manual_seed(0)
    net, (x, t) = Residual(), characters(block=8)
    report = flow(net, CROSS_ENTROPY, (x, t))
    functional.cross_entropy(net(x), t).backward()
    for name, p in net.named_parameters():
        np.testing.assert_allclose(report.values[f"d{name}"], p.grad.double().numpy(), rtol=1e-5, atol=1e-9)
    logits = net(x).detach().requires_grad_()
    functional.cross_entropy(logits, t).backward()
    np.testing.assert_allclose(report.values["dhead"], logits.grad.double().numpy(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(6, 5), (4, 6)), (nn.Linear(6, 5, bias=False), (2, 4, 6)), (nn.Tanh(), (4, 6)), (nn.Sigmoid(), (4,)),
        (nn.ReLU(), (4, 3, 2)), (nn.SiLU(), (4, 6)), (nn.GELU(), (4, 6)), (nn.BatchNorm1d(6), (8, 6)), (nn.BatchNorm1d(6), (8, 6, 3)),
        (nn.BatchNorm2d(3, affine=False), (4, 3, 2, 2)), (nn.LayerNorm(6), (4, 6)), (nn.LayerNorm((3, 2)), (4, 3, 2)),
        (nn.LayerNorm(6, bias=False), (4, 6)), (nn.RMSNorm(6), (4, 6)), (nn.Softmax(-1), (4, 6)), (nn.Softmax(1), (4, 6, 2)),
        (nn.LogSoftmax(0), (4, 6)),
    ],
    ids=lambda v: "" if isinstance(v, tuple) else repr(v),
)  # fmt: skip
def test_the_op_of_a_layer_passes_back_what_the_layer_does(layer, shape) -> None:
    """The catalogue's gradient is not used for the table of gradients, and so can be compared with it."""
    torch.manual_seed(0)
    first = nn.Linear(shape[-1], shape[-1])
    weights = torch.randn(layer(torch.randn(shape)).shape)
    report = flow(named(first=first, it=layer), lambda y: (y * weights).sum(), torch.randn(shape))
    line = report.line("dfirst")
    assert known(layer) is not None and not line.text.startswith("through")
    seen = record(named(first=first, it=layer), lambda y: (y * weights).sum(), torch.randn(shape))
    before, call = seen.calls
    want = known(layer).placed(layer, before.gradient).double().numpy()
    np.testing.assert_allclose(examined(call).passed, want, rtol=1e-4, atol=1e-6)


def test_every_layer_of_the_table_is_in_torch_and_in_the_catalogue() -> None:
    for name, layer in LAYERS.items():
        op = load(layer.op)
        assert issubclass(getattr(nn, name), nn.Module)
        assert set(layer.data) <= {t.name for t in op.inputs}
        assert {t.name for t in op.inputs} - set(layer.data) <= set(PARAMETERS)


@pytest.mark.parametrize(
    "layer",
    [nn.GELU(approximate="tanh"), nn.BatchNorm1d(4).eval(), nn.CrossEntropyLoss(label_smoothing=0.1), nn.Embedding(4, 3, max_norm=1.0),
     type("Mine", (nn.Tanh,), {})(), nn.Softmax(), nn.CrossEntropyLoss(reduction="sum")],
    ids=repr,
)  # fmt: skip
def test_a_layer_that_does_something_else_is_not_known(layer) -> None:
    assert known(layer) is None


# ---- whatever it is made of -------------------------------------------------------------------------------------------------


def test_a_layer_that_is_used_twice_has_two_rows_and_one_gradient() -> None:
    torch.manual_seed(0)
    net = Chained(lambda m, x: m.out(m.act(m.fc(m.act(m.fc(x))))), fc=nn.Linear(20, 20), act=nn.Tanh(), out=nn.Linear(20, 10))
    x, t = numbers()
    report = flow(net, CROSS_ENTROPY, (x, t))
    assert [r.name for r in report.rows] == [
        "fc.weight", "fc.bias", "out.weight", "out.bias", "fc", "act", "fc, call 2", "act, call 2", "out", "loss"
    ]  # fmt: skip
    functional.cross_entropy(net(x), t).backward()
    np.testing.assert_allclose(report.values["dfc.weight"], net.fc.weight.grad.double().numpy(), rtol=1e-5, atol=1e-9)
    assert report.line("dact").source == "fc, call 2" and report.line("dfc").source == "act"


def test_containers_within_containers_and_lists() -> None:
    inner = nn.ModuleList([nn.Sequential(nn.Linear(20, 20), nn.Tanh()) for _ in range(2)])
    net = Chained(lambda m, x: m.out(m.blocks[1](m.blocks[0](x))), blocks=inner, out=nn.Linear(20, 10))
    names = [r.name for r in flow(net, CROSS_ENTROPY, numbers()).rows]
    assert names[-6:] == ["blocks.0.0 (Linear)", "blocks.0.1 (Tanh)", "blocks.1.0 (Linear)", "blocks.1.1 (Tanh)", "out", "loss"]


def test_frozen_parameters_have_no_gradient_and_let_it_through() -> None:
    net = mlp()
    for p in net.fc2.parameters():
        p.requires_grad_(False)
    report = flow(net, CROSS_ENTROPY, numbers())
    assert report.row("fc2.weight").gradient is None and report.row("fc1.weight").gradient is not None
    assert report.row("fc1").gradient.size > 0 and not net.fc2.weight.requires_grad
    assert report.findings == ()


def test_all_frozen_but_the_input() -> None:
    report = flow(mlp().requires_grad_(False), CROSS_ENTROPY, numbers())
    assert report.row("fc1").gradient.size > 0 and report.findings == ()


def test_evaluation_is_reported_as_such() -> None:
    torch.manual_seed(0)
    net = normed(nn.BatchNorm1d(30)).eval()
    report = flow(net, CROSS_ENTROPY, numbers())
    assert not net.training and not net.norm.training
    assert report.line("dfc").text == "through norm" and report.findings == ()


def state(net):
    return {n: t.clone() for n, t in net.state_dict().items()}, {m: m.training for m in net.modules()}


@pytest.mark.parametrize("fails", [False, True])
def test_the_module_is_left_as_it_was(fails) -> None:
    torch.manual_seed(0)
    net = named(
        fc=nn.Linear(20, 30), norm=nn.BatchNorm1d(30), act=nn.ReLU(inplace=True), drop=nn.Dropout(), out=nn.Linear(30, 10)
    )
    net.drop.eval()
    x, t = numbers()
    net.fc.weight.grad = torch.full((30, 20), 7.0)
    before, modes = state(net)
    random, loss = torch.get_rng_state(), nn.CrossEntropyLoss()
    if fails:
        with pytest.raises(ValueError, match="the forward pass failed in out \\(Linear\\): RuntimeError: mat1 and mat2"):
            flow(changed(net, lambda m: setattr(m, "out", nn.Linear(31, 10))), loss, (x, t))
        before |= {n: p.clone() for n, p in net.state_dict().items() if n.startswith("out.")}
        modes[net.out] = True
    else:
        flow(net, loss, (x, t))
    after, now = state(net)
    assert all(torch.equal(a, after[n]) for n, a in before.items())
    assert all(modes[m] == mode for m, mode in now.items())
    assert torch.equal(net.fc.weight.grad, torch.full((30, 20), 7.0)) and net.fc.bias.grad is None
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in (*net.modules(), loss))
    assert torch.equal(random, torch.get_rng_state()) or fails
    assert x.grad is None and not x.requires_grad


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_are_found_where_the_caller_switched_them_off(context) -> None:
    net = mlp()
    with context():
        report = flow(net, CROSS_ENTROPY, numbers())
    assert report.row("fc1.weight").gradient.size > 0


def test_modules_with_several_results_and_own_parameters() -> None:
    net = Chained(lambda m, x: m.out(m.rnn(x)[0][:, -1] * m.gain), rnn=nn.GRU(20, 16, batch_first=True), out=nn.Linear(16, 10))
    net.gain = nn.Parameter(torch.ones(16))
    report = flow(net, CROSS_ENTROPY, (torch.randn(8, 5, 20), torch.randint(0, 10, (8,))))
    assert {"rnn", "out", "gain", "loss"} <= {r.name for r in report.rows}
    assert report.line("drnn").source == "out" and report.row("rnn").gradient.size > 0


@pytest.mark.parametrize(
    ("loss", "batch", "message"),
    [
        (lambda y, t: (y - 1) ** 2, numbers(), r"the loss has the shape \(64, 10\), where one number was expected"),
        (lambda y, t: 3.0, numbers(), "the loss is of type float, where one number was expected"),
        (lambda y, t: y.detach().mean(), numbers(), "no gradient can flow"),
        (lambda y, t: y.wrong, numbers(), "the forward pass failed between its layers: AttributeError"),
        (CROSS_ENTROPY, numbers()[:1], "found 1 entries"),
    ],
)
def test_what_cannot_be_reported_on(loss, batch, message) -> None:
    with pytest.raises(ValueError, match=message):
        flow(mlp(), loss, batch)


def test_a_batch_may_be_a_tensor_or_a_mapping() -> None:
    x, _ = numbers()
    one = flow(mlp(), lambda y: (y**2).mean(), x)
    net = Chained(None, fc=nn.Linear(20, 3))
    net.forward = lambda a, scale=1.0: net.fc(a) * scale
    two = flow(net, lambda y: (y**2).mean(), {"a": x, "scale": 2.0})
    assert one.findings == two.findings == ()


def test_what_is_no_network_is_said() -> None:
    with pytest.raises(TypeError, match="flow takes an op or a torch.nn.Module, not int"):
        flow(3, CROSS_ENTROPY, numbers())


def test_a_module_can_be_drawn(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    from codegen.tools.flow import runtime

    runtime().plot.plot([("", flow(mlp(), CROSS_ENTROPY, numbers()))], tmp_path / "flow.png")
    assert (tmp_path / "flow.png").read_bytes().startswith(b"\x89PNG")
