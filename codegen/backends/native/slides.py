"""C's spelling of loops along an equality row ``inner = step*outer + start``: bounds instead of a test in the loop."""

from __future__ import annotations

from fractions import Fraction

from codegen.backends.native.elements import whole_number
from codegen.backends.native.writer import Writer
from codegen.recognise.window import ONE, Slide
from derive import syntax as st

__all__ = ["bounds", "give_position"]


def bounds(w: Writer, slide: Slide) -> tuple[str, str]:
    """Between which positions of the outer index the inner one is inside its axis: two names, declared unless they are."""
    if known := w.scope.bounds.get(slide):
        return known
    w.helper("window")
    step, start = (whole_number(w, part) for part in (slide.step, slide.start))
    outer = w.names.index(slide.outer)
    begin, end = (w.names.of(f"{outer}_{word}", word, slide, len(w.names.given)) for word in ("begin", "end"))
    lengths = f"{w.size(slide.outer)}, {w.size(slide.inner)}"
    w.emit(f"const int64_t {begin} = window_first({step}, {start});")
    w.emit(f"const int64_t {end} = window_last({lengths}, {step}, {start});")
    w.scope = w.scope.with_bounds(slide, (begin, end))
    return begin, end


def give_position(w: Writer, slide: Slide) -> None:
    """Declare the inner index, at an outer one."""
    outer, one = st.Position(slide.outer), slide.step == ONE
    along = outer if one else st.Mul((slide.step, outer))
    w.emit(f"const int64_t {w.names.index(slide.inner)} = {whole_number(w, _sum(along, slide.start))};")


def _sum(a: st.Tree, b: st.Tree) -> st.Tree:
    terms = b.args if isinstance(b, st.Add) else () if b == st.Num(Fraction(0)) else (b,)
    return st.Add((a, *terms)) if terms else a
