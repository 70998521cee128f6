"""Sixty typical slips."""

from __future__ import annotations

from tests.slips import Slip

__all__ = ["TYPICAL"]

TYPICAL = (
    # ---- the network of the course, from the loss to the embeddings -------------------------------------------------------
    Slip(
        "makemore",
        "dlogprobs",
        "dlogprobs = np.zeros_like(logprobs)\ndlogprobs[np.arange(len(t)), t] = -1.0",
        r"size\(n\)",  # the mean's 1/n
    ),
    Slip(
        "makemore",
        "dlogprobs",
        "dlogprobs = np.zeros_like(logprobs)\ndlogprobs[np.arange(len(t)), t] = 1.0 / len(t)",
        "sign",
    ),
    Slip(
        "makemore",
        "dlogprobs",
        "dlogprobs = np.zeros_like(logprobs)\ndlogprobs[:, t] = -1.0 / len(t)",
        "every row|all rows|each row",
    ),
    Slip(
        "makemore",
        "dlogprobs",
        "dlogprobs = np.zeros_like(logprobs)\ndlogprobs[np.arange(len(t)), t - 1] = -1.0 / len(t)",
        "off by one|label",
    ),
    Slip("makemore", "dprobs", "dprobs = dlogprobs * probs", "(multiplied by|times) probs|probs.* (twice|squared)"),
    Slip("makemore", "dprobs", "dprobs = 1 / probs", "dlogprobs.* is missing"),
    Slip("makemore", "dprobs", "dprobs = dlogprobs / logprobs", "logprobs.* stands where probs"),
    Slip("makemore", "dcounts_sum_inv", "dcounts_sum_inv = dprobs * counts", r"sum over v is missing"),
    Slip("makemore", "dcounts_sum_inv", "dcounts_sum_inv = (dprobs * counts).sum(0)", "over n instead of v"),
    Slip("makemore", "dcounts_sum", "dcounts_sum = -dcounts_sum_inv / counts_sum", "exponent|power|squared|counts_sum"),
    Slip("makemore", "dcounts_sum", "dcounts_sum = dcounts_sum_inv * counts_sum**-2", "sign"),
    Slip("makemore", "dcounts", "dcounts = counts_sum_inv[:, None] * dprobs", "dcounts_sum.* is missing"),
    Slip("makemore", "dcounts", "dcounts = counts_sum_inv[:, None] * dprobs - dcounts_sum[:, None]", "sign"),
    Slip("makemore", "dnorm_logits", "dnorm_logits = dcounts * norm_logits", "norm_logits.* stands where counts"),
    Slip("makemore", "dnorm_logits", "dnorm_logits = dcounts", "counts.* is missing"),
    Slip("makemore", "dlogit_maxes", "dlogit_maxes = dnorm_logits.sum(1)", "sign"),
    Slip("makemore", "dlogits", "dlogits = dnorm_logits.copy()", "dlogit_maxes.* is missing|missing path|where"),
    Slip(
        "makemore",
        "dlogits",
        "dlogits = probs.copy()\ndlogits[np.arange(len(t)), t] -= 1",
        r"size\(n\)",
    ),
    Slip(
        "makemore",
        "dlogits",
        "dlogits = logprobs.copy()\ndlogits[np.arange(len(t)), t] -= 1\ndlogits /= len(t)",
        "logprobs.* stands where probs",
    ),
    Slip("makemore", "dlogits", "dlogits = probs / len(t)", r"(t\[n\]|label|one-hot|1).* missing"),
    Slip("makemore", "dW2", "dW2 = dlogits.T @ h", "transposed"),
    Slip("makemore", "dW2", "dW2 = hpreact.T @ dlogits", "hpreact.* stands where h"),
    Slip("makemore", "dW2", "dW2 = h.T @ dlogits / len(t)", r"mean over n stands where the sum|1/size\(n\)"),
    Slip("makemore", "db2", "db2 = dlogits.sum(1)", "over v instead of n"),
    Slip("makemore", "db2", "db2 = dlogits.sum(0, keepdims=True)", "shape"),
    Slip("makemore", "dhpreact", "dhpreact = (1 - hpreact**2) * dh", "hpreact.* stands where h"),
    Slip("makemore", "dhpreact", "dhpreact = (1 - h) * dh", "exponent"),
    Slip("makemore", "dhpreact", "dhpreact = (1 + h**2) * dh", "sign"),
    Slip("makemore", "dbngain", "dbngain = dhpreact.sum(0)", "bnraw.* is missing"),
    Slip("makemore", "dbngain", "dbngain = (hpreact * dhpreact).sum(0)", "hpreact.* stands where bnraw"),
    Slip("makemore", "dbnvar_inv", "dbnvar_inv = (dbnraw * bnraw).sum(0)", "bnraw.* stands where bndiff"),
    Slip("makemore", "dbnvar", "dbnvar = -0.5 * dbnvar_inv * (bnvar + eps) ** -0.5", "exponent"),
    Slip("makemore", "dbnvar", "dbnvar = -0.5 * dbnvar_inv * bnvar**-1.5", "eps.* is missing"),
    Slip("makemore", "dbndiff2", "dbndiff2 = np.ones_like(bndiff2) * dbnvar / len(t)", r"size\(n\)( instead of|.*- 1)"),
    Slip("makemore", "dbndiff", "dbndiff = bnvar_inv * dbnraw", "dbndiff2.* is missing"),
    Slip(
        "makemore",
        "dbndiff",
        "dbndiff = bndiff * dbndiff2 + bnvar_inv * dbnraw",
        r"(1|factor) .*(where 2|2 is missing)|multiplied by 1/2",
    ),
    Slip("makemore", "dhprebn", "dhprebn = dbndiff + dbnmeani", r"size\(n\)"),
    Slip("makemore", "dhprebn", "dhprebn = dbndiff.copy()", "dbnmeani.* is missing"),
    Slip(
        "makemore",
        "dhprebn",
        "n = len(t)\ndhprebn = bngain * bnvar_inv / n * (n*dhpreact - dhpreact.sum(0) - bnraw * (dhpreact * bnraw).sum(0))",
        r"size\(n\).*- 1",
    ),
    Slip("makemore", "db1", "db1 = dhprebn.mean(0)", "mean over n stands where the sum"),
    Slip("makemore", "demb", "demb = 2 * dembcat.reshape(emb.shape)", "2 times"),
    Slip("makemore", "dC", "dC = np.zeros_like(C)\ndC[x] = demb", "overwrite"),
    Slip("makemore", "dC", "dC = np.zeros_like(C)\ndC[x] += demb", "overwrite"),
    # ---- batch normalization and its relatives -----------------------------------------------------------------------------
    Slip("batchnorm", "dgamma", "dgamma = (dy * x).sum(0)", "x.* stands where xhat"),
    Slip("batchnorm", "dvar", "dvar = -0.5 * drstd * (np.sqrt(var) + eps) ** -3", "eps.* outside the root"),
    Slip("batchnorm", "dc", "dc = dxhat / rstd[:] + 2 * c * dvar / (len(x) - ddof)", "divided by rstd"),
    Slip("batchnorm", "dx", "dx = gamma * rstd * dy", "dvar|dmu|mu is treated as a constant|missing"),
    Slip("batchnorm", "dx", "dx = dc", "dmu.* is missing|mu is treated as a constant"),
    Slip("layernorm", "dgamma", "dgamma = (dy * xhat).sum(-1)", "over d instead of s"),
    Slip("layernorm", "drstd", "drstd = (dy * c).sum(-1)", "dy.* stands where dxhat|gamma.* is missing"),
    Slip(
        "layernorm",
        "dx",
        "dx = rstd[:, None] * (dxhat - dxhat.mean(-1, keepdims=True))",
        "xhat.* is missing|var is treated as a constant",
    ),
    # ---- softmax, products, tables, activations ----------------------------------------------------------------------------
    Slip("softmax_cross_entropy", "dz", "dz = p.copy()\ndz[np.arange(len(t)), t] -= 1", r"size\(n\)"),
    Slip("softmax", "dz", "dz = p * dp", "missing"),
    Slip("softmax", "dz", "dz = p * (dp - dp.sum(-1, keepdims=True))", r"(factor )?p.* is missing"),
    Slip("linear", "dx", "dx = dy @ W", "transposed|W"),
    Slip("linear", "db", "db = dy", "sum over s is missing"),
    Slip("attention", "dq", "dq = dS @ k", r"size\(f\)"),
    Slip("attention", "dS", "dS = P * dP", "missing"),
    Slip("tanh", "dx", "dx = 1 - y**2", "dy.* is missing"),
    Slip("sigmoid", "dx", "dx = dy * x * (1 - x)", "x.* stands where y"),
)
