"""The textbook track: for every name of the author's the chain rule and its closed form, with the reasons beside them.

What the kernels do otherwise, so that nothing overflows, is told once, in a remark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby

from derive import syntax as st
from derive.derivation import Derivation, Step
from derive.engine import derive
from derive.language.unicode import text
from derive.matrices import MatrixForm, matrix_latex, matrix_of, matrix_text, views
from derive.rules import SPLIT_LOG, STABILISE
from derive.show.latex import escape, latex
from derive.show.show import Beside, Part, Row, Section, fragment, parts_of, text_of
from derive.show.solved import in_op, left_of
from derive.show.trees import TreeOf, tree_of
from derive.simplify.rewrite import replace_reads
from derive.syntax import Op, Tree, adjoint_name, reads
from derive.terms.definitions import Definition
from derive.terms.sums import Extremum, Sum
from derive.textbook.lines import chosen
from derive.textbook.paper import Paper, textbook
from derive.textbook.readable import on_paper
from derive.textbook.reasons import Reader, Reason

__all__ = [
    "InMatrices",
    "Statement",
    "TextbookRow",
    "paper_trees",
    "remarks",
    "sections_latex",
    "show_textbook",
    "textbook_latex",
    "textbook_parts",
    "textbook_sections",
]

#: What the remark says before the lines in which a kernel computes otherwise.
SHIFTED = "The kernels subtract the largest exponent, so that none overflows. The values are the same."
OTHERWISE = "The kernels compute the same values in forms that round better or take less work."
#: What maxima are called there.
MAXIMA = ("m", "M", "k", "K", "h", "H")
#: A matrix form for which more tensors than this are reshaped says less than the index form.
RESHAPED = 3
#: A line of more letters than this is not in the remark.
LONG = 100


@dataclass(frozen=True)
class Statement:
    """A fact that a reason states: ``left = right`` over the indices ``index``."""

    left: Tree
    right: Tree
    index: tuple[str, ...]

    def __str__(self) -> str:
        return f"{text(self.left)} = {text(self.right)}"


@dataclass(frozen=True)
class InMatrices(Beside):
    """The matrix form of a line, as it is printed beside the line."""

    form: MatrixForm


@dataclass
class TextbookRow(Row):
    """A line of the textbook track, with the facts among its reasons."""

    facts: list[Statement] = field(default_factory=list)

    def typeset_rules(self, adjoints: frozenset[str]) -> str:
        facts = {str(f): f"${latex(f.left, adjoints=adjoints)} = {latex(f.right, adjoints=adjoints)}$" for f in self.facts}
        return ", ".join(facts.get(rule) or escape(rule) for rule in self.rules)


def show_textbook(op: Op, *, width: int = 100) -> str:
    """The textbook track as Unicode text."""
    paper = textbook(op)
    return "\n".join(text_of(paper.derivation.op, [*textbook_sections(paper), *remarks(paper)], width)) + "\n"


def textbook_latex(op: Op) -> str:
    """The textbook track as a fragment for any LaTeX document that loads amsmath."""
    paper = textbook(op)
    return sections_latex(paper, [*textbook_sections(paper), *remarks(paper)])


def sections_latex(paper: Paper, sections: Iterable[Section]) -> str:
    """Sections of a textbook track as such a fragment."""
    return fragment(parts_of(sections, paper.adjoints))


def textbook_parts(op: Op) -> Iterator[tuple[str, list[str]]]:
    """The fragment of :func:`textbook_latex` in parts: the title of each part, and its lines of LaTeX."""
    paper = textbook(op)
    return parts_of([*textbook_sections(paper), *remarks(paper)], paper.adjoints)


def paper_trees(paper: Paper) -> TreeOf:
    """The function from an expression to its tree for readers: every name is the author's, or one of the paper's own."""
    plain = tree_of(paper.derivation.op, paper.derivation.forward, paper.kept, written_out=True)
    return cache(lambda body, index: on_paper(plain(body, index), index))


def textbook_sections(paper: Paper) -> list[Section]:
    """The sections of the textbook track: the forward pass, the gradients with their reasons, the closed forms.

    The closed forms are left out where the section before has no other lines than theirs.
    """
    derivation = paper.derivation
    trees = paper_trees(paper)
    reader = _reader(paper, trees)
    groups: dict[str, list[Step]] = {}
    for step in derivation.steps:
        if step.rule != SPLIT_LOG:
            groups.setdefault(step.name, []).append(step)
    middle: list[list[Row]] = []
    for name, steps in groups.items():
        rows: list[Row] = []
        for line, reasons in chosen(steps, trees, reader):
            rules, facts = said(reasons, trees)
            rows.append(TextbookRow(name, steps[0].index, line.tree, not rows, rules, facts=facts))
        middle.append(rows)
    closed: list[list[Row]] = [[Row(line.name, line.index, trees(line.body, line.index), True)] for line in derivation.lines]
    for group in [*middle, *closed]:
        _add_matrix(group[-1], paper)
    parts = [Section(Part.FORWARD, _forward(paper, trees)), Section(Part.DERIVATION, middle)]
    short = {row.name for group in middle for row in group} == {row.name for group in closed for row in group}
    return parts if short else [*parts, Section(Part.CLOSED_FORM, closed)]


def _reader(paper: Paper, trees: TreeOf) -> Reader:
    """What a reader sees: the names of inputs, equations, constants and adjoints, and the paper's own."""
    derivation = paper.derivation
    op = derivation.op
    known = {t.name for t in op.inputs} | {e.name for e in op.equations} | {c.name for c in op.constants}
    known |= paper.kept | {d.name for d in derivation.chain}

    def names(body: Sum, index: tuple[str, ...]) -> frozenset[str]:
        return frozenset(reads(trees(body, index)))

    def unfolded(body: Sum) -> Sum:
        for d in reversed([*derivation.forward, *derivation.chain]):
            if d.function is None:
                body = replace_reads(body, d.name, d.index, d.body)
        return body

    return Reader(lambda name: name not in known, names, unfolded)


def _forward(paper: Paper, trees: TreeOf) -> list[list[Row]]:
    """The author's equations, with the logarithms that were split, and the names of the paper's own before their readers."""
    derivation = paper.derivation
    split = {s.name: s for s in derivation.steps if s.rule == SPLIT_LOG}
    groups = []
    for d in derivation.forward:
        if d.tree is not None:
            rows = [Row(*left_of(derivation.op, d.name, d.index), in_op(derivation.op, d.tree), True)]
            tree = trees(split[d.name].after if d.name in split else d.body, d.index)
            named = [n for n in dict.fromkeys(reads(tree)) if n in paper.kept]
            if d.name in split or named:
                rules = [split[d.name].title] if d.name in split else []
                rows.append(Row(d.name, d.index, tree, False, rules + ([f"with {', '.join(named)}"] if named else [])))
            _add_matrix(rows[0], paper)
            groups.append(rows)
        elif d.name in paper.kept:
            groups.append([Row(d.name, d.index, trees(d.body, d.index), True)])
            _add_matrix(groups[-1][0], paper)
    return groups


def _add_matrix(row: Row, paper: Paper) -> None:
    """Put the matrix form beside a line, where it has one."""
    form = matrix_of(row.index, row.tree)
    if form is not None:
        reshaped = views(row.name, form, paper.derivation.op.packing)
        if len(reshaped) > RESHAPED:
            return
        typeset = matrix_latex(row.name, form, reshaped, adjoints=paper.adjoints)
        row.beside = InMatrices(matrix_text(row.name, form, reshaped), typeset, form)


def said(reasons: list[Reason], trees: TreeOf) -> tuple[list[str], list[Statement]]:
    """The reasons as readers see them, such as ``fold xhat, rstd``, and the facts among them."""
    out: list[str] = []
    facts: list[Statement] = []
    for rule, group in groupby(reasons, key=lambda r: r.rule):
        if rule is None:
            found = [f for r in group if (f := r.fact) is not None]
            facts += [Statement(trees(f.left, f.index), trees(f.right, f.index), f.index) for f in found]
            out += map(str, facts[-len(found) :])
        else:
            out.append(rule.said((", ".join(name for r in group for name in r.using),)).strip())
    return out, facts


# ---- the remark -----------------------------------------------------------------------------------------------------------


def remarks(paper: Paper, kernels: Derivation | None = None) -> list[Section]:
    """What the kernels compute otherwise than on paper, in at most one section.

    ``kernels`` is the derivation of the kernels. Where it is not given, or has longer names than the paper, it is derived here.
    """
    op = paper.derivation.op
    derivation = kernels if kernels is not None and kernels.op == op else derive(op)
    largest = {d.name: d for d in derivation.forward if not d.author and _extremum(d)}
    plain = tree_of(derivation.op, derivation.forward, largest, written_out=True)
    called = _letters(paper, largest)

    def trees(body: Sum, index: tuple[str, ...]) -> Tree:
        return on_paper(_renamed(plain(body, index), called), index)

    rows = [*_computed(paper, derivation, trees), *_closed(paper, derivation, trees)]
    short = [row for row in rows if len(text(row.tree)) <= LONG]
    used = {name for row in short for name in reads(row.tree)}
    maxima = [Row(called[n], d.index, trees(d.body, d.index), True) for n, d in largest.items() if called[n] in used]
    words = SHIFTED if any(s.rule == STABILISE for s in derivation.steps) else OTHERWISE
    if rest := ", ".join(row.name for row in rows if row not in short):
        words += f" Too long to show here, and among the engine's steps: {rest}."
    return [Section(Part.REMARK, [[row] for row in [*maxima, *short]], words)] if rows else []


def _extremum(d: Definition) -> bool:
    """Whether a name stands for a maximum or a minimum."""
    return isinstance(d.body.atom, Extremum) and d.body.atom.head in ("max", "min")


def _letters(paper: Paper, names: Iterable[str]) -> dict[str, str]:
    """A letter that the paper has not used for each of these names."""
    op = paper.derivation.op
    used = {t.name for t in op.inputs} | {e.name for e in op.equations} | {c.name for c in op.constants} | paper.kept
    used |= {a for t in op.inputs for a in t.axes} | {a for e in op.equations for a in e.index}
    free = (x for x in MAXIMA if x not in used)
    return {name: next(free, name) for name in names}


def _renamed(tree: Tree, to: Mapping[str, str]) -> Tree:
    """The tree in other names. ``finite(m)``, which is ``m`` unless that is infinite, is written as ``m``."""
    if isinstance(tree, st.Read):
        return st.Read(to.get(tree.name, tree.name), tree.index)
    if isinstance(tree, st.AffineRead):
        return st.AffineRead(to.get(tree.name, tree.name), tree.slots)
    if isinstance(tree, st.Call) and tree.head == "finite":
        return _renamed(tree.args[0], to)
    return st.rebuild(tree, lambda child: _renamed(child, to))


def _computed(paper: Paper, derivation: Derivation, trees: TreeOf) -> Iterator[Row]:
    """The author's names that are computed in another form than they are written in."""
    written = paper_trees(replace(paper, kept=frozenset()))
    before = {d.name: written(d.body, d.index) for d in paper.derivation.forward}
    for d in derivation.forward:
        if d.author and text(after := trees(d.body, d.index)) != text(before[d.name]):
            yield Row(d.name, d.index, after, True)


def _closed(paper: Paper, derivation: Derivation, trees: TreeOf) -> Iterator[Row]:
    """The gradients, and what they are computed from, that end in another form than on paper.

    A line in terms of engine-made adjoints is no other form: it only has other names.
    """
    written = paper_trees(paper)
    before = {line.name: text(written(line.body, line.index)) for line in paper.derivation.lines}
    made = {adjoint_name(d.name) for d in derivation.forward if not d.author}
    for line in derivation.lines:
        after = trees(line.body, line.index)
        if before.get(line.name) not in (None, text(after)) and not made & set(reads(after)):
            yield Row(line.name, line.index, after, True)
