"""The table that ends ``make derive``."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.backends.discovery import discovered
from codegen.build import Row
from codegen.columns import columns

HEAD = ("op", "gradients", "steps", "time", "certificate", "largest error")


def table(ops: Sequence[Row]) -> str:
    """One row per op. Errors are relative to a result's largest entry, in float64, against the equations at 50 digits.

    Compiled backends have a column of their own. Below the table stand the backends that were not run, with what is missing.
    """
    compiled = [b.name for b in discovered().values() if b.compiled]
    rows = [(*HEAD, *compiled), *(_row(b, compiled) for b in ops)]
    missing = {name: reason for b in ops for name, reason in b.missing.items() if name not in compiled}
    notes = [f"\nnot run: {name} ({reason})" for name, reason in missing.items()]
    return "\n".join([*columns(rows), *notes])


def _row(b: Row, compiled: list[str]) -> tuple[str, ...]:
    arrays = [e for backend, e in b.errors.items() if backend not in compiled]
    error = f"{max(arrays):.1e}" if arrays else "; ".join(r for name, r in b.missing.items() if name not in compiled)
    own = [f"{b.errors[name]:.1e}" if name in b.errors else b.missing.get(name, "") for name in compiled]
    return (b.op, ", ".join(b.gradients), str(b.steps), f"{b.seconds * 1000:.0f} ms", b.certificate, error, *own)
