"""One op through all stages.

derive      op          -> derivation
plan        derivation  -> kernel (two programs)
certify     derivation  -> certificate, with the programs
files       kernel      -> source, a backend each
judge       source      -> verdict: what differs from the equations is not written
"""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from types import ModuleType

from codegen.backends.backend import Backend, Files
from codegen.backends.discovery import chosen, discovered, unavailable
from codegen.certify import program_checks, tangent_checks
from codegen.names import named
from codegen.plan import planned
from codegen.program import Kernel
from codegen.verify.judge import judge
from derive import derive, derive_full
from derive.called import program
from derive.certify import Check, certify
from derive.certify.textbook import checked_sections
from derive.deep import deeply
from derive.derivation import Derivation
from derive.errors import OpError
from derive.show.show import latex_document
from derive.show.trees import of_derivation
from derive.syntax import Op
from derive.tangents import by_the_chain_rule, tangents
from derive.textbook.pages import remarks, sections_latex, textbook_sections
from derive.textbook.paper import textbook

COMMAND = f"{program('codegen')} derive"
#: How many more objects than before there have to be for a search for cycles among them.
ALLOCATIONS = 100_000


@dataclass(frozen=True)
class Row:
    """An op's row of the table.

    ``errors`` holds, for each backend whose kernels were run, their largest difference from the equations. ``missing`` holds,
    for each other backend, what would be needed to run its kernels.
    """

    op: str
    gradients: tuple[str, ...]
    steps: int
    seconds: float
    certificate: str
    certified: bool
    errors: dict[str, float]
    missing: dict[str, str]


@dataclass(frozen=True)
class Built(Row):
    """The same with the op's kernel and its files, by path below ``generated/`` and not yet formatted."""

    kernel: Kernel
    files: Files

    @property
    def row(self) -> Row:
        """The row of the table alone."""
        return Row(**{f.name: getattr(self, f.name) for f in fields(Row)})


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Look for cycles of objects less often: terms have none, and to walk through all of them takes a fifth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], ALLOCATIONS) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@_rarely_collected()
@deeply
def build(op: Op, *, backends: Iterable[str] | None = None, command: str = COMMAND, check: bool = True) -> Built:
    """Derive, certify and emit one op in these backends (default: all), and run its kernels.

    Kernels are run unless ``check`` is False, the backend is not available, or the derivation does not certify. Compiled
    kernels are run later, by :func:`with_compiled`. ``command`` is what regenerates the files, for their headers.
    Raises OpError where the derivation fails, where a backend refuses the op, or where a kernel differs from the equations.
    """
    wanted = chosen(discovered() if backends is None else backends)
    start = time.perf_counter()
    derivation = derive(op)
    seconds = time.perf_counter() - start
    programs, of_tangents = with_tangents(derivation)
    paper = textbook(op)
    sections = textbook_sections(paper)
    full = derive_full(op)
    certificate = certify(derivation, full=full).extended(checked_sections(paper, sections, full=full))
    certificate = certificate.extended(program_checks(derivation, programs)).extended(of_tangents)
    kernel = named(programs)
    own = {b.name: _files(kernel, b, command, [o.name for o in wanted]) for b in wanted}
    files = {path: text for texts in own.values() for path, text in texts.items()}
    track = sections_latex(paper, [*sections, *remarks(paper, derivation)])
    files[f"latex/{op.name}.tex"] = latex_document(derivation, of_derivation(derivation), track)
    files[f"certificates/{op.name}.json"] = certificate.to_json()
    return Built(
        op=op.name,
        kernel=kernel,
        files=files,
        gradients=derivation.gradients,
        steps=len(derivation.steps),
        seconds=seconds,
        certificate=certificate.summary(),
        certified=certificate.passed,
        errors=_errors(kernel, wanted, files) if check and certificate.passed else {},
        missing=unavailable(wanted),
    )


def with_tangents(derivation: Derivation) -> tuple[Kernel, tuple[Check, ...]]:
    """The kernel of a derivation with its tangents, in the author's names, and the checks of the tangents.

    Where their closed form does not certify, they are as the chain rule gives them.
    """
    found = tangents(derivation)
    kernel = planned(derivation, found)
    checks = tangent_checks(found, kernel)
    if not all(c.passed for c in checks):
        found = by_the_chain_rule(found)
        kernel = planned(derivation, found)
        checks = tangent_checks(found, kernel)
    return kernel, checks


def _files(kernel: Kernel, backend: Backend, command: str, beside: Collection[str]) -> Files:
    if reason := backend.refuses(kernel):
        raise OpError(f"there are no {backend.title} kernels of it: {reason}", op=kernel.op.name)
    return backend.files(kernel, command, beside)


def _errors(kernel: Kernel, backends: Iterable[Backend], files: Files) -> dict[str, float]:
    ready = [b for b in backends if not b.compiled and not b.missing()]
    return {b.name: _judged(kernel, b.load(kernel.op.name, files), b) for b in ready}


def with_compiled(built: Iterable[Built], files: Mapping[str, str]) -> list[Built]:
    """The ops, with the errors of their compiled kernels added. ``files`` are the formatted files by path below ``generated/``.

    Where there is no compiler, the ops stay as they are. Raises OpError where a compiled kernel differs from the equations.
    """
    built = list(built)
    for backend in (b for b in discovered().values() if b.compiled):
        those = [b.op for b in built if any(path.startswith(f"{backend.name}/") for path in b.files)]
        if those and not backend.missing():
            modules = backend.load_all(those, files)
            found = {b.op: {backend.name: _judged(b.kernel, modules[b.op], backend)} for b in built if b.op in modules}
            built = [replace(b, errors=b.errors | found.get(b.op, {})) for b in built]
    return built


def runtime_files(backends: Iterable[str]) -> Files:
    """The files that the kernels of all ops share, in these backends."""
    return {path: text for b in chosen(backends) for path, text in b.runtime().items()}


def _judged(kernel: Kernel, module: ModuleType, backend: Backend) -> float:
    verdict = judge(kernel, module, backend)
    if verdict.fault:
        raise OpError(
            f"the {backend.name} kernels differ from the equations, so nothing is written: {verdict.fault}; "
            "this is a fault of the toolkit, not of the equations",
            op=kernel.op.name,
        )
    return verdict.largest


def package_files(ops: Collection[str]) -> Files:
    """The ``__init__.py`` of each backend's folder, the files that its kernels share, and those that call the catalogue."""
    names = list(discovered())
    out = runtime_files(names)
    for backend in discovered().values():
        out |= backend.package(ops, COMMAND, names) | backend.adapters(COMMAND)
    return out
