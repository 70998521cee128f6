"""Short names for the equations of ops that the author called: ``mu`` for ``batchnorm_mu``, where ``mu`` is free."""

from __future__ import annotations

import re

from derive import syntax as st
from derive.ops import find
from derive.renaming import renamed

__all__ = ["with_short_names"]

#: What the arguments of called ops are called, in this order, as far as the author left these letters free.
LETTERS = "abuvwqghkrl"


def with_short_names(op: st.Op) -> st.Op:
    """The op without the prefixes that inclusion gave to names; ``mu2`` for the ``mu`` of a second call.

    A name that the author wrote stays as it is, and so does a name whose short form is taken. Where that is the argument of a
    call, as the ``x`` of ``sigmoid(...)`` may be, a free letter takes its place: an ``x2`` would look like another ``x``.
    """
    words = set(re.findall(r"\w+", op.text))
    taken = {t.name for t in op.inputs} | {c.name for c in op.constants} | {e.name for e in op.equations} | {op.name}
    taken |= {a for t in op.inputs for a in t.axes} | {a for e in op.equations for a in e.index}
    known = set(taken)
    to: dict[str, str] = {}
    carried = {n for c in op.carries for n in (c.of, c.first)}
    for e in op.equations:
        if e.name in carried or not (short := _short(e.name, words)):
            continue
        if short.rstrip("0123456789") in known and _argument(e.name, words):
            short = next((x for x in LETTERS if _free(x, taken)), short)
        if _free(short, taken):
            to[e.name] = short
            taken.add(short)
    return renamed(op, to)


def _free(name: str, taken: set[str]) -> bool:
    return not {name, st.adjoint_name(name), st.primal_name(name)} & taken


def _argument(name: str, words: set[str]) -> bool:
    """Whether a name is that of an input of a called op."""
    for word in words:
        if (found := re.fullmatch(rf"{word}\d*_(\w+)", name)) and (op := find(word)) is not None:
            return found[1] in {t.name for t in op.inputs} or _argument(found[1], words)
    return False


def _short(name: str, words: set[str]) -> str:
    """The name without the op that it came from; "" where the author wrote it."""
    if not words or name in words:
        return ""
    for op in sorted(words, key=len, reverse=True):
        if found := re.fullmatch(rf"{op}(\d*)_(\w+)", name):
            inner = found[2] if found[2] in words else _short(found[2], words) or found[2]
            return inner + found[1]
    return ""
