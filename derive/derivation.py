"""The result of the engine: the closed lines of a derivation, and the steps that led to these lines, in order."""

from __future__ import annotations

from dataclasses import dataclass

from derive import syntax as st
from derive.rules import Rule
from derive.strain.verdict import Loss
from derive.terms.definitions import Definition
from derive.terms.sums import Sum


@dataclass(frozen=True)
class Step:
    """One application of a rule to the right side of ``name[index]``.

    ``before`` and ``after`` are that right side in flat terms. ``using`` are the names whose definitions the rule used.
    """

    rule: Rule
    name: str
    index: tuple[str, ...]
    before: Sum
    after: Sum
    using: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The rule as readers see it beside the result, with the names used where the rule tells them."""
        return self.rule.said(self.using)


@dataclass(frozen=True)
class Line:
    """One line of the result: ``name[index] = tree``. ``body`` is the right side in flat terms."""

    name: str
    index: tuple[str, ...]
    body: Sum
    tree: st.Tree


@dataclass(frozen=True)
class Derivation:
    """The derivation of an op's vector-Jacobian product.

    * ``written``: the flat definitions of the author's equations.
    * ``stable``: these definitions after stabilisation, and the further names that the backward pass needs.
    * ``forward``: the ``stable`` definitions as they are computed, rewritten where another form rounds better.
    * ``chain``: the adjoint of each active ``stable`` definition and input, as the chain rule gives it.
    * ``lines``: the closed forms. A line stands after the lines that it reads.
    * ``gradients``: the names of the lines that are the op's results, in input order.
    * ``losses``: the results of an accurate variant in which terms still cancel.
    * ``step``: of an op with recurrences, the derivation of its step op; else None.
    """

    op: st.Op
    written: tuple[Definition, ...]
    stable: tuple[Definition, ...]
    forward: tuple[Definition, ...]
    chain: tuple[Definition, ...]
    steps: tuple[Step, ...]
    lines: tuple[Line, ...]
    gradients: tuple[str, ...]
    losses: tuple[Loss, ...] = ()
    step: Derivation | None = None
