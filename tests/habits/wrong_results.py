"""Wrong backwards whose formula is right: the dtype, what they write to or what they draw is not."""

from __future__ import annotations

import numpy as np

from tests.habits import wrong


@wrong("relu", "dtype", "it is float64 where the arguments are float32")
def mask_of_integers(dy, x):
    return dy * np.asarray(x > 0).astype(int)


@wrong("softmax_cross_entropy", "writes", "it writes to t")
def labels_sorted(dloss, p, t):
    dz = p - (t[:, None] == np.arange(p.shape[1])).astype(p.dtype)
    t.sort()
    return dloss * dz / len(t)


RANDOM = np.random.default_rng(0)


@wrong("tanh", "value", "no single slip in the formula explains it")
def never_the_same(dy, y):
    return dy * (1 - y * y) * (1 + 1e-3 * RANDOM.normal(size=y.shape)).astype(dy.dtype)
