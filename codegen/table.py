"""The table that ends ``make derive``."""

from __future__ import annotations

from codegen.build import Built

HEAD = ("op", "gradients", "steps", "time", "certificate", "largest error")


def table(built: list[Built]) -> str:
    """One row per op; the error is relative to the gradient's largest entry, in float64, against autograd."""
    rows = [HEAD, *(_row(b) for b in built)]
    widths = [max(len(r[k]) for r in rows) for k in range(len(HEAD))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _row(b: Built) -> tuple[str, ...]:
    error = "torch not installed" if b.error is None else f"{b.error:.1e}"
    return (b.op, ", ".join(b.gradients), str(b.steps), f"{b.seconds * 1000:.0f} ms", b.certificate, error)
