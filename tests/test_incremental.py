"""`make derive` makes what changed, and nothing that did not: told by what is made, not by time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import codegen.commands.derive as command
import derive.ops
from codegen.build import Row
from codegen.incremental import keys
from codegen.incremental.store import Made, Store
from derive.errors import OpError
from tests.test_layering import MODULES, arrows

#: A catalogue in which one op calls another.
CATALOGUE = {
    "zap": "y[n] = zap(x[n])\n\ny[n] = 2*x[n]",
    "zop": "y[n] = zop(x[n])\n\ny[n] = zap(x[n])**2",
    "other": "y[n] = other(x[n])\n\ny[n] = sin(x[n])",
}


class Folder:
    """A checkout with a small catalogue, in which nothing is derived: what would be is counted."""

    def __init__(self, root: Path) -> None:
        self.ops, self.generated, self.store = root / "ops", root / "generated", Store(root / "store")
        self.ops.mkdir()
        for name, text in CATALOGUE.items():
            self.write(name, text)

    def write(self, name: str, text: str, docstring: str = "") -> None:
        (self.ops / f"{name}.py").write_text(f'"""{docstring}"""\n\nTEXT = """\n{text}\n"""\n')
        self.read_anew()

    def read_anew(self) -> None:
        """Forget the modules, as a new process would."""
        for name in CATALOGUE:
            sys.modules.pop(f"derive.ops.{name}", None)
        derive.ops.find.cache_clear()

    def made(self, fresh: bool = False) -> list[str]:
        """What a run makes, the exercise apart."""
        return sorted({*command.generate(self.store, fresh).made} - {command.EXERCISE})


def fake(name: str) -> Made:
    """What stands for the files of an op: its text, and the texts of the ops that it calls."""
    if name == command.EXERCISE:
        return Made(name, {"makemore.py": "pass\n"})
    text = str(derive.load(name).equations)
    return Made(name, {f"numpy/{name}.py": text}, Row(name, ("dx",), 1, 0.0, "passed", "fails" not in text, {"numpy": 0.0}, {}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    for name, value in {
        "_all": lambda parts: map(fake, parts),
        "formatted": lambda files: files,
        "package_files": lambda ops: {},
        "picture": lambda files: {},
        "engine_key": lambda: "engine",
        "chain_ops": tuple,
        "GENERATED": tmp_path / "generated",
        "STORE": tmp_path / "store",
    }.items():
        monkeypatch.setattr(command, name, value)
    monkeypatch.setattr(derive.ops, "__path__", [str(tmp_path / "ops")])
    found = Folder(tmp_path)
    assert found.made() == sorted(CATALOGUE)
    yield found
    found.read_anew()


def test_what_is_unchanged_is_not_made(folder: Folder) -> None:
    assert folder.made() == []


def test_an_equation_that_changed_is_made_anew_and_whatever_calls_it(folder: Folder) -> None:
    folder.write("other", CATALOGUE["other"].replace("sin", "cos"))
    assert folder.made() == ["other"]
    folder.write("zap", CATALOGUE["zap"].replace("2*", "3*"))
    assert folder.made() == ["zap", "zop"]
    assert folder.made() == []


def test_what_an_op_says_of_itself_is_a_change(folder: Folder) -> None:
    folder.write("other", CATALOGUE["other"], "Says something else.")
    assert folder.made() == ["other"]


def test_an_op_that_comes_or_goes_is_the_only_one(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.ops / "other.py").unlink()
    folder.read_anew()
    assert folder.made() == [] and not (folder.store.folder / "other.json").exists()
    folder.write("other", CATALOGUE["other"])
    assert folder.made() == ["other"]


def test_another_engine_makes_everything(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "engine_key", lambda: "another")
    assert folder.made() == sorted(CATALOGUE)


def test_everything_is_made_where_that_is_asked_for(folder: Folder) -> None:
    assert folder.made(fresh=True) == sorted(CATALOGUE)


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("sin", "cos"),
        lambda text: text.replace('"certified": true', '"certified": false'),
        lambda text: "\0" + text,
    ],
)
def test_a_stored_result_that_is_torn_or_edited_is_made_again(folder: Folder, harm: Callable[[str], str]) -> None:
    path = folder.store.folder / "other.json"
    before = path.read_text()
    path.write_text(harm(before))
    assert path.read_text() != before
    assert folder.made() == ["other"] and path.read_text() == before


def test_the_stored_result_of_another_op_is_not_taken(folder: Folder) -> None:
    (folder.store.folder / "other.json").write_bytes((folder.store.folder / "zap.json").read_bytes())
    assert folder.made() == ["other"]


def test_a_generated_file_that_was_edited_or_deleted_is_restored_without_deriving(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> int:
        return command.run_derive(command.argparse.Namespace(fresh=False))

    run()
    monkeypatch.setattr(command, "_all", lambda parts: iter(parts and 1 / 0))
    edited, gone = folder.generated / "numpy/zap.py", folder.generated / "numpy/other.py"
    before = edited.read_bytes(), gone.read_bytes()
    edited.write_text("edited")
    gone.unlink()
    assert run() == 0 and (edited.read_bytes(), gone.read_bytes()) == before
    assert "2 written, 0 removed" in capsys.readouterr().out


def test_what_was_made_before_an_op_failed_is_kept(folder: Folder) -> None:
    folder.write("other", CATALOGUE["other"].replace("sin", "cos"))
    folder.write("zop", "y[n] = zop(x[n])\n\nfails[n] = x[n]\ny[n] = fails[n]**3")
    with pytest.raises(OpError):
        folder.made()
    folder.write("zop", CATALOGUE["zop"])
    assert folder.made() == []


def test_what_was_edited_while_it_was_made_is_not_kept(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def edited(name: str) -> Made:
        made = fake(name)
        folder.write(name, CATALOGUE[name] + "\n")
        return made

    folder.write("other", CATALOGUE["other"].replace("sin", "cos"))
    with monkeypatch.context() as patched:
        patched.setattr(command, "_all", lambda parts: map(edited, parts))
        assert folder.made() == ["other"]
    folder.write("other", CATALOGUE["other"].replace("sin", "cos"))
    assert folder.made() == ["other"]


# ---- what the engine's key holds ------------------------------------------------------------------------------------------


def test_a_template_changes_the_key_and_a_page_of_the_atlas_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    paths = [
        "derive/engine.py",
        "codegen/backends/numpy/templates/op.py.j2",
        "codegen/tools/atlas/page.py",
        "derive/ops/tanh.py",
    ]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("before")
    changes = []
    for path in paths:
        before = keys.engine_key()
        (tmp_path / path).write_text("after")
        changes.append(keys.engine_key() != before)
    assert changes == [True, True, False, False]


def test_a_version_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "deciding_files", list)
    before, installed = keys.engine_key(), keys.installed()
    (sympy,) = (name for name in installed if name.startswith("sympy "))
    monkeypatch.setattr(keys, "installed", lambda: sorted({*installed, "sympy 0.0"} - {sympy}))
    assert keys.engine_key() != before


def test_every_module_that_decides_is_in_the_key() -> None:
    """The modules that the command reaches by imports, and those of the backends, which are found by their folders."""
    edges, decides = arrows(), set(keys.deciding_files())
    reached, todo = set[str](), {"codegen.commands.derive", *(m for m in MODULES if m.startswith("codegen.backends."))}
    while todo:
        reached |= todo
        todo = {b for a, b in edges if a in todo} - reached
    assert len(reached) > 200
    assert not {m for m in reached if MODULES[m] not in decides and not m.startswith("derive.ops.")}


def test_every_template_that_a_decider_could_fill_is_in_the_key() -> None:
    root = keys.ROOT
    found = {p.relative_to(root).as_posix() for p in keys.deciding_files() if p.suffix == ".j2"}
    every = {p.relative_to(root).as_posix() for p in (root / "codegen").rglob("*.j2")}
    assert found and all(path.startswith("codegen/tools/") for path in every - found)
