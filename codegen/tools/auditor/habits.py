"""What a function is taken to mean where nothing is declared: names that people use, the gradient of a loss, Bessel's divisor.

What is taken for granted is tried, and has to be right: nothing here decides that a submission is.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import product
from typing import Any

from codegen.backends.arrays.libraries import applied, libraries, libraries_of, model
from codegen.tools.auditor.parameters import names_of, returned_names
from codegen.tools.auditor.samples import Free, possible
from codegen.tools.auditor.submission import Submission, file_of
from codegen.tools.auditor.vocabulary import an_upstream, understood_gradient, vocabulary
from derive import syntax as st
from derive.labels import whole_constants

__all__ = ["constants_in", "is_called_backward", "meanings", "pairs", "partner", "told", "variants"]

#: The parts of a name that say of a function that it is a backward.
BACKWARD = ("backward", "backprop", "bwd", "grad", "vjp")
FORWARD = ("forward", "forward", "fwd", "forward", "forward")


def meanings(
    function: Callable[..., Any], op: st.Op, known: Collection[str], gradients: Collection[str], names: Mapping[str, str]
) -> dict[str, str]:
    """What the names of a function stand for, beside what ``names`` declares.

    A backward of a scalar loss may leave out the loss' own gradient, which is 1. Parameters that are not understood are taken
    for the inputs that are left, in order, but for a second upstream gradient. Nothing is assumed of callables that a library
    differentiates.
    """
    if applied(function) or model(function):
        return dict(names)
    try:
        own = names_of(function)
    except (TypeError, ValueError):
        return dict(names)
    upstream = [st.adjoint_name(t.name) for t in op.outputs]
    free, given = [k for k in known if k not in names.values()], inspect.signature(function).parameters
    own = [n for n in own if n in known or n not in given or given[n].default is not None]  # out=None is a place for results
    meant = {**vocabulary([n for n in own if n not in names], free, op), **names}
    takes = bool(set(upstream) & {meant.get(n, n) for n in own})
    if not takes and not (_is_backward(function) and not any(t.axes for t in op.outputs)):
        return dict(names)  # a forward, or a function whose names tell nothing
    if not takes:
        meant |= {u: "1" for u in upstream}
    rest = [n for n in given if n not in meant and given[n].default is inspect.Parameter.empty and n not in _opened(function)]
    left = [t.name for t in op.inputs if t.name not in meant.values()]
    if len(rest) <= len(left) and not any(an_upstream(n) for n in rest):
        meant |= dict(zip(rest, left, strict=False))
    results = {n: g for n in returned_names(function) if n and (g := understood_gradient(n, meant, gradients, op))}
    return {**results, **{n: m for n, m in meant.items() if n != m}}


def is_called_backward(name: str) -> bool:
    """Whether a name is one that people give to a backward."""
    return any(word in name.lower() for word in BACKWARD)


def _is_backward(function: Callable[..., Any]) -> bool:
    return is_called_backward(getattr(function, "__name__", ""))


def _opened(function: Callable[..., Any]) -> set[str]:
    """The parameters that a function takes apart."""
    own, given = names_of(function), list(inspect.signature(function).parameters)
    return {a for a, b in zip(own, [*own[1:], ""], strict=True) if a in given and b and b not in given}


def variants(function: Callable[..., Any], op: st.Op, names: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The values that constants which are not passed may have, the defaults first.

    A function with whole inputs alone computes the forward itself, and so with its own constants: the numbers in its code.
    """
    taken = {names.get(n, n) for n in names_of(function)}
    passed = {c.name for c in op.constants} & taken
    forward = {e.name for e in op.equations} - {t.name for t in op.outputs}
    yield {}
    if not taken & forward and any(t.name in taken for t in op.differentiable):
        yield from constants_in([function], op, passed | set(names))


def constants_in(functions: Collection[Callable[..., Any]], op: st.Op, passed: Collection[str]) -> Iterator[dict[str, str]]:
    """The values, other than the defaults, of constants that are not passed: 0, 1 or 2, or small numbers in the code."""
    literals = sorted({v for f in functions for v in _literals(f) if 0 < v < 1e-2})
    choices = []
    for c in op.constants:
        if c.name in passed:
            continue
        whole = c.default is not None and c.default.lstrip("-").isdigit()
        near = ["1", "2", "0"] if c.name in whole_constants(op) else ["0", "1"]
        values = near if whole else [str(v) for v in literals]
        choices.append([(c.name, v) for v in dict.fromkeys([c.default or "", *values]) if v])
    for chosen in map(dict, list(product(*choices))[1:16]):
        if possible(op, Free(given=tuple((n, float(v)) for n, v in chosen.items()))):
            yield chosen


def told(meant: Mapping[str, str]) -> str:
    """What names and constants are taken to be, in words."""
    return f"taking {', '.join(f'{n} as {m}' for n, m in meant.items())}" if meant else ""


def _literals(function: Callable[..., Any]) -> set[float]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return set()
    return {float(n.value) for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, float)}


# ---- a forward that hands its backward what it needs -----------------------------------------------------------------------


def partner(function: Callable[..., Any], meant: Mapping[str, str], known: Collection[str]) -> Callable[..., Any] | None:
    """The forward beside a backward that takes what it hands over: the function of the same name but for the word.

    None where there is none, and where every parameter of the backward is a name of the op.
    """
    given = inspect.signature(function).parameters.values()
    if all(meant.get(p.name, p.name) in known or p.default is not p.empty for p in given):
        return None
    beside, name = getattr(function, "__globals__", {}), getattr(function, "__name__", "")
    for word, other in zip(BACKWARD, FORWARD, strict=True):
        if word in name:
            like = (name.replace(word, other), name.partition(word)[0] + other)
            found = next((f for n in like if inspect.isfunction(f := beside.get(n)) and f is not function), None)
            if found is not None:
                return found
    return None


def pairs(
    forward: Callable[..., Any], backward: Callable[..., Any], op: st.Op, gradients: Collection[str], names: Mapping[str, str]
) -> Iterator[Submission]:
    """A forward and its backward as one submission, for each value of the constants that are not passed.

    The forward returns the output and then what the backward takes beside the upstream gradient. The output is judged too.
    """
    inputs, constants = [t.name for t in op.inputs], [c.name for c in op.constants]
    own = inspect.signature(forward).parameters
    meant = {**vocabulary([n for n in own if n not in names], [*inputs, *constants], op), **names}
    required = [n for n in own if own[n].default is inspect.Parameter.empty and meant.get(n) not in [*inputs, *constants]]
    modes = [n for n in required if n.endswith(("param", "params", "config", "mode"))]
    left = [n for n in inputs if n not in meant.values()]
    meant |= dict(zip([n for n in required if n not in modes], left, strict=False))
    taken = {p: meant[p] for p in own if meant.get(p) in [*inputs, *constants]}
    if not set(inputs) <= set(taken.values()):
        return
    upstream = [st.adjoint_name(t.name) for t in op.outputs]
    returned = [understood_gradient(n, meant, gradients, op) for n in returned_names(backward)]
    expected = (
        tuple(g for g in returned if g)
        if returned and all(returned)
        else tuple(st.adjoint_name(t.name) for t in op.differentiable)
    )
    scalar = not any(t.axes for t in op.outputs)
    name = getattr(backward, "__name__", "backward")
    arguments = list(inspect.signature(backward).parameters)

    def call(values: Mapping[str, Any]) -> dict[str, Any]:
        mode = {p: {"mode": "train"} if not p.endswith("mode") else "train" for p in modes}
        out, cache = _parted(forward(**{p: values[n] for p, n in taken.items()}, **mode), len(op.outputs))
        given = [values[u] for u in upstream] if len(arguments) > 1 or not scalar else []
        rest = [cache] if len(arguments) - len(given) == 1 else list(cache)
        found = backward(*given, *rest) if not _last(arguments, upstream, op) else backward(*rest, *given)
        results = list(found) if isinstance(found, tuple | list) else found if isinstance(found, dict) else [found]
        if isinstance(results, dict):
            gained = {understood_gradient(str(k), meant, gradients, op) or str(k): v for k, v in results.items()}
        elif len(results) != len(expected):
            raise ValueError(f"{name} returned {len(results)} values, and {len(expected)} are expected: {', '.join(expected)}")
        else:
            gained = dict(zip(expected, results, strict=True))
        return {t.name: o for t, o in zip(op.outputs, out, strict=True)} | gained

    passed = {n for n in taken.values() if n in constants}
    within = libraries_of(backward) or libraries()[:1]
    for chosen in ({}, *constants_in([forward, backward], op, passed)):
        yield Submission(
            name,
            (*taken.values(), *upstream),
            expected,
            call,
            within,
            outputs=tuple(t.name for t in op.outputs),
            constants={n: float(v) for n, v in chosen.items()} | ({u: 1.0 for u in upstream} if scalar else {}),
            assumed="; ".join(filter(None, (f"with what {forward.__name__} hands over", told(chosen)))),
            file=file_of(backward),
        )


def _parted(found: Any, outputs: int) -> tuple[list[Any], Any]:
    """The outputs that a forward returned, and what it returned after them."""
    if not isinstance(found, tuple | list) or len(found) <= outputs:
        raise ValueError("the forward returns no cache beside its output")
    rest = found[outputs:]
    return list(found[:outputs]), rest[0] if len(rest) == 1 else tuple(rest)


def _last(arguments: list[str], upstream: list[str], op: st.Op) -> bool:
    """Whether a backward takes the upstream gradient after what the forward kept."""
    meant = vocabulary(arguments, upstream, op)
    return len(arguments) > 1 and arguments[0] not in meant and arguments[-1] in meant
