"""The smallest text that fails as a given one does: statements, inputs and parts of expressions are left out in turn."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

from tests.systems.lengths import as_python, as_written


def shrink(text: str, fails: Callable[[str], bool], attempts: int = 400) -> str:
    """A text for which ``fails`` still holds, smaller until nothing can be left out or the attempts are used up."""
    start, tried = 0, {text}
    while True:
        for position, candidate in enumerate(candidates(text)):
            if position < start or candidate in tried:
                continue
            if not attempts:
                return text
            attempts -= 1
            tried.add(candidate)
            if fails(candidate):
                text, start = candidate, position  # what came before did not fail; it is tried again at the end
                break
        else:
            if not start:
                return text
            start = 0


def candidates(text: str) -> Iterator[str]:
    """Texts with something left out, the largest parts first."""
    plain = "\n".join(line.partition("#")[0].rstrip() for line in text.splitlines() if line.partition("#")[0].strip())
    if plain + "\n" != text:
        yield plain + "\n"
    yield from (_text(tree) for tree in _smaller(ast.parse(as_python(text))))


def _text(tree: ast.Module) -> str:
    return as_written("\n".join(ast.unparse(n).replace(",]", "]") for n in tree.body) + "\n")


def _smaller(tree: ast.Module) -> Iterator[ast.Module]:
    for k in reversed(range(1, len(tree.body))):
        yield from _without(tree, k)
    signature = tree.body[0]
    assert isinstance(signature, ast.Assign) and isinstance(signature.value, ast.Call)
    for k in range(len(signature.value.args)):
        changed = copy.deepcopy(tree)
        del changed.body[0].value.args[k]  # type: ignore[attr-defined]
        yield changed
    for k in range(len(signature.value.keywords)):
        changed = copy.deepcopy(tree)
        del changed.body[0].value.keywords[k]  # type: ignore[attr-defined]
        yield changed
    target = signature.targets[0]
    if isinstance(target, ast.Tuple):
        for k in range(len(target.elts)):
            changed = copy.deepcopy(tree)
            left = changed.body[0].targets[0].elts  # type: ignore[attr-defined]
            del left[k]
            if len(left) == 1:
                changed.body[0].targets[0] = left[0]  # type: ignore[attr-defined]
            yield changed
    yield from _smaller_expressions(tree)


def _without(tree: ast.Module, k: int) -> Iterator[ast.Module]:
    """The statements without number ``k``: what it defined becomes an input, or is gone where nothing reads it."""
    node = tree.body[k]
    changed = copy.deepcopy(tree)
    del changed.body[k]
    if isinstance(node, ast.Assign):
        name = ast.unparse(node.targets[0])
        if name.startswith("size["):
            yield changed
            return
        outputs = changed.body[0].targets[0]  # type: ignore[attr-defined]
        bare = name.partition("[")[0]
        kept = [o for o in (outputs.elts if isinstance(outputs, ast.Tuple) else [outputs]) if _name(o) != bare]
        if not kept:
            earlier = [n for n in changed.body[1:] if isinstance(n, ast.Assign)]
            if not earlier:
                return
            kept = [copy.deepcopy(earlier[-1].targets[0])]
        changed.body[0].targets = [kept[0] if len(kept) == 1 else ast.Tuple(kept, ast.Store())]  # type: ignore[attr-defined]
        given = copy.deepcopy(changed)
        given.body[0].value.args.append(copy.deepcopy(node.targets[0]))  # type: ignore[attr-defined]
        yield changed
        yield given
    else:
        yield changed


def _name(node: ast.expr) -> str:
    return ast.unparse(node).partition("[")[0]


def _smaller_expressions(tree: ast.Module) -> Iterator[ast.Module]:
    """Every expression in turn replaced by one of its parts, by 1, or by 2."""
    for k, statement in enumerate(tree.body[1:], 1):
        if not isinstance(statement, ast.Assign):
            continue
        nodes = [n for n in ast.walk(statement.value) if isinstance(n, ast.expr)]
        for position, node in enumerate(nodes):
            for part in _parts(node):
                changed = copy.deepcopy(tree)
                value = changed.body[k].value  # type: ignore[attr-defined]
                old = [n for n in ast.walk(value) if isinstance(n, ast.expr)][position]
                changed.body[k].value = _Replace(old, copy.deepcopy(part)).visit(value)  # type: ignore[attr-defined]
                yield changed


def _parts(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(left=a, right=b):
            return [a, b]
        case ast.UnaryOp(operand=a):
            return [a]
        case ast.Call(func=ast.Name(id="where"), args=args):
            return [*args[1:], ast.Constant(1)]
        case ast.Call(func=ast.Name(id="size")):
            return [ast.Constant(2)]
        case ast.Call(args=args):
            return [*args, *_fewer_axes(node), ast.Constant(2)]
        case ast.Constant(value=value) if value not in (1, 2):
            return [ast.Constant(2)]
    return []


def _fewer_axes(node: ast.Call) -> list[ast.expr]:
    if not (isinstance(node.func, ast.Subscript) and isinstance(node.func.slice, ast.Tuple)):
        return []
    out: list[ast.expr] = []
    for k in range(len(node.func.slice.elts)):
        changed = copy.deepcopy(node)
        assert isinstance(changed.func, ast.Subscript) and isinstance(changed.func.slice, ast.Tuple)
        del changed.func.slice.elts[k]
        if len(changed.func.slice.elts) == 1:
            changed.func.slice = changed.func.slice.elts[0]
        out.append(changed)
    return out


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.expr, new: ast.expr):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().generic_visit(node)
