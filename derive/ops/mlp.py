"""The character-level network of the makemore exercise, composed from the catalogue: the loss of one batch.

``x[n, b]`` holds the ``b`` characters of context, ``t[n]`` the next one.
"""

TEXT = """
loss = mlp(x[n, b], t[n], C[v, e], W1[(b, e), h], b1[h], gamma[h], beta[h], W2[h, v], b2[v], eps=1e-5)

eps > 0
x[n, b] in v
t[n] in v
emb[n, b, e] = embedding(C[v, e], x[n, b])
hpre[n, h]   = sum[b, e](emb[n, b, e] * W1[(b, e), h]) + b1[h]
hbn[n, h]    = batchnorm(hpre[n, h], gamma[h], beta[h], eps=eps, ddof=1)
act[n, h]    = tanh(hbn[n, h])
logits[n, v] = linear(act[n, h], W2[h, v], b2[v])
loss         = softmax_cross_entropy(logits[n, v], t[n])
"""
SIZES = {"n": 32, "b": 3, "e": 10, "h": 200, "v": 27}
GROUP = "networks"
SOURCE = "Karpathy, Neural Networks: Zero to Hero, lectures 3 to 5"

#: Also emit forward, backward and a step of gradient descent as one native function.
STEP = True


def reference(torch, x, t, C, W1, b1, gamma, beta, W2, b2, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    functional = torch.nn.functional
    hpre = functional.embedding(x, C).flatten(1) @ W1 + b1
    var, mean = torch.var_mean(hpre, dim=0, correction=1)
    act = torch.tanh(gamma * (hpre - mean) / torch.sqrt(var + eps) + beta)
    return functional.cross_entropy(act @ W2 + b2, t)
