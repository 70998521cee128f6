"""The grading of an exercise, gradient by gradient, with the auditor's comparison and diagnosis."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from codegen.backends.arrays.discovery import arrays
from codegen.backends.arrays.libraries import libraries_of, numbers
from codegen.plan import planned
from codegen.tools.auditor.diagnose import diagnose
from codegen.tools.auditor.edits import Edit, Known
from codegen.tools.auditor.memory import CONTIGUOUS, laid_out
from codegen.tools.auditor.repair import lengths, repaired, scope_of_edits
from codegen.tools.auditor.report import Diagnosis
from codegen.tools.auditor.samples import Sample, random_samples
from codegen.tools.auditor.submission import Submission
from codegen.tools.auditor.system import System, Values, chain_system, closed_system
from codegen.tools.auditor.trial import Bench, Trial, right_values
from codegen.tools.workbook.blanks import Exercise
from codegen.tools.workbook.filled import Filled, filled_function
from codegen.tools.workbook.shapes import misshapen
from codegen.tools.workbook.stepper import Stepped, step
from derive import derive, derive_full
from derive import syntax as st
from derive.syntax import adjoint_name

__all__ = ["Grade", "Grader", "grade"]


@dataclass(frozen=True)
class Grade:
    """The grade of one blank: whether it is right to the bit, whether it is right within rounding, and its largest difference.

    ``line`` is the line of the file, 0 for a blank that was left empty, and ``code`` its text. ``remark`` says what is wrong.
    """

    name: str
    line: int
    exact: bool
    approximate: bool
    largest: float
    remark: str = ""
    code: str = ""

    @property
    def done(self) -> bool:
        """Whether the blank was filled."""
        return self.line > 0

    def __str__(self) -> str:
        if not self.done:
            return f"{self.name:16} not done"
        answers = f"exact: {self.exact!s:5} | approximate: {self.approximate!s:5} | largest difference: {self.largest:.3g}"
        below = [f"line {self.line}: {self.code}" if self.code else "", self.remark] if self.remark else []
        return "\n".join([f"{self.name:16} line {self.line:<4} {answers}", *(f"{'':16} {b}" for b in below if b)])


def grade(exercise: Exercise, filled: Filled | Callable[..., Any], names: Collection[str] = ()) -> tuple[Grade, ...]:
    """Grade every blank, or those called ``names``, each by itself, given right values for all names that it reads.

    The gradients that a line reads are random numbers, not gradients of the loss: these may happen to be zero in the network,
    and then any factor would be graded as right. Raises ValueError where a function has no source to step through.
    """
    grader = Grader(exercise, filled)
    return tuple(grader.grade(n) for n in exercise.names if not names or n in names)


class Grader:
    """Grades the blanks of one exercise, each by itself. ``filled`` is a file's statements, or a function of the blanks."""

    def __init__(self, exercise: Exercise, filled: Filled | Callable[..., Any]):
        self.exercise = exercise
        self.filled = filled if isinstance(filled, Filled) else filled_function(filled, exercise.names)
        asked = arrays(exercise.backend).arrays
        found = () if isinstance(filled, Filled) else libraries_of(filled)
        self.library = asked if asked in (found or (asked,)) else found[0]
        self.settings = _settings(exercise, self.library, self.filled.script)

    def grade(self, name: str) -> Grade:
        """The grade of one blank, in the world that suits its line best."""
        failures: list[Failure] = []
        with np.errstate(all="ignore"), self.library.running():
            for setting in self.settings:
                for chosen in self._chosen(name, setting):
                    found = self._tried(name, setting, chosen)
                    if isinstance(found, Grade):
                        return found
                    failures.append(found)
            return self._explained(name, sorted(failures, key=lambda f: not f.trials))

    def _chosen(self, name: str, setting: Setting) -> Iterator[frozenset[str]]:
        """The choices of gradients to be random while a blank is graded: first, all gradients that it reads.

        A line may rely on one gradient being computed from others; then only the latter are random. The gradient of a scalar
        loss with respect to itself is 1, and a line that does not read it may take it to be so.
        """
        behind = set(setting.system.behind(name, ()))
        read = self.filled.reads(name) & set(self.exercise.names)
        upstream = frozenset(setting.scalars) & self.filled.reads(name)
        yield frozenset(read & behind) | upstream
        given = self.filled.reads(name) & {*self.exercise.names, *setting.upstream}
        first = {n for n in read & behind if not given & (setting.sources(n) - {n})}
        if read - behind or first != read & behind:
            yield frozenset(first if not read - behind else ()) | upstream

    def _tried(self, name: str, setting: Setting, chosen: frozenset[str]) -> Grade | Failure:
        """The grade of a line in the worlds of a choice, or how it fails there."""
        worlds = setting.worlds(chosen)
        first = step(self.filled, name, setting.given(worlds[0]))
        code = self.filled.line(first.line)
        if first.error:
            grade = Grade(name, first.line, False, False, np.inf, "", code)
            return Failure(grade, setting, tuple(worlds), f"it raised {first.error}")
        if not first.done:
            return Grade(name, 0, False, False, np.inf)
        steps = [first, *(step(self.filled, name, setting.given(w)) for w in worlds[1:])]
        trials = [setting.trial(name, *parts) for parts in zip(worlds, steps, strict=True)]
        results = [t.compare(name) for t in trials]
        right = all(r.right for r in results) or (not results[0].reason and self._by_closed_form(name, setting, worlds, trials))
        difference, exact = (np.inf, False) if results[0].reason else _difference(name, trials[0])
        grade = Grade(name, first.line, exact and right, right, difference, "", code)
        reason = next((r.reason for r in results if not r.right), "")
        return grade if right else Failure(grade, setting, tuple(worlds), reason, tuple(trials))

    def _by_closed_form(self, name: str, setting: Setting, worlds: Sequence[World], trials: Sequence[Trial]) -> bool:
        """Whether a line is as good as the closed form, which loses digits that the chain rule's line keeps: ``r*(1 - r)``."""
        found = setting.closed_trials(name, worlds, trials, ILL)
        return bool(found) and all(t.compare(name).right for t in found)

    def _explained(self, name: str, failures: list[Failure]) -> Grade:
        """The grade of a wrong line, explained in the first world in which a slip explains it."""
        first, said = failures[0], ""
        for failure in failures:
            if failure.trials and (found := self._diagnosis(name, failure)):
                first, said = failure, found.text
                break
        edit = self._repair(name, first)
        line = edit.line if edit else first.grade.line
        said = said or (edit.text if edit else "")
        remark = "; ".join(filter(None, (first.shape(name, said), said))) or first.reason or UNKNOWN
        return replace(first.grade, line=line, remark=remark, code=self.filled.line(line))

    def _diagnosis(self, name: str, failure: Failure) -> Diagnosis | None:
        """The slip in the line of the chain rule, or in the closed form; first in the one that reads the same gradients."""
        setting = failure.setting
        by_chain = bool(failure.worlds[0].chosen & setting.system.reads[name])
        for chain in (by_chain, not by_chain):
            trials = failure.trials if chain else setting.closed_trials(name, failure.worlds, failure.trials)
            if found := diagnose(name, trials):
                return found
        return None

    def _repair(self, name: str, failure: Failure) -> Edit | None:
        """The edit of the learner's own lines that makes them right; None if no small one does."""
        setting, worlds = failure.setting, failure.worlds
        given = [setting.given(w) | scope_of_edits(w.sample.sizes, self.library) for w in worlds]
        wanted = [setting.wanted(name, w) for w in worlds]

        def right(statements: tuple[ast.stmt, ...], k: int) -> bool:
            found = step(self.filled, name, given[k], statements)
            if found.error or not found.done or not hasattr(found.value, "shape"):
                return False
            return _close(numbers(found.value), wanted[k])

        at = self.filled.behind(name)
        arrays = [
            n for n in setting.parameters if n in given[0] and (n not in self.exercise.names or n in setting.behind(name))
        ]
        own = [n for n in self.filled.reads(name) if n not in arrays and n in _locals(self.filled, at)]
        known = Known((*arrays, *own), lengths(worlds[0].sample.sizes))
        return repaired(self.filled.statements, at, known, right, len(worlds))


#: The tolerance for a repaired line, relative to the largest entry.
NEAR = 1e-9
#: How far a closed form may be from the line of the chain rule, relative to the largest entry, where digits are lost.
ILL = 1e-5
UNKNOWN = "no single slip in the formula explains it"


@dataclass(frozen=True)
class World:
    """A sample, and the values of all names where the ``chosen`` gradients are random."""

    sample: Sample
    values: Values
    chosen: frozenset[str]

    def closed(self, system: System) -> Values:
        """The values by the closed forms, from the same random gradients."""
        forward = {e.name for e in system.op.equations}
        names = [*forward, *self.sample.tensors, *self.sample.constants, *(self.chosen & system.equations.keys())]
        axes = {n: system.equations[n].index for n in self.chosen & system.equations.keys()}
        return right_values(system, self.sample, "float64").replaced({n: self.values.of(n) for n in names}, axes)


@dataclass(frozen=True)
class Failure:
    """A wrong line in the worlds of one choice; without trials it has raised there."""

    grade: Grade
    setting: Setting
    worlds: tuple[World, ...]
    reason: str = ""
    trials: tuple[Trial, ...] = ()

    def shape(self, name: str, said: str) -> str:
        """What is to be said beside a diagnosis: the wrong shape, unless the diagnosis is just that, or the error raised."""
        if not self.trials:
            return self.reason
        shape = misshapen(name, self.trials) if self.reason else ""
        return shape.removesuffix(": transposed") if said == f"{name} is transposed" else shape


@lru_cache(maxsize=16)
def _settings(exercise: Exercise, library: Any, lengths: bool) -> tuple[Setting, ...]:
    return tuple(Setting(op, library, exercise.names, lengths) for op in dict.fromkeys((exercise.op, exercise.whole)))


class Setting:
    """An op in whose worlds lines are tried; ``lengths`` says that the lengths of its axes have names in the lines."""

    def __init__(self, op: st.Op, library: Any, blanks: Collection[str], lengths: bool):
        self.op, self.library, self.lengths = op, library, lengths
        self.system: System = chain_system(derive_full(op))
        inputs = (*(t.name for t in op.inputs), *(c.name for c in op.constants))
        self.parameters = (*inputs, *self.upstream, *self.system.equations)
        submission = Submission(op.name, self.parameters, tuple(blanks), lambda values: {}, (library,))
        self.bench = Bench(self.system, self.system, submission, "float64", 1)
        self._worlds: dict[frozenset[str], list[World]] = {}

    def closed_trials(self, name: str, worlds: Sequence[World], trials: Sequence[Trial], within: float = NEAR) -> list[Trial]:
        """The trials beside the closed form of a gradient; none where the closed form does not hold in these worlds."""
        closed = self.closed
        out = []
        for world, trial in zip(worlds, trials, strict=True) if name in closed.equations else ():
            values = world.closed(closed)
            if not _close(np.asarray(values.of(name)), trial.expected(name), within):
                return []
            out.append(replace(trial, bench=replace(self.bench, closed=closed), values=(values, world.values)))
        return out

    @cached_property
    def closed(self) -> System:
        return closed_system(planned(derive(self.op)))

    def behind(self, name: str) -> frozenset[str]:
        """The gradients that a gradient comes from."""
        return frozenset(self.system.behind(name, ())) - {name}

    @cached_property
    def upstream(self) -> tuple[str, ...]:
        """The gradients of the results."""
        return tuple(adjoint_name(t.name) for t in self.op.outputs)

    def sources(self, name: str) -> frozenset[str]:
        """The names that a name comes from, those that are given with it, and itself."""
        behind = set(self.system.behind(name, ()))
        return frozenset(behind.union(*(self.system.reads[n] for n in behind)))

    @cached_property
    def scalars(self) -> tuple[str, ...]:
        """The upstream gradients of scalars."""
        return tuple(adjoint_name(t.name) for t in self.op.outputs if not t.axes)

    def worlds(self, chosen: frozenset[str]) -> list[World]:
        """Worlds in which the chosen gradients are random, and the others follow from them."""
        if chosen not in self._worlds:
            ones = {n: np.ones(()) for n in self.scalars if n not in chosen}
            samples = [replace(s, tensors={**s.tensors, **ones}) for s in random_samples(self.op, self.bench.free)]
            drawn = [_drawn(self.system, s, chosen, np.random.default_rng([k, 6])) for k, s in enumerate(samples)]
            self._worlds[chosen] = [World(s, v, chosen) for s, v in zip(samples, drawn, strict=True)]
        return self._worlds[chosen]

    def given(self, world: World) -> dict[str, Any]:
        """What lines may read: the values of all names, and the lengths of axes that no name has."""
        sizes = {a: n for a, n in world.sample.sizes.items()} if self.lengths else {}
        return sizes | {n: self._given(n, world) for n in self.parameters}

    def _given(self, name: str, world: World) -> Any:
        constants = world.sample.constants
        if name in constants:
            return constants[name]
        trial = Trial(self.bench, world.sample, values=(world.values, world.values))
        return laid_out(trial.arranged(name, world.values.of(name)), CONTIGUOUS, self.library)

    def wanted(self, name: str, world: World) -> np.ndarray:
        """The right gradient as the caller has it."""
        return Trial(self.bench, world.sample, values=(world.values, world.values)).arranged(name, world.values.of(name))

    def trial(self, name: str, world: World, found: Stepped) -> Trial:
        trial = Trial(self.bench, world.sample, values=(world.values, world.values))
        if found.error or not found.done:
            return replace(trial, got={}, error=found.error)
        got = numbers(found.value)
        return replace(
            trial, got={name: trial.restored(name, got)}, unfit=frozenset({name} if trial.misfits(name, got) else ())
        )


def _drawn(system: System, sample: Sample, chosen: Collection[str], rng: np.random.Generator) -> Values:
    """The values of all names where the chosen gradients are random, and the others follow from them."""
    right = right_values(system, sample, "float64")
    forward = {e.name for e in system.op.equations}
    given = {n: right.of(n) for n in forward} | {n: right.values[n] for n in (*sample.tensors, *sample.constants)}
    free = {n: system.equations[n].index for n in sorted(chosen) if n not in sample.tensors}
    drawn = {n: np.asarray(rng.normal(size=[right.length(a) for a in index])) for n, index in free.items()}
    return right.replaced(given | drawn, free)


def _close(got: np.ndarray, want: np.ndarray, within: float = NEAR) -> bool:
    if got.dtype.kind not in "fiu":
        return False
    return got.shape == want.shape and bool(np.allclose(got, want, rtol=0, atol=within * float(np.abs(want).max(initial=0.0))))


def _locals(filled: Filled, at: Collection[int]) -> set[str]:
    return {n for k in at for n in filled.changes[k]}


def _difference(name: str, trial: Trial) -> tuple[float, bool]:
    assert trial.got is not None
    got, want = trial.got[name], trial.expected(name)
    return float(np.abs(got - want).max(initial=0.0)), bool(np.array_equal(got, want))
