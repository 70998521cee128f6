"""NumPy's spelling."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.printers.array import ArrayPrinter
from codegen.printers.axes import ATOM, MUL, Value
from codegen.printers.one_hot import OneHot
from codegen.program import Statement
from derive import syntax as st


class NumpyPrinter(ArrayPrinter):
    module = "np"
    functions = {
        "exp": "np.exp",
        "log": "np.log",
        "tanh": "np.tanh",
        "sinh": "np.sinh",
        "cosh": "np.cosh",
        "sin": "np.sin",
        "cos": "np.cos",
        "atan": "np.arctan",
        "erf": "_erf",
        "abs": "np.abs",
        "sign": "np.sign",
        "where": "np.where",
    }

    def function(self, head: str) -> str:
        name = super().function(head)
        if name.startswith("_"):
            self.helpers[name] = None
        return name

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> str:
        place = "" if axis is None else f", axis={axis}"
        if kind in ("sum", "mean"):
            self.helpers[f"_{kind}"] = None
            return f"_{kind}({body.code}{place}{', keepdims=True' if keep else ''})"
        empty = "-np.inf" if kind == "max" else "np.inf"
        return f"np.{kind}({body.code}{place}{', keepdims=True' if keep else ''}, initial={empty})"

    def scatter_add(self, s: Statement, labels: st.Lookup, rank: int, code: str) -> list[str]:
        self.helpers["_scatter_add"] = None
        return [f"{s.name} = _scatter_add({labels.name}, {code}, {self.length(st.axis_of(s.index[0]))})"]

    def zeros(self, index: tuple[str, ...]) -> str:
        return f"np.zeros({self.shape(index)}, dtype={self.like()}.dtype)"

    def spread(self, code: str, index: tuple[str, ...]) -> str:
        return f"np.broadcast_to({code}, {self.shape(index)}).copy()"

    def transposed(self, code: str, axes: tuple[str, ...], want: tuple[str, ...]) -> str:
        if len(axes) == 2 and not self.star:
            return f"{code}.T"
        return f"np.transpose({code}, ({', '.join(str(axes.index(i)) for i in want)}))"

    def swapped(self, code: str, two: bool) -> str:
        return f"{code}.T" if two else f"np.swapaxes({code}, -1, -2)"

    def array_root(self, v: Value, positive: bool) -> Value:
        return Value(f"np.sqrt({v.code})", ATOM, v.axes) if positive else Value(f"1 / np.sqrt({v.code})", MUL, v.axes)

    def extreme(self, head: str, a: st.Tree, b: st.Tree, order: Sequence[str]) -> Value:
        return self.called(f"np.{head}", [self.value(a, order), self.value(b, order)], order)

    def diagonal(self, name: str, axes: tuple[str, ...]) -> Value:
        letters = {i: "ijklmnopq"[k] for k, i in enumerate(dict.fromkeys(axes))}
        out = tuple(dict.fromkeys(axes))
        spec = f"{''.join(letters[i] for i in axes)}->{''.join(letters[i] for i in out)}"
        return Value(f'np.einsum("{spec}", {name})', ATOM, out)

    def arange(self, axis: str) -> str:
        return f"np.arange({self.length(axis)})"

    def as_number(self, code: str) -> str:
        return f"({code}).astype({self.like()}.dtype)"

    def typed(self, code: str) -> str:
        return f"{self.like()}.dtype.type({code})"

    def einsum(self, spec: str, a: str, b: str) -> str:
        return f'np.einsum("{spec}", {a}, {b}, optimize=True)'

    def tensordot(self, a: str, b: str, where: tuple[list[int], list[int]]) -> str:
        return f"np.tensordot({a}, {b}, axes=({where[0]}, {where[1]}))"

    def statement(self, s: Statement) -> list[str]:
        return self.corrected(s) or self.in_place(s) or super().statement(s)

    def correction(self, s: Statement, hot: OneHot, amount: Value) -> list[str]:
        slots = [hot.labels.name if i == hot.target else self.arange(i) for i in s.index]
        order = tuple(i for i in s.index if i != hot.target)
        return [f"{s.name}[{', '.join(slots)}] -= {self.fit(amount, order)[0]}"]

    def in_place(self, s: Statement) -> list[str] | None:
        """``k*(a - b)`` as ``y = a - b`` and ``y *= k``: the difference is a new array, so no second one is needed."""
        factors = s.tree.args if isinstance(s.tree, st.Mul) else ()
        sums = [f for f in factors if isinstance(f, st.Add)]
        if len(sums) != 1 or not s.index:
            return None
        inner = self.value(sums[0], s.index)
        rest = [f for f in factors if f is not sums[0]]
        outer = self.value(rest[0] if len(rest) == 1 else st.Mul(tuple(rest)), s.index)
        if inner.axes != s.index:
            return None
        return [f"{s.name} = {inner.code}", f"{s.name} *= {self.fit(outer, s.index)[0]}"]
