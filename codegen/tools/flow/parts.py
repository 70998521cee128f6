"""A name for every function that can saturate, wherever its author wrote it.

In ``y = gamma*tanh(sum[k](x*W)) + beta`` nothing but ``y`` has a name. The derivative of ``tanh`` is then one factor among
others, and has no bound to compare it with. With ``a = sum[k](x*W)``, ``h = tanh(a)`` and ``y = gamma*h + beta`` every such
derivative stands alone in a line of the chain rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from codegen.tools.flow.bounds import can_saturate
from derive import syntax as st

__all__ = ["Parted", "Parts", "parted", "unfolded"]

#: The equations of names that were made, by name.
Parts = Mapping[str, st.Equation]

#: What a function of one argument does not read beside it.
_OTHERS = st.Read | st.Reduce | st.Size | st.Match | st.Position

#: The name of the argument where a function is looked at by itself.
_ARGUMENT = st.Read("z")


@dataclass(frozen=True)
class Parted:
    """The op with the names made for it, and the expression that each made name stands for, in the author's names."""

    op: st.Op
    parts: Parts


def parted(op: st.Op) -> Parted:
    """The op in which every function that can saturate is the whole right side of an equation, and its argument is a name."""
    names = _Names(op)
    equations = tuple(part for e in op.equations for part in names.equations(e))
    return Parted(replace(op, equations=equations), names.parts)


def unfolded(tree: st.Tree, parts: Parts) -> st.Tree:
    """The tree with the expressions of made names in the place of these names."""
    if isinstance(tree, st.Read) and tree.name in parts:
        e = parts[tree.name]
        return st.rename(unfolded(e.rhs, parts), dict(zip(e.index, tree.index, strict=True)))
    return st.rebuild(tree, lambda child: unfolded(child, parts))


class _Names:
    def __init__(self, op: st.Op):
        names = [*(t.name for t in op.inputs), *(c.name for c in op.constants), *(e.name for e in op.equations)]
        self.taken = {*names, *map(st.adjoint_name, names)}
        self.parts: dict[str, st.Equation] = {}

    def equations(self, e: st.Equation) -> Iterator[st.Equation]:
        """The equations of the names that are made for an equation, followed by the equation itself."""
        rhs = e.rhs
        while (found := next(_functions(rhs), None)) is not None:
            whole, argument = found
            if not isinstance(argument, st.Read):
                made = self.made(f"{e.name}_in", argument, e.index)
                yield from self.equations(made)
                read = st.Read(made.name, _read_at(argument, made))
                whole, rhs = (_replaced(t, argument, read) for t in (whole, rhs))
            if whole != rhs:
                made = self.made(f"{e.name}_of", whole, e.index)
                yield made
                rhs = _replaced(rhs, whole, st.Read(made.name, _read_at(whole, made)))
        yield replace(e, rhs=rhs)

    def made(self, name: str, tree: st.Tree, order: tuple[str, ...]) -> st.Equation:
        """The equation of a new name for an expression, over the axes of its free indices."""
        while {name, st.adjoint_name(name)} & self.taken:
            name += "_"
        self.taken |= {name, st.adjoint_name(name)}
        free = _ordered(tree, order)
        axes = tuple(map(st.axis_of, free))
        self.parts[name] = st.Equation(name, axes, st.rename(tree, dict(zip(free, axes, strict=True))))
        return self.parts[name]


def _ordered(tree: st.Tree, order: tuple[str, ...]) -> tuple[str, ...]:
    free = st.free_indices(tree)
    return tuple(dict.fromkeys(i for i in (*order, *free) if i in free))


def _read_at(tree: st.Tree, made: st.Equation) -> tuple[str, ...]:
    """The indices at which a made name is read in the place of its expression."""
    own = {st.axis_of(i): i for i in st.free_indices(tree)}
    return tuple(own[axis] for axis in made.index)


# ---- functions in an expression ---------------------------------------------------------------------------------------------


def _functions(tree: st.Tree) -> Iterator[tuple[st.Tree, st.Tree]]:
    """The functions of one argument that can saturate and lack a name for themselves or their argument, with the argument."""
    for scope in (tree, *(n.body for n in st.walk(tree) if isinstance(n, st.Reduce))):
        for argument in dict.fromkeys(map(_argument, _elementwise(scope))):
            if argument is None or any(map(_bends, _elementwise(argument))) or not _has_axes_apart(argument):
                continue
            whole = _largest(scope, argument)
            if whole is None or (whole == tree and isinstance(argument, st.Read)):
                continue
            if can_saturate(_replaced(whole, argument, _ARGUMENT), _ARGUMENT.name):
                yield whole, argument


def _elementwise(tree: st.Tree) -> Iterator[st.Tree]:
    """The expression and those below it that belong to one element: what stands inside a reduction does not."""
    yield tree
    if not isinstance(tree, st.Reduce):
        for child in st.children(tree):
            yield from _elementwise(child)


def _bends(tree: st.Tree) -> bool:
    """Whether an expression is more than linear in what it reads."""
    match tree:
        case st.Call() | st.Pow():
            return True
        case st.Div(_, b):
            return next(st.reads(b), None) is not None
    return False


def _argument(tree: st.Tree) -> st.Tree | None:
    """The argument of a function, without signs and numbers; None where there are several, or the tree is no function."""
    match tree:
        case st.Call(_, args):
            found = {a for a in map(_stripped, args) if a is not None}
            return found.pop() if len(found) == 1 else None
        case st.Pow(base, st.Num()):
            return _stripped(base)
        case st.Div(_, b):
            return _stripped(b)
    return None


def _stripped(tree: st.Tree) -> st.Tree | None:
    """``a`` of ``2*a + 1``; None for a number."""
    if _is_number(tree):
        return None
    match tree:
        case st.Neg(a):
            return _stripped(a)
        case st.Div(a, b) if _is_number(b):
            return _stripped(a)
        case st.Add(args) | st.Mul(args):
            rest = tuple(a for a in args if not _is_number(a))
            return _stripped(rest[0]) if len(rest) == 1 else type(tree)(rest) if rest else None
        case st.Compare(_, a, b):
            if st.on_indices(tree):  # it says for which elements, and nothing of their values
                return None
            sides = [s for s in (_stripped(a), _stripped(b)) if s is not None]
            return sides[0] if len(sides) == 1 else None
        case st.Indicator(st.Compare() as cond):
            return _stripped(cond)
    return tree


def _is_number(tree: st.Tree) -> bool:
    return not any(isinstance(n, st.Read | st.Match) for n in st.walk(tree))


def _largest(tree: st.Tree, argument: st.Tree) -> st.Tree | None:
    """The largest expression that is a function of the argument alone; of a sum or product it may be some terms or factors."""
    if _covered(tree, argument):
        return tree if any(map(_bends, _elementwise(tree))) else None
    if isinstance(tree, st.Reduce) or tree == argument:
        return None
    if isinstance(tree, st.Add | st.Mul):
        own = tuple(a for a in tree.args if _covered(a, argument))
        if any(_bends(n) for a in own for n in _elementwise(a)):
            return own[0] if len(own) == 1 else type(tree)(own)
    return next((found for c in st.children(tree) if (found := _largest(c, argument)) is not None), None)


def _covered(tree: st.Tree, argument: st.Tree) -> bool:
    """Whether an expression reads the argument and, numbers apart, nothing else."""
    alone = _replaced(tree, argument, _ARGUMENT)
    nodes = list(st.walk(alone))
    return _ARGUMENT in nodes and all(n == _ARGUMENT for n in nodes if isinstance(n, _OTHERS))


def _has_axes_apart(tree: st.Tree) -> bool:
    """Whether no two free indices run over one axis: an equation has each axis once."""
    axes = [st.axis_of(i) for i in st.free_indices(tree)]
    return len(set(axes)) == len(axes)


def _replaced(tree: st.Tree, part: st.Tree, by: st.Tree) -> st.Tree:
    """The tree with ``by`` for ``part``; the terms or factors of a part may stand among others."""
    if tree == part:
        return by
    if isinstance(tree, st.Add | st.Mul) and type(part) is type(tree) and set(part.args) <= set(tree.args):
        at = next(k for k, a in enumerate(tree.args) if a in part.args)
        rest = [_replaced(a, part, by) if a not in part.args else None for a in tree.args]
        rest[at] = by
        return type(tree)(tuple(a for a in rest if a is not None))
    return st.rebuild(tree, lambda child: _replaced(child, part, by))
