"""A loop over the steps of a recurrence as ``jax.lax.scan``, which compiles one step whatever their number is."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.operations import Operations
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.signature import tupled
from codegen.backends.arrays.spelling import call
from codegen.backends.arrays.steps import start_of
from codegen.loops.body import Body

__all__ = ["scanned"]


def scanned(printer: ArrayPrinter, body: Body) -> list[str]:
    """The lines of the loop: the function of one step, and its scan."""
    step, handed, given = (printer.local(n) for n in ("step", "handed", "given"))
    masks = dict(printer.masks)
    parts = list(_parts(printer, body))
    firsts = [start_of(printer, h.first, h.axes).code for h in body.handed]
    inner = [f"{tupled([h.name for h in body.handed])} = {handed}"]
    if parts:
        inner.append(f"{tupled([name for name, _ in parts])} = {given}")
    for s in body.statements:
        inner += printer.statement(s)
    values, kept = [h.value for h in body.handed], [local for _, local in body.kept]
    inner.append(f"return {tupled(values)}, {tupled(kept)}")
    printer.masks = masks
    scan = [step, tupled(firsts), tupled([text for _, text in parts]) if parts else "None"]
    options = [f"length={printer.length(body.loop.axis)}", *["reverse=True"] * body.loop.down]
    left = f"{tupled([h.name for h in body.handed])}, {tupled([s.name for s, _ in body.kept])}"
    lines = [f"def {step}({handed}, {given}):", *(f"    {line}" for line in inner)]
    lines.append(f"{left} = jax.lax.scan({', '.join([*scan, *options])})")
    for s, _ in body.kept:
        if place := printer.place(body.loop.axis, s.index):
            lines.append(f"{s.name} = {call('jnp.moveaxis', Text(s.name), '0', str(place)).code}")
    return lines


def _parts(printer: Operations, body: Body) -> Iterator[tuple[str, str]]:
    """What a step is given: the variables for parts of tensors and of masks, and these tensors with the steps in front."""
    axis, taken = body.loop.axis, set[str]()

    def fresh(wanted: str) -> str:
        name, k = printer.local(wanted), 1
        while name in taken:
            k += 1
            name = printer.local(f"{wanted}{k}")
        taken.add(name)
        return name

    for alias, read in body.slices.items():
        name = fresh(f"{read.name}_{axis}")
        yield name, _in_front(printer.tensor(read), printer.place(axis, [str(i) for i in read.index]))
        printer.sliced[alias] = Text(name)
    for condition in body.conditions:
        mask = printer.masks[condition]
        if axis in mask.axes:
            name = fresh(f"{mask.code}_{axis}")
            yield name, _in_front(mask.text, printer.place(axis, mask.axes))
            printer.masks[condition] = Value(Text(name), body.rest(mask.axes))


def _in_front(tensor: Text, place: int) -> str:
    return call("jnp.moveaxis", tensor, str(place), "0").code if place else tensor.code
