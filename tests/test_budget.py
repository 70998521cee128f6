"""A derivation takes a stated amount of work, counted and not timed: what needs more is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import derive
from codegen.__main__ import main
from derive import engine
from derive.certify import certify
from derive.errors import OpError
from derive.rules import FOLD, UNFOLD
from derive.simplify import budget, folding, search
from derive.simplify.budget import Budget
from derive.simplify.work import Change
from derive.tangents import tangents
from derive.terms.sums import Sum

#: What a message says of the way out.
WAY_OUT = "make ops of parts of it and chain their gradients"
LAYERS = {
    "sums": "a{k}[n] = {before}[n]*w[n] + x[n]",
    "tanh": "a{k}[n] = tanh({before}[n]*w[n])",
    "norms": "a{k}[n] = {before}[n]/sqrt(mean[n]({before}[n]**2) + 1)",
    "products": "a{k}[n] = {before}[n]*w[n]*sum[n]({before}[n])",
}


def chain(kind: str, count: int) -> str:
    """A system of so many equations, each of which reads the one before it."""
    lines = ["y[n] = f(x[n], w[n])"]
    lines += [LAYERS[kind].format(k=k, before=f"a{k - 1}" if k else "x") for k in range(count)]
    return "\n".join([*lines, f"y[n] = a{count - 1}[n]*x[n]"])


def spent(monkeypatch: pytest.MonkeyPatch, text: str) -> Budget:
    """What deriving an op takes."""
    return spent_with_tangents(monkeypatch, text, only=True)[0]


def spent_with_tangents(monkeypatch: pytest.MonkeyPatch, text: str, only: bool = False) -> list[Budget]:
    """What deriving an op takes, and then, unless that is the ``only`` thing to be done, what deriving its tangents takes."""
    made: list[Budget] = []

    def recorded(op: str, share: float) -> Budget:
        made.append(Budget(op, share))
        return made[-1]

    monkeypatch.setattr(engine, "Budget", recorded)
    derivation = derive.derive(derive.parse(text) if "=" in text else derive.load(text))
    if not only:
        tangents(derivation)
    assert len(made) == 2 - only
    return made


# ---- counted ------------------------------------------------------------------------------------------------------------


def test_the_count_is_the_same_each_time_and_under_every_hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = chain("norms", 2)
    here = spent(monkeypatch, text)
    code = (
        "import derive\nfrom derive import engine\nfrom derive.simplify.budget import Budget\nmade = []\n"
        "engine.Budget = lambda *given: made.append(Budget(*given)) or made[-1]\n"
        f"derive.derive(derive.parse({text!r}))\nprint(made[0].spent, made[0].searched)"
    )
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(derive.__file__).parent.parent)}
        found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert found.stdout.split() == [str(here.spent), str(here.searched)]


@pytest.mark.parametrize("kind", ["sums", "tanh", "products", "norms"])
def test_work_grows_with_the_number_of_equations(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searching has a part of its own; the rest is linear: twice the equations take about twice the work."""
    monkeypatch.setattr(budget, "SEARCH", 500)
    few, many = (spent(monkeypatch, chain(kind, count)) for count in (10, 20))
    assert many.spent - many.searched <= 2.6 * (few.spent - few.searched)
    assert many.searched <= 500 + budget.PATIENCE


@pytest.mark.parametrize("kind", ["sums", "norms"])
def test_the_work_for_tangents_grows_with_the_number_of_equations(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with many terms multiplied into many lines, or inlined on and on, would take more with every equation."""
    few, many = (spent_with_tangents(monkeypatch, chain(kind, count))[1] for count in (15, 30))
    assert many.spent - many.searched <= 3 * (few.spent - few.searched)


def test_inlining_ends_where_its_part_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was inlined till then stays, and the derivation is right."""
    whole = spent(monkeypatch, chain("norms", 8))
    monkeypatch.setattr(budget, "INLINING", 500)
    part = spent(monkeypatch, chain("norms", 8))
    assert part.spent < whole.spent - 1000
    assert certify(derive.derive(derive.parse(chain("norms", 3)))).passed


# ---- refused ------------------------------------------------------------------------------------------------------------


def refused(text: str) -> str:
    with pytest.raises(OpError) as error:
        derive.derive(derive.parse(text))
    return str(error.value)


def test_what_takes_too_much_is_refused_in_one_line_that_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "WORK", 50)
    message = refused(chain("tanh", 4))
    assert "50 steps of work" in message and WAY_OUT in message and "\n" not in message and message.startswith("f")


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(budget, "WORK", 50)
    (tmp_path / "f.txt").write_text(chain("tanh", 4))
    assert main(["emit", str(tmp_path / "f.txt"), "--out", str(tmp_path / "out"), "--backend", "numpy"]) == 1
    captured = capsys.readouterr()
    assert WAY_OUT in captured.err and captured.err.count("\n") == 1 and not captured.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("where", "name"), [(folding.Folding, "once"), (folding.Folding, "elimination")])
def test_a_fold_that_never_ends_is_refused(where: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rules that undo each other: the loop over folds spends too."""
    real = getattr(where, name)

    def turned(self: folding.Folding, expr: Sum, *args: object) -> Change | None:
        real(self, expr, *args)
        return Change(FOLD, -expr, "y")

    monkeypatch.setattr(budget, "WORK", 5_000)
    monkeypatch.setattr(where, name, turned)
    assert WAY_OUT in refused("y[i] = f(x[i])\ny[i] = tanh(x[i])**2")


def test_judging_spends(monkeypatch: pytest.MonkeyPatch) -> None:
    judged = spent(monkeypatch, chain("norms", 3)).spent
    monkeypatch.setattr(budget, "JUDGED", 0)
    assert spent(monkeypatch, chain("norms", 3)).spent < judged


def test_the_budget_is_stated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["emit", "--help"])
    language = (Path(derive.__file__).parent / "LANGUAGE.md").read_text(encoding="utf-8")
    assert f"{budget.WORK:,} steps of work" in " ".join(capsys.readouterr().out.split())
    assert f"{budget.WORK:,} rewritten factors" in language


# ---- searching ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["SEARCH", "PATIENCE"])
def test_without_searching_lines_stay_as_they_are_folded_and_are_right(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = derive.derive(derive.load("layernorm"))
    monkeypatch.setattr(budget, limit, 0)
    plain = derive.derive(derive.load("layernorm"))
    assert not any(step.rule == UNFOLD for step in plain.steps)
    assert any(step.rule == UNFOLD for step in searched.steps)
    certificate = certify(plain)
    assert certificate.passed, certificate.summary()


def test_a_search_that_finds_something_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience is counted from the last find."""
    refills = 0
    real = budget.Purse.refill

    def counted(self: budget.Purse) -> None:
        nonlocal refills
        refills += 1
        real(self)
        assert not self.empty()

    monkeypatch.setattr(budget.Purse, "refill", counted)
    derive.derive(derive.load("sigmoid"))
    assert refills


def test_the_catalogue_searches_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most expensive op of the catalogue stays within what there is for searching."""
    assert spent(monkeypatch, "makemore").searched < budget.SEARCH


def test_a_long_term_keeps_its_names() -> None:
    """A product of all layers written out has a factor for each: nobody reads that, and it grows with the square."""
    for line in derive.derive(derive.parse(chain("products", 20))).lines:
        assert not search.wide(line.body), line.name
