"""The buffers that each thread may have for a value, and their names."""

from __future__ import annotations

from enum import Enum

from codegen.backends.native.writer import Writer


class Own(Enum):
    """A thread's buffer: a row of a value, a buffer for a streamed result, or a block of a reduction over rows."""

    ROW = "row"
    BUFFER = "buffer"
    BLOCK = "block"

    def of_thread(self, w: Writer, name: str) -> str:
        """The name of the pointer to the thread's own buffer."""
        return w.names.part(name, self.value)

    def of_all(self, w: Writer, name: str) -> str:
        """The name of the pointer to the buffers of all threads."""
        return w.names.part(name, f"{self.value}s")
