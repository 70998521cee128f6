"""The default folders that the commands read and write."""

from __future__ import annotations

from derive.called import HOME

#: The folder that is generated from the catalogue.
GENERATED = HOME / "generated"
#: The folder of what was generated before; see :mod:`codegen.incremental`. It is not tracked.
STORE = HOME / ".derived"
#: The folder of the atlas' pages, which are not tracked; ``check`` does not compare them.
ATLAS = GENERATED / "html"
#: The folder in which npm installed KaTeX.
NODE = HOME / ".node"
