"""One function knows how an adjoint is called: no other code, and no template, puts a ``d`` before a name or takes it away."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegen.render import adjoint, environment, primal
from derive.syntax import adjoint_name, primal_name

ROOT = Path(__file__).resolve().parent.parent
FILES = [p for folder in ("derive", "codegen") for end in ("py", "j2") for p in sorted((ROOT / folder).rglob(f"*.{end}"))]
HOME = ROOT / "derive" / "adjoint_names.py"
#: What ends in a ``d`` that stands alone, before a name: in an f-string of an f-string too.
BEFORE = re.compile(r"(?:^|[^\w\\{}])d$")
#: The same in the text of a template or of code that is emitted, and what takes the first letter of a name away.
PUT, TAKEN = re.compile(r"[\"']d\{"), re.compile(r"(?:\bn|name\w*|upstream|adjoint|gradient|\"\])\[1:\]")


def built(node: ast.AST) -> bool:
    """Whether code makes an adjoint's name of a name, or the reverse."""
    match node:
        case ast.JoinedStr(parts):
            pairs = zip(parts, parts[1:], strict=False)
            texts = [a.value for a, b in pairs if isinstance(a, ast.Constant) and isinstance(b, ast.FormattedValue)]
            return any(BEFORE.search(str(text)) for text in texts)
        case ast.BinOp(ast.Constant("d"), ast.Add()):
            return True
        case ast.Call(ast.Attribute(_, "removeprefix" | "startswith"), [ast.Constant("d")]):
            return True
        case ast.Compare(ast.Subscript(), _, [ast.Constant("d")]):
            return True
        case ast.Constant(str(text)):
            return bool(PUT.search(text) or TAKEN.search(text))
        case ast.Subscript():
            return bool(TAKEN.search(ast.unparse(node)))
    return False


def places(path: Path) -> Iterator[int]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield from (getattr(node, "lineno", 0) for node in ast.walk(ast.parse(text)) if built(node))
    else:
        yield from (k for k, line in enumerate(text.splitlines(), 1) if PUT.search(line) or TAKEN.search(line))


@pytest.mark.parametrize("path", [p for p in FILES if p != HOME], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_other_place_knows_how_an_adjoint_is_called(path: Path) -> None:
    assert not [*places(path)]


SEEN = (
    'f"d{t.name}"',
    "f'autograd[\"d{o}_total\"]'",
    "'f\"d{n}\"'",
    '"d" + n',
    'n.removeprefix("d")',
    'n[:1] == "d"',
    "line.name[1:]",
)


@pytest.mark.parametrize("text", SEEN)
def test_the_scan_sees(text: str) -> None:
    assert any(built(node) for node in ast.walk(ast.parse(text)))


def test_templates_say_it_by_the_same_function() -> None:
    assert adjoint("{name}") == adjoint_name("{name}") and environment().globals["adjoint"] is adjoint
    for name in ("x", "loss", "dx"):
        assert eval(primal("n"), {"n": adjoint_name(name)}) == name == primal_name(adjoint_name(name))
