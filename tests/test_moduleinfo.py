"""PyTorch's own samples of its modules, with our ops in the place of the functions that they call.

Value, gradients of inputs and parameters, and second gradients in float64, at 1e-9. Every sample passes, or does not apply for
a stated reason; a module that calls nothing of ours is named here.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.long import all_but
from tests.opinfo.floors import MODULE_FLOORS
from tests.opinfo.modules import MODULES, module_outcome, module_samples, ours
from tests.opinfo.reasons import REASONS

#: Why modules are not run at all.
ABSENT = {
    "nn.AdaptiveMaxPool1d": "windows of several lengths, of which no equation takes the maximum",
    "nn.AdaptiveMaxPool2d": "windows of several lengths, of which no equation takes the maximum",
    "nn.CTCLoss": "no equations yet: a recurrence whose steps are at labels",
    "nn.FractionalMaxPool2d": "windows at random positions",
    "nn.FractionalMaxPool3d": "windows at random positions",
    "nn.MultiLabelMarginLoss": "labels behind a mark of their end",
}
#: Whole networks, and hundreds of samples of one loss.
LONG = (
    "nn.LinearCrossEntropyLoss",
    "nn.Transformer",
    "nn.TransformerDecoderLayer",
    "nn.TransformerEncoder",
    "nn.TransformerEncoderLayer",
)


def test_every_module_of_torch_is_run_or_named() -> None:
    assert MODULE_FLOORS.keys() | ABSENT.keys() == MODULES.keys()
    assert not MODULE_FLOORS.keys() & ABSENT.keys()


def test_as_many_samples_pass_as_ever() -> None:
    assert sum(MODULE_FLOORS.values()) >= 1700
    assert sum(floor for name, floor in MODULE_FLOORS.items() if name not in LONG) >= 700


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", all_but(LONG, MODULE_FLOORS))
def test_samples_agree_or_do_not_apply(name: str, record_property: Callable[[str, object], None]) -> None:
    found = module_outcome(name)
    record_property("passed", found.passed)
    record_property("not applicable", dict(found.reasons))
    assert not found.failures, "\n".join(found.failures)
    assert found.reasons.keys() <= REASONS.keys()
    assert found.passed + found.reasons.total() == sum(1 for _ in module_samples(name)) > 0
    assert found.passed >= MODULE_FLOORS[name]


def test_what_modules_call_is_ours_while_it_is_asked_for() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.LSTM(3, 2)).double()
    x = torch.randn(4, 2, dtype=torch.float64)
    before = torch.nn.functional.linear, torch.tanh, torch._VF.lstm
    with ours() as called:
        module(x)
    assert called == ["linear", "tanh", "lstm"]
    assert before == (torch.nn.functional.linear, torch.tanh, torch._VF.lstm)
