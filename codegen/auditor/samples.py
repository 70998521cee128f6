"""Inputs on which a submission is tried: random ones of any scale, ties and zeros, and what makes arithmetic fail."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from derive import syntax as st
from derive.axes import equal_axes

__all__ = ["Sample", "kinked", "random_samples", "small_samples", "strained"]

#: Lengths of the axes in turn: different ones, so that a shape tells the axes, and none of 1.
LENGTHS = (3, 4, 2, 5, 7, 6)
SPREAD = 0.7


@dataclass(frozen=True)
class Sample:
    """One input: the op's tensors with each ``*s`` as a single axis, upstream gradients among them, and its constants.

    ``label`` says what is special about it.
    """

    label: str
    sizes: Mapping[str, int]
    tensors: Mapping[str, np.ndarray]
    constants: Mapping[str, float]


def random_samples(op: st.Op, fixed: Mapping[str, int], passed: Collection[str], count: int = 4) -> Iterator[Sample]:
    """Random samples: sizes, means and scales differ from one to the next.

    ``fixed`` are lengths that are not free, ``passed`` the constants that the submission takes: others keep their defaults.
    """
    for seed in range(count):
        rng = np.random.default_rng([seed, 1])
        sizes = lengths(op, fixed, seed)
        constants = _constants(op, passed, rng)
        tensors = {t.name: _tensor(t, sizes, rng, seed == count - 1) for t in (*op.inputs, *_upstream(op))}
        yield Sample("random", sizes, _signed(op, tensors), constants)


def kinked(op: st.Op, fixed: Mapping[str, int], passed: Collection[str]) -> Sample:
    """Small whole numbers: maxima tie, differences are zero, labels repeat."""
    rng = np.random.default_rng([0, 2])
    sizes = lengths(op, fixed, 1)
    whole = {t.name: np.asarray(rng.integers(-1, 2, _shape(t, sizes)), dtype=float) for t in op.differentiable}
    labels = {t.name: _labels(t, sizes, rng) for t in op.inputs if t.labels}
    upstream = {t.name: rng.normal(size=_shape(t, sizes)) for t in _upstream(op)}
    return Sample("ties and zeros", sizes, _signed(op, whole | labels | upstream), _constants(op, passed, rng))


def strained(op: st.Op, fixed: Mapping[str, int], double: bool) -> Iterator[Sample]:
    """Inputs on which careless arithmetic overflows or cancels: large, far from zero, tiny; all inputs at a time and each."""
    large, tiny, offset = (1e3, 1e-6, 1e6) if double else (1e2, 1e-3, 1e3)
    rng = np.random.default_rng([0, 4])
    sizes = lengths(op, fixed, 1)
    whole = {t.name: np.asarray(rng.integers(-3, 4, _shape(t, sizes)), float) for t in (*op.differentiable, *_upstream(op))}
    tensors = whole | {t.name: _labels(t, sizes, rng) for t in op.inputs if t.labels}
    constants = _constants(op, (), rng)
    names = [t.name for t in op.differentiable]
    for chosen in [names, *([n] for n in names[:4] if len(names) > 1)]:
        for label, factor, shift in (("large", large, 0.0), ("tiny", tiny, 0.0), ("far from zero", 0.1, offset)):
            strain = {n: v * factor + shift if n in chosen else v for n, v in tensors.items()}
            yield Sample(f"{', '.join(chosen)} {label}", sizes, _signed(op, strain), constants)


def small_samples(op: st.Op, fixed: Mapping[str, int]) -> Iterator[Sample]:
    """Samples of whole numbers, the smallest sizes first."""
    axes = [a for a in lengths(op, fixed, 0) if a not in fixed]
    same = equal_axes(op)
    choices = sorted(np.ndindex(*[3] * len(axes)), key=lambda c: (np.prod([k + 1.0 for k in c]), c)) if len(axes) < 5 else []
    for number, choice in enumerate(choices or [tuple(1 for _ in axes), tuple(2 for _ in axes)]):
        lengths_of = dict(zip(axes, (int(k) + 1 for k in choice), strict=True)) | dict(fixed)
        sizes = {a: lengths_of[same.get(a, a)] for a in lengths_of}
        for attempt in range(3):
            rng = np.random.default_rng([number, attempt, 3])
            tensors = {
                t.name: np.asarray(rng.integers(-2, 4, _shape(t, sizes)), float) for t in (*op.differentiable, *_upstream(op))
            }
            labels = {t.name: _labels(t, sizes, rng) for t in op.inputs if t.labels}
            yield Sample("small", sizes, _signed(op, tensors | labels), _constants(op, (), rng))


def lengths(op: st.Op, fixed: Mapping[str, int], turn: int) -> dict[str, int]:
    """A length for every axis of the inputs; axes that the op declares equal have the same one."""
    axes = dict.fromkeys(a for t in op.inputs for a in (*t.axes, *([t.labels] if t.labels else [])))
    size = {a: LENGTHS[(k + turn) % len(LENGTHS)] for k, a in enumerate(axes)}
    same = equal_axes(op)
    size = {a: size[same.get(a, a)] for a in axes}
    return size | dict(fixed)


def _upstream(op: st.Op) -> list[st.Tensor]:
    return [st.Tensor(f"d{t.name}", t.axes) for t in op.outputs]


def _shape(tensor: st.Tensor, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[a] for a in tensor.axes)


def _tensor(tensor: st.Tensor, sizes: Mapping[str, int], rng: np.random.Generator, tiny: bool) -> np.ndarray:
    """Normal numbers with a mean and a scale of their own; ``tiny`` ones let a constant such as eps matter."""
    if tensor.labels:
        return _labels(tensor, sizes, rng)
    scale = 3e-3 if tiny else np.exp(SPREAD * rng.normal())
    return np.asarray((rng.normal(size=_shape(tensor, sizes)) + rng.normal()) * scale)


def _labels(tensor: st.Tensor, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    """Labels in range; one of them is used again wherever there are two entries or more."""
    assert tensor.labels
    found = np.asarray(rng.integers(0, sizes[tensor.labels], _shape(tensor, sizes)))
    if found.size > 1:
        found.flat[-1] = found.flat[0]
    return found


def _signed(op: st.Op, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors with the signs that the op assumes."""
    for a in op.assumptions:
        if isinstance(a.left, st.Read) and a.left.name in tensors:
            positive = np.abs(tensors[a.left.name]) + 0.1
            tensors[a.left.name] = positive if a.rel[0] == ">" else -positive
    return tensors


def _constants(op: st.Op, passed: Collection[str], rng: np.random.Generator) -> dict[str, float]:
    """The constants: a whole one is 0 or 1, another between 0.1 and 0.9, but the default where it cannot be passed."""
    found: dict[str, float] = {}
    for c in op.constants:
        whole = c.default is not None and c.default.lstrip("-").isdigit()
        drawn = int(rng.integers(0, 2)) if whole else float(rng.uniform(0.1, 0.9))
        default = None if c.default is None else int(c.default) if whole else float(Fraction(c.default))
        found[c.name] = drawn if c.name in passed or default is None else default
    return found
