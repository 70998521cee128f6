"""Statements of a recurrence in the order of computation: those that step together are the body of a loop over the steps.

What a step does not need of the step before is computed for all steps at once, before the loop; what no later step needs, after
it. So a sum over the inputs, and the gradient of a weight, are matrix products over all steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from codegen.program import Loop, Program, Role, Statement
from derive import syntax as st
from derive.recurrence import Part, parts, shifted, unrolled
from derive.renaming import fresh_name, renamed_carry, renamed_tree

__all__ = ["Arranged", "arranged", "straight", "whole"]


@dataclass(frozen=True)
class Arranged:
    """Statements in order, the loops in whose bodies some of them are, and the carries that are read over all steps."""

    statements: tuple[Statement, ...]
    loops: tuple[Loop, ...] = ()
    shifts: tuple[st.Carry, ...] = ()


def arranged(
    statements: Sequence[Statement], carries: Sequence[st.Carry], shifts: Sequence[st.Carry], taken: Collection[str]
) -> Arranged:
    """The statements of a program that carries these names. A new statement gets a name that is not ``taken``.

    ``shifts`` are what other programs carry, and this one reads over all steps: their statements are among the given ones.
    """
    carries = [c for c in carries if any(s.name == c.of for s in statements)]
    shifts = [c for c in shifts if any(s.name == c.name for s in statements)]
    statements, copies = _without_copies(statements, {c.first for c in (*carries, *shifts)})
    carries, shifts = ([renamed_carry(c, copies) for c in found] for found in (carries, shifts))
    own = {s.name: s for s in statements}
    reads = {s.name: set(st.reads(s.tree)) for s in statements}
    used = {n for read in reads.values() for n in read}
    out: list[Statement] = []
    loops: list[Loop] = []
    held = {*taken, *own}
    held |= {st.primal_name(n) for n in held}  # a new name is none whose adjoint there is
    for part in parts(reads, carries):
        if not part.carries:
            shifts += [c for c in carries if c.name in part.names and c.name in used]
            out += [own[n] if n in own else whole(shifts[-1]) for n in part.names if n in own or n in used]
            continue
        before, body = _apart(part, [own[n] for n in part.names], held)
        c = part.carries[0]
        out += [*before, *body]
        loops.append(Loop(c.axis, c.down, part.carries, tuple(s.name for s in body)))
        outside = {n for name, read in reads.items() if name not in part.names for n in read}
        shifts += (late := [c for c in part.carries if c.name in outside])
        out += map(whole, late)
    return Arranged(tuple(out), tuple(loops), tuple(shifts))


def _without_copies(statements: Sequence[Statement], firsts: Collection[str]) -> tuple[Sequence[Statement], dict[str, str]]:
    """The statements without those that only give a value another name: first values, and temporaries that are results."""
    copied = {s.name: of for s in statements if (of := _copied(s))}
    copies = {s.name: copied[s.name] for s in statements if s.name in firsts and not s.kept and s.name in copied}
    results = {copied[s.name]: s for s in statements if s.kept and s.name in copied}
    read = Counter(n for s in statements for n in set(st.reads(s.tree)))
    moved = {s.name: results[s.name] for s in statements if s.name in results and not s.kept and read[s.name] == 1}
    out = []
    for s in statements:
        if s.name in copies or s in moved.values():
            continue
        r = moved.get(s.name)
        s = s if r is None else replace(s, name=r.name, role=r.role)
        out.append(replace(s, tree=renamed_tree(s.tree, copies)))
    return out, copies


def _copied(s: Statement) -> str:
    """The tensor that a statement gives another name; "" for any other statement."""
    return s.tree.name if isinstance(s.tree, st.Read) and s.tree.index == s.index else ""


def straight(program: Program, sizes: Mapping[str, int]) -> list[st.Equation]:
    """The statements of a program without its loops: at these lengths, every step is unrolled."""
    equations = [st.Equation(s.name, s.index, s.tree) for s in program.statements]
    return unrolled(equations, [c for loop in program.loops for c in loop.carries], sizes)


def whole(carry: st.Carry) -> Statement:
    """What is carried, over all steps."""
    return Statement(carry.name, carry.axes, shifted(carry), Role.TEMPORARY)


def _apart(part: Part, body: list[Statement], taken: set[str]) -> tuple[list[Statement], list[Statement]]:
    """The statements of a loop, with those parts computed before the loop that take work and do not depend on a step before."""
    inside = {*part.names, *(c.name for c in part.carries)}
    before: list[Statement] = []
    made: dict[tuple[st.Tree, tuple[str, ...]], st.Read] = {}

    def moved(tree: st.Tree, s: Statement) -> st.Read:
        index = tuple(i for i in _order(s) if i in st.free_indices(tree))
        if (tree, index) not in made:
            made[tree, index] = st.Read(fresh_name(f"{s.name}_in", taken), index)
            before.append(Statement(made[tree, index].name, index, tree, Role.TEMPORARY))
        return made[tree, index]

    def lifted(tree: st.Tree, s: Statement) -> st.Tree:
        if not inside & set(st.reads(tree)):
            return moved(tree, s) if _works(tree) else tree
        if isinstance(tree, st.Add):
            free = tuple(a for a in tree.args if not inside & set(st.reads(a)))
            if len(free) > 1 and any(map(_works, free)):
                rest = [lifted(a, s) for a in tree.args if a not in free]
                return st.Add((moved(st.Add(free), s), *rest))
        return st.rebuild(tree, lambda part: below(part, s))

    def below(tree: st.Tree, s: Statement) -> st.Tree:
        """What stands below an operation; a condition stays where it is, and what it compares is computed before."""
        if isinstance(tree, st.Match) or st.on_indices(tree):
            return tree
        return st.rebuild(tree, lambda side: lifted(side, s)) if isinstance(tree, st.Compare) else lifted(tree, s)

    return before, [replace(s, tree=lifted(s.tree, s)) for s in body]


def _order(s: Statement) -> tuple[str, ...]:
    """The indices of a statement, then the bound ones."""
    bound = [i for n in st.walk(s.tree) if isinstance(n, st.Reduce) for i in n.index]
    return tuple(dict.fromkeys((*s.index, *bound)))


def _works(tree: st.Tree) -> bool:
    """Whether an expression has more than elementwise operations on plain reads."""
    nodes: Iterable[st.Tree] = st.walk(tree)
    return any(isinstance(n, st.Reduce | st.Position | st.Match) or (isinstance(n, st.Read) and _looks_up(n)) for n in nodes)


def _looks_up(read: st.Read) -> bool:
    return any(not isinstance(i, str) for i in read.index) or len(set(read.index)) < len(read.index)
