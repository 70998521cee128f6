"""Loops and their bodies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.loops.assignment import Assignment
from codegen.recognise.rows import Row
from codegen.recognise.window import Slide


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop over one axis, or over the part of it that a slide or rows allow.

    Two loops with equal bodies are not the same loop.
    """

    axis: str
    body: tuple[Item, ...]
    slide: Slide | None = None
    rows: tuple[Row, ...] = ()

    @property
    def innermost(self) -> bool:
        return all(isinstance(item, Assignment) for item in self.body)


Item = Loop | Assignment
Path = tuple[Loop, ...]


def assignments_in(body: tuple[Item, ...], path: Path = ()) -> Iterator[tuple[Assignment, Path]]:
    """Every statement in order of execution, with the loops around it."""
    for item in body:
        if isinstance(item, Loop):
            yield from assignments_in(item.body, (*path, item))
        else:
            yield item, path
