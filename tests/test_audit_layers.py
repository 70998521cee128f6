"""Layers that keep in the object what their backward needs are audited as they are, however they keep it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import derive
from codegen.tools.auditor import Report, audit_file

TANH = """
import numpy as np

class Tanh:
    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dout):
        return dout * (1 - self.y**2)
"""
#: The layer is made with its parameters, and leaves their gradients in attributes.
LINEAR = """
import numpy as np

class Linear:
    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        self.cache = x
        return x @ self.W + self.b

    def backward(self, dout):
        x = self.cache.reshape(-1, self.cache.shape[-1])
        flat = dout.reshape(-1, dout.shape[-1])
        self.dW = x.T @ flat
        self.db = flat.sum(0)
        return dout @ self.W.T
"""
#: The layer is made with lengths, has its weight the other way round, and a dict of gradients.
LENGTHS = """
import numpy as np

class Linear:
    def __init__(self, in_features, out_features):
        self.weight = np.random.randn(out_features, in_features)
        self.bias = np.zeros((1, out_features))
        self.grads = {}

    def forward(self, x):
        self.x = x
        return x @ self.weight.T + self.bias

    def backward(self, grad_output):
        flat = grad_output.reshape(-1, grad_output.shape[-1])
        self.grads["weight"] = flat.T @ self.x.reshape(-1, self.x.shape[-1])
        self.grads["bias"] = flat.sum(axis=0, keepdims=True)
        return grad_output @ self.weight
"""
#: Lists of parameters and of gradients.
LISTS = """
import numpy as np

class Affine:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return np.dot(x, W) + b

    def backward(self, dout):
        W, b = self.params
        flat = dout.reshape(-1, dout.shape[-1])
        self.grads[0][...] = np.dot(self.x.reshape(-1, self.x.shape[-1]).T, flat)
        self.grads[1][...] = np.sum(flat, axis=0)
        return np.dot(dout, W.T)
"""
NORM = """
import numpy as np

class BatchNorm1d:
    def __init__(self, dim, eps=1e-3, momentum=0.1):
        self.eps = eps
        self.gamma = np.ones(dim)
        self.beta = np.zeros(dim)

    def forward(self, x):
        self.std = np.sqrt(x.var(0) + self.eps)
        self.xhat = (x - x.mean(0)) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, dy):
        self.dgamma = (dy * self.xhat).sum(0)
        self.dbeta = dy.sum(0)
        dxhat = dy * self.gamma
        return (dxhat - dxhat.mean(0) - self.xhat * (dxhat * self.xhat).mean(0)) / self.std
"""
LOSS = """
import numpy as np

class SoftmaxCrossEntropy:
    def forward(self, logits, targets):
        e = np.exp(logits - logits.max(1, keepdims=True))
        self.probs = e / e.sum(1, keepdims=True)
        self.targets = targets
        return -np.log(self.probs[np.arange(len(targets)), targets]).mean()

    def backward(self):
        d = self.probs.copy()
        d[np.arange(len(self.targets)), self.targets] -= 1
        return d / len(self.targets)
"""
#: No backward: torch differentiates the forward, whose variance has Bessel's divisor.
FORWARD = """
import torch

class BatchNorm1d:
    def __init__(self, dim, eps=1e-5):
        self.eps = eps
        self.gamma = torch.ones(dim)
        self.beta = torch.zeros(dim)

    def __call__(self, x):
        self.out = self.gamma * (x - x.mean(0, keepdim=True)) / torch.sqrt(x.var(0, keepdim=True) + self.eps) + self.beta
        return self.out
"""
CASES = [
    ("tanh", TANH, "self.y**2", "self.y", "exponent"),
    ("linear", LINEAR, "flat.sum(0)", "flat.mean(0)", "mean over s stands where the sum"),
    ("linear", LENGTHS, "flat.T @ self.x", "2 * flat.T @ self.x", "2 times|coefficient"),
    ("linear", LISTS, "[0][...] =", "[0][...] = -", "opposite sign"),
    ("batchnorm", NORM, "(dxhat * self.xhat).mean(0)", "(dxhat * self.xhat).sum(0)", "divisor"),
    ("softmax_cross_entropy", LOSS, "d / len(self.targets)", "d", r"size\(n\)"),
    ("batchnorm", FORWARD, "x.mean(0, keepdim=True)", "0.5 * x.mean(0, keepdim=True)", "is not what batchnorm computes"),
]


def audited(tmp_path: Path, op: str, source: str) -> Report:
    path = tmp_path / "layers.py"
    path.write_text(source)
    return audit_file(path, derive.load(op))


@pytest.mark.parametrize(("op", "source"), [c[:2] for c in CASES])
def test_a_right_layer_is_correct(tmp_path: Path, op: str, source: str) -> None:
    report = audited(tmp_path, op, source)
    assert report.correct, str(report)
    assert {f.gradient for f in report.findings} == {f"d{t.name}" for t in derive.load(op).differentiable}


@pytest.mark.parametrize(("op", "source", "old", "new", "cause"), CASES)
def test_a_broken_layer_is_refused_and_told(tmp_path: Path, op: str, source: str, old: str, new: str, cause: str) -> None:
    assert source.count(old) == 1
    report = audited(tmp_path, op, source.replace(old, new))
    assert report.verdict == "wrong"
    assert re.search(cause, " ".join(str(report).split())), str(report)


def test_a_gradient_that_is_kept_nowhere_is_missing(tmp_path: Path) -> None:
    report = audited(tmp_path, "linear", LINEAR.replace("self.db = ", "unkept = "))
    assert not report.correct and "not among what was returned" in str(report)


def test_of_several_layers_the_one_called_like_the_op_is_meant(tmp_path: Path) -> None:
    assert audited(tmp_path, "tanh", LINEAR + TANH).submission == "Tanh.backward"


def test_a_loss_may_be_returned_with_its_gradient(tmp_path: Path) -> None:
    source = """
import numpy as np

def softmax_loss(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dx = np.exp(log_probs)
    dx[np.arange(len(x)), y] -= 1
    dx /= len(x)
    loss = -log_probs[np.arange(len(x)), y].mean()
    return loss, dx
"""
    assert audited(tmp_path, "softmax_cross_entropy", source).correct
    assert r"size(n)" in str(audited(tmp_path, "softmax_cross_entropy", source.replace("dx /= len(x)", "")))
