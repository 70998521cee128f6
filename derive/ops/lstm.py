"""Long short-term memory over a sequence."""

TEXT = """
h[n, t, k] = lstm(x[n, t, d], Wi[d, k], Wf[d, k], Wg[d, k], Wo[d, k], Ui[j, k], Uf[j, k], Ug[j, k], Uo[j, k],
                  bi[k], bf[k], bg[k], bo[k], h0[n, k], c0[n, k])

h[n, -1, k] = h0[n, k]
c[n, -1, k] = c0[n, k]
i[n, t, k] = sigmoid(sum[d](x[n, t, d]*Wi[d, k]) + sum[j](h[n, t - 1, j]*Ui[j, k]) + bi[k])
f[n, t, k] = sigmoid(sum[d](x[n, t, d]*Wf[d, k]) + sum[j](h[n, t - 1, j]*Uf[j, k]) + bf[k])
g[n, t, k] = tanh(sum[d](x[n, t, d]*Wg[d, k]) + sum[j](h[n, t - 1, j]*Ug[j, k]) + bg[k])
o[n, t, k] = sigmoid(sum[d](x[n, t, d]*Wo[d, k]) + sum[j](h[n, t - 1, j]*Uo[j, k]) + bo[k])
c[n, t, k] = f[n, t, k]*c[n, t - 1, k] + i[n, t, k]*g[n, t, k]
h[n, t, k] = o[n, t, k]*tanh(c[n, t, k])
"""
SIZES = {"n": 32, "t": 64, "d": 128, "k": 128, "j": 128}
GROUP = "recurrences"
SOURCE = "Hochreiter and Schmidhuber, Long Short-Term Memory (1997); Gers, Schmidhuber and Cummins, Learning to Forget (2000)"


def reference(torch, x, Wi, Wf, Wg, Wo, Ui, Uf, Ug, Uo, bi, bf, bg, bo, h0, c0):
    """What torch itself computes; the tests differentiate it with autograd."""
    weights = [torch.cat([Wi, Wf, Wg, Wo], 1).T, torch.cat([Ui, Uf, Ug, Uo], 1).T, torch.cat([bi, bf, bg, bo])]
    weights.append(torch.zeros_like(weights[2]))
    return torch.lstm(x, (h0[None], c0[None]), weights, True, 1, 0.0, False, False, True)[0]
