"""The lines of a derivation at work: who reads whom and what all cost, after any changes, as if looked up in every line."""

from __future__ import annotations

import random

import derive
from derive.derivation import Derivation
from derive.simplify.cost import Model
from derive.simplify.ledger import Ledger
from derive.simplify.work import Work
from derive.terms.sums import Sum, sum_reads
from tests.benchmarks.chains import chain


def at_work() -> tuple[Derivation, Work]:
    """All adjoints of a chain, as the chain rule gives them."""
    derivation = derive.derive(derive.parse(chain("mixed", 12)))
    axes = {d.name: d.index for d in (*derivation.stable, *derivation.chain)}
    work = Work(derivation.op, derivation.chain, Model({}, axes, frozenset()))
    for d in derivation.chain:
        work.put(d.name, d.body)
    return derivation, work


def readers(work: Work, name: str) -> list[str]:
    return [n for n, body in work.lines.items() if n != name and name in sum_reads(body)]


def needed(work: Work) -> dict[str, Sum]:
    """The lines from which the gradients are made."""
    found = set(work.gradients)
    while more := {r for n in found for r in sum_reads(work.lines[n]) if r in work.lines} - found:
        found |= more
    return {n: body for n, body in work.lines.items() if n in found}


def check(work: Work) -> None:
    assert all(work.users(d) == readers(work, d) for d in work.place)
    assert work.cost() == Ledger(work.ledger.model).cost(work.lines)


def test_lines_know_their_readers_and_their_cost_through_attempts_that_are_undone() -> None:
    _, work = at_work()
    check(work)
    rng = random.Random(0)
    for _ in range(40):
        state, before = work.state(), list(work.lines.items())
        for _ in range(rng.randrange(1, 4)):
            name = rng.choice([n for n in work.lines if n not in work.gradients])
            for user in work.users(name):
                work.inline(name, user)
        if rng.random() < 0.5:
            wanted = needed(work)
            work.drop_dead()
            assert list(work.lines.items()) == list(wanted.items())
        if rng.random() < 0.5:
            check(work)
        if rng.random() < 0.7 or any(len(body) > 30 for body in work.lines.values()):
            work.back_to(state)
            assert list(work.lines.items()) == before
        check(work)


def test_lines_that_no_gradient_needs_are_dropped_one_behind_the_other() -> None:
    derivation, work = at_work()
    (gradient,) = [d for d in derivation.chain if d.name == "dw"]
    work.put("dw", gradient.body - gradient.body)
    work.put("dx", gradient.body - gradient.body)
    work.drop_dead()
    assert set(work.lines) == {"dw", "dx"}
