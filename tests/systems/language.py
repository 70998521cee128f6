"""The language, read a second time: signature, assumptions and equations of a text as ``ast`` nodes.

It trusts the text: what is malformed is the business of the parser under test.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field

from tests.systems.lengths import as_python
from tests.systems.packs import Packs, unpacked
from tests.systems.steps import First, Steps, begins, steps

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "argmax", "argmin", "var", "std", "norm", "logsumexp")
#: Each op with the axes of its inputs and of its result, as its signature has them.
SIGNATURES: dict[str, tuple[str, ...]] = {
    "softmax": ("*s c", "*s c"),
    "log_softmax": ("*s c", "*s c"),
    "sigmoid": ("*s", "*s"),
    "relu": ("*s", "*s"),
    "silu": ("*s", "*s"),
    "lstm_cell": ("*s", "*s", "*s", "*s", "*s"),
    "gelu": ("*s", "*s"),
    "layernorm": ("*s d", "d", "d", "*s d"),
    "rmsnorm": ("*s d", "d", "*s d"),
    "batchnorm": ("n d *s", "d", "d", "n d *s"),
    "linear": ("*s k", "k h", "h", "*s h"),
    "matmul": ("*s n k", "*s k m", "*s n m"),
    "attention": ("*s i f", "*s j f", "*s j d", "*s i d"),
    "embedding": ("v d", "*s", "*s d"),
    "softmax_cross_entropy": ("n c", "n", ""),
}
_RELATIONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}


@dataclass(frozen=True)
class Tensor:
    name: str
    axes: tuple[str, ...]


@dataclass
class System:
    """``labels`` gives the axis that an integer tensor indexes, ``bounds`` what is assumed of an input or a constant.

    ``lengths`` are those that lines declare, each after those that it needs; ``firsts`` what is read before a first step.
    """

    name: str
    inputs: dict[str, Tensor]
    constants: dict[str, float]
    outputs: list[Tensor]
    equations: list[tuple[Tensor, ast.expr]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    bounds: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    stars: set[str] = field(default_factory=set)
    packs: Packs = field(default_factory=Packs)
    lengths: dict[str, ast.expr] = field(default_factory=dict)
    firsts: dict[str, First] = field(default_factory=dict)
    steps: Steps = field(default_factory=Steps)

    @property
    def sides(self) -> list[ast.expr]:
        """All right sides."""
        return [*(rhs for _, rhs in self.equations), *(f.value for f in self.firsts.values())]

    @property
    def scalars(self) -> set[str]:
        """The names that are no index where they stand among positions."""
        return {*self.labels, *self.constants}

    @property
    def whole(self) -> set[str]:
        """The constants that are whole numbers: they stand in slots, in conditions on indices or in declared lengths."""
        nodes = [n for rhs in self.sides for n in ast.walk(rhs)]
        places = [s for n in nodes if isinstance(n, ast.Subscript) for s in slots(n)]
        places += [n for n in nodes if isinstance(n, ast.Compare) and self.on_indices(n)]
        names = {n.id for place in (*places, *self.lengths.values()) for n in ast.walk(place) if isinstance(n, ast.Name)}
        return names & set(self.constants)

    def on_indices(self, node: ast.expr) -> bool:
        """Whether a condition is one of whole numbers: of an index by itself, or of labels."""
        match node:
            case ast.Compare(left=left, comparators=[right]) | ast.BinOp(left=left, right=right):
                return self.on_indices(left) or self.on_indices(right)
            case ast.Subscript(value=ast.Name(id=name)):
                return name in self.labels
            case ast.Name(id=name):
                return name in self.labels or name not in {*self.tensors, *self.constants, "pi"}
        return False

    @property
    def floating(self) -> list[Tensor]:
        return [t for t in self.inputs.values() if t.name not in self.labels]

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self.inputs | {t.name: t for t, _ in self.equations}


def read(text: str) -> System:
    """The parts of a well-formed text."""
    text, packs = unpacked(text)
    first, *rest = ast.parse(as_python(text)).body
    assert isinstance(first, ast.Assign) and isinstance(first.value, ast.Call) and isinstance(first.value.func, ast.Name)
    target = first.targets[0]
    inputs = [_tensor(a) for a in first.value.args]
    system = System(
        name=first.value.func.id,
        inputs={t.name: t for t in inputs},
        constants={k.arg or "": number(k.value) for k in first.value.keywords},
        outputs=[_tensor(o) for o in (target.elts if isinstance(target, ast.Tuple) else [target])],
        packs=packs,
        stars={n.value.id for n in ast.walk(first) if isinstance(n, ast.Starred) and isinstance(n.value, ast.Name)},
    )
    for node in rest:
        if isinstance(node, ast.AnnAssign):  # reference lengths decide no value
            continue
        if isinstance(node, ast.Assign) and isinstance(of := node.targets[0], ast.Subscript) and _is_size(of.value):
            assert isinstance(of.slice, ast.Name)
            system.lengths[of.slice.id] = node.value
        elif isinstance(node, ast.Assign) and (begun := begins(node.targets[0])) is not None:
            name, place, down, axes = begun
            system.firsts[name] = First(place, down, axes, node.value)
        elif isinstance(node, ast.Assign):
            left = _tensor(node.targets[0])
            system.equations.append((left, node.value))
            if (axis := found_on(node.value)) is not None:
                system.labels[left.name] = axis
        else:
            assert isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare)
            left, right, op = _tensor(node.value.left), node.value.comparators[0], node.value.ops[0]
            if isinstance(op, ast.In):
                assert isinstance(right, ast.Name)
                system.labels[left.name] = right.id
            else:
                system.bounds.setdefault(left.name, []).append((relation(op), number(right)))
    system.steps = steps([(t.name, t.axes, rhs) for t, rhs in system.equations], system.firsts)
    return system


def number(node: ast.expr) -> float:
    """A literal, possibly negative."""
    if isinstance(node, ast.UnaryOp):
        return -number(node.operand) if isinstance(node.op, ast.USub) else number(node.operand)
    assert isinstance(node, ast.Constant)
    return float(node.value)  # type: ignore[arg-type]


def relation(op: ast.cmpop) -> str:
    return _RELATIONS[type(op)]


def _is_size(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "size"


def slots(node: ast.Subscript) -> list[ast.expr]:
    """What stands between the brackets, stars taken off: in the language ``*s`` and ``s`` mean the same axis."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return [p.value if isinstance(p, ast.Starred) else p for p in parts]


def _positions(slot: ast.expr) -> list[ast.expr]:
    """The indices and lookups that a slot adds up."""
    if isinstance(slot, ast.BinOp):
        return _positions(slot.left) + _positions(slot.right)
    return [] if isinstance(slot, ast.Constant | ast.Call) else [slot]


def in_reach(node: ast.expr) -> list[ast.Subscript]:
    """The reads of an expression outside of its reductions and of the arguments of its calls of the catalogue."""
    if is_reduction(node) or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SIGNATURES):
        return []
    own = [node] if isinstance(node, ast.Subscript) else []
    return own + [n for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr) for n in in_reach(child)]


def _tensor(node: ast.expr) -> Tensor:
    if isinstance(node, ast.Name):
        return Tensor(node.id, ())
    assert isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)
    return Tensor(node.value.id, tuple(s.id for s in slots(node) if isinstance(s, ast.Name)))


def is_reduction(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript)


def reduced(node: ast.Call) -> tuple[str, list[str], ast.expr]:
    """The kind, the axes and the body of a reduction."""
    assert isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name)
    return node.func.value.id, [s.id for s in slots(node.func) if isinstance(s, ast.Name)], node.args[0]


def found_on(node: ast.expr) -> str | None:
    """The axis on which a right side finds a position; None for a right side that has numbers."""
    if not is_reduction(node):
        return None
    assert isinstance(node, ast.Call)
    kind, axes, _ = reduced(node)
    return axes[0] if kind in ("argmax", "argmin") else None


def free(node: ast.AST, labels: Collection[str], axes: Collection[str] = ()) -> list[str]:
    """The indices that are free in an expression, in order of appearance; a label that is a scalar is no index.

    Of a call of the catalogue those of its result are free. One of ``axes`` that stands by itself, in a condition, is an index.
    """
    found: dict[str, None] = {}

    def visit(n: ast.AST, bound: frozenset[str]) -> None:
        if is_reduction(n):
            assert isinstance(n, ast.Call)
            _, own, body = reduced(n)
            visit(body, bound | set(own))
            return
        if isinstance(n, ast.Subscript):
            for s in (part for slot in slots(n) for part in _positions(slot)):
                if isinstance(s, ast.Name):
                    if s.id not in bound and s.id not in labels:
                        found.setdefault(s.id)
                else:
                    visit(s, bound)
            return
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name):
            if n.func.id == "size":
                return
            if n.func.id in SIGNATURES:
                found.update(dict.fromkeys(i for i in result(n, labels, axes) if i not in bound))
                return
        if isinstance(n, ast.Name) and n.id in axes and n.id not in bound:
            found.setdefault(n.id)
        for child in ast.iter_child_nodes(n):
            visit(child, bound)

    visit(node, frozenset())
    return list(found)


def result(node: ast.Call, labels: Collection[str], axes: Collection[str] = ()) -> list[str]:
    """The indices of what a call of the catalogue gives."""
    assert isinstance(node.func, ast.Name)
    *wanted, made = SIGNATURES[node.func.id]
    slots_of: dict[str, list[str]] = {}
    for argument, signature in zip(node.args, wanted, strict=True):
        match(signature.split(), free(argument, labels, axes), slots_of)
    return [i for axis in made.split() for i in slots_of[axis]]


def match(signature: list[str], indices: list[str], slots_of: dict[str, list[str]]) -> None:
    """Which indices stand for each axis of the callee; ``*s`` takes what the others leave."""
    extra, k = len(indices) - len(signature) + any(a[0] == "*" for a in signature), 0
    for axis in signature:
        width = extra if axis[0] == "*" else 1
        slots_of.setdefault(axis, indices[k : k + width])
        k += width


def equal_axes(system: System) -> dict[str, str]:
    """Every axis with a representative of those whose lengths reads make equal."""
    root: dict[str, str] = {}

    def find(a: str) -> str:
        root.setdefault(a, a)
        while root[a] != a:
            a = root[a]
        return a

    def join(a: str, b: str) -> None:
        root[find(a)] = find(b)

    tensors = system.tensors
    for a in (*(a for t in tensors.values() for a in t.axes), *system.lengths):
        find(a)
    for rhs in system.sides:
        for node in ast.walk(rhs):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in tensors:
                for k, (axis, slot) in enumerate(zip(tensors[node.value.id].axes, slots(node), strict=True)):
                    if system.steps.back.get(node) == k:
                        join(axis, _positions(slot)[0].id)
                    elif not is_form(system, slot):
                        join(axis, _axis(system, slot))
    for name, begun in system.firsts.items():
        rest = [a for k, a in enumerate(tensors[name].axes) if k != begun.place]
        for axis, other in zip(rest, begun.axes, strict=True):
            join(axis, other)
    return {a: find(a) for a in root}


def _axis(system: System, slot: ast.expr) -> str:
    """The axis that an index runs over, or that a lookup ``t[n]`` or a scalar label ``t`` points into."""
    name = slot.value if isinstance(slot, ast.Subscript) else slot
    assert isinstance(name, ast.Name)
    return system.labels.get(name.id, name.id)


def is_form(system: System, slot: ast.expr) -> bool:
    """Whether a slot is a position that is worked out, and neither an index nor a lookup."""
    if isinstance(slot, ast.Name):
        return slot.id in system.constants
    return not isinstance(slot, ast.Subscript)


def forms(system: System) -> list[ast.expr]:
    """The slots of a system at which positions are worked out."""
    nodes = [n for rhs in system.sides for n in ast.walk(rhs)]
    reads = [
        n for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.value, ast.Name) and n.value.id in system.tensors
    ]
    return [s for read in reads for s in slots(read) if is_form(system, s)]


def averages_nothing(system: System, empty: Collection[str]) -> bool:
    """Whether a mean, an extremum or an op of the catalogue runs over an axis without entries: that has no value."""
    return any(_axes_averaged(system, node) & set(empty) for rhs in system.sides for node in ast.walk(rhs))


def _axes_averaged(system: System, node: ast.AST) -> set[str]:
    """The axes that an expression has no value without."""
    if isinstance(node, ast.Call) and is_reduction(node):
        kind, axes, _ = reduced(node)
        return set(axes) if kind != "sum" else set()
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SIGNATURES:
        return {i for a in node.args for i in free(a, system.scalars)}
    return set()
