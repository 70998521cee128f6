"""The modules that a report is made with, rendered and loaded in memory."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from codegen.backends.arrays.discovery import first
from codegen.chain import render_chain
from codegen.load import load_package, load_source
from codegen.tools.flow.parts import parted
from codegen.tools.flow.source import render_flow, render_runtime
from derive.syntax import Op

__all__ = ["modules_of", "runtime"]


@cache
def modules_of(op: Op) -> tuple[ModuleType, ModuleType]:
    """The chain and the flow table of an op without ``*s``."""
    found = parted(op)
    chain, table = render_chain(found.op, first(), "in memory"), render_flow(found.op, "in memory", found.parts)
    return load_source(f"{op.name}_chain", chain), load_source(f"{op.name}_flow", table)


@cache
def runtime() -> ModuleType:
    """The package ``generated/flow/``, rendered from its templates and loaded."""
    return load_package("loaded", render_runtime("in memory"))
