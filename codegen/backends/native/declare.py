"""Declarations before a loop or a statement: labels, loop-invariant values, pointers to rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from codegen.backends.native.elements import accesses, base, element, inside, label, named, place, stored
from codegen.backends.native.own import Own
from codegen.backends.native.scope import Indices
from codegen.backends.native.slides import bounds
from codegen.backends.native.writer import Writer
from codegen.loops.nest import InnerLoop, Node, Step, VectorLoop, steps_in
from codegen.recognise.window import Slide
from derive import syntax as st


def declare(w: Writer, node: Node) -> None:
    """Declare, before a node, what it does not change: bounds of loops, values that it reads, pointers to rows."""
    for slide in _slides((node,)):
        if w.scope.known(slide.taps):
            bounds(w, slide)
    steps = list(steps_in((node,)))
    made = {step.assignment.name for step, _ in steps}
    loop = isinstance(node, InnerLoop | VectorLoop)
    for step, path in steps:
        _declare_step(w, step, (*w.scope.path, *path), made if loop else None)


def _slides(nodes: tuple[Node, ...]) -> Iterator[Slide]:
    """The slides of the loops in nodes."""
    for node in nodes:
        if isinstance(node, InnerLoop | VectorLoop):
            yield from (node.slide,) if node.slide else ()
            yield from _slides(node.body)


def _declare_step(w: Writer, step: Step, loops: tuple[str, ...], made: set[str] | None) -> None:
    """``made`` are the names that the loop computes; None outside of loops, where a variable saves no load."""
    for name, index in dict.fromkeys(accesses(w.context, step.assignment)):
        load_labels(w, index)
        if name in w.context.numbers:
            continue
        at = inside(w.context, name, index)
        known = w.scope.known
        if known(index) and made is not None and name not in made:
            _load(w, name, index)
        elif len(at) > 1 and known(at[:-1]) and at[-1] in loops and not known(at[-1:]):
            point(w, name, at[:-1])
        elif len(at) == 1 and _is_streamed(w, name) and not known(at):
            point(w, name, ())


def load_labels(w: Writer, index: Iterable[st.Index]) -> None:
    """Declare variables for the labels in an index, after variables for the labels that these are looked up at."""
    for i in index:
        if isinstance(i, st.Lookup) and i not in w.scope.labels and w.scope.known((i,)):
            load_labels(w, i.index)
            name = named(w, i.name, tuple(st.index_names(i)), "label")
            w.emit(f"const int64_t {name} = {label(w, i)};")
            w.scope = w.scope.with_label(i, name)


def _load(w: Writer, name: str, index: Indices) -> None:
    argument = w.context.arguments.get(name)
    if (name, index) in w.scope.values or (argument and argument.labels is not None):
        return
    local = named(w, name, index, "value")
    w.emit(f"const real {local} = {element(w, name, index)};")
    w.hold(name, index, local)


def point(w: Writer, name: str, lead: Indices) -> None:
    """Declare the pointer to a row, or to the buffer from which the row is streamed."""
    if (name, lead) not in w.scope.rows:
        to = place(w, name, lead)
        pointer = declare_pointer(w, name, named(w, name, lead, "values"), to)
        w.scope = w.scope.with_row((name, lead), pointer)


def declare_pointer(w: Writer, name: str, pointer: str, to: str) -> str:
    """Declare a pointer into a tensor's memory, or to the buffer from which it is streamed; returns the pointer's name."""
    argument = w.context.arguments.get(name)
    const = "const " if argument else ""
    kind = "int64_t" if argument and argument.labels else "real"
    if _is_streamed(w, name):
        to = f"streaming ? {Own.BUFFER.of_thread(w, name)} : {to}"
    w.emit(f"{const}{kind} *const {pointer} = {to};")
    return pointer


def point_to_chunk(w: Writer, name: str) -> str:
    """Declare the pointer to a tensor's current chunk; returns the pointer's name."""
    start = f"{base(w, stored(w.context, name))} + first"
    return declare_pointer(w, name, w.names.part(name, "first"), start)


def _is_streamed(w: Writer, name: str) -> bool:
    return any(f is w.context.assignments.get(name) for f in w.scope.streamed)
