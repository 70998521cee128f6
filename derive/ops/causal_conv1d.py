"""Short depthwise convolution that sees no later position."""

TEXT = """
y[n, d, t] = causal_conv1d(x[n, d, t], W[d, k], b[d])

y[n, d, t] = b[d] + sum[k](x[n, d, t + k - size(k) + 1]*W[d, k])
"""
SIZES = {"n": 8, "d": 1024, "t": 2048, "k": 4}
GROUP = "convolution and pooling"
SOURCE = "Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv:2312.00752"


def reference(torch, x, W, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    padded = torch.nn.functional.pad(x, (W.shape[1] - 1, 0))
    return torch.nn.functional.conv1d(padded, W.unsqueeze(1), b, groups=len(W))
