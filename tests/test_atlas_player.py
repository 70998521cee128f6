"""The player of steps and the buttons that copy LaTeX, by mouse and by keyboard, and the pages without any script."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.atlas import address, needs_browser, needs_katex
from tests.browser.chromium import Tab

pytestmark = [needs_katex, needs_browser]

PLAYER = 'document.querySelector("#derivation .player")'
#: The rows that are shown, by their place.
SHOWN = f"[...{PLAYER}.querySelectorAll('.row')].map((r, k) => r.offsetHeight ? k : -1).filter(k => k >= 0)"
NOW = f"[...{PLAYER}.querySelectorAll('.row')].findIndex(r => r.classList.contains('now'))"
#: Whether a mark in each of the rows can be seen.
MARKED = """
[...PLAYER.querySelectorAll(".row.WHICH .katex-html .KIND")].map(m => getComputedStyle(m))
  .some(s => s.borderBottomStyle !== "none" || s.backgroundColor !== "rgba(0, 0, 0, 0)")
"""


def marked(tab: Tab, which: str, kind: str) -> bool:
    return bool(tab.run(MARKED.replace("PLAYER", PLAYER).replace("WHICH", which).replace("KIND", kind)))


def count(tab: Tab) -> int:
    return int(tab.run(f"{PLAYER}.querySelectorAll('.row').length"))


def start(site: Path, tab: Tab, page: str = "batchnorm") -> None:
    tab.open(address(site, page))
    tab.run(f"{PLAYER}.querySelector('.toggle').click()")
    tab.run(f"{PLAYER}.querySelector('input[type=range]').focus()")


def test_all_steps_are_shown_until_one_at_a_time_is_asked_for(site: Path, tab: Tab) -> None:
    tab.open(address(site, "batchnorm"))
    every = list(range(count(tab)))
    assert tab.run(SHOWN) == every
    tab.run(f"{PLAYER}.querySelector('.toggle').click()")
    assert tab.run(SHOWN) == [0]
    tab.run(f"{PLAYER}.querySelector('.toggle').click()")
    assert tab.run(SHOWN) == every


def test_keys_move_through_the_steps_and_stop_at_the_ends(site: Path, tab: Tab) -> None:
    start(site, tab)
    last = count(tab) - 1
    for key, code, place in (
        ("ArrowLeft", 37, 0),
        ("ArrowRight", 39, 1),
        (" ", 32, 2),
        ("ArrowDown", 40, 3),
        ("ArrowUp", 38, 2),
        ("End", 35, last),
        ("ArrowRight", 39, last),
        (" ", 32, last),
        ("Home", 36, 0),
    ):
        tab.press(key, code)
        assert tab.run(NOW) == place, key
        assert tab.run(f"{PLAYER}.querySelector('.step').textContent").startswith(f"{place + 1} of {last + 1}")


def test_every_step_shows_the_rows_so_far_of_one_name(site: Path, tab: Tab) -> None:
    start(site, tab)
    groups = tab.run(f"[...{PLAYER}.querySelectorAll('.row')].map(r => r.closest('.group').id)")
    for place, group in enumerate(groups):
        assert tab.run(NOW) == place
        assert tab.run(SHOWN) == [k for k in range(place + 1) if groups[k] == group]
        tab.press("ArrowRight", 39)


def test_what_came_is_marked_in_the_row_and_what_went_in_the_row_before(site: Path, tab: Tab) -> None:
    start(site, tab)
    starts = tab.run(f"[...{PLAYER}.querySelectorAll('.row')].map(r => !r.previousElementSibling)")
    rewritten = next(k for k, first in enumerate(starts) if not first)
    for _ in range(rewritten):
        tab.press("ArrowRight", 39)
    assert marked(tab, "now", "new") and marked(tab, "before", "old")
    assert not marked(tab, "now", "old") and not marked(tab, "before", "new")


def test_buttons_and_the_slider_need_no_keyboard(site: Path, tab: Tab) -> None:
    start(site, tab)
    last = count(tab) - 1
    for title, place in (("Next step", 1), ("Next step", 2), ("Previous step", 1), ("Last step", last), ("First step", 0)):
        tab.run(f"{PLAYER}.querySelector('[title=\"{title}\"]').click()")
        assert tab.run(NOW) == place
    tab.run(f"(s => {{ s.value = 4; s.dispatchEvent(new Event('input')); }})({PLAYER}.querySelector('input[type=range]'))")
    assert tab.run(NOW) == 3


def test_no_key_is_taken_from_a_field_a_button_or_the_rest_of_the_page(site: Path, tab: Tab) -> None:
    start(site, tab)
    for focus in ('document.querySelector("input[type=search]")', 'document.querySelector(".playground input")'):
        tab.run(f"{focus}.focus()")
        for key, code in (("ArrowRight", 39), ("End", 35), (" ", 32)):
            tab.press(key, code)
        assert tab.run(NOW) == 0, focus
    tab.run(f"{PLAYER}.querySelector('.toggle').focus()")
    tab.press(" ", 32)
    assert tab.run(f"{PLAYER}.classList.contains('single')") is False  # Space pressed the button


def test_it_plays_by_itself_and_stops_when_asked(site: Path, tab: Tab) -> None:
    start(site, tab, "softmax")
    play = f"[...{PLAYER}.querySelectorAll('.moves button')].at(-1)"
    assert tab.run(f"{play}.textContent") == "Play"
    tab.run(f"{play}.click()")
    assert tab.run(f"{play}.textContent") == "Pause"
    tab.run(f"{play}.click()")
    assert tab.run(f"{play}.textContent") == "Play"


def test_where_motion_is_unwanted_nothing_moves_by_itself(site: Path, tab: Tab) -> None:
    tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    start(site, tab)
    tab.press("ArrowRight", 39)
    assert tab.run(f"getComputedStyle({PLAYER}.querySelector('.row.now')).animationName") == "none"
    assert tab.run(f"[...{PLAYER}.querySelectorAll('.moves button')].at(-1).hidden") is True


def test_both_tracks_are_played_each_by_itself(site: Path, tab: Tab) -> None:
    start(site, tab)
    engine = 'document.querySelectorAll("#derivation .player")[1]'
    tab.run(f"{engine}.closest('details').open = true, {engine}.querySelector('.toggle').click()")
    tab.run(f"{engine}.querySelector('input[type=range]').focus()")
    tab.press("ArrowRight", 39)
    assert tab.run(f"[...{engine}.querySelectorAll('.row')].findIndex(r => r.classList.contains('now'))") == 1
    assert tab.run(NOW) == 0


def test_a_rule_leads_to_what_it_means(site: Path, tab: Tab) -> None:
    tab.open(address(site, "batchnorm"))
    tab.open(tab.run(f"{PLAYER}.querySelector('.rule a').href"))
    assert tab.run("document.querySelector('article:target h3').textContent") == "chain rule"
    assert 0 < tab.run("document.querySelector('article:target').getBoundingClientRect().top") < 400


def test_a_link_to_a_hidden_row_shows_it(site: Path, tab: Tab) -> None:
    start(site, tab)
    tab.run('location.hash = "paper-dx"')
    tab.until('document.getElementById("paper-dx").offsetHeight > 0')


# ---- LaTeX ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_latex_of_a_formula_is_copied_also_without_a_clipboard(site: Path, tab: Tab, clipboard: bool) -> None:
    tab.allow_clipboard()
    tab.open(address(site, "tanh"))
    if not clipboard:
        tab.run("Object.defineProperty(navigator, 'clipboard', { value: undefined }), true")
        tab.run("document.execCommand = () => { window.copied = document.activeElement.value; return true; }, true")
    tab.run('document.querySelector(".closed .latex").click()')
    tab.until("document.querySelector('.closed .latex').textContent === 'Copied'")
    copied = tab.run("navigator.clipboard.readText()" if clipboard else "window.copied")
    assert copied == r"\mathrm{d}x_{s} = \mathrm{d}y_{s} \, \left( 1 - y_{s}^{2} \right)"
    assert tab.run("document.activeElement === document.querySelector('.closed .latex')")


def test_every_displayed_formula_can_be_copied_whole_and_without_marks(site: Path, tab: Tab) -> None:
    for page in ("index", "batchnorm", "softmax_cross_entropy"):
        tab.open(address(site, page))
        sources = tab.run('[...document.querySelectorAll(".formula")].map(f => f.dataset.latex ?? "")')
        assert len(sources) == tab.run('document.querySelectorAll(".formula + .latex").length') > 0
        assert all(" = " in s or " &= " in s for s in sources), page
        assert not any(mark in s for s in sources for mark in (r"\new", r"\old", r"\phantom")), page


# ---- without scripts ------------------------------------------------------------------------------------------------------


def test_without_scripts_everything_is_there_but_what_needs_them(site: Path, tab: Tab) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(address(site, "batchnorm"))
        assert tab.run(SHOWN) == list(range(count(tab)))
        hidden = '[".playground", ".search", ".theme"].every(s => document.querySelector(s).offsetHeight === 0)'
        assert tab.run(hidden)
        assert tab.run('document.querySelectorAll(".controls, .latex").length') == 0
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_on_paper_all_steps_are_printed_and_no_button(site: Path, tab: Tab) -> None:
    start(site, tab)
    tab.run("dispatchEvent(new Event('beforeprint')), true")
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert tab.run(SHOWN) == list(range(count(tab)))
        assert tab.run('[...document.querySelectorAll(".controls, .latex, .search")].every(e => e.offsetHeight === 0)')
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
