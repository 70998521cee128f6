"""The function, class or module in a file that somebody wrote."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from codegen.backends.arrays.libraries import applied, model
from codegen.tools.auditor.habits import is_called_backward
from codegen.tools.auditor.layers import layer
from codegen.tools.auditor.raised import raised
from derive.command import meant

__all__ = ["chosen", "imported", "load_file", "says"]


def load_file(path: str | Path, op: str, function: str | None = None) -> Callable[..., Any]:
    """The callable to audit in a Python file. The file is imported, and thereby executed: it is the user's own code.

    The callable is a function, possibly wrapped; a class or object with a forward, or one with a derivative or parameters of
    its own: an ``autograd.Function``, a ``custom_vjp``, an instance of ``nn.Module``. Unless ``function`` names it, it is the
    first of these that exists: the callable named ``OP_backward`` or ``backward``, the only one whose name ends in
    ``backward``, the only one with a derivative or parameters of its own, the only one whose name has that word, the only class
    with a forward, the only public one. Of several of a kind it is the one called like the op.

    Raises ValueError where the file cannot be imported, or does not determine the callable.
    """
    return chosen(imported(Path(path)), Path(path), op, function)


def chosen(module: ModuleType, path: Path, op: str, function: str | None = None) -> Callable[..., Any]:
    """The callable to audit among those of a module (ValueError where it is not determined)."""
    own = {n: f for n, f in vars(module).items() if _is_meant_to_be_called(f, module)}
    public = {n: f for n, f in own.items() if not n.startswith("_")}
    if function is not None:
        if not callable(found := getattr(module, function, None)):
            like = meant(function, own)
            raise ValueError(f"{path}: there is no function '{function}'{like}; there are: {', '.join(public) or 'none'}")
        return found
    for name in (f"{op}_backward", "backward"):
        if name in own:
            return own[name]
    kinds = (
        {n: f for n, f in public.items() if n.lower().endswith("backward")},
        {n: f for n, f in public.items() if applied(f) or model(f)},
        {n: f for n, f in public.items() if not layer(f) and is_called_backward(n)},
        {n: f for n, f in public.items() if layer(f)},
        public,
    )
    for found in (f for kind in kinds for f in (kind, _like(op, kind))):
        if len(found) == 1:
            return next(iter(found.values()))
    there = f"there are: {', '.join(public)}; --function says which" if public else "there is none"
    wanted = f"expected one function or class, one called '{op}_backward' or 'backward', or lines that find gradients"
    raise ValueError(f"{path}: {wanted}; {there}")


def says(module: ModuleType, op: str) -> bool:
    """Whether a module has a function or class that is called like a backward, or like the op, or has a backward."""
    own = {n: f for n, f in vars(module).items() if _is_meant_to_be_called(f, module) and not n.startswith("_")}
    return any(is_called_backward(n) or applied(f) or layer(f) for n, f in own.items()) or bool(_like(op, own))


def _like(op: str, kind: dict[str, Any]) -> dict[str, Any]:
    """Those called like the op: ``BatchNorm1d`` for ``batchnorm``."""
    plain = {n: n.replace("_", "").lower() for n in kind}
    own = op.replace("_", "")
    return next(
        (f for f in ({n: kind[n] for n, p in plain.items() if same(p)} for same in (own.__eq__, lambda p: own in p)) if f), {}
    )


def _is_meant_to_be_called(value: Any, module: ModuleType) -> bool:
    """Whether a value in a module can be audited: a function or class that is defined there, or a neural network made there."""
    if getattr(value, "__module__", None) == module.__name__ and (applied(value) or inspect.isfunction(inspect.unwrap(value))):
        return True
    return model(value) is not None or (getattr(value, "__module__", None) == module.__name__ and layer(value))


def imported(path: Path, partly: bool = False) -> ModuleType:
    """A file as a module, ``partly`` up to the first name that has no value (ValueError where it cannot be imported)."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    name = f"submitted_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # the file may import its neighbours, as a script does
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a file may raise anything, SystemExit too
        if partly and isinstance(error, NameError):
            return module
        raise ValueError(f"{path} cannot be imported: {raised(error, str(path))}") from error
    finally:
        sys.path.pop(0)
        del sys.modules[name]
    return module
