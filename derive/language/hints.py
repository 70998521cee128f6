"""Hints for error messages: how the language says what somebody wrote as in another language."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Mapping

from derive.functions.words import REDUCTIONS, is_function
from derive.language.defined import DEFINED_REDUCTIONS

_EVERYWHERE = "an equation holds at every position of its axes"
#: Reserved words of Python that are no part of the language.
KEYWORDS = {
    "lambda": "'lambda' is a reserved word of Python and no name; write 'lam', and a function as an equation of its own",
    "if": "'if' has no meaning here; choose with where(condition, a, b)",
    "else": "'else' has no meaning here; choose with where(condition, a, b)",
    "elif": "'elif' has no meaning here; choose with where(condition, a, b)",
    "for": f"'for' has no meaning here: {_EVERYWHERE}, and sum[n](...) adds up",
    "while": f"'while' has no meaning here: {_EVERYWHERE}, and sum[n](...) adds up",
    "def": "'def' has no meaning here; the first line is the signature: y[n] = op(x[n])",
    "return": "'return' has no meaning here; the outputs are what the signature names",
    "import": "'import' has no meaning here; exp, log and the like are known",
    "from": "'from' has no meaning here; exp, log and the like are known",
    "None": "'None' has no value here",
    "True": "'True' is no number; write 1",
    "False": "'False' is no number; write 0",
}
_STATEMENTS: dict[type[ast.stmt], str] = {
    ast.If: KEYWORDS["if"],
    ast.For: KEYWORDS["for"],
    ast.While: KEYWORDS["while"],
    ast.FunctionDef: KEYWORDS["def"],
    ast.Return: KEYWORDS["return"],
    ast.Import: KEYWORDS["import"],
    ast.ImportFrom: KEYWORDS["from"],
    ast.AnnAssign: "':' has no meaning here; types are those of the arguments",
}
_CONDITIONS = "conditions are combined by nesting: where(a > 0, where(b > 0, 1, 0), 0)"
_EXPRESSIONS: dict[type[ast.expr], str] = {
    ast.IfExp: KEYWORDS["if"],
    ast.Lambda: KEYWORDS["lambda"],
    ast.BoolOp: f"'and' and 'or' have no meaning here; {_CONDITIONS}",
    ast.ListComp: KEYWORDS["for"],
    ast.GeneratorExp: KEYWORDS["for"],
    ast.SetComp: KEYWORDS["for"],
    ast.DictComp: KEYWORDS["for"],
    ast.List: "a list has no meaning here; square brackets hold the axes of a tensor, x[n]",
    ast.Tuple: "a tuple has no meaning here; a comma separates axes, arguments and outputs",
    ast.Set: "braces have no meaning here; group with ( )",
    ast.Dict: "braces have no meaning here; group with ( )",
    ast.NamedExpr: "':=' has no meaning here; give the part an equation of its own",
    ast.JoinedStr: "a text in quotation marks has no meaning here; a comment begins with '#'",
    ast.Subscript: "square brackets hold the axes of a tensor; give what stands before them an equation of its own",
    ast.Slice: "':' has no meaning here; every slot names an axis: x[n, d]",
}
_OPERATORS: dict[type[ast.operator], str] = {
    ast.BitXor: "'^' is no operator here; a power is written a**b",
    ast.MatMult: "'@' is no operator here; a product of matrices is a sum: sum[k](a[n, k]*b[k, m])",
    ast.FloorDiv: "'//' is no operator here; write floor(a/b)",
    ast.Mod: "'%' is no operator here; write a - b*floor(a/b)",
    ast.BitAnd: f"'&' is no operator here; {_CONDITIONS}",
    ast.BitOr: f"'|' is no operator here; {_CONDITIONS}",
    ast.LShift: "'<<' is no operator here; write a*2**b",
    ast.RShift: "'>>' is no operator here; write a/2**b",
}
#: Functions of other libraries, and how the language says the same.
ELSEWHERE = {
    **dict.fromkeys(("ln", "log10", "log2"), "log(a), divided by the logarithm of the base"),
    **dict.fromkeys(("arctan", "arctan2", "atan2"), "atan(a)"),
    **dict.fromkeys(("pow", "power"), "a**b"),
    **dict.fromkeys(("square", "sqr"), "a**2"),
    **dict.fromkeys(("rsqrt", "reciprocal"), "a**(-1/2) or 1/a"),
    "clip": "clamp(a, low, high)",
    **dict.fromkeys(("dot", "matmul", "einsum", "mm", "bmm", "inner", "outer", "tensordot"), "sum[k](a[n, k]*b[k, m])"),
    **dict.fromkeys(("logistic", "sig", "expit"), "sigmoid(a)"),
    **dict.fromkeys(("swish",), "silu(a)"),
    "amax": "max[n](a[n])",
    "amin": "min[n](a[n])",
    **dict.fromkeys(
        ("topk", "sort", "argsort"),
        "argmax[n](a[n]) for the position of the largest, and ranks for several: r[n] = sum[m](where(a[m] > a[n], 1, 0)) and "
        "then where(r[n] < 3, a[n], 0); an axis of sorted entries has no name here",
    ),
    **dict.fromkeys(("average",), "mean[n](a[n])"),
    **{word: f"{word}[n](a[n])" for word in DEFINED_REDUCTIONS},
    "variance": "var[n](a[n])",
    **dict.fromkeys(("len", "shape", "numel"), "size(n)"),
    "product": "prod[n](a[n])",
    "softplus": "log(1 + exp(a))",
    "leaky_relu": "where(a > 0, a, 0.01*a)",
    "elu": "where(a > 0, a, exp(a) - 1)",
    "tan": "sin(a)/cos(a)",
    **dict.fromkeys(("rint", "nearest"), "round(a)"),
    **dict.fromkeys(
        ("cast", "astype", "float", "double", "half", "bfloat16", "int", "long"),
        "round(a), floor(a) or ceil(a), and a + stop(round(a) - a) for a straight-through estimator: all numbers have the "
        "dtype of the inputs",
    ),
    "ceiling": "ceil(a)",
    "trunc": "sign(a)*floor(abs(a))",
    **dict.fromkeys(("detach", "stop_gradient", "no_grad"), "stop(a)"),
    "erfc": "1 - erf(a), or exp(-a**2)*erfcx(a)",
    "if_": "where(condition, a, b)",
    "select": "where(condition, a, b)",
    "transpose": "the axes in another order",
}

#: Numbers by their names elsewhere, and how the language says the same.
NUMBERS = {
    "inf": "'inf' is no number here: leave the bound out, as in clamp(a, lo=0), or choose with where(condition, a, 0)",
    "nan": "'nan' is no number here: choose with where(condition, a, 0)",
    "e": "write exp(1) for Euler's number",
    "tau": "write 2*pi for the full turn",
}
NUMBERS |= {"infinity": NUMBERS["inf"], "Inf": NUMBERS["inf"], "NaN": NUMBERS["nan"]}


def statement(node: ast.stmt) -> str:
    """The message for a statement that is neither an equation nor an assumption."""
    expected = "expected an equation 'name[axes] = expression' or an assumption such as 'eps > 0'"
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name | ast.Subscript):
        name = brief(node.target).partition("[")[0]
        return f"{expected}; a name has one value, so give the new one a name of its own: {name}2 = {name} + ..."
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return f"{expected}; a comment begins with '#'"
    hint = _STATEMENTS.get(type(node))
    return f"{expected}; {hint}" if hint else expected


def expression(node: ast.expr) -> str:
    """The message for an expression that is not in the whitelist."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Subscript):
        return "one pair of square brackets holds all axes: x[n, d]"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return "'not' has no meaning here; compare the other way round"
    if isinstance(node, ast.UnaryOp):
        return f"the operator '{type(node.op).__name__}' is not part of the language"
    return _EXPRESSIONS.get(type(node), f"'{type(node).__name__}' is not part of the language")


def operator(node: ast.BinOp, tensors: Mapping[str, tuple[str, ...]]) -> str:
    """The message for an operator that is not in the whitelist."""
    name = f"the operator '{type(node.op).__name__}' is not part of the language"
    if isinstance(node.op, ast.BitXor):
        return f"'^' is no power here: write {brief(node.left, 'a')}**{brief(node.right, 'b')}"
    if isinstance(node.op, ast.MatMult):
        left, right = (_tensor(side, tensors) for side in (node.left, node.right))
        if left and right and tensors[left] and tensors[right]:
            return f"'@' is no operator here: write {_product(left, right, tensors)}"
    hint = _OPERATORS.get(type(node.op))
    return hint or name


def _tensor(node: ast.expr, tensors: Mapping[str, tuple[str, ...]]) -> str | None:
    name = node.value if isinstance(node, ast.Subscript) else node
    return name.id if isinstance(name, ast.Name) and name.id in tensors else None


def _product(left: str, right: str, tensors: Mapping[str, tuple[str, ...]]) -> str:
    """A matrix product as a sum in the language: over the last axis of ``left`` and the last but one of ``right``."""
    a, b = tensors[left], list(tensors[right])
    axis = a[-1].removeprefix("*")
    b[max(len(b) - 2, 0)] = a[-1]
    return f"sum[{axis}]({left}[{', '.join(a)}]*{right}[{', '.join(b)}])"


def attribute(node: ast.Attribute, tensors: Mapping[str, tuple[str, ...]]) -> str:
    """The message for attributes such as ``x.T``, ``x.shape``, ``x.sum(0)`` and ``np.exp``."""
    name, owner = node.attr, _tensor(node.value, tensors)
    if owner is None:
        if is_function(name):
            return f"'{brief(node)}' has no meaning here: write {name}(...)"
        if name in REDUCTIONS or name in DEFINED_REDUCTIONS:
            return f"'{brief(node)}' has no meaning here: write {name}[n](...), with the axes that it reduces"
        said = f": write {ELSEWHERE[name]}" if name in ELSEWHERE else "; functions have no prefix"
        return f"'{brief(node)}' has no meaning here{said}"
    axes = tensors[owner]
    if name in ("T", "mT", "transpose", "permute", "swapaxes"):
        said = f"'.{name}' has no meaning here: read the axes in the order that they have"
        if not axes:  # in a formula they are known by how they are read
            return f"{said}, {owner}[n, m] for {owner}.{name}[m, n]"
        swapped = ", ".join((*axes[:-2], *reversed(axes[-2:])))
        return f"{said}, {owner}[{', '.join(axes)}], and name those of the left side as you want them, such as [{swapped}]"
    if name in ("shape", "size"):
        return f"'.{name}' has no meaning here: the length of an axis is size({axes[0].removeprefix('*') if axes else 'n'})"
    if name in REDUCTIONS or name in DEFINED_REDUCTIONS:
        inner = ", ".join(axes) or "n"
        return f"'.{name}' has no meaning here: write {name}[{inner}]({owner}[{inner}]), with the axes that it reduces"
    written = f"{name}({owner}[{', '.join(axes)}])" if axes else f"{name}({owner})"
    return f"'.{name}' has no meaning here" + (f": write {written}" if is_function(name) else "")


def first_value(slot: ast.expr) -> str:
    """What is probably meant by a number in the place of an axis on the left side."""
    return "; what the first step of a recurrence reads is said at -1" if isinstance(slot, ast.Constant) else ""


def mirrored(node: ast.Compare) -> str:
    """The hint for a comparison with its name on the right: ``; write eps > 0`` for ``0 < eps``."""
    mirror = {ast.Lt: ">", ast.Gt: "<", ast.LtE: ">=", ast.GtE: "<=", ast.Eq: "==", ast.NotEq: "!="}.get(type(node.ops[0]))
    right = node.comparators[0]
    if mirror and isinstance(node.left, ast.Constant) and isinstance(right, ast.Name | ast.Subscript):
        return f"; write {brief(right)} {mirror} {brief(node.left)}"
    return "; an equation is written with '='" if mirror == "==" else ""


def unnamed_reduction(node: ast.Call, kind: str, tensors: Mapping[str, tuple[str, ...]]) -> str:
    """The message for a reduction without axes: ``sum(x)``, ``max(x, 0)``."""
    must = f"'{kind}' must name its axes: {kind}"
    if kind in ("max", "min") and len(node.args) == 2 and not node.keywords:
        larger, other = ("larger", "maximum") if kind == "max" else ("smaller", "minimum")
        both = ", ".join(brief(a, "ab"[k]) for k, a in enumerate(node.args))
        return f"{must}[n](...); the {larger} of two values is {other}({both})"
    owner = _tensor(node.args[0], tensors) if node.args else None
    if owner and isinstance(node.args[0], ast.Name) and tensors[owner]:
        axes = ", ".join(tensors[owner])
        return f"{must}[{axes}]({owner}[{axes}])"
    return f"{must}[n](...)"


def meant(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or "" where no known name looks like it."""
    names = list(dict.fromkeys(known))
    same = [n for n in names if n.lower() == name.lower() and n != name]
    near = same or difflib.get_close_matches(name[:64], names, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def unknown_function(name: str, known: Iterable[str]) -> str:
    said = f"; write {ELSEWHERE[name]}" if name in ELSEWHERE else meant(name, known)
    return f"unknown function or op '{short(name)}'{said}"


def short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:37]}..."


def listed(names: list[str]) -> str:
    """The names as a list for a message; only the first twelve if there are more."""
    shown = ", ".join(map(short, names[:12]))
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def brief(node: ast.expr, otherwise: str = "...") -> str:
    """The source of an expression if it is short, else ``otherwise``."""
    try:
        text = ast.unparse(node)
    except (RecursionError, ValueError):
        return otherwise
    return text if len(text) <= 40 and "\n" not in text else otherwise
