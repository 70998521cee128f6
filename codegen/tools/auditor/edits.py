"""The edits of Python code that undo a slip: every program that one small change makes of a wrong program.

Each rule takes one node of a statement and yields what could have been meant in its place. No rule knows an op. The edited
programs are run to find the one that is right.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["ACCUMULATED", "Edit", "edits"]

#: The name, in edited code, of a function that adds up at indices that may repeat.
ACCUMULATED = "_accumulated"


@dataclass(frozen=True)
class Edit:
    """A program with one change: the line of the change, the kind of the slip, a sentence on it, and the statements."""

    line: int
    kind: str
    text: str
    statements: tuple[ast.stmt, ...]


#: What could have been meant in a node's place: the kind of the slip, a sentence on it, and the other node.
Change = tuple[str, str, ast.AST]
Rule = Callable[[ast.AST, "Known"], Iterator[Change]]


@dataclass(frozen=True)
class Known:
    """What an edit may put in: ``names`` of arrays, and lengths, each as shown in a sentence and as it is in code."""

    names: tuple[str, ...]
    lengths: tuple[tuple[str, str], ...] = ()


def edits(statements: Sequence[ast.stmt], at: Collection[int], known: Known) -> Iterator[Edit]:
    """Every program that one edit of the statements ``at`` these places makes, the most telling edits first."""
    for rules in RULES:
        for k in at:
            for path, node in _places(statements[k]):
                for rule in rules:
                    for kind, text, new in rule(node, known):
                        yield _edited(statements, k, path, new, kind, text)


Path = tuple[tuple[str, int | None], ...]


def _places(node: ast.AST, path: Path = ()) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of a statement, with the way to it; inner functions are left as they are."""
    yield path, node
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            for k, child in enumerate(value):
                if isinstance(child, ast.AST):
                    yield from _places(child, (*path, (name, k)))
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context | ast.operator | ast.unaryop):
            yield from _places(value, (*path, (name, None)))


def _edited(statements: Sequence[ast.stmt], at: int, path: Path, new: ast.AST, kind: str, text: str) -> Edit:
    old, fresh = statements[at], copy.deepcopy(new)
    statement = _put(old, path, fresh)
    line = _line(old, path)
    for node in ast.walk(fresh):
        if isinstance(node, ast.expr | ast.stmt):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = 0
    assert isinstance(statement, ast.stmt)
    return Edit(line, kind, text, (*statements[:at], statement, *statements[at + 1 :]))


def _put(node: ast.AST, path: Path, new: ast.AST) -> ast.AST:
    """A copy of the node in which ``new`` stands at the end of the path; what is beside the path is shared."""
    if not path:
        return new
    (name, k), *rest = path
    out = copy.copy(node)
    value = getattr(node, name)
    if k is None:
        setattr(out, name, _put(value, tuple(rest), new))
    else:
        setattr(out, name, [_put(v, tuple(rest), new) if j == k else v for j, v in enumerate(value)])
    return out


def _line(node: ast.AST, path: Path) -> int:
    line = getattr(node, "lineno", 0)
    for name, k in path:
        value = getattr(node, name)
        node = value if k is None else value[k]
        line = getattr(node, "lineno", line)
    return int(line)


# ---- rules -----------------------------------------------------------------------------------------------------------------


def names(node: ast.AST, known: Known) -> Iterator[Change]:
    """Another name was meant."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in known.names:
        for other in known.names:
            if other != node.id:
                yield "another name", f"{node.id} stands where {other} belongs", _name(other)


def every_name(node: ast.AST, known: Known) -> Iterator[Change]:
    """Another name was meant wherever a name stands in a statement."""
    if not isinstance(node, ast.Assign | ast.AugAssign | ast.Return) or node.value is None:
        return
    read = [n.id for n in ast.walk(node.value) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    for name in dict.fromkeys(n for n in read if read.count(n) > 1 and n in known.names):
        for other in known.names:
            if other != name:
                new = copy.deepcopy(node)
                for n in ast.walk(new):
                    if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id == name:
                        n.id = other
                yield "another name", f"{name} stands where {other} belongs", new


def signs(node: ast.AST, known: Known) -> Iterator[Change]:
    """A sign is wrong."""
    shown = _shown(node)
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "sign", f"{shown} has the wrong sign", operand
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield "sign", f"{_shown(right)} in {shown} has the wrong sign", ast.BinOp(left, ast.Sub(), right)
            yield "sign", f"{_shown(left)} in {shown} has the wrong sign", ast.BinOp(right, ast.Sub(), left)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield "sign", f"{_shown(right)} in {shown} has the wrong sign", ast.BinOp(left, ast.Add(), right)
            yield "sign", f"{shown} has the opposite sign", ast.BinOp(right, ast.Sub(), left)
        case ast.Assign(value=value) | ast.Return(value=ast.expr() as value):
            yield "sign", f"{_shown(value)} has the opposite sign", _with_value(node, _minus(value))
        case ast.AugAssign(target=target, op=ast.Add(), value=value):
            yield "sign", f"{_shown(value)} has the wrong sign", ast.AugAssign(target, ast.Sub(), value)
        case ast.AugAssign(target=target, op=ast.Sub(), value=value):
            yield "sign", f"{_shown(value)} has the wrong sign", ast.AugAssign(target, ast.Add(), value)


def accumulation(node: ast.AST, known: Known) -> Iterator[Change]:
    """Entries are overwritten where they are to be added up, or the reverse."""
    match node:
        case ast.AugAssign(target=ast.Subscript(value=base, slice=index), op=ast.Add(), value=value):
            text = f"indices that repeat overwrite each other in {_shown(node)}: each adds its part, as by np.add.at"
            yield "overwritten", text, _added_up(base, index, value)
        case ast.Assign(targets=[ast.Subscript(value=base, slice=index)], value=value):
            text = f"indices that repeat overwrite each other in {_shown(node)}: each adds its part, as by np.add.at"
            yield "overwritten", text, _added_up(base, index, value)
            text = f"{_shown(node)} overwrites what is to be added to"
            yield "overwritten", text, ast.AugAssign(ast.Subscript(base, index, ast.Store()), ast.Add(), value)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            text = f"{_shown(node)} overwrites the {name} of before, where it is to be added to"
            yield "overwritten", text, ast.AugAssign(ast.Name(name, ast.Store()), ast.Add(), value)
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
            text = f"{_shown(node)} counts twice what was in {name}"
            yield "doubled term", text, ast.Assign([ast.Name(name, ast.Store())], value)


def labels(node: ast.AST, known: Known) -> Iterator[Change]:
    """A label picks its entry in every row, where it belongs to one row."""
    match node:
        case ast.Subscript(value=base, slice=ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), chosen]), ctx=ctx):
            rows = ast.Call(_name("range"), [ast.Call(_name("len"), [base], [])], [])
            text = f"{_shown(node)} picks the entries of all labels in every row, where each row has one label"
            yield "labels", text, ast.Subscript(base, ast.Tuple([_listed(rows), chosen], ast.Load()), ctx)


def exchanged_indices(node: ast.AST, known: Known) -> Iterator[Change]:
    """The two indices of an entry stand in the wrong order."""
    match node:
        case ast.Subscript(value=base, slice=ast.Tuple(elts=[first, second]), ctx=ctx) if not isinstance(first, ast.Slice):
            text = f"the indices {_shown(first)} and {_shown(second)} are exchanged in {_shown(node)}"
            yield "labels", text, ast.Subscript(base, ast.Tuple([second, first], ast.Load()), ctx)


def labels_off_by_one(node: ast.AST, known: Known) -> Iterator[Change]:
    """An index is one beside the label."""
    if isinstance(node, ast.Subscript):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for k, part in enumerate(parts):
            match part:
                case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=ast.Constant()):
                    text = f"the labels are off by one: {_shown(part)} stands where {_shown(left)} belongs"
                    index = [left if j == k else p for j, p in enumerate(parts)]
                    whole = ast.Tuple(index, ast.Load()) if isinstance(node.slice, ast.Tuple) else index[0]
                    yield "labels", text, ast.Subscript(node.value, whole, node.ctx)


def _listed(rows: ast.expr) -> ast.expr:
    return ast.Call(_name("list"), [rows], [])


def operators(node: ast.AST, known: Known) -> Iterator[Change]:
    """Divided instead of multiplied, or the reverse; a factor or a term too many."""
    shown = _shown(node)
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield "inverted factor", f"multiplied by {_shown(right)} instead of divided", ast.BinOp(left, ast.Div(), right)
            yield "inverted factor", f"multiplied by {_shown(left)} instead of divided", ast.BinOp(right, ast.Div(), left)
            yield "extra factor", f"the factor {_shown(right)} in {shown} is one too many", left
            yield "extra factor", f"the factor {_shown(left)} in {shown} is one too many", right
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield "inverted factor", f"divided by {_shown(right)} instead of multiplied", ast.BinOp(left, ast.Mult(), right)
            yield "extra factor", f"the divisor {_shown(right)} in {shown} is one too many", left
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            yield "extra term", f"the term {_shown(right)} in {shown} is one too many", left
            yield "extra term", f"the term {_shown(left)} in {shown} is one too many", right
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            yield "exponent", f"the exponent {_shown(right)} in {shown} is one too many", left
        case ast.AugAssign(target=target, op=ast.Mult(), value=value):
            yield (
                "inverted factor",
                f"multiplied by {_shown(value)} instead of divided",
                ast.AugAssign(target, ast.Div(), value),
            )
        case ast.AugAssign(target=target, op=ast.Div(), value=value):
            yield (
                "inverted factor",
                f"divided by {_shown(value)} instead of multiplied",
                ast.AugAssign(target, ast.Mult(), value),
            )


def numbers(node: ast.AST, known: Known) -> Iterator[Change]:
    """Another number was meant: an axis, a coefficient, an exponent."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool | str) or node.value is None:
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield "shape", f"{node.value} stands where {not node.value} belongs", ast.Constant(not node.value)
        return
    if not isinstance(node.value, int | float):
        return
    value = node.value
    for other in dict.fromkeys((value + 1, value - 1, -value, 2 * value, value / 2, value + 0.5, value - 0.5, -value - 1, 0)):
        other = int(other) if other == int(other) and isinstance(value, int) else other
        if other != value:
            yield "number", f"{value} stands where {other} belongs", ast.Constant(other)


def axes(node: ast.AST, known: Known) -> Iterator[Change]:
    """A reduction is over other axes, or is a mean instead of a sum, or is missing its axis."""
    match node:
        case ast.Call(func=ast.Attribute(value=base, attr=("sum" | "mean" | "max") as attr), args=args, keywords=keywords):
            others = {"sum": "mean", "mean": "sum"}
            if attr in others:
                other = ast.Call(ast.Attribute(base, others[attr], ast.Load()), args, keywords)
                yield f"{attr} for {others[attr]}", f"a {attr} stands where the {others[attr]} belongs in {_shown(node)}", other
            yield "extra reduction", f"the {attr} in {_shown(node)} is one too many", base
            if not args and not any(k.arg in ("axis", "dim") for k in keywords):
                for axis in (0, 1, -1):
                    one = ast.Call(node.func, [ast.Constant(axis)], keywords)
                    yield "axis", f"{_shown(node)} is over all axes, where it belongs over axis {axis} alone", one
            if args or keywords:
                wide = [k for k in keywords if k.arg in ("axis", "dim")]
                keep = ast.Call(node.func, args, [*keywords, ast.keyword("keepdims", ast.Constant(True))])
                if not any(k.arg in ("keepdims", "keepdim") for k in keywords) and (args or wide):
                    yield "shape", f"{_shown(node)} does not keep its axis (keepdims=True)", keep


def products(node: ast.AST, known: Known) -> Iterator[Change]:
    """A matrix is to be transposed, or is transposed and is not to be; two matrices are to be exchanged."""
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            for a, b, said in (
                (_transposed(left), right, left),
                (left, _transposed(right), right),
                (_transposed(left), _transposed(right), node),
            ):
                yield "transposed", f"{_shown(said)} is to be transposed", ast.BinOp(a, ast.MatMult(), b)
            swapped = f"the factors of {_shown(node)} are exchanged"
            yield "transposed", swapped, ast.BinOp(right, ast.MatMult(), left)
            yield "transposed", swapped, ast.BinOp(_transposed(right), ast.MatMult(), left)
            yield "transposed", swapped, ast.BinOp(right, ast.MatMult(), _transposed(left))
        case ast.Assign(value=value) | ast.Return(value=ast.expr() as value):
            yield "transposed", f"{_shown(value)} is to be transposed", _with_value(node, _transposed(value))


def roots(node: ast.AST, known: Known) -> Iterator[Change]:
    """What is added to a root belongs under it, or the reverse."""
    match node:
        case ast.BinOp(left=ast.Call(func=func, args=[inside], keywords=[]), op=ast.Add() as plus, right=right):
            text = f"{_shown(right)} is added outside the root instead of under it"
            yield "constant", text, ast.Call(func, [ast.BinOp(inside, plus, right)], [])
        case ast.BinOp(left=ast.BinOp(left=base, op=ast.Pow() as power, right=exponent), op=ast.Add() as plus, right=right):
            text = f"{_shown(right)} is added outside the root instead of under it"
            yield "constant", text, ast.BinOp(ast.BinOp(base, plus, right), power, exponent)


def comparisons(node: ast.AST, known: Known) -> Iterator[Change]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=comparators):
            for other in (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq):
                if not isinstance(op, other):
                    new = ast.Compare(left, [other()], comparators)
                    yield "condition", f"the condition {_shown(node)} is to be {_shown(new)}", new


def factors(node: ast.AST, known: Known) -> Iterator[Change]:
    """A factor, a divisor or a term is missing."""
    value = node.value if isinstance(node, ast.Assign | ast.Return | ast.AugAssign) else None
    whole = value is not None
    if value is None:
        if not isinstance(node, ast.BinOp | ast.Name | ast.Call | ast.UnaryOp) or _is_stored(node):
            return
        value = node
    where = "" if whole else f" at {_shown(value)}"

    def put(new: ast.expr) -> ast.AST:
        return _with_value(node, new) if whole else new

    for shown, code in known.lengths:
        length = ast.parse(code, mode="eval").body
        yield "divisor", f"the divisor {shown} is missing{where}", put(ast.BinOp(value, ast.Div(), length))
        yield "missing factor", f"the factor {shown} is missing{where}", put(ast.BinOp(value, ast.Mult(), length))
    for name in known.names:
        yield "missing factor", f"the factor {name} is missing{where}", put(ast.BinOp(value, ast.Mult(), _name(name)))
    for name in known.names:
        yield "divisor", f"the divisor {name} is missing{where}", put(ast.BinOp(value, ast.Div(), _name(name)))
        if whole:
            yield "missing term", f"the term {name} is missing", put(ast.BinOp(value, ast.Add(), _name(name)))
            yield "missing term", f"the term -{name} is missing", put(ast.BinOp(value, ast.Sub(), _name(name)))


def reductions(node: ast.AST, known: Known) -> Iterator[Change]:
    """A sum is missing."""
    if isinstance(node, ast.Assign | ast.Return) and node.value is not None:
        for axis in (0, 1, -1):
            new = ast.Call(ast.Attribute(node.value, "sum", ast.Load()), [ast.Constant(axis)], [])
            yield "missing reduction", f"{_shown(node.value)} is to be summed over axis {axis}", _with_value(node, new)


#: The rules in rounds: those of the first round change least.
RULES: tuple[tuple[Rule, ...], ...] = (
    (accumulation, labels, exchanged_indices, labels_off_by_one, signs, axes, products, numbers, roots),
    (names, every_name, comparisons, operators),
    (factors, reductions),
)


def _shown(node: ast.AST) -> str:
    return ast.unparse(node)


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _minus(value: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), value)


def _transposed(value: ast.expr) -> ast.expr:
    if isinstance(value, ast.Attribute) and value.attr in ("T", "mT"):
        return value.value
    return ast.Attribute(value, "T", ast.Load())


def _with_value(node: ast.AST, value: ast.expr) -> ast.AST:
    out = copy.copy(node)
    out.value = value  # type: ignore[attr-defined]
    return out


def _added_up(base: ast.expr, index: ast.expr, value: ast.expr) -> ast.stmt:
    target = copy.deepcopy(base)
    assert isinstance(target, ast.Name | ast.Attribute | ast.Subscript)
    target.ctx = ast.Store()
    return ast.Assign([target], ast.Call(_name(ACCUMULATED), [copy.deepcopy(base), index, value], []))


def _is_stored(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)
