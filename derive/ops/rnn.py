"""Elman's recurrent network over a sequence."""

TEXT = """
h[n, t, k] = rnn(x[n, t, d], W[d, k], U[j, k], b[k], h0[n, k])

h[n, -1, k] = h0[n, k]
h[n, t, k]  = tanh(sum[d](x[n, t, d]*W[d, k]) + sum[j](h[n, t - 1, j]*U[j, k]) + b[k])
"""
SIZES = {"n": 32, "t": 64, "d": 128, "k": 128, "j": 128}
GROUP = "recurrences"
SOURCE = "Elman, Finding Structure in Time, Cognitive Science 14 (1990); Werbos, Backpropagation through time (1990)"


def reference(torch, x, W, U, b, h0):
    """What torch itself computes; the tests differentiate it with autograd."""
    weights = [W.T, U.T, b, torch.zeros_like(b)]
    return torch.rnn_tanh(x, h0[None], weights, True, 1, 0.0, False, False, True)[0]
