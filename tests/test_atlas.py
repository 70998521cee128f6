"""The atlas as data: what needs neither Node nor a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from codegen.backends.discovery import discovered
from codegen.commands.places import GENERATED
from codegen.plan import plan
from codegen.tools.accuracy import Report, accuracy
from codegen.tools.atlas import typeset as typesetting
from codegen.tools.atlas.accuracy import Accuracy, Elsewhere, Part, accuracy_sections
from codegen.tools.atlas.accuracy import section_of as accuracy_of
from codegen.tools.atlas.book import notes, pages
from codegen.tools.atlas.derivation import Derived, Equations, Steps
from codegen.tools.atlas.difference import difference, distinct
from codegen.tools.atlas.drawing import HEIGHT, Drawing, drawing
from codegen.tools.atlas.explanations import explanations
from codegen.tools.atlas.files import section_html
from codegen.tools.atlas.formula import MarkedPrinter, equation
from codegen.tools.atlas.graph import Fate, Graph, Place, graph
from codegen.tools.atlas.highlight import highlight
from codegen.tools.atlas.layers import GAP, Layout, lay_out
from codegen.tools.atlas.page import Formula, Page, Section, formulas, prose
from codegen.tools.atlas.rows import BESIDE, Group
from codegen.tools.atlas.typeset import typeset
from codegen.write import owned
from derive import derive, load, parse_formula
from derive.derivation import Derivation
from derive.explain import ENTRIES
from derive.language.unicode import text
from derive.rules import STABILISE
from derive.show.latex import LatexPrinter
from derive.show.show import adjoint_names, made_names, sections
from derive.show.trees import of_derivation
from derive.syntax import Tree, walk
from tests.long import CORE, NETWORKS, OPS, all_but

#: The pages of the atlas: the core and its variants.
PAGES = OPS
#: The kernels of each backend that can be run here, plain and accurate, and torch's own op.
MEASURED = 2 * sum(not b.missing() for b in discovered().values()) + 1
ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(p for p in GENERATED.rglob("*") if p.suffix in (".py", ".c", ".h"))


@cache
def derivation_of(name: str) -> Derivation:
    return derive(load(name))


@cache
def graph_of(name: str) -> Graph:
    derivation = derivation_of(name)
    return graph(derivation, frozenset(t.name for t in plan(derivation).saved))


@cache
def page_of(name: str) -> Page:
    return pages([load(name)])[0]


# ---- highlighting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(GENERATED).as_posix())
def test_highlighted_pieces_put_together_are_the_source(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    pieces = highlight(source, "python" if path.suffix == ".py" else "c")
    assert "".join(p.text for p in pieces) == source
    assert all(p.text for p in pieces)


@given(st.text(alphabet="a1 \n\t\"'/*\\#.;(){}", max_size=60))
def test_no_character_of_any_c_is_lost(source: str) -> None:
    assert "".join(p.text for p in highlight(source, "c")) == source


def kinds(source: str, language: str) -> list[tuple[str, str]]:
    return [(p.kind, p.text) for p in highlight(source, language) if p.kind]


def test_python_is_coloured_by_its_grammar() -> None:
    found = kinds('def f(x):  # def\n    return "if" + 1.5e-3 * x\n', "python")
    assert found == [("k", "def"), ("d", "f"), ("c", "# def"), ("k", "return"), ("s", '"if"'), ("n", "1.5e-3")]


def test_a_string_of_several_lines_is_one_piece() -> None:
    assert kinds('"""a\n\n  b"""\nx = é + 1\n', "python") == [("s", '"""a\n\n  b"""'), ("n", "1")]


def test_c_is_coloured_by_its_grammar() -> None:
    found = kinds('/* int "x" */ int f(void) { return g(0x1.8p3, "/*", \'"\'); } // 1\n', "c")
    assert found == [
        ("c", '/* int "x" */'),
        ("k", "int"),
        ("d", "f"),
        ("k", "void"),
        ("k", "return"),
        ("d", "g"),
        ("n", "0x1.8p3"),
        ("s", '"/*"'),
        ("s", "'\"'"),
        ("c", "// 1"),
    ]


def test_a_directive_of_c_ends_with_its_line_and_before_a_comment() -> None:
    found = kinds("#define A 1 \\\n  2\n#if B /* int */\nx\n", "c")
    assert found == [("k", "#define A 1 \\\n  2"), ("k", "#if B "), ("c", "/* int */")]


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot highlight 'fortran'; known: python, c"):
        highlight("", "fortran")


# ---- differences ----------------------------------------------------------------------------------------------------------


def right_side(expression: str) -> Tree:
    return distinct(parse_formula(f"y[i] = {expression}").equations[0].rhs)


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ("a[i]*b[i]", "a[i]*b[i]", [], []),
        ("a[i]*b[i]", "b[i]*a[i]", [], []),
        ("a[i]*b[i]", "a[i]*u[i]", ["b[i]"], ["u[i]"]),
        ("a[i] + b[i]*exp(u[i])", "b[i]*exp(v[i]) + a[i]", ["exp(u[i])"], ["exp(v[i])"]),
        ("a[i]*b[i]", "a[i]*u[i]/v[i]", ["b[i]"], ["u[i]", "v[i]"]),
        ("a[i]/b[i]", "a[i]/u[i]", ["b[i]"], ["u[i]"]),
        ("a[i] + b[i]", "a[i]", ["b[i]"], []),
        ("a[i] - b[i]", "a[i] + b[i]", ["-b[i]"], ["b[i]"]),
        ("tanh(a[i])*b[i]", "u[i]*b[i]", ["tanh(a[i])"], ["u[i]"]),
        ("b[i]*sum[j](w[i, j]*x[j])", "b[i]*sum[j](w[i, j]*z[j])", ["x[j]"], ["z[j]"]),
        ("a[i]*a[i]*b[i]", "a[i]*b[i]", ["a[i]"], []),
        ("a[i]*a[i]*b[i]", "a[i]*u[i]*a[i]", ["b[i]"], ["u[i]"]),
        ("exp(a[i])", "exp(b[i])", ["exp(a[i])"], ["exp(b[i])"]),
        ("exp(a[i] + b[i])", "exp(a[i] + u[i])", ["b[i]"], ["u[i]"]),
        ("a[i]*b[i] + u[i]", "x[i]*z[i] + u[i]", ["a[i]·b[i]"], ["x[i]·z[i]"]),
    ],
)
def test_a_difference_is_what_has_no_counterpart(before: str, after: str, old: list[str], new: list[str]) -> None:
    one, other = right_side(before), right_side(after)
    found = difference(one, other)
    assert sorted(text(n) for n in walk(one) if id(n) in found.old) == sorted(old)
    assert sorted(text(n) for n in walk(other) if id(n) in found.new) == sorted(new)


def test_only_equal_expressions_have_no_difference() -> None:
    """Of all pairs of lines of a name, so that no step can come out unmarked."""
    derivation = derivation_of("batchnorm")
    for group in sections(derivation, tree_of=of_derivation(derivation))[1].groups:
        for before, after in zip(group, group[1:], strict=False):
            found = difference(distinct(before.tree), distinct(after.tree))
            assert found.old or found.new, (text(before.tree), text(after.tree))


def unmarked(latex: str) -> str:
    r"""The formula without ``\new{...}`` and ``\old{...}``, whose braces go with them."""
    closes: list[bool] = []
    out = ""
    for token in re.findall(r"\\(?:new|old)\{|\\.|[\s\S]", latex):
        if token in (r"\new{", r"\old{"):
            closes.append(True)
            continue
        if token == "{":
            closes.append(False)
        if token == "}" and closes.pop():
            continue
        out += token
    assert not closes
    return out


@pytest.mark.parametrize("name", all_but(NETWORKS, PAGES))
def test_marks_change_nothing_else_of_a_formula(name: str) -> None:
    derivation = derivation_of(name)
    plain = LatexPrinter(adjoint_names(derivation), made_names(derivation))
    shown = {row.formula.latex for group in steps_of(page_of(name)).groups for row in group.rows}
    for group in sections(derivation, tree_of=of_derivation(derivation))[1].groups:
        for row in group:
            expected = equation(row.name, row.index, row.tree, plain, limit=BESIDE, first=row.first)
            assert expected.latex in set(map(unmarked, shown))


def test_neighbours_marked_alike_share_one_mark() -> None:
    before, after = right_side("a[i]*d[i]"), right_side("a[i]*b[i]*c[i]")
    marks = dict.fromkeys(difference(before, after).new, (r"\new",))
    assert MarkedPrinter(LatexPrinter(frozenset()), marks).show(after) == r"a_{i} \, \new{b_{i} \, c_{i}}"


def test_a_dot_stays_between_digits_that_are_marked() -> None:
    before, after = right_side("2*a[i]"), right_side("2*(3/7)*a[i]")
    marks = dict.fromkeys(difference(before, after).new, (r"\new",))
    assert r"\cdot" in MarkedPrinter(LatexPrinter(frozenset()), marks).show(after)


# ---- graphs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CORE)
def test_a_graph_says_what_becomes_of_every_adjoint(name: str) -> None:
    derivation, found = derivation_of(name), graph_of(name)
    kernel = plan(derivation)
    fates = {v.adjoint: v.fate for v in found.vertices if v.adjoint}
    assert {a for a, fate in fates.items() if fate is Fate.GRADIENT} == set(derivation.gradients)
    assert {a for a, fate in fates.items() if fate is Fate.UPSTREAM} == {f"d{t.name}" for t in derivation.op.outputs}
    assert {a for a, fate in fates.items() if fate in (Fate.GRADIENT, Fate.LINE)} == {line.name for line in derivation.lines}
    assert {v.name for v in found.vertices if v.place is Place.OUTPUT} == {t.name for t in derivation.op.outputs}
    saved = {t.name for t in kernel.saved} - {t.name for t in derivation.op.outputs}
    assert {v.name for v in found.vertices if v.place is Place.SAVED} == saved
    assert {t.name for t in derivation.op.inputs} <= {v.name for v in found.vertices}


def test_a_graph_has_the_edges_of_the_equations_and_of_the_chain_rule() -> None:
    found = graph_of("batchnorm")
    assert ("c", "var") in found.forward
    assert ("gamma", "y") in found.forward
    assert ("mu", "var") not in found.forward
    assert ("mu", "c") in found.backward  # dmu reads dc
    assert all(a != "gamma" or b == "y" for a, b in found.backward)


def boxes(found: Drawing) -> list[tuple[float, float, float, float]]:
    return [(c.x, c.y, c.x + c.width, c.y + c.height) for c in found.cells]


def overlapping(found: Drawing) -> Iterator[tuple[str, str]]:
    placed = list(zip(found.cells, boxes(found), strict=True))
    for k, (cell, (left, top, right, bottom)) in enumerate(placed):
        for other, (x0, y0, x1, y1) in placed[k + 1 :]:
            if left < x1 - 0.2 and x0 < right - 0.2 and top < y1 and y0 < bottom:
                yield cell.text, other.text


@pytest.mark.parametrize("name", PAGES)
def test_no_boxes_of_a_drawing_overlap_and_all_lie_within_it(name: str) -> None:
    found = drawing(graph_of(name))
    assert list(overlapping(found)) == []
    assert all(x0 >= 0 and x1 <= found.width and y0 >= 0 and y1 <= found.height for x0, y0, x1, y1 in boxes(found))
    numbers = [float(n) for line in found.lines for n in re.findall(r"[ MCL](-?[\d.]+) (?:-?[\d.]+)", line.path)]
    assert all(0 <= x <= found.width for x in numbers)


@pytest.mark.parametrize("name", PAGES)
def test_no_edge_of_a_drawing_passes_through_a_box(name: str) -> None:
    """Between layers there are no boxes; within one an edge is a vertical line."""
    found = drawing(graph_of(name))
    for line in found.lines:
        for x, y in re.findall(r"L(-?[\d.]+) (-?[\d.]+)", line.path):
            at, end = float(x), float(y)
            beside = [b for b in boxes(found) if b[1] in (end, end - HEIGHT)]
            assert not any(left < at < right for left, _, right, _ in beside), (line.path, name)


def crowded(layout: Layout, sides: dict[str, tuple[float, float]]) -> list[tuple[str, str]]:
    """Pairs in a layer that are nearer to each other than the gap."""
    rows: dict[int, list[tuple[float, str]]] = {}
    for name, box in layout.boxes.items():
        rows.setdefault(box.layer, []).append((box.x, name))
    pairs = [(a, b) for row in rows.values() for (_, a), (_, b) in zip(sorted(row), sorted(row)[1:], strict=False)]
    x = {name: box.x for name, box in layout.boxes.items()}
    return [(a, b) for a, b in pairs if x[b] - sides[b][0] - x[a] - sides[a][1] < GAP - 0.21]


@given(st.data())
def test_any_graph_is_laid_out_downward_and_without_overlaps(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    sides = {f"v{k}": (float(data.draw(st.integers(5, 90))), float(data.draw(st.integers(0, 90)))) for k in range(count)}
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] < p[1])
    edges = {(f"v{a}", f"v{b}") for a, b in data.draw(st.lists(pairs, max_size=24) if count > 1 else st.just([]))}
    layout = lay_out(sides, edges)
    assert crowded(layout, sides) == []
    assert all(layout.boxes[a].layer < layout.boxes[b].layer for a, b in edges)
    assert all(len(layout.bends[a, b]) == layout.boxes[b].layer - layout.boxes[a].layer - 1 for a, b in edges)
    assert layout == lay_out(sides, reversed(sorted(edges)))


def test_a_chain_is_straight() -> None:
    layout = lay_out({"a": (50.0, 10.0), "b": (10.0, 40.0), "c": (30.0, 30.0)}, [("a", "b"), ("b", "c")])
    assert len({box.x for box in layout.boxes.values()}) == 1


def test_an_edge_against_the_order_is_refused() -> None:
    with pytest.raises(ValueError, match="b -> a"):
        lay_out({"a": (1.0, 1.0), "b": (1.0, 1.0)}, [("b", "a")])


# ---- pages ----------------------------------------------------------------------------------------------------------------


def section_of(page: Page, anchor: str) -> Section:
    return next(s for s in page.sections if s.anchor == anchor)


def steps_of(page: Page) -> Steps:
    """The engine's steps, which are behind the textbook track."""
    content = section_of(page, "derivation").content
    assert isinstance(content, Derived)
    return content.tracks[-1]


def anchors(page: Page) -> set[str]:
    equations = section_of(page, "equations").content
    assert isinstance(equations, Equations)
    chain = section_of(page, "chain-rule").content
    assert isinstance(chain, Steps)
    groups: list[Group] = [*equations.written, *equations.closed, *equations.made, *steps_of(page).groups, *chain.groups]
    derived = section_of(page, "derivation").content
    assert isinstance(derived, Derived)
    groups += [g for part in (*derived.tracks[:-1], *derived.remarks) for g in part.groups]
    assert len({g.anchor for g in groups}) == len(groups)
    return {g.anchor for g in groups}


@pytest.mark.parametrize("name", all_but(NETWORKS, PAGES))
def test_what_a_drawing_links_to_is_on_the_page(name: str) -> None:
    page = page_of(name)
    found = section_of(page, "graph").content
    assert isinstance(found, Drawing)
    assert {cell.link.removeprefix("#") for cell in found.cells if cell.link} <= anchors(page)


@pytest.mark.parametrize("name", all_but(NETWORKS, PAGES))
def test_a_page_shows_every_step_and_every_closed_line(name: str) -> None:
    page, derivation = page_of(name), derivation_of(name)
    equations = section_of(page, "equations").content
    assert isinstance(equations, Equations)
    assert len(equations.written) == len(derivation.op.equations)
    assert [g.anchor for g in equations.closed] == [f"closed-{line.name}" for line in derivation.lines]
    rules = {rule.text for group in steps_of(page).groups for row in group.rows for rule in row.rules}
    assert {s.title for s in derivation.steps if s.rule != STABILISE} <= rules
    assert {s.anchor for s in page.sections} == set(
        "equations derivation playground graph chain-rule source work certificate".split()
    )


def test_a_page_begins_with_the_textbook_track_and_says_once_what_kernels_do_otherwise() -> None:
    derived = section_of(page_of("softmax_cross_entropy"), "derivation").content
    assert isinstance(derived, Derived)
    paper, engine = derived.tracks
    assert paper.opened and not engine.opened and len(derived.remarks) == 1
    assert len([row for group in paper.groups for row in group.rows]) <= 4
    assert not any(r"\mathtt" in row.formula.latex for group in paper.groups for row in group.rows)
    assert any(r"\mathtt{t3}" in row.formula.latex for group in engine.groups for row in group.rows)
    assert paper.groups[-1].rows[-1].matrix is not None
    variant = section_of(page_of("tanh_accurate"), "derivation").content
    assert isinstance(variant, Derived) and len(variant.tracks) == 1 and variant.tracks[0].opened


def test_the_names_of_the_engine_are_no_numbered_letters_anywhere() -> None:
    """``t^{(3)}`` would be a third ``t``, and ``t`` may be the author's labels."""
    for name in ("softmax_cross_entropy", "sigmoid", "attention", "gelu_accurate"):
        derivation = derivation_of(name)
        author = {e.name for e in derivation.op.equations} | {t.name for t in derivation.op.inputs}
        for section in page_of(name).sections:
            for formula in formulas(section.content):
                for letter, number in re.findall(r"(\w)\^\{\((\d+)\)\}", formula.latex):
                    assert letter + number in author, (name, formula.latex)


@pytest.mark.parametrize("name", all_but(NETWORKS, PAGES))
def test_every_rule_of_a_page_leads_to_its_explanation(name: str) -> None:
    known = {entry.anchor for entry in ENTRIES}
    derived = section_of(page_of(name), "derivation").content
    assert isinstance(derived, Derived)
    labels = [r for track in derived.tracks for group in track.groups for row in group.rows for r in row.rules]
    assert labels and {label.anchor for label in labels} <= known


def test_every_explanation_has_an_example_that_shows_it() -> None:
    found = explanations()
    assert [e.anchor for e in found] == [entry.anchor for entry in ENTRIES] and len({e.anchor for e in found}) == len(found)
    for explanation, entry in zip(found, ENTRIES, strict=True):
        assert explanation.groups and explanation.equations == "\n".join(entry.op.splitlines())
        if not explanation.sign:
            labels = [r for group in explanation.groups for row in group.rows for r in row.rules]
            assert entry.anchor in {label.anchor for label in labels}, entry.name


def test_costs_are_those_of_the_plan() -> None:
    """Worked out by hand for n = 1024, d = 256, s = 16: three floats of 16 MiB read, two written, three the fewest."""
    work = json.loads(json.dumps(section_of(page_of("batchnorm"), "work").content, default=vars))
    assert [(t["role"], t["elements"], t["bytes"]) for t in work["taken"]] == [
        ("upstream gradient", "4,194,304", "16 MiB"),
        ("saved by the forward", "4,194,304", "16 MiB"),
        ("saved by the forward", "256", "1 KiB"),
        ("input", "256", "1 KiB"),
    ]
    forward = work["functions"][0]
    assert (forward["read"], forward["written"], forward["ratio"]) == ("48 MiB", "32 MiB", "1.67")
    # mean, difference, square, sum, scale, scale and shift: seven for each of 4194304 elements, and a few for each of 256.
    assert forward["operations"] == "29.4 M"


def test_the_certificate_on_a_page_is_the_one_that_is_checked_in() -> None:
    recorded = json.loads((GENERATED / "certificates/softmax.json").read_text(encoding="utf-8"))
    shown = json.loads(json.dumps(section_of(page_of("softmax"), "certificate").content, default=vars))
    count = len(recorded["checks"])
    assert shown["verdict"].startswith(f"{count} of {count} checks passed")
    assert sum(int(c["times"] or 1) for row in shown["names"] for c in row["checks"]) == count


def test_sources_on_a_page_are_those_that_are_checked_in() -> None:
    for tab in section_of(page_of("softmax"), "source").content.tabs:  # type: ignore[attr-defined]
        shown = "".join(p.text for p in (*tab.head, *tab.body))
        assert shown == (GENERATED.parent / tab.path).read_text(encoding="utf-8")
        assert "softmax_forward" in "".join(p.text for p in tab.body).partition("\n")[0]


@dataclass(frozen=True)
class Further:
    formula: Formula
    rows: tuple[Formula, ...]


def test_further_sections_stand_at_the_end_and_their_formulas_are_found() -> None:
    content = Further(Formula("x"), (Formula("y"), Formula("z", display=False)))
    (page,) = pages([load("relu")], more=lambda op: [Section("accuracy", op.name, "accuracy.html.j2", content)])
    assert page.sections[-1] == Section("accuracy", "relu", "accuracy.html.j2", content)
    assert [f.latex for f in formulas(content)] == ["x", "y", "z"]


def test_prose_keeps_code_apart() -> None:
    assert prose("``a`` is\n  one of ``b``.").parts == (("a", True), (" is one of ", False), ("b", True), (".", False))


def test_pages_are_the_same_under_any_hash_seed() -> None:
    code = "from codegen.tools.atlas.book import pages; from derive import load; print(repr(pages([load('attention')])))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


# ---- accuracy -------------------------------------------------------------------------------------------------------------


@cache
def report_of(name: str) -> Report:
    return accuracy(load(name), quick=True)


class Cells(HTMLParser):
    """The texts of the cells of every row of a table's body."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag if tag in ("td", "th") else self.inside
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def shown(report: Report) -> str:
    """The section on a report as HTML, with formulas as they are."""
    section = accuracy_of(report, frozenset())
    return str(section_html(section, {f: Markup(f.latex) for f in formulas(section.content)}))


def parts(report: Report) -> list[Part]:
    content = accuracy_of(report, frozenset({"dx"})).content
    assert isinstance(content, Accuracy)
    return [part for form in content.formats for part in form.parts]


@pytest.mark.parametrize("name", ["gelu", "softmax_cross_entropy"])
def test_figures_on_a_page_are_those_that_the_command_prints(name: str) -> None:
    """Which are apart by two blanks, with rows of headings between them."""
    report, cells = report_of(name), Cells()
    cells.feed(shown(report))
    printed = [re.split(r"  +", line.strip()) for line in str(report).splitlines()]
    kinds = {s.kind.name for found in report.samples for s in found} | {n for r in report.ranges for n in r.sweep.exact}
    figures = [row for row in printed if row[0] in kinds and len(row) > 3 and "entry" not in row]
    assert figures == [row for row in cells.rows if row[0] in kinds and "terms" not in row and len(row) > 3]
    assert len(figures) == (2 * 2 * MEASURED if report.ranges else 2 * 2 * len(report.samples[0]))


def test_a_page_says_how_much_was_measured() -> None:
    text = shown(report_of("gelu"))
    for found in report_of("gelu").ranges:
        assert f"{len(found.sweep.inputs['x'])} inputs over the whole finite range" in text
    (first, _) = report_of("softmax_cross_entropy").samples
    count = sum(e.ulps.size for s in first for e in s.errors if e.label == "torch's own")
    assert f"{count:,} entries of outputs and gradients, at {len(first)} kinds of input" in shown(
        report_of("softmax_cross_entropy")
    )


def test_an_elementwise_op_has_a_curve_for_each_implementation_above_that_of_torch() -> None:
    """Both formats, both quantities; variants beside the kernels, and torch's own op as an area."""
    plots = [plot for part in parts(report_of("gelu")) for plot in part.plots]
    assert [p.quantity.latex for p in plots] == ["y", r"\mathrm{d}x"] * 2
    for plot in plots:
        curves = re.findall(r'<polyline points="([^"]*)"', plot.svg)
        assert len(curves) == MEASURED - 1 and all(len(points.split()) > 100 for points in curves)
        (area,) = re.findall(r'<polygon points="([^"]*)"', plot.svg)
        assert len(area.split()) > 100
        assert "var(--accent" in plot.svg and not re.search(r"#[0-9a-f]{3}", plot.svg)


def test_an_op_with_reductions_has_a_dot_for_each_kind_and_implementation() -> None:
    report = report_of("softmax_cross_entropy")
    for part in parts(report):
        (plot,) = part.plots
        assert plot.svg.count("<circle") == MEASURED * (len(report.samples[0]) + 1)  # and the legend
        assert all(kind.kind.name in plot.svg for kind in report.samples[0])


def test_variants_are_measured_on_the_page_of_their_op_and_again_the_same() -> None:
    found = accuracy_sections([load("tanh_accurate"), load("tanh")], quick=True)
    assert found["tanh_accurate"].content == Elsewhere("tanh")
    assert 'href="tanh.html#accuracy"' in section_html(found["tanh_accurate"], {})
    assert found["tanh"] == accuracy_of(report_of("tanh"), frozenset({"dx"}))
    assert "numpy accurate" in repr(found["tanh"].content)


# ---- files ----------------------------------------------------------------------------------------------------------------


def test_without_node_or_katex_the_error_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typesetting.shutil, "which", lambda name: "/bin/false")
    with pytest.raises(RuntimeError, match=r"KaTeX was not found in .*node_modules; `make atlas` installs it"):
        typeset([("relu", Formula("x"))], tmp_path)
    monkeypatch.setattr(typesetting.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match="node was not found"):
        typeset([("relu", Formula("x"))], tmp_path)


def test_pages_are_no_owned_files(tmp_path: Path) -> None:
    (tmp_path / "html").mkdir()
    (tmp_path / "html/index.html").write_text("")
    assert owned(tmp_path) == set()


def test_the_lock_names_versions_and_no_registry() -> None:
    lock = json.loads((ROOT / "codegen/tools/atlas/package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((ROOT / "codegen/tools/atlas/package.json").read_text(encoding="utf-8"))["dependencies"]
    assert lock["packages"]["node_modules/katex"]["version"] == wanted["katex"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in wanted.values())
    assert all("resolved" not in package for package in lock["packages"].values())


def test_a_page_says_how_the_arrays_of_its_op_are_packed() -> None:
    """As the terminal does: the equations have an index for each axis, and the caller's array has one axis for several."""
    said = ["".join(part for part, _ in note.parts) for note in notes(load("makemore"))]
    assert said[:2] == ["W1: [B*E, U], axis 0 packs (b, e)", "embcat: [N, B*E], axis 1 packs (b, e)"]
    assert len(said) > 2 and "packs" not in "".join(part for note in notes(load("tanh")) for part, _ in note.parts)
