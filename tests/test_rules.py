"""Rules are data: what a derivation does hangs on which rule a step is of, and on no text that readers see."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import derive
from derive import rounding, rules
from derive.certify import certify
from derive.rules import Rule
from derive.show import show
from derive.show.trees import of_derivation

ROOT = Path(__file__).resolve().parent.parent
RULES = [r for name in rules.__all__ if isinstance(r := getattr(rules, name), Rule)]
ROUNDING = [*rounding.COMMON, *rounding.ACCURATE]


@pytest.fixture
def titles() -> Iterator[None]:
    """Other titles for the rules of all derivations."""
    real = [rule.title for rule in RULES]
    for k, rule in enumerate(RULES):
        object.__setattr__(rule, "title", f"rule {k}")
    yield
    for rule, title in zip(RULES, real, strict=True):
        object.__setattr__(rule, "title", title)


@pytest.mark.parametrize("name", ["softmax", "layernorm", "attention"])
def test_titles_are_for_readers(name: str, titles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under other titles the same steps lead to the same lines, are checked alike and are shown in the same parts."""
    op = derive.load(name)
    renamed = derive.derive(op)
    checked = {(c.name, c.passed) for c in certify(renamed).checks}
    shown = [len(s.groups) for s in show.sections(renamed, tree_of=of_derivation(renamed))]
    for rule, title in zip(RULES, "abcdefgh", strict=False):
        object.__setattr__(rule, "title", title)
    plain = derive.derive(op)
    assert renamed.lines == plain.lines and renamed.steps == plain.steps
    assert checked == {(c.name, c.passed) for c in certify(plain).checks} and all(passed for _, passed in checked)
    assert shown == [len(s.groups) for s in show.sections(plain, tree_of=of_derivation(plain))]


@pytest.mark.parametrize("rule", ROUNDING, ids=lambda rule: rule.title)
def test_a_rule_of_rounding_is_found_by_its_file_name(rule: Rule) -> None:
    path = Path(rounding.__file__).with_name(f"{rule.title.replace(' ', '_')}.py")
    assert f'RULE = Rule("{rule.title}")' in path.read_text(encoding="utf-8").splitlines()


def test_no_two_rules_are_called_alike() -> None:
    titles = [rule.title for rule in (*RULES, *ROUNDING)]
    assert len(titles) == len(set(titles)) == 13


def test_the_names_that_were_used_belong_to_the_step() -> None:
    derivation = derive.derive(derive.load("batchnorm"))
    (said,) = {s.title for s in derivation.steps if s.rule == rules.FOLD and s.using == ("xhat",)}
    assert said == "fold xhat" and rules.CHAIN_RULE.said(("xhat",)) == "chain rule"


#: What readers see of rules, checks, sections and tabs.
FOR_READERS = {"rule", "rules", "title", "heading"}


def decisions(path: Path) -> Iterator[str]:
    """Where a file compares what readers see with a text, or takes it apart."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Compare(left, _, others):
                sides = [left, *others]
            case ast.Call(ast.Attribute(of, "startswith" | "endswith" | "removeprefix" | "removesuffix" | "split")):
                sides = [of, ast.Constant("")]
            case _:
                continue
        read = {s.attr for s in sides if isinstance(s, ast.Attribute)} & FOR_READERS
        if read and any(isinstance(c, ast.Constant) and isinstance(c.value, str) for s in sides for c in ast.walk(s)):
            yield f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("folder", ["derive", "codegen"])
def test_nothing_is_decided_by_what_readers_see(folder: str) -> None:
    assert not [place for path in sorted((ROOT / folder).rglob("*.py")) for place in decisions(path)]
