"""An op's backward taken apart for ``flow.py``: every line as terms, every local factor as a function.

The lines are those of the chain rule and, where the derivation has them, the closed forms. The factor ``1 - h**2`` occurs in
both, ``p - [c = t]`` only in a closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen.backends.arrays.discovery import first
from codegen.chain import Chain
from codegen.names import named_op
from codegen.program import Role, Statement
from codegen.recognise.one_hot import OneHot
from codegen.render import render
from codegen.source import FunctionSource
from codegen.tools.flow.bounds import greatest
from codegen.tools.flow.parts import Parts
from codegen.tools.flow.terms import Term, product, terms
from codegen.tools.flow.words import Words
from derive import derive, derive_full
from derive import syntax as st
from derive.derivation import Derivation
from derive.language.unicode import language
from derive.terms.definitions import Definition, is_reduction
from derive.terms.factor import to_tree
from derive.terms.reads import syntax_index
from derive.terms.sums import Read

__all__ = ["FactorSource", "FlowSource", "LineSource", "TermSource", "flow_source", "render_flow", "render_runtime"]


@dataclass(frozen=True)
class FactorSource:
    """One local factor: its text without indices, the function that computes it, and the axes of the result."""

    text: str
    function: str
    axes: tuple[str, ...]


@dataclass(frozen=True)
class TermSource:
    """The term of a line that has one upstream gradient.

    ``constant`` computes the factors that do not depend on the forward pass (None: their product is 1). ``text`` is the product
    of the other factors, ``bound`` its supremum, if it is a bounded function of the name alone.
    """

    upstream: str
    over: tuple[str, ...]
    constant: FactorSource | None
    factors: tuple[FactorSource, ...]
    text: str
    bound: float | None


@dataclass(frozen=True)
class CertainSource:
    """The distribution of a line that takes a one-hot label from it: its function, the position of its axis, and the labels."""

    function: str
    position: int
    labels: str


@dataclass(frozen=True)
class LineSource:
    """One line of the backward: ``form`` is "chain" or "closed"; ``certain`` is None where no label is taken from anything."""

    name: str
    axes: tuple[str, ...]
    form: str
    text: str
    terms: tuple[TermSource, ...]
    certain: CertainSource | None


@dataclass(frozen=True)
class FlowSource:
    """What the template of ``generated/numpy/OP_flow.py`` is given.

    ``equations`` holds each name with its expression and the names that this reads; ``labels`` the text of each made name.
    """

    op: str
    command: str
    helpers: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    names: tuple[str, ...]
    axes: dict[str, tuple[str, ...]]
    equations: tuple[tuple[str, str, tuple[str, ...]], ...]
    labels: dict[str, str]
    functions: tuple[FunctionSource, ...]
    lines: tuple[LineSource, ...]


def render_flow(op: st.Op, command: str, parts: Parts | None = None) -> str:
    """The unformatted text of ``generated/numpy/OP_flow.py`` (ValueError for an op with axes written ``*s``).

    ``parts`` are the op's names that were made for parts of its equations.
    """
    return render("flow/flow.py.j2", backend=first().name, **vars(flow_source(op, command, parts)))


def render_runtime(command: str) -> dict[str, str]:
    """The modules that work on any op's flow file, by path below ``generated/``; a module comes after those it imports."""
    modules = ("records", "lines", "text", "finite", "findings", "__init__", "plot")
    return {f"flow/{m}.py": render(f"flow/{m}.py.j2", command=command) for m in modules}


def flow_source(op: st.Op, command: str, parts: Parts | None = None) -> FlowSource:
    """The parts of the flow file of one op."""
    if op.stars:
        raise ValueError(f"{op.name}: gradient flow is for named axes only, not for *{', *'.join(sorted(op.stars))}")
    op = named_op(op)
    full, closed = derive_full(op), derive(op)
    work: dict[str, FunctionSource] = {}
    words = Words(parts or {})
    takers = [_Lines(full, "chain", work, words), _Lines(closed, "closed", work, words)]
    lines = tuple(line for t in takers for line in t.lines())
    floating = [t for t in op.inputs if not t.integer]
    return FlowSource(
        op=op.name,
        command=command,
        helpers=tuple(sorted({h for t in takers for h in t.helpers})),
        inputs=tuple(t.name for t in floating),
        outputs=tuple(t.name for t in op.outputs),
        names=tuple(e.name for e in op.equations),
        axes={t.name: t.axes for t in floating} | {e.name: e.index for e in op.equations},
        equations=tuple((e.name, words.text(e.rhs), tuple(dict.fromkeys(st.reads(e.rhs)))) for e in op.equations),
        labels={name: words.text(st.Read(name)) for name in words.parts},
        functions=tuple(work.values()),
        lines=lines,
    )


class _Lines(Chain):
    """The lines of one derivation. Their functions go to ``work``, keyed by what they compute; equal ones are shared."""

    def __init__(self, derivation: Derivation, form: str, work: dict[str, FunctionSource], words: Words):
        super().__init__(derivation, first())
        self.form, self.work, self.words = form, work, words
        integer = {t.name for t in self.op.inputs if t.integer}
        self.floating = (set(self.inputs) | set(self.forward)) - integer

    def lines(self) -> list[LineSource]:
        lines = [Definition(line.name, line.index, line.body) for line in self.d.lines]
        return [self.line(d) for d in lines if d.name not in self.made and d.body]

    def line(self, d: Definition) -> LineSource:
        tree = self.whole(d)
        adjoints = set(self.adjoints) | self.upstream()
        found = tuple(self.term(d, t) for t in terms(tree, adjoints, self.floating))
        return LineSource(d.name, d.index, self.form, self.words.text(tree), found, self.certain(d, tree))

    def certain(self, d: Definition, tree: st.Tree) -> CertainSource | None:
        """The distribution that a closed line takes a one-hot label from."""
        hot = OneHot.of(tree, d.index) if self.form == "closed" else None
        if hot is None or hot.amount or not self.floating & set(st.reads(hot.rest)):
            return None
        found = self.factor(hot.rest, d)
        return CertainSource(found.function, d.index.index(hot.target), hot.labels.name) if found.axes == d.index else None

    def whole(self, d: Definition) -> st.Tree:
        return to_tree(d.body, d.index, replace(self.style, read=self.inline))

    def inline(self, read: Read) -> st.Tree | None:
        """The definition in place of an engine-made name; None for other names, and for reductions of the forward pass."""
        d = self.made.get(read.name)
        if d is None or (is_reduction(d) and read.name in self.forward):
            return None
        return st.rename(self.whole(d), {i: syntax_index(j) for i, j in zip(d.index, read.index, strict=True)})

    def term(self, d: Definition, t: Term) -> TermSource:
        constant = self.factor(product(t.constants), d) if t.constants else None
        factors = tuple(self.factor(f, d) for f in t.factors)
        bound = None if t.over or not factors else greatest(product(t.factors), st.primal_name(d.name), self.equation)
        return TermSource(t.upstream, t.over, constant, factors, self.words.text(product(t.factors)), bound)

    def equation(self, read: st.Read) -> st.Tree | None:
        """The expression that a read stands for, if the equation of the name is elementwise; else None."""
        d = self.forward.get(read.name)
        if d is None or is_reduction(d):
            return None
        return st.rename(self.whole(d), dict(zip(d.index, read.index, strict=True)))

    def factor(self, tree: st.Tree, d: Definition) -> FactorSource:
        free = set(st.free_indices(tree))
        axes = tuple(i for i in (*d.index, *st.free_indices(tree)) if i in free)
        axes = tuple(dict.fromkeys(axes))
        key = f"{language(tree)} over {' '.join(axes)}"
        if key not in self.work:
            name = f"factor_{len(self.work) + 1}"
            statements = [*self.needed(tree), Statement(name, axes, tree, Role.OUTPUT)]
            local = {s.name for s in statements}
            reads = dict.fromkeys(n for s in statements for n in st.reads(s.tree))
            arguments = [n for n in reads if n not in local and n not in self.constants]
            spare = [st.primal_name(d.name), *self.inputs, *(e.name for e in self.op.equations)]
            made = self.function(name, statements, arguments, spare)
            self.work[key] = replace(made, doc=(language(tree),))
        return FactorSource(self.words.text(tree), self.work[key].name, axes)

    def needed(self, tree: st.Tree) -> list[Statement]:
        """The engine-made reductions of the forward pass that an expression reads, in the order of computation."""
        out: dict[str, Statement] = {}
        for name in dict.fromkeys(st.reads(tree)):
            if name in self.made:
                inner = self.whole(self.made[name])
                out |= {s.name: s for s in self.needed(inner)}
                out[name] = Statement(name, self.made[name].index, inner, Role.TEMPORARY)
        return list(out.values())
