"""The description of the processors that C code is scheduled for."""

from __future__ import annotations

from codegen.loops.machine import Machine
from codegen.loops.schedule import Schedule, schedule
from codegen.program import Program

CPU = Machine(recomputed=3, cached=True)


def scheduled(program: Program) -> Schedule:
    """The loop nests of a program on such processors."""
    return schedule(program, CPU)


def overwritable(program: Program) -> tuple[tuple[str, str], ...]:
    """The pairs of a result and an argument that may be donated to it; none where there are loops over steps."""
    return () if program.loops else scheduled(program).overwritable
