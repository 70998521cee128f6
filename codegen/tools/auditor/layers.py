"""Layers: objects whose ``forward`` keeps what their ``backward`` needs, as ``self.x`` or ``self.cache``.

An object is made anew for every call. The op's inputs are what its class is made with, what its forward takes, and what its
attributes hold; gradients are what its backward returns, and what it leaves in attributes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

from codegen.backends.arrays.libraries import applied, libraries, libraries_of, model
from codegen.tools.auditor.differentiable import differentiable_submissions, differentiated
from codegen.tools.auditor.habits import constants_in, told
from codegen.tools.auditor.layouts import Layout
from codegen.tools.auditor.parameters import returned_names
from codegen.tools.auditor.slots import Slot, gradients_in, slots
from codegen.tools.auditor.submission import Submission, file_of
from codegen.tools.auditor.vocabulary import understood_gradient, vocabulary
from derive import syntax as st

__all__ = ["layer", "layer_submissions"]

FORWARD = ("forward", "__call__", "fprop", "fwd")
BACKWARD = ("backward", "bprop", "backprop", "bwd")
#: Lengths for what a class is made with, where nothing tells which axes they are of.
LENGTHS = (4, 5, 6, 7)


def layer(value: Any) -> bool:
    """Whether a value is a class with a forward, or an object of a class with a forward and a backward."""
    if applied(value) or model(value) or inspect.isroutine(value):
        return False
    if not inspect.isclass(value):
        return bool(_method(type(value), FORWARD) and _method(type(value), BACKWARD))
    return _method(value, FORWARD) is not None


def _method(cls: type, names: Sequence[str]) -> str | None:
    """The method of that kind that a class or one of its own bases defines; None where there is none."""
    return next((n for n in names if any(inspect.isfunction(vars(c).get(n)) for c in cls.__mro__ if c is not object)), None)


def layer_submissions(value: Any, op: st.Op, names: Mapping[str, str]) -> Iterator[Submission]:
    """A layer as a submission, for each value of the constants that are not passed.

    A module of a library, and a class without a backward, are differentiated by their library. Raises ValueError where an
    object cannot be made, or where it is not clear what stands for an input.
    """
    cls = value if inspect.isclass(value) else type(value)
    forward = _method(cls, FORWARD)
    assert forward is not None
    if inspect.isclass(value) and (made := _module(cls)) is not None:
        yield from differentiable_submissions(made, op, names)
        return
    own = Layer(value, op, getattr(cls, forward), dict(names))
    backward = _method(cls, BACKWARD)
    if backward is None:
        for chosen in ({}, *constants_in([own.code, *own.init], op, own.passed)):
            for found in differentiated(own.forward, cls.__name__, own.code, op, own.passed):
                yield replace(found, constants={n: float(v) for n, v in chosen.items()}, assumed=told(chosen))
        return
    code = getattr(cls, backward)
    within = libraries_of(code) or libraries_of(own.code) or libraries()[:1]
    upstream = [st.adjoint_name(t.name) for t in op.outputs]
    scalar = not any(t.axes for t in op.outputs)
    choices = product(own.layouts, ({}, *constants_in([own.code, code, *own.init], op, own.passed)))
    for layouts, chosen in choices:
        yield Submission(
            f"{cls.__name__}.{backward}",
            (*(t.name for t in op.inputs), *own.passed, *upstream),
            tuple(st.adjoint_name(t.name) for t in op.differentiable),
            own.called(backward),
            within,
            outputs=tuple(t.name for t in op.outputs),
            constants={n: float(v) for n, v in chosen.items()} | ({u: 1.0 for u in upstream} if scalar else {}),
            layouts=layouts,
            assumed="; ".join(filter(None, (f"with what {forward.strip('_')} keeps", told(chosen)))),
            file=file_of(code),
        )


def _module(cls: type) -> Any:
    """An object of a library's class of modules, made with lengths of axes; None where the class is none of these."""
    try:
        made = cls(*LENGTHS[: len(_required(cls))])
    except Exception:  # the class is somebody else's: it is made another way then
        return None
    return made if model(made) else None


def _required(cls: type) -> list[str]:
    """What a class has to be made with."""
    own = inspect.signature(cls).parameters
    return [n for n, p in own.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]


@dataclass(frozen=True)
class Layer:
    """A layer's class, or an object of it, and what stands for the names of an op."""

    value: Any
    op: st.Op
    code: Callable[..., Any]
    names: dict[str, str]

    @property
    def cls(self) -> type:
        return self.value if inspect.isclass(self.value) else type(self.value)

    @property
    def init(self) -> list[Callable[..., Any]]:
        made = vars(self.cls).get("__init__")
        return [made] if inspect.isfunction(made) else []

    @cached_property
    def making(self) -> dict[str, inspect.Parameter]:
        """What the class is made with."""
        return dict(inspect.signature(self.cls).parameters) if inspect.isclass(self.value) else {}

    @cached_property
    def meant(self) -> dict[str, str]:
        """What the parameters of the class stand for."""
        return vocabulary([p for p in self.making if p not in self.names], self._known, self.op) | self.names

    @cached_property
    def taken(self) -> dict[str, str]:
        """What the parameters of the forward stand for."""
        own = [p for k, p in enumerate(inspect.signature(self.code).parameters.values()) if k]
        order = [t.name for t in self.op.inputs if t.name not in {self.meant.get(p) for p in self.making}]
        meant = vocabulary([p.name for p in own if p.name not in self.names], self._known, self.op) | self.names
        unclear = [p.name for p in own if p.name not in meant and p.default is p.empty]
        meant |= dict(zip(unclear, [n for n in order if n not in meant.values()], strict=False))
        return {p.name: meant[p.name] for p in own if meant.get(p.name) in self._known}

    @property
    def _known(self) -> list[str]:
        return [*(t.name for t in self.op.inputs), *(c.name for c in self.op.constants)]

    @cached_property
    def passed(self) -> tuple[str, ...]:
        """The constants that the class or the forward takes."""
        taken = {*self.taken.values(), *(self.meant.get(p) for p in self.making)}
        return tuple(c.name for c in self.op.constants if c.name in taken)

    @property
    def kept(self) -> list[str]:
        """The inputs that attributes hold."""
        given = {*self.taken.values(), *(self.meant.get(p) for p in self.making)}
        return [t.name for t in self.op.inputs if t.name not in given]

    @property
    def layouts(self) -> list[dict[str, Layout]]:
        """The layouts that matrices in attributes may have: as in the equations, or transposed."""
        axes = {t.name: t.axes for t in self.op.inputs if t.name in self.kept and len(t.axes) == 2}
        turned = {n: Layout(a, tuple((i,) for i in reversed(a))) for n, a in axes.items()}
        return [{}, turned] if turned else [{}]

    def forward(self, values: Mapping[str, Any]) -> Any:
        """What the forward of a new object returns."""
        return self._run(values)[1]

    def called(self, backward: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """A function of values by name that returns the outputs and gradients of a new object."""
        return lambda values: self._results(values, backward)

    def _results(self, values: Mapping[str, Any], backward: str) -> dict[str, Any]:
        made, out, held = self._run(values)
        method = getattr(made, backward)
        upstream = [st.adjoint_name(t.name) for t in self.op.outputs]
        taken = [n for n, p in inspect.signature(method).parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
        meant = vocabulary(taken, [*upstream, *self._known], self.op, upstream)
        found = method(**{n: values[meant[n]] for n in taken if meant.get(n) in values})
        outputs = list(out[: len(upstream)]) if isinstance(out, tuple | list) else [out]
        results = {t.name: o for t, o in zip(self.op.outputs, outputs, strict=False)}
        own = [t.name for t in self.op.inputs if t.name not in self.taken.values()]
        left = gradients_in(made, held, {**self.meant, **self.taken}, own, self.op)
        return results | left | self._returned(found, getattr(self.cls, backward))

    def _returned(self, found: Any, backward: Callable[..., Any]) -> dict[str, Any]:
        """What the backward returned, by the names in its ``return``; else in the order of the forward's arguments."""
        if found is None:
            return {}
        wanted = [st.adjoint_name(t.name) for t in self.op.differentiable]
        if isinstance(found, Mapping):
            named = {understood_gradient(str(k), self.taken, wanted, self.op) or str(k): v for k, v in found.items()}
            return {k: v for k, v in named.items() if k in wanted}
        results = list(found) if isinstance(found, tuple | list) else [found]
        returned = [understood_gradient(n, {**self.meant, **self.taken}, wanted, self.op) for n in returned_names(backward)]
        if len(returned) == len(results) and all(returned) and len(set(returned)) == len(returned):
            return {g: v for g, v in zip(returned, results, strict=True) if g}
        taken = [g for g in map(st.adjoint_name, self.taken.values()) if g in wanted]
        order = next((o for o in (taken, wanted) if len(o) == len(results)), taken)
        if len(results) > len(order):
            raise ValueError(f"backward returned {len(results)} values, and {len(order)} are expected: {', '.join(order)}")
        return dict(zip(order, results, strict=False))

    def _run(self, values: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Slot]]:
        """A new object, what its forward returns, and where it holds inputs."""
        made, held = self._made(values)
        return made, self.code(made, **{p: values[n] for p, n in self.taken.items() if n in values}), held

    def _made(self, values: Mapping[str, Any]) -> tuple[Any, dict[str, Slot]]:
        if not inspect.isclass(self.value):
            made = copy.deepcopy(self.value)
            return made, self._filled(made, values)
        given = {p: values[self.meant[p]] for p in self.making if self.meant.get(p, "") in values}
        free = [n for n in _required(self.cls) if n not in given]
        last: Exception | None = None
        for lengths in product(_lengths(self.op, values), repeat=len(free)):
            made = self.cls(**given, **dict(zip(free, lengths, strict=True)))
            try:
                return made, self._filled(made, values)
            except ValueError as error:
                last = last or error
        raise last or ValueError(f"no object of {self.cls.__name__} can be made")

    def _filled(self, made: Any, values: Mapping[str, Any]) -> dict[str, Slot]:
        """Put the inputs that attributes hold in their places, and say where (ValueError where one has no place)."""
        own = slots(made)
        meant = vocabulary([n for n in own if n not in self.names], self._known, self.op) | self.names
        held = {m: own[n] for n, m in meant.items() if n in own and m in self._known}
        for name in self.kept:
            if name not in held:
                there = ", ".join(own) or "none"
                raise ValueError(
                    f"no attribute of {self.cls.__name__} is {name}; there are: {there}; --name YOURS={name} says which"
                )
            held[name].put(values[name])
        for c in self.op.constants:
            if c.name in held and c.name in values:
                held[c.name].put(values[c.name])
        return held


def _lengths(op: st.Op, values: Mapping[str, Any]) -> list[int]:
    """The lengths that the axes of the inputs have."""
    return list(dict.fromkeys(n for t in op.inputs for n in getattr(values[t.name], "shape", ())))
