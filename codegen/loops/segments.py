"""A program with loops over steps as programs without: those of what stands between the loops, and those of one step each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.loops.body import ZERO, Body, body_of, conditions_of, in_blocks
from codegen.loops.turned import with_turned
from codegen.program import Argument, Loop, Program, Role, Statement
from derive import syntax as st
from derive.renaming import fresh_name

__all__ = ["Segment", "segments"]

Block = list[Statement] | Body
Axes = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Segment:
    """A program, which is run once, or with a ``body`` at every step of a loop.

    The arguments of a step are tensors, parts of tensors (``Body.slices``) and what is handed to the step.
    """

    program: Program
    body: Body | None = None


def segments(program: Program) -> list[Segment]:
    """The segments of a program in order."""
    taken = {*(a.name for a in program.arguments), *(s.name for s in program.statements)}
    statements = with_turned(program, _with_masks(program, taken), taken)

    def local(name: str) -> str:
        return fresh_name(name, taken)

    bodies = [body_of(loop, program, statements, local, lambda name, _: local(f"{name}_at")) for loop in program.loops]
    ends = {name for body in bodies for name in body.last}
    axes = {a.name: a.axes for a in program.arguments} | {s.name: s.index for s in statements}
    blocks: list[Block] = []
    for block in in_blocks(statements, bodies):
        if isinstance(block, Body):
            blocks.append(block)
        elif block.name not in ends:
            if not blocks or isinstance(blocks[-1], Body):
                blocks.append([])
            last = blocks[-1]
            assert isinstance(last, list)
            last.append(block)
    return [_segment(program, block, k, blocks, axes) for k, block in enumerate(blocks)]


def _with_masks(program: Program, taken: set[str]) -> list[Statement]:
    """The statements, in which conditions that differ from step to step are computed for all steps before the loop."""
    out: list[Statement] = []
    of = {name: loop for loop in program.loops for name in loop.names}
    made: dict[tuple[Loop, st.Compare], st.Read] = {}
    for loop in program.loops:
        for c in conditions_of(loop, program.statements):
            index = tuple(st.free_indices(c))
            if loop.axis in index:
                made[loop, c] = st.Read(fresh_name("mask", taken), index)
    for s in program.statements:
        here = of.get(s.name)
        if here is None:
            out.append(s)
            continue
        if s.name == here.names[0]:
            for (own, condition), mask in made.items():
                if own is here:
                    index = tuple(str(i) for i in mask.index)
                    out.append(Statement(mask.name, index, st.Indicator(condition), Role.TEMPORARY))
        out.append(replace(s, tree=_masked(s.tree, {c: m for (own, c), m in made.items() if own is here})))
    return out


def _masked(tree: st.Tree, masks: Mapping[st.Compare, st.Read]) -> st.Tree:
    if isinstance(tree, st.Compare) and tree in masks:
        return st.Compare("!=", masks[tree], ZERO)
    return st.rebuild(tree, lambda part: _masked(part, masks))


def _segment(
    program: Program,
    block: Block,
    k: int,
    blocks: Sequence[Block],
    axes: Axes,
) -> Segment:
    later = {n for other in blocks[k + 1 :] for n in _reads(other)} | set(program.results)
    if isinstance(block, Body):
        results = tuple(dict.fromkeys((*(h.value for h in block.handed), *(local for _, local in block.kept))))
        own = {alias: _part(axes[read.name], read, block.loop.axis) for alias, read in block.slices.items()}
        own |= {h.name: h.axes for h in block.handed}
        number = _number(blocks, k)
        said = f"One step of {program.name}" + (f", of loop {number}" if number else "")
        return Segment(_program(program, f"step{number}", said, list(block.statements), results, axes | own), block)
    results = tuple(s.name for s in block if s.name in later)
    return Segment(_program(program, *_place(program, blocks, k), block, results, axes))


def _number(blocks: Sequence[object], k: int) -> str:
    """The number of a block among those of its kind; "" for the only one."""
    alike = [j for j, other in enumerate(blocks) if type(other) is type(blocks[k])]
    return str(alike.index(k) + 1) if len(alike) > 1 else ""


def _place(program: Program, blocks: Sequence[object], k: int) -> tuple[str, str]:
    """What a part of the program outside of loops is called, and what it is."""
    if sum(isinstance(b, Body) for b in blocks) > 1:
        return f"part{_number(blocks, k)}", f"Part {_number(blocks, k)} of {program.name}"
    place = "after" if any(isinstance(b, Body) for b in blocks[:k]) else "before"
    return place, f"What {program.name} does {place} its steps"


def _part(own: tuple[str, ...], read: st.Read, axis: str) -> tuple[str, ...]:
    place = read.index.index(axis)
    return tuple(a for p, a in enumerate(own) if p != place)


def _reads(block: Block) -> set[str]:
    """The names that a block reads of what stands before it."""
    if isinstance(block, list):
        return {n for s in block for n in st.reads(s.tree)}
    first = {h.first.name for h in block.handed if isinstance(h.first, st.Read)}
    inside = {n for s in block.statements for n in st.reads(s.tree)}
    return first | {r.name for r in block.slices.values()} | inside


def _program(
    program: Program, kind: str, said: str, statements: list[Statement], results: tuple[str, ...], axes: Axes
) -> Program:
    made = {s.name for s in statements}
    read = dict.fromkeys(n for s in statements for n in st.reads(s.tree) if n not in made)
    constants = tuple(c for c in program.constants if c.name in read)
    known = {a.name: a for a in program.arguments}
    names = [n for n in read if n not in {c.name for c in constants}]
    return replace(
        program,
        name=f"{program.name}_{kind}",
        arguments=tuple(known.get(n) or Argument(n, axes[n], Role.SAVED) for n in names),
        constants=constants,
        statements=tuple(replace(s, role=Role.OUTPUT if s.name in results else Role.TEMPORARY, over="") for s in statements),
        results=results,
        loops=(),
        shifts=(),
        part=said,
    )
