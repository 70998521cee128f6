"""What is written by hand otherwise than in a kernel, in any array library: an entry of each row is assigned to."""

from __future__ import annotations

from codegen.backends.arrays.axes import Text
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.spelling import item
from codegen.program import Statement
from codegen.recognise.labelled import Labelled

__all__ = ["ByHand"]


class ByHand(ArrayPrinter):
    """Spells statements as a person does who need not care for second derivatives or batches of batches."""

    def statement(self, s: Statement) -> list[str]:
        return self.assigned(s) or super().statement(s)

    def assigned(self, s: Statement) -> list[str] | None:
        """``k*[c = t[n]]`` as zeros in which ``dz[range(n), t]`` is set; None for another statement."""
        found = Labelled.of(s.tree, s.index)
        if found is None:
            return None
        rows = tuple(i for i in s.index if i != found.target)
        amount = self.fit(self.value(found.amount, rows), rows)
        if len(rows) == 1:
            slots = [found.labels.name if i == found.target else f"range({self.length(i)})" for i in s.index]
        else:
            slots = [self.fit(self.as_index(found.labels if i == found.target else i), rows).code for i in s.index]
        return [f"{s.name} = {self.zeros(s.index)}", f"{item(Text(s.name), slots).code} = {amount.code}"]
