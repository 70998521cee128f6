"""What NumPy and torch have in common: one whole-array expression per statement, aligned by axis names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

from codegen.printers.axes import ADD, ATOM, COMPARE, MUL, NEG, POW, Value, aligned, merge, natural_order, positions
from codegen.printers.contraction import Contraction
from codegen.printers.one_hot import OneHot, product
from codegen.program import Program, Statement
from derive import syntax as st
from derive.errors import OpError


class ArrayPrinter:
    """Spells the statements of one program; collects the axis lengths and helpers that the source needs."""

    module = ""
    functions: dict[str, str] = {}
    axis_keyword = ""
    keep_keyword = ""

    def __init__(self, program: Program):
        self.program = program
        self.star = program.star if program.star and not program.collapsed else ""
        self.lengths: dict[str, None] = {}
        self.helpers: dict[str, None] = {}

    # ---- statements ------------------------------------------------------------------------------------------------

    def statement(self, s: Statement) -> list[str]:
        """The lines that compute one statement."""
        scatter = self.scatter(s)
        if scatter is not None:
            return scatter
        value = self.value(s.tree, s.index)
        missing = [i for i in s.index if i not in value.axes]
        if missing:
            return [f"{s.name} = {self.filled(value, s)}"]
        return [f"{s.name} = {self.ordered(value, s.index).code}"]

    def filled(self, value: Value, s: Statement) -> str:
        """A value that does not depend on every axis of its name, spread over all of them."""
        if s.tree == st.Num(Fraction(0)):
            return self.zeros(s.index)
        return self.spread(aligned(self.ordered(value, s.index), s.index, self.star)[0], s.index)

    def scatter(self, s: Statement) -> list[str] | None:
        """``dtable[v, d] = sum[s](dy[s, d] * [v = t[s]])`` as a scatter-add; None if the statement is something else."""
        tree = s.tree
        if not (isinstance(tree, st.Reduce) and tree.kind == "sum"):
            return None
        factors = tree.body.args if isinstance(tree.body, st.Mul) else (tree.body,)
        for f in factors:
            if isinstance(f, st.Indicator) and isinstance(f.cond, st.Match) and f.cond.equal:
                target, labels = f.cond.left, f.cond.right
                if isinstance(target, st.Lookup):
                    target, labels = labels, target
                if isinstance(target, str) and isinstance(labels, st.Lookup) and s.index[0] == target:
                    if set(labels.index) != set(tree.index) or not all(isinstance(i, str) for i in labels.index):
                        return None
                    rest = [g for g in factors if g is not f]
                    body: st.Tree = st.Num(Fraction(1)) if not rest else rest[0] if len(rest) == 1 else st.Mul(tuple(rest))
                    order = (*[str(i) for i in labels.index], *s.index[1:])
                    value = self.value(body, order)
                    if set(value.axes) != set(order):
                        return None
                    return self.scatter_add(s, labels, len(labels.index), self.ordered(value, order).code)
        return None

    def corrected(self, s: Statement) -> list[str] | None:
        """``k*(a - b*[c = t[n]])``: scale ``a``, then correct the one entry of each row that its label names."""
        hot = OneHot.of(s.tree, s.index)
        if hot is None:
            return None
        scaled = self.value(st.Mul((hot.rest, *hot.factors)), s.index)
        if scaled.axes != s.index:
            return None
        amount = self.value(product((*hot.factors, *hot.amount)), s.index)
        return [f"{s.name} = {scaled.code}", *self.correction(s, hot, amount)]

    def ordered(self, value: Value, order: Sequence[str]) -> Value:
        """The value with its axes transposed to an order."""
        want = tuple(i for i in order if i in value.axes)
        if want == value.axes:
            return value
        code = value.code if value.level >= ATOM else f"({value.code})"
        return Value(self.transposed(code, value.axes, want), ATOM, want)

    # ---- expressions -----------------------------------------------------------------------------------------------

    def value(self, tree: st.Tree, order: Sequence[str]) -> Value:
        """The source of an expression; ``order`` is the order that axes take where they meet."""
        match tree:
            case st.Num(number):
                return self.number(number)
            case st.Const(name):
                return Value(f"math.{name}", ATOM, ())
            case st.Size(axis):
                self.lengths[axis] = None
                return Value(axis, ATOM, ())
            case st.Read():
                return self.read(tree, order)
            case st.Div(st.Neg(st.Pow() as a), st.Num(b)) | st.Neg(st.Div(st.Pow() as a, st.Num(b))):
                return self.value(st.Div(a, st.Num(-b)), order)  # x**2 / -2, a pass less than -(x**2) / 2
            case st.Neg(a):
                v = self.value(a, order)
                return v._replace(code=f"-{_within(v.code, v.level, MUL)}", level=NEG, kept=None)
            case st.Add(args):
                return self.added(args, order)
            case st.Mul(args):
                return self.joined([self.value(a, order) for a in args], " * ", MUL, order)
            case st.Div(a, b):
                return self.joined([self.value(a, order), self.value(b, order)], " / ", MUL, order)
            case st.Pow(a, st.Num(e)):
                return self.power(self.value(a, order), e)
            case st.Reduce():
                return self.reduction(tree, order)
            case st.Call("where", (st.Compare() as c, a, b)):
                values = [self.value(t, order) for t in (c, a, b)]
                if self.is_number(values[1]) and self.is_number(values[2]):
                    values[1] = Value(self.typed(values[1].code), ATOM, ())
                return self.called(self.functions["where"], values, order)
            case st.Call(("maximum" | "minimum") as head, (a, b)):
                return self.extreme(head, a, b, order)
            case st.Call(head, args):
                values = [self.value(a, order) for a in args]
                plain = all(map(self.is_number, values)) and hasattr(math, head)
                return self.called(f"math.{head}" if plain else self.function(head), values, order)
            case st.Compare(rel, a, b):
                return self.joined([self.value(a, order), self.value(b, order)], f" {rel} ", COMPARE, order)
            case st.Indicator(st.Match() as match):
                return self.indicator(match, order)
            case st.Indicator(cond):
                v = self.value(cond, order)
                return Value(self.as_number(v.code), ATOM, v.axes)
        raise OpError(
            f"{type(self).__name__} cannot print {type(tree).__name__}; add a case to ArrayPrinter.value", op=self.program.name
        )

    def number(self, number: Fraction) -> Value:
        if number.denominator == 1:
            return Value(str(number.numerator), ATOM if number >= 0 else NEG, ())
        decimal = number.numerator / number.denominator
        if Fraction(repr(decimal)) == number:
            return Value(repr(decimal), ATOM if number >= 0 else NEG, ())
        return Value(f"{number.numerator} / {number.denominator}", MUL, ())

    def added(self, args: tuple[st.Tree, ...], order: Sequence[str]) -> Value:
        values = [self.value(a.arg if isinstance(a, st.Neg) else a, order) for a in args]
        axes = self.union(values, order)
        code = ""
        for a, v in zip(args, values, strict=True):
            negative = isinstance(a, st.Neg)
            text, level = self.fit(v, axes)
            text = _within(text, level, MUL if negative else ADD)
            code += (f" - {text}" if code else f"-{text}") if negative else (f" + {text}" if code else text)
        return Value(code, ADD, axes)

    def joined(self, values: list[Value], sign: str, level: int, order: Sequence[str]) -> Value:
        axes = self.union(values, order)
        parts = [self.fit(v, axes) for v in values]
        tight = level + 1 if sign == " / " or level == COMPARE else level
        code = []
        for k, (v, (text, strength)) in enumerate(zip(values, parts, strict=True)):
            # A quotient of fewer axes is formed first: x * (a / n), not x * a / n.
            smaller = k > 0 and strength == level == MUL and len(v.axes) < len(axes)
            code.append(_within(text, strength, level if k == 0 else level + 1 if smaller else tight))
        return Value(sign.join(code), level, axes, self.kept(values, code, sign, level))

    def kept(
        self, values: list[Value], code: list[str], sign: str, level: int
    ) -> tuple[str, tuple[str | None, ...], int] | None:
        """Scalars beside one reduction leave it free to keep its reduced axes."""
        reduced = [k for k, v in enumerate(values) if v.axes or v.kept]
        if len(reduced) != 1 or values[reduced[0]].kept is None:
            return None
        text, layout, _ = values[reduced[0]].kept  # type: ignore[misc]
        parts = [text if k == reduced[0] else c for k, c in enumerate(code)]
        return sign.join(parts), layout, level

    def called(self, function: str, values: list[Value], order: Sequence[str]) -> Value:
        axes = self.union(values, order)
        return Value(f"{function}({', '.join(self.fit(v, axes)[0] for v in values)})", ATOM, axes)

    def union(self, values: list[Value], order: Sequence[str]) -> tuple[str, ...]:
        rows = [v.axes for v in values]
        known = tuple(i for i in order if any(i in r for r in rows))
        return merge([known, *rows])

    def fit(self, value: Value, axes: Sequence[str]) -> tuple[str, int]:
        if tuple(a for a in axes if a in value.axes) != value.axes:
            value = self.ordered(value, axes)
        return aligned(value, axes, self.star)

    def power(self, v: Value, e: Fraction) -> Value:
        if e in (Fraction(1, 2), Fraction(-1, 2)):
            return self.root(v, e > 0)
        if e == -1:
            return Value(f"1 / {_within(v.code, v.level, POW)}", MUL, v.axes)
        exponent = self.number(e)
        return Value(f"{_within(v.code, v.level, ATOM)}**{_within(exponent.code, exponent.level, NEG)}", POW, v.axes)

    def function(self, head: str) -> str:
        if head not in self.functions:
            where = f"{type(self).__name__}.functions"
            raise OpError(f"'{head}' has no spelling here; add it to {where}", op=self.program.name)
        return self.functions[head]

    # ---- reads -----------------------------------------------------------------------------------------------------

    def read(self, tree: st.Read, order: Sequence[str]) -> Value:
        lookups = [i for i in tree.index if isinstance(i, st.Lookup)]
        if lookups:
            return self.gather(tree, order)
        axes = tuple(str(i) for i in tree.index)
        if len(set(axes)) < len(axes):
            return self.diagonal(tree.name, axes)
        return Value(tree.name, ATOM, axes)

    def gather(self, tree: st.Read, order: Sequence[str]) -> Value:
        """``table[t[s], d]`` as ``table[t]``, ``z[n, t[n]]`` as ``z[arange(n), t]``."""
        labels: list[st.Lookup] = [i for i in tree.index if isinstance(i, st.Lookup)]
        plain = [str(i) for i in tree.index if isinstance(i, str)]
        used = {n for i in labels for n in st.index_names(i)}
        if len(labels) == 1 and not used & set(plain) and all(isinstance(i, str) for i in labels[0].index):
            position = tree.index.index(labels[0])
            before, after = plain[:position], plain[position:]
            axes = (*before, *[str(i) for i in labels[0].index], *after)
            return Value(self.picked(tree, position, labels[0].name), ATOM, axes)
        wide = merge([tuple(i for i in order if i in used | set(plain)), *(tuple(st.index_names(i)) for i in tree.index)])
        slots = [self.fit(self.as_index(i), wide)[0] for i in tree.index]
        return Value(f"{tree.name}[{', '.join(slots)}]", ATOM, wide)

    def picked(self, tree: st.Read, position: int, labels: str) -> str:
        """The entries of a tensor that labels name on the axis at a position."""
        return f"{tree.name}[{', '.join([':'] * position + [labels])}]"

    def as_index(self, index: st.Index) -> Value:
        """An index as an integer array."""
        if isinstance(index, str):
            axis = st.axis_of(index)
            self.lengths[axis] = None
            return Value(self.arange(axis), ATOM, (index,))
        return self.read(st.Read(index.name, index.index), ())

    def indicator(self, match: st.Match, order: Sequence[str]) -> Value:
        a, b = self.as_index(match.left), self.as_index(match.right)
        if isinstance(match.left, str):
            a, b = b, a
        v = self.joined([a, b], f" {match.rel} ", COMPARE, order)
        return Value(self.as_number(v.code), ATOM, v.axes)

    # ---- reductions ------------------------------------------------------------------------------------------------

    def reduction(self, tree: st.Reduce, order: Sequence[str]) -> Value:
        contraction = Contraction.of(tree)
        if contraction is not None:
            return self.contraction(contraction, tree, order)
        inner = natural_order(tree.body, order)
        body = self.value(tree.body, inner)
        absent = [i for i in tree.index if i not in body.axes]
        assert not absent, f"{absent} are not axes of what is reduced"
        rest = tuple(a for a in body.axes if a not in tree.index)
        where = positions(tree.index, body.axes, self.star)
        axis = str(where[0]) if len(where) == 1 else f"({', '.join(map(str, where))})"
        everything = not rest
        code = self.reduced(tree.kind, body, None if everything else axis, False)
        layout = tuple(None if a in tree.index else a for a in body.axes)
        kept = None if everything else (self.reduced(tree.kind, body, axis, True), layout, ATOM)
        return Value(code, ATOM, rest, kept)

    def contraction(self, c: Contraction, tree: st.Reduce, order: Sequence[str]) -> Value:
        """A matrix product where the axes allow it, else an einsum."""
        left, right = (self.value(t, natural_order(t)) for t in (c.left, c.right))
        out = tuple(i for i in merge([tuple(order), left.axes, right.axes]) if i in {*left.axes, *right.axes} - set(tree.index))
        product = self.matrix_product(left, right, tree.index, out) or self.matrix_product(right, left, tree.index, out)
        if product is not None:
            return product
        letters = {i: "abcdefghijklmnopqrstuvwxyz"[k] for k, i in enumerate(dict.fromkeys((*left.axes, *right.axes)))}
        letters |= {self.star: "..."} if self.star else {}
        spec = ",".join("".join(letters[i] for i in v.axes) for v in (left, right)) + "->" + "".join(letters[i] for i in out)
        return Value(self.einsum(spec, left.code, right.code), ATOM, out)

    def matrix_product(self, a: Value, b: Value, summed: tuple[str, ...], out: tuple[str, ...]) -> Value | None:
        """``a @ b`` with the transposes that it takes, or a tensordot; None where the axes do not fit in this order."""
        batch = tuple(i for i in a.axes if i in b.axes and i not in summed)
        rows = tuple(i for i in a.axes if i not in (*batch, *summed))
        columns = tuple(i for i in b.axes if i not in (*batch, *summed))
        if not set(summed) <= set(a.axes) & set(b.axes) or out != (*batch, *rows, *columns):
            return None
        if batch and (a.axes[: len(batch)] != batch or b.axes[: len(batch)] != batch):
            return None
        if len(summed) == 1 and len(rows) == 1 and len(columns) == 1:
            left = self.matrix(a, (*batch, *rows, *summed))
            right = self.matrix(b, (*batch, *summed, *columns))
            return Value(f"{left} @ {right}", MUL, out)
        if batch or not rows + columns:
            return None
        if len(summed) == 1 and self.star not in (*rows, *columns) and len(rows) + len(columns) == 1:
            left = self.matrix(a, (*rows, *summed)) if rows else a.code
            right = self.matrix(b, (*summed, *columns)) if columns else b.code
            return Value(f"{left} @ {right}", MUL, out)
        if self.star in (*rows, *columns):
            if len(summed) == 1 and a.axes[-1] == summed[0] and b.axes == (*summed, *columns) and len(columns) <= 1:
                return Value(f"{self.operand(a)} @ {self.operand(b)}", MUL, out)
            return None
        return self.tensor_product(a, b, summed)

    def tensor_product(self, a: Value, b: Value, summed: tuple[str, ...]) -> Value:
        """The product of two operands of any rank, summed over some axes that both have: the axes left over follow in order."""
        where = ([a.axes.index(i) for i in summed], [b.axes.index(i) for i in summed])
        rest = tuple(i for v in (a, b) for i in v.axes if i not in summed)
        return Value(self.tensordot(a.code, b.code, where), ATOM, rest)

    def matrix(self, v: Value, want: tuple[str, ...]) -> str:
        """An operand of a matrix product, its last two axes swapped if need be."""
        if v.axes == want:
            return self.operand(v)
        if (*v.axes[:-2], v.axes[-1], v.axes[-2]) == want:
            return self.swapped(_within(v.code, v.level, ATOM), len(want) == 2 and self.star not in want)
        return self.ordered(v, want).code

    def operand(self, v: Value) -> str:
        return _within(v.code, v.level, POW)

    # ---- what each backend spells ----------------------------------------------------------------------------------

    def correction(self, s: Statement, hot: OneHot, amount: Value) -> list[str]:
        raise NotImplementedError

    def zeros(self, index: tuple[str, ...]) -> str:
        raise NotImplementedError

    def spread(self, code: str, index: tuple[str, ...]) -> str:
        raise NotImplementedError

    def scatter_add(self, s: Statement, labels: st.Lookup, rank: int, code: str) -> list[str]:
        raise NotImplementedError

    def transposed(self, code: str, axes: tuple[str, ...], want: tuple[str, ...]) -> str:
        raise NotImplementedError

    def swapped(self, code: str, two: bool) -> str:
        raise NotImplementedError

    def root(self, v: Value, positive: bool) -> Value:
        """A square root; that of a plain number stays one, so that it does not decide the dtype of what it meets."""
        if self.is_number(v):
            return Value(f"math.sqrt({v.code})", ATOM, ()) if positive else Value(f"1 / math.sqrt({v.code})", MUL, ())
        return self.array_root(v, positive)

    def is_number(self, v: Value) -> bool:
        names = {n for n in re.findall(r"[A-Za-z_]\w*", v.code)}
        return not v.axes and names <= {"math", "pi", "sqrt", *self.lengths, *(c.name for c in self.program.constants)}

    def array_root(self, v: Value, positive: bool) -> Value:
        raise NotImplementedError

    def extreme(self, head: str, a: st.Tree, b: st.Tree, order: Sequence[str]) -> Value:
        raise NotImplementedError

    def diagonal(self, name: str, axes: tuple[str, ...]) -> Value:
        raise NotImplementedError

    def arange(self, axis: str) -> str:
        raise NotImplementedError

    def as_number(self, code: str) -> str:
        """A condition as 0 and 1 of the op's dtype."""
        raise NotImplementedError

    def typed(self, code: str) -> str:
        """A number of the op's dtype, where nothing else would decide it."""
        raise NotImplementedError

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> str:
        raise NotImplementedError

    def einsum(self, spec: str, a: str, b: str) -> str:
        raise NotImplementedError

    def tensordot(self, a: str, b: str, where: tuple[list[int], list[int]]) -> str:
        raise NotImplementedError

    def length(self, axis: str) -> str:
        self.lengths[axis] = None
        return axis

    def shape(self, index: tuple[str, ...]) -> str:
        lengths = [self.length(st.axis_of(i)) for i in index]
        return f"({lengths[0]},)" if len(lengths) == 1 else f"({', '.join(lengths)})"

    def like(self) -> str:
        """A floating-point argument whose dtype new arrays take."""
        return next(a.name for a in self.program.arguments if a.labels is None and (a.axes or len(self.program.arguments) == 1))


def _within(code: str, level: int, need: int) -> str:
    return code if level >= need else f"({code})"
