"""Cell state of a long short-term memory, from its gates before their nonlinearities."""

TEXT = """
c[*s] = lstm_cell(i[*s], f[*s], g[*s], prev[*s])

c[*s] = sigmoid(f[*s])*prev[*s] + sigmoid(i[*s])*tanh(g[*s])
"""
GROUP = "gated units"
SOURCE = "Hochreiter and Schmidhuber, Long Short-Term Memory (1997)"


def reference(torch, i, f, g, prev):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.sigmoid(f) * prev + torch.sigmoid(i) * torch.tanh(g)
