"""The report that the command prints: an op's errors in every format that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.backends.discovery import chosen, discovered, unavailable
from codegen.plan import plan
from codegen.program import Kernel
from codegen.tools.accuracy.figures import Figures, range_figures, sampled_figures
from codegen.tools.accuracy.grid import FULL, QUICK
from codegen.tools.accuracy.implementations import Implementation, implementations
from codegen.tools.accuracy.kinds import kinds
from codegen.tools.accuracy.measure import Range, Sampled, measure_kind, measure_range
from codegen.tools.accuracy.sweep import elementwise
from codegen.tools.accuracy.table import table_text
from codegen.tools.accuracy.ulp import FORMATS
from derive import Op, derive
from derive import syntax as st
from derive.ops import find, load, variants

__all__ = ["Report", "accuracy"]

#: The length of a long axis, and its length in a quick report.
LONG, QUICK_LONG = 8192, 1024


@dataclass(frozen=True)
class Report:
    """Errors in ULP: a range for each format if the op is elementwise, else samples of every kind for each format.

    ``missing`` holds, for each wanted backend that cannot be run here, what it would need.
    """

    op: str
    ranges: tuple[Range, ...]
    samples: tuple[tuple[Sampled, ...], ...]
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def figures(self) -> tuple[Figures, ...]:
        """The tables of each format."""
        return (*map(range_figures, self.ranges), *map(sampled_figures, self.samples))

    def __str__(self) -> str:
        notes = [f"not measured: {name} ({reason})" for name, reason in self.missing]
        return "\n\n".join([f"{self.op}: errors in ULP against mpmath", *map(table_text, self.figures), *notes])


def accuracy(
    op: Op, dtypes: Sequence[str] = tuple(FORMATS), backends: Sequence[str] | None = None, quick: bool = False
) -> Report:
    """The errors of an op's emitted kernels, and of its variants, in these backends or in all, beside torch's own.

    ValueError for an unknown dtype or backend.
    """
    backends = tuple(discovered()) if backends is None else backends
    for given, known in ((dtypes, tuple(FORMATS)), (backends, tuple(discovered()))):
        if unknown := [g for g in given if g not in known]:
            raise ValueError(f"'{unknown[0]}' is not measured; known: {', '.join(known)}")
    kernels = {o.variant: plan(derive(o)) for o in (op, *_variants(op))}
    report = measured(kernels[op.variant], implementations(kernels, backends), dtypes, quick)
    return replace(report, missing=tuple(unavailable(chosen(backends)).items()))


def _variants(op: Op) -> list[Op]:
    """The variants that the catalogue emits of one of its ops."""
    if op != find(op.name) or op.variant:
        return []
    return [v for v in map(load, variants()) if v.base == op.name]


def measured(kernel: Kernel, which: Sequence[Implementation], dtypes: Sequence[str], quick: bool = False) -> Report:
    """The errors of the given implementations of an op; ``kernel`` gives the exact values."""
    constants = _constants(kernel.op)
    forms = [FORMATS[d] for d in dtypes]
    if elementwise(kernel.op):
        ranges = [measure_range(kernel, which, constants, form, QUICK if quick else FULL) for form in forms]
        return Report(kernel.op.name, tuple(ranges), ())
    every = kinds(kernel, QUICK_LONG if quick else LONG)
    samples = [tuple(measure_kind(kernel, which, constants, form, kind) for kind in every) for form in forms]
    return Report(kernel.op.name, (), tuple(samples))


def _constants(op: st.Op) -> dict[str, float]:
    """The constants at their defaults, an integer default as an integer (ValueError for a constant without a default)."""
    if missing := [c.name for c in op.constants if c.default is None]:
        raise ValueError(f"{op.name}: the constant {missing[0]} has no default, and accuracy is measured at the defaults")
    values = {c.name: float(c.default or 0) for c in op.constants}
    return {n: int(v) if v.is_integer() else v for n, v in values.items()}
