"""PyTorch's own samples of its ops, by thin adapters: value, gradient and second gradient in float64, at 1e-9.

Every sample passes, or does not apply for a stated reason. Where torch itself has no second gradient, there is none to compare.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.long import all_but
from tests.opinfo.adapters import ADAPTERS, CATALOGUE
from tests.opinfo.floors import OP_FLOORS
from tests.opinfo.reasons import REASONS
from tests.opinfo.samples import infos, outcome, samples

#: Hundreds of samples of what the others have too.
LONG = ("nn.functional.linear_cross_entropy", "nn.functional.max_pool2d", "nn.functional.max_pool3d")
#: No sample of these applies, as their adapters say.
NONE = {"nn.functional.hardsigmoid"}


def test_torch_has_samples_of_every_op_that_has_an_adapter() -> None:
    assert infos().keys() == ADAPTERS.keys()


def test_as_many_samples_pass_as_ever() -> None:
    assert OP_FLOORS.keys() == ADAPTERS.keys()
    assert {name for name, floor in OP_FLOORS.items() if not floor} == NONE
    assert sum(OP_FLOORS.values()) >= 6700
    assert sum(OP_FLOORS[name] for name in OP_FLOORS if name not in LONG) >= 4400
    assert sum(OP_FLOORS[name] for name in CATALOGUE) >= 1200


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", all_but(LONG, ADAPTERS))
def test_samples_agree_or_do_not_apply(name: str, record_property: Callable[[str, object], None]) -> None:
    found = outcome(name)
    record_property("passed", found.passed)
    record_property("not applicable", dict(found.reasons))
    assert not found.failures, "\n".join(found.failures)
    assert found.reasons.keys() <= REASONS.keys()
    assert found.passed + found.reasons.total() == sum(1 for _ in samples(name)) > 0
    assert found.passed >= OP_FLOORS[name]
