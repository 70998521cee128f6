"""Affine map with a low-rank update of its matrix."""

TEXT = """
y[*s, h] = lora_linear(x[*s, k], W[k, h], A[k, r], B[r, h], b[h], scale=1.0)

u[*s, r] = sum[k](x[*s, k]*A[k, r])
y[*s, h] = sum[k](x[*s, k]*W[k, h]) + scale*sum[r](u[*s, r]*B[r, h]) + b[h]
"""
SIZES = {"s": 512, "k": 4096, "h": 4096, "r": 16}
GROUP = "linear maps"
SOURCE = "Hu et al., LoRA, arXiv:2106.09685"


def reference(torch, x, W, A, B, b, scale):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x @ W + scale * (x @ A @ B) + b
