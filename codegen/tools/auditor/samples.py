"""Inputs on which a submission is tried: random inputs of any scale, ties and zeros, and inputs that strain arithmetic."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from codegen.evaluate.arithmetic import Numpy
from codegen.evaluate.trees import Evaluation
from codegen.labels import drawn_labels
from codegen.lengths import chosen_axes, settled
from derive import syntax as st
from derive.labels import VALUES, whole_constants
from derive.language.axes import equal_axes
from derive.points import populated, random_of

__all__ = [
    "Free",
    "Sample",
    "Strain",
    "expanded",
    "kinked",
    "lengths",
    "possible",
    "random_samples",
    "small_samples",
    "strained",
    "strains",
    "upstream",
]

#: The lengths of axes, in turn: they differ, so that a shape identifies its axes, and none is 1.
LENGTHS = (3, 4, 2, 5, 7, 6)
SPREAD = 0.7
#: How often lengths, or the values of integer tensors, are drawn again where the equations make nothing of them.
REDRAWN = 20


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
        setting = _setting(op, free, seed)
        constants = {**_constants(op, free, rng), **setting.whole}
        tensors = {t.name: _tensor(op, t, setting, constants, rng, seed == count - 1) for t in (*op.inputs, *upstream(op))}
        found.append(_defined(_sample("random", op, free, setting.sizes, tensors, constants), op, rng))
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
        sample = _whole("ties and zeros", op, free, _setting(op, free, turn), rng, -1, 2)
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
    return tuple(strain.of(op, free, _whole("", op, free, _setting(op, free, 1), rng, -3, 4)) for rng in rngs)


def small_samples(op: st.Op, free: Free, lowest: int = -2, above: int = 4) -> Iterator[Sample]:
    """Samples of whole numbers from ``lowest`` to below ``above``, the smallest sizes first.

    A reduced axis of length 1 is a degenerate case, so such sizes come last.
    """
    first = _setting(op, free, 0)
    fixed = dict(free.fixed) | _held(op, free, first)
    axes = [a for a in first.sizes if a not in fixed and a in chosen_axes(op)]
    reduced = _reduced(op)
    choices = list(np.ndindex(*[3] * len(axes))) if len(axes) < 5 else [(0,) * len(axes), (1,) * len(axes)]

    def order(choice: tuple[int, ...]) -> tuple[int, float, tuple[int, ...]]:
        alone = sum(k == 0 and a in reduced for a, k in zip(axes, choice, strict=True))
        return alone, float(np.prod([k + 1.0 for k in choice])), choice

    for number, choice in enumerate(sorted(choices, key=order)):
        given = dict(zip(axes, (int(k) + 1 for k in choice), strict=True)) | fixed
        for attempt in range(4):
            # Constants have their defaults first, so that an example shows another value only where it matters.
            chosen = free if attempt > 1 and free.passed else replace(free, passed=frozenset())
            setting = _set(op, chosen, given, (number, attempt) if chosen.passed else None)
            if populated(op, *setting):
                yield _whole("small", op, chosen, setting, np.random.default_rng([number, attempt, 3]), lowest, above)


def _reduced(op: st.Op) -> set[str]:
    """The axes over which a forward reduces."""
    nodes = [n for e in op.equations for n in st.walk(e.rhs)]
    return {st.axis_of(i) for n in nodes if isinstance(n, st.Reduce) for i in n.index}


# ---- lengths, and constants that are whole numbers ---------------------------------------------------------------------------


class _Setting(NamedTuple):
    """The lengths of all axes, and the constants that stand among positions or in declared lengths."""

    sizes: Mapping[str, int]
    whole: Mapping[str, int]


def lengths(op: st.Op, free: Free, turn: int) -> dict[str, int]:
    """A length for every axis; axes that the op declares equal have the same length."""
    return dict(_setting(op, free, turn).sizes)


def _setting(op: st.Op, free: Free, turn: int) -> _Setting:
    """Lengths by turns, other ones where a declared length is then less than 1, or an extremum has no element."""
    for again in range(REDRAWN):
        of = LENGTHS[(turn + again) % len(LENGTHS) :] + LENGTHS[: (turn + again) % len(LENGTHS)]
        size = {a: of[k % len(of)] * (1 + again // len(of)) for k, a in enumerate(_axes(op))}
        with contextlib.suppress(ZeroDivisionError):
            found = _set(op, free, size, (turn, again))
            if populated(op, *found):
                return found
    raise ValueError(f"{op.name}: no small lengths are found for which the declared lengths are positive")


def possible(op: st.Op, free: Free) -> bool:
    """Whether there are lengths with these values of constants, some of which may be divisors of lengths."""
    try:
        return bool(_setting(op, free, 0))
    except ValueError:
        return False


def _set(op: st.Op, free: Free, size: Mapping[str, int], seed: tuple[int, int] | None) -> _Setting:
    """The setting with these lengths of the axes that may be chosen; whole constants have their defaults without a ``seed``."""
    whole = {c.name: _whole_number(op, c, free, seed) for c in op.constants if c.name in whole_constants(op)}
    size = {**size, **dict(free.fixed)}
    held = _held(op, free, _Setting(size, whole))
    counts = {v: held[a] for a, v in op.packing.lengths if isinstance(v, str)}
    given = {a: n for a, n in free.fixed if a not in dict(op.declared.lengths)}
    return _Setting(settled(op, size, {**whole, **counts}) | given, {**counts, **whole})


def _axes(op: st.Op) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*chosen_axes(op), *(a for a, _ in op.packing.lengths))))


def _held(op: st.Op, free: Free, setting: _Setting) -> dict[str, int]:
    """The lengths that the signature gives: numbers, the values of constants, and one length where a constant is free."""
    same, given, of = equal_axes(op), {**dict(free.given), **setting.whole}, dict[str, int]()
    given |= {c.name: float(c.default) for c in op.constants if c.default is not None and c.name not in {*free.passed, *given}}
    for axis, value in op.packing.lengths:
        if isinstance(value, str):
            of[value] = int(given[value]) if value in given else of.get(value, setting.sizes[same[axis]])
    return op.packing.fixed(of)


def _whole_number(op: st.Op, constant: st.Constant, free: Free, seed: tuple[int, int] | None) -> int:
    """A constant that is a whole number: as given, its default, or, where it is passed, a number near the default or near 0."""
    default = 2 if constant.default is None else int(Fraction(constant.default))
    if constant.name in dict(free.given):
        return int(dict(free.given)[constant.name])
    if constant.name not in free.passed or seed is None:
        return default
    away = -1 if default < 0 else 1
    near = (default, default + away) if abs(default) <= VALUES else (default, *(away * (1 + k) for k in range(VALUES)))
    return random_of(op.name, "whole", *seed, constant.name).choice(near)


# ---- tensors ----------------------------------------------------------------------------------------------------------------


def upstream(op: st.Op) -> list[st.Tensor]:
    return [st.Tensor(st.adjoint_name(t.name), t.axes) for t in op.outputs]


def _whole(label: str, op: st.Op, free: Free, setting: _Setting, rng: np.random.Generator, lowest: int, above: int) -> Sample:
    """A sample of whole numbers."""
    sizes = setting.sizes
    tensors = {
        t.name: np.asarray(rng.integers(lowest, above, _shape(t, sizes)), float) for t in (*op.differentiable, *upstream(op))
    }
    labels = {t.name: _labels(op, t, sizes, setting.whole, rng) for t in op.inputs if t.labels}
    constants = {**_constants(op, free, rng), **setting.whole}
    return _defined(_sample(label, op, free, sizes, tensors | labels, constants), op, rng)


def _defined(sample: Sample, op: st.Op, rng: np.random.Generator) -> Sample:
    """The sample, with other values of the integer tensors where these make the outputs infinite or undefined.

    Conditions on integer tensors may leave a row without an element, or a mean without a number.
    """
    nodes = (n for e in op.equations for n in st.walk(e.rhs))
    if not any(isinstance(n, st.Position) and isinstance(n.index, st.Lookup) for n in nodes):
        return sample
    for _ in range(REDRAWN):
        with np.errstate(all="ignore"):
            values = Evaluation(op, sample.tensors, sample.constants, Numpy()).run()
        if all(np.isfinite(values[t.name]).all() for t in op.outputs):
            break
        labels = {t.name: _labels(op, t, sample.sizes, sample.constants, rng) for t in op.inputs if t.labels}
        sample = replace(sample, tensors={**sample.tensors, **labels})
    return sample


def _sample(
    label: str,
    op: st.Op,
    free: Free,
    sizes: Mapping[str, int],
    tensors: Mapping[str, np.ndarray],
    constants: Mapping[str, float],
) -> Sample:
    given = {n: np.full_like(tensors[n], v) for n, v in free.given if n in tensors}
    return Sample(label, sizes, _within(op, {**tensors, **given}), constants)


def _shape(tensor: st.Tensor, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[a] for a in tensor.axes)


def _tensor(
    op: st.Op, t: st.Tensor, setting: _Setting, constants: Mapping[str, float], rng: np.random.Generator, tiny: bool
) -> np.ndarray:
    """Normal numbers with a random mean and scale; ``tiny`` numbers make a constant such as eps matter."""
    if t.labels:
        return _labels(op, t, setting.sizes, constants, rng)
    scale = 3e-3 if tiny else np.exp(SPREAD * rng.normal())
    return np.asarray((rng.normal(size=_shape(t, setting.sizes)) + rng.normal()) * scale)


def _labels(
    op: st.Op, t: st.Tensor, sizes: Mapping[str, int], constants: Mapping[str, float], rng: np.random.Generator
) -> np.ndarray:
    """Values of an integer tensor, of which at least two are equal if there are two or more."""
    found = drawn_labels(op, t, sizes, constants, rng)
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
