"""Direct preference optimization, of summed log-probabilities of chosen and rejected answers."""

TEXT = """
loss = dpo(chosen[n], rejected[n], refchosen[n], refrejected[n], beta=0.1)

u[n] = beta*((rejected[n] - chosen[n]) - (refrejected[n] - refchosen[n]))
g[n] = 1/(1 + exp(-u[n]))
loss = mean[n](u[n] - log(g[n]))
"""
SIZES = {"n": 1024}
GROUP = "losses"
SOURCE = "Rafailov et al., Direct Preference Optimization, arXiv:2305.18290"


def reference(torch, chosen, rejected, refchosen, refrejected, beta):
    """What torch itself computes; the tests differentiate it with autograd."""
    return -torch.nn.functional.logsigmoid(beta * (chosen - rejected - refchosen + refrejected)).mean()
