"""Hidden state of a gated recurrent unit, from its gates before their nonlinearities."""

TEXT = """
h[*s] = gru_cell(r[*s], z[*s], a[*s], b[*s], prev[*s])

reset[*s]  = sigmoid(r[*s])
update[*s] = sigmoid(z[*s])
cand[*s]   = tanh(a[*s] + reset[*s]*b[*s])
h[*s]      = cand[*s] + update[*s]*(prev[*s] - cand[*s])
"""
GROUP = "gated units"
SOURCE = "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, arXiv:1406.1078"


def reference(torch, r, z, a, b, prev):
    """What torch itself computes; the tests differentiate it with autograd."""
    update = torch.sigmoid(z)
    return (1 - update) * torch.tanh(a + torch.sigmoid(r) * b) + update * prev
