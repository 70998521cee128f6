"""Printing: precedence, every node in every printer, the way back through the parser, and whole derivations."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from derive import syntax
from derive.derivation import Derivation, Line, Step
from derive.errors import OpError
from derive.language.parse import parse
from derive.language.unicode import language, text
from derive.rules import CHAIN_RULE, FOLD, INLINE, UNFOLD
from derive.show import show
from derive.show.latex import equation_lines, escape, latex, left_side, width
from derive.syntax import (
    Add,
    AffineRead,
    Call,
    Compare,
    Const,
    Div,
    Indicator,
    Lookup,
    Match,
    Mul,
    Neg,
    Num,
    Position,
    Pow,
    Read,
    Reduce,
    Size,
    Tree,
)
from derive.terms.definitions import Definition
from derive.terms.sums import Mono, Sum
from derive.terms.sums import Read as FlatRead

a, b, c = Read("a"), Read("b"), Read("c")
x, z = Read("x", ("n",)), Read("z", ("n", "c"))


def num(top: int, bottom: int = 1) -> Num:
    return Num(Fraction(top, bottom))


#: tree, for the terminal, in the language, in LaTeX
PRECEDENCE = [
    (Add((a, Neg(Add((b, Neg(c)))))), "a - (b - c)", "a - (b - c)", "a - (b - c)"),
    (Neg(Pow(a, num(2))), "-a²", "-a**2", "-a^{2}"),
    (Pow(Neg(a), num(2)), "(-a)²", "(-a)**2", "(-a)^{2}"),
    (Pow(Pow(a, num(2)), num(3)), "(a²)³", "(a**2)**3", r"\left( a^{2} \right)^{3}"),
    (Div(num(1), Mul((a, b))), "1/(a·b)", "1/(a*b)", r"\frac{1}{a \, b}"),
    (Div(a, Div(b, c)), "a/(b/c)", "a/(b/c)", r"\frac{a}{\frac{b}{c}}"),
    (Div(Div(a, b), c), "a/b/c", "a/b/c", r"\frac{\frac{a}{b}}{c}"),
    (Mul((a, Div(b, c))), "a·(b/c)", "a*(b/c)", r"a \, \frac{b}{c}"),
    (Mul((Add((a, b)), c)), "(a + b)·c", "(a + b)*c", r"(a + b) \, c"),
    (Pow(a, num(-1, 2)), "a^(-1/2)", "a**(-1/2)", r"\frac{1}{\sqrt{a}}"),
    (Pow(a, num(1, 2)), "sqrt(a)", "sqrt(a)", r"\sqrt{a}"),
    (Pow(a, num(-2)), "a⁻²", "a**(-2)", r"\frac{1}{a^{2}}"),
    (Pow(Add((a, b)), num(3, 2)), "(a + b)^(3/2)", "(a + b)**(3/2)", "(a + b)^{3/2}"),
    (Neg(Add((a, b))), "-(a + b)", "-(a + b)", "-(a + b)"),
    (Neg(Neg(a)), "-(-a)", "-(-a)", "-(-a)"),
    (Mul((a, Neg(b))), "a·(-b)", "a*(-b)", r"a \, (-b)"),
    (Add((a, Mul((num(-2), b)))), "a - 2·b", "a - 2*b", r"a - 2 \, b"),
    (Mul((num(-1), a, b)), "-a·b", "-a*b", r"-a \, b"),
    (Div(Neg(a), b), "-a/b", "-a/b", r"-\frac{a}{b}"),
    (Mul((num(1, 2), a)), "1/2·a", "1/2*a", r"\frac{1}{2} \, a"),
    (Mul((a, num(3))), "a·3", "a*3", r"a \cdot 3"),
    (Pow(num(1, 2), num(2)), "(1/2)²", "(1/2)**2", r"\left( \frac{1}{2} \right)^{2}"),
    (Mul((a, num(44715, 10**6))), "a·0.044715", "a*0.044715", r"a \cdot 0.044715"),
    (Add((a, num(1, 10**5))), "a + 1e-05", "a + 1e-05", "a + 10^{-5}"),
    (Mul((num(123456789012345678, 10**18), a)), "0.12345678901234568·a", "0.123456789012345678*a", r"0.12345678901234568 \, a"),
    (Add((a, num(1, 10**320))), "a + 1e-320", "a + 1e-320", "a + 10^{-320}"),
    (Add((a, num(1, 6 * 10**20))), "a + 1.6666666666666666e-21", "a + 1/6e+20", r"a + 1.6666666666666666 \cdot 10^{-21}"),
]

#: a tree for each kind of node, for the terminal, in the language, in LaTeX
NODES = [
    (Const("pi"), "π", "pi", r"\pi"),
    (Size("n"), "size(n)", "size(n)", "N_{n}"),
    (z, "z[n,c]", "z[n, c]", "z_{n,c}"),
    (Read("z", ("n", Lookup("t", ("n",)))), "z[n,t[n]]", "z[n, t[n]]", "z_{n,t_{n}}"),
    (
        AffineRead("z", (Position("n"), Add((Mul((num(2), Position("c"))), Neg(Position("n")))))),
        "z[n,2·c - n]",
        "z[n, 2*c - n]",
        r"z_{n,2 \, c - n}",
    ),
    (Call("exp", (x,)), "exp(x[n])", "exp(x[n])", "e^{x_{n}}"),
    (Call("tanh", (Div(a, b),)), "tanh(a/b)", "tanh(a/b)", r"\tanh\left( \frac{a}{b} \right)"),
    (Pow(Call("tanh", (a,)), num(2)), "tanh(a)²", "tanh(a)**2", r"\tanh^{2}(a)"),
    (Call("abs", (a,)), "abs(a)", "abs(a)", "|a|"),
    (Call("erf", (a,)), "erf(a)", "erf(a)", r"\operatorname{erf}(a)"),
    (Call("maximum", (a, b)), "maximum(a, b)", "maximum(a, b)", r"\max(a, b)"),
    (
        Call("where", (Compare(">=", a, num(0)), a, Neg(b))),
        "where(a ≥ 0, a, -b)",
        "where(a >= 0, a, -b)",
        r"\begin{cases} a & \text{if } a \ge 0 \\ -b & \text{otherwise} \end{cases}",
    ),
    (Reduce("sum", ("n", "c"), z), "sum[n,c](z[n,c])", "sum[n, c](z[n, c])", r"\sum_{n,c} z_{n,c}"),
    (Reduce("mean", ("n",), x), "mean[n](x[n])", "mean[n](x[n])", r"\frac{1}{N_{n}} \sum_{n} x_{n}"),
    (Reduce("max", ("c'",), Read("z", ("n", "c'"))), "max[c'](z[n,c'])", "max[c](z[n, c])", r"\max_{c'} z_{n,c'}"),
    (Indicator(Match("c", Lookup("t", ("n",)))), "[c = t[n]]", "(c == t[n])", r"[\,c = t_{n}\,]"),
    (
        Indicator(Compare("<", Add((Position("i"), Neg(Position("j")))), num(3))),
        "[i - j < 3]",
        "where(i - j < 3, 1, 0)",
        r"[\,i - j < 3\,]",
    ),
    (Compare("!=", Position(Lookup("t", ("n",))), num(-100)), "t[n] ≠ -100", "t[n] != -100", r"t_{n} \ne -100"),
    (Indicator(Compare("!=", a, b)), "[a ≠ b]", "where(a != b, 1, 0)", r"[\,a \ne b\,]"),
]


@pytest.mark.parametrize(("tree", "terminal", "python", "tex"), [*PRECEDENCE, *NODES])
def test_spelling(tree: Tree, terminal: str, python: str, tex: str) -> None:
    assert (text(tree), language(tree), latex(tree)) == (terminal, python, tex)


def test_every_kind_of_node_is_spelled_above() -> None:
    seen = {type(n) for tree, *_ in [*PRECEDENCE, *NODES] for n in syntax.walk(tree)}
    assert seen == set(Tree.__args__)


def test_a_sum_sign_does_not_reach_over_the_next_factor() -> None:
    total = Reduce("sum", ("n",), x)
    assert latex(Mul((total, a))) == r"\left( \sum_{n} x_{n} \right) \, a"
    assert latex(Mul((a, total))) == r"a \, \sum_{n} x_{n}"
    assert latex(Reduce("sum", ("n",), Add((x, a)))) == r"\sum_{n} (x_{n} + a)"


@pytest.mark.parametrize(
    ("name", "tex"),
    [
        ("gamma", r"\gamma"),
        ("eps", r"\varepsilon"),
        ("xhat", r"\hat{x}"),
        ("dxhat", r"\mathrm{d}\hat{x}"),
        ("dot", r"\mathrm{dot}"),
        ("rstd", r"\mathrm{rstd}"),
        ("logit_maxes", r"\mathrm{logit\_maxes}"),
        ("W1", "W_{1}"),
        ("bndiff2", r"\mathrm{bndiff2}"),
    ],
)
def test_names_in_latex(name: str, tex: str) -> None:
    assert latex(Read(name), adjoints=frozenset({"dxhat"})) == tex


def test_numbered_names_leave_room_for_the_index() -> None:
    assert left_side("W1", ("k", "n'")) == "W^{(1)}_{k,n'}"
    assert latex(Pow(Read("W1", ("k",)), num(2))) == r"\left( W^{(1)}_{k} \right)^{2}"


def test_the_language_avoids_capture_and_marks_stars() -> None:
    captured = Reduce("sum", ("n'",), Mul((Read("x", ("n'", "s")), Read("y", ("n", "s")))))
    assert language(captured, stars=frozenset("s")) == "sum[n2](x[n2, *s]*y[n, *s])"
    assert language(Reduce("sum", ("s",), Read("x", ("n", "s"))), stars=frozenset("s")) == "sum[s](x[n, *s])"


# ---- there and back -------------------------------------------------------------------------------------------------------

_SIGNATURE = "y[n] = f(a, b, x[n], z[n, c], t[n])\nt[n] in c\ny[n] = "
_PICKED = Read("z", ("n", Lookup("t", ("n",))))
_LEAVES = some.sampled_from([a, b, x, _PICKED, Size("c"), Const("pi"), num(2), num(-3), num(1, 2)])


def _nodes(inner: some.SearchStrategy[Tree]) -> some.SearchStrategy[Tree]:
    pair = some.tuples(inner, inner)
    return some.one_of(
        some.builds(Neg, inner),
        some.builds(Add, pair),
        some.builds(Mul, some.lists(inner, min_size=2, max_size=3).map(tuple)),
        some.builds(Div, inner, inner),
        some.builds(Pow, inner, some.sampled_from([num(2), num(-1), num(-1, 2), num(1, 2)])),
        some.builds(Call, some.just("exp"), some.tuples(inner)),
        some.builds(lambda p: Call("maximum", p), pair),
        some.builds(lambda p: Call("where", (Compare("<", p[0], num(0)), *p)), pair),
        some.builds(lambda t: Reduce("sum", ("c'",), Mul((Read("z", ("n", "c'")), t))), inner),
    )


def value(node: Tree, at: dict[str, int]) -> float:
    """The value of an expression on small fixed tensors; ``at`` are the values of its indices."""
    data = {"a": 0.7, "b": -1.3, "x": [0.4, -0.6], "t": [2, 0], "z": [[0.2, 0.5, -0.1], [-0.8, 0.3, 1.1]]}

    def position(index: syntax.Index) -> int:
        return at[index] if isinstance(index, str) else data[index.name][position(index.index[0])]

    match node:
        case Num(v):
            return float(v)
        case Const():
            return 3.140625
        case Size():
            return 3.0
        case Read(name, index):
            element = data[name]
            for i in index:
                element = element[position(i)]
            return element
        case Neg(arg):
            return -value(arg, at)
        case Add(args):
            return sum(value(t, at) for t in args)
        case Mul(args):
            out = 1.0
            for t in args:
                out *= value(t, at)
            return out
        case Div(top, bottom):
            below = value(bottom, at)
            return value(top, at) * (1 / below if abs(below) > 1e-9 else 7.0)
        case Pow(base, exp):
            return _power(value(base, at), value(exp, at))
        case Call("exp", (arg,)):
            return 2.0 ** max(-20.0, min(20.0, value(arg, at)))
        case Call("maximum", args):
            return max(value(t, at) for t in args)
        case Call("where", (Compare(_, left, right), yes, no)):
            return value(yes if value(left, at) < value(right, at) else no, at)
        case Reduce(_, (index,), body):
            return sum(value(body, {**at, index: k}) for k in range(3))
    raise AssertionError(node)


def _power(base: float, exp: float) -> float:
    """A power that is total: what it computes does not matter, only that both sides compute the same."""
    return max(-1e6, min(1e6, (abs(base) + 0.1) ** exp))


@settings(max_examples=150, deadline=None)
@given(some.recursive(_LEAVES, _nodes, max_leaves=8))
def test_the_parser_reads_back_what_the_printer_writes(tree: Tree) -> None:
    try:
        back = parse(_SIGNATURE + language(tree)).equations[0].rhs
    except OpError as error:
        assert "has no value" in str(error)  # the root of a negative number, say
        return
    for n in range(2):
        assert value(back, {"n": n}) == pytest.approx(value(tree, {"n": n}), rel=1e-9, abs=1e-9)


# ---- lines and derivations ------------------------------------------------------------------------------------------------

_LONG = Mul((a, Add(tuple(Mul((Call("exp", (z,)), Read(f"name{k}", ("n", "c")))) for k in range(12)))))


def test_long_equations_are_broken_at_signs_within_the_limit() -> None:
    lines = equation_lines(_LONG, 50)
    assert len(lines) > 2
    assert all(width(line) <= 50 for line in lines)
    assert all(line.startswith("+") for line in lines[1:])
    assert "".join(lines).count(r"\bigl(") + "".join(lines).count(r"\biggl(") == 1
    assert equation_lines(_LONG, 1000) == [latex(_LONG)]


def test_text_for_latex_is_escaped() -> None:
    assert escape("100% of a_b & {c}") == r"100\% of a\_b \& \{c\}"


class Trees(dict[Sum, Tree]):
    """Bodies that stand for trees: printing does not look into them."""

    def body(self, tree: Tree) -> Sum:
        body = Sum({Mono(((FlatRead(f"body{len(self)}"), 1),)): 1})
        self[body] = tree
        return body

    def tree_of(self, body: Sum, index: tuple[str, ...]) -> Tree:
        return self[body] if body else num(0)


@pytest.fixture
def sample() -> tuple[Derivation, Trees]:
    op = parse("y[n, *s] = scale(x[n, *s], g[n], eps=1e-5)\neps > 0\ny[n, *s] = g[n]*x[n, *s]*exp(eps)", source="A & B")
    trees = Trees()
    dy, g, u = Read("dy", ("n", "s")), Read("g", ("n",)), Read("u1", ("n",))
    steps = [trees.body(t) for t in (Read("dx", ("n", "s")), Mul((dy, u)), Mul((dy, u)), Mul((g, dy)), _LONG)]
    made = Definition("u1", ("n",), trees.body(g))
    rules = [(CHAIN_RULE, ""), (INLINE, "u2"), (FOLD, "g_n"), (UNFOLD, "u1")]
    line = Line("dx", ("n", "s"), steps[-1], _LONG)
    derivation = Derivation(
        op=op,
        written=(),
        stable=(),
        forward=(made,),
        chain=(Definition("dx", ("n", "s"), steps[1]),),
        steps=tuple(Step(r, "dx", ("n", "s"), p, q, (u,)) for (r, u), p, q in zip(rules, steps[:-1], steps[1:], strict=True)),
        lines=(line,),
        gradients=("dx",),
    )
    return derivation, trees


def test_the_terminal_shows_steps_with_their_rules(sample: tuple[Derivation, Trees]) -> None:
    derivation, trees = sample
    lines = show.show_text(derivation, tree_of=trees.tree_of).splitlines()
    assert lines[:2] == ["y[n, *s] = scale(x[n, *s], g[n], eps=1e-5)", "eps > 0"]
    assert "u1[n] = g[n]" in lines
    at = lines.index("derivation")
    assert lines[at + 2].split("  ")[0] == "dx[n,s] = dy[n,s]·u1[n]"
    assert lines[at + 2].endswith("(chain rule, inline u2)")
    assert lines[at + 3].startswith("        = g[n]·dy[n,s]")
    assert max(map(len, lines)) <= 100


def test_full_shows_the_chain_instead_of_the_steps(sample: tuple[Derivation, Trees]) -> None:
    derivation, trees = sample
    shown = show.show_text(derivation, tree_of=trees.tree_of, full=True)
    assert "dx[n,s] = dy[n,s]·u1[n]" in shown
    assert "fold g_n" not in shown


def test_latex_numbers_the_steps_and_boxes_the_result(sample: tuple[Derivation, Trees]) -> None:
    derivation, trees = sample
    shown = show.show_latex(derivation, tree_of=trees.tree_of)
    assert r"\text{fold g\_n}" in shown
    assert shown.count(r"\boxed{") == 1
    assert r"\mathrm{d}x_{n,s}" in shown


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_the_document_compiles_without_wide_lines(sample: tuple[Derivation, Trees], tmp_path) -> None:  # type: ignore[no-untyped-def]
    derivation, trees = sample
    (tmp_path / "sample.tex").write_text(show.latex_document(derivation, trees.tree_of), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "sample.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
