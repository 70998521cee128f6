"""``exp(a)/(exp(a) + exp(b))`` is ``sigmoid(a - b)``: one exponential instead of two, and no shift to keep them in range.

The derivation stabilises a sum of two exponentials by a shift that takes out the larger one; array backends evaluate that form.
In a loop the ratio is one call of ``sigmoid``, and the shift is not computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import TypeGuard

from codegen.program import Program, Role, Statement
from derive import syntax as st


def with_logistics(program: Program) -> Program:
    """The program with every such ratio as a call of ``sigmoid``, without temporaries that nothing reads any more.

    A ratio of written numbers stays: it is a number, which is computed when the code is printed.
    """
    exponents: dict[st.Tree, st.Tree] = {
        st.Read(s.name, s.index): s.tree.args[0]
        for s in program.statements
        if isinstance(s.tree, st.Call) and s.tree.head == "exp"
    }

    def tree(node: st.Tree) -> st.Tree:
        if isinstance(node, st.Div) and isinstance(node.den, st.Add) and len(node.den.args) == 2 and node.num in node.den.args:
            other = next((t for t in node.den.args if t != node.num), node.num)
            a, b = _exponent(node.num, exponents), _exponent(other, exponents)
            difference = _difference(a, b) if a is not None and b is not None else None
            if difference is not None and any(st.reads(difference)):
                return st.Call("sigmoid", (difference,))
        return st.rebuild(node, tree)

    statements = tuple(replace(s, tree=tree(s.tree)) for s in program.statements)
    if statements == program.statements:
        return program
    return replace(program, statements=tuple(_needed(statements)))


def _exponent(node: st.Tree, exponents: dict[st.Tree, st.Tree]) -> st.Tree | None:
    """The argument of an exponential, or of a read whose value is an exponential; None for any other expression."""
    return node.args[0] if isinstance(node, st.Call) and node.head == "exp" else exponents.get(node)


def _difference(a: st.Tree, b: st.Tree) -> st.Tree | None:
    """``a - b`` after cancellation; None unless each part then occurs once, so that no intermediate sum overflows."""
    parts: Counter[st.Tree] = Counter()
    _collect(a, 1, parts)
    _collect(b, -1, parts)
    _collect_gaps(parts)
    left = [st.Neg(t) if n < 0 else t for t, n in parts.items() if n]
    if not left or any(abs(n) > 1 for n in parts.values()):
        return None
    return left[0] if len(left) == 1 else st.Add(tuple(left))


def _collect(node: st.Tree, sign: int, parts: Counter[st.Tree]) -> None:
    match node:
        case st.Neg(a):
            _collect(a, -sign, parts)
        case st.Add(args):
            for a in args:
                _collect(a, sign, parts)
        case _:
            parts[node] += sign


def _collect_gaps(parts: Counter[st.Tree]) -> None:
    """Replace ``maximum(0, u) - maximum(0, -u)`` by ``u``."""
    positive = [(t, t.args[1]) for t, n in parts.items() if n == 1 and _is_gap(t)]
    negative = [(t, t.args[1]) for t, n in parts.items() if n == -1 and _is_gap(t)]
    for one, u in positive:
        for other, v in negative:
            both: Counter[st.Tree] = Counter()
            _collect(u, 1, both)
            _collect(v, 1, both)
            if not any(both.values()):
                del parts[one], parts[other]
                _collect(u, 1, parts)
                return


def _is_gap(tree: st.Tree) -> TypeGuard[st.Call]:
    return isinstance(tree, st.Call) and tree.head == "maximum" and tree.args[0] == st.Num(Fraction(0))


def _needed(statements: Iterable[Statement]) -> list[Statement]:
    """The statements without temporaries that nothing reads."""
    kept: list[Statement] = []
    wanted: set[str] = set()
    for s in reversed(list(statements)):
        if s.role is not Role.TEMPORARY or s.name in wanted:
            kept.insert(0, s)
            wanted |= set(st.reads(s.tree))
    return kept
