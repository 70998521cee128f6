"""The certificate of an op as a table of the checks of each name."""

from __future__ import annotations

import json
from dataclasses import dataclass

from codegen.tools.atlas.page import Formula, Section
from derive.certify import DIGITS
from derive.show.latex import LatexPrinter

__all__ = ["Certified", "Checked", "Check", "certificate_section"]


@dataclass(frozen=True)
class Check:
    """A rule, and how often it was checked for a name. ``failed`` is "" where every check passed."""

    rule: str
    times: str
    failed: str


@dataclass(frozen=True)
class Checked:
    name: Formula
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Certified:
    verdict: str
    tolerance: str
    points: tuple[str, ...]
    names: tuple[Checked, ...]


def certificate_section(text: str, printer: LatexPrinter) -> Section:
    """The section from the certificate's JSON."""
    data = json.loads(text)
    checks = data["checks"]
    passed = sum(c["passed"] for c in checks)
    names = dict.fromkeys(c["name"] for c in checks)
    content = Certified(
        f"{passed} of {len(checks)} checks passed at {len(data['points'])} random points, in arithmetic of {DIGITS} digits",
        data["tolerance"],
        tuple(", ".join(f"{axis} = {n}" for axis, n in point["sizes"].items()) or "scalars" for point in data["points"]),
        tuple(_checked(name, [c for c in checks if c["name"] == name], printer) for name in names),
    )
    return Section("certificate", "Certificate", "certificate.html.j2", content)


def _checked(name: str, checks: list[dict[str, object]], printer: LatexPrinter) -> Checked:
    rules = dict.fromkeys(str(c["rule"]) for c in checks)
    found = []
    for rule in rules:
        mine = [c for c in checks if c["rule"] == rule]
        failed = "" if all(c["passed"] for c in mine) else "failed"
        found.append(Check(rule, f"{len(mine)}" if len(mine) > 1 else "", failed))
    return Checked(Formula(printer.name(name), display=False), tuple(found))
