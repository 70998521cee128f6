"""Pages to files: formulas typeset, templates filled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from codegen.render import strict
from codegen.tools.atlas.page import Formula, Page, Section, formulas
from codegen.tools.atlas.typeset import katex_files, typeset
from derive.visible import visible

__all__ = ["atlas_files", "section_html"]

#: The files that all pages share; they are copied.
SHARED = ("style.css", "page.js")

Typeset = dict[Formula, Markup]


def atlas_files(pages: Sequence[Page], node: Path) -> dict[str, bytes]:
    """Every file of the atlas by its path; ``node`` is the folder with node_modules.

    Raises what :func:`codegen.tools.atlas.typeset.typeset` raises.
    """
    found = ((page.name, formula) for page in pages for formula in _formulas(page))
    math = {formula: Markup(html) for formula, html in typeset(found, node).items()}
    around = zip((None, *pages), pages, (*pages[1:], None), strict=False)
    files = {f"{page.name}.html": _page(page, before, after, math) for before, page, after in around}
    files["index.html"] = _template("index.html.j2", entries=_entries(pages), math=math)
    files |= {name: _source(name) for name in SHARED}
    return {name: text.encode() for name, text in files.items()} | katex_files(node)


def _entries(pages: Sequence[Page]) -> list[tuple[Page, list[Page]]]:
    """The pages of ops, each with the pages of the op's variants."""
    own = [p for p in pages if p.name == p.base]
    return [(page, [p for p in pages if p.base == page.name and p is not page]) for page in own]


def _formulas(page: Page) -> Iterator[Formula]:
    yield page.formula
    for section in page.sections:
        yield from formulas(section.content)


def _page(page: Page, before: Page | None, after: Page | None, math: Typeset) -> str:
    bodies = [(section, section_html(section, math)) for section in page.sections]
    return _template("page.html.j2", page=page, before=before, after=after, bodies=bodies)


def section_html(section: Section, math: Typeset) -> Markup:
    """The HTML below a section's heading; ``math`` holds the HTML of the section's formulas."""
    content = section.content
    data = {f.name: getattr(content, f.name) for f in fields(content)}  # type: ignore[arg-type]
    return Markup(_template(section.template, math=math, **data))


def _template(name: str, **data: object) -> str:
    return _environment().get_template(f"atlas/{name}").render(data)


def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), f"atlas/{name}")[0]


@cache
def _environment() -> Environment:
    return strict(_shown, autoescape=True)


def _shown(value: object) -> object:
    """Text with the characters spelled out that a browser hides or that reorder text; Jinja then escapes it. HTML is kept."""
    return visible(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value
