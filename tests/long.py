"""What only the long runs have (`make test-long`), as parameters of tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from derive.ops import names, variants

#: The networks that are made of the other ops: seconds for each derivation of theirs, or compilation.
NETWORKS = ("makemore", "mlp")
#: The ops that every grid runs over: for each kind of statement that the language has, those in which it was first needed, and
#: all that have variants. The others are made of the same statements. They go through ``test_catalogue.py``, and through the
#: grids in the long runs alone.
CORE = tuple(
    "attention batchnorm embedding gelu layernorm linear log_softmax makemore matmul mlp relu rmsnorm sigmoid silu softmax "
    "softmax_cross_entropy tanh".split()
)
CORE_VARIANTS = tuple(v for v in variants() if v.rpartition("_")[0] in CORE)
#: The core and its variants, and the rest of the catalogue.
OPS = tuple(sorted((*CORE, *CORE_VARIANTS)))
BEYOND = tuple(sorted({*names(), *variants()} - {*OPS}))


def all_but(rare: Iterable[str], values: Iterable[str]) -> list[Any]:
    """These values, of which the long runs alone have the rare ones."""
    rare = set(rare)
    return [pytest.param(v, marks=pytest.mark.long) if v in rare else v for v in values]


def each(*kinds: Iterable[str]) -> list[Any]:
    """All of these ops, of which the long runs alone have those beyond the core."""
    return all_but(BEYOND, [name for kind in kinds for name in kind])
