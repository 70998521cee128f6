"""torch's spelling: plain differentiable operations, nothing in place, so that a second derivative and vmap go through."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.printers.array import ArrayPrinter
from codegen.printers.axes import ATOM, MUL, Value
from codegen.printers.one_hot import OneHot
from codegen.program import Statement
from derive import syntax as st


class TorchPrinter(ArrayPrinter):
    module = "torch"
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
        "floor": "torch.floor",
        "abs": "torch.abs",
        "sign": "torch.sign",
        "where": "torch.where",
    }

    def function(self, head: str) -> str:
        name = super().function(head)
        if name.startswith("_"):
            self.helpers[name] = None
        return name

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> str:
        place = [] if axis is None else [f"dim={axis}"]
        place += ["keepdim=True"] if keep else []
        code = body.code if body.level >= ATOM else f"({body.code})"
        if kind in ("sum", "mean"):
            return f"{code}.{kind}({', '.join(place)})"
        self.helpers[f"_{kind}"] = None
        return f"_{kind}({', '.join([body.code, *place])})"

    def statement(self, s: Statement) -> list[str]:
        return self.corrected(s) or super().statement(s)

    def correction(self, s: Statement, hot: OneHot, amount: Value) -> list[str]:
        position = s.index.index(hot.target)
        shape = ", ".join("1" if i == hot.target else self.length(st.axis_of(i)) for i in s.index)
        column = ", ".join("None" if i == hot.target else ":" for i in s.index)
        less = (
            Value(f"-{amount.code}", MUL, amount.axes) if amount.level >= MUL else Value(f"-({amount.code})", MUL, amount.axes)
        )
        code = self.fit(less, s.index)[0]
        spread = f"({code}).expand({shape})" if not amount.axes else f"({code}).reshape({shape})"
        change = "scatter" if hot.replaces else "scatter_add"
        return [f"{s.name} = {s.name}.{change}({position}, {hot.labels.name}[{column}].long(), {spread})"]

    def scatter_add(self, s: Statement, labels: st.Lookup, rank: int, code: str) -> list[str]:
        rows = labels.name
        if rank > 1:
            rest = ", ".join(self.length(st.axis_of(i)) for i in s.index[1:])
            count = " * ".join(self.length(st.axis_of(str(i))) for i in labels.index)
            rows = f"{labels.name}.reshape(-1)"
            code = f"{code}.reshape({count}{', ' + rest if rest else ''})"
        return [f"{s.name} = {self.zeros(s.index)}.index_add(0, {rows}, {code})"]

    def zeros(self, index: tuple[str, ...]) -> str:
        return f"{self.like()}.new_zeros({self.shape(index)})"

    def spread(self, code: str, index: tuple[str, ...]) -> str:
        return f"({code}).expand{self.shape(index)}"

    def transposed(self, code: str, axes: tuple[str, ...], want: tuple[str, ...]) -> str:
        if len(axes) == 2 and not self.star:
            return f"{code}.T"
        return f"{code}.permute({', '.join(str(axes.index(i)) for i in want)})"

    def swapped(self, code: str, two: bool) -> str:
        return f"{code}.T" if two else f"{code}.mT"

    def array_root(self, v: Value, positive: bool) -> Value:
        return Value(f"torch.{'sqrt' if positive else 'rsqrt'}({v.code})", ATOM, v.axes)

    def extreme(self, head: str, a: st.Tree, b: st.Tree, order: Sequence[str]) -> Value:
        """The larger or smaller of two; a tie gives each of them half of the gradient, which torch's ``clamp`` does not."""
        values = sorted((self.value(t, order) for t in (a, b)), key=self.is_number)
        numbers = sum(map(self.is_number, values))
        if numbers == 1:
            self.helpers[f"_{head}"] = None
        return self.called(("torch.", "_", "")[numbers] + (head[:3] if numbers == 2 else head), values, order)

    def diagonal(self, name: str, axes: tuple[str, ...]) -> Value:
        letters = {i: "ijklmnopq"[k] for k, i in enumerate(dict.fromkeys(axes))}
        out = tuple(dict.fromkeys(axes))
        spec = f"{''.join(letters[i] for i in axes)}->{''.join(letters[i] for i in out)}"
        return Value(f'torch.einsum("{spec}", {name})', ATOM, out)

    def arange(self, axis: str) -> str:
        return f"torch.arange({self.length(axis)}, device={self.like()}.device)"

    def as_number(self, code: str) -> str:
        return f"({code}).to({self.like()}.dtype)"

    def typed(self, code: str) -> str:
        return f"{self.like()}.new_full((), {code})"

    def einsum(self, spec: str, a: str, b: str) -> str:
        return f'torch.einsum("{spec}", {a}, {b})'

    def tensordot(self, a: str, b: str, where: tuple[list[int], list[int]]) -> str:
        return f"torch.tensordot({a}, {b}, dims=({where[0]}, {where[1]}))"
