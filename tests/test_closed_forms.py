"""The engine reaches, by itself, the closed forms that an expert would publish: equal as expressions, not as text."""

from __future__ import annotations

import re

import pytest
import sympy

import derive
from derive.language.parse import parse
from derive.show.trees import tree_of
from derive.sympy_bridge import to_sympy

#: Op -> the lines of its closed form, in the language. A line may read other adjoints that the engine names.
CLOSED = {
    "tanh": {"dx[s]": "dy[s]*(1 - y[s]**2)"},
    "sigmoid": {"dx[s]": "dy[s]*y[s]*(1 - y[s])"},
    "relu": {"dx[s]": "where(x[s] <= 0, 0, dy[s])"},
    "gelu": {"dx[s]": "dy[s]*(cdf[s] + x[s]*exp(-x[s]**2/2)/sqrt(2*pi))"},
    "silu": {"dx[s]": "dy[s]*(g[s] + y[s]*(1 - g[s]))"},
    "softmax": {"dz[s, c]": "p[s, c]*(dp[s, c] - sum[c](dp[s, c]*p[s, c]))"},
    "log_softmax": {"dz[s, c]": "dy[s, c] - exp(y[s, c])*sum[c](dy[s, c])"},
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
        "dx[s, d]": "rstd[s]*(dxhat[s, d] - sum[d](dxhat[s, d])/size(d) - xhat[s, d]*sum[d](dxhat[s, d]*xhat[s, d])/size(d))",
    },
    "rmsnorm": {
        "dgamma[d]": "sum[s](dy[s, d]*xhat[s, d])",
        "dxhat[s, d]": "gamma[d]*dy[s, d]",
        "dx[s, d]": "rstd[s]*(dxhat[s, d] - xhat[s, d]*sum[d](dxhat[s, d]*xhat[s, d])/size(d))",
    },
    "residual_rmsnorm": {
        "dgamma[d]": "sum[s](dy[s, d]*hhat[s, d])",
        "dhhat[s, d]": "gamma[d]*dy[s, d]",
        "dx[s, d]": "rstd[s]*(dhhat[s, d] - hhat[s, d]*sum[d](dhhat[s, d]*hhat[s, d])/size(d))",
        "dr[s, d]": "dx[s, d]",
    },
    "batchnorm_eval": {
        "dgamma[d]": "sum[n, s](dy[n, d, s]*xhat[n, d, s])",
        "dbeta[d]": "sum[n, s](dy[n, d, s])",
        "dx[n, d, s]": "gamma[d]*rstd[d]*dy[n, d, s]",
        "dmu[d]": "-gamma[d]*rstd[d]*dbeta[d]",
        "dvar[d]": "-gamma[d]*rstd[d]**2*dgamma[d]/2",
    },
    "groupnorm": {
        "dgamma[g, c]": "sum[n, s](dy[n, g, c, s]*xhat[n, g, c, s])",
        "dbeta[g, c]": "sum[n, s](dy[n, g, c, s])",
        "dx[n, g, c, s]": "rstd[n, g]*(gamma[g, c]*dy[n, g, c, s]"
        " - sum[c](gamma[g, c]*sum[s](dy[n, g, c, s]))/(size(c)*size(s))"
        " - xhat[n, g, c, s]*sum[c](gamma[g, c]*sum[s](dy[n, g, c, s]*xhat[n, g, c, s]))/(size(c)*size(s)))",
    },
    "gelu_tanh": {"dx[s]": "dy[s]*(cdf[s] + x[s]*(1 - t[s]**2)*sqrt(2/pi)*(1 + 3*0.044715*x[s]**2)/2)"},
    "ppo_clip": {
        "dlogp[n]": "where(gain[n] > limit[n], 0, -gain[n]*dloss/size(n))",
        "dold[n]": "-dlogp[n]",
        "dadv[n]": "-dloss/size(n)*where(gain[n] > limit[n], bound[n], ratio[n])",
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
    "matmul": {
        "da[s, n, k]": "sum[m](dy[s, n, m]*b[s, k, m])",
        "db[s, k, m]": "sum[n](a[s, n, k]*dy[s, n, m])",
    },
    "mlp": {
        "dlogits[n, v]": "dloss*(softmax_cross_entropy_p[n, v] - hot[n, v])/size(n)",
        "dW2[h, v]": "sum[n](dlogits[n, v]*act[n, h])",
        "db2[v]": "sum[n](dlogits[n, v])",
        "dact[n, h]": "sum[v](dlogits[n, v]*W2[h, v])",
        "dhbn[n, h]": "dact[n, h]*(1 - act[n, h]**2)",
        "dgamma[h]": "sum[n](dhbn[n, h]*batchnorm_xhat[n, h])",
        "dbeta[h]": "sum[n](dhbn[n, h])",
        "dhpre[n, h]": "gamma[h]*batchnorm_rstd[h]*(dhbn[n, h] - dbeta[h]/size(n)"
        " - batchnorm_xhat[n, h]*dgamma[h]/(size(n) - 1))",
        "dW1[b, e, h]": "sum[n](dhpre[n, h]*emb[n, b, e])",
        "db1[h]": "0*dbeta[h]",
        "demb[n, b, e]": "sum[h](dhpre[n, h]*W1[b, e, h])",
        "dC[v, e]": "sum[n, b](demb[n, b, e]*hot2[n, b, v])",
    },
    "embedding": {"dtable[v, d]": "sum[s](dy[s, d]*hot[s, v])"},
}
#: One-hot tensors stand in the expected text for the indicators of the engine's result.
HOT = {
    "softmax_cross_entropy": {"hot": ("n", "c")},
    "embedding": {"hot": ("s", "v")},
    "mlp": {"hot": ("n", "v"), "hot2": ("n", "b", "v")},
}


def expected(op: derive.Op, derivation: derive.Derivation, left: str, right: str) -> sympy.Expr:
    """The expected right side as SymPy.

    The language refuses the name of an adjoint beside the tensor that it belongs to, so every tensor is read under a neutral
    name, and gets its own back afterwards.
    """
    axes = {t.name: t.axes for t in op.inputs if t.labels is None}
    axes |= {d.name: d.index for d in derivation.forward}
    axes |= {d.name: d.index for d in derivation.chain} | {f"d{t.name}": t.axes for t in op.outputs}
    axes |= HOT.get(op.name, {})
    neutral = {name: f"v{k}" for k, name in enumerate(axes)}
    text = re.sub(r"[A-Za-z_]\w*", lambda word: neutral.get(word[0], word[0]), right)
    read = [name for name in axes if re.search(rf"\b{neutral[name]}\b", text)]
    inputs = [f"{neutral[name]}[{', '.join(axes[name])}]" if axes[name] else neutral[name] for name in read]
    constants = [f"{c.name}={c.default}" for c in op.constants]
    result = f"result[{left.split('[')[1]}" if "[" in left else "result"
    tree = parse(f"{result} = form({', '.join(inputs + constants)})\n{result} = {text}").equations[0].rhs
    own = {sympy.IndexedBase(neutral[n], real=True): sympy.IndexedBase(n, real=True) for n in read if axes[n]}
    own |= {sympy.Symbol(neutral[n], real=True): sympy.Symbol(n, real=True) for n in read if not axes[n]}
    return to_sympy(tree).subs(own)


def with_one_hot(expr: sympy.Expr, name: str) -> sympy.Expr:
    """The found expression with its indicators written as the one-hot tensors of the expected text."""

    def one_hot(*indices: sympy.Expr) -> sympy.Expr:
        used = {s.name for i in indices for s in i.free_symbols if s.is_integer}
        hot, index = next((hot, index) for hot, index in HOT[name].items() if set(index) == used & set("nbcsv"))
        return sympy.IndexedBase(hot, real=True)[tuple(sympy.Symbol(i, integer=True) for i in index)]

    return expr.replace(sympy.KroneckerDelta, one_hot)


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
            found = with_one_hot(found, name)
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
    from codegen.backends.torch.printer import TorchPrinter
    from codegen.plan import plan

    kernel = plan(derive.derive(derive.load("attention")))
    printer = TorchPrinter(kernel.backward)
    lines = [line for s in kernel.backward.statements for line in printer.statement(s)]
    assert sum(line.count("@") for line in lines) == 4
    assert [t.name for t in kernel.saved] == ["P", "o"]
