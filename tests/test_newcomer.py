"""A newcomer's path, in seven commands, in a fresh clone and an empty environment.

Two things are replaced. The clone comes from this checkout, with what is not committed yet. And ``make derive`` finds an
environment: it does not spend minutes on installing one, but uses that of the interpreter that runs the tests. Deriving the
whole catalogue takes minutes too, so ``make test-newcomer`` runs this, and ``make test`` does not.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import FILES, ROOT, shown

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (shutil.which("git") and shutil.which("make") and (ROOT / ".git").exists()), reason="no checkout"),
]

KERNEL, EMITTED, *_ = (block.text for block in shown("python", "README.md"))
AUDIT = shown("text-exit-1", "README.md")[0].about
#: The seven commands, with the exit status of each. What stands here stands in the README.
PATH = (
    ("git clone {root} ninja", 0),
    ("make derive", 0),
    (f"python -c {shlex.quote(KERNEL)}", 0),
    ("python -m derive show softmax_cross_entropy", 0),
    ("python -m codegen emit my_op.txt --out my_kernels", 0),
    (f"python -c {shlex.quote(EMITTED)}", 0),
    (AUDIT, 1),
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a new shell has: no path to any other copy, and a home with nothing in it."""
    home = tmp_path / "home"
    home.mkdir()
    bin_folder = str(Path(sys.executable).parent)
    return {"PATH": os.pathsep.join([bin_folder, os.environ["PATH"]]), "HOME": str(home), "LANG": "C.UTF-8"}


def run(command: str, folder: Path, environment: dict[str, str], status: int) -> str:
    words = shlex.split(command)
    if words[0] == "python":
        words[0] = sys.executable
    if words[0] == "make":
        # The environment is there and up to date; see above.
        (folder / ".ready").touch()
        words += [f"BIN={Path(sys.executable).parent}", "READY=.ready"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == status, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr
    return done.stdout


def test_seven_commands_from_a_clone_to_an_audited_gradient(tmp_path: Path, environment: dict[str, str]) -> None:
    (clone, _), *rest = PATH
    run(clone.format(root=shlex.quote(str(ROOT))), tmp_path, environment, 0)
    folder = tmp_path / "ninja"
    uncommitted(folder)
    for name, text in FILES.items():
        if name in ("my_op.txt", "my_backward.py"):
            (folder / name).write_text(text, encoding="utf-8")
    printed = [run(command, folder, environment, status) for command, status in rest]
    derived, _, derivation, emitted, _, audited = printed
    assert "batchnorm" in derived and "passed" in derived
    assert "dz[n,c]" in derivation and len(derivation.splitlines()) <= 40
    assert "    from my_kernels.numpy import gaussian_forward, gaussian_backward" in emitted
    assert "dx      wrong" in audited and "dbeta   correct" in audited


def uncommitted(folder: Path) -> None:
    """Bring what is not committed here into the clone."""
    git = ["git", "-C", str(ROOT)]
    patch = subprocess.run([*git, "diff", "--binary", "HEAD"], capture_output=True, check=True).stdout
    if patch:
        subprocess.run(["git", "-C", str(folder), "apply"], input=patch, check=True)
    new = subprocess.run([*git, "ls-files", "--others", "--exclude-standard", "-z"], capture_output=True, text=True, check=True)
    for name in filter(None, new.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)


def test_the_commands_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command, _ in PATH[1:]:
        assert command.startswith("python -c ") or command in readme, command
