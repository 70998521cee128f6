"""1 minus a share of a positive sum is the sum of the other shares, which cancels no digits.

There are two forms. If ``y = u/a`` and ``a = u + v``, then ``1 - y = v/a``. If ``p[c] = u[c]/a`` and ``a = sum[c](u[c])``,
then ``[c = j] - p[c]`` is ``sum[k != j](u[k])/a`` at ``c = j``, and ``-p[c]`` elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from derive.rounding.work import Work
from derive.rules import Rule
from derive.simplify.rewrite import term_open
from derive.terms.definitions import Definition
from derive.terms.flatten import bind
from derive.terms.sums import (
    Atom,
    Delta,
    Exponent,
    Index,
    Lookup,
    Mono,
    Read,
    Sum,
    atom_indices,
    atom_sum,
    close,
    delta,
    fresh,
    number,
    open_mono,
    rename_free,
    term,
    times,
)

__all__ = ["RULE", "other_shares", "two_shares"]

RULE = Rule("other shares")


class Share(NamedTuple):
    """``name = part/whole``, over the index of the definition."""

    part: Sum
    whole: Definition
    at: tuple[Index, ...]


def other_shares(work: Work) -> None:
    """Apply both forms to every definition and line until neither applies."""
    for name, index, body in work.expressions():
        while (found := two_shares(work, body) or _looked_up(work, body, index) or _one_hot(work, body, index)) is not None:
            body, using = found
            work.change(RULE, name, body, (using,))


def share_of(work: Work, name: str) -> Share | None:
    """The definition of a name as a share, if it is a product divided by a positive sum; else None."""
    d = work.definitions.get(name)
    only = d.body.single if d else None
    if d is None or only is None or only[0].bound:
        return None
    for atom, e in only[0].factors:
        whole = work.definitions.get(atom.name) if isinstance(atom, Read) and e == -1 else None
        if whole is None or whole.function is not None or not isinstance(atom, Read) or not _positive(work, whole):
            continue
        rest = dict(only[0].factors)
        times(rest, atom, 1)
        return Share(term(rest, (), only[1]), whole, atom.index)
    return None


def _positive(work: Work, d: Definition) -> bool:
    """Whether all terms of a definition are positive."""
    return all(c > 0 and work.signs.sum_positive(Sum({m: c})) for m, c in d.body.terms.items())


def two_shares(work: Work, body: Sum) -> tuple[Sum, str] | None:
    """``k - k*y`` as ``k*v/a``."""
    for mono, c in body:
        for read, rest, bound in _reads(mono):
            partner = close(rest, bound)
            share = share_of(work, read.name)
            if share is None or partner.mono is None or body.terms.get(partner.mono) != -c * partner.coefficient:
                continue
            total = rename_free(share.whole.body, dict(zip(share.whole.index, share.at, strict=True)))
            others = total - share.part
            if len(others) != len(total) - 1:
                continue
            value = others * term({Read(share.whole.name, share.at): -1})
            value = rename_free(value, dict(zip(work.definitions[read.name].index, read.index, strict=True)))
            left = Sum({mono: c, partner.mono: body.terms[partner.mono]})
            return body - left + bind(term_open(rest) * value, bound).scaled(-c), read.name
    return None


def _looked_up(work: Work, body: Sum, index: tuple[str, ...]) -> tuple[Sum, str] | None:
    """``k - k*p[j]`` with a label ``j`` as ``k*q``, where ``q`` is the sum of all shares but that of ``j``."""
    for mono, c in body:
        for read, rest, bound in _reads(mono):
            partner = close(rest, bound)
            if bound or partner.mono is None or body.terms.get(partner.mono) != -c * partner.coefficient:
                continue
            place = next((k for k, slot in enumerate(read.index) if isinstance(slot, Lookup)), None)
            d = work.definitions.get(read.name)
            if place is None or d is None:
                continue
            c_own = fresh(d.index[place])
            whole = Read(read.name, (*read.index[:place], c_own, *read.index[place + 1 :]))
            found = _axis_of_share(work, whole)
            if found is None or found[1] != c_own:
                continue
            q = _all_but(work, found[0], whole, c_own, read.index[place], index)
            left = Sum({mono: c, partner.mono: body.terms[partner.mono]})
            return body - left + (term_open(rest) * q).scaled(-c), read.name
    return None


def _one_hot(work: Work, body: Sum, index: tuple[str, ...]) -> tuple[Sum, str] | None:
    """``k*p[c] - k*[c = j]`` as ``k*p[c]*[c != j] - k*[c = j]*q``, where ``q`` is the sum of all shares but that of ``j``."""
    for mono, c in body:
        for read, rest, bound in _reads(mono):
            found = None if bound else _axis_of_share(work, read)
            if found is None:
                continue
            for hot in [d for m in body.terms for d, _ in m.factors if isinstance(d, Delta)]:
                partner = close({**rest, hot: 1}, ())
                label = _label(hot, found[1])
                if label is None or partner.mono is None or body.terms.get(partner.mono) != -c * partner.coefficient:
                    continue
                other = atom_sum(work.names.read(number(1) - atom_sum(hot), index))
                q = _all_but(work, found[0], read, found[1], label, index)
                left = Sum({mono: c, partner.mono: body.terms[partner.mono]})
                new = atom_sum(read) * other - atom_sum(hot) * q
                return body - left + (term_open(rest) * new).scaled(c), read.name
    return None


def _reads(mono: Mono) -> Iterator[tuple[Read, dict[Atom, Exponent], tuple[str, ...]]]:
    """Each read of a term to a positive whole power, with the term divided by that read, and the bound indices."""
    opened = open_mono(mono)
    for atom, e in opened.factors.items():
        if isinstance(atom, Read) and e >= 1 and e == int(e):
            rest = dict(opened.factors)
            times(rest, atom, -1)
            yield atom, rest, opened.bound


def _axis_of_share(work: Work, read: Read) -> tuple[Share, str] | None:
    """The share that is read, and the index over which its parts add up to the whole; None for any other read."""
    share = share_of(work, read.name)
    d = work.definitions.get(read.name)
    if share is None or d is None:
        return None
    total = rename_free(share.whole.body, dict(zip(share.whole.index, share.at, strict=True)))
    for own, slot in zip(d.index, read.index, strict=True):
        if isinstance(slot, str) and own not in share.at and bind(share.part, (own,)) == total:
            return share, slot
    return None


def _label(hot: Delta, c: str) -> Index | None:
    """``j`` of ``[c = j]``; None for a delta without ``c``."""
    sides = [(hot.left, hot.right), (hot.right, hot.left)]
    return next((other for side, other in sides if side == c and c not in atom_indices(delta(other, other))), None)


def _all_but(work: Work, share: Share, read: Read, c: str, label: Index, index: tuple[str, ...]) -> Sum:
    """A read of the name of ``sum[k](u[k]*[k != label])/a``, at the indices of ``read``."""
    d = work.definitions[read.name]
    k = fresh(c)
    at: dict[str, Index] = {own: (k if slot == c else slot) for own, slot in zip(d.index, read.index, strict=True)}
    scope = (*(i for i in index if i != c), k)
    other = work.names.read(number(1) - atom_sum(delta(k, label)), scope)
    parts = bind(rename_free(share.part, at) * atom_sum(other), (k,))
    total = work.names.read(parts, scope)
    whole = Read(share.whole.name, tuple(at.get(i, i) if isinstance(i, str) else i for i in share.at))
    return atom_sum(work.names.read(term({total: 1, whole: -1}), scope, "others"))
