"""The picture of the README: an op's equations, the derivation of its last gradient, and the lines of its backward kernel.

It is drawn from the op's derivation and from the file that was generated, so it shows what there is.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from html import escape

from codegen.backends.arrays.discovery import array_backends
from codegen.backends.backend import Files
from codegen.backends.discovery import discovered
from derive import Op, load
from derive.language.unicode import text
from derive.ops import names
from derive.show.show import Part
from derive.syntax import Read, adjoint_name
from derive.textbook.pages import textbook_sections
from derive.textbook.paper import textbook

__all__ = ["NAME", "picture"]

#: The file of the picture below ``generated/``.
NAME = "front.svg"
#: The op that is drawn: its equations are few, and its gradient is worth a derivation.
OP = "rmsnorm"

#: Sizes in pixels. A letter of the font is at most ``LETTER`` wide; lines are stretched to that.
LETTER, LINE, MARGIN, GAP, HEAD = 8.0, 21, 24, 34, 34
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
#: Colours on a light page, and the same on a dark one.
LIGHT = {"card": "#f6f8fa", "edge": "#d0d7de", "code": "#1f2328", "head": "#0550ae", "note": "#57606a"}
DARK = {"card": "#161b22", "edge": "#30363d", "code": "#e6edf3", "head": "#79c0ff", "note": "#8b949e"}

#: A line, and what stands at the right of it.
Line = tuple[str, str]


def picture(files: Mapping[str, str]) -> Files:
    """The picture's file, drawn from formatted files by path; none where the catalogue has no such op."""
    if OP not in names():
        return {}
    op = load(OP)
    *others, last = (b.title for b in discovered().values())
    title, kernel = _kernel(files, [adjoint_name(t.name) for t in (*op.differentiable, *map(op.tensor, _names(op)))])
    cards = [
        ("You write the equations", [(line, "") for line in _equations(op)]),
        ("The engine derives, and every step is checked at 50 digits", _steps(op)),
        (f"Kernels in {', '.join(others)} and {last}; here {title}", [(line, "") for line in kernel]),
    ]
    return {NAME: _drawn(cards)}


# ---- what is shown ----------------------------------------------------------------------------------------------------------


def _names(op: Op) -> list[str]:
    return [e.name for e in op.equations]


def _equations(op: Op) -> list[str]:
    return [line for line in op.text.strip().splitlines() if " = " in line][1:]


def _steps(op: Op) -> list[Line]:
    """The rows of the last gradient, with their rules."""
    groups = next(s.groups for s in textbook_sections(textbook(op)) if s.part is Part.DERIVATION)
    gradients = {adjoint_name(t.name) for t in op.differentiable}
    rows = next(g for g in reversed(groups) if g[0].name in gradients)
    left = text(Read(rows[0].name, rows[0].index))
    return [(f"{left if row.first else ' ' * len(left)} = {text(row.tree)}", ", ".join(row.rules)) for row in rows]


def _kernel(files: Mapping[str, str], adjoints: Collection[str]) -> tuple[str, list[str]]:
    """A backend's title and the lines of its backward kernel that give adjoints a value; the backend that has the fewest."""
    found = []
    for name, backend in array_backends().items():
        source = files[f"{name}/{OP}.py"]
        functions = (n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef))
        body = next(n.body for n in functions if n.name == f"{OP}_backward")
        found.append((backend.title, [ast.get_source_segment(source, n) or "" for n in body if _target(n) in adjoints]))
    return min(found, key=lambda one: len(one[1]))


def _target(node: ast.stmt) -> str:
    """The name that a statement gives a value; "" where it gives a tuple, or none. A change of an array's shape gives none."""
    if isinstance(node, ast.Assign | ast.AugAssign):
        target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
        call = node.value.func if isinstance(node.value, ast.Call) else None
        reshaped = isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and ast.unparse(target) == call.value.id
        return "" if reshaped else ast.unparse(target)
    return ""


# ---- how it is drawn --------------------------------------------------------------------------------------------------------


def _drawn(cards: list[tuple[str, list[Line]]]) -> str:
    wide = max(len(line) + (len(note) + 4 if note else 0) for _, lines in cards for line, note in lines)
    width = round(wide * LETTER) + 4 * MARGIN
    body: list[str] = []
    top = MARGIN
    for number, (head, lines) in enumerate(cards):
        height = HEAD + LINE * len(lines) + 18
        body += _card(head, lines, top, width, height)
        top += height
        if number < len(cards) - 1:
            body.append(_arrow(width // 2, top, top + GAP))
            top += GAP
    said = escape("; ".join(head for head, _ in cards))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + MARGIN}" width="{width}" role="img">',
            f"<title>{said}</title>",
            f"<style>{_style(LIGHT)} @media (prefers-color-scheme: dark) {{ {_style(DARK)} }}</style>",
            *body,
            "</svg>\n",
        ]
    )


def _style(colours: Mapping[str, str]) -> str:
    return (
        f".card {{ fill: {colours['card']}; stroke: {colours['edge']}; }} "
        f".arrow {{ fill: none; stroke: {colours['note']}; stroke-width: 2; }} "
        f"text {{ font: 13px {FONT}; fill: {colours['code']}; white-space: pre; }} "
        f".head {{ font: 600 15px system-ui, 'Segoe UI', Helvetica, Arial, sans-serif; fill: {colours['head']}; }} "
        f".note {{ fill: {colours['note']}; }}"
    )


def _card(head: str, lines: list[Line], top: int, width: int, height: int) -> list[str]:
    """A box with a heading and lines of code."""
    out = [f'<rect class="card" x="{MARGIN}" y="{top}" width="{width - 2 * MARGIN}" height="{height}" rx="8"/>']
    out.append(f'<text class="head" x="{2 * MARGIN}" y="{top + 26}">{escape(head)}</text>')
    for number, (line, note) in enumerate(lines):
        y = top + HEAD + LINE * (number + 1) - 3
        out.append(_letters(line, "code", 2 * MARGIN, y))
        if note:
            out.append(_letters(note, "note", width - 2 * MARGIN - round(len(note) * LETTER), y))
    return out


def _letters(line: str, kind: str, x: int, y: int) -> str:
    """A line in letters of one width, whatever font there is."""
    code = line.lstrip(" ")
    start, length = x + (len(line) - len(code)) * LETTER, len(code) * LETTER
    return f'<text class="{kind}" x="{start:g}" y="{y}" textLength="{length:g}">{escape(code)}</text>'


def _arrow(x: int, top: int, bottom: int) -> str:
    return f'<path class="arrow" d="M {x} {top + 5} V {bottom - 6} m -6 -7 l 6 7 l 6 -7"/>'
