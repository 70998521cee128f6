"""The LaTeX of every op compiles with a real LaTeX; skipped where there is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from derive.ops import names, variants
from tests.long import each

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed (texlive-latex-base has it)")
@pytest.mark.parametrize("name", each(names(), variants()))
def test_compiles(name: str, tmp_path: Path) -> None:
    source = ROOT / "generated/latex" / f"{name}.tex"
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"-output-directory={tmp_path}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / f"{name}.pdf").stat().st_size > 1000
    wide = [
        line
        for line in done.stdout.splitlines()
        if line.startswith("Overfull \\hbox") and float(line.split("(")[1].split("pt")[0]) > 20
    ]
    assert not wide, wide


@pytest.mark.parametrize("name", each(names(), variants()))
def test_numbers_every_step_and_boxes_every_gradient(name: str) -> None:
    import derive

    text = (ROOT / "generated/latex" / f"{name}.tex").read_text(encoding="utf-8")
    derivation = derive.derive(derive.load(name))
    _, every = text.split(r"\section*{Every step of the engine}")
    assert every.count(r"\boxed") == len(derivation.lines)
    for rule in {step.rule.title for step in derivation.steps}:
        assert rule in every
