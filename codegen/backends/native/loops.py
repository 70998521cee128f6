"""C's spelling of the loops inside a nest, and of the reductions that begin and end at them.

A reduction over the innermost loops is a variable that the vector loop adds up; one with an axis of its own inside has an
element of memory for each; where both meet, the variable of the innermost loops is added to the element.
"""

from __future__ import annotations

from codegen.backends.native.statements import CStatements
from codegen.loops.assignment import Assignment, Fold, fold_of
from codegen.loops.loop import Item, Loop, assignments_in

START = {Fold.SUM: "0", Fold.MEAN: "0", Fold.MAX: "-INFINITY", Fold.MIN: "INFINITY"}


class CLoops(CStatements):
    """Prints loops."""

    def items(self, body: tuple[Item, ...]) -> None:
        """The body of a loop, or of the function."""
        for item in body:
            self.prepare(item)
            if isinstance(item, Loop):
                self.inner_loop(item)
            else:
                self.flat(item)
        self.end_of_row()

    def end_of_row(self) -> None:
        """What has to follow the body of the loops around."""

    def inner_loop(self, loop: Loop) -> None:
        """A loop inside a nest, with the reductions that begin and end at it."""
        sites = [(f, path) for f, path in assignments_in(loop.body, (loop,)) if fold_of(f)]
        ending = [f for f, path in sites if self.first_reduced(f, path) is loop]
        for f in ending:
            self.begin(f)
        partial = [f for f, path in sites if self.suffix(f, path) is loop and not self.accumulators[f.name].isidentifier()]
        for f in partial:
            self.begin_partial(f)
        outer = dict(self.accumulators)
        self.loop(loop, f"{self.head(loop.axis)} {{")
        self.accumulators = outer
        for f in partial:
            self.end_partial(f)
        for f in ending:
            self.end(f)

    def loop(self, loop: Loop, head: str) -> None:
        """The loop itself, below a given head; an innermost one is a vector loop."""
        if loop.innermost:
            self.lines += [self.simd(loop), self.comment(loop)]
        self.emit(head)
        body, self.body = self.body, loop.body
        inner, self.spell.inner = self.spell.inner, loop.axis if loop.innermost else ""
        with self.scope(loop.axis):
            self.items(loop.body)
        self.body, self.spell.inner = body, inner
        self.emit("}")

    def simd(self, loop: Loop) -> str:
        clauses: dict[str, list[str]] = {}
        for f in loop.body:
            assert isinstance(f, Assignment)
            fold = fold_of(f)
            into = self.accumulators.get(f.name, "") if fold else ""
            if into.isidentifier():
                clauses.setdefault("+" if fold is None or fold.adds else fold.value, []).append(into)
                if rest := self.accumulators.get(f"{f.name} rest"):
                    clauses["+"].append(rest)
                if is_nan := self.accumulators.get(f"{f.name} is nan"):
                    clauses.setdefault("|", []).append(is_nan)
        return "#pragma omp simd" + "".join(f" reduction({sign} : {', '.join(names)})" for sign, names in clauses.items())

    # ---- reductions --------------------------------------------------------------------------------------------------

    def first_reduced(self, f: Assignment, path: tuple[Loop, ...]) -> Loop | None:
        """The outermost loop that a reduction runs over, if it is among ``path`` and not outside."""
        outside = [a for a in self.path if a in f.reduced]
        return None if outside else next((loop for loop in path if loop.axis in f.reduced), None)

    def suffix(self, f: Assignment, path: tuple[Loop, ...]) -> Loop | None:
        """The outermost of the innermost loops that are all reduced: what they add up is a single number."""
        found = None
        for loop in reversed(path):
            if loop.axis not in f.reduced:
                break
            found = loop
        return found

    def own_axes(self, f: Assignment) -> tuple[str, ...]:
        """The axes of a reduction's value inside the loops around."""
        return tuple(i for i in f.index if i not in self.path)

    def begin(self, f: Assignment) -> None:
        if self.own_axes(f):
            element = self.element(f.name, f.index)
            self.over_own_axes(f, f"{element} = {START[folded(f)]};")
            self.accumulators[f.name] = element
        else:
            local = self.local(f)
            self.begin_variable(f, self.names.of(f"{local}_sum", "sum", local) if fold_of(f) is Fold.MEAN else local)

    def begin_variable(self, f: Assignment, name: str) -> None:
        self.emit(f"real {name} = {START[folded(f)]};")
        self.accumulators[f.name] = name
        if folded(f).adds and self.plan.program.accurate:
            rest = self.accumulators[f"{f.name} rest"] = self.names.of(f"{name}_rest", "rest", name)
            self.emit(f"real {rest} = 0;")
        if not folded(f).adds:
            # A vector maximum passes over NaN, which is looked for beside it.
            is_nan = self.accumulators[f"{f.name} is nan"] = self.names.of(f"{name}_is_nan", "is_nan", name)
            self.emit(f"int {is_nan} = 0;")

    def end_variable(self, f: Assignment) -> None:
        into = self.accumulators[f.name]
        if is_nan := self.accumulators.pop(f"{f.name} is nan", ""):
            self.emit(f"if ({is_nan}) {into} = NAN;")
        if rest := self.accumulators.pop(f"{f.name} rest", ""):
            self.emit(f"{into} += {rest} == {rest} ? {rest} : 0; /* beside an infinite sum it is no number */")

    def end(self, f: Assignment) -> None:
        into, count = self.accumulators[f.name], self.factor(f.reduced)
        if self.own_axes(f):
            if fold_of(f) is Fold.MEAN:
                self.over_own_axes(f, f"{into} /= (real){count};")
            del self.accumulators[f.name]
            return
        self.end_variable(f)
        del self.accumulators[f.name]
        if fold_of(f) is Fold.MEAN:
            self.emit(f"const real {self.local(f)} = {into} / (real){count};")
        self.values[f.name, f.index] = self.local(f)
        if self.in_memory(f):
            self.emit(f"{self.element(f.name, f.index)} = {self.local(f)};")

    def over_own_axes(self, f: Assignment, statement: str) -> None:
        self.lines += [*(self.head(a) for a in self.own_axes(f)), statement]

    def begin_partial(self, f: Assignment) -> None:
        """A variable for the innermost loops of a reduction that goes on outside of them."""
        self.accumulators[f"{f.name} outside"] = self.accumulators[f.name]
        self.begin_variable(f, self.names.part(f.name, "partial"))

    def end_partial(self, f: Assignment) -> None:
        self.end_variable(f)
        name, into = self.accumulators[f.name], self.accumulators.pop(f"{f.name} outside")
        added = f"{into} += {name};" if folded(f).adds else f"{into} = {self.extreme(folded(f))}({into}, {name});"
        self.emit(added)
        self.accumulators[f.name] = into

    def counted(self, f: Assignment) -> str:
        """The number of terms of a reduction as a double."""
        return f"(double){self.factor(f.reduced)}"


def folded(f: Assignment) -> Fold:
    """The fold of a reduction."""
    fold = fold_of(f)
    assert fold is not None
    return fold
