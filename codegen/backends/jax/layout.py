"""How JAX's kernels check, widen and cast their arguments."""

from __future__ import annotations

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.layout import Layout
from codegen.backends.arrays.windows import static_constants
from codegen.backends.jax.printer import JaxPrinter

__all__ = ["JaxLayout"]


class JaxLayout(Layout):
    printer: JaxPrinter
    printer_class = JaxPrinter
    array = "array"

    def scalars(self) -> list[str]:
        scalars = [a.name for a in self.floating() if not a.axes]
        like = [f"{a.name}.dtype" for a in self.floating() if a.axes][:1]
        self.helpers |= {"_scalar"} if scalars else set()
        return [f"{name} = _scalar({', '.join((f'{name!r}', name, *like))})".replace("'", '"') for name in scalars]

    def constants(self) -> list[str]:
        """The lines that make constants arrays without axes.

        Such constants may be traced, and operations that Python refuses for numbers, such as 1/0, have a value.
        """
        static = self.op.length_constants | static_constants(self.kernel)
        names = [c.name for c in self.program.constants if c.name not in static]
        return [f"{name} = {self.printer.typed(Value(Text(name), number=True)).code}" for name in names]

    def widens(self) -> bool:
        return True

    def wide(self, name: str) -> str:
        helper = "_widest" if self.program.accurate else "_wide"
        self.helpers.add(helper)
        return f"{helper}({name})"

    def cast(self, code: str) -> str:
        return f"{code}.astype({self.dtype_name})"

    def result(self, name: str, index: tuple[str, ...], cast: bool) -> str:
        if name in self.printer.untyped:
            return f"jnp.asarray({name}, {self.dtype_name})"
        return super().result(name, index, cast)

    def casts(self, output: bool) -> bool:
        return self.program.accurate or not self.is_forward or output
