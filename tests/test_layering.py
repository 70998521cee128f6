"""Who may import whom: imports point one way, and a kernel needs nothing but its own backend."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    assert tops(path) <= STANDARD | {"derive", "sympy", "mpmath"}


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
    [p for backend in ("numpy", "torch") for p in sources(f"generated/{backend}") if p.name != "__init__.py"],
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
    assert not loaded_by(statement) & {"torch", "numpy", "jinja2", "codegen", "generated"}


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
