"""The gradient flow of recurrences: what arrives of the last step's gradient, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.tools.flow import flow
from derive import load
from tests.judged import lines
from tests.test_recurrences import BACK, LAYERS, PACKED, rnn


def network(gain: float, steps: int = 30, units: int = 12) -> dict[str, np.ndarray]:
    """An RNN whose recurrent matrix is a rotation times ``gain``."""
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(units, units)))
    x, W = rng.normal(size=(5, steps, 3)), 0.3 * rng.normal(size=(3, units))
    return {"x": x, "W": W, "U": gain * rotation, "b": np.zeros(units), "h0": np.zeros((5, units))}


def by_autograd(inputs: dict[str, np.ndarray]) -> list[float]:
    """The size of the gradient of each ``h[:, t]``, of the sum of the last one, from the last step on."""
    x, W, U, b, h = (torch.tensor(v) for v in inputs.values())
    found = []
    for step in x.unbind(1):
        h = torch.tanh(step @ W + h @ U + b).requires_grad_()
        h.retain_grad()
        found.append(h)
    h.sum().backward()
    return [float(v.grad.square().mean().sqrt()) for v in reversed(found) if v.grad is not None]


@pytest.mark.parametrize("gain", [0.4, 0.9, 4.0])
def test_what_arrives_is_what_autograd_finds(gain: float) -> None:
    (found,) = flow(load("rnn"), network(gain)).steps
    assert found.positions == tuple(range(29, -1, -1))
    assert np.allclose(found.sizes, by_autograd(network(gain)), rtol=1e-9, atol=0)


def test_all_gradients_are_those_of_the_whole() -> None:
    inputs = network(1.0, 6, 4)
    leaves = {n: torch.tensor(v, requires_grad=True) for n, v in inputs.items()}
    rnn(*leaves.values()).sum().backward()
    values = flow(load("rnn"), inputs).values
    for name, leaf in leaves.items():
        assert np.allclose(values[f"d{name}"], leaf.grad, rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize(("gain", "word"), [(0.4, "vanishes"), (4.0, "explodes")])
def test_vanishing_and_exploding_gradients_are_findings(gain: float, word: str) -> None:
    found = flow(load("rnn"), network(gain, 60))
    (path,) = [f for f in found.findings if f.kind == "path"]
    assert path.text.startswith(f"The gradient of h {word} through the steps: of what the last one sends back, ")
    assert f"Within a step, U scales it by {gain:g} and 1 - h**2 by 0." in path.text and path.places == ((("t", 0),),)
    assert path.text in " ".join(str(found).split())


def test_an_open_gate_lets_gradients_through() -> None:
    """The cell of an LSTM with a large bias of its forget gate, as it is initialised to learn over many steps."""
    rng = np.random.default_rng(0)
    op, size = load("lstm"), {"n": 3, "t": 60, "d": 3, "k": 5, "j": 5}
    inputs = {t.name: 0.3 * rng.normal(size=[size[a] for a in t.axes]) for t in op.inputs}
    inputs["x"][:] = 0
    kinds = {}
    for bias in (-2.0, 6.0):
        found = flow(op, {**inputs, "bf": np.full(5, bias)})
        kinds[bias] = {f.name for f in found.findings if f.kind == "path"}
        assert [s.name for s in found.steps] == ["h", "c"]
    assert "dc" in kinds[-2.0] and "dc" not in kinds[6.0]


def test_a_linear_recurrence_scales_by_its_gate() -> None:
    inputs = {"a": np.full((2, 9, 3), 0.5), "x": np.ones((2, 9, 3)), "h0": np.zeros((2, 3))}
    found = flow(load("linear_recurrence"), inputs)
    assert found.steps[0].sizes == tuple(0.5**k for k in range(9)) and found.steps[0].each == 0.5
    assert "gradient of  t = 8  t = 7  t = 6  t = 4   t = 0  a step\n" in str(found)
    assert "No gradient vanishes or explodes through the steps." in str(found)


def test_steps_that_go_down_end_at_the_first_position() -> None:
    found = flow(derive.parse(lines(BACK)), {"r": np.ones((4, 2)), "last": np.ones(2)}, {"decay": 0.1})
    assert found.steps[0].positions == (0, 1, 2, 3)
    assert np.allclose(found.steps[0].sizes, [1, 0.1, 0.01, 0.001], rtol=1e-12)
    assert np.allclose(flow(derive.parse(lines(BACK)), {"r": np.ones((4, 2)), "last": np.ones(2)}).steps[0].each, 0.9)


def test_a_second_recurrence_has_the_gradient_of_its_own_last_step() -> None:
    rng = np.random.default_rng(0)
    shapes: dict[str, Any] = {"x": (4, 2, 3), "W": (3, 5), "U": (5, 5), "V": (5, 2), "S": (2, 2)}
    found = flow(derive.parse(lines(LAYERS)), {n: rng.normal(size=s) for n, s in shapes.items()})
    assert {s.name: s.positions for s in found.steps} == {"h": (3, 2, 1, 0), "y": (0, 1, 2, 3)}


def test_without_a_step_before_nothing_is_said() -> None:
    inputs = {"a": np.ones((2, 1, 3)), "x": np.ones((2, 1, 3)), "h0": np.zeros((2, 3))}
    assert flow(load("linear_recurrence"), inputs).steps == ()


def test_packed_axes_are_taken_apart() -> None:
    """The report is that on the equations without brackets, on the same numbers."""
    rng = np.random.default_rng(0)
    x, w, dh = rng.normal(size=(2, 4, 6)), rng.normal(size=(2, 3)), rng.normal(size=(2, 4, 6))
    packed = flow(derive.parse(lines(PACKED)), {"x": x, "w": w}, upstream={"dh": dh})
    text = lines(PACKED).replace("(m, f)", "m, f").replace("(m = 2, f)", "m, f")
    apart = [v.reshape(2, 4, 2, 3) for v in (x, dh)]
    plain = flow(derive.parse(text), {"x": apart[0], "w": w}, upstream={"dh": apart[1]})
    assert str(packed) == str(plain) and np.array_equal(packed.values["dw"], plain.values["dw"])


@pytest.mark.parametrize(
    ("name", "shapes", "said"),
    [
        ("tanh", {"x": (0, 3)}, r"tanh: x has no entries, its shape is \[0, 3\]; gradient flow is measured on data"),
        ("linear_recurrence", {"a": (2, 0, 3), "x": (2, 0, 3), "h0": (2, 3)}, r"linear_recurrence: a has no entries"),
    ],
)
def test_without_data_there_is_no_flow(name: str, shapes: dict[str, tuple[int, ...]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        flow(load(name), {n: np.ones(s) for n, s in shapes.items()})


def test_a_missing_input_is_told() -> None:
    with pytest.raises(KeyError, match="the input x is missing"):
        flow(load("rnn"), {})
