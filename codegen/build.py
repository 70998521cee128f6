"""One op through all stages, and the whole catalogue.

derive      op          -> derivation
plan        derivation  -> kernel (two programs)
certify     derivation  -> certificate, with the programs
lay out     kernel      -> file parts, a backend each
render      file parts  -> source
judge       source      -> verdict: what differs from the equations is not written
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from types import ModuleType

from codegen.backends.arrays.layout import PRINTERS, lay_out
from codegen.backends.native.differentiable import torch_files, torch_package
from codegen.backends.native.files import exports as native_exports
from codegen.backends.native.files import op_files, runtime_files
from codegen.certify import program_checks
from codegen.load import load_natives, load_source
from codegen.names import named
from codegen.plan import planned
from codegen.pool import all_cores
from codegen.program import Kernel
from codegen.render import render, render_file
from codegen.verify.judge import judge
from derive import derive, load
from derive.certify import certify
from derive.errors import OpError
from derive.ops import names, variants
from derive.show.show import latex_document
from derive.show.trees import of_derivation
from derive.syntax import Op

ARRAY_BACKENDS = tuple(PRINTERS)
BACKENDS = (*ARRAY_BACKENDS, "native")
COMMAND = "python -m codegen derive"


@dataclass(frozen=True)
class Built:
    """An op's files (by path below ``generated/``, not yet formatted), its kernel, and its row of the table.

    ``errors`` are the largest differences from the equations, of each backend whose kernels were run.
    """

    op: str
    kernel: Kernel
    files: dict[str, str]
    exports: tuple[str, ...]
    gradients: tuple[str, ...]
    steps: int
    seconds: float
    certificate: str
    certified: bool
    errors: dict[str, float]


def build(op: Op, *, backends: Iterable[str] = BACKENDS, command: str = COMMAND, check: bool = True) -> Built:
    """Derive, certify and emit one op, and run its array kernels.

    Raises OpError where the derivation fails, or where a kernel differs from the equations; the native ones are compiled and
    run by :func:`with_native`, and those of torch are not where it is not installed.
    """
    start = time.perf_counter()
    derivation = derive(op)
    seconds = time.perf_counter() - start
    programs = planned(derivation)
    certificate = certify(derivation).extended(program_checks(derivation, programs))
    kernel = named(programs)
    sources = {b: render_file(lay_out(kernel, b, command), b) for b in ARRAY_BACKENDS if b in backends}
    files = {f"{b}/{op.name}.py": text for b, text in sources.items()}
    files |= op_files(kernel, command) if "native" in backends else {}
    files |= torch_files(kernel, command) if {"native", "torch"} <= set(backends) else {}
    files[f"latex/{op.name}.tex"] = latex_document(derivation, of_derivation(derivation))
    files[f"certificates/{op.name}.json"] = certificate.to_json()
    return Built(
        op=op.name,
        kernel=kernel,
        files=files,
        exports=(kernel.forward.name, kernel.backward.name),
        gradients=derivation.gradients,
        steps=len(derivation.steps),
        seconds=seconds,
        certificate=certificate.summary(),
        certified=certificate.passed,
        errors=_errors(kernel, sources) if check and certificate.passed else {},
    )


def _errors(kernel: Kernel, sources: dict[str, str]) -> dict[str, float]:
    runs = [b for b in sources if b != "torch" or find_spec("torch")]
    return {b: _judged(kernel, load_source(f"{kernel.op.name}_{b}", sources[b]), b) for b in runs}


def with_native(built: Iterable[Built], files: Mapping[str, str]) -> list[Built]:
    """The same with the differences of the native kernels, compiled from their files, where there is a C compiler.

    Raises OpError where one differs from the equations.
    """
    built = list(built)
    modules = load_natives([b.op for b in built], files)
    found = {b.op: {"native": _judged(b.kernel, modules[b.op], "native")} for b in built if b.op in modules}
    return [replace(b, errors=b.errors | found.get(b.op, {})) for b in built]


def _judged(kernel: Kernel, module: ModuleType, backend: str) -> float:
    verdict = judge(kernel, module, backend)
    if verdict.fault:
        raise OpError(
            f"the {backend} kernels differ from the equations, so nothing is written: {verdict.fault}; "
            "this is a fault of the toolkit, not of the equations",
            op=kernel.op.name,
        )
    return verdict.largest


def build_by_name(name: str) -> Built:
    """One op of the catalogue; the error of a failing op names it."""
    try:
        return build(load(name))
    except OpError:
        raise
    except Exception as error:
        raise OpError(f"{type(error).__name__}: {error}", op=name) from error


def build_catalogue(progress: Callable[[Iterator[Built], int], Iterator[Built]]) -> list[Built]:
    """Every op of the catalogue, on all cores; ``progress`` wraps the stream of results."""
    todo = sorted((*names(), *variants()))
    with all_cores() as pool:
        # The longest first, so that no core waits at the end.
        order = sorted(todo, key=lambda n: -len(load(n).equations))
        done = {b.op: b for b in progress(pool.map(build_by_name, order), len(order))}
    return [done[name] for name in todo]


def package_files(built: list[Built]) -> dict[str, str]:
    """The ``__init__.py`` of each backend's folder."""
    out = runtime_files()
    ops = [(b.op, native_exports(b.op)) for b in built]
    out["native/__init__.py"] = render("backends/package.py.j2", backend="native", command=COMMAND, ops=ops)
    out |= torch_package((b.op for b in built), COMMAND)
    for backend in ARRAY_BACKENDS:
        exports = [(b.op, (*([b.op] if backend == "torch" else []), *b.exports)) for b in built]
        out[f"{backend}/__init__.py"] = render("backends/package.py.j2", backend=backend, command=COMMAND, ops=exports)
    return out
