"""A program's statements taken apart for loops: no reduction inside an expression, one-hot rows as corrections.

Every reduction becomes a statement of its own, named after what it reduces; equal reductions are computed once. A contraction
becomes a matrix product. A sum that adds rows by their labels becomes a scatter-add.
"""

from __future__ import annotations

from collections import Counter

from codegen.axes import merge, natural_order
from codegen.loops.assignment import (
    Assignment,
    Elementwise,
    EntryUpdate,
    Fold,
    Kind,
    MatrixProduct,
    Reduction,
    RunningSum,
    ScatterAdd,
)
from codegen.loops.convolution import window_product
from codegen.loops.matrix import matrix_axes
from codegen.loops.trees import product
from codegen.program import Program, Role, Statement
from codegen.recognise.contraction import Contraction
from codegen.recognise.one_hot import OneHot
from codegen.recognise.rows import Row, Support, ordered, rows_of, support, under
from codegen.recognise.running import Running
from codegen.recognise.scatter import Scatter
from codegen.recognise.window import Slide, Window
from derive import syntax as st
from derive.renaming import fresh_name


def flatten(program: Program) -> tuple[Assignment, ...]:
    """The program's statements in loop form; each comes after the statements whose values it reads."""
    flattening = _Flattening(program)
    for s in program.statements:
        flattening.statement(s)
    return tuple(flattening.out)


def given_support(program: Program) -> dict[str, Support]:
    """Where saved tensors are 0."""
    return {a.name: (a.axes, frozenset(row for c in a.support if (row := Row.of(c)))) for a in program.arguments if a.support}


def taken(program: Program) -> set[str]:
    """The names of a program's tensors, constants and axes."""
    axes = {i for a in program.arguments for i in a.axes} | {i for s in program.statements for i in s.index}
    tensors = {a.name for a in program.arguments} | {s.name for s in program.statements}
    return tensors | {c.name for c in program.constants} | axes


class _Flattening:
    def __init__(self, program: Program):
        rows = [a.axes for a in program.arguments] + [s.index for s in program.statements]
        self.ranked, self.equal = program.ranked, dict(program.equal)
        self.places = {a: k for k, a in enumerate(merge(sorted(rows, key=len, reverse=True)))}
        self.out: list[Assignment] = []
        self.taken = taken(program)
        self.known: dict[tuple[str, tuple[str, ...], st.Tree], Assignment] = {}
        self.support = given_support(program)

    # ---- statements ------------------------------------------------------------------------------------------------

    def statement(self, s: Statement) -> None:
        hot = OneHot.of(s.tree, s.index)
        if hot is not None:
            self.one_hot(hot, s)
            return
        if isinstance(s.tree, st.Reduce) and s.tree.index:
            self.reduction(s.tree, s, s.name, s.index)
        else:
            self.add(s.name, s.index, Elementwise(), self.lifted(s.tree, s), s)
        self.support[s.name] = s.index, support(s.tree, self.support)

    def one_hot(self, hot: OneHot, s: Statement) -> None:
        """Two statements: the value as if no entry were special, then the update of the labelled entry of each row."""
        self.add(s.name, s.index, Elementwise(), self.lifted(product((*hot.factors, hot.rest)), s), s)
        amount = product((*hot.factors, *hot.amount))
        body = self.lifted(st.Neg(amount) if hot.replaces else amount, s)
        rows = tuple(i for i in s.index if i != hot.target)
        self.add(s.name, s.index, EntryUpdate(hot.labels, hot.replaces), body, s, rows)

    def add(
        self,
        name: str,
        index: tuple[str, ...],
        kind: Kind,
        body: st.Tree,
        s: Statement,
        loops: tuple[str, ...] | None = None,
        slides: tuple[Slide, ...] = (),
        rows: tuple[Row, ...] = (),
    ) -> Assignment:
        """Append a statement. Unless ``loops`` are given, it loops over all of its indices."""
        reduced = kind.over if isinstance(kind, Reduction) else ()
        inside = self.sorted({*index, *reduced, *st.free_indices(body)}) if loops is None else loops
        result = s.role is not Role.TEMPORARY and name == s.name
        made = Assignment(name, index, kind, body, result, inside, s, slides=slides, rows=rows)
        self.out.append(made)
        return made

    def sorted(self, indices: set[str]) -> tuple[str, ...]:
        """Indices in the order that all loops share, which is the order of axes in the tensors with the most axes."""
        return tuple(sorted(indices, key=self.place))

    def place(self, i: str) -> tuple[int, str]:
        """Where an index comes in that order."""
        return next((k for name in (i, st.axis_of(i)) if (k := self.places.get(name, -1)) >= 0), -1), i

    # ---- reductions ------------------------------------------------------------------------------------------------

    def lifted(self, tree: st.Tree, s: Statement) -> st.Tree:
        """The expression, in which each reduction is a read of a statement that computes it before."""
        if isinstance(tree, st.Reduce) and not tree.index:
            return self.lifted(tree.body, s)  # the extremum of a single element
        if isinstance(tree, st.Reduce):
            tree = _unprimed(tree)
            index = self.sorted(set(st.free_indices(tree)))
            key = (tree.kind, tree.index, tree.body)
            if key not in self.known:
                self.known[key] = self.reduction(tree, s, self.named(tree, s), index)
            return st.Read(self.known[key].name, index)
        return st.rebuild(tree, lambda child: self.lifted(child, s))

    def reduction(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Assignment:
        return (
            self.scatter(tree, s, name, index)
            or self.running(tree, s, name, index)
            or self.window(tree, s, name, index)
            or self.contraction(tree, s, name, index)
            or self.folded(tree, s, name, index)
        )

    def running(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Assignment | None:
        """A running sum or product; None for any other reduction."""
        found = Running.of(tree, self.equal)
        if found is None:
            return None
        kind = RunningSum(found.axis, found.falling, Fold(found.kind), found.strict)
        return self.add(name, index, kind, self.lifted(found.body, s), s, index)

    def folded(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Assignment:
        """A reduction in loops that its rows bound."""
        written, body = rows_of(tree)
        over = self.sorted(set(tree.index))
        loops = self.sorted({*index, *over})
        rows = [row for row in (*written, *self.zeros(tree, body)) if row.bound(loops)]
        body = under([row for row in written if row not in rows], body, tree.kind)
        return self.add(name, index, Reduction(Fold(tree.kind), over), self.lifted(body, s), s, loops, rows=tuple(rows))

    def zeros(self, tree: st.Reduce, *factors: st.Tree) -> tuple[Row, ...]:
        """The rows of a sum's own indices outside of which one of the factors of its terms is 0."""
        found = dict.fromkeys(row for f in factors for row in support(f, self.support)) if tree.kind in ("sum", "mean") else ()
        return tuple(ordered(row for row in found if row.indices & set(tree.index)))

    def window(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Assignment | None:
        """A reduction under equality rows, without a loop over the indices that these give; None for any other."""
        found = Window.of(tree, self.ranked, index)
        slides = found and _reducing(found)
        if not found or not slides:
            return None
        over = self.sorted(set(found.index))
        loops = self.outside_in(index, over, slides)
        if len(slides) > 1 and loops[0] in {slide.outer for slide in slides}:  # no loop that workers could share
            return None
        body = self.lifted(found.body, s)
        kind = window_product(name, index, body, over, slides) if found.kind == "sum" else None
        if kind is None and len(slides) > 1:
            slides = self.row_by_row(slides)
            loops = self.outside_in(index, over, slides)
        return self.add(name, index, kind or Reduction(Fold(found.kind), over), body, s, loops, slides)

    def row_by_row(self, slides: tuple[Slide, ...]) -> tuple[Slide, ...]:
        """The slides, all but the innermost along a tap of their own: a row of the result is complete before the next."""
        *outer, last = sorted(slides, key=lambda s: self.place(s.outer))
        taps = Counter(k for s in slides for k in s.taps)
        return *((s.along_tap() or s) if all(taps[k] == 1 for k in s.taps) else s for s in outer), last

    def outside_in(self, index: tuple[str, ...], over: tuple[str, ...], slides: tuple[Slide, ...]) -> tuple[str, ...]:
        """The loops of a window: those that no row has, those over short indices, and innermost those along slides.

        Where a slide runs along a tap, what it moves with is outside of all taps. Inside of slides is only what lies close
        together: the result's indices behind those of the slides. One index stays outside, along which workers share the loops.
        """
        slid = {i for s in slides for i in s.indices}
        plain = tuple(i for i in index if i not in slid)
        last = max((k for k, i in enumerate(index) if i in slid), default=len(index))
        inside = index[last + 1 :] if index[last + 1 :] != plain else plain[1:]
        rest = (*(i for i in plain if i not in inside), *(i for i in over if i not in slid))
        rows = self.sorted({s.taps[0] for s in slides if s.on_tap})
        taps = self.sorted({k for s in slides for k in s.taps if k not in rows})
        along = self.sorted({s.outer for s in slides if s.on_tap}), self.sorted({s.outer for s in slides if not s.on_tap})
        return *rest, *rows, *taps, *along[0], *along[1], *inside

    def contraction(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Assignment | None:
        """A matrix product; None if the sum is no contraction, or its axes cannot be grouped as the axes of matrices."""
        written, body = rows_of(tree)
        found = Contraction.of(st.Reduce(tree.kind, tree.index, body))
        if found is None or not {*index, *tree.index} <= set(st.free_indices(body)):
            return None
        rows = tuple(dict.fromkeys((*written, *self.zeros(tree, found.left, found.right))))
        left, right = (self.operand(t, s) for t in (found.left, found.right))
        axes = matrix_axes(left, right, index, tree.index)
        if axes is None or not all(axes.banded(row) for row in written):
            return None
        rows = tuple(row for row in rows if axes.banded(row))
        return self.add(name, index, MatrixProduct(left, right, tree.index, axes), st.Mul((left, right)), s, (), rows=rows)

    def operand(self, tree: st.Tree, s: Statement) -> st.Read:
        """A factor of a contraction as a plain read; any other expression becomes a statement before, which is read."""
        tree = self.lifted(tree, s)
        if (
            isinstance(tree, st.Read)
            and all(isinstance(i, str) for i in tree.index)
            and len(set(tree.index)) == len(tree.index)
        ):
            return tree
        index = natural_order(tree)
        made = self.add(self.fresh(_spelled(tree) or f"{s.name}_factor"), index, Elementwise(), tree, s)
        return st.Read(made.name, index)

    def scatter(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Assignment | None:
        """``dtable[v, d] = sum[s](dy[s, d]*[v = t[s]])``; None if the sum is something else."""
        found = Scatter.of(tree, nested=True)
        if found is None or index[:1] != (found.target,):
            return None
        loops = (*self.sorted(set(tree.index)), *index[1:])
        return self.add(name, index, ScatterAdd(found.labels, tree.index), self.lifted(found.terms, s), s, loops)

    # ---- names -----------------------------------------------------------------------------------------------------

    def named(self, tree: st.Reduce, s: Statement) -> str:
        """A name for a reduction: ``mean_dxhat_xhat`` for a mean of ``dxhat*xhat``.

        For a sum over more than a product of names, in the equation of ``var``, it is ``var_sum``.
        """
        spelled = _spelled(tree.body)
        return self.fresh(f"{tree.kind}_{spelled}" if spelled else f"{s.name}_{tree.kind}")

    def fresh(self, name: str) -> str:
        return fresh_name(name, self.taken)


def _reducing(window: Window) -> tuple[Slide, ...]:
    """The slides, along the bound index of a pair where no other loop reduces; () where there is no loop that does."""
    slides = window.slides
    loops = [i for i in window.index if all(i != s.inner for s in slides)]
    if not loops:
        slides = tuple(s.along_inner() or s for s in slides)
        loops = [i for i in window.index if all(i != s.inner for s in slides)]
    return slides if loops else ()


def _unprimed(tree: st.Reduce) -> st.Reduce:
    """The reduction with the primes of its indices dropped where no other index has the plain name."""
    taken, to = {*st.free_indices(tree), *tree.index}, dict[str, st.Index]()
    for i in tree.index:
        if (plain := st.axis_of(i)) not in taken:
            to[i] = plain
            taken.add(plain)
    return st.Reduce(tree.kind, tuple(str(to.get(i, i)) for i in tree.index), st.rename(tree.body, to))


def _spelled(tree: st.Tree) -> str:
    """The names of a product of at most three reads, joined; "" for anything else."""
    match tree:
        case st.Read(name, _):
            return name
        case st.Pow(st.Read(name, _), st.Num(e)) if e == 2:
            return f"{name}2"
        case st.Mul(args) if len(args) <= 3:
            parts = [_spelled(a) for a in args]
            return "_".join(parts) if all(parts) else ""
    return ""
