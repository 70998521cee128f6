"""How NumPy's kernels check, widen and cast their arguments."""

from __future__ import annotations

from codegen.backends.arrays.layout import Layout
from codegen.backends.numpy.printer import NumpyPrinter
from codegen.program import Argument

__all__ = ["NumpyLayout"]


class NumpyLayout(Layout):
    printer_class = NumpyPrinter

    def scalars(self) -> list[str]:
        like = next((a.name for a in self.floating() if a.axes), None)
        scalars = [a.name for a in self.floating() if not a.axes]
        if like is None:
            self.helpers |= {"_scalar", "_scalars"}
            given = ", ".join(f"{s}={s}" for s in scalars)
            return [f"{', '.join(scalars)}{',' * (len(scalars) == 1)} = _scalars({given})"]
        self.helpers |= {"_scalar"} if scalars else set()
        return [f'{s} = _scalar("{s}", {s}, {like}.dtype)' for s in scalars]

    def floating(self) -> list[Argument]:
        return sorted(super().floating(), key=lambda a: not a.axes) if self.program.accurate else super().floating()

    def wide(self, name: str) -> str:
        return f"{name}.astype(np.float64, copy=False)"

    def cast(self, code: str) -> str:
        return f"{code}.astype({self.dtype_name}, copy=False)"
