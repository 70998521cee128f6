"""Functions that return an op's outputs and gradients together: ``loss, dx = softmax_loss(x, y)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codegen.backends.arrays.libraries import libraries, libraries_of
from codegen.tools.auditor.habits import constants_in, told
from codegen.tools.auditor.parameters import returned_names
from codegen.tools.auditor.submission import Submission, file_of
from codegen.tools.auditor.vocabulary import understood_gradient, vocabulary
from derive import syntax as st

__all__ = ["combined"]


def combined(function: Callable[..., Any], op: st.Op, names: Mapping[str, str]) -> Iterator[Submission]:
    """A function of the inputs that returns outputs and gradients, for each value of the constants that are not passed.

    Only an op whose outputs are numbers has such functions: their own gradients are 1. Nothing for any other function.
    """
    if not inspect.isroutine(function) or any(t.axes for t in op.outputs):
        return
    own = inspect.signature(function).parameters
    inputs, constants = [t.name for t in op.inputs], [c.name for c in op.constants]
    meant = {**vocabulary([n for n in own if n not in names], [*inputs, *constants], op, inputs), **names}
    taken = {p: meant[p] for p in own if meant.get(p) in [*inputs, *constants]}
    wanted = [st.adjoint_name(t.name) for t in op.differentiable]
    returned = returned_names(function)
    gradients = [understood_gradient(n, meant, wanted, op) for n in returned[len(op.outputs) :]]
    results = (*(t.name for t in op.outputs), *(g or "" for g in gradients))
    first = returned[: len(op.outputs)]
    values = not any(understood_gradient(n, meant, wanted, op) for n in first)
    required = {n for n, p in own.items() if p.default is p.empty}
    if not (required <= set(taken) and set(inputs) <= set(taken.values()) and values and all(gradients) and gradients):
        return

    def call(values: Mapping[str, Any]) -> dict[str, Any]:
        found = function(**{p: values[n] for p, n in taken.items()})
        return dict(zip(results, found, strict=True))

    passed = {n for n in taken.values() if n in constants}
    for chosen in ({}, *constants_in([function], op, passed)):
        yield Submission(
            getattr(function, "__name__", "function"),
            tuple(taken.values()),
            tuple(g for g in gradients if g),
            call,
            libraries_of(function) or libraries()[:1],
            outputs=results[: len(op.outputs)],
            constants={n: float(v) for n, v in chosen.items()} | {st.adjoint_name(t.name): 1.0 for t in op.outputs},
            assumed=told({**{p: n for p, n in taken.items() if p != n and p not in names}, **chosen}),
            file=file_of(function),
        )
