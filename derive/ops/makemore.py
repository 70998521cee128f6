"""The character-level network of the makemore exercise in the exercise's own equations: the loss of one batch.

``x[n, b]`` holds the ``b`` characters of context, ``t[n]`` the next one. ``embcat`` is a view of ``emb`` that lays the ``b``
embeddings of a row side by side, and ``W1`` has a row for each of its columns. Hidden units run over ``u``, since ``h`` is the
name of their activations.
"""

TEXT = """
loss = makemore(x[n, b], t[n], C[v, e], W1[(b, e), u], b1[u], bngain[u], bnbias[u], W2[u, v], b2[v], eps=1e-5)

eps > 0
x[n, b] in v
t[n] in v
emb[n, b, e]      = C[x[n, b], e]
embcat[n, (b, e)] = emb[n, b, e]
hprebn[n, u]      = sum[b, e](embcat[n, (b, e)] * W1[(b, e), u]) + b1[u]
bnmeani[u]        = 1/size(n) * sum[n](hprebn[n, u])
bndiff[n, u]      = hprebn[n, u] - bnmeani[u]
bndiff2[n, u]     = bndiff[n, u]**2
bnvar[u]          = 1/(size(n) - 1) * sum[n](bndiff2[n, u])
bnvar_inv[u]      = (bnvar[u] + eps)**(-1/2)
bnraw[n, u]       = bndiff[n, u] * bnvar_inv[u]
hpreact[n, u]     = bngain[u] * bnraw[n, u] + bnbias[u]
h[n, u]           = tanh(hpreact[n, u])
logits[n, v]      = sum[u](h[n, u] * W2[u, v]) + b2[v]
logit_maxes[n]    = max[v](logits[n, v])
norm_logits[n, v] = logits[n, v] - logit_maxes[n]
counts[n, v]      = exp(norm_logits[n, v])
counts_sum[n]     = sum[v](counts[n, v])
counts_sum_inv[n] = counts_sum[n]**(-1)
probs[n, v]       = counts[n, v] * counts_sum_inv[n]
logprobs[n, v]    = log(probs[n, v])
loss              = -mean[n](logprobs[n, t[n]])
"""
SIZES = {"n": 32, "b": 3, "e": 10, "u": 200, "v": 27}
GROUP = "networks"
SOURCE = "Karpathy, Neural Networks: Zero to Hero, lecture 4: becoming a backprop ninja"
#: Also emit one function for the adjoint of every equation, in the order of the chain rule.
CHAIN = True


def reference(torch, x, t, C, W1, b1, bngain, bnbias, W2, b2, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    functional = torch.nn.functional
    hprebn = functional.embedding(x, C).flatten(1) @ W1 + b1
    var, mean = torch.var_mean(hprebn, dim=0, correction=1)
    h = torch.tanh(bngain * (hprebn - mean) / torch.sqrt(var + eps) + bnbias)
    return functional.cross_entropy(h @ W2 + b2, t)
