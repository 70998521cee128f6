"""The differentiable torch op around native kernels: the text of ``generated/native/torch/OP.py``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from codegen.backends.arrays.lengths import length_source
from codegen.backends.arrays.signature import tupled
from codegen.backends.arrays.spelling import MUL, NEG, Text, product
from codegen.backends.torch.differentiable import differentiable
from codegen.program import Argument, Kernel, Program
from codegen.render import render
from codegen.source import Code, DifferentiableSource, equations
from derive import syntax as st
from derive.language.axes import equal_axes
from derive.packing import Slots

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
    counts = op.length_constants
    parameters = [*(f"Tensor {n}" for n in tensors), *(f"{'int' if n in counts else 'float'} {n}" for n in constants)]
    returned = ", ".join(f"Tensor {r}" for r in results)
    shapes = [_shape(op, program.arguments, op.packing.slots(r, index[r])) for r in results]
    return OperatorSource(
        schema=f"{program.name}({', '.join(parameters)}) -> " + (f"({returned})" if len(results) > 1 else "Tensor"),
        arguments=Code(", ".join([*tensors, *constants])),
        results=Code(", ".join(results)),
        shapes=Code(tupled(shapes)),
    )


def _shape(op: st.Op, arguments: Iterable[Argument], slots: Slots) -> str:
    """The shape of a result as an expression: the shape of an argument with the same axes, else runs of arguments' shapes."""
    runs: list[_Run] = []
    while slots:
        runs.append(_longest(op, arguments, slots) or _Run(_lengths(op, arguments).product(slots[0]), 1, single=True))
        slots = slots[runs[-1].width :]
    if len(runs) == 1 and not runs[0].single:
        return runs[0].shape
    return tupled([r.shape if r.single else f"*{r.shape}" for r in runs])


@dataclass(frozen=True)
class _Run:
    """Neighbouring axes of an argument: an expression for their lengths, which is a number for a ``single`` axis."""

    shape: str
    width: int
    single: bool = False


def _longest(op: st.Op, arguments: Iterable[Argument], slots: Slots) -> _Run | None:
    """The longest run of leading axes that one argument has too; None where none has even the first."""
    root = equal_axes(op)
    wanted = [[root.get(i, i) for i in slot] for slot in slots]
    for width in reversed(range(1, len(slots) + 1)):
        # Arguments without other axes come first, since a whole shape is easiest to read.
        for a in sorted(arguments, key=lambda a: len(op.packing.slots(a.name, a.axes)) != width):
            axes = [[root.get(x, x) for x in slot] for slot in op.packing.slots(a.name, a.axes)]
            for k in range(len(axes) - width + 1):
                if axes[k : k + width] == wanted[:width]:
                    return _run(op, a, k, width)
    return None


def _run(op: st.Op, a: Argument, k: int, width: int) -> _Run:
    """The run of ``width`` axes of an argument that begins at axis number ``k``."""
    slots, stop = op.packing.slots(a.name, a.axes), k + width
    if width == 1 and len(slots) > 1 and slots[k][0] not in op.stars:
        return _Run(f"{a.name}.shape[{_position(op, slots, k)}]", width, single=True)
    start = _position(op, slots, k) if k else ""
    end = _position(op, slots, stop) if stop < len(slots) else ""
    return _Run(f"{a.name}.shape" + (f"[{start}:{end}]" if start or end else ""), width)


def _position(op: st.Op, slots: Slots, k: int) -> str:
    """The position in a shape of axis number ``k``, counted from the end if the axis follows a star."""
    return str(k - len(slots) if any(slot[0] in op.stars for slot in slots[:k]) else k)


@dataclass(frozen=True)
class _Lengths:
    """An expression for the length of each axis: as given, as an argument has it, or as what a packed axis leaves."""

    root: Mapping[str, str]
    of: Mapping[str, Text]

    def product(self, axes: Iterable[str]) -> str:
        return product([self.of[self.root[st.axis_of(a)]] for a in axes]).code


def _lengths(op: st.Op, arguments: Iterable[Argument]) -> _Lengths:
    root = equal_axes(op)
    of = {root[a]: Text(str(v)) for a, v in op.packing.lengths}
    found = []
    for a in arguments:
        slots = op.packing.slots(a.name, tuple(map(st.axis_of, a.axes)))
        found += [(_run(op, a, k, 1).shape, slot) for k, slot in enumerate(slots) if slot[0] not in op.stars]
    for shape, slot in found * len(found):
        missing = [root[x] for x in slot if root[x] not in of]
        if len(missing) == 1:
            known = [of[root[x]] for x in slot if root[x] in of]
            of[missing[0]] = Text(" // ".join([shape, *(k.within(NEG) for k in known)]), MUL) if known else Text(shape)
    for axis, tree in op.declared.computed(list(of), root):
        of.setdefault(root.get(axis, axis), length_source(tree, lambda a: of[root.get(a, a)], Text))
    return _Lengths(root, of)


def _served(op: st.Op) -> Code:
    """The arguments of the call that asks whether the native kernels can be used."""
    floating = [t.name for t in op.inputs if not t.labels]
    labels = [t.name for t in op.inputs if t.labels]
    constants = [c.name for c in op.constants]
    keywords = [f"{k}={tupled(v)}" for k, v in (("labels", labels), ("constants", constants)) if v]
    return Code(", ".join([*floating, *keywords]))
