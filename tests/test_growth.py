"""What deriving takes grows with the number of equations, and not with its square: counted, not timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import derive
from codegen import build, confined, plan
from codegen.plan import planned
from derive import certify
from derive.certify import textbook as checked
from derive.engine import style_of
from derive.language import slots
from derive.language.unicode import language
from derive.rules import FOLD
from derive.simplify import budget, rewrite, signs
from derive.simplify.tables import Pattern, Patterns, pattern_key
from derive.terms import factor
from derive.terms.flatten import flatten
from derive.terms.names import Names
from derive.terms.style import Style
from derive.terms.sums import Condition, Read, atom_sum, open_again, term
from derive.textbook import called, pages
from derive.textbook.paper import textbook
from derive.trees import Call, Div
from tests.benchmarks.chains import KINDS, chain


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Counter[str]]:
    """A function that counts the calls of a function of a module or class from then on."""
    calls: Counter[str] = Counter()

    def count(where: Any, name: str) -> Counter[str]:
        real = getattr(where, name)

        def wrapped(*args: Any, **keywords: Any) -> Any:
            calls[name] += 1
            return real(*args, **keywords)

        monkeypatch.setattr(where, name, wrapped)
        return calls

    return count


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_has_as_many_equations_as_asked(kind: str) -> None:
    op = derive.parse(chain(kind, 12))
    assert len(op.equations) == 13


def test_the_text_is_not_walked_through_for_every_subscript(counted: Callable[[Any, str], Counter[str]]) -> None:
    calls = counted(slots, "_source")
    derive.parse(chain("rnn", 12))
    assert not calls
    derive.parse("y[n] = f(x[(n = 2, c)])\ny[n] = sum[c](x[n, c])")
    assert calls["_source"] == 1


def test_a_name_is_found_without_trying_those_before_it(counted: Callable[[Any, str], Counter[str]]) -> None:
    names = Names(derive.parse("y[n] = f(x[n])\ny[n] = x[n]"))
    calls = counted(Names, "_free")
    assert [names.fresh("t") for _ in range(300)] == ["t", *(f"t{k}" for k in range(2, 301))]
    assert calls["_free"] <= 2 * 300


def test_names_are_numbered_from_the_start_once_the_others_are_given_back() -> None:
    names = Names(derive.parse("y[n] = f(x[n])\ny[n] = x[n]"))
    read = Read("x", ("n",))
    first = [names.read(term({read: k}), ("n",)).name for k in (2, 3)]
    names.definitions.pop()
    assert names.tidy() == {first[0]: first[0]} and names.fresh("t") == first[1]


def test_parts_that_are_kept_are_found_with_one_function_of_trees(counted: Callable[[Any, str], Counter[str]]) -> None:
    op = derive.parse(chain("rnn", 12))
    calls = counted(called, "tree_of")
    called.kept_names(op, flatten(op)[0])
    assert calls["tree_of"] == 1


def test_an_op_is_derived_once_for_its_kernels_and_once_for_paper(counted: Callable[[Any, str], Counter[str]]) -> None:
    for where, name in ((build, "derive"), (build, "textbook"), (pages, "derive"), (pages, "textbook")):
        calls = counted(where, name)
    build.build(derive.parse(chain("tanh", 2)), backends=["numpy"], check=False)
    assert calls == {"derive": 1, "textbook": 1}


def test_the_full_derivation_is_made_once_for_all_checks(counted: Callable[[Any, str], Counter[str]]) -> None:
    for where in (build, certify, checked):
        calls = counted(where, "derive_full")
    build.build(derive.parse(chain("tanh", 2)), backends=["numpy"], check=False)
    assert calls == {"derive_full": 2}  # of the op, and of its backward, whose adjoints the tangents are


def test_a_tree_is_factored_once_whoever_asks_for_it() -> None:
    """Names in one order and axes of one length make one style."""
    derivation = derive.derive(derive.parse(chain("mixed", 6)))
    factor._tree.cache_clear()
    certify.certify(derivation)
    known = factor._tree.cache_info().misses
    certify.certify(derivation)
    own = len(derivation.op.equations)  # what is printed of the equations before stabilisation is made each time
    assert factor._tree.cache_info().misses <= known + own
    assert style_of(derivation.op, derivation.forward) == style_of(derivation.op, derivation.forward)
    assert style_of(derivation.op, derivation.forward) != style_of(derivation.op, derivation.forward[:-1])


def test_sympy_is_asked_for_a_sign_once_a_shape() -> None:
    """Twice the equations of one shape have no more shapes."""
    found = []
    for count in (30, 60):
        signs._signs_of_sum.cache_clear()
        op = derive.parse(chain("mixed", count))
        definitions = {d.name: d for d in flatten(op)[0]}
        known = signs.Signs(op, definitions)
        assert not known.positive("a3") or known.nonzero("a3")
        assert [known.of(name) for name in definitions]
        found.append(signs._signs_of_sum.cache_info().misses)
    assert found[0] == found[1]


def test_an_opened_term_has_the_same_names_each_time() -> None:
    """So what is made of it is found in caches; two marks never have a name in common."""
    (mono,) = term({Read("x", ("i", "j")): 1, Read("w", ("j", "k")): 1}, ("j", "k")).terms
    assert open_again(mono, "l") == open_again(mono, "l")
    assert not set(open_again(mono, "l").bound) & set(open_again(mono, "r").bound)


def test_reductions_that_no_name_can_hold_get_no_canonical_form(counted: Callable[[Any, str], Counter[str]]) -> None:
    calls, patterns = counted(rewrite, "pattern_key"), Patterns()
    x, w, v = Read("x", ("i", "j")), Read("w", ("j", "k")), Read("v", ("k", "l"))
    key, free = pattern_key({x: 1, w: 1}, ("j",))
    patterns.add(key, Pattern(free, atom_sum(Read("y", free)), "y"))
    rewrite._part_key.cache_clear()
    product = term({x: 1, v: 1}, ("i", "j", "k", "l"))
    assert rewrite.fold_patterns(product, patterns, lambda name: True) == (product, "")
    assert not calls
    folded, using = rewrite.fold_patterns(term({x: 1, w: 1}, ("j",)), patterns, lambda name: True)
    assert (folded, using) == (atom_sum(Read("y", free)), "y") and calls["pattern_key"] == 1


def test_what_is_saved_is_found_with_a_few_looks_at_each_definition(counted: Callable[[Any, str], Counter[str]]) -> None:
    """Twice the equations have twice the looks."""
    derived = [derive.derive(derive.parse(chain("mixed", count))) for count in (12, 24)]
    calls = counted(plan._Planner, "reads")
    found = []
    for derivation in derived:
        calls.clear()
        planned(derivation)
        found.append(calls["reads"])
    assert found[0] > 0 and found[1] <= 2.5 * found[0]


def test_a_name_is_confined_by_the_statements_that_read_it_alone(counted: Callable[[Any, str], Counter[str]]) -> None:
    """Twice the lines have about twice the reads."""
    derived = [derive.derive(derive.parse(chain("mixed", count))) for count in (24, 48)]
    calls = counted(confined, "_reads")
    found = []
    for derivation in derived:
        calls.clear()
        planned(derivation)
        found.append(calls["_reads"])
    few, many = (len(derivation.lines) for derivation in derived)
    assert found[0] > 0 and found[1] / many <= 1.1 * found[0] / few


def test_a_longer_chain_is_not_multiplied_out_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """What inlining may cost is counted for all names together: a line of 300 equations has no more terms for that."""
    monkeypatch.setattr(budget, "SEARCH", 0)
    few, many = (textbook(derive.parse(chain("tanh", count))).derivation for count in (40, 80))
    longest = [max(len(line.body) for line in d.lines if line.name not in d.gradients) for d in (few, many)]
    assert longest[1] <= longest[0]


def test_a_longer_chain_of_norms_is_not_eliminated_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that stands for another stays: twice the equations have twice the folds, and no longer products."""
    monkeypatch.setattr(budget, "SEARCH", 0)
    few, many = (derive.derive(derive.parse(chain("norms", count))) for count in (10, 20))
    assert len(many.steps) <= 2.2 * len(few.steps)
    widest = [max(len(mono.factors) for s in d.steps if s.rule == FOLD for mono in s.after.terms) for d in (few, many)]
    assert widest[1] <= widest[0]


@pytest.mark.parametrize("kind", ["tanh", "rnn", "norms"])
def test_a_tree_is_factored_once_a_shape(kind: str) -> None:
    """Lines of a chain differ in names: twice the equations have twice the trees, and hardly more shapes."""
    found = []
    for count in (30, 60):
        factor._tree.cache_clear()
        factor._shape.cache_clear()
        derive.derive(derive.parse(chain(kind, count)))
        found.append((factor._tree.cache_info().misses, factor._shape.cache_info().misses))
    (few, first), (many, shapes) = found
    assert many > 1.8 * few and shapes <= 1.2 * first


def test_the_tree_of_a_shape_has_the_order_and_the_ties_of_its_names() -> None:
    """Names whose order in the op is another, or which count ties, have trees of their own."""
    body = term({Read("a", ("n",)): 1, Read("b", ("n",)): 1})
    orders = [Style(rank=names.index) for names in (["a", "b"], ["b", "a"])]
    assert [language(factor.to_tree(body, ("n",), style)) for style in orders] == ["a[n]*b[n]", "b[n]*a[n]"]
    row = Condition("<", Read("a", ("n",)), Read("b", ("n",)), True)
    divided = term({row: 1, Read("b", ("n",)): -1})
    plain, counted = (factor.to_tree(divided, ("n",), Style(counts=frozenset(c))) for c in ((), ("b",)))
    assert isinstance(plain, Call) and isinstance(counted, Div)
