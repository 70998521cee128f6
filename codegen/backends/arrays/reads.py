"""How entries of tensors are read: diagonals, gathers, and conditions on indices."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from codegen.axes import merge
from codegen.backends.arrays.axes import NEG, Text, Value
from codegen.backends.arrays.operations import Operations
from codegen.backends.arrays.spelling import compared
from codegen.program import Argument
from derive import syntax as st
from derive.errors import OpError
from derive.syntax import on_indices

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Reads(Operations):
    """Spells reads and conditions on indices."""

    def read(self, tree: st.Read | st.Position, order: Sequence[str]) -> Value:
        if isinstance(tree, st.Position):
            return self.position(tree.index, order)
        if any(isinstance(i, st.Lookup) for i in tree.index):
            return self.gather(tree, order)
        axes = tuple(str(i) for i in tree.index)
        if len(set(axes)) < len(axes):
            return self.diagonal(self.tensor(tree), axes)
        return self.number(tree.name) if tree.name in self.numbers else Value(self.tensor(tree), axes)

    def number(self, name: str) -> Value:
        return Value(Text(name), number=True, far=self.numbers[name])

    def diagonal(self, tensor: Text, axes: tuple[str, ...]) -> Value:
        out = tuple(dict.fromkeys(axes))
        letters = self.letters(out, "ijklmnopqrstuvwxyzabcdefghABCDEFGHIJKLMNOPQRSTUVWXYZ")
        spec = f"{''.join(letters[i] for i in axes)}->{''.join(letters[i] for i in out)}"
        return Value(self.einsum(spec, tensor), out)

    def letters(self, axes: Sequence[str], alphabet: str = LETTERS) -> dict[str, str]:
        """A letter for every axis of an einsum (OpError if there are more axes than letters)."""
        plain = [i for i in dict.fromkeys(axes) if i != self.star]
        if len(plain) > len(alphabet):
            raise OpError(f"an einsum has letters for {len(alphabet)} axes, not for {len(plain)}", op=self.program.name)
        return dict(zip(plain, alphabet, strict=False)) | {self.star: "..."}

    def gather(self, tree: st.Read, order: Sequence[str]) -> Value:
        """``table[t[s], d]`` as ``table[t]``, ``z[n, t[n]]`` as ``z[arange(n), t]``."""
        labels: list[st.Lookup] = [i for i in tree.index if isinstance(i, st.Lookup)]
        plain = [str(i) for i in tree.index if isinstance(i, str)]
        used = {n for i in labels for n in st.index_names(i)}
        if len(labels) == 1 and not used & set(plain) and self.is_simple(labels[0]) and len(set(plain)) == len(plain):
            position = tree.index.index(labels[0])
            before, after = plain[:position], plain[position:]
            axes = (*before, *[str(i) for i in labels[0].index], *after)
            return Value(self.picked(tree, position, labels[0].name), axes)
        wide = merge([tuple(i for i in order if i in used | set(plain)), *(tuple(st.index_names(i)) for i in tree.index)])
        slots = [self.fit(self.as_index(i), wide).code for i in tree.index]
        return Value(self.entries(self.tensor(tree), slots), wide)

    def is_simple(self, labels: st.Lookup) -> bool:
        """Whether labels are read at plain, distinct indices, and are held with these axes."""
        if self.held.apart(labels.name, labels.index):
            return False
        return all(isinstance(i, str) for i in labels.index) and len(set(labels.index)) == len(labels.index)

    def as_index(self, index: st.Index) -> Value:
        """An index as an integer array."""
        if isinstance(index, str):
            return Value(Text(self.arange(self.partial.get(index) or self.length(st.axis_of(index)))), (index,))
        return self.read(st.Read(index.name, index.index), ())

    def looked_up(self, given: str, a: Argument) -> str:
        """The source of the labels that are looked up: those ``given``, and 0 where no guard of the argument holds."""
        cases = [" & ".join(f"({self.value(row, a.axes).code})" for row in rows) for rows in a.guards]
        holds = cases[0][1:-1] if len(cases) == len(a.guards[0]) == 1 else " | ".join(cases)
        return f"{self.function('where')}({holds}, {given}, 0)"

    def position(self, index: st.Index, order: Sequence[str]) -> Value:
        """The whole number that an index is: a label as the caller gave it, or the variable of a loop."""
        if index in self.taps:
            return Value(Text(self.taps[str(index)]), number=True)
        if isinstance(index, str):
            return self.as_index(index)
        return self.read(st.Read(self.given.get(index.name, index.name), index.index), order)

    def compared(self, c: st.Compare, order: Sequence[str]) -> Value:
        """Where a comparison holds, as a mask; an element of a boolean tensor is one."""
        if c in self.masks:
            return self.masks[c]
        match c:
            case st.Compare("!=" | "==" as rel, st.Position(st.Lookup(name) as index), st.Num(Fraction(numerator=0))):
                if name in self.truths:
                    truth = self.position(index, order)
                    return truth if rel == "!=" else truth._replace(text=Text(f"~{truth.text.within(NEG)}", NEG), kept=None)
        values = [self.value(c.left, order), self.value(c.right, order)]
        if not on_indices(c):
            values = self.floating(values)
        return self.joined(values, lambda parts: compared(parts[0], c.rel, parts[1]), order)

    def floating(self, values: list[Value]) -> list[Value]:
        """The operands, of which at least one is made an array: a number of any size then has a value in the op's dtype."""
        if not all(v.number for v in values):
            return values
        return [Value(self.typed(values[0])), *values[1:]]

    def indicator(self, match: st.Match, order: Sequence[str]) -> Value:
        """Where two indices match, as numbers 1 and 0."""
        v = self.matched(match, order)
        return Value(self.as_number(v.text), v.axes)

    def matched(self, match: st.Match, order: Sequence[str]) -> Value:
        """Where two indices match, as a mask."""
        a, b = self.as_index(match.left), self.as_index(match.right)
        if isinstance(match.left, str):
            a, b = b, a
        return self.joined([a, b], lambda parts: compared(parts[0], match.rel, parts[1]), order)
