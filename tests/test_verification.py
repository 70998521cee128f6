"""Verification acts: a kernel that differs from the equations is not written, whatever backend was asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import derive
from codegen.__main__ import main
from codegen.backends.arrays import spelling
from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.arrays.discovery import arrays
from codegen.backends.native.printer import CExpressions
from codegen.backends.native.text import CText
from codegen.load import load_source
from codegen.plan import plan
from codegen.program import Kernel
from codegen.verify.judge import judge
from derive import syntax as st
from tests import kernels
from tests.mutants import mutants

ROOT = Path(__file__).resolve().parent.parent
GATED = """
y[n, o] = gated(g[n, m], u[n, m], W[m, o], h[n, o], k=0.5)
a[n, m] = tanh(g[n, m])
y[n, o] = sum[m](a[n, m]*u[n, m]*W[m, o]) + k*h[n, o]
"""
STARRED = "y[c, *s] = starred(w[c], x[*s])\ny[c, *s] = w[c]*exp(x[*s])"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "op.txt"
    path.write_text(GATED)
    return path


def run(file: Path, backends: str) -> tuple[int, list[Path]]:
    out = file.parent / "out"
    status = main(["emit", str(file), "--out", str(out), "--backend", backends])
    return status, sorted(out.rglob("*"))


@pytest.mark.parametrize("backends", ["torch", "numpy,torch,native"])
def test_a_right_kernel_is_written(file: Path, backends: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, written = run(file, backends)
    assert status == 0 and written
    assert "gated" in capsys.readouterr().out


def assert_refused(file: Path, backends: str, who: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, written = run(file, backends)
    message = capsys.readouterr().err
    assert (status, written) == (1, [])
    assert message.count("\n") == 1 and f"the {who} kernels differ from the equations" in message


@pytest.mark.parametrize("backends", ["numpy", "torch", "jax", "native", "numpy,torch,native"])
def test_wrong_brackets_are_not_written(
    file: Path, backends: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``a * b @ c``: the fault of a printer, in what was asked for and in what is written beside it."""
    monkeypatch.setattr(spelling.Text, "within", lambda text, level: text.code)
    assert_refused(file, backends, backends if backends in ("torch", "jax") else "numpy", capsys)


def test_a_wrong_native_kernel_is_not_written(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    added = CExpressions.added

    def wrong(spell: CExpressions, args: tuple[st.Tree, ...]) -> CText:
        right = added(spell, args)
        return replace(right, code=right.code.replace(" + ", " - "))

    monkeypatch.setattr(CExpressions, "added", wrong)
    assert_refused(file, "native", "native", capsys)


def test_a_wrong_gradient_of_the_differentiable_op_is_not_written(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernels are right, and the op around them hands autograd another gradient."""

    right = ArrayBackend.text

    def wrong(backend: ArrayBackend, kernel: Kernel, command: str) -> str:
        return right(backend, kernel, command).replace("return dg, du, dW, dh, None", "return dg, du, 2 * dW, dh, None")

    monkeypatch.setattr(ArrayBackend, "text", wrong)
    assert_refused(file, "torch", "torch", capsys)


def test_what_was_there_before_stays(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(file, "numpy")
    before = {p: p.read_bytes() for p in (file.parent / "out").rglob("*.*")}
    monkeypatch.setattr(spelling.Text, "within", lambda text, level: text.code)
    assert run(file, "numpy")[0] == 1
    assert {p: p.read_bytes() for p in (file.parent / "out").rglob("*.*")} == before


def test_without_torch_the_other_kernels_are_judged_too(file: Path) -> None:
    """Nothing of torch is imported, and a wrong kernel is refused."""
    script = f"""
import sys
sys.modules["torch"] = None
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else real(name, *rest)
from codegen.__main__ import main
status = main(["emit", {str(file)!r}, "--out", {str(file.parent / "right")!r}])
from codegen.backends.arrays import spelling
spelling.Text.within = lambda text, level: text.code
wrong = main(["emit", {str(file)!r}, "--out", {str(file.parent / "wrong")!r}])
print(status, wrong)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.splitlines()[-1:] == ["0 1"], done.stdout + done.stderr
    assert "the numpy kernels differ" in done.stderr
    assert (file.parent / "right" / "torch" / "gated.py").is_file() and not (file.parent / "wrong").exists()


# ---- the judge ------------------------------------------------------------------------------------------------------------

JUDGED = {
    "gated": GATED.strip(),
    "starred": STARRED,
    "centred": "y[n, d] = centred(x[n, d])\nmu[d] = mean[n](x[n, d])\ny[n, d] = (x[n, d] - mu[d])**4",
    "labelled": "y = labelled(z[n, c], t[n])\nt[n] in c\nlp[n, c] = log_softmax(z[n, c])\ny = -mean[n](lp[n, t[n]])",
    "scaled": "y[n] = scaled(x[n], w[n])\ny[n] = 1e-20*x[n]*w[n]",
}


@pytest.mark.parametrize("backend", ["numpy", "torch"])  # the judge is the same for all
@pytest.mark.parametrize("name", JUDGED)
def test_every_mutant_is_refused(name: str, backend: str) -> None:
    """What a slip would make of the emitted source, on every line of it."""
    kernel = plan(derive.derive(derive.parse(JUDGED[name])))
    source = arrays(backend).text(kernel, "a test")
    assert not judge(kernel, load_source(name, source), backend).fault
    tried = [m for program in (kernel.forward, kernel.backward) for m in mutants(source, program.name)]
    tried = [m for m in tried if m.source != ast.unparse(ast.parse(source))]
    assert tried
    for mutant in tried:
        assert judge(kernel, load_source(name, mutant.source), backend).fault, f"taken for right: {mutant.change}"


def test_the_error_of_a_gradient_that_is_zero_is_no_ratio_of_roundings() -> None:
    """The gradient of the bias before the batch norm is 0, and with two rows so is nearly all that comes behind."""
    verdict = judge(kernels.kernel("makemore"), kernels.module("makemore", "numpy"), "numpy")
    assert not verdict.fault and 0 < verdict.largest < 1e-9
