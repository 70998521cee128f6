"""The differentiable torch op around a kernel: what its ``autograd.Function`` saves, rematerialises and returns."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.backends.arrays.memory import alias_of, borrowed
from codegen.backends.arrays.signature import listed, shapes, signature, tupled
from codegen.backends.torch.context import on_context
from codegen.backends.torch.printer import TorchPrinter
from codegen.locals import local
from codegen.program import Kernel, Program, given_tangents
from codegen.source import Code, DifferentiableSource, TangentSource, code
from derive import syntax as st


def differentiable(kernel: Kernel) -> DifferentiableSource:
    """The differentiable op that has the kernel's name."""
    op, backward = kernel.op, kernel.backward
    inputs, outputs = [t.name for t in op.inputs], [t.name for t in op.results]
    positions = [t.name for t in op.positions]
    constants = [c.name for c in op.constants]
    saved = [t.name for t in kernel.saved]
    extra = [s for s in saved if s not in outputs]
    taken = [*inputs, *(c.name for c in kernel.forward.constants)]
    forward = f"{op.name}_forward({', '.join(taken)})"
    read = {a.name for a in backward.arguments} | {c.name for c in backward.constants}
    # A second derivative starts from the inputs where the forward saved more than its outputs.
    started = [n for n in (*inputs, *constants) if n in read or (extra and n in taken)]
    kept = [*(n for n in inputs if n in started), *saved]
    held = [n for n in constants if n in started]
    results = [*outputs, *extra]
    context, given, made, wanted = (local(kernel, n) for n in ("ctx", "inputs", "output", "wanted"))
    setup = [f"{listed([n if n in started else '_' for n in (*inputs, *constants)])} = {given}"] if started else []
    setup += [f"{', '.join(results)} = {made}"] if saved or positions else []
    setup += [f"{context}.mark_non_differentiable({', '.join(positions)})"] if positions else []
    setup += [f"{context}.save_for_backward({', '.join(kept)})"] if kept else []
    setup += [f"{context}.{on_context(n)} = {n}" for n in held]
    prepare = [f"{listed(kept)} = {context}.saved_tensors"] if kept else []
    gradients = [name if (name := st.adjoint_name(n)) in backward.results else "None" for n in inputs]
    arguments = [*(_upstream(kernel, a.name) for a in backward.arguments), *(c.name for c in backward.constants)]
    prepare += [f"{n} = {context}.{on_context(n)}" for n in held]
    several = len(backward.results) > 1
    arguments += [f"{wanted}={wanted}"] if several else []
    single = len(outputs) == 1
    return DifferentiableSource(
        name=op.name,
        class_name=_class_name(op),
        signature=Code(signature(op)),
        doc=(
            f"Differentiable {op.name}: autograd in both modes and to second order, vmap, torch.func, compile and export.",
            "",
            f"Shapes: {shapes(op)}.",
        ),
        arguments=Code(", ".join([*inputs, *constants])),
        forward=Code(f"{outputs[0] if single else tupled(outputs)}, {_unpacked(saved, extra)} = {forward}"),
        result=Code(", ".join(results)),
        apart=Code(", ".join([*(f"{n}{_apart(kernel, n)}" for n in outputs), *extra])),
        context=context,
        given=given,
        made=made,
        setup=code(setup or ["pass"]),
        upstream=Code(", ".join([st.adjoint_name(t.name) for t in op.outputs] + ["*_"] * bool(extra or positions))),
        prepare=code(prepare),
        wanted=Code(f"{wanted} = {_needed(gradients, context)}" if several else ""),
        recompute=Code(f"_, {tupled(saved)} = {forward}" if extra else ""),
        backward=Code(f"{', '.join(backward.results)} = {op.name}_backward({', '.join(arguments)})"),
        plain=Code(f"{forward}[0]"),
        returned=Code(", ".join([*gradients, *["None"] * len(constants)])),
        picked=Code("" if len(results) == len(outputs) else "[0]" if single else f"[:{len(outputs)}]"),
        moving=Code(", ".join(t.name for t in op.differentiable)),
        tangent=_tangent(kernel, kernel.tangent, results, [*positions, *extra], (context, given, made))
        if kernel.tangent
        else None,
    )


def _tangent(
    kernel: Kernel, program: Program, results: list[str], extra: list[str], local_names: tuple[str, str, str]
) -> TangentSource:
    """The class of forward mode, in which what else the forward saves is no result: torch asks a tangent of each result.

    So the class serves first derivatives alone.
    """
    op, (context, given, made) = kernel.op, local_names
    inputs, constants = [t.name for t in op.inputs], [c.name for c in program.constants]
    tangents = dict(zip((t.name for t in op.differentiable), given_tangents(program), strict=True))
    kept = [a.name for a in program.arguments if a.name not in tangents.values()]
    taken = [*inputs, *(c.name for c in op.constants)]
    setup = [f"{listed([n if n in (*kept, *constants) else '_' for n in taken])} = {given}"]
    setup = setup if {*taken} & {*kept, *constants} else []
    setup += (
        [f"{', '.join(n if n in (*kept, *extra) else '_' for n in results)} = {made}"] if {*results} & {*kept, *extra} else []
    )
    setup += [f"{context}.save_for_forward({', '.join(kept)})"] if kept else []
    setup += [f"{context}.mark_non_differentiable({', '.join(extra)})"] if extra else []
    setup += [f"{context}.{on_context(n)} = {n}" for n in constants]
    prepare = [f"{listed(kept)} = {context}.saved_tensors"] if kept else []
    names = [tangents.get(n, "_" if k == len(inputs) - 1 and not op.constants else f"_{k}") for k, n in enumerate(inputs)]
    last = max(k for k, n in enumerate(inputs) if n in tangents) + 1
    rest = [] if last == len(taken) else ["*_"]
    return TangentSource(
        class_name=f"{_class_name(op)}Tangent",
        setup=code(setup or ["pass"]),
        given=Code(", ".join([context, *names[:last], *rest])),
        prepare=code(prepare + [f"{n} = {context}.{on_context(n)}" for n in constants]),
        call=Code(f"{', '.join(program.results)} = {program.name}({', '.join([*tangents.values(), *kept, *constants])})"),
        returned=Code(", ".join([*program.results, *["None"] * len(extra)])),
    )


def _needed(gradients: Sequence[str], context: str) -> str:
    """Source for the names of the gradients that autograd asks for; ``gradients`` are those of the inputs, in order."""
    names = ", ".join(f'"{g}"' if g != "None" else g for g in gradients)
    return f"tuple(itertools.compress(({names}), {context}.needs_input_grad))"


def _class_name(op: st.Op) -> str:
    return "_" + "".join(w.capitalize() for w in op.name.split("_"))


def helpers(kernel: Kernel) -> frozenset[str]:
    """The helpers that the differentiable op needs in its file."""
    return frozenset({"_nested"} | ({"_wide"} if _mixes(kernel) else set()) | ({"_forward_mode"} if kernel.tangent else set()))


def _upstream(kernel: Kernel, name: str) -> str:
    """An argument of the backward.

    Beside a parameter the upstream gradient is widened: autograd casts each gradient to its own input's dtype, and that of a
    float32 parameter would else have been rounded to the dtype of a narrower output.
    """
    upstream = {st.adjoint_name(t.name) for t in kernel.op.outputs}
    return f"_wide({name})" if _mixes(kernel) and name in upstream else name


def _mixes(kernel: Kernel) -> bool:
    """Whether inputs with a gradient can differ in dtype."""
    return sum(t.labels is None for t in kernel.op.inputs) > 1


def _unpacked(saved: list[str], extra: list[str]) -> str:
    """The tuple that unpacks what a forward saved. A saved output is left out: it may differ in precision from the output."""
    return tupled([n if n in extra else "_" for n in saved]) if extra else "_"


def _apart(kernel: Kernel, name: str) -> str:
    """The call that makes an output no view: autograd refuses writes into views that an ``autograd.Function`` made."""
    program, statements = kernel.forward, {s.name: s for s in kernel.forward.statements}
    printer, s = TorchPrinter(program, borrowed(program)), statements[name]
    made = printer.apart(s)
    while not made and s.name not in printer.copies and (temporary := alias_of(s.tree)) in statements:
        s = statements[temporary]
        made = printer.apart(s)
    op = kernel.op
    reshaped = op.packing.packs(name) or (program.collapsed and op.stars & set(statements[name].index))
    return made or (".detach()" if reshaped else "")
