"""A topological order of names: each name after the names that it reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["in_order"]


def in_order(reads: Mapping[str, Collection[str]]) -> list[str]:
    """The names in topological order, as close to the given order as possible. ``reads`` must have no cycle."""
    out: dict[str, None] = {}
    for name in reads:
        waiting = [name]
        while waiting:  # no recursion: a chain of names may be long
            before = next((n for n in sorted(reads[waiting[-1]]) if n in reads and n not in out), None)
            if before is None or waiting[-1] in out:
                out[waiting.pop()] = None
            else:
                waiting.append(before)
    return list(out)
