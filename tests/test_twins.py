"""What is one thing stands once: no function is written twice, and no helper of emitted code; a kind is no text."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from codegen.backends.arrays.libraries import libraries
from codegen.backends.arrays.library import Library
from tests.test_layering import MODULES, label

ROOT = Path(__file__).resolve().parent.parent
#: A function of fewer nodes is as short as a call of another would be.
SMALL = 20
LIBRARIES = [a for a in libraries() if a.differentiates]


def bodies(path: Path) -> list[tuple[str, str]]:
    """What the functions of a file do, each with its name; their documentation does not count."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if sum(1 for statement in body for _ in ast.walk(statement)) >= SMALL:
                found.append(("\n".join(map(ast.dump, body)), node.name))
    return found


def test_no_function_is_written_twice() -> None:
    places = defaultdict(list)
    for path in MODULES.values():
        for body, name in bodies(path):
            places[body].append(f"{label(path)}: {name}")
    assert not [twins for twins in places.values() if len(twins) > 1]


def test_no_helper_of_emitted_code_is_written_twice() -> None:
    """What is the same in all array backends lies with what they share."""
    places = defaultdict(list)
    for path in (ROOT / "codegen/backends").rglob("helpers/*.j2"):
        places[path.read_text(encoding="utf-8")].append(label(path))
    assert places and not [twins for twins in places.values() if len(twins) > 1]


def test_no_table_of_numbers_is_written_twice() -> None:
    """Of the templates: the coefficients of a polynomial, for one."""
    places = defaultdict(set)
    for path in (ROOT / "codegen/backends").rglob("*.py.j2"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if (
                line.startswith("    ")
                and line.strip().removesuffix(",").lstrip("-").replace(".", "").replace("e-", "").isdigit()
            ):
                places[line.strip()].add(label(path))
    assert places and not [line for line, files in places.items() if len(files) > 1 and len(line) > 10]


# ---- one way to differentiate -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda a: a.name)
def test_what_does_not_depend_on_an_array_has_no_gradient(library: Library) -> None:
    """Kernels and other people's code are differentiated by the same function, whatever hangs on what."""
    if reason := library.missing():
        pytest.skip(reason)
    with library.running():
        x, w = (library.array(np.array([1.0, 2.0]), (2,)) for _ in range(2))
        outputs, pull = library.differentiated(lambda a: (a["x"] * a["x"], w), {"x": x, "unread": w})
        found = {n: library.numbers(g).tolist() for n, g in pull([w, w]).items()}
        assert len(outputs) == 2 and found == {"x": [2.0, 8.0], "unread": [0.0, 0.0]}
        _, pull = library.differentiated(lambda a: w, {"x": x})
        assert library.numbers(pull([w])["x"]).tolist() == [0.0, 0.0]


# ---- kinds --------------------------------------------------------------------------------------------------------------

#: What says of which kind something is, among a few that are known.
KINDS = {"rule", "part", "role", "place", "fate", "held", "storage"}


@pytest.mark.parametrize("path", list(MODULES.values()), ids=label)
def test_kinds_are_told_apart_by_what_they_are_and_not_by_a_text(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            named = {s.attr for s in sides if isinstance(s, ast.Attribute)} & KINDS
            texts = [c for s in sides for c in ast.walk(s) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
            assert not (named and texts), f"{label(path)}:{node.lineno}"
