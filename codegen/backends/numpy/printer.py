"""NumPy's spelling of array expressions, with results written in place where an operand is no longer needed."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import TypeGuard

from codegen.axes import natural_order
from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.numpy_names import NumpyNames, elementwise
from codegen.backends.arrays.printer import is_far
from codegen.backends.arrays.spelling import ATOM, call, item, matmul, method, negated, quotient
from codegen.backends.arrays.windows import placed
from codegen.program import Loop, Statement
from codegen.recognise.one_hot import OneHot
from codegen.recognise.running import Running
from codegen.recognise.scatter import Scatter
from derive import syntax as st
from derive.functions.words import PLACES


class NumpyPrinter(NumpyNames):
    module = "np"
    functions = elementwise(module) | {"erf": "_erf", "erfcx": "_erfcx", "stop": "np.copy"}

    def function(self, head: str) -> str:
        name = super().function(head)
        if name in ("_erf", "_erfcx"):
            self.helpers["_polynomial"] = None
        return name

    def picked(self, tree: st.Read, position: int, labels: str) -> Text:
        return method(self.tensor(tree), "take", labels, f"axis={self.axis(tree, position)}")

    # ---- reductions and products -----------------------------------------------------------------------------------

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> Text:
        place = [] if axis is None else [f"axis={axis}"]
        place += ["keepdims=True"] if keep else []
        if kind == "sum" and self.program.accurate:  # pairwise on the last axis, in float64
            return call("np.add.reduce", body.text, *(place or ["axis=None"]))
        if kind in ("sum", "mean"):
            self.helpers |= {f"_{kind}": None, "_total": None}
            return call(f"_{kind}", body.text, *place)
        if kind == "prod" or kind in PLACES:
            return method(body.text, kind, *place)
        return method(body.text, kind, *place, f"initial={'-' if kind == 'max' else ''}np.inf")

    def reduction(self, tree: st.Reduce, order: Sequence[str]) -> Value:
        return self.dot(tree, order) or super().reduction(tree, order)

    def dot(self, tree: st.Reduce, order: Sequence[str]) -> Value | None:
        """A sum or mean over the last axis of a product of two arrays of one shape, without a temporary for the product."""
        pair = None if self.program.accurate else _pair(tree.body)
        if pair is None or tree.kind not in ("sum", "mean") or len(tree.index) != 1:
            return None
        a, b = (self.value(t, natural_order(tree.body, order)) for t in pair)
        if a.axes != b.axes or a.axes[-1:] != tree.index:
            return None
        self.helpers["_dot"] = None
        found, rest = call("_dot", a.text, b.text), a.axes[:-1]
        if tree.kind == "mean":
            return Value(quotient(found, Text(self.length(tree.index[0]))), rest)
        return Value(found, rest)

    def tensor_product(self, a: Value, b: Value, summed: tuple[str, ...]) -> Value:
        """A matrix product of the operands reshaped to matrices, where the summed axes are adjacent; else a tensordot."""
        if self.partial.keys() & {*a.axes, *b.axes}:
            return super().tensor_product(a, b, summed)
        shared = tuple(i for i in a.axes if i in summed)
        rows, columns = ([i for i in v.axes if i not in summed] for v in (a, b))
        left = self.as_matrix(a, tuple(rows), shared)
        right = self.as_matrix(b, shared, tuple(columns))
        if left is None or right is None:
            return super().tensor_product(a, b, summed)
        out, found = (*rows, *columns), matmul(left, right)
        if len(rows) <= 1 and len(columns) <= 1:
            return Value(found, out)
        return Value(method(found, "reshape", *map(self.length, out)), out)

    def as_matrix(self, v: Value, rows: tuple[str, ...], columns: tuple[str, ...]) -> Text | None:
        """The value reshaped to a matrix or vector with these rows and columns; None if that takes more than a transpose."""
        if v.axes not in ((*rows, *columns), (*columns, *rows)):
            return None
        flip = v.axes != (*rows, *columns)
        groups = [g for g in ((columns, rows) if flip else (rows, columns)) if g]
        text = v.text
        if any(len(g) > 1 for g in groups):
            text = method(text, "reshape", *(" * ".join(map(self.length, g)) for g in groups))
        return Text(f"{text.within(ATOM)}.T") if flip else text

    def undifferentiated(self, tree: st.Tree) -> bool:
        return not isinstance(tree, st.Read)

    def scatter_add(self, scatter: Scatter, rest: tuple[str, ...], rows: Text) -> Text:
        self.helpers["_scatter_add"] = None
        return call("_scatter_add", scatter.labels.name, rows, self.length(scatter.target))

    def zeros(self, index: tuple[str, ...]) -> str:
        return f"np.zeros({self.shape(index)}, dtype={self.dtype()})"

    def full(self, number: Value, index: tuple[str, ...]) -> Text:
        return call("np.full", self.shape(index), number.text, f"dtype={self.dtype()}")

    def spread(self, text: Text, index: tuple[str, ...]) -> str:
        return f"np.broadcast_to({text.code}, {self.shape(index)}).copy()"

    def copied(self, text: Text) -> Text:
        return method(text, "copy")

    def typed(self, number: Value) -> Text:
        return call(f"{self.dtype()}.type" if self.like() else "np.float64", number.text)

    def dtype(self) -> str:
        return f"{self.like()}.dtype" if self.like() else "np.float64"

    def running(self, text: Text, axis: str, found: Running) -> Text:
        name = "_running" if found.kind == "sum" else "_running_product"
        self.helpers[name] = None
        return call(name, text, axis, *(["falling=True"] if found.falling else []))

    def accumulated(self, name: str, slots: Sequence[str], kind: str, term: Text) -> str:
        place = placed(Text(name), slots)
        return f"{place.code} += {term.code}" if kind == "sum" else f"{place.code} = np.{kind}imum({place.code}, {term.code})"

    def concatenated(self, parts: Sequence[Text], axis: int) -> Text:
        return call("np.concatenate", f"({', '.join(p.code for p in parts)})", f"axis={axis}")

    def opened(self, s: Statement) -> str:
        return f"{s.name} = np.empty({self.shape(s.index)}, dtype={self.dtype()})"

    def stored(self, s: Statement, value: str, slots: Sequence[str]) -> str:
        return f"{placed(Text(s.name), slots).code} = {value}"

    def closed(self, s: Statement, loop: Loop) -> str:
        return ""

    def einsum(self, spec: str, *operands: Text) -> Text:
        return call("np.einsum", f'"{spec}"', *operands, *["optimize=True"] * (len(operands) > 1))

    # ---- in place --------------------------------------------------------------------------------------------------

    def statement(self, s: Statement) -> list[str]:
        lines = self.corrected(s) or self.in_place(s) or self.reusing(s) or super().statement(s)
        if isinstance(s.tree, st.Read):  # another name for the same array, or a view of it
            self.owned.discard(s.tree.name)
        elif s.index:
            self.owned.add(s.name)
        return lines

    def reusing(self, s: Statement) -> list[str] | None:
        """The statement with ``out=``, so that its value is written over an operand; None where no operand may be written over.

        The operand is a temporary that no later statement reads, or a function's argument, which becomes a line of its own.
        """
        if (isinstance(s.tree, st.Mul) and is_far(s.tree.args)) or self.held.apart(s.name, s.index):
            return None
        if not any(i != self.star for i in s.index):  # without axes NumPy returns scalars, which cannot be written to
            return None
        if (
            isinstance(s.tree, st.Call)
            and len(s.tree.args) == 1
            and s.tree.head != "stop"
            and self.function(s.tree.head).startswith("np.")
        ):
            (arg,) = s.tree.args
            inner = self.value(arg, s.index)
            if self.spent(arg, s):
                return [f"{s.name} = {self.function(s.tree.head)}({inner.code}, out={inner.code})"]
            if isinstance(arg, (st.Add, st.Mul, st.Div)) and inner.axes == s.index:
                return [f"{s.name} = {inner.code}", f"{self.function(s.tree.head)}({s.name}, out={s.name})"]
            return None
        operator, operands = _operation(s.tree)
        taken = next((t for t in operands if self.spent(t, s)), None)
        if taken is None:
            return None
        values = [self.value(t, s.index) for t in operands]
        if self.union(values, s.index) != s.index:
            return None
        codes = [self.fit(v, s.index).code for v in values]
        return [f"{s.name} = np.{operator}({', '.join(codes)}, out={taken.name})"]

    def spent(self, tree: st.Tree, s: Statement) -> TypeGuard[st.Read]:
        """Whether a tree reads a temporary of the statement's shape that no later statement reads."""
        if not isinstance(tree, st.Read) or tree.index != s.index or tree.name not in self.owned:
            return False
        if self.held.apart(tree.name, tree.index):
            return False
        return self.last_reader[tree.name] == s and tree.name not in self.program.results

    @cached_property
    def last_reader(self) -> dict[str, Statement]:
        """For each name the last statement that reads it."""
        return {name: s for s in self.program.statements for name in st.reads(s.tree)}

    def correction(self, s: Statement, hot: OneHot, amount: Value) -> list[str]:
        order = tuple(i for i in s.index if i != hot.target)
        slots = [self.fit(self.as_index(hot.labels if i == hot.target else i), order).code for i in s.index]
        entries, change = item(Text(s.name), slots).code, self.fit(amount, order)
        return [f"{entries} = {negated(change).code}" if hot.replaces else f"{entries} -= {change.code}"]

    def in_place(self, s: Statement) -> list[str] | None:
        """``k*(a - b)`` as ``y = a - b`` and ``y *= k``: the difference is a new array, over which the product is written."""
        factors = s.tree.args if isinstance(s.tree, st.Mul) else ()
        sums = [f for f in factors if isinstance(f, st.Add)]
        if len(sums) != 1 or not s.index or is_far(factors) or self.held.apart(s.name, s.index):
            return None
        inner = self.value(sums[0], s.index)
        rest = [f for f in factors if f is not sums[0]]
        outer = self.value(rest[0] if len(rest) == 1 else st.Mul(tuple(rest)), s.index)
        if inner.axes != s.index:
            return None
        return [f"{s.name} = {inner.code}", f"{s.name} *= {self.fit(outer, s.index).code}"]


def _pair(tree: st.Tree) -> tuple[st.Tree, st.Tree] | None:
    """The two factors of a product or of a square of a name."""
    if isinstance(tree, st.Mul) and len(tree.args) == 2:
        return tree.args[0], tree.args[1]
    if isinstance(tree, st.Pow) and isinstance(tree.base, st.Read) and tree.exp == st.Num(Fraction(2)):
        return tree.base, tree.base
    return None


def _operation(tree: st.Tree) -> tuple[str, tuple[st.Tree, ...]]:
    """NumPy's name for an operation on two operands, and the operands; no operands for any other expression."""
    match tree:
        case st.Mul((_, _) as args):
            return "multiply", args
        case st.Div(a, b):
            return "divide", (a, b)
        case st.Add((a, st.Neg(b))):
            return "subtract", (a, b)
        case st.Add((_, _) as args) if not any(isinstance(a, st.Neg) for a in args):
            return "add", args
    return "", ()
