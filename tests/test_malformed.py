"""Malformed text: whatever is written, the answer is an op or one line that says what is wrong, where, and the way out."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import codegen.__main__
import derive
import derive.__main__
from derive.errors import OpError
from tests.systems.generate import generate

#: What most cases extend by a line, which then is line 3.
FIRST = "y[n, m] = f(x[n, k], W[k, m], b[m], a=2, eps=1e-5)\neps > 0\n"
LIMIT = 5.0


def complaint(text: str) -> str:
    """The message for a text that is refused, which is one line."""
    with pytest.raises(OpError) as caught:
        derive.parse(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "way_out"),
    [
        ("x[n, k]^2", "'^' is no power here: write x[n, k]**2"),
        ("max(x[n, k], 0)", "the larger of two values is maximum(x[n, k], 0)"),
        ("min(a, 1)", "the smaller of two values is minimum(a, 1)"),
        ("x @ W", "write sum[k](x[n, k]*W[k, m])"),
        ("x[n, k] @ W[k, m] + b[m]", "write sum[k](x[n, k]*W[k, m])"),
        ("sum(x)", "'sum' must name its axes: sum[n, k](x[n, k])"),
        ("mean(x[n, k])", "'mean' must name its axes: mean[n](...)"),
        ("sum[k] x[n, k]", "what 'sum' reduces stands in (...)"),
        ("smu[k](x[n, k])", "did you mean 'sum'?"),
        ("x.T", "name those of the left side as you want them, such as [k, n]"),
        ("x.sum(axis=1)", "write sum[n, k](x[n, k])"),
        ("x.shape[0]", "the length of an axis is size(n)"),
        ("np.exp(b)", "write exp(...)"),
        ("torch.exp(b[m])", "write exp(...)"),
        ("torch.nn.functional.relu(b[m])", "functions have no prefix"),
        ("np.dot(x, W)", "write sum[k](a[n, k]*b[k, m])"),
        ("rleu(b[m])", "did you mean 'relu'?"),
        ("softmaks(b[m])", "did you mean 'softmax'?"),
        ("Exp(b[m])", "did you mean 'exp'?"),
        ("X[n, k]", "did you mean 'x'?"),
        ("ln(b[m])", "write log(a)"),
        ("arctan(b[m])", "write atan(a)"),
        ("clip(b[m], 0, 1)", "write clamp(a, low, high)"),
        ("len(b)", "write size(n)"),
        ("b(m)", "axes stand in square brackets: b[m]"),
        ("exp[b[m]]", "expected a call: exp(...)"),
        ("relu[m](b[m])", "write relu(...)"),
        ("b[m][m]", "one pair of square brackets holds all axes"),
        ("b[:]", "write b[m]"),
        ("b", "'b' has 1 axis [m] but is read with 0; write b[m]"),
        ("b[m] if a else 0", "choose with where(condition, a, b)"),
        ("a and b", "where(a > 0, where(b > 0, 1, 0), 0)"),
        ("lambda*2", "write 'lam'"),
        ("lambda v: v", "a function as an equation of its own"),
        ("b[m] // 2", "write floor(a/b)"),
        ("b[m] % 2", "write a - b*floor(a/b)"),
        ("2b", "write 2*b"),
        ("2 b", "an operator is missing between '2' and 'b'"),
        ("b[m] b[m]", "a product is written a*b"),
        ("(b[m]", "'(' is never closed"),
        ("b[m])", "')' closes nothing"),
        ("(b[m]]", "']' does not close the '('"),
        ("b[m] +", "nothing follows '+'"),
        ("", "nothing follows '='"),
        ("[b[m], a]", "square brackets hold the axes of a tensor"),
        ("{b[m]}", "group with ( )"),
        ("\\frac{1}{2}", "LaTeX is what comes out"),
        ("'b'", "a comment begins with '#'"),
        ("True", "write 1"),
        ("007", "a number does not begin with 0"),
        ("b[m]**b[m]", "write a**b as exp(b*log(a))"),
        ("c[m]\nc[m] = b[m]", "'c' is read before its equation, which is in line 4; move that line up"),
        ("y[n, m]", "'y' is defined by itself"),
        ("1\ny[n, m] = 2", "'y' is assigned twice; give the second value a name of its own"),
        ("b[m]\u00b2", "write **2"),
        ("b[m] \u2212 1", "write -"),
        ("b[m]\u00d72", "write *"),
        ("\u03b3*b[m]", "write 'gamma' for '\u03b3'"),
        ("\u03bb*b[m]", "write 'lam' for '\u03bb'"),
        ("2*\u03c0", "write pi"),
        ("\u201cb\u201d", "a comment begins with '#'"),
        ("b[m]\u00a0+ 1", "write a plain space"),
        ("b[m] \u2264 1", "write <="),
        ("b[m]\x0c", "control character (U+000C); remove it"),
        ("b\x00[m]", "control character (U+0000); remove it"),
    ],
)
def test_what_people_write_is_answered_with_the_way_out(written: str, way_out: str) -> None:
    message = complaint(f"{FIRST}y[n, m] = {written}\n")
    assert message.startswith("f, line ") and ", column " in message
    assert way_out in message


@pytest.mark.parametrize(
    ("statement", "way_out"),
    [
        ("y += 1", "give the new one a name of its own: y2 = y + ..."),
        ("y: float = 1", "types are those of the arguments"),
        ("for i in x: pass", "an equation holds at every position of its axes"),
        ("if a > 0: pass", "choose with where(condition, a, b)"),
        ("import numpy as np", "exp, log and the like are known"),
        ("def g(x): return x", "the first line is the signature"),
        ("return y", "the outputs are what the signature names"),
        ("y[n, m] == 1", "an equation is written with '='"),
        ("y(n, m) = 1", "axes stand in square brackets: y[n]"),
        ("2*y = 1", "the left side of '=' is one name with its axes"),
        ("  z = 1", "every statement begins in the first column"),
        ("\tz = 1", "every statement begins in the first column"),
        ('"""a title"""', "a comment begins with '#'"),
        ("0 < eps", "write eps > 0"),
        ("eps < 0", "the default eps=1e-5 breaks the assumption eps < 0"),
        ("a > 3", "the default a=2 breaks the assumption a > 3"),
        ("x > 0; x < 0", "no number meets all assumptions about 'x': x > 0, x < 0"),
        ("x != 1; x >= 1; x <= 1", "no number meets all assumptions about 'x'"),
        ("lambda = 2", "write 'lam'"),
    ],
)
def test_statements_of_other_languages_are_answered_with_the_way_out(statement: str, way_out: str) -> None:
    message = complaint(f"{FIRST}{statement}\ny[n, m] = 1\n")
    assert message.startswith("f, line 3, column ")
    assert way_out in message


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ("y = f(x)\ny = size(n)*x", "no input has an axis 'n'; they have no axes"),
        ("y[n] = exp(x[n])", "the first statement is the signature, and equations follow"),
        ("y[n] = x[n]**2", "equations follow"),
        ("y = f(x, eps=0)\neps > 0\ny = x + eps", "the default eps=0 breaks the assumption eps > 0"),
        ("y = f(x, eps=1/2)\ny = x", "written out: 0.5 instead of 1/2"),
        ("y = f(eps=1, x)\ny = x", "the tensors come before the constants"),
        ("y = f(x, lambda=0.1)\ny = x", "write 'lam'"),
        ("f(x) = x**2", "axes stand in square brackets"),
        ("y = f(x, e=0)\ny = layernorm(x, x, x, eps=e)", "'x' of 'layernorm' has the axes [*s, d], 'x' is given with 0"),
        ("y[n] = f(x[n], e=0)\ny[n] = layernorm(x[n], x[n], x[n], eps=e)", "the default e=0 breaks the assumption e > 0"),
        ("y" * 300 + " = f(x)\n", "has 300 letters; a name has at most 100"),
    ],
)
def test_a_signature_that_does_not_fit_is_answered_with_the_way_out(text: str, way_out: str) -> None:
    assert way_out in complaint(text)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffy = f(x)\ny = x**2\n",
        "y = f(x)\r\ny = x**2\r\n",
        "y = f(x)\ry = x**2\r",
        "\n    y = f(x)\n\n    y = x**2  # indented as in a script\n  # and a comment\n",
        "y = f(x)\n\n# \u201cquotes\u201d, \u4e2d\u6587 and x\u00b2 in a comment\ny = x**2\n",
        "y = f(x)\ny = (x\n     **2)\n",
        "y = f(x)\ny = \\\n    x**2\n",
    ],
)
def test_line_ends_marks_and_indentation_mean_nothing(text: str) -> None:
    plain = derive.parse("y = f(x)\ny = x**2\n")
    assert [(e.name, e.rhs) for e in derive.parse(text).equations] == [(e.name, e.rhs) for e in plain.equations]
    assert "\r" not in derive.parse(text).text and "\ufeff" not in derive.parse(text).text


def test_columns_count_from_the_first_letter_of_the_statements() -> None:
    assert complaint("    y = f(x)\n    y = x + q\n").startswith("f, line 2, column 9: unknown name 'q'")


@pytest.mark.parametrize(
    "text",
    [
        "((((" * 5000,
        f"{FIRST}y[n, m] = " + "(" * 150 + "b[m]" + ")" * 150,
        f"{FIRST}y[n, m] = " + "-" * 50_000 + "b[m]",
        f"{FIRST}y[n, m] = " + "b[m]**" * 3000 + "2",
        f"{FIRST}y[n, m] = " + " + ".join(["b[m]"] * 30_000),
        f"{FIRST}y[n, m] = " + "9" * 100_000,
        f"{FIRST}y[n, m] = " + "exp(" * 60 + "1" + ")" * 60,
        f"{FIRST}y[n, m] = 10**" + "9" * 100,
        f"{FIRST}y[n, m] = exp(exp(exp(exp(9))))",
        f"{FIRST}y[n, m] = " + "z" * 100_000,
        "y = f(" + ", ".join(f"x{k}" for k in range(5000)) + ")\ny = x0",
        "y = f(x)\n" + "".join(f"z{k} = x + {k}\n" for k in range(3000)) + "y = z0\n",
        "y = f(x)\ny = x\n" + "# \n" * 100_000,
        "h[t] = f(x[t])\nh[t] = x[t] + h[t - 1234567890]\n",
        "h[t] = f(x[t])\nh[t] = x[t] + h[t - " + "9" * 1000 + "]\n",
    ],
    ids=range(15),
)
def test_nothing_takes_long(text: str) -> None:
    with limited():
        assert_op_or_one_line(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("z[n] = f(x[n])\ny[n] = 1e200*x[n]\nz[n] = 1e200*y[n]", "beyond what float64 holds"),
        ("z[n] = f(x[n])\ny[n] = 1e-200*x[n]\nz[n] = 1e-200*y[n]", "too small for float64, where it becomes 0"),
    ],
)
def test_numbers_that_come_together_are_such_as_float64_holds(text: str, message: str) -> None:
    with pytest.raises(OpError, match=message):
        derive.derive(derive.parse(text))


@pytest.mark.parametrize("inputs", [64, 65, 200])
def test_an_op_has_as_many_arguments_as_it_needs(inputs: int) -> None:
    names = [f"x{k}" for k in range(inputs)]
    assert len(derive.parse(f"y = f({', '.join(names)})\ny = {' + '.join(names)}").inputs) == inputs


# ---- anything at all ------------------------------------------------------------------------------------------------------


class Late(Exception):
    """The time is up."""


class limited:
    """Late where the body takes more processor time than the limit."""

    def __enter__(self) -> None:
        def stop(*_: object) -> None:
            raise Late

        self.before = signal.signal(signal.SIGPROF, stop)
        signal.setitimer(signal.ITIMER_PROF, LIMIT)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self.before)


def assert_op_or_one_line(text: str) -> None:
    try:
        op = derive.parse(text)
    except OpError as error:
        message = str(error)
        assert message and "\n" not in message and len(message) < 2000
    else:
        assert isinstance(op, derive.Op)


TOKENS = (
    "x y W b n m k f eps sum[n] mean[*s] max( min exp log where sqrt maximum size softmax attention ( ) [ ] , , = == > "
    "+ - * / ** // @ ^ . : ; # \n \n \t ' \" \\ 0 1 2 3.5 1e-5 1e400 1e-400 1_0 if for in lambda import not and or None True "
    "\u00b2 \u2212 \u03b3 \u201c \u00a0 \ufeff \x00 \x0c \ud800 \u2028 { } $ ! ? & | ~ % -> += := ... pi t[n] t *s *t"
).split(" ")


#: Texts with what a mutation must meet often: steps, windows, declared lengths, conditions on positions, packed axes.
BASES = {
    "steps": """h[n, t, k] = rnn(x[n, t, j], U[j, k], V[k, l], h0[n, k])
h[n, -1, k] = h0[n, k]
h[n, t, k] = tanh(sum[j](x[n, t, j]*U[j, k]) + sum[l](h[n, t - 1, l]*V[l, k]))
""",
    "steps from the end": """v[t] = returns(r[t], g[t], last, decay=0.9)
decay < 1
v[size(t)] = last
v[t] = r[t] + decay*g[t]*v[t + 1]
""",
    "a step that is read": """y[n, d] = scan(a[n, t], b[n, t, d])
h[n, t, d] = a[n, t]*h[n, t - 1, d] + b[n, t, d]
y[n, d] = h[n, size(t) - 1, d]
""",
    "a convolution": """y[n, o, i] = conv(x[n, c, l], W[o, c, k], b[o], s=2, pad=1)
s >= 1
size(i) = (size(l) + 2*pad - size(k))//s + 1
y[n, o, i] = sum[c, k](x[n, c, i*s + k - pad]*W[o, c, k]) + b[o]
""",
    "pooling": """y[n, c, i] = pool(x[n, c, l])
size(k) = 3
size(i) = (size(l) - size(k))//2 + 1
sizes: l=64, n=2
y[n, c, i] = max[k](x[n, c, 2*i + k])
""",
    "a causal mask": """o[i, d] = causal(q[i, f], k[j, f], v[j, d])
s[i, j] = where(j <= i, sum[f](q[i, f]*k[j, f]), 0)
p[i, j] = softmax(s[i, j])
o[i, d] = sum[j](where(j <= i, p[i, j]*v[j, d], 0))
""",
    "labels to ignore": """loss = ce(z[n, c], t[n], ignore=-100)
t[n] in c
l[n, c] = log_softmax(z[n, c])
loss = -sum[n](where(t[n] != ignore, l[n, t[n]], 0))/maximum(sum[n](where(t[n] != ignore, 1, 0)), 1)
""",
    "found positions": """y[n, (h, d)] = pack(x[n, (h = 2, d)], m[n, l], w)
size(q) = size(l) + 2
b[n] = argmax[l](m[n, l])
z[n, q] = m[n, q - 1]*w
y[n, h, d] = x[n, h, d]*sum[q](where(q != b[n], z[n, q], 0)) + m[n, b[n]]
""",
}
PLACES = (
    "- 1;+ 1;-1;0;2;1.5;1e400;9999999999;size(t);size(;size(n) - 1;size(zz);t - 1;t + 1;t - 2;i*s + k - pad;i*i;2*i;i//2;-i;"
    "i;k;t;n;l;j;h;x;W;pad;s;ignore;h0;pi;[;];(;); in ;=;==;!=;<;<=;where(;where(j <= i, ;where(t[n] != ignore, ;max[k](;"
    "argmax[k](;i/2;*;//;/;**;mean[;\n;#;sizes: ;sizes: i=4;size(i) = ;size(k) = 3\n;size(t) = 0\n;size(t) = -1\n;"
    "size(t) = size(t)\n;h[-1] = 0\n;h[n, -1] = 1;h[n, t - 1];t[n];t[t[n]];b[n];(h, d);h = 2;stop(;softmax(;*s;"
    "a <= b <= c;size(l)//0;size(l)//size(k)"
).split(";")


@pytest.mark.parametrize("name", BASES)
def test_what_is_mutated_is_well_formed(name: str) -> None:
    assert derive.parse(BASES[name]).equations


@st.composite
def mutated(draw: st.DrawFn, bases: tuple[str, ...] = (), tokens: Sequence[str] = TOKENS) -> str:
    """A valid text, one of ``bases`` or a random one, with some tokens left out, doubled, swapped or replaced."""
    text = draw(st.sampled_from(bases)) if bases else generate(Random(draw(st.integers(0, 10**6))))
    parts = list(_pieces(text))
    for _ in range(draw(st.integers(1, 4))):
        k = draw(st.integers(0, len(parts) - 1))
        how = draw(st.integers(0, 3))
        if how == 0:
            parts[k] = ""
        elif how == 1:
            parts[k] += draw(st.sampled_from(tokens))
        elif how == 2:
            parts[k] = draw(st.sampled_from(tokens))
        else:
            other = draw(st.integers(0, len(parts) - 1))
            parts[k], parts[other] = parts[other], parts[k]
    return "".join(parts)


def _pieces(text: str) -> Iterator[str]:

    return (m[0] for m in re.finditer(r"\w+|\s+|[^\w\s]", text))


@settings(max_examples=150)
@given(mutated())
def test_a_mutated_text_is_an_op_or_one_line(text: str) -> None:
    with limited():
        assert_op_or_one_line(text)


@settings(max_examples=300)
@given(mutated(tuple(BASES.values()), PLACES))
def test_mutated_steps_windows_and_conditions_are_an_op_or_one_line(text: str) -> None:
    with limited():
        assert_op_or_one_line(text)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(TOKENS), max_size=40).map(" ".join) | st.text(max_size=200))
def test_garbage_is_one_line(text: str) -> None:
    with limited():
        assert_op_or_one_line(text)
        assert_op_or_one_line(f"{FIRST}y[n, m] = {text}\n")


# ---- command lines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"y[n] = f(x[n])\ny[n] = x[n]^2\n", "f, line 2, column 8: '^' is no power here"),
        (b"y[n] = f(x[n])\ny[n] = x\0\n", "control character (U+0000)"),
        (b"\xff\xfey\0 \0=\0", "is not encoded in UTF-8: byte 0xff in line 1 (it looks like UTF-16)"),
        (b"y[n] = f(x[n])\n# caf\xe9\n", "is not encoded in UTF-8: byte 0xe9 in line 2"),
        (b"", "the text is empty"),
        (None, "is a folder; expected a text file of equations"),
    ],
)
def test_a_command_says_it_in_one_line(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "op.txt"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    for main, arguments in (
        (derive.__main__.main, ["show", str(path)]),
        (codegen.__main__.main, ["emit", str(path), "--out", str(tmp_path / "out")]),
    ):
        assert main(arguments) == 1
        printed = capsys.readouterr()
        assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1
        assert message in printed.err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "no_op.txt")
    for main, arguments in (
        (derive.__main__.main, ["show", missing]),
        (codegen.__main__.main, ["schedule", missing]),
        (codegen.__main__.main, ["emit", missing, "--out", str(tmp_path / "out")]),
    ):
        assert main(arguments) == 1
        assert capsys.readouterr().err == f"error: there is no file {missing}\n"


@pytest.mark.parametrize("main", [derive.__main__.main, codegen.__main__.main])
def test_usage_is_status_2(main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["shwo"])
    assert caught.value.code == 2 and "invalid choice: 'shwo'" in capsys.readouterr().err


def test_a_mistake_is_found_at_once() -> None:
    """The parser answers in milliseconds, whatever comes after in the text."""
    text = f"{FIRST}y[n, m] = b[m]^2\n" + "".join(f"z{k} = a + {k}\n" for k in range(2000))
    start = time.perf_counter()
    complaint(text)
    assert time.perf_counter() - start < LIMIT
