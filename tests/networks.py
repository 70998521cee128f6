"""Networks for the tests of the gradient flow."""

from __future__ import annotations

from torch import nn


class Chained(nn.Module):
    """Layers, and a function of the network and its arguments as its forward."""

    def __init__(self, forward, **layers):
        super().__init__()
        self._run = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *given):
        return self._run(self, *given)
