"""A machine that runs loop nests as they are: numbers one at a time, workers one after the other, and no C.

What each worker has of its own is apart, workers come in an order that is nobody's, and the iterations of a vector loop run
backwards: whatever a backend leaves to chance, this does otherwise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping

import numpy as np

from codegen.loops.assignment import Assignment, Fold
from codegen.loops.lower import nests
from codegen.loops.nest import (
    Accumulate,
    Convolution,
    Define,
    FlatNest,
    InMemory,
    InnerLoop,
    InVariable,
    Node,
    Once,
    Part,
    Product,
    Recompute,
    RowNest,
    Scan,
    Scatter,
    SmallLoop,
    Step,
    Store,
    Update,
    VectorLoop,
)
from codegen.loops.schedule import Schedule
from codegen.loops.storage import Array, Recomputed, Result, Row, Variable
from codegen.recognise.rows import under
from codegen.recognise.window import Slide
from derive import syntax as st
from tests.systems.functions import SMOOTH

START = {Fold.SUM: 0.0, Fold.MEAN: 0.0, Fold.MAX: -math.inf, Fold.MIN: math.inf, Fold.PROD: 1.0}
BRINGS = {Fold.SUM: np.add, Fold.MEAN: np.add, Fold.MAX: np.maximum, Fold.MIN: np.minimum, Fold.PROD: np.multiply}
FUNCTIONS = {head: function for head, (function, _) in SMOOTH.items()} | {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "stop": lambda x: x,
    "sign": lambda x: float(np.sign(x)),
    "finite": lambda x: x if math.isfinite(x) else 0.0,
    "power": pow,
    "maximum": max,
    "minimum": min,
}
#: Where a reduction adds up: an array, and the indices of the element in it.
Place = tuple[np.ndarray, tuple[str, ...]]


class Machine:
    """Runs the parts of a schedule with so many workers."""

    def __init__(self, plan: Schedule, given: Mapping[str, np.ndarray], constants: Mapping[str, float], workers: int):
        self.plan, self.given, self.constants, self.workers = plan, given, constants, workers
        self.made = {f.name: f for f in reversed(plan.assignments)}
        axes = {a.name: a.axes for a in plan.program.arguments}
        self.lengths = {i: n for name, own in axes.items() for i, n in zip(own, given[name].shape, strict=True)}
        self.axes = axes | {f.name: f.index for f in plan.assignments}
        self.memory = {n: self.empty(p.axes) for n, p in plan.storage.items() if isinstance(p, Result | Array)}
        self.rows: dict[str, np.ndarray] = {}
        self.at: dict[str, int] = {}
        self.variables: dict[str, float] = {}
        self.sums: dict[str, Place] = {}

    def run(self) -> dict[str, np.ndarray]:
        """The results."""
        found = nests(self.plan)
        for k in range(self.length(found.batch)) if found.batch else (None,):
            if k is not None:
                self.at[found.batch] = k
            for part in found.parts:
                self.part(part)
        return {r: self.memory[r] for r in self.plan.program.results}

    def length(self, index: str) -> int:
        return self.lengths[st.axis_of(index)]

    def empty(self, axes: Iterable[str]) -> np.ndarray:
        return np.full([self.length(a) for a in axes], np.nan)

    def every(self, axes: tuple[str, ...]) -> Iterable[None]:
        """Takes the loops over axes through all their iterations."""
        for point in itertools.product(*(range(self.length(a)) for a in axes)):
            self.at.update(zip(axes, point, strict=True))
            yield

    # ---- elements ------------------------------------------------------------------------------------------------------

    def place(self, name: str, index: tuple[st.Index, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
        """The array that an element lies in, and where."""
        slots = tuple(self.slot(i) for i in index)
        if name in self.given:
            return self.given[name], slots
        place = self.plan.storage[name]
        assert isinstance(place, Result | Row | Array)
        array = self.rows[name] if isinstance(place, Row) else self.memory[name]
        return array, tuple(k for k, a in zip(slots, self.axes[name], strict=True) if a in place.axes)

    def slot(self, index: st.Index) -> int:
        return self.at[index] if isinstance(index, str) else int(self.given[index.name][tuple(map(self.slot, index.index))])

    def read(self, name: str, index: tuple[st.Index, ...]) -> float:
        if name in self.constants:
            return self.constants[name]
        place = self.plan.storage.get(name)
        if isinstance(place, Variable):
            return self.variables[name]
        if isinstance(place, Recomputed):
            return self.value(self.made[name].body)
        array, at = self.place(name, index)
        return float(array[at])

    def value(self, tree: st.Tree) -> float:
        match tree:
            case st.Num(v):
                return float(v)
            case st.Const():
                return math.pi
            case st.Size(axis):
                return self.length(axis)
            case st.Read(name, index):
                return self.read(name, index)
            case st.Position(index):
                return self.slot(index)
            case st.Neg(a):
                return -self.value(a)
            case st.Add(args):
                return sum(map(self.value, args))
            case st.Mul(args):
                return math.prod(map(self.value, args))
            case st.Div(a, b):
                return float(np.float64(self.value(a)) / np.float64(self.value(b)))
            case st.Pow(a, b):
                return float(np.float64(self.value(a)) ** self.value(b))
            case st.Indicator(condition):
                return float(self.holds(condition))
            case st.Call("where", (condition, a, b)):
                return self.value(a if self.holds(condition) else b)
            case st.Call(head, args):
                return float(FUNCTIONS[head](*map(self.value, args)))
        raise AssertionError(tree)

    def holds(self, condition: st.Tree) -> bool:
        if isinstance(condition, st.Match):
            return (self.slot(condition.left) == self.slot(condition.right)) == condition.equal
        assert isinstance(condition, st.Compare)
        a, b = self.value(condition.left), self.value(condition.right)
        return bool({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}[condition.rel])

    # ---- statements ----------------------------------------------------------------------------------------------------

    def step(self, step: Step) -> None:
        f = step.assignment
        match step:
            case Recompute():
                return
            case Define():
                self.variables[f.name] = self.value(f.body)
            case Store():
                self.store(f, f.index, self.value(f.body))
            case Update(kind=kind):
                at = tuple(i if i in kind.labels.index else kind.labels for i in f.index)
                before = 0.0 if kind.replaces else self.read(f.name, at)
                self.store(f, at, self.value(f.body) if kind.replaces else before - self.value(f.body))
            case Accumulate(fold=fold):
                array, axes = self.sums[f.name]
                at = tuple(self.at[i] for i in axes)
                array[at] = BRINGS[fold](array[at], self.value(f.body))

    def store(self, f: Assignment, index: tuple[st.Index, ...], value: float) -> None:
        array, at = self.place(f.name, index)
        array[at] = value

    def terms(self, f: Assignment) -> int:
        return math.prod(map(self.length, f.reduced))

    # ---- loops ---------------------------------------------------------------------------------------------------------

    def nodes(self, body: tuple[Node, ...]) -> None:
        for node in body:
            if isinstance(node, InnerLoop | VectorLoop):
                self.loop(node)
            else:
                self.step(node)

    def loop(self, loop: InnerLoop | VectorLoop) -> None:
        for begun in loop.begun:
            f = begun.assignment
            if isinstance(begun, InMemory):
                for _ in self.every(begun.axes):
                    self.store(f, f.index, START[begun.fold])
                array, _ = self.place(f.name, f.index)
                place = self.plan.storage[f.name]
                assert isinstance(place, Result | Row | Array)
                self.sums[f.name] = array, place.axes
            else:
                self.sums[f.name] = np.array(START[begun.fold]), ()
        outside = {p.assignment.name: self.sums[p.assignment.name] for p in loop.partial}
        self.sums |= {p.assignment.name: (np.array(START[p.fold]), ()) for p in loop.partial}
        for k in reversed(range(self.length(loop.axis))):
            self.at[loop.axis] = k
            inside = all(self.holds(row.tree) for row in loop.rows)
            if inside and (loop.slide is None or self.slides(loop.slide)):
                self.nodes(loop.body)
        for p in loop.partial:
            array, axes = outside[p.assignment.name]
            at = tuple(self.at[i] for i in axes)
            array[at] = BRINGS[p.fold](array[at], self.sums[p.assignment.name][0])
            self.sums[p.assignment.name] = array, axes
        for begun in loop.begun:
            self.end(begun)

    def slides(self, slide: Slide) -> bool:
        """Whether the inner index of a slide is inside its axis, where it is then."""
        self.at[slide.inner] = int(self.value(slide.step) * self.at[slide.outer] + self.value(slide.start))
        return 0 <= self.at[slide.inner] < self.length(slide.inner)

    def end(self, begun: InVariable | InMemory) -> None:
        f = begun.assignment
        divisor = self.terms(f) if begun.fold is Fold.MEAN else 1
        if isinstance(begun, InMemory):
            for _ in self.every(begun.axes):
                self.store(f, f.index, self.read(f.name, f.index) / divisor)
        else:
            self.variables[f.name] = float(self.sums[f.name][0]) / divisor
            if not isinstance(self.plan.storage[f.name], Variable):
                self.store(f, f.index, self.variables[f.name])

    # ---- parts ---------------------------------------------------------------------------------------------------------

    def part(self, part: Part) -> None:
        match part:
            case Once(step):
                self.step(step)
            case SmallLoop(loop):
                self.loop(loop)
            case FlatNest(loop):
                self.shared(part, (loop.axis,), loop.body)
            case RowNest(axes, body):
                self.shared(part, axes, body)
            case Product(f, kind):
                for _ in self.every(tuple(i for i in f.index if i not in self.at)):
                    terms = [self.value(under(f.rows, f.body)) for _ in self.every(kind.over)]
                    self.forget(kind.over)
                    self.store(f, f.index, math.fsum(terms))
                self.forget(f.index)
            case Scan(f, kind):
                for _ in self.every(f.index):
                    here, total = self.at[kind.along], 0.0
                    for k in range(here, self.length(kind.along)) if kind.falling else range(here + 1):
                        self.at[kind.along] = k
                        total += self.value(f.body)
                    self.at[kind.along] = here
                    self.store(f, f.index, total)
                self.forget(f.index)
            case Convolution(f, kind):
                for _ in self.every(f.index):
                    self.store(f, f.index, 0.0)
                for _ in self.every(f.loops):
                    if all(list(map(self.slides, f.slides))):
                        self.store(f, f.index, self.read(f.name, f.index) + self.value(f.body))
                self.at = {a: k for a, k in self.at.items() if a == self.plan.batch}
            case Scatter(f, kind):
                self.memory[f.name][...] = 0
                for _ in self.every(f.loops):
                    at = (kind.labels, *f.index[1:])
                    self.store(f, at, self.read(f.name, at) + self.value(f.body))
                self.forget(f.loops)

    def forget(self, axes: Iterable[str]) -> None:
        for a in axes:
            if a != self.plan.batch:
                del self.at[a]

    def shared(self, nest: FlatNest | RowNest, axes: tuple[str, ...], body: tuple[Node, ...]) -> None:
        """The workers one after the other, each with every so many rows, and then their totals."""
        points = list(itertools.product(*(range(self.length(a)) for a in axes)))
        totals = {t.assignment.name: np.full([self.length(a) for a in t.assignment.index], START[t.fold]) for t in nest.totals}
        for worker in reversed(range(self.workers)):
            own = {t.assignment.name: np.full_like(totals[t.assignment.name], START[t.fold]) for t in nest.totals}
            self.sums |= {t.assignment.name: (own[t.assignment.name], t.assignment.index) for t in nest.totals}
            if isinstance(nest, RowNest):
                self.rows = {f.name: self.empty(of) for f, of in nest.rows}
            for point in points[worker :: self.workers]:
                self.at.update(zip(axes, point, strict=True))
                self.nodes(body)
            for t in nest.totals:
                totals[t.assignment.name] = BRINGS[t.fold](totals[t.assignment.name], own[t.assignment.name])
        for t in nest.totals:
            f = t.assignment
            value = totals[f.name] / (self.terms(f) if t.fold is Fold.MEAN else 1)
            if isinstance(self.plan.storage[f.name], Variable):
                self.variables[f.name] = float(value)
            else:
                self.memory[f.name][...] = value
        self.at = {a: k for a, k in self.at.items() if a == self.plan.batch}
