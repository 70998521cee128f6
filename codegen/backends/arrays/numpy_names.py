"""The spellings that libraries with NumPy's names have in common; they differ in the name of the module."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.spelling import ATOM, call, method, quotient
from derive import syntax as st

__all__ = ["NumpyNames", "elementwise"]


def elementwise(module: str) -> dict[str, str]:
    """The spellings of the functions that such a module has; ``finite`` is a helper of the file."""
    own = "exp log tanh sinh cosh sin cos expm1 log1p floor ceil round power abs sign where".split()
    return {f: f"{module}.{f}" for f in own} | {"atan": f"{module}.arctan", "finite": "_finite"}


class NumpyNames(ArrayPrinter):
    #: The name of the module in the source.
    module: str

    def dtype(self) -> str:
        """The dtype of new arrays."""
        raise NotImplementedError

    def axis(self, tree: st.Read, position: int) -> int:
        """The axis at a position, counted from the end if ``*s``, whose rank is not known, stands before it."""
        return position - len(tree.index) if self.star in tree.index[:position] else position

    def transposed(self, text: Text, axes: tuple[str, ...], want: tuple[str, ...]) -> Text:
        if self.star in axes:
            source = [axes.index(i) - len(axes) for i in want if i != self.star]
            places = [k - len(source) for k in range(len(source))]
            return call(f"{self.module}.moveaxis", text, f"({', '.join(map(str, source))})", f"({', '.join(map(str, places))})")
        if len(axes) == 2:
            return Text(f"{text.within(ATOM)}.T")
        return call(f"{self.module}.transpose", text, f"({', '.join(str(axes.index(i)) for i in want)})")

    def swapped(self, text: Text, two: bool) -> Text:
        return Text(f"{text.within(ATOM)}.T") if two else call(f"{self.module}.swapaxes", text, "-1", "-2")

    def root(self, v: Value, positive: bool) -> Value:
        root = call(f"{self.module}.sqrt", v.text)
        return Value(root if positive else quotient(Text("1"), root), v.axes)

    def extreme(self, head: str, a: Value, b: Value, order: Sequence[str]) -> Value:
        return self.called(f"{self.module}.{head}", [a, b], order)

    def arange(self, length: str) -> str:
        return f"{self.module}.arange({length})"

    def as_number(self, text: Text) -> Text:
        return method(text, "astype", self.dtype())

    def tensordot(self, a: Text, b: Text, where: tuple[list[int], list[int]]) -> Text:
        return call(f"{self.module}.tensordot", a, b, f"axes=({where[0]}, {where[1]})")
