"""Every rule and sign is explained, with an example in which it really occurs."""

from __future__ import annotations

from pathlib import Path

import pytest

from derive import rounding, rules
from derive.__main__ import main
from derive.engine import derive
from derive.explain import ENTRIES, entry, entry_for, example_of, explained, listed
from derive.language.unicode import text
from derive.ops import load, names, variants
from derive.rules import Rule
from derive.show.show import sections
from derive.show.trees import of_derivation
from derive.syntax import Read
from derive.textbook.pages import textbook_sections
from derive.textbook.paper import textbook
from tests.long import each

TITLES = [r.title for name in rules.__all__ if isinstance(r := getattr(rules, name), Rule)]
TITLES += [r.title for r in (*rounding.COMMON, *rounding.ACCURATE)]


@pytest.mark.parametrize("title", TITLES)
def test_every_rule_is_explained(title: str) -> None:
    assert entry(title).name == title and not entry(title).sign


@pytest.mark.parametrize("name", [e.name for e in ENTRIES])
def test_the_example_has_what_it_explains(name: str) -> None:
    found = entry(name)
    rows = example_of(found).rows
    assert 1 <= len(rows) <= 2
    if found.sign:
        assert any(
            found.sign in f"{text(Read(r.name, r.index))} = {text(r.tree)} {r.beside.text if r.beside else ''}" for r in rows
        )
    else:
        assert any(entry_for(rule) == found for rule in rows[-1].rules)
    shown = explained(found)
    assert text(rows[-1].tree).split(" ")[0] in shown and max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("name", each(names(), variants()))
def test_every_label_beside_a_line_of_the_catalogue_has_an_entry(name: str) -> None:
    op = load(name)
    derivation = derive(op)
    shown = [*sections(derivation, tree_of=of_derivation(derivation)), *textbook_sections(textbook(op))]
    for rule in {rule for s in shown for g in s.groups for row in g for rule in row.rules}:
        assert entry_for(rule) is not None, rule


def test_names_and_anchors_lead_to_one_entry() -> None:
    assert len({e.name for e in ENTRIES}) == len({e.anchor for e in ENTRIES}) == len(ENTRIES)
    assert entry("FOLD").name == entry("fold xhat").name == "fold"
    assert entry("[c=t[n]]").name == entry("one-hot").name == "[c = t[n]]"
    assert entry("adjoint").name == "dx"
    assert all(c.isalnum() or c == "-" for e in ENTRIES for c in e.anchor)


def test_the_command_lists_all_and_explains_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    assert capsys.readouterr().out == listed()
    assert main(["explain", "split", "log"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("split log\n---------\n") and "(split log)" in shown


def test_an_unknown_name_is_an_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "unfoldd"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("error: 'unfoldd' is no rule and no sign (did you mean 'unfold'?)")


def test_what_is_said_names_no_op(tmp_path: Path) -> None:
    """Explanations are general: examples are ops given as text."""
    for e in ENTRIES:
        assert not any(f" {name} " in f" {e.says} " for name in names() if len(name) > 4)
