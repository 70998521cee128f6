"""Generated source as modules, without writing anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import ModuleType

__all__ = ["load_package", "load_source"]


def load_source(name: str, text: str) -> ModuleType:
    """A module made of generated source, without touching ``sys.modules``."""
    module = ModuleType(name)
    return _run(module, text)


def load_package(name: str, files: Mapping[str, str]) -> ModuleType:
    """A package made of the sources of its modules, entered in ``sys.modules``; a module comes after those that it imports."""
    package = ModuleType(f"{__package__}.{name}")
    package.__path__ = []
    package.__package__ = package.__name__
    sys.modules[package.__name__] = package
    for path, text in files.items():
        stem = path.rpartition("/")[2].removesuffix(".py")
        module = package if stem == "__init__" else ModuleType(f"{package.__name__}.{stem}")
        module.__package__ = package.__name__
        sys.modules[module.__name__] = module
        _run(module, text)
        if module is not package:
            setattr(package, stem, module)
    return package


def _run(module: ModuleType, text: str) -> ModuleType:
    module.__file__ = f"<{module.__name__}>"
    exec(compile(text, module.__file__, "exec"), module.__dict__)  # our own output, never a user's text
    return module
