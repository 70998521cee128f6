"""How torch's kernels check, widen and cast their arguments."""

from __future__ import annotations

from codegen.backends.arrays.layout import Layout
from codegen.backends.torch.printer import TorchPrinter
from derive import syntax as st
from derive.language.axes import equal_axes

__all__ = ["TorchLayout"]


class TorchLayout(Layout):
    printer_class = TorchPrinter
    array = "tensor"
    imports = ("itertools", "math")
    casts_none = True

    def check(self) -> str:
        """The call that checks dtypes and shapes and returns the lengths of the axes."""
        spec = f"dict({self.specs(labels=False)})"
        if any(a.labels is not None for a in self.program.arguments):
            spec += f", dict({self.specs(labels=True)})"
        same = {a: first for a, first in sorted(equal_axes(self.op).items()) if a != first}
        extra = f", same={{{', '.join(f'{k!r}: {v!r}' for k, v in same.items())}}}" if same else ""
        extra = extra.replace("'", '"')
        truths = [a.name for a in self.program.arguments if a.labels == st.TRUTH]
        extra += f", truths=({', '.join(map(repr, truths))},)".replace("'", '"') if truths else ""
        given = f", given=dict({', '.join(self.given())})" if self.given() else ""
        return f"_lengths({spec}{extra}{given})"

    def specs(self, *, labels: bool) -> str:
        chosen = [a for a in self.program.arguments if (a.labels is not None) == labels]
        axes = {a.name: " ".join(self.slots(a)) for a in chosen}
        return ", ".join(f'{name}=({name}, "{own}")' for name, own in axes.items())

    def widens(self) -> bool:
        return True

    def wide(self, name: str) -> str:
        if self.program.accurate:
            return f"{name}.double()"
        self.helpers.add("_wide")
        return f"_wide({name})"

    def cast(self, code: str) -> str:
        self.helpers.add("_narrow")
        return f"_narrow({code}, {self.dtype_name})"

    def casts(self, output: bool) -> bool:
        return self.program.accurate or not self.is_forward or output

    def stored(self, name: str, index: tuple[str, ...]) -> str:
        """A saved tensor, in the precision of the computation; an accurate variant's float64 is cast back, however."""
        if self.program.accurate:
            self.helpers.add("_narrow")
            return f"_narrow({self.result(name, index, False)}, torch.promote_types({self.dtype_name}, torch.float32))"
        return super().stored(name, index)
