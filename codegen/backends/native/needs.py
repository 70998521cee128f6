"""What the body of a function needs, collected while it is written."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Needs:
    """``helpers``, ``functions`` and functions of ``doubles`` of the file, and the ``strides`` of tensors that are used."""

    helpers: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    doubles: set[str] = field(default_factory=set)
    strides: dict[tuple[str, str], str] = field(default_factory=dict)
