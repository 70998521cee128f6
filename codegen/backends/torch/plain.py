"""torch as one writes it by hand."""

from __future__ import annotations

from codegen.backends.arrays.by_hand import ByHand
from codegen.backends.torch.printer import TorchPrinter

__all__ = ["PlainTorch"]


class PlainTorch(ByHand, TorchPrinter):
    """Entries are assigned to in place."""
