"""The inclusion of one op's equations in another op. The callee's names get a prefix; its axes become axes of the caller."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

from derive.language.affine import as_written, attached
from derive.language.assumptions import HOLDS
from derive.language.literals import constant_value
from derive.renaming import fresh_name
from derive.syntax import (
    Carry,
    Compare,
    Equation,
    Index,
    Lookup,
    Match,
    Mul,
    Num,
    Op,
    Position,
    Read,
    Reduce,
    Size,
    Tensor,
    Tree,
    axis_of,
    free_indices,
    fresh_index,
    reads,
    rebuild,
    rename,
    walk,
)


class Misfit(ValueError):
    """A call that does not fit the op's signature. The reader of the text adds line and column."""


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, by position and by keyword, and the tensor ``left`` to which the result is assigned, if any.

    ``constants`` are the names of the caller's constants. ``names`` are all names anywhere in the caller's text.
    ``lengths`` are the axes whose lengths are known by other means than a tensor's shape.
    """

    positional: list[Tree]
    keywords: dict[str, Tree]
    left: Tensor | None
    constants: frozenset[str]
    names: frozenset[str]
    lengths: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Included:
    """What a call brings, in the caller's names: equations, a read of the result, assumptions, lengths of axes, and carries.

    ``lengths`` are given as numbers or constants, ``declared`` by equations.
    """

    equations: list[Equation]
    result: Read
    assumptions: list[Compare]
    lengths: dict[str, int | str]
    declared: dict[str, Tree]
    carries: list[Carry]


def include(op: Op, prefix: str, arguments: Arguments, tensors: dict[str, Tensor]) -> Included:
    """What the call brings; ``tensors`` are the caller's tensors so far. Misfit: it does not fit the callee's signature."""
    call = _Call(op, prefix, arguments, dict(tensors), arguments.left)
    call.bind_constants()
    call.bind_inputs()
    call.bind_output()
    call.choose_axes()
    carries = call.carries()
    equations = [call.equation(e) for e in op.equations]
    return Included(call.before + equations, call.result(), call.assumptions(), call.lengths(), call.declared(), carries)


@dataclass
class _Call:
    """One call while it is included.

    For each axis of the callee, ``slots`` has the caller's indices, and ``axes`` the caller's axis names. Axis names are
    distinct, so that a diagonal argument captures nothing. ``values`` has an expression for each input and constant of the
    callee. ``left`` is the tensor on the left side, if the result has exactly its axes. ``steps`` has the caller's names for
    what the callee carries of a result that is on the left side.
    """

    op: Op
    prefix: str
    arguments: Arguments
    tensors: dict[str, Tensor]
    left: Tensor | None
    before: list[Equation] = field(default_factory=list)
    values: dict[str, Tree] = field(default_factory=dict)
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    steps: dict[str, str] = field(default_factory=dict)

    # ---- what the call gives ---------------------------------------------------------------------------------------

    def bind_constants(self) -> None:
        given = dict(self.arguments.keywords)
        for constant in self.op.constants:
            if constant.name in given:
                value = given.pop(constant.name)
                if free_indices(value) or not set(reads(value)) <= self.arguments.constants:
                    raise Misfit(
                        f"the constant '{constant.name}' of '{self.op.name}' takes a number or a constant of the caller"
                    )
                self.values[constant.name] = value
            elif constant.default is not None:
                self.values[constant.name] = Num(Fraction(constant.default))
            else:
                raise Misfit(f"'{self.op.name}' needs the constant '{constant.name}'")
        if given:
            raise Misfit(f"'{self.op.name}' has no constant '{min(given)}'")

    def bind_inputs(self) -> None:
        op, given = self.op, self.arguments.positional
        if len(given) != len(op.inputs):
            wanted = ", ".join(t.name for t in op.inputs)
            raise Misfit(f"'{op.name}' takes {len(op.inputs)} tensors ({wanted}), not {len(given)}")
        for tensor, value in zip(op.inputs, given, strict=True):
            read = self.named(value, tensor)
            if tensor.integer != self.tensors[read.name].integer:
                kind = "an integer tensor" if tensor.integer else "a floating-point tensor"
                raise Misfit(f"'{tensor.name}' of '{op.name}' must be {kind}; '{read.name}' is not")
            self.bind(tensor, read)
            self.values[tensor.name] = read
        for tensor in op.inputs:
            argument = self.values[tensor.name]
            if tensor.labels in self.slots and isinstance(argument, Read):
                labels, axis = self.tensors[argument.name].labels, [axis_of(i) for i in self.slots[tensor.labels]]
                if [labels] != axis:
                    raise Misfit(f"'{argument.name}' indexes '{labels}', but '{op.name}' looks up '{', '.join(axis)}' with it")

    def named(self, given: Tree, tensor: Tensor) -> Read:
        """The argument as a read with plain indices. Any other expression gets an equation, and its name is read."""
        if isinstance(given, Read) and given.name in self.tensors:
            plain = [i for i in given.index if isinstance(i, str)]
            if len(plain) == len(given.index) == len(set(plain)):
                return given
        free = as_written(given)
        axes: dict[str, Index] = {}
        for i in free:
            axes[i] = self.axis_for(axis_of(i), axis_of(i), {str(a) for a in axes.values()})
        equation = Equation(f"{self.prefix}_{tensor.name}", tuple(str(axes[i]) for i in free), rename(attached(given), axes))
        self.before.append(equation)
        self.tensors[equation.name] = Tensor(equation.name, equation.index)
        return Read(equation.name, free)

    def bind(self, tensor: Tensor, read: Read) -> None:
        """Match the callee's axes with the caller's indices. ``*s`` takes the indices that the other axes leave."""
        stars = [a for a in tensor.axes if a in self.op.stars]
        extra = len(read.index) - len(tensor.axes) + len(stars)
        if extra < 0 or (not stars and extra):
            axes = ", ".join(("*" if a in stars else "") + a for a in tensor.axes)
            given = f"'{read.name}'" if read.name not in {e.name for e in self.before} else "an expression"
            raise Misfit(f"'{tensor.name}' of '{self.op.name}' has the axes [{axes}], {given} is given with {len(read.index)}")
        position = 0
        for axis in tensor.axes:
            width = extra if axis in stars else 1
            taken = tuple(str(i) for i in read.index[position : position + width])
            position += width
            if self.slots.setdefault(axis, taken) != taken:
                both = f"[{', '.join(self.slots[axis])}] and [{', '.join(taken)}]"
                raise Misfit(f"the axis '{axis}' of '{self.op.name}' is both {both}")

    def bind_output(self) -> None:
        """Match the axes of the output that no input has, such as the ``j`` of a Gram matrix, with axes of the left side.

        If the left side transposes the result, or repeats it along further axes, the result is a tensor of its own, which
        the left side reads.
        """
        left, output = self.left, self.op.outputs[0]
        position = 0
        for axis in output.axes:
            if axis not in self.slots:
                if left is None or position >= len(left.axes):
                    raise Misfit(
                        f"the axis '{axis}' of the result of '{self.op.name}' has no name here; assign it to a tensor first"
                    )
                self.slots[axis] = (left.axes[position],)
            position += len(self.slots[axis])
        made = tuple(i for axis in output.axes for i in self.slots[axis])
        if left is not None and made != left.axes:
            self.left = None

    def choose_axes(self) -> None:
        """Choose distinct axis names of the caller for all axes of the callee, also for axes inside the callee.

        The caller may give one axis for two axes of the callee: ``attention(x[n, d], x[n, d], x[n, d])``. The second of these
        then gets a new name, and the reads tell that both have the same length. The axes of the result choose first, so
        that the caller's names for them are kept.
        """
        taken = set[str]()
        for axis in dict.fromkeys((*self.op.outputs[0].axes, *self.slots)):
            names = []
            for i in self.slots[axis]:
                names.append(self.axis_for(axis_of(i), axis, taken))
                taken.add(names[-1])
            self.axes[axis] = tuple(names)
        if self.left is not None:
            taken |= set(self.left.axes)
        callers = {a for t in self.tensors.values() for a in t.axes} | self.arguments.lengths
        inside = [i for e in self.op.equations for i in (*e.index, *_bound(e.rhs))]
        inside += [axis for axis, _ in (*self.op.packing.lengths, *self.op.declared.lengths)]
        for axis in map(axis_of, inside):
            if axis not in self.axes:
                self.axes[axis] = (self.axis_for(axis, axis, callers | taken),)
                taken.add(self.axes[axis][0])

    def axis_for(self, wanted: str, own: str, taken: set[str]) -> str:
        """The axis ``wanted`` if it is free, else a new name made from the callee's name ``own``."""
        others = self.arguments.constants | set(self.tensors)
        if wanted not in taken | others:
            return wanted
        used = taken | others | self.arguments.names | {a for t in self.tensors.values() for a in t.axes}
        stem, count = own if own not in used else f"{self.prefix}_{own}", 1
        name = stem
        while name in used:
            count += 1
            name = f"{stem}{count}"
        return name

    def result(self) -> Read:
        output = self.op.outputs[0]
        return Read(self.name_of(output.name), tuple(i for axis in output.axes for i in self.slots[axis]))

    def assumptions(self) -> list[Compare]:
        """The callee's assumptions in the caller's names. Assumptions about numbers are checked at once (Misfit)."""
        found = []
        for a in self.op.assumptions:
            assert isinstance(a.left, Read) and isinstance(a.right, Num)
            value = self.values[a.left.name]
            number = constant_value(value)
            if number is not None and not HOLDS[a.rel](number, a.right.value):
                raise Misfit(f"'{self.op.name}' assumes {a.left.name} {a.rel} {a.right.value}, not {number}")
            equations = {e.name for e in self.before}
            if isinstance(value, Read) and value.name not in equations:
                found.append(replace(a, left=Read(value.name)))
        return found

    def lengths(self) -> dict[str, int | str]:
        """The lengths that the callee's signature gives (Misfit for one that is neither a number nor a constant)."""
        found: dict[str, int | str] = {}
        for axis, length in self.op.packing.lengths:
            (own,) = self.axes[axis]
            if isinstance(length, int):
                found[own] = length
                continue
            value = self.values[length]
            number = constant_value(value)
            if isinstance(value, Read):
                found[own] = value.name
            elif number is not None and number >= 1 and number.denominator == 1:
                found[own] = int(number)
            else:
                raise Misfit(f"'{length}' of '{self.op.name}' is the length of an axis: a whole number of at least 1")
        return found

    def declared(self) -> dict[str, Tree]:
        """The lengths that the callee declares (Misfit where a constant that they need is no whole number)."""
        for name in self.op.declared.constants():
            number = constant_value(self.values[name])
            if number is not None and number.denominator != 1:
                raise Misfit(f"a length of '{self.op.name}' depends on '{name}', which must be a whole number, not {number}")
        return {self.axes[axis][0]: self.tree(tree, {}) for axis, tree in self.op.declared.lengths}

    def carries(self) -> list[Carry]:
        """What the callee carries. The names for steps of the left side are made from its own name: ``y_prev``."""
        output = self.op.outputs[0].name
        taken = {*self.arguments.names, *self.tensors, *self.arguments.constants}
        if self.left is not None:
            made = {n for c in self.op.carries if c.of == output for n in (c.name, c.next, c.step, c.first) if n}
            own = {n: n.removeprefix(output) for n in sorted(made) if n.startswith(output)}
            self.steps = {n: fresh_name(f"{self.left.name}{part}", taken) for n, part in own.items()}
        return [self.carry(c) for c in self.op.carries]

    def carry(self, c: Carry) -> Carry:
        name, of, after, both, first = (self.name_of(n) if n else "" for n in (c.name, c.of, c.next, c.step, c.first))
        axes = tuple(n for axis in c.axes for n in self.axes[axis])
        return Carry(name, of, after, both, axes, self.axes[c.axis][0], c.down, first)

    # ---- the callee's equations ------------------------------------------------------------------------------------

    def name_of(self, name: str) -> str:
        if self.left is not None and name == self.op.outputs[0].name:
            return self.left.name
        return self.steps.get(name, f"{self.prefix}_{name}")

    def equation(self, e: Equation) -> Equation:
        scope: dict[str, tuple[str, ...]] = {}
        for i in e.index:
            self.enter(i, scope)
        return Equation(self.name_of(e.name), tuple(n for i in e.index for n in scope[i]), self.tree(e.rhs, scope), e.line)

    def enter(self, index: str, scope: dict[str, tuple[str, ...]]) -> None:
        """Bring an index of the callee into scope, under names of the caller's axes that nothing in scope has."""
        taken = {name for other, names in scope.items() if other != index for name in names}
        names: list[str] = []
        for axis in self.axes[axis_of(index)]:
            names.append(fresh_index(axis, taken | set(names)))
        scope[index] = tuple(names)

    def index(self, index: tuple[Index, ...], scope: dict[str, tuple[str, ...]]) -> tuple[Index, ...]:
        out: list[Index] = []
        for i in index:
            if isinstance(i, Lookup):
                read = self.values[i.name]
                assert isinstance(read, Read)
                out.append(Lookup(read.name, self.index(i.index, scope)))
            else:
                out.extend(scope[i])
        return tuple(out)

    def tree(self, node: Tree, scope: dict[str, tuple[str, ...]]) -> Tree:
        match node:
            case Read(name, index):
                given = self.values.get(name)
                if given is None:
                    return Read(self.name_of(name), self.index(index, scope))
                return Read(given.name, self.index(index, scope)) if isinstance(given, Read) else given
            case Match(left, right, equal):
                sides = self.index((left, right), scope)
                return Match(sides[0], sides[1], equal)
            case Position(slot):
                return Position(self.index((slot,), scope)[0])
            case Mul(args):
                factors: list[Tree] = []
                for a in args:
                    factors += self.sizes(a.axis) if isinstance(a, Size) else [self.tree(a, scope)]
                return _product(factors)
            case Size(axis):
                return _product(self.sizes(axis))
            case Reduce(kind, bound, body):
                inner = dict(scope)
                for i in bound:
                    self.enter(i, inner)
                names = tuple(n for i in bound for n in inner[i])
                return Reduce(kind, names, self.tree(body, inner)) if names else self.tree(body, inner)
        return rebuild(node, lambda child: self.tree(child, scope))

    def sizes(self, axis: str) -> list[Tree]:
        """The lengths whose product is the length of a callee's axis: several for a star, none for an empty star."""
        return [Size(axis_of(a)) for a in self.axes[axis]]


def _product(factors: list[Tree]) -> Tree:
    return Mul(tuple(factors)) if len(factors) > 1 else factors[0] if factors else Num(Fraction(1))


def _bound(tree: Tree) -> list[str]:
    """Every index that a reduction in the expression binds."""
    return [i for node in walk(tree) if isinstance(node, Reduce) for i in node.index]
