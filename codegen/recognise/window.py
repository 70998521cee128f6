"""Recognise a reduction under equality rows: ``sum[c, k, l](where(l - 2*i - k + pad == 0, x[c, l]*W[c, k], 0))``.

Such a row makes one index a function of the others, ``l = 2*i + (k - pad)``: whoever loops over ``i`` and ``k`` needs neither a
loop over ``l`` nor a test. For each value of the short index ``k``, the elements of ``x`` are a strided slice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, permutations

from derive import syntax as st
from derive.syntax import on_indices
from derive.terms.comparisons import form_of, tree_of
from derive.terms.forms import Form, combined

ONE = st.Num(Fraction(1))

__all__ = ["Slide", "Window", "at_most_0", "slid_constants"]


@dataclass(frozen=True)
class Slide:
    """One equality row solved: ``inner = step*outer + start``, where ``start`` depends on the indices ``taps`` only.

    ``inner`` and ``outer`` are the two longest indices of the row. ``step`` is a positive number, or such a number times
    constants of the op. If ``on_tap``, ``outer`` is a short index, and the long one the first of ``taps``.
    """

    inner: str
    outer: str
    step: st.Tree
    start: st.Tree
    taps: tuple[str, ...]
    on_tap: bool = False

    def along_inner(self) -> Slide | None:
        """The same row solved for the outer index; None where its coefficient is not 1."""
        return Slide(self.outer, self.inner, self.step, st.Neg(self.start), self.taps) if self.step == ONE else None

    def along_tap(self) -> Slide | None:
        """The same row at one outer index, solved along a tap that moves the inner index by 1; None where there is none."""
        along, start = (form_of(tree) for tree in (st.Mul((self.step, st.Position(self.outer))), self.start))
        if along is None or start is None:
            return None
        tap = next((k for k in self.taps if _coefficient(start, k) == combined([], 1)), None)
        if tap is None:
            return None
        rest = combined([(part, c) for part, c in start.parts if part.index != tap], start.offset)
        others = tuple(k for k in self.taps if k != tap)
        return Slide(self.inner, tap, ONE, tree_of(along.plus(rest)), (self.outer, *others), on_tap=True)

    @property
    def indices(self) -> tuple[str, ...]:
        return (self.inner, self.outer, *self.taps)


@dataclass(frozen=True)
class Window:
    """``kind[index](body)`` over the points at which all slides hold."""

    kind: str
    index: tuple[str, ...]
    slides: tuple[Slide, ...]
    body: st.Tree

    @property
    def taps(self) -> tuple[str, ...]:
        """The short indices, each once."""
        return tuple(dict.fromkeys(k for s in self.slides for k in s.taps))

    @staticmethod
    def of(tree: st.Tree, ranked: Sequence[str], around: Collection[str] = ()) -> Window | None:
        """The parts; None where the tree is something else.

        ``ranked`` are the axes, the longest first. ``around`` are indices that are known around the tree: no index of the
        window is called like one.
        """
        if not isinstance(tree, st.Reduce) or tree.kind not in ("sum", "max", "min") or not _has_row(tree):
            return None
        gathered = _Gathered(tree, around)
        gathered.band()
        found = _slides(gathered.rows, ranked)
        if found is None:
            return None
        slides, others = found
        rest = gathered.rest
        for row in others:
            rest = st.Call("where", (row, rest, st.NEUTRAL[tree.kind]))
        window = Window(tree.kind, tuple(gathered.index), slides, rest)
        return window if _plain(window, set(st.free_indices(tree))) else None


def slid_constants(trees: Sequence[st.Tree], ranked: Sequence[str], *, steps: bool = False) -> frozenset[str]:
    """The constants of the op on which the slides in expressions depend, or only their ``steps``: they are whole numbers."""
    windows = (w for tree in trees for n in st.walk(tree) if (w := Window.of(n, ranked)))
    parts = (part for w in windows for s in w.slides for part in ((s.step,) if steps else (s.step, s.start)))
    return frozenset(name for part in parts for name in st.reads(part))


# ---- rows ------------------------------------------------------------------------------------------------------------------


def _has_row(tree: st.Tree) -> bool:
    """Whether there is an equality row, or an inequality that a length bounds."""
    rows = (n for n in st.walk(tree) if isinstance(n, st.Compare) and on_indices(n))
    return any(row.rel == "==" or any(isinstance(n, st.Size) for n in st.walk(row)) for row in rows)


class _Gathered:
    """A reduction with what is nested in it: its indices, the rows of its terms, and the factors of the rest.

    A sum inside the sum is a part of it where it stands alone, or where rows leave it one term at most.
    """

    def __init__(self, tree: st.Reduce, around: Collection[str]):
        self.kind, self.free = tree.kind, {*st.free_indices(tree), *around}
        self.index, self.rows, self.factors = list(tree.index), list[st.Compare](), list[st.Tree]()
        self.divisors = list[st.Tree]()
        self.term(tree.body, alone=True)

    @property
    def rest(self) -> st.Tree:
        """A term where its rows hold."""
        above = st.product(tuple(self.factors) or (ONE,))
        return st.Div(above, st.product(tuple(self.divisors))) if self.divisors else above

    def term(self, tree: st.Tree, *, alone: bool) -> None:
        match tree:
            case st.Call("where", (st.Compare() as row, body, other)) if self.is_row(row) and other == st.NEUTRAL[self.kind]:
                self.rows.append(row)
                self.term(body, alone=alone)
            case st.Indicator(st.Compare() as row) if self.kind == "sum" and self.is_row(row):
                self.rows.append(row)
            case st.Mul(args) if self.kind == "sum":
                for a in args:
                    self.term(a, alone=False)
            case st.Div(a, b) if self.kind == "sum":
                self.divisors.append(b)
                self.term(a, alone=False)
            case st.Reduce(kind, index, body) if kind == self.kind and (alone or self.single(tree)):
                to = {i: st.fresh_index(i, {*self.index, *self.free, *index} - {i}) for i in index}
                self.index += to.values()
                self.term(st.rename(body, dict(to)), alone=alone)
            case _:
                self.factors.append(tree)

    @staticmethod
    def is_row(row: st.Compare) -> bool:
        return on_indices(row) and _form(row) is not None

    def single(self, tree: st.Reduce) -> bool:
        """Whether rows leave a reduction at most one term that is not 0."""
        rows = [row for row in self.conditions(tree.body) if row.rel == "==" and self.is_row(row)]
        held = [{p.index for p, _ in form.parts} for row in rows if (form := _form(row)) is not None]
        return len(held) >= len(tree.index) and all(any(i in h for h in held) for i in tree.index)

    def band(self) -> None:
        """Replace two rows ``0 <= form`` and ``form < size(k)`` by ``form == k``, with an index ``k`` more.

        The window of a pooling is such a band where no tensor has the axis ``k``.
        """
        for low, high in permutations(self.rows, 2):
            below, above = at_most_0(low), at_most_0(high)
            total = below.plus(above) if below and above else None
            axis = _length(total) if total is not None and total.offset == 1 else None
            if below and axis is not None and len(set(below.indices())) > 1 and f"#{axis}" not in _symbols(below):
                tap = st.fresh_index(axis, {*self.index, *self.free})
                self.index.append(tap)
                self.rows = [row for row in self.rows if row not in (low, high)]
                self.rows.append(st.Compare("==", tree_of(below.scaled(-1)), st.Position(tap)))
                return self.band()

    def conditions(self, body: st.Tree) -> Iterator[st.Compare]:
        """The conditions without which a term of a reduction does not count."""
        match body:
            case st.Call("where", (st.Compare() as row, inner, other)) if other == st.NEUTRAL[self.kind]:
                yield row
                yield from self.conditions(inner)
            case st.Indicator(st.Compare() as row):
                yield row


def _symbols(form: Form) -> set[str]:
    return {s for part, _ in form.parts for s in part.symbols}


def _form(row: st.Compare) -> Form | None:
    """A row as ``form rel 0``; None where it is not affine in plain indices."""
    left, right = form_of(row.left), form_of(row.right)
    if left is None or right is None:
        return None
    form = left.plus(right.scaled(-1))
    return form if all(isinstance(i, str) for i in form.indices()) else None


def at_most_0(row: st.Compare) -> Form | None:
    """The form that an inequality says is at most 0; None for another row."""
    form = _form(row)
    if form is None or row.rel not in ("<=", "<", ">=", ">"):
        return None
    least = form if row.rel[0] == "<" else form.scaled(-1)
    return least if row.rel[1:] else least.plus(1)


def _length(form: Form) -> str | None:
    """The axis whose length is subtracted from a number in a form; None for any other form."""
    match form.parts:
        case ((part, -1),) if part.index is None and len(part.symbols) == 1 and part.symbols[0][:1] == "#":
            return part.symbols[0][1:]
    return None


def _slides(rows: Sequence[st.Compare], ranked: Sequence[str]) -> tuple[tuple[Slide, ...], list[st.Compare]] | None:
    """The equality rows solved, and the other rows; None where there is no equality row, or one has no solution."""
    slides: list[Slide] = []
    for row in dict.fromkeys(r for r in rows if r.rel == "=="):
        form = _form(row)
        slide = next(_solved(form, ranked), None) if form is not None else None
        if slide is None:
            return None
        slides.append(slide)
    ends = [i for s in slides for i in (s.inner, s.outer)]
    apart = len(set(ends)) == len(ends) and not any(k in ends for s in slides for k in s.taps)
    return (tuple(slides), [r for r in dict.fromkeys(rows) if r.rel != "=="]) if slides and apart else None


def _solved(form: Form, ranked: Sequence[str]) -> Iterator[Slide]:
    """The solutions of ``form = 0`` for an index with coefficient 1 or -1, those with the longest indices first."""
    places = {a: k for k, a in enumerate(ranked)}
    indices = sorted({str(i) for i in form.indices()}, key=lambda i: (places.get(st.axis_of(i), len(places)), i))
    for pair in combinations(indices, 2):
        solved = [found for inner, outer in (pair, pair[::-1]) if (found := _along(form, inner, outer)) is not None]
        for inner, outer, step, start in sorted(solved, key=lambda found: _falling(found[3])):
            yield Slide(inner, outer, tree_of(step), tree_of(start), tuple(i for i in indices if i not in pair))


def _along(form: Form, inner: str, outer: str) -> tuple[str, str, Form, Form] | None:
    """``form = 0`` as ``inner = step*outer + start``; None where the coefficients do not allow it."""
    own, along = (_coefficient(form, i) for i in (inner, outer))
    if own not in (combined([], 1), combined([], -1)):
        return None
    step = along.scaled(-own.offset)
    if len(step.parts) + bool(step.offset) != 1 or (step.offset or step.parts[0][1]) < 0:
        return None
    start = combined([(p, c) for p, c in form.parts if p.index not in (inner, outer)], form.offset)
    return inner, outer, step, start.scaled(-own.offset)


def _falling(start: Form) -> int:
    """In how many of its indices a form falls: an element moves with the window, not against it."""
    return sum(c < 0 for p, c in start.parts if p.index is not None)


def _coefficient(form: Form, index: str) -> Form:
    """The factor of an index in a form."""
    found = [(p._replace(index=None), c) for p, c in form.parts if p.index == index]
    return combined(found, 0)


# ---- what an array backend can slice ---------------------------------------------------------------------------------------


def _plain(window: Window, free: set[str]) -> bool:
    """Whether the body depends on the indices of slides only through reads at them, and on no two of one slide at once."""
    slid = {i for s in window.slides for i in s.indices}
    pairs = [{s.inner, s.outer} for s in window.slides]
    if any(pair <= free for pair in pairs):
        return False
    for node in st.walk(window.body):
        match node:
            case st.Read(_, index):
                inside = [i for i in index if isinstance(i, str)]
                looked = {n for i in index if not isinstance(i, str) for n in st.index_names(i)}
                if looked & slid or any(pair <= set(inside) for pair in pairs) or len(set(inside)) < len(inside):
                    return False
            case st.Position(slot) if slid & set(st.index_names(slot)):
                return False
            case st.Match(left, right) if slid & {n for i in (left, right) for n in st.index_names(i)}:
                return False
            case st.Reduce(_, index, _) if slid & set(index):
                return False
    read = set(st.free_indices(window.body))
    return all(pair & free or pair & read for pair in pairs)
