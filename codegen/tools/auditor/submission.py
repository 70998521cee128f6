"""A user's function, made callable with the names of an op."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from codegen.backends.arrays.libraries import applied, libraries, libraries_of, model
from codegen.backends.arrays.library import Library
from codegen.tools.auditor.layouts import Layout
from codegen.tools.auditor.parameters import gradient_names, parameters_of
from derive import syntax as st

__all__ = ["Submission", "backward_submission", "file_of", "is_backward"]


@dataclass(frozen=True)
class Submission:
    """``call`` maps arrays by name to results by name; it raises what the submitted code raises.

    ``parameters`` are the names that it takes, ``gradients`` the gradients that it returns, and ``outputs`` the outputs that it
    returns with them. ``libraries`` are the libraries that it may be written for; if there are several, they are tried.
    ``fixed`` are given lengths of axes, ``constants`` the values of constants that cannot be passed, and ``layouts`` the
    layouts of some names' arrays. ``file`` is the file of its code.
    """

    name: str
    parameters: tuple[str, ...]
    gradients: tuple[str, ...]
    call: Callable[[Mapping[str, Any]], dict[str, Any]]
    libraries: tuple[Library, ...]
    outputs: tuple[str, ...] = ()
    fixed: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    file: str = ""
    #: What names and constants are taken to be where nothing is declared, in words.
    assumed: str = ""

    @property
    def library(self) -> Library:
        """The library whose arrays the submission is called with."""
        return self.libraries[0]


def is_backward(function: Callable[..., Any], op: st.Op, names: Mapping[str, str]) -> bool:
    """Whether a callable takes an upstream gradient of the op. If not, it is a forward, which is differentiated."""
    if applied(function) or model(function):
        return False
    upstream = {st.adjoint_name(t.name) for t in op.outputs}
    try:
        taken = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return bool(upstream & {names.get(n, n) for n in taken}) or bool(upstream & set(names) & _fixed(names))


def _fixed(names: Mapping[str, str]) -> set[str]:
    """The names for which ``names`` gives a number: ``dloss=1``."""
    return {n for n, value in names.items() if _is_number(value)}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def backward_submission(
    function: Callable[..., Any], op: st.Op, known: Collection[str], gradients: Collection[str], names: Mapping[str, str]
) -> Submission:
    """A backward as a submission. Its parameters are names of the op, in any order, or other names that ``names`` maps.

    ``known`` are the names that have a value, ``gradients`` the gradients that the backward may return. Raises ValueError for a
    parameter whose name is not known.
    """
    name = getattr(function, "__name__", type(function).__name__)
    parameters = parameters_of(function, op.name, known, names)
    returned = gradient_names(function, gradients, names)
    expected = returned or tuple(st.adjoint_name(t.name) for t in op.differentiable)

    def call(values: Mapping[str, Any]) -> dict[str, Any]:
        found = function(
            *(p.of(values) for p in parameters if p.positional),
            **{p.name: p.of(values) for p in parameters if not p.positional},
        )
        return _by_name(name, found, expected, names)

    taken = dict.fromkeys(n for p in parameters for n in p.names if n is not None)
    constants = {n: float(names[n]) for n in _fixed(names)}
    written_in = libraries_of(function) or libraries()[:1]
    return Submission(name, tuple(taken), expected, call, written_in, constants=constants, file=file_of(function))


def _by_name(name: str, found: Any, expected: tuple[str, ...], names: Mapping[str, str]) -> dict[str, Any]:
    """The values that the function returned, by the gradients' names (ValueError if their number is wrong)."""
    if isinstance(found, Mapping):
        return {names.get(str(k), str(k)): v for k, v in found.items()}
    values = list(found) if isinstance(found, tuple | list) else [found]
    if len(values) != len(expected):
        raise ValueError(
            f"{name} returned {len(values)} value{'s' * (len(values) != 1)}, and {len(expected)} are expected:"
            f" {', '.join(expected)} (return a dict by these names for only some of them)"
        )
    return dict(zip(expected, values, strict=True))


def file_of(function: Callable[..., Any]) -> str:
    """The file with a function's code; "" where it has none."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_filename if isinstance(code, CodeType) else ""
