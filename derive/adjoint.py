"""The chain rule of every definition, as a single statement.

For ``v[I] = sum_R body``, each read ``u[J]`` in the body contributes to ``du[K]``

    sum over I and R of  dv[I] * d(body)/d(u[J]) * product over slots k of delta(K_k, J_k)

The deltas then collapse (:func:`derive.terms.sums.close`). So elementwise operations, broadcasts, reductions, contractions,
gathers and diagonals need no cases of their own. The derivative of a function of one argument is SymPy's. A maximum sends
its adjoint to the elements that attain the maximum, in equal shares. A product sends its adjoint to each factor times all
other factors: those before it times those behind it, so that nothing is divided and factors may be 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from derive import syntax as st
from derive.functions.words import PLACES
from derive.simplify.signs import Signs
from derive.sympy_bridge import derivative
from derive.terms.definitions import Definition
from derive.terms.flatten import bind, extremum, flat_tree
from derive.terms.forms import Part, combined
from derive.terms.names import Names
from derive.terms.reads import with_arguments
from derive.terms.rows import implied
from derive.terms.sums import (
    Argument,
    Atom,
    Condition,
    Exponent,
    Extremum,
    Function,
    Hole,
    Index,
    Mono,
    Read,
    Sum,
    atom_indices,
    atom_sum,
    delta,
    fresh,
    number,
    open_mono,
    rename_free,
    row,
    sum_reads,
    term,
)


def active_names(op: st.Op, definitions: Sequence[Definition]) -> set[str]:
    """The names on a path from a differentiable input to an output: only these have an adjoint."""
    reached = {t.name for t in op.differentiable}
    for d in definitions:
        if sum_reads(d.body) & reached and not _is_place(d):
            reached.add(d.name)
    needed = {t.name for t in op.outputs}
    for d in reversed(definitions):
        if d.name in needed and not _is_place(d):
            needed |= sum_reads(d.body)
    return reached & needed


def _is_place(d: Definition) -> bool:
    """Whether the values of a name are positions, by which nothing is differentiated."""
    return isinstance(d.body.atom, Extremum) and d.body.atom.head in PLACES


def adjoints(op: st.Op, definitions: Sequence[Definition], names: Names) -> list[Definition]:
    """``du[K] = ...`` for every active name, from the outputs back to the inputs.

    ``dy`` is the upstream gradient of an output ``y``, which callers pass in. Where other equations read ``y``, the adjoint
    of ``y`` is ``dy`` and their contributions. That adjoint is called ``dy_total`` (see :func:`whole_adjoint`).
    """
    active = active_names(op, definitions)
    contributions: dict[str, Sum] = {}
    upstream = {t.name for t in op.outputs}
    out: list[Definition] = []
    index_of = {t.name: t.axes for t in op.inputs} | {d.name: d.index for d in definitions}
    waiting = {t.name: t for t in op.differentiable}
    backwards = [d for d in reversed(definitions) if d.name in active]
    first_reader = {u: position for position, d in enumerate(backwards) for u in sum_reads(d.body)}
    for position, d in enumerate(backwards):
        name = st.adjoint_name(d.name)
        inner = contributions.pop(d.name, Sum())
        if d.name not in upstream:
            out.append(Definition(name, d.index, inner))
        elif inner:
            name = whole_adjoint(d.name, index_of)
            out.append(Definition(name, d.index, inner + atom_sum(Read(st.adjoint_name(d.name), d.index))))
        for u, part in _contributions(op, d, name, active, index_of, names):
            contributions[u] = contributions.get(u, Sum()) + part
        for t in [t for t in waiting.values() if first_reader.get(t.name, -1) <= position]:
            out.append(Definition(st.adjoint_name(t.name), t.axes, contributions.get(t.name, Sum())))
            del waiting[t.name]
    for t in waiting.values():
        out.append(Definition(st.adjoint_name(t.name), t.axes, Sum()))
    return out


def whole_adjoint(output: str, known: Collection[str]) -> str:
    """The name of the whole adjoint of an output that other equations read: the upstream gradient and their contributions."""
    k, whole = 1, f"{output}_total"
    while whole in known:  # the adjoint of that name would be called the same
        k += 1
        whole = f"{output}_total{k}"
    return st.adjoint_name(whole)


def _contributions(
    op: st.Op, d: Definition, name: str, active: set[str], index_of: dict[str, tuple[str, ...]], names: Names
) -> Iterator[tuple[str, Sum]]:
    """The contributions of one definition to the adjoints of what its body reads, each with the name that was read."""
    for mono, coefficient in d.body:
        opened = open_mono(mono)
        for atom, e in opened.factors.items():
            rest: dict[Atom, Exponent] = {a: x for a, x in opened.factors.items() if a != atom}
            for read, slope in _slopes(op, d, atom, e, names, (*d.index, *opened.bound)):
                if read.name not in active:
                    continue
                upstream = {Read(name, d.index): 1, **rest}
                body = term(upstream, (), coefficient) * slope
                local = [i for i in atom_indices(read) if isinstance(i, str) and i not in (*d.index, *opened.bound)]
                yield read.name, _send(body, read, d.index, (*opened.bound, *local), index_of[read.name])


def _send(body: Sum, read: Read, index: tuple[str, ...], bound: tuple[str, ...], target: tuple[str, ...]) -> Sum:
    """Sum over ``I`` and ``R``, with deltas between the read's indices ``J`` and the target's indices ``K``."""
    apart: dict[str, Index] = {i: fresh(i) for i in index}
    body = rename_free(body, apart)
    moved = rename_free(atom_sum(read), apart).atom
    assert isinstance(moved, Read)
    deltas = number(1)
    for k, j in zip(target, moved.index, strict=True):
        deltas = deltas * term({delta(k, j): 1})
    return bind(body * deltas, (*[str(v) for v in apart.values()], *bound))


def _slopes(
    op: st.Op, d: Definition, atom: Atom, e: Exponent, names: Names, scope: tuple[str, ...]
) -> Iterator[tuple[Read, Sum]]:
    """The reads in one factor ``atom**e``, and the factor's derivative with respect to each read."""
    if isinstance(atom, Read):
        yield atom, term({atom: e - 1}, (), Fraction(e))
    elif isinstance(atom, Function):
        assert e == 1
        if atom.head in ("maximum", "minimum"):
            rel = "<=" if atom.head == "maximum" else ">="
            yield from _chosen(atom.args[0], atom.args[1], rel)
            yield from _chosen(atom.args[1], atom.args[0], rel)
        elif isinstance(atom.args[0], Read):
            yield atom.args[0], _function_slope(op, atom, atom.args[0], names, scope)
    elif isinstance(atom, Extremum):
        assert e == 1
        yield _others(d, atom, names) if atom.head == "prod" else _maximizers(d, atom, names)


def _chosen(a: Argument, b: Argument, rel: str) -> Iterator[tuple[Read, Sum]]:
    """The derivative of ``maximum(a, b)`` or ``minimum(a, b)`` with respect to ``a``, if ``a`` is a read.

    The derivative is 1/2 at a tie. It is 0 where ``a rel b`` holds otherwise, and 1 elsewhere. Beside NaN no comparison holds:
    both arguments have the derivative 1, as in torch.
    """
    if isinstance(a, Read):
        yield a, atom_sum(Condition(rel, a, b, holds=False)) + atom_sum(_equal(a, b)).scaled(Fraction(1, 2))


def _equal(a: Argument, b: Argument) -> Condition:
    left, right = sorted((a, b), key=lambda side: (isinstance(side, Fraction), str(side)))
    return Condition("==", left, right)


def _function_slope(op: st.Op, function: Function, argument: Read, names: Names, scope: tuple[str, ...]) -> Sum:
    """The derivative of a function at its argument. A function that only the derivative calls gets a name of its own."""
    free = {i for i in atom_indices(argument) if isinstance(i, str)}
    scope = tuple(i for i in scope if i in free)
    if function.head == "power":
        exponent = function.args[1]
        assert isinstance(exponent, Read)  # a number is no exponent of this function
        slope = _power_slope(may_be_0=not Signs(op, {d.name: d for d in names.definitions}).nonzero(exponent.name))
        return flat_tree(with_arguments(slope, u=argument, k=exponent), op, names, list(scope))
    return flat_tree(with_arguments(derivative(function.head), u=argument), op, names, list(scope))


def _power_slope(may_be_0: bool) -> st.Tree:
    """The derivative of ``u**k`` by ``u``: ``k*u**(k - 1)``, of ``u**0`` 0 where ``u`` is 0 too."""
    k, zero = st.Read("k"), st.Num(Fraction(0))
    below: st.Tree = st.Add((k, st.Num(Fraction(-1))))
    if may_be_0:
        below = st.Call("where", (st.Compare("==", k, zero), zero, below))
    return st.Mul((k, st.Call("power", (st.Read("u"), below))))


def tie_counts(definitions: Iterable[Definition]) -> frozenset[str]:
    """The names by which :func:`_maximizers` divides: ``sum([u = v])`` where ``v`` is an extremum of ``u``."""
    definitions = list(definitions)
    extrema = {frozenset((d.name, d.body.atom.of.name)) for d in definitions if isinstance(d.body.atom, Extremum)}
    found = set()
    for d in definitions:
        mono = d.body.single[0] if d.body.single else Mono(())
        rows = [a for a, _ in mono.factors if isinstance(a, Condition) and a.form is not None]
        match [a for a, _ in mono.factors if a not in rows]:
            case [Condition("==", Read() as u, Read() as v)] if mono.bound:
                found |= {d.name} if {u.name, v.name} in extrema else set()
    return frozenset(found)


def _maximizers(d: Definition, atom: Extremum, names: Names) -> tuple[Read, Sum]:
    """The derivative of an extremum ``v`` of ``u``: ``[u = v] / sum([u = v])``, so that ties share the adjoint equally.

    Of an extremum under conditions these are factors of both.
    """
    element = _element(atom)
    here = term({_equal(element.read, Read(d.name, d.index)): 1, **dict.fromkeys(element.where, 1)})
    ties = names.read(bind(here, element.local), d.index)
    return element.read, here * term({ties: -1})


def _others(d: Definition, atom: Extremum, names: Names) -> tuple[Read, Sum]:
    """The derivative of a product by one of its factors: the product of the factors before it times that of those behind it.

    Of a product under conditions these are conditions on each factor. One that follows from the order of two factors and from
    the condition on the later of them is left out.
    """
    element, other = _element(atom), _element(atom)
    (here,), (there,) = element.local, other.local
    out = term(dict.fromkeys(element.where, 1))
    for sign in (1, -1):
        apart = row("<", combined([(Part(there), sign), (Part(here), -sign)]))
        pairs = zip(other.where, element.where, strict=True)
        rows = (apart, *(c for c, known in pairs if not _follows(c, known, apart)))
        part = extremum(names, "prod", other.read, other.local, (*d.index, here, there), rows)
        out = out * atom_sum(names.read(atom_sum(part), (*d.index, here)))
    return element.read, out


def _follows(c: Condition, *known: Condition) -> bool:
    """Whether an inequality follows from the sum of known ones."""
    if any(k.form is None or k.rel != "<=" for k in (c, *known)):
        return False
    whole = combined([part for k in known if k.form for part in k.form.parts], sum(k.form.offset for k in known if k.form))
    return implied(c, row("<=", whole))


class _Element(NamedTuple):
    """An element of what is reduced: its read, the names of its own indices, and the conditions under which it takes part."""

    read: Read
    local: tuple[str, ...]
    where: tuple[Condition, ...]


def _element(atom: Extremum) -> _Element:
    """One element of a reduction, with a fresh index in the place of each hole."""
    own = {i.axis: fresh(i.axis) for i in atom.of.index if isinstance(i, Hole)}
    read = Read(atom.of.name, tuple(own[i.axis] if isinstance(i, Hole) else i for i in atom.of.index))
    where = tuple(row(c.rel, c.form.filled(own)) for c in atom.where if c.form is not None)
    return _Element(read, tuple(own.values()), where)
