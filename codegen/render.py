"""Fill templates: a strict Jinja environment, whose templates lay out and decide nothing. Text is escaped by its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePath

from jinja2 import BaseLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined

from codegen.places import LANGUAGES, filled, marked
from codegen.source import Code
from derive.syntax import adjoint_name


def templates() -> BaseLoader:
    """The templates of every folder that has some, each named ``FOLDER/TEMPLATE``."""
    found = Path(__file__).parent.rglob("templates")
    return PrefixLoader({folder.parent.name: FileSystemLoader(folder, "utf-8") for folder in sorted(found)})


def adjoint(name: str) -> Code:
    """What an adjoint is called, in a template: ``name`` may stand for many, as ``{name}`` does in an f-string."""
    return Code(adjoint_name(name))


def primal(adjoint: str) -> Code:
    """The expression for the name whose adjoint has the name that an expression gives."""
    prefix, _, _ = adjoint_name(" ").partition(" ")
    return Code(f"{adjoint}[{len(prefix)}:]")


def strict(finalize: Callable[[object], object], autoescape: bool) -> Environment:
    """An environment of all templates in which what is missing is an error; ``finalize`` is what becomes of a printed value."""
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
    """That of source code."""
    found = strict(marked, autoescape=False)
    found.globals |= {"adjoint": adjoint, "primal": primal}
    return found


def render(template: str, **data: object) -> str:
    """The unformatted text of any other template (TypeError where it prints text as code)."""
    language = LANGUAGES[PurePath(template.removesuffix(".j2")).suffix]
    return filled(environment().get_template(template).render(data), language)
