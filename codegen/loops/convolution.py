"""Which sums under equality rows are matrix products of weights and of what windows see."""

from __future__ import annotations

from codegen.loops.assignment import WindowProduct
from codegen.recognise.window import Slide
from derive import syntax as st

__all__ = ["window_product"]


def window_product(
    name: str, index: tuple[str, ...], body: st.Tree, over: tuple[str, ...], slides: tuple[Slide, ...]
) -> WindowProduct | None:
    """The parts of a convolution, or of one of its gradients; None where the sum has another form or another layout."""
    if not isinstance(body, st.Mul) or len(body.args) != 2:
        return None
    reads = [a for a in (*body.args, st.Read(name, index)) if isinstance(a, st.Read)]
    if len(reads) < 3 or any(not all(isinstance(i, str) for i in r.index) or len(set(r.index)) < len(r.index) for r in reads):
        return None
    roles = ({s.inner for s in slides}, {s.outer for s in slides}, {k for s in slides for k in s.taps})
    slid = set[str]().union(*roles)
    found = [[r for r in reads if own and {*map(str, r.index)} & slid == own] for own in roles]
    if any(len(r) != 1 for r in found):
        return None
    (image,), (frame,), (weights,) = found
    return _laid_out(over, image, frame, weights, slides)


def _laid_out(
    over: tuple[str, ...], image: st.Read, frame: st.Read, weights: st.Read, slides: tuple[Slide, ...]
) -> WindowProduct | None:
    """The parts, where the last axes of image and frame belong to one slide, and the weights have the row before the column."""
    of_image, of_frame, own = (tuple(map(str, r.index)) for r in (image, frame, weights))
    taps, ends = {k for s in slides for k in s.taps}, {i for s in slides for i in (s.inner, s.outer)}
    batch = tuple(i for i in own if i in of_image and i in of_frame)
    row = tuple(i for i in own if i in of_frame and i not in of_image)
    column = tuple(i for i in own if i in taps or (i in of_image and i not in of_frame))
    together = any(s.inner == of_image[-1] and s.outer == of_frame[-1] for s in slides)
    apart = {*of_image} - ends - {*of_frame} <= {*column} and {*of_frame} - ends - {*of_image} <= {*row}
    if not together or not apart or len(row) != 1 or {*column} <= taps or own != (*batch, *row, *column):
        return None
    return WindowProduct(over, image, frame, weights, row[0], column)
