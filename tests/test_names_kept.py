"""What a kernel says of its results stays with them when they are renamed."""

from __future__ import annotations

from dataclasses import fields, replace

from codegen.backends.arrays.discovery import arrays
from codegen.names import named
from codegen.plan import planned
from derive import derive, parse
from derive.strain.verdict import Loss


def test_what_still_cancels_is_said_of_renamed_results() -> None:
    kernel = planned(derive(parse("el[n] = f(np[n])\nel[n] = tanh(np[n])")))
    found = named(replace(kernel, losses=(Loss("el", ("tail above",)), Loss("dnp", ("tail below",)))))
    assert found.losses == (Loss("el_", ("tail above",)), Loss("dnp_", ("tail below",)))
    assert {loss.name for loss in found.losses} <= {*found.forward.results, *found.backward.results}
    text = arrays("numpy").text(found, "a test")
    assert "Terms still cancel in el_ (tail above)." in text and "Terms still cancel in dnp_ (tail below)." in text


def test_nothing_of_a_kernel_is_lost_when_it_is_renamed() -> None:
    kernel = planned(derive(parse("y[n] = f(np[n])\ny[n] = tanh(np[n])")))
    kernel = replace(kernel, losses=(Loss("y", ("zeros",)),))
    found = named(kernel)
    assert found != kernel
    assert all(bool(getattr(found, f.name)) == bool(getattr(kernel, f.name)) for f in fields(kernel))
