"""The values of trees, as an author wrote them or as they are printed, and their derivatives by reverse accumulation.

An evaluation records every operation with its operands. A gradient is one walk back over this record. Neither flat terms nor
the adjoint statement of :mod:`derive.adjoint` take part. At kinks the derivative is the declared one: ties of a maximum share
equally, and the derivatives of ``abs`` and ``sign`` at 0 are 0.

Source: Griewank and Walther, Evaluating Derivatives (2nd edition, 2008), section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from derive import syntax as st
from derive.certify.arrays import Array, Frame, pick, rows
from derive.certify.nodes import Back, Column, Node, in_order
from derive.certify.numbers import Numbers, slope
from derive.certify.wholes import NOTHING, affine_reads, exponent, masked, whole_numbers
from derive.functions.words import PLACES
from derive.language.assumptions import HOLDS
from derive.syntax import on_indices

__all__ = ["Node", "Trees", "in_order"]


class Trees:
    """Evaluates equations over named tensors. ``nodes`` has the node of every known name."""

    def __init__(
        self,
        frame: Frame,
        numbers: Numbers,
        axes: Mapping[str, tuple[str, ...]],
        tables: Mapping[str, list[Any]],
        labels: Mapping[str, list[int]] = {},
    ):
        """``tables`` are the given tensors, and ``axes`` their axes; ``labels`` are the integer tensors, as positions."""
        self.frame, self.numbers, self.labels = frame, numbers, labels
        self.nodes = {name: Node(Array(axes[name], values)) for name, values in tables.items()}

    def know(self, name: str, index: tuple[str, ...], values: list[Any]) -> None:
        """Take a named tensor as given."""
        self.nodes[name] = Node(Array(index, values))

    def define(self, name: str, index: tuple[str, ...], tree: st.Tree) -> list[Any]:
        """Evaluate ``name[index] = tree`` and make the name known (KeyError if the tree reads an unknown name)."""
        self.nodes[name] = self.spread(self.value(tree), index)
        return self.nodes[name].array.values

    def table(self, tree: st.Tree, index: tuple[str, ...]) -> list[Any]:
        """An expression at every position of ``index``, which must have all of its free indices."""
        return self.frame.spread(self.value(tree).array, index)

    def parts(self, tree: st.Tree) -> list[Any]:
        """The values of an expression and of all its parts, to which rounding errors are relative."""
        return [v for node in in_order([self.value(tree)]) for v in node.array.values]

    # ---- derivatives -----------------------------------------------------------------------------------------------

    def gradients(self, upstream: Mapping[str, list[Any]], wanted: Sequence[str]) -> dict[str, list[Any]]:
        """The derivatives of ``sum(upstream * value)``, over all named values, with respect to the tensors ``wanted``."""
        numbers = self.numbers
        back: dict[int, list[Any]] = {}
        order = in_order([self.nodes[name] for name in upstream])
        for name, values in upstream.items():
            node = self.nodes[name]
            before = back.get(id(node))
            back[id(node)] = values if before is None else numbers.plus(before, values)
        for node in reversed(order):
            sent = back.get(id(node))
            if sent is None:
                continue
            for operand, part in zip(node.operands, node.back(sent) if node.operands else (), strict=True):
                before = back.get(id(operand))
                back[id(operand)] = part if before is None else numbers.plus(before, part)
        found = {name: back.get(id(self.nodes[name])) for name in wanted}
        return {
            name: [numbers.zero] * len(self.nodes[name].array.values) if values is None else values
            for name, values in found.items()
        }

    # ---- nodes -----------------------------------------------------------------------------------------------------

    def spread(self, node: Node, over: tuple[str, ...]) -> Node:
        """The node over the indices ``over``, repeated along the indices that it lacks."""
        own = node.array.over
        if own == over:
            return node
        values = self.frame.spread(node.array, over)
        return Node(Array(over, values), [node], self.collected(self.frame.positions(own, over), len(node.array.values)))

    def collected(self, positions: list[int], count: int) -> Back:
        """The vector-Jacobian product of picking elements: each of ``count`` elements gets the sum over its picks."""

        def back(sent: Column) -> Sequence[Column]:
            groups: list[Column] = [[] for _ in range(count)]
            for p, v in zip(positions, sent, strict=True):
                groups[p].append(v)
            return ([g[0] if len(g) == 1 else self.numbers.total(g) for g in groups],)

        return back

    def joined(self, parts: Sequence[Node]) -> tuple[tuple[str, ...], list[Node]]:
        """All indices of several nodes, and each node over these indices."""
        over = tuple(dict.fromkeys(i for n in parts for i in n.array.over))
        return over, [self.spread(n, over) for n in parts]

    def value(self, tree: st.Tree) -> Node:
        """The node of an expression (TypeError for a comparison, which is no number)."""
        numbers = self.numbers
        match tree:
            case st.Num(value):
                return self.fixed(numbers.number(value))
            case st.Const(name):
                return self.fixed(numbers.constant(name))
            case st.Size(axis):
                return self.fixed(numbers.number(Fraction(self.frame.length(axis))))
            case st.Read(name, index):
                return self.read(name, index)
            case st.AffineRead():
                return self.affine_read(tree)
            case st.Neg(arg):
                of = self.value(arg)
                return Node(Array(of.array.over, numbers.negated(of.array.values)), [of], lambda sent: (numbers.negated(sent),))
            case st.Add(args):
                return self.sum([self.value(a) for a in args])
            case st.Mul(args):
                return self.product([self.value(a) for a in args])
            case st.Div(a, b):
                return self.quotient(self.value(a), self.value(b))
            case st.Pow(a, e):
                return self.power(self.value(a), exponent(e))
            case st.Reduce(kind, index, body):
                there = [self.there(read) for read in affine_reads(body)]
                of, held = self.chosen(body) if masked(tree) else (self.value(body), [])
                return self.reduced(kind, index, of, [*held, *there])
            case st.Indicator(cond):
                over, where = self.condition(cond)
                return Node(Array(over, numbers.truth(where)))
            case st.Call(head, args):
                return self.called(head, args)
        raise TypeError(f"no value for {tree}")

    def called(self, head: str, args: tuple[st.Tree, ...]) -> Node:
        if head == "where":
            cond, a, b = args
            return self.choice(cond, self.value(a), self.value(b))
        first, *rest = map(self.value, args)
        if head == "power":
            return self.raised(first, rest[0])
        if head not in ("maximum", "minimum"):
            return self.function(head, first)
        for other in rest:
            first = self.larger(head, first, other)
        return first

    def fixed(self, value: Any) -> Node:
        return Node(Array((), [value]))

    def read(self, name: str, index: tuple[st.Index, ...]) -> Node:
        node = self.nodes[name]
        own, values = node.array
        if all(isinstance(i, str) for i in index) and len(set(index)) == len(index):
            over = tuple(i for i in index if isinstance(i, str))
            return Node(Array(over, values), [node])
        over = tuple(dict.fromkeys(n for i in index for n in st.index_names(i)))
        positions = self.frame.gathered(own, [self.position(i, over) for i in index])
        return Node(Array(over, pick(values, positions)), [node], self.collected(positions, len(values)))

    def affine_read(self, tree: st.AffineRead) -> Node:
        """A read at sums of positions. Where it is absent it is 0."""
        node, (over, there) = self.nodes[tree.name], self.there(tree)
        own, values = node.array
        slots = [self.whole_numbers(slot, over) for slot in tree.slots]
        absent = len(values)
        positions = [p if t else absent for p, t in zip(self.frame.gathered(own, slots), there, strict=True)]
        collected = self.collected(positions, absent + 1)
        found = Array(over, pick([*values, self.numbers.zero], positions))
        return Node(found, [node], lambda sent: [column[:absent] for column in collected(sent)])

    def there(self, tree: st.AffineRead) -> Array:
        """Where every slot of a read at sums of positions is one of its axis."""
        over, own = st.free_indices(tree), self.nodes[tree.name].array.over
        return Array(over, self.frame.inside(own, [self.whole_numbers(slot, over) for slot in tree.slots]))

    def whole_numbers(self, tree: st.Tree, over: tuple[str, ...]) -> list[int]:
        return whole_numbers(self.frame, self.labels, self.position, tree, over)

    def position(self, index: st.Index, over: tuple[str, ...]) -> list[int]:
        """The value of an index at every position of ``over``: its position, or for a lookup the label that is read."""
        if isinstance(index, str):
            return self.frame.coordinates(index, over)
        own, values = self.nodes[index.name].array
        labels = self.labels[index.name] if index.name in self.labels else list(map(int, values))
        if not own:
            return labels * self.frame.count(over)
        return pick(labels, self.frame.gathered(own, [self.position(i, over) for i in index.index]))

    def sum(self, parts: Sequence[Node]) -> Node:
        over, parts = self.joined(parts)
        out = parts[0].array.values
        for p in parts[1:]:
            out = self.numbers.plus(out, p.array.values)
        return Node(Array(over, out), parts, lambda sent: [sent] * len(parts))

    def product(self, parts: Sequence[Node]) -> Node:
        """A product. The derivative by a factor is the product of the factors before it and the factors after it."""
        times = self.numbers.times
        over, parts = self.joined(parts)
        columns = [p.array.values for p in parts]
        before = list(accumulate(columns, times))

        def back(sent: Column) -> Sequence[Column]:
            behind = list(accumulate(reversed(columns), times))[::-1]
            return [
                self.multiplied(sent, ([before[k - 1]] if k else []) + ([behind[k + 1]] if k + 1 < len(parts) else []))
                for k in range(len(parts))
            ]

        return Node(Array(over, before[-1]), parts, back)

    def multiplied(self, sent: Column, others: Sequence[Column]) -> Column:
        for o in others:
            sent = self.numbers.times(sent, o)
        return sent

    def quotient(self, a: Node, b: Node) -> Node:
        numbers = self.numbers
        over, (a, b) = self.joined([a, b])
        out = numbers.over(a.array.values, b.array.values)

        def back(sent: Column) -> Sequence[Column]:
            below = numbers.power(b.array.values, Fraction(-1))
            return numbers.times(sent, below), numbers.times(sent, numbers.negated(numbers.times(out, below)))

        return Node(Array(over, out), [a, b], back)

    def power(self, base: Node, e: Fraction) -> Node:
        numbers = self.numbers
        over, values = base.array
        if e == 0:
            return Node(Array(over, [numbers.one] * len(values)))

        def back(sent: Column) -> Sequence[Column]:
            steep = numbers.scaled(numbers.power(values, e - 1), numbers.number(e)) if e != 1 else [numbers.one] * len(values)
            return (numbers.times(sent, steep),)

        return Node(Array(over, numbers.power(values, e)), [base], back)

    def raised(self, base: Node, exponent: Node) -> Node:
        """A power whose exponent is a constant of the op, by which nothing is differentiated."""
        numbers = self.numbers
        over, (base, exponent) = self.joined([base, exponent])
        values, k = base.array.values, exponent.array.values

        def back(sent: Column) -> Sequence[Column]:
            below = numbers.plus(k, [numbers.negated([numbers.one])[0]] * len(k))
            return (numbers.times(sent, numbers.times(k, numbers.raised(values, below))),)

        return Node(Array(over, numbers.raised(values, k)), [base], back)

    def function(self, head: str, of: Node) -> Node:
        over, values = of.array
        out = self.numbers.call(head, values)
        return Node(Array(over, out), [of], lambda sent: (self.numbers.times(sent, slope(self.numbers, head, values, out)),))

    # ---- reductions ------------------------------------------------------------------------------------------------

    def chosen(self, body: st.Tree) -> tuple[Node, list[Array]]:
        """What an extremum is taken of, and the conditions under which its elements take part."""
        held: list[Array] = []
        while isinstance(body, st.Call) and body.head == "where" and body.args[2] in NOTHING:
            held.append(Array(*self.condition(body.args[0])))
            body = body.args[1]
        return self.value(body), held

    def reduced(self, kind: str, index: tuple[str, ...], body: Node, held: Sequence[Array] = ()) -> Node:
        """A reduction. Each entry of a sum has the derivative 1; entries that attain an extremum have equal shares of 1.

        The derivative of a product by an entry is the product of the others. Entries take part only where all conditions
        ``held`` hold.
        """
        numbers = self.numbers
        rest = tuple(i for i in dict.fromkeys((*body.array.over, *(i for h in held for i in h.over))) if i not in index)
        body = self.spread(body, (*rest, *index))
        count = self.frame.count(index)
        groups = list(rows(body.array.values, count))
        open_ = [True] * len(body.array.values)
        for h in held:
            open_ = [a and b for a, b in zip(open_, self.frame.spread(h, (*rest, *index)), strict=True)]
        parts = list(rows(open_, count))
        taken = [[v for v, o in zip(g, os, strict=True) if o] for g, os in zip(groups, parts, strict=True)] if held else groups
        weights = [numbers.number(Fraction(1, len(g)) if kind == "mean" else Fraction(1)) for g in taken]
        if kind in PLACES:
            found = [numbers.place(PLACES[kind], g) for g in taken]
        elif kind == "prod":
            found = list(map(numbers.product, taken))
        elif kind in ("max", "min"):
            found = [numbers.largest(kind, g) for g in taken] if held else [numbers.extreme(kind, g) for g in groups]
        else:
            found = [numbers.total(g) for g in taken]
            found = numbers.times(found, weights) if kind == "mean" else found

        def back(sent: Column) -> Sequence[Column]:
            if kind in ("max", "min"):
                at = zip(groups, parts, found, strict=True)
                shares = [
                    s
                    for g, os, m in at
                    for s in self.shares([o and numbers.sign(v, m) == 0 for v, o in zip(g, os, strict=True)])
                ]
            elif kind in PLACES:
                shares = [numbers.zero] * len(body.array.values)
            elif kind == "prod":
                shares = [s for g, os in zip(groups, parts, strict=True) for s in self.others(g, os)]
            else:
                weighted = zip(parts, weights, strict=True)
                shares = [w if o else numbers.zero for os, w in weighted for o in os]
            return (numbers.times([v for v in sent for _ in range(count)], shares),)

        return Node(Array(rest, found), [body], back)

    def others(self, entries: Column, taken: list[bool]) -> Column:
        """For each entry the product of the other entries that take part; 0 for an entry that takes no part."""
        kept = [k for k, t in enumerate(taken) if t]
        found = {k: self.numbers.product(entries[j] for j in kept if j != k) for k in kept}
        return [found.get(k, self.numbers.zero) for k in range(len(entries))]

    def shares(self, chosen: list[bool]) -> list[Any]:
        """Equal shares of 1 for the chosen entries, and 0 for all others."""
        part = self.numbers.number(Fraction(1, max(sum(chosen), 1)))
        return [part if c else self.numbers.zero for c in chosen]

    # ---- choices ---------------------------------------------------------------------------------------------------

    def condition(self, tree: st.Tree) -> tuple[tuple[str, ...], list[bool]]:
        """Where a comparison holds, over its free indices."""
        if isinstance(tree, st.Match):
            over = tuple(dict.fromkeys(n for i in (tree.left, tree.right) for n in st.index_names(i)))
            one, other = self.position(tree.left, over), self.position(tree.right, over)
            return over, [(a == b) == tree.equal for a, b in zip(one, other, strict=True)]
        if not isinstance(tree, st.Compare):
            raise TypeError(f"not a condition: {tree}")
        if on_indices(tree):
            over = st.free_indices(tree)
            sides = zip(self.whole_numbers(tree.left, over), self.whole_numbers(tree.right, over), strict=True)
            return over, [HOLDS[tree.rel](u, v) for u, v in sides]
        over, (a, b) = self.joined([self.value(tree.left), self.value(tree.right)])
        return over, self.numbers.compare(tree.rel, a.array.values, b.array.values)

    def choice(self, cond: st.Tree, a: Node, b: Node) -> Node:
        """``where(cond, a, b)``. An element that is not chosen gets 0, even if its derivative is undefined."""
        own, where = self.condition(cond)
        over, (_, a, b) = self.joined([Node(Array(own, where)), a, b])
        where = self.frame.spread(Array(own, where), over)
        out = [x if c else y for c, x, y in zip(where, a.array.values, b.array.values, strict=True)]
        zero = self.numbers.zero

        def back(sent: Column) -> Sequence[Column]:
            pairs = list(zip(where, sent, strict=True))
            return [v if c else zero for c, v in pairs], [zero if c else v for c, v in pairs]

        return Node(Array(over, out), [a, b], back)

    def larger(self, head: str, a: Node, b: Node) -> Node:
        """The larger or the smaller of two. At a tie both have the derivative 1/2."""
        numbers = self.numbers
        over, (a, b) = self.joined([a, b])
        out = numbers.larger(head, a.array.values, b.array.values)
        win = 1 if head == "maximum" else -1
        part: dict[int | None, Any] = {win: numbers.one, 0: numbers.number(Fraction(1, 2))}

        def back(sent: Column) -> Sequence[Column]:
            signs = [numbers.sign(x, y) for x, y in zip(a.array.values, b.array.values, strict=True)]
            to_a = [part.get(s, numbers.zero) for s in signs]
            to_b = [part.get(None if s is None else -s, numbers.zero) for s in signs]
            return numbers.times(sent, to_a), numbers.times(sent, to_b)

        return Node(Array(over, out), [a, b], back)
