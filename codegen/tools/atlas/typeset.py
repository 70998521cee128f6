"""Formulas to HTML by KaTeX, in one Node process for all formulas. A formula that KaTeX refuses is an error."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from codegen.tools.atlas.page import Formula

__all__ = ["katex_files", "typeset"]

SCRIPT = Path(__file__).with_name("katex.mjs")
INSTALL = "`make atlas` installs it"


def typeset(formulas: Iterable[tuple[str, Formula]], node: Path) -> dict[Formula, str]:
    """The HTML of formulas, with MathML in it; each formula is given with the name of its op, for errors.

    ``node`` is the folder with node_modules. Raises RuntimeError where Node or KaTeX is missing, and ValueError with op and
    formula where KaTeX refuses a formula.
    """
    owner: dict[Formula, str] = {}
    for op, formula in formulas:
        owner.setdefault(formula, op)
    asked = [{"latex": f.latex, "display": f.display} for f in owner]
    html = {}
    for (formula, op), answer in zip(owner.items(), _answers(asked, node), strict=True):
        if "error" in answer:
            raise ValueError(f"{op}: KaTeX refuses the formula {formula.latex}: {answer['error']}")
        html[formula] = answer["html"]
    return html


def katex_files(node: Path) -> dict[str, bytes]:
    """KaTeX's stylesheet and fonts by their path beside the pages (RuntimeError where they are missing)."""
    dist = _katex(node) / "dist"
    fonts = sorted((dist / "fonts").glob("*.woff2"))
    return {"katex/katex.min.css": (dist / "katex.min.css").read_bytes()} | {
        f"katex/fonts/{f.name}": f.read_bytes() for f in fonts
    }


def _answers(asked: list[dict[str, object]], node: Path) -> list[dict[str, str]]:
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
    answers: list[dict[str, str]] = json.loads(done.stdout)
    return answers


def _katex(node: Path) -> Path:
    folder = node / "node_modules" / "katex"
    if not (folder / "dist" / "katex.min.css").is_file():
        raise RuntimeError(f"KaTeX was not found in {node / 'node_modules'}; {INSTALL}")
    return folder
