"""Expressions as their author wrote them, and the op they belong to.

An expression is a tree of the frozen dataclasses below. Trees keep the author's order of terms. SymPy and the engine's flat
terms (:mod:`derive.terms.sums`) do not keep that order. Derived formulas are turned back into trees, so that a backend needs
a single printer and not a printer for every stage.

An index is the name of its axis, with primes where one axis is used twice: ``n``, ``n'``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from derive.adjoint_names import adjoint_name, primal_name
from derive.carries import Carry
from derive.declared import Declared
from derive.functions.words import PLACES
from derive.packing import Packing
from derive.trees import (
    NEUTRAL,
    Add,
    AffineRead,
    Call,
    Compare,
    Const,
    Div,
    Index,
    Indicator,
    Lookup,
    Match,
    Mul,
    Neg,
    Num,
    Position,
    Pow,
    Read,
    Reduce,
    Size,
    Tree,
    axis_of,
    children,
    free_indices,
    fresh_index,
    index_names,
    numbered,
    on_indices,
    own_indices,
    product,
    reads,
    rebuild,
    rename,
    rename_index,
    taking_part,
    walk,
)

__all__ = [
    "NEUTRAL",
    "Add",
    "AffineRead",
    "Call",
    "Carry",
    "Compare",
    "Const",
    "Constant",
    "Div",
    "Equation",
    "Index",
    "Indicator",
    "Lookup",
    "Match",
    "Mul",
    "Neg",
    "Num",
    "Op",
    "Position",
    "Pow",
    "Read",
    "Reduce",
    "Size",
    "Tensor",
    "Tree",
    "adjoint_name",
    "axis_of",
    "free_indices",
    "fresh_index",
    "primal_name",
    "product",
    "reads",
    "rebuild",
    "rename",
    "walk",
    "children",
    "index_names",
    "numbered",
    "on_indices",
    "own_indices",
    "rename_index",
    "taking_part",
]


@dataclass(frozen=True, slots=True)
class Equation:
    """``name[index] = rhs``; ``line`` is 0 where the equation did not come from text."""

    name: str
    index: tuple[str, ...]
    rhs: Tree
    line: int = 0

    @property
    def labels(self) -> str | None:
        """The axis whose positions the values are, as those of an ``argmax``; None for floating-point values."""
        return axis_of(self.rhs.index[0]) if isinstance(self.rhs, Reduce) and self.rhs.kind in PLACES else None


#: In the place of the axis that an integer tensor indexes: its values are any integers, or booleans.
WHOLE, TRUTH = "int", "bool"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor's name and axes. The values of an integer tensor index the axis ``labels``; None for a floating-point tensor.

    ``labels`` is :data:`WHOLE` where the values are any integers, and :data:`TRUTH` where they are booleans.
    """

    name: str
    axes: tuple[str, ...]
    labels: str | None = None

    @property
    def integer(self) -> bool:
        return self.labels is not None

    @property
    def indexed(self) -> str | None:
        """The axis that the values index; None where they index none."""
        return None if self.labels in (WHOLE, TRUTH) else self.labels


@dataclass(frozen=True, slots=True)
class Constant:
    """A constant of the op. ``default`` is written as in the text; None means that callers must give a value."""

    name: str
    default: str | None


#: How an op may be derived: "" at the least cost, "accurate" so that no terms cancel.
VARIANTS = ("", "accurate")


@dataclass(frozen=True)
class Op:
    """An operation: its signature, its assumptions, and its equations in order.

    ``stars`` are the axes written ``*s``: each stands for zero or more axes of the caller's tensors. ``sizes`` are the
    axis lengths at which costs are compared. ``text`` is the source that the op was parsed from, "" where there is none.
    ``variant`` is one of VARIANTS. A variant computes the same values, and is called ``OP_VARIANT``. ``packing`` says which
    axes are one axis of the caller's tensors; everything else here has the axes of the equations. ``declared`` has the lengths
    of axes that are declared by equations. ``carries`` are the names that equations read one step back: without them,
    every equation reads only inputs and what stands above it. ``held`` are inputs by which nothing is differentiated.
    ``positions`` are results beside the outputs that hold positions on an axis, as of an ``argmax``: they have no adjoint.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    constants: tuple[Constant, ...]
    equations: tuple[Equation, ...] = field(hash=False)  # to hash all these trees takes longer than to compare
    assumptions: tuple[Compare, ...] = ()
    stars: frozenset[str] = frozenset()
    sizes: tuple[tuple[str, int], ...] = ()
    text: str = ""
    title: str = ""
    source: str = ""
    notes: tuple[str, ...] = field(default=())
    variant: str = ""
    packing: Packing = Packing()
    declared: Declared = Declared()
    carries: tuple[Carry, ...] = ()
    held: frozenset[str] = frozenset()
    positions: tuple[Tensor, ...] = ()

    @property
    def results(self) -> tuple[Tensor, ...]:
        """What the forward gives its callers: the outputs, and then the positions."""
        return (*self.outputs, *self.positions)

    @property
    def length_constants(self) -> frozenset[str]:
        """The constants on which lengths of axes depend, and which are therefore whole numbers."""
        return self.packing.constants() | self.declared.constants()

    @property
    def base(self) -> str:
        """The op's name without its variant."""
        return self.name.removesuffix(f"_{self.variant}") if self.variant else self.name

    def as_variant(self, variant: str) -> Op:
        """The same op in another variant (ValueError for an unknown variant)."""
        if variant not in VARIANTS:
            raise ValueError(f"there is no variant '{variant}'; expected one of {', '.join(map(repr, VARIANTS))}")
        return replace(self, name=f"{self.base}_{variant}" if variant else self.base, variant=variant)

    @property
    def floating(self) -> tuple[Tensor, ...]:
        """The floating-point inputs."""
        return tuple(t for t in self.inputs if not t.integer)

    @property
    def differentiable(self) -> tuple[Tensor, ...]:
        """The inputs that have a gradient."""
        return tuple(t for t in self.floating if t.name not in self.held)

    def tensor(self, name: str) -> Tensor:
        """The input or the left side of the equation that has the name (KeyError if there is none)."""
        for t in self.inputs:
            if t.name == name:
                return t
        for e in self.equations:
            if e.name == name:
                return Tensor(e.name, e.index, e.labels)
        for c in self.carries:
            if c.name == name:
                return Tensor(c.name, c.axes)
        raise KeyError(name)
