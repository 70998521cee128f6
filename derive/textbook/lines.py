"""Which states of a derivation a reader needs to see: the chain rule, the closed form, and few lines between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from derive.derivation import Step
from derive.language.unicode import text
from derive.syntax import Tree
from derive.terms.sums import Sum
from derive.textbook.reasons import Reader, Reason, reasons_of

__all__ = ["Shown", "chosen"]

TreeOf = Callable[[Sum, tuple[str, ...]], Tree]

#: Lines are joined while no more reasons than this stand beside one, and until a name has at most so many lines.
REASONS, LINES = 2, 5
#: A line that the story does not need is left out while no more reasons than this stand beside the next one.
DETOUR = 3
#: A line that no name of the author's explains has to be shorter than this share of the line before.
HARDLY = 0.8
#: A chain rule of more letters than this is not shown by itself where the next line is shorter by half.
WIDE = 150


@dataclass
class Shown:
    """One line: a right side, and the steps that led from the line before to it."""

    body: Sum
    tree: Tree
    steps: list[Step]

    @property
    def weight(self) -> int:
        return len(text(self.tree))


def chosen(steps: Sequence[Step], tree_of: TreeOf, reader: Reader) -> list[tuple[Shown, list[Reason]]]:
    """The lines to show of one name, each with its reasons. The first is what the chain rule gives, the last the result."""
    states: list[Shown] = []
    for step in steps:
        shown = Shown(step.after, tree_of(step.after, step.index), [step])
        if states and (shown.tree == states[-1].tree or text(shown.tree) == text(states[-1].tree)):
            states[-1] = Shown(shown.body, states[-1].tree, [*states[-1].steps, step])
        else:
            states.append(shown)

    def reasons(k: int) -> int:
        """How many reasons the line after ``k`` has if ``k`` is left out."""
        return len(reasons_of(states[k].steps + states[k + 1].steps, reader))

    _without_detours(states, lambda k: reasons(k) <= DETOUR)
    _joined(states, lambda k: reasons(k) <= REASONS)
    while len(states) > LINES:
        _drop(states, min(range(1, len(states) - 1), key=reasons))
    while len(states) > 1 and _pointless(states[-1], states[-2], reader):
        states.pop()
    if len(states) > 1 and states[0].weight > WIDE and states[1].weight * 2 < states[0].weight:
        _drop(states, 0)
    return [(s, reasons_of(s.steps, reader)) for s in states]


def _pointless(last: Shown, before: Shown, reader: Reader) -> bool:
    """Whether a last line is hardly shorter than the one before, and came of what readers do not see as names."""
    seen = any(r.fact is not None or r.using for r in reasons_of(last.steps, reader))
    return not seen and last.weight > HARDLY * before.weight


def _without_detours(states: list[Shown], fits: Callable[[int], bool]) -> None:
    """Drop every line that is no shorter than both of its neighbours: the proof goes through it, the story does not."""
    k = 1
    while k < len(states) - 1:
        if states[k].weight >= max(states[k - 1].weight, states[k + 1].weight) and fits(k):
            _drop(states, k)
            k = max(k - 1, 1)
        else:
            k += 1


def _joined(states: list[Shown], fits: Callable[[int], bool]) -> None:
    """Join each line after the chain rule with the next one, where the reasons of both fit beside it."""
    k = 1
    while k < len(states) - 1:
        if fits(k):
            _drop(states, k)
        else:
            k += 1


def _drop(states: list[Shown], k: int) -> None:
    """Leave out one line: the next one is reached by the steps of both."""
    states[k + 1].steps = states[k].steps + states[k + 1].steps
    del states[k]
