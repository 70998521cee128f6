"""Who may import whom: imports point one way, and a kernel needs nothing but its own backend."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from codegen.backends.discovery import discovered

ROOT = Path(__file__).resolve().parent.parent
OURS = {"derive", "codegen", "generated", "tests"}
STANDARD = set(sys.stdlib_module_names)


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function, by its full name."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            parent = ".".join([*base, *([node.module] if node.module else [])])
            yield parent
            yield from (f"{parent}.{alias.name}" for alias in node.names)


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("folder", ["derive", "derive/ops", "codegen", "codegen/backends", "generated", "tests"])
def test_the_layers_are_there(folder: str) -> None:
    assert (ROOT / folder).is_dir()


@pytest.mark.parametrize("path", sources("derive"), ids=label)
def test_derive_knows_sympy_and_no_backend(path: Path) -> None:
    arithmetic = {"numpy"} if path.parent.name == "strain" else set()
    assert tops(path) <= STANDARD | {"derive", "sympy", "mpmath"} | arithmetic


@pytest.mark.parametrize("path", sources("derive/ops"), ids=label)
def test_an_op_of_the_catalogue_is_only_text(path: Path) -> None:
    assert path.name == "__init__.py" or tops(path) <= {"__future__"}


@pytest.mark.parametrize("path", sources("codegen"), ids=label)
def test_codegen_builds_on_derive_only(path: Path) -> None:
    """It may load kernels that it wrote in order to verify them, but no module of the checked-in ones at import."""
    assert not tops(path) & {"tests", "generated"}


@pytest.mark.parametrize("path", sources("generated/numpy"), ids=label)
def test_numpy_kernels_need_numpy_alone(path: Path) -> None:
    outside = {name for name in imported(path) if not name.startswith("generated.numpy")}
    assert {name.partition(".")[0] for name in outside} <= STANDARD | {"numpy"}


@pytest.mark.parametrize("path", sources("generated/torch"), ids=label)
def test_torch_kernels_need_torch_alone(path: Path) -> None:
    outside = {name for name in imported(path) if not name.startswith("generated.torch")}
    assert {name.partition(".")[0] for name in outside} <= STANDARD | {"torch"}


@pytest.mark.parametrize("path", [p for p in sources("generated/native") if p.parent.name == "native"], ids=label)
def test_native_kernels_need_numpy_and_its_kernels(path: Path) -> None:
    outside = {name for name in imported(path) if not name.startswith(("generated.native", "generated.numpy"))}
    assert {name.partition(".")[0] for name in outside - {"generated"}} <= STANDARD | {"numpy"}


@pytest.mark.parametrize("path", sources("generated/native/torch"), ids=label)
def test_native_torch_ops_need_torch_and_its_kernels_as_well(path: Path) -> None:
    outside = {name for name in imported(path) if not name.startswith(("generated.native", "generated.torch"))}
    assert {name.partition(".")[0] for name in outside} <= STANDARD | {"numpy", "torch"}


@pytest.mark.parametrize(
    "path",
    [p for backend in ("numpy", "torch") for p in sorted((ROOT / "generated" / backend).glob("*.py")) if p.stem != "__init__"],
    ids=label,
)
def test_a_kernel_file_can_be_copied_into_another_project(path: Path) -> None:
    assert not tops(path) & OURS


@pytest.mark.parametrize("path", sources("generated"), ids=label)
def test_what_is_generated_needs_nothing_of_the_generator(path: Path) -> None:
    assert not tops(path) & {"derive", "codegen", "tests", "sympy", "mpmath", "jinja2"}


@pytest.mark.parametrize("path", [p for layer in ("derive", "codegen", "generated") for p in sources(layer)], ids=label)
def test_nothing_imports_the_tests(path: Path) -> None:
    assert "tests" not in tops(path)


def modules_after(statement: str) -> set[str]:
    """The modules that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def loaded_by(statement: str) -> set[str]:
    """The same, top-level names only."""
    return {name.partition(".")[0] for name in modules_after(statement)}


@pytest.mark.parametrize("statement", ["import derive", "import derive.language.parse", "import derive.ops"])
def test_importing_derive_loads_no_backend(statement: str) -> None:
    """NumPy is arithmetic here: its floats measure strain."""
    assert not loaded_by(statement) & {"torch", "jax", "jinja2", "codegen", "generated"}


@pytest.mark.skipif(not sources("generated/numpy"), reason="no NumPy kernels are generated yet")
def test_numpy_kernels_load_numpy_alone() -> None:
    loaded = loaded_by("import generated.numpy")
    assert "numpy" in loaded
    assert not loaded & {"torch", "sympy", "jinja2", "derive", "codegen"}


def test_native_kernels_load_no_torch() -> None:
    loaded = loaded_by("import generated.native")
    assert "numpy" in loaded
    assert not loaded & {"torch", "sympy", "jinja2", "derive", "codegen"}


def test_torch_kernels_load_no_native_ones() -> None:
    assert "generated.native" not in modules_after("import generated.torch")


# ---- rooms ---------------------------------------------------------------------------------------------------------------

MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
    for p in (*sources("derive"), *sources("codegen"))
}


def room(module: str) -> str:
    """The folder of a module; a file that stands beside the folders is a room of its own."""
    path = MODULES[module].relative_to(ROOT)
    return path.parent.as_posix() if len(path.parts) > 2 or path.name == "__init__.py" else path.with_suffix("").as_posix()


@cache
def arrows() -> set[tuple[str, str]]:
    """Which module imports which, at its top or inside a function."""
    found = set()
    for module, path in MODULES.items():
        names = set(imported(path))
        found |= {
            (module, n)
            for n in names & MODULES.keys()
            if n != module and not any(o.startswith(f"{n}.") for o in names & MODULES.keys())
        }
    return found


def circle(edges: set[tuple[str, str]]) -> list[str]:
    """What is left once everything that imports nothing of the rest is taken away, again and again."""
    edges = {(a, b) for a, b in edges if a != b}
    while ends := {b for _, b in edges} - {a for a, _ in edges}:
        edges = {(a, b) for a, b in edges if b not in ends}
    return sorted({f"{a} -> {b}" for a, b in edges})


def test_no_import_runs_in_a_circle() -> None:
    """Nor does one through the discovery of backends, which imports by folders' names."""
    found = {("codegen.backends.discovery", f"codegen.backends.{name}.backend") for name in discovered()}
    assert all(module in MODULES for _, module in found)
    assert not circle(arrows() | found)


def test_no_two_rooms_import_each_other() -> None:
    assert not circle({(room(a), room(b)) for a, b in arrows()})


def test_nothing_imports_the_tools_but_what_a_user_calls() -> None:
    users = {room(a) for a, b in arrows() if room(b).startswith("codegen/tools") and not room(a).startswith("codegen/tools")}
    assert users == {"codegen", "codegen/commands", "codegen/testing"}


#: What is about a library, and not about what is emitted for a backend, in ``derive/`` or below ``codegen/``; and why.
ABOUT = {
    "derive/language/formula.py": "what people write before a dot is a library, and no array: np.tanh(x)",
    "doctor.py": "it says which libraries are installed, and how to get those that are not",
    "tools/accuracy/implementations.py": "what is measured is set beside torch's own op",
    "tools/accuracy/remarks.py": "the remarks say where torch's own op is closer",
    "tools/flow": "the report is computed in NumPy, whatever the network is trained in, and a module is one of torch",
    "tools/makemore/templates": "the exercise as the course has it: NumPy's kernels, and autograd to compare with",
    "tools/notebook": "the cells compare what is found by hand with autograd",
}
#: Templates hold code, and so does Python: words in text that is made of them are looked for in both.
WRITTEN = [*MODULES.values(), *(p for folder in ("derive", "codegen") for p in sorted((ROOT / folder).rglob("*.j2")))]


def strings(path: Path) -> Iterator[str]:
    """The strings of a file but for its documentation; of a template, its text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield text
        return
    tree = ast.parse(text)
    documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for n in ast.walk(tree):
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in documentation:
            yield n.value


def backends_in(path: Path) -> set[str]:
    """The backends that the strings of a file name."""
    return set(re.findall(rf"\b(?:{'|'.join(discovered())})\b", "\n".join(strings(path))))


def about(path: Path) -> str:
    """What makes a file one that is about a library, "" for any other."""
    below = path.relative_to(ROOT).as_posix().removeprefix("codegen/")
    return next((entry for entry in ABOUT if below == entry or below.startswith(f"{entry}/")), "")


@pytest.mark.parametrize("path", [p for p in WRITTEN if "backends" not in p.parts and not about(p)], ids=label)
def test_no_backend_is_named_outside_the_backends(path: Path) -> None:
    assert not backends_in(path)


def test_what_is_about_a_library_names_it() -> None:
    """An entry that nothing needs goes."""
    assert {entry for p in WRITTEN if (entry := about(p)) and backends_in(p)} == set(ABOUT)


@pytest.mark.parametrize("path", list(MODULES.values()), ids=label)
def test_no_file_is_longer_than_four_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("folder", ["derive", "codegen"])
def test_the_map_of_a_folder_names_what_is_there(folder: str) -> None:
    """Every path in code is one, and every room is on the map."""
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    paths = re.findall(r"`([\w/]+(?:\.py|/))`", text)
    assert len(paths) > 15
    for path in paths:
        inside = [ROOT / folder / path, ROOT / path, *(ROOT / folder).rglob(path)]
        assert any(p.exists() for p in inside), path
    rooms = {p.parent.relative_to(ROOT / folder).parts[0] for p in (ROOT / folder).glob("*/__init__.py")}
    assert {f"{room}/" for room in rooms} <= {f"{p.partition('/')[0]}/" for p in paths}
