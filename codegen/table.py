"""The table that ends ``make derive``."""

from __future__ import annotations

from collections.abc import Mapping

from codegen.build import Built

HEAD = ("op", "gradients", "steps", "time", "certificate", "largest error", "native")


def table(built: list[Built], native: Mapping[str, float] | None) -> str:
    """One row per op; errors are relative to the gradient's largest entry, in float64, against autograd.

    ``native`` are those of the native kernels: empty without a C compiler, None where they were not looked at.
    """
    rows = [HEAD, *(_row(b, native) for b in built)]
    widths = [max(len(r[k]) for r in rows) for k in range(len(HEAD))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _row(b: Built, native: Mapping[str, float] | None) -> tuple[str, ...]:
    error = "torch not installed" if b.error is None else f"{b.error:.1e}"
    compiled = "" if native is None else f"{native[b.op]:.1e}" if b.op in native else "no C compiler"
    return (b.op, ", ".join(b.gradients), str(b.steps), f"{b.seconds * 1000:.0f} ms", b.certificate, error, compiled)
