"""Focal loss of logits against probabilities, with the focusing parameter 2."""

TEXT = """
loss = focal(z[*s], t[*s])

u[*s]  = -t[*s]*z[*s]
q[*s]  = 1/(1 + exp(-u[*s]))
ce[*s] = u[*s] - log(q[*s])
loss   = mean[s](q[*s]**2*ce[*s])
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002"


def reference(torch, z, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    q = torch.sigmoid(-t * z)
    return -(q**2 * torch.nn.functional.logsigmoid(t * z)).mean()
