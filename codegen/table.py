"""The table that ends ``make derive``."""

from __future__ import annotations

from codegen.build import Built

HEAD = ("op", "gradients", "steps", "time", "certificate", "largest error", "native")


def table(built: list[Built]) -> str:
    """One row per op; errors are relative to a result's largest entry, in float64, against the equations at 50 digits."""
    rows = [HEAD, *map(_row, built)]
    widths = [max(len(r[k]) for r in rows) for k in range(len(HEAD))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _row(b: Built) -> tuple[str, ...]:
    arrays = [e for backend, e in b.errors.items() if backend != "native"]
    error = f"{max(arrays):.1e}" if arrays else "torch not installed"
    compiled = "no C compiler" if f"native/{b.op}.c" in b.files else ""
    if "native" in b.errors:
        compiled = f"{b.errors['native']:.1e}"
    return (b.op, ", ".join(b.gradients), str(b.steps), f"{b.seconds * 1000:.0f} ms", b.certificate, error, compiled)
