"""Expressions as their author wrote them, and the op they belong to.

An expression is a tree of the frozen dataclasses below. Trees keep the author's order of terms. SymPy and the engine's flat
terms (:mod:`derive.terms.sums`) do not keep that order. Derived formulas are turned back into trees, so that a backend needs
a single printer and not a printer for every stage.

An index is the name of its axis, with primes where one axis is used twice: ``n``, ``n'``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

__all__ = [
    "Add",
    "Call",
    "Compare",
    "Const",
    "Constant",
    "Div",
    "Equation",
    "Index",
    "Indicator",
    "Lookup",
    "Match",
    "Mul",
    "Neg",
    "Num",
    "Op",
    "Pow",
    "Read",
    "Reduce",
    "Size",
    "Tensor",
    "Tree",
    "axis_of",
    "free_indices",
    "fresh_index",
    "reads",
    "rebuild",
    "rename",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Lookup:
    """An index that is itself read from an integer tensor: the ``t[n]`` of ``logp[n, t[n]]``."""

    name: str
    index: tuple[Index, ...]


Index = str | Lookup


@dataclass(frozen=True, slots=True)
class Num:
    value: Fraction


@dataclass(frozen=True, slots=True)
class Const:
    """A named number: ``pi``."""

    name: str


@dataclass(frozen=True, slots=True)
class Read:
    """One element of a tensor: ``x[n, d]``; a scalar has no index."""

    name: str
    index: tuple[Index, ...] = ()


@dataclass(frozen=True, slots=True)
class Size:
    """The length of an axis: ``size(n)``."""

    axis: str


@dataclass(frozen=True, slots=True)
class Neg:
    arg: Tree


@dataclass(frozen=True, slots=True)
class Add:
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Mul:
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Div:
    num: Tree
    den: Tree


@dataclass(frozen=True, slots=True)
class Pow:
    base: Tree
    exp: Tree


@dataclass(frozen=True, slots=True)
class Call:
    """An elementwise function, such as ``exp(a)``, ``where(condition, a, b)`` or ``maximum(a, b)``."""

    head: str
    args: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Reduce:
    """``sum``, ``mean``, ``max`` or ``min`` of the body over bound indices: ``index`` has no meaning outside the body."""

    kind: str
    index: tuple[str, ...]
    body: Tree


@dataclass(frozen=True, slots=True)
class Compare:
    rel: str
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class Match:
    """The condition that two indices are equal, ``c = t[n]``, or that they differ."""

    left: Index
    right: Index
    equal: bool = True

    @property
    def rel(self) -> str:
        return "==" if self.equal else "!="


@dataclass(frozen=True, slots=True)
class Indicator:
    """1 where the condition holds and 0 elsewhere (Iverson bracket)."""

    cond: Compare | Match


Tree = Num | Const | Read | Size | Neg | Add | Mul | Div | Pow | Call | Reduce | Compare | Match | Indicator


@dataclass(frozen=True, slots=True)
class Equation:
    """``name[index] = rhs``; ``line`` is 0 where the equation did not come from text."""

    name: str
    index: tuple[str, ...]
    rhs: Tree
    line: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's name and axes. The values of an integer tensor index the axis ``labels``; None for a floating-point tensor."""

    name: str
    axes: tuple[str, ...]
    labels: str | None = None

    @property
    def integer(self) -> bool:
        return self.labels is not None


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of the op. ``default`` is written as in the text; None means that callers must give a value."""

    name: str
    default: str | None


#: How an op may be derived: "" at the least cost, "accurate" so that no terms cancel.
VARIANTS = ("", "accurate")


@dataclass(frozen=True)
class Op:
    """An operation: its signature, its assumptions, and its equations in order.

    ``stars`` are the axes written ``*s``: each stands for zero or more axes of the caller's tensors. ``sizes`` are the
    axis lengths at which costs are compared. ``text`` is the source that the op was parsed from, "" where there is none.
    ``variant`` is one of VARIANTS. A variant computes the same values, and is called ``OP_VARIANT``.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    constants: tuple[Constant, ...]
    equations: tuple[Equation, ...]
    assumptions: tuple[Compare, ...] = ()
    stars: frozenset[str] = frozenset()
    sizes: tuple[tuple[str, int], ...] = ()
    text: str = ""
    title: str = ""
    source: str = ""
    notes: tuple[str, ...] = field(default=())
    variant: str = ""

    @property
    def base(self) -> str:
        """The op's name without its variant."""
        return self.name.removesuffix(f"_{self.variant}") if self.variant else self.name

    def as_variant(self, variant: str) -> Op:
        """The same op in another variant (ValueError for an unknown variant)."""
        if variant not in VARIANTS:
            raise ValueError(f"there is no variant '{variant}'; expected one of {', '.join(map(repr, VARIANTS))}")
        return replace(self, name=f"{self.base}_{variant}" if variant else self.base, variant=variant)

    @property
    def differentiable(self) -> tuple[Tensor, ...]:
        return tuple(t for t in self.inputs if not t.integer)

    def tensor(self, name: str) -> Tensor:
        """The input or the left side of the equation that has the name (KeyError if there is none)."""
        for t in self.inputs:
            if t.name == name:
                return t
        for e in self.equations:
            if e.name == name:
                return Tensor(e.name, e.index)
        raise KeyError(name)


def adjoint_name(name: str) -> str:
    """The name of a name's adjoint."""
    return f"d{name}"


def primal_name(name: str) -> str:
    """The name whose adjoint has the given name; "" if no adjoint is called so."""
    return name[1:] if name.startswith("d") else ""


def axis_of(index: str) -> str:
    """The axis that an index runs over: ``n'`` runs over ``n``."""
    return index.rstrip("'")


def fresh_index(index: str, taken: set[str]) -> str:
    """``index`` with as many primes as make it differ from all indices in ``taken``."""
    while index in taken:
        index += "'"
    return index


def children(node: Tree) -> tuple[Tree, ...]:
    match node:
        case Read() | Num():  # first, as most nodes are reads or numbers
            return ()
        case Neg(a):
            return (a,)
        case Add(args) | Mul(args) | Call(_, args):
            return args
        case Div(a, b) | Pow(a, b) | Compare(_, a, b):
            return (a, b)
        case Reduce(_, _, body):
            return (body,)
        case Indicator(cond):
            return (cond,)
    return ()


def rebuild(node: Tree, change: Callable[[Tree], Tree]) -> Tree:
    """The same node with ``change`` applied to each child."""
    match node:
        case Neg(a):
            return Neg(change(a))
        case Add(args):
            return Add(tuple(map(change, args)))
        case Mul(args):
            return Mul(tuple(map(change, args)))
        case Div(a, b):
            return Div(change(a), change(b))
        case Pow(a, b):
            return Pow(change(a), change(b))
        case Compare(rel, a, b):
            return Compare(rel, change(a), change(b))
        case Call(head, args):
            return Call(head, tuple(map(change, args)))
        case Reduce(kind, index, body):
            return Reduce(kind, index, change(body))
        case Indicator(cond):
            return Indicator(change(cond))  # type: ignore[arg-type]
    return node


def walk(node: Tree) -> Iterator[Tree]:
    """The node and all nodes below it in preorder."""
    waiting = [node]
    while waiting:  # no recursion: nested generators would pass every node through all levels above it
        node = waiting.pop()
        yield node
        waiting += reversed(children(node))


def index_names(index: Index) -> Iterator[str]:
    if isinstance(index, str):
        yield index
    else:
        for part in index.index:
            yield from index_names(part)


def own_indices(node: Tree) -> Iterator[str]:
    """The indices that the node itself mentions. Indices of its children are left out."""
    slots: tuple[Index, ...] = ()
    if isinstance(node, Read):
        slots = node.index
    elif isinstance(node, Match):
        slots = (node.left, node.right)
    for slot in slots:
        yield from index_names(slot)


def free_indices(node: Tree) -> tuple[str, ...]:
    """The indices that are free in the expression, in order of appearance."""
    found: dict[str, None] = {}

    def visit(n: Tree, bound: frozenset[str]) -> None:
        if isinstance(n, Reduce):
            bound = bound | set(n.index)
        for name in own_indices(n):
            if name not in bound:
                found.setdefault(name)
        for child in children(n):
            visit(child, bound)

    visit(node, frozenset())
    return tuple(found)


def reads(node: Tree) -> Iterator[str]:
    """The name of every tensor that the expression reads, also of integer tensors inside indices."""

    def names(index: Index) -> Iterator[str]:
        if isinstance(index, Lookup):
            yield index.name
            for part in index.index:
                yield from names(part)

    for n in walk(node):
        slots: tuple[Index, ...] = ()
        if isinstance(n, Read):
            yield n.name
            slots = n.index
        elif isinstance(n, Match):
            slots = (n.left, n.right)
        for slot in slots:
            yield from names(slot)


def rename_index(index: Index, to: dict[str, Index]) -> Index:
    if isinstance(index, str):
        return to.get(index, index)
    return Lookup(index.name, tuple(rename_index(i, to) for i in index.index))


def rename(node: Tree, to: dict[str, Index]) -> Tree:
    """Substitute free indices. A bound index that would capture a substituted name gets a fresh name."""
    match node:
        case Read(name, index):
            return Read(name, tuple(rename_index(i, to) for i in index))
        case Match(left, right, equal):
            return Match(rename_index(left, to), rename_index(right, to), equal)
        case Reduce(kind, index, body):
            inner = {k: v for k, v in to.items() if k not in index}
            taken = {n for v in inner.values() for n in index_names(v)} | set(free_indices(body)) - set(index)
            bound = []
            for i in index:
                b = fresh_index(i, taken)
                taken.add(b)
                bound.append(b)
                if b != i:
                    inner[i] = b
            return Reduce(kind, tuple(bound), rename(body, inner))
    return rebuild(node, lambda child: rename(child, to))
