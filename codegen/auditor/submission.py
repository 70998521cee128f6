"""A function that somebody wrote, as something that can be called with the names of an op."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from derive import syntax as st

__all__ = [
    "Submission",
    "backward_submission",
    "gradient_names",
    "is_backward",
    "load_file",
    "to_library",
    "to_numpy",
    "uses_torch",
]


@dataclass(frozen=True)
class Submission:
    """``call`` maps arrays by name to gradients by name; it raises what the submitted code raises.

    ``parameters`` are the names that it takes, ``fixed`` the lengths of axes that are not free.
    """

    name: str
    parameters: tuple[str, ...]
    gradients: tuple[str, ...]
    call: Callable[[Mapping[str, Any]], dict[str, np.ndarray]]
    fixed: tuple[tuple[str, int], ...] = ()


def load_file(path: str | Path, op: str, function: str | None = None) -> Callable[..., Any]:
    """The backward function in a Python file, which is imported, and so executed, as what it is: the user's own code.

    Without ``function``, the one called ``OP_backward`` or ``backward``, or else the only public one. Raises ValueError
    where the file cannot be imported or does not say which function is meant.
    """
    path = Path(path)
    module = _imported(path)
    own = {n: f for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__}
    public = {n: f for n, f in own.items() if not n.startswith("_")}
    if function is not None:
        if not callable(found := getattr(module, function, None)):
            raise ValueError(f"{path}: there is no function '{function}'; there are: {', '.join(public) or 'none'}")
        return found
    for name in (f"{op}_backward", "backward"):
        if name in own:
            return own[name]
    if len(public) != 1:
        found_names = f"there are: {', '.join(public)}" if public else "there is none"
        raise ValueError(f"{path}: expected one public function, or one called '{op}_backward' or 'backward'; {found_names}")
    return next(iter(public.values()))


def _imported(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    name = f"submitted_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # it may import its neighbours, as a script does
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
        del sys.modules[name]
    return module


def is_backward(function: Callable[..., Any], op: st.Op) -> bool:
    """Whether a callable takes an upstream gradient of the op; otherwise it is a forward to be differentiated."""
    upstream = {f"d{t.name}" for t in op.outputs}
    try:
        return bool(upstream & set(inspect.signature(function).parameters))
    except (TypeError, ValueError):
        return False


def backward_submission(
    function: Callable[..., Any], op: st.Op, known: Collection[str], gradients: Collection[str]
) -> Submission:
    """A backward as a submission. Its parameters are names of the op, in any order.

    ``known`` are the names that have a value, ``gradients`` those that it may return. Raises ValueError where a parameter
    is none of the op's names, or where it cannot be told which gradients are returned.
    """
    name = getattr(function, "__name__", type(function).__name__)
    parameters, required = [], []
    for p in inspect.signature(function).parameters.values():
        if p.name in known:
            parameters.append(p)
        elif p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            required.append(p.name)
    if required:
        raise ValueError(f"{name}: '{', '.join(required)}' is no name of {op.name}; its names are: {', '.join(sorted(known))}")
    returned = gradient_names(function, gradients)
    by_position = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY]
    by_name = [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    tensors = uses_torch(function)

    def call(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        given = {n: to_library(values[n], tensors) for n in (*by_position, *by_name)}
        found = function(*(given[n] for n in by_position), **{n: given[n] for n in by_name})
        return _by_name(name, found, returned, op)

    expected = returned or tuple(f"d{t.name}" for t in op.differentiable)
    return Submission(name, tuple(p.name for p in parameters), expected, call)


def gradient_names(function: Callable[..., Any], known: Collection[str]) -> tuple[str, ...]:
    """What the function's ``return`` statements call what they return, by variables or the keys of a dict.

    Nothing where these are not all gradients.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, IndentationError):
        return ()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:
            found.add(_returned(node.value))
    if len(found) != 1:
        return ()
    (names,) = found
    return names if names and set(names) <= set(known) and len(set(names)) == len(names) else ()


def _returned(value: ast.expr) -> tuple[str, ...]:
    """The name of each value that is returned, empty where it has none."""
    if isinstance(value, ast.Dict):
        return tuple(str(k.value) if isinstance(k, ast.Constant) else "" for k in value.keys)
    items = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
    return tuple(i.id if isinstance(i, ast.Name) else "" for i in items)


def _by_name(name: str, found: Any, returned: tuple[str, ...], op: st.Op) -> dict[str, np.ndarray]:
    """What the function returned as arrays by the gradients' names."""
    if isinstance(found, Mapping):
        return {str(k): to_numpy(v) for k, v in found.items()}
    values = list(found) if isinstance(found, tuple | list) else [found]
    names = returned or tuple(f"d{t.name}" for t in op.differentiable)
    if len(values) != len(names):
        raise ValueError(
            f"{name} returned {len(values)} value{'s' * (len(values) != 1)}, and {len(names)} are expected:"
            f" {', '.join(names)} (return a dict by these names for only some of them)"
        )
    return {n: to_numpy(v) for n, v in zip(names, values, strict=True)}


def uses_torch(function: Callable[..., Any]) -> bool:
    """Whether a function computes with tensors: its module imports torch, and not NumPy as well, or it names torch alone."""
    function = inspect.unwrap(function)
    libraries = {n: _library(v) for n, v in getattr(function, "__globals__", {}).items()}
    found = set(libraries.values()) & {"torch", "numpy"}
    if found == {"torch", "numpy"}:
        code = getattr(function, "__code__", None)
        found = {libraries[n] for n in _names(code) if n in libraries} & found if code else set()
    return found == {"torch"}


def _names(code: CodeType) -> set[str]:
    """The global names that a function mentions, in the functions inside it too."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return set(code.co_names).union(*(_names(c) for c in inner))


def _library(value: Any) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
    return str(name).partition(".")[0]


def to_library(value: Any, tensors: bool) -> Any:
    """A copy, for a submission may write into what it is given; as a tensor where ``tensors``."""
    if not isinstance(value, np.ndarray):
        return value
    if not tensors:
        return np.array(value)
    import torch

    return torch.from_numpy(np.array(value))


def to_numpy(value: Any) -> np.ndarray:
    """An array of whatever a submission returned: a tensor, an array, a number."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)
