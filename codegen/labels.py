"""Random values of integer tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from derive import syntax as st
from derive.labels import label_values, whole_constants

__all__ = ["drawn_labels"]


def drawn_labels(
    op: st.Op, t: st.Tensor, sizes: Mapping[str, int], constants: Mapping[str, float], rng: np.random.Generator
) -> np.ndarray:
    """Labels in range, or integers or booleans as the tensor holds them; labels that are ignored somewhere are among them."""
    whole = {n: int(constants[n]) for n in whole_constants(op)}
    values = np.asarray(label_values(op, t, sizes, whole), bool if t.labels == st.TRUTH else np.int64)
    return np.asarray(values[rng.integers(0, len(values), tuple(sizes[a] for a in t.axes))])
