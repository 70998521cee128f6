"""Settings of the whole suite: deterministic property tests and one torch thread, so that results and times repeat."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Before torch or NumPy start their threads: the suite itself runs in several processes.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

# After the threads are set: what this imports may import NumPy.
from tests.browser.atlas import chromium, site, tab  # noqa: E402

__all__ = ["chromium", "dtype_kept", "site", "tab"]


@pytest.fixture(autouse=True)
def dtype_kept() -> Iterator[None]:
    """torch's default dtype is the same for each test: the cells of a notebook change it."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_default_dtype(torch.float32)
