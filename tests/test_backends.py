"""A backend is one object: a toy one, defined here, goes through everything that the others go through."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import codegen
from codegen.__main__ import main
from codegen.backends.backend import Backend, Files, Shown
from codegen.backends.discovery import by_name, discovered, load_kernel
from codegen.build import build
from codegen.evaluate.arithmetic import Numpy
from codegen.evaluate.trees import Evaluation
from codegen.plan import plan
from codegen.program import Kernel, Program
from codegen.table import table
from codegen.tools.accuracy import accuracy
from codegen.tools.atlas.sources import sources_section
from codegen.verify.agreement import agreement
from codegen.verify.judge import judge
from codegen.write import owned
from derive import derive, parse
from derive.errors import OpError
from derive.language.unicode import language
from derive.syntax import Read

TEXT = "y[n, d] = gate(x[n, d], w[d], k=0.5)\nm[n] = mean[d](x[n, d])\ny[n, d] = k*tanh(w[d]*(x[n, d] - m[n]))\n"


class Toy(Backend):
    """Spells each program as equations in the language, which its modules read and evaluate."""

    name, title, position = "toy", "Toy", 90
    refused = ""
    absent = ""

    def refuses(self, kernel: Kernel) -> str:
        return self.refused

    def missing(self) -> str:
        return self.absent

    def files(self, kernel: Kernel, command: str, beside: Collection[str] = ()) -> Files:
        return {f"toy/{kernel.op.name}.txt": "\n====\n".join(map(spelled, (kernel.forward, kernel.backward)))}

    def exports(self, op: str) -> tuple[str, ...]:
        return (op,)

    def package(self, ops: Iterable[str], command: str, beside: Collection[str] = ()) -> Files:
        return {"toy/index.txt": "\n".join(ops)}

    def shown(self, op: str) -> Shown:
        return Shown(f"toy/{op}.txt", "python", f"{op}_forward(")

    def load(self, name: str, files: Mapping[str, str]) -> ModuleType:
        module = ModuleType(name)
        forward, backward = map(function, files[f"toy/{name}.txt"].split("\n====\n"))

        def with_saved(*given: Any, **constants: Any) -> Any:
            y, *saved = forward(*given, **constants)
            return y, tuple(saved)

        setattr(module, f"{name}_forward", with_saved)
        setattr(module, f"{name}_backward", backward)
        return module

    def to(self, array: Any) -> Any:
        return np.asarray(array)

    def back(self, result: Any) -> Any:
        return np.array(result)


def spelled(program: Program) -> str:
    """The program as an op's text, each ``*s`` a single axis."""
    index = {s.name: s.index for s in program.statements}
    arguments = [language(Read(a.name, a.axes)) for a in program.arguments] + [c.name for c in program.constants]
    results = [language(Read(r, index[r])) for r in program.results]
    head = f"{', '.join(results)} = {program.name}({', '.join(arguments)})"
    text = "\n".join([head, *(f"{language(Read(s.name, s.index))} = {language(s.tree)}" for s in program.statements)])
    # In the language a name may not be called like the adjoint of another.
    return re.sub(r"\bd(\w+)", r"grad_\1", text)


def function(text: str) -> Callable[..., Any]:
    op = parse(text)
    inputs, constants = [t.name for t in op.inputs], [c.name for c in op.constants]

    def call(*given: Any, **named: Any) -> Any:
        values = dict(zip([*inputs, *constants], given, strict=False)) | named
        own = {n: np.asarray(values[n]) for n in inputs}
        dtype = next(v.dtype for v in own.values())
        found = Evaluation(op, own, {n: values[n] for n in constants}, Numpy(dtype)).run()
        results = tuple(np.array(found[t.name], dtype=dtype) for t in op.outputs)
        return results if len(results) > 1 else results[0]

    return call


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    backend = Toy()
    monkeypatch.setitem(discovered(), backend.name, backend)
    yield backend


def kernel() -> Kernel:
    return plan(derive(parse(TEXT)))


def test_it_is_built_and_judged(toy: Toy) -> None:
    built = build(parse(TEXT), backends=["toy"])
    assert set(built.errors) == {"toy"} and built.errors["toy"] < 1e-14
    assert "gate_forward(x[n, d], w[d], k)" in built.files["toy/gate.txt"]
    assert f"{built.errors['toy']:.1e}" in table([built])


def test_a_wrong_kernel_of_it_is_not_written(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = toy.files
    toy.files = lambda *given: {p: t.replace("tanh", "sinh") for p, t in own(*given).items()}  # type: ignore[method-assign]
    file = tmp_path / "gate.txt"
    file.write_text(TEXT)
    assert main(["emit", str(file), "--out", str(tmp_path / "out"), "--backend", "toy"]) == 1
    assert "the toy kernels differ from the equations" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_is_emitted_by_the_command(toy: Toy, tmp_path: Path) -> None:
    file = tmp_path / "gate.txt"
    file.write_text(TEXT)
    assert main(["emit", str(file), "--out", str(tmp_path / "out"), "--backend", "toy"]) == 0
    assert (tmp_path / "out/toy/gate.txt").is_file()
    assert not (tmp_path / "out/numpy").exists()
    assert "toy/gate.txt" in owned(tmp_path / "out")


def test_its_module_is_verified_audited_and_measured(toy: Toy) -> None:
    made = kernel()
    module = load_kernel(made, "toy")
    assert not judge(made, module, "toy").fault
    assert agreement(made, module, "toy").largest < 1e-12

    def backward(dy: Any, x: Any, w: Any, k: float = 0.5) -> Any:
        given = {"dy": dy, "x": x, "w": w, "k": k}
        _, saved = module.gate_forward(x, w, k)
        given |= dict(zip([t.name for t in made.saved], saved, strict=True))
        program = made.backward
        return module.gate_backward(*(given[a.name] for a in program.arguments), *(given[c.name] for c in program.constants))

    assert codegen.audit(backward, TEXT).correct
    assert "toy" in str(accuracy(parse(TEXT), ("float64",), ("toy",), quick=True))


def test_it_has_a_tab_of_the_atlas(toy: Toy) -> None:
    files = {b.shown("gate").path: f"\n{b.shown('gate').first})\n" for b in discovered().values()}
    tabs = sources_section("gate", files).content.tabs  # type: ignore[attr-defined]
    assert [t.title for t in tabs] == [b.title for b in discovered().values()] and tabs[-1].title == "Toy"


def test_what_it_refuses_is_refused_by_name_with_the_reason(toy: Toy) -> None:
    toy.refused = "it has no gates"
    with pytest.raises(OpError, match="there are no Toy kernels of it: it has no gates"):
        build(parse(TEXT), backends=["toy"])


def test_what_is_missing_is_said_where_results_would_stand(toy: Toy) -> None:
    toy.absent = "no toys here"
    built = build(parse(TEXT), backends=["toy"])
    assert not built.errors and "not run: toy (no toys here)" in table([built])
    assert "not measured: toy (no toys here)" in str(accuracy(parse(TEXT), ("float64",), ("numpy", "toy"), quick=True))


def test_an_unknown_backend_is_refused_with_those_that_there_are(toy: Toy, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("unknown backend 'cobol'; known: numpy, torch")) as refused:
        by_name("cobol")
    assert str(refused.value).endswith("toy")


@pytest.mark.parametrize("name", list(discovered()))
def test_every_folder_has_the_same_files(name: str) -> None:
    folder = Path(codegen.__file__).parent / "backends" / name
    assert {"backend.py", "printer.py", "templates"} <= {p.name for p in folder.iterdir()}
    assert by_name(name).name == name
