"""The command line and the owned folders: reproducible to the byte, all or nothing, with errors that help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import derive
from codegen import build, write
from codegen.__main__ import main
from codegen.commands.derive import generate
from codegen.emit import emit, formatted
from codegen.incremental.store import Made, Store
from derive.__main__ import main as derive_main
from derive.ops import load, names
from tests.long import each

ROOT = Path(__file__).resolve().parent.parent
MINE = """
y[n] = squash(x[n, d], gain)

y[n] = gain*sum[d](tanh(x[n, d]))
"""


@pytest.mark.long
def test_all_that_is_checked_in_is_what_is_generated(tmp_path: Path) -> None:
    found = write.differences(generate(Store(tmp_path)).files, ROOT / "generated")
    assert not found, "\n".join(f"{d.path} {d.what}\n{d.diff}" for d in found)[:5000]


@pytest.mark.parametrize("name", ["embedding", "sigmoid", "softmax_cross_entropy", "tanh_accurate"])
def test_what_is_checked_in_is_what_is_generated(name: str) -> None:
    for path, text in formatted(build.build(load(name), check=False).files).items():
        assert (ROOT / "generated" / path).read_text() == text


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """What `make derive` wrote."""
    return {path: (ROOT / "generated" / path).read_text() for path in write.owned(ROOT / "generated")}


def test_every_op_has_every_file(files: dict[str, str]) -> None:
    for name in names():
        assert {f"native/{name}.c", f"native/{name}.h", f"native/{name}.py"} <= files.keys()
        assert {f"numpy/{name}.py", f"torch/{name}.py", f"latex/{name}.tex", f"certificates/{name}.json"} <= files.keys()


def test_generated_files_name_no_path_and_no_date(files: dict[str, str]) -> None:
    for name, text in files.items():
        assert str(ROOT) not in text, name
        assert not any(f"20{y}-" in text for y in range(24, 40)), name


def test_the_same_bytes_under_another_hash_seed() -> None:
    """Two processes with different hash seeds make the same files."""
    code = (
        f"import json, derive\nfrom codegen.build import build\n"
        f"print(json.dumps(build(derive.parse({MINE!r}), check=False).files))"
    )
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
        outputs.append(json.loads(done.stdout))
    assert outputs[0] == outputs[1]
    assert {"numpy/squash.py", "torch/squash.py", "latex/squash.tex", "native/squash.c"} <= outputs[0].keys()


def test_emit_writes_only_the_backends_asked_for(tmp_path: Path) -> None:
    emit(MINE, tmp_path, backends=["numpy"])
    assert (tmp_path / "numpy/squash.py").is_file()
    assert not (tmp_path / "torch").exists()


def test_an_emitted_file_stands_alone(tmp_path: Path) -> None:
    emit(MINE, tmp_path, backends=["numpy"])
    code = "import squash, numpy as np; y, saved = squash.squash_forward(np.ones((2, 3)), np.float64(2.0)); print(y.shape)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'numpy')!r}); {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "(2,)", done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y[n] = f(x[n])\ny[n] = g[n]", "unknown name 'g'"),
        ("y[n] = f(x[n])\ny[n] = sin(x[m])", "index 'm'"),
        ("", "empty"),
    ],
)
def test_bad_input_writes_nothing_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "op.txt").write_text(text)
    out = tmp_path / "out"
    assert main(["emit", str(tmp_path / "op.txt"), "--out", str(out)]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_an_unknown_backend_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "op.txt").write_text(MINE)
    assert main(["emit", str(tmp_path / "op.txt"), "--out", str(tmp_path / "out"), "--backend", "fortran"]) == 1
    assert "fortran" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_failing_op_leaves_generated_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """When one op fails, nothing is written and the op is named."""

    def broken(parts: list[str]) -> Iterator[Made]:
        raise derive.OpError("it does not derive", op="tanh")

    def refuse(*_: object) -> None:
        raise AssertionError("something was written")

    monkeypatch.setattr("codegen.commands.derive._all", broken)
    monkeypatch.setattr("codegen.commands.derive.STORE", tmp_path)
    monkeypatch.setattr("codegen.commands.derive.write_owned", refuse)
    assert main(["derive"]) == 1
    assert "tanh" in capsys.readouterr().err


def test_an_orphan_fails_the_check_and_is_removed(tmp_path: Path) -> None:
    """A deleted op's files are counted until they go; files outside the owned folders stay."""
    wanted = {"numpy/a.py": "A = 1\n"}
    write.write_owned(wanted, tmp_path)
    (tmp_path / "numpy/gone.py").write_text("B = 2\n")
    (tmp_path / "mine.txt").write_text("kept")
    (found,) = write.differences(wanted, tmp_path)
    assert (found.path, found.what) == ("numpy/gone.py", "nothing generates it") and "-B = 2" in found.diff
    assert write.write_owned(wanted, tmp_path) == (0, 1)
    assert write.differences(wanted, tmp_path) == []
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    write.write_files({"numpy/a.py": "A = 1\n"}, tmp_path)
    before = (tmp_path / "numpy/a.py").stat().st_mtime_ns
    assert write.write_files({"numpy/a.py": "A = 1\n"}, tmp_path) == 0
    assert (tmp_path / "numpy/a.py").stat().st_mtime_ns == before


def test_list_names_every_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert derive_main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{printed}" for name in names())
    assert all(line.startswith(" ") or line.split()[0] in names() for line in printed.splitlines())


@pytest.mark.parametrize("flags", [[], ["--full"], ["--latex"], ["--latex", "--full"]])
@pytest.mark.parametrize("name", each(names()))
def test_show_prints_every_op(name: str, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert derive_main(["show", name, *flags]) == 0
    printed = capsys.readouterr().out
    for t in derive.load(name).differentiable:
        assert (r"\mathrm{d}" if "--latex" in flags else f"d{t.name}") in printed


def test_certify_prints_what_was_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert derive_main(["show", "softmax", "--certify"]) == 0
    printed = capsys.readouterr().out
    assert "certificate: passed" in printed
    assert "dz: " in printed and "closed form" in printed


def test_full_shows_every_intermediate_in_chain_rule_order(capsys: pytest.CaptureFixture[str]) -> None:
    derive_main(["show", "batchnorm", "--full"])
    printed = capsys.readouterr().out
    order = [printed.index(f"\n{name}[") for name in ("dxhat", "drstd", "dvar", "dc", "dmu", "dx")]
    assert order == sorted(order)


def test_show_of_an_unknown_op_says_how_to_list_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert derive_main(["show", "nothing"]) == 1
    assert "'python -m codegen list' lists all" in capsys.readouterr().err


def test_importing_the_numpy_kernels_needs_numpy_alone() -> None:
    """No torch, SymPy, Jinja or engine is imported by `import generated.numpy`."""
    heavy = {"torch", "sympy", "jinja2", "derive", "codegen", "tqdm"}
    code = f"import sys, generated.numpy; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
