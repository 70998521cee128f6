"""From text to Python's statements: line ends, indentation and characters are settled first, then Python's parser runs.

Syntax errors are explained in the words of the language.
"""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from derive.errors import OpError
from derive.functions.words import REDUCTIONS
from derive.language.hints import KEYWORDS
from derive.language.slots import as_subscripts, marked, with_packs

#: What to write in the place of a character that looks like a character of the language.
INSTEAD = {
    **dict.fromkeys("−–—‐‑‒﹣－", "-"),
    **dict.fromkeys("×·⋅∙∗•✕✖⨯＊", "*"),
    **dict.fromkeys("÷∕⁄／", "/"),
    **{c: f"**{d}" for d, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{c: f"**({d}/{n})" for c, d, n in (("½", 1, 2), ("⅓", 1, 3), ("¼", 1, 4))},
    **{c: str(d) for d, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{
        "⁻": "**-1",
        "≤": "<=",
        "≥": ">=",
        "≠": "!=",
        "∈": "in",
        "π": "pi",
        "√": "sqrt(...)",
        "∑": "sum[n](...)",
        "Σ": "sum[n](...)",
        "∏": "prod[n](...)",
    },
    **{
        "←": "=",
        "＝": "=",
        "（": "(",
        "）": ")",
        "［": "[",
        "］": "]",
        "，": ",",
        "′": "a name without it",
        "∞": "a finite number",
    },
}
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*(?:(?<=[eE])[+-]\d+)?|\.\d\w*|\*\*|//|[<>=!]=|\S")
#: The longest name of an op. Files and C functions are called after the op.
LONGEST = 100
_QUOTES = "\"'“”‘’«»`"


@dataclass(frozen=True)
class Token:
    text: str
    line: int
    column: int

    @property
    def is_word(self) -> bool:
        return self.text[0].isalpha() or self.text[0] == "_"

    @property
    def is_number(self) -> bool:
        return self.text[0].isdigit() or (self.text[0] == "." and len(self.text) > 1)


def plain(text: str) -> str:
    """The text without a byte order mark, with ``\\n`` as line end, and without the indentation that all lines share."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((line for line in lines if code_of(line).strip()), "")
    margin = first[: len(first) - len(first.lstrip(" \t"))]
    return "\n".join(line.removeprefix(margin) if code_of(line).strip() else line.lstrip(" \t") for line in lines)


def statements(text: str) -> list[ast.stmt]:
    """The statements of a text that :func:`plain` has made (OpError where the text breaks Python's grammar)."""
    op = name_in(text)
    _check_characters(text, op)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = with_packs(ast.parse(marked(as_subscripts(text))).body, text)
    except SyntaxError as error:
        raise _explained(text, error, op) from None
    except (RecursionError, MemoryError):
        raise OpError("the text is nested too deeply, or one expression of it is too long; name parts of it", op=op) from None
    except ValueError as error:
        raise OpError(f"the text cannot be read: {error}", op=op) from None
    if not body:
        raise OpError("the text is empty: expected a signature such as 'y[n] = op(x[n])'", op=op)
    return body


def name_in(text: str) -> str:
    """The op's name, guessed from a text that may not parse; "op" if there is none."""
    found = re.search(r"=[ \t]*([A-Za-z_]\w*)[ \t]*\(", text)
    return found[1] if found and len(found[1]) <= LONGEST else "op"


def code_of(line: str) -> str:
    """A line without its comment. The language has no strings, so that every ``#`` begins a comment."""
    return line.partition("#")[0]


def _check_characters(text: str, op: str) -> None:
    """Check the characters of a text (OpError at the first that the language lacks). Comments may have any printable ones."""
    for number, line in enumerate(text.split("\n"), 1):
        code = len(code_of(line))
        if line.isascii() and line.isprintable():
            continue
        for column, c in enumerate(line):
            control = c != "\t" and (unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs"))
            if control or (column < code and not c.isascii()):
                raise OpError(_character(c, control), op=op, line=number, column=column)


def _character(c: str, control: bool) -> str:
    named = f"U+{ord(c):04X} {unicodedata.name(c, '')}".strip()
    if control:
        return f"the text has a control character ({named}); remove it"
    if c in _QUOTES:
        return f"the quotation mark '{c}' has no meaning here; a comment begins with '#'"
    if c in INSTEAD:
        return f"'{c}' ({named}) is not part of the language: write {INSTEAD[c]}"
    if c.isspace() or unicodedata.category(c) in ("Cf", "Zs"):
        return f"an invisible character ({named}): write a plain space, or remove it"
    greek = re.fullmatch(r"(?:GREEK (?:SMALL|CAPITAL) LETTER (?:FINAL )?|MICRO SIGN)(\w*)", unicodedata.name(c, ""))
    if greek:
        return f"names must be ASCII: write '{_greek(c, greek[1])}' for '{c}'"
    if c.isalpha():
        return f"names must be ASCII, and '{c}' ({named}) is not"
    return f"'{c}' ({named}) is not part of the language"


def _greek(c: str, name: str) -> str:
    word = {"": "mu", "LAMDA": "lam", "LAMBDA": "lam"}.get(name, name.lower())
    return word.capitalize() if c.isupper() else word


# ---- what a syntax error is really about ----------------------------------------------------------------------------------


def _explained(text: str, error: SyntaxError, op: str) -> OpError:
    """The error of Python's parser, explained in the words of the language and placed where the mistake is."""
    lines = text.split("\n")
    line, column = error.lineno or 1, max((error.offset or 1) - 1, 0)
    words = (error.msg or "").split("\n")[0]
    if isinstance(error, IndentationError):
        column = len(lines[line - 1]) - len(lines[line - 1].lstrip()) if line <= len(lines) else 0
        return OpError("the line is indented; every statement begins in the first column", op=op, line=line, column=column)
    if "leading zeros" in words:
        return OpError("a number does not begin with 0; write 7 for 07", op=op, line=line, column=column)
    if "Exceeds the limit" in words:
        return OpError("an integer has more digits than any number of float64", op=op, line=line, column=column)
    tokens = list(_tokens(lines))
    for rule in (_keyword, _bracket, _missing_operator, _odd_character, _assigned, _length):
        found = rule([t for t in tokens if t.line == line], tokens, words)
        if found is not None:
            token, message = found
            return OpError(message, op=op, line=token.line, column=token.column)
    ended = [t for t in tokens if t.line == line]
    if ended and ended[-1].text in ("+", "-", "*", "/", "**", "=", "<", ">", ","):
        last = ended[-1]
        return OpError(f"nothing follows '{last.text}'", op=op, line=line, column=last.column)
    return OpError(f"not an equation: {words}", op=op, line=line, column=column)


def _tokens(lines: list[str]) -> Iterator[Token]:
    for number, line in enumerate(lines, 1):
        for match in _TOKEN.finditer(code_of(line)):
            yield Token(match[0], number, match.start())


Rule = Callable[[list[Token], list[Token], str], tuple[Token, str] | None]


def _keyword(here: list[Token], tokens: list[Token], words: str) -> tuple[Token, str] | None:
    """A reserved word of Python, as a name or as a statement."""
    for t in here:
        if keyword.iskeyword(t.text) and t.text not in ("in", "is", "not", "and", "or"):
            return t, KEYWORDS.get(
                t.text, f"'{t.text}' is a reserved word of Python and no name; write '{t.text}_', for instance"
            )
    return None


def _bracket(here: list[Token], tokens: list[Token], words: str) -> tuple[Token, str] | None:
    """The first bracket without a partner."""
    partner, opened = {")": "(", "]": "[", "}": "{"}, list[Token]()
    for t in tokens:
        if t.text in partner.values():
            opened.append(t)
        elif t.text in partner:
            if not opened:
                return t, f"'{t.text}' closes nothing"
            if opened[-1].text != partner[t.text]:
                return t, f"'{t.text}' does not close the '{opened[-1].text}' of line {opened[-1].line}"
            opened.pop()
    return (opened[-1], f"'{opened[-1].text}' is never closed") if opened else None


def _missing_operator(here: list[Token], tokens: list[Token], words: str) -> tuple[Token, str] | None:
    """Two operands side by side: ``2x``, ``x[n] y[n]``, ``sum[n] x[n]``."""
    for k, a in enumerate(here):
        if a.is_number and (glued := re.fullmatch(r"(\d[\d.]*|\.\d+)([A-Za-z]\w*)", a.text)):
            return a, f"an operator is missing: write {glued[1]}*{glued[2]}"
        b = here[k + 1] if k + 1 < len(here) else None
        ends = (a.is_word and not keyword.iskeyword(a.text)) or a.is_number or a.text in (")", "]")
        if b is not None and ends and ((b.is_word and not keyword.iskeyword(b.text)) or b.is_number):
            head = _head(here, k)
            if a.text == "]" and head in REDUCTIONS:
                return b, f"brackets are missing: what '{head}' reduces stands in (...)"
            return b, f"an operator is missing between '{a.text}' and '{b.text}'; a product is written a*b"
    return None


def _head(tokens: list[Token], k: int) -> str:
    """The name before the brackets that end at token ``k``."""
    depth = 0
    for t in reversed(tokens[: k + 1]):
        if not depth and t.is_word:
            return t.text
        depth += (t.text in (")", "]")) - (t.text in ("(", "["))
    return ""


def _odd_character(here: list[Token], tokens: list[Token], words: str) -> tuple[Token, str] | None:
    for t in here:
        if t.text == "\\":
            return t, "a backslash has no meaning here; LaTeX is what comes out, not what goes in"
        if t.text in _QUOTES:
            return t, "a text in quotation marks has no meaning here; a comment begins with '#'"
        if t.text in "?!$;:":
            return t, f"'{t.text}' has no meaning here"
    return None


def _assigned(here: list[Token], tokens: list[Token], words: str) -> tuple[Token, str] | None:
    """A left side that is no name, such as ``y(n) = ...`` or ``2*y = ...``, or a constant without a name."""
    if "positional argument follows keyword argument" in words:
        return here[0], "the tensors come before the constants: op(x[n], eps=1e-5)"
    if "cannot assign" not in words and "cannot contain assignment" not in words:
        return None
    if here[0].text == "size":
        return here[0], "a length is declared for one axis: size(i) = ..."
    if len(here) > 1 and here[0].is_word and here[1].text == "(":
        return here[1], f"axes stand in square brackets: {here[0].text}[n]"
    return here[0], "the left side of '=' is one name with its axes, such as 'y[n]'; a comparison is written '=='"


def _length(here: list[Token], tokens: list[Token], words: str) -> tuple[Token, str] | None:
    """A length that is given to an axis by itself: ``x[n, h = 2]``."""
    opened = list[str]()
    for t in tokens:
        if t.text == "=" and opened[-1:] == ["["]:
            return t, "a length is given in the brackets of a packed axis only: x[n, (h = 2, f)]"
        opened = [*opened, t.text] if t.text in "([{" else opened[:-1] if t.text in ")]}" else opened
    return None
