"""JAX's spelling: pure functions of arrays, correct under jit, vmap and differentiation."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.numpy_names import NumpyNames, elementwise
from codegen.backends.arrays.spelling import ATOM, call, method, negated, total
from codegen.backends.arrays.windows import placed
from codegen.backends.jax.scan import scanned
from codegen.loops.body import Body
from codegen.packing import APART, Repacked
from codegen.program import Program, Statement
from codegen.recognise.one_hot import OneHot
from codegen.recognise.running import Running
from codegen.recognise.scatter import Scatter
from derive import syntax as st
from derive.functions.words import PLACES


class JaxPrinter(NumpyNames):
    module = "jnp"
    functions = (
        elementwise(module)
        | {f: f"jax.scipy.special.{f}" for f in ("erf", "erfcx")}
        | {"stop": "jax.lax.stop_gradient", "abs": "_abs"}
    )

    def __init__(self, program: Program, copies: frozenset[str] = frozenset(), kernel: bool = False, held: Repacked = APART):
        super().__init__(program, copies, kernel, held)
        self.numbers = {}  # the layout makes every constant an array
        #: The names that are computed from literals alone, which do not decide the dtype of a result.
        self.untyped: set[str] = set()

    def statement(self, s: Statement) -> list[str]:
        if not s.index and self.untyped.issuperset(st.reads(s.tree)):
            self.untyped.add(s.name)
        return self.corrected(s) or super().statement(s)

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> Text:
        place = [] if axis is None else [f"axis={axis}"]
        place += ["keepdims=True"] if keep else []
        if kind in ("sum", "mean", "prod", *PLACES):
            return call(f"jnp.{kind}", body.text, *place)
        self.helpers[f"_{kind}"] = None
        return call(f"_{kind}", body.text, *place)

    def picked(self, tree: st.Read, position: int, labels: str) -> Text:
        return call("jnp.take", self.tensor(tree), labels, f"axis={self.axis(tree, position)}")

    def entries(self, tensor: Text, places: Sequence[str]) -> Text:
        """The entries at places; NaN where a label, which no check has seen under jit, is beyond the last."""
        return method(Text(f"{tensor.within(ATOM)}.at[{', '.join(places)}]"), "get", 'mode="fill"')

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
        return text  # JAX's arrays are immutable

    def typed(self, number: Value) -> Text:
        return call("jnp.asarray", number.text, *([self.dtype()] if self.like() else []))

    def dtype(self) -> str:
        return f"{self.like()}.dtype" if self.like() else "float"

    def running(self, text: Text, axis: str, found: Running) -> Text:
        total = call(f"jnp.cum{found.kind}", call("jnp.flip", text, axis) if found.falling else text, f"axis={axis}")
        return call("jnp.flip", total, axis) if found.falling else total

    def accumulated(self, name: str, slots: Sequence[str], kind: str, term: Text) -> str:
        place = placed(Text(name), slots)
        if place == Text(name):
            whole = total([(False, place), (False, term)]) if kind == "sum" else call(f"jnp.{kind}imum", place, term)
            return f"{name} = {whole.code}"
        return f"{name} = {method(placed(Text(f'{name}.at'), slots), 'add' if kind == 'sum' else kind, term).code}"

    def einsum(self, spec: str, *operands: Text) -> Text:
        return call("jnp.einsum", f'"{spec}"', *operands)

    def concatenated(self, parts: Sequence[Text], axis: int) -> Text:
        return call("jnp.concatenate", f"({', '.join(p.code for p in parts)})", f"axis={axis}")

    def steps(self, body: Body) -> list[str]:
        return scanned(self, body)
