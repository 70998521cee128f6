"""Fill templates in a strict Jinja environment. Templates lay out and decide nothing; text is escaped for its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePath

from jinja2 import BaseLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from codegen.places import LANGUAGES, filled, marked
from codegen.source import Code
from derive.syntax import adjoint_name


def templates() -> BaseLoader:
    """The templates of all folders ``FOLDER/templates/``, each named ``FOLDER/TEMPLATE``."""
    found = Path(__file__).parent.rglob("templates")
    return PrefixLoader({folder.parent.name: FileSystemLoader(folder, "utf-8") for folder in sorted(found)})


def adjoint(name: str) -> Code:
    """The name of an adjoint, for templates. ``name`` may be a placeholder, as ``{name}`` is in an f-string."""
    return Code(adjoint_name(name))


def primal(adjoint: str) -> Code:
    """Python source for the name that an adjoint belongs to; ``adjoint`` is Python source for the adjoint's name."""
    prefix, _, _ = adjoint_name(" ").partition(" ")
    return Code(f"{adjoint}[{len(prefix)}:]")


def strict(finalize: Callable[[object], object], autoescape: bool) -> Environment:
    """An environment of all templates in which an undefined name is an error; ``finalize`` is applied to each printed value."""
    return Environment(
        loader=templates(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=autoescape,
        finalize=finalize,
    )


@cache
def environment() -> Environment:
    """The environment of templates of source code."""
    found = strict(marked, autoescape=False)
    found.globals |= {"adjoint": adjoint, "primal": primal}
    return found


def render(template: str, **data: object) -> str:
    """The unformatted text of a template of source code (TypeError where the template prints text as code)."""
    language = LANGUAGES[PurePath(template.removesuffix(".j2")).suffix]
    return filled(environment().get_template(template).render(data), language)
