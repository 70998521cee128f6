"""A text through every stage and every backend, judged by the reference. Only this module knows what is under test."""

from __future__ import annotations

import importlib
import inspect
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import torch

import derive
from codegen.backends.arrays.discovery import arrays
from codegen.backends.discovery import by_name, discovered
from codegen.backends.native.differentiable import torch_files, torch_package
from codegen.backends.native.files import op_files, runtime_files
from codegen.backends.native.package import load_native
from codegen.build import with_tangents
from codegen.load import load_source
from codegen.names import named
from codegen.program import Kernel, Program, given_tangents
from derive import syntax as st
from derive.certify import certify
from derive.errors import OpError
from derive.labels import whole_constants
from tests.systems import language
from tests.systems.points import Array, Point, points

#: Those whose library is there; for the others it is the tests of the libraries that are skipped.
BACKENDS = tuple(b.name for b in discovered().values() if not b.missing())
DTYPES: tuple[type, ...] = (np.float64, np.float32)
#: In float64 a difference counts from this part of an entry's own terms, or that of the largest terms of its tensor.
OWN, LARGEST = 1e-7, 1e-11
#: The same in float32, where only a wrong type or a wrong formula is looked for.
OWN32, LARGEST32 = 2e-2, 2e-3


#: How a kernel refuses shapes from which a length cannot be told.
OPEN_LENGTH = re.compile(r"\w+ has length 0 on axis .*, which leaves that of \w+ open")


@dataclass(frozen=True)
class Verdict:
    """``kind`` is ok, refused, crash, wrong, slow, uncertified or pointless; ``stage`` where, ``what`` one line more.

    Refused are texts, and calls whose shapes leave a length open. Pointless are systems that have no point at which
    everything is finite, so that a certificate that finds none either is no failure.
    """

    kind: str
    stage: str = ""
    what: str = ""

    @property
    def failed(self) -> bool:
        """Whether it is no right result: a refusal that names what it refuses is the least of these."""
        return self.kind not in ("ok", "pointless")

    def like(self, other: Verdict) -> bool:
        """Whether it is the same failure, as far as shrinking is concerned."""
        return (self.kind, self.stage, self.gist) == (other.kind, other.stage, other.gist)

    @property
    def gist(self) -> str:
        """The message without the names, numbers and places of one text."""
        if self.kind in ("wrong", "slow"):
            return re.sub(r".*(shape|float64|int64|instead).*", r"\1", self.what)
        text = re.sub(r"^[^:]*line \d+[^:]*: ", "", self.what)
        return re.sub(r"'[^']*'|\[[^\]]*\]|/[^ :]*|[\w.]*\d[\w.]*", "", text)[:60]


class Slow(BaseException):
    """The time is up."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raises Slow where the body takes more processor time of this process (a signal: in the main thread only)."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Slow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Failure(Exception):
    def __init__(self, verdict: Verdict):
        super().__init__(verdict)
        self.verdict = verdict


def check(text: str, seed: int, backends: tuple[str, ...] = BACKENDS, limit: float = 20.0, narrow: bool = True) -> Verdict:
    """What becomes of a text; ``limit`` is the time of each stage in seconds, ``narrow`` has C compiled for float32 too."""
    try:
        system = language.read(text)
        kernel = _derived(text, limit)
        found = [p.spelled(_spelling(system, kernel.op)) for p in points(system, seed)]
        for backend in backends:
            _backend(kernel, backend, found, limit, DTYPES if narrow or backend != "native" else DTYPES[:1])
    except Failure as failure:
        lost = failure.verdict.kind == "uncertified" and not any(p.checked for p in points(system, seed))
        return Verdict("pointless", failure.verdict.stage, failure.verdict.what) if lost else failure.verdict
    if not any(p.checked for p in found):
        return Verdict("pointless", "", "no point at which everything is finite and off the kinks")
    return Verdict("ok")


def _spelling(system: language.System, op: derive.Op) -> dict[str, str]:
    """The name in emitted files of whatever a text names: things stand in one order in both."""
    tensors = list(zip([*system.inputs.values(), *system.outputs], [*op.inputs, *op.outputs], strict=True))
    to = {f"{d}{t.name}": f"{d}{u.name}" for t, u in tensors for d in ("", "d")}
    to |= {a: b for t, u in tensors for a, b in zip(t.axes, u.axes, strict=True)}
    return to | dict(zip(system.constants, (c.name for c in op.constants), strict=True))


#: Called with the name of each stage as it begins.
watchers: list[Callable[[str], None]] = []


def staged(stage: str, limit: float, run: Callable[[], Any]) -> Any:
    """The result of a stage; whatever it raises becomes a Failure that names the stage."""
    for watcher in watchers:
        watcher(stage)
    try:
        with within(limit), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message="generated.native")  # C that does not compile would pass for NumPy
            return run()
    except Slow:
        raise Failure(Verdict("slow", stage, f"more than {limit:g} s")) from None
    except OpError as error:
        one_line = "\n" not in str(error)
        raise Failure(Verdict("refused" if one_line else "crash", stage, str(error))) from None
    except Failure:
        raise
    except ValueError as error:
        raise Failure(Verdict("refused" if OPEN_LENGTH.fullmatch(str(error)) else "crash", stage, _shown(error))) from None
    except BaseException as error:
        raise Failure(Verdict("crash", stage, _shown(error))) from None


def _shown(error: BaseException) -> str:
    """What was raised, in one line, and where."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}{_place(error)}"


def _place(error: BaseException) -> str:
    """Where it was raised: the last line of the project itself."""
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/derive/" in file or "/codegen/" in file:
            place = f" ({file.rpartition('/derive/' if '/derive/' in file else '/codegen/')[2]}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _derived(text: str, limit: float) -> Kernel:
    op = staged("parse", limit, lambda: derive.parse(text))
    derivation = staged("derive", limit, lambda: derive.derive(op))
    certificate = staged("certify", limit, lambda: certify(derivation))
    if not certificate.passed:
        raise Failure(Verdict("uncertified", "certify", certificate.summary().replace("\n", " ")))
    programs, checks = staged("tangents", limit, lambda: with_tangents(derivation))
    for c in checks:
        if not c.passed:
            raise Failure(Verdict("uncertified", "tangents", f"{c.rule} on {c.name}: {c.reason}".replace("\n", " ")))
    kernel: Kernel = named(programs)
    return kernel


# ---- one backend --------------------------------------------------------------------------------------------------------


def _backend(kernel: Kernel, backend: str, found: list[Point], limit: float, dtypes: tuple[type, ...]) -> None:
    if by_name(backend).refuses(kernel):  # by name, before anything is written
        return
    module = staged(f"emit {backend}", limit, lambda: load(kernel, backend))
    for point in found:
        for dtype in dtypes:
            for call in CALLS[backend]:
                stage = f"{call.__name__.strip('_')} {backend}"
                got = staged(stage, limit, partial(call, kernel, module, point, dtype))
                _compare(kernel, point, dtype, stage, *got)


def load(kernel: Kernel, backend: str) -> Any:
    """The module of a backend; for ``native`` compiled, with its differentiable op as ``differentiable``."""
    if backend != "native":
        module = load_source(f"{kernel.op.name}_{backend}", arrays(backend).text(kernel, "a check"))
        for name in (p.name for p in kernel.programs):
            setattr(module, name, by_name(backend).called(getattr(module, name)))
        return module
    name = kernel.op.name
    files = {f"{b}/{name}.py": arrays(b).text(kernel, "a check") for b in ("numpy", "torch")}
    files |= {
        **op_files(kernel, "a check"),
        **runtime_files(),
        **torch_files(kernel, "a check"),
        **torch_package([name], "a check"),
    }
    return load_native(name, files)


Results = tuple[list[Any], list[Any]]


def _kernels(kernel: Kernel, module: ModuleType, point: Point, dtype: type) -> Results:
    """Forward and backward of NumPy or C, on arrays of which some are strided."""
    return _run(
        kernel, module, point, lambda a, k: _strided(np.asarray(a, dtype if a.dtype.kind == "f" else a.dtype), k), dtype
    )


def _tensors(kernel: Kernel, module: ModuleType, point: Point, dtype: type) -> Results:
    """Forward and backward of torch."""

    def make(a: Array, k: int) -> torch.Tensor:
        return torch.from_numpy(_strided(np.asarray(a, dtype if a.dtype.kind == "f" else a.dtype), k))

    return _run(kernel, module, point, make, dtype)


def _autograd(kernel: Kernel, module: ModuleType, point: Point, dtype: type) -> Results:
    """The differentiable op of torch: outputs, and gradients by autograd."""
    op = kernel.op
    given: dict[str, Any] = {}
    for t in op.inputs:
        a = point.shaped(t.name, t.axes, point.inputs[t.name])
        given[t.name] = torch.tensor(a, dtype=None if t.labels else _torch(dtype), requires_grad=not t.labels)
    outputs = _differentiable(module, op.name)(*(given[t.name] for t in op.inputs), **_constants(kernel.op, point))
    outputs = [outputs] if len(op.outputs) == 1 else list(outputs)
    upstream = [torch.tensor(point.shaped(t.name, t.axes, point.upstream[t.name]), dtype=_torch(dtype)) for t in op.outputs]
    wanted = [given[t.name] for t in op.differentiable]
    grads = torch.autograd.grad(outputs, wanted, upstream, allow_unused=True)
    zeros = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, grads, strict=True)]
    return [o.detach() for o in outputs], zeros


def _pure(kernel: Kernel, module: ModuleType, point: Point, dtype: type) -> Results:
    """Forward and backward of JAX, compiled; constants are traced."""
    backend = by_name("jax")

    def make(a: Array, k: int) -> Any:
        return backend.to(np.asarray(a, dtype if a.dtype.kind == "f" else a.dtype))

    with backend.running():
        outputs, gradients = _run(kernel, module, point, make, dtype)
        return list(map(backend.back, outputs)), list(map(backend.back, gradients))


def _custom_vjp(kernel: Kernel, module: ModuleType, point: Point, dtype: type) -> Results:
    """The differentiable op of JAX."""
    backend, op = by_name("jax"), kernel.op
    with backend.running():
        values = _inputs(kernel, point, lambda a, k: backend.to(np.asarray(a, dtype if a.dtype.kind == "f" else a.dtype)))
        constants = {c.name: values.get(c.name, _number(op, c.name, float(Fraction(c.default or "1")))) for c in op.constants}
        outputs = getattr(module, op.name)(*(values[t.name] for t in op.inputs), **constants)
        gradients = [g for _, g in backend.gradients(kernel, module, values | constants)]
        outputs = [outputs] if len(op.outputs) == 1 else list(outputs)
        return list(map(backend.back, outputs)), list(map(backend.back, gradients))


def _fused(kernel: Kernel, module: ModuleType, point: Point, dtype: type) -> Results:
    """Forward and backward in one call of C."""
    op = kernel.op
    values = _inputs(kernel, point, lambda a, k: np.asarray(a, dtype if a.dtype.kind == "f" else a.dtype))
    call = getattr(module, f"{op.name}_forward_backward")
    names = [p.name for p in inspect.signature(call).parameters.values() if p.name != "out"]
    results = call(**{n: values[n] for n in names if n in values})
    results = [results] if not isinstance(results, tuple) else list(results)
    return results[: len(op.outputs)], results[len(op.outputs) :]


def _differentiable(module: ModuleType, name: str) -> Callable[..., Any]:
    """The op with a gradient: that of torch, or that of torch over the kernels in C."""
    if not hasattr(module, name):
        module = importlib.import_module(f"{module.__package__}.torch.{name}")
    found: Callable[..., Any] = getattr(module, name)
    return found


CALLS: dict[str, tuple[Callable[[Kernel, Any, Point, type], Results], ...]] = {
    "numpy": (_kernels,),
    "torch": (_tensors, _autograd),
    "jax": (_pure, _custom_vjp),
    "native": (_kernels, _fused, _autograd),
}


def _torch(dtype: type) -> torch.dtype:
    return torch.float64 if dtype is np.float64 else torch.float32


def _strided(a: Array, k: int) -> Array:
    """The same values in every third argument strided, in every third with its axes the other way round in memory."""
    if k % 3 == 1 and a.ndim:
        out = np.empty((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)[..., ::2]
        out[...] = a
        return out
    return np.array(a, order="F" if k % 3 == 2 else "C")


def _inputs(kernel: Kernel, point: Point, make: Callable[[Array, int], Any]) -> dict[str, Any]:
    op = kernel.op
    values = {t.name: make(point.shaped(t.name, t.axes, point.inputs[t.name]), k) for k, t in enumerate(op.inputs)}
    for k, t in enumerate(op.outputs):
        values[f"d{t.name}"] = make(point.shaped(t.name, t.axes, point.upstream[t.name]), k + 1)
    return values | _constants(op, point)


def _constants(op: derive.Op, point: Point) -> dict[str, float]:
    """As keywords, left out where they have their default."""
    return {c.name: _number(op, c.name, point.constants[c.name]) for c in op.constants if point.kind == "ones"}


def _number(op: derive.Op, name: str, value: float) -> float:
    """A constant as callers give it: one that is a length of an axis, or stands among positions, is an integer."""
    return int(value) if name in op.length_constants | whole_constants(op) else value


def _run(kernel: Kernel, module: ModuleType, point: Point, make: Callable[[Array, int], Any], dtype: type) -> Results:
    values = _inputs(kernel, point, make)

    def call(program: Program) -> Any:
        constants = {c.name: values[c.name] for c in program.constants if c.name in values}
        return getattr(module, program.name)(*(values[a.name] for a in program.arguments), **constants)

    outputs, saved = call(kernel.forward)
    values |= dict(zip([t.name for t in kernel.saved], saved, strict=True))
    grads = call(kernel.backward)
    if kernel.tangent and hasattr(module, kernel.tangent.name) and dtype is np.float64:
        _tangents(kernel, point, values, make, lambda: call(kernel.tangent))
    return (
        [outputs] if len(kernel.op.outputs) == 1 else list(outputs),
        [grads] if len(kernel.backward.results) == 1 else list(grads),
    )


def _tangents(
    kernel: Kernel, point: Point, values: dict[str, Any], make: Callable[[Array, int], Any], call: Callable[[], Any]
) -> None:
    """The dot-product test: ``sum(dy*y_dot)`` is ``sum(dx*x_dot)``, where the gradients are known and finite."""
    op, rng = kernel.op, np.random.default_rng(3)
    moved = {t.name: rng.standard_normal(point.shape(t.name, t.axes)) for t in op.differentiable}
    values |= {n: make(moved[t.name], 0) for n, t in zip(given_tangents(kernel.tangent), op.differentiable, strict=True)}
    found = call()
    found = [found] if len(op.outputs) == 1 else list(found)
    known = [(point.gradients.get(t.name), moved[t.name]) for t in op.differentiable]
    if any(want is None or not (np.isfinite(want[0]).all() and np.isfinite(want[1]).all()) for want, _ in known):
        return
    one = [
        np.asarray(v).reshape(-1) * np.asarray(point.upstream[t.name]).reshape(-1)
        for t, v in zip(op.outputs, found, strict=True)
    ]
    other = [want[0].reshape(-1) * v.reshape(-1) for want, v in known]
    size = sum(float(np.sum(np.abs(a))) for a in one)
    size += sum(float(np.sum(want[1].reshape(-1) * np.abs(v).reshape(-1))) for want, v in known)
    got, want = (sum(float(np.sum(a)) for a in side) for side in (one, other))
    if not abs(got - want) <= 1e-6 * size + 1e-300:
        what = f"sum(dy*y_dot) is {got:.9g} instead of {want:.9g} (terms of {size:.3g}) at the point {point.kind!r}"
        raise Failure(Verdict("wrong", "tangents", what))


# ---- the judge ----------------------------------------------------------------------------------------------------------


def _compare(kernel: Kernel, point: Point, dtype: type, stage: str, outputs: list[Any], grads: list[Any]) -> None:
    op = kernel.op
    wanted = [(t.name, t.axes, point.outputs.get(t.name)) for t in op.outputs]
    wanted += [(f"d{t.name}", t.axes, point.gradients.get(t.name)) for t in op.differentiable]
    got = [*outputs, *grads]
    if len(got) != len(wanted):
        raise Failure(Verdict("wrong", stage, f"{len(got)} results instead of {len(wanted)} at the point {point.kind!r}"))
    for (name, axes, want), value in zip(wanted, got, strict=True):
        array = np.asarray(value)
        shape = point.shape(name, axes)
        at = f"at the point {point.kind!r} in {np.dtype(dtype).name}"
        if array.shape != shape:
            raise Failure(Verdict("wrong", stage, f"{name}: shape {array.shape} instead of {shape} {at}"))
        if array.dtype != dtype:
            raise Failure(Verdict("wrong", stage, f"{name}: {array.dtype} {at}"))
        if want is not None and not (dtype is np.float32 and (_rounds_numbers(kernel) or not point.narrow)):
            _same(name, array.reshape(-1), want[0].reshape(-1), want[1].reshape(-1), dtype, stage, at)


def _rounds_numbers(kernel: Kernel) -> bool:
    """Whether float32 has another number in the place of a large one: whoever computes it, ``cos(x - 1e20)`` is not that."""
    numbers = [n.value for e in kernel.op.equations for n in st.walk(e.rhs) if isinstance(n, st.Num)]
    return any(abs(v) > 2**24 and Fraction(float(np.float32(float(v)))) != v for v in numbers if abs(v) < 10**38)


def _same(name: str, got: Array, want: Array, size: Array, dtype: type, stage: str, at: str) -> None:
    if not want.size:
        return
    if dtype is np.float32:
        nonzero = np.abs(size[size > 0])
        if size.max() > 1e20 or (nonzero.size and nonzero.min() < 1e-20):
            return  # beyond what float32 is asked for here
    own, largest = (OWN, LARGEST) if dtype is np.float64 else (OWN32, LARGEST32)
    bound = own * size + largest * size.max() + 1e-300
    with np.errstate(all="ignore"):
        bad = ~(np.abs(got.astype(float) - want) <= bound)
    if bad.any():
        k = int(bad.argmax())
        what = f"{name}: {got[k]:.9g} instead of {want[k]:.9g} (terms of {size[k]:.3g}, {bad.sum()} of {bad.size}) {at}"
        raise Failure(Verdict("wrong", stage, what))


def timed(text: str, seed: int, backends: tuple[str, ...], limit: float) -> tuple[Verdict, float]:
    start = time.perf_counter()
    return check(text, seed, backends, limit), time.perf_counter() - start
