"""The language: what it says, and what it answers to what it cannot understand."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from derive.errors import OpError
from derive.language.from_sympy import op_from_sympy
from derive.language.literals import LARGEST
from derive.language.parse import RESERVED, parse, parse_formula
from derive.syntax import (
    Add,
    Call,
    Compare,
    Constant,
    Div,
    Equation,
    Lookup,
    Mul,
    Neg,
    Num,
    Op,
    Pow,
    Read,
    Reduce,
    Size,
    Tensor,
    Tree,
)

#: What most cases below extend by an equation, which then stands in line 4.
VECTOR = "y[i] = f(x[i], w[i, j], a=2)\n\na > 0\n"


def number(value: int | str) -> Num:
    return Num(Fraction(value))


def right_side(expression: str) -> Tree:
    return parse(f"{VECTOR}y[i] = {expression}").equations[-1].rhs


def failure(text: str, reader: Callable[..., Op] = parse, **options: object) -> OpError:
    with pytest.raises(OpError) as caught:
        reader(text, **options)
    return caught.value


def place(error: OpError) -> tuple[str, int | None, int | None]:
    """The op, and the line and column from 1 as the message gives them."""
    assert error.line is not None and error.column is not None
    assert str(error).startswith(f"{error.op}, line {error.line}, column {error.column + 1}: ")
    return error.op, error.line, error.column + 1


# ---- what an op is ---------------------------------------------------------------------------------------------------


def test_signature_names_outputs_inputs_and_constants() -> None:
    op = parse("y[n], s = scaled(x[n, d], g, eps=1e-5, ddof=0)\ns = g*eps + ddof\ny[n] = sum[d](x[n, d])*s")
    assert op.name == "scaled"
    assert op.outputs == (Tensor("y", ("n",)), Tensor("s", ()))
    assert op.inputs == (Tensor("x", ("n", "d")), Tensor("g", ()))
    assert op.constants == (Constant("eps", "1e-5"), Constant("ddof", "0"))


@pytest.mark.parametrize(("written", "kept"), [("1e-5", "1e-5"), ("-2", "-2"), ("- 2", "-2"), ("0x10", "16"), ("(3)", "3")])
def test_a_default_keeps_its_text_where_that_is_a_number(written: str, kept: str) -> None:
    op = parse(f"y[i] = f(x[i], a={written})\ny[i] = a*x[i]")
    assert op.constants == (Constant("a", kept),)


def test_text_title_source_and_sizes_travel_with_the_op() -> None:
    op = parse("\ny[i] = f(x[i])\ny[i] = x[i]\n\n", sizes={"i": 7}, title="Identity", source="folklore", notes=("none",))
    assert (op.text, op.title, op.source, op.notes) == ("y[i] = f(x[i])\ny[i] = x[i]\n", "Identity", "folklore", ("none",))
    assert op.sizes == (("i", 7),)


def test_assumptions_are_kept() -> None:
    op = parse("y[i] = f(x[i], eps=1e-5)\neps > 0\nx[i] >= -1\ny[i] = x[i] + eps")
    assert op.assumptions == (Compare(">", Read("eps"), number(0)), Compare(">=", Read("x"), number(-1)))


def test_equations_keep_their_order_and_line() -> None:
    op = parse("y[i] = f(x[i])\n\nb[i] = x[i]\n# a comment\ny[i] = b[i]")
    assert [(e.name, e.line) for e in op.equations] == [("b", 3), ("y", 5)]


@pytest.mark.parametrize(
    ("expression", "tree"),
    [
        ("x[i] - a", Add((Read("x", ("i",)), Neg(Read("a"))))),
        ("a + 1 - x[i]", Add((Read("a"), number(1), Neg(Read("x", ("i",)))))),
        ("a*x[i]*2", Mul((Read("a"), Read("x", ("i",)), number(2)))),
        ("x[i]/a", Div(Read("x", ("i",)), Read("a"))),
        ("-x[i]**2", Neg(Pow(Read("x", ("i",)), number(2)))),
        ("x[i]**(-1/2)", Pow(Read("x", ("i",)), number("-1/2"))),
        ("x[i]**(3 - 1)", Pow(Read("x", ("i",)), number(2))),
        ("sqrt(x[i])", Pow(Read("x", ("i",)), number("1/2"))),
        ("+0.1", number("1/10")),
        ("1e-5", number("1/100000")),
        ("exp(x[i])", Call("exp", (Read("x", ("i",)),))),
        ("maximum(x[i], 0)", Call("maximum", (Read("x", ("i",)), number(0)))),
        ("where(x[i] > 0, x[i], 0)", Call("where", (Compare(">", Read("x", ("i",)), number(0)), Read("x", ("i",)), number(0)))),
        ("sum[j](w[i, j])", Reduce("sum", ("j",), Read("w", ("i", "j")))),
        ("a*size(j)", Mul((Read("a"), Size("j")))),
    ],
)
def test_expressions_keep_the_order_of_their_author(expression: str, tree: Tree) -> None:
    assert right_side(expression) == tree


def test_decimals_are_exact() -> None:
    assert right_side("0.1 + 0.2") == Add((number("1/10"), number("2/10")))


# ---- axes and indices ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("star", ["*s", "s"])
def test_a_starred_axis_may_be_written_plain_after_the_signature(star: str) -> None:
    op = parse(f"y[n, *s] = f(x[n, *s])\nm = mean[n, {star}](x[n, {star}])\ny[n, {star}] = x[n, {star}] - m")
    assert op.stars == {"s"}
    assert op.inputs[0].axes == ("n", "s")
    assert op.equations[0].rhs == Reduce("mean", ("n", "s"), Read("x", ("n", "s")))


def test_a_function_may_have_an_op_of_its_name() -> None:
    op = parse("y[*s] = tanh(x[*s])\ny[*s] = tanh(x[*s])")
    assert (op.name, op.equations[0].rhs) == ("tanh", Call("tanh", (Read("x", ("s",)),)))


def test_labels_gather() -> None:
    op = parse("y[n] = pick(x[n, c], t[n])\nt[n] in c\ny[n] = x[n, t[n]]")
    assert op.inputs[1] == Tensor("t", ("n",), labels="c")
    assert op.inputs[1].integer and op.differentiable == (op.inputs[0],)
    assert op.equations[0].rhs == Read("x", ("n", Lookup("t", ("n",))))


def test_a_shadowed_reduction_index_is_renamed_apart() -> None:
    op = parse("q[n, c] = f(z[n, c])\nq[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))")
    below = Call("exp", (Read("z", ("n", "c'")),))
    assert op.equations[0].rhs == Div(Call("exp", (Read("z", ("n", "c")),)), Reduce("sum", ("c'",), below))


def test_nested_reductions_of_one_index_are_told_apart() -> None:
    op = parse("s = f(x[i])\ns = sum[i](x[i]*sum[i](x[i]))")
    inner = Reduce("sum", ("i'",), Read("x", ("i'",)))
    assert op.equations[0].rhs == Reduce("sum", ("i",), Mul((Read("x", ("i",)), inner)))


def test_an_index_is_local_to_its_reduction() -> None:
    error = failure("s[i] = f(x[i, j])\ns[i] = sum[j](x[i, j])*x[i, j]")
    assert place(error) == ("f", 2, 29)
    assert "the index 'j' is neither on the left nor reduced" in str(error)


def test_a_slot_may_be_read_with_another_axis() -> None:
    op = parse("g[i, j] = gram(x[i, k])\ng[i, j] = sum[k](x[i, k]*x[j, k])")
    assert op.outputs[0].axes == ("i", "j")


def test_a_diagonal_may_be_read() -> None:
    assert parse("y[i] = f(m[i, j])\ny[i] = m[i, i]").equations[0].rhs == Read("m", ("i", "i"))


# ---- errors: each names the op, the place, the offender and what was expected -------------------------------------------


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("q[i] + 1", 8, "unknown name 'q'; known here: x, w, a"),
        ("x[i] + q", 15, "unknown name 'q'"),
        ("x[k]", 10, "the index 'k' is neither on the left nor reduced"),
        ("sum[j](x[i])", 12, "the reduced axis 'j' is not used by the expression"),
        ("sum[i, i](x[i])", 15, "the axis 'i' is reduced twice"),
        ("sum[1](x[i])", 12, "'sum' names the axes that it reduces: sum[n](...)"),
        ("sum(x[i])", 8, "'sum' must name its axes: sum[n](...)"),
        ("1 + mean(x[i])", 12, "'mean' must name its axes: mean[n](...)"),
        ("product[j](w[i, j])", 8, "unknown reduction 'product'; known: sum, mean, max, min, prod"),
        ("sum[j](w[i, j], 1)", 8, "'sum' takes one expression"),
        ("x[i, i]", 8, "'x' has 1 axis [i] but is read with 2"),
        ("w[i]", 8, "'w' has 2 axes [i, j] but is read with 1"),
        ("x", 8, "'x' has 1 axis [i] but is read with 0"),
        ("x[i]*i", 13, "'i' is an index and has no value; its length is size(i)"),
        ("x[*i]", 10, "'*i' stands for one axis here"),
        ("x[0.5]", 10, "a position is a sum of axes, integer tensors, integer constants and whole numbers, and '0.5' is none"),
        ("x[i + 0.5]", 14, "and '0.5' is none of them"),
        ("x[i:2]", 10, "slot 1 of 'x' must be an axis, a sum of positions or an integer tensor such as t[n]"),
        ("x[x[i]]", 10, "'x' indexes 'x' but is not declared as 'x[...] in axis'"),
        ("size(k)", 13, "no input has an axis 'k'"),
        ("size()", 8, "size takes the name of one axis: size(n)"),
        ("exp", 8, "'exp' is a function, expected a call: exp(...)"),
        ("exp(x[i], 2)", 8, "'exp' takes 1 argument, not 2"),
        ("maximum(x[i])", 8, "'maximum' takes 2 arguments, not 1"),
        ("exp(x=1)", 8, "'exp' takes no keywords"),
        ("foo(x[i])", 8, "unknown function or op 'foo'"),
        ("f(x[i])", 8, "an op cannot call itself"),
        ("x[i] > 0", 8, "a comparison is only meaningful as the first argument of 'where'"),
        ("2*(x[i] > 0)", 11, "a comparison is only meaningful as the first argument of 'where'"),
        ("where(x[i], 1, 2)", 14, "the first argument of 'where' is a comparison, such as x[n] > 0"),
        ("where(0 < x[i] < 1, 1, 2)", 14, "write one comparison at a time"),
        ("where(x[i] is 0, 1, 2)", 14, "the comparison 'Is' is not part of the language"),
        ("2**x[i]", 11, "an exponent must be a number or a constant; write a**b as exp(b*log(a))"),
        ("x[i]/0", 13, "division by zero"),
        ("0**-1", 11, "division by zero"),
        ("exp(x[i])[i]", 8, "give what stands before them an equation of its own"),
        ("x[i] // 2", 8, "'//' is no operator here; write floor(a/b)"),
        ("x[i] @ w", 8, "'@' is no operator here: write sum[i](x[i]*w[i, j])"),
        ("'a'", 8, "expected a number"),
        ("True", 8, "expected a number"),
        ("1j", 8, "expected a number"),
        ("1e999", 8, "the number is beyond what float64 holds"),
    ],
)
def test_errors_in_an_expression(expression: str, column: int, message: str) -> None:
    error = failure(f"{VECTOR}y[i] = {expression}")
    assert place(error) == ("f", 4, column)
    assert message in str(error)


@pytest.mark.parametrize(
    ("statement", "column", "message"),
    [
        ("x[i] = 1", 1, "'x' is an input or a constant and cannot be assigned"),
        ("a = 1", 1, "'a' is an input or a constant and cannot be assigned"),
        ("b[i] = x[i]; b[i] = 2", 14, "'b' is assigned twice; give the second value a name of its own"),
        ("dx[i] = x[i]", 1, "'dx' collides with the adjoint of 'x'; rename one"),
        ("b[i, j] = x[i]*w[i, j]; db[i] = 1", 25, "'db' collides with the adjoint of 'b'; rename one"),
        ("pi[i] = x[i]", 1, "'pi' is a reserved word of the language"),
        ("size[i] = x[i]", 11, "a length is made of sizes of axes, integer constants, whole numbers, and quotients a//b"),
        ("exp[i] = x[i]", 1, "'exp' is a reserved word"),
        ("max[i] = x[i]", 1, "'max' is a reserved word"),
        ("_b[i] = x[i]", 1, "'_b' must be ASCII and must not start with '_'"),
        ("µ[i] = x[i]", 1, "must be ASCII"),
        ("b[pi] = a", 1, "the axis 'pi' is a reserved word"),
        ("f[i] = x[i]", 1, "the op and one of its names are both called 'f'"),
        ("j[i] = x[i]", 1, "'j' names both an axis and a tensor"),
        ("b[a] = 1", 1, "'a' names both an axis and a tensor or constant"),
        ("b[i, i] = x[i]", 6, "the axis 'i' of 'b' is named twice"),
        ("b[i, 0] = x[i]", 6, "expected the name of an axis of 'b'"),
        ("b[*i] = x[i]", 3, "'*i' stands for one axis here"),
        ("b[i, k] = x[i]", 1, "the axis 'k' of 'b' has no length: no input has it"),
        ("y[j] = 1", 1, "the signature gives 'y' the axes [i]"),
        ("b.c = x[i]", 1, "expected a tensor with its axes, such as 'x[n, d]'"),
        ("b = c = 1", 1, "expected an equation 'name[axes] = expression' or an assumption such as 'eps > 0'"),
        ("b += 1", 1, "expected an equation"),
        ("x[i]", 1, "expected an equation"),
        ("import os", 1, "expected an equation"),
        ("def g(): pass", 1, "expected an equation"),
        ("0 < a", 1, "an assumption compares an input or a constant of the signature with a number, such as 'eps > 0'"),
        ("a > x", 5, "expected a number"),
        ("0 < a < 1", 1, "write one comparison at a time"),
        ("x[j] > 0", 1, "'x' with these axes is not an input of the signature"),
        ("x[i] in k", 9, "no other input has an axis 'k' for 'x' to index"),
        ("q[i] in j", 1, "'q' with these axes is not an input of the signature"),
        ("x[i] in 3", 9, "expected the axis that the labels index, such as 't[n] in c'"),
    ],
)
def test_errors_in_a_statement(statement: str, column: int, message: str) -> None:
    error = failure(f"{VECTOR}{statement}\ny[i] = x[i]")
    assert place(error) == ("f", 4, column)
    assert message in str(error)


@pytest.mark.parametrize(
    ("signature", "column", "message"),
    [
        ("x > 0", 1, "the first statement must be the signature, such as 'y[n] = op(x[n], eps=1e-5)'"),
        ("y[i] = x[i]", 1, "the first statement must be the signature"),
        ("y[i] = a.b(x[i])", 8, "expected the op's name before '('"),
        ("y[i] = f(x[i], x[i])", 16, "the input 'x' is given twice"),
        ("y[i] = f(x[i], x=1)", 16, "the name 'x' is given twice"),
        ("y[i], y[i] = f(x[i])", 7, "the output 'y' is named twice"),
        ("x[i] = f(x[i])", 1, "the output 'x' is named twice"),
        ("y[i] = f(x[i], **k)", 18, "'**' has no meaning here: write each constant as name=default"),
        ("y[i] = f(x[i], a=b)", 18, "expected a number"),
        ("y[i] = f(x[i], a='1')", 18, "expected a number"),
        ("y[i] = f(3)", 10, "expected a tensor with its axes, such as 'x[n, d]'"),
        ("y[i] = f(x[i, i])", 15, "the axis 'i' of 'x' is named twice"),
        ("y[i] = f(x[*i, *j])", 10, "'x' has more than one starred axis, which cannot be told apart"),
        ("y[s] = f(x[*s])", 3, "the axis 's' is written '*s' elsewhere in the signature"),
        ("lambda_[i] = max(x[i])", 14, "'max' is a reserved word"),
        ("mean[i] = f(x[i])", 1, "'mean' is a reserved word"),
        ("y[i] = f(size[i])", 10, "'size' is a reserved word"),
        ("y[i] = f(x[i], pi=1)", 16, "'pi' is a reserved word"),
        ("y[i] = f(y1[i], dy=1)", 1, "the output 'y' is never assigned"),
    ],
)
def test_errors_in_the_signature(signature: str, column: int, message: str) -> None:
    error = failure(signature)
    assert place(error)[1:] == (1, column)
    assert message in str(error)


def test_a_constant_may_collide_with_an_adjoint() -> None:
    error = failure("y[i] = f(x[i], dy=1)\ny[i] = x[i]*dy")
    assert place(error) == ("f", 1, 16)
    assert "'dy' collides with the adjoint of 'y'" in str(error)


def test_an_axis_may_collide_with_an_adjoint() -> None:
    error = failure("y[dx] = f(x[dx])\ny[dx] = x[dx]")
    assert place(error)[:2] == ("f", 1)
    assert "'dx' collides with the adjoint of 'x'" in str(error)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("x[t[n], c]", "'t' indexes 'c', but slot 1 of 'x' is 'n'"),
        ("x[n, u[n]]", "'u' indexes 'x' but is not declared as 'u[...] in axis'"),
        ("x[n, t[c]]", "the index 'c' is neither on the left nor reduced"),
        ("x[n, t]", "'t' has 1 axis [n] but is read with 0; write t[n]"),
        ("x[n, t[n]]*t[n]", "'t' holds labels, which are no numbers; look one up with them: w[t[n]]"),
        ("x[n, t[n, n]]", "'t' has 1 axis [n] but is read with 2"),
    ],
)
def test_errors_in_a_gather(read: str, message: str) -> None:
    error = failure(f"y[n] = f(x[n, c], t[n], u[n])\nt[n] in c\ny[n] = {read}")
    assert place(error)[:2] == ("f", 3)
    assert message in str(error)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("x[n, n]", "axis 2 of 'x' is '*s', which takes a starred index, not 'n'"),
        ("x[s, s]", "axis 1 of 'x' is 'n', which takes a single index, not 's'"),
        ("x[n, t[n]]", "axis 2 of 'x' is '*s' and takes no lookup"),
    ],
)
def test_a_starred_axis_stays_apart(read: str, message: str) -> None:
    error = failure(f"y[n, *s] = f(x[n, *s], t[n])\ny[n, s] = {read}")
    assert place(error)[:2] == ("f", 2)
    assert message in str(error)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment"])
def test_empty_text(text: str) -> None:
    assert "the text is empty: expected a signature" in str(failure(text))


def test_text_that_is_not_python_grammar_names_op_line_and_column() -> None:
    error = failure("y[i] = f(x[i])\ny[i] = x[i] +")
    assert place(error)[:2] == ("f", 2)
    assert "nothing follows '+'" in str(error)


def test_a_null_byte_is_an_error_of_the_language() -> None:
    failure("y[i] = f(x[i])\ny[i] = x[i]\0")


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_no_reserved_word_is_a_name(word: str) -> None:
    assert "reserved word" in str(failure(f"y[i] = f({word}[i])\ny[i] = {word}[i]"))


# ---- nothing is evaluated --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "__import__('os')",
        "().__class__",
        "x.__class__",
        "x[i].real",
        "(lambda: 1)()",
        "lambda: 1",
        "f'{x}'",
        "(k := 1)",
        "[x[i] for k in x]",
        "{k for k in x}",
        "{k: 1 for k in x}",
        "sum(k for k in x)",
        "x[i] if a else 1",
        "x[i] and a",
        "not a",
        "~a",
        "[1, 2]",
        "{1: 2}",
        "{1}",
        "(1, 2)",
        "...",
        "None",
        "b'1'",
        "eval('1')",
        "exec('1')",
        "open('f')",
        "exp(*x)",
        "exp(**x)",
        "await a",
        "(yield)",
        "a << 2",
        "a % 2",
        "a | 2",
        "x[i](a)",
        "exp(a)(a)",
    ],
)
def test_python_beyond_the_language_is_refused(expression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the text was evaluated")

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "eval", forbidden)
        patch.setattr(builtins, "exec", forbidden)
        error = failure(f"{VECTOR}y[i] = {expression}")
    assert place(error)[:2] == ("f", 4)


# ---- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression",
    [
        *(f"x[i]**{LARGEST}", f"x[i]**-{LARGEST}", "x[i]**0.33333333", "x[i]**0.7978845608028654"),
        *("2147483648", "-12345678901234567890", "1e20*x[i]", "1.7e308", "5e-324", "2**1023", "0*exp(-700)", "10**300/10**299"),
    ],
)
def test_numbers_up_to_the_limit(expression: str) -> None:
    right_side(expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (str(10**309), "the integer is beyond what float64 holds"),
        (f"-{10**309}", "the integer is beyond what float64 holds"),
        ("1" * 5000, "an integer has more digits than any number of float64"),
        ("1e400", "the number is beyond what float64 holds"),
        ("1e-400", "the number is too small for float64, where it becomes 0"),
        ("2**2000", "the number 1.148e+602 is beyond what float64 holds"),
        ("1e200*x[i]*1e200", "the number 1.0e+400 is beyond what float64 holds"),
        ("1e-200*x[i]*1e-200", "the number 1.0e-400 is too small for float64"),
        ("exp(1000)", "the number 1.97e+434 is beyond what float64 holds"),
        ("exp(-1000)", "the number 5.076e-435 is too small for float64"),
        ("exp(exp(exp(700)))", "is beyond what float64 holds"),
        ("log(0)", "log(0) has no value"),
        ("log(1 - 2)", "log(-1) has no value"),
        ("log1p(-1)", "log1p(-1) has no value"),
        ("x[i] + sqrt(-1)", "sqrt(-1) has no value"),
        ("(-8)**(1/3)", "-8**0.333333 has no value"),
        ("maximum(0, -1)**-1", "0**-1 has no value"),
        (f"x[i]**{LARGEST + 1}", "the exponent is beyond 1000000"),
        ("x[i]**1e7", "the exponent is beyond 1000000"),
        ("x[i]**-1e7", "the exponent is beyond 1000000"),
        ("x[i]**10**7", "the exponent is beyond 1000000"),
        ("x[i]**(1/10**19)", "the denominator of the exponent is beyond 1000000000000000000"),
        ("999999**999999", "the power of numbers needs more than 4096 bits"),
        ("(10**100)**1000", "the power of numbers needs more than 4096 bits"),
        ("1e-300**1000", "the power of numbers needs more than 4096 bits"),
    ],
)
def test_numbers_beyond_the_limit(expression: str, message: str) -> None:
    error = failure(f"{VECTOR}y[i] = {expression}")
    assert place(error)[:2] == ("f", 4)
    assert message in str(error)


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 10_000 + "x[i]" + ")" * 10_000,
        "-" * 10_000 + "x[i]",
        "exp(" * 90 + "x[i]" + ")" * 90,
        "sum[j](" * 90 + "w[i, j]" + ")" * 90,
        "/".join(["x[i]"] * 500),
        "**".join(["2"] * 500),
        "-(" * 40 + "x[i]" + "/2)/2" * 40,
        "x[" * 90 + "i" + "]" * 90,
    ],
)
def test_deep_nesting_is_an_error_of_the_language(expression: str) -> None:
    failure(f"{VECTOR}y[i] = {expression}")


@pytest.mark.parametrize("operator", ["+", "-", "*"])
def test_a_long_chain_is_wide_and_not_deep(operator: str) -> None:
    tree = right_side(operator.join(["x[i]"] * 500))
    assert isinstance(tree, Add | Mul) and len(tree.args) == 500


@pytest.mark.parametrize("operator", ["+", "*", "/"])
def test_a_very_long_chain_never_exhausts_the_stack(operator: str) -> None:
    try:
        right_side(operator.join(["x[i]"] * 5000))
    except OpError as error:
        assert "nested" in str(error)


@given(st.text(alphabet="xyij[](),=+-*/<>. \n0123e", max_size=60))
def test_any_text_is_an_op_or_an_error_of_the_language(text: str) -> None:
    for reader, start in ((parse, "y[i] = f(x[i])\ny[i] = "), (parse, ""), (parse_formula, "y[i] = ")):
        with contextlib.suppress(OpError):
            reader(start + text)


# ---- a formula by itself ---------------------------------------------------------------------------------------------


def test_the_unassigned_names_of_a_formula_are_its_inputs() -> None:
    op = parse_formula("y[n] = sum[c](w[n, c]*exp(-x[c]**2)) + bias*size(c)")
    assert op.name == "y"
    assert op.inputs == (Tensor("w", ("n", "c")), Tensor("x", ("c",)), Tensor("bias", ()))
    assert op.outputs == (Tensor("y", ("n",)),)


def test_a_formula_infers_labels_from_where_they_look_up() -> None:
    op = parse_formula("l = -mean[n](log(p[n, t[n]]) - log(sum[c](p[n, c])))")
    assert op.inputs == (Tensor("p", ("n", "c")), Tensor("t", ("n",), labels="c"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exp(x[i])", "expected one equation, such as 'y[i] = exp(-x[i]**2)'"),
        ("y[i] = x[i]\nz[i] = x[i]", "expected one equation, found 2 statements"),
        ("y[n] = p[n, t[n]]", "the axes of 'p' cannot be told from 'p[..., t[...]]' alone; write a signature"),
        ("y[i] = y[i] + 1", "'y' is defined by itself"),
        ("y[i] = x[i] + dy", "'dy' collides with the adjoint of 'y'"),
        ("pi[i] = x[i]", "'pi' is a reserved word"),
    ],
)
def test_errors_in_a_formula(text: str, message: str) -> None:
    assert message in str(failure(text, parse_formula))


# ---- ops inside ops --------------------------------------------------------------------------------------------------

LINEAR = "y[*s, d] = linear(x[*s, k], W[k, d], b[d])\ny[*s, d] = sum[k](x[*s, k]*W[k, d]) + b[d]"
NORMED = (
    "y[n, *s] = normed(x[n, *s], eps=1e-5)\neps > 0\n"
    "m = mean[n, s](x[n, *s])\ny[n, *s] = (x[n, *s] - m)/(eps + size(n)*size(s))"
)
COLUMN = "y[i, j] = column(x[i, j])\ny[i, j] = x[i, j]*sum[i](x[i, j])"
GRAM = "g[i, j] = gram(x[i, k])\ng[i, j] = sum[k](x[i, k]*x[j, k])"
PICK = "y[n] = pick(x[n, c], t[n])\nt[n] in c\ny[n] = x[n, t[n]]"
TWO = "a[i], b[i] = two(x[i])\na[i] = x[i]\nb[i] = x[i]"


def catalogue(name: str) -> Op | None:
    texts = {"linear": LINEAR, "normed": NORMED, "column": COLUMN, "gram": GRAM, "pick": PICK, "two": TWO}
    return parse(texts[name]) if name in texts else None


def included(text: str) -> tuple[Equation, ...]:
    """The equations with their lines forgotten."""
    return tuple(Equation(e.name, e.index, e.rhs) for e in parse(text, catalogue=catalogue).equations)


def test_a_call_on_the_right_gives_the_equations_under_the_names_of_the_caller() -> None:
    (made,) = included("h[n, q] = net(z[n, p], V[p, q], c[q])\nh[n, q] = linear(z[n, p], V[p, q], c[q])")
    product = Mul((Read("z", ("n", "p")), Read("V", ("p", "q"))))
    assert made == Equation("h", ("n", "q"), Add((Reduce("sum", ("p",), product), Read("c", ("q",)))))


def test_internal_names_are_prefixed_and_numbered() -> None:
    made = included("h[n] = net(z[n])\na[n] = normed(z[n])\nh[n] = normed(a[n])")
    assert [e.name for e in made] == ["normed_m", "a", "normed2_m", "h"]


def test_a_star_takes_what_the_caller_leaves() -> None:
    mean, last = included("h[a, b, c] = net(z[a, b, c])\nh[a, b, c] = normed(z[a, b, c])")
    assert mean.rhs == Reduce("mean", ("a", "b", "c"), Read("z", ("a", "b", "c")))
    sizes = Mul((Size("a"), Size("b"), Size("c")))
    assert isinstance(last.rhs, Div) and last.rhs.den == Add((number("1e-5"), sizes))


def test_an_empty_star_disappears() -> None:
    mean, last = included("h[a] = net(z[a])\nh[a] = normed(z[a], eps=0.5)")
    assert mean.rhs == Reduce("mean", ("a",), Read("z", ("a",)))
    assert isinstance(last.rhs, Div) and last.rhs.den == Add((number("1/2"), Size("a")))


def test_an_argument_that_is_an_expression_gets_a_name() -> None:
    first, second = included("h[n, q] = net(z[n, p], V[p, q], c[q])\nh[n, q] = linear(exp(z[n, p]), V[p, q], c[q])")
    assert first == Equation("linear_x", ("n", "p"), Call("exp", (Read("z", ("n", "p")),)))
    assert "linear_x" in repr(second.rhs)


def test_a_call_inside_an_expression_reads_its_result() -> None:
    made = included("h[n] = net(z[n, p], V[p, q], c[q])\nh[n] = sum[q](linear(z[n, p], V[p, q], c[q])**2)")
    assert [e.name for e in made] == ["linear_y", "h"]
    assert made[1].rhs == Reduce("sum", ("q",), Pow(Read("linear_y", ("n", "q")), number(2)))


def test_one_axis_of_the_caller_for_two_of_the_callee_captures_nothing() -> None:
    made = included("h[n] = net(z[n, p], V[p, n], c[n])\nh[n] = 2*linear(z[n, p], V[p, n], c[n])")
    product = Mul((Read("z", ("n", "p")), Read("V", ("p", "d"))))
    assert made[0] == Equation("linear_y", ("n", "d"), Add((Reduce("sum", ("p",), product), Read("c", ("d",)))))
    assert made[1].rhs == Mul((number(2), Read("linear_y", ("n", "n"))))


def test_a_shadowed_index_of_the_callee_stays_apart() -> None:
    (made,) = included("h[a, b] = net(z[a, b])\nh[a, b] = column(z[a, b])")
    total = Reduce("sum", ("a'",), Read("z", ("a'", "b")))
    assert made.rhs == Mul((Read("z", ("a", "b")), total))


def test_an_axis_that_only_the_result_has_is_named_by_the_left_side() -> None:
    (made,) = included("h[a, b] = net(z[a, k])\nh[a, b] = gram(z[a, k])")
    assert made.rhs == Reduce("sum", ("k",), Mul((Read("z", ("a", "k")), Read("z", ("b", "k")))))


def test_a_result_in_another_order_or_with_fewer_axes_is_read() -> None:
    made = included("h[b, a, c] = net(z[a, b], w[c])\nh[b, a, c] = column(z[a, b])")
    assert [e.name for e in made] == ["column_y", "h"]
    assert made[1] == Equation("h", ("b", "a", "c"), Read("column_y", ("a", "b")))


def test_labels_pass_through_a_call() -> None:
    (made,) = included("h[m] = net(z[m, v], u[m])\nu[m] in v\nh[m] = pick(z[m, v], u[m])")
    assert made.rhs == Read("z", ("m", Lookup("u", ("m",))))


def test_assumptions_of_the_callee_hold_of_the_constants_of_the_caller() -> None:
    op = parse("h[n] = net(z[n], tiny=0.1)\nh[n] = normed(z[n], eps=tiny)", catalogue=catalogue)
    assert op.assumptions == (Compare(">", Read("tiny"), number(0)),)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("linear(z[n, p], V[p, q])", "'linear' takes 3 tensors (x, W, b), not 2"),
        ("linear(z[n, p], V[q, p], c[q])", "the axis 'k' of 'linear' is both [p] and [q]"),
        ("linear(z[n, p], V[p, q], V[p, q])", "'b' of 'linear' has the axes [d], 'V' is given with 2"),
        ("linear(z[n, p], V[p, q], c[q], eps=1)", "'linear' has no constant 'eps'"),
        ("linear(z[n, p], V[p, q], c[q], **c)", "'**' has no meaning here"),
        ("linear(z[n, p], V[p, p], c[p])", "'W' of 'linear' has the axes [k, d], an expression is given with 1"),
        ("normed(z[n, q])", "'z' has 2 axes"),
        ("normed(V[n, q], eps=0)", "'normed' assumes eps > 0, not 0"),
        ("normed(V[n, q], eps=c[q])", "takes a number or a constant of the caller"),
        ("pick(V[n, q], u[n])", "'t' of 'pick' must be an integer tensor; 'u' is not"),
        ("pick(V[n, q], t[n])", "'t' indexes 'p', but 'pick' looks up 'q' with it"),
        ("1 + gram(c[q])", "'x' of 'gram' has the axes [i, k], 'c' is given with 1"),
        ("1 + gram(z[n, p])", "the axis 'j' of the result of 'gram' has no name here"),
        ("1 + linear(z[n, p], V[p, r], c[r])", "the index 'r' of the result of 'linear' is neither on the left nor reduced"),
        ("two(c[q])", "'two' has 2 outputs and cannot be called inside equations"),
        ("column(V[q, p])", "the index 'p' of the result of 'column' is neither on the left nor reduced"),
        ("nothing(c[q])", "unknown function or op 'nothing'"),
    ],
)
def test_errors_in_a_call(call: str, message: str) -> None:
    text = f"h[n, q] = net(z[n, p], V[p, q], c[q], t[n], u[n])\nt[n] in p\nh[n, q] = {call}"
    if message == "'z' has 2 axes":
        text, message = text.replace(call, "normed(z[n])"), "'z' has 2 axes [n, p] but is read with 1"
    error = failure(text, catalogue=catalogue)
    assert place(error)[:2] == ("net", 3)
    assert message in str(error)


# ---- the same from SymPy ---------------------------------------------------------------------------------------------

N, C = sympy.symbols("N C", positive=True, integer=True)
n, c = sympy.symbols("n c", integer=True)
eps = sympy.Symbol("eps", positive=True)
x, y, z, p, mu, t = (sympy.IndexedBase(name) for name in ("x", "y", "z", "p", "mu", "t"))


def forget(op: Op) -> tuple[object, ...]:
    """An op without its text and lines."""
    equations = tuple(Equation(e.name, e.index, e.rhs) for e in op.equations)
    return op.name, op.inputs, op.outputs, op.constants, op.assumptions, equations


def test_an_op_from_sympy_equals_the_parsed_op() -> None:
    made = op_from_sympy(
        "xent",
        [z[n, c], t[n]],
        [
            sympy.Eq(p[n, c], sympy.exp(z[n, c]) / sympy.Sum(sympy.exp(z[n, c]), (c, 0, C - 1))),
            sympy.Eq(sympy.Symbol("loss"), -sympy.Sum(sympy.log(p[n, t[n]]), (n, 0, N - 1)) / N),
        ],
        labels={"t": "c"},
    )
    text = (
        "loss = xent(z[n, c], t[n])\nt[n] in c\np[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))\n"
        "loss = -sum[n](log(p[n, t[n]]))/size(n)"
    )
    assert forget(made) == forget(parse(text))


def test_what_sympy_knows_to_be_positive_is_assumed() -> None:
    made = op_from_sympy("f", [x[n, c]], [sympy.Eq(y[n, c], x[n, c] / (eps + x[n, c] ** 2))], constants={"eps": "1e-5"})
    assert made.constants == (Constant("eps", "1e-5"),)
    assert made.assumptions == (Compare(">", Read("eps"), number(0)),)


def test_piecewise_maxima_and_ranged_indices() -> None:
    i = sympy.Idx("i", N)
    peak = sympy.Function("max_i")
    relu = sympy.Piecewise((x[i], x[i] > 0), (0, True))
    made = op_from_sympy("f", [x[i]], [sympy.Eq(y[i], relu * peak(x[i]) / N)])
    text = "y[i] = f(x[i])\ny[i] = where(x[i] > 0, x[i], 0)*max[i](x[i])/size(i)"
    assert forget(made) == forget(parse(text))


def test_an_op_from_sympy_keeps_a_text_that_parses_to_it() -> None:
    made = op_from_sympy(
        "f", [x[n, c]], [sympy.Eq(mu[n], sympy.Sum(x[n, c], (c, 1, C)) / 2), sympy.Eq(y[n, c], x[n, c] - mu[n])]
    )
    assert parse(made.text) == made


@pytest.mark.parametrize(
    ("right", "message"),
    [
        (sympy.Sum(x[n, c], (c, 0, 3)), "a Sum runs over a whole axis"),
        (sympy.Sum(x[n, c], (c, 0, n)), "a Sum runs over a whole axis"),
        (sympy.gamma(x[n, c]), "unknown function or op 'gamma'"),
        (x[n, c + 1], "'c + 1' is not an index"),
        (sympy.I * x[n, c], "SymPy's ImaginaryUnit has no counterpart"),
        (sympy.oo * x[n, c], "SymPy's Infinity has no counterpart"),
        (sympy.Piecewise((x[n, c], x[n, c] > 0)), "a Piecewise must end in (value, True)"),
        (sympy.Symbol("q"), "unknown name 'q'"),
        (x[n], "'x' has 2 axes [n, c] but is read with 1"),
    ],
)
def test_errors_in_equations_from_sympy(right: sympy.Expr, message: str) -> None:
    with pytest.raises(OpError) as caught:
        op_from_sympy("f", [x[n, c]], [sympy.Eq(y[n, c], right)])
    assert message in str(caught.value)
