"""Numbers for formulas: random points, flat terms with names bound to their definitions, and the author's trees.

The two evaluators share no code that knows an expression: :class:`Author` walks ``op.equations`` as written, and
:func:`brute_force` differentiates them by it; :class:`Values` sums flat terms. Where they agree, the flat terms mean what the
author wrote.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from random import Random
from typing import Any, NamedTuple, Protocol

import mpmath

from derive import syntax as st
from derive.axes import equal_axes
from derive.special import scaled_erfc
from derive.terms import (
    Argument,
    Atom,
    Condition,
    Delta,
    Exponent,
    Extremum,
    Function,
    Hole,
    Index,
    Irrational,
    Lookup,
    Mono,
    Read,
    Size,
    Sum,
    atom_indices,
    axis_of,
    open_mono,
    sum_reads,
)

Key = tuple[int, ...]
#: The elements of a tensor by position: ``mpf``, ``Fraction`` or :class:`Dual`, and ``int`` where it holds labels.
Table = dict[Key, Any]

#: A context of our own, so that nobody else's precision changes. The step of a central difference leaves an error of its
#: square, 1e-80, and rounding adds 1e-130/1e-40.
MP = mpmath.mp.clone()
MP.dps = 130
STEP = MP.mpf(10) ** -40
ZERO, ONE, NAN = MP.mpf(0), MP.mpf(1), MP.nan
#: Numbers nearer than this are taken to be equal when a formula compares them: both may be rounded.
SAME = MP.mpf(10) ** -100
#: Sizes of the axes, in turn: the first axis often is the one averaged over, and N - 1 must differ from 1.
SIZES = (3, 4, 2)
ATTEMPTS = 40


class NoPoint(ArithmeticError):
    """No random point was found at which every output of the op is a finite number."""


# ---- numbers ------------------------------------------------------------------------------------------------------------


class Numbers(Protocol):
    """What an evaluation needs of its numbers beyond ``+ - * /``."""

    def number(self, value: Fraction) -> Any: ...
    def constant(self, name: str) -> Any: ...
    def divide(self, a: Any, b: Any) -> Any: ...
    def power(self, base: Any, exponent: Fraction) -> Any: ...
    def call(self, head: str, arg: Any) -> Any: ...
    def same(self, a: Any, b: Any) -> bool: ...


class Real:
    """Floating point of 130 digits. What is undefined, such as the logarithm of a negative number, is nan."""

    def number(self, value: Fraction) -> Any:
        return MP.mpf(value.numerator) / value.denominator

    def constant(self, name: str) -> Any:
        return +MP.pi if name == "pi" else MP.mpf(int(name))

    def divide(self, a: Any, b: Any) -> Any:
        return a / b if b else NAN

    def power(self, base: Any, exponent: Fraction) -> Any:
        if not base and exponent < 0:
            return NAN
        if exponent.denominator == 1:
            return base ** int(exponent)
        if base < 0:
            return NAN
        root = MP.sqrt(base) if exponent.denominator == 2 else MP.root(base, exponent.denominator)
        return root**exponent.numerator

    def call(self, head: str, arg: Any) -> Any:
        if head == "log":
            return MP.log(arg) if arg > 0 else NAN
        if head == "log1p":
            return MP.log1p(arg) if arg > -1 else NAN
        if head == "erfcx":
            return scaled_erfc(MP, arg)
        if head == "finite":
            return arg
        if head == "abs":
            return abs(arg)
        return getattr(MP, head)(arg)

    def same(self, a: Any, b: Any) -> bool:
        return a == b or bool(MP.isfinite(a - b) and abs(a - b) <= SAME * (1 + abs(a) + abs(b)))


class Exact:
    """Fractions, or dual numbers of them."""

    def number(self, value: Fraction) -> Any:
        return value

    def constant(self, name: str) -> Any:
        raise TypeError(f"{name} is not rational")

    def divide(self, a: Any, b: Any) -> Any:
        return a / b

    def power(self, base: Any, exponent: Fraction) -> Any:
        return base ** int(exponent)

    def call(self, head: str, arg: Any) -> Any:
        return abs(arg) if head == "abs" else Fraction((arg > 0) - (arg < 0))

    def same(self, a: Any, b: Any) -> bool:
        return bool(a == b)


class Dual:
    """``value + slope*h`` with ``h**2 = 0``: arithmetic on it differentiates exactly. Comparisons see the value."""

    __slots__ = ("value", "slope")

    def __init__(self, value: Fraction | int, slope: Fraction | int = 0):
        self.value, self.slope = value, slope

    def __add__(self, other: Any) -> Dual:
        o = _dual(other)
        return Dual(self.value + o.value, self.slope + o.slope)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> Dual:
        return self + -_dual(other)

    def __rsub__(self, other: Any) -> Dual:
        return _dual(other) + -self

    def __mul__(self, other: Any) -> Dual:
        o = _dual(other)
        return Dual(self.value * o.value, self.slope * o.value + self.value * o.slope)

    def __truediv__(self, other: Any) -> Dual:
        o = _dual(other)
        value = Fraction(self.value) / o.value
        return Dual(value, (self.slope - value * o.slope) / o.value)

    def __rtruediv__(self, other: Any) -> Dual:
        return _dual(other) / self

    def __pow__(self, n: int) -> Dual:
        if n == 0:
            return Dual(1)
        below = Fraction(self.value) ** (n - 1)
        return Dual(below * self.value, n * below * self.slope)

    def __abs__(self) -> Dual:
        return -self if self.value < 0 else self

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _dual(other).value)

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _dual(other).value)

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _dual(other).value)

    __hash__ = None  # type: ignore[assignment]
    __radd__ = __add__
    __rmul__ = __mul__


def _dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(x)


REAL, EXACT = Real(), Exact()


def compare(numbers: Numbers, rel: str, a: Any, b: Any) -> bool:
    same = numbers.same(a, b)
    if rel in ("==", "!="):
        return same == (rel == "==")
    if same:
        return rel in ("<=", ">=")
    return bool(a < b) if rel in ("<", "<=") else bool(a > b)


def extreme(kind: str, values: list[Any]) -> Any:
    """The largest of some numbers ("max") or the smallest ("min"); NaN if one of them is, which Python's own pass over."""
    for v in values:
        if v != v:
            return v
    return max(values) if kind == "max" else min(values)


# ---- points -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Point:
    """Sizes of the axes and exact random values of the inputs, the constants and the upstream gradients ``dy``."""

    sizes: dict[str, int]
    tables: dict[str, Table]

    def keys(self, index: Iterable[str]) -> Iterator[Key]:
        """Every position of a tensor with that index."""
        return product(*(range(self.sizes[axis_of(i)]) for i in index))

    def mp(self) -> dict[str, Table]:
        """The values as floating point; labels stay integers."""
        return {n: {k: v if isinstance(v, int) else REAL.number(v) for k, v in t.items()} for n, t in self.tables.items()}


def random_of(*what: object) -> Random:
    """A random source that depends on nothing but the text of its arguments, on any machine and under any hash seed."""
    return Random(int.from_bytes(hashlib.sha256("/".join(map(str, what)).encode()).digest()[:8], "big"))


def sizes_of(op: st.Op, seed: int) -> dict[str, int]:
    """Small sizes of the op's axes, equal only where the equations read one axis where another is declared."""
    classes = equal_axes(op)
    number = {root: k for k, root in enumerate(dict.fromkeys(classes.values()))}
    # Axes three apart take the same size in one turn, and different ones in the next.
    return {a: SIZES[(k + seed * (1 + k // 3)) % 3] for a, k in ((a, number[r]) for a, r in classes.items())}


def point(op: st.Op, seed: int) -> Point:
    """A random point at which every output is finite (NoPoint if none is found).

    Seed 0 takes the constants' defaults, the others random values of the same sign, so that ``ddof=0`` hides nothing.
    """
    sizes = sizes_of(op, seed)
    for attempt in range(ATTEMPTS):
        found = _point(op, seed, attempt, sizes)
        author = Author(op, found, REAL)
        values = author.run(found.mp())
        if all(MP.isfinite(v) for t in op.outputs for v in values[t.name].values()):
            return found
    raise NoPoint(f"{op.name}: no random point gives finite outputs; state what the inputs satisfy, such as x > 0")


def _point(op: st.Op, seed: int, attempt: int, sizes: dict[str, int]) -> Point:
    tables: dict[str, Table] = {}
    shape = Point(sizes, tables)
    for t in op.inputs:
        rng = random_of(op.name, seed, attempt, t.name)
        if t.labels is not None:
            tables[t.name] = {k: rng.randrange(sizes[t.labels]) for k in shape.keys(t.axes)}
        else:
            # Values of any sign at first, then of one sign, then within the unit interval.
            sign = None if attempt < ATTEMPTS // 4 else rng.choice((1, -1))
            width = 2 if attempt < ATTEMPTS // 2 else 1
            low, high = interval(op, t.name)
            tables[t.name] = {k: _draw(rng, low, high, sign, width) for k in shape.keys(t.axes)}
    for c in op.constants:
        default = None if c.default is None else Fraction(c.default)
        rng, (low, high) = random_of(op.name, seed, attempt, c.name), interval(op, c.name)
        drawn = _draw(rng, low, high, -1 if default and default < 0 else 1, 1)
        tables[c.name] = {(): drawn if default is None or seed > 0 else default}
    for t in op.outputs:
        rng = random_of(op.name, seed, attempt, f"d{t.name}")
        tables[f"d{t.name}"] = {k: _draw(rng, None, None, None, 2) for k in shape.keys(t.axes)}
    return shape


def interval(op: st.Op, name: str) -> tuple[Fraction | None, Fraction | None]:
    """The bounds that the assumptions set."""
    low: Fraction | None = None
    high: Fraction | None = None
    for a in op.assumptions:
        if isinstance(a.left, st.Read) and a.left.name == name and isinstance(a.right, st.Num):
            bound = a.right.value
            if a.rel in (">", ">=", "=="):
                low = bound if low is None else max(low, bound)
            if a.rel in ("<", "<=", "=="):
                high = bound if high is None else min(high, bound)
    return low, high


def _draw(rng: Random, low: Fraction | None, high: Fraction | None, sign: int | None, width: int) -> Fraction:
    """A fraction well inside the bounds; without bounds its size lies between 1/8 and ``width``."""
    part = Fraction(rng.randrange(125_000, 975_000), 1_000_003)
    if low is not None and high is not None:
        return low + (high - low) * part
    if low is not None:
        return low + part * width
    if high is not None:
        return high - part * width
    return part * width * (sign or rng.choice((1, -1)))


# ---- the author's trees -------------------------------------------------------------------------------------------------

Env = dict[str, int]
Evaluator = Callable[[Mapping[str, Table], Env], Any]


class Author:
    """The equations of an op as closures, element by element, over any numbers."""

    def __init__(self, op: st.Op, point: Point, numbers: Numbers):
        self.op, self.point, self.numbers = op, point, numbers
        self.equations = [(e, self.compiled(e.rhs)) for e in op.equations]

    def run(self, given: Mapping[str, Table], base: Mapping[str, Table] | None = None, changed: str = "") -> dict[str, Table]:
        """Every named value; what does not depend on the input ``changed`` is taken from ``base`` if that is given."""
        tables = dict(given)
        stale = {changed}
        for e, value in self.equations:
            if base is not None and not stale & set(st.reads(e.rhs)):
                tables[e.name] = base[e.name]
                continue
            stale.add(e.name)
            tables[e.name] = {k: value(tables, dict(zip(e.index, k, strict=True))) for k in self.point.keys(e.index)}
        return tables

    def compiled(self, tree: st.Tree) -> Evaluator:
        numbers = self.numbers
        match tree:
            case st.Num(value):
                return _always(numbers.number(value))
            case st.Const(name):
                return _always(numbers.constant(name))
            case st.Size(axis):
                return _always(numbers.number(Fraction(self.point.sizes[axis])))
            case st.Read(name, index):
                slots = [_slot(i) for i in index]
                return lambda tables, env: tables[name][tuple(s(tables, env) for s in slots)]
            case st.Neg(arg):
                of = self.compiled(arg)
                return lambda tables, env: -of(tables, env)
            case st.Add(args):
                parts = [self.compiled(a) for a in args]
                return lambda tables, env: _sum(p(tables, env) for p in parts)
            case st.Mul(args):
                parts = [self.compiled(a) for a in args]
                return lambda tables, env: math.prod((p(tables, env) for p in parts[1:]), start=parts[0](tables, env))
            case st.Div(a, b):
                num, den = self.compiled(a), self.compiled(b)
                return lambda tables, env: numbers.divide(num(tables, env), den(tables, env))
            case st.Pow(a, e):
                base, exponent = self.compiled(a), _exponent(e)
                return lambda tables, env: numbers.power(base(tables, env), exponent)
            case st.Reduce(kind, index, body):
                return self.reduction(kind, index, self.compiled(body))
            case st.Compare() | st.Match():
                return self.condition(tree)
            case st.Indicator(cond):
                holds, yes, no = self.condition(cond), numbers.number(Fraction(1)), numbers.number(Fraction(0))
                return lambda tables, env: yes if holds(tables, env) else no
            case st.Call("where", (cond, a, b)):
                holds, then, other = (self.compiled(x) for x in (cond, a, b))
                return lambda tables, env: then(tables, env) if holds(tables, env) else other(tables, env)
            case st.Call("maximum" | "minimum" as head, args):
                parts = [self.compiled(a) for a in args]
                return lambda tables, env: extreme(head[:3], [p(tables, env) for p in parts])
            case st.Call(head, (arg,)):
                of = self.compiled(arg)
                return lambda tables, env: numbers.call(head, of(tables, env))
        raise TypeError(f"no value for {tree}")

    def condition(self, tree: st.Compare | st.Match) -> Evaluator:
        if isinstance(tree, st.Match):
            one, other, equal = _slot(tree.left), _slot(tree.right), tree.equal
            return lambda tables, env: (one(tables, env) == other(tables, env)) == equal
        rel, a, b = tree.rel, self.compiled(tree.left), self.compiled(tree.right)
        return lambda tables, env: compare(self.numbers, rel, a(tables, env), b(tables, env))

    def reduction(self, kind: str, index: tuple[str, ...], body: Evaluator) -> Evaluator:
        positions = list(self.point.keys(index))
        count = self.numbers.number(Fraction(len(positions)))

        def value(tables: Mapping[str, Table], env: Env) -> Any:
            parts = [body(tables, {**env, **dict(zip(index, k, strict=True))}) for k in positions]
            if kind in ("max", "min"):
                return extreme(kind, parts)
            return _sum(parts) / count if kind == "mean" else _sum(parts)

        return value


def _always(value: Any) -> Evaluator:
    return lambda tables, env: value


def _sum(parts: Iterable[Any]) -> Any:
    parts = iter(parts)
    return sum(parts, next(parts))


def _slot(index: st.Index) -> Evaluator:
    if isinstance(index, str):
        return lambda tables, env: env[index]
    name, slots = index.name, [_slot(i) for i in index.index]
    return lambda tables, env: tables[name][tuple(s(tables, env) for s in slots)]


def _exponent(tree: st.Tree) -> Fraction:
    match tree:
        case st.Num(value):
            return value
        case st.Neg(arg):
            return -_exponent(arg)
        case st.Div(a, b):
            return _exponent(a) / _exponent(b)
    raise TypeError(f"the exponent {tree} is not a number")


def is_rational(op: st.Op) -> bool:
    """Whether the outputs are rational functions of the inputs, piecewise."""
    piecewise = ("where", "maximum", "minimum", "abs", "sign")
    return not any(
        isinstance(node, st.Const)
        or (isinstance(node, st.Call) and node.head not in piecewise)
        or (isinstance(node, st.Pow) and _exponent(node.exp).denominator != 1)
        for e in op.equations
        for node in st.walk(e.rhs)
    )


def brute_force(op: st.Op, at: Point) -> dict[str, Table]:
    """The derivative of ``sum(dy*y)`` by every element of every differentiable input, from the equations as written.

    Exact where the op is rational, else a central difference with an error of about 1e-80.
    """
    exact = is_rational(op)
    author = Author(op, at, EXACT if exact else REAL)
    given = at.tables if exact else at.mp()
    base = author.run(given)
    out: dict[str, Table] = {}
    for t in op.differentiable:
        table = out[f"d{t.name}"] = {}
        for k, x in given[t.name].items():
            shifts = [Dual(x, Fraction(1))] if exact else [x + STEP, x - STEP]
            runs = [author.run({**given, t.name: {**given[t.name], k: s}}, base, t.name) for s in shifts]
            parts = (
                dy * _difference([run[y.name][i] for run in runs]) for y in op.outputs for i, dy in given[f"d{y.name}"].items()
            )
            slope = sum(parts, Fraction(0) if exact else ZERO)
            table[k] = REAL.number(slope) if isinstance(slope, Fraction) else slope
    return out


def _difference(values: list[Any]) -> Any:
    if len(values) == 2:
        return (values[0] - values[1]) / (2 * STEP)
    return Fraction(values[0].slope if isinstance(values[0], Dual) else 0)


# ---- flat terms ---------------------------------------------------------------------------------------------------------


class Total(NamedTuple):
    """The values of an expression, and for each the sum of the absolute values of its terms, those of sums included."""

    value: Table
    scale: dict[Key, float]


class Factor(NamedTuple):
    """Part of a term as a table over its indices: values with their absolute values as floats. What is 0 is left out."""

    over: tuple[str, ...]
    entries: dict[Key, tuple[Any, float]]


class Bound(Protocol):
    """A name with its meaning: a definition or a line."""

    @property
    def name(self) -> str: ...
    @property
    def index(self) -> tuple[str, ...]: ...
    @property
    def body(self) -> Sum: ...


class Values:
    """The values of flat expressions at a point, each name bound to its definition and evaluated once, when it is read."""

    def __init__(self, at: Point, definitions: Iterable[Bound], tables: dict[str, Table] | None = None):
        self.point = at
        self.definitions = {d.name: d for d in definitions}
        self.tables = at.mp() if tables is None else tables

    def table(self, name: str) -> Table:
        """The elements of a named tensor (KeyError if nothing defines it)."""
        if name not in self.tables:
            d = self.definitions[name]
            self.tables[name] = self.sum(d.body, d.index).value
        return self.tables[name]

    def replaced(self, body: Sum, name: str, table: Table) -> Values:
        """Values for ``body`` in which one name has another table while all others that it reads stay as they are."""
        held = {n: self.table(n) for n in sum_reads(body)}
        return Values(self.point, (), {**held, name: table})

    def sum(self, body: Sum, index: tuple[str, ...]) -> Total:
        """The expression at every position of its free indices, which ``index`` holds (KeyError for any other)."""
        keys = list(self.point.keys(index))
        value, scale = dict.fromkeys(keys, ZERO), dict.fromkeys(keys, 0.0)
        for mono, coefficient in body.terms.items():
            over, entries = self.term(mono)
            c = REAL.number(coefficient)
            size = abs(float(coefficient))
            slots = [index.index(i) for i in over] if set(over) <= set(index) else self.missing(over, index)
            for k in keys:
                entry = entries.get(tuple(k[s] for s in slots))
                if entry is not None:
                    value[k] += c * entry[0]
                    scale[k] += size * entry[1]
        return Total(value, scale)

    def missing(self, over: tuple[str, ...], index: tuple[str, ...]) -> list[int]:
        raise KeyError(f"the index {min(set(over) - set(index))} is free")

    def term(self, mono: Mono) -> Factor:
        """A product summed over its bound indices, one after the other, the one that the smallest table needs first."""
        opened = open_mono(mono)
        factors = [self.atom(a, e) for a, e in opened.factors.items()]
        left = list(opened.bound)
        while left:
            joint = {i: {j for f in factors if i in f.over for j in f.over} | {i} for i in left}
            i = min(left, key=lambda i: math.prod(self.size(j) for j in joint[i]))
            left.remove(i)
            inside = [f for f in factors if i in f.over]
            factors = [f for f in factors if i not in f.over]
            factors.append(self.product(inside, tuple(sorted(joint[i] - {i})), i))
        return self.product(factors, tuple(sorted({i for f in factors for i in f.over})))

    def size(self, index: str) -> int:
        return self.point.sizes[axis_of(index)]

    def product(self, factors: list[Factor], over: tuple[str, ...], summed: str | None = None) -> Factor:
        if len(factors) == 1 and summed is None and factors[0].over == over:
            return factors[0]
        names = over if summed is None else (*over, summed)
        tables = [(f.entries, [names.index(i) for i in f.over]) for f in factors]
        out: dict[Key, tuple[Any, float]] = {}
        for k in self.point.keys(names):
            value, scale = ONE, 1.0
            for entries, slots in tables:
                entry = entries.get(tuple(k[s] for s in slots))
                if entry is None:
                    break
                value, scale = value * entry[0], scale * entry[1]
            else:
                key = k[: len(over)]
                before = out.get(key)
                out[key] = (value, scale) if before is None else (before[0] + value, before[1] + scale)
        return Factor(over, out)

    def atom(self, atom: Atom, exponent: Exponent) -> Factor:
        over = tuple(sorted(str(i) for i in atom_indices(atom)))
        entries: dict[Key, tuple[Any, float]] = {}
        e = Fraction(exponent)
        for k in self.point.keys(over):
            value = self.value(atom, dict(zip(over, k, strict=True)))
            if e != 1:
                value = REAL.power(value, e)
            if value:
                entries[k] = (value, abs(float(value)))
        return Factor(over, entries)

    def value(self, atom: Atom, env: Env) -> Any:
        if isinstance(atom, Read):
            return self.table(atom.name)[self.key(atom.index, env)]
        if isinstance(atom, Size):
            return MP.mpf(self.point.sizes[atom.axis])
        if isinstance(atom, Irrational):
            return REAL.constant(atom.name)
        if isinstance(atom, Delta):
            return ONE if self.position(atom.left, env) == self.position(atom.right, env) else ZERO
        if isinstance(atom, Condition):
            left, right = self.argument(atom.left, env), self.argument(atom.right, env)
            return ONE if compare(REAL, atom.rel, left, right) == atom.holds else ZERO
        if isinstance(atom, Function):
            args = [self.argument(a, env) for a in atom.args]
            if atom.head in ("maximum", "minimum"):
                return extreme(atom.head[:3], args)
            return REAL.call(atom.head, args[0])
        return self.extremum(atom, env)

    def argument(self, argument: Argument, env: Env) -> Any:
        return REAL.number(argument) if isinstance(argument, Fraction) else self.value(argument, env)

    def extremum(self, atom: Extremum, env: Env) -> Any:
        holes = [i.axis for i in atom.of.index if isinstance(i, Hole)]
        table = self.table(atom.of.name)
        parts = []
        for k in self.point.keys(holes):
            inside = iter(k)
            key = tuple(next(inside) if isinstance(i, Hole) else self.position(i, env) for i in atom.of.index)
            parts.append(table[key])
        return extreme(atom.head, parts)

    def key(self, index: tuple[Index, ...], env: Env) -> Key:
        return tuple([env[i] if isinstance(i, str) else self.position(i, env) for i in index])

    def position(self, index: Index, env: Env) -> int:
        if isinstance(index, str):
            return env[index]
        assert isinstance(index, Lookup)
        return int(self.table(index.name)[self.key(index.index, env)])
