"""The registry of names: equal expressions get the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from derive import syntax as st
from derive.functions.records import RECORDS
from derive.terms.definitions import Definition, rename_reads
from derive.terms.sums import (
    Condition,
    Extremum,
    Function,
    Index,
    Irrational,
    Read,
    Size,
    Sum,
    atom_sum,
    axis_of,
    rename_free,
    sum_indices,
)

__all__ = ["Names"]


class Names:
    """The names of an op and their definitions; makes names for subexpressions, one name for equal bodies."""

    def __init__(self, op: st.Op):
        axes = {a for t in op.inputs for a in t.axes} | {a for e in op.equations for a in e.index}
        # The axes of an op that is called may have nothing but their lengths left.
        axes |= {n.axis for e in op.equations for n in st.walk(e.rhs) if isinstance(n, st.Size)}
        axes |= {axis for axis, _ in op.declared.lengths}  # one that is only reduced over is of no tensor
        taken = {t.name for t in op.inputs} | {e.name for e in op.equations} | {c.name for c in op.constants}
        self.reserved = axes | taken | {op.name}
        self.taken = set(self.reserved)
        #: For each stem, the last number that a name of it got.
        self.numbers: dict[str, int] = {}
        self.made: dict[tuple[Sum, tuple[str, ...]], Definition] = {}
        self.definitions: list[Definition] = []
        #: The definitions by name that :meth:`alias` may put in the place of a read.
        self.unfolded: dict[str, Definition] = {}
        self.constants = {c.name for c in op.constants}

    def is_constant(self, expr: Sum) -> bool:
        """Whether the expression depends on nothing but the op's constants and the lengths of axes."""
        return all(self._is_fixed(a) for mono in expr.terms for a, _ in mono.factors)

    def _is_fixed(self, atom: object) -> bool:
        if isinstance(atom, Condition):
            return self._is_fixed(atom.left) and self._is_fixed(atom.right)
        return isinstance(atom, (Size, Irrational, Fraction)) or (isinstance(atom, Read) and atom.name in self.constants)

    def alias(self, read: Read) -> Sum:
        """A read by its definition where an engine-made name stands for a monomial: ``x/2`` for ``u = x/2``."""
        d = self.unfolded.get(read.name)
        only = d.body.single if d else None
        if d and only and not only[0].bound and all(isinstance(a, (Read, Size, Irrational)) for a, _ in only[0].factors):
            return rename_free(d.body, dict(zip(d.index, read.index, strict=True)))
        return atom_sum(read)

    def fresh(self, stem: str) -> str:
        """A new name from a stem. Neither the name nor its adjoint is taken, nor a name of which it would be the adjoint."""
        k = self.numbers.get(stem, 1)  # of the numbers below it each is taken, and stays taken
        while not self._free(name := f"{stem}{k}" if k > 1 else stem):
            k += 1
        self.numbers[stem] = k
        self.taken.add(name)
        return name

    def _free(self, name: str) -> bool:
        return not (name in self.taken or st.adjoint_name(name) in self.taken or st.primal_name(name) in self.taken)

    def register(self, definition: Definition) -> None:
        """Add a definition. Later subexpressions that equal its body read its name."""
        self._append(definition)
        key = _key(definition.body, definition.index)
        self.made.setdefault(key, definition)

    def _append(self, definition: Definition) -> None:
        self.definitions.append(definition)
        if not (definition.author or definition.kept):
            self.unfolded.setdefault(definition.name, definition)

    def restart(self) -> None:
        """Forget the definitions. Their names stay taken, so that new definitions get other names."""
        self.made, self.definitions, self.unfolded = {}, [], {}

    def forget(self, count: int) -> None:
        """Forget the definitions after the first so many, as :meth:`restart` forgets them all."""
        for d in self.definitions[count:]:
            key = _key(d.body, d.index)
            if self.made.get(key) is d:
                del self.made[key]
            if self.unfolded.get(d.name) is d:
                del self.unfolded[d.name]
        del self.definitions[count:]

    def tidy(self, call: Callable[[Definition], str] | None = None) -> dict[str, str]:
        """Name the engine-made names anew, in order. Returns a mapping from each old name to the new name.

        ``call`` chooses the new name, and has to ask :meth:`fresh` for it; by default that is a stem with a number.
        """
        self.taken, self.numbers, to = set(self.reserved), {}, {}
        for d in self.definitions:
            to[d.name] = d.name if d.author else call(d) if call else self.fresh(_stem(d.body))
        self.constants = {to.get(c, c) for c in self.constants}
        renamed = [Definition(to[d.name], d.index, rename_reads(d.body, to), d.tree) for d in self.definitions]
        self.restart()
        for d in renamed:
            self.register(d)
        return to

    def find(self, body: Sum, index: tuple[str, ...]) -> Read | None:
        """A read of the name whose definition is ``body``; None if there is no such name."""
        free = sum_indices(body)
        index = tuple(i for i in index if i in free)
        found = self.made.get(_key(body, index))
        return Read(found.name, index) if found else None

    def read(self, body: Sum, scope: Iterable[str], stem: str = "", kept: bool = False, over: Iterable[str] = ()) -> Read:
        """A read of the name whose definition is ``body``. The axes of the name follow the order of ``scope``.

        If there is no such name, it is made. A new name begins with ``stem``, or with a stem that tells its kind of
        expression; its definition is ``kept`` if asked. The axes ``over``, along which ``body`` is constant, are added.
        """
        free = sum_indices(body) | set(over)
        index = tuple(i for i in dict.fromkeys(scope) if i in free)
        missing = free - set(index)
        assert not missing, f"indices {missing} are not in scope"
        key = _key(body, index)
        found = self.made.get(key)
        if found is None:
            axes: list[str] = []
            for i in index:
                axes.append(st.fresh_index(axis_of(i), set(axes)))
            named = rename_free(body, dict(zip(index, axes, strict=True)))
            found = Definition(self.fresh(stem or _stem(body)), tuple(axes), named, kept=kept)
            self.made[key] = found
            self._append(found)
            if self.is_constant(body) and not over:
                self.constants.add(found.name)
        return Read(found.name, index)


def _key(body: Sum, index: tuple[str, ...]) -> tuple[Sum, tuple[str, ...]]:
    to: dict[str, Index] = {i: f"{axis_of(i)}'#{k}" for k, i in enumerate(index)}
    return rename_free(body, to), tuple(axis_of(i) for i in index)


def _stem(body: Sum) -> str:
    only = body.single
    if only and len(only[0].factors) == 1:
        atom = only[0].factors[0][0]
        if isinstance(atom, Extremum) and atom.head == "prod":
            return "product"
        if isinstance(atom, Extremum) or (isinstance(atom, Function) and atom.head in ("maximum", "minimum")):
            return "m"
        if isinstance(atom, Function):
            return RECORDS[atom.head].stem or atom.head[0] if atom.head in RECORDS else atom.head[0]
    if any(mono.bound for mono in body.terms):
        return "total"
    return "t"
