"""Which names and expressions are positive or never 0, as far as SymPy's assumptions show it."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import sympy

from derive import syntax as st
from derive.functions.records import RECORDS
from derive.terms.definitions import Definition
from derive.terms.sums import ONE, Argument, Atom, Condition, Delta, Extremum, Irrational, Read, Size, Sum, sum_reads


class End(NamedTuple):
    """A bound of a name's values. If ``strict``, no value equals the bound."""

    value: Fraction
    strict: bool


class Signs:
    """The signs of the names of one op, cached by name. False means that nothing is known."""

    def __init__(self, op: st.Op, definitions: dict[str, Definition]):
        self.op, self.definitions = op, definitions
        self.assumed: dict[str, dict[str, bool]] = {t.name: {} for t in op.inputs}
        self.assumed.update({c.name: {} for c in op.constants})
        for a in op.assumptions:
            assert isinstance(a.left, st.Read) and isinstance(a.right, st.Num)
            self.assumed[a.left.name].update(_implied(a.rel, a.right.value))
        self.symbols: dict[str, sympy.Symbol] = {}

    def positive(self, name: str) -> bool:
        return bool(self.symbol(name).is_positive)

    def nonzero(self, name: str) -> bool:
        return bool(self.symbol(name).is_nonzero)

    def sum_positive(self, expr: Sum) -> bool:
        return bool(self.expression(expr).is_positive) or self.bounded_below(expr)

    def bounded_below(self, expr: Sum) -> bool:
        """Whether stated bounds of names make a linear expression positive: ``1 - beta`` with ``beta < 1``."""
        least = Fraction(0)
        strict = False
        for mono, c in expr.terms.items():
            if mono == ONE:
                least += c
                continue
            atom = Sum({mono: 1}).atom
            end = self.end(atom.name, c < 0) if isinstance(atom, Read) else None
            if end is None:
                return False
            least, strict = least + c * end.value, strict or end.strict
        return least > 0 or (strict and not least)

    def end(self, name: str, upper: bool) -> End | None:
        """The upper or lower bound that the assumptions state for a name; None if they state none."""
        found = [
            End(a.right.value, a.rel in ("<", ">"))
            for a in self.op.assumptions
            if a.left == st.Read(name) and isinstance(a.right, st.Num) and a.rel in (("<", "<=") if upper else (">", ">="))
        ]
        return min(found, key=lambda e: e.value if upper else -e.value, default=None)

    def symbol(self, name: str) -> sympy.Symbol:
        """A SymPy symbol whose assumptions hold for every element of the tensor."""
        waiting = [] if name in self.symbols else [name]
        while waiting:  # no recursion: a chain of definitions may be long
            d = None if waiting[-1] in self.assumed else self.definitions.get(waiting[-1])
            before = [n for n in sorted(sum_reads(d.body)) if n not in self.symbols] if d else []
            if before:
                waiting.append(before[0])
            else:
                self.symbols[waiting[-1]] = self.made(waiting[-1], d)
                waiting.pop()
        return self.symbols[name]

    def made(self, name: str, d: Definition | None) -> sympy.Symbol:
        """The symbol of a name. The symbols of all names that its definition reads must exist."""
        known = self.assumed.get(name)
        if d is not None:
            known = {"positive": True} if self.bounded_below(d.body) else _signs(self.expression(d.body))
        return sympy.Symbol(name, real=True, **(known or {}))

    def expression(self, expr: Sum) -> sympy.Expr:
        """A SymPy expression with the sign of ``expr``. Each term gets a symbol of its own.

        So reads of one tensor at different indices are never taken to be equal.
        """
        parts = []
        for mono, coefficient in expr:
            value = sympy.Rational(coefficient.numerator, coefficient.denominator)
            for atom, e in mono.factors:
                e = Fraction(e)
                value *= self.atom(atom, e.denominator != 1) ** sympy.Rational(e.numerator, e.denominator)
            parts.append(sympy.Dummy(**_signs(value)) if value.free_symbols else value)
        return sympy.Add(*parts)

    def atom(self, atom: Atom, root: bool) -> sympy.Expr:
        """A SymPy expression for the atom. Under a ``root`` a read is taken to be positive, as the definition requires that."""
        if isinstance(atom, Read):
            return sympy.Symbol(atom.name, positive=True) if root else self.symbol(atom.name)
        if isinstance(atom, Size):
            return sympy.Symbol(f"N_{atom.axis}", positive=True)
        if isinstance(atom, Irrational):
            return sympy.pi if atom.name == "pi" else sympy.Integer(int(atom.name))
        if isinstance(atom, (Delta, Condition)):
            return sympy.Dummy(nonnegative=True)
        if isinstance(atom, Extremum):
            return self.symbol(atom.of.name)
        args = [self.argument(a) for a in atom.args]
        if atom.head in ("maximum", "minimum"):
            return (sympy.Max if atom.head == "maximum" else sympy.Min)(*args)
        return RECORDS[atom.head].symbol(*args)

    def argument(self, argument: Argument) -> sympy.Expr:
        if isinstance(argument, Fraction):
            return sympy.Rational(argument.numerator, argument.denominator)
        return self.symbol(argument.name)


_SIGNS = ("positive", "negative", "nonnegative", "nonpositive", "nonzero")


def _signs(value: sympy.Expr) -> dict[str, bool]:
    return {key: True for key in _SIGNS if getattr(value, f"is_{key}")}


def _implied(rel: str, bound: Fraction) -> dict[str, bool]:
    """The SymPy assumption about the sign of a name that follows from ``name rel bound``."""
    if rel in (">", ">="):
        if bound > 0 or (bound == 0 and rel == ">"):
            return {"positive": True}
        return {"nonnegative": True} if bound == 0 else {}
    if rel in ("<", "<="):
        if bound < 0 or (bound == 0 and rel == "<"):
            return {"negative": True}
        return {"nonpositive": True} if bound == 0 else {}
    if rel == "!=" and bound == 0:
        return {"nonzero": True}
    return {}
