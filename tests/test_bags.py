"""Labels with an axis that the rows lack: the gradient of a bag of lookups is a scatter-add in every backend, never a mask."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import derive
from codegen.backends.discovery import by_name, kernel_files, load_kernel
from codegen.plan import plan
from codegen.verify.agreement import run_kernel
from derive import syntax as st
from tests.backends import each_array_backend, each_backend

#: A lookup whose entries are summed over axes of the labels, and what torch computes.
BAGS = {
    "a bag for each row": (
        "y[n, d] = bag(T[v, d], t[n, b])\n\nt[n, b] in v\ny[n, d] = sum[b](T[t[n, b], d])",
        lambda T, t: T[t].sum(1),
    ),
    "its mean": (
        "y[n, d] = bag(T[v, d], t[n, b])\n\nt[n, b] in v\ny[n, d] = mean[b](T[t[n, b], d])",
        lambda T, t: T[t].mean(1),
    ),
    "one bag": (
        "y[d] = bag(T[v, d], t[n, b])\n\nt[n, b] in v\ny[d] = sum[n, b](T[t[n, b], d])",
        lambda T, t: T[t].sum((0, 1)),
    ),
    "numbers": (
        "y[n] = bag(T[v], t[n, b])\n\nt[n, b] in v\ny[n] = sum[b](T[t[n, b]])",
        lambda T, t: T[t].sum(1),
    ),
    "one sum of numbers": (
        "y = bag(T[v], t[n, b])\n\nt[n, b] in v\ny = sum[n, b](T[t[n, b]])",
        lambda T, t: T[t].sum(),
    ),
}
#: Lengths of v, d, n and b: several, and 1 or 0 of each but v.
LENGTHS = ((5, 3, 4, 2), (3, 1, 1, 1), (4, 2, 0, 3), (4, 2, 3, 0), (2, 3, 7, 5))


@each_backend
@pytest.mark.parametrize("name", BAGS)
def test_the_gradient_of_a_bag_is_that_of_torch(name: str, backend: str) -> None:
    text, function = BAGS[name]
    kernel = plan(derive.derive(derive.parse(text)))
    module = load_kernel(kernel, backend)
    rng = np.random.default_rng(0)
    for v, d, n, b in LENGTHS:
        T = torch.from_numpy(rng.normal(size=(v, d) if "T[v, d]" in text else (v,))).requires_grad_()
        t = torch.from_numpy(rng.integers(0, v, size=(n, b)))
        if not t.numel() and "mean" in text:
            continue
        y = function(T, t)
        upstream = torch.from_numpy(np.asarray(rng.normal(size=tuple(y.shape))))
        (wanted,) = torch.autograd.grad(y, T, upstream)
        outputs, gradients = run_kernel(kernel, module, backend, {"T": T.detach(), "t": t}, [upstream], {})
        torch.testing.assert_close(outputs[0], y.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradients[0], wanted, rtol=1e-12, atol=1e-12)


@each_array_backend
@pytest.mark.parametrize("name", BAGS)
def test_no_array_has_an_axis_for_the_labels_and_one_for_their_values(name: str, backend: str) -> None:
    kernel = plan(derive.derive(derive.parse(BAGS[name][0])))
    source = kernel_files(kernel, by_name(backend), "a test")[f"{backend}/bag.py"]
    body = re.search(r"def bag_backward\(.*?\n\n\n", source, re.DOTALL)
    assert body is not None and "arange" not in body[0]


@pytest.mark.parametrize("name", BAGS)
def test_the_gradient_of_a_bag_is_one_sum_that_each_label_takes_part_in_once(name: str) -> None:
    (line,) = derive.derive(derive.parse(BAGS[name][0])).lines
    reductions = [n for n in st.walk(line.tree) if isinstance(n, st.Reduce)]
    assert [sorted(r.index) for r in reductions] == [["b", "n"]]
