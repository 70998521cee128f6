"""Emit the kernels of an op of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codegen.backends.discovery import chosen, discovered, with_needed
from codegen.build import Built, build, runtime_files, with_compiled
from codegen.emitted import Imports, alone, check_folder, emitted_by, imports, package_files, refusal, with_record
from codegen.format import format_c, format_python
from codegen.write import case_twin, write_files
from derive import parse
from derive.called import program
from derive.errors import OpError
from derive.syntax import Op


@dataclass(frozen=True)
class Wanted:
    """What is to be emitted, and how; see :func:`emit`."""

    op: Op | str
    out: str | Path
    backends: Iterable[str] | None = None
    variant: str = ""
    force: bool = False
    given: str = ""


@dataclass(frozen=True)
class Emitted:
    """An op that was written: its row of the table, how many files were written anew of how many, and how it is imported.

    ``replaced`` is the command that wrote another op of this name into the folder before; "" where none did.
    """

    built: Built
    written: int
    files: int
    imports: Imports
    replaced: str


def emit(
    op: Op | str,
    out: str | Path,
    *,
    backends: Iterable[str] | None = None,
    variant: str = "",
    force: bool = False,
    given: str = "",
) -> Built:
    """Derive and certify an op, given as text or built from SymPy equations, and write its kernels as packages below ``out``.

    The files of each backend go to ``out/BACKEND/``; without ``backends`` all backends are written. A backend whose files need
    another backend's is written with that one. ``out/latex/OP.tex`` holds the derivation, ``out/certificates/OP.json`` the
    certificate. With the variant "accurate" every file has the name ``OP_accurate``. ``given`` is what the command line is to
    be given to write the files again. Several processes may emit into one folder at the same time.

    Raises OpError for text that is not understood, for an op that cannot be derived or certified, and for kernels that differ
    from the equations; ValueError for an unknown backend or variant, for a file that was edited by hand unless ``force`` is
    True, and for a file that was not emitted. After an error nothing has been written.
    """
    return emitted(Wanted(op, out, backends, variant, force, given)).built


def emitted(wanted: Wanted) -> Emitted:
    """Emit an op, and say what was written and how it is imported."""
    root = Path(wanted.out)
    check_folder(root)
    backends = with_needed(chosen(discovered() if wanted.backends is None else wanted.backends))
    names = [b.name for b in backends]
    op = parse(wanted.op) if isinstance(wanted.op, str) else wanted.op
    op = op.as_variant(wanted.variant) if wanted.variant else op
    command = f"{program('codegen')} emit"
    flag = f" --variant {wanted.variant}" if wanted.variant else ""
    whole = f"{command} {wanted.given or f'{op.base}.txt'}{flag}"
    built = build(op, backends=names, command=whole)
    if not built.certified:
        raise OpError(f"the derivation does not certify: {built.certificate}", op=op.name)
    files = built.files | runtime_files(names)
    (built,) = with_compiled([built], files)
    with alone(root):  # what others write meanwhile belongs into the packages too
        # The packages export the ops of before too, which are not among the files that were loaded for the check.
        files = formatted(files | package_files(op.name, files, backends, root, command))
        if other := case_twin(files, root):
            raise OpError(f"{other} differs only by case from a file to be written; choose another folder or name", op=op.name)
        if reason := refusal(files, root, wanted.force):
            raise ValueError(reason)
        before = emitted_by(built.files, root)
        written = write_files(with_record(files, root), root)
    packages = {folder: exported for b in backends for folder, exported in b.packages(op.name, names).items()}
    return Emitted(built, written, len(files), imports(root, packages, files), before if before != whole else "")


def formatted(files: dict[str, str]) -> dict[str, str]:
    """The files with the Python and C among them formatted."""
    python = format_python({n: t for n, t in files.items() if n.endswith(".py")})
    return files | python | format_c({n: t for n, t in files.items() if n.endswith((".c", ".h"))})
