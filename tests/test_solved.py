"""What an equality row determines is printed solved: golden derivations, and what is printed is what is derived."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest

import derive
from codegen.backends.discovery import by_name
from derive import syntax as st
from derive.certify import certify
from derive.certify.stage import Stage, stage_of
from derive.language.unicode import language, text
from derive.show import placed
from derive.show.latex import latex
from derive.show.solved import in_op, solved
from derive.show.trees import of_derivation
from derive.terms.comparisons import place
from tests.judged import kernel, lines

CONV = """
    y[n, o, i] = conv(x[n, c, l], W[o, c, k], b[o, i], pad=1)
    y[n, o, i] = b[o, i] + sum[c, k](x[n, c, i + k - pad]*W[o, c, k])
"""
DILATED = """
    y[n, o, i] = conv(x[n, c, l], W[o, c, k], b[o, i], pad=1)
    y[n, o, i] = b[o, i] + sum[c, k](x[n, c, 2*i + 3*k - pad]*W[o, c, k])
"""
STRIDED = """
    y[n, o, i] = conv(x[n, c, l], W[o, c, k], b[o, i], pad=1, stride=2)
    y[n, o, i] = b[o, i] + sum[c, k](x[n, c, i*stride + k - pad]*W[o, c, k])
"""
PLANAR = """
    y[n, o, i, j] = conv(x[n, c, h, w], W[o, c, k, m], b[o, i, j], pad=1)
    y[n, o, i, j] = b[o, i, j] + sum[c, k, m](x[n, c, i + k - pad, j + m - pad]*W[o, c, k, m])
"""
SHIFT = """
    y[i] = shift(x[i])
    y[i] = x[i - 1] + x[i]
"""
LARGEST = """
    y[n, i] = largest(x[n, i], w[k])
    y[n, i] = max[k](x[n, i + k])
"""
AVERAGE = """
    y[n, i] = average(x[n, l], b[i], w[k])
    y[n, i] = b[i] + sum[k](x[n, 2*i + k - 1])/size(k)
"""
RUNNING = """
    c[i] = running(x[i])
    c[i] = sum[j](where(j <= i, x[j], 0))
"""


def printed(op: str) -> list[str]:
    """The equations and the closed forms of an op as they are printed."""
    derivation = derive.derive(derive.parse(lines(op)))
    tree = of_derivation(derivation)
    rows = [(e.name, e.index, in_op(derivation.op, e.rhs)) for e in derivation.op.equations]
    rows += [(line.name, line.index, tree(line.body, line.index)) for line in derivation.lines]
    return [f"{text(st.Read(name, index))} = {text(tree)}" for name, index, tree in rows]


# ---- golden derivations -------------------------------------------------------------------------------------------------


def test_a_convolution_is_sent_back_by_its_flipped_kernel() -> None:
    assert printed(CONV) == [
        "y[n,o,i] = b[o,i] + sum[c,k](x[n,c,i + k - pad]·W[o,c,k])",
        "dx[n,c,l] = sum[k,o](dy[n,o,l - k + pad]·W[o,c,k])",
        "dW[o,c,k] = sum[i,n](dy[n,o,i]·x[n,c,i + k - pad])",
        "db[o,i] = sum[n](dy[n,o,i])",
    ]


def test_a_row_between_two_axes_stays_as_a_read_would_make_them_equal() -> None:
    """``b[n, i]`` says that both axes of ``b`` have one length. Here the second may be the shorter one."""
    op = "y[n] = taken(b[n, i], w[n])\ny[n] = sum[i](where(i == n, b[n, i]*w[n], 0))"
    assert printed(op)[0] == "y[n] = sum[i](where(i = n, b[n,i]·w[n], 0))"
    assert certify(derive.derive(derive.parse(op))).passed


def test_a_stride_on_the_only_solvable_index_keeps_the_row() -> None:
    assert printed(DILATED)[:3] == [
        "y[n,o,i] = b[o,i] + sum[c,k](x[n,c,2·i + 3·k - pad]·W[o,c,k])",
        "dx[n,c,l] = sum[i,k,o](where(2·i + 3·k - l = pad, dy[n,o,i]·W[o,c,k], 0))",
        "dW[o,c,k] = sum[i,n](dy[n,o,i]·x[n,c,2·i + 3·k - pad])",
    ]


def test_a_stride_leaves_the_other_index_to_be_solved() -> None:
    assert printed(STRIDED)[1] == "dx[n,c,l] = sum[i,o](dy[n,o,i]·W[o,c,l - i·stride + pad])"


def test_two_rows_are_solved_apart() -> None:
    assert printed(PLANAR)[:3] == [
        "y[n,o,i,j] = b[o,i,j] + sum[c,k,m](x[n,c,i + k - pad,j + m - pad]·W[o,c,k,m])",
        "dx[n,c,h,w] = sum[k,m,o](dy[n,o,h - k + pad,w - m + pad]·W[o,c,k,m])",
        "dW[o,c,k,m] = sum[i,j,n](dy[n,o,i,j]·x[n,c,i + k - pad,j + m - pad])",
    ]


def test_a_shift_is_shifted_back() -> None:
    assert printed(SHIFT) == ["y[i] = x[i - 1] + x[i]", "dx[i] = dy[i] + dy[i + 1]"]


def test_the_maximum_of_a_window_scatters_to_its_maximizers() -> None:
    assert printed(LARGEST)[:2] == [
        "y[n,i] = max[k](x[n,i + k])",
        "dx[n,i] = sum[k](where(x[n,i] = y[n,i - k], dy[n,i - k], 0)/total[n,i - k])",
    ]


def test_a_row_whose_index_nothing_reads_stays() -> None:
    """Without the row, nothing would say that k is one of the window's."""
    assert printed(AVERAGE)[:2] == [
        "y[n,i] = b[i] + sum[k](x[n,2·i + k - 1])/size(k)",
        "dx[n,l] = sum[i,k](where(2·i + k - l = 1, dy[n,i], 0))/size(k)",
    ]


def test_a_running_sum_is_sent_back_by_the_reversed_one() -> None:
    assert printed(RUNNING) == ["c[i] = sum[j](where(j ≤ i, x[j], 0))", "dx[i] = sum[i'](where(i ≤ i', dc[i'], 0))"]


# ---- which index goes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "dx"),
    [
        ("a=9, t=300", "sum[a,o](dy[n,o,s - a + pad]·W[o,c,a])"),
        ("a=300, t=9", "sum[o,t](dy[n,o,t]·W[o,c,s - t + pad])"),
        ("a=8, t=8", "sum[a,o](dy[n,o,s - a + pad]·W[o,c,a])"),  # of equal lengths, that of the adjoint
    ],
)
def test_the_index_with_the_longest_axis_goes(sizes: str, dx: str) -> None:
    op = """
        y[n, o, t] = conv(x[n, c, s], W[o, c, a], b[o, t], pad=1)
        y[n, o, t] = b[o, t] + sum[c, a](x[n, c, t + a - pad]*W[o, c, a])
    """
    given = {name: int(length) for name, length in (pair.split("=") for pair in sizes.split(", "))}
    derivation = derive.derive(replace(derive.parse(lines(op)), sizes=tuple(given.items())))
    line = next(line for line in derivation.lines if line.name == "dx")
    assert text(of_derivation(derivation)(line.body, line.index)) == dx


# ---- what is printed is what is derived ---------------------------------------------------------------------------------

EVERY = [CONV, DILATED, STRIDED, PLANAR, SHIFT, LARGEST, AVERAGE, RUNNING]


@pytest.mark.parametrize("op", EVERY)
def test_what_is_printed_is_certified(op: str) -> None:
    found = certify(derive.derive(derive.parse(lines(op))))
    assert [str(c) for c in found.checks if not c.passed] == []


def test_a_wrong_position_is_found_by_the_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    derivation = derive.derive(derive.parse(lines(CONV)))
    of_derivation.cache_clear()
    monkeypatch.setattr(placed, "place", lambda form: place(form.plus(1)))
    failed = [c.rule for c in certify(derivation).checks if not c.passed]
    of_derivation.cache_clear()
    assert set(failed) == {"shown"}


@pytest.mark.parametrize("op", EVERY)
def test_what_is_printed_reads_back_as_the_same_op(op: str) -> None:
    once = derive.parse(lines(op))
    rows = [f"{e.name}[{', '.join(e.index)}] = {language(in_op(once, e.rhs))}" for e in once.equations]
    again = derive.parse("\n".join([lines(op).splitlines()[0], *rows]))
    assert [line.body for line in derive.derive(again).lines] == [line.body for line in derive.derive(once).lines]


ROWS = ["l == i + k", "i == l + k - 1", "k == i - l", "l == 2*i + 3*k - 2", "2*l == i + k", "l == i - 1", "k + 2*l - 1 == i"]
BODIES = {
    "a product": "x[l]*w[k]",
    "a function": "exp(x[l])*w[k]",
    "a quotient": "w[k]/(2 + x[l]**2)",
    "a reciprocal": "w[k]/(x[l]**2)",
    "a sum": "x[l] + w[k]",
    "a product of sums": "x[l]*sum[j](b[j]*x[l])*w[k]",
    "a factor that is a sum": "w[k]*sum[j](b[j]*x[l])",
    "a term that is a sum": "w[k] + sum[j](b[j]*x[l])",
    "a condition": "where(x[l] > 0, w[k], 0)",
    "no read": "w[k]",
    "an exponential of a sum": "x[l]*w[k]*exp(sum[j](b[j]*x[l]))",
    "other rows": "where(k <= l, x[l]*w[k], 0)",
}
#: What stands around the reduction R.
AROUND = [
    "R",
    "v[i]*R",
    "exp(R)",
    "sum[j](b[j]*R)",
    "sum[j](b[j] + R)",
    "max[j](b[j] + R)",
    "1/(2 + R)",
    "sum[j](b[j]/(2 + R))",
]


@pytest.mark.parametrize("over", ["k, l", "l", "k"])
@pytest.mark.parametrize("body", BODIES)
def test_solved_sums_have_the_values_and_derivatives_of_their_rows(body: str, over: str) -> None:
    """With the row and without it, by the evaluator of printed trees. ``l`` or ``k`` may also be free."""
    free = "".join(f", {i}" for i in "kl" if i not in over)
    count = 0
    for written, around in product(ROWS, AROUND):
        whole = around.replace("R", f"sum[{over}](where({written}, {BODIES[body]}, 0))")
        op = derive.parse(f"y[i{free}] = op(x[l], w[k], b[j], v[i])\ny[i{free}] = v[i]*({whole})\n")
        tree = in_op(op, op.equations[0].rhs)
        stage = stage_of(op, 0)
        assert gradients(stage, tree) == gradients(stage, op.equations[0].rhs), text(tree)
        count += tree != op.equations[0].rhs
    assert count > 0 or (over != "k, l" and body != "a product")


def gradients(stage: Stage, tree: st.Tree) -> list[list[float]]:
    """The value of the output, if its equation has this right side, and what it sends back to each input."""
    trees, ((name, index),) = stage.trees(), [(e.name, e.index) for e in stage.op.equations]
    values = trees.define(name, index, tree)
    sent = {name: [stage.numbers.number(Fraction(k % 5 - 2)) for k in range(len(values))]}
    back = trees.gradients(sent, [t.name for t in stage.op.inputs])
    return [[round(float(v), 12) for v in column] for column in (values, *back.values())]


def test_an_extremum_ignores_what_is_absent_and_nothing_is_no_element() -> None:
    """The maximum over k of x[i + k], and of nothing: there the row stays, as an absent read outside a reduction is 0."""
    x, row = st.Read("x", ("l",)), st.Compare("==", st.Position("l"), st.Add((st.Position("i"), st.Position("k"))))
    window = st.Call("where", (row, x, st.NEUTRAL["max"]))
    assert text(solved(st.Reduce("max", ("k", "l"), window), len)) == "max[k](x[i + k])"
    assert text(solved(st.Reduce("max", ("l",), window), len)) == "max[l](where(l = i + k, x[l], -inf))"


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("i + k - pad", "i + k - pad"),
        ("pad - k", "pad - k"),
        ("3 - k", "3 - k"),
        ("-k + i*s", "i·s - k"),
        ("size(l) - 1 - l", "size(l) - l - 1"),
    ],
)
def test_a_position_is_written_as_people_write_it(form: str, shown: str) -> None:
    op = derive.parse(f"y[i, k] = op(x[l], v[i, k], pad=1, s=2)\ny[i, k] = v[i, k] + x[{form.replace('- l', '- k')}]\n")
    assert text(in_op(op, op.equations[0].rhs)) == f"v[i,k] + x[{shown.replace('- l', '- k')}]"


# ---- where it is printed ------------------------------------------------------------------------------------------------


def test_latex_and_the_language_spell_the_same_form() -> None:
    op = derive.parse(lines(CONV))
    tree = in_op(op, op.equations[0].rhs)
    assert latex(tree) == r"b_{o,i} + \sum_{c,k} x_{n,c,i + k - \mathrm{pad}} \, W_{o,c,k}"
    assert language(tree) == "b[o, i] + sum[c, k](x[n, c, i + k - pad]*W[o, c, k])"


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "native"])
def test_docstrings_of_kernels_have_the_solved_form(backend: str) -> None:
    files = by_name(backend).files(kernel(CONV), "make derive")
    written = "\n".join(text for path, text in files.items() if path.endswith(("conv.py", "conv.c")))
    assert "dx[n, c, l] = sum[k, o](dy[n, o, l - k + pad]*W[o, c, k])" in written
