"""What printers of array expressions share: alignment by axis names, and the operations that each backend spells itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from codegen.axes import merge
from codegen.backends.arrays.axes import Kept, Text, Value, aligned, positions, star_first
from codegen.backends.arrays.spelling import call, item, method
from codegen.packing import APART, Repacked
from codegen.program import Loop, Program, Statement
from codegen.recognise.one_hot import OneHot
from codegen.recognise.running import Running
from codegen.recognise.scatter import Scatter
from derive import syntax as st
from derive.errors import OpError


class Operations:
    """Spells the expressions of one program; collects the axis lengths and helpers that the source needs."""

    functions: dict[str, str] = {}

    def __init__(self, program: Program, copies: frozenset[str] = frozenset(), kernel: bool = False, held: Repacked = APART):
        """``copies`` are the names whose arrays would be aliases of others, and are copied. ``held`` says what is held packed.

        ``kernel`` code has to take any lengths, 0 included. Without it, the code of an exercise divides by a length as one
        does by hand.
        """
        self.program, self.copies, self.kernel, self.held = program, copies, kernel, held
        #: The axis that stands for any number of axes; "" where there is none, or it was collapsed to a single axis.
        self.star = program.star if program.star and not program.collapsed else ""
        self.lengths: dict[str, None] = {}
        self.helpers: dict[str, None] = {}
        #: The names that are Python numbers, each with whether it may lie beyond the range of float32. They are the constants,
        #: and names that are computed from constants alone.
        self.numbers: dict[str, bool] = {c.name: True for c in program.constants}
        #: The names of labels as the caller gave them, where others stand for those that are not looked up.
        self.given: dict[str, str] = {}
        #: Local variables for conditions on positions.
        self.masks: dict[st.Tree, Value] = {}
        #: Inside a loop over the short indices of a window: their variables, and the source of tensors at slices, by an alias.
        self.taps: dict[str, str] = {}
        self.sliced: dict[str, Text] = {}
        #: The axes of which slices have only a part, so that no shape is said by their lengths; the length of each part.
        self.partial: dict[str, str] = {}
        #: One axis for all axes of one length.
        self.equal: Mapping[str, str] = {}
        #: A name for a local variable.
        self.local: Callable[[str], str] = str
        #: The names so far whose arrays the kernel made and that nothing else refers to: they may be written over.
        self.owned: set[str] = set()
        #: The boolean tensors.
        self.truths = frozenset(a.name for a in program.arguments if a.labels == st.TRUTH)

    def value(self, tree: st.Tree, order: Sequence[str]) -> Value:
        """The source of an expression; ``order`` is the order of axes where operands with different axes are joined."""
        raise NotImplementedError

    def mask(self, condition: st.Compare, order: Sequence[str]) -> Iterator[str]:
        """The line that computes a condition on positions into a variable, if no earlier line has."""
        if condition not in self.masks:
            value, count = self.value(condition, order), len(self.masks)
            name = self.local(f"mask{count + 1}" if count else "mask")
            self.masks[condition] = Value(Text(name), value.axes)
            yield f"{name} = {value.text.code}"

    # ---- alignment -------------------------------------------------------------------------------------------------

    def union(self, values: Sequence[Value], order: Sequence[str]) -> tuple[str, ...]:
        rows = [v.axes for v in values]
        known = tuple(i for i in order if any(i in r for r in rows))
        return star_first(merge([known, *rows]), self.star)

    def fit(self, value: Value, axes: Sequence[str]) -> Text:
        if tuple(a for a in axes if a in value.axes) != value.axes:
            value = self.ordered(value, axes)
        return aligned(value, axes, self.star)

    def ordered(self, value: Value, order: Sequence[str]) -> Value:
        """The value with its axes transposed to ``order``."""
        want = tuple(i for i in order if i in value.axes)
        return value if want == value.axes else Value(self.transposed(value.text, value.axes, want), want)

    def joined(self, values: Sequence[Value], join: Callable[[list[Text]], Text], order: Sequence[str]) -> Value:
        """An elementwise operation on values, which are aligned first."""
        axes = self.union(values, order)
        parts = [self.fit(v, axes) for v in values]
        return Value(join(parts), axes, self.kept(values, parts, join), *_numbers(values))

    def kept(self, values: Sequence[Value], parts: list[Text], join: Callable[[list[Text]], Text]) -> Kept | None:
        """The result with reduced axes kept: possible for an operation on one reduction and scalars, else None."""
        reduced = [k for k, v in enumerate(values) if v.axes or v.kept]
        kept = values[reduced[0]].kept if len(reduced) == 1 else None
        if kept is None:
            return None
        return Kept(join([kept.text if k == reduced[0] else p for k, p in enumerate(parts)]), kept.layout)

    def called(self, function: str, values: Sequence[Value], order: Sequence[str]) -> Value:
        axes = self.union(values, order)
        return Value(call(function, *(self.fit(v, axes) for v in values)), axes)

    # ---- names and lengths -----------------------------------------------------------------------------------------

    def function(self, head: str) -> str:
        """The spelling of a function. A spelling that begins with an underscore names a helper of the file."""
        if head not in self.functions:
            where = f"{type(self).__name__}.functions"
            raise OpError(f"'{head}' has no spelling here; add it to {where}", op=self.program.name)
        name = self.functions[head]
        if name.startswith("_"):
            self.helpers[name] = None
        return name

    def length(self, index: str) -> str:
        """The length of an index' axis. For ``*s``, unless it was collapsed, the tuple of its lengths."""
        axis = st.axis_of(index)
        if axis in self.held.joined:
            return self.product(self.held.joined[axis])
        self.lengths[axis] = None
        return axis

    def product(self, axes: Iterable[str]) -> str:
        """The length of axes that are packed."""
        return " * ".join(map(self.length, axes))

    def reshaped(self, text: Text, name: str, index: tuple[st.Index, ...]) -> Text:
        """A tensor or its values with the axes packed as in the index."""
        slots = self.held.of_width(name, index)
        return method(text, "reshape", *(f"*{self.length(*s)}" if s == (self.star,) else self.product(s) for s in slots))

    def tensor(self, read: st.Read) -> Text:
        """A tensor with the axes that a read has: as it is held, or with other axes packed."""
        text = self.sliced.get(read.name) or Text(read.name)
        return self.reshaped(text, read.name, read.index) if self.held.apart(read.name, read.index) else text

    def dimensions(self, index: Sequence[str]) -> list[str]:
        """The lengths of axes as the elements of a tuple."""
        return [f"*{self.length(i)}" if i == self.star else self.length(i) for i in index]

    def shape(self, index: Sequence[str]) -> str:
        if list(index) == [self.star]:
            return self.length(self.star)
        lengths = self.dimensions(index)
        return f"({lengths[0]},)" if len(lengths) == 1 else f"({', '.join(lengths)})"

    def like(self) -> str:
        """A floating-point argument whose dtype new arrays take, "" if there is none."""
        floating = [a for a in self.program.arguments if a.labels is None]
        return next((a.name for a in sorted(floating, key=lambda a: not a.axes)), "")

    # ---- what each backend spells ----------------------------------------------------------------------------------

    def zeros(self, index: tuple[str, ...]) -> str:
        raise NotImplementedError

    def full(self, number: Value, index: tuple[str, ...]) -> Text:
        """An array over these axes, filled with one number."""
        raise NotImplementedError

    def spread(self, text: Text, index: tuple[str, ...]) -> str:
        """A new array over these axes from a value that broadcasts to them."""
        raise NotImplementedError

    def copied(self, text: Text) -> Text:
        """A copy of an array."""
        raise NotImplementedError

    def correction(self, s: Statement, hot: OneHot, amount: Value) -> list[str]:
        raise NotImplementedError

    def scatter_add(self, scatter: Scatter, rest: tuple[str, ...], rows: Text) -> Text:
        """The array over the target and ``rest`` of the sums of rows. ``rows`` has the axes of the labels, then ``rest``."""
        raise NotImplementedError

    def transposed(self, text: Text, axes: tuple[str, ...], want: tuple[str, ...]) -> Text:
        raise NotImplementedError

    def swapped(self, text: Text, two: bool) -> Text:
        """The last two axes swapped; ``two`` says that there are no others."""
        raise NotImplementedError

    def picked(self, tree: st.Read, position: int, labels: str) -> Text:
        """The entries of a tensor that ``labels`` select on the axis at ``position``."""
        raise NotImplementedError

    def entries(self, tensor: Text, places: Sequence[str]) -> Text:
        """The entries of a tensor at places that are given on every axis."""
        return item(tensor, places)

    def root(self, v: Value, positive: bool) -> Value:
        """The square root of an array; unless ``positive``, the inverse of the root."""
        raise NotImplementedError

    def extreme(self, head: str, a: Value, b: Value, order: Sequence[str]) -> Value:
        raise NotImplementedError

    def arange(self, length: str) -> str:
        """The positions of an axis of that length."""
        raise NotImplementedError

    def as_number(self, text: Text) -> Text:
        """A condition as 0 and 1 of the op's dtype."""
        raise NotImplementedError

    def typed(self, number: Value) -> Text:
        """A Python number as an array without axes, of the op's dtype."""
        raise NotImplementedError

    def reduced(self, kind: str, body: Value, axis: str | None, keep: bool) -> Text:
        raise NotImplementedError

    def running(self, text: Text, axis: str, found: Running) -> Text:
        """The cumulative sum or product of an array along an axis, whose number is given as text; each position takes part."""
        raise NotImplementedError

    def accumulated(self, name: str, slots: Sequence[str], kind: str, term: Text) -> str:
        """The line that combines a term with the part of a tensor at slots, as a reduction of the kind combines its terms."""
        raise NotImplementedError

    def place(self, axis: str, index: Sequence[str]) -> int:
        """The number of an axis, from the end where any number of axes may stand before it."""
        (place,) = positions((axis,), index, self.star)
        return place

    def concatenated(self, parts: Sequence[Text], axis: int) -> Text:
        """Arrays one after the other along an axis."""
        raise NotImplementedError

    def opened(self, s: Statement) -> str:
        """The line before a loop over steps that makes room for what every step stores of a statement."""
        raise NotImplementedError

    def stored(self, s: Statement, value: str, slots: Sequence[str]) -> str:
        """The line by which one step stores its value."""
        raise NotImplementedError

    def closed(self, s: Statement, loop: Loop) -> str:
        """The line behind the loop that makes a tensor of what the steps stored; "" where it is one already."""
        raise NotImplementedError

    def einsum(self, spec: str, *operands: Text) -> Text:
        raise NotImplementedError

    def tensordot(self, a: Text, b: Text, where: tuple[list[int], list[int]]) -> Text:
        raise NotImplementedError


def _numbers(values: Sequence[Value]) -> tuple[bool, bool]:
    """Whether an operation on the values gives a number, and whether one that may lie beyond the range of float32."""
    number = all(v.number for v in values)
    return number, number and any(v.far for v in values)
