"""Fill templates: a strict Jinja environment, whose templates lay out and decide nothing. Text is escaped by its place."""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePath

from jinja2 import BaseLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from codegen.places import LANGUAGES, filled, marked


def templates() -> BaseLoader:
    """The templates of every folder that has some, each named ``FOLDER/TEMPLATE``."""
    found = Path(__file__).parent.rglob("templates")
    return PrefixLoader({folder.parent.name: FileSystemLoader(folder, "utf-8") for folder in sorted(found)})


@cache
def environment() -> Environment:
    return Environment(
        loader=templates(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=marked,
    )


def render(template: str, **data: object) -> str:
    """The unformatted text of any other template (TypeError where it prints text as code)."""
    language = LANGUAGES[PurePath(template.removesuffix(".j2")).suffix]
    return filled(environment().get_template(template).render(data), language)
