"""What the engine hands on: the ordered steps of a derivation and the lines it ends in."""

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

    ``using`` are the names whose definitions the rule used. ``of`` is the name whose adjoint this is, or "" for a
    forward equation.
    """

    rule: Rule
    name: str
    index: tuple[str, ...]
    before: Sum
    after: Sum
    using: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What readers see of it beside the result."""
        return self.rule.said(self.using)


@dataclass(frozen=True)
class Line:
    """One line of the result: ``name[index] = tree``; ``body`` is the same in flat terms."""

    name: str
    index: tuple[str, ...]
    body: Sum
    tree: st.Tree


@dataclass(frozen=True)
class Derivation:
    """The derivation of an op's vector-Jacobian product.

    ``written`` are the flat definitions of the author's equations, ``stable`` the same after stabilisation (with what the
    backward needs beyond them), ``chain`` the adjoint of every one of them as the chain rule gives it, and ``forward`` the
    definitions as they are computed, rewritten where that rounds better. ``lines`` are the closed forms, each after those
    it reads: ``gradients`` names those that are the op's results, in input order. Of an accurate variant, ``losses`` are
    the results in which terms still cancel.
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
