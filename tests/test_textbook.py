"""The textbook track: short, in the author's names, equal line by line, and ending in the kernels' gradients."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import cache
from random import Random

import pytest

import derive
from derive import parse
from derive import syntax as st
from derive.certify import NoPoint, stage_of
from derive.certify.textbook import checked_sections, textbook_checks
from derive.engine import derive as derived
from derive.language.unicode import text
from derive.ops import load, names, variants
from derive.show.show import Part, Row, Section, row_lines
from derive.show.trees import of_derivation
from derive.textbook.pages import (
    Statement,
    TextbookRow,
    paper_trees,
    show_textbook,
    textbook_latex,
    textbook_sections,
)
from derive.textbook.paper import Paper, textbook
from tests.long import NETWORKS, each
from tests.systems.generate import generate


@cache
def told(name: str) -> Paper:
    """The paper of an op of the catalogue."""
    return textbook(load(name))


def lines(op: st.Op, part: Part = Part.DERIVATION) -> list[str]:
    """The lines of one part as text: left side, right side, and reasons."""
    sections = {s.part: s.groups for s in textbook_sections(textbook(op))}
    return [line(row) for group in sections[part] for row in group]


def line(row: Row) -> str:
    left = text(st.Read(row.name, row.index)) if row.first else ""
    return f"{left} = {text(row.tree)} ({', '.join(row.rules)})".strip()


@pytest.mark.parametrize("name", each(names(), variants()))
def test_every_line_is_proved(name: str) -> None:
    op = load(name)
    checks = checked_sections(told(name), textbook_sections(told(name)))
    assert all(c.passed for c in checks), [str(c) for c in checks if not c.passed]
    assert {c.name for c in checks if c.rule == "textbook end"} >= {st.adjoint_name(t.name) for t in op.differentiable}


@pytest.mark.parametrize("name", each(names(), variants()))
def test_it_is_told_in_the_authors_names(name: str) -> None:
    """No name of the catalogue's tracks is the engine's; a called op's names have lost their prefix."""
    op = load(name)
    written = {t.name for t in op.inputs} | {c.name for c in op.constants} | {e.name for e in op.equations}
    written |= {e.name.removeprefix("batchnorm_").removeprefix("softmax_cross_entropy_") for e in op.equations}
    known = written | set(map(st.adjoint_name, written))
    for section in textbook_sections(told(name)):
        for row in (row for group in section.groups for row in group):
            assert {row.name, *st.reads(row.tree)} <= known


@pytest.mark.parametrize("name", each(names(), variants()))
def test_a_gradient_has_few_lines_and_ends_in_its_closed_form(name: str) -> None:
    paper = told(name)
    trees = paper_trees(paper)
    sections = {s.part: s.groups for s in textbook_sections(paper)}
    last = {group[0].name: group[-1].tree for group in sections[Part.DERIVATION]}
    assert max(map(len, sections[Part.DERIVATION])) <= 5
    assert all(group[0].rules[0] == "chain rule" for group in sections[Part.DERIVATION])
    for found in paper.derivation.lines:
        assert text(last[found.name]) == text(trees(found.body, found.index))


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid", "batchnorm", "layernorm", "attention"])
def test_it_fits_on_a_page(name: str) -> None:
    shown = show_textbook(load(name)).splitlines()
    steps = sum(len(g) for g in textbook_sections(told(name))[1].groups)
    assert len(shown) <= 24 if steps <= 2 else len(shown) <= 50
    assert max(map(len, shown)) <= 100


def test_cross_entropy_is_told_as_log_softmax() -> None:
    op = load("softmax_cross_entropy")
    assert lines(op, Part.FORWARD)[1:] == [
        "loss = -mean[n](log(p[n,t[n]])) ()",
        "= -mean[n](z[n,t[n]] - log(sum[c](exp(z[n,c])))) (split log p)",
    ]
    assert lines(op) == [
        "dz[n,c] = dloss/size(n)·(exp(z[n,c])/sum[c'](exp(z[n,c'])) - [c = t[n]]) (chain rule)",
        "= dloss/size(n)·(p[n,c] - [c = t[n]]) (fold p)",
    ]
    assert len(show_textbook(op).splitlines()) <= 24


def test_sigmoid_takes_two_lines() -> None:
    assert lines(load("sigmoid")) == [
        "dx[s] = dy[s]·exp(-x[s])/(1 + exp(-x[s]))² (chain rule)",
        "= dy[s]·y[s]·(1 - y[s]) (fold y, exp(-x[s]) = 1/y[s] - 1)",
    ]


def test_batchnorm_and_layernorm_know_that_what_is_centred_sums_to_zero() -> None:
    batch, layer = (" | ".join(lines(load(name))) for name in ("batchnorm", "layernorm"))
    assert "= -rstd[d]·sum[n,s](dxhat[n,d,s]) (unfold dc, sum[n,s](xhat[n,d,s]) = 0)" in batch
    assert "= -rstd[s]·sum[d](dxhat[s,d]) (inline dc, sum[d](xhat[s,d]) = 0)" in layer
    assert batch.endswith(
        "= gamma[d]·rstd[d]·(dy[n,d,s] - dbeta[d]/(size(n)·size(s)) - xhat[n,d,s]·dgamma[d]/(size(n)·size(s) - ddof))"
        " (inline dc, dmu)"
    )
    assert layer.endswith(
        "= rstd[s]·(dxhat[s,d] - mean[d'](dxhat[s,d']) - xhat[s,d]·mean[d'](dxhat[s,d']·xhat[s,d'])) (inline dc, dmu)"
    )


def test_attention_has_the_jacobian_of_softmax_and_then_the_shorter_sum() -> None:
    assert lines(load("attention"))[3:5] == [
        "= P[s,i,j]·(dP[s,i,j] - sum[j'](dP[s,i,j']·P[s,i,j'])) (fold P)",
        "= P[s,i,j]·(dP[s,i,j] - sum[d](do[s,i,d]·o[s,i,d])) (unfold dP, fold o)",
    ]


def test_makemore_goes_line_by_line() -> None:
    """Every name between the loss and the inputs has its adjoint, in the order of the chain rule."""
    op = load("makemore")
    groups = textbook_sections(textbook(op))[1].groups
    wanted = {st.adjoint_name(n) for n in (*(e.name for e in op.equations), *(t.name for t in op.differentiable))}
    assert {g[0].name for g in groups} == wanted - {"dloss"}
    assert [g[0].name for g in groups][:4] == ["dlogprobs", "dprobs", "dcounts_sum_inv", "dcounts_sum"]


def test_a_matrix_product_inside_an_equation_gets_a_letter() -> None:
    op = derive.parse_formula("y[n, k] = tanh(sum[j](W2[k, j]*tanh(sum[i](W1[j, i]*x[n, i]))))")
    assert "a[n,j] = sum[i](W1[j,i]·x[n,i]) ()" in lines(op, Part.FORWARD)
    assert "db[n,k] = dy[n,k]·(1 - y[n,k]²) (chain rule)" in lines(op)
    assert all(c.passed for c in textbook_checks(op))


def test_the_names_of_calls_lose_their_prefix_unless_the_short_name_is_taken() -> None:
    twice = derive.parse("""
        z[n, d] = twice(x[n, d], mu[d], g[d], b[d])

        y[n, d] = batchnorm(x[n, d], g[d], b[d])
        z[n, d] = batchnorm(y[n, d], mu[d], b[d])
        """)
    seen = [e.name for e in textbook(twice).derivation.op.equations]
    assert seen[:3] == ["batchnorm_mu", "c", "var"] and {"mu2", "c2", "var2"} <= set(seen)


def broken(sections: list[Section], name: str, place: int) -> list[Section]:
    """The sections with one line of a name doubled."""
    found = []
    for section in sections:
        groups = [list(group) for group in section.groups]
        for group in groups:
            if group[0].name == name and section.part is Part.DERIVATION:
                group[place] = replace(group[place], tree=st.Mul((st.Num(Fraction(2)), group[place].tree)))
        found.append(Section(section.part, groups, section.remark))
    return found


@pytest.mark.parametrize(("op", "name", "place"), [("sigmoid", "dx", 0), ("sigmoid", "dx", 1), ("layernorm", "dmu", 1)])
def test_a_wrong_line_is_found(op: str, name: str, place: int) -> None:
    paper = textbook(load(op))
    checks = checked_sections(paper, broken(textbook_sections(paper), name, place))
    assert [c.name for c in checks if not c.passed] == [name]


def test_a_wrong_fact_is_found() -> None:
    paper = textbook(load("layernorm"))
    sections = textbook_sections(paper)
    (row,) = (r for s in sections for g in s.groups for r in g if isinstance(r, TextbookRow) and r.facts)
    (fact,) = row.facts
    row.facts = [Statement(fact.left, st.Size("d"), fact.index)]
    assert [c.name for c in checked_sections(paper, sections) if not c.passed] == ["dmu"]


def test_a_wrong_chain_rule_is_found() -> None:
    """The lines of a name may be equal and wrong: they are judged by the chain rule over all equations."""
    paper = textbook(load("layernorm"))
    halved = [replace(d, body=d.body.scaled(2)) if d.name == "drstd" else d for d in paper.derivation.chain]
    wrong = replace(paper, derivation=replace(paper.derivation, chain=tuple(halved)))
    ends = [c.name for c in checked_sections(wrong, textbook_sections(paper)) if c.rule == "textbook end" and not c.passed]
    assert {"drstd", "dvar", "dx"} <= set(ends)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "log_softmax", "softmax", "sigmoid", "attention"])
def test_the_shift_is_told_once_and_last(name: str) -> None:
    shown = show_textbook(load(name))
    story, _, remark = shown.partition("remark\n")
    assert "max[" not in story and "maximum(" not in story
    assert "max" in remark and "The values are the same" in remark


@pytest.mark.parametrize("name", each(n for n in names() if n not in NETWORKS))
def test_it_ends_as_the_kernels_do_unless_a_remark_says_otherwise(name: str) -> None:
    """The closed lines are the engine's, letter by letter, where the engine's read no name of its own."""
    op = load(name)
    kernel, paper = derived(op), textbook(op)
    trees, own = paper_trees(paper), of_derivation(kernel)
    ends = {n.name: text(trees(n.body, n.index)) for n in paper.derivation.lines}
    remark = show_textbook(op).partition("remark\n")[2]
    made = {name for d in kernel.forward if not d.author for name in (d.name, st.adjoint_name(d.name))}
    for found in kernel.lines:
        reads = set(st.reads(own(found.body, found.index)))
        if found.name in ends and not made & reads and reads <= set(st.reads(trees(found.body, found.index))):
            assert len(ends[found.name]) <= len(text(own(found.body, found.index))) + 2 or f"\n{found.name}[" in remark


@pytest.mark.parametrize("start", range(0, 40, 8))
def test_random_systems_are_told_rightly(start: int) -> None:
    for seed in range(start, start + 8):
        op = derive.parse(generate(Random(f"textbook:{seed}")))
        try:
            stage_of(textbook(op).derivation.op, 0)
        except NoPoint:
            continue
        failed = [str(c) for c in textbook_checks(op) if not c.passed]
        assert not failed, f"{failed}\n{op.text}"


def test_facts_are_typeset() -> None:
    assert r"\text{fold y, $e^{-x_{s}} = \frac{1}{y_{s}} - 1$}" in textbook_latex(load("sigmoid"))
    assert r"$\sum_{d} \hat{x}_{s,d} = 0$" in textbook_latex(load("layernorm"))


@pytest.mark.parametrize("name", each(names(), variants()))
def test_no_name_of_the_engine_is_typeset(name: str) -> None:
    """A numbered name such as t3 would be typeset with its number in brackets; only the author's own have one."""
    own = {e.name for e in load(name).equations} | {t.name for t in load(name).inputs}
    numbered = {f"{n.rstrip('0123456789')}^{{({n[len(n.rstrip('0123456789')) :]})}}" for n in own if n[-1].isdigit()}
    assert {m[0] for m in re.finditer(r"[A-Za-z]\^\{\(\d+\)\}", textbook_latex(load(name)))} <= numbered


def test_a_line_that_only_hidden_parts_explain_is_left_out() -> None:
    """1 - 1/(1 + exp(z)) is no shorter than exp(z)/(1 + exp(z)), and no name of the author's is in it."""
    assert lines(derive.parse_formula("y[n] = log(1 + exp(z[n]))")) == ["dz[n] = dy[n]·exp(z[n])/(1 + exp(z[n])) (chain rule)"]


@pytest.mark.parametrize("formula", ["L = -mean[n](log(exp(z[n, t[n]])/sum[c](exp(z[n, c]))))", "H = log(exp(a[i])*exp(b[i]))"])
def test_a_logarithm_is_split_where_it_meets_an_exponential(formula: str) -> None:
    if "H" in formula:
        formula = formula.replace("H", "H[i]")
    op = derive.parse_formula(formula)
    assert "(split log)" in " ".join(lines(op, Part.FORWARD))
    assert all(c.passed for c in textbook_checks(op))


@pytest.mark.parametrize("outputs", ["loss", "loss, lse[n]"])
def test_a_logarithm_that_the_author_named_is_read_where_another_is_split(outputs: str) -> None:
    """``log(p)`` is ``z - lse``, so that ``dlse`` has a part that the author's equations send by ``p``."""
    op = derive.parse(
        f"{outputs} = named(z[n, c], t[n])\nt[n] in c\np[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))\n"
        "lse[n] = log(sum[c](exp(z[n, c])))\nloss = mean[n](lse[n]**2 - log(p[n, t[n]]))"
    )
    assert "lse[n])" in next(s for s in lines(op, Part.FORWARD) if "split log" in s)
    failed = [str(c) for c in textbook_checks(op) if not c.passed]
    assert not failed


def test_a_logarithm_of_named_steps_stays() -> None:
    """Where the author named the exponentials, each of these steps has its own line."""
    assert "split log" not in show_textbook(load("makemore"))


# ---- as it is published ---------------------------------------------------------------------------------------------------


def closed(equations: str, name: str) -> str:
    """The last line of a name in the textbook track of an op."""
    sections = textbook_sections(textbook(parse(equations)))
    return [text(row.tree) for s in sections for g in s.groups for row in g if row.name == name][-1]


@pytest.mark.parametrize(
    ("equations", "name", "expected"),
    [
        (
            "loss = f(z[n, c], t[n], eps=0.1)\nt[n] in c\nlogp[n, c] = z[n, c] - log(sum[c](exp(z[n, c])))\n"
            "loss = -mean[n]((1 - eps)*logp[n, t[n]] + eps*mean[c](logp[n, c]))",
            "dz",
            "dloss/size(n)·(exp(z[n,c])/sum[c'](exp(z[n,c'])) - eps/size(c) - (1 - eps)·[c = t[n]])",
        ),
        (
            "y[n, o] = f(x[n, k], V[k, o], g[o])\nr[o] = sqrt(sum[k](V[k, o]**2))\nW[k, o] = g[o]*V[k, o]/r[o]\n"
            "y[n, o] = sum[k](x[n, k]*W[k, o])",
            "dV",
            "(dW[k,o]·g[o] - W[k,o]·dg[o])/r[o]",
        ),
        ("y[n] = f(x[n, c])\ny[n] = log(sum[c](exp(x[n, c])))", "dx", "dy[n]·exp(x[n,c])/sum[c'](exp(x[n,c']))"),
    ],
)
def test_what_terms_have_in_common_stands_in_front(equations: str, name: str, expected: str) -> None:
    assert closed(equations, name) == expected


def test_the_argument_of_a_called_op_gets_a_letter_where_its_name_is_taken() -> None:
    op = parse(
        "y[n, u] = f(x[n, k], h[n, u], W[k, u], V[k, u])\nz[n, u] = sigmoid(sum[k](x[n, k]*W[k, u]))\n"
        "r[n, u] = sigmoid(sum[k](x[n, k]*V[k, u]))\ny[n, u] = z[n, u]*h[n, u] + r[n, u]"
    )
    assert [e.name for e in textbook(op).derivation.op.equations] == ["a", "z", "b", "r", "y"]


def test_a_choice_is_broken_between_its_parts() -> None:
    factors = tuple(st.Read(f"factor{k}", ("n",)) for k in range(9))
    below = st.Compare("<", st.Add((st.Read("m", ("n",)), st.Neg(st.Read("q", ("n",))))), st.Num(Fraction(0)))
    tree = st.Call("where", (below, st.Num(Fraction(0)), st.Mul(factors)))
    first, second = row_lines(Row("dx", ("n",), tree, True), 100)
    assert first == "dx[n] = where(m[n] - q[n] < 0, 0," and second.strip().startswith("factor0[n]·")
