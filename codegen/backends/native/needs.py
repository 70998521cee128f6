"""What the body of a function turns out to use."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Needs:
    """Of the file, ``helpers``, ``functions`` and functions of ``doubles``; of the arguments, ``strides`` by their axes."""

    helpers: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    doubles: set[str] = field(default_factory=set)
    strides: dict[tuple[str, str], str] = field(default_factory=dict)
