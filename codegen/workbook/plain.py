"""NumPy as one writes it by hand: no helper for what a method does, for float64 needs none to be accurate."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.printers.axes import Text, Value
from codegen.printers.numpy import NumpyPrinter
from codegen.printers.spelling import method
from derive import syntax as st

__all__ = ["PlainNumpy"]


class PlainNumpy(NumpyPrinter):
    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> Text:
        place = [*([] if axis is None else [f"axis={axis}"]), *(["keepdims=True"] if keep else [])]
        return method(body.text, kind, *place)

    def dot(self, tree: st.Reduce, order: Sequence[str]) -> Value | None:
        return None

    def scatter_add(self, s: st.Equation, labels: st.Lookup, rank: int, rows: Text) -> list[str]:  # type: ignore[override]
        return [f"{s.name} = {self.zeros(s.index)}", f"np.add.at({s.name}, {labels.name}, {rows.code})"]
