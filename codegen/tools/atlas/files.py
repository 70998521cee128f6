"""Pages to files: formulas typeset, templates filled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from codegen.render import strict
from codegen.tools.atlas.explanations import Explanation
from codegen.tools.atlas.page import Formula, Page, Section, formulas
from codegen.tools.atlas.typeset import katex_fonts, typeset
from derive.visible import visible

__all__ = ["atlas_files", "section_html"]

#: The scripts in the order in which pages load them: of every page, and of the pages of ops. ``theme.js`` is the first of all.
SCRIPTS = ("page.js", "tabs.js", "copy.js", "player.js", "search.js")
PLAYGROUND = ("functions.js", "interpreter.js", "differences.js", "tables.js", "playground.js")
#: The files that pages share; they are copied.
SHARED = ("templates/style.css", "templates/controls.css", *(f"scripts/{name}" for name in ("theme.js", *SCRIPTS, *PLAYGROUND)))

FOLDER = Path(__file__).parent

Math = dict[Formula, Markup]


def atlas_files(pages: Sequence[Page], entries: Sequence[Explanation], node: Path) -> dict[str, bytes]:
    """Every file of the atlas by its path; ``entries`` are the rules and signs, ``node`` is the folder with node_modules.

    Raises what :func:`codegen.tools.atlas.typeset.typeset` raises.
    """
    found = [(page.name, formula) for page in pages for formula in _formulas(page)]
    found += [(entry.name, formula) for entry in entries for formula in formulas(entry)]
    done = typeset(found, node)
    math = {formula: Markup(html) for formula, html in done.html.items()}
    around = zip((None, *pages), pages, (*pages[1:], None), strict=False)
    files = {f"{page.name}.html": _page(page, before, after, math) for before, page, after in around}
    files["explanations.html"] = _template("explanations.html.j2", entries=entries, math=math, scripts=SCRIPTS)
    catalogue = [page.entry.value for page in pages]
    files["index.html"] = _template("index.html.j2", entries=_entries(pages), catalogue=catalogue, math=math, scripts=SCRIPTS)
    files |= {"formulas.css": done.css, "katex/katex.min.css": done.katex}
    files |= {Path(name).name: FOLDER.joinpath(name).read_text(encoding="utf-8") for name in SHARED}
    return {name: text.encode() for name, text in files.items()} | katex_fonts(node)


def _entries(pages: Sequence[Page]) -> list[tuple[Page, list[Page]]]:
    """The pages of ops, each with the pages of the op's variants."""
    own = [p for p in pages if p.name == p.base]
    return [(page, [p for p in pages if p.base == page.name and p is not page]) for page in own]


def _formulas(page: Page) -> Iterator[Formula]:
    yield page.formula
    for section in page.sections:
        yield from formulas(section.content)


def _page(page: Page, before: Page | None, after: Page | None, math: Math) -> str:
    bodies = [(section, section_html(section, math)) for section in page.sections]
    return _template("page.html.j2", page=page, before=before, after=after, bodies=bodies, scripts=(*SCRIPTS, *PLAYGROUND))


def section_html(section: Section, math: Math) -> Markup:
    """The HTML below a section's heading; ``math`` holds the HTML of the section's formulas."""
    content = section.content
    data = {f.name: getattr(content, f.name) for f in fields(content)}  # type: ignore[arg-type]
    return Markup(_template(section.template, math=math, **data))


def _template(name: str, **data: object) -> str:
    return _environment().get_template(f"atlas/{name}").render(data)


@cache
def _environment() -> Environment:
    return strict(_shown, autoescape=True)


def _shown(value: object) -> object:
    """Text with the characters spelled out that a browser hides or that reorder text; Jinja then escapes it. HTML is kept."""
    return visible(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value
