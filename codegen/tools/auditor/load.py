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
from codegen.tools.auditor.raised import raised
from derive.command import meant

__all__ = ["load_file"]


def load_file(path: str | Path, op: str, function: str | None = None) -> Callable[..., Any]:
    """The callable to audit in a Python file. The file is imported, and thereby executed: it is the user's own code.

    The callable is a function, possibly wrapped, or an object with a derivative or parameters of its own: an
    ``autograd.Function``, a ``custom_vjp``, or an instance of ``nn.Module``. Unless ``function`` names it, it is the first of
    these that exists: the callable named ``OP_backward`` or ``backward``, the only one whose name ends in ``backward``, the
    only one with a derivative or parameters of its own, the only public one.

    Raises ValueError where the file cannot be imported, or does not determine the callable.
    """
    path = Path(path)
    module = _imported(path)
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
    backwards = {n: f for n, f in public.items() if n.lower().endswith("backward")}
    special = {n: f for n, f in public.items() if applied(f) or model(f)}
    candidates = next((found for found in (backwards, special) if len(found) == 1), public)
    if len(candidates) != 1:
        found_names = f"there are: {', '.join(public)}; --function says which" if public else "there is none"
        raise ValueError(f"{path}: expected one public function, or one called '{op}_backward' or 'backward'; {found_names}")
    return next(iter(candidates.values()))


def _is_meant_to_be_called(value: Any, module: ModuleType) -> bool:
    """Whether a value in a module can be audited: a function or class that is defined there, or a neural network made there."""
    if getattr(value, "__module__", None) == module.__name__ and (applied(value) or inspect.isfunction(inspect.unwrap(value))):
        return True
    return model(value) is not None


def _imported(path: Path) -> ModuleType:
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
        raise ValueError(f"{path} cannot be imported: {raised(error, str(path))}") from error
    finally:
        sys.path.pop(0)
        del sys.modules[name]
    return module
