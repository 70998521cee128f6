"""What array backends have in common: one expression of whole arrays per statement, aligned by axis names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from codegen.axes import natural_order
from codegen.backends.arrays import steps, windows
from codegen.backends.arrays.axes import Kept, Text, Value, positions, star_first
from codegen.backends.arrays.numerals import MATH, double, is_count, is_literal, known_number, literal_value, number
from codegen.backends.arrays.products import Products
from codegen.backends.arrays.spelling import call, negated, power, quotient, total
from codegen.backends.arrays.spelling import product as multiplied
from codegen.branches import sheltered
from codegen.evaluate.arithmetic import nearest
from codegen.loops.body import Body
from codegen.program import Statement
from codegen.recognise.contraction import Contraction
from codegen.recognise.one_hot import OneHot
from codegen.recognise.running import Running
from codegen.recognise.scatter import Scatter
from codegen.recognise.selection import selection
from codegen.recognise.window import Window
from derive import syntax as st
from derive.errors import OpError

HALF, ONE = Fraction(1, 2), Fraction(1)
#: Beyond this, an integer is not exact in double precision, and array libraries may refuse it.
LARGEST_WHOLE = 2.0**53
#: The largest number of float32. A float32 array takes no larger number from Python.
FLOAT32 = (2 - 2.0**-23) * 2.0**127


def coefficients(factors: Sequence[st.Tree]) -> list[Fraction]:
    """The numbers among factors, followed by their product."""
    values = [v for f in factors if (v := known_number(f)) is not None]
    return [*values, math.prod(values, start=Fraction(1))]


def is_far(factors: Sequence[st.Tree]) -> bool:
    """Whether a number among the factors, or the product of these numbers, overflows or underflows in float32."""
    return not all(FLOAT32**-1 <= abs(float(nearest(v))) <= FLOAT32 for v in coefficients(factors) if v)


def factors_of(tree: st.Tree) -> tuple[st.Tree, ...]:
    """The factors of a product. Any other expression is its own only factor."""
    return tree.args if isinstance(tree, st.Mul) else (tree,)


class ArrayPrinter(Products):
    """Spells the statements of one program."""

    # ---- statements ------------------------------------------------------------------------------------------------

    def statement(self, s: Statement) -> list[str]:
        """The lines that compute one statement."""
        if (window := self.window(s)) is not None:
            return list(windows.lines(self, s, window))
        value = self.value(s.tree, s.index)
        apart = self.held.apart(s.name, s.index)
        if any(i not in value.axes for i in s.index):
            text = Text(self.filled(value, s))
            return [f"{s.name} = {(self.reshaped(text, s.name, self.held.axes[s.name]) if apart else text).code}"]
        if value.number:
            self.numbers[s.name] = value.far
        text = self.ordered(value, s.index).text
        if apart:
            text = self.reshaped(text, s.name, self.held.axes[s.name])
        copied = s.name in self.copies and not value.number
        return [f"{s.name} = {(self.copied(text) if copied else text).code}"]

    def steps(self, body: Body) -> list[str]:
        """The lines of a loop over the steps of a recurrence."""
        loop, axis = body.loop, body.loop.axis
        masks, owned = dict(self.masks), set(self.owned)
        lines = [line for s, _ in body.kept for line in [self.opened(s)] if line]
        lines += [f"{h.name} = {steps.start_of(self, h.first, h.axes).code}" for h in body.handed]
        steps.within(body, self)
        self.masks, self.owned = steps.masks(body, self), set()  # what stands before the loop is read at every step
        lines.append(f"for {body.at} in {'reversed(' * loop.down}range({self.length(axis)}){')' * loop.down}:")
        held = {local for _, local in body.kept} | {h.value for h in body.handed}
        for s in body.statements:
            lines += [f"    {line}" for line in self.statement(s)]
            self.owned -= held
        lines += [f"    {self.stored(s, local, steps.slots(self, body, s.index))}" for s, local in body.kept]
        lines += self.handing(body)
        lines += [line for s, _ in body.kept for line in [self.closed(s, loop)] if line]
        self.masks, self.owned = masks, owned - {n for s in body.statements for n in st.reads(s.tree)}
        return lines

    def handing(self, body: Body) -> list[str]:
        """The line that hands the values of a step to the next one."""
        names, values = (", ".join(column) for column in zip(*((h.name, h.value) for h in body.handed), strict=True))
        return [f"    {names} = {values}"]

    def window(self, s: Statement) -> Window | None:
        """The statement as a reduction under equality rows; None where it is none, or where its tensor is held packed."""
        if not self.kernel or self.held.apart(s.name, s.index):
            return None
        window = Window.of(s.tree, self.program.ranked)
        return window if window and set(s.index) == set(st.free_indices(s.tree)) else None

    def filled(self, value: Value, s: Statement) -> str:
        """A value that lacks some axes of the statement, expanded over all of them."""
        if s.tree == st.Num(Fraction(0)):
            return self.zeros(s.index)
        if value.number:
            return self.full(value, s.index).code
        return self.spread(self.fit(value, s.index), s.index)

    def corrected(self, s: Statement) -> list[str] | None:
        """``k*(a - b*[c = t[n]])`` as a scaled copy of ``a``, in which the labelled entry of each row is then corrected."""
        hot = OneHot.of(s.tree, s.index)
        if hot is None or self.held.apart(s.name, s.index) or self.held.apart(hot.labels.name, hot.labels.index):
            return None
        scaled = self.value(st.Mul((hot.rest, *hot.factors)), s.index)
        if scaled.axes != s.index:
            return None
        amount = self.value(st.product((*hot.factors, *hot.amount)), s.index)
        return [f"{s.name} = {scaled.code}", *self.correction(s, hot, amount)]

    # ---- expressions -----------------------------------------------------------------------------------------------

    def value(self, tree: st.Tree, order: Sequence[str]) -> Value:
        if not isinstance(tree, st.Num) and is_literal(tree):
            return self.literal(tree, order)
        return self.spelled(tree, order)

    def literal(self, tree: st.Tree, order: Sequence[str]) -> Value:
        """An expression of numbers as written, if Python evaluates it as floating point does; else its value."""
        plain = not isinstance(tree, (st.Call, st.Compare, st.Indicator)) or (isinstance(tree, st.Call) and tree.head in MATH)
        if isinstance(tree, st.Compare):
            return self.spelled(tree, order)
        found = literal_value(tree)
        if plain and abs(found) < LARGEST_WHOLE:
            return self.spelled(tree, order)._replace(far=abs(found) > FLOAT32)
        return Value(double(found), number=True, far=abs(found) > FLOAT32)

    def spelled(self, tree: st.Tree, order: Sequence[str]) -> Value:
        match tree:
            case st.Num() | st.Const() | st.Size():
                return self.number_of(tree)
            case st.Read() | st.Position():
                return self.read(tree, order)
            case st.Div(st.Neg(st.Pow() as a), st.Num(b)) | st.Neg(st.Div(st.Pow() as a, st.Num(b))):
                return self.value(st.Div(a, st.Num(-b)), order)  # x**2 / -2 saves a pass over -(x**2) / 2
            case st.Neg(a):
                return self.joined([self.value(a, order)], lambda parts: negated(parts[0]), order)._replace(kept=None)
            case st.Add(args):
                return self.added(args, order)
            case st.Mul(args):
                return self.multiplied(args, order)
            case st.Div(a, b):
                return self.divided(a, b, order)
            case st.Pow(a, st.Num(e)):
                return self.power(a, e, order)
            case st.Reduce():
                return self.reduction(tree, order)
            case st.Call(head, args):
                return self.applied(head, args, order)
            case st.Compare():
                return self.compared(tree, order)
            case st.Match():
                return self.matched(tree, order)
            case st.Indicator(st.Match() as match):
                return self.indicator(match, order)
            case st.Indicator(cond):
                v = self.value(cond, order)
                return Value(self.as_number(v.text), v.axes)
        raise OpError(
            f"{type(self).__name__} cannot print {type(tree).__name__}; add a case to ArrayPrinter.spelled",
            op=self.program.name,
        )

    def number_of(self, tree: st.Num | st.Const | st.Size) -> Value:
        match tree:
            case st.Num(value):
                return Value(number(value), number=True, far=abs(value) > FLOAT32)
            case st.Const(name):
                return Value(Text(f"math.{name}"), number=True)
            case st.Size(axis):
                return Value(Text(self.length(axis)), number=True)

    def divided(self, a: st.Tree, b: st.Tree, order: Sequence[str]) -> Value:
        """A quotient. A number beyond float32 on either side becomes a factor instead, so that the quotient is rounded once."""
        if self.kernel and known_number(a) is None and (n := known_number(b)) and is_far((b,)):
            return self.value(st.Mul((*factors_of(a), st.Num(1 / n))), order)
        if self.kernel and known_number(b) is None and is_far(over := factors_of(a)):
            left = st.product(tuple(f for f in over if known_number(f) is None) or (st.Num(ONE),))
            return self.value(st.Mul((st.Num(coefficients(over)[-1]), st.Div(left, b))), order)
        return self.quotient(self.value(a, order), self.value(b, order), is_literal(b), order)

    def added(self, args: tuple[st.Tree, ...], order: Sequence[str]) -> Value:
        signs = [isinstance(a, st.Neg) for a in args]
        values = [self.value(a.arg if isinstance(a, st.Neg) else a, order) for a in args]
        return self.joined(values, lambda parts: total(zip(signs, parts, strict=True)), order)._replace(kept=None)

    def multiplied(self, args: tuple[st.Tree, ...], order: Sequence[str]) -> Value:
        if self.kernel and (choice := selection(args)) is not None:
            return self.value(choice, order)
        if self.kernel and is_far(args) and (scaled := self.scaled(args, order)) is not None:
            return scaled
        values = [self.value(a, order) for a in args]
        whole = [a.value for a in args if isinstance(a, st.Num)]
        if math.prod(map(abs, whole)) > LARGEST_WHOLE:  # Python multiplies integers of any length
            floats = [double(nearest(a.value)) if isinstance(a, st.Num) else v.text for a, v in zip(args, values, strict=True)]
            values = [v._replace(text=text) for v, text in zip(values, floats, strict=True)]
        return self.joined(values, multiplied, order)

    def scaled(self, args: tuple[st.Tree, ...], order: Sequence[str]) -> Value | None:
        """A product with a number beyond the range of float32, computed in float64; in float32 it would be ``0 * inf`` at 0."""
        rest = tuple(a for a in args if known_number(a) is None)
        value = self.value(st.product(rest), order) if rest else Value(Text("1"), number=True)
        if value.number:
            return None
        scale = st.Num(coefficients(args)[-1])
        if not is_far((scale,)):
            return self.value(st.product((scale, *rest)), order)
        self.helpers["_scaled"] = None
        return Value(call("_scaled", value.text, number(scale.value)), value.axes)

    def quotient(self, a: Value, b: Value, known: bool, order: Sequence[str]) -> Value:
        """A quotient; ``known`` says that the divisor is a literal, and therefore not 0."""
        if a.number and b.number and not known and self.kernel:
            self.helpers["_ratio"] = None
            return Value(call("_ratio", a.text, b.text), number=True)
        return self.joined([a, b], lambda parts: quotient(*parts), order)

    def applied(self, head: str, args: tuple[st.Tree, ...], order: Sequence[str]) -> Value:
        """The call of a function. Of numbers that are known only at run time, one becomes an array without axes."""
        if head == "where" and self.kernel:
            args = (args[0], *(sheltered(args[0], a, taken=k == 0) for k, a in enumerate(args[1:])))
        values = [self.value(a, order) for a in args]
        if head == "stop" and (values[0].number or self.undifferentiated(args[0])):
            return values[0]
        if all(v.number for v in values) and (spelling := self.of_numbers(head, args)):
            return Value(call(spelling, *(v.text for v in values)), number=True, far=any(v.far for v in values))
        if head == "where":
            return self.chosen(values[0], self.floating(values[1:]), order)
        values = self.floating(values)
        if head in ("maximum", "minimum"):
            return self.extreme(head, values[0], values[1], order)
        return self.called(self.function(head), values, order)

    def undifferentiated(self, tree: st.Tree) -> bool:
        """Whether nothing can differentiate the value of an expression, which has to be an array of its own."""
        return False

    def chosen(self, condition: Value, branches: list[Value], order: Sequence[str]) -> Value:
        return self.called(self.function("where"), [condition, *branches], order)

    def of_numbers(self, head: str, args: tuple[st.Tree, ...]) -> str:
        """Python's own function, if it is defined for every value that these numbers can have; else ""."""
        if all(map(is_literal, args)):
            return MATH[head]
        lengths = not any(n for a in args for n in st.reads(a))
        return "abs" if head == "abs" else head[:3] if head in ("maximum", "minimum") and lengths else ""

    def power(self, base: st.Tree, e: Fraction, order: Sequence[str]) -> Value:
        v = self.value(base, order)
        if v.number and not is_count(base) and (e < 0 or e.denominator != 1):
            v = Value(self.typed(v))
        if abs(e) == HALF:
            return self.root(v, e > 0) if not v.number else self.root_of_number(v, e > 0, is_literal(base), order)
        if e < 0 and (e == -1 or v.number):
            whole = v if e == -1 else self.power(base, -e, order)
            one = Value(Text("1"), number=True)
            return self.quotient(one, whole, is_literal(base), order)._replace(kept=None)
        return self.joined([v], lambda parts: power(parts[0], number(e)), order)._replace(kept=None)

    def root_of_number(self, v: Value, positive: bool, known: bool, order: Sequence[str]) -> Value:
        """The square root of a Python number as a Python number, which does not decide the dtype of a result."""
        root = Value(call("math.sqrt", v.text), number=True)
        return root if positive else self.quotient(Value(Text("1"), number=True), root, known, order)

    # ---- reductions ------------------------------------------------------------------------------------------------

    def cumulative(self, found: Running, order: Sequence[str]) -> Value:
        value = self.value(found.body, star_first(natural_order(found.body, order), self.star))
        (place,) = positions((found.axis,), value.axes, self.star)
        text = value.text
        if found.strict:
            self.helpers["_shifted"] = None
            neutral = self.value(st.NEUTRAL[found.kind], ()).text
            text = call("_shifted", text, str(place), neutral, *(["falling=True"] if found.falling else []))
        return Value(self.running(text, str(place), found), value.axes)

    def reduction(self, tree: st.Reduce, order: Sequence[str]) -> Value:
        if self.kernel and (found := Running.of(tree, self.equal)) is not None:
            return self.cumulative(found, order)
        scatter = Scatter.of(tree)
        if scatter is not None and not self.held.apart(scatter.labels.name, scatter.labels.index):
            return self.scattered(scatter, order)
        contraction = Contraction.of(tree)
        if contraction is not None:
            return self.contraction(contraction, tree, order)
        body = self.value(tree.body, star_first(natural_order(tree.body, order), self.star))
        absent = [i for i in tree.index if i not in body.axes]
        if absent:
            return self.repeated(tree, body, absent, order)
        rest = tuple(a for a in body.axes if a not in tree.index)
        where = positions(tree.index, body.axes, self.star)
        axis = str(where[0]) if len(where) == 1 else f"({', '.join(map(str, where))})"
        if not rest:
            return Value(self.reduced(tree.kind, body, None, False))
        layout = tuple(None if a in tree.index else a for a in body.axes)
        kept = Kept(self.reduced(tree.kind, body, axis, True), layout)
        return Value(self.reduced(tree.kind, body, axis, False), rest, kept)

    def scattered(self, scatter: Scatter, order: Sequence[str]) -> Value:
        """A scatter-add, over the target and the rows' other axes. Rows that lack an axis of the labels are spread over it."""
        labels = tuple(map(str, scatter.labels.index))
        first = (*labels, *(i for i in natural_order(scatter.body, order) if i not in labels))
        rows = self.value(scatter.body, first)
        rest = tuple(i for i in first if i in rows.axes and i not in labels)
        wide = (*labels, *rest)
        rows = self.ordered(rows, wide) if set(labels) <= set(rows.axes) else self.wide(rows, wide)
        return Value(self.scatter_add(scatter, rest, rows.text), (scatter.target, *rest))

    def wide(self, value: Value, axes: tuple[str, ...]) -> Value:
        """A value that is the same along some of these axes, as an array that has them all."""
        return Value(self.full(value, axes) if value.number else Text(self.spread(self.fit(value, axes), axes)), axes)

    def repeated(self, tree: st.Reduce, body: Value, absent: list[str], order: Sequence[str]) -> Value:
        """A reduction over axes on which the body does not depend."""
        inside = tuple(i for i in tree.index if i not in absent)
        if tree.kind == "sum":
            lengths: list[st.Tree] = [st.Size(st.axis_of(i)) for i in absent]
            return self.value(st.Mul((st.Reduce("sum", inside, tree.body) if inside else tree.body, *lengths)), order)
        wide = (*absent, *body.axes)
        where = positions(tree.index, wide, self.star)
        rest = tuple(i for i in body.axes if i not in inside)
        return Value(
            self.reduced(tree.kind, self.wide(body, wide), f"({', '.join(map(str, where))},)" if rest else None, False), rest
        )
