"""Derivation to programs: what is saved, what is rematerialised, what gets a line of its own.

A name that the backward reads is saved by the forward, unless the backward can rematerialise it at no cost. That holds for
functions of constants, for copies of inputs, and for an elementwise name that only the backward needs and that reads only
tensors that the backward has anyway. Nor is a product of the other entries saved that only the backward needs: it is as large
as the tensor of these entries, which is saved in place of all of them.

The accurate variant rematerialises every name that takes no reduction, starting from the inputs: a saved value is rounded, so
digits that cancel in it are lost. An engine-made name that only the backward needs is rematerialised, too, if a single saved
name suffices for that: then the latter is saved in place of the former.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from codegen.averaged import averaged
from codegen.axes import lengths_used
from codegen.confined import confined
from codegen.declared import declared_in, lengths_needed
from codegen.depth import shallow
from codegen.names import named, renamed_argument, renamed_statement
from codegen.parts import Parts
from codegen.program import Argument, Kernel, Program, Role, Statement, ranked, taken
from codegen.recognise.rows import supports
from codegen.steps import Arranged, arranged, whole
from derive import syntax as st
from derive.declared import needed as lengths_of
from derive.deep import deeply
from derive.derivation import Derivation
from derive.engine import style_of
from derive.language.axes import equal_axes
from derive.packing import solved
from derive.points import KINKED
from derive.recurrence import adjoint_carries, first_adjoints
from derive.renaming import Spelling
from derive.tangents import Tangents
from derive.terms.definitions import Definition, is_reduction
from derive.terms.factor import to_tree
from derive.terms.reads import syntax_index
from derive.terms.style import Style
from derive.terms.sums import Extremum, Lookup, Read, Sum, atom_reads, sum_reads


@deeply
def plan(derivation: Derivation, tangents: Tangents | None = None) -> Kernel:
    """The forward and backward programs of a derivation, and that of its ``tangents``, in the names of its code.

    Raises OpError where the op's own name cannot be the name of a file (:mod:`codegen.names`).
    """
    return named(planned(derivation, tangents))


@deeply
def planned(derivation: Derivation, tangents: Tangents | None = None) -> Kernel:
    """The forward and backward programs of a derivation, and that of its ``tangents``, in the author's names."""
    return _Planner(derivation).kernel(tangents)


class _Planner:
    def __init__(self, derivation: Derivation, op: st.Op | None = None):
        self.d = derivation
        self.op = op or derivation.op
        self.definitions = {d.name: d for d in derivation.forward}
        self.inputs = {t.name: t for t in self.op.inputs}
        self.constants = {c.name: c for c in self.op.constants}
        self.lines = {line.name: line.body for line in derivation.lines}
        self.outputs = [t.name for t in self.op.outputs]
        #: What callers get of the forward.
        self.results = [t.name for t in self.op.results]
        self.taken = {
            *self.definitions,
            *self.inputs,
            *self.constants,
            *self.lines,
            *(st.adjoint_name(n) for n in self.outputs),
        }
        self.style = style_of(self.op, list(derivation.forward))
        self.written = {d.name: d for d in derivation.written}
        self.parts = Parts(derivation)
        #: The results of the backward, and what it carries from step to step.
        self.gradients, self.carries = derivation.gradients, adjoint_carries(self.op)
        self.ranked = ranked(self.op)
        #: The names of lines that programs call otherwise.
        self.names: Spelling = {}
        self.carried = {c.name: c for c in self.op.carries}
        #: The names that depend on nothing but constants.
        self.fixed: set[str] = set()
        for d in derivation.forward:
            if all(n in self.constants or n in self.fixed for n in self.reads(d.body)):
                self.fixed.add(d.name)
        calls = (n.head for e in self.op.equations for n in st.walk(e.rhs) if isinstance(n, st.Call))
        self.kinks = KINKED.intersection(calls)

    def kernel(self, tangents: Tangents | None) -> Kernel:
        saved, recomputed = self.split()
        saved.sort(key=lambda n: -len(self.definitions[n].index))
        made = {n: self.definitions[n].index for n in saved if not self.definitions[n].author}
        self.op = replace(self.op, packing=self.op.packing.extended(made))
        linear = [self.backward(saved, recomputed)]
        if tangents:
            linear.append(self.tangent(tangents, saved))
            self.op = replace(self.op, packing=tangents.packed(self.op))
        forward, backward, *rest = self.confined(self.forward(saved), *linear)
        kept = tuple(st.Tensor(n, self.definitions[n].index, self.labels(n)) for n in saved)
        return Kernel(self.op, forward, backward, kept, self.d.losses, *rest)

    def tangent(self, tangents: Tangents, saved: list[str]) -> Program:
        """The program of the Jacobian-vector product: of what the forward saves it is given what it reads."""
        outputs = tuple(t for t in tangents.derivation.op.outputs if t.name in self.gradients)
        planner = _Planner(tangents.derivation, replace(self.op, outputs=outputs))
        planner.names, planner.ranked = tangents.names, self.ranked
        planner.gradients = tuple(st.adjoint_name(st.adjoint_name(name)) for name in self.outputs)
        planner.carries = tangents.carries(self.op)
        wanted = {n for body in planner.lines.values() for n in planner.reads(body)}
        recomputed: list[str] = []
        for d in reversed(tangents.derivation.forward):
            if d.name in wanted and d.name not in saved:
                recomputed.insert(0, d.name)
                wanted |= planner.reads(d.body)
        planner.taken |= {*tangents.names.values()}
        return planner.backward([n for n in saved if n in wanted], recomputed, "jvp")

    def labels(self, name: str) -> str | None:
        """The axis whose positions a name's values are; None for floating-point values."""
        return self.op.tensor(name).labels if self.definitions[name].author else None

    def confined(self, forward: Program, *linear: Program) -> list[Program]:
        """The programs, in which the engine's own names are 0 where nothing reads them."""
        made = {d.name for d in self.d.forward if not d.author}
        known = {*(a.name for a in forward.arguments), *self.constants}
        first, then = confined(forward.statements, [s for p in linear for s in p.statements], made, known)
        zero = supports(first)
        found, rest = [replace(forward, statements=tuple(first))], iter(then)
        for p in linear:
            arguments = tuple(replace(a, support=zero.get(a.name, ())) if a.role is Role.SAVED else a for a in p.arguments)
            found.append(replace(p, statements=tuple(islice(rest, len(p.statements))), arguments=arguments))
        return found

    # ---- what is saved ---------------------------------------------------------------------------------------------

    def split(self) -> tuple[list[str], list[str]]:
        """The names to save, and the names to rematerialise in the backward, both in forward order."""
        in_forward = self.closure(self.results)
        wanted = {n for body in self.lines.values() for n in self.reads(body)}
        saved: list[str] = []
        recomputed: list[str] = []
        for d in reversed(self.d.forward):
            if d.name not in wanted:
                continue
            if self.recomputable(d, in_forward):
                recomputed.insert(0, d.name)
                wanted |= self.reads(d.body)
            else:
                saved.insert(0, d.name)
        return saved, recomputed

    def recomputable(self, d: Definition, in_forward: set[str]) -> bool:
        if any(c.of == d.name for c in self.op.carries):  # no step is taken again
            return False
        if len(self.op.stars.intersection(d.index)) > 1:  # a shape does not tell two stars apart
            return True
        if d.name in self.fixed or self.is_copy(d):
            return True
        if is_reduction(d):
            return not d.author and d.name not in in_forward and _as_large(d)
        if self.op.variant == "accurate":
            made = [self.definitions[n] for n in sum_reads(d.body) if n in self.definitions]
            missing = [m for m in made if not self.recomputable(m, in_forward)]
            return not missing or (len(missing) == 1 and not d.author and d.name not in in_forward)
        if d.author or d.name in in_forward:
            return False
        at_hand = {*self.inputs, *self.constants, *self.outputs, *self.carried}
        return all(n in at_hand or self.recomputable(self.definitions[n], in_forward) for n in sum_reads(d.body))

    def reads(self, body: Sum) -> frozenset[str]:
        """The names that a body reads; for what is carried also those from which it is worked out."""
        names = sum_reads(body)
        return names | {n for c in self.carried.values() if c.name in names for n in (c.of, c.first) if n}

    def is_copy(self, d: Definition) -> bool:
        """Whether a name stands for entries of an input, unchanged. ``0.9*x + 0.1*x`` is ``x`` on paper alone."""
        atom = d.body.atom
        if not isinstance(atom, Read) or not isinstance(d.tree, st.Read | None):
            return False
        return atom.name in self.inputs and not any(isinstance(i, Lookup) for i in atom.index)

    def closure(self, names: Iterable[str]) -> set[str]:
        """The names and all that they depend on, inputs and constants included."""
        waiting = list(names)
        needed = set(waiting)
        while waiting:
            d = self.definitions.get(waiting.pop())
            found = self.reads(d.body) - needed if d else frozenset[str]()
            needed |= found
            waiting += found
        return needed

    # ---- programs --------------------------------------------------------------------------------------------------

    def forward(self, saved: list[str]) -> Program:
        needed = self.closure([*self.results, *saved])
        definitions = [d for d in self.d.forward if d.name in needed]
        inlined = self.inlined(definitions, {*self.results, *saved})
        role = {n: Role.SAVED for n in saved} | {n: Role.OUTPUT for n in self.results}
        statements = [
            Statement(d.name, d.index, self.forward_tree(d, inlined), role.get(d.name, Role.TEMPORARY))
            for d in definitions
            if d.name not in inlined
        ]
        arguments = tuple(taken(self.op, t) for t in self.op.inputs)
        results = (*self.results, *saved)
        return self.program("forward", arguments, statements, results)

    def inlined(self, definitions: list[Definition], kept: set[str]) -> set[str]:
        """The engine's own names that are inlined, because they are read once or cost little."""
        uses: Counter[str] = Counter()
        for d in definitions:
            for mono in d.body.terms:
                for atom, _ in mono.factors:
                    uses.update(set(atom_reads(atom)))
        own = {d.name for d in definitions if not d.author and d.name not in kept}
        return {d.name for d in definitions if d.name in own and self.may_inline(d, uses[d.name])}

    def may_inline(self, d: Definition, uses: int) -> bool:
        cheap = not is_reduction(d) and d.function is None and len(d.body) == 1
        return not d.kept and (uses <= 1 or cheap)

    def forward_tree(self, d: Definition, inlined: set[str]) -> st.Tree:
        """The author's own right side where it still computes the definition, else a tree made from the definition."""
        own = self.written.get(d.name)
        needed = self.unfolded(d, inlined)
        engine = {n for n in needed if n in self.definitions and not self.definitions[n].author}
        same = own is not None and own.body == d.body and not engine
        tree = d.tree if d.tree is not None and same else self.parts.named(d, engine)
        # A name that cancels in the author's form may be missing from the program: then the author's form cannot be used.
        if tree is not None and set(st.reads(tree)) <= needed | self.inputs.keys() | self.constants.keys():
            return tree
        return to_tree(d.body, d.index, self.inlining(inlined))

    def unfolded(self, d: Definition, inlined: set[str]) -> set[str]:
        """The names that a definition reads once inlined names are written out."""
        out: set[str] = set()
        for n in sum_reads(d.body):
            out |= self.unfolded(self.definitions[n], inlined) if n in inlined else {n}
        return out

    def inlining(self, inlined: set[str]) -> Style:
        return replace(self.style, read=lambda r: self.inline(r, inlined))

    def inline(self, read: Read, inlined: set[str]) -> st.Tree | None:
        if read.name not in inlined:
            return None
        d = self.definitions[read.name]
        to = {i: syntax_index(j) for i, j in zip(d.index, read.index, strict=True)}
        return st.rename(to_tree(d.body, d.index, self.inlining(inlined)), to)

    def backward(self, saved: list[str], recomputed: list[str], kind: str = "backward") -> Program:
        bodies = [self.definitions[n].body for n in recomputed] + list(self.lines.values())
        reads = {n for body in bodies for n in sum_reads(body)}
        uses = Counter(n for body in bodies for m in body.terms for a, _ in m.factors for n in set(atom_reads(a)))
        firsts = {c.first for c in self.op.carries}
        looked_up = {n for n in recomputed if self.labels(n) is not None}
        inlined = {n for n in recomputed if self.may_inline(self.definitions[n], uses[n]) and n not in firsts | looked_up}
        style = self.inlining(inlined)
        statements = [
            Statement(d.name, d.index, to_tree(d.body, d.index, style), Role.TEMPORARY)
            for d in map(self.definitions.__getitem__, recomputed)
            if d.name not in inlined
        ]
        statements += [whole(c) for c in self.op.carries if c.name in reads]
        index = {line.name: line.index for line in self.d.lines}
        statements += [Statement(e.name, e.index, e.rhs, Role.TEMPORARY) for e in first_adjoints(self.op) if e.name in reads]
        for name, body in self.lines.items():
            role = Role.OUTPUT if name in self.gradients else Role.TEMPORARY
            statements.append(Statement(name, index[name], to_tree(body, index[name], style), role))
        upstream = tuple(Argument(st.adjoint_name(t.name), t.axes, Role.UPSTREAM) for t in self.op.outputs)
        kept = tuple(Argument(n, self.definitions[n].index, Role.SAVED, self.labels(n)) for n in saved)
        needed = self.shape_givers(statements, reads, saved)
        inputs = tuple(taken(self.op, t) for t in self.op.inputs if t.name in needed)
        return self.program(kind, (*upstream, *kept, *inputs), statements, self.gradients)

    def shape_givers(self, statements: list[Statement], reads: set[str], saved: list[str]) -> set[str]:
        """The inputs that the backward takes: those read, and those that alone have an axis whose length is needed."""
        needed = {n for n in reads if n in self.inputs}
        packing = self.op.packing
        given = [(t.name, t.axes) for t in self.op.outputs] + [(n, self.definitions[n].index) for n in saved]
        given += [(t.name, t.axes) for t in self.op.inputs if t.name in needed]
        wanted = {a for s in statements for a in _axes(s)}
        # What is packed is taken apart, and results are packed: that takes the length of every single axis.
        wanted |= {a for n, axes in given if packing.packs(n) for a in axes}
        wanted |= {a for s in statements if s.name in self.gradients and packing.packs(s.name) for a in s.index}
        # What the forward knows of empty axes the backward has to know as well.
        certain = self.lengths([(t.name, t.axes) for t in self.op.inputs], empty=True)
        while missing := (wanted - self.lengths(given)) | (wanted & certain - self.lengths(given, empty=True)):
            missing |= {a for axis, tree in self.op.declared.lengths if axis in missing for a in lengths_of(tree)}
            spare = [t for t in self.op.inputs if t.name not in needed and missing & set(t.axes)]
            spare.sort(key=lambda t: not missing & self.lengths([*given, (t.name, t.axes)], empty=True))
            if not spare:
                break
            needed.add(spare[0].name)
            given.append((spare[0].name, spare[0].axes))
            wanted |= set(spare[0].axes) if packing.packs(spare[0].name) else set()
        return needed

    def lengths(self, given: Iterable[tuple[str, tuple[str, ...]]], empty: bool = False) -> set[str]:
        """The axes whose lengths follow from the shapes of these tensors; with ``empty`` also if any length is 0."""
        packing = self.op.packing
        slots = [slot for name, axes in given for slot in packing.slots(name, tuple(map(st.axis_of, axes)))]
        if not packing and not self.op.declared:
            return {a for slot in slots for a in slot}
        root = equal_axes(self.op)
        held = {root[a] for a, _ in packing.lengths}
        known = solved([tuple(root[a] for a in slot) for slot in slots], held, held if empty else None)
        known |= {root[a] for a, _ in self.op.declared.computed(known, root)}
        return {a for a, r in root.items() if r in known}

    def program(
        self, kind: str, arguments: tuple[Argument, ...], statements: list[Statement], results: Iterable[str]
    ) -> Program:
        statements = [renamed_statement(s, self.names) for s in statements]
        used = {n for s in statements for n in st.reads(s.tree)}
        axes = {i for a in arguments for i in a.axes} | {a for s in statements for a in lengths_used(s.index, s.tree)}
        lengths = declared_in(self.op, arguments, statements)
        axes |= lengths_needed(lengths)
        used |= {v for axis, v in self.op.packing.lengths if isinstance(v, str) and axis in axes}
        used |= {name for _, tree in lengths for name in st.reads(tree)}
        constants = tuple(c for c in self.op.constants if c.name in used)
        found = Arranged(tuple(shallow(averaged(statements, self.ranked), self.taken)))
        if self.op.carries:
            carries = (self.op.carries, ()) if kind == "forward" else (self.carries, self.op.carries)
            found = arranged(found.statements, *carries, self.taken)
        star = next(iter(sorted(self.op.stars)), "")
        return Program(
            name=f"{self.op.name}_{kind}",
            arguments=tuple(renamed_argument(a, self.names) for a in arguments),
            constants=constants,
            statements=found.statements,
            results=tuple(self.names.get(r, r) for r in results),
            star=star,
            collapsed=len(self.op.stars) > 1 or (bool(star) and _must_collapse(star, arguments, statements)),
            accurate=self.op.variant == "accurate",
            kinks=self.kinks,
            ranked=self.ranked,
            equal=tuple((a, r) for a, r in equal_axes(self.op).items() if a != r),
            loops=found.loops,
            shifts=found.shifts,
        )


def _as_large(d: Definition) -> bool:
    """Whether a name has a product for each entry of the tensor that the product is taken of."""
    atom = d.body.atom
    return isinstance(atom, Extremum) and atom.head == "prod" and len(d.index) >= len(atom.of.index)


def _axes(statement: Statement) -> set[str]:
    """The axes whose lengths a statement mentions."""
    sizes = {n.axis for n in st.walk(statement.tree) if isinstance(n, st.Size)}
    free = set(st.free_indices(statement.tree))
    missing = {i for i in statement.index if i not in free}
    matched = {i for n in st.walk(statement.tree) if isinstance(n, st.Match) for i in (n.left, n.right) if isinstance(i, str)}
    matched |= {n.index for n in st.walk(statement.tree) if isinstance(n, st.Position) and isinstance(n.index, str)}
    return sizes | {st.axis_of(i) for i in missing | matched}


def _must_collapse(star: str, arguments: tuple[Argument, ...], statements: list[Statement]) -> bool:
    """Whether ``*s`` must be reshaped to one axis: it does not lead everywhere, or it is reduced, counted or looked up."""
    if any(star in a.axes[1:] for a in arguments) or any(star in s.index[1:] for s in statements):
        return True
    return any(_works_on(star, node) for s in statements for node in st.walk(s.tree))


def _works_on(star: str, node: st.Tree) -> bool:
    """Whether an operation treats ``*s`` as anything but leading axes that broadcast."""
    match node:
        case st.Reduce(_, index, _):
            return star in map(st.axis_of, index)
        case st.Size(axis):
            return axis == star
        case st.Match():
            return any(star == st.axis_of(i) for slot in (node.left, node.right) for i in st.index_names(slot))
        case st.Position(index):
            return any(star == st.axis_of(i) for i in st.index_names(index))
        case st.Read(_, index):
            found = [[st.axis_of(i) for i in st.index_names(slot)] for slot in index]
            return sum(star in slot for slot in found) > 1 or star in [i for slot in found for i in slot][1:]
    return False
