"""The mistakes that are made with the steps of a recurrence: what the first step reads, and what a step hands on."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from codegen.tools.auditor.alterations import Alteration
from derive import syntax as st
from derive.carries import first_step
from derive.language.unicode import text
from derive.recurrence import at_first, moved
from derive.show.solved import in_op
from derive.show.steps import before_first

__all__ = ["overwritten", "slips_of_steps"]


def slips_of_steps(op: st.Op, carry: st.Carry) -> Iterator[Alteration]:
    """Every equation that a single slip makes of what is carried."""
    read = text(in_op(op, st.Read(carry.name, carry.axes)))
    own, nothing = st.Read(carry.of, carry.axes), st.Num(Fraction(0))
    kept = moved(carry, st.Add((st.Position(carry.axis), carry.back)))

    def slip(kind: str, sentence: str, tree: st.Tree) -> Alteration:
        return Alteration(kind, sentence, st.Equation(carry.name, carry.axes, tree))

    if any(c.name == carry.name for c in op.carries):
        yield slip("missing path", f"{read} is taken to be 0", nothing)
    else:
        yield slip("missing path", f"{read} is missing: nothing flows back from one step to the one before", nothing)
    yield slip("another step", f"{text(own)} stands where {read} belongs", own)
    around = at_first(carry, moved(carry, first_step(carry.axis, not carry.down)))
    sentence = f"the first step reads {carry.of} of the last one, as the position -1 does that counts from the end"
    yield slip("first step", sentence, st.Add((kept, around)))
    if carry.first:
        first = f"{carry.of}[{','.join(before_first(carry))}]"
        yield slip("first step", f"the first step reads 0 where {first} belongs", kept)


def overwritten(op: st.Op, equation: st.Equation) -> Iterator[Alteration]:
    """The equation in which each step assigns what all steps together add up to: that of the last computed one is left."""
    match equation.rhs:
        case st.Reduce("sum", index, body):
            for c in {c.axis: c for c in op.carries if c.axis in index}.values():
                sentence = f"the steps overwrite each other's terms where they are to be added up over {c.axis}"
                only = st.Equation(equation.name, equation.index, st.Reduce("sum", index, at_first(c, body)))
                yield Alteration("overwritten", sentence, only)
