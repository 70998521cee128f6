"""torch's spelling: differentiable operations and no writes in place, so that second derivatives and vmap work."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.spelling import ATOM, call, item, method, negated, total
from codegen.backends.arrays.windows import placed
from codegen.backends.torch.smooth import beside_one, sided
from codegen.program import Loop, Statement
from codegen.recognise.contraction import Contraction
from codegen.recognise.one_hot import OneHot
from codegen.recognise.running import Running
from codegen.recognise.scatter import Scatter
from derive import syntax as st
from derive.functions.words import PLACES

#: Functions without a slope, whatever stands in them.
FLAT = frozenset({"floor", "ceil", "round", "stop"})


class TorchPrinter(ArrayPrinter):
    #: Whether a derivative goes through what is printed.
    again = True
    functions = {
        "exp": "torch.exp",
        "log": "torch.log",
        "tanh": "torch.tanh",
        "sinh": "torch.sinh",
        "cosh": "torch.cosh",
        "sin": "torch.sin",
        "cos": "torch.cos",
        "atan": "torch.atan",
        "erf": "torch.erf",
        "erfcx": "_erfcx",
        "expm1": "torch.expm1",
        "log1p": "torch.log1p",
        "finite": "_finite",
        "floor": "torch.floor",
        "ceil": "torch.ceil",
        "round": "torch.round",
        "stop": "torch.detach",
        "power": "torch.pow",
        "abs": "torch.abs",
        "sign": "torch.sign",
        "where": "torch.where",
    }

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> Text:
        place = [] if axis is None else [f"dim={axis}"]
        place += ["keepdim=True"] if keep else []
        if kind in ("sum", "mean", *PLACES) or (kind == "prod" and not (axis or "").startswith("(")):
            return method(body.text, kind, *place)
        self.helpers[f"_{kind}"] = None
        return call(f"_{kind}", body.text, *place)

    def picked(self, tree: st.Read, position: int, labels: str) -> Text:
        slots = ["..." if i == self.star else ":" for i in tree.index[:position]]
        return item(self.tensor(tree), [*slots, labels])

    def statement(self, s: Statement) -> list[str]:
        return self.corrected(s) or super().statement(s)

    def applied(self, head: str, args: tuple[st.Tree, ...], order: Sequence[str]) -> Value:
        again, self.again = self.again, self.again and head not in FLAT
        found = self.smooth(head, args, order) if self.again else None
        value = found or super().applied(head, args, order)
        self.again = again
        return value

    def smooth(self, head: str, args: tuple[st.Tree, ...], order: Sequence[str]) -> Value | None:
        """The spelling that has all derivatives of a smooth function which the engine computes by a kink; else None."""
        if (absolute := sided(self.program, head, args)) is not None:
            return self.value(absolute, order)
        if (pair := beside_one(self.program, head, args)) is None:
            return None
        self.helpers["_beside_one"] = None
        smaller = self.called("_beside_one", [self.value(tree, order) for tree in pair], order)
        return self.called(self.function(head), [smaller], order)

    def apart(self, s: Statement) -> str:
        """The method call that makes a statement's tensor one that can be written into; "" where it is one already.

        An expanded tensor is copied. Transposes and matrix products return views of the tensors that they computed.
        """
        value = self.value(s.tree, s.index)
        if not value.number and set(s.index) - set(value.axes):
            return ".clone()"
        contraction = isinstance(s.tree, st.Reduce) and Contraction.of(s.tree) is not None
        view = value.axes not in ((), s.index) or contraction
        return ".detach()" if view and s.name not in self.copies else ""

    def correction(self, s: Statement, hot: OneHot, amount: Value) -> list[str]:
        position = s.index.index(hot.target)
        shape = ", ".join("1" if i == hot.target else self.length(i) for i in s.index)
        column = ["None" if i == hot.target else ":" for i in s.index]
        less = self.fit(amount._replace(text=negated(amount.text), kept=None), s.index)
        whole = set(amount.axes) == set(s.index) - {hot.target} and s.index[0] != hot.target
        spread = less if whole else method(less, "expand", shape)
        change = "scatter" if hot.replaces else "scatter_add"
        rows = method(item(Text(hot.labels.name), column), "long")
        return [f"{s.name} = {method(Text(s.name), change, str(position), rows, spread).code}"]

    def scatter_add(self, scatter: Scatter, rest: tuple[str, ...], rows: Text) -> Text:
        labels = scatter.labels.name
        if len(scatter.labels.index) > 1:
            count = " * ".join(self.length(str(i)) for i in scatter.labels.index)
            labels, rows = f"{labels}.reshape(-1)", method(rows, "reshape", count, *map(self.length, rest))
        return method(Text(self.zeros((scatter.target, *rest))), "index_add", "0", labels, rows)

    def zeros(self, index: tuple[str, ...]) -> str:
        return f"{self.like()}.new_zeros({self.shape(index)})"

    def full(self, number: Value, index: tuple[str, ...]) -> Text:
        """A tensor filled with one number. A number that may be beyond float32 is added to 0, for ``new_full`` would raise."""
        if number.far:
            return total([(False, Text(self.zeros(index))), (False, number.text)])
        return call(f"{self.like()}.new_full", self.shape(index), number.text)

    def spread(self, text: Text, index: tuple[str, ...]) -> str:
        return method(text, "expand", *([self.shape(index)] if index == (self.star,) else self.dimensions(index))).code

    def copied(self, text: Text) -> Text:
        return method(text, "clone")

    def transposed(self, text: Text, axes: tuple[str, ...], want: tuple[str, ...]) -> Text:
        if self.star in axes:
            source = [axes.index(i) - len(axes) for i in want if i != self.star]
            places = [k - len(source) for k in range(len(source))]
            return method(text, "movedim", f"({', '.join(map(str, source))})", f"({', '.join(map(str, places))})")
        if len(axes) == 2:
            return Text(f"{text.within(ATOM)}.T")
        return method(text, "permute", *(str(axes.index(i)) for i in want))

    def swapped(self, text: Text, two: bool) -> Text:
        return Text(f"{text.within(ATOM)}.{'T' if two else 'mT'}")

    def root(self, v: Value, positive: bool) -> Value:
        return Value(call(f"torch.{'sqrt' if positive else 'rsqrt'}", v.text), v.axes)

    def extreme(self, head: str, a: Value, b: Value, order: Sequence[str]) -> Value:
        """The larger or smaller of two. At a tie each gets half of the gradient, which torch's ``clamp`` does not do."""
        array, other = sorted((a, b), key=lambda v: v.number)
        if other.far:
            other = Value(self.typed(other))
        if not other.number:
            return self.called(f"torch.{head}", [array, other], order)
        self.helpers[f"_{head}"] = None
        return self.called(f"_{head}", [array, other], order)

    def chosen(self, condition: Value, branches: list[Value], order: Sequence[str]) -> Value:
        """A choice. A branch that is a number beyond float32 becomes a tensor, since torch refuses such a number."""
        return super().chosen(condition, [Value(self.typed(v)) if v.far else v for v in branches], order)

    def arange(self, length: str) -> str:
        return f"torch.arange({length}, device={self.like()}.device)"

    def as_number(self, text: Text) -> Text:
        return method(Text(f"({text.code})"), "to", f"{self.like()}.dtype")

    def typed(self, number: Value) -> Text:
        return self.full(number, ()) if self.like() else call("torch.tensor", number.text)

    def running(self, text: Text, axis: str, found: Running) -> Text:
        total = method(method(text, "flip", axis) if found.falling else text, f"cum{found.kind}", f"dim={axis}")
        return method(total, "flip", axis) if found.falling else total

    def accumulated(self, name: str, slots: Sequence[str], kind: str, term: Text) -> str:
        place = placed(Text(name), slots)
        new = total([(False, place), (False, term)]) if kind == "sum" else call(f"torch.{kind}imum", place, term)
        at = [f"({k - len(slots)}, {slot})" for k, slot in enumerate(slots) if slot not in (":", "...")]
        if not at:
            return f"{name} = {new.code}"
        self.helpers["_placed"] = None
        return f"{name} = _placed({name}, {new.code}, [{', '.join(at)}])"

    def concatenated(self, parts: Sequence[Text], axis: int) -> Text:
        return call("torch.cat", f"({', '.join(p.code for p in parts)})", f"dim={axis}")

    def opened(self, s: Statement) -> str:
        return f"{s.name} = []"

    def stored(self, s: Statement, value: str, slots: Sequence[str]) -> str:
        return f"{s.name}.append({value})"

    def closed(self, s: Statement, loop: Loop) -> str:
        steps = f"{s.name}[::-1]" if loop.down else s.name
        stacked = f"torch.stack({steps}, dim={self.place(loop.axis, s.index)})"
        return f"{s.name} = {stacked} if {s.name} else {self.zeros(s.index)}"

    def einsum(self, spec: str, *operands: Text) -> Text:
        return call("torch.einsum", f'"{spec}"', *operands)

    def tensordot(self, a: Text, b: Text, where: tuple[list[int], list[int]]) -> Text:
        return call("torch.tensordot", a, b, f"dims=({where[0]}, {where[1]})")
