"""Reductions under equality rows, such as convolutions, as strided slices: a loop over the short indices, without a mask.

``y[n, i] = sum[k, l](where(l - 2*i - k == 0, x[n, l]*W[k], 0))`` is::

    y = np.zeros((n, i), dtype=x.dtype)
    for at_k in range(k):
        of_i, of_l = _overlap(i, l, 2, at_k)
        y[:, of_i] += x[:, of_l] * W[at_k]

Its gradients are the same loop with another tensor on the left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from codegen.backends.arrays.axes import Text
from codegen.backends.arrays.operations import Operations
from codegen.backends.arrays.spelling import item
from codegen.program import Kernel, Role, Statement
from codegen.recognise.window import Slide, Window, slid_constants
from derive import syntax as st

__all__ = ["lines", "placed", "set_apart", "static_constants"]


def set_apart(
    statements: Sequence[Statement], window: Callable[[st.Tree], Window | None], fresh: Callable[[str], str]
) -> tuple[Statement, ...]:
    """The statements, in which each window is the whole of a statement of its own; ``fresh`` gives such a statement a name."""
    out: list[Statement] = []
    for s in statements:
        made: dict[st.Tree, st.Read] = {}

        def apart(tree: st.Tree, s: Statement = s, made: dict[st.Tree, st.Read] = made) -> st.Tree:
            found = window(tree)
            if found is None:
                return st.rebuild(tree, apart)
            inner = {n: apart(n) for n in st.walk(found.body) if window(n) is not None}
            if inner:  # what does not slide with this window is computed once, and not at each tap
                return apart(_with(tree, inner))
            if tree not in made:
                index = tuple(
                    sorted(st.free_indices(tree), key=lambda i: (s.index.index(i) if i in s.index else len(s.index), i))
                )
                made[tree] = st.Read(fresh(f"{s.name}_{tree.kind if isinstance(tree, st.Reduce) else 'part'}"), index)
                out.append(Statement(made[tree].name, index, tree, Role.TEMPORARY))
            return made[tree]

        whole = window(s.tree) is not None and set(s.index) == set(st.free_indices(s.tree))
        out.append(s if whole else replace(s, tree=apart(s.tree)))
    return tuple(out)


def _with(tree: st.Tree, known: Mapping[st.Tree, st.Tree]) -> st.Tree:
    """The expression with other subtrees in the place of known ones."""
    return known[tree] if tree in known else st.rebuild(tree, lambda child: _with(child, known))


def lines(printer: Operations, s: Statement, window: Window) -> Iterator[str]:
    """The lines of a statement that is a window."""
    local = {
        i: printer.local(f"{'at' if i in window.taps else 'of'}_{st.numbered(i)}") for w in window.slides for i in w.indices
    }
    yield f"{s.name} = {_start(printer, s, window.kind)}"
    printer.taps = {i: local[i] for i in window.taps}
    depth, scope, slides = 0, set[str](), list(window.slides)
    for tap in (*window.taps, ""):
        for slide in [w for w in slides if scope >= set(w.taps)]:
            slides.remove(slide)
            yield "    " * depth + _slices(printer, slide, local)
        if tap:
            yield "    " * depth + f"for {local[tap]} in range({printer.length(tap)}):"
            depth, scope = depth + 1, scope | {tap}
    yield "    " * depth + _accumulated(printer, s, window, local)
    printer.taps = {}


def _start(printer: Operations, s: Statement, kind: str) -> str:
    if kind == "sum":
        return printer.zeros(s.index)
    return printer.full(printer.value(st.NEUTRAL[kind], ()), s.index).code


def _slices(printer: Operations, slide: Slide, local: Mapping[str, str]) -> str:
    """The line with the two slices of an equality row."""
    printer.helpers["_overlap"] = None
    lengths = ", ".join(map(printer.length, (slide.outer, slide.inner)))
    step, start = (printer.value(part, ()).code for part in (slide.step, slide.start))
    return f"{local[slide.outer]}, {local[slide.inner]} = _overlap({lengths}, {step}, {start})"


def _accumulated(printer: Operations, s: Statement, window: Window, local: Mapping[str, str]) -> str:
    """The line that adds the terms at one position of the taps, or compares them with the extremum so far."""
    along: dict[str, str] = {w.inner: w.outer for w in window.slides}
    aliases: dict[st.Read, str] = {}

    def sliced(tree: st.Tree) -> st.Tree:
        """The body with each read at slices in the place of one at the indices of a row."""
        if not isinstance(tree, st.Read) or not set(local) & set(tree.index):
            return st.rebuild(tree, sliced)
        alias = aliases.setdefault(tree, f"{tree.name}@{len(aliases)}")
        printer.sliced[alias] = placed(printer.tensor(tree), _slots(printer, tree.index, local))
        return st.Read(alias, tuple(along.get(str(i), i) for i in tree.index if i not in window.taps))

    body = sliced(window.body)
    axes = tuple(along.get(i, i) for i in s.index if i not in window.taps)
    rest = tuple(i for i in window.index if i not in (*window.taps, *along, *axes))
    # The slice along the outer index has step 1, and the other is as long.
    printer.partial = {i: f"{local[s.outer]}.stop - {local[s.outer]}.start" for s in window.slides for i in (s.inner, s.outer)}
    value = printer.value(st.Reduce(window.kind, rest, body) if rest else body, axes)
    printer.partial = {}
    return printer.accumulated(s.name, _slots(printer, s.index, local), window.kind, printer.fit(value, axes))


def _slots(printer: Operations, index: Sequence[st.Index], local: Mapping[str, str]) -> list[str]:
    """The slots of a tensor at slices and at positions of taps."""
    return ["..." if i == printer.star else local.get(str(i), ":") for i in index]


def placed(tensor: Text, slots: Sequence[str]) -> Text:
    """The part of a tensor at slots; all of it where no slot selects anything. Behind ``...`` every slot is said."""
    last = max((k for k, slot in enumerate(slots, 1) if slot not in (":", "...")), default=0)
    return item(tensor, slots if "..." in slots[:last] else slots[:last]) if last else tensor


def static_constants(kernel: Kernel) -> frozenset[str]:
    """The constants of the op that slices depend on: whole numbers, which a tracer does not see."""
    return frozenset().union(*(slid_constants([s.tree for s in p.statements], p.ranked) for p in kernel.programs))
