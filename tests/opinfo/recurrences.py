"""The recurrent layers and cells of torch: stacked, in both directions, with their weights side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from generated import torch as own
from tests.opinfo.equations import written
from tests.opinfo.reasons import unless

__all__ = ["RECURRENCES"]

#: Outputs of all steps, and the last states, of one layer in one direction.
Layer = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, tuple[Tensor, ...]]]

relu_steps = written(
    "h[n, t, k] = steps(x[n, t, d], W[d, k], U[j, k], b[k], h0[n, k])",
    "h[n, -1, k] = h0[n, k]",
    "h[n, t, k] = relu(sum[d](x[n, t, d]*W[d, k]) + sum[j](h[n, t - 1, j]*U[j, k]) + b[k])",
)
lstm_steps = written(
    "h[n, t, k], c[n, t, k] = steps(i[n, t, k], f[n, t, k], g[n, t, k], o[n, t, k], Ui[j, k], Uf[j, k], Ug[j, k], Uo[j, k], "
    "h0[n, k], c0[n, k])",
    "h[n, -1, k] = h0[n, k]",
    "c[n, -1, k] = c0[n, k]",
    "c[n, t, k] = sigmoid(f[n, t, k] + sum[j](h[n, t - 1, j]*Uf[j, k]))*c[n, t - 1, k]"
    " + sigmoid(i[n, t, k] + sum[j](h[n, t - 1, j]*Ui[j, k]))*tanh(g[n, t, k] + sum[j](h[n, t - 1, j]*Ug[j, k]))",
    "h[n, t, k] = sigmoid(o[n, t, k] + sum[j](h[n, t - 1, j]*Uo[j, k]))*tanh(c[n, t, k])",
)
lstm_output = written("h[*s] = output(o[*s], c[*s])", "h[*s] = sigmoid(o[*s])*tanh(c[*s])")


def _biases(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The biases of inputs and states; zeros where a layer has none."""
    none = weights[0].new_zeros(len(weights[0]))
    return (weights[2], weights[3]) if len(weights) > 3 else (none, none)


def _simple(steps: Callable[..., Tensor]) -> Layer:
    def layer(x: Tensor, weights: Sequence[Tensor], states: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        h = steps(x, weights[0].T, weights[1].T, sum(_biases(weights)), states[0])
        return h, (h[:, -1],)

    return layer


def _gru(x: Tensor, weights: Sequence[Tensor], states: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    W, U = (w.T.chunk(3, 1) for w in weights[:2])
    (br, bz, bm), (cr, cz, cm) = (b.chunk(3) for b in _biases(weights))
    h = own.gru(x, *W, *U, br + cr, bz + cz, bm, cm, states[0])
    return h, (h[:, -1],)


def _lstm(x: Tensor, weights: Sequence[Tensor], states: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    unless(weights[1].shape[0] != 4 * weights[1].shape[1], "option")
    gates = own.linear(x, weights[0].T, sum(_biases(weights))).chunk(4, -1)
    h, c = lstm_steps(*gates, *weights[1].T.chunk(4, 1), *states)
    return h, (h[:, -1], c[:, -1])


def stacked(layer: Layer, states: int) -> Callable[..., tuple[Tensor, ...]]:
    """Layers in one direction or both, each over what the layer before it returned."""

    def called(
        x: Tensor,
        hx: Any,
        weights: Sequence[Tensor],
        biased: bool,
        layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Tensor, ...]:
        unless(dropout > 0 and train, "dropout")
        hx = (hx,) if states == 1 else tuple(hx)
        ways = 1 + bidirectional
        each = len(weights) // (layers * ways)
        x = x if batch_first else x.transpose(0, 1)
        last: list[tuple[Tensor, ...]] = []
        for number in range(layers):
            outputs = []
            for way in range(ways):
                k = number * ways + way
                y, ends = layer(x.flip(1) if way else x, weights[k * each : (k + 1) * each], [h[k] for h in hx])
                outputs.append(y.flip(1) if way else y)
                last.append(ends)
            x = torch.cat(outputs, -1)
        return (x if batch_first else x.transpose(0, 1)), *(torch.stack(ends) for ends in zip(*last, strict=True))

    return called


def rnn_cell(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Any = None, c: Any = None) -> Tensor:
    return _cell(_simple(own.rnn), x, (h,), W, U, b, c)[0]


def relu_cell(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Any = None, c: Any = None) -> Tensor:
    return _cell(_simple(relu_steps), x, (h,), W, U, b, c)[0]


def gru_cell(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Any = None, c: Any = None) -> Tensor:
    bias = _biases([W, U] if b is None else [W, U, b, c])
    (r, z, m), (s, u, n) = (own.linear(v, w.T, d).chunk(3, -1) for v, w, d in zip((x, h), (W, U), bias, strict=True))
    return own.gru_cell(r + s, z + u, m, n, h)


def lstm_cell(x: Tensor, hx: Sequence[Tensor], W: Tensor, U: Tensor, b: Any = None, c: Any = None) -> tuple[Tensor, Tensor]:
    bias = _biases([W, U] if b is None else [W, U, b, c])
    left, right = (own.linear(v, w.T, d) for v, w, d in zip((x, hx[0]), (W, U), bias, strict=True))
    i, f, g, o = (left + right).chunk(4, -1)
    state = own.lstm_cell(i, f, g, hx[1])
    return lstm_output(o, state), state


def _cell(layer: Layer, x: Tensor, states: Sequence[Tensor], *weights: Any) -> tuple[Tensor, ...]:
    """One step of a layer."""
    return layer(x.unsqueeze(1), [w for w in weights if w is not None], states)[1]


#: By the names that torch has for its recurrent kernels.
RECURRENCES: dict[str, Callable[..., Any]] = {
    "rnn_tanh": stacked(_simple(own.rnn), 1),
    "rnn_relu": stacked(_simple(relu_steps), 1),
    "gru": stacked(_gru, 1),
    "lstm": stacked(_lstm, 2),
    "rnn_tanh_cell": rnn_cell,
    "rnn_relu_cell": relu_cell,
    "gru_cell": gru_cell,
    "lstm_cell": lstm_cell,
}
