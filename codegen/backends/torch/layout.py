"""How torch's kernels check, widen and cast their arguments."""

from __future__ import annotations

from codegen.backends.arrays.layout import Layout
from codegen.backends.torch.printer import TorchPrinter
from derive.language.axes import equal_axes

__all__ = ["TorchLayout"]


class TorchLayout(Layout):
    printer_class = TorchPrinter
    array = "tensor"
    imports = ("math",)

    def check(self) -> str:
        """The call that checks dtypes and shapes and returns the lengths of the axes."""
        spec = f"dict({self.specs(labels=False)})"
        if any(a.labels is not None for a in self.program.arguments):
            spec += f", dict({self.specs(labels=True)})"
        same = {a: first for a, first in sorted(equal_axes(self.op).items()) if a != first}
        extra = f", same={{{', '.join(f'{k!r}: {v!r}' for k, v in same.items())}}}" if same else ""
        extra = extra.replace("'", '"')
        return f"_lengths({spec}{extra})"

    def specs(self, *, labels: bool) -> str:
        chosen = [a for a in self.program.arguments if (a.labels is not None) == labels]
        return ", ".join(f'{a.name}=({a.name}, "{self.spec(a.axes)}")' for a in chosen)

    def spec(self, axes: tuple[str, ...]) -> str:
        return " ".join(f"*{a}" if a in self.op.stars else a for a in axes)

    def labels(self, name: str, check: str) -> str:
        return check

    def widens(self) -> bool:
        return True

    def wide(self, name: str) -> str:
        if self.program.accurate:
            return f"{name}.double()"
        self.helpers.add("_wide")
        return f"_wide({name})"

    def cast(self, code: str) -> str:
        return f"{code}.to({self.dtype_name})"

    def casts(self, output: bool) -> bool:
        return self.program.accurate or not self.is_forward or output

    def stored(self, name: str, index: tuple[str, ...]) -> str:
        """A saved tensor, in the precision of the computation; an accurate variant's float64 is cast back, however."""
        if self.program.accurate:
            return f"{self.result(name, index, False)}.to(torch.promote_types({self.dtype_name}, torch.float32))"
        return super().stored(name, index)
