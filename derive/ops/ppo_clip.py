"""Clipped policy loss of proximal policy optimization."""

TEXT = """
loss = ppo_clip(logp[n], old[n], adv[n], eps=0.2)

eps > 0
ratio[n] = exp(logp[n] - old[n])
bound[n] = where(adv[n] > 0, 1 + eps, 1 - eps)
gain[n]  = ratio[n]*adv[n]
limit[n] = bound[n]*adv[n]
loss     = -mean[n](where(gain[n] > limit[n], limit[n], gain[n]))
"""
SIZES = {"n": 65536}
GROUP = "losses"
SOURCE = "Schulman et al., Proximal Policy Optimization Algorithms, arXiv:1707.06347"
NOTES = ("A ratio at its bound is not clipped.",)


def reference(torch, logp, old, adv, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    ratio = torch.exp(logp - old)
    return -torch.minimum(ratio * adv, torch.clamp(ratio, 1 - eps, 1 + eps) * adv).mean()
