"""PyTorch's own samples of its ops, by thin adapters: value, gradient and second gradient in float64, at 1e-9.

Every sample passes, or does not apply for a stated reason.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.opinfo.adapters import ADAPTERS, REASONS
from tests.opinfo.samples import infos, outcome, samples

#: No sample of these applies, as their adapters say.
NONE = {"nn.functional.hardsigmoid"}


def test_torch_has_samples_of_every_op_that_has_an_adapter() -> None:
    assert infos().keys() == ADAPTERS.keys()


@pytest.mark.filterwarnings("ignore:reduction. 'mean':UserWarning")
@pytest.mark.parametrize("name", ADAPTERS)
def test_samples_agree_or_do_not_apply(name: str, record_property: Callable[[str, object], None]) -> None:
    found = outcome(name)
    record_property("passed", found.passed)
    record_property("not applicable", dict(found.reasons))
    assert not found.failures, "\n".join(found.failures)
    assert found.reasons.keys() <= REASONS.keys()
    assert found.passed + found.reasons.total() == sum(1 for _ in samples(name)) > 0
    assert (found.passed == 0) == (name in NONE)
