"""Recurrences in C beside torch's own and beside their floor, on one thread: ``python -m tests.benchmarks.recurrences``.

The floor of a network is its matrix products alone, by torch: one for the inputs of all steps, one for each step, and,
backward, one for the gradient of each weight. That of a recurrence without products is an elementwise pass over its tensors.
Times are those of the processor, the least of several calls in turn.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from codegen.verify.agreement import load_kernel
from derive import ops
from tests.judged import kernel

Call = Callable[[], Any]

#: The gates of each network, which its products compute together; none where there is no product.
GATES = {"rnn": 1, "gru": 3, "lstm": 4, "linear_recurrence": 0}


def milliseconds(calls: Sequence[Call], rounds: int = 12) -> list[float]:
    """The shortest of each call, all in turn."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds + 1):
        for k, call in enumerate(calls):
            start = time.process_time()
            call()
            best[k] = min(best[k], 1e3 * (time.process_time() - start))
    return best


def products(n: int, t: int, d: int, k: int, gates: int) -> tuple[Call, Call]:
    """The products of a network, forward and backward."""
    x, h, W, U = (torch.randn(shape) for shape in ((n * t, d), (n, k), (d, gates * k), (k, gates * k)))
    steps, dz, dz_step, back = torch.randn(n * t, k), torch.randn(n * t, gates * k), torch.randn(n, gates * k), U.T.contiguous()
    of_inputs, of_step, dh = torch.empty(n * t, gates * k), torch.empty(n, gates * k), torch.empty(n, k)

    def forward() -> None:
        torch.mm(x, W, out=of_inputs)
        for _ in range(t):
            torch.mm(h, U, out=of_step)

    def backward() -> None:
        for _ in range(t):
            torch.mm(dz_step, back, out=dh)
        _ = x.T @ dz, steps.T @ dz, dz @ W.T

    return forward, backward


def passes(n: int, t: int, k: int) -> tuple[Call, Call]:
    """One pass over three tensors, and two over five."""
    a, x, h, other = (torch.randn(n, t, k) for _ in range(4))

    def backward() -> None:
        torch.addcmul(x, a, h, out=other)
        torch.add(x, h, out=h)

    return lambda: torch.add(a, x, out=h), backward


def rows(name: str) -> list[tuple[str, Call, Call, Call]]:
    """What is timed of an op, forward and backward: ours, the floor and torch's."""
    op = ops.load(name)
    made = kernel(op.text)
    sizes = dict(op.sizes)
    tensors = {a.name: 0.1 * torch.randn([sizes[i] for i in a.axes]) for a in op.inputs}
    leaves = {n: v.clone().requires_grad_() for n, v in tensors.items()}
    reference = ops.reference(op)
    output = reference(torch, *leaves.values())
    upstream = torch.randn_like(output)
    arrays, dy = {n: v.numpy() for n, v in tensors.items()}, upstream.numpy()
    module = load_kernel(made, "native")
    forward, backward = getattr(module, f"{name}_forward"), getattr(module, f"{name}_backward")
    _, saved = forward(*arrays.values())
    required = [p.name for p in inspect.signature(backward).parameters.values() if p.default is inspect.Parameter.empty]
    rest = [arrays[n] for n in required[1 + len(saved) :]]
    n, t, k = (sizes[i] for i in "ntk")
    floors = products(n, t, sizes["d"], k, GATES[name]) if GATES[name] else passes(n, t, k)
    inputs = list(leaves.values())
    return [
        (name, lambda: forward(*arrays.values()), floors[0], lambda: reference(torch, *tensors.values())),
        (
            "its gradients",
            lambda: backward(dy, *saved, *rest),
            floors[1],
            lambda: torch.autograd.grad(output, inputs, upstream, retain_graph=True),
        ),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("op                  ours, ms  floor, ms  ratio  torch, ms  ratio")
    for op_name in GATES:
        for what, *calls in rows(op_name):
            ours, floor, theirs = milliseconds(calls)
            print(f"{what:18} {ours:9.2f} {floor:10.2f} {ours / floor:6.2f} {theirs:10.2f} {ours / theirs:6.2f}")
