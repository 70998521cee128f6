"""Lengths of axes at which costs are compared: a line of a text, an option of a command line, an argument of Python.

They decide which closed form of two is the cheaper one. An attention of one's own gets the published form by them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import derive
from codegen.__main__ import main as codegen_main
from derive import syntax as st
from derive.__main__ import main as derive_main
from derive.certify import certify
from derive.derivation import Derivation
from derive.errors import OpError
from derive.language.parse import parse
from derive.language.sizes import LONGEST_AXIS, sizes_of_option, with_sizes
from derive.ops import find, names

#: Attention as people write it for themselves, each without its line of sizes.
ATTENTION = {
    "mask": """
y[n, h, i, d] = masked(q[n, h, i, f], k[n, h, j, f], v[n, h, j, d], keep[n, j])

keep[n, j] in bool
s[n, h, i, j] = sum[f](q[n, h, i, f]*k[n, h, j, f])/sqrt(size(f))
e[n, h, i, j] = where(keep[n, j], exp(s[n, h, i, j]), 0)
p[n, h, i, j] = e[n, h, i, j]/sum[j](e[n, h, i, j])
y[n, h, i, d] = sum[j](p[n, h, i, j]*v[n, h, j, d])
""",
    "bias": """
out[b, i, d] = biased(q[b, i, f], k[b, j, f], v[b, j, d], bias[i, j])

w[b, i, j]   = softmax(sum[f](q[b, i, f]*k[b, j, f]) + bias[i, j])
out[b, i, d] = sum[j](w[b, i, j]*v[b, j, d])
""",
    "scale": """
out[b, i, d] = scaled(q[b, i, f], k[b, j, f], v[b, j, d], tau)

w[b, i, j]   = softmax(tau*sum[f](q[b, i, f]*k[b, j, f]))
out[b, i, d] = sum[j](w[b, i, j]*v[b, j, d])
""",
    "soft cap": """
out[b, i, d] = capped(q[b, i, f], k[b, j, f], v[b, j, d], cap=30.0)

cap > 0
raw[b, i, j] = sum[f](q[b, i, f]*k[b, j, f])/sqrt(size(f))
w[b, i, j]   = softmax(cap*tanh(raw[b, i, j]/cap))
out[b, i, d] = sum[j](w[b, i, j]*v[b, j, d])
""",
    "sink": """
out[b, i, d] = sunk(q[b, i, f], k[b, j, f], v[b, j, d], nothing)

a[b, i, j]   = exp(sum[f](q[b, i, f]*k[b, j, f])/sqrt(size(f)))
z[b, i]      = exp(nothing) + sum[j](a[b, i, j])
out[b, i, d] = sum[j](a[b, i, j]/z[b, i]*v[b, j, d])
""",
    "grouped heads": """
o[n, i, (g, h, d)] = grouped(q[n, i, (g = groups, h, f)], k[n, j, (g, f)], v[n, j, (g, d)], groups=2)

s[n, g, h, i, j]   = sum[f](q[n, i, g, h, f]*k[n, j, g, f])/sqrt(size(f))
p[n, g, h, i, j]   = exp(s[n, g, h, i, j])/sum[j](exp(s[n, g, h, i, j]))
o[n, i, (g, h, d)] = sum[j](p[n, g, h, i, j]*v[n, j, g, d])
""",
}
SIZES = "sizes: i=4096, j=4096, f=64, d=64"
#: Those whose form is another at the lengths that axes have where none are given.
OTHERWISE = ("bias", "scale", "soft cap", "grouped heads")
PLAIN = "y[n] = f(x[n, d], w[d])\n\ny[n] = sum[d](x[n, d]*w[d])"


def written(name: str, line: str = SIZES) -> st.Op:
    """The op with the line after its signature and its assumptions."""
    head, _, equations = ATTENTION[name].strip().partition("\n\n")
    return parse(f"{head}\n\n{line}\n{equations}", catalogue=find)


def sums_of_scores(derivation: Derivation) -> set[tuple[str, ...]]:
    """The axes that the lines with an entry for each score reduce."""
    lines = [line for line in derivation.lines if {"i", "j"} <= set(line.index)]
    nodes = [n for line in lines for n in st.walk(line.tree) if isinstance(n, st.Reduce)]
    return {tuple(map(st.axis_of, n.index)) for n in nodes}


def reaches_the_published_form(derivation: Derivation) -> bool:
    """Whether ``do*o`` is summed along each row, and no line with an entry for each score sums the scores of a row."""
    return has_row_sums(derivation) and ("j",) not in sums_of_scores(derivation)


def has_row_sums(derivation: Derivation) -> bool:
    """Whether ``sum[d](do*o)`` stands in a line, for the output ``o``."""
    out = derivation.op.outputs[0].name
    trees = [line.tree for line in derivation.lines]
    sums = [
        n for tree in trees for n in st.walk(tree) if isinstance(n, st.Reduce) and tuple(map(st.axis_of, n.index)) == ("d",)
    ]
    return any(sorted(st.reads(n.body)) == sorted((out, f"d{out}")) for n in sums)


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_of_ones_own_has_the_row_sums_of_do_times_o(name: str) -> None:
    derivation = derive.derive(written(name))
    assert reaches_the_published_form(derivation)
    certificate = certify(derivation)
    assert certificate.passed, certificate.summary()


@pytest.mark.parametrize("name", OTHERWISE)
def test_without_sizes_the_form_is_another(name: str) -> None:
    assert not reaches_the_published_form(derive.derive(written(name, "")))


@pytest.mark.parametrize(
    "text",
    [
        "y[n] = f(x[n, d], w[d])\nsizes: n=7, d=3\ny[n] = sum[d](x[n, d]*w[d])",
        "y[n] = f(x[n, d], w[d])\n\nsizes: n = 7\ny[n] = sum[d](x[n, d]*w[d])\nsizes :d=3  # of the model",
        "# sizes: n=1\ny[n] = f(x[n, d], w[d])  # sizes: d=5\n\ny[n] = sum[d](x[n, d]\n    *w[d])\n\nsizes: n=07, d=3",
        "  y[n] = f(x[n, d], w[d])\r\n  sizes: d=3,n=7\r\n  y[n] = sum[d](x[n, d]*w[d])\r\n",
    ],
)
def test_a_line_of_sizes_may_stand_anywhere_after_the_signature(text: str) -> None:
    assert parse(text).sizes == (("d", 3), ("n", 7))


def test_the_text_of_an_op_has_no_line_of_sizes() -> None:
    op = parse("y[n] = f(x[n])\n\nsizes: n=7  # of the model\n\ny[n] = x[n]  # sizes: n=8")
    assert op.text == "y[n] = f(x[n])\n\ny[n] = x[n]  # sizes: n=8\n"
    assert op.equations[0].rhs == parse(op.text).equations[0].rhs


def test_equations_keep_their_lines_in_messages() -> None:
    with pytest.raises(OpError, match=r"f, line 4, column 8: unknown name 'z'"):
        parse("y[n] = f(x[n])\n\nsizes: n=7\ny[n] = z[n]")


def test_sizes_is_a_name_like_any_other() -> None:
    op = parse("y[n] = f(sizes[n])\n\ny[n] = tanh(sizes[n])\nsizes: n=7")
    assert op.inputs[0].name == "sizes" and dict(op.sizes) == {"n": 7}


def test_axes_of_one_length_have_it_together() -> None:
    text = "y[i] = f(x[i, j], g[k])\n\ny[i] = sum[m](x[i, m]*x[m, m]*g[i])"
    assert dict(parse(f"{text}\nsizes: j=9").sizes) == dict.fromkeys("ijkm", 9)
    assert dict(parse(f"{text}\nsizes: j=9, k=9").sizes) == dict.fromkeys("ijkm", 9)
    assert dict(parse(f"{text}\nsizes: j=9", sizes={"i": 4}).sizes) == dict.fromkeys("ijkm", 4)


def test_a_star_has_a_length_and_an_argument_takes_the_place_of_the_line() -> None:
    text = "y[*s, d] = f(x[*s, d], w[d])\n\ny[*s, d] = x[*s, d]*w[d]\nsizes: *s=8, d=4"
    assert dict(parse(text).sizes) == {"s": 8, "d": 4}
    assert dict(parse(text, sizes={"d": 5}).sizes) == {"s": 8, "d": 5}


@pytest.mark.parametrize("name", names())
def test_the_catalogue_has_the_sizes_that_its_files_give(name: str) -> None:
    own = getattr(__import__(f"derive.ops.{name}", fromlist=[name]), "SIZES", {})
    assert own.items() <= dict(derive.load(name).sizes).items()


#: A list of sizes -> where it is wrong, counted from its first character, and what is said.
WRONG = {
    "n=7, e=3": (5, "there is no axis 'e'; the axes: n, d"),
    "nn=7": (0, "there is no axis 'nn'; the axes: n, d; did you mean 'n'?"),
    "n=0": (0, "the length of 'n' is a whole number of at least 1, not 0"),
    "n=-4": (0, "the length of 'n' is a whole number of at least 1, not -4"),
    "n=2.5": (0, "the length of 'n' is a whole number of at least 1, not 2.5"),
    "n=1e3": (0, "the length of 'n' is a whole number of at least 1, not 1e3"),
    "n=many": (0, "the length of 'n' is a whole number of at least 1, not many"),
    "n=٣": (0, "the length of 'n' is a whole number of at least 1, not ٣"),
    "d=3, n=7, n=7": (10, "the length of 'n' is given twice"),
    f"n={LONGEST_AXIS + 1}": (0, f"no axis is as long as 'n' = {LONGEST_AXIS + 1}; the most is {LONGEST_AXIS}"),
    "n": (0, "expected the length of an axis, such as i=4096, not 'n'"),
    "n=7 d=3": (0, "expected the length of an axis, such as i=4096, not 'n=7 d=3'"),
    "n=7,": (4, "expected the length of an axis, such as i=4096, not ''"),
    "n==7": (0, "the length of 'n' is a whole number of at least 1, not =7"),
}


def failure(make: Callable[[], object]) -> str:
    with pytest.raises(OpError) as caught:
        make()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("sizes", [s for s in WRONG if s.isascii()])
def test_what_is_no_list_of_lengths_is_refused_where_it_stands(sizes: str) -> None:
    column, message = WRONG[sizes]
    text = f"{PLAIN}\nsizes: {sizes}"
    assert failure(lambda: parse(text)) == f"f, line 4, column {column + 8}: {message}"


@pytest.mark.parametrize("sizes", WRONG)
def test_the_option_refuses_the_same(sizes: str) -> None:
    message = WRONG[sizes][1]
    assert failure(lambda: with_sizes(parse(PLAIN), sizes_of_option(sizes))).endswith(f"--sizes: {message}")


@pytest.mark.parametrize("sizes", [{"e": 3}, {"n": 0}, {"n": 2.5}, {"n": True}, {"n": 2**63}])
def test_python_refuses_the_same(sizes: dict[str, int]) -> None:
    assert failure(lambda: parse(PLAIN, sizes=sizes)).startswith("f: ")


def test_the_longest_axis_is_derived() -> None:
    assert derive.derive(parse(f"{PLAIN}\nsizes: n={LONGEST_AXIS}, d={LONGEST_AXIS}")).gradients == ("dx", "dw")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"sizes: n=7\n{PLAIN}", "f, line 1, column 1: sizes stand after the signature, on a line of their own"),
        (f"{PLAIN}\nsizes:", "f, line 4, column 7: expected the length of an axis, such as i=4096, not ''"),
        ("y[i] = f(x[i, j])\n\ny[i] = x[i, i]\nsizes: i=3, j=4", "the axes 'i' and 'j' have one length, and are given 3 and 4"),
        (
            "y[n, h] = f(x[n, (h = 2, e)])\n\ny[n, h] = sum[e](x[n, h, e])\nsizes: h=4",
            "the signature gives 'h' the length 2, not 4",
        ),
    ],
)
def test_sizes_that_contradict_the_text_are_refused(text: str, message: str) -> None:
    assert failure(lambda: parse(text)).endswith(message)


def test_a_line_of_sizes_within_an_equation_is_no_line_of_sizes() -> None:
    assert failure(lambda: parse("y[n] = f(x[n])\n\ny[n] = (x[n]\nsizes: n=3\n)")).startswith("f, line 3, ")


# ---- commands -------------------------------------------------------------------------------------------------------------


def test_show_takes_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.txt"
    path.write_text(ATTENTION["grouped heads"].strip())
    shown = []
    for flags in ([], ["--sizes", "i=4096,j=4096,f=64,d=64"]):
        assert derive_main(["show", str(path), *flags]) == 0
        shown.append(bool(re.search(r"sum\[d\]\(do\[[^]]*\]·o\[[^]]*\]\)", capsys.readouterr().out)))
    assert shown == [False, True]
    assert derive_main(["show", str(path), "--sizes", "ii=4"]) == 1
    assert capsys.readouterr().err.startswith("error: --sizes: there is no axis 'ii'; the axes: n, i, ")


def test_emit_takes_sizes_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formula = "y[n] = sum[d](x[n,d]*w[d])"
    arguments = ["emit", formula, "--sizes", "n=4,d=8", "--backend", "numpy", "--out", str(tmp_path)]
    assert codegen_main(arguments) == 0
    assert "emit 'y[n] = sum[d](x[n,d]*w[d])' --sizes n=4,d=8" in (tmp_path / "numpy" / "formula.py").read_text()
    capsys.readouterr()


@pytest.mark.parametrize("command", ["show", "emit", "schedule", "accuracy", "exercise", "learn", "notebook", "audit"])
def test_every_command_of_one_op_has_the_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        codegen_main([command, "--help"])
    assert "--sizes AXIS=N,..." in capsys.readouterr().out
