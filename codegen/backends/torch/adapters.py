"""The emitted ops under the names and signatures of ``torch.nn.functional``, and as modules that torch's state dicts fit.

The files are written by hand, as templates: what an adapter does is to know torch's conventions.
"""

from __future__ import annotations

from pathlib import Path

from codegen.render import render

__all__ = ["adapter_files"]

TEMPLATES = Path(__file__).with_name("templates")
#: The packages of adapters, a folder of templates each.
PACKAGES = ("functional", "nn")


def adapter_files(folder: str, command: str) -> dict[str, str]:
    """The unformatted files below ``folder``; ``command`` is what regenerates them."""
    paths = (path for package in PACKAGES for path in sorted((TEMPLATES / package).glob("*.py.j2")))
    names = [f"{folder}/{path.relative_to(TEMPLATES).as_posix()}" for path in paths]
    return {name.removesuffix(".j2"): render(name, command=command) for name in names}
