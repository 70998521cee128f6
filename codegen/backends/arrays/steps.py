"""Loops over the steps of a recurrence: the statements of one step, without the axis of the steps.

``h[n, t, k] = tanh(a[n, t, k] + sum[j](h[n, t - 1, j]*U[j, k]))`` is::

    h = np.empty((n, t, k), dtype=x.dtype)
    h_prev_t = h0
    for at_t in range(t):
        h_t = np.tanh(a[:, at_t] + h_prev_t @ U)
        h[:, at_t] = h_t
        h_prev_t = h_t
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.operations import Operations
from codegen.backends.arrays.spelling import item
from codegen.backends.arrays.windows import placed
from codegen.loops.body import ZERO, Body
from derive import syntax as st

__all__ = ["masks", "shifted", "slots", "start_of", "within"]


def slots(printer: Operations, body: Body, index: Sequence[st.Index]) -> list[str]:
    """The slots of a tensor at one step."""
    return [body.at if i == body.loop.axis else "..." if i == printer.star else ":" for i in index]


def within(body: Body, printer: Operations) -> None:
    """Let a printer read the parts of tensors that belong to this step."""
    for alias, read in body.slices.items():
        printer.sliced[alias] = placed(printer.tensor(read), slots(printer, body, read.index))


def masks(body: Body, printer: Operations) -> dict[st.Tree, Value]:
    """The conditions on positions at one step."""
    out = dict(printer.masks)
    for condition in body.conditions:
        mask = printer.masks[condition]
        if body.loop.axis in mask.axes:
            out[condition] = Value(placed(mask.text, slots(printer, body, mask.axes)), body.rest(mask.axes))
    return out


def start_of(printer: Operations, first: st.Tree, axes: tuple[str, ...]) -> Text:
    """What the first step reads."""
    if first == ZERO:
        return Text(printer.zeros(axes))
    value = printer.value(first, axes)
    return printer.full(value, axes) if value.number else printer.fit(value, axes)


def shifted(printer: Operations, carry: st.Carry) -> Iterator[str]:
    """The line for what is carried, over all steps: what the first step reads, and then all but the last value."""
    place = carry.axes.index(carry.axis)
    first = st.Read(carry.first, carry.rest) if carry.first else ZERO
    before = ["..." if i == printer.star else ":" for i in carry.axes[:place]]
    after = [":"] * (len(carry.axes) - place - 1) if printer.star in carry.axes[:place] else []
    kept = [*before, "1:" if carry.down else f":{printer.length(carry.axis)}", *after]
    one = [*before, "None", *after]
    start = start_of(printer, first, carry.rest)
    parts = (Text(carry.of), item(start, one)) if carry.down else (item(start, one), Text(carry.of))
    yield f"{carry.name} = {item(printer.concatenated(parts, printer.place(carry.axis, carry.axes)), kept).code}"
