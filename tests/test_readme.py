"""Every command and snippet of the documents is executed, and what they claim to show is what there is.

Each document is read from its top to its end, in one empty folder: a later block may use what an earlier one has written.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from derive.ops import batchnorm
from tests.documents import DOCUMENTS, FILES, ROOT, Block, blocks, shown

README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Replaced here: the interpreter that runs the tests has the environment already.
ACTIVATION = "source .venv/bin/activate"


def run(arguments: list[str], folder: Path, status: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == status, f"{shlex.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_command(command: str, folder: Path, status: int = 0) -> str:
    words = shlex.split(command, comments=True)
    return run([sys.executable, *words[1:]], folder, status)


def assert_shown(text: str, output: str) -> None:
    """The parts of a text between lines of ``...`` stand in the output, in order."""
    for part in re.split(r"^\.\.\.\n", text, flags=re.M):
        before, found, output = output.partition(part)
        assert found == part, f"{part}\nis not in\n{before}"


def without_numbers(text: str) -> str:
    return re.sub(r" +", " ", re.sub(r"-?\b[\d.]+(e[+-]\d+)?\b", "#", text))


# ---- a block of each kind ---------------------------------------------------------------------------------------------------


def commands(block: Block, folder: Path, document: str) -> None:
    for command in block.text.splitlines():
        if command.startswith("python "):
            assert run_command(command, folder, status=int("# exit status 1" in command)).strip(), command
        elif command.startswith("make "):
            # The targets themselves are what runs these tests; here: that make knows them.
            make = ["make", "--dry-run", command.split("#")[0].split()[1]]
            assert subprocess.run(make, cwd=ROOT, capture_output=True, check=False).returncode == 0, command
        else:
            assert command.partition("#")[0].strip() == ACTIVATION, command


def snippet(block: Block, folder: Path, document: str) -> None:
    tests = re.findall(r"^def (test_\w+)\(\)", block.text, re.M)
    output = run([sys.executable, "-c", "\n".join([block.text, *(f"{name}()" for name in tests)])], folder)
    following = blocks(document)[blocks(document).index(block) + 1 :]
    if following and following[0].kind == "text-printed":
        assert_shown(following[0].text, output)


def printed(block: Block, folder: Path, document: str) -> None:
    """A text without a command is a picture of a session, which a reader does not copy."""
    if block.about:
        assert_shown(block.text, run_command(block.about, folder, int(block.kind == "text-exit-1")))


def like(block: Block, folder: Path, document: str) -> None:
    """Numbers of this machine may differ from those that are shown."""
    assert_shown(without_numbers(block.text), without_numbers(run_command(block.about, folder)))


def graded(block: Block, folder: Path, document: str) -> None:
    """The lines in the text are filled into the sheet."""
    sheet = folder / "makemore_exercise.py"
    filled = sheet.read_text()
    for name, code in re.findall(r"`(d\w+) = ([^`]+)`", (ROOT / document).read_text(encoding="utf-8")):
        filled = filled.replace(f"    {name} = ...\n", f"    {name} = {code}\n")
    sheet.write_text(filled)
    assert_shown(block.text, run_command(f"python -m codegen exercise makemore --check {sheet.name}", folder, status=1))


def excerpt(block: Block, folder: Path, document: str) -> None:
    assert block.text in (ROOT / block.about).read_text(encoding="utf-8")


def equations(block: Block, folder: Path, document: str) -> None:
    assert block.text.strip() == batchnorm.TEXT.strip()


def nothing(block: Block, folder: Path, document: str) -> None:
    """A file lies in the folder already; what a snippet prints is compared where it is run."""


KINDS = {
    "": equations,
    "sh": commands,
    "python": snippet,
    "python-excerpt": excerpt,
    "file": nothing,
    "text": printed,
    "text-exit-1": printed,
    "text-like": like,
    "text-printed": nothing,
    "text-graded": graded,
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_does_what_it_says(document: str, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for block in blocks(document):
        KINDS[block.kind](block, tmp_path, document)


def test_a_file_has_one_text_in_all_documents() -> None:
    for document in DOCUMENTS:
        for block in shown("file", document):
            assert FILES[block.about] == block.text, f"{block.about} in {document}"


# ---- the whole --------------------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """The fragment by which a heading is linked to, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", [*DOCUMENTS, "derive/README.md", "codegen/README.md"])
def test_every_link_leads_somewhere(document: str) -> None:
    text = re.sub(r"^```.*?^```$|`[^`\n]+`", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, fragment = target.partition("#")
        if "://" in path:
            continue
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), target
        if fragment:
            assert fragment in map(anchor, re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)), target


def test_the_readme_is_short_and_has_a_table_of_contents() -> None:
    assert len(README.splitlines()) <= 200
    contents = re.findall(r"^- \[(.*)\]\(#", README, re.M)
    assert contents == re.findall(r"^## (.*)$", README, re.M)


def test_every_document_is_linked_from_the_readme() -> None:
    """Or from a document that is."""
    linked, found = set(), ["README.md"]
    while found:
        document = found.pop()
        linked.add(document)
        for target in re.findall(r"\]\(([^)#]+\.md)", (ROOT / document).read_text(encoding="utf-8")):
            path = os.path.relpath((ROOT / document).parent / target, ROOT)
            found += [path] if path not in linked and "://" not in target else []
    assert {*DOCUMENTS, "derive/README.md", "codegen/README.md"} <= linked


def test_the_layout_names_what_exists() -> None:
    layout = (ROOT / "codegen/LAYOUT.md").read_text(encoding="utf-8")
    names = [n for cell in re.findall(r"^\| (`[^|]+) \|", layout, re.M) for n in re.findall(r"`([^`]+)`", cell)]
    assert "derive/" in names
    for name in names:
        assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file(), name
