# ruff: noqa: E501 -- tables of cases
"""The gradient flow of modules as people write them: functions between layers, several results, states, images."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from codegen.tools.flow import flow, runtime  # noqa: E402
from tests.networks import Chained  # noqa: E402

CROSS_ENTROPY = nn.CrossEntropyLoss()


def changed(module, change):
    with torch.no_grad():
        change(module)
    return module


def numbers(*shape, classes=10):
    return torch.randn(*shape), torch.randint(0, classes, shape[:1])


def kinds(report):
    return {(f.kind, f.name) for f in report.findings}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# ---- functions --------------------------------------------------------------------------------------------------------------


def two(activation, **more):
    return Chained(lambda m, x: m.out(activation(m.fc(x))), fc=nn.Linear(20, 50), out=nn.Linear(50, 10), **more)


@pytest.mark.parametrize(
    ("activation", "layer"),
    [
        (torch.tanh, nn.Tanh()),
        (lambda x: x.sigmoid(), nn.Sigmoid()),
        (functional.relu, nn.ReLU()),
        (functional.relu_, nn.ReLU()),
        (functional.gelu, nn.GELU()),
        (lambda x: functional.gelu(x, approximate="tanh"), nn.GELU("tanh")),
        (lambda x: torch.softmax(x, -1), nn.Softmax(-1)),
        (lambda x: functional.log_softmax(x, dim=1), nn.LogSoftmax(1)),
        (lambda x: functional.leaky_relu(x, 0.3), nn.LeakyReLU(0.3)),
    ],
    ids=lambda v: repr(v) if isinstance(v, nn.Module) else "",
)
def test_a_function_has_the_row_of_its_layer(activation, layer) -> None:
    net, batch = two(activation), numbers(64, 20)
    as_function = flow(net, CROSS_ENTROPY, batch)
    as_layer = flow(Chained(lambda m, x: m.out(m.act(m.fc(x))), fc=net.fc, act=layer, out=net.out), CROSS_ENTROPY, batch)
    own, wanted = (
        [r for r in report.rows if r.name not in ("fc", "out", "loss") and "." not in r.name]
        for report in (as_function, as_layer)
    )
    assert [(r.shape, r.value, r.gradient, r.saturated) for r in own] == [
        (r.shape, r.value, r.gradient, r.saturated) for r in wanted
    ]
    assert as_function.line("dfc").ratio == as_layer.line("dfc").ratio


def test_a_unit_of_a_function_is_dead() -> None:
    net = changed(two(functional.relu), lambda m: m.fc.bias.index_fill_(0, torch.tensor([3, 4]), -50.0))
    report = flow(net, CROSS_ENTROPY, numbers(64, 20))
    assert kinds(report) == {("dead", "relu")} and "units 3, 4 of y are 0 for every row" in report.findings[0].text


def test_functions_within_modules_have_their_path_and_are_counted() -> None:
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(20, 20)

        def forward(self, x):
            return functional.relu(self.fc(torch.tanh(x)))

    names = {
        r.name
        for r in flow(Chained(lambda m, x: torch.relu(torch.relu(m.part(x))), part=Part()), CROSS_ENTROPY, numbers(8, 20)).rows
    }
    assert {"part.tanh", "part.relu", "relu", "relu, call 2"} <= names


def test_what_a_layer_calls_inside_is_no_row() -> None:
    report = flow(nn.Sequential(nn.Linear(20, 10), nn.ReLU()), CROSS_ENTROPY, numbers(8, 20))
    assert [r.name for r in report.rows if "." not in r.name] == ["0 (Linear)", "1 (ReLU)", "loss"]


def test_a_loss_that_calls_a_function_is_the_loss() -> None:
    """The labels of a sequence are flattened; all logits are too large."""
    net, x, t = nn.Linear(20, 10), torch.randn(8, 12, 20), torch.randint(0, 10, (8, 12))
    report = flow(
        changed(net, lambda m: m.weight.mul_(300)), lambda y, t: functional.cross_entropy(y.flatten(0, 1), t.flatten()), (x, t)
    )
    assert ("certain", "loss") in kinds(report)


@pytest.mark.parametrize(
    ("layer", "scale"),
    [
        (nn.Hardtanh(), 100),
        (nn.Softsign(), 1000),
        (nn.Hardsigmoid(), 200),
        (nn.ELU(), -60),
        (nn.Mish(), -60),
        (nn.Softplus(), -60),
    ],
    ids=repr,
)
def test_an_activation_that_is_no_op_of_the_catalogue_saturates(layer, scale) -> None:
    """Of the sloping ones one side only is flat: all arguments are moved there."""
    net, batch = (
        Chained(lambda m, x: m.out(m.act(m.fc(x))), fc=nn.Linear(20, 50), act=layer, out=nn.Linear(50, 10)),
        numbers(64, 20),
    )
    assert not flow(net, CROSS_ENTROPY, batch).findings
    sick = changed(net, (lambda m: m.fc.weight.mul_(scale)) if scale > 0 else (lambda m: m.fc.bias.fill_(scale)))
    report = flow(sick, CROSS_ENTROPY, batch)
    assert ("saturated", "act") in kinds(report) and report.row("act").saturated > 0.75


def test_an_activation_of_ones_own_saturates() -> None:
    own = Chained(lambda m, x: x / torch.sqrt(1 + x**2))
    net = Chained(lambda m, x: m.out(m.act(m.fc(x))), fc=nn.Linear(20, 50), act=own, out=nn.Linear(50, 10))
    assert not flow(net, CROSS_ENTROPY, numbers(64, 20)).findings
    assert ("saturated", "act") in kinds(flow(changed(net, lambda m: m.fc.weight.mul_(100)), CROSS_ENTROPY, numbers(64, 20)))


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.LeakyReLU(0.01), nn.Identity(), nn.Softmin(-1)], ids=repr)
def test_what_is_not_flat_anywhere_or_mixes_entries_does_not_saturate(layer) -> None:
    net = Chained(lambda m, x: m.out(m.act(m.fc(x))), fc=nn.Linear(20, 50), act=layer, out=nn.Linear(50, 10))
    assert flow(net, CROSS_ENTROPY, numbers(64, 20)).row("act").saturated is None


# ---- what gradients come through --------------------------------------------------------------------------------------------


def averaged(axis):
    return Chained(lambda m, x: m.out(m.act(m.fc(x)).mean(axis)), fc=nn.Linear(20, 30), act=nn.Tanh(), out=nn.Linear(30, 10))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.c2, self.b2 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x):
        return functional.relu(x + self.b2(self.c2(functional.relu(self.b1(self.c1(x))))))


def residual():
    return nn.Sequential(nn.Conv2d(3, 8, 3), Residual(8), Residual(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def last_state(m, x):
    _, (h, _) = m.rnn(x)
    return m.out(h[-1])


HEALTHY = {
    "a mean over many": lambda: (averaged(1), numbers(8, 2000, 20)),
    "the last of many": lambda: (Chained(lambda m, x: m.out(torch.tanh(m.fc(x))[:, -1]), fc=nn.Linear(20, 30), out=nn.Linear(30, 10)), numbers(8, 20000, 20)),
    "a table for all rows": lambda: (
        changed(Chained(lambda m, x: m.out(torch.tanh(m.fc(x) + m.pos(torch.arange(1)))), fc=nn.Linear(20, 30), pos=nn.Embedding(1, 30), out=nn.Linear(30, 10)), lambda m: m.pos.weight.mul_(0.1)),
        numbers(5000, 20),
    ),
    "residual blocks and global pooling": lambda: (residual(), numbers(8, 3, 16, 16)),
    "the last state of an LSTM": lambda: (Chained(last_state, rnn=nn.LSTM(20, 32, batch_first=True), out=nn.Linear(32, 10)), numbers(8, 6, 20)),
    "half precision": lambda: (averaged(1).bfloat16(), (torch.randn(8, 5, 20).bfloat16(), torch.randint(0, 10, (8,)))),
    "compiled": lambda: (torch.compile(averaged(1)), numbers(8, 5, 20)),
    "checkpointed": lambda: (Chained(lambda m, x: checkpoint(m.net, x, use_reentrant=False), net=averaged(1)), numbers(8, 5, 20)),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_has_no_finding(name) -> None:
    net, batch = HEALTHY[name]()
    report = flow(net, CROSS_ENTROPY, batch)
    assert report.findings == ()
    assert max(map(len, str(report).splitlines())) <= 100


def test_a_checkpointed_part_is_recorded_once() -> None:
    net, batch = HEALTHY["checkpointed"]()
    assert not [r.name for r in flow(net, CROSS_ENTROPY, batch).rows if "call 2" in r.name]


def test_a_line_goes_through_the_call_that_gives_most() -> None:
    report = flow(residual(), CROSS_ENTROPY, numbers(8, 3, 16, 16))
    assert report.line("d1.b2").source == "1.relu, call 2" and report.line("d1.relu, call 2").source != "3 (AdaptiveAvgPool2d)"


def test_states_are_sources_too() -> None:
    def steps(m, x):
        h = c = torch.zeros(len(x), 16)
        for k in range(x.shape[1]):
            h, c = m.cell(x[:, k], (h, c))
        return m.out(h)

    report = flow(Chained(steps, cell=nn.LSTMCell(20, 16), out=nn.Linear(16, 10)), CROSS_ENTROPY, numbers(8, 3, 20))
    assert [report.line(f"dcell{call}").source for call in ("", ", call 2", ", call 3")] == [
        "cell, call 2",
        "cell, call 3",
        "out",
    ]


def test_the_result_that_has_a_gradient_is_shown() -> None:
    net, batch = HEALTHY["the last state of an LSTM"]()
    row = flow(net, CROSS_ENTROPY, batch).row("rnn")
    assert row.shape == (1, 8, 32) and row.gradient.size > 0


def test_what_a_call_alone_gives_is_autograds() -> None:
    """A result that two layers read: each is told of with its own part."""
    from codegen.tools.flow.recording import record

    net, (x, t) = (
        Chained(lambda m, x: m.a(h := m.fc(x)) + m.b(h), fc=nn.Linear(20, 30), a=nn.Linear(30, 10), b=nn.Linear(30, 10)),
        numbers(8, 20),
    )
    seen = {c.name: c for c in record(net, CROSS_ENTROPY, (x, t)).calls}
    h = net.fc(x).detach().requires_grad_()
    (whole,) = torch.autograd.grad(CROSS_ENTROPY(net.a(h) + net.b(h), t), h)
    torch.testing.assert_close(seen["a"].arguments[0].gradient + seen["b"].arguments[0].gradient, whole)
    torch.testing.assert_close(seen["a"].arguments[0].gradient, seen["a"].gradient @ net.a.weight)


# ---- illness ----------------------------------------------------------------------------------------------------------------


def attention(m, x):
    return m.out((m.choose(m.scale * m.q(x) @ m.k(x).mT) @ m.v(x)).mean(1))


def attending(scale):
    net = Chained(
        attention, q=nn.Linear(20, 20), k=nn.Linear(20, 20), v=nn.Linear(20, 20), choose=nn.Softmax(-1), out=nn.Linear(20, 10)
    )
    net.scale = scale
    return net


def test_an_attention_that_chooses_one_place_for_every_row_is_saturated() -> None:
    assert flow(attending(0.2), CROSS_ENTROPY, numbers(8, 6, 20)).findings == ()
    assert ("saturated", "choose") in kinds(flow(attending(200.0), CROSS_ENTROPY, numbers(8, 6, 20)))


def test_a_channel_of_an_image_is_a_channel() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    report = flow(
        changed(net, lambda m: m[0].bias.index_fill_(0, torch.tensor([2, 5]), -50.0)), CROSS_ENTROPY, numbers(16, 3, 8, 8)
    )
    assert [f.text for f in report.findings] == [
        "1 (ReLU): channels 2, 5 of y are 0 for every row and every axis2 and every axis3: they never learn."
    ]


def test_a_layer_called_without_gradients_is_cut_off() -> None:
    def frozen(m, x):
        with torch.no_grad():
            h = m.fc(x)
        return m.out(h)

    report = flow(Chained(frozen, fc=nn.Linear(20, 30), out=nn.Linear(30, 10)), CROSS_ENTROPY, numbers(8, 20))
    assert [(f.kind, f.name) for f in report.findings] == [("cut", "fc")] and "switched off" in report.findings[0].text


def test_gradients_that_are_all_zero_are_said() -> None:
    net = averaged(1).half()
    report = flow(net, lambda y, t: y.square().mean() * 1e-7, (torch.randn(8, 5, 20).half(), torch.randint(0, 10, (8,))))
    assert kinds(report) == {("cut", "fc.weight")} and "Every gradient is 0" in report.findings[0].text


def test_nan_between_layers_is_at_what_the_next_is_given() -> None:
    net = Chained(lambda m, x: m.out(torch.log(m.fc(x))), fc=nn.Linear(20, 30), out=nn.Linear(30, 10))
    (found,) = flow(net, CROSS_ENTROPY, numbers(64, 20)).findings
    assert found.name == "input of out" and "It is computed from fc, by none of the layers." in found.text


def test_minus_infinity_is_a_mask_unless_a_row_has_nothing_else() -> None:
    def masked(diagonal):
        mask = torch.ones(6, 6).triu(diagonal).bool()
        return Chained(
            lambda m, x: m.out(m.choose((m.q(x) @ x.mT).masked_fill(mask, -torch.inf)) @ x).mean(1),
            q=nn.Linear(20, 20),
            choose=nn.Softmax(-1),
            out=nn.Linear(20, 10),
        )

    batch = numbers(8, 6, 20)
    assert "not finite" not in {f.kind for f in flow(masked(1), CROSS_ENTROPY, batch).findings}
    (found,) = flow(masked(0), CROSS_ENTROPY, batch).findings
    assert found.name == "choose" and "nan at row = 0, axis1 = 0, unit = 0, where input of choose is -inf" in found.text


# ---- names ------------------------------------------------------------------------------------------------------------------


def test_long_names_are_shortened_from_their_start_and_stay_apart() -> None:
    shortened = runtime().text.shortened
    names = [
        "encoder.layers.0.self_attn.out_proj.weight",
        "encoder.layers.10.norm1.weight",
        "encoder.layers.10.norm2.weight",
        "head",
    ]
    found = shortened(names, 20)
    assert list(found.values()) == ["e.l.0.s.o.weight", "e.l.10.norm1.weight", "e.l.10.norm2.weight", "head"]
    twins = shortened([f"encoder.{'block' if k else 'black'}.a_long_name_of_a_parameter" for k in range(2)], 16)
    assert len(set(twins.values())) == 2 and max(map(len, twins.values())) <= 16


def test_the_rows_of_an_encoder_can_be_told_apart() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    net = Chained(
        lambda m, x: m.head(m.encoder(x).mean(1)),
        encoder=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        head=nn.Linear(16, 10),
    )
    text = str(flow(net, CROSS_ENTROPY, numbers(8, 6, 16)))
    table = text.split("\n---")[1].splitlines()[1:]
    assert max(map(len, text.splitlines())) <= 100
    assert len({line.split("  ")[0] for line in table}) == len(table)


# ---- what cannot be reported on ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "loss", "batch", "message"),
    [
        (lambda: averaged(1), nn.CrossEntropyLoss, numbers(8, 5, 20), "give an instance, CrossEntropyLoss()"),
        (lambda: averaged(1), CROSS_ENTROPY, numbers(0, 5, 20), "the batch is empty"),
        (lambda: torch.jit.script(nn.Linear(20, 10)), CROSS_ENTROPY, numbers(8, 20), "give the module it was made from"),
        (lambda: Chained(lambda m, x: checkpoint(m.net, x, use_reentrant=True), net=averaged(1)), CROSS_ENTROPY, numbers(8, 5, 20), "the backward pass failed: .*use_reentrant"),
    ],
    ids=["class", "empty", "script", "reentrant"],
)  # fmt: skip
def test_it_is_said_in_one_line(net, loss, batch, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        flow(net(), loss, batch)
    assert "\n" not in str(caught.value)
