"""The arithmetic of evaluations on lists of numbers, and its first kind: floating point of many digits.

0 times anything is 0, even 0 times NaN. So a term that a condition excludes does not make a sum NaN.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import lru_cache, partial, reduce
from typing import Any

import mpmath

from derive.functions.records import RECORDS
from derive.functions.special import raised
from derive.language.assumptions import HOLDS

__all__ = ["DIGITS", "REAL", "Numbers", "Real", "holds", "real", "slope"]

#: The digits of every number. A central difference with step 1e-40 has a truncation error of 1e-80, and a rounding error of
#: 1e-130/1e-40.
DIGITS = 130
#: The last digits, which rounding in a whole evaluation may take.
SPARE = 30
#: Comparisons and steps in a formula take numbers nearer than this to be equal, as both may be rounded.
SAME = Decimal(10) ** -100
#: Two sides agree if their difference is at most ``PART`` of the sum of absolute values of their terms, plus ``NOISE``: the
#: rounding and truncation errors where all values are of order 1.
PART, NOISE = Decimal(10) ** -50, Decimal(10) ** -70

Number = Any
Numbers_ = list[Number]
Terms = Iterable[Number] | None


class Numbers(ABC):
    """An arithmetic of lists, element by element. ``nan`` is the undefined number."""

    zero: Number
    one: Number
    nan: Number

    @abstractmethod
    def number(self, value: Fraction) -> Number: ...
    @abstractmethod
    def constant(self, name: str) -> Number: ...
    @abstractmethod
    def plus(self, a: Numbers_, b: Numbers_) -> Numbers_: ...
    @abstractmethod
    def negated(self, a: Numbers_) -> Numbers_: ...
    @abstractmethod
    def times(self, a: Numbers_, b: Numbers_) -> Numbers_: ...
    @abstractmethod
    def scaled(self, a: Numbers_, by: Number) -> Numbers_: ...
    @abstractmethod
    def total(self, a: Iterable[Number]) -> Number: ...
    def over(self, a: Numbers_, b: Numbers_) -> Numbers_:
        return self.times(a, self.power(b, Fraction(-1)))

    @abstractmethod
    def power(self, a: Numbers_, e: Fraction) -> Numbers_: ...
    @abstractmethod
    def raised(self, a: Numbers_, k: Numbers_) -> Numbers_:
        """``a**k`` for exponents that are constants of an op: nothing is differentiated by them."""

    @abstractmethod
    def call(self, head: str, a: Numbers_) -> Numbers_:
        """A function of one argument by its name in the language."""

    @abstractmethod
    def sign(self, a: Number, b: Number) -> int | None:
        """Which of two numbers is larger: 1, 0 or -1; None where they cannot be compared."""

    @abstractmethod
    def near(self, a: Number, b: Number, terms: Terms = None) -> bool:
        """Whether two numbers, which are sums of ``terms``, agree. Two undefined numbers agree."""

    @abstractmethod
    def extreme(self, kind: str, a: list[Number]) -> Number:
        """The "max" or the "min" of a row."""

    def largest(self, kind: str, a: list[Number]) -> Number:
        """The same of a row that may be empty: NaN, as no number here stands for an infinity."""
        return self.extreme(kind, a) if a else self.nan

    def place(self, kind: str, a: list[Number]) -> Number:
        """The position of the first "max" or "min" of a row; NaN of an empty row, and beside NaN."""
        top = self.largest(kind, a)
        return next((self.number(Fraction(k)) for k, v in enumerate(a) if self.sign(v, top) == 0), self.nan)

    def product(self, a: Iterable[Number]) -> Number:
        """The product of a row; 1 of an empty one."""
        return reduce(lambda u, v: self.times([u], [v])[0], a, self.one)

    def finite(self, a: Number) -> bool:
        return bool(a == a)

    def compare(self, rel: str, a: Numbers_, b: Numbers_) -> list[bool]:
        """Where a comparison holds."""
        return [holds(rel, self.sign(x, y)) for x, y in zip(a, b, strict=True)]

    def larger(self, head: str, a: Numbers_, b: Numbers_) -> Numbers_:
        """The "maximum" or the "minimum" of two, element by element."""
        rel = ">" if head == "maximum" else "<"
        return [self.nan if x != x or y != y else x if holds(rel, self.sign(x, y)) else y for x, y in zip(a, b, strict=True)]

    def truth(self, a: Iterable[bool]) -> Numbers_:
        return [self.one if x else self.zero for x in a]


def holds(rel: str, sign: int | None) -> bool:
    """Whether a comparison holds for two numbers with this ``sign``. For None, which cannot be compared, only ``!=`` holds."""
    return bool(rel == "!=" if sign is None else HOLDS[rel](sign, 0))


class Real(Numbers):
    """Floating point of ``digits`` digits. An undefined value, such as the logarithm of a negative number, is NaN."""

    zero, one, nan = Decimal(0), Decimal(1), Decimal("NaN")

    def __init__(self, digits: int = DIGITS):
        self.digits = digits
        #: Decimals are an order of magnitude faster than mpmath's numbers. Without traps, undefined results are NaN.
        self.context = Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
        #: A context of its own, so that the precision of mpmath's global context stays.
        self.mp = mpmath.mp.clone()
        self.mp.dps = digits
        self.functions: dict[str, Callable[[Decimal], Decimal]] = {
            **{name: self.by_mp(partial(f.value, self.mp)) for name, f in RECORDS.items()},
            "finite": lambda x: x,
            "stop": lambda x: x,
            "abs": lambda x: x.copy_abs(),
            "sign": lambda x: Decimal((x > 0) - (x < 0)),
        }
        self.coarse = Context(prec=-SAME.adjusted(), Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
        self.functions |= {name: self.stepping(f) for name, f in self.functions.items() if RECORDS[name].steps}

    def number(self, value: Fraction) -> Decimal:
        return self.context.divide(Decimal(value.numerator), Decimal(value.denominator))

    def constant(self, name: str) -> Decimal:
        return self.of_mp(+self.mp.pi) if name == "pi" else Decimal(int(name))

    def plus(self, a: Numbers_, b: Numbers_) -> Numbers_:
        return list(map(self.context.add, a, b))

    def negated(self, a: Numbers_) -> Numbers_:
        return [v.copy_negate() for v in a]

    def times(self, a: Numbers_, b: Numbers_) -> Numbers_:
        out = list(map(self.context.multiply, a, b))
        if any(v.is_nan() for v in out):
            return [v if x and y else self.zero for v, x, y in zip(out, a, b, strict=True)]
        return out

    def scaled(self, a: Numbers_, by: Decimal) -> Numbers_:
        return [self.context.multiply(v, by) for v in a]

    def total(self, a: Iterable[Decimal]) -> Decimal:
        return reduce(self.context.add, a, self.zero)

    def over(self, a: Numbers_, b: Numbers_) -> Numbers_:
        return [self.context.divide(x, y) if y else self.nan for x, y in zip(a, b, strict=True)]

    def power(self, a: Numbers_, e: Fraction) -> Numbers_:
        return [self.one_power(v, e) for v in a]

    def one_power(self, base: Decimal, e: Fraction) -> Decimal:
        if base.is_nan() or (not base and e < 0) or (base < 0 and e.denominator != 1):
            return self.nan
        if e.denominator == 2:
            base, e = self.context.sqrt(base), Fraction(e.numerator)
        if e.denominator != 1:
            return self.of_mp(self.mp.root(self.to_mp(base), e.denominator) ** e.numerator)
        return self.context.power(base, e.numerator) if base or e else self.one

    def raised(self, a: Numbers_, k: Numbers_) -> Numbers_:
        return [self.one_raised(x, e) for x, e in zip(a, k, strict=True)]

    def one_raised(self, x: Decimal, k: Decimal) -> Decimal:
        if x.is_nan() or k.is_nan():
            return self.nan
        found = raised(self.mp, self.to_mp(x), self.to_mp(k))
        return self.nan if self.mp.isinf(found) and x.is_finite() else self.of_mp(found)

    def call(self, head: str, a: Numbers_) -> Numbers_:
        function = self.functions[head]
        return [v if v.is_nan() else function(v) for v in a]

    def stepping(self, function: Callable[[Decimal], Decimal]) -> Callable[[Decimal], Decimal]:
        """A function with steps, of the argument without its last digits: what is 0 but for rounding stands at the step."""
        return lambda x: function(self.zero if x.copy_abs() <= SAME else self.coarse.plus(x))

    def sign(self, a: Decimal, b: Decimal) -> int | None:
        if a.is_nan() or b.is_nan():
            return None
        if a.is_infinite() or b.is_infinite():
            return (a > b) - (a < b)
        add = self.context.add
        near = self.context.multiply(SAME, add(1, add(a.copy_abs(), b.copy_abs())))
        gap = self.context.subtract(a, b)
        return 0 if gap.copy_abs() <= near else 1 if gap > 0 else -1

    def near(self, a: Decimal, b: Decimal, terms: Terms = None) -> bool:
        if not (a.is_finite() and b.is_finite()):
            return bool(a == b or (a.is_nan() and b.is_nan()))
        gap = self.context.subtract(a, b).copy_abs()
        if gap <= NOISE or terms is None:
            return bool(gap <= NOISE)
        size = self.total(t.copy_abs() for t in terms if t.is_finite())
        return bool(gap <= self.context.add(self.context.multiply(PART, size), NOISE))

    def finite(self, a: Decimal) -> bool:
        return a.is_finite()

    def extreme(self, kind: str, a: list[Decimal]) -> Decimal:
        if any(v.is_nan() for v in a):
            return self.nan
        return max(a) if kind == "max" else min(a)

    def rounding(self, largest: Decimal) -> Decimal:
        """The largest rounding error that may be left where parts of this size cancel."""
        return self.context.multiply(largest, self.context.power(Decimal(10), SPARE - self.digits))

    # ---- mpmath ----------------------------------------------------------------------------------------------------

    def to_mp(self, value: Decimal) -> Any:
        """The same number in mpmath."""
        mp = self.mp
        if value.is_nan():
            return mp.nan
        if value.is_infinite():
            return mp.inf if value > 0 else -mp.inf
        shift = self.digits - 1 - value.adjusted() if value else 0
        return mp.mpf(int(value.scaleb(shift, self.context))) / mp.mpf(10) ** shift

    def of_mp(self, value: Any) -> Decimal:
        """The same number as a decimal."""
        if not self.mp.isfinite(value):
            return Decimal("NaN") if self.mp.isnan(value) else Decimal("Infinity") if value > 0 else Decimal("-Infinity")
        sign, man, exponent, _ = value._mpf_
        scaled = self.context.multiply(Decimal(int(man)), self.context.power(Decimal(2), int(exponent)))
        return scaled.copy_negate() if sign else scaled

    def by_mp(self, function: Callable[[Any], Any]) -> Callable[[Decimal], Decimal]:
        """A function of mpmath as a function of decimals, NaN at poles.

        The values are cached, as equations, steps and lines call it with the same arguments.
        """

        @lru_cache(maxsize=1 << 14)
        def value(x: Decimal) -> Decimal:
            found = function(self.to_mp(x))
            return self.nan if self.mp.isinf(found) and x.is_finite() else self.of_mp(found)

        return value


#: The arithmetic of ``digits`` digits, cached together with the values of functions found so far.
real = lru_cache(maxsize=4)(Real)
REAL = real(DIGITS)


def slope(numbers: Numbers, head: str, x: Numbers_, value: Numbers_) -> Numbers_:
    """The derivative of a function of one argument at ``x``, from a table; 0 at a kink, as declared.

    ``value`` is the function's value at ``x``. Source: DLMF 4.20, 4.34, 7.10.
    """
    one = [numbers.one] * len(x)
    match head:
        case "exp":
            return value
        case "expm1":
            return numbers.call("exp", x)
        case "log":
            return numbers.power(x, Fraction(-1))
        case "log1p":
            return numbers.power(numbers.plus(one, x), Fraction(-1))
        case "tanh":
            return numbers.plus(one, numbers.negated(numbers.times(value, value)))
        case "sinh" | "cosh" | "sin":
            return numbers.call({"sinh": "cosh", "cosh": "sinh", "sin": "cos"}[head], x)
        case "cos":
            return numbers.negated(numbers.call("sin", x))
        case "atan":
            return numbers.power(numbers.plus(one, numbers.times(x, x)), Fraction(-1))
        case "erf":
            bell = numbers.call("exp", numbers.negated(numbers.times(x, x)))
            return numbers.scaled(bell, _two_over_root_pi(numbers))
        case "erfcx":
            steep = numbers.scaled(numbers.times(x, value), numbers.number(Fraction(2)))
            return numbers.plus(steep, numbers.negated([_two_over_root_pi(numbers)] * len(x)))
        case "finite":
            return one
        case "abs":
            return numbers.call("sign", x)
        case "finite":
            return one
        case "sign" | "floor" | "ceil" | "round" | "stop":
            return [numbers.zero] * len(x)
    raise TypeError(f"no derivative of {head}")


def _two_over_root_pi(numbers: Numbers) -> Number:
    root = numbers.power([numbers.constant("pi")], Fraction(-1, 2))
    return numbers.scaled(root, numbers.number(Fraction(2)))[0]
