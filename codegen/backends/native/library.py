"""What emitted C files can define beside their kernels, in order: an entry needs those that it lists."""

from __future__ import annotations

#: Helpers in the order in which they are defined, with what each needs.
HELPERS: dict[str, tuple[str, ...]] = {
    "smallest": (),
    "padded": (),
    "borrow": (),
    "thread_number": (),
    "thread_count": (),
    "team_size": (),
    "block_rows": ("smallest",),
    "chunk": ("smallest",),
    "fill": (),
    "square": (),
    "cube": (),
    "fourth": (),
    "sign": (),
    "bounded": (),
    "larger": (),
    "smaller": (),
    "labels_in_range": (),
    "sum_block": (),
    "max_block": (),
    "min_block": (),
    "sum_threads": ("padded",),
    "max_threads": ("padded",),
    "min_threads": ("padded",),
    "stream": (),
    "matmul": ("smallest", "thread_number", "thread_count"),
}
#: What the inlined functions build on.
FUNCTIONS: dict[str, tuple[str, ...]] = {
    "exp": (),
    "log": ("exp",),
    "tanh": ("exp",),
    "erf": ("exp",),
    "erfcx": ("exp",),
    "sinh": ("exp",),
    "cosh": ("sinh",),
    "sigmoid": ("exp",),
}
#: The functions of numbers in double precision, with the inlined function whose parts each needs.
DOUBLES: dict[str, tuple[str, ...]] = {"sign": (), "maximum": (), "minimum": (), "sigmoid": (), "erfcx": ("erfcx",)}


def ordered(wanted: set[str], known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names that are wanted and what they need, in the order of the table."""
    todo = list(wanted)
    for name in todo:
        todo.extend(n for n in known[name] if n not in todo)
    return tuple(n for n in known if n in todo)
