"""What is declared to an audit, what it tells apart, and what it says: axes, names, layouts, forwards, digits."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import codegen
from codegen.tools.auditor.report import BUT, CORRECT, WRONG, Report

GAUSS = "k[i, j] = gauss(x[i, d], z[j, d])\nk[i, j] = exp(-sum[d]((x[i, d] - z[j, d])**2)/2)"


def said(report: Report) -> str:
    return " ".join(str(report).split())


def multiplied_out(dk, x, z, k):
    g = dk * k
    return {"dx": -(x * g.sum(1)[:, None] - g @ z), "dz": g.T @ x - z * g.sum(0)[:, None]}


def of_differences(dk, x, z, k):
    g = (dk * k)[..., None] * (x[:, None] - z[None])
    return {"dx": -g.sum(1), "dz": g.sum(0)}


@pytest.mark.parametrize("dtype", [None, "float32"])
def test_a_form_that_cancels_far_from_zero_is_told_from_one_that_does_not(dtype: str | None) -> None:
    report = codegen.audit(multiplied_out, GAUSS, dtype=dtype)
    assert report["dx"].verdict == report["dz"].verdict == BUT
    assert "far from zero digits cancel" in said(report)
    assert codegen.audit(of_differences, GAUSS, dtype=dtype).verdict == CORRECT


def rows(dy, xhat, rstd, gamma):
    g = dy * gamma
    dx = rstd[:, None] * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True))
    lead = tuple(range(dy.ndim - 1))
    return dx, (dy * xhat).sum(lead), dy.sum(lead)


def asserted(dy, xhat, rstd, gamma):
    assert dy.ndim == 2, "rows alone"
    return rows(dy, xhat, rstd, gamma)


def test_what_raises_for_other_axes_serves_some_alone_unless_that_is_declared() -> None:
    report = codegen.audit(rows, "layernorm")
    assert not report.correct and report.verdict == BUT
    assert all(f.verdict == CORRECT for f in report.findings)
    words = r"only with \*s as one axis: with two it raised ValueError: .* \(line \d+: dx = .*, with .*rstd \(2, 3\)"
    assert re.search(words, said(report))
    assert "--axes 1 declares" in said(report)
    assert codegen.audit(rows, "layernorm", axes=1).correct
    assert not codegen.audit(rows, "layernorm", axes=(1, 2)).correct
    declared = codegen.audit(asserted, "layernorm")
    assert declared.correct and "it refuses two itself" in said(declared)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"axes": 3}, "0, 1 or 2 axes"),
        ({"layout": ["W[h]"]}, "there is no 'W'"),
        ({"layout": ["gamma"]}, "is no layout"),
        ({"layout": ["x[d]"]}, "has the axes"),
        ({"names": {"rstd": "rsdt"}}, "did you mean 'rstd'"),
    ],
)
def test_a_declaration_that_fits_nothing_is_an_error(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        codegen.audit(rows, "layernorm", **how)


def test_a_name_that_means_nothing_says_how_to_declare_it() -> None:
    with pytest.raises(ValueError, match="--name dout=NAME"):
        codegen.audit(lambda dout, dy, y: dout, "tanh")


def both_sides(dy, x, z):
    return {"dx": dy * (x >= z), "dz": dy * (z >= x)}


def one_side(dy, x, z):
    return {"dx": dy * (x >= z), "dz": dy * (z > x)}


def test_a_choice_at_ties_is_one_for_all_gradients_together() -> None:
    text = "y[n] = larger(x[n], z[n])\ny[n] = maximum(x[n], z[n])"
    assert codegen.audit(one_side, text).correct
    assert codegen.audit(both_sides, text).verdict == BUT


def another_eps(x, gamma):
    return gamma * x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-3)


def test_another_forward_is_told_before_its_gradients() -> None:
    report = codegen.audit(another_eps, "rmsnorm")
    assert report.verdict == WRONG and [f.gradient for f in report.findings] == ["y"]
    assert "it is not what rmsnorm computes" in said(report)


def in_single_precision(dy, y):
    return (dy.astype(np.float32) * (1 - y.astype(np.float32) ** 2)).astype(dy.dtype)


def test_single_precision_is_no_slip_in_the_formula() -> None:
    report = codegen.audit(in_single_precision, "tanh")
    assert report["dx"].verdict == BUT and report["dx"].diagnosis is None
    assert "precision of float32" in said(report)
    assert codegen.audit(in_single_precision, "tanh", dtype="float32").correct


@pytest.mark.parametrize("factor", [2.0, 1 + 1e-4, 1 + 1e-6])
def test_a_counterexample_shows_a_difference(factor: float) -> None:
    report = codegen.audit(lambda dy, y: factor * dy * (1 - y**2), "tanh")
    expected, got = re.findall(r"dx, (?:expected|got) = (.*)", str(report))
    assert expected != got


FILE = """
import numpy as np

def bn_forward(x):
    return x

def bn_backward(dout, cache):
    xhat, gamma, rstd = cache
    dxhat = dout * gamma
    return rstd * (dxhat - dxhat.mean(0) - xhat * (dxhat * xhat).mean(0)), (dout * xhat).sum(0), dout.sum(0)
"""


def command(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "mine.py").write_text(text)
    line = [sys.executable, "-m", "codegen", "audit", "mine.py", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)


def test_a_cache_goes_by_the_names_of_its_parts(tmp_path: Path) -> None:
    done = command(tmp_path, FILE, "--op", "batchnorm", "--name", "dout=dy", "--axes", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    named = FILE.replace("xhat, gamma, rstd = cache", "xhat, gamma, rstd = cache[0], cache[1], cache[2]")
    done = command(tmp_path, named, "--op", "batchnorm", "--name", "dout=dy", "--name", "cache=xhat,gamma,rstd", "--axes", "0")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import sys; sys.exit(0)", "SystemExit"),
        ("import os; os._exit(0)", "ended its process (status 0)"),
        ("import ctypes; ctypes.string_at(0)", "ended its process (signal"),
    ],
)
def test_no_verdict_is_no_success(tmp_path: Path, body: str, says: str) -> None:
    done = command(tmp_path, f"def tanh_backward(dy, y):\n    {body}\n", "--op", "tanh")
    assert done.returncode == 1
    assert says in done.stdout + done.stderr and "Traceback" not in done.stderr
