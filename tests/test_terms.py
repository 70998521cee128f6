"""Flat terms: the normal form of an expression, in which what is equal is equal and nothing is ever captured."""

from __future__ import annotations

import itertools
import math
import operator
import random
from collections.abc import Iterable, Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from derive.terms.factors import split
from derive.terms.flatten import bind
from derive.terms.forms import Part, combined
from derive.terms.summation import best_order
from derive.terms.sums import (
    Atom,
    Condition,
    Delta,
    Exponent,
    Function,
    Index,
    Irrational,
    Lookup,
    Read,
    Size,
    Sum,
    atom_sum,
    delta,
    fresh,
    negated,
    number,
    open_mono,
    rename_free,
    row,
    sum_indices,
    sum_reads,
    term,
)

HALF = Fraction(1, 2)


def read(name: str, *index: Index) -> Sum:
    return atom_sum(Read(name, index))


def over(expr: Sum, *index: str) -> Sum:
    """The sum of an expression over some of its indices."""
    return bind(expr, index)


def looked_up(name: str, *index: Index) -> Lookup:
    return Lookup(name, index)


# ---- sums ---------------------------------------------------------------------------------------------------------------


def test_equal_terms_are_collected_and_what_cancels_is_gone() -> None:
    x, y = read("x", "i"), read("y", "i")
    assert x + x == x.scaled(2)
    assert x + y - x == y
    assert not x - x
    assert (x + y) * (x - y) == x * x - y * y


def test_terms_print_and_iterate_in_one_order_however_they_were_added() -> None:
    parts = [read("x", "i"), read("y", "i"), over(read("z", "i", "j"), "j"), number(3)]
    orders = {tuple(sum(p, Sum())) for p in itertools.permutations(parts)}
    assert len(orders) == 1


def test_an_expression_that_is_one_atom_says_so() -> None:
    x = Read("x", ("i",))
    assert atom_sum(x).atom == x
    for other in (Sum(), number(1), atom_sum(x).scaled(2), term({x: 2}), term({x: 1, Read("y"): 1}), over(atom_sum(x), "i")):
        assert other.atom is None


def test_atoms_of_different_kinds_with_the_same_fields_are_different() -> None:
    assert atom_sum(Size("pi")) != atom_sum(Irrational("pi"))
    assert Read("x", ("i",)) != Lookup("x", ("i",))


# ---- bound indices ------------------------------------------------------------------------------------------------------


def test_a_product_of_two_sums_over_the_same_index_keeps_two_indices() -> None:
    total = over(read("x", "i"), "i")
    square = (total * total).single
    assert square is not None
    assert square[0].bound == ("i", "i")
    assert len(square[0].factors) == 2
    assert total * total != over(read("x", "i") * read("x", "i"), "i")


def test_a_sum_of_squares_is_one_factor_squared() -> None:
    assert over(read("x", "i") * read("x", "i"), "i") == term({Read("x", ("i",)): 2}, ("i",))


@given(some.randoms(use_true_random=False), some.permutations(["i", "i'", "i''", "j", "j'"]))
def test_alpha_equal_sums_are_equal_whatever_the_names_and_the_order(choose: random.Random, names: list[str]) -> None:
    """Renamed within their axes and multiplied in another order, the same product of the same reads."""
    factors = [
        Read("a", ("i", "j")),
        Read("a", ("i'", "j")),
        Read("a", ("i'", "j'")),
        Read("b", ("i", "i''")),
        Read("b", ("i''", "k")),
        Read("c", (looked_up("t", "j'"), "i")),
        delta("k", looked_up("t", "j")),
        Condition(">", Read("d", ("i",)), Read("d", ("i''",))),
    ]
    bound = ["i", "i'", "i''", "j", "j'"]
    expected = term(dict.fromkeys(factors, 1), bound)
    to: dict[str, Index] = {}
    for axis in ("i", "j"):
        mine = [b for b in bound if b[0] == axis]
        to |= zip(mine, [n for n in names if n[0] == axis], strict=True)
    renamed: list[Atom] = [next(iter(open_mono(m).factors)) for f in factors for m in rename_free(atom_sum(f), to).terms]
    choose.shuffle(renamed)
    choose.shuffle(names)
    assert term(dict.fromkeys(renamed, 1), names) == expected


def test_sums_that_differ_only_in_which_factors_share_an_index_are_different() -> None:
    a = {"x": Read("x", ("i",)), "y": Read("y", ("i",)), "y'": Read("y", ("i'",))}
    together = term({a["x"]: 1, a["y"]: 1}, ("i",))
    apart = term({a["x"]: 1, a["y'"]: 1}, ("i", "i'"))
    assert together != apart


def test_a_cycle_of_three_is_not_a_path_of_three() -> None:
    """Every index is used in the same way, so only trying their orders tells such sums apart or equal."""
    cycle = [Read("a", p) for p in (("i", "i'"), ("i'", "i''"), ("i''", "i"))]
    same = [Read("a", p) for p in (("i", "i''"), ("i''", "i'"), ("i'", "i"))]
    other = [Read("a", p) for p in (("i", "i'"), ("i'", "i"), ("i''", "i''"))]
    names = ("i", "i'", "i''")
    assert term(dict.fromkeys(cycle, 1), names) == term(dict.fromkeys(same, 1), names)
    assert term(dict.fromkeys(cycle, 1), names) != term(dict.fromkeys(other, 1), names)


def test_substituting_a_bound_name_does_not_capture() -> None:
    """sum_i x[i]*x[j] at j = i is x[i] times a sum; it is not a sum of squares."""
    expr = over(read("x", "i") * read("x", "j"), "i")
    found = rename_free(expr, {"j": "i"})
    assert found == over(read("x", "i'"), "i'") * read("x", "i")
    assert sum_indices(found) == {"i"}
    assert found != over(read("x", "i") * read("x", "i"), "i")


def test_substitution_is_simultaneous() -> None:
    assert rename_free(read("a", "i", "j"), {"i": "j", "j": "i"}) == read("a", "j", "i")


def test_opening_twice_gives_different_names() -> None:
    (mono,) = over(read("x", "i"), "i").terms
    assert not set(open_mono(mono).bound) & set(open_mono(mono).bound)


def test_an_unused_bound_index_gives_the_size_of_its_axis() -> None:
    assert over(read("x"), "n") == read("x") * atom_sum(Size("n"))
    assert over(number(1), "n", "n'", "d") == term({Size("n"): 2, Size("d"): 1})


# ---- deltas, conditions, numbers ----------------------------------------------------------------------------------------


def test_a_delta_of_two_bound_indices_joins_the_sums() -> None:
    found = term({delta("i", "i'"): 1, Read("x", ("i",)): 1, Read("y", ("i'",)): 1}, ("i", "i'"))
    assert found == over(read("x", "i") * read("y", "i"), "i")


def test_a_delta_of_a_bound_and_a_free_index_reads_there() -> None:
    assert term({delta("i", "k"): 1, Read("x", ("i",)): 2}, ("i",)) == term({Read("x", ("k",)): 2})


def test_a_delta_of_a_bound_index_and_a_lookup_gathers() -> None:
    t = looked_up("t", "n")
    assert term({delta("c", t): 1, Read("z", ("n", "c")): 1}, ("c",)) == read("z", "n", t)


def test_a_delta_of_free_indices_stays() -> None:
    found = term({delta("i", "j"): 1, Read("x", ("i",)): 1})
    assert {type(a) for m in found.terms for a, _ in m.factors} == {Delta, Read}
    assert term({delta("j", "i"): 1, Read("x", ("i",)): 1}) == found


def test_a_delta_does_not_determine_an_index_inside_its_other_side() -> None:
    """The fixed points of t: the sum over k of [k = t[k]]*x[k] has no simpler form."""
    found = term({delta("k", looked_up("t", "k")): 1, Read("x", ("k",)): 1}, ("k",))
    assert found.single is not None
    assert found.single[0].bound == ("k",)


def test_a_delta_of_equal_indices_is_one() -> None:
    assert term({delta("i", "i"): 1, Read("x", ("i",)): 1}) == read("x", "i")
    assert rename_free(atom_sum(delta("i", "j")) * read("x", "i"), {"j": "i"}) == read("x", "i")


@pytest.mark.parametrize("rel", ["<", "<=", ">", ">=", "==", "!="])
def test_a_condition_excludes_its_complement_and_is_its_own_square(rel: str) -> None:
    c = Condition(rel, Read("a", ("i",)), Fraction(0))
    yes, no = atom_sum(c), atom_sum(negated(c))
    assert not yes * no
    assert yes * yes == yes
    assert negated(negated(c)) == c
    assert atom_sum(delta("i", "j")) * atom_sum(delta("i", "j")) == atom_sum(delta("i", "j"))


@pytest.mark.parametrize("one", ["<", "<=", ">", ">=", "==", "!="])
@pytest.mark.parametrize("other", ["<", "<=", ">", ">=", "==", "!="])
def test_conditions_exclude_each_other_where_no_two_numbers_meet_both_and_nan_meets_only_what_does_not_hold(
    one: str, other: str
) -> None:
    relations = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
    a, b = Read("a"), Read("b")
    for first, second in itertools.product((True, False), repeat=2):
        pairs = [(1.0, 2.0), (2.0, 2.0), (2.0, 1.0), (math.nan, 1.0)]
        meet = [p for p in pairs if relations[one](*p) == first and relations[other](*p) == second]
        product = atom_sum(Condition(one, a, b, first)) * atom_sum(Condition(other, a, b, second))
        assert bool(product) == bool(meet)


def test_a_comparison_of_a_name_with_itself_is_settled() -> None:
    a = Read("a", ("i",))
    assert [bool(atom_sum(Condition(rel, a, a))) for rel in ("<=", ">=", "==", "<", ">", "!=")] == [True] * 3 + [False] * 3
    assert atom_sum(Condition("<=", a, a)) == number(1)


def test_roots_of_integers_keep_an_exponent_below_one() -> None:
    root = term({Irrational("2"): HALF})
    assert root * root == number(2)
    assert term({Irrational("2"): Fraction(3, 2)}) == root.scaled(2)
    assert term({Irrational("2"): -HALF}) == root.scaled(HALF)
    assert term({Irrational("pi"): 2}) != number(1)


def test_whole_exponents_are_one_kind_of_number() -> None:
    """x**(1/2)*x**(1/2) is x, and prints so."""
    half = term({Read("x"): HALF})
    assert half * half == read("x")
    assert [type(e) for m in (half * half).terms for _, e in m.factors] == [int]
    assert term({Read("x"): HALF}) * term({Read("x"): -HALF}) == number(1)


def test_the_names_read_include_those_inside_lookups_and_functions() -> None:
    t = looked_up("t", looked_up("s", "n"))
    expr = read("z", t) + atom_sum(Function("exp", (Read("u", ("n",)),))) + atom_sum(Condition(">", Read("v"), Read("w")))
    assert sum_reads(expr) == {"z", "t", "s", "u", "v", "w"}
    assert sum_indices(expr) == {"n"}


# ---- against brute force ------------------------------------------------------------------------------------------------

SIZES = {"i": 2, "j": 3}
NAMES = ["i", "i'", "i''", "j", "j'"]
random_of = random.Random(0)
TABLES = {
    name: {at: Fraction(random_of.choice([-2, -1, 1, 3])) for at in itertools.product(*(range(SIZES[a]) for a in axes))}
    for name, axes in {"x": "i", "a": "ij", "g": "ii", "s": ""}.items()
}
#: An integer tensor over j whose values index i.
T = {(0,): 1, (1,): 0, (2,): 1}


def indices(axis: str) -> some.SearchStrategy[Index]:
    plain: some.SearchStrategy[Index] = some.sampled_from([n for n in NAMES if n[0] == axis])
    if axis == "j":
        return plain
    return plain | some.sampled_from([n for n in NAMES if n[0] == "j"]).map(lambda j: looked_up("t", j))


reads = some.one_of(
    some.builds(lambda i: Read("x", (i,)), indices("i")),
    some.builds(lambda i, j: Read("a", (i, j)), indices("i"), indices("j")),
    some.builds(lambda i, k: Read("g", (i, k)), indices("i"), indices("i")),
    some.just(Read("s")),
)
atoms = some.one_of(
    reads,
    reads,
    some.builds(delta, indices("i"), indices("i")),
    some.builds(delta, indices("j"), indices("j")),
    some.builds(Condition, some.sampled_from(["<", "<=", "==", "!=", ">", ">="]), reads, reads),
    some.just(Size("i")),
)
powers = some.dictionaries(atoms, some.sampled_from([1, 1, 2, -1]), min_size=1, max_size=4).map(
    lambda factors: {a: 1 if isinstance(a, (Delta, Condition)) else e for a, e in factors.items()}
)


def at(index: Index, env: Mapping[str, int]) -> int:
    if isinstance(index, Lookup):
        return T[tuple(at(i, env) for i in index.index)]
    assert isinstance(index, str)
    return env[index]


def value(atom: Atom, env: Mapping[str, int]) -> Fraction:
    """The number that an atom is, by what it means."""
    match atom:
        case Read(name, index):
            return TABLES[name][tuple(at(i, env) for i in index)]
        case Size(axis):
            return Fraction(SIZES[axis])
        case Delta(left, right):
            return Fraction(at(left, env) == at(right, env))
        case Condition(rel, Read() as left, Read() as right, wanted):
            a, b = value(left, env), value(right, env)
            holds = {"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b, ">": a > b, ">=": a >= b}
            return Fraction(holds[rel] == wanted)
    raise AssertionError(atom)


def brute_force(factors: Mapping[Atom, Exponent], bound: Iterable[str], env: Mapping[str, int]) -> Fraction:
    """The product, summed over the bound indices by a loop."""
    bound, out = tuple(bound), Fraction(0)
    for values in itertools.product(*(range(SIZES[b[0]]) for b in bound)):
        here = {**env, **dict(zip(bound, values, strict=True))}
        product = Fraction(1)
        for atom, e in factors.items():
            product *= value(atom, here) ** int(e)
        out += product
    return out


def evaluate(expr: Sum, env: Mapping[str, int]) -> Fraction:
    return sum((c * brute_force(*open_mono(m), env) for m, c in expr.terms.items()), Fraction(0))


ENV = {"i": 1, "i'": 0, "i''": 1, "j": 2, "j'": 0}
bound_names = some.lists(some.sampled_from(NAMES), unique=True, max_size=3)


@given(powers, bound_names)
def test_the_normal_form_has_the_value_of_what_was_written(factors: dict[Atom, Exponent], bound: list[str]) -> None:
    assert evaluate(term(factors, bound), ENV) == brute_force(factors, bound, ENV)


@given(powers, bound_names, powers, bound_names)
def test_a_product_has_the_product_of_the_values(
    left: dict[Atom, Exponent], mine: list[str], right: dict[Atom, Exponent], others: list[str]
) -> None:
    product = term(left, mine) * term(right, others)
    assert evaluate(product, ENV) == brute_force(left, mine, ENV) * brute_force(right, others, ENV)


@given(powers, bound_names, some.dictionaries(some.sampled_from(["i", "i'"]), indices("i"), min_size=1))
def test_substitution_reads_elsewhere(factors: dict[Atom, Exponent], bound: list[str], to: dict[str, Index]) -> None:
    there = {**ENV, **{name: at(index, ENV) for name, index in to.items()}}
    assert evaluate(rename_free(term(factors, bound), to), ENV) == brute_force(factors, bound, there)


@given(powers, bound_names, bound_names)
def test_summing_a_sum_sums_over_both(factors: dict[Atom, Exponent], inner: list[str], outer: list[str]) -> None:
    both = [*inner, *(n for n in outer if n not in inner)]
    left = [n for n in both if n not in inner]
    assert bind(term(factors, inner), left) == term(factors, both)


# ---- the best order of summation ----------------------------------------------------------------------------------------


def order_of(factors: Iterable[Atom], bound: tuple[str, ...], sizes: Mapping[str, int]) -> list[tuple[str, ...]]:
    return best_order(dict.fromkeys(factors, 1), bound, lambda axis: sizes[axis])


CHAIN = [Read("a", ("n", "k")), Read("b", ("k", "m")), Read("c", ("m", "l"))]


def test_a_chain_of_matrix_products_is_taken_in_its_cheaper_order() -> None:
    """(a @ b) @ c sums over k first, a @ (b @ c) over m first."""
    assert order_of(CHAIN, ("k", "m"), {"n": 2, "k": 100, "m": 2, "l": 100}) == [("k",), ("m",)]
    assert order_of(CHAIN, ("k", "m"), {"n": 100, "k": 2, "m": 100, "l": 2}) == [("m",), ("k",)]


def test_indices_that_the_same_factors_carry_are_summed_together() -> None:
    factors = [Read("x", ("n", "d")), Read("y", ("n", "d"))]
    assert order_of(factors, ("n", "d"), {"n": 10, "d": 10}) == [("n", "d")]


def test_an_index_that_a_row_determines_is_summed_over_with_its_row() -> None:
    """``[l = i + k]``: summed over apart from k and o, i would leave a table of n, o, l and k."""
    factors = [Read("dy", ("n", "o", "i")), Read("W", ("o", "c", "k")), affine(i=1, k=1, l=-1)]
    assert order_of(factors, ("i", "k", "o"), dict.fromkeys("ncoikl", 8)) == [("i", "k", "o")]


def test_a_factor_apart_from_a_row_is_summed_before_it() -> None:
    """Of ``sum[o,k,i](dy[n,o,i]*P[o,c]*W[c,k]*[l = i + k])``, o is summed over where there is no k yet."""
    factors = [Read("dy", ("n", "o", "i")), Read("P", ("o", "c")), Read("W", ("c", "k")), affine(i=1, k=1, l=-1)]
    assert order_of(factors, ("i", "k", "o"), dict.fromkeys("ncoikl", 8)) == [("o",), ("i", "k")]


def test_a_row_that_determines_no_index_of_the_sum_keeps_the_product_flat_too() -> None:
    factors = [Read("dy", ("n", "o", "i")), Read("W", ("o", "c", "k")), affine(i=2, k=3, l=-1)]
    assert order_of(factors, ("i", "k", "o"), dict.fromkeys("ncoikl", 8)) == [("i", "k", "o")]


def affine(**coefficients: int) -> Condition:
    """The row that this combination of indices is 0."""
    return row("==", combined((Part(i), c) for i, c in coefficients.items()))


def test_what_no_factor_ties_together_is_a_product_of_sums() -> None:
    expr = over(read("x", "i") * read("y", "j") * read("s"), "i", "j")
    (mono,) = expr.terms
    inner = [f for f in split(mono) if f.tag == "inner"]
    assert len(inner) == 2
    assert len(split(mono)) == 3


def test_fresh_indices_run_over_the_same_axis_and_differ() -> None:
    a, b = fresh("n"), fresh("n")
    assert a != b
    assert over(read("x", a), a) == over(read("x", b), b) == over(read("x", "n"), "n")
