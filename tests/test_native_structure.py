"""How the C backend is built: small stages that hand on frozen records, and no decision that is read from C's text."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

import codegen.loops
from codegen.backends import native
from codegen.backends.native import scope
from codegen.loops import assignment, nest, storage

LOOPS, NATIVE = (Path(str(m.__file__)).parent for m in (codegen.loops, native))
FILES = sorted([*LOOPS.glob("*.py"), *NATIVE.glob("*.py")])
#: Where text is looked into that is not C: what C reserves, among which an author's name is looked up; paths of files.
NAMES, PATHS = NATIVE / "taken.py", NATIVE / "package.py"
#: Sets of names in which one is looked for.
SETS = ("beside", "helpers")
#: What tells one text from another by what is in it.
READING = frozenset(
    """startswith endswith isidentifier isdigit isalpha isalnum find rfind index rindex count partition rpartition splitlines
    match fullmatch search findall finditer""".split()
)


def label(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def modules() -> Iterator[ModuleType]:
    for path in FILES:
        package = native.__name__ if path.parent == NATIVE else codegen.loops.__name__
        yield importlib.import_module(f"{package}.{path.stem}" if path.stem != "__init__" else package)


def classes() -> list[type]:
    found = {c for m in modules() for c in vars(m).values() if inspect.isclass(c) and c.__module__ == m.__name__}
    return sorted(found, key=lambda c: (c.__module__, c.__name__))


@pytest.mark.parametrize("made", classes(), ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_no_class_stands_on_a_pile_of_others(made: type) -> None:
    """What a stage shares with another is handed on, not inherited: the protocol of backends is the one ancestor there is."""
    ours = [c for c in made.__mro__[1:] if c.__module__.partition(".")[0] in ("codegen", "derive")]
    assert len(ours) <= 1


@pytest.mark.parametrize("path", [p for p in FILES if p not in (NAMES, PATHS)], ids=label)
def test_nothing_is_decided_by_reading_text(path: Path) -> None:
    """No expressions of ``re``, no questions about what a text has in it, no text compared with a piece of source.

    ``x.index(y)`` of a tuple of axes is not one of a text: its argument is no string.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert not imported & {"re", "tokenize", "ast"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READING:
            assert node.func.attr in ("index", "count") and not any(map(texts, node.args)), ast.unparse(node)
        if isinstance(node, ast.Compare):
            for left, rel, right in zip([node.left, *node.comparators], node.ops, node.comparators, strict=False):
                pieces = [t for side in (left, right) for t in texts(side)]
                assert not any(t and not is_word(t) for t in pieces), ast.unparse(node)
                looked_for = isinstance(rel, ast.In | ast.NotIn) and bool(texts(left))
                assert not looked_for or ast.unparse(right) in SETS, ast.unparse(node)


def texts(node: ast.expr) -> list[str]:
    """The strings that an expression is, or is made of."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)]


def is_word(text: str) -> bool:
    """Whether a string is a word of the language (``exp``, ``sum``), a role or a package, and no piece of source."""
    return text.isidentifier()


UNIONS = {
    "Kind": get_args(assignment.Kind),
    "Storage": get_args(storage.Storage),
    "Step": get_args(nest.Step),
    "Begun": get_args(nest.Begun),
    "Node": get_args(nest.Node),
    "Part": get_args(nest.Part),
    "Accumulator": get_args(scope.Accumulator),
}


@pytest.mark.parametrize("name", UNIONS)
def test_the_kinds_of_a_union_are_frozen_records(name: str) -> None:
    assert len(UNIONS[name]) > 1
    for kind in UNIONS[name]:
        assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Kind", "Step", "Begun", "Part"])
def test_the_printer_matches_every_kind_and_says_so_to_the_type_checker(name: str) -> None:
    """Somewhere in the backend one ``match`` has a case for each, and ends in ``assert_never``."""
    wanted = {kind.__name__ for kind in UNIONS[name]}
    assert any(wanted <= cases(m) and "assert_never" in ast.unparse(function) for function, m in matches(NATIVE))


def matches(folder: Path) -> Iterator[tuple[ast.FunctionDef, ast.Match]]:
    for path in folder.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                yield from ((function, m) for m in ast.walk(function) if isinstance(m, ast.Match))


def cases(match: ast.Match) -> set[str]:
    patterns = [p for case in match.cases for p in ast.walk(case.pattern) if isinstance(p, ast.MatchClass)]
    return {p.cls.id for p in patterns if isinstance(p.cls, ast.Name)}


@pytest.mark.parametrize("path", sorted(LOOPS.glob("*.py")), ids=label)
def test_loop_nests_know_no_backend(path: Path) -> None:
    found = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)]
    ours = {str(n.module) for n in found if str(n.module).startswith("codegen.")}
    allowed = ("codegen.loops", "codegen.recognise", "codegen.program", "codegen.axes")
    assert all(m.startswith(allowed) for m in ours)


def test_what_is_handed_from_stage_to_stage_cannot_be_changed() -> None:
    """Only what collects lines or hands out names is mutable, and what works towards one result inside a module."""
    collecting = {"Writer", "Needs", "Names"}
    for made in classes():
        frozen = dataclasses.is_dataclass(made) and made.__dataclass_params__.frozen  # type: ignore[attr-defined]
        private = made.__name__.startswith("_") or made.__name__ in ("Placing", "NativeBackend")
        holds_nothing = inspect.isabstract(made)
        assert frozen or private or holds_nothing or issubclass(made, Enum) or made.__name__ in collecting, made
