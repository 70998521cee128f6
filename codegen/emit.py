"""Emit the kernels of an op of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from codegen.backends.discovery import chosen, discovered, with_needed
from codegen.build import Built, build, runtime_files, with_compiled
from codegen.format import format_c, format_python
from codegen.write import case_twin, write_files
from derive import parse
from derive.called import program
from derive.errors import OpError
from derive.syntax import Op


def emit(op: Op | str, out: str | Path, *, backends: Iterable[str] | None = None, variant: str = "") -> Built:
    """Derive and certify an op, given as text or built from SymPy equations, and write its kernels below ``out``.

    The files of each backend go to ``out/BACKEND/``; without ``backends`` all backends are written. A backend whose files need
    another backend's is written with that one. ``out/latex/OP.tex`` holds the derivation, ``out/certificates/OP.json`` the
    certificate. With the variant "accurate" every file has the name ``OP_accurate``.

    Raises OpError for text that is not understood, for an op that cannot be derived or certified, and for kernels that differ
    from the equations; ValueError for an unknown backend or variant. After an error nothing has been written.
    """
    wanted = [b.name for b in with_needed(chosen(discovered() if backends is None else backends))]
    op = (parse(op) if isinstance(op, str) else op).as_variant(variant)
    flag = f" --variant {variant}" if variant else ""
    built = build(op, backends=wanted, command=f"{program('codegen')} emit {op.base}.txt{flag}")
    if not built.certified:
        raise OpError(f"the derivation does not certify: {built.certificate}", op=op.name)
    files = built.files | runtime_files(wanted)
    (built,) = with_compiled([built], files)
    files = formatted(files)
    if other := case_twin(files, Path(out)):
        raise OpError(f"{other} differs only by case from a file to be written; choose another folder or name", op=op.name)
    write_files(files, Path(out))
    return built


def formatted(files: dict[str, str]) -> dict[str, str]:
    """The files with the Python and C among them formatted."""
    python = format_python({n: t for n, t in files.items() if n.endswith(".py")})
    return files | python | format_c({n: t for n, t in files.items() if n.endswith((".c", ".h"))})
