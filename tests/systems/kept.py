"""Small systems that once failed, and why: wrong values, shapes or types, code that did not run, derivations that did not end.

Each is checked like a random one. Names say what is special about a text.
"""

from __future__ import annotations

#: Values that were silently wrong.
VALUES = {
    "shares that sum to 1 where there are some, and to 0 where there are none": """
        K[*n], V[f] = mix(a[b], W[f], p[*n])
        errno[*n] = exp(p[n])/sum[*n](exp(p[n]))
        K[*n] = maximum(0.1, p[n])
        V[f] = sum[*n, b](a[b]*errno[*n]) + W[f]
    """,
    "one entry of an axis inside an extremum": """
        y[b], z[b] = f(O[h, a], X[b, a], first=1)
        y[b] = max[a](O[0, a]*X[b, a]) - min[a](O[0, size(a) - 1 - a])*X[b, 1]
        z[b] = max[a](O[1, a]*X[b, a]) + min[a](O[first, a])
    """,
    "an exponential of an extremum that has no name": """
        y, z = f(x[s, d])
        y = logsumexp[s](max[d](x[s, d]))
        z = log(sum[s](exp(min[d](x[s, d]))*(1 + x[s, s]**2)))
    """,
    "a product of three before a contraction, and a read that makes two axes equal": """
        y[n, o] = f(g[n, m], u[n, m], W[m, o])
        y[n, o] = sum[m](silu(g[n, m])*u[n, m]*W[m, o]) + g[n, o]
    """,
    "a product of three before a contraction": """
        y[n, o] = f(g[n, m], u[n, m], W[m, o])
        y[n, o] = sum[m](silu(g[n, m])*u[n, m]*W[m, o])
    """,
    "a quotient of whole numbers": """
        y[n], z[n] = f(x[n])
        y[n] = x[n]*((2 + 5)/3)
        z[n] = tanh(x[n] + 5*3/2)
    """,
    "a number of sixteen digits": """
        y[n] = f(x[n])
        y[n] = 0.5*x[n]*(1 + tanh(0.7978845608028654*(x[n] + 0.044715*x[n]**3)))
    """,
    "numbers beyond 64 bits": """
        y[n], z[n] = f(x[n])
        y[n] = x[n]*1e20
        z[n] = 0.333333333333**2*x[n]
    """,
    "whole numbers beyond 32 and 64 bits": """
        y[n] = f(x[n])
        y[n] = 2147483648*x[n] + 12345678901234567890*x[n]**2 + x[n]/1e18
    """,
    "an output that is a saved maximum": """
        m[l], y[l] = f(x[l, r])
        m[l] = max[r](x[l, r])
        y[l] = m[l]
    """,
    "a maximum over several axes beside other terms": """
        f, g[l] = op(t[l, r, s])
        f = max[r, s, l](t[l, r, s])
        g[l] = f*max[r, s](t[l, r, s]) + t[l, l, l]
    """,
    "a sum over a starred axis": """
        y = f(x[*s])
        y = sum[s](x[*s])
    """,
    "a repetition along further axes": """
        y[d, n, *s] = f(w[n], v[d, *s])
        y[d, n, *s] = w[n]
    """,
    "extrema over axes on which nothing depends once terms cancel": """
        u[b, h], p[b] = f(w[b], score[b, *s], v[h], c=2)
        u[b, h] = where(w[b] < 0, w[b]*v[h], v[h]) + min[s](score[b, *s] - score[b, *s] - w[b])
        p[b] = max[h, b](3 + 0*v[h] + 0*w[b])*w[b] + max[h](c + v[h] - v[h])
    """,
    "numbers in both branches": """
        y[n] = f(x[n])
        y[n] = where(x[n] > 0, exp(1), 1.05)
    """,
    "a name, a saved tensor and an output that are one": """
        a[k, f], h[f] = op(x[k, f])
        h[f] = sum[k](x[k, f])
        a[k, f] = maximum(h[f], x[k, f])
    """,
}

#: A starred axis that is neither leading nor alone.
STARS = {
    "a star last in a product": "y[c, *s] = f(w[c], x[*s])\ny[c, *s] = w[c]*x[*s]",
    "a star that moves": "y[r, *s] = f(x[*s, r])\ny[r, *s] = x[*s, r]",
    "a mean over a star in the middle": "mu[n, c] = f(x[n, c, *s])\nmu[n, c] = mean[s](x[n, c, *s])",
    "a sum over a star and another axis": "r[*s] = f(a[k, *s])\nr[*s] = sum[k](a[k, *s])",
    "a sum that shadows a star": "r[*s] = f(a[k, *s])\nr[*s] = sum[k, s](a[k, *s])",
    "a contraction over a star": "y[c] = f(x[c, *s], g[*s])\ny[c] = sum[s](x[c, *s]*g[*s])",
    "a product over two stars": "y[*s, f] = g(x[*s, f], W[*k, f])\ny[*s, f] = exp(-sum[*k]((x[*s, f] - W[*k, f])**2)/2)",
    "a softmax over a star": "p[c, *s] = f(x[c, *s])\np[c, *s] = softmax(x[c, *s])",
    "a total of a star, read beside it": """
        q[i, *s] = f(v[*s], w[i])
        h = sum[s](v[*s])
        q[i, *s] = h*w[i] + v[*s]
    """,
    "positions on an axis between a star and another axis": """
        y[*s, t, a] = f(x[*s, t, a])
        y[*s, t, a] = x[*s, t, a] - x[*s, t + 1, a]
    """,
    "a star in the middle": "y[a, *s, b] = f(x[a, *s, b], w[b], g[*s])\ny[a, *s, b] = x[a, *s, b]*w[b] + g[*s]",
    "a matrix before a star": "y[m, *s] = f(A[m, n], x[n, *s])\ny[m, *s] = sum[n](A[m, n]*x[n, *s])",
    "a maximum over a star": "y[n] = f(x[n, *s])\ny[n] = max[s](x[n, *s])",
    "a mean repeated along a star": "y[*s, a] = f(h[n, a], z[*s, n, a])\ny[*s, a] = mean[n](h[n, a])",
    "a sum beside a star": "y[*s, a] = f(h[n, a], z[*s, a])\ny[*s, a] = z[*s, a]*sum[n](h[n, a])",
    "labels with a star": "y[d, *s] = f(table[v, d], t[*s])\nt[*s] in v\ny[d, *s] = table[t[*s], d]",
}

#: What did not run, or did not compile.
PROGRAMS = {
    "a declared axis that is only reduced over, with the name that a denominator would get": """
        y[b, i] = f(m[b], V[i])
        size(t) = 2*size(i)
        y[b, i] = prod[t](expm1(V[2*t + b - 1]/(1 + m[b]**2)/4))
    """,
    "extrema of constants": """
        y[n] = f(x[n], lo=-1, k=2)
        y[n] = maximum(x[n], lo)*where(k > 0, x[n], 2) + abs(k) + sign(2) + erfcx(1) + minimum(k, 3)
    """,
    "one tensor for three arguments": "o[n, i, d] = f(x[n, i, d])\no[n, i, d] = attention(x[n, i, d], x[n, i, d], x[n, i, d])",
    "a call as a factor": "y[a, j] = f(u[a], z[a, j])\ny[a, j] = u[a]*attention(z[a, j], z[a, j], z[a, j])",
    "a diagonal of a result": "y[n] = f(a[n, k], b[k, n])\ny[n] = 2*matmul(a[n, k], b[k, n])",
    "a result in another order": "y[d, n, k] = f(x[n, d], w[k])\ny[d, n, k] = softmax(x[n, d])",
    "a partial diagonal": "f[i, j] = op(b[i, j, k])\nf[i, j] = b[i, j, i]",
    "a constant with the name of an axis of what is called": """
        y[i] = f(a[c, i], b[i, c], m=-1)
        y[i] = matmul(b[i, c], a[c, i])
    """,
    "an unused input": "y[n] = f(x[n], w[n, m], g)\ny[n] = x[n]**2",
    "scalars alone": "y = f(a, b)\ny = a*exp(b)",
    "an output that is an input": "y[n], z = f(x[n], b)\ny[n] = x[n]\nz = b",
    "an output that is a constant": "y[n], z = f(x[n], c=2)\ny[n] = c\nz = 3",
    "an output that is a scalar constant": "z, s = f(v[r], X=-1)\ns = sum[r](v[r]**3)\nz = X",
    "an output that is another one, a number": "r, q = f(z[h])\nr = 2\nq = r",
    "a mean of nothing, times a number": "g[l] = f(p[a, l, j])\ng[l] = mean[a, j](p[a, l, j])*2**2.5",
    "labels over a star that a second axis follows": """
        y[*s, b] = f(x[b, h, i], t[*s, h])
        t[*s, h] in i
        y[*s, b] = sum[h](x[b, h, t[*s, h]])
    """,
    "unused labels over a star": "h[k, *s] = f(p[k], c[*s, a])\nc[*s, a] in k\nh[k, *s] = p[k]/sqrt(sum[k](p[k]**2) + 1e-3)",
    "inputs with the names of a kernel's own": """
        y[n] = OP(output[n], saved_tensors[n], OP_forward[n], SIZE_MAX, x_term[n])
        y[n] = output[n]*saved_tensors[n] + OP_forward[n]*SIZE_MAX + x_term[n]**2
    """,
    "axes with the names of C": """
        y[t, I, linux] = f(x[t, I], w[I, linux])
        y[t, I, linux] = x[t, I]*w[I, linux]
    """,
    "a number under a sum": "y = f(x[l, a])\nq[l, a] = 1\ny = sum[l, a](q[l, a]*x[l, a]) + sum[l, a](q[l, a])",
    "seventy arguments": "y = f({})\ny = {}".format(
        ", ".join(f"x{k}" for k in range(70)), " + ".join(f"x{k}" for k in range(70))
    ),
    "a sum of many powers": "y = f(x)\ny = {}".format(" + ".join(f"x**{k}/{k}" for k in range(1, 41))),
    "the largest number": "y[n] = f(x[n])\ny[n] = maximum(x[n], -1e308)",
    "hostile comments": """
        y[n] = f(x[n])  # * / \\\\ {{ 7*7 }} \\input{x} <script>
        y[n] = tanh(x[n])  # \"\"\"; raise SystemExit("ran"); z = \"\"\"
    """,
    "a comment that ends a comment of C": "y[n] = f(x[n])\ny[n] = x[n]**3  # */ int ran(void) { return 1; } /*",
}

#: Derivations that did not end, or that a certificate refused.
DERIVATIONS = {
    "a product with its transpose": "z[i, j] = f(x[i, j])\nx > 0\nz[i, j] = x[i, j]*x[j, i]",
    "a positive tensor read at labels and at its index": "O[d] = f(phi[d], t[d])\nt[d] in d\nphi > 0\nO[d] = phi[t[d]]*phi[d]",
    "a positive scale inside a normalization": """
        y = f(x[h, m], g[m], b[m])
        g > 0
        y = sum[h, m](layernorm(x[h, m]*g[m], g[m], b[m]))
    """,
    "the power 0": "y[n] = f(w[n])\nw > 0\ny[n] = w[n]**0 + w[n]",
    "a sum over what labels look up": "y = f(x[a], t[b])\nt[b] in a\ny = sum[b](exp(x[t[b]]))",
    "a scalar label": "y = f(x[a], t)\nt in a\ny = x[t]**2 + sum[a](x[a])",
    "a square of nothing": "y[n] = f(x[n])\ny[n] = (x[n] - x[n])**2 + x[n]",
    "names of the engine": "y[n] = f(x[n], y_total, x_total)\ny[n] = sum[n](x[n])*y_total + x[n]*x_total",
    "a maximum of rectified entries": "y[c] = f(x[n, c])\ny[c] = max[n](relu(x[n, c]))",
    "a maximum of equal entries": "y = f(a[c], b)\nq[c] = b\ny = max[c](q[c])*sum[c](a[c])",
    "a sum over entries that a mean of nothing is taken of": """
        y[*s], r[*s] = f(x[*s], h[j], w[*s])
        y[*s] = sum[j](x[*s]*h[j])
        r[*s] = rmsnorm(x[*s], w[*s], eps=2)
    """,
    "a minimum that is repeated, and summed": "y = f(v[*s])\nx[s] = min[s](v[*s])\ny = sum[s](x[*s])",
    "roots of even powers": """
        y[l], z[a] = f(s[l], v[a])
        y[l] = sigmoid((abs(s[l]) + 0.5)**-2)
        z[a] = (1 + (v[a]*v[a])**2)**-2
    """,
    "adjoints that cancel beside numbers of sixty digits": """
        K[out_, l, axis0], h[axis0] = main(x[out_], mass[out_, axis0], g[l], m[l, axis0])
        x > 0
        m[l, axis0] in out_
        p[out_] = (1 + x[out_]**2)**-2
        W[out_, l, axis0] = (exp(tanh(x[m[l, axis0]])) + 1)**(3/2)*max[out_](p[out_])*(2*g[l] - rmsnorm(g[l], g[l], eps=0.01))
        K[out_, l, axis0] = W[m[l, axis0], l, axis0]*x[m[l, axis0]]*mass[m[l, axis0], axis0]
        h[axis0] = expm1(sum[out_, l](K[out_, l, axis0]))
    """,
    "a sum of what cancels along another axis": """
        y[i, j] = f(u[i, n], h[j])
        y[i, j] = h[j]*sum[n]((h[j] - h[j]) + u[i, n]**3)
    """,
    "a logistic of a number": "y[n] = f(x[n])\ny[n] = x[n]*silu(0.25) + sigmoid(-3)",
    "a root in the place of a largest share": "y, z[c] = f(V[c])\nz[c] = softmax(V[c])\ny = max[c](z[c])**2",
    "large values that cancel": """
        g[*s] = value(REAL[*s], score[batch])
        malloc[*s] = erfcx(sum[batch](score[batch])*REAL[*s]*REAL[s])**2
        g[s] = malloc[*s] - min[batch](score[batch]) - malloc[*s]
    """,
    "an exponential of hundreds of millions": """
        y[r, k] = f(g[r, *s], p[j, k])
        x[r] = sum[k](max[j](p[j, k]))*123456789.12345679
        y[r, k] = exp(x[r])
    """,
    "exponentials of exponentials of squares": """
        g[l, b], w = f(W[l], v[b])
        g[l, b] = W[l]
        h = erfcx(sum[l, b](g[l, b]))
        w = tanh(exp(h))
    """,
    "a gradient that an inverse of a mean of nothing would be taken out of": """
        w[s] = f(v[s], p[t])
        v > 0
        p > 0
        w[s] = (sum[t](p[t])*v[s]*rmsnorm(v[s], v[s], eps=0.01))**2
    """,
    "windows that are empty at other lengths than the declared ones": """
        z[chunk, batch] = mix(K[s0, l], w[chunk], W)
        W in s0
        size(batch) = 2
        z[chunk, batch] = logsumexp[s0](w[s0 + batch])
    """,
    "a mean over windows beside an empty axis of which another length depends": """
        u[k, (h, b)] = f(g[t, n], X[*s, t], a[h, q])
        size(i) = 3
        size(k) = (size(n) + 2*1 - size(i))//3 + 1
        size(b) = (size(q) - 1*(size(h) - 1) - 1)//1 + 1
        v[t, *s, (q, k)] = mean[i](g[t, k*3 + i - 1])
        u[k, h, b] = sum[t, *s](v[t, *s, b + h, k]*X[*s, t])
    """,
    "nests of indices that are eight deep over three axes": """
        x[f] = output_op(K[dim], O[e], free[e, dim, f], score[dim, f])
        score[dim, f] in e
        x[f] = sum[e, dim](free[e - 1, size(dim) - 1 - dim, f]*free[size(e) - 1 - e, dim - f, f + e]) + min[dim](K[dim])
    """,
    "a label beside a slice, of which all positions are looked up": """
        y[d, *s] = main(x[f, d, *s, n], t[*s])
        t[*s] in n
        y[d, *s] = prod[f](x[f + 1, 2*d, *s, t[s]])
    """,
    "seven axes": "y = f(x[a, b, c, d2], w[d2, e, g, h])\ny = sum[a, b, c, d2, e, g, h](x[a, b, c, d2]*w[d2, e, g, h])",
}

#: Equations that step along an axis.
RECURRENCES = {
    "steps on an axis between a star and another axis": """
        h[*s, t, a] = f(x[*s, t, a], W[b, a])
        h[*s, t, a] = tanh(sum[b](h[*s, t - 1, b]*W[b, a])) + x[*s, t, a]
    """,
    "a recurrence that nothing reads": """
        x[a, n] = f(z[a, n])
        h[a, n] = tanh(h[a, n + 1]) - z[a, n]
        w[a, n] = h[a, n]*w[a, n + 1]
        x[a, n] = 2*z[a, n]
    """,
    "a name that nothing reads beside one that is read, both at the step before": """
        h[i] = f(x[i])
        v[i] = v[i + 1]*h[i + 1]
        h[i] = tanh(h[i + 1] + x[i])
    """,
    "a constant before the first step, read over all steps": """
        h[i], v[i] = f(x[i], gain=-1)
        h[size(i)] = gain
        v[i] = v[i + 1]*h[i + 1] + x[i]
        h[i] = h[i + 1]
    """,
    "a step along two axes at once": """
        h[i, t] = f(x[i, t], c[t])
        h[i, -1] = x[i, 0]
        h[i, t] = x[i, t] + tanh(h[i - 1, t - 1]) - h[i, t - 1]*c[t]
    """,
    "a first value with and without its star, of a name whose axis of steps is packed": """
        h[n, *s, (k, m)] = f(x[n, k, m], u[*s], W[k, m])
        h[n, s, -1, m] = u[*s]
        h[n, *s, (k, m)] = h[n, s, k - 1, m]*W[k, m] + x[n, k, m]
    """,
    "a softmax of the step before": """
        h[n, t, k] = f(x[n, t, k], g[k], U[j, k])
        a[n, t, k] = softmax(h[n, t - 1, k]) + rmsnorm(h[n, t - 1, k], g[k], eps=0.01)
        h[n, t, k] = x[n, t, k] + max[j](a[n, t, j]*U[j, k])
    """,
    "steps read by their positions": """
        y[n], z[n] = f(x[n, t], w)
        h[n, size(t)] = w
        h[n, t] = tanh(w*h[n, t + 1] + x[n, t])
        y[n] = h[n, 0] + mean[t](h[n, t + 1]**2)
        z[n] = max[t](h[n, t - 1])
    """,
    "a step that compares with the diagonal of a matrix": """
        m[b] = op(q, x[b, t])
        u[size(b)] = q
        m[size(b)] = q
        u[b] = maximum(u[b + 1], x[b, b])
        m[b] = u[b]*m[b + 1]
    """,
    "no recurrence, but running products of a looked-up row": """
        e = block(gain[h], linux[b, j], a)
        a in b
        e = sum[h](prod[j](linux[a, j])*gain[h])
    """,
}

KEPT = {
    f"{kind}: {name}": text
    for kind, texts in (
        ("values", VALUES),
        ("stars", STARS),
        ("programs", PROGRAMS),
        ("derivations", DERIVATIONS),
        ("recurrences", RECURRENCES),
    )
    for name, text in texts.items()
}
