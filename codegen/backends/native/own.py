"""What each thread can have of a value, and how that is called."""

from __future__ import annotations

from enum import Enum

from codegen.backends.native.writer import Writer


class Own(Enum):
    """A row of a value, a buffer beside a result, a block of a sum over rows."""

    ROW = "row"
    BUFFER = "buffer"
    BLOCK = "block"

    def of_thread(self, w: Writer, name: str) -> str:
        """The name of what the thread has."""
        return w.names.part(name, self.value)

    def of_all(self, w: Writer, name: str) -> str:
        """The name of what all threads have together."""
        return w.names.part(name, f"{self.value}s")
