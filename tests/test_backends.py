"""A backend is one object: that of the recipe goes through everything that the others go through."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codegen
from codegen.__main__ import main
from codegen.backends.discovery import by_name, discovered, load_kernel
from codegen.build import build
from codegen.plan import plan
from codegen.program import Kernel
from codegen.table import table
from codegen.tools.accuracy import accuracy
from codegen.tools.atlas.sources import sources_section
from codegen.verify.agreement import agreement
from codegen.verify.judge import judge
from codegen.write import owned
from derive import derive, parse
from derive.errors import OpError
from tests.recipes import RECIPES

TEXT = "y[n, d] = gate(x[n, d], w[d], k=0.5)\nm[n] = mean[d](x[n, d])\ny[n, d] = k*tanh(w[d]*(x[n, d] - m[n]))\n"


#: What the recipe for a backend defines.
SCOPE: dict[str, Any] = {"__name__": "text_backend"}
exec(compile(RECIPES["A backend"].files["codegen/backends/text/backend.py"], "codegen/README.md", "exec"), SCOPE)


class Toy(SCOPE["TextBackend"]):  # type: ignore[misc]
    """Spells each program as equations in the language, which its modules read and evaluate."""

    refused = ""
    absent = ""

    def refuses(self, kernel: Kernel) -> str:
        return self.refused

    def missing(self) -> str:
        return self.absent


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    backend = Toy()
    monkeypatch.setitem(discovered(), backend.name, backend)
    yield backend


def kernel() -> Kernel:
    return plan(derive(parse(TEXT)))


def test_it_is_built_and_judged(toy: Toy) -> None:
    built = build(parse(TEXT), backends=["text"])
    assert set(built.errors) == {"text"} and built.errors["text"] < 1e-14
    assert "gate_forward(x[n, d], w[d], k)" in built.files["text/gate.txt"]
    assert f"{built.errors['text']:.1e}" in table([built])


def test_a_wrong_kernel_of_it_is_not_written(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = toy.files
    toy.files = lambda *given: {p: t.replace("tanh", "sinh") for p, t in own(*given).items()}  # type: ignore[method-assign]
    file = tmp_path / "gate.txt"
    file.write_text(TEXT)
    assert main(["emit", str(file), "--out", str(tmp_path / "out"), "--backend", "text"]) == 1
    assert "the text kernels differ from the equations" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_is_emitted_by_the_command(toy: Toy, tmp_path: Path) -> None:
    file = tmp_path / "gate.txt"
    file.write_text(TEXT)
    assert main(["emit", str(file), "--out", str(tmp_path / "out"), "--backend", "text"]) == 0
    assert (tmp_path / "out/text/gate.txt").is_file()
    assert not (tmp_path / "out/numpy").exists()
    assert "text/gate.txt" in owned(tmp_path / "out")


def test_its_module_is_verified_audited_and_measured(toy: Toy) -> None:
    made = kernel()
    module = load_kernel(made, "text")
    assert not judge(made, module, "text").fault
    assert agreement(made, module, "text").largest < 1e-12

    def backward(dy: Any, x: Any, w: Any, k: float = 0.5) -> Any:
        given = {"dy": dy, "x": x, "w": w, "k": k}
        _, saved = module.gate_forward(x, w, k)
        given |= dict(zip([t.name for t in made.saved], saved, strict=True))
        program = made.backward
        return module.gate_backward(*(given[a.name] for a in program.arguments), *(given[c.name] for c in program.constants))

    assert codegen.audit(backward, TEXT).correct
    assert "text" in str(accuracy(parse(TEXT), ("float64",), ("text",), quick=True))


def test_it_has_a_tab_of_the_atlas(toy: Toy) -> None:
    files = {b.shown("gate").path: f"\n{b.shown('gate').first})\n" for b in discovered().values()}
    tabs = sources_section("gate", files).content.tabs  # type: ignore[attr-defined]
    assert [t.title for t in tabs] == [b.title for b in discovered().values()] and tabs[-1].title == "Text"


def test_what_it_refuses_is_refused_by_name_with_the_reason(toy: Toy) -> None:
    toy.refused = "it has no gates"
    with pytest.raises(OpError, match="there are no Text kernels of it: it has no gates"):
        build(parse(TEXT), backends=["text"])


def test_what_is_missing_is_said_where_results_would_stand(toy: Toy) -> None:
    toy.absent = "no toys here"
    built = build(parse(TEXT), backends=["text"])
    assert not built.errors and "not run: text (no toys here)" in table([built])
    assert "not measured: text (no toys here)" in str(accuracy(parse(TEXT), ("float64",), ("numpy", "text"), quick=True))


def test_an_unknown_backend_is_refused_with_those_that_there_are(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("unknown backend 'cobol'; known: numpy, torch")) as refused:
        by_name("cobol")
    assert str(refused.value).endswith("text")


@pytest.mark.parametrize("name", list(discovered()))
def test_every_folder_has_the_same_files(name: str) -> None:
    folder = Path(codegen.__file__).parent / "backends" / name
    assert {"backend.py", "printer.py", "templates"} <= {p.name for p in folder.iterdir()}
    assert by_name(name).name == name
