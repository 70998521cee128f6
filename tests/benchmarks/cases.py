"""What is timed: an op, a direction and a shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from derive.ops import names

Size = Mapping[str, "int | tuple[int, ...]"]

BACKWARD, BOTH, STEP = "backward", "forward and backward", "step"


@dataclass(frozen=True)
class Case:
    """``size`` has the length of each axis by its name in the equations, of a star a tuple; ``shape`` is how it is called.

    Of a large case only the sides are timed in a hurry that the bars compare.
    """

    op: str
    what: str
    shape: str
    size: Size
    large: bool = False

    @property
    def title(self) -> str:
        return f"{self.op} {self.what}, {self.shape}"


def _rows(op: str, what: str, rows: str, columns: str | None, lengths: tuple[int, int], large: bool = False) -> Case:
    """A case over a matrix; an op that only has a star takes both axes by it."""
    size: Size = {rows: lengths} if columns is None else {rows: lengths[0], columns: lengths[1]}
    return Case(op, what, f"{lengths[0]}x{lengths[1]}", size, large)


SQUARE, LARGE, VOCABULARY = (1024, 1024), (8192, 4096), (4096, 32000)

CASES: tuple[Case, ...] = (
    *(
        Case("batchnorm", BACKWARD, f"{n}x{d}", {"n": n, "d": d, "s": ()}, large)
        for (n, d), large in ((SQUARE, False), (LARGE, True))
    ),
    _rows("layernorm", BACKWARD, "s", "d", SQUARE),
    _rows("layernorm", BACKWARD, "s", "d", LARGE, large=True),
    _rows("rmsnorm", BACKWARD, "s", "d", SQUARE),
    _rows("rmsnorm", BACKWARD, "s", "d", LARGE, large=True),
    _rows("tanh", BOTH, "s", None, SQUARE),
    _rows("gelu", BACKWARD, "s", None, SQUARE),
    _rows("gelu", BACKWARD, "s", None, LARGE, large=True),
    _rows("softmax_cross_entropy", BOTH, "n", "c", SQUARE),
    _rows("softmax_cross_entropy", BOTH, "n", "c", VOCABULARY, large=True),
    Case("attention", BOTH, "8 heads of 64, 1024 tokens", {"s": (1, 8), "i": 1024, "j": 1024, "f": 64, "d": 64}),
    *(Case("mlp", STEP, f"batch 32, hidden {h}", {"n": 32, "b": 3, "e": 10, "h": h, "v": 27}) for h in (200, 64)),
)

#: For the ops without a bar: the shape of a backward of the usual kind.
OTHERS: Mapping[str, Size] = {
    "embedding": {"s": 4096, "v": 1000, "d": 64},
    "linear": {"s": 512, "k": 512, "h": 512},
    "log_softmax": {"s": 1024, "c": 1024},
    "makemore": {"n": 32, "b": 3, "e": 10, "u": 200, "v": 27},
    "matmul": {"s": (), "n": 512, "k": 512, "m": 512},
    "softmax": {"s": 1024, "c": 1024},
    **{op: {"s": SQUARE} for op in ("relu", "sigmoid", "silu")},
}


def cases(ops: Iterable[str], quick: bool) -> list[Case]:
    """The cases of these ops, those with bars first; in a hurry only these, where any of the ops has one."""
    wanted = list(ops)
    barred = [case for case in CASES if case.op in wanted]
    others = [_other(op) for op in wanted if op not in {case.op for case in CASES}]
    return barred if quick and barred else [*barred, *others]


def every_op() -> list[str]:
    """The catalogue."""
    return list(names())


def _other(op: str) -> Case:
    import derive

    known = OTHERS.get(op, {})
    tensors = derive.load(op).inputs
    axes = dict.fromkeys(a for t in tensors for a in (*t.axes, *([t.indexed] if t.indexed else [])))
    size = {axis: known.get(axis, 512) for axis in axes}
    if set(size.values()) == {SQUARE}:
        return Case(op, BACKWARD, "1024x1024", size)
    shape = ", ".join(f"{axis} {length}" for axis, length in size.items() if length != ())
    return Case(op, BACKWARD, shape, size)
