"""One run of a submission on one sample, compared with the values of the op's equations."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from codegen.backends.arrays.libraries import numbers
from codegen.evaluate.arithmetic import Arithmetic, Mpmath, Numpy
from codegen.tools.auditor.layouts import Layout, plain
from codegen.tools.auditor.memory import CONTIGUOUS, Watched, laid_out
from codegen.tools.auditor.raised import Raised, raised
from codegen.tools.auditor.samples import Free, Sample
from codegen.tools.auditor.submission import Submission
from codegen.tools.auditor.system import System, Values
from derive import syntax as st

__all__ = ["Bench", "Comparison", "Trial", "right_values", "TOLERANCE"]

#: The tolerance of a right result, relative to the largest sum of absolute terms.
TOLERANCE = {"float64": 1e-9, "float32": 2e-4, "float16": 2e-2, "bfloat16": 1e-1}
#: The tolerance as a multiple of the error of the op's own forms, where these lose digits themselves.
AS_GOOD = 100.0
#: The kinds of dtypes that hold numbers: floats, integers, booleans and complex numbers.
NUMBERS = "fiubc"
DIGITS = 50
#: The lengths of the axes that ``*s`` stands for, by their number. A single axis has the sample's length.
STARS: dict[int, tuple[int, ...]] = {0: (), 2: (2, 3)}


@dataclass(frozen=True)
class Bench:
    """What all trials of an audit have in common.

    ``rank`` is the number of axes that ``*s`` stands for. ``layouts`` are the layouts of some names' arrays; ``optional`` are
    other layouts that are accepted for gradients too.
    """

    closed: System
    chain: System
    submission: Submission
    dtype: str
    rank: int
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    optional: Mapping[str, Layout] = field(default_factory=dict)

    @property
    def op(self) -> st.Op:
        return self.closed.op

    @property
    def free(self) -> Free:
        """The freedom that samples have."""
        stars = {s: math.prod(STARS[self.rank]) for s in self.op.stars if self.rank in STARS}
        submission = self.submission
        constants = frozenset(submission.parameters) & {c.name for c in self.op.constants}
        given = submission.constants
        return Free(tuple({**submission.fixed, **stars}.items()), constants - set(given), tuple(sorted(given.items())))

    def system_of(self, name: str) -> System:
        """The system from which a gradient is taken: the closed system if it has the gradient, else the chain system."""
        return self.closed if name in self.closed.equations else self.chain

    def axes(self, name: str) -> tuple[str, ...]:
        op = self.op
        tensors = {t.name: t.axes for t in (*op.inputs, *(st.Tensor(st.adjoint_name(t.name), t.axes) for t in op.outputs))}
        return tensors[name] if name in tensors else self.system_of(name).equations[name].index

    def layout(self, name: str) -> Layout:
        return self.layouts.get(name) or Layout(self.axes(name), self.op.packing.slots(name, self.axes(name)))

    def try_on(self, sample: Sample, memory: str = CONTIGUOUS, only: str = "") -> Trial:
        """Run the submission, with the memory layout ``memory`` for all of its arrays, or ``only`` for one.

        An error that it raises becomes the trial's error; only KeyboardInterrupt is raised again.
        """
        trial, library = Trial(self, sample, memory), self.submission.library
        with library.running(self.dtype):
            arguments = {n: self._laid_out(v, memory if only in ("", n) else CONTIGUOUS) for n, v in trial.arguments().items()}
            watched = Watched(arguments, library)
            try:
                trial = self._called(arguments, trial)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                trial = replace(trial, got={}, error=raised(error, self.submission.file))
            return replace(trial, written=tuple(watched.written()))

    def _called(self, arguments: Mapping[str, Any], trial: Trial) -> Trial:
        quiet = contextlib.redirect_stdout(io.StringIO())  # a submission is called some hundred times
        with np.errstate(all="ignore"), warnings.catch_warnings(), quiet:
            warnings.simplefilter("ignore")
            results = self.submission.call(arguments)
            found = {n: trial.restored(n, numbers(v)) for n, v in results.items()}
            unfit = frozenset(n for n, v in results.items() if trial.misfits(n, numbers(v)))
        dtypes = {n: str(v.dtype).rpartition(".")[2] for n, v in results.items() if hasattr(v, "dtype")}
        foreign = not all(map(self.submission.library.owns, results.values()))
        return replace(trial, got=found, unfit=unfit, dtypes=dtypes, foreign=foreign)

    def _laid_out(self, value: Any, memory: str) -> Any:
        return laid_out(value, memory, self.submission.library) if isinstance(value, np.ndarray) else value

    def exact(self, name: str, sample: Sample) -> Any:
        """The value of a name on a sample, by the system's equations at 50 digits."""
        return _exact_values(self.system_of(name), sample, self.dtype).of(name)


@lru_cache(maxsize=512)
def right_values(system: System, sample: Sample, dtype: str) -> Values:
    """The values of a system on a sample, in the precision of ``dtype``."""
    tensors = {n: v if v.dtype.kind in "iub" else v.astype(dtype) for n, v in sample.tensors.items()}
    return Values(system, tensors, sample.constants, Numpy(dtype))


@lru_cache(maxsize=128)
def _exact_values(system: System, sample: Sample, dtype: str) -> Values:
    """The values of a system at 50 digits, on the inputs as they are in the precision of ``dtype``."""
    arithmetic: Arithmetic = Mpmath(DIGITS)
    exact = Mpmath(DIGITS).exact
    tensors = {n: v if v.dtype.kind in "iub" else exact(v.astype(dtype)) for n, v in sample.tensors.items()}
    return Values(system, tensors, sample.constants, arithmetic)


@dataclass(frozen=True)
class Comparison:
    """Whether a result is right, and its largest error relative to the sum of its absolute terms."""

    right: bool
    largest: float
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """A sample, the memory layout of its arrays, and what the submission returned or raised.

    ``got`` holds the results with the axes of their names, each ``*s`` as its several axes; a result of another shape is kept
    as it is. ``unfit`` are those whose shape is not the caller's. ``written`` are the arguments that were written to.
    ``foreign`` says that a result is not of their library.
    """

    bench: Bench
    sample: Sample
    memory: str = CONTIGUOUS
    got: Mapping[str, np.ndarray] | None = None
    unfit: frozenset[str] = frozenset()
    error: Raised | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    foreign: bool = False
    #: The right values by both systems, where they do not follow from the sample.
    values: tuple[Values, Values] | None = None
    compared: dict[str, Comparison] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def closed(self) -> Values:
        return self.values[0] if self.values else right_values(self.bench.closed, self.sample, self.bench.dtype)

    @cached_property
    def chain(self) -> Values:
        return self.values[1] if self.values else right_values(self.bench.chain, self.sample, self.bench.dtype)

    def values_of(self, name: str) -> Values:
        """The values, of one of the systems, with which a gradient is compared."""
        return self.closed if name in self.bench.closed.equations else self.chain

    def value(self, name: str) -> Any:
        """The right value of any name of the op."""
        closed = name in self.closed.values or name in self.bench.closed.equations
        return (self.closed if closed else self.chain).of(name)

    def arguments(self) -> dict[str, Any]:
        """The arguments of the submission, by name."""
        constants = self.sample.constants
        with np.errstate(all="ignore"):
            return {
                n: constants[n] if n in constants else self.arranged(n, self.value(n)) for n in self.bench.submission.parameters
            }

    def arranged(self, name: str, value: Any) -> np.ndarray:
        """The array of a value in the caller's layout."""
        return self.bench.layout(name).arranged(value, self.lengths)

    def restored(self, name: str, array: np.ndarray) -> np.ndarray:
        """The value of an array in the caller's layout; the array itself where its shape does not fit the layout."""
        found = (layout.restored(array, self.lengths) for layout in self.layouts(name))
        return next((f for f in found if f is not None), array)

    def misfits(self, name: str, array: np.ndarray) -> bool:
        """Whether an array of a name of the op has none of the shapes in which callers have it."""
        layouts = self.layouts(name)
        return bool(layouts) and all(layout.restored(array, self.lengths) is None for layout in layouts)

    def layouts(self, name: str) -> list[Layout]:
        """The layouts in which an array is accepted; none for what is no name of the op."""
        try:
            return [self.bench.layout(name), *([self.bench.optional[name]] if name in self.bench.optional else [])]
        except KeyError:
            return []

    def lengths(self, axis: str) -> tuple[int, ...]:
        if st.axis_of(axis) in self.bench.op.stars and self.bench.rank in STARS:
            return STARS[self.bench.rank]
        return (self.closed.length(axis),)

    def shaped(self, value: Any, axes: tuple[str, ...]) -> np.ndarray:
        """The array with its ``*s`` axis as none, one or several."""
        return np.array(value).reshape(self.shape(axes))

    def shape(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return plain(axes).shape(self.lengths)

    def caller_shape(self, name: str) -> tuple[int, ...]:
        """The shape in which callers have a name."""
        return self.bench.layout(name).shape(self.lengths)

    def expected(self, name: str) -> np.ndarray:
        """The right gradient with the axes of its name, each ``*s`` as its several axes."""
        with np.errstate(all="ignore"):
            return self.shaped(self.value(name), self.bench.axes(name))

    def fits(self, name: str) -> bool:
        """Whether there is a result, and it has the shape of the name."""
        if self.got is None or name not in self.got or name in self.unfit or not self.numeric(name):
            return False
        return self.got[name].shape == self.expected(name).shape

    def numeric(self, name: str) -> bool:
        """Whether a result holds numbers, and not None, text or objects."""
        return self.got is not None and self.got[name].dtype.kind in NUMBERS

    def compare(self, name: str) -> Comparison:
        """The submission's gradient beside the expected one."""
        if name not in self.compared:
            self.compared[name] = self._compare(name)
        return self.compared[name]

    def _compare(self, name: str) -> Comparison:
        if self.error:
            return Comparison(False, math.inf, f"it raised {self.error}")
        assert self.got is not None
        if name not in self.got:
            return Comparison(False, math.inf, "it is not among what was returned")
        got, want = self.got[name], self.expected(name)
        if not self.numeric(name):
            return Comparison(False, math.inf, f"it is {_kind(got)}, and no array of numbers")
        if got.shape != want.shape or name in self.unfit:
            expected = self.caller_shape(name)
            return Comparison(False, math.inf, f"its shape is {got.shape} instead of {expected}")
        if got.dtype.kind not in "fiu":
            return Comparison(False, math.inf, f"it is of dtype {got.dtype}")
        if not want.size:
            return Comparison(True, 0.0)
        with np.errstate(all="ignore"):
            largest, allowed = self._errors(name, got, want)
        return Comparison(largest <= allowed, largest)

    @cached_property
    def defined(self) -> bool:
        """Whether every gradient has a finite value on this sample."""
        return all(np.isfinite(self.expected(g)).all() for g in self.bench.submission.gradients)

    def _size(self, name: str) -> float:
        """The largest sum of absolute terms of a name's formulas in both systems; a closed form may be 0 where terms cancel."""
        systems = ((self.bench.closed, self.closed), (self.bench.chain, self.chain))
        return max(values.bound(name) for system, values in systems if name in system.equations)

    def _errors(self, name: str, got: np.ndarray, want: np.ndarray) -> tuple[float, float]:
        """The largest error, and the tolerance, both relative to the largest sum of absolute terms.

        The error is infinite where only one of the numbers is finite. The tolerance grows where the two forms of the op differ,
        since the forms then lose digits themselves.
        """
        finite = np.isfinite(want)
        if np.any(finite != np.isfinite(got)):
            return math.inf, 0.0
        if not finite.any():
            return 0.0, 0.0
        wanted = want.astype(float)[finite]
        scale = max(self._size(name), float(np.abs(wanted).max()), np.finfo(float).tiny)
        error = float(np.abs(got.astype(float)[finite] - wanted).max()) / scale
        # A result in another dtype has to be as accurate as that dtype allows.
        tolerance = max(TOLERANCE[self.bench.dtype], TOLERANCE.get(self.dtypes.get(name, ""), 0.0))
        if error > tolerance and name in self.bench.chain.equations:
            other = self.shaped(self.chain.of(name), self.bench.axes(name)).astype(float)[finite]
            apart = float(np.abs(other - wanted).max())
            tolerance += AS_GOOD * apart / scale if math.isfinite(apart) else 0.0
        return error, tolerance


def _kind(got: np.ndarray) -> str:
    """What a result is that holds no numbers."""
    if got.ndim:
        return f"an array of dtype {got.dtype}"
    value = got.item()
    return "None" if value is None else f"of type {type(value).__name__}"
