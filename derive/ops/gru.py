"""Gated recurrent units over a sequence."""

TEXT = """
h[n, t, k] = gru(x[n, t, d], Wr[d, k], Wz[d, k], Wm[d, k], Ur[j, k], Uz[j, k], Um[j, k], br[k], bz[k], bm[k], cm[k], h0[n, k])

h[n, -1, k] = h0[n, k]
r[n, t, k] = sigmoid(sum[d](x[n, t, d]*Wr[d, k]) + sum[j](h[n, t - 1, j]*Ur[j, k]) + br[k])
z[n, t, k] = sigmoid(sum[d](x[n, t, d]*Wz[d, k]) + sum[j](h[n, t - 1, j]*Uz[j, k]) + bz[k])
a[n, t, k] = sum[j](h[n, t - 1, j]*Um[j, k]) + cm[k]
m[n, t, k] = tanh(sum[d](x[n, t, d]*Wm[d, k]) + bm[k] + r[n, t, k]*a[n, t, k])
h[n, t, k] = m[n, t, k] + z[n, t, k]*(h[n, t - 1, k] - m[n, t, k])
"""
SIZES = {"n": 32, "t": 64, "d": 128, "k": 128, "j": 128}
GROUP = "recurrences"
SOURCE = "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, arXiv:1406.1078"


def reference(torch, x, Wr, Wz, Wm, Ur, Uz, Um, br, bz, bm, cm, h0):
    """What torch itself computes; the tests differentiate it with autograd."""
    zero = torch.zeros_like(br)
    weights = [torch.cat([Wr, Wz, Wm], 1).T, torch.cat([Ur, Uz, Um], 1).T, torch.cat([br, bz, bm]), torch.cat([zero, zero, cm])]
    return torch.gru(x, h0[None], weights, True, 1, 0.0, False, False, True)[0]
