"""The textbook track, checked as the engine's steps are: every line, every fact, every gradient, at random points.

* ``textbook``: the printed lines of a name are equal, and read only printed names; the facts among their reasons hold.
* ``matrix``: the matrix form beside a line has the line's value, at the point, and for random values modulo a prime.
* ``textbook end``: the adjoints by which the lines are judged are those of the chain rule over all equations, and each gradient
  equals the brute-force derivative. The kernels' closed forms equal that too, so that both tracks end in the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from derive import syntax as st
from derive.certify.certificate import Check, merged
from derive.certify.flat import Values
from derive.certify.matrices import matrix_values, residues
from derive.certify.shown import shown, tolerances
from derive.certify.stage import NoPoint, Stage, reason_of, stage_of
from derive.certify.trees import Trees
from derive.deep import deeply
from derive.derivation import Derivation
from derive.engine import derive_full
from derive.rules import SPLIT_LOG
from derive.show.show import Row, Section
from derive.terms.sums import sum_reads
from derive.textbook.pages import InMatrices, Statement, TextbookRow, textbook_sections
from derive.textbook.paper import Paper, textbook

__all__ = ["checked_sections", "matrix_checks", "textbook_checks"]


@deeply
def textbook_checks(op: st.Op, seeds: tuple[int, ...] = (0, 1)) -> tuple[Check, ...]:
    """The checks of the textbook track of an op, at the points of a certificate; none where there is no such point."""
    paper = textbook(op)
    return checked_sections(paper, textbook_sections(paper), seeds)


def checked_sections(
    paper: Paper, sections: list[Section], seeds: tuple[int, ...] = (0, 1), full: Derivation | None = None
) -> tuple[Check, ...]:
    """The checks of these sections of a textbook track.

    ``full`` is a derivation by :func:`derive.engine.derive_full`, which is used if it is of the paper's op.
    """
    if paper.derivation.step:
        paper = replace(paper, derivation=paper.derivation.step)
        sections, full = textbook_sections(paper), full and full.step
    checks: list[Check] = []
    full = full if full and full.op == paper.derivation.op else derive_full(paper.derivation.op)
    for seed in seeds:
        try:
            stage = stage_of(paper.derivation.op, seed)
        except NoPoint:
            continue
        checks = merged(checks, list(_checks(paper, sections, full, stage, seed)))
    return tuple(checks)


def _checks(paper: Paper, sections: list[Section], full: Derivation, stage: Stage, seed: int) -> Iterator[Check]:
    derivation = paper.derivation
    values = stage.values([*derivation.forward, *derivation.chain])
    rows: dict[str, list[Row]] = {}
    for row in (row for section in sections for group in section.groups for row in group):
        rows.setdefault(row.name, []).append(row)
    at = f"seed {seed}"
    for name, wrong in shown(derivation, rows, stage, values):
        facts = [f for row in rows[name] if isinstance(row, TextbookRow) for f in row.facts]
        reason = reason_of(wrong, at) or next(
            filter(None, (reason_of(partial(_unproved, f, stage, values), at) for f in facts)), ""
        )
        yield Check("textbook", name, not reason, reason)
    for name, right in _ends(paper, full, stage).items():
        reason = reason_of(partial(stage.difference, right, values.table(name), values.axes[name]), at)
        yield Check("textbook end", name, not reason, reason)
    yield from matrix_checks(sections, stage, values, seed)


def matrix_checks(sections: list[Section], stage: Stage, values: Values, seed: int) -> Iterator[Check]:
    """The checks of matrix forms, at the point of a stage and for random values modulo a prime."""
    found: dict[str, list[Row]] = {}
    for row in (row for section in sections for group in section.groups for row in group):
        if isinstance(row.beside, InMatrices):
            found.setdefault(row.name, []).append(row)
    known = _known({n for rows in found.values() for row in rows for n in st.reads(row.tree)}, stage, values)
    exact = residues(stage.op, values.axes, seed)
    points = (
        (stage, stage.trees({**stage.given, **known}, values.axes), f"seed {seed}"),
        (exact, exact.trees(axes=values.axes), f"modulo a prime, seed {seed}"),
    )
    for name, rows in found.items():
        reasons = (reason_of(partial(_unlike, rows, trees, where), at) for where, trees, at in points)
        reason = next(filter(None, reasons), "")
        yield Check("matrix", name, not reason, reason)


def _unlike(rows: list[Row], trees: Trees, stage: Stage) -> str:
    """Which matrix form has other values than the line that it stands beside; "" if none has."""
    for row in rows:
        assert isinstance(row.beside, InMatrices)
        line, form = trees.table(row.tree, row.index), matrix_values(row.beside.form, row.index, trees)
        if found := stage.difference(line, form, row.index, partial(tolerances, trees, row.tree, len(line))):
            return f"{row.beside.text}: {found}"
    return ""


def _known(names: Iterable[str], stage: Stage, values: Values) -> dict[str, list[Any]]:
    """The values of the names that are not given."""
    return {n: values.table(n) for n in names if n not in stage.given}


def _unproved(fact: Statement, stage: Stage, values: Values) -> str:
    """What is wrong with a fact; "" if it holds."""
    known = _known({*st.reads(fact.left), *st.reads(fact.right)}, stage, values)
    trees = stage.trees({**stage.given, **known}, {n: values.axes[n] for n in known})
    left, right = (trees.table(side, fact.index) for side in (fact.left, fact.right))
    found = stage.difference(left, right, fact.index, lambda: [max((*map(abs, left), *map(abs, right), 1))] * len(left))
    return f"{fact}: {found}" if found else ""


def _ends(paper: Paper, full: Derivation, stage: Stage) -> dict[str, list[object]]:
    """The right values of adjoints: brute force for the gradients, the chain rule over all equations for others.

    Where a logarithm was split, a name inside it sends less to the loss than in the equations, and a name of the author's for
    a logarithm that the split reads sends more: those have no entry.
    """
    derivation = paper.derivation
    whole = stage.values([*full.forward, *full.lines])
    inside = {name for step in derivation.steps if step.rule == SPLIT_LOG for name in step.using}
    known = {d.name for d in full.chain} - {st.adjoint_name(name) for name in inside | _read_by_splits(derivation)}
    authors = {st.adjoint_name(e.name) for e in derivation.op.equations} & known
    found = {d.name: whole.table(d.name) for d in derivation.chain if d.name in authors}
    return found | {name: stage.truth[name] for name in derivation.gradients}


def _read_by_splits(derivation: Derivation) -> set[str]:
    """The names for logarithms that are read where logarithms were split."""
    known = {d.name: d for d in derivation.forward}
    split = [known[d.name].body for d in derivation.written if d.name in known and known[d.name].body != d.body]
    functions = {name: known[name].function for body in split for name in sum_reads(body) if name in known}
    return {name for name, function in functions.items() if function is not None and function.head == "log"}
