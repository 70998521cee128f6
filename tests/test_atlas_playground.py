"""The playground: the interpreter of equations that the pages have, against finite differences, torch and mpmath."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import mpmath
import pytest
import torch

from codegen.tools.atlas.playground import ENTRIES, Playground, lengths, playground_section
from codegen.tools.atlas.terms import SPELLED, Line, line_data, unspelled
from codegen.verify.agreement import packed
from derive import derive, load, parse, parse_formula
from derive.functions.records import RECORDS
from derive.functions.words import NARY
from derive.ops import names, reference, variants
from derive.show.latex import LatexPrinter
from tests.browser.atlas import OPS, address, needs_browser, needs_katex
from tests.browser.chromium import Tab
from tests.long import each

#: The model of a page as it is at first: its program, its values, and every gradient beside a finite difference.
MODEL = """
(() => {
  const model = new atlas.Model(JSON.parse(document.querySelector(".playground script").textContent));
  const values = model.values();
  const compared = model.differentiable.flatMap(({ name, adjoint }) =>
    values[adjoint].map((gradient, place) => model.compared(name, place, gradient)));
  return { program: model.program, values, compared };
})()
"""
#: The steps that differences are taken with are near 2**-17, so that their errors are near the square of it.
LARGEST_ERROR = 1e-7


def content(text: str) -> Playground:
    found = playground_section(derive(parse(text)), LatexPrinter(frozenset())).content
    assert isinstance(found, Playground)
    return found


# ---- what needs no browser ------------------------------------------------------------------------------------------------


def test_every_function_of_the_language_has_a_spelling() -> None:
    assert SPELLED | {"where"} == RECORDS.keys() | NARY.keys()


def test_a_function_without_a_spelling_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen.tools.atlas.terms.SPELLED", SPELLED - {"tanh"})
    found = content("y[i] = f(x[i])\n\ny[i] = tanh(x[i])")
    assert found.refused == "The pages have no spelling for the function tanh." and not found.pairs
    assert unspelled([Line("y", ("i",), parse_formula("y[i] = exp(x[i])").equations[0].rhs)]) is None


@pytest.mark.parametrize("rhs", ["x[i - 1]", "where(i > 2, x[i], 0)"])
def test_positions_have_no_spelling(rhs: str) -> None:
    found = content(f"y[i] = f(x[i])\n\ny[i] = {rhs}")
    assert found.refused == "The pages have no spelling for conditions on indices, and reads at sums of them."


@pytest.mark.parametrize("name", each(names(), variants()))
def test_tensors_are_small_tables_with_values_within_their_bounds(name: str) -> None:
    op = load(name)
    sizes = lengths(op)
    assert all(math.prod(sizes[a] for a in t.axes) <= ENTRIES for t in op.inputs)
    found = playground_section(derive(op), LatexPrinter(frozenset())).content
    assert isinstance(found, Playground) and not found.refused
    program = found.program.value
    assert [t["name"] for t in program["inputs"]] == [t.name for t in op.inputs]
    for given in (*program["inputs"], *program["constants"]):
        assert all(given.get("low", -math.inf) < v < given.get("high", math.inf) for v in given["values"])
        if "labels" in given:
            assert all(0 <= v < sizes[given["labels"]] for v in given["values"])


def test_equations_are_plain_data() -> None:
    equation = parse("y[i] = f(a[i, j], t[i], k=2)\n\nt[i] in j\ny[i] = k*a[i, t[i]]/size(j) - sum[j](a[i, j]**2)").equations[0]
    data = line_data(Line(equation.name, equation.index, equation.rhs))
    assert json.loads(json.dumps(data)) == [
        "y",
        ["i"],
        [
            "sum",
            ["quotient", ["product", ["read", "k", []], ["read", "a", ["i", ["t", ["i"]]]]], ["size", "j"]],
            ["negative", ["reduce", "sum", ["j"], ["power", ["read", "a", ["i", "j"]], ["number", 2.0]]]],
        ],
    ]


# ---- in the browser -------------------------------------------------------------------------------------------------------


@needs_katex
@needs_browser
@pytest.mark.parametrize("name", OPS)
def test_every_gradient_is_the_finite_difference_of_the_loss(site: Path, tab: Tab, name: str) -> None:
    """Within the error that the step itself states, which is small."""
    tab.open(address(site, name))
    compared = tab.run(MODEL)["compared"]
    assert compared and all(c["distance"] <= c["allowed"] for c in compared)
    assert all(c["allowed"] <= LARGEST_ERROR * max(1, abs(c["value"])) and "below" not in c for c in compared)
    assert tab.run('document.querySelector(".agreement").textContent').startswith(
        f"{len(compared)} of {len(compared)} entries agree."
    )
    assert tab.complaints() == []


@needs_katex
@needs_browser
@pytest.mark.parametrize("name", OPS)
def test_outputs_and_gradients_are_those_of_torch(site: Path, tab: Tab, name: str) -> None:
    tab.open(address(site, name))
    found, op = tab.run(MODEL), load(name)
    program, values, sizes = found["program"], found["values"], found["program"]["sizes"]

    def tensor(values: list[float], axes: list[str], kind: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.tensor(values, dtype=kind).reshape([sizes[a] for a in axes])

    inputs = [tensor(t["values"], t["axes"], torch.int64 if "labels" in t else torch.float64) for t in program["inputs"]]
    wanted = [(t, x.requires_grad_()) for t, x in zip(program["inputs"], inputs, strict=True) if "adjoint" in t]
    constants = {c["name"]: c["values"][0] for c in program["constants"]}
    given = [packed(op, t["name"], x) for t, x in zip(program["inputs"], inputs, strict=True)]
    results = reference(op)(torch, *given, **constants)
    results = results if isinstance(results, tuple) else (results,)
    upstream = [tensor(o["values"], o["axes"]) for o in program["outputs"]]
    gradients = torch.autograd.grad(results, [x for _, x in wanted], upstream)
    for o, result in zip(program["outputs"], results, strict=True):
        assert torch.allclose(tensor(values[o["name"]], o["axes"]), result, rtol=1e-12, atol=1e-12)
    for (t, _), gradient in zip(wanted, gradients, strict=True):
        assert torch.allclose(tensor(values[t["adjoint"]], t["axes"]), gradient, rtol=1e-11, atol=1e-11), t["name"]


@needs_katex
@needs_browser
def test_functions_have_the_values_of_mpmath(site: Path, tab: Tab) -> None:
    tab.open(address(site, "gelu"))
    points = [0.0, 1e-9, 0.3, 0.99, 1.0, 1.01, 2.5, 3.7, 6.0, 20.0]
    for record in RECORDS.values():
        for x in (*points, *(-p for p in points)):
            found = tab.run(f"atlas.functions.{record.name}({x!r}) + 0")  # JSON has no -0
            with mpmath.workdps(30):
                exact = float(record.value(mpmath.mp, mpmath.mpf(x)))
            if math.isfinite(exact):
                assert found == pytest.approx(exact, rel=2e-15 * (1 + x * x), abs=1e-300), (record.name, x)


@needs_katex
@needs_browser
def test_changing_an_entry_moves_the_gradients(site: Path, tab: Tab) -> None:
    tab.open(address(site, "softmax"))
    cells = '[...document.querySelectorAll(".tensor[data-name=dz] output")].map(e => e.textContent)'
    before = tab.run(cells)
    field = 'document.querySelector(".tensor[data-name=z] input")'
    tab.run(f'{field}.focus(), {field}.value = "3", {field}.dispatchEvent(new Event("input", {{ bubbles: true }}))')
    after = tab.run(cells)
    row = len(tab.run('[...document.querySelectorAll(".tensor[data-name=dz] tbody tr:first-child output")].map(e => 1)'))
    assert all(a != b for a, b in zip(before[:row], after[:row], strict=True))
    assert before[row:] == after[row:]  # the rows of a softmax know nothing of each other
    assert tab.run('document.querySelectorAll(".moved").length') > 0
    assert (
        tab.run(f"{field}.getAttribute('aria-label')") == tab.run('document.querySelector(".entry").textContent') == "z[0, 0]"
    )
    assert tab.run('document.querySelector(".chosen input").valueAsNumber') == 3
    tab.run('document.querySelector(".reset").click()')
    assert tab.run(cells) == before


@needs_katex
@needs_browser
def test_other_values_agree_as_well(site: Path, tab: Tab) -> None:
    for name in ("batchnorm", "attention", "softmax_cross_entropy_accurate", "gelu_accurate"):
        tab.open(address(site, name))
        for _ in range(3):
            tab.run('document.querySelector(".again").click()')
            count = re.match(r"(\d+) of (\d+) entries agree", tab.run('document.querySelector(".agreement").textContent'))
            assert count and count[1] == count[2], name


@needs_katex
@needs_browser
def test_at_a_kink_both_slopes_are_told(site: Path, tab: Tab) -> None:
    tab.open(address(site, "relu"))
    field = 'document.querySelector(".tensor[data-name=x] input")'
    tab.run(f'{field}.focus(), {field}.value = "0", {field}.dispatchEvent(new Event("input", {{ bubbles: true }}))')
    told = tab.run('document.querySelector(".compared").textContent')
    upstream = tab.run('document.querySelector(".tensor[data-name=dy] input").value').replace("-", "−")
    assert f"the slope is 0 below and {upstream} above" in told
    assert "1 lies at a kink." in tab.run('document.querySelector(".agreement").textContent')


@needs_katex
@needs_browser
def test_a_wrong_closed_form_does_not_agree(site: Path, tab: Tab) -> None:
    """The comparison is not vacuous: a gradient that is off by a millionth is told apart."""
    tab.open(address(site, "tanh"))
    wrong = """(() => {
      const model = new atlas.Model(JSON.parse(document.querySelector(".playground script").textContent));
      const { distance, allowed } = model.compared("x", 0, model.values().dx[0] * (1 + 1e-6));
      return distance > allowed;
    })()"""
    assert tab.run(wrong) is True
