"""One program as a C function: its comment, its checks, the case of an axis of length 1, and its body."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from codegen.backends.native.body import Body, body
from codegen.backends.native.machine import overwritable
from codegen.backends.native.positions import guard
from codegen.backends.native.programs import title
from codegen.backends.native.signature import Signature, declared, packed, scattered, signature
from codegen.backends.native.stepwise import driver
from codegen.loops.star import without_star
from codegen.program import Argument, Program
from codegen.recognise.window import slid_constants
from codegen.source import Code, code
from derive import syntax as st
from derive.language.unicode import language
from derive.show.solved import in_op

WIDTH = 110


@dataclass(frozen=True)
class CVariant:
    """A static function for a special case of the lengths, with loop nests of its own."""

    name: str
    comment: str
    parameters: Code
    body: tuple[Code, ...]


@dataclass(frozen=True)
class CFunction:
    """One C function: its comment, name, parameters and lines.

    ``declared`` are the parameters in either precision, for the header. ``packed`` are the arguments of a call that takes them
    from arrays. ``contiguous`` is a condition that is true if an argument that must be contiguous is not. ``helpers``,
    ``functions`` and ``doubles`` are the definitions that the function needs in its file. ``inner`` are the functions that it
    calls, which only it sees.
    """

    name: str
    comment: tuple[str, ...]
    parameters: Code
    declared: tuple[Code, Code]
    contiguous: Code
    variants: tuple[CVariant, ...]
    body: tuple[Code, ...]
    packed: Code
    helpers: frozenset[str]
    functions: frozenset[str]
    doubles: frozenset[str]
    inner: tuple[CFunction, ...] = ()


def function(op: st.Op, program: Program) -> CFunction:
    """The function of one of an op's programs."""
    s = signature(op, program)
    return _stepwise(s) if program.loops else _plain(s)


def _plain(s: Signature) -> CFunction:
    """The function of a program without loops over steps."""
    program = s.program
    whole, bodies = body(s, program, s.parameters), []
    variants: tuple[CVariant, ...] = ()
    choice: list[str] = []
    if _has_inner_star(program):
        rows = body(s, without_star(program, program.star), s.without_star())
        variants, choice, bodies = (_variant(s, rows),), _choice(s), [rows]
    bodies.append(whole)
    checks = _checks(s)
    return CFunction(
        name=program.name,
        comment=tuple(_comment(s)),
        parameters=Code(declared(s.parameters, "real")),
        declared=(Code(declared(s.parameters, "float")), Code(declared(s.parameters, "double"))),
        contiguous=Code(scattered(s)),
        variants=variants,
        body=code([*_fixed(s), *checks, *choice, *whole.lines]),
        packed=Code(packed(s)),
        helpers=frozenset(h for b in bodies for h in b.needs.helpers) | ({"labels_in_range"} if checks else frozenset()),
        functions=frozenset(f for b in bodies for f in b.needs.functions),
        doubles=frozenset(d for b in bodies for d in b.needs.doubles),
    )


def _stepwise(s: Signature) -> CFunction:
    """The function of a program with loops over steps, which calls those of its parts."""
    found, checks = driver(s), _checks(s)
    inner = tuple(map(_plain, found.parts))
    return CFunction(
        name=s.program.name,
        comment=tuple(_comment(s)),
        parameters=Code(declared(s.parameters, "real")),
        declared=(Code(declared(s.parameters, "float")), Code(declared(s.parameters, "double"))),
        contiguous=Code(scattered(s)),
        variants=(),
        body=code([*checks, *found.lines]),
        packed=Code(packed(s)),
        helpers=found.helpers.union(*(f.helpers for f in inner), ["labels_in_range"] if checks else []),
        functions=frozenset().union(*(f.functions for f in inner)),
        doubles=frozenset().union(*(f.doubles for f in inner)),
        inner=inner,
    )


# ---- an axis of length 1 ---------------------------------------------------------------------------------------------


def _has_inner_star(program: Program) -> bool:
    return bool(program.star) and any(len(a.axes) > 1 and a.axes[-1] == program.star for a in program.arguments)


def _variant(s: Signature, rows: Body) -> CVariant:
    comment = f"The same for a length of 1 of axis {s.star}."
    return CVariant(s.rows, comment, Code(declared(s.without_star(), "real")), code(rows.lines))


def _choice(s: Signature) -> list[str]:
    """The lines that call the variant if the star's axis has length 1 and the arguments' rows follow without gaps."""
    tests = [f"{s.names.length(s.star)} == 1"]
    for a in s.program.arguments:
        if a.name in s.strided and a.axes[-1] == s.program.star:
            strides = s.names.strides(a.name)
            tests.append(f"(!{strides} || {strides}[{len(a.axes) - 2}] == 1)")
    call = ", ".join(p.name for p in s.without_star())
    return [f"if ({' && '.join(tests)}) {{", f"return {s.rows}({call});", "}"]


# ---- checks ----------------------------------------------------------------------------------------------------------


def _fixed(s: Signature) -> list[str]:
    """The lines that make lengths constants of the compilation: for training steps, whose lengths rarely change."""
    if not any(statement.over for statement in s.program.statements):
        return []
    lines = []
    for a in s.axes:
        size = s.names.length(a)
        lines += [f"#ifdef FIXED_{a}", f"if ({size} != FIXED_{a}) return NOT_FIXED;", f"{size} = FIXED_{a};", "#endif"]
    return lines


def _checks(s: Signature) -> list[str]:
    """The lines that refuse labels out of range, before anything is written."""
    lines = []
    for a in s.program.arguments:
        if a.labels and a.indexed and s.root.get(a.indexed, a.indexed) in s.axes:
            if a.guards:
                lines += _guarded(s, a) if s.program.looks_up(a.name) else []
                continue
            count = " * ".join(s.names.length(s.root.get(x, x)) for x in a.axes) or "1"
            length, labels = s.names.length(s.root.get(a.labels, a.labels)), s.names.tensor(a.name)
            lines += [f"if (!labels_in_range({labels}, {count}, {length})) {{", "return LABEL_OUT_OF_RANGE;", "}"]
    return [*lines, *_whole(s)]


def _whole(s: Signature) -> list[str]:
    """The lines that refuse constants by which no window can move."""
    trees, ranked = [statement.tree for statement in s.program.statements], s.program.ranked
    steps, slid = slid_constants(trees, ranked, steps=True), slid_constants(trees, ranked)
    names = [(c.name, s.names.tensor(c.name)) for c in s.program.constants if c.name in slid]
    tests = [f"{c} != floor({c})" + (f" || {c} < 1" if name in steps else "") for name, c in names]
    return [f"if ({' || '.join(tests)}) return NOT_WHOLE;"] if tests else []


def _guarded(s: Signature, a: Argument) -> list[str]:
    """The loop that refuses labels out of range where they are looked up. Integer tensors are contiguous."""
    names = s.names
    count = " * ".join(names.length(s.root.get(x, x)) for x in a.axes) or "1"
    length = names.length(s.root.get(a.labels or "", a.labels or ""))

    def other(tree: st.Tree) -> str:
        assert isinstance(tree, st.Size | st.Read)
        return names.length(s.root.get(tree.axis, tree.axis)) if isinstance(tree, st.Size) else names.tensor(tree.name)

    k = names.of("k", "label")
    holds = guard(a, lambda name: f"{names.tensor(name)}[{k}]", other)
    outside = f"(uint64_t){names.tensor(a.name)}[{k}] >= (uint64_t){length}"
    where = f"({holds})" if len(a.guards) > 1 else holds
    head = f"for (int64_t {k} = 0; {k} < {count}; ++{k}) {{"
    return [head, f"if ({where} && {outside}) {{", "return LABEL_OUT_OF_RANGE;", "}", "}"]


# ---- the comment -----------------------------------------------------------------------------------------------------


def _comment(s: Signature) -> Iterator[str]:
    yield from (f"{title(s.op, s.program)}.", "")
    for statement in s.program.statements:
        left = f"{statement.name}[{', '.join(statement.index)}]" if statement.index else statement.name
        yield from textwrap.wrap(f"    {left} = {language(in_op(s.op, statement.tree))}", WIDTH, subsequent_indent=" " * 8)
    index = {statement.name: statement.index for statement in reversed(s.program.statements)}
    results = ", ".join(f"{r}[{', '.join(index[r])}]" if index[r] else r for r in s.results)
    yield ""
    yield from _wrapped(f"Takes {', '.join(map(_shape, s.program.arguments))}.")
    yield from _wrapped(f"Writes {results}.")
    over = [f"{r} over {a}" for r, a in overwritable(s.program)]
    if over:
        yield from _wrapped(f"May write {' or '.join(over)}.")


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(sentence, WIDTH, subsequent_indent="    ")


def _shape(a: Argument) -> str:
    return f"{a.name}[{', '.join(a.axes)}]" if a.axes else f"the scalar {a.name}"
