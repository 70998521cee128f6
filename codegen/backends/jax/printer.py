"""JAX's spelling: pure functions of arrays, nothing in place, right under jit, vmap and differentiation."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.spelling import ATOM, call, method, negated, quotient
from codegen.program import Program, Statement
from codegen.recognise.one_hot import OneHot
from codegen.recognise.scatter import Scatter
from derive import syntax as st


class JaxPrinter(ArrayPrinter):
    functions = {
        "exp": "jnp.exp",
        "log": "jnp.log",
        "tanh": "jnp.tanh",
        "sinh": "jnp.sinh",
        "cosh": "jnp.cosh",
        "sin": "jnp.sin",
        "cos": "jnp.cos",
        "atan": "jnp.arctan",
        "erf": "jax.scipy.special.erf",
        "erfcx": "jax.scipy.special.erfcx",
        "expm1": "jnp.expm1",
        "log1p": "jnp.log1p",
        "finite": "_finite",
        "floor": "jnp.floor",
        "abs": "jnp.abs",
        "sign": "jnp.sign",
        "where": "jnp.where",
    }

    def __init__(self, program: Program, copies: frozenset[str] = frozenset(), kernel: bool = False):
        super().__init__(program, copies, kernel)
        self.numbers = {}  # a constant may be traced, so it is an array without axes
        #: What is computed from constants alone, which is a Python number where they are not traced.
        self.untyped = {c.name for c in program.constants}

    def function(self, head: str) -> str:
        name = super().function(head)
        if name.startswith("_"):
            self.helpers[name] = None
        return name

    def statement(self, s: Statement) -> list[str]:
        if not s.index and self.untyped.issuperset(st.reads(s.tree)):
            self.untyped.add(s.name)
        return self.corrected(s) or super().statement(s)

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> Text:
        place = [] if axis is None else [f"axis={axis}"]
        place += ["keepdims=True"] if keep else []
        if kind in ("sum", "mean"):
            return call(f"jnp.{kind}", body.text, *place)
        self.helpers[f"_{kind}"] = None
        return call(f"_{kind}", body.text, *place)

    def picked(self, tree: st.Read, position: int, labels: str) -> Text:
        # Counted from the end where a leading *s stands for any number of axes.
        axis = position - len(tree.index) if self.star in tree.index[:position] else position
        return call("jnp.take", Text(tree.name), labels, f"axis={axis}")

    def correction(self, s: Statement, hot: OneHot, amount: Value) -> list[str]:
        order = tuple(i for i in s.index if i != hot.target)
        places = [self.fit(self.as_index(hot.labels if i == hot.target else i), order).code for i in s.index]
        change = "set" if hot.replaces else "add"
        rows = Text(f"{s.name}.at[{', '.join(places)}]")
        return [f"{s.name} = {method(rows, change, negated(self.fit(amount, order))).code}"]

    def scatter_add(self, scatter: Scatter, rest: tuple[str, ...], rows: Text) -> Text:
        return method(Text(f"{self.zeros((scatter.target, *rest))}.at[{scatter.labels.name}]"), "add", rows)

    def zeros(self, index: tuple[str, ...]) -> str:
        return f"jnp.zeros({self.shape(index)}, {self.dtype()})"

    def full(self, number: Value, index: tuple[str, ...]) -> Text:
        return call("jnp.full", self.shape(index), number.text, self.dtype())

    def spread(self, text: Text, index: tuple[str, ...]) -> str:
        return f"jnp.broadcast_to({text.code}, {self.shape(index)})"

    def copied(self, text: Text) -> Text:
        return text  # nothing is ever written to

    def transposed(self, text: Text, axes: tuple[str, ...], want: tuple[str, ...]) -> Text:
        if self.star in axes:
            source = [axes.index(i) - len(axes) for i in want if i != self.star]
            places = [k - len(source) for k in range(len(source))]
            return call("jnp.moveaxis", text, f"({', '.join(map(str, source))})", f"({', '.join(map(str, places))})")
        if len(axes) == 2:
            return Text(f"{text.within(ATOM)}.T")
        return call("jnp.transpose", text, f"({', '.join(str(axes.index(i)) for i in want)})")

    def swapped(self, text: Text, two: bool) -> Text:
        return Text(f"{text.within(ATOM)}.T") if two else call("jnp.swapaxes", text, "-1", "-2")

    def root(self, v: Value, positive: bool) -> Value:
        root = call("jnp.sqrt", v.text)
        return Value(root if positive else quotient(Text("1"), root), v.axes)

    def extreme(self, head: str, a: Value, b: Value, order: Sequence[str]) -> Value:
        return self.called(f"jnp.{head}", [a, b], order)

    def arange(self, axis: str) -> str:
        return f"jnp.arange({self.length(axis)})"

    def as_number(self, text: Text) -> Text:
        return method(Text(f"({text.code})"), "astype", self.dtype())

    def typed(self, number: Value) -> Text:
        return call("jnp.asarray", number.text, *([self.dtype()] if self.like() else []))

    def dtype(self) -> str:
        return f"{self.like()}.dtype" if self.like() else "float"

    def einsum(self, spec: str, *operands: Text) -> Text:
        return call("jnp.einsum", f'"{spec}"', *operands)

    def tensordot(self, a: Text, b: Text, where: tuple[list[int], list[int]]) -> Text:
        return call("jnp.tensordot", a, b, f"axes=({where[0]}, {where[1]})")
