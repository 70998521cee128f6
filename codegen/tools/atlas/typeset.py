"""Formulas to HTML by KaTeX, in one Node process for all formulas. A formula that KaTeX refuses is an error."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codegen.tools.atlas.page import Formula

__all__ = ["Typeset", "katex_fonts", "typeset"]

SCRIPT = Path(__file__).with_name("katex.mjs")
INSTALL = "`make atlas` installs it"


@dataclass(frozen=True)
class Typeset:
    """The HTML of formulas, with MathML in it; KaTeX's stylesheet for it, and the rules of style that it needs beside that."""

    html: dict[Formula, str]
    katex: str
    css: str


def typeset(formulas: Iterable[tuple[str, Formula]], node: Path) -> Typeset:
    """Formulas typeset; each is given with the name of its op, for errors.

    ``node`` is the folder with node_modules. Raises RuntimeError where Node or KaTeX is missing, and ValueError with op and
    formula where KaTeX refuses a formula.
    """
    owner: dict[Formula, str] = {}
    for op, formula in formulas:
        owner.setdefault(formula, op)
    asked = [{"latex": f.latex, "display": f.display} for f in owner]
    html: dict[Formula, str] = {}
    found = _answers(asked, node)
    for (formula, op), answer in zip(owner.items(), found["formulas"], strict=True):
        if "error" in answer:
            raise ValueError(f"{op}: KaTeX refuses the formula {formula.latex}: {answer['error']}")
        html[formula] = answer["html"]
    return Typeset(html, found["katex"], found["css"])


def katex_fonts(node: Path) -> dict[str, bytes]:
    """KaTeX's fonts by their path beside the pages (RuntimeError where they are missing)."""
    fonts = sorted((_katex(node) / "dist/fonts").glob("*.woff2"))
    return {f"katex/fonts/{f.name}": f.read_bytes() for f in fonts}


def _answers(asked: list[dict[str, object]], node: Path) -> dict[str, Any]:
    program = shutil.which("node")
    if program is None:
        raise RuntimeError(
            "node was not found; the atlas needs Node.js to typeset formulas (on Debian: apt-get install nodejs npm)"
        )
    _katex(node)
    command = [program, str(SCRIPT), str(node.resolve())]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"node could not run KaTeX:\n{done.stderr.strip()}")
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def _katex(node: Path) -> Path:
    folder = node / "node_modules" / "katex"
    if not (folder / "dist" / "katex.min.css").is_file():
        raise RuntimeError(f"KaTeX was not found in {node / 'node_modules'}; {INSTALL}")
    return folder
