"""Inputs on which a submission is tried: random inputs of any scale, ties and zeros, and inputs that strain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from derive import syntax as st
from derive.language.axes import equal_axes

__all__ = [
    "Free",
    "Sample",
    "Strain",
    "expanded",
    "kinked",
    "random_samples",
    "small_samples",
    "strained",
    "strains",
    "upstream",
]

#: The lengths of axes, in turn: they differ, so that a shape identifies its axes, and none is 1.
LENGTHS = (3, 4, 2, 5, 7, 6)
SPREAD = 0.7


@dataclass(frozen=True, eq=False)
class Sample:
    """One input: the op's tensors with each ``*s`` as a single axis, upstream gradients among them, and its constants.

    ``label`` says what is special about the sample. A sample is equal only to itself.
    """

    label: str
    sizes: Mapping[str, int]
    tensors: Mapping[str, np.ndarray]
    constants: Mapping[str, float]


@dataclass(frozen=True)
class Free:
    """What a sample may choose: everything except ``fixed`` lengths and ``given`` values of constants and upstream gradients.

    Only the constants that are ``passed`` are drawn; the others keep their defaults.
    """

    fixed: tuple[tuple[str, int], ...] = ()
    passed: frozenset[str] = frozenset()
    given: tuple[tuple[str, float], ...] = ()


@lru_cache(maxsize=64)
def random_samples(op: st.Op, free: Free, count: int = 4) -> tuple[Sample, ...]:
    """Random samples: sizes, means and scales differ from one to the next."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng([seed, 1])
        sizes = lengths(op, free, seed)
        constants = _constants(op, free, rng)
        tensors = {t.name: _tensor(t, sizes, rng, seed == count - 1) for t in (*op.inputs, *upstream(op))}
        found.append(_sample("random", op, free, sizes, tensors, constants))
    return tuple(found)


@lru_cache(maxsize=64)
def expanded(op: st.Op, free: Free) -> Sample:
    """A random sample whose upstream gradients have equal entries, as the gradient of a sum has."""
    sample = random_samples(op, free)[0]
    equal = {t.name: np.full_like(sample.tensors[t.name], sample.tensors[t.name].flat[0]) for t in upstream(op)}
    return replace(sample, tensors={**sample.tensors, **equal})


@lru_cache(maxsize=64)
def kinked(op: st.Op, free: Free) -> tuple[Sample, ...]:
    """Small whole numbers: maxima tie, differences are zero, labels repeat. The upstream gradients are random."""
    found = []
    for turn in (0, 1, 2):
        rng = np.random.default_rng([turn, 2])
        sample = _whole("ties and zeros", op, free, lengths(op, free, turn), rng, -1, 2)
        fixed = {n for n, _ in free.given}
        drawn = {t.name: rng.normal(size=_shape(t, sample.sizes)) for t in upstream(op) if t.name not in fixed}
        found.append(replace(sample, tensors={**sample.tensors, **drawn}))
    return tuple(found)


@dataclass(frozen=True)
class Strain:
    """A change of the ``chosen`` inputs of a sample that makes careless arithmetic overflow or cancel."""

    label: str
    chosen: tuple[str, ...]
    factor: float
    shift: float

    def of(self, op: st.Op, free: Free, sample: Sample) -> Sample:
        """The sample under strain."""
        moved = {n: v * self.factor + self.shift if n in self.chosen else v for n, v in sample.tensors.items()}
        return _sample(f"{', '.join(self.chosen)} {self.label}", op, free, sample.sizes, moved, sample.constants)


def strains(op: st.Op, double: bool) -> list[Strain]:
    """The strains: all inputs, and each input by itself, are large, tiny, or far from zero."""
    names = tuple(t.name for t in op.differentiable)
    chosen = [names, *((n,) for n in names[:4] if len(names) > 1)]
    large, tiny, offset = (1e3, 1e-6, 1e6) if double else (1e2, 1e-3, 1e4)
    kinds = (("large", large, 0.0), ("tiny", tiny, 0.0), ("far from zero", 0.1, offset))
    return [Strain(label, c, factor, shift) for c in chosen for label, factor, shift in kinds]


@lru_cache(maxsize=512)
def strained(op: st.Op, free: Free, strain: Strain) -> tuple[Sample, ...]:
    """A few samples under one strain, with constants at their defaults."""
    free = replace(free, passed=frozenset())
    rngs = (np.random.default_rng([seed, 4]) for seed in (0, 1, 2))
    return tuple(strain.of(op, free, _whole("", op, free, lengths(op, free, 1), rng, -3, 4)) for rng in rngs)


def small_samples(op: st.Op, free: Free, lowest: int = -2, above: int = 4) -> Iterator[Sample]:
    """Samples of whole numbers from ``lowest`` to below ``above``, the smallest sizes first.

    A reduced axis of length 1 is a degenerate case, so such sizes come last.
    """
    fixed = dict(free.fixed) | _held(op, free, lengths(op, free, 0))
    axes = [a for a in lengths(op, free, 0) if a not in fixed]
    same, reduced = equal_axes(op), _reduced(op)
    choices = list(np.ndindex(*[3] * len(axes))) if len(axes) < 5 else [(0,) * len(axes), (1,) * len(axes)]

    def order(choice: tuple[int, ...]) -> tuple[int, float, tuple[int, ...]]:
        alone = sum(k == 0 and a in reduced for a, k in zip(axes, choice, strict=True))
        return alone, float(np.prod([k + 1.0 for k in choice])), choice

    for number, choice in enumerate(sorted(choices, key=order)):
        lengths_of = dict(zip(axes, (int(k) + 1 for k in choice), strict=True)) | fixed
        sizes = {a: lengths_of[same.get(a, a)] for a in lengths_of}
        for attempt in range(4):
            # Constants have their defaults first, so that an example shows another value only where it matters.
            chosen = free if attempt > 1 and free.passed else replace(free, passed=frozenset())
            yield _whole("small", op, chosen, sizes, np.random.default_rng([number, attempt, 3]), lowest, above)


def _reduced(op: st.Op) -> set[str]:
    """The axes over which a forward reduces."""
    nodes = [n for e in op.equations for n in st.walk(e.rhs)]
    return {st.axis_of(i) for n in nodes if isinstance(n, st.Reduce) for i in n.index}


def lengths(op: st.Op, free: Free, turn: int) -> dict[str, int]:
    """A length for every axis of the inputs; axes that the op declares equal have the same length."""
    axes = dict.fromkeys(a for t in op.inputs for a in (*t.axes, *([t.indexed] if t.indexed else [])))
    size = {a: LENGTHS[(k + turn) % len(LENGTHS)] for k, a in enumerate(axes)}
    same = equal_axes(op)
    size |= {same[a]: n for a, n in _held(op, free, size).items()}
    size = {a: size[same.get(a, a)] for a in axes}
    return size | dict(free.fixed)


def _held(op: st.Op, free: Free, size: Mapping[str, int]) -> dict[str, int]:
    """The lengths that the signature gives: numbers, the values of constants, and one length where a constant is free."""
    same, given, of = equal_axes(op), dict(free.given), dict[str, int]()
    given |= {c.name: float(c.default) for c in op.constants if c.default is not None and c.name not in {*free.passed, *given}}
    for axis, value in op.packing.lengths:
        if isinstance(value, str):
            of[value] = int(given[value]) if value in given else of.get(value, size[same[axis]])
    return op.packing.fixed(of)


def upstream(op: st.Op) -> list[st.Tensor]:
    return [st.Tensor(st.adjoint_name(t.name), t.axes) for t in op.outputs]


def _whole(
    label: str, op: st.Op, free: Free, sizes: Mapping[str, int], rng: np.random.Generator, lowest: int, above: int
) -> Sample:
    """A sample of whole numbers."""
    tensors = {
        t.name: np.asarray(rng.integers(lowest, above, _shape(t, sizes)), float) for t in (*op.differentiable, *upstream(op))
    }
    labels = {t.name: _labels(t, sizes, rng) for t in op.inputs if t.labels}
    return _sample(label, op, free, sizes, tensors | labels, _constants(op, free, rng))


def _sample(
    label: str,
    op: st.Op,
    free: Free,
    sizes: Mapping[str, int],
    tensors: Mapping[str, np.ndarray],
    constants: Mapping[str, float],
) -> Sample:
    given = {n: np.full_like(tensors[n], v) for n, v in free.given if n in tensors}
    counts = {v: sizes[a] for a, v in op.packing.lengths if isinstance(v, str)}
    return Sample(label, sizes, _within(op, {**tensors, **given}), {**constants, **counts})


def _shape(tensor: st.Tensor, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[a] for a in tensor.axes)


def _tensor(tensor: st.Tensor, sizes: Mapping[str, int], rng: np.random.Generator, tiny: bool) -> np.ndarray:
    """Normal numbers with a random mean and scale; ``tiny`` numbers make a constant such as eps matter."""
    if tensor.labels:
        return _labels(tensor, sizes, rng)
    scale = 3e-3 if tiny else np.exp(SPREAD * rng.normal())
    return np.asarray((rng.normal(size=_shape(tensor, sizes)) + rng.normal()) * scale)


def _labels(tensor: st.Tensor, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
    """Labels in range, of which at least two are equal if there are two or more."""
    assert tensor.labels
    found = np.asarray(rng.integers(0, sizes[tensor.labels], _shape(tensor, sizes)))
    if found.size > 1:
        found.flat[-1] = found.flat[0]
    return found


def _within(op: st.Op, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors within the bounds that the op assumes."""
    bounds: dict[str, dict[str, float]] = {}
    for a in op.assumptions:
        if isinstance(a.left, st.Read) and a.left.name in tensors and a.rel[0] in "<>":
            number = float(a.right.value) if isinstance(a.right, st.Num) else 0.0
            bounds.setdefault(a.left.name, {})[a.rel[0]] = number
    for name, found in bounds.items():
        size = np.abs(tensors[name])
        if len(found) == 2:
            share = (size + 0.1) / (size + 1)
            tensors[name] = found[">"] + (found["<"] - found[">"]) * share
        else:
            ((rel, number),) = found.items()
            tensors[name] = number + size + 0.1 if rel == ">" else number - size - 0.1
    return tensors


def _constants(op: st.Op, free: Free, rng: np.random.Generator) -> dict[str, float]:
    """The constants: 0 or 1 for an integer constant, else between 0.1 and 0.9; the default for one that is not passed."""
    found: dict[str, float] = {}
    for c in op.constants:
        whole = c.default is not None and c.default.lstrip("-").isdigit()
        drawn = int(rng.integers(0, 2)) if whole else float(rng.uniform(0.1, 0.9))
        default = None if c.default is None else int(c.default) if whole else float(Fraction(c.default))
        found[c.name] = drawn if c.name in free.passed or default is None else default
    return found | {n: v for n, v in free.given if n in found}
