"""What a template is given: the parts of one kernel file as text, and nothing to decide."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FunctionSource:
    """One function of a kernel file; ``prologue`` checks and prepares the arguments, ``body`` is the mathematics."""

    name: str
    signature: str
    doc: tuple[str, ...]
    prologue: tuple[str, ...]
    body: tuple[str, ...]
    returned: str


@dataclass(frozen=True)
class DifferentiableSource:
    """The ``autograd.Function`` around a kernel: its names, argument lists and index bookkeeping as text."""

    name: str
    class_name: str
    signature: str
    doc: tuple[str, ...]
    arguments: str
    forward: str
    result: str
    setup: tuple[str, ...]
    upstream: str
    prepare: tuple[str, ...]
    recompute: str
    backward: str
    returned: str
    picked: str


@dataclass(frozen=True)
class FileSource:
    """One kernel file."""

    title: str
    command: str
    equations: tuple[str, ...]
    source: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    helpers: tuple[str, ...]
    forward: FunctionSource
    backward: FunctionSource
    differentiable: DifferentiableSource | None = None
