"""Derivations for readers: as text for terminals, as a fragment of LaTeX, and as a LaTeX document.

The recorded steps are shown in order, grouped by the name whose right side they rewrite. A step that concerns only inlined
names may leave the printed expression unchanged. The rule of such a step is named beside the line before it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from derive.derivation import Derivation, Step
from derive.language.unicode import declared, language, text
from derive.rules import CHAIN_RULE, STABILISE
from derive.show.caller import packed_lines
from derive.show.latex import equation_lines, escape, left_side, width
from derive.show.solved import equations
from derive.show.trees import as_written
from derive.syntax import Op, Read, Tensor, Tree, adjoint_name, reads
from derive.terms.sums import Sum

__all__ = [
    "Beside",
    "Part",
    "Row",
    "Section",
    "adjoint_names",
    "assumptions",
    "fragment",
    "latex_document",
    "latex_parts",
    "made_names",
    "parts_of",
    "row_lines",
    "sections",
    "show_latex",
    "show_text",
    "signature",
    "text_of",
]

TreeOf = Callable[[Sum, tuple[str, ...]], Tree]

#: The widths, in letters, of the text block of :func:`latex_document` and of the column of rules beside equations.
PAGE, RULES = 125.0, 30.0
#: The width of the gap before another form of a row.
GAP = 4.0


@dataclass(frozen=True)
class Beside:
    """Another form of a whole line, such as its matrix form, as text and in LaTeX."""

    text: str
    latex: str


@dataclass
class Row:
    """One printed line: ``name[index] = tree``, and the rules that led to it. Only a ``first`` row shows its left side."""

    name: str
    index: tuple[str, ...]
    tree: Tree
    first: bool
    rules: list[str] = field(default_factory=list)
    beside: Beside | None = None

    def typeset_rules(self, adjoints: frozenset[str]) -> str:
        """The rules for LaTeX's text mode."""
        return escape(", ".join(self.rules))


class Part(Enum):
    """The parts of a derivation as shown, each with its title."""

    FORWARD = "forward"
    CHAIN_RULE = "chain rule"
    DERIVATION = "derivation"
    CLOSED_FORM = "closed form"
    TANGENTS = "tangents"
    BACKWARD = "backward"
    DOUBLE_BACKWARD = "double backward"
    REMARK = "remark"


@dataclass
class Section:
    """One part of a derivation as shown: groups of rows, below a ``remark`` in words if there is one."""

    part: Part
    groups: list[list[Row]]
    remark: str = ""


def show_text(derivation: Derivation, *, tree_of: TreeOf, full: bool = False, width: int = 100) -> str:
    """The derivation as Unicode text. ``tree_of`` turns a body and its index into a tree for printing.

    With ``full``, the chain rule's adjoint of every equation is shown in the place of the steps to the closed form.
    """
    out = text_of(derivation.op, sections(derivation, tree_of=tree_of, full=full), width)
    if derivation.losses:
        out += ["", *_titled("still cancels"), *map(str, derivation.losses)]
    return "\n".join(out) + "\n"


def text_of(op: Op, parts: Iterable[Section], width: int) -> list[str]:
    """The lines of a derivation as shown in these parts, below the op's signature."""
    out = [signature(op), *assumptions(op), *packed_lines(op)]
    for section in parts:
        out += ["", *_titled(section.part.value)]
        out += _filled(section.remark, width)
        for number, group in enumerate(section.groups):
            if number and (len(group) > 1 or len(section.groups[number - 1]) > 1):
                out.append("")
            for row in group:
                out += row_lines(row, width)
    return [line.rstrip() for line in out]


def show_latex(derivation: Derivation, *, tree_of: TreeOf, full: bool = False) -> str:
    """The derivation as a fragment for any LaTeX document that loads amsmath.

    Every step is a numbered equation, and closed forms are boxed. Wide equations are broken to fit the landscape page of
    :func:`latex_document`.
    """
    return fragment(latex_parts(derivation, tree_of=tree_of, full=full))


def latex_parts(derivation: Derivation, *, tree_of: TreeOf, full: bool = False) -> Iterator[tuple[str, list[str]]]:
    """The fragment of :func:`show_latex` in parts: the title of each part, and its lines of LaTeX."""
    return parts_of(sections(derivation, tree_of=tree_of, full=full), adjoint_names(derivation))


def parts_of(shown: Iterable[Section], adjoints: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    """Sections in LaTeX: the title of each, and its lines."""
    for section in shown:
        if section.part is Part.CLOSED_FORM:
            lines = _gather([_boxed(row, adjoints) for group in section.groups for row in group])
        else:
            lines = _align(section.groups, adjoints)
        yield section.part.value.capitalize(), [*([escape(section.remark)] if section.remark else []), *lines]


def fragment(parts: Iterable[tuple[str, list[str]]]) -> str:
    """Parts of LaTeX, each below its title, as one fragment for any document that loads amsmath."""
    out = [r"\begingroup", r"\allowdisplaybreaks"]
    for title, lines in parts:
        out += [rf"\subsection*{{{title}}}", *lines]
    return "\n".join([*out, r"\endgroup"]) + "\n"


def latex_document(derivation: Derivation, tree_of: TreeOf, textbook: str = "") -> str:
    """The derivation as a document, which pdflatex compiles with amsmath, amssymb and geometry.

    A fragment ``textbook`` stands before the engine's steps.
    """
    op = derivation.op
    head = [
        r"\documentclass[10pt]{article}",
        r"\usepackage[a4paper,landscape,margin=15mm]{geometry}",
        r"\usepackage{amsmath,amssymb}",
        r"\setlength{\parindent}{0pt}",
        r"\begin{document}",
        rf"\section*{{\texttt{{{escape(op.name)}}}}}",
        rf"\texttt{{{escape(signature(op))}}}",
    ]
    if conditions := assumptions(op):
        head += [rf"\qquad where \texttt{{{escape(', '.join(conditions))}}}"]
    if packed := packed_lines(op):
        head += ["", rf"\smallskip \texttt{{{escape('; '.join(packed))}}}"]
    if op.source:
        head += ["", rf"\smallskip {escape(op.source)}."]
    steps = show_latex(derivation, tree_of=tree_of)
    if textbook:
        steps = "\n".join([textbook.rstrip("\n"), "", r"\clearpage", r"\section*{Every step of the engine}", steps])
    return "\n".join([*head, "", steps.rstrip("\n"), r"\end{document}"]) + "\n"


def signature(op: Op) -> str:
    """The op's signature in the language: outputs, name, inputs, and constants with their defaults."""
    given = {axis for axis, _ in op.packing.lengths}

    def written(tensor: Tensor) -> str:
        own = {a for slot in op.packing.slots(tensor.name, tensor.axes) if len(slot) > 1 for a in slot} & given
        given.difference_update(own)  # a length is given once
        return declared(op, tensor.name, tensor.axes, lengths=own)

    constants = [c.name if c.default is None else f"{c.name}={c.default}" for c in op.constants]
    inputs = [*map(written, op.inputs)]
    outputs = ", ".join(map(written, op.results))
    return f"{outputs} = {op.name}({', '.join([*inputs, *constants])})"


def adjoint_names(derivation: Derivation) -> frozenset[str]:
    """The names of the adjoints: ``d`` and the name of an input or of an equation."""
    names = [t.name for t in derivation.op.inputs] + [e.name for e in derivation.op.equations]
    names += [n for c in derivation.op.carries for n in (c.name, c.step)]
    return frozenset(adjoint_name(n) for n in [*names, *(d.name for d in (*derivation.written, *derivation.forward))])


def made_names(derivation: Derivation) -> frozenset[str]:
    """The names that the engine made: those of definitions that are no equation of the author's."""
    author = {e.name for e in derivation.op.equations}
    return frozenset(d.name for d in (*derivation.written, *derivation.forward)) - author


def assumptions(op: Op) -> list[str]:
    """The op's assumptions in the language: the axes that integer inputs index, and the comparisons."""
    labels = [f"{declared(op, t.name, t.axes)} in {t.labels}" for t in op.inputs if t.integer]
    return [*labels, *(language(a, stars=op.stars) for a in op.assumptions)]


# ---- what is shown --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def sections(derivation: Derivation, *, tree_of: TreeOf, full: bool = False) -> tuple[Section, ...]:
    """The sections of a derivation as shown: the forward pass, the steps (with ``full`` the chain rule), the closed form.

    A group has the rows of one name. The rule of a step that leaves the printed text unchanged belongs to the row before.
    What is printed and what the certificate checks are the same sections, which nobody changes.
    """
    op = derivation.op
    stable = _step_groups((s for s in derivation.steps if s.rule == STABILISE), derivation, tree_of)
    if full:
        rows = [Row(d.name, d.index, tree_of(d.body, d.index), True, [CHAIN_RULE.title]) for d in derivation.chain]
        middle = Section(Part.CHAIN_RULE, [[row] for row in rows])
    else:
        backward = (s for s in derivation.steps if s.rule != STABILISE)
        middle = Section(Part.DERIVATION, _step_groups(backward, derivation, tree_of))
    # Not line.tree, which is for code: it reads names that are inlined for readers.
    closed = [[Row(line.name, line.index, tree_of(line.body, line.index), True)] for line in derivation.lines]
    shown = [row for group in [*stable, *middle.groups, *closed] for row in group]
    written = [[Row(e.name, e.index, e.rhs, True)] for e in equations(op)]
    parts = [Section(Part.FORWARD, [*written, *_engine_made(derivation, tree_of, shown), *stable]), middle]
    simplified = {d.name: d.body for d in derivation.chain} != {line.name: line.body for line in derivation.lines}
    return (*parts, Section(Part.CLOSED_FORM, closed)) if simplified or not full else tuple(parts)


def _engine_made(derivation: Derivation, tree_of: TreeOf, shown: list[Row]) -> list[list[Row]]:
    """The definitions of the engine-made names of which a shown row mentions the name or its adjoint."""
    known = {e.name for e in derivation.op.equations}
    used = {name for row in shown for name in (row.name, *reads(row.tree))}
    made: list[list[Row]] = []
    # Each definition reads only names before it.
    for d in reversed(derivation.forward):
        if d.name not in known and (d.name in used or adjoint_name(d.name) in used):
            row = Row(d.name, d.index, tree_of(d.body, d.index), True)
            used.update(reads(row.tree))
            made.insert(0, [row])
    return made


def _step_groups(steps: Iterable[Step], derivation: Derivation, tree_of: TreeOf) -> list[list[Row]]:
    chain = {d.name: d.body for d in derivation.chain}
    start = _starts(derivation, tree_of)
    groups: dict[str, list[Row]] = {}
    for step in steps:
        rows = groups.setdefault(step.name, [])
        after = Row(step.name, step.index, tree_of(step.after, step.index), False, [step.title])
        before = start(step)
        # The first step may start from the name itself: no line for ``dx = dx``.
        starts = bool(step.before) and before != Read(step.name, step.index)
        if starts and not _alike(before, after.tree) and not (rows and _alike(rows[-1].tree, before)):
            known = [CHAIN_RULE.title] if chain.get(step.name) == step.before else []
            rows.append(Row(step.name, step.index, before, True, known))
        if rows and _alike(rows[-1].tree, after.tree):
            rows[-1].rules += [r for r in after.rules if r not in rows[-1].rules]
        else:
            after.first = not rows or not starts
            rows.append(after)
    return list(groups.values())


def _alike(one: Tree, other: Tree) -> bool:
    """Whether two trees are printed alike."""
    return one == other or text(one) == text(other)


def _starts(derivation: Derivation, tree_of: TreeOf) -> Callable[[Step], Tree]:
    """A function from a step to the tree that it starts from. A shift starts from the author's equation or a part of that."""
    author = {e.name: e.rhs for e in equations(derivation.op)}
    written = as_written(derivation)

    def start(step: Step) -> Tree:
        if step.rule != STABILISE:
            return tree_of(step.before, step.index)
        return author.get(step.name) or written(step.before, step.index)

    return start


# ---- terminal -------------------------------------------------------------------------------------------------------------


def _titled(title: str) -> list[str]:
    return [title, "-" * len(title)]


def _filled(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, width)


def row_lines(row: Row, width: int) -> list[str]:
    """The lines of a row. Its rules stand at the right, and another form of it before them."""
    left = text(Read(row.name, row.index))
    # The "=" of all lines of a name stand below each other.
    lines = _wrapped(f"{left if row.first else ' ' * len(left)} = {text(row.tree)}", len(left) + 3, width)
    rules = [f"({', '.join(row.rules)})"] if row.rules else []
    other = [row.beside.text] if row.beside else []
    for note in ["   ".join([*other, *rules])] if len("".join([lines[-1], *other, *rules])) + 7 <= width else [*rules, *other]:
        if note and len(lines[-1]) + 2 + len(note) <= width:
            lines[-1] = lines[-1].ljust(width - len(note)) + note
        elif note:
            lines.append(note.rjust(width))
    return lines


def _wrapped(line: str, indent: int, width: int) -> list[str]:
    """The line, broken before a ``+`` or ``-`` between blanks or behind a comma before a blank: the least nested that fits.

    Of equally nested ones it is the last, so that no comparison is broken whose choices fit on the next line.
    """
    lines = []
    while len(line) > width:
        depth, best, at = 0, 0, None
        for i, c in enumerate(line):
            if at is not None and i >= width:
                break
            depth += (c in "([") - (c in ")]")
            # A continued line begins with its sign: a break before that sign again would never end.
            breaks = line[i : i + 3] in (" + ", " - ") or line[i - 1 : i + 1] == ", "
            if i > indent + 2 and breaks and (at is None or depth <= best):
                best, at = depth, i
        if at is None:
            break
        lines.append(line[:at])
        line = " " * (indent + 2) + line[at + 1 :]
    return [*lines, line]


# ---- LaTeX ----------------------------------------------------------------------------------------------------------------


def _align(groups: list[list[Row]], adjoints: frozenset[str]) -> list[str]:
    """The rows in one align environment. Rows with a rule are numbered."""
    lines = []
    for number, group in enumerate(groups):
        for place, row in enumerate(group):
            left = left_side(row.name, row.index, adjoints=adjoints)
            room = PAGE - RULES - width(left)
            parts = _with_beside(equation_lines(row.tree, room, adjoints=adjoints), row, room)
            right = parts[0] if len(parts) == 1 else _aligned(parts)
            rule = rf" && \text{{{row.typeset_rules(adjoints)}}}" if row.rules else r" && \notag"
            last = place == len(group) - 1
            end = "" if last and number == len(groups) - 1 else r" \\[1.5ex]" if last and len(group) > 1 else r" \\"
            lines.append(f"  {left + ' ' if row.first else ''}&= {right}{rule}{end}")
    return [r"\begin{align}", *lines, r"\end{align}"] if lines else ["None."]


def _with_beside(parts: list[str], row: Row, room: float) -> list[str]:
    """The lines of a right side, with another form of the row behind the last of them, or below where there is no room."""
    if row.beside is None:
        return parts
    if width(parts[-1]) + width(row.beside.latex) + GAP <= room:
        return [*parts[:-1], rf"{parts[-1]} \qquad {row.beside.latex}"]
    return [*parts, row.beside.latex]


def _aligned(parts: list[str]) -> str:
    rest = [rf"&\quad {{}}{p}" for p in parts[1:]]
    return r"\begin{aligned}[t] & " + r" \\ ".join([parts[0], *rest]) + r" \end{aligned}"


def _boxed(row: Row, adjoints: frozenset[str]) -> str:
    left = left_side(row.name, row.index, adjoints=adjoints)
    parts = equation_lines(row.tree, PAGE - width(left), adjoints=adjoints)
    right = parts[0] if len(parts) == 1 else _aligned(parts)
    return rf"\boxed{{{left} = {right}}}" + (rf" \qquad {row.beside.latex}" if row.beside else "")


def _gather(lines: list[str]) -> list[str]:
    body = [f"  {line}" + (r" \\" if i < len(lines) - 1 else "") for i, line in enumerate(lines)]
    return [r"\begin{gather*}", *body, r"\end{gather*}"] if lines else []
