"""The kernels, the engine and the generator under the name that an installation has, for a checkout that is installed as it is.

``backprop_ninja.torch`` is ``generated.torch``; ``backprop_ninja.derive`` and ``backprop_ninja.codegen`` are ``derive`` and
``codegen``: the same modules, loaded once.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Again(Loader):
    """Gives the module that is there under another name, as it is."""

    def __init__(self, own: ModuleSpec) -> None:
        self.own = own

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(self.own.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own  # the import system has put the other name there

    def get_code(self, name: str) -> Any:
        """What ``python -m`` runs."""
        loader: Any = self.own.loader
        return loader.get_code(self.own.name)


class _Names(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, dot, rest = name.partition(".")
        if package != __name__ or not dot:
            return None
        own = _found(rest if rest.partition(".")[0] in ("derive", "codegen") else f"generated.{rest}")
        return own and ModuleSpec(name, _Again(own), is_package=own.submodule_search_locations is not None)


def _found(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:  # what it would lie in is not there
        return None


sys.meta_path.insert(0, _Names())
