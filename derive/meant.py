"""The op that an argument of a command means: a name of the catalogue, a file of equations, or a formula."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from dataclasses import replace
from difflib import get_close_matches
from itertools import count
from pathlib import Path

from derive import parse, parse_formula
from derive.command import read_text
from derive.errors import OpError
from derive.language.formula import with_left_side
from derive.language.sizes import sizes_of_option, with_sizes
from derive.ops import find, known
from derive.show.show import assumptions, signature
from derive.syntax import Op

__all__ = ["OP", "add_op", "add_sizes", "is_formula", "meant_op", "op_as_given", "op_of"]

#: The axes that the arrays of a formula without a left side get.
STARS = "[*s]"
#: The help of an argument that means an op.
OP = "an op's name, a file of equations, or a formula such as 'y[i] = exp(-x[i]**2)' or 'tanh(x)*g'"


def add_op(parser: argparse.ArgumentParser, default: str | None = None, otherwise: str = "") -> None:
    """Give a command the argument that means an op, and its options. ``otherwise`` says what it does without the argument."""
    if otherwise:
        parser.add_argument("op", nargs="?", default=default, help=f"{OP} (default: {otherwise})")
    else:
        parser.add_argument("op", help=OP)
    add_sizes(parser)


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Give a command the option for the lengths of axes at which costs are compared."""
    text = "lengths of axes at which costs are compared, as in i=4096,f=64; as a line of the file: sizes: i=4096, f=64"
    parser.add_argument("--sizes", default="", metavar="AXIS=N,...", help=text)


def op_of(options: argparse.Namespace, name: str = "") -> Op:
    """The op that the arguments of :func:`add_op` mean, at the reference lengths that they give (errors: :func:`meant_op`)."""
    return with_sizes(meant_op(options.op, name), sizes_of_option(options.sizes))


def op_as_given(options: argparse.Namespace) -> str:
    """The arguments of :func:`add_op` as a command line has them, quoted for a shell."""
    return shlex.join([options.op, *(["--sizes", options.sizes] if options.sizes else [])])


def meant_op(what: str, name: str = "") -> Op:
    """The op that ``what`` means. A formula's op is called ``name`` where one is given, and else ``formula``.

    ValueError for what is none of the three, for a file that cannot be read, and for a name where there is no formula;
    OpError for text that cannot be understood.
    """
    if not what.strip():
        raise ValueError(f"nothing is given; expected {OP}")
    if is_formula(what):
        if "\n" in what.strip():
            op = parse(what)
            return _called(op, name) if name else op
        op = parse_formula(what) if "=" in what else _expression(what.strip())
        return _called(op, name or _unnamed(op))
    if name:
        raise ValueError(f"--name {name}: a formula can be given a name; the op '{what}' has one in its first line")
    if found := find(what):
        return found
    if not is_path(what):
        raise ValueError(f"no op '{what}' in the catalogue, and no file of that name{known(what)}")
    if not Path(what).exists():
        raise ValueError(f"there is no file {what}{_similar(Path(what))}")
    return parse(read_text(Path(what)))


def is_formula(what: str) -> bool:
    """Whether an argument means a formula: it is no file, and has a ``=`` or is an expression with more than a name.

    What has brackets or operators is meant as one also where it is none, so that it is said what is wrong with it.
    ``my-op`` and ``my/op.txt`` are expressions of Python too, and meant as names.
    """
    if _exists(what):
        return False
    if "=" in what:
        return True
    if re.search(r"\.[A-Za-z]\w*$", what.strip()):
        return False
    if re.search(r"[(\[*+^@]", what) or re.match(r"\s*\d", what):
        return True
    return bool(re.search(r"\s", what.strip())) and _parses(what)


def _parses(what: str) -> bool:
    try:
        ast.parse(what.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _expression(what: str) -> Op:
    """The op of a formula without a left side; an error tells of the formula as it was given."""
    if "@" in what or not _parses(what):  # what is wrong with it is said of an equation
        return _as_given(what, f"y = {what}")
    return _as_given(what, with_left_side(what))


def _as_given(what: str, written: str) -> Op:
    """The op of an equation that was made of a formula. The column of an error is that of the formula."""
    try:
        return parse_formula(written)
    except OpError as error:
        if error.line is None or error.column is None:
            raise
        head = written.index(" = ") + 3
        message = str(error).partition(f", column {error.column + 1}: ")[2]
        before = written[head : error.column]
        column = max(0, min(len(before) - len(STARS) * before.count(STARS), len(what)))
        plain = message.replace("[*s,]", "").replace(STARS, "")
        raise OpError(plain, op="formula", line=1, column=column) from None


def is_path(what: str) -> bool:
    """Whether an argument means a file: the file exists, or the argument has a folder or an ending, as no op's name has."""
    return _exists(what) or "/" in what or "\\" in what or "." in what


def _exists(what: str) -> bool:
    try:
        return Path(what).exists()
    except (OSError, ValueError):
        return False


def _similar(path: Path) -> str:
    """The hint for a file that is not there: the file beside it with the most similar name; "" if none is similar."""
    try:
        beside = [p.name for p in path.parent.iterdir() if p.is_file()]
    except OSError:
        return ""
    close = get_close_matches(path.name, beside, 1)
    return f" (did you mean '{path.with_name(close[0])}'?)" if close else ""


def _unnamed(op: Op) -> str:
    """The name of an op that was given none: not its output's, as ``y = y(x)`` says nothing."""
    taken = {t.name for t in op.inputs} | {e.name for e in op.equations}
    return next(name for name in (f"formula{'_' * k}" for k in count()) if name not in taken)


def _called(op: Op, name: str) -> Op:
    """The op of a formula with a signature that calls it ``name`` (OpError if it cannot be called so)."""
    if not name.isidentifier():
        raise OpError(f"'{name}' is no name; expected letters, digits and '_'", op="--name")
    head = [signature(replace(op, name=name)), *assumptions(op)]
    return parse("\n".join([*head, "", op.text]))
