"""The search of the atlas, from files: what is found, in which order, and without getting in the way of typing."""

from __future__ import annotations

from pathlib import Path

import pytest

from derive.ops import group
from tests.browser.atlas import address, needs_browser, needs_katex
from tests.browser.chromium import Tab
from tests.long import CORE

pytestmark = [needs_katex, needs_browser]

SHOWN = '[...document.querySelectorAll(".ops > li")].filter(l => !l.hidden).map(l => l.dataset.names.split(" ")[0])'
FIELD = 'document.querySelector("input[type=search]")'


def found(tab: Tab, query: str) -> list[str]:
    tab.run(f'{FIELD}.value = {query!r}, {FIELD}.dispatchEvent(new Event("input", {{ bubbles: true }}))')
    return list(tab.run(SHOWN))


@pytest.mark.parametrize(
    ("query", "first", "others"),
    [
        ("softmax", "softmax", {"log_softmax", "softmax_cross_entropy", "attention"}),
        ("cross entropy", "softmax_cross_entropy", set()),
        ("hyperbolic", "tanh", set()),
        ("rule:solve", "", set()),
        ("function:erf", "gelu", set()),
        ("erfcx", "gelu", set()),
        ("uses:sigmoid", "silu", set()),
        ("log-softmax", "log_softmax", set()),
        ("xhat", "", {"batchnorm", "layernorm", "rmsnorm"}),
        ("matrix products", "", {"linear", "matmul", "attention"}),
        ("LOOKUPS", "", {"embedding", "softmax_cross_entropy"}),
    ],
)
def test_ops_are_found_by_name_title_function_rule_and_what_they_build_on(
    site: Path, tab: Tab, query: str, first: str, others: set[str]
) -> None:
    tab.open(address(site, "index"))
    shown = found(tab, query)
    assert shown and set(shown) < set(CORE)
    assert not first or shown[0] == first
    assert others <= set(shown)
    assert tab.run('document.querySelector(".found").textContent') == f"{len(shown)} of {len(CORE)} ops"


@pytest.mark.parametrize(
    ("formula", "op"),
    [
        ("1 - y^2", "tanh"),
        ("dy*(1 - y**2)", "tanh"),
        ("dy·(1 - y²)", "tanh"),
        ("y[s]*(1 - y[s])", "sigmoid"),
        ("p - [c = t]", "softmax_cross_entropy"),
        (r"p_{n,c} - \left[ \,c = t_{n}\, \right]", "softmax_cross_entropy"),
        (r"\hat{x}_{n,d,s} = c_{n,d,s} \, \mathrm{rstd}_{d}", "batchnorm"),
        ("sum[c](exp(z[n, c]))", "softmax_cross_entropy"),
    ],
)
def test_formulas_are_found_in_the_language_and_in_latex(site: Path, tab: Tab, formula: str, op: str) -> None:
    tab.open(address(site, "index"))
    shown = found(tab, formula)
    assert op in shown and len(shown) < len(CORE) / 2
    assert "formula" in tab.run(f"document.querySelector(`[data-names~={op}] .why`).textContent")


def test_what_is_not_there_is_not_found_and_nothing_asked_shows_all_in_order(site: Path, tab: Tab) -> None:
    tab.open(address(site, "index"))
    order = tab.run(SHOWN)
    assert sorted(order) == sorted(CORE)
    for query in ("nonsense", "rule:nonsense", "rule:", "q[(", "y - 7*y"):
        assert found(tab, query) == [], query
    assert found(tab, "") == found(tab, "  ") == order
    assert tab.run('document.querySelector(".found").textContent') == ""


def test_the_order_is_the_learners_or_that_of_names(site: Path, tab: Tab) -> None:
    tab.open(address(site, "index"))
    assert tab.run(SHOWN) != sorted(CORE)
    select = 'document.querySelector("form.search select")'
    tab.run(f'{select}.value = "name", {select}.dispatchEvent(new Event("input", {{ bubbles: true }}))')
    assert tab.run(SHOWN) == sorted(CORE)


def test_the_ops_are_found_and_ordered_by_the_groups_that_their_files_state(site: Path, tab: Tab) -> None:
    tab.open(address(site, "index"))
    assert {*found(tab, "group:normalization")} == {n for n in CORE if group(n) == "normalization"}
    found(tab, "")
    select = 'document.querySelector("form.search select")'
    tab.run(f'{select}.value = "group", {select}.dispatchEvent(new Event("input", {{ bubbles: true }}))')
    shown = [group(n) for n in tab.run(SHOWN)]
    assert shown == sorted(shown) and len({*shown}) > 5
    assert tab.run('[...document.querySelectorAll(".ops .group")].map(g => g.textContent)') == shown


def test_a_search_on_a_page_leads_to_the_index_and_enter_there_to_the_first_op(site: Path, tab: Tab) -> None:
    tab.open(address(site, "relu") + "?")
    tab.press("/", 191)
    assert tab.run("document.activeElement === " + FIELD)
    tab.open(address(site, "index") + "?q=log_softmax")
    assert tab.run(SHOWN)[0] == "log_softmax"
    tab.follow('document.querySelector("form.search").requestSubmit()')
    assert tab.run("location.pathname").endswith("/log_softmax.html")
    form = 'document.querySelector("form.search")'
    assert tab.run(f"new URL({form}.action).pathname").endswith("/index.html") and tab.run(f"{form}.method") == "get"


def test_words_that_lead_somewhere_are_offered(site: Path, tab: Tab) -> None:
    tab.open(address(site, "index"))
    chips = tab.run('[...document.querySelectorAll(".chips button")].map(b => b.textContent)')
    assert {"exp", "fold", "matrix products", "chain rule"} <= set(chips)
    for place in range(len(chips)):
        tab.run(f'document.querySelectorAll(".chips button")[{place}].click()')
        assert tab.run(SHOWN), chips[place]


def test_a_slash_in_a_field_is_typed(site: Path, tab: Tab) -> None:
    tab.open(address(site, "softmax"))
    tab.run('document.querySelector(".playground input").focus()')
    tab.press("/", 191)
    assert tab.run("document.activeElement.closest('.playground') !== null")


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_of_the_first_page_lies_over_anything_else(site: Path, tab: Tab, width: int) -> None:
    tab.resize(width)
    tab.open(address(site, "index"))
    boxes = tab.run(
        '[...document.querySelectorAll(".index > *")].map(e => e.getBoundingClientRect()).map(r => [r.top, r.bottom])'
    )
    boxes = [box for box in boxes if box[1] > box[0]]
    assert len(boxes) >= 4
    assert all(above[1] <= below[0] for above, below in zip(boxes, boxes[1:], strict=False))
