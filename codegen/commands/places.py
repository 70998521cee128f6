"""Where the commands read and write where nothing else is said."""

from __future__ import annotations

from derive.called import HOME

#: What is generated from the catalogue.
GENERATED = HOME / "generated"
#: Pages are no owned files: nothing compares them, and they are not tracked.
ATLAS = GENERATED / "html"
#: Where npm installed KaTeX.
NODE = HOME / ".node"
