"""The Python description of an op's C functions: the text of ``generated/native/OP.py``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.backends.arrays.lengths import length_source, length_text
from codegen.backends.arrays.signature import tupled
from codegen.backends.arrays.spelling import Text
from codegen.backends.native.machine import overwritable
from codegen.backends.native.programs import axes_of, programs, title
from codegen.backends.native.step import RATE
from codegen.declared import declared_in, lengths_needed
from codegen.escape import docstring
from codegen.program import Kernel, Program, Role
from codegen.source import Code, code, equations
from derive import syntax as st
from derive.language.axes import equal_axes
from derive.language.unicode import declared


@dataclass(frozen=True)
class Binding:
    """The description of one C function, as lines ``keyword=value``."""

    name: str
    fields: tuple[Code, ...]


@dataclass(frozen=True)
class BindingsFile:
    """What the template of ``OP.py`` is given. ``composed`` are functions that are composed of NumPy kernels."""

    op: str
    title: str
    command: str
    equations: tuple[str, ...]
    source: str
    bindings: tuple[Binding, ...]
    composed: tuple[Composed, ...]


@dataclass(frozen=True)
class Composed:
    """A Python function that replaces a C function where there is no compiler; it calls the NumPy kernels."""

    name: str
    signature: Code
    lines: tuple[Code, ...]


def bindings(kernel: Kernel, command: str) -> BindingsFile:
    """The description of the native functions of one op."""
    op = kernel.op
    forward, backward, both, *steps = programs(kernel)
    return BindingsFile(
        op=op.name,
        title=op.title or f"The op {op.name}.",
        command=command,
        equations=equations(op),
        source=op.source,
        bindings=(
            _binding(kernel, forward, len(op.outputs), saved=tuple(t.name for t in kernel.saved)),
            _binding(kernel, backward, len(backward.results)),
            _binding(kernel, both, len(both.results), composed=True),
            *(_binding(kernel, step, len(step.results), composed=True) for step in steps),
        ),
        composed=(_together(kernel, both), *(_step(kernel, step) for step in steps)),
    )


def _binding(
    kernel: Kernel, program: Program, outputs: int, saved: tuple[str, ...] | None = None, composed: bool = False
) -> Binding:
    op, root = kernel.op, equal_axes(kernel.op)
    axes = axes_of(op, program)
    index = {s.name: s.index for s in program.statements}
    donated = {s.name: s.over or s.name for s in program.statements}  # what replaces an argument has its shape
    results = tuple(dict.fromkeys(program.results))
    labels = {a.name: a.labels for a in program.arguments if a.labels}
    scalars = [a.name for a in program.arguments if a.role is Role.UPSTREAM and not a.axes] if composed else []
    used = {st.axis_of(x) for own in (*(a.axes for a in program.arguments), *(index[r] for r in results)) for x in own}
    same = {a: r for a, r in sorted(root.items()) if a != r and a in used}
    declared = declared_in(op, program.arguments, program.statements)
    known = {*axes, *(root.get(a, a) for a in lengths_needed(declared))}
    given = [f"{root[a]!r}: {v!r}".replace("'", '"') for a, v in op.packing.lengths if root[a] in known]
    like = _like(op, program)
    over = [(r, a) for r, a in overwritable(program) if r in results]
    fallback = f"_{program.name}" if composed else f"numpy.{program.name}"
    fields = [
        f'source="{op.name}"',
        f"axes={_tuple(axes)}",
        *([f"stars={_tuple(tuple(sorted(op.stars)))}"] if op.stars else []),
        f"arguments={_pairs([(a.name, _slots(op, a.name, a.axes)) for a in program.arguments])}",
        *([f"labels={_dict(labels)}"] if labels else []),
        *([f"optional={{{', '.join(f'{chr(34)}{s}{chr(34)}: 1.0' for s in scalars)}}}"] if scalars else []),
        *([f"constants=({' '.join(_constant(c) + ',' for c in program.constants)})"] if program.constants else []),
        f"results={_pairs([(r, _slots(op, donated[r], index[r])) for r in results])}",
        f"outputs={outputs}",
        *([f"saved={_tuple(saved)}"] if saved is not None else []),
        *([f"out_from={len(op.outputs)}"] if composed else []),
        *([f"same={_dict(same)}"] if same else []),
        *([f"given={{{', '.join(given)}}}"] if given else []),
        *([f"declared={tupled([_declared(root, *length) for length in declared])}"] if declared else []),
        *([f"like={_pairs(like)}"] if like else []),
        *([f"over={_pairs(over)}"] if over else []),
        f"fallback={fallback}",
        f'doc="""{docstring(_doc(op, program, saved))}"""',
    ]
    return Binding(program.name, code(fields))


def _declared(root: Mapping[str, str], axis: str, tree: st.Tree) -> str:
    """A declared length: its axis, its text, and the function that works it out."""
    source = length_source(tree, lambda a: Text(f'size["{root.get(a, a)}"]'), lambda name: Text(f'constants["{name}"]'))
    return f'("{root.get(axis, axis)}", "{length_text(tree)}", lambda size, constants: {source.code})'


def _like(op: st.Op, program: Program) -> list[tuple[str, str]]:
    """Gradients with the argument whose precision they have, where that is not the first array.

    It is the input itself, or the given gradient of an output where the program does not read the input.
    """
    arguments = [a for a in program.arguments if not a.labels]
    given = sorted((a for a in arguments if a.role is Role.UPSTREAM), key=lambda a: not a.axes)
    first = next((a for a in arguments if a.axes), None)
    own = {st.adjoint_name(a.name): a for a in arguments if a.role is Role.INPUT}
    wanted = [st.adjoint_name(t.name) for t in op.differentiable]
    pairs = [(r, own.get(r, next(iter(given), None))) for r in dict.fromkeys(program.results) if r in wanted]
    return [(r, a.name) for r, a in pairs if a is not None and a != first]


def _slots(op: st.Op, name: str, axes: tuple[str, ...]) -> str:
    """The axes of a tensor as the caller has them: ``n b*e``."""
    return " ".join(map("*".join, op.packing.slots(name, tuple(map(st.axis_of, axes)))))


def _constant(c: st.Constant) -> str:
    return f'("{c.name}", {float(c.default) if c.default else None})'


def _tuple(names: tuple[str, ...]) -> str:
    return tupled([f'"{n}"' for n in names])


def _pairs(pairs: list[tuple[str, str]]) -> str:
    return tupled([f'("{a}", "{b}")' for a, b in pairs])


def _dict(pairs: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{k}": "{v}"' for k, v in pairs.items()) + "}"


def _doc(op: st.Op, program: Program, saved: tuple[str, ...] | None) -> str:
    shapes = ", ".join(_shape(op, a.name, a.axes) for a in program.arguments)
    listed = dict.fromkeys(program.results)
    if saved is None:
        returns = ", ".join(listed)
    else:
        outputs = ", ".join(t.name for t in op.outputs)
        returns = f"{outputs}, and the tuple of what the backward needs: {tupled(saved)}"
    return f"{title(op, program)}.\n\nShapes: {shapes}.\nReturns {returns}.\n"


def _shape(op: st.Op, name: str, axes: tuple[str, ...]) -> str:
    return declared(op, name, axes) if axes else f"{name} scalar"


# ---- in NumPy, where there is no compiler --------------------------------------------------------------------------------


def _signature(program: Program) -> Code:
    """The parameters. The gradient of a loss has the default 1 if every parameter after it has a default too."""
    parts: list[str] = []
    defaulted = True
    constants = [(c.name, c.default) for c in program.constants]
    scalars = [(a.name, "1.0" if a.role is Role.UPSTREAM and not a.axes else None) for a in program.arguments]
    for name, default in reversed([*scalars, *constants]):
        defaulted = defaulted and bool(default)
        parts.append(f"{name}={default}" if defaulted else name)
    return Code(", ".join(reversed(parts)))


def _together(kernel: Kernel, both: Program) -> Composed:
    op, forward, backward = kernel.op, kernel.forward, kernel.backward
    outputs = ", ".join(t.name for t in op.outputs)
    saved = [t.name for t in kernel.saved]
    unpacked = tupled(saved) if saved else "_"
    head = outputs if len(op.outputs) == 1 else f"({outputs})"
    call = ", ".join([*(a.name for a in forward.arguments), *(c.name for c in forward.constants)])
    back = ", ".join([*(a.name for a in backward.arguments), *(c.name for c in backward.constants)])
    star = "*" if len(backward.results) > 1 else ""
    lines = (
        f"{head}, {unpacked} = numpy.{forward.name}({call})",
        f"return {outputs}, {star}numpy.{backward.name}({back})",
    )
    return Composed(both.name, _signature(both), code(lines))


def _step(kernel: Kernel, step: Program) -> Composed:
    op = kernel.op
    inputs = ", ".join(t.name for t in op.inputs)
    constants = "".join(f", {c.name}={c.name}" for c in step.constants if c.name != RATE)
    parameters = ", ".join(t.name for t in op.differentiable)
    lines = (
        f"{op.outputs[0].name}, *gradients = _{op.name}_forward_backward({inputs}{constants})",
        f"return {op.outputs[0].name}, *(p - {RATE} * dp for p, dp in zip(({parameters}), gradients, strict=True))",
    )
    return Composed(step.name, _signature(step), code(lines))
