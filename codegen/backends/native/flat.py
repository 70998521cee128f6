"""A program's statements taken apart for loops: no reduction inside an expression, one-hot rows as corrections.

Every reduction becomes a statement of its own, named after what it reduces; equal ones are computed once. A sum over a
product of which no factor carries the whole loop is a contraction and becomes a matrix product; a sum that picks the rows
of a label becomes a scatter-add.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from codegen.backends.arrays.axes import merge, natural_order
from codegen.program import Program, Statement
from codegen.recognise.contraction import Contraction
from codegen.recognise.one_hot import OneHot
from derive import syntax as st
from derive.functions import words

REDUCTIONS = ("sum", "mean", "max", "min")
#: Recomputing a value of at most this many operations is cheaper than keeping it.
CHEAP = 3


@dataclass(frozen=True)
class Flat:
    """``name[index] = body``, with no reduction in the body.

    ``kind`` is "map"; one of the reductions over ``reduced``; "product", a contraction of two reads; "scatter", a sum whose
    terms go to the rows that ``labels`` name; or "point", which subtracts the body from the one entry of each row of an
    existing value that ``labels`` name, or with ``replaces`` puts it there. ``loops`` are the indices that it runs over,
    outermost first. What is ``kept`` is never computed again where it is used.
    """

    name: str
    index: tuple[str, ...]
    kind: str
    body: st.Tree
    fate: str
    reduced: tuple[str, ...]
    loops: tuple[str, ...]
    equation: Statement
    labels: st.Lookup | None = None
    kept: bool = False
    replaces: bool = False

    @property
    def over(self) -> str:
        """The argument that the value is to be written over, if any."""
        return self.equation.over if self.name == self.equation.name else ""

    @cached_property
    def reads(self) -> dict[str, tuple[st.Read, ...]]:
        """The reads in the body by the name that they read; a name that only an index looks up has none."""
        found: dict[str, list[st.Read]] = {name: [] for name in st.reads(self.body)}
        for node in st.walk(self.body):
            if isinstance(node, st.Read):
                found[node.name].append(node)
        return {name: tuple(reads) for name, reads in found.items()}

    @cached_property
    def needs(self) -> frozenset[str]:
        """The names whose values it reads or changes."""
        return frozenset(self.reads) | ({self.name} if self.kind == "point" else frozenset())

    @property
    def reduces(self) -> bool:
        return self.kind in REDUCTIONS

    @property
    def opaque(self) -> bool:
        """Whether it has loops of its own, which no other statement shares."""
        return self.kind in ("product", "scatter")


def flatten(program: Program) -> tuple[Flat, ...]:
    """The program's statements in loop form, in an order in which each comes after those that it reads."""
    flattening = _Flattening(program)
    for s in program.statements:
        flattening.statement(s)
    return tuple(flattening.out)


def taken(program: Program) -> set[str]:
    """The names that a program has already: of tensors, constants and axes."""
    axes = {i for a in program.arguments for i in a.axes} | {i for s in program.statements for i in s.index}
    tensors = {a.name for a in program.arguments} | {s.name for s in program.statements}
    return tensors | {c.name for c in program.constants} | axes


class _Flattening:
    def __init__(self, program: Program):
        rows = [a.axes for a in program.arguments] + [s.index for s in program.statements]
        self.order = merge(sorted(rows, key=len, reverse=True))
        self.out: list[Flat] = []
        self.axes = {a.name: a.axes for a in program.arguments} | {s.name: s.index for s in program.statements}
        self.taken = taken(program)
        self.known: dict[tuple[str, tuple[str, ...], st.Tree], Flat] = {}

    # ---- statements ------------------------------------------------------------------------------------------------

    def statement(self, s: Statement) -> None:
        hot = OneHot.of(s.tree, s.index)
        if hot is not None:
            amount = _product((*hot.factors, *hot.amount))
            amount = st.Neg(amount) if hot.replaces else amount
            rows = tuple(i for i in s.index if i != hot.target)
            self.add("map", s.name, s.index, self.lifted(_product((*hot.factors, hot.rest)), s), s)
            self.add("point", s.name, s.index, self.lifted(amount, s), s, labels=hot.labels, loops=rows, replaces=hot.replaces)
        elif isinstance(s.tree, st.Reduce) and s.tree.index:
            self.reduction(s.tree, s, s.name, s.index)
        else:
            self.add("map", s.name, s.index, self.lifted(s.tree, s), s)

    def add(
        self,
        kind: str,
        name: str,
        index: tuple[str, ...],
        body: st.Tree,
        s: Statement,
        *,
        reduced: tuple[str, ...] = (),
        labels: st.Lookup | None = None,
        loops: tuple[str, ...] | None = None,
        replaces: bool = False,
    ) -> Flat:
        fate = s.fate if name == s.name else "temporary"
        inside = self.sorted({*index, *reduced, *st.free_indices(body)}) if loops is None else loops
        flat = Flat(name, index, kind, body, fate, reduced, inside, s, labels, replaces=replaces)
        self.axes[name] = index
        self.out.append(flat)
        return flat

    def sorted(self, indices: set[str]) -> tuple[str, ...]:
        """Indices in the one order of all loops: that in which the widest tensors hold their axes."""
        place = {a: k for k, a in enumerate(self.order)}
        return tuple(sorted(indices, key=lambda i: (place.get(i, place.get(st.axis_of(i), -1)), i)))

    # ---- reductions ------------------------------------------------------------------------------------------------

    def lifted(self, tree: st.Tree, s: Statement) -> st.Tree:
        """The expression with each reduction in it computed by a statement before."""
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

    def reduction(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Flat:
        scatter = self.scatter(tree, s, name, index)
        if scatter is not None:
            return scatter
        contraction = Contraction.of(tree)
        if contraction is not None:
            left, right = (self.operand(t, s) for t in (contraction.left, contraction.right))
            if matrix_axes(left, right, index, tree.index) is not None:
                return self.add("product", name, index, st.Mul((left, right)), s, reduced=tree.index, loops=())
        reduced = self.sorted(set(tree.index))
        return self.add(tree.kind, name, index, self.lifted(tree.body, s), s, reduced=reduced)

    def operand(self, tree: st.Tree, s: Statement) -> st.Read:
        """A factor of a contraction as a plain read, computed before where it is more."""
        tree = self.lifted(tree, s)
        if (
            isinstance(tree, st.Read)
            and all(isinstance(i, str) for i in tree.index)
            and len(set(tree.index)) == len(tree.index)
        ):
            return tree
        index = natural_order(tree)
        return st.Read(self.add("map", self.fresh(_spelled(tree) or f"{s.name}_factor"), index, tree, s).name, index)

    def scatter(self, tree: st.Reduce, s: Statement, name: str, index: tuple[str, ...]) -> Flat | None:
        """``dtable[v, d] = sum[s](dy[s, d]*[v = t[s]])``; None if the sum is something else."""
        factors = tree.body.args if isinstance(tree.body, st.Mul) else (tree.body,)
        for f in factors if tree.kind == "sum" else ():
            if not (isinstance(f, st.Indicator) and isinstance(f.cond, st.Match) and f.cond.equal):
                continue
            target, labels = f.cond.left, f.cond.right
            if isinstance(target, st.Lookup):
                target, labels = labels, target
            if isinstance(target, str) and isinstance(labels, st.Lookup) and index and index[0] == target:
                body = self.lifted(_product(tuple(g for g in factors if g is not f)), s)
                if target in st.free_indices(body) or not set(st.index_names(labels)) <= set(tree.index):
                    return None
                loops = (*self.sorted(set(tree.index)), *index[1:])
                return self.add("scatter", name, index, body, s, reduced=tree.index, labels=labels, loops=loops)
        return None

    # ---- names -----------------------------------------------------------------------------------------------------

    def named(self, tree: st.Reduce, s: Statement) -> str:
        """``mean_dxhat_xhat`` for a mean of ``dxhat*xhat``, ``var_sum`` where the body is more than a product of names."""
        spelled = _spelled(tree.body)
        return self.fresh(f"{tree.kind}_{spelled}" if spelled else f"{s.name}_{tree.kind}")

    def fresh(self, name: str) -> str:
        found, count = name, 1
        while found in self.taken:
            count += 1
            found = f"{name}{count}"
        self.taken.add(found)
        return found


def _unprimed(tree: st.Reduce) -> st.Reduce:
    """The reduction over its own axes where no free index is of that name: alone, it shadows nothing."""
    free = set(st.free_indices(tree))
    to: dict[str, st.Index] = {i: st.axis_of(i) for i in tree.index if st.axis_of(i) not in free | set(tree.index)}
    return st.Reduce(tree.kind, tuple(str(to.get(i, i)) for i in tree.index), st.rename(tree.body, to))


def _product(factors: tuple[st.Tree, ...]) -> st.Tree:
    if not factors:
        return st.Num(Fraction(1))
    flat = tuple(g for f in factors for g in (f.args if isinstance(f, st.Mul) else (f,)))
    return flat[0] if len(flat) == 1 else st.Mul(flat)


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


@dataclass(frozen=True)
class MatrixAxes:
    """The axes of a product ``out[batch, rows, columns] = sum[inner](left*right)``; ``swapped`` if ``left`` has the columns."""

    batch: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    inner: tuple[str, ...]
    swapped: bool


def matrix_axes(left: st.Read, right: st.Read, index: tuple[str, ...], reduced: tuple[str, ...]) -> MatrixAxes | None:
    """The roles of the axes, or None where a group of axes is not adjacent in some tensor that carries it."""
    a, b = (tuple(str(i) for i in r.index) for r in (left, right))
    batch = tuple(i for i in index if i in a and i in b)
    first, second = tuple(i for i in index if i in a and i not in b), tuple(i for i in index if i in b and i not in a)
    inner = tuple(i for i in a if i in reduced)
    if {*a, *b} != {*index, *reduced} or index[: len(batch)] != batch or not inner:
        return None
    swapped = index == (*batch, *second, *first) and index != (*batch, *first, *second)
    if not swapped and index != (*batch, *first, *second):
        return None
    groups = {a: (batch, first, inner), b: (batch, second, inner)}
    for axes, parts in groups.items():
        if axes[: len(batch)] != batch or not all(_adjacent(p, axes) for p in parts[1:]):
            return None
    rows, columns = (second, first) if swapped else (first, second)
    return MatrixAxes(batch, rows, columns, inner, swapped)


def _adjacent(group: tuple[str, ...], axes: tuple[str, ...]) -> bool:
    if not group:
        return True
    start = axes.index(group[0])
    return axes[start : start + len(group)] == group


# ---- costs ----------------------------------------------------------------------------------------------------------


def operations(tree: st.Tree) -> int:
    """Floating-point operations of one evaluation in a loop; what has no index costs nothing there."""
    if not st.free_indices(tree):
        return 0
    own = {st.Neg: 1, st.Compare: 1, st.Indicator: 1}.get(type(tree), 0)
    match tree:
        case st.Add(args) | st.Mul(args):
            own = sum(1 for a in args) - 1
        case st.Div(_, b):
            own = 4 if st.free_indices(b) else 1
        case st.Pow(_, st.Num(e)):
            own = int(e) - 1 if e.denominator == 1 and 0 < e <= 4 else 8
        case st.Call(head, _):
            own = words.cost(head)
    return own + sum(operations(c) for c in st.children(tree))


def without_star(program: Program, star: str) -> Program:
    """The program for callers without any axis in place of ``*s``."""

    def starred(i: st.Index) -> bool:
        return isinstance(i, str) and st.axis_of(i) == star

    def index(old: tuple[st.Index, ...]) -> tuple[st.Index, ...]:
        return tuple(slot(i) for i in old if not starred(i))

    def slot(i: st.Index) -> st.Index:
        return st.Lookup(i.name, index(i.index)) if isinstance(i, st.Lookup) else i

    def tree(node: st.Tree) -> st.Tree:
        match node:
            case st.Read(name, old):
                return st.Read(name, index(old))
            case st.Indicator(st.Match(left, right, equal)) if starred(left) and starred(right):
                return st.Num(Fraction(equal))  # the one element with itself
            case st.Match(left, right, equal):
                return st.Match(slot(left), slot(right), equal)
            case st.Size(axis) if axis == star:
                return st.Num(Fraction(1))
            case st.Reduce(kind, old, body):
                kept = tuple(i for i in old if not starred(i))
                return st.Reduce(kind, kept, tree(body)) if kept else tree(body)
            case st.Mul(args):
                return _product(tuple(t for t in map(tree, args) if t != st.Num(Fraction(1))))
        return st.rebuild(node, tree)

    def axes(old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(i for i in old if not starred(i))

    return replace(
        program,
        arguments=tuple(replace(a, axes=axes(a.axes)) for a in program.arguments),
        statements=tuple(replace(s, index=axes(s.index), tree=tree(s.tree)) for s in program.statements),
        star="",
        collapsed=False,
    )
