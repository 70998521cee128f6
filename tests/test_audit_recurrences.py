"""Backwards through time that somebody else wrote: right ones, and the mistakes that are made with the steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.tools.auditor import audit
from tests.judged import lines
from tests.test_recurrences import BACK, LSTM, RNN


def backward(
    previous: Callable[[Any, Any, int], Any] = lambda h, h0, t: h[:, t - 1] if t else h0,
    handed: Callable[[Any, Any], Any] = lambda da, U: da @ U.T,
    gathered: Callable[[Any, Any], Any] = lambda dW, part: dW + part,
) -> Callable[..., Any]:
    """Backpropagation through an RNN as it is written by hand, of which a part may be another."""

    def rnn_backward(dh: Any, h: Any, x: Any, W: Any, U: Any, h0: Any) -> Any:
        dx, dW, dU, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(h[0, 0])
        dh_next = np.zeros_like(h0)
        for t in reversed(range(x.shape[1])):
            da = (dh[:, t] + dh_next) * (1 - h[:, t] ** 2)
            dx[:, t] = da @ W.T
            dW = gathered(dW, x[:, t].T @ da)
            dU += previous(h, h0, t).T @ da
            db += da.sum(0)
            dh_next = handed(da, U)
        return dx, dW, dU, db, dh_next

    return rnn_backward


def reasons(function: Callable[..., Any], text: str) -> dict[str, str]:
    """The reason of each wrong gradient."""
    found = audit(function, derive.parse(lines(text))).findings
    return {f.gradient: f.diagnosis.text if f.diagnosis else "" for f in found if f.verdict == "wrong"}


def test_a_right_backward_is_correct() -> None:
    assert audit(backward(), derive.parse(lines(RNN))).correct


def test_steps_that_go_down() -> None:
    def right(dg: Any, r: Any, decay: float) -> Any:
        dr, carried = np.zeros_like(r), np.zeros_like(r[0])
        for t in range(len(r)):
            carried = dg[t] + decay * carried
            dr[t] = carried
        return dr, decay * carried

    def wrong(dg: Any, r: Any, decay: float) -> Any:
        dr, dlast = right(dg, r, decay)
        return dr, dlast / decay

    assert audit(right, derive.parse(lines(BACK))).correct
    assert "dlast" in reasons(wrong, BACK)


LOST = "dh_prev[n,t + 1,k] is missing: nothing flows back from one step to the one before"
NOTHING = "is treated as a constant: what flows back through it is missing"
EVERY = ("dx", "dW", "dU", "db", "dh0")


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        (backward(previous=lambda h, h0, t: h[:, t]), {"dU": "h[n,t,k] stands where h[n,t - 1,k] belongs"}),
        (
            backward(previous=lambda h, h0, t: h[:, t - 1]),
            {"dU": "the first step reads h of the last one, as the position -1 does that counts from the end"},
        ),
        (
            backward(previous=lambda h, h0, t: h[:, t - 1] if t else 0 * h0),
            {"dU": "the first step reads 0 where h[n,-1,k] belongs"},
        ),
        (backward(handed=lambda da, U: 0 * da), dict.fromkeys(EVERY, LOST) | {"dh0": f"h0 {NOTHING}"}),
        (backward(handed=lambda da, U: da @ U), dict.fromkeys(EVERY, "U is transposed in U[k,k']·dtotal[n,t,k']")),
        (
            backward(gathered=lambda dW, part: part),
            {"dW": "the steps overwrite each other's terms where they are to be added up over t"},
        ),
    ],
)
def test_mistakes_with_steps(function: Callable[..., Any], wrong: dict[str, str]) -> None:
    assert reasons(function, RNN) == wrong


def test_a_gate_that_is_cut_off_in_a_differentiable_cell() -> None:
    def cut(a: Any, e: Any, p: Any, q: Any, A: Any, B: Any, E: Any, F: Any) -> Any:
        h = c = torch.zeros_like(a[:, 0])
        found = []
        for t in range(a.shape[1]):
            i, f = torch.sigmoid(a[:, t] + h @ A), torch.sigmoid(e[:, t] + h @ B)
            o = torch.sigmoid(q[:, t] + h.detach() @ F)
            c = f * c + i * torch.tanh(p[:, t] + h @ E)
            h = o * torch.tanh(c)
            found.append((h, c))
        return tuple(torch.stack(v, 1) for v in zip(*found, strict=True))

    found = reasons(cut, LSTM)
    assert set(found.values()) == {"the term + sum[k'](F[k,k']·dq[n,t,k']) is missing"}
