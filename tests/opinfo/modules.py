"""PyTorch's own samples of its modules, with ours in the place of the functions that a module calls.

A module of torch keeps its parameters and its arguments; only what computes is ours. A sample counts where one of ours was
called, and the value, the gradients of inputs and parameters, and the second gradients agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing._internal.common_modules import ModuleInfo, ModuleInput, module_db
from torch.utils._pytree import tree_leaves, tree_map

from tests.opinfo.adapters import ADAPTERS
from tests.opinfo.recurrences import RECURRENCES
from tests.opinfo.samples import Outcome, compare, derivatives, leaf, outcome_of

__all__ = ["MODULES", "module_outcome", "module_samples"]

PREFIX = "nn.functional."


def embedding(
    t: Tensor,
    table: Tensor,
    padding_idx: Any = None,
    max_norm: Any = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The samples of the op have the table first, the function has the labels."""
    return ADAPTERS[PREFIX + "embedding"](table, t, padding_idx, max_norm, scale_grad_by_freq)


#: What is put in the place of the functions of ``torch.nn.functional``, of ``torch`` and of its recurrent kernels.
FUNCTIONAL: dict[str, Callable[..., Any]] = {
    **{name.removeprefix(PREFIX): op for name, op in ADAPTERS.items() if name.startswith(PREFIX)},
    **{name: ADAPTERS[name] for name in ("softmax", "log_softmax")},
    "embedding": embedding,
}
PLACES: tuple[tuple[Any, dict[str, Callable[..., Any]]], ...] = (
    (torch.nn.functional, FUNCTIONAL),
    (torch, {name: ADAPTERS[name] for name in ("tanh", "sigmoid")}),
    (torch._VF, RECURRENCES),
)
MODULES: dict[str, ModuleInfo] = {info.name: info for info in module_db}


@contextmanager
def ours() -> Iterator[list[str]]:
    """Our ops in the place of torch's functions; gives the list of those that were called, as it grows."""
    called: list[str] = []
    inside = False

    def instead(name: str, own: Callable[..., Any], torchs: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(torchs)
        def function(*arguments: Any, **given: Any) -> Any:
            nonlocal inside
            if inside:  # our kernels are made of torch's functions too
                return torchs(*arguments, **given)
            inside = True
            try:
                called.append(name)
                return own(*arguments, **given)
            finally:
                inside = False

        return function

    with ExitStack() as stack:
        for place, functions in PLACES:
            for name, own in functions.items():
                if hasattr(place, name):
                    stack.enter_context(mock.patch.object(place, name, instead(name, own, getattr(place, name))))
        yield called


def module_samples(name: str) -> Iterator[tuple[bool, ModuleInput]]:
    """Every sample of the module of that name in float64, in training and, where that differs, in evaluation."""
    info = MODULES[name]
    for training in (True, False) if info.train_and_eval_differ else (True,):
        torch.manual_seed(0)
        samples = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)
        yield from ((training, s) for s in samples if s.forward_input is not None)


def module_outcome(name: str) -> Outcome:
    """What becomes of the samples of a module."""
    return outcome_of(
        (f"{name} {number}, training {training}: {sample.desc}", partial(_agrees, MODULES[name], training, sample))
        for number, (training, sample) in enumerate(module_samples(name))
    )


def _agrees(info: ModuleInfo, training: bool, sample: ModuleInput) -> None:
    with sdpa_kernel(SDPBackend.MATH):
        theirs, second = _of_torch(info, training, sample)
        with ours() as called:
            found = _of_module(info, training, sample, second)
    assert called, "no op of ours was called"
    compare(found, theirs)


def _of_torch(info: ModuleInfo, training: bool, sample: ModuleInput) -> tuple[list[Tensor], bool]:
    """torch's own values and gradients, and whether the second ones are there."""
    if info.supports_gradgrad:
        try:
            return _of_module(info, training, sample, True), True
        except RuntimeError as error:
            if "derivative for" not in str(error):
                raise
    return _of_module(info, training, sample, False), False


def _of_module(info: ModuleInfo, training: bool, sample: ModuleInput, second: bool) -> list[Tensor]:
    torch.manual_seed(0)
    made = sample.constructor_input
    module = info.module_cls(*made.args, **made.kwargs).to(torch.float64).train(training)
    arguments, given = tree_map(leaf, (sample.forward_input.args, sample.forward_input.kwargs))
    torch.manual_seed(1)
    found = module(*arguments, **given)
    inputs = [x for x in tree_leaves((arguments, given)) if isinstance(x, Tensor) and x.requires_grad]
    wanted = [*inputs, *(p for p in module.parameters() if p.requires_grad)]
    return derivatives([x for x in tree_leaves(found) if isinstance(x, Tensor)], wanted, second)
