"""``generated.torch.nn``: modules that load the state dicts of torch's, judged by torch's samples of its own modules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.common_modules import ModuleInfo, ModuleInput, module_db
from torch.utils._pytree import tree_leaves, tree_map

from generated.torch import functional, nn
from tests.opinfo.modules import module_samples
from tests.opinfo.samples import compare, derivatives, leaf

INFOS = {info.name.removeprefix("nn."): info for info in module_db}
#: torch's own gradient rounds a constant to float32.
ROUNDED = {"Hardsigmoid"}
#: A sample draws random numbers.
JUDGED = [name for name in nn.__all__ if name in INFOS and name not in ROUNDED]


def found(kind: Any, state: Any, training: bool, sample: ModuleInput) -> tuple[list[Tensor], Any]:
    """The value, and the gradients of inputs and parameters, of a module; and its state dict after that."""
    torch.manual_seed(0)
    made = sample.constructor_input
    module = kind(*made.args, **made.kwargs).to(torch.float64).train(training)
    module.load_state_dict(state if state is not None else module.state_dict())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    arguments, given = tree_map(leaf, (sample.forward_input.args, sample.forward_input.kwargs))
    torch.manual_seed(1)
    values = module(*arguments, **given)
    inputs = [x for x in tree_leaves((arguments, given)) if isinstance(x, Tensor) and x.requires_grad]
    return derivatives(values, [*inputs, *module.parameters()], False), (before, module.state_dict())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", JUDGED)
def test_a_module_computes_what_that_of_torch_computes(name: str) -> None:
    """With the parameters of torch's module, whose buffers it moves alike."""
    seen: Counter[str] = Counter()
    info: ModuleInfo = INFOS[name]
    for training, sample in module_samples(info.name):
        theirs, (state, after) = found(info.module_cls, None, training, sample)
        try:
            ours, (_, moved) = found(getattr(nn, name), state, training, sample)
        except functional.NotServed:
            seen["not served"] += 1
            continue
        compare(ours, theirs)
        torch.testing.assert_close(moved, after)
        seen["served"] += 1
    assert seen["served"], seen


@pytest.mark.parametrize("name", nn.__all__)
def test_a_module_is_one_of_torch(name: str) -> None:
    assert issubclass(getattr(nn, name), getattr(torch.nn, name))
