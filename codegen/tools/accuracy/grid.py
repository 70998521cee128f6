"""Inputs of elementwise ops: numbers over the whole finite range of a format, each by its ordinal.

Ordinals count the format's numbers from 0, upwards and downwards. Neighbours therefore differ by 1, numbers drawn uniformly by
ordinal are spread evenly over all exponents, and bisection by ordinals finds roots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from codegen.tools.accuracy.ulp import Format

__all__ = ["FULL", "QUICK", "Density", "around", "bisect", "grid", "number", "ordinal"]


@dataclass(frozen=True)
class Density:
    """How many numbers are drawn from the whole range and from ``2**-12`` to ``2**10``, and the step between powers of two."""

    anywhere: int
    moderate: int
    power_step: int


FULL, QUICK = Density(2048, 4096, 1), Density(256, 512, 16)
#: Neighbours on either side of the ends and of the powers of two between ``2**-NEAR`` and ``2**NEAR``.
BESIDE, NEAR = 2, 64


def ordinal(x: float, form: Format) -> int:
    """The number of steps from 0 to ``x`` through the format's numbers, of which ``x`` is one; negative for negative ``x``."""
    bits = int(np.abs(np.asarray(x, dtype=form.name)).view(_integer(form)))
    return -bits if x < 0 else bits


def number(ordinals: Iterable[int], form: Format) -> np.ndarray:
    """The numbers of these ordinals."""
    found = np.asarray(list(ordinals), dtype=_integer(form))
    size = np.abs(found).view(form.name)
    return np.where(found < 0, -size, size)


def grid(form: Format, density: Density, rng: np.random.Generator, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
    """Numbers between the open bounds, in ascending order: the ends, powers of two, and random numbers."""
    chosen = {*_ends(form), *_powers(form, density.power_step)}
    chosen |= _drawn(1, _largest(form), density.anywhere, rng)
    chosen |= _drawn(ordinal(2.0**-12, form), ordinal(2.0**10, form), density.moderate, rng)
    found = number(sorted({0, *chosen, *(-n for n in chosen)}), form)
    found = np.insert(found, int(np.searchsorted(found, 0.0)), -0.0)
    return found[(found > low) & (found < high)]


def around(x: float, form: Format) -> np.ndarray:
    """``x`` and the numbers that are ``2**k`` steps away from it, for every ``k`` up to the size of its exponent."""
    at, steps = ordinal(x, form), [2**k for k in range(form.precision)]
    near = {at, *(at + s for s in steps), *(at - s for s in steps)}
    return number(sorted(n for n in near if abs(n) <= _largest(form)), form)


def bisect(sign: Callable[[np.ndarray], float], low: float, high: float, form: Format) -> float:
    """A number next to which a function changes its sign. The function must have opposite signs at the two bounds."""
    a, b = ordinal(low, form), ordinal(high, form)
    left = sign(number([a], form))
    while b - a > 1:
        middle = (a + b) // 2
        at = sign(number([middle], form))
        if at == 0:
            return float(number([middle], form)[0])
        a, b = (middle, b) if at == left else (a, middle)
    return float(number([a], form)[0])


def _integer(form: Format) -> str:
    return form.name.replace("float", "int")


def _largest(form: Format) -> int:
    return ordinal(float(np.finfo(form.name).max), form)


def _ends(form: Format) -> set[int]:
    """The smallest subnormal and normal numbers and the largest finite one, with their neighbours."""
    ends = (1, ordinal(2.0**form.emin, form), _largest(form))
    return {n for end in ends for n in range(end - BESIDE, end + BESIDE + 1) if 1 <= n <= _largest(form)}


def _powers(form: Format, step: int) -> set[int]:
    """Powers of two; powers of moderate size with their neighbours."""
    found: set[int] = set()
    for k in range(form.unit, form.emax + 1):
        if k % step == 0:
            at, beside = ordinal(2.0**k, form), BESIDE if abs(k) <= NEAR else 0
            found.update(range(max(at - beside, 1), at + beside + 1))
    return found


def _drawn(low: int, high: int, count: int, rng: np.random.Generator) -> set[int]:
    return {int(n) for n in rng.integers(low, high, count, endpoint=True)}
