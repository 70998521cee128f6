"""NumPy as one writes it by hand: methods in place of helpers, which float64 does not need to be accurate."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.by_hand import ByHand
from codegen.backends.arrays.spelling import method
from codegen.backends.numpy.printer import NumpyPrinter
from codegen.program import Statement
from codegen.recognise.scatter import Scatter
from derive import syntax as st

__all__ = ["PlainNumpy"]


class PlainNumpy(ByHand, NumpyPrinter):
    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> Text:
        place = [*([] if axis is None else [f"axis={axis}"]), *(["keepdims=True"] if keep else [])]
        return method(body.text, kind, *place)

    def dot(self, tree: st.Reduce, order: Sequence[str]) -> Value | None:
        return None

    def statement(self, s: Statement) -> list[str]:
        scatter = Scatter.of(s.tree) if isinstance(s.tree, st.Reduce) else None
        moved = self.held.apart(s.name, s.index) or (scatter and self.held.apart(scatter.labels.name, scatter.labels.index))
        if scatter is None or moved or scatter.target != s.index[0]:
            return super().statement(s)
        order = (*map(str, scatter.labels.index), *s.index[1:])
        rows = self.fit(self.value(scatter.body, order), order)
        return [f"{s.name} = {self.zeros(s.index)}", f"np.add.at({s.name}, {scatter.labels.name}, {rows.code})"]
