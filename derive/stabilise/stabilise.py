"""Log-sum-exp: no exponential of the emitted forward pass overflows, whoever wrote the equations.

A name that holds exponentials is carried in scaled form, ``hat * exp(scale)``. A positive sum of exponentials is
``a * exp(m)``, where ``m`` is the maximum of the exponents and ``a = sum exp(g - m)``. The sum may be over an axis or of
several terms. Ratios then cancel ``exp(m)``, and ``log(a * exp(m))`` is ``log(a) + m``. Exponents that the author has already
shifted have the maximum 0, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from derive import syntax as st
from derive.simplify.signs import Signs
from derive.stabilise.complement import complements
from derive.terms.definitions import Definition, is_reduction, rename_reads
from derive.terms.flatten import bind, extremum, flat_power
from derive.terms.names import Names
from derive.terms.sums import (
    Argument,
    Atom,
    Condition,
    Exponent,
    Function,
    Index,
    Irrational,
    Mono,
    Read,
    Size,
    Sum,
    atom_indices,
    atom_reads,
    atom_sum,
    axis_of,
    free_names,
    leaves,
    number,
    open_mono,
    rename_free,
    term,
)


@dataclass(frozen=True)
class Scaled:
    """A name's scaled form ``hat * exp(scale)``. Both parts are over the name's ``index``."""

    hat: Sum
    scale: Sum
    index: tuple[str, ...]


@dataclass(frozen=True)
class Shift:
    """A right side ``before`` that became ``after``: because it was shifted, or because a name that it reads was shifted."""

    name: str
    index: tuple[str, ...]
    before: Sum
    after: Sum


def stabilise(op: st.Op, definitions: Sequence[Definition], names: Names) -> tuple[tuple[Definition, ...], list[Shift]]:
    """The definitions with every positive sum of exponentials shifted by its maximum, and the shifts.

    ``names`` afterwards holds the new definitions.
    """
    written, definitions = definitions, complements(op, definitions, names)
    work = _Stabiliser(op, definitions, names)
    for definition in definitions:
        work.definition(definition)
    if not (work.shifts or work.split):
        names.restart()
        for definition in definitions:
            names.register(definition)
        return tuple(definitions), _rewritten(written, definitions, set())
    for output in op.outputs:
        work.materialise(output.name)
    to = names.tidy()
    shifts = [Shift(s.name, s.index, s.before, rename_reads(s.after, to)) for s in work.shifts]
    return tuple(names.definitions), [*shifts, *_rewritten(written, names.definitions, {s.name for s in shifts})]


def _rewritten(before: Sequence[Definition], after: Sequence[Definition], known: set[str]) -> list[Shift]:
    """The author's definitions that have changed, for another reason than that an engine-made name is called differently."""
    shapes: dict[tuple[Sum, tuple[str, ...]], str] = {}
    was, now = (_shapes(definitions, shapes) for definitions in (before, after))
    bodies = {d.name: d for d in before}
    return [
        Shift(d.name, d.index, bodies[d.name].body, d.body)
        for d in after
        if d.author and d.name not in known and was[d.name] != now[d.name]
    ]


def _shapes(definitions: Sequence[Definition], shapes: dict[tuple[Sum, tuple[str, ...]], str]) -> dict[str, Sum]:
    """The right sides by name, in which engine-made names with equal definitions have equal names.

    ``shapes`` maps a definition to that name, and has to be the same object for right sides that are to be compared.
    """
    to: dict[str, str] = {}
    out: dict[str, Sum] = {}
    for d in definitions:
        out[d.name] = rename_reads(d.body, to)
        if not d.author:
            to[d.name] = shapes.setdefault((out[d.name], d.index), f"'{len(shapes)}")
    return out


class _Stabiliser:
    def __init__(self, op: st.Op, definitions: Sequence[Definition], names: Names):
        self.op, self.names = op, names
        self.original = {d.name: d for d in definitions}
        #: The names whose logarithm is taken. That logarithm is -inf, and not NaN, where all exponents are -inf.
        logs = [d.function for d in definitions if d.function and d.function.head == "log"]
        self.logged = {a.name for log in logs for a in log.args if isinstance(a, Read)}
        self.signs = Signs(op, self.original, rows=True)
        self.scaled: dict[str, Scaled] = {}
        #: The scaled forms of names that are defined in plain form: only a logarithm of such a name uses its scaled form.
        self.defined: dict[str, Scaled] = {}
        self.shifts: list[Shift] = []
        #: Whether the logarithm of a scaled form was split into a sum, which changes the equations too.
        self.split = False
        #: The names of shifted sums ``a = sum exp(g - m)``, which are positive.
        self.sums: set[str] = set()
        names.restart()

    def made(self, name: str) -> Definition | None:
        """The new definition of a name; None if the name has no new definition yet."""
        return next((d for d in self.names.definitions if d.name == name), None)

    # ---- one definition after the other ----------------------------------------------------------------------------

    def definition(self, d: Definition) -> None:
        """Process one definition: its name is carried in scaled form, or gets a new definition."""
        scaled = self.scale(d)
        if scaled is not None and scaled.scale:
            if d.author and d.function is None and self.exponential_exists(scaled):
                self.define(d, scaled)
                self.defined[d.name] = scaled
            else:
                self.scaled[d.name] = scaled
            return
        if scaled is not None:
            self.split = True
        body = self.plain_body(d) if scaled is None else scaled.hat
        self.carry(d, body)
        self.names.register(Definition(d.name, d.index, body, d.tree))

    def carry(self, d: Definition, body: Sum) -> None:
        """Keep the scaled form of a product that is defined in plain form, for a logarithm of the product."""
        only = body.single
        if only is None or only[0].bound or only[1] != 1:
            return
        hat, scale = self.monomial(only[0].factors, {**self.scaled, **self.defined})
        if scale:
            self.defined[d.name] = Scaled(hat, scale, d.index)

    def scale(self, d: Definition) -> Scaled | None:
        """The scaled form of a definition; None if it is to be defined in plain form."""
        function = d.function
        if function and function.head == "exp" and isinstance(function.args[0], Read):
            self.define_too(function.args[0].name)
            return Scaled(number(1), self.expanded(function.args[0]), d.index)
        if function and function.head == "log":
            return self.logarithm(d, function.args[0])
        if not any(isinstance(a, Read) and a.name in self.scaled for m in d.body.terms for a, _ in m.factors):
            return None
        only = d.body.single
        if only and not only[0].bound:
            hat, scale = self.monomial(only[0].factors, self.scaled)
            return Scaled(hat.scaled(only[1]), scale, d.index)
        return self.sum_of_exponentials(d)

    def monomial(self, factors: Iterable[tuple[Atom, Exponent]], carried: Mapping[str, Scaled]) -> tuple[Sum, Sum]:
        """The hat and the scale of a product: ``(a*exp(f))**e * ... = a**e * ... * exp(e*f + ...)``."""
        hat, scale = number(1), Sum()
        for atom, e in factors:
            if isinstance(atom, Read) and atom.name in carried:
                s = self.at(carried[atom.name], atom.index)
                scope = [i for slot in atom.index for i in leaves(slot) if isinstance(i, str)]
                hat = hat * flat_power(s.hat, e, self.op, self.names, scope)
                scale = scale + s.scale.scaled(Fraction(e))
            else:
                for name in atom_reads(atom):  # any other atom needs the plain value: a condition compares it
                    self.define_too(name)
                hat = hat * term({atom: e})
        return hat, scale

    def at(self, scaled: Scaled, index: tuple[Index, ...]) -> Scaled:
        """A scaled form read at another index. ``hat`` and ``scale`` are then over that index."""
        to = dict(zip(scaled.index, index, strict=True))
        return Scaled(rename_free(scaled.hat, to), rename_free(scaled.scale, to), scaled.index)

    def expanded(self, read: Read) -> Sum:
        """An exponent, by its definition if the engine named it, so that its terms can cancel."""
        d = self.made(read.name)
        if d is None or d.author or d.function or is_reduction(d):
            return atom_sum(read)
        return rename_free(d.body, dict(zip(d.index, read.index, strict=True)))

    def logarithm(self, d: Definition, argument: Argument) -> Scaled | None:
        """``log(hat * exp(scale))`` as ``log(hat) + scale``; None where the argument is not known to be positive.

        The logarithm of a product of positive factors is the sum of their logarithms.
        """
        carried = {**self.scaled, **self.defined}
        if not (isinstance(argument, Read) and argument.name in carried):
            return None
        s = self.at(carried[argument.name], argument.index)
        only = s.hat.single
        if only is None or not self.signs.sum_positive(self.original[argument.name].body):
            return None
        if only[1] < 0 or not all(self.positive(atom) for atom, _ in only[0].factors):
            # A positive product may have negative factors, which have no logarithms: the whole product gets a name.
            only = Mono(((self.names.read(s.hat, d.index), 1),)), Fraction(1)
        out = self.infinite(s.scale)
        if only[1] != 1:
            out = out + atom_sum(Function("log", (only[1],)))
        for atom, e in only[0].factors:
            read = atom if isinstance(atom, Read) else self.names.read(atom_sum(atom), d.index)
            log = self.names.read(atom_sum(Function("log", (read,))), d.index)
            out = out + atom_sum(log).scaled(Fraction(e))
        return Scaled(out, Sum(), d.index)

    def infinite(self, scale: Sum) -> Sum:
        """The scale of a logarithm: the maximum itself for a shift ``finite(maximum)``, as the logarithm may be infinite."""
        read = scale.atom
        d = self.made(read.name) if isinstance(read, Read) else None
        if not isinstance(read, Read) or d is None or d.function is None or d.function.head != "finite":
            return scale
        (argument,) = d.function.args
        assert isinstance(argument, Read)
        return rename_free(atom_sum(argument), dict(zip(d.index, read.index, strict=True)))

    def positive(self, atom: Atom) -> bool:
        if isinstance(atom, Read):
            return atom.name in self.sums or self.signs.positive(atom.name)
        return isinstance(atom, (Size, Irrational))

    # ---- the shift -------------------------------------------------------------------------------------------------

    def sum_of_exponentials(self, d: Definition) -> Scaled | None:
        """``sum(exp(g))`` as ``a*exp(m)`` with ``a = sum(exp(g - m))``; None if the sum may not be positive, or ``m`` is 0."""
        if not self.signs.sum_positive(d.body) or any(c <= 0 for c in d.body.terms.values()):
            return None
        parts: list[tuple[Sum, Sum, tuple[str, ...]]] = []
        for mono, c in d.body:
            opened = open_mono(mono)
            hat, scale = self.monomial(opened.factors.items(), self.scaled)
            parts.append((hat.scaled(c), scale, opened.bound))
        m = self.maximum(parts, d.index)
        if not m:
            return None
        if d.name in self.logged and all(scale for _, scale, _ in parts):
            m = atom_sum(self.names.read(atom_sum(Function("finite", (self.argument(m, d.index),))), d.index))
        shifted = Sum()
        for hat, scale, bound in parts:
            scope = (*d.index, *bound)
            exponential = self.exponential(scale - m, scope)
            shifted = shifted + bind(hat * exponential, bound)
        a = self.names.read(shifted, d.index)
        self.sums.add(a.name)
        after = atom_sum(a) * atom_sum(Function("exp", (self.argument(m, d.index),)))
        self.shifts.append(Shift(d.name, d.index, d.body, after))
        return Scaled(atom_sum(a), m, d.index)

    def exponential(self, exponent: Sum, scope: tuple[str, ...]) -> Sum:
        """A read of the name of ``exp(exponent)``, which is made if there is none; 1 for the exponent 0."""
        if not exponent:
            return number(1)
        return atom_sum(self.names.read(atom_sum(Function("exp", (self.argument(exponent, scope),))), scope))

    def maximum(self, parts: list[tuple[Sum, Sum, tuple[str, ...]]], scope: tuple[str, ...]) -> Sum:
        """The maximum of the exponents over their bound indices, where the terms are not 0, and over the terms."""
        found = [self.over_axes(scale, bound, scope, _rows(hat)) for hat, scale, bound in parts]
        out = found[0]
        for other in found[1:]:
            if other != out:
                args = (self.argument(out, scope), self.argument(other, scope))
                out = atom_sum(self.names.read(atom_sum(Function("maximum", args)), scope))
        return out

    def argument(self, expr: Sum, scope: tuple[str, ...]) -> Argument:
        """The expression as an argument of a function: 0, or a read of the name of the expression."""
        if not expr:
            return Fraction(0)
        atom = expr.atom
        return atom if isinstance(atom, Read) else self.names.read(expr, scope)

    def over_axes(self, scale: Sum, bound: tuple[str, ...], scope: tuple[str, ...], rows: list[Condition]) -> Sum:
        """The maximum of an exponent over bound indices: ``max(f) + g`` for ``f + g`` where only ``f`` has these indices.

        Only elements at which the conditions ``rows`` hold take part, as far as these are about the indices of ``f``.
        """
        if not bound:
            return scale
        scale = self.unfolded(scale)
        moving = Sum({m: c for m, c in scale.terms.items() if _touches(m, bound)})
        fixed = scale - moving
        if not moving:
            return fixed
        read = self.argument(moving, (*scope, *bound))
        assert isinstance(read, Read)
        apart = len({axis_of(i) for i in bound}) == len(bound)
        own = {str(i) for slot in read.index for i in leaves(slot)}
        where = [c for c in rows if apart and atom_indices(c) & set(bound) and atom_indices(c) & set(bound) <= own]
        largest = extremum(self.names, "max", read, bound, (*scope, *bound), where)
        return fixed + atom_sum(self.names.read(atom_sum(largest), scope))

    def unfolded(self, scale: Sum) -> Sum:
        """A scale that is a single name by its definition if that is a sum, so that a shift by the author becomes visible."""
        read = scale.atom
        d = self.made(read.name) if isinstance(read, Read) else None
        if not isinstance(read, Read) or d is None or len(d.body) < 2 or any(m.bound for m in d.body.terms):
            return scale
        return rename_free(d.body, dict(zip(d.index, read.index, strict=True)))

    # ---- names that are defined after all --------------------------------------------------------------------------

    def plain_body(self, d: Definition) -> Sum:
        """The body as it is, after every scaled name that it reads got a definition."""
        for mono in d.body.terms:
            for atom, _ in mono.factors:
                for name in atom_reads(atom):
                    self.materialise(name)
        return d.body

    def materialise(self, name: str) -> None:
        """Define a name in plain form, and carry its scaled form no longer."""
        scaled = self.scaled.pop(name, None)
        if scaled is None or self.made(name):
            return
        d = self.original[name]
        if d.function is None:
            self.define(d, scaled)
            return
        for a in d.function.args:
            if isinstance(a, Read):
                self.materialise(a.name)
        self.defined[name] = scaled
        self.names.register(d)

    def define_too(self, name: str) -> None:
        """Define a name in plain form if it is carried in scaled form, and keep carrying the scaled form."""
        scaled = self.scaled.get(name)
        if scaled is not None:
            self.materialise(name)
            self.scaled[name] = scaled

    def exponential_exists(self, scaled: Scaled) -> bool:
        """Whether ``exp(scale)`` already has a name. A ratio such as softmax then has a plain form that cannot overflow."""
        exponent = self.names.find(scaled.scale, scaled.index)
        return exponent is not None and self.names.find(atom_sum(Function("exp", (exponent,))), scaled.index) is not None

    def define(self, d: Definition, scaled: Scaled) -> None:
        """Add the definition ``name = hat * exp(scale)``."""
        body = scaled.hat * self.exponential(scaled.scale, d.index)
        self.names.register(Definition(d.name, d.index, body, d.tree))


def _rows(hat: Sum) -> list[Condition]:
    """The conditions on indices under which a product is not 0."""
    factors = hat.single[0].factors if hat.single else ()
    return [a for a, _ in factors if isinstance(a, Condition) and a.form is not None]


def _touches(mono: Mono, bound: tuple[str, ...]) -> bool:
    return bool(free_names(mono) & set(bound))
