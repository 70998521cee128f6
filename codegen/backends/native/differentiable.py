"""The differentiable torch op around native kernels: the text of ``generated/native/torch/OP.py``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from codegen.backends.arrays.signature import tupled
from codegen.backends.torch.differentiable import differentiable
from codegen.program import Argument, Kernel, Program
from codegen.render import render
from codegen.source import Code, DifferentiableSource, equations
from derive import syntax as st
from derive.language.axes import equal_axes

RUNTIME = "native/torch/_native.py"


@dataclass(frozen=True)
class OperatorSource:
    """An opaque op of torch: its schema, arguments and results, and an expression for the tuple of the results' shapes."""

    schema: str
    arguments: Code
    results: Code
    shapes: Code


@dataclass(frozen=True)
class TorchFile:
    """What the template of ``torch/OP.py`` is given. ``served`` are the arguments that decide if native kernels are used."""

    title: str
    command: str
    equations: tuple[str, ...]
    source: str
    differentiable: DifferentiableSource
    forward: OperatorSource
    backward: OperatorSource
    served: Code


def torch_files(kernel: Kernel, command: str) -> dict[str, str]:
    """``torch/OP.py``, and the runtime that all ops share; neither is formatted yet."""
    source = torch_file(kernel, command)
    data = {f.name: getattr(source, f.name) for f in fields(source)}
    return {
        f"native/torch/{kernel.op.name}.py": render("native/torch/op.py.j2", **data),
        RUNTIME: render(f"{RUNTIME}.j2"),
    }


def torch_package(ops: Iterable[str], command: str) -> dict[str, str]:
    """The ``__init__.py`` of ``native/torch/``."""
    return {"native/torch/__init__.py": render("native/torch/__init__.py.j2", ops=tuple(ops), command=command)}


def torch_file(kernel: Kernel, command: str) -> TorchFile:
    """The parts of the file of one op; ``command`` is what regenerates it."""
    op = kernel.op
    outputs = [t.name for t in op.outputs]
    saved = [t.name for t in kernel.saved if t.name not in outputs]
    return TorchFile(
        title=op.title or f"The op {op.name}.",
        command=command,
        equations=equations(op),
        source=op.source,
        differentiable=differentiable(kernel),
        forward=_operator(op, kernel.forward, [*outputs, *saved]),
        backward=_operator(op, kernel.backward, kernel.backward.results),
        served=_served(op),
    )


def _operator(op: st.Op, program: Program, results: Iterable[str]) -> OperatorSource:
    tensors, constants = [a.name for a in program.arguments], [c.name for c in program.constants]
    index = {s.name: s.index for s in program.statements}
    results = list(results)
    parameters = [*(f"Tensor {n}" for n in tensors), *(f"float {n}" for n in constants)]
    returned = ", ".join(f"Tensor {r}" for r in results)
    shapes = [_shape(op, program.arguments, index[r]) for r in results]
    return OperatorSource(
        schema=f"{program.name}({', '.join(parameters)}) -> " + (f"({returned})" if len(results) > 1 else "Tensor"),
        arguments=Code(", ".join([*tensors, *constants])),
        results=Code(", ".join(results)),
        shapes=Code(tupled(shapes)),
    )


def _shape(op: st.Op, arguments: Iterable[Argument], index: tuple[str, ...]) -> str:
    """The shape of a result as an expression: the shape of an argument with the same axes, else runs of arguments' shapes."""
    runs: list[_Run] = []
    while index:
        runs.append(_longest(op, arguments, index))
        index = index[runs[-1].width :]
    if len(runs) == 1 and not runs[0].single:
        return runs[0].shape
    return tupled([r.shape if r.single else f"*{r.shape}" for r in runs])


@dataclass(frozen=True)
class _Run:
    """Neighbouring axes of an argument: an expression for their lengths, which is a number for a ``single`` axis."""

    shape: str
    width: int
    single: bool = False


def _longest(op: st.Op, arguments: Iterable[Argument], index: tuple[str, ...]) -> _Run:
    """The longest run of leading axes of ``index`` that one argument has."""
    root = equal_axes(op)
    wanted = [root.get(i, i) for i in index]
    for width in reversed(range(1, len(index) + 1)):
        # Arguments without other axes come first, since a whole shape is easiest to read.
        for a in sorted(arguments, key=lambda a: len(a.axes) != width):
            axes = [root.get(x, x) for x in a.axes]
            for k in range(len(axes) - width + 1):
                if axes[k : k + width] == wanted[:width]:
                    return _run(op, a, k, width)
    raise AssertionError(f"no argument has the axis {index[0]}")


def _run(op: st.Op, a: Argument, k: int, width: int) -> _Run:
    """The run of ``width`` axes of an argument that begins at axis number ``k``."""
    stop = k + width
    if width == 1 and len(a.axes) > 1 and a.axes[k] not in op.stars:
        return _Run(f"{a.name}.shape[{_position(op, a.axes, k)}]", width, single=True)
    start = _position(op, a.axes, k) if k else ""
    end = _position(op, a.axes, stop) if stop < len(a.axes) else ""
    return _Run(f"{a.name}.shape" + (f"[{start}:{end}]" if start or end else ""), width)


def _position(op: st.Op, axes: tuple[str, ...], k: int) -> str:
    """The position in a shape of axis number ``k``, counted from the end if the axis follows a star."""
    return str(k - len(axes) if any(a in op.stars for a in axes[:k]) else k)


def _served(op: st.Op) -> Code:
    """The arguments of the call that asks whether the native kernels can be used."""
    floating = [t.name for t in op.inputs if not t.labels]
    labels = [t.name for t in op.inputs if t.labels]
    constants = [c.name for c in op.constants]
    keywords = [f"{k}={tupled(v)}" for k, v in (("labels", labels), ("constants", constants)) if v]
    return Code(", ".join([*floating, *keywords]))
