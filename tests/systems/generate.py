"""Random systems of equations over the whole language, as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.systems.affine import affine
from tests.systems.calls import calls
from tests.systems.language import equal_axes, read
from tests.systems.packs import packed
from tests.systems.recurrences import Stepped, recurrence
from tests.systems.vocabulary import COMMENTS, LENGTHS, OPS, POWERS, Names, chance, number, pick
from tests.systems.windows import READ, Window, declare

SMOOTH = ("exp", "expm1", "tanh", "sinh", "cosh", "sin", "cos", "atan", "erf", "erfcx")
POSITIVE = ("log", "log1p", "sqrt")
KINKED = ("abs", "sign", "floor", "abs", "sign", "ceil", "round", "stop")
#: Of a hundred systems, so many pack axes of their signature where they can.
PACKED = 30
#: So many have sums of positions in slots that would have an index.
AFFINE = 12
#: So many have a line of reference lengths.
REFERENCE = 10
#: Reductions that are short for expressions.
DEFINED = ("var", "std", "norm", "logsumexp")
UNARY_OPS = ("sigmoid", "silu", "gelu", "relu")


@dataclass(frozen=True)
class Known:
    """A tensor that equations may read: its axes, and whether its values are positive by an assumption."""

    name: str
    axes: tuple[str, ...]
    positive: bool = False


@dataclass
class Writer:
    """One system while it is being written."""

    rng: Random
    names: Names
    axes: list[str]
    stars: tuple[str, ...] = ()
    tensors: list[Known] = field(default_factory=list)
    labels: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    constants: dict[str, bool] = field(default_factory=dict)
    called: int = 0
    windows: dict[str, Window] = field(default_factory=dict)
    nearest: tuple[str, ...] | None = None
    stepped: list[Stepped] = field(default_factory=list)

    def one_star(self, axes: list[str]) -> list[str]:
        """The axes without a second star, which could not be told apart from the first in one tensor."""
        starred = [a for a in axes if a in self.stars]
        return [a for a in axes if a not in starred[1:]]

    # ---- reads -----------------------------------------------------------------------------------------------------

    def slot(self, axis: str, scope: tuple[str, ...]) -> str | None:
        """An index for an axis: itself, seldom a lookup or another axis; None where it must be reduced."""
        rng = self.rng
        forms = [w.form for q, w in self.windows.items() if q in scope and w.reads(axis, scope, self.nearest)]
        if forms and chance(rng, READ):
            return pick(rng, forms)
        lookups = [n for n, (index, of) in self.labels.items() if of == axis and all(i in scope for i in index)]
        if lookups and chance(rng, 40 if axis in scope else 60):
            name = pick(rng, lookups)
            index = self.labels[name][0]
            return f"{name}[{', '.join(self.starred(i) for i in index)}]" if index else name
        if axis in scope:
            return self.starred(axis)
        others = [a for a in scope if a not in self.stars and a not in self.declared]
        if axis not in self.declared and axis not in self.stars and others and chance(rng, 4):
            return pick(rng, others)
        return None

    @property
    def declared(self) -> set[str]:
        """The axes whose lengths lines declare."""
        return {a for q, w in self.windows.items() for a in (q, w.tap)}

    def starred(self, axis: str) -> str:
        """A starred axis with its star or without: both mean the same after the signature."""
        return f"*{axis}" if axis in self.stars and not chance(self.rng, 25) else axis

    def read(self, scope: tuple[str, ...], positive: bool = False) -> str:
        """One element of a tensor; axes that the scope has not are reduced."""
        rng = self.rng
        fitting = [t for t in self.tensors if all(a in scope for a in t.axes) and (t.positive or not positive)]
        others = [t for t in self.tensors if t.positive or not positive]
        if self.stepped and not positive and chance(rng, 40):
            return self.step(scope)
        if not others:
            return number(rng)
        t = others[rng.randrange(len(others))] if not fitting or chance(rng, 12) else fitting[rng.randrange(len(fitting))]
        slots = [self.slot(a, scope) for a in t.axes]
        missing = list(dict.fromkeys(a for a, s in zip(t.axes, slots, strict=True) if s is None))
        text = f"{t.name}[{', '.join(s or self.starred(a) for a, s in zip(t.axes, slots, strict=True))}]" if t.axes else t.name
        if missing:
            kinds = ("sum", "prod", "mean", "max", "min")
            kind = pick(rng, kinds if all(s is None or s in scope for s in slots) else kinds[:2])
            text = f"{kind}[{', '.join(missing)}]({text})"
        return text

    def step(self, scope: tuple[str, ...]) -> str:
        """What equations that step together read of each other; the axis of the steps is always of the scope."""
        found = self.stepped[self.rng.randrange(len(self.stepped))]
        t = found.known
        missing = [a for a in t.axes if a not in scope]
        slots = [found.form if a == found.axis else self.starred(a) for a in t.axes]
        text = f"{t.name}[{', '.join(slots)}]"
        return f"{pick(self.rng, ('sum', 'mean', 'max'))}[{', '.join(missing)}]({text})" if missing else text

    def leaf(self, scope: tuple[str, ...]) -> str:
        kind = self.rng.randrange(100)
        if kind < 74 or not self.tensors:
            return self.read(scope) if self.tensors else number(self.rng)
        if kind < 86:
            return number(self.rng)
        if kind < 94 and self.constants:
            return pick(self.rng, list(self.constants))
        if kind < 97 and self.axes:
            return f"size({pick(self.rng, self.axes)})"
        return self.read(scope)

    # ---- expressions -----------------------------------------------------------------------------------------------

    def positive(self, scope: tuple[str, ...], depth: int) -> str:
        """An expression whose values are positive."""
        rng = self.rng
        kind = rng.randrange(7)
        if kind == 0 and (any(t.positive for t in self.tensors)):
            return self.read(scope, positive=True)
        inner = self.expression(scope, depth - 1)
        if kind <= 2:
            return f"(1 + ({inner})**2)"
        if kind == 3:
            return f"(abs({inner}) + 0.5)"
        if kind == 4:
            return f"(exp(tanh({inner})) + 1)"
        if kind == 5 and any(self.constants.values()):
            constant = pick(rng, [c for c, p in self.constants.items() if p])
            return f"(({inner})**2 + {constant})"
        return f"maximum({inner}, 1/4)"

    def expression(self, scope: tuple[str, ...], depth: int) -> str:
        """Anything that has a value for every position of the scope."""
        rng = self.rng
        if depth <= 0:
            return self.leaf(scope)
        kind = rng.randrange(100)
        if kind < 12:
            return self.leaf(scope)
        if kind < 40:
            return self.arithmetic(scope, depth)
        if kind < 56:
            return self.function(scope, depth)
        if kind < 62:
            return self.power(scope, depth)
        if kind < 69:
            return self.choice(scope, depth)
        if kind < 84:
            return self.reduction(scope, depth)
        if kind < 92:
            return self.contraction(scope, depth)
        return self.call(scope, depth)

    def arithmetic(self, scope: tuple[str, ...], depth: int) -> str:
        rng = self.rng
        count = 2 + (chance(rng, 30)) + (chance(rng, 10))
        parts = [self.expression(scope, depth - 1) for _ in range(count)]
        operator = pick(rng, ("*", "*", "+", "-", "/"))
        if operator == "/":
            return f"({parts[0]})/{self.positive(scope, depth - 1)}"
        if operator == "*":
            return "*".join(f"({p})" if _loose(p) else p for p in parts)
        text = f" {operator} ".join(f"({p})" if operator == "-" and _loose(p) else p for p in parts)
        return f"-({text})" if chance(rng, 8) else f"({text})"

    def function(self, scope: tuple[str, ...], depth: int) -> str:
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 6:
            head = pick(rng, SMOOTH)
            inner = self.expression(scope, depth - 1)
            if head in ("exp", "sinh", "cosh", "expm1") and chance(rng, 60):
                inner = f"({inner})/4" if chance(rng, 50) else f"tanh({inner})"
            return f"{head}({inner})"
        if kind < 8:
            return f"{pick(rng, POSITIVE)}({self.positive(scope, depth - 1)})"
        return f"{pick(rng, KINKED)}({self.expression(scope, depth - 1)})"

    def power(self, scope: tuple[str, ...], depth: int) -> str:
        exponent = pick(self.rng, POWERS)
        if self.constants and chance(self.rng, 15):
            name = pick(self.rng, list(self.constants))
            return f"({self.positive(scope, depth - 1)})**{pick(self.rng, (name, f'({name} - 1)', f'(2*{name})'))}"
        if exponent.isdigit():
            return f"({self.expression(scope, depth - 1)})**{exponent}"
        exponent = exponent if exponent[0] == "(" or exponent.lstrip("-").isdigit() else f"({exponent})"
        return f"({self.positive(scope, depth - 1)})**{exponent}"

    def choice(self, scope: tuple[str, ...], depth: int) -> str:
        rng = self.rng
        a, b = self.expression(scope, depth - 1), self.expression(scope, depth - 1)
        if chance(rng, 12):
            return f"clamp({a}, {pick(rng, ('0', '-1', 'lo=-0.5', self.leaf(scope)))}{', hi=1' if chance(rng, 50) else ''})"
        if chance(rng, 50):
            b = pick(rng, ("0", "1", "0.5", number(rng))) if chance(rng, 50) else b
            return f"{pick(rng, ('maximum', 'minimum'))}({a}, {b})" if chance(rng, 70) else f"maximum({b}, {a})"
        if chance(rng, 25) and (row := self.row(scope)):
            return f"where({row}, {a}, {b})"
        rel = pick(rng, (">", "<", ">=", "<=", ">", "=="))
        c = self.leaf(scope)
        d = pick(rng, ("0", "1", "0.5")) if chance(rng, 60) else self.leaf(scope)
        return f"where({c} {rel} {d}, {a}, {b})"

    def row(self, scope: tuple[str, ...]) -> str:
        """A condition on indices of the scope: of positions, of whole numbers and of labels; "" where there is no index."""
        rng = self.rng
        plain = [a for a in scope if a not in self.stars]
        whole = [f"{n}[{', '.join(axes)}]" if axes else n for n, (axes, _) in self.labels.items() if set(axes) <= set(plain)]
        operands = [*plain, *plain, *whole]
        if not plain:
            return ""
        left, right = pick(rng, operands), pick(rng, [*operands, "0", "1", "2"])
        if chance(rng, 30):
            left = f"{left} {pick(rng, ('-', '+'))} {pick(rng, [*operands, '1'])}"
        if chance(rng, 10):
            right = f"2*{right} - 1"
        return f"{left} {pick(rng, ('<=', '<', '>=', '>', '==', '!='))} {right}"

    def reduction(self, scope: tuple[str, ...], depth: int) -> str:
        """A reduction over one to three axes, now and then one that shadows an index of the scope."""
        rng = self.rng
        free = [a for a in self.axes if a not in scope]
        shadowed = [a for a in scope if chance(rng, 20) and not any(a == s.axis for s in self.stepped)]
        over = [a for a in free if chance(rng, 60)][: 1 + rng.randrange(3)] + shadowed
        over = over or free[:1] or list(scope[:1])
        if any(a == s.axis for s in self.stepped for a in over):
            return self.leaf(scope)
        kind = pick(rng, ("sum", "sum", "sum", "mean", "mean", "max", "min", "prod", pick(rng, DEFINED)))
        inner = (*scope, *(a for a in over if a not in scope))
        nearest, self.nearest = self.nearest, tuple(over) if kind not in ("sum", "prod") else None
        body = self.expression(inner, depth - 1)
        self.nearest = nearest
        over = [a for a in over if _uses(body, a)]
        if not over:  # what the body does not use may not be reduced
            return body if not [a for a in inner if a not in scope and _uses(body, a)] else self.leaf(scope)
        option = ""
        if kind in ("var", "std") and chance(rng, 60):  # a window at an end has one element only
            windowed = any(w.form in body for w in self.windows.values())
            option = f", correction={pick(rng, ('1/2', '0') if windowed else ('1', '1/2', '0'))}"
        return f"{kind}[{', '.join(self.starred(a) for a in over)}]({body}{option})"

    def contraction(self, scope: tuple[str, ...], depth: int) -> str:
        """A sum over a product of two to four factors."""
        rng = self.rng
        free = [a for a in self.axes if a not in scope and a not in self.stars] or [a for a in self.axes if a not in scope]
        if not free:
            return self.arithmetic(scope, depth)
        over = free[: 1 + rng.randrange(2)]
        inner = (*scope, *over)
        factors = [self.read(inner) for _ in range(2 + rng.randrange(3))]
        if chance(rng, 20):
            factors.append(self.expression(inner, depth - 2))
        over = [a for a in over if any(_uses(f, a) for f in factors)]
        product = "*".join(f"({f})" if _loose(f) else f for f in factors)
        return f"sum[{', '.join(over)}]({product})" if over else product

    def call(self, scope: tuple[str, ...], depth: int) -> str:
        """An op of the catalogue inside an expression: its arguments read whole tensors."""
        if self.called >= 2:
            return self.function(scope, depth)
        self.called += 1
        if chance(self.rng, 40):
            return f"{pick(self.rng, UNARY_OPS)}({self.expression(scope, depth - 1)})"
        fitting = list(calls(self, scope))
        return fitting[self.rng.randrange(len(fitting))] if fitting else self.function(scope, depth)


def _loose(text: str) -> bool:
    """Whether a text needs brackets as a factor."""
    depth = 0
    for k, c in enumerate(text):
        depth += (c in "([") - (c in ")]")
        if not depth and c in "+-" and (k == 0 or text[k - 1] == " " or k == 0):
            return True
    return False


def _uses(text: str, axis: str) -> bool:
    """Whether the index is free in the text (BRACKETS of reductions apart)."""
    import ast

    from tests.systems.language import free

    return axis in free(ast.parse(text, mode="eval"), (), (axis,))


def generate(rng: Random) -> str:
    """The text of a random op with 1 to 8 equations."""
    names = Names(rng)
    op = pick(rng, OPS)
    names.taken.add(op)
    axes = [names.axis() for _ in range(rng.randrange(0 if chance(rng, 15) else 1, 5))]
    stars = list[str]()
    while len(stars) < 2 and chance(rng, 10 if stars else 35):
        star = "s" if names.fits("s") else names.axis()
        names.taken.add(star)
        stars.append(star)
        axes.insert(rng.randrange(len(axes) + 1), star)
    writer = Writer(rng, names, axes, tuple(stars))
    signature = _signature(writer)
    lines, made = _equations(writer, signature[0])
    outputs = _outputs(rng, made)
    left = ", ".join(_spelled(writer, t, signature=True) for t in outputs)
    text = [f"{left} = {op}({', '.join(signature[0])})", *([""] if chance(rng, 50) else []), *signature[1], *lines]
    if chance(rng, 12):
        position = rng.randrange(len(text))
        text[position] = f"{text[position]}  # {pick(rng, COMMENTS)}"
    whole = "\n".join(text) + "\n"
    if chance(rng, AFFINE):
        whole = affine(rng, whole)
    if chance(rng, PACKED):
        system = read(whole)
        whole = packed(rng, whole, equal_axes(system), system.lengths)
    return _at_lengths(rng, whole) if chance(rng, REFERENCE) else whole


def _at_lengths(rng: Random, text: str) -> str:
    """The text with a line of reference lengths, for axes of which none has its length from the text."""
    system = read(text)
    root = equal_axes(system)
    given = {root[a] for a in (*system.packs.lengths, *system.lengths) if a in root}
    axes = [a for a, r in root.items() if a == r and r not in given and chance(rng, 60)]
    first, *rest = text.split("\n")
    line = ", ".join(f"{a}={pick(rng, LENGTHS)}" for a in axes)
    return "\n".join([first, *([f"sizes: {line}"] if line else []), *rest])


def _spelled(writer: Writer, t: Known, signature: bool = False) -> str:
    if not t.axes:
        return t.name
    return f"{t.name}[{', '.join(('*' + a if a in writer.stars else a) if signature else writer.starred(a) for a in t.axes)}]"


def _signature(writer: Writer) -> tuple[list[str], list[str]]:
    """The arguments of the signature and the assumptions; every axis is that of an input."""
    rng, names = writer.rng, writer.names
    arguments, assumptions = list[str](), list[str]()
    uncovered = set(writer.axes)
    while len(writer.tensors) < 1 + rng.randrange(4) or uncovered:
        axes = [a for a in writer.axes if chance(rng, 45)]
        if uncovered and not uncovered & set(axes):
            axes.append(min(uncovered))
        axes = writer.one_star(_shuffled(rng, axes)[: 1 if chance(rng, 20) else 4])
        if uncovered and not uncovered & set(axes):
            axes = [min(uncovered)]
        t = Known(names.tensor(), tuple(axes), chance(rng, 12))
        uncovered -= set(axes)
        writer.tensors.append(t)
        arguments.append(_spelled(writer, t, signature=True))
        if t.positive:
            assumptions.append(f"{_spelled(writer, t) if chance(rng, 70) else t.name} > 0")
    if chance(rng, 25):
        _layer(writer, arguments)
    if chance(rng, 10):  # an input that nothing needs to read
        t = Known(names.tensor(), tuple(writer.one_star([a for a in writer.axes if chance(rng, 40)])[:3]))
        arguments.append(_spelled(writer, t, signature=True))
    _labels(writer, arguments, assumptions)
    for _ in range(rng.randrange(3) if chance(rng, 40) else 0):
        name, positive = names.tensor(), chance(rng, 50)
        default = pick(rng, ("1e-5", "0.5", "2", "1", "0.1", "3/2".replace("/", ".")) if positive else ("-1", "0", "0.25", "2"))
        writer.constants[name] = positive
        arguments.append(f"{name}={default}")
        if positive:
            assumptions.append(f"{name} > 0")
    return arguments, [*assumptions, *declare(writer, arguments)]


def _layer(writer: Writer, arguments: list[str]) -> None:
    """What a linear map or a normalization takes: rows of features, a matrix, two rows of parameters."""
    plain = [a for a in writer.axes if a not in writer.stars]
    if len(plain) < 2:
        return
    n, k, h = plain[0], plain[1], plain[-1]
    for axes in ((n, k), (k, h), (h,), (k,)):
        if len(set(axes)) == len(axes):
            t = Known(writer.names.tensor(), axes)
            writer.tensors.append(t)
            arguments.append(_spelled(writer, t, signature=True))


def _labels(writer: Writer, arguments: list[str], assumptions: list[str]) -> None:
    rng = writer.rng
    plain = [a for a in writer.axes if a not in writer.stars]
    if not plain or not chance(rng, 30):
        return
    of = pick(rng, plain)
    others = [a for a in plain if a != of]
    if others and chance(rng, 50):
        table = Known(writer.names.tensor(), (of, pick(rng, others)))
        writer.tensors.append(table)
        arguments.append(_spelled(writer, table, signature=True))
    index = tuple(writer.one_star([a for a in writer.axes if a != of and chance(rng, 50)])[:2])
    name = writer.names.tensor()
    writer.labels[name] = (index, of)
    t = Known(name, index)
    arguments.append(_spelled(writer, t, signature=True))
    assumptions.append(f"{_spelled(writer, t)} in {of}")


def _equations(writer: Writer, arguments: list[str]) -> tuple[list[str], list[Known]]:
    rng = writer.rng
    lines, made = list[str](), list[Known]()
    count = 1 + (rng.randrange(8) if chance(rng, 35) else rng.randrange(3))
    for _ in range(count):
        if made and chance(rng, 35):
            axes = list(made[-1].axes)
        else:
            axes = writer.one_star(
                _shuffled(rng, [a for a in writer.axes if chance(rng, 75 if a in writer.windows else 50)])[:4]
            )
        t = Known(writer.names.tensor(), tuple(axes))
        rhs = _right(writer, t.axes, depth=1 + rng.randrange(4 if count < 4 else 2))
        lines.append(f"{_spelled(writer, t)} = {rhs}")
        writer.tensors.append(t)
        made.append(t)
        if chance(own := Random(lines[-1]), 6):  # of its own, so that other systems stay as they are
            lines += _found(writer, t, own)
        stepping, found = recurrence(writer, arguments, Random(lines[-1] + "."))
        lines += stepping
        made += found
    return lines, made


def _found(writer: Writer, t: Known, rng: Random) -> list[str]:
    """A line that finds positions in a tensor, which later lines may look up; none where the tensor has no plain axis."""
    plain = [a for a in t.axes if a not in writer.stars]
    if not plain or t.name in writer.labels:
        return []
    axis, name = pick(rng, plain), writer.names.tensor()
    rest = tuple(a for a in t.axes if a != axis)
    writer.labels[name] = rest, axis
    return [f"{_spelled(writer, Known(name, rest))} = {pick(rng, ('argmax', 'argmin'))}[{axis}]({_spelled(writer, t)})"]


def _right(writer: Writer, axes: tuple[str, ...], depth: int) -> str:
    """The right side of an equation: mostly any expression, seldom an input or a number as it is, or a well-known form."""
    from tests.systems.shapes import shape, windowed

    rng = writer.rng
    if set(axes) & {*writer.windows} and chance(rng, 50):
        return windowed(writer, axes) or writer.expression(axes, depth)
    kind = rng.randrange(100)
    if kind < 70:
        return writer.expression(axes, depth)
    if kind < 74:
        return writer.leaf(axes)
    return shape(writer, axes, depth) or writer.expression(axes, depth)


def _outputs(rng: Random, made: list[Known]) -> list[Known]:
    """The last equation and sometimes earlier ones."""
    found = [t for t in made[:-1] if chance(rng, 25)][:2] + [made[-1]]
    return _shuffled(rng, found) if chance(rng, 30) else found


def _shuffled(rng: Random, items: list[Any]) -> list[Any]:
    out = list(items)
    for k in range(len(out) - 1, 0, -1):
        if chance(rng, 40):
            other = rng.randrange(k + 1)
            out[k], out[other] = out[other], out[k]
    return out
