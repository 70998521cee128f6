"""Generated source as a module, without writing anything."""

from __future__ import annotations

from types import ModuleType

__all__ = ["load_source"]


def load_source(name: str, text: str) -> ModuleType:
    """A module made of generated source, without touching ``sys.modules``."""
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    exec(compile(text, module.__file__, "exec"), module.__dict__)  # our own output, never a user's text
    return module
