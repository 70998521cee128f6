"""The accuracy of an op's kernels: measured errors as tables and plots, for each format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from codegen.pool import all_cores
from codegen.tools.accuracy.figures import Column, Figures, Row, Table
from codegen.tools.accuracy.kinds_plot import kinds_plot
from codegen.tools.accuracy.measure import Errors, Range, Sampled
from codegen.tools.accuracy.plot import plot
from codegen.tools.accuracy.report import Report, accuracy
from codegen.tools.accuracy.sweep import elementwise
from codegen.tools.atlas.page import Formula, Section, prose
from derive import Op, load
from derive.show.latex import LatexPrinter
from derive.syntax import adjoint_name

__all__ = ["Accuracy", "Elsewhere", "Format", "Part", "accuracy_section", "accuracy_sections", "section_of"]


@dataclass(frozen=True)
class Plot:
    """A drawing of the errors in one quantity, and the unit of the errors."""

    quantity: Formula
    measure: str
    svg: Markup


@dataclass(frozen=True)
class Part:
    """Plots, and the table of what the plots show. ``parted`` says whether the table's columns have parts."""

    plots: tuple[Plot, ...]
    heads: tuple[str, ...]
    columns: tuple[Column, ...]
    parted: bool
    blocks: tuple[tuple[Row, ...], ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Format:
    """One tab: the figures of one format."""

    name: str
    notes: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Accuracy:
    formats: tuple[Format, ...]


@dataclass(frozen=True)
class Elsewhere:
    """The page that shows the errors of a variant."""

    page: str


def accuracy_sections(ops: Iterable[Op], quick: bool = False) -> dict[str, Section]:
    """The sections of ops of the catalogue by their names, measured on all cores; ``quick`` takes fewer points.

    A variant is measured with its op; the variant's own section links to the op's page.
    """
    # The op with most equations comes first, so that no core waits at the end.
    order = sorted(ops, key=lambda op: -len(op.equations))
    names = [op.name for op in order if not op.variant]
    # A process may hang if it is forked from a process in which torch has computed.
    with all_cores("spawn") as pool:
        measured = dict(zip(names, pool.map(accuracy_section, names, [quick] * len(names)), strict=True))
    return measured | {op.name: elsewhere_section(op.base) for op in order if op.variant}


def elsewhere_section(base: str) -> Section:
    """The section of a variant."""
    return Section("accuracy", "Accuracy", "elsewhere.html.j2", Elsewhere(base))


def accuracy_section(name: str, quick: bool = False) -> Section:
    """The section of one op. An op with reductions is always measured on shorter rows, since long rows take a minute."""
    op = load(name)
    adjoints = frozenset(adjoint_name(t.name) for t in op.differentiable)
    return section_of(accuracy(op, quick=quick or not elementwise(op)), adjoints)


def section_of(report: Report, adjoints: frozenset[str]) -> Section:
    """The section that shows a report."""
    printer = LatexPrinter(adjoints)
    plotted = [_range_plots(r, printer) for r in report.ranges] + [_kinds_plots(s, printer) for s in report.samples]
    counts = [*(() for _ in report.ranges), *map(_counted, report.samples)]
    formats = tuple(_format(f, c, p) for f, c, p in zip(report.figures, counts, plotted, strict=True))
    lead = prose("Errors in units in the last place (ULP), measured against ``mpmath`` on the machine that made this page.")
    return Section("accuracy", "Accuracy", "accuracy.html.j2", Accuracy(formats), lead)


def _format(figures: Figures, counted: tuple[str, ...], plots: dict[str, Plot]) -> Format:
    return Format(figures.form, (*counted, *figures.notes), tuple(_part(t, plots) for t in figures.tables))


def _part(table: Table, plots: dict[str, Plot]) -> Part:
    """A table with the plot of its quantity, or with all plots if its rows have different quantities."""
    shown = (plots[table.about],) if table.about else tuple(plots.values())
    parted = any(c.parts for c in table.columns)
    return Part(shown, table.heads, table.columns, parted, table.blocks, table.remarks)


def _range_plots(found: Range, printer: LatexPrinter) -> dict[str, Plot]:
    """A plot of each quantity over x; none if the op has several inputs."""
    if len(found.sweep.inputs) > 1:
        return {}
    names, labels = _names_and_labels(found.errors)
    drawn = {name: Markup(plot(found, name, labels, labels[-1])) for name in names}
    return {n: Plot(_name(n, printer), "in ULP over x", svg) for n, svg in drawn.items()}


def _kinds_plots(found: tuple[Sampled, ...], printer: LatexPrinter) -> dict[str, Plot]:
    names, labels = _names_and_labels(found[0].errors)
    drawn = {name: Markup(kinds_plot(found, name, labels, labels[-1])) for name in names}
    return {n: Plot(_name(n, printer), "in ULP of the sum of its absolute terms", svg) for n, svg in drawn.items()}


def _names_and_labels(errors: Iterable[Errors]) -> tuple[list[str], list[str]]:
    """The names of quantities and of implementations; the last implementation is torch's own op."""
    return list(dict.fromkeys(e.name for e in errors)), list(dict.fromkeys(e.label for e in errors))


def _name(name: str, printer: LatexPrinter) -> Formula:
    return Formula(printer.name(name), display=False)


def _counted(found: tuple[Sampled, ...]) -> tuple[str, ...]:
    first = found[0].errors[0].label
    count = sum(e.ulps.size for s in found for e in s.errors if e.label == first)
    return (f"{count:,} entries of outputs and gradients, at {len(found)} kinds of input",)
