"""Slips that were invented after everything that explains the typical ones was written; they measure, and are not tuned to."""

from __future__ import annotations

from tests.slips import Slip

__all__ = ["HELD_OUT"]

HELD_OUT = (
    Slip(
        "makemore",
        "dlogits",
        "dlogits = probs.copy()\ndlogits[t, np.arange(len(t))] -= 1\ndlogits /= len(t)",
        "indices t and .* are exchanged",
    ),
    Slip(
        "makemore", "dcounts_sum", "dcounts_sum = -dcounts_sum_inv * counts_sum**2", "exponent|sign|inverted|divided|multiplied"
    ),
    Slip(
        "makemore",
        "dcounts",
        "dcounts = counts_sum_inv[:, None] * dprobs + dcounts_sum_inv[:, None]",
        "dcounts_sum_inv.* stands",
    ),
    Slip("makemore", "dprobs", "dprobs = dlogprobs / counts", "counts.* stands where probs"),
    Slip("makemore", "dnorm_logits", "dnorm_logits = dcounts * probs", "probs.* stands where counts"),
    Slip("makemore", "dlogits", "dlogits = dnorm_logits + dlogit_maxes[:, None]", "where|condition|missing"),
    Slip("makemore", "dh", "dh = dlogits @ W2.T / h.shape[1]", r"size\(u\)"),
    Slip("makemore", "dh", "dh = dnorm_logits @ W2.T", "dnorm_logits.* stands where dlogits"),
    Slip("makemore", "dhpreact", "dhpreact = 1 - h**2", "dh.* missing"),
    Slip("makemore", "dhpreact", "dhpreact = (1 - h**2) ** 2 * dh", "exponent|twice|one too many|stands where"),
    Slip("makemore", "dbngain", "dbngain = (dhpreact * bnraw).sum()", "axes|axis|over"),
    Slip("makemore", "dbnbias", "dbnbias = (dhpreact * bnraw).sum(0)", "bnraw.* (one too many|twice)|bnraw"),
    Slip("makemore", "dbnraw", "dbnraw = dhpreact", "bngain.* missing"),
    Slip("makemore", "dbnraw", "dbnraw = bnbias * dhpreact", "bnbias.* stands where bngain"),
    Slip("makemore", "dbnvar", "dbnvar = 0.5 * dbnvar_inv * (bnvar + eps) ** -1.5", "sign"),
    Slip(
        "makemore",
        "dbnvar",
        "dbnvar = -1.5 * dbnvar_inv * (bnvar + eps) ** -1.5",
        "times|number|1.5|-3/2|multiplied|coefficient",
    ),
    Slip("makemore", "dbndiff2", "dbndiff2 = np.ones_like(bndiff2) * dbnvar", r"size\(n\) - 1"),
    Slip("makemore", "dbndiff", "dbndiff = 2 * bndiff * dbndiff2", "dbnraw.* missing"),
    Slip("makemore", "dbnmeani", "dbnmeani = dbndiff.sum(0)", "sign"),
    Slip("makemore", "dbnmeani", "dbnmeani = -dbndiff.mean(0)", "mean"),
    Slip("makemore", "dW1", "dW1 = dhprebn.T @ embcat", "transposed"),
    Slip("makemore", "dW1", "dW1 = embcat.T @ dhpreact", "dhpreact.* stands where dhprebn"),
    Slip("makemore", "dembcat", "dembcat = dhprebn @ W1", "transposed"),
    Slip("batchnorm", "dxhat", "dxhat = dy / gamma", "divided|instead"),
    Slip("batchnorm", "drstd", "drstd = (dxhat * xhat).sum(0)", "xhat.* stands where c"),
    Slip("layernorm", "dc", "dc = rstd[:, None] * dxhat - 2 * c * (dvar / c.shape[1])[:, None]", "sign"),
    Slip("layernorm", "dmu", "dmu = -dc.sum(0)", "over s instead of d"),
    Slip("softmax", "dz", "dz = p * (dp - (dp * p).mean(-1, keepdims=True))", "mean"),
    Slip("attention", "dv", "dv = P @ do", "transposed|stands where"),
    Slip("attention", "dk", "dk = dS.T @ q / k.shape[1]", "f"),
    Slip("rmsnorm", "dx", "dx = rstd[:, None] * dxhat", "missing"),
)
