"""The engine reaches, by itself, the closed forms that an expert would publish: equal as expressions, not as text."""

from __future__ import annotations

import pytest
import sympy

import derive
from derive.display import tree_of
from derive.parse import parse
from derive.sympy_bridge import to_sympy

#: Op -> the lines of its closed form, in the language. A line may read other adjoints that the engine names.
CLOSED = {
    "tanh": {"dx[s]": "dy[s]*(1 - y[s]**2)"},
    "sigmoid": {"dx[s]": "dy[s]*y[s]*(1 - y[s])"},
    "relu": {"dx[s]": "where(x[s] > 0, dy[s], 0)"},
    "gelu": {"dx[s]": "dy[s]*(cdf[s] + x[s]*exp(-x[s]**2/2)/sqrt(2*pi))"},
    "silu": {"dx[s]": "dy[s]*(g[s] + y[s]*(1 - g[s]))"},
    "softmax": {"dz[s, c]": "p[s, c]*(dp[s, c] - sum[c](dp[s, c]*p[s, c]))"},
    "softmax_cross_entropy": {"dz[n, c]": "dloss*(p[n, c] - hot[n, c])/size(n)"},
    "batchnorm": {
        "dgamma[d]": "sum[n, s](dy[n, d, s]*xhat[n, d, s])",
        "dbeta[d]": "sum[n, s](dy[n, d, s])",
        "dx[n, d, s]": "gamma[d]*rstd[d]*(dy[n, d, s] - dbeta[d]/(size(n)*size(s))"
        " - xhat[n, d, s]*dgamma[d]/(size(n)*size(s) - ddof))",
    },
    "layernorm": {
        "dgamma[d]": "sum[s](dy[s, d]*xhat[s, d])",
        "dbeta[d]": "sum[s](dy[s, d])",
        "dxhat[s, d]": "gamma[d]*dy[s, d]",
        "dx[s, d]": "rstd[s]*(dxhat[s, d] - sum[d](dxhat[s, d])/size(d)"
        " - xhat[s, d]*sum[d](dxhat[s, d]*xhat[s, d])/size(d))",
    },
    "rmsnorm": {
        "dgamma[d]": "sum[s](dy[s, d]*xhat[s, d])",
        "dxhat[s, d]": "gamma[d]*dy[s, d]",
        "dx[s, d]": "rstd[s]*(dxhat[s, d] - xhat[s, d]*sum[d](dxhat[s, d]*xhat[s, d])/size(d))",
    },
    "attention": {
        "dv[s, j, d]": "sum[i](do[s, i, d]*P[s, i, j])",
        "dP[s, i, j]": "sum[d](do[s, i, d]*v[s, j, d])",
        "dS[s, i, j]": "P[s, i, j]*(dP[s, i, j] - sum[d](do[s, i, d]*o[s, i, d]))",
        "dq[s, i, f]": "sum[j](dS[s, i, j]*k[s, j, f])/sqrt(size(f))",
        "dk[s, j, f]": "sum[i](dS[s, i, j]*q[s, i, f])/sqrt(size(f))",
    },
    "linear": {
        "dx[s, k]": "sum[h](dy[s, h]*W[k, h])",
        "dW[k, h]": "sum[s](x[s, k]*dy[s, h])",
        "db[h]": "sum[s](dy[s, h])",
    },
    "matmul": {"da[n, k]": "sum[m](dy[n, m]*b[k, m])", "db[k, m]": "sum[n](a[n, k]*dy[n, m])"},
    "embedding": {"dtable[v, d]": "sum[s](dy[s, d]*hot[s, v])"},
}
#: One-hot tensors stand in the expected text for the indicators of the engine's result.
HOT = {"softmax_cross_entropy": ("hot", "n", "c"), "embedding": ("hot", "s", "v")}


def expected(op: derive.Op, derivation: derive.Derivation, left: str, right: str) -> sympy.Expr:
    """The expected right side as SymPy, every tensor that it may read declared as an input."""
    axes = {t.name: t.axes for t in op.inputs if not t.integer}
    axes |= {d.name: d.index for d in (*derivation.forward, *derivation.chain)}
    axes |= {f"d{t.name}": t.axes for t in op.outputs}
    if op.name in HOT:
        name, *of = HOT[op.name]
        axes[name] = tuple(of)
    free = [a for a in axes if f"{a}[" in right or a in right.replace("(", " ").replace("*", " ").replace("/", " ").split()]
    # An adjoint's name is refused as an input, so the expected text renames d to grad_.
    rename = {a: a if a in ("hot",) or not a.startswith("d") else f"grad_{a}" for a in axes}
    for name in sorted(axes, key=len, reverse=True):
        if rename[name] != name:
            import re

            right = re.sub(rf"\b{name}\b(?=\[|\b(?!\())", rename[name], right) if name not in op_axes(op) else right
    inputs = ", ".join(f"{rename[a]}[{', '.join(axes[a])}]" if axes[a] else rename[a] for a in axes if rename[a] in right or a in free)
    constants = "".join(f", {c.name}={c.default}" for c in op.constants)
    target = left.split("[")[1] if "[" in left else ""
    text = f"result{'[' + target if target else ''} = expected_form({inputs}{constants})\n"
    text += f"result{'[' + target if target else ''} = {right}"
    tree = to_sympy(parse(text).equations[0].rhs)
    bases = {sympy.IndexedBase(rename[a], real=True): sympy.IndexedBase(a, real=True) for a in axes if rename[a] != a}
    symbols = {sympy.Symbol(rename[a], real=True): sympy.Symbol(a, real=True) for a in axes if rename[a] != a}
    return tree.subs(bases).subs(symbols)


def op_axes(op: derive.Op) -> set[str]:
    return {a for t in op.inputs for a in t.axes}


def canonical(expr: sympy.Expr) -> sympy.Expr:
    """Sums expanded over their terms, what does not depend on the index pulled out, and indices named alike."""
    expr = sympy.expand(expr)

    def rewrite(total: sympy.Sum) -> sympy.Expr:
        parts = []
        for term in sympy.Add.make_args(sympy.expand(total.function)):
            inside, outside = [], []
            indices = {limit[0] for limit in total.limits}
            for factor in sympy.Mul.make_args(term):
                (inside if factor.free_symbols & indices else outside).append(factor)
            to = {i: sympy.Symbol(i.name.rstrip("'") + "_bound", integer=True) for i in indices}
            limits = sorted(((to[i], a, b) for i, a, b in total.limits), key=str)
            parts.append(sympy.Mul(*outside) * sympy.Sum(sympy.Mul(*inside).subs(to), *limits))
        return sympy.Add(*parts)

    return sympy.expand(expr.replace(lambda e: isinstance(e, sympy.Sum), rewrite))


@pytest.mark.parametrize("name", CLOSED)
def test_closed_form(name: str) -> None:
    op = derive.load(name)
    derivation = derive.derive(op)
    show = tree_of(op, derivation.forward)
    lines = {line.name: line for line in derivation.lines}
    assert set(lines) == {left.split("[")[0] for left in CLOSED[name]}
    for left, right in CLOSED[name].items():
        line = lines[left.split("[")[0]]
        found = to_sympy(show(line.body, line.index))
        if name in HOT:
            hot, *of = HOT[name]
            found = found.replace(sympy.KroneckerDelta, lambda *_: sympy.IndexedBase(hot, real=True)[tuple(sympy.Symbol(i, integer=True) for i in of)])  # noqa: B023
        difference = canonical(found) - canonical(expected(op, derivation, left, right))
        assert sympy.simplify(difference) == 0, f"{line.name} = {found}"


def test_the_gradient_through_the_shift_is_found_to_be_zero() -> None:
    """Nobody wrote the maximum into softmax; its adjoint vanishes by a recorded step."""
    derivation = derive.derive(derive.load("softmax"))
    ends = [step for step in derivation.steps if step.name == "dm"]
    assert ends
    assert not ends[-1].after


def test_the_bias_before_a_batchnorm_has_no_gradient() -> None:
    derivation = derive.derive(derive.load("mlp"))
    line = next(line for line in derivation.lines if line.name == "db1")
    assert not line.body


def test_rmsnorm_never_divides_by_gamma() -> None:
    """gamma may be zero, so nothing may be recovered from y/gamma."""
    for name in ("rmsnorm", "layernorm", "batchnorm"):
        for step in derive.derive(derive.load(name)).steps:
            for mono in step.after.terms:
                assert all(e > 0 for atom, e in mono.factors if getattr(atom, "name", "") == "gamma")


def test_attention_forms_dS_once_and_needs_four_matrix_products() -> None:
    from codegen.plan import plan
    from codegen.printers.torch import TorchPrinter

    kernel = plan(derive.derive(derive.load("attention")))
    printer = TorchPrinter(kernel.backward)
    lines = [line for s in kernel.backward.statements for line in printer.statement(s)]
    assert sum(line.count("@") for line in lines) == 4
    assert [t.name for t in kernel.saved] == ["P", "o"]
