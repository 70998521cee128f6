"""Expressions as trees of frozen dataclasses, and what is asked of any tree.

An index is the name of its axis, with primes where one axis is used twice: ``n``, ``n'``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from derive.functions.words import LINEAR


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
class AffineRead:
    """One element of a tensor at sums of positions: ``x[n, i + k - pad]``. Only trees for readers have such reads.

    A read of an element that an axis does not have is absent. Where a read is absent, an element of the nearest reduction
    around it takes no part. Outside of every reduction an absent read is 0.
    """

    name: str
    slots: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """The whole number that an index is: the ``j`` and the ``t[n]`` of the conditions ``j <= i`` and ``t[n] != ignore``."""

    index: Index


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
    """``sum``, ``mean``, ``max``, ``min`` or ``prod`` of the body over bound indices, which have no meaning outside of it."""

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


_Leaf = Num | Const | Read | AffineRead | Position | Size
Tree = _Leaf | Neg | Add | Mul | Div | Pow | Call | Reduce | Compare | Match | Indicator

#: What an element counts as that takes no part in a reduction.
NEUTRAL: Mapping[str, Tree] = {"sum": Num(Fraction(0)), "max": Neg(Const("inf")), "min": Const("inf"), "prod": Num(Fraction(1))}


def axis_of(index: str) -> str:
    """The axis that an index runs over: ``n'`` runs over ``n``."""
    return index.rstrip("'")


def numbered(index: str) -> str:
    """An index with a number in the place of primes, for where a prime cannot stand: ``n2`` for the second index of ``n``."""
    axis = axis_of(index)
    return axis if axis == index else f"{axis}{len(index) - len(axis) + 1}"


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
        case AffineRead(_, slots):
            return slots
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
        case AffineRead(name, slots):
            return AffineRead(name, tuple(map(change, slots)))
    return node


def product(factors: Sequence[Tree]) -> Tree:
    """The factors as one tree; of none, it is 1."""
    return factors[0] if len(factors) == 1 else Mul(tuple(factors)) if factors else Num(Fraction(1))


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
    elif isinstance(node, Position):
        slots = (node.index,)
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
        if isinstance(n, AffineRead):
            yield n.name
        elif isinstance(n, Read):
            yield n.name
            slots = n.index
        elif isinstance(n, Match):
            slots = (n.left, n.right)
        elif isinstance(n, Position):
            slots = (n.index,)
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
        case Position(slot):
            return Position(rename_index(slot, to))
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


def on_indices(tree: Tree) -> bool:
    """Whether a tree is a comparison of positions, and not of values, whatever conditions the values have."""
    return isinstance(tree, Compare) and (_whole(tree.left) or _whole(tree.right))


def _whole(tree: Tree) -> bool:
    """Whether a position is an operand of a sum or a product, or is the whole."""
    match tree:
        case Add(args) | Mul(args):
            return any(map(_whole, args))
        case Neg(arg):
            return _whole(arg)
    return isinstance(tree, Position)


def taking_part(tree: Reduce) -> tuple[Tree, list[Compare]]:
    """The body of a maximum, minimum or product, and the conditions on indices under which an element takes part."""
    body, where = tree.body, list[Compare]()
    while tree.kind in NEUTRAL and tree.kind not in LINEAR and isinstance(body, Call) and body.head == "where":
        c, yes, no = body.args
        if not isinstance(c, Compare) or not on_indices(c) or no != NEUTRAL[tree.kind]:
            break
        where.append(c)
        body = yes
    return body, where
