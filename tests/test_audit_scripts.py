"""Plain scripts are audited: lines that find gradients from named arrays, with or without the arrays' own lines."""

from __future__ import annotations

from pathlib import Path

import pytest

import derive
from codegen.tools.auditor import Report, audit_file

BATCHNORM = """
import numpy as np
rng = np.random.default_rng(0)
N, D = 32, 10
x = rng.normal(size=(N, D))
gamma = rng.normal(size=D)
beta = rng.normal(size=D)
dy = rng.normal(size=(N, D))
eps = 1e-3

mu = x.mean(0)
xc = x - mu
var = (xc**2).mean(0)
rstd = 1 / np.sqrt(var + eps)
xhat = xc * rstd
y = gamma * xhat + beta

dgamma = (dy * xhat).sum(0)
dbeta = dy.sum(0)
dxhat = dy * gamma
dvar = (dxhat * xc * -0.5 * rstd**3).sum(0)
dmu = -(dxhat * rstd).sum(0)
dx = dxhat * rstd + dvar * 2 * xc / N + dmu / N
print(dx.shape)
"""
#: What a learner copies out of a longer file: nothing gives these arrays a value, nor the length of an axis.
LINES = """
import numpy as np
dgamma = (dout * x_hat).sum(0)
dbeta = dout.sum(0)
dxhat = gamma * dout
dx = rstd / n * (n * dxhat - dxhat.sum(0) - x_hat * (dxhat * x_hat).sum(0))
"""
#: The course's own exercise, by its names; a loop variable is called like the labels of the op.
COURSE = """
import torch
import torch.nn.functional as F
n_embd, n_hidden, vocab_size, block_size, batch_size = 10, 12, 27, 3, 8
C = torch.randn((vocab_size, n_embd))
W1 = torch.randn((n_embd * block_size, n_hidden)) * 0.2
b1 = torch.randn(n_hidden) * 0.1
W2 = torch.randn((n_hidden, vocab_size)) * 0.1
b2 = torch.randn(vocab_size) * 0.1
bngain = torch.randn((1, n_hidden)) * 0.1 + 1.0
bnbias = torch.randn((1, n_hidden)) * 0.1
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
for p in parameters:
    p.requires_grad = True
n = batch_size
Xb = torch.randint(0, vocab_size, (n, block_size))
Yb = torch.randint(0, vocab_size, (n,))
emb = C[Xb]
embcat = emb.view(emb.shape[0], -1)
hprebn = embcat @ W1 + b1
bnmeani = 1/n*hprebn.sum(0, keepdim=True)
bndiff = hprebn - bnmeani
bndiff2 = bndiff**2
bnvar = 1/(n-1)*(bndiff2).sum(0, keepdim=True)
bnvar_inv = (bnvar + 1e-5)**-0.5
bnraw = bndiff * bnvar_inv
hpreact = bngain * bnraw + bnbias
h = torch.tanh(hpreact)
logits = h @ W2 + b2
logit_maxes = logits.max(1, keepdim=True).values
norm_logits = logits - logit_maxes
counts = norm_logits.exp()
counts_sum = counts.sum(1, keepdims=True)
counts_sum_inv = counts_sum**-1
probs = counts * counts_sum_inv
logprobs = probs.log()
loss = -logprobs[range(n), Yb].mean()
for t in [logprobs, probs, counts, h, emb]:
    t.retain_grad()
loss.backward()

def cmp(s, dt, t):
    return (dt - t.grad).abs().max().item()

dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Yb] = -1.0/n
dprobs = (1.0 / probs) * dlogprobs
dcounts_sum_inv = (counts * dprobs).sum(1, keepdim=True)
dcounts = counts_sum_inv * dprobs
dcounts_sum = (-counts_sum**-2) * dcounts_sum_inv
dcounts += torch.ones_like(counts) * dcounts_sum
dnorm_logits = counts * dcounts
dlogits = dnorm_logits.clone()
dlogit_maxes = (-dnorm_logits).sum(1, keepdim=True)
dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dhpreact = (1.0 - h**2) * dh
dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
dbnraw = bngain * dhpreact
dbnbias = dhpreact.sum(0, keepdim=True)
dbndiff = bnvar_inv * dbnraw
dbnvar_inv = (bndiff * dbnraw).sum(0, keepdim=True)
dbnvar = (-0.5*(bnvar + 1e-5)**-1.5) * dbnvar_inv
dbndiff2 = (1.0/(n-1))*torch.ones_like(bndiff2) * dbnvar
dbndiff += (2*bndiff) * dbndiff2
dhprebn = dbndiff.clone()
dbnmeani = (-dbndiff).sum(0)
dhprebn += 1.0/n * (torch.ones_like(hprebn) * dbnmeani)
dembcat = dhprebn @ W1.T
dW1 = embcat.T @ dhprebn
db1 = dhprebn.sum(0)
demb = dembcat.view(emb.shape)
dC = torch.zeros_like(C)
for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        ix = Xb[k,j]
        dC[ix] += demb[k,j]
cmp('logprobs', dlogprobs, logprobs)
"""


def audited(tmp_path: Path, op: str, source: str) -> Report:
    path = tmp_path / "lines.py"
    path.write_text(source)
    return audit_file(path, derive.load(op))


@pytest.mark.parametrize(("op", "source"), [("batchnorm", BATCHNORM), ("batchnorm", LINES), ("makemore", COURSE)])
def test_right_lines_are_correct(tmp_path: Path, op: str, source: str) -> None:
    report = audited(tmp_path, op, source)
    assert report.correct, str(report)
    assert {f.gradient for f in report.findings} == {f"d{t.name}" for t in derive.load(op).differentiable}


@pytest.mark.parametrize(
    ("op", "source", "old", "new", "first", "cause"),
    [
        ("batchnorm", BATCHNORM, " + dmu / N", "", "dx", "is missing"),
        ("batchnorm", LINES, "(dout * x_hat).sum(0)\n", "(dout * x_hat).mean(0)\n", "dgamma", "a mean over n"),
        ("makemore", COURSE, "(-0.5*(bnvar", "(0.5*(bnvar", "dbnvar", "opposite sign"),
        (
            "makemore",
            COURSE,
            "dcounts += torch.ones_like(counts) * dcounts_sum\n",
            "",
            "dcounts",
            "counts_sum is treated as a constant",
        ),
        ("makemore", COURSE, "dC[ix] +=", "dC[ix] =", "dC", ""),
        ("makemore", COURSE, "1.0/n * (torch", "1.0/27 * (torch", "dhprebn", ""),
    ],
)
def test_the_first_wrong_line_is_told(tmp_path: Path, op: str, source: str, old: str, new: str, first: str, cause: str) -> None:
    assert source.count(old) == 1
    report = audited(tmp_path, op, source.replace(old, new))
    wrong = [f for f in report.findings if f.verdict == "wrong"]
    assert wrong[0].gradient == first and cause in " ".join(str(report).split()), str(report)


def test_an_error_is_told_by_the_line_of_the_file(tmp_path: Path) -> None:
    source = BATCHNORM.replace("dbeta = dy.sum(0)", "dbeta = dy.sum(0) if eps == 1e-3 else 1 / 0")
    (number,) = [k for k, line in enumerate(source.splitlines(), 1) if "1 / 0" in line]
    assert f"(line {number}: dbeta = dy.sum(0) if" in " ".join(str(audited(tmp_path, "batchnorm", source)).split())


def test_lines_of_another_op_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of its arrays is an input of linear, which takes x, W, b"):
        audited(tmp_path, "linear", "import numpy as np\nq = np.ones(3)\ndW = 2 * q\n")
