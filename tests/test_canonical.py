"""The canonical order of indices without names, against all orders, and on products of great symmetry."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest

import derive
from derive.certify import certify
from derive.terms.canonical import canonical_order
from derive.terms.sums import Atom, Exponent, Read, Sum, atom_sum, term

Factors = dict[Atom, Exponent]
Edges = list[tuple[int, int]]


def product(edges: Edges, names: list[str], tensor: str = "a") -> Factors:
    """``a[i, j]*a[j, k]*...``: a directed graph, an edge more than once as a power."""
    out: Factors = {}
    for i, j in edges:
        atom = Read(tensor, (names[i], names[j]))
        out[atom] = out.get(atom, 0) + 1
    return out


def canonical(edges: Edges, names: list[str]) -> object:
    return canonical_order(product(edges, names), names, dict.fromkeys(names, "n"))[1]


def same_graph(one: Edges, other: Edges, count: int) -> bool:
    """Whether some renaming of the indices makes two products equal, by trying all."""
    wanted = sorted(other)
    return any(sorted((p[i], p[j]) for i, j in one) == wanted for p in permutations(range(count)))


@pytest.mark.parametrize("seed", range(60))
def test_two_products_have_one_form_if_and_only_if_a_renaming_makes_them_equal(seed: int) -> None:
    rng = Random(seed)
    count, edges = rng.randint(2, 5), rng.randint(2, 7)
    one = [(rng.randrange(count), rng.randrange(count)) for _ in range(edges)]
    names = [f"n'{k}" for k in range(count)]
    moved = rng.sample(range(count), count)
    renamed = [(moved[i], moved[j]) for i, j in rng.sample(one, len(one))]
    assert canonical(renamed, rng.sample(names, count)) == canonical(one, names)
    other = [(rng.randrange(count), rng.randrange(count)) for _ in range(edges)]
    assert (canonical(other, names) == canonical(one, names)) == same_graph(one, other, count)


def test_what_refinement_alone_cannot_tell_apart() -> None:
    """A cycle of six and two of three: every index looks the same in both."""
    names = [f"n'{k}" for k in range(6)]
    six = [(k, (k + 1) % 6) for k in range(6)]
    two = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    assert canonical(six, names) != canonical(two, names)


SYMMETRIC: dict[str, Edges] = {
    "a cycle": [(k, (k + 1) % 20) for k in range(20)],
    "ten pairs": [(2 * k, 2 * k + 1) for k in range(10)],
    "a complete graph": [(i, j) for i in range(9) for j in range(9)],
    "two sides": [(i, j) for i in range(6) for j in range(6, 12)],
    "five triangles": [(3 * k + i, 3 * k + (i + 1) % 3) for k in range(5) for i in range(3)],
}


@pytest.mark.parametrize("case", SYMMETRIC)
def test_symmetry_does_not_multiply_the_orders_that_are_tried(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most as many as there are indices, where all orders would be millions."""
    edges = SYMMETRIC[case]
    count = 1 + max(max(e) for e in edges)
    monkeypatch.setattr("derive.terms.canonical.ORDERS", count)
    names = [f"n'{k}" for k in range(count)]
    rng = Random(case)
    moved = rng.sample(range(count), count)
    assert canonical([(moved[i], moved[j]) for i, j in edges], names) == canonical(edges, names)


def test_a_power_of_a_sum_is_the_product_of_its_copies() -> None:
    total = term({Read("x", ("n'1",)): 1}, ("n'1",))
    power = Sum({}) + atom_sum(Read("w", ()))
    for _ in range(12):
        power = power * total
    ((mono, _),) = power
    assert len(mono.bound) == 12


CASES = {
    "a power of a sum": "y = f(x[n])\ny = sum[n](x[n])**8",
    "a power of a product of matrices": "y = f(a[i, k], b[k, j])\ny = sum[i, j, k](a[i, k]*b[k, j])**6",
    "a trace of a power": "y = f(x[a, b])\ny = sum[i, j, k, l](x[i, j]*x[j, k]*x[k, l]*x[l, i])",
}


@pytest.mark.parametrize("case", CASES)
def test_symmetric_systems_are_derived_and_certified(case: str) -> None:
    certificate = certify(derive.derive(derive.parse(CASES[case])))
    assert certificate.passed, certificate.summary()
