"""The places of an object where it holds arrays: attributes, entries of its dicts, entries of its lists of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codegen.tools.auditor.vocabulary import understood, understood_gradient, vocabulary
from derive import syntax as st

__all__ = ["Slot", "gradients_in", "slots"]

#: What an attribute with all gradients is called.
GRADIENTS = ("grads", "grad", "gradients", "dparams", "d")


@dataclass(frozen=True)
class Slot:
    """A place: ``holder[key]``."""

    holder: Any
    key: Any

    def get(self) -> Any:
        return self.holder[self.key]

    def put(self, value: Any) -> None:
        """Put a value there, in the shape of what is there (ValueError where it has not as many entries, or another order)."""
        there, own = getattr(self.get(), "shape", None), getattr(value, "shape", None)
        if there is not None and own is not None and tuple(n for n in there if n != 1) != tuple(n for n in own if n != 1):
            raise ValueError(f"{self.key} has the shape {tuple(there)}, and {tuple(own)} belongs there")
        self.holder[self.key] = value.reshape(tuple(there)) if there is not None and own is not None else value


def slots(made: Any) -> dict[str, Slot]:
    """The places of an object by name; an attribute goes before an entry of a dict."""
    found = {n: Slot(vars(made), n) for n in vars(made)}
    for attribute in list(vars(made).values()):
        if isinstance(attribute, dict):
            found |= {str(k): Slot(attribute, k) for k in attribute if str(k) not in found}
    return found


def gradients_in(
    made: Any, held: Mapping[str, Slot], meant: Mapping[str, str], own: Sequence[str], op: st.Op
) -> dict[str, Any]:
    """The gradients that a backward has left in an object, by name.

    They are called as gradients are (``dW``, ``grad_W``, ``W_grad``), or lie in a dict or list of all gradients, or are the
    ``grad`` of what the object holds. A list is in the order of the ``own`` inputs, which the forward does not take.
    """
    found: dict[str, Any] = {}
    inputs = [t.name for t in op.differentiable]
    meant = {**vocabulary(list(vars(made)), inputs, op), **meant}
    wanted = [st.adjoint_name(n) for n in inputs]
    own = [n for n in own if n in inputs]
    for name, value in vars(made).items():
        if name.lower().strip("_") in GRADIENTS and isinstance(value, dict):
            for key, entry in value.items():
                of = meant.get(str(key)) or understood(str(key), inputs, op)
                gradient = understood_gradient(str(key), meant, wanted, op) or (st.adjoint_name(of) if of else None)
                found |= {gradient: entry} if gradient else {}
        elif name.lower().strip("_") in GRADIENTS and isinstance(value, list | tuple):
            found |= dict(zip(map(st.adjoint_name, own), value, strict=False))
        elif gradient := _gradient(name, meant, wanted, op):
            found[gradient] = value
    for n, slot in held.items():
        grad = getattr(slot.get(), "grad", None)
        if grad is not None:
            found.setdefault(st.adjoint_name(n), grad)
    return {g: _like(v, held.get(st.primal_name(g))) for g, v in found.items() if v is not None}


def _gradient(name: str, meant: Mapping[str, str], wanted: Sequence[str], op: st.Op) -> str | None:
    for ending in ("_grad", "_gradient"):
        if name.endswith(ending):
            name = st.adjoint_name(name.removesuffix(ending))
    return understood_gradient(name, meant, wanted, op)


def _like(value: Any, slot: Slot | None) -> Any:
    """A gradient without the axes of length 1 that the parameter has as well, so that it has the axes of the op's name."""
    there = getattr(slot.get(), "shape", None) if slot else None
    if there is None or 1 not in there or getattr(value, "shape", None) != there:
        return value
    return value.reshape([n for n in there if n != 1])
