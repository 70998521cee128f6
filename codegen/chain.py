"""The chain rule as code: one small function for the adjoint of every equation of an op, and one for all its values.

An op whose file sets ``CHAIN`` gets ``generated/BACKEND/OP_chain.py`` beside its kernels. The chain file is not simplified:
each function is one line of the ``full`` derivation, and its arguments are the names that the line reads. The kernels of
``OP.py`` are the closed forms.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from codegen.backends.arrays.axes import Text, Value
from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.arrays.layout import WIDTH
from codegen.backends.arrays.lengths import length_source
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.names import named_op
from codegen.packing import repacked
from codegen.program import Argument, Program, Role, Statement, looks_up, taken
from codegen.render import render
from codegen.source import Code, FunctionSource, code, equations
from derive import syntax as st
from derive.declared import needed
from derive.derivation import Derivation
from derive.engine import derive_full, style_of
from derive.language.axes import equal_axes
from derive.language.unicode import declared, language
from derive.ops import asks, names
from derive.packing import Slots, solved
from derive.show.solved import in_op
from derive.terms.definitions import Definition, is_reduction
from derive.terms.factor import to_tree
from derive.terms.reads import syntax_index
from derive.terms.sums import Read

__all__ = ["ChainSource", "Printed", "chain_ops", "chain_source", "chain_statements", "render_chain"]


@dataclass(frozen=True)
class ChainSource:
    """What the template of a chain file is given."""

    op: str
    title: str
    command: str
    equations: tuple[str, ...]
    source: str
    helpers: tuple[str, ...]
    values: FunctionSource
    names: tuple[str, ...]
    adjoints: tuple[FunctionSource, ...]


def chain_ops() -> tuple[str, ...]:
    """The ops of the catalogue that ask for a chain file."""
    return tuple(n for n in names() if asks(n, "CHAIN"))


def render_chain(op: st.Op, backend: ArrayBackend, command: str) -> str:
    """The unformatted text of ``generated/BACKEND/OP_chain.py``; ``command`` is what regenerates it.

    Raises OpError where an expression has no spelling in that backend, ValueError for an op with axes written ``*s``.
    """
    source = chain_source(op, backend, command)
    return render(f"{backend.name}/chain.py.j2", backend=backend.name, library=backend.library, **vars(source))


def chain_source(op: st.Op, backend: ArrayBackend, command: str, *, plain: bool = False) -> ChainSource:
    """The parts of the chain file of one op (ValueError for axes ``*s``); ``plain`` asks for code as written by hand."""
    op = named_op(op)
    if op.stars:
        raise ValueError(f"{op.name}: a chain file is for named axes only, not for *{', *'.join(sorted(op.stars))}")
    return Chain(derive_full(op), backend, plain).source(command)


def chain_statements(derivation: Derivation) -> dict[str, list[Statement]]:
    """The statements of each adjoint's function, in the order of the chain rule; the last one is the adjoint itself."""
    lines = ChainLines(derivation)
    return {d.name: lines.statements(d) for d in lines.own()}


@dataclass(frozen=True)
class Printed:
    """The body of a function, and the lines before it that make labels ``safe`` to look up, which read the names ``read``.

    ``to`` are the names under which such labels are looked up.
    """

    printer: ArrayPrinter
    safe: tuple[str, ...]
    body: tuple[str, ...]
    read: frozenset[str]
    to: Mapping[str, str]

    def value(self, tree: st.Tree, index: tuple[str, ...]) -> Value:
        """A part of the statements, whose axes are ``index`` as far as it has them."""
        return self.printer.value(looked_up(tree, self.to), index)


class ChainLines:
    """The lines of the chain rule, free of any backend."""

    def __init__(self, derivation: Derivation):
        self.d, self.op = derivation, derivation.op
        self.forward = {d.name: d for d in derivation.forward}
        self.adjoints = {d.name: d for d in derivation.chain}
        #: The definitions that the engine made, and their adjoints: these names have no function of their own.
        self.made = {n: d for n, d in self.forward.items() if not d.author}
        self.made |= {n: d for n, d in self.adjoints.items() if st.primal_name(n) in self.made}
        self.style = style_of(self.op, list(derivation.forward))

    def own(self) -> list[Definition]:
        """The adjoints that have a function of their own."""
        return [d for d in self.d.chain if d.name not in self.made]

    def statements(self, d: Definition) -> list[Statement]:
        """One line of the chain rule. Before it come the engine-made reductions that the line reads, each a statement."""
        return [*self.locals(d), Statement(d.name, d.index, self.tree(d), Role.OUTPUT)]

    def locals(self, d: Definition) -> list[Statement]:
        """The engine-made names that a definition reads once all others are inlined, in the order of computation."""
        out: dict[str, Statement] = {}
        for n in dict.fromkeys(st.reads(self.tree(d))):
            if n in self.made:
                inner = self.made[n]
                out |= {s.name: s for s in self.locals(inner)}
                out[n] = Statement(n, inner.index, self.tree(inner), Role.TEMPORARY)
        return list(out.values())

    def tree(self, d: Definition) -> st.Tree:
        style = replace(self.style, read=self.inline)
        readers = [e.rhs for e in self.op.equations if st.primal_name(d.name) in set(st.reads(e.rhs))]
        return spelled_like(to_tree(d.body, d.index, style), readers)

    def inline(self, read: Read) -> st.Tree | None:
        d = self.made.get(read.name)
        if d is None or is_reduction(d):
            return None
        to = {i: syntax_index(j) for i, j in zip(d.index, read.index, strict=True)}
        return st.rename(self.tree(d), to)


class Chain(ChainLines):
    """The lines of the chain rule as functions in one backend."""

    def __init__(self, derivation: Derivation, backend: ArrayBackend, plain: bool = False):
        super().__init__(derivation)
        self.backend, self.printer = backend, backend.plain if plain else backend.printer
        self.constants = {c.name: c for c in self.op.constants}
        self.inputs = {t.name: t for t in self.op.inputs}
        self.packing = self.op.packing
        self.helpers: set[str] = set()

    def source(self, command: str) -> ChainSource:
        values = self.values()
        adjoints = tuple(self.adjoint(d) for d in self.own())
        return ChainSource(
            op=self.op.name,
            title=self.op.title.partition("\n")[0],
            command=command,
            equations=equations(self.op),
            source=self.op.source,
            helpers=tuple(sorted(self.helpers)),
            values=values,
            names=tuple(e.name for e in self.op.equations),
            adjoints=adjoints,
        )

    # ---- functions -------------------------------------------------------------------------------------------------

    def values(self) -> FunctionSource:
        """Every equation as the author wrote it."""
        statements = [Statement(e.name, e.index, e.rhs, Role.OUTPUT) for e in self.op.equations]
        names = [t.name for t in self.op.inputs]
        return self.function(f"{self.op.name}_values", statements, names, ())

    def adjoint(self, d: Definition) -> FunctionSource:
        statements = self.statements(d)
        local = {s.name for s in statements}
        read = list(dict.fromkeys(n for s in reversed(statements) for n in st.reads(s.tree) if n not in local))
        upstream = [n for n in read if n in self.adjoints or n in self.upstream()]
        rest = [n for n in read if n not in upstream and n not in self.constants]
        return self.function(d.name, statements, [*upstream, *rest], [st.primal_name(d.name), *self.inputs, *self.forward])

    def upstream(self) -> set[str]:
        return {st.adjoint_name(t.name) for t in self.op.outputs}

    def function(self, name: str, statements: list[Statement], names: list[str], spare: Iterable[str]) -> FunctionSource:
        """The function that computes the statements in order.

        ``names`` are the tensor arguments. Where a length is needed and no argument has its axis, one of ``spare`` that has
        the axis becomes an argument too.
        """
        spare = list(spare)
        axes = dict.fromkeys(self.printed(name, statements, [*names, *spare]).printer.lengths)
        for extra in spare:
            missing = [a for a in axes if a not in self.lengths_of(names)]
            if set(missing) & set(self.axes(extra)) and extra not in self.made:
                names = [*names, extra]
        printed = self.printed(name, statements, names)
        self.helpers |= set(printed.printer.helpers)
        read = {n for s in statements for n in st.reads(s.tree)} | printed.read
        used = read | {v for a, v in self.packing.lengths if a in axes and isinstance(v, str)}
        used |= {n for _, tree in self.declared(axes, names) for n in st.reads(tree)}
        constants = [c for c in self.op.constants if c.name in used]
        signature = ", ".join([*names, *(f"{c.name}={c.default}" if c.default else c.name for c in constants)])
        like = next((n for n in names if self.axes(n) and not self.labels(n)), None)
        scalars = [self.backend.scalar(n, like) for n in names if not self.axes(n)] if like else []
        prologue = [*self.lengths(list(axes), names), *filter(None, scalars), *printed.safe]
        returned, body = name, list(printed.body)
        if body[-1].startswith(f"{name} = "):
            returned = body.pop().removeprefix(f"{name} = ")
        return FunctionSource(name, Code(signature), tuple(self.doc(statements)), code(prologue), code(body), Code(returned))

    def printed(self, name: str, statements: list[Statement], names: list[str]) -> Printed:
        """The statements as lines. Labels that are not looked up everywhere are looked up under another name."""
        arguments = [self.argument(n) for n in names]
        safe = {a.name: self.other(f"{a.name}_at") for a in arguments if a.guards and looks_up(statements, a.name)}
        statements = [replace(s, tree=looked_up(s.tree, safe)) for s in statements]
        every = [*arguments, *(replace(a, name=safe[a.name]) for a in arguments if a.name in safe)]
        results = tuple(s.name for s in statements if s.role is Role.OUTPUT)
        callers = {a.name: a.axes for a in every} | {s.name: s.index for s in statements if s.role is Role.OUTPUT}
        held = repacked(statements, callers, self.packing, fixed=True)
        program = Program(name, tuple(every), self.op.constants, held.statements, results, "", False)
        printer = self.printer(program, held=held)
        found = [f"{safe[a.name]} = {printer.looked_up(a.name, a)}" for a in arguments if a.name in safe]
        read = {n for a in arguments if a.name in safe for rows in a.guards for row in rows for n in st.reads(row)}
        body = [line for s in held.statements for line in printer.statement(s)]
        return Printed(printer, tuple(found), tuple(body), frozenset(read), safe)

    def argument(self, name: str) -> Argument:
        if name in self.inputs:
            return taken(self.op, self.inputs[name])
        return Argument(name, self.axes(name), Role.INPUT)

    def other(self, name: str) -> str:
        """A name that the op does not have."""
        while name in {*self.inputs, *self.constants, *self.forward, *self.adjoints, *self.upstream()}:
            name += "_"
        return name

    # ---- lengths ---------------------------------------------------------------------------------------------------

    def slots(self, name: str) -> Slots:
        return self.packing.slots(name, self.axes(name))

    def lengths_of(self, names: Iterable[str]) -> set[str]:
        """The axes whose lengths follow from the shapes of these tensors."""
        found = solved([slot for n in names for slot in self.slots(n)], dict(self.packing.lengths))
        return found | {a for a, _ in self.op.declared.computed(found, equal_axes(self.op))}

    def declared(self, axes: Iterable[str], names: list[str]) -> list[tuple[str, st.Tree]]:
        """The declared lengths among those of the axes, and those that they need, that none of the tensors has."""
        had = solved([slot for n in names for slot in self.slots(n)], dict(self.packing.lengths))
        wanted, found = set(axes), list[tuple[str, st.Tree]]()
        for axis, tree in reversed(list(self.op.declared.computed(had, equal_axes(self.op)))):
            if axis in wanted - had:
                wanted |= needed(tree)
                found.insert(0, (axis, tree))
        return found

    def lengths(self, axes: list[str], names: list[str]) -> list[str]:
        """The lines that read the lengths of the axes, each from the first tensor that has it, or that has it packed."""
        plain = {slot[0]: n for n in reversed(names) for slot in self.slots(n) if len(slot) == 1}
        given = {a: v for a, v in self.packing.lengths if a not in plain}
        wanted, declared = dict.fromkeys(axes), self.declared(axes, names)
        wanted.update(dict.fromkeys(a for _, tree in declared for a in sorted(needed(tree))))
        left = self.left(wanted, names, {*plain, *given})
        givers: dict[str, list[str]] = {}
        for axis in (a for a in wanted if a in plain):
            givers.setdefault(next(n for n in names if (axis,) in self.slots(n)), []).append(axis)
        lines = [f"{axis} = {value}" for axis, value in given.items() if axis in wanted and str(value) != axis]
        for name, found in givers.items():
            own = self.slots(name)
            if len(own) > 1 and sorted((a,) for a in found) == sorted(own):
                lines.append(f"{', '.join(slot[0] for slot in own)} = {name}.shape")
            else:
                lines += [f"{axis} = {name}.shape[{own.index((axis,))}]" for axis in found]
        return [*lines, *left, *(f"{a} = {length_source(tree, Text, Text).code}" for a, tree in declared)]

    def left(self, wanted: dict[str, None], names: list[str], known: set[str]) -> list[str]:
        """The lines for the lengths that packed axes leave; ``wanted`` gets the lengths by which they are divided."""
        lines: list[str] = []
        packed = [(n, k, slot) for n in names for k, slot in enumerate(self.slots(n)) if len(slot) > 1]
        for n, k, slot in packed * len(packed):
            missing = [a for a in slot if a not in known]
            if len(missing) == 1 and any(a in wanted for a in missing):
                others = [a for a in slot if a not in missing]
                wanted.update(dict.fromkeys(others))
                lines.append(f"{missing[0]} = {' // '.join([f'{n}.shape[{k}]', *others])}")
                known.add(missing[0])
        return lines

    def axes(self, name: str) -> tuple[str, ...]:
        if name in self.inputs:
            return self.inputs[name].axes
        for known in (self.forward, self.adjoints):
            if name in known:
                return known[name].index
        return self.axes(st.primal_name(name)) if name in self.upstream() else ()

    def labels(self, name: str) -> str | None:
        return self.inputs[name].labels if name in self.inputs else None

    def doc(self, statements: list[Statement]) -> list[str]:
        lines = []
        for s in statements:
            left = declared(self.op, s.name, s.index)
            line = f"{left} = {language(in_op(self.op, s.tree))}"
            lines += textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_long_words=False)
        return lines


def looked_up(tree: st.Tree, to: Mapping[str, str]) -> st.Tree:
    """The tree with labels looked up under other names. What a condition compares keeps its name."""

    def index(i: st.Index) -> st.Index:
        return i if isinstance(i, str) else st.Lookup(to.get(i.name, i.name), tuple(map(index, i.index)))

    match tree:
        case st.Read(name, slots):
            return st.Read(name, tuple(map(index, slots)))
        case st.Match(left, right, equal):
            return st.Match(index(left), index(right), equal)
    return st.rebuild(tree, lambda child: looked_up(child, to)) if to else tree


def spelled_like(tree: st.Tree, written: list[st.Tree]) -> st.Tree:
    """The tree with its quotients spelled as the author spelled the quotients of the equations that the tree comes from.

    Where the author raised ``u`` to a negative power, ``1/u**k`` is written ``u**(-k)``. Where the author multiplied by
    ``1/size(n)``, the result multiplies by it too. The spelling decides the rounding, which then is the author's.
    """
    powers = {frozenset(st.reads(p.base)) for t in written for p in _negative_powers(t)}
    scales = {n.den for t in written for n in st.walk(t) if isinstance(n, st.Div) and n.num == _ONE}

    def spell(node: st.Tree) -> st.Tree:
        node = st.rebuild(node, spell)
        if not isinstance(node, st.Div):
            return node
        if node.den in scales and node.num != _ONE:
            return st.Mul((st.Div(_ONE, node.den), *_factors(node.num)))
        below = _factors(node.den)
        moved = [p for p in below if isinstance(p, st.Pow) and frozenset(st.reads(p.base)) in powers]
        if not moved:
            return node
        up = [st.Pow(p.base, st.Num(-p.exp.value)) for p in moved if isinstance(p.exp, st.Num)]
        num = st.Mul((*_factors(node.num), *up))
        rest = tuple(p for p in below if p not in moved)
        return num if not rest else st.Div(num, rest[0] if len(rest) == 1 else st.Mul(rest))

    return spell(tree)


_ONE = st.Num(Fraction(1))


def _negative_powers(tree: st.Tree) -> Iterator[st.Pow]:
    for node in st.walk(tree):
        if isinstance(node, st.Pow) and isinstance(node.exp, st.Num) and node.exp.value < 0:
            yield node


def _factors(tree: st.Tree) -> tuple[st.Tree, ...]:
    return tree.args if isinstance(tree, st.Mul) else (tree,)
