"""What costs and what is shown are apart: operations are counted of terms as they are factored, and nothing that is for readers
steers a derivation."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

import derive
from codegen.tools.atlas.operations import operations
from derive.ops import names, variants
from derive.simplify.cost import Model
from derive.simplify.operations import Operations
from derive.syntax import Tree
from derive.terms import factor, factoring
from derive.terms.factor import to_tree
from derive.terms.factoring import DEFAULT_SIZE
from derive.terms.factors import Inner, factor_indices
from derive.terms.forms import Part, combined
from derive.terms.style import Style
from derive.terms.sums import Condition, Delta, Exponent, Extremum, Hole, Read, Sum, atom_sum, row, sum_indices, term
from tests.long import each
from tests.test_layering import arrows

SIZES = {"n": 7, "d": 11, "c": 3}
#: What is about trees and readers.
SHOWN = {"derive.terms.factor", "derive.terms.style", "derive.terms.arranged", "derive.terms.tidy", "derive.show"}


@pytest.mark.parametrize("module", ["derive.simplify.cost", "derive.simplify.ledger", "derive.terms.factoring"])
def test_the_cost_knows_nothing_of_what_is_shown(module: str) -> None:
    reads: dict[str, set[str]] = {}
    for one, other in arrows():
        reads.setdefault(one, set()).add(other)
    found, todo = {module}, [module]
    while todo:
        more = reads.get(todo.pop(), set()) - found
        found |= more
        todo += more
    assert len(found) > 3 and not {m for m in found if any(m == s or m.startswith(f"{s}.") for s in SHOWN)}


# ---- what is counted is what is done ------------------------------------------------------------------------------------


def counted(body: Sum, sizes: dict[str, int]) -> tuple[int, int]:
    """The operations as they are counted of terms, and as they stand in the tree that is made of them."""

    def size(axis: str) -> int:
        return sizes.get(axis, DEFAULT_SIZE)

    tree = to_tree(body, sorted(sum_indices(body)), Style(size=size))
    return Operations(size).of(body), operations(tree, sizes)


@pytest.mark.parametrize("name", each(names(), variants()))
def test_what_a_derivation_pays_for_is_what_is_done(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each expression that a search looked at: reductions apart, which several lines may share."""
    asked: dict[Sum, Sum] = {}
    real = Operations.of
    monkeypatch.setattr(Operations, "of", lambda self, body: real(self, asked.setdefault(body, body)))
    op = derive.load(name)
    derive.derive(op)
    assert asked
    for body in asked:
        one, other = counted(body, dict(op.sizes))
        assert one == other, body


@pytest.mark.parametrize("seed", range(200))
def test_counts_of_random_sums_are_those_of_their_trees(seed: int) -> None:
    one, other = counted(random_sum(Random(seed)), SIZES)
    assert one == other


def random_sum(rng: Random) -> Sum:
    """Few factors and many terms, so that they share."""
    x, y, w, u = Read("x", ("n", "d")), Read("y", ("n", "d")), Read("w", ("d",)), Read("u", ("n",))
    hot = Delta("d", "c")
    side = Condition(rng.choice(("<=", "==")), x, Fraction(0))
    out = Sum()
    for _ in range(rng.randint(1, 6)):
        factors: dict[Read | Delta | Condition, Exponent] = {
            a: rng.choice((1, 1, 1, 2, -1, Fraction(1, 2))) for a in rng.sample([x, y, w, u], rng.randint(0, 3))
        }
        if rng.random() < 0.3:
            factors[rng.choice((hot, side, side._replace(holds=False)))] = 1
        out = out + term({a: e for a, e in factors.items()}).scaled(
            Fraction(rng.choice((-2, -1, 1, 1, 3)), rng.choice((1, 1, 2)))
        )
    return out


def test_a_reduction_counts_what_its_nested_sums_take() -> None:
    """Of ``x[n,k]*w[k,d]*v[d]`` over ``k`` and ``d``: two products of a matrix and a vector, not one of three arrays."""
    x, w, v = Read("x", ("n", "k")), Read("w", ("k", "d")), Read("v", ("d",))
    ((mono, _),) = term({x: 1, w: 1, v: 1}, ("k", "d"))
    sizes = {"n": 7, "k": 5, "d": 11}
    assert Operations(sizes.__getitem__).reduction(Inner(mono)) == 2 * 5 * 11 + 2 * 7 * 5
    tree = to_tree(Sum({mono: Fraction(1)}), tuple(factor_indices(Inner(mono))), Style(size=sizes.__getitem__))
    assert operations(tree, sizes) == 2 * 5 * 11 + 2 * 7 * 5


# ---- what is shown steers nothing ---------------------------------------------------------------------------------------


def derived(name: str) -> list[tuple[str, Sum]]:
    return [(line.name, line.body) for line in derive.derive(derive.load(name)).lines]


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "batchnorm", "attention", "gelu"])
def test_the_order_of_terms_and_factors_steers_no_derivation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees that are put another way for readers are made of the same lines."""
    plain = derived(name)
    monkeypatch.setattr(factor, "readable", lambda parts: parts)
    monkeypatch.setattr(factor._Builder, "term_order", lambda self, tree, first: repr(tree))
    monkeypatch.setattr(factor._Builder, "rank", lambda self, factor: -len(repr(factor)))
    factor._tree.cache_clear()
    try:
        assert derived(name) == plain
    finally:
        factor._tree.cache_clear()


def test_the_price_is_asked_of_terms_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> Tree:
        raise AssertionError("a tree was made to price an expression")

    monkeypatch.setattr(factor, "_tree", refused)
    x, w = Read("x", ("n", "d")), Read("w", ("d",))
    model = Model(SIZES, {"x": ("n", "d"), "w": ("d",)}, frozenset({"x"}))
    assert model.alone(term({x: 1, w: 1})) == 7 * 11 + 4 * 11


def test_one_factoring_is_paid_for_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sum that is factored another way costs another number, and is written so."""
    x, y, w = Read("x", ("n", "d")), Read("y", ("n", "d")), Read("w", ("n", "d"))
    body = term({x: 1, y: 1}) + term({x: 1, w: 1}) + term({w: 1})
    assert counted(body, SIZES) == (3 * 7 * 11, 3 * 7 * 11)
    monkeypatch.setattr(factoring.Factoring, "most_shared", lambda self, terms: None)
    factor._tree.cache_clear()
    try:
        assert counted(body, SIZES) == (4 * 7 * 11, 4 * 7 * 11)
    finally:
        factor._tree.cache_clear()


# ---- equality rows ------------------------------------------------------------------------------------------------------

LENGTHS = {"n": 2, "o": 3, "c": 5, "i": 7, "k": 11, "l": 13}


def convolved(*factors: Read | Condition, over: tuple[str, ...]) -> int:
    return Operations(LENGTHS.__getitem__).of(term(dict.fromkeys(factors, 1), over))


def shifted(step: int = 1) -> Condition:
    return row("==", combined([(Part("i"), step), (Part("k"), 1), (Part("l"), -1), (Part(None, ("pad",)), -1)]))


def test_a_sum_does_not_pay_for_the_loop_that_a_row_determines() -> None:
    """A multiplication and an addition for each n, o, i, c and k, but not for each l."""
    x, w = Read("x", ("n", "c", "l")), Read("W", ("o", "c", "k"))
    assert convolved(x, w, shifted(), over=("c", "k", "l")) == 2 * (2 * 3 * 7 * 5 * 11)


@pytest.mark.parametrize("step", [1, 2])
def test_a_gradient_by_what_is_convolved_costs_what_the_convolution_does(step: int) -> None:
    """Its loop has ``l`` free, and the row determines it as well: it is the longest of the three."""
    dy, w, x = Read("dy", ("n", "o", "i")), Read("W", ("o", "c", "k")), Read("x", ("n", "c", "l"))
    forward = convolved(x, w, shifted(step), over=("c", "k", "l"))
    assert convolved(dy, w, shifted(step), over=("o", "k", "i")) == forward
    assert convolved(dy, x, shifted(step), over=("n", "i", "l")) == forward


def test_two_rows_take_two_loops_away() -> None:
    x, w = Read("x", ("l", "c")), Read("W", ("k", "n"))
    other = row("==", combined([(Part("c"), 1), (Part("n"), -1), (Part("o"), -1)]))
    assert convolved(x, w, shifted(), other, over=("l", "c", "k", "n")) == 2 * (7 * 11 * 2 * 3)


def test_a_window_has_one_comparison_for_each_element_in_it() -> None:
    """The maximum over k and l of x[n,l] where l = 2*i + k: for each n, i and k."""
    window = row("==", combined([(Part("i"), 2), (Part(Hole("k")), 1), (Part(Hole("l")), -1)]))
    largest = Extremum("max", Read("x", ("n", Hole("l"), Hole("k"))), (window,))
    assert Operations(LENGTHS.__getitem__).of(atom_sum(largest)) == 2 * 7 * 11


def test_an_inequality_takes_no_loop_away() -> None:
    """A running sum is a choice, an addition and a comparison for each pair of i and l."""
    before = row("<=", combined([(Part("l"), 1), (Part("i"), -1)]))
    equal = Operations(LENGTHS.__getitem__).of(term({Read("x", ("l",)): 1, shifted(): 1}, ("l",)))
    assert convolved(Read("x", ("l",)), before, over=("l",)) == 3 * 7 * 13 > equal
