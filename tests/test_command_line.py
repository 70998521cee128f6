"""Every command ends in one line where it cannot go on: a typo, an encoding, a pipe that closes, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import codegen.__main__
import derive.__main__
from derive import command
from derive.ops import names

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def codegen_main(*arguments: str) -> int:
    return codegen.__main__.main(list(arguments))


def derive_main(*arguments: str) -> int:
    return derive.__main__.main(list(arguments))


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (derive_main, ("show", "layernrm")),
        (codegen_main, ("audit", "mine.py", "--op", "layernrm")),
        (codegen_main, ("exercise", "layernrm")),
        (codegen_main, ("schedule", "layernrm")),
        (codegen_main, ("notebook", "layernrm")),
        (codegen_main, ("atlas", "layernrm")),
    ],
)
def test_a_typo_is_one_line_that_names_what_was_meant(
    main: codegen_main, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(*arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert "did you mean 'layernorm'?" in printed.err and "'python -m codegen list' lists all" in printed.err
    assert codegen_main("list") == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()}
    assert set(names()) <= listed


def test_nothing_is_guessed_where_nothing_is_like_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert derive_main("show", "zzz") == 1
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_of_another_encoding_is_named_with_the_line(
    encoding: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "op.txt"
    path.write_bytes("y[n] = f(x[n])\n\n# café\ny[n] = x[n]**2\n".encode(encoding))
    for main, arguments in (
        (derive_main, ("show", str(path))),
        (codegen_main, ("exercise", str(path))),
        (codegen_main, ("emit", str(path), "--out", str(tmp_path / "out"))),
        (codegen_main, ("audit", "mine.py", "--equations", str(path))),
    ):
        assert main(*arguments) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "Traceback" not in error
        assert f"{path} is not encoded in UTF-8: byte 0x" in error
        assert f"in line {3 if encoding == 'latin-1' else 1}" in error
    assert not (tmp_path / "out").exists()


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "op.txt"
    path.write_bytes(b"\xef\xbb\xbfy[n] = f(x[n])\ny[n] = x[n]**2\n")
    assert derive_main("show", str(path)) == 0


@pytest.mark.parametrize(
    "arguments", [("derive", "list"), ("derive", "show", "makemore", "--certify"), ("codegen", "schedule", "mlp")]
)
def test_a_pipe_that_closes_early_is_no_error(arguments: tuple[str, ...]) -> None:
    """As by ``head``: the reader goes before anything is written."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_verdict_outlives_the_pipe_that_it_is_printed_to(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def backward(dy, y):\n    return dy * y\n")
    read, write = os.pipe()
    os.close(read)
    arguments = ["-m", "codegen", "audit", str(tmp_path / "mine.py"), "--op", "tanh"]
    done = subprocess.run(
        [sys.executable, *arguments], env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_ctrl_c_is_one_line_and_status_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    for main, module, name, arguments in (
        (codegen_main, codegen.commands.derive, "run_derive", ("derive",)),
        (codegen_main, codegen.commands.audit, "run", ("audit", "mine.py", "--op", "tanh")),
        (codegen_main, codegen.commands.notebook, "run", ("notebook",)),
        (derive_main, derive.__main__, "_show", ("show", "tanh")),
    ):
        monkeypatch.setattr(module, name, interrupted)
        assert main(*arguments) == command.INTERRUPTED == 130
        printed = capsys.readouterr()
        assert (printed.out, printed.err) == ("", "interrupted\n")


@pytest.mark.parametrize("package", ["derive", "codegen"])
@pytest.mark.parametrize("imported", ["sympy", "mpmath", "codegen.build"])
def test_ctrl_c_while_a_command_starts_is_one_line_too(package: str, imported: str, tmp_path: Path) -> None:
    """The signal comes in the middle of an import, from an import hook that Python runs at its own start."""
    if imported.startswith("codegen") and package == "derive":
        pytest.skip("it does not import that")
    (tmp_path / "sitecustomize.py").write_text(f"""
import importlib.abc, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == {imported!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
""")
    found = os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]])
    arguments = [sys.executable, "-m", package, "derive" if package == "codegen" else "list"]
    done = subprocess.run(arguments, env=ENVIRONMENT | {"PYTHONPATH": found}, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (command.INTERRUPTED, "", "interrupted\n")


def test_ctrl_c_is_left_alone_where_no_command_runs() -> None:
    script = "import signal, derive, codegen; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.stdout == "True\n"


def interrupted(arguments: list[str], when: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command that gets Ctrl-C, with all its processes, once another process of its session runs ``when``."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite run in the background ignores it
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None and not _children(process.pid, when):
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert not _children(process.pid, when)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def _children(parent: int, word: str) -> list[str]:
    """The command lines of a process's children with a word in them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat, line = (folder / "stat").read_text(), (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if stat.rpartition(")")[2].split()[1] == str(parent) and word in line:
            found.append(line)
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize(
    ("arguments", "when"),
    [(["codegen", "derive"], "codegen derive"), (["codegen", "notebook", "tanh", "--out", "nb.ipynb"], "ipykernel")],
    ids=["derive", "notebook"],
)
def test_ctrl_c_ends_every_process_and_leaves_nothing(arguments: list[str], when: str, tmp_path: Path) -> None:
    done = interrupted(arguments, when, tmp_path)
    assert (done.returncode, done.stdout) == (130, "")
    *progress, last = done.stderr.splitlines()
    assert last == "interrupted" and all(line.startswith("[") for line in progress)
    assert not list(tmp_path.iterdir())
