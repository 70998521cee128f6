"""The author's names as names of emitted Python.

Formulas and documents keep the author's names. In code, a name that its file uses for something else gets an underscore:

- it names a module that the function refers to (``np``), another function of the file (``OP_forward``), or a builtin;
- it is a keyword of Python, or its adjoint is one (the adjoint of ``el`` is ``del``).

The emitted function's own local variables (``size``, ``dtype``) give way to the author's names instead (:mod:`codegen.locals`).

An op's name is also the name of files and functions that are imported. A name that would hide what they need is refused.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import cache

from codegen.backends.discovery import discovered
from codegen.locals import axes_of, names_in
from codegen.program import Argument, Kernel, Loop, Program, Statement
from derive import syntax as st
from derive.errors import OpError
from derive.functions.words import is_function
from derive.renaming import Spelling, renamed, renamed_carry, renamed_index, renamed_row, renamed_tensor, renamed_tree

__all__ = ["NOTEBOOK", "named", "named_op", "renamed_argument", "renamed_statement", "spelling", "taken"]

#: The suffixes by which the functions of an op's files are named after the op.
FUNCTIONS = ("forward", "backward", "jvp", "forward_backward", "step", "values")
#: What the cells of a notebook name beside the names of the op, which are variables of the notebook.
NOTEBOOK = frozenset("autograd constants gradients inputs leaves manual tensors values".split()) | frozenset(dir(builtins))
#: The builtins that a file may refer to, which a function of the op's own name must not hide.
GLOBALS = frozenset(n for n in dir(builtins) if not is_function(n))


@cache
def taken() -> frozenset[str]:
    """The names that no parameter may have, in any backend: keywords, and what the emitted functions refer to."""
    return frozenset(keyword.kwlist).union(*(b.reserved for b in discovered().values()))


@cache
def modules() -> frozenset[str]:
    """The modules that the kernels import, in any backend: an op's file of such a name would hide the module."""
    return frozenset().union(*(b.modules for b in discovered().values()))


def named(kernel: Kernel) -> Kernel:
    """The kernel in the names of its code (OpError for an op whose own name cannot be one)."""
    to = spelling(kernel.op, names_in(kernel))
    if not to:
        return kernel
    programs = [_program(p, to) for p in kernel.programs]
    saved = tuple(renamed_tensor(t, to) for t in kernel.saved)
    losses = tuple(replace(loss, name=to.get(loss.name, loss.name)) for loss in kernel.losses)
    forward, backward, *rest = programs
    return Kernel(renamed(kernel.op, to), forward, backward, saved, losses, *rest)


def named_op(op: st.Op, also: Collection[str] = ()) -> st.Op:
    """The op in the names of its code, which are none of ``also``; the op's text keeps the author's names."""
    return renamed(op, spelling(op, (), also))


def spelling(op: st.Op, made: Iterable[str] = (), also: Collection[str] = ()) -> dict[str, str]:
    """The names of an op that its code spells otherwise, each with its new name; the adjoint's name changes with it.

    ``made`` are further names of the op's kernels; ``also`` are names that are taken. Raises OpError where the op's own name
    would hide what its files need.
    """
    # On a file system that ignores case, Math.py is math.py.
    if op.name.lower() in modules() or op.name in GLOBALS:
        raise OpError(f"an op cannot be called '{op.name}', for its files need what that name stands for", op=op.name)
    held = taken() | {f"{op.name}_{f}" for f in FUNCTIONS} | set(also)
    tensors = dict.fromkeys([*(t.name for t in op.inputs), *(e.name for e in op.equations), *made])
    tensors = {n: None for n in tensors if st.primal_name(n) not in tensors}
    constants = [c.name for c in op.constants]
    axes = sorted(axes_of(op))
    known = {*tensors, *(st.adjoint_name(n) for n in tensors), *constants, *axes}
    to: dict[str, str] = {}
    for name in (*tensors, *constants, *axes):
        adjoint = name in tensors
        new = name
        while (held | (known if new != name else set())).intersection(_names(new, adjoint)):
            new += "_"
        if new != name:
            known.update(_names(new, adjoint))
            to |= dict(zip(_names(name, adjoint), _names(new, adjoint), strict=True))
    return to


def _names(name: str, adjoint: bool) -> tuple[str, ...]:
    """The name, and that of its adjoint where it has one."""
    return (name, st.adjoint_name(name)) if adjoint else (name,)


# ---- the same with other names -----------------------------------------------------------------------------------------------


def _program(program: Program, to: Spelling) -> Program:
    return replace(
        program,
        arguments=tuple(renamed_argument(a, to) for a in program.arguments),
        constants=tuple(replace(c, name=to.get(c.name, c.name)) for c in program.constants),
        statements=tuple(renamed_statement(s, to) for s in program.statements),
        results=tuple(to.get(r, r) for r in program.results),
        star=to.get(program.star, program.star),
        ranked=tuple(to.get(a, a) for a in program.ranked),
        equal=tuple((to.get(a, a), to.get(b, b)) for a, b in program.equal),
        loops=tuple(_loop(loop, to) for loop in program.loops),
        shifts=tuple(renamed_carry(c, to) for c in program.shifts),
    )


def _loop(loop: Loop, to: Spelling) -> Loop:
    carries = tuple(renamed_carry(c, to) for c in loop.carries)
    return Loop(to.get(loop.axis, loop.axis), loop.down, carries, tuple(to.get(n, n) for n in loop.names))


def renamed_argument(a: Argument, to: Spelling) -> Argument:
    return replace(
        a,
        name=to.get(a.name, a.name),
        axes=renamed_index(a.axes, to),
        labels=a.labels if a.indexed is None else to.get(a.indexed, a.indexed),
        guards=tuple(tuple(renamed_row(row, to) for row in rows) for rows in a.guards),
        support=tuple(renamed_row(row, to) for row in a.support),
    )


def renamed_statement(s: Statement, to: Spelling) -> Statement:
    return replace(
        s,
        name=to.get(s.name, s.name),
        index=renamed_index(s.index, to),
        tree=renamed_tree(s.tree, to),
        over=to.get(s.over, s.over),
    )
