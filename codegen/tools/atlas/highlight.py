"""Source text in coloured pieces: Python by the standard library's tokenizer, C by a small lexer.

The concatenation of the pieces is the text, unchanged.
"""

from __future__ import annotations

import io
import keyword
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

__all__ = ["Piece", "highlight"]


@dataclass(frozen=True)
class Piece:
    """A run of text of one kind: k(eyword), s(tring), c(omment), n(umber), d(efined or called name), or "" for the rest."""

    kind: str
    text: str


def highlight(text: str, language: str) -> tuple[Piece, ...]:
    """The pieces of a source text in ``python`` or ``c`` (ValueError for another language)."""
    if language not in _LEXERS:
        raise ValueError(f"cannot highlight {language!r}; known: {', '.join(_LEXERS)}")
    pieces = [piece for piece in _LEXERS[language](text) if piece.text]
    return _joined(Piece(_colour(pieces, k), piece.text) for k, piece in enumerate(pieces))


def _joined(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The pieces, one for each run of a kind."""
    runs = groupby(pieces, key=lambda piece: piece.kind)
    return tuple(Piece(kind, "".join(p.text for p in run)) for kind, run in runs)


def _colour(pieces: Sequence[Piece], k: int) -> str:
    """The kind of a piece; blanks between two pieces of one kind have that kind, so that a page has fewer elements."""
    around = {p.kind for p in pieces[k - 1 : k + 2 : 2]}
    return around.pop() if 0 < k < len(pieces) - 1 and not pieces[k].text.strip(" ") and len(around) == 1 else pieces[k].kind


# ---- Python ---------------------------------------------------------------------------------------------------------------

_PYTHON_KINDS = {tokenize.STRING: "s", tokenize.COMMENT: "c", tokenize.NUMBER: "n"}
_FSTRING = {getattr(tokenize, name, -1) for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END")}


def _python(text: str) -> Iterator[Piece]:
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    done, defines = 0, False
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
        end = min(end, len(text))
        if begin >= end or begin < done or not token.string.strip():
            continue
        kind = "d" if defines and token.type == tokenize.NAME else _python_kind(token)
        yield Piece("", text[done:begin])
        yield Piece(kind, text[begin:end])
        done, defines = end, token.string in ("def", "class")
    yield Piece("", text[done:])


def _python_kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "k"
    return "s" if token.type in _FSTRING else _PYTHON_KINDS.get(token.type, "")


# ---- C --------------------------------------------------------------------------------------------------------------------

_C_WORDS = (
    "break case char const continue default do double else enum extern float for goto if inline int long restrict return "
    "short signed sizeof static struct switch typedef uint8_t int32_t int64_t size_t uintptr_t union unsigned void volatile "
    "while real"
).split()
_C_TOKEN = re.compile(
    rf"""
      (?P<comment>/\*.*?\*/|//[^\n]*)
    | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
    | (?P<directive>^[ \t]*\#(?:[^\n/\\]|/(?![*/])|\\\n|\\.)*)
    | (?P<number>\b(?:0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?|\d+\.?\d*(?:[eE][+-]?\d+)?)\w*)
    | (?P<keyword>\b(?:{"|".join(_C_WORDS)})\b)
    | (?P<name>\b[A-Za-z_]\w*(?=\())
    | (?P<word>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_C_KINDS = {"comment": "c", "string": "s", "directive": "k", "number": "n", "keyword": "k", "name": "d"}


def _c(text: str) -> Iterator[Piece]:
    done = 0
    for match in _C_TOKEN.finditer(text):
        yield Piece("", text[done : match.start()])
        yield Piece(_C_KINDS.get(match.lastgroup or "", ""), match[0])
        done = match.end()
    yield Piece("", text[done:])


_LEXERS = {"python": _python, "c": _c}
