"""What is installed, what each part is for, and how to get what is missing.

It needs nothing but Python's own library, so that it can say what is missing where nothing else starts. Each module is imported
in a process of its own: an import that crashes is a finding like any other.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CORE", "GROUPS", "Found", "Part", "examine", "report"]

PYTHON = (3, 11)
#: How long an import or a program may take, in seconds.
PATIENCE = 120
IMPORT = "import importlib, importlib.metadata as m, sys; importlib.import_module(sys.argv[1]); print(m.version(sys.argv[2]))"
OPENMP = "#include <omp.h>\nint probe(void) { return omp_get_max_threads(); }\n"


@dataclass(frozen=True)
class Found:
    """What was found of a part: its version, or what is wrong with it."""

    version: str = ""
    wrong: str = ""


@dataclass(frozen=True)
class Part:
    """A part of the toolkit's surroundings: its name, what it is for, how to get it, and how to find it."""

    name: str
    use: str
    get: str
    find: Callable[[], Found]


# ---- how parts are found ----------------------------------------------------------------------------------------------------


def module(requirement: str, use: str, imported: str = "") -> Part:
    """A package of Python, by its requirement, such as ``sympy>=1.14``; ``imported`` is the module, if called otherwise."""
    name = re.split(r"[<>=]", requirement)[0]

    def find() -> Found:
        done = _run([sys.executable, "-c", IMPORT, imported or name, name])
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            absent = last.startswith("ModuleNotFoundError") and f"'{imported or name}'" in last
            return Found(wrong="missing" if absent else f"does not import: {last}")
        version = done.stdout.split()[-1]
        needed = re.search(r"[>=]=([\d.]+)", requirement)
        return Found(version, f"too old, {requirement}" if needed and _number(version) < _number(needed[1]) else "")

    return Part(name, use, f"python -m pip install {shlex.quote(requirement)}", find)


def tool(name: str, use: str, get: str, *programs: str) -> Part:
    """A program, by the names that it may have; the first that is on the path is taken."""

    def find() -> Found:
        path = next(filter(None, map(shutil.which, programs or (name,))), None)
        return Found(path) if path else Found(wrong="missing")

    return Part(name, use, get, find)


def _python() -> Found:
    new = sys.version_info[:2] >= PYTHON
    return Found(platform.python_version(), "" if new else "too old, {}.{} or newer is needed".format(*PYTHON))


def _compiler() -> list[str]:
    """The C compiler as the kernels choose it: what ``CC`` names, or the first of these; [] where there is none."""
    named = os.environ.get("CC", "").strip()
    for words in map(shlex.split, [named] if named else ["cc", "gcc", "clang"]):
        if path := shutil.which(words[0]):
            return [path, *words[1:]]
    return []


def _compiles(source: str, *flags: str) -> Found:
    """Whether the compiler takes a source."""
    if not (command := _compiler()):
        return Found(wrong="missing")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "probe.c")
        file.write_text(source, encoding="utf-8")
        done = _run([*command, "-std=c11", "-fPIC", "-shared", *flags, str(file), "-o", str(file.with_suffix(".so"))])
    return Found(wrong="does not compile") if done.returncode else Found(command[0])


def _gpu() -> Found:
    if not (path := shutil.which("nvidia-smi")):
        return Found(wrong="missing")
    done = _run([path, "--query-gpu=name", "--format=csv,noheader"])
    return Found((done.stdout.splitlines() or ["found"])[0]) if not done.returncode else Found(wrong="does not answer")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{type(error).__name__}: {error}")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))[:3]


def _system(debian: str, mac: str) -> str:
    return f"brew install {mac}" if sys.platform == "darwin" else f"apt-get install {debian} (on Debian)"


# ---- the parts --------------------------------------------------------------------------------------------------------------

_HEADERS = "xcode-select --install" if sys.platform == "darwin" else "apt-get install gcc (on Debian); CC names another one"
CORE = "core: derive, certify, show, emit"
GROUPS: dict[str, tuple[Part, ...]] = {
    CORE: (
        Part("Python", "", "https://www.python.org/downloads, or pyenv", _python),
        module("sympy>=1.14", "differentiates scalar functions"),
        module("mpmath>=1.3", "the 50 digits of the certificates"),
        module("numpy>=2.0", "the NumPy kernels, and the judge of all kernels"),
        module("jinja2>=3.1", "the templates of emitted files"),
        module("ruff==0.17.6", "formats emitted Python"),
        module("clang-format==23.1.5", "formats emitted C", "clang_format"),
        module("tqdm>=4.66", "progress"),
    ),
    "kernels": (
        module("torch>=2.11", "the torch kernels; autograd to compare with"),
        module("jax>=0.10", "the JAX kernels"),
        Part("C compiler", "the C kernels; without it NumPy serves", _HEADERS, lambda: _compiles("int probe;\n")),
        Part(
            "OpenMP",
            "several threads in C kernels",
            _system("libgomp1", "libomp"),
            lambda: _compiles(OPENMP, "-fopenmp"),
        ),
        Part("CUDA GPU", "torch and JAX kernels run there too; nothing needs one", "a machine that has one", _gpu),
        module("triton", "torch.compile on a GPU; nothing else needs it"),
    ),
    "reading and learning": (
        module("matplotlib>=3.9", "plots of gradient flow, in notebooks and of benchmarks"),
        module("nbformat>=5.10", "make notebook"),
        module("nbclient>=0.10", "make notebook: executes it"),
        module("nbconvert>=7.16", "notebooks as pages"),
        module("ipykernel>=7.0", "make notebook: what it is executed in"),
        tool("Node.js", "make atlas: typesets formulas, with KaTeX", _system("nodejs npm", "node"), "node"),
        tool(
            "browser",
            "looks at the atlas; tests of its pages need Chromium",
            _system("chromium", "--cask chromium"),
            "chromium",
            "chromium-browser",
            "google-chrome",
            "firefox",
            "open",
        ),
        tool("LaTeX", "derivations as PDF", _system("texlive-latex-extra", "--cask mactex"), "pdflatex"),
    ),
    "developing": (
        tool("make", "the targets of the Makefile", _system("make", "make")),
        module("pytest>=9.0", "make test"),
        module("pytest-xdist>=3.6", "make test: on all cores", "xdist"),
        module("hypothesis>=6.100", "make test: random inputs"),
        module("expecttest>=0.2", "make test: torch's own checks of operators"),
        module("mypy>=2.0", "make lint"),
    ),
}


def examine(groups: dict[str, tuple[Part, ...]]) -> dict[str, Found]:
    """What was found of each part, by its name."""
    parts = [part for group in groups.values() for part in group]
    with ThreadPoolExecutor(8) as pool:
        return dict(zip((p.name for p in parts), pool.map(lambda p: p.find(), parts), strict=True))


def report(groups: dict[str, tuple[Part, ...]] | None = None) -> tuple[str, bool]:
    """The report as text, and whether the core is complete."""
    groups = GROUPS if groups is None else groups
    found = examine(groups)
    lines: list[str] = []
    for title, parts in groups.items():
        lines += [title, *_rows(parts, found), ""]
    missing = [p.name for p in groups[CORE] if found[p.name].wrong]
    return "\n".join([*lines, *_ending(missing)]), not missing


def _rows(parts: Iterable[Part], found: dict[str, Found]) -> Iterable[str]:
    for part in parts:
        state = found[part.name]
        short = state.wrong if state.wrong in ("", "missing") else "broken"
        yield f"  {short or 'ok':8} {part.name:13} {state.version[:20]:20}  {part.use}".rstrip()
        if short == "broken":
            yield f"{'':11}{state.wrong}"
        if short:
            yield f"{'':11}get it: {part.get}"


def _ending(missing: list[str]) -> list[str]:
    if not missing:
        return ["The core is complete."]
    lines = [f"The core is not complete: {', '.join(missing)}."]
    if Path(".venv/bin/python").exists() and Path(sys.prefix).resolve() != Path(".venv").resolve():
        return [*lines, f"This is {sys.executable}; the environment of this folder is entered by: source .venv/bin/activate"]
    return [*lines, "In a clone, `make derive` makes an environment that has all of it."]
