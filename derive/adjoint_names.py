"""What an adjoint is called: a ``d`` before the name of what it is the gradient of."""

from __future__ import annotations

__all__ = ["adjoint_name", "primal_name"]


def adjoint_name(name: str) -> str:
    """The name of a name's adjoint."""
    return f"d{name}"


def primal_name(name: str) -> str:
    """The name whose adjoint has the given name; "" if no adjoint is called so."""
    return name[1:] if name.startswith("d") else ""
