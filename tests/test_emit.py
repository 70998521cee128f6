"""What is emitted is a package to import at once; what somebody else wrote or edited by hand is not lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import codegen.emit
from codegen import write
from codegen.__main__ import main
from codegen.backends.discovery import discovered
from codegen.emit import emit
from codegen.emitted import RECORD, alone, recorded
from tests.backends import RUNNING

ROOT = Path(__file__).resolve().parent.parent
GATE = ["emit", "tanh(x)*g", "--name", "gate"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed_imports(out: str) -> list[str]:
    return [line.strip() for line in out.splitlines() if line.startswith("    from ")]


def run_python(code: str, folder: Path) -> str:
    """What Python prints, started in a folder that has nothing of this checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_lines_that_are_printed_import_every_op_of_the_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two ops, one after the other: the packages then have both."""
    (here / "op.txt").write_text("y[n] = squash(x[n, d], gain)\n\ny[n] = gain*sum[d](tanh(x[n, d]))\n")
    assert main(["emit", "op.txt", "--out", "mine/kernels"]) == 0
    lines = printed_imports(capsys.readouterr().out)
    assert main([*GATE, "--out", "mine/kernels"]) == 0
    lines += printed_imports(capsys.readouterr().out)
    running = [line for line in lines if line.split()[1].split(".")[2] in RUNNING]
    assert len({line.split()[1] for line in running}) >= len(RUNNING)
    everything = [f"import mine.kernels.{name} as k; print(k.squash_forward, k.gate_forward, *k.__all__)" for name in RUNNING]
    printed = run_python("\n".join([*running, *everything]), here)
    assert printed.count("gate_backward") == len(RUNNING)


def test_a_folder_elsewhere_says_where_python_finds_it(
    here: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert main(["emit", "tanh", "--backend", "numpy", "--out", str(elsewhere / "mine")]) == 0
    out = capsys.readouterr().out
    assert f"started in {elsewhere}" in out
    run_python("\n".join(printed_imports(out)), elsewhere)


def test_a_folder_that_python_cannot_import_from_is_said_to_be_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "tanh", "--backend", "numpy", "--out", "my-kernels"]) == 0
    out = capsys.readouterr().out
    assert "cannot import" in out and not printed_imports(out)
    assert (here / "my-kernels/numpy/tanh.py").is_file()


def test_an_op_by_name_by_file_and_by_formula_say_how_they_are_emitted_again(here: Path) -> None:
    (here / "folder").mkdir()
    (here / "folder/my op.txt").write_text("y[n] = square(x[n])\ny[n] = x[n]**2\n")
    for arguments, file, said in (
        (["tanh"], "tanh", "emit tanh`"),
        (["tanh_accurate"], "tanh_accurate", "emit tanh_accurate`"),
        (["tanh", "--variant", "accurate"], "tanh_accurate", "emit tanh --variant accurate`"),
        (["folder/my op.txt"], "square", "emit 'my op.txt'`"),
        (GATE[1:], "gate", "emit 'tanh(x)*g' --name gate`"),
    ):
        assert main(["emit", *arguments, "--backend", "numpy", "--out", f"out_{len(file)}", "--force"]) == 0
        assert said in (here / f"out_{len(file)}/numpy/{file}.py").read_text().splitlines()[0]


def test_what_was_edited_by_hand_is_kept_unless_forced(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*GATE, "--backend", "numpy"]
    assert main(arguments) == 0
    edited = here / "kernels/numpy/gate.py"
    generated = edited.read_text()
    edited.write_text(generated + "\n# mine\n")
    before = tree(here)
    assert main([*arguments[:1], "tanh(x)*g**2", *arguments[2:]]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "kernels/numpy/gate.py was edited by hand" in error and "--force" in error
    assert tree(here) == before
    assert main([*arguments, "--force"]) == 0
    assert edited.read_text() == generated


def test_what_was_not_edited_follows_the_equations(here: Path) -> None:
    """Line ends that a version control system changed are no edit."""
    assert main([*GATE, "--backend", "numpy"]) == 0
    path = here / "kernels/numpy/gate.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert main(["emit", "tanh(x)*g**2", "--name", "gate", "--backend", "numpy"]) == 0
    assert "g**2" in path.read_text()


def test_an_edit_is_known_without_the_record(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*GATE, "--backend", "numpy"]) == 0
    path = here / "kernels/numpy/gate.py"
    path.write_text(path.read_text() + "# mine\n")
    (here / "kernels" / RECORD).unlink()
    assert main([*GATE, "--backend", "numpy"]) == 1
    assert "edited by hand" in capsys.readouterr().err


def test_a_file_of_somebody_else_is_never_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "kernels/numpy").mkdir(parents=True)
    (here / "kernels/numpy/gate.py").write_text("mine = 1\n")
    before = tree(here)
    for force in ([], ["--force"]):
        assert main([*GATE, "--backend", "numpy", *force]) == 1
        assert "kernels/numpy/gate.py was not written by this command" in capsys.readouterr().err
        assert tree(here) == before


def test_a_package_of_ones_own_keeps_its_init(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine/__init__.py").write_text("OWN = 1\n")
    assert main([*GATE, "--backend", "numpy", "--out", "mine"]) == 0
    assert (here / "mine/__init__.py").read_text() == "OWN = 1\n"


@pytest.mark.parametrize("out", [".", "numpy", "a_file"])
def test_a_folder_that_would_hide_a_library_is_refused(out: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a_file").write_text("")
    assert main(["emit", "tanh", "--out", out, "--backend", "numpy"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert [p.name for p in here.iterdir()] == ["a_file"]


def test_a_damaged_record_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "kernels").mkdir()
    (here / "kernels" / RECORD).write_text("[1, 2")
    assert main(["emit", "tanh", "--backend", "numpy"]) == 1
    assert RECORD in capsys.readouterr().err


def test_a_disk_that_fills_up_leaves_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, count = Path.write_bytes, 0

    def full(path: Path, data: bytes) -> int:
        nonlocal count
        count += 1
        if count > 3:
            real(path, data[:10])
            raise OSError(28, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError):
        write.write_files({"a/b/one.py": "1", "two.py": "2", "a/three.py": "3", "c/four.py": "4", "five.py": "5"}, here / "out")
    assert not (here / "out").exists()


def test_a_backend_more_comes_into_the_packages(here: Path) -> None:
    """An op that has no file in a package is not exported there: C ops of torch are written beside torch's alone."""
    assert {"torch", "native"} <= discovered().keys()
    emit("y[n] = one(x[n])\ny[n] = x[n]**2\n", "mine", backends=["native"])
    emit("y[n] = two(x[n])\ny[n] = x[n]**3\n", "mine", backends=["native", "torch"])
    assert "from .two import two" in (here / "mine/native/torch/__init__.py").read_text()
    assert ".one" not in (here / "mine/native/torch/__init__.py").read_text()
    assert "one_forward" in (here / "mine/native/__init__.py").read_text()


def test_two_at_once_lose_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while an op is being written waits until the record and the packages have it."""
    found: list[dict[str, str]] = []

    def second() -> None:
        with alone(here / "mine"):
            found.append(recorded(here / "mine"))

    other, real = threading.Thread(target=second), codegen.emit.package_files

    def meanwhile(*given: object) -> object:
        other.start()
        other.join(0.2)
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(codegen.emit, "package_files", meanwhile)
    emit("y[n] = one(x[n])\ny[n] = x[n]**2\n", "mine", backends=["numpy"])
    other.join()
    assert "numpy/one.py" in found[0] and "numpy/__init__.py" in found[0]
    assert not [p.name for p in here.rglob("*.lock")]


def test_an_op_in_the_place_of_another_is_said_to_replace_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emit", "tanh(x)*g", "--backend", "numpy"]) == 0
    assert main(["emit", "tanh(x)*g", "--backend", "numpy,"]) == 0
    assert "replaced" not in capsys.readouterr().out
    assert main(["emit", "exp(x)*g", "--backend", "numpy"]) == 0
    assert (
        "The 'formula' that was there before is replaced; it came from `python -m codegen emit 'tanh(x)*g'`."
        in capsys.readouterr().out
    )
