"""The pages of the atlas in a real browser, from files and without a network.

Skipped where Node, KaTeX or the browser is missing.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codegen.__main__ import main
from codegen.commands.places import GENERATED, NODE
from codegen.tools.accuracy.sweep import elementwise
from codegen.tools.atlas.page import Formula
from codegen.tools.atlas.typeset import typeset
from derive.ops import load
from tests.browser.atlas import OPS, address, needs_browser, needs_katex
from tests.browser.chromium import Tab
from tests.long import CORE, CORE_VARIANTS

PAGES = ("index", "explanations", *OPS)
LIMIT = 1_000_000
#: Elements that reach beyond the window, but those in a box of their own that scrolls.
TOO_WIDE = """
[...document.querySelectorAll("body *")].filter(e => {
  if (e.closest(".formula, .wide, .signature, pre, .said, .skip") ?? false) return false;
  const box = e.getBoundingClientRect();
  return box.width > 0 && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 80))
"""
CONTRAST = """
(() => {
  const light = (color) => {
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const value = (name) => light(getComputedStyle(document.documentElement).getPropertyValue(name));
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const pairs = [];
  for (const back of ["--paper", "--panel", "--wash", "--tint"]) pairs.push(["--ink", back]);
  for (const text of ["--soft", "--accent"]) pairs.push([text, "--paper"]);
  for (const text of ["--keyword", "--string", "--comment", "--number", "--accent"]) pairs.push([text, "--panel"]);
  return pairs.map(([text, back]) => [`${text} on ${back}`, ratio(value(text), value(back))]);
})()
"""

# ---- what needs no browser ------------------------------------------------------------------------------------------------


@needs_katex
def test_what_katex_refuses_is_an_error_that_names_op_and_formula() -> None:
    with pytest.raises(ValueError, match=r"relu: KaTeX refuses the formula \\frob\{x\}: .*Undefined control sequence"):
        typeset([("tanh", Formula("x")), ("relu", Formula(r"\frob{x}"))], NODE)


@needs_katex
def test_what_is_no_latex_is_refused_as_well() -> None:
    with pytest.raises(ValueError, match="KaTeX refuses the formula é"):
        typeset([("relu", Formula("é"))], NODE)


@needs_katex
def test_every_page_is_below_its_limit_and_depends_on_its_neighbours_alone(site: Path) -> None:
    assert {p.stem for p in site.glob("*.html")} == set(PAGES)
    for page in PAGES:
        text = (site / f"{page}.html").read_text(encoding="utf-8")
        assert len(text.encode()) < LIMIT, page
        links = re.findall(r'(?:href|src)="([^"]*)"', text)
        assert all((site / link.partition("#")[0]).is_file() for link in links if not link.startswith("#")), page
        ids = re.findall(r' id="([^"]*)"', text)
        assert len(ids) == len(set(ids)), page
        assert {link[1:] for link in links if link.startswith("#")} <= set(ids), page
        assert "http" not in re.sub(r"xmlns=\S+", "", text.partition("</head>")[0])


@needs_katex
def test_a_second_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is measured is the same again."""
    arguments = ["atlas", "--quick", "--out", str(tmp_path / "out"), "softmax_cross_entropy", "tanh"]
    assert main(arguments) == 0
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert main(arguments) == 0
    assert "4 pages" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@needs_katex
def test_an_unknown_op_is_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atlas", "--out", str(tmp_path / "out"), "relu", "batchnrom"]) == 1
    said = "no op 'batchnrom' in the catalogue (did you mean 'batchnorm'?); 'python -m codegen list' lists all"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---- in the browser -------------------------------------------------------------------------------------------------------


@needs_katex
@needs_browser
def test_every_page_is_typeset_and_silent_and_asks_for_files_alone(site: Path, tab: Tab) -> None:
    for page in PAGES:
        tab.open(address(site, page))
        assert tab.complaints() == [], page
        assert {url.partition(":")[0] for url in tab.requests()} == {"file"}, page
        formulas, mathml, errors = tab.run(
            '[".katex-html", ".katex-mathml math", ".katex-error"].map(s => document.querySelectorAll(s).length)'
        )
        assert formulas == mathml > 0 == errors, page
        assert tab.run('[...document.fonts].some(f => f.family === "KaTeX_Math" && f.status === "loaded")'), page


@needs_katex
@needs_browser
@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_scrolls_sideways(site: Path, tab: Tab, width: int) -> None:
    tab.resize(width)
    for page in PAGES:
        tab.open(address(site, page))
        tab.run('document.querySelectorAll("details").forEach(d => d.open = true)')
        assert tab.run("document.documentElement.scrollWidth - innerWidth") <= 0, page
        assert tab.run(TOO_WIDE) == [], page


@needs_katex
@needs_browser
def test_what_scrolls_in_its_own_box_can_be_reached_by_the_keyboard(site: Path, tab: Tab) -> None:
    tab.resize(390)
    tab.open(address(site, "batchnorm"))
    wide = '[...document.querySelectorAll(".formula, .wide, .signature, pre")].filter(e => e.scrollWidth > e.clientWidth + 1)'
    assert tab.run(f"{wide}.length") > 0
    assert tab.run(f"{wide}.every(e => e.tabIndex === 0)")


@needs_katex
@needs_browser
def test_tabs_follow_the_mouse_and_the_arrows(site: Path, tab: Tab) -> None:
    tab.open(address(site, "softmax"))
    shown = (
        '[...document.querySelectorAll("#source [role=tabpanel]")].filter(p => p.offsetHeight).map(p => p.id.slice(6)).join()'
    )
    chosen = 'document.querySelector("#source [role=tab][aria-selected=true]").textContent'
    assert (tab.run(shown), tab.run(chosen)) == ("numpy", "NumPy")
    tab.run('document.querySelector("#tab-torch").click()')
    assert (tab.run(shown), tab.run(chosen)) == ("torch", "torch")
    tab.run('document.querySelector("#tab-torch").focus()')
    for key, code, expected in (
        ("ArrowRight", 39, "jax"),
        ("ArrowRight", 39, "native"),
        ("ArrowRight", 39, "numpy"),
        ("ArrowLeft", 37, "native"),
        ("Home", 36, "numpy"),
        ("End", 35, "native"),
    ):
        tab.press(key, code)
        assert tab.run(shown) == expected
        assert tab.run("document.activeElement.id") == f"tab-{expected}"
    assert tab.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert tab.run('[...document.querySelectorAll("#source [role=tab]")].filter(t => t.tabIndex === 0).length') == 1


@needs_katex
@needs_browser
def test_a_file_is_first_shown_from_its_forward_function(site: Path, tab: Tab) -> None:
    tab.open(address(site, "softmax"))
    for backend in ("numpy", "torch", "native"):
        tab.run(f'document.querySelector("#tab-{backend}").click()')
        above = tab.run(
            f'(p => p.querySelector("b").getBoundingClientRect().top - p.getBoundingClientRect().top)'
            f'(document.querySelector("#panel-{backend} pre"))'
        )
        assert 0 <= above < 60, backend


@needs_katex
@needs_browser
def test_the_copy_button_copies_the_whole_file(site: Path, tab: Tab) -> None:
    tab.allow_clipboard()
    for backend, suffix in (("numpy", "py"), ("torch", "py"), ("native", "c")):
        tab.open(address(site, "softmax"))
        tab.run(f'document.querySelector("#tab-{backend}").click()')
        tab.run(f'document.querySelector("#panel-{backend} .copy").click()')
        tab.until("document.querySelector('.heard').textContent === 'Copied'")
        copied = tab.run("navigator.clipboard.readText()")
        assert copied == (GENERATED / f"{backend}/softmax.{suffix}").read_text(encoding="utf-8")


@needs_katex
@needs_browser
def test_a_derivation_folds_away_to_its_closed_form(site: Path, tab: Tab) -> None:
    tab.open(address(site, "batchnorm"))
    step = 'document.getElementById("paper-dx").offsetHeight'
    assert tab.run(step) > 0
    tab.run('document.querySelector("#derivation summary").click()')
    assert tab.run('document.querySelector("#derivation details").open') is False
    assert tab.run('document.getElementById("closed-dx").offsetHeight') > 0


@needs_katex
@needs_browser
def test_a_link_opens_what_it_leads_to(site: Path, tab: Tab) -> None:
    tab.open(address(site, "batchnorm"))
    assert tab.run('document.querySelector("#chain-rule details").open') is False
    there = 'const y = document.getElementById("chain-NAME").getBoundingClientRect().top; return 0 < y && y < 900'
    there = f'document.querySelector("#chain-rule details").open && (() => {{ {there}; }})()'
    tab.run('location.hash = "chain-dc"')
    tab.until(there.replace("NAME", "dc"))
    tab.open(address(site, "batchnorm", "chain-dx"))
    tab.until(there.replace("NAME", "dx"))


@needs_katex
@needs_browser
def test_links_lead_through_the_atlas(site: Path, tab: Tab) -> None:
    tab.open(address(site, "index"))
    own = "li > div > a"
    links = tab.run(
        f'[...document.querySelectorAll(".ops > li")].map(l => [...l.querySelectorAll("{own}")].map(a => a.pathname))'
    )
    linked = [[Path(path).stem for path in entry] for entry in links]
    assert sorted(linked) == [[n, *(v for v in CORE_VARIANTS if load(v).base == n)] for n in CORE]
    tab.open(tab.run('document.querySelector(".ops a").href'))
    trail = [linked[0][0]]
    while tab.run('Boolean(document.querySelector("[rel=next]"))'):
        tab.open(tab.run('document.querySelector("[rel=next]").href'))
        trail.append(tab.run('document.querySelector("h1").textContent'))
    assert trail == [page for entry in linked for page in entry]


@needs_katex
@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_the_systems_until_it_is_chosen(site: Path, tab: Tab, theme: str) -> None:
    other = {"light": "dark", "dark": "light"}[theme]
    tab.prefer(theme)
    now = "getComputedStyle(document.body).colorScheme"
    tab.open(address(site, "relu"))
    assert tab.run(now) == theme
    assert tab.run('document.querySelector(".theme").getAttribute("aria-pressed")') == str(theme == "dark").lower()
    tab.run('document.querySelector(".theme").click()')
    assert tab.run(now) == other
    tab.open(address(site, "tanh"))
    assert tab.run(now) == other
    tab.prefer(other)
    assert tab.run(now) == other


@needs_katex
@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_background(site: Path, tab: Tab, theme: str) -> None:
    """At least 4.5 to 1, as WCAG asks of body text."""
    tab.prefer(theme)
    tab.open(address(site, "relu"))
    ratios = dict(tab.run(CONTRAST))
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}
    assert max(ratios.values()) > 7


@needs_katex
@needs_browser
def test_the_first_key_offers_to_skip_to_the_content(site: Path, tab: Tab) -> None:
    tab.open(address(site, "relu"))
    tab.press("Tab", 9)
    assert tab.run("document.activeElement.className") == "skip"
    assert tab.run("document.activeElement.getBoundingClientRect().top") >= 0
    tab.press("Enter", 13)
    assert tab.run("document.activeElement.id") == "main"


@needs_katex
@needs_browser
def test_what_a_step_changed_is_marked_around_the_whole_of_it(site: Path, tab: Tab) -> None:
    """The box of a mark encloses a fraction in it, whose parts are placed outside the line's own height."""
    tab.open(address(site, "batchnorm"))
    outside = tab.run("""
      [...document.querySelectorAll(".katex-html .new")].filter(mark => {
        const box = mark.getBoundingClientRect();
        return [...mark.querySelectorAll("span")].some(part => {
          if (part.children.length || !part.textContent.replace(/[\\s\\u200b]/g, "")) return false;
          const own = part.getBoundingClientRect(), middle = (own.top + own.bottom) / 2;
          return middle < box.top || middle > box.bottom;
        });
      }).length
    """)
    assert outside == 0
    assert tab.run('document.querySelectorAll(".katex-html .new .mfrac").length') > 0


# ---- accuracy -------------------------------------------------------------------------------------------------------------

#: Of each panel, for each plot the points of its curves, and its dots; and the rows of the panel's tables.
PLOTS = """
[...document.querySelectorAll("#accuracy [role=tabpanel]")].map(panel => [
  [...panel.querySelectorAll(".plot svg")].map(svg => [
    [...svg.querySelectorAll("polyline, polygon")].map(line => line.points.numberOfItems),
    svg.querySelectorAll("circle").length,
  ]),
  panel.querySelectorAll("tbody tr").length,
])
"""


@needs_katex
@needs_browser
def test_every_op_has_plots_and_tables_of_its_errors_and_a_variant_leads_there(site: Path, tab: Tab) -> None:
    for name in OPS:
        tab.open(address(site, name))
        assert tab.run('document.querySelector("#accuracy h2").textContent') == "Accuracy"
        if load(name).variant:
            tab.open(tab.run('document.querySelector("#accuracy a").href'))
            assert tab.run('document.querySelector("h1").textContent') == load(name).base
            continue
        op, panels = load(name), tab.run(PLOTS)
        assert len(panels) == 2, name
        for plots, rows in panels:
            assert len(plots) == len(op.outputs) + len(op.differentiable), name
            for lines, dots in plots:
                assert min(lines) > 100 if elementwise(op) else dots > 20, name
            assert rows >= len(plots) * 4, name


@needs_katex
@needs_browser
def test_formats_are_tabs(site: Path, tab: Tab) -> None:
    tab.open(address(site, "tanh"))
    shown = '[...document.querySelectorAll("#accuracy [role=tabpanel]")].filter(p => p.offsetHeight).map(p => p.id).join()'
    assert tab.run(shown) == "panel-float32"
    tab.run('document.querySelector("#tab-float32").focus()')
    tab.press("ArrowRight", 39)
    assert tab.run(shown) == "panel-float64"
    assert tab.complaints() == []


@needs_katex
@needs_browser
@pytest.mark.parametrize("name", ["gelu", "softmax_cross_entropy"])
def test_on_a_phone_a_table_scrolls_in_its_own_box_below_the_names_of_its_rows(site: Path, tab: Tab, name: str) -> None:
    tab.resize(390)
    tab.open(address(site, name))
    tab.run('document.querySelector("#tab-float64").click()')
    box = 'document.querySelector("#panel-float64 table").parentElement'
    assert tab.run(f"{box}.scrollWidth > {box}.clientWidth") and tab.run(f"{box}.tabIndex") == 0
    tab.run(f"{box}.scrollLeft = 150")
    left = f'{box}.querySelector("tbody th:last-of-type").getBoundingClientRect().left - {box}.getBoundingClientRect().left'
    assert 0 <= tab.run(left) < 60
    assert tab.run("document.documentElement.scrollWidth - innerWidth") <= 0


@needs_katex
@needs_browser
def test_plots_take_the_colours_of_the_theme(site: Path, tab: Tab) -> None:
    tab.open(address(site, "tanh"))
    colours = """(() => {
      const of = (element, what) => getComputedStyle(document.querySelector("#accuracy svg " + element))[what];
      return [of("polyline", "stroke"), of("polygon", "fill"), of("text", "fill")];
    })()"""
    light = tab.run(colours)
    tab.run('document.querySelector(".theme").click()')
    dark = tab.run(colours)
    assert len(set(light)) == 3 and all(a != b for a, b in zip(light, dark, strict=True))
