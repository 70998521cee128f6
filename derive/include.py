"""Include the equations of one op in another: names prefixed, axes renamed to the caller's indices."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from derive.errors import OpError
from derive.syntax import (
    Equation,
    Index,
    Lookup,
    Match,
    Mul,
    Num,
    Op,
    Read,
    Reduce,
    Size,
    Tensor,
    Tree,
    free_indices,
    rebuild,
)


@dataclass(frozen=True)
class Arguments:
    """What a call gives an op: expressions by position and by keyword, and the tensor it is assigned to, if any."""

    positional: list[Tree]
    keywords: dict[str, Tree]
    left: Tensor | None
    scope: tuple[str, ...]
    stars: frozenset[str]


def include(op: Op, prefix: str, arguments: Arguments, tensors: dict[str, Tensor]) -> tuple[list[Equation], Tree]:
    """The callee's equations in the caller's names, and the expression that reads their result.

    ``tensors`` are those that the caller knows so far. Raises OpError where the call does not fit the signature.
    """
    before: list[Equation] = []
    names: dict[str, Tree] = _constants(op, arguments)
    axes: dict[str, tuple[str, ...]] = {}
    if len(arguments.positional) != len(op.inputs):
        wanted = ", ".join(t.name for t in op.inputs)
        raise OpError(f"'{op.name}' takes {len(op.inputs)} tensors ({wanted}), not {len(arguments.positional)}", op=op.name)
    for tensor, given in zip(op.inputs, arguments.positional, strict=True):
        read = _named(given, tensor, prefix, arguments.scope, before)
        known = {**tensors, **{e.name: Tensor(e.name, e.index) for e in before}}
        if tensor.integer != known[read.name].integer:
            kind = "an integer tensor" if tensor.integer else "a floating-point tensor"
            raise OpError(f"'{tensor.name}' of '{op.name}' must be {kind}", op=op.name)
        _bind(op, tensor, read, axes)
        names[tensor.name] = read
    body = _Renaming(op, prefix, names, axes, arguments.left)
    equations = [body.equation(e) for e in op.equations]
    output = op.outputs[0]
    made = next(e for e in equations if e.name == body.name_of(output.name))
    if arguments.left is not None and set(made.index) != set(arguments.left.axes):
        raise OpError(f"'{op.name}' gives the axes [{', '.join(made.index)}]", op=op.name)
    if arguments.left is not None and made.index != arguments.left.axes:
        raise OpError(f"'{op.name}' gives its axes in the order [{', '.join(made.index)}]", op=op.name)
    return before + equations, Read(made.name, made.index)


def _constants(op: Op, arguments: Arguments) -> dict[str, Tree]:
    given = dict(arguments.keywords)
    names: dict[str, Tree] = {}
    for constant in op.constants:
        if constant.name in given:
            names[constant.name] = given.pop(constant.name)
        elif constant.default is not None:
            names[constant.name] = Num(Fraction(constant.default))
        else:
            raise OpError(f"'{op.name}' needs the constant '{constant.name}'", op=op.name)
    if given:
        raise OpError(f"'{op.name}' has no constant '{min(given)}'", op=op.name)
    return names


def _named(given: Tree, tensor: Tensor, prefix: str, scope: tuple[str, ...], before: list[Equation]) -> Read:
    """The argument as a plain read; an expression gets an equation of its own first."""
    if isinstance(given, Read) and all(isinstance(i, str) for i in given.index):
        return given
    free = set(free_indices(given))
    index = tuple(i for i in scope if i in free)
    name = f"{prefix}_{tensor.name}"
    before.append(Equation(name, index, given))
    return Read(name, index)


def _bind(op: Op, tensor: Tensor, read: Read, axes: dict[str, tuple[str, ...]]) -> None:
    """Match the callee's axes with the caller's indices; ``*s`` takes what the others leave."""
    stars = [a for a in tensor.axes if a in op.stars]
    extra = len(read.index) - len(tensor.axes) + len(stars)
    if extra < 0 or (not stars and extra):
        raise OpError(f"'{tensor.name}' of '{op.name}' has axes [{', '.join(tensor.axes)}], '{read.name}' has {len(read.index)}", op=op.name)
    position = 0
    for axis in tensor.axes:
        width = extra if axis in op.stars else 1
        taken = tuple(str(i) for i in read.index[position : position + width])
        position += width
        if axes.setdefault(axis, taken) != taken:
            raise OpError(f"the axis '{axis}' of '{op.name}' is both [{', '.join(axes[axis])}] and [{', '.join(taken)}]", op=op.name)


class _Renaming:
    def __init__(self, op: Op, prefix: str, names: dict[str, Tree], axes: dict[str, tuple[str, ...]], left: Tensor | None):
        self.op, self.prefix, self.names, self.axes, self.left = op, prefix, names, axes, left

    def name_of(self, name: str) -> str:
        if self.left is not None and name == self.op.outputs[0].name:
            return self.left.name
        return f"{self.prefix}_{name}"

    def index(self, index: tuple[Index, ...]) -> tuple[Index, ...]:
        out: list[Index] = []
        for i in index:
            if isinstance(i, Lookup):
                read = self.names[i.name]
                assert isinstance(read, Read)
                out.append(Lookup(read.name, self.index(i.index)))
            else:
                out.extend(self.plain(i))
        return tuple(out)

    def plain(self, index: str) -> tuple[str, ...]:
        base = index.rstrip("'")
        primes = index[len(base) :]
        return tuple(i + primes for i in self.axes.get(base, (base,)))

    def equation(self, e: Equation) -> Equation:
        index = tuple(i for axis in e.index for i in self.plain(axis))
        return Equation(self.name_of(e.name), index, self.tree(e.rhs), e.line)

    def tree(self, node: Tree) -> Tree:
        match node:
            case Read(name, index):
                given = self.names.get(name)
                if given is None:
                    return Read(self.name_of(name), self.index(index))
                return Read(given.name, self.index(index)) if isinstance(given, Read) else given
            case Match(left, right):
                return Match(*self.index((left, right)))
            case Size(axis):
                sizes = tuple(Size(a) for a in self.axes.get(axis, (axis,)))
                return Num(Fraction(1)) if not sizes else sizes[0] if len(sizes) == 1 else Mul(sizes)
            case Reduce(kind, index, body):
                bound = tuple(i for b in index for i in self.plain(b))
                return Reduce(kind, bound, self.tree(body)) if bound else self.tree(body)
        return rebuild(node, self.tree)
