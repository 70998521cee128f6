"""A differentiable callable as a submission: its library computes the gradients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import permutations, product
from typing import Any

from codegen.backends.arrays.libraries import applied, libraries, libraries_of, model
from codegen.backends.arrays.library import Applied, Library, Model
from codegen.tools.auditor.layouts import Layout
from codegen.tools.auditor.submission import Submission, file_of
from derive import syntax as st

__all__ = ["differentiable_submissions", "differentiated"]


def differentiable_submissions(function: Callable[..., Any], op: st.Op, names: Mapping[str, str]) -> Iterator[Submission]:
    """A function, a callable with its own derivative or a module as a submission, in every layout that its parameters may have.

    A function takes the op's inputs by name if its parameters have the inputs' names, or ``names`` maps them. Any other takes
    the inputs in the op's order. A module takes the inputs that its own parameters do not stand for. These parameters stand for
    the other inputs in order, or for those that ``names`` says: ``{"weight": "gamma"}``. The axes of a module's parameters have
    fixed lengths. Raises ValueError where the op's inputs do not fit.
    """
    if of_library := model(function):
        yield from _of_model(*of_library, op, names)
        return
    library, own = applied(function) or (None, Applied(function, function))
    within = (library,) if library else _differentiating(function)
    name, file = getattr(function, "__name__", type(function).__name__), file_of(own.code)
    keywords = _keywords(function, op, names) if own.parameters is None else {}
    if keywords:
        taken = tuple(keywords.values())
        yield _submission(name, op, lambda v: own.call(**{k: v[n] for k, n in keywords.items()}), taken, within, file)
        return
    if own.parameters is None:
        _accepts(function, name, op)
        taken = tuple(t.name for t in op.inputs)
    else:
        taken = _in_order(name, own.parameters, op, names)
    yield _submission(name, op, lambda v: own.call(*(v[n] for n in taken)), taken, within, file)


def differentiated(
    forward: Callable[[Mapping[str, Any]], Any], name: str, code: Callable[..., Any], op: st.Op, passed: Sequence[str]
) -> Iterator[Submission]:
    """A function of values by name as a submission; ``code`` is the function that tells its library and its file."""
    taken = (*(t.name for t in op.inputs), *passed)
    yield _submission(name, op, forward, taken, _differentiating(code), file_of(code))


def _differentiating(function: Callable[..., Any]) -> tuple[Library, ...]:
    """The libraries that may differentiate a function: those that it uses, else all (ValueError if there is none)."""
    able = [a for a in libraries_of(function) if a.differentiates] or [a for a in libraries() if a.differentiates]
    if not (found := tuple(a for a in able if not a.missing())):
        missing = ", ".join(a.missing() for a in able)
        raise ValueError(f"nothing is there to differentiate a callable: {missing}; a backward takes the upstream gradient")
    return found


def _keywords(function: Callable[..., Any], op: st.Op, names: Mapping[str, str]) -> dict[str, str]:
    """The op's names by the function's parameters; empty where the inputs are passed in the op's order."""
    inputs, constants = {t.name for t in op.inputs}, {c.name for c in op.constants}
    try:
        taken = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    found = {p.name: names.get(p.name, p.name) for p in taken if p.kind is not p.POSITIONAL_ONLY}
    found = {p: n for p, n in found.items() if n in inputs | constants}
    return found if inputs <= set(found.values()) else {}


def _in_order(name: str, parameters: Sequence[inspect.Parameter], op: st.Op, names: Mapping[str, str]) -> tuple[str, ...]:
    """The op's names that parameters stand for, in the parameters' order.

    A parameter that has no name of the op stands for the next input whose name no parameter has.
    """
    inputs, constants = [t.name for t in op.inputs], {c.name for c in op.constants}
    meant = [names.get(p.name, p.name) for p in parameters]
    rest = iter([n for n in inputs if n not in meant])
    taken: list[str] = []
    for p, n in zip(parameters, meant, strict=True):
        found = n if n in inputs or n in constants else next(rest, None)
        if found is None and p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD:
            raise ValueError(
                f"{name}: '{p.name}' is no name of {op.name}, which takes"
                f" {', '.join([*inputs, *sorted(constants)])}; --name {p.name}=NAME says which it is"
            )
        if found is None:
            break
        taken.append(found)
    return tuple(taken)


def _accepts(function: Callable[..., Any], name: str, op: st.Op) -> None:
    """Raise ValueError where the function cannot be called with the op's inputs: it may be a backward with other names."""
    inputs = [t.name for t in op.inputs]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # functions written in C may have no signature
    try:
        signature.bind(*inputs)
    except TypeError:
        upstream = " or ".join(st.adjoint_name(t.name) for t in op.outputs)
        raise ValueError(
            f"{name}{signature} is neither a backward of {op.name}, which takes {upstream},"
            f" nor {op.name} itself, which takes {', '.join(inputs)}; --name PARAMETER=NAME says what a parameter is"
        ) from None


def _of_model(library: Library, model: Model, op: st.Op, names: Mapping[str, str]) -> Iterator[Submission]:
    own = model.shapes
    free = [t for t in op.differentiable][-len(own) :] if own else []
    meant = {n: names[n] for n in own if n in names} or {n: t.name for n, t in zip(own, free, strict=False)}
    if set(meant) != set(own) or not set(meant.values()) <= {t.name for t in op.differentiable}:
        raise ValueError(f"the parameters are {', '.join(own) or 'none'}; say by names= (--name) which input each stands for")
    inputs = tuple(t.name for t in op.inputs if t.name not in meant.values())
    found = {c.name: getattr(model.made, c.name, None) for c in op.constants}
    constants = {n: float(v) for n, v in found.items() if isinstance(v, int | float)}

    def forward(values: Mapping[str, Any]) -> Any:
        return model.call({p: values[name] for p, name in meant.items()}, [values[n] for n in inputs])

    every = tuple(t.name for t in op.inputs)
    for layouts, fixed in _layouts(own, meant, op):
        yield _submission(model.name, op, forward, every, (library,), file_of(model.code), fixed, constants, layouts)


def _layouts(
    own: Mapping[str, tuple[int, ...]], meant: Mapping[str, str], op: st.Op
) -> Iterator[tuple[dict[str, Layout], dict[str, int]]]:
    """The possible layouts of the parameters, the op's own order of axes first, each with the axis lengths that it implies."""
    choices = []
    for parameter, name in meant.items():
        axes, shape = op.tensor(name).axes, own[parameter]
        if len(axes) != len(shape):
            raise ValueError(f"the parameter {parameter} has shape {shape}, and {name} the axes [{', '.join(axes)}]")
        choices.append([Layout(axes, tuple((a,) for a in order)) for order in permutations(axes)])
    tried = 0
    for chosen in product(*choices):
        pairs = [(a, n) for p, layout in zip(meant, chosen, strict=True) for a, n in zip(layout.order, own[p], strict=True)]
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
    within: tuple[Library, ...],
    file: str,
    fixed: Mapping[str, int] | None = None,
    constants: Mapping[str, float] | None = None,
    layouts: Mapping[str, Layout] | None = None,
) -> Submission:
    inputs = tuple(t.name for t in op.inputs)
    passed = tuple(c.name for c in op.constants if c.name in taken)

    def call(values: Mapping[str, Any]) -> dict[str, Any]:
        moving = {t.name: values[t.name] for t in op.differentiable}
        fixed = {n: values[n] for n in (*inputs, *passed) if n not in moving}
        library = next(a for a in within if all(map(a.owns, moving.values())))
        outputs, pull = library.differentiated(lambda found: forward({**fixed, **found}), moving)
        upstream = [values[st.adjoint_name(t.name)] for t in op.outputs]
        if len(outputs) != len(upstream):
            raise ValueError(f"{name} returned {len(outputs)} outputs, and {op.name} has {len(upstream)}")
        given = {t.name: o for t, o in zip(op.outputs, outputs, strict=True)}
        if any(o.shape != u.shape for o, u in zip(outputs, upstream, strict=True)):
            return given  # without gradients, the outputs are judged
        return given | {st.adjoint_name(n): g for n, g in pull(upstream).items()}

    gradients = tuple(st.adjoint_name(t.name) for t in op.differentiable)
    upstream = tuple(st.adjoint_name(t.name) for t in op.outputs)
    return Submission(
        name,
        (*inputs, *passed, *upstream),
        gradients,
        call,
        within,
        outputs=tuple(t.name for t in op.outputs),
        fixed=fixed or {},
        constants=constants or {},
        layouts=layouts or {},
        file=file,
    )
