"""The backends that tests are parametrised over. One that cannot run here is skipped, with what it lacks as the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.arrays.discovery import array_backends
from codegen.backends.discovery import by_name, discovered

#: All of them, and those of arrays in Python.
EVERY, ARRAYS = tuple(discovered()), tuple(array_backends())
#: Those that run here.
RUNNING = tuple(b for b in EVERY if not by_name(b).missing())
RUNNING_ARRAYS = tuple(b for b in ARRAYS if b in RUNNING)


def parameters(names: Iterable[str]) -> list[Any]:
    """The names as parameters of a test."""
    lacks = {n: by_name(n).missing() for n in names}
    return [pytest.param(n, marks=pytest.mark.skipif(bool(lack), reason=lack)) for n, lack in lacks.items()]


each_backend = pytest.mark.parametrize("backend", parameters(EVERY))
each_array_backend = pytest.mark.parametrize("backend", parameters(ARRAYS))


def given(backend: str, tensor: torch.Tensor) -> Any:
    """A tensor as an argument of a backend's kernels. In NumPy it shares the tensor's memory, and so has its strides."""
    return tensor.numpy() if isinstance(by_name(backend).to(np.zeros(1)), np.ndarray) else by_name(backend).to(tensor)


def arguments(backend: str, *arrays: Any) -> list[Any]:
    """Arrays or tensors as arguments of a backend's kernels; inside ``by_name(backend).running()``."""
    return [by_name(backend).to(a) for a in arrays]
