"""The definitions that a C file may have beside its kernels, in order; each lists the definitions that it needs."""

from __future__ import annotations

#: Helpers in the order in which they are defined, each with the helpers that it needs.
HELPERS: dict[str, tuple[str, ...]] = {
    "smallest": (),
    "largest": (),
    "floored": (),
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
    "running_sum": (),
    "sum_block": (),
    "max_block": (),
    "min_block": (),
    "prod_block": (),
    "sum_threads": ("padded",),
    "max_threads": ("padded",),
    "min_threads": ("padded",),
    "prod_threads": ("padded",),
    "stream": (),
    "window": ("smallest",),
    "take_step": (),
    "put_step": ("take_step",),
    "tiles": ("smallest",),
    "matmul": ("tiles", "thread_number", "thread_count"),
    "banded_matmul": ("tiles", "largest", "thread_number", "thread_count"),
}
#: Inlined functions in the order in which they are defined, each with the functions that it needs.
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
#: Functions of numbers in double precision, each with the inlined function whose parts it needs.
DOUBLES: dict[str, tuple[str, ...]] = {"sign": (), "maximum": (), "minimum": (), "sigmoid": (), "erfcx": ("erfcx",)}


def ordered(wanted: set[str], known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The wanted names and all names that they need, in the order of the table."""
    todo = list(wanted)
    for name in todo:
        todo.extend(n for n in known[name] if n not in todo)
    return tuple(n for n in known if n in todo)
