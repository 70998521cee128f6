"""Calls of the catalogue that fit the tensors of a system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.systems.generate import Known, Writer


def calls(writer: Writer, scope: tuple[str, ...]) -> Iterator[str]:
    """Every call whose result has axes of the scope alone, as text; the arguments are whole tensors."""
    fitting = [t for t in writer.tensors if t.axes]
    for t in fitting:
        if set(t.axes) <= set(scope):
            yield from _alone(writer, t)
            yield from _normalized(writer, t)
    yield from _products(writer, fitting, scope)
    yield from _labelled(writer, fitting, scope)


def _whole(writer: Writer, t: Known) -> str:
    return f"{t.name}[{', '.join(map(writer.starred, t.axes))}]"


def _alone(writer: Writer, t: Known) -> Iterator[str]:
    x = _whole(writer, t)
    for head in ("softmax", "log_softmax", "silu", "gelu", "relu", "sigmoid"):
        yield f"{head}({x})"
    if len(t.axes) >= 2 and not set(writer.stars) & set(t.axes[-2:]):
        yield f"attention({x}, {x}, {x})"
        yield f"attention({x}, {x}, {x})"


def _normalized(writer: Writer, t: Known) -> Iterator[str]:
    x = _whole(writer, t)
    rows = [_whole(writer, r) for r in writer.tensors if r.axes == t.axes[-1:]]
    for gamma in rows:
        yield f"layernorm({x}, {gamma}, {rows[-1]})"
        yield f"rmsnorm({x}, {gamma}, eps=0.01)"
    columns = [_whole(writer, r) for r in writer.tensors if len(t.axes) > 1 and r.axes == t.axes[1:2]]
    for gamma in columns if not set(writer.stars) & set(t.axes[:2]) else ():
        yield f"batchnorm({x}, {gamma}, {columns[-1]}, eps=1e-3)"


def _products(writer: Writer, tensors: list[Known], scope: tuple[str, ...]) -> Iterator[str]:
    """``linear`` and ``matmul``; the axis that they sum over need not be of the scope."""
    matrices = [t for t in tensors if len(t.axes) == 2 and not set(writer.stars) & set(t.axes)]
    for W in matrices:
        k, h = W.axes
        rows = [r for r in tensors if r.axes == (h,)]
        for x in tensors:
            if x.axes[-1] == k and {*x.axes[:-1], h} <= set(scope):
                for b in rows:
                    yield f"linear({_whole(writer, x)}, {_whole(writer, W)}, {_whole(writer, b)})"
                if len(x.axes) == 2 and x.axes[0] not in writer.stars:
                    yield f"matmul({_whole(writer, x)}, {_whole(writer, W)})"


def _labelled(writer: Writer, tensors: list[Known], scope: tuple[str, ...]) -> Iterator[str]:
    """``embedding`` and ``softmax_cross_entropy``."""
    for name, (index, of) in writer.labels.items():
        t = f"{name}[{', '.join(map(writer.starred, index))}]" if index else name
        for table in tensors:
            fits = len(table.axes) == 2 and table.axes[0] == of and table.axes[1] not in (*writer.stars, *index)
            if fits and {*index, table.axes[1]} <= set(scope):
                yield f"embedding({_whole(writer, table)}, {t})"
            if table.axes == (*index, of) and len(index) == 1 and index[0] not in writer.stars:
                yield f"softmax_cross_entropy({_whole(writer, table)}, {t})"
