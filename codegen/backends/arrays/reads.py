"""How entries of tensors are read: diagonals, gathers, and conditions on indices."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.axes import merge
from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.operations import Operations
from codegen.backends.arrays.spelling import compared, item
from derive import syntax as st
from derive.errors import OpError

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Reads(Operations):
    """Spells reads and conditions on indices."""

    def read(self, tree: st.Read, order: Sequence[str]) -> Value:
        if any(isinstance(i, st.Lookup) for i in tree.index):
            return self.gather(tree, order)
        axes = tuple(str(i) for i in tree.index)
        if len(set(axes)) < len(axes):
            return self.diagonal(tree.name, axes)
        return self.number(tree.name) if tree.name in self.numbers else Value(Text(tree.name), axes)

    def number(self, name: str) -> Value:
        return Value(Text(name), number=True, far=self.numbers[name])

    def diagonal(self, name: str, axes: tuple[str, ...]) -> Value:
        out = tuple(dict.fromkeys(axes))
        letters = self.letters(out, "ijklmnopqrstuvwxyzabcdefghABCDEFGHIJKLMNOPQRSTUVWXYZ")
        spec = f"{''.join(letters[i] for i in axes)}->{''.join(letters[i] for i in out)}"
        return Value(self.einsum(spec, Text(name)), out)

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
        return Value(item(Text(tree.name), slots), wide)

    def is_simple(self, labels: st.Lookup) -> bool:
        """Whether labels are read at plain, distinct indices."""
        return all(isinstance(i, str) for i in labels.index) and len(set(labels.index)) == len(labels.index)

    def as_index(self, index: st.Index) -> Value:
        """An index as an integer array."""
        if isinstance(index, str):
            return Value(Text(self.arange(st.axis_of(index))), (index,))
        return self.read(st.Read(index.name, index.index), ())

    def indicator(self, match: st.Match, order: Sequence[str]) -> Value:
        a, b = self.as_index(match.left), self.as_index(match.right)
        if isinstance(match.left, str):
            a, b = b, a
        v = self.joined([a, b], lambda parts: compared(parts[0], match.rel, parts[1]), order)
        return Value(self.as_number(v.text), v.axes)
