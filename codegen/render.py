"""Fill templates: a strict Jinja environment, whose templates lay out and decide nothing."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from codegen.source import FileSource


@cache
def environment() -> Environment:
    return Environment(
        loader=PackageLoader("codegen"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render_file(source: FileSource, backend: str) -> str:
    """The unformatted text of one kernel file."""
    data = {f.name: getattr(source, f.name) for f in fields(source)}
    return environment().get_template(f"{backend}/op.py.j2").render(data)


def render(template: str, **data: object) -> str:
    """The unformatted text of any other template."""
    return environment().get_template(template).render(data)
