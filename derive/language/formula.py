"""The inputs of a formula on the command line, which declares none."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import chain, count

from derive.errors import OpError
from derive.functions.words import is_function
from derive.language.slots import flat_slots, slots_of
from derive.syntax import Tensor

#: What is no array before a dot: ``np.tanh(x)`` means the function.
LIBRARIES = frozenset("np numpy torch jnp jax math F nn functional scipy sympy sp".split())


def infer_inputs(
    node: ast.Assign, declared: Callable[[ast.expr], Tensor], error: Callable[[ast.AST, str], OpError]
) -> tuple[list[Tensor], dict[str, ast.AST]]:
    """The tensors that the right side reads, and the node where each name was first written.

    A tensor has the axes of its first plain read, which is a read that names every axis once. A tensor that is read only on
    diagonals, as in ``x[i, i]``, gets a new axis for every repeated index.

    A tensor in index position is an integer tensor: its values index the axis in whose place it stands. ``declared`` makes a
    tensor of a node with plain axes. ``error`` makes the OpError for a tensor whose axes no read shows.
    """
    reads = _in_order(node.value)
    heads = {id(c.func) for c in reads if isinstance(c, ast.Call)}
    subscripts = [n for n in reads if isinstance(n, ast.Subscript) and id(n) not in heads and isinstance(n.value, ast.Name)]
    found: dict[str, Tensor] = {}
    at: dict[str, ast.AST] = {}
    lookups: dict[str, tuple[Tensor, str, int]] = {}
    for sub in subscripts:
        assert isinstance(sub.value, ast.Name)
        name = sub.value.id
        at.setdefault(name, sub)
        for position, slot in enumerate(flat_slots(sub)):
            if isinstance(slot, ast.Subscript) and isinstance(slot.value, ast.Name):
                lookups.setdefault(slot.value.id, (declared(slot), name, position))
        if name not in found and _is_plain(sub) and not _repeated(sub):
            found[name] = declared(sub)
    for sub in filter(_is_plain, subscripts):
        assert isinstance(sub.value, ast.Name)
        if sub.value.id not in found:
            found[sub.value.id] = declared(_told_apart(sub, node))
    for scalar in _scalars(node, reads, heads, subscripts):
        found.setdefault(scalar.id, Tensor(scalar.id, ()))
        at.setdefault(scalar.id, scalar)
    for name, (tensor, of, position) in lookups.items():
        if of not in found or position >= len(found[of].axes):
            raise error(at[name], f"the axes of '{of}' cannot be told from '{of}[..., {name}[...]]' alone; write a signature")
        found[name] = Tensor(name, tensor.axes, found[of].axes[position])
    for sub in subscripts:
        assert isinstance(sub.value, ast.Name)
        if sub.value.id not in found:
            raise error(sub, f"the axes of '{sub.value.id}' cannot be told from this read; write a signature")
    return [found[name] for name in sorted(found, key=list(at).index)], at


def with_left_side(text: str) -> str:
    """An expression without axes as an equation: ``y[*s] = tanh(x[*s])*g[*s]`` for ``tanh(x)*g``.

    Every name in it is an array, and all arrays have one shape. OpError: the expression has axes, or names no array.
    """
    text = text.strip()
    node = ast.Assign([ast.Name("_")], ast.parse(text, mode="eval").body, lineno=1)
    reads = _in_order(node.value)
    if any(isinstance(n, ast.Subscript) for n in reads):
        raise OpError(f"it has no left side; write 'y[n] = {text}', with the result's axes in the place of n", op="formula")
    arrays = _scalars(node, reads, {id(c.func) for c in reads if isinstance(c, ast.Call)}, [])
    if not arrays:
        raise OpError(f"'{text}' names no array, so it has no gradient", op="formula")
    taken = {n.id for n in reads if isinstance(n, ast.Name)}
    left = next(name for name in chain("yzuv", (f"y{k}" for k in count(2))) if name not in taken)
    written = text.encode()
    for end in sorted({n.end_col_offset or 0 for n in arrays}, reverse=True):
        written = written[:end] + b"[*s]" + written[end:]
    return f"{left}[*s] = {written.decode()}"


def _is_plain(sub: ast.Subscript) -> bool:
    return all(isinstance(s, ast.Name | ast.Starred) for s in flat_slots(sub))


def _repeated(sub: ast.Subscript) -> bool:
    names = [s.id for s in flat_slots(sub) if isinstance(s, ast.Name)]
    return len(set(names)) < len(names)


def _told_apart(sub: ast.Subscript, node: ast.Assign) -> ast.Subscript:
    """The read with a new name for every repeated index: ``x[i, i2]`` for ``x[i, i]``."""
    taken = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    slots, before = list[ast.expr](), set[str]()
    for slot in slots_of(sub):
        name = slot.id if isinstance(slot, ast.Name) else ""
        if name in before:
            name = next(other for k in count(2) if (other := f"{name}{k}") not in taken)
            slot = ast.copy_location(ast.Name(name, ast.Load()), slot)
            taken.add(name)
        before.add(name)
        slots.append(slot)
    index = ast.copy_location(ast.Tuple(slots, ast.Load()), sub.slice)
    return ast.copy_location(ast.Subscript(sub.value, index, ast.Load()), sub)


def _scalars(node: ast.Assign, reads: list[ast.expr], heads: set[int], subscripts: list[ast.Subscript]) -> list[ast.Name]:
    """The names that are read without brackets: no functions, no indices, no constants of the language."""
    indices = {
        slot.id
        for s in ast.walk(node)
        if isinstance(s, ast.Subscript)
        for written in flat_slots(s)
        for slot in [written.value if isinstance(written, ast.Starred) else written]
        if isinstance(slot, ast.Name)
    }
    sizes = {
        id(a) for c in reads if isinstance(c, ast.Call) and isinstance(c.func, ast.Name) and c.func.id == "size" for a in c.args
    }
    libraries = {id(a.value) for a in reads if isinstance(a, ast.Attribute) and _is_library(a.value)}
    skipped = (
        heads
        | sizes
        | libraries
        | {id(s.value) for s in subscripts}
        | {id(h.value) for h in reads if isinstance(h, ast.Subscript)}
    )
    return [
        n
        for n in reads
        if isinstance(n, ast.Name) and id(n) not in skipped and n.id not in indices and n.id != "pi" and not is_function(n.id)
    ]


def _is_library(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in LIBRARIES


def _in_order(node: ast.expr) -> list[ast.expr]:
    """The expressions inside a node, in the order in which they are written."""
    found = [n for n in ast.walk(node) if isinstance(n, ast.expr)]
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))
