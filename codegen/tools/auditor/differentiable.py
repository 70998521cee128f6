"""A differentiable torch callable as a submission: its gradients are those that autograd finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations, product
from typing import Any

from codegen.tools.auditor.layouts import Layout
from codegen.tools.auditor.load import is_autograd_function, is_module
from codegen.tools.auditor.submission import Submission, file_of
from derive import syntax as st

__all__ = ["differentiable_submissions"]


def differentiable_submissions(function: Callable[..., Any], op: st.Op, names: Mapping[str, str]) -> Iterator[Submission]:
    """A torch function, ``autograd.Function`` or module as a submission, in every layout that its parameters may have.

    A function takes the op's inputs by name where its parameters are so called, or ``names`` says so, and otherwise in the op's
    order. A module takes those inputs that are none of its parameters, which stand for the remaining ones in order, or as
    ``names`` says: ``{"weight": "gamma"}``. The lengths of axes that a parameter has are not free then. ValueError where the
    op's inputs do not fit.
    """
    try:
        import torch  # noqa: F401
    except ImportError:
        raise ValueError("to audit a differentiable callable needs torch; a backward takes the upstream gradient") from None
    if is_module(function):
        yield from _of_module(function, op, names)
        return
    name = getattr(function, "__name__", type(function).__name__)
    if is_autograd_function(function):
        taken = _taken_by_function(function, op, names)
        file = file_of(function.backward)  # type: ignore[attr-defined]
        yield _submission(name, op, lambda v: function.apply(*(v[n] for n in taken)), taken, file)  # type: ignore[attr-defined]
        return
    keywords = _keywords(function, op, names)
    if keywords:
        taken = tuple(keywords.values())
        yield _submission(name, op, lambda v: function(**{k: v[n] for k, n in keywords.items()}), taken, file_of(function))
        return
    _accepts(function, name, op)
    inputs = tuple(t.name for t in op.inputs)
    yield _submission(name, op, lambda v: function(*(v[n] for n in inputs)), inputs, file_of(function))


def _keywords(function: Callable[..., Any], op: st.Op, names: Mapping[str, str]) -> dict[str, str]:
    """The function's parameters with the op's names that they are; nothing where the inputs go in the op's order."""
    inputs, constants = {t.name for t in op.inputs}, {c.name for c in op.constants}
    try:
        found = {p: names.get(p, p) for p in inspect.signature(function).parameters}
    except (TypeError, ValueError):
        return {}
    found = {p: n for p, n in found.items() if n in inputs | constants}
    return found if inputs <= set(found.values()) else {}


def _taken_by_function(function: Any, op: st.Op, names: Mapping[str, str]) -> tuple[str, ...]:
    """The op's names that the ``forward`` of an ``autograd.Function`` takes in order, its context apart.

    A parameter of another name is the next of the inputs that none is called after.
    """
    inputs, constants = [t.name for t in op.inputs], {c.name for c in op.constants}
    apart = any("setup_context" in vars(c) for c in function.__mro__ if c.__module__ != "torch.autograd.function")
    parameters = list(inspect.signature(function.forward).parameters.values())[0 if apart else 1 :]
    meant = [names.get(p.name, p.name) for p in parameters]
    rest = iter([n for n in inputs if n not in meant])
    taken: list[str] = []
    for p, n in zip(parameters, meant, strict=True):
        found = n if n in inputs or n in constants else next(rest, None)
        if found is None and p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD:
            raise ValueError(
                f"{function.__name__}: '{p.name}' is no name of {op.name}, which takes"
                f" {', '.join([*inputs, *sorted(constants)])}; --name {p.name}=NAME says which it is"
            )
        if found is None:
            break
        taken.append(found)
    return tuple(taken)


def _accepts(function: Callable[..., Any], name: str, op: st.Op) -> None:
    """ValueError where the op's inputs, in order, are no arguments of the function: it may be a backward of other names."""
    inputs = [t.name for t in op.inputs]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # of what is written in C it is not known
    try:
        signature.bind(*inputs)
    except TypeError:
        upstream = " or ".join(f"d{t.name}" for t in op.outputs)
        raise ValueError(
            f"{name}{signature} is neither a backward of {op.name}, which takes {upstream},"
            f" nor {op.name} itself, which takes {', '.join(inputs)}; --name PARAMETER=NAME says what a parameter is"
        ) from None


def _of_module(module: Any, op: st.Op, names: Mapping[str, str]) -> Iterator[Submission]:
    own = dict(module.named_parameters())
    free = [t for t in op.differentiable][-len(own) :] if own else []
    meant = {n: names[n] for n in own if n in names} or {n: t.name for n, t in zip(own, free, strict=False)}
    if set(meant) != set(own) or not set(meant.values()) <= {t.name for t in op.differentiable}:
        raise ValueError(f"the parameters are {', '.join(own) or 'none'}; say by names= (--name) which input each stands for")
    inputs = tuple(t.name for t in op.inputs if t.name not in meant.values())
    found = {c.name: getattr(module, c.name, None) for c in op.constants}
    constants = {n: float(v) for n, v in found.items() if isinstance(v, int | float)}

    def forward(values: Mapping[str, Any]) -> Any:
        import torch

        arrays = tuple(values[n] for n in inputs)
        dtype = next(a.dtype for a in values.values() if a.is_floating_point())
        # Copies: running statistics are written to, and must be of the dtype that is audited.
        state = {n: b.to(dtype if b.is_floating_point() else b.dtype, copy=True) for n, b in module.named_buffers()}
        state |= {parameter: values[name] for parameter, name in meant.items()}
        return torch.func.functional_call(module, state, arrays)

    every = tuple(t.name for t in op.inputs)
    file = file_of(type(module).forward)
    for layouts, fixed in _layouts(own, meant, op):
        yield _submission(type(module).__name__, op, forward, every, file, fixed, constants, layouts)


def _layouts(own: Mapping[str, Any], meant: Mapping[str, str], op: st.Op) -> Iterator[tuple[dict[str, Layout], dict[str, int]]]:
    """In which order the axes of each parameter may be, the op's own first, and the lengths that the axes have then."""
    choices = []
    for parameter, name in meant.items():
        axes, shape = op.tensor(name).axes, tuple(own[parameter].shape)
        if len(axes) != len(shape):
            raise ValueError(f"the parameter {parameter} has shape {shape}, and {name} the axes [{', '.join(axes)}]")
        choices.append([Layout(axes, tuple((a,) for a in order)) for order in permutations(axes)])
    tried = 0
    for chosen in product(*choices):
        pairs = [
            (a, n) for p, layout in zip(meant, chosen, strict=True) for a, n in zip(layout.order, own[p].shape, strict=True)
        ]
        lengths = dict(pairs)
        if all(lengths[a] == n for a, n in pairs):
            tried += 1
            yield {meant[p]: layout for p, layout in zip(meant, chosen, strict=True) if layout.order != layout.axes}, lengths
    if not tried:
        raise ValueError(f"the parameters' shapes fit no lengths of the axes of {', '.join(meant.values())}")


def _submission(
    name: str,
    op: st.Op,
    forward: Callable[[Mapping[str, Any]], Any],
    taken: tuple[str, ...],
    file: str,
    fixed: Mapping[str, int] | None = None,
    constants: Mapping[str, float] | None = None,
    layouts: Mapping[str, Layout] | None = None,
) -> Submission:
    import torch

    inputs = tuple(t.name for t in op.inputs)
    passed = tuple(c.name for c in op.constants if c.name in taken)

    def call(values: Mapping[str, Any]) -> dict[str, Any]:
        wanted = {t.name: values[t.name].requires_grad_() for t in op.differentiable}
        found = forward({n: values[n] for n in (*inputs, *passed)})
        outputs = list(found) if isinstance(found, tuple | list) else [found]
        upstream = [values[f"d{t.name}"] for t in op.outputs]
        if len(outputs) != len(upstream):
            raise ValueError(f"{name} returned {len(outputs)} outputs, and {op.name} has {len(upstream)}")
        given = {t.name: o for t, o in zip(op.outputs, outputs, strict=True)}
        if any(o.shape != u.shape for o, u in zip(outputs, upstream, strict=True)):
            return given  # there is no gradient then, and the outputs are what is wrong
        upstream = [u.to(o.dtype) for o, u in zip(outputs, upstream, strict=True)]
        grads = torch.autograd.grad(outputs, list(wanted.values()), upstream, allow_unused=True)
        zeros = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted.values(), grads, strict=True)]
        return given | {f"d{n}": g for n, g in zip(wanted, zeros, strict=True)}

    gradients = tuple(f"d{t.name}" for t in op.differentiable)
    upstream = tuple(f"d{t.name}" for t in op.outputs)
    return Submission(
        name,
        (*inputs, *passed, *upstream),
        gradients,
        call,
        tensors=True,
        outputs=tuple(t.name for t in op.outputs),
        fixed=fixed or {},
        constants=constants or {},
        layouts=layouts or {},
        file=file,
    )
