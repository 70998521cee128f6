"""Kernels of systems written in a test, judged by autograd through a torch function that the test writes beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import torch

import derive
from codegen.backends.discovery import by_name
from codegen.plan import plan
from codegen.program import Kernel
from codegen.verify.agreement import load_kernel, packed, run_kernel, unpacked
from derive.labels import whole_constants
from derive.syntax import adjoint_name

Reference = Callable[..., Any]


def lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


@cache
def kernel(text: str) -> Kernel:
    """The kernel of an op's text, or of a single equation."""
    text = lines(text)
    return plan(derive.derive(derive.parse(text) if "\n" in text else derive.parse_formula(text)))


@cache
def module(text: str, backend: str) -> ModuleType:
    return load_kernel(kernel(text), backend)


def normal(*shapes: Sequence[int], seed: int = 0, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """Random tensors of these shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [0.3 + torch.randn(tuple(s), generator=generator, dtype=dtype) for s in shapes]


def judge(text: str, backend: str, reference: Reference, inputs: Sequence[torch.Tensor], **constants: float) -> None:
    """Outputs and gradients of the text's kernels equal those of the reference, in value, shape and dtype."""
    made = kernel(text)
    leaves = [v.detach().clone().requires_grad_(v.is_floating_point()) for v in inputs]
    whole = whole_constants(made.op) | made.op.length_constants
    given = {c.name: constants.get(c.name, (int if c.name in whole else float)(c.default or 1)) for c in made.op.constants}
    wanted = _tuple(reference(*leaves, **given))
    upstream = normal(*(w.shape for w in wanted), seed=1, dtype=leaves[0].dtype)
    gradients = gradients_of(wanted, leaves, upstream)
    named = {t.name: v for t, v in zip(made.op.inputs, inputs, strict=True)}
    outputs, found = run_kernel(made, module(text, backend), backend, named, upstream, given)
    names = [*(t.name for t in made.op.outputs), *(adjoint_name(t.name) for t in made.op.differentiable)]
    for name, ours, theirs in zip(names, [*outputs, *found], [*wanted, *gradients], strict=True):
        assert_same(f"{backend}: {name}", ours, theirs.detach())
    by_itself = dict(zip(names[len(wanted) :], gradients, strict=True))
    for name, ours in differentiated(made, module(text, backend), backend, named, upstream, given).items():
        assert_same(f"the differentiable op in {backend}: {name}", ours, by_itself[name].detach())


def differentiated(
    made: Kernel,
    module: ModuleType,
    backend: str,
    inputs: Mapping[str, Any],
    upstream: Sequence[Any],
    given: Mapping[str, float],
) -> dict[str, torch.Tensor]:
    """The gradients that the framework's own differentiation gets through the differentiable op, if there is one."""
    found = by_name(backend)
    with found.running():
        values = {n: found.to(packed(made.op, n, v)) for n, v in inputs.items()} | dict(given)
        outputs = zip(made.op.outputs, upstream, strict=True)
        values |= {adjoint_name(t.name): found.to(packed(made.op, t.name, u)) for t, u in outputs}
        gradients = {name: torch.tensor(found.back(g)) for name, g in found.gradients(made, module, values)}
        like = {adjoint_name(n): (n, v) for n, v in inputs.items()}
        return {name: unpacked(made.op, like[name][0], g, like[name][1]) for name, g in gradients.items()}


def gradients_of(results: Sequence[Any], leaves: Sequence[Any], upstream: Sequence[Any]) -> list[torch.Tensor]:
    """autograd's gradients, which are 0 where nothing depends on a leaf."""
    floating = [v for v in leaves if v.is_floating_point()]
    pairs = [(r, u) for r, u in zip(results, upstream, strict=True) if r.requires_grad]
    found: Any = [None] * len(floating)
    if pairs:
        found = torch.autograd.grad([r for r, _ in pairs], floating, [u for _, u in pairs], allow_unused=True)
    return [torch.zeros_like(v) if g is None else g for v, g in zip(floating, found, strict=True)]


def assert_same(what: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape, f"{what} has shape {tuple(ours.shape)} instead of {tuple(theirs.shape)}"
    assert ours.dtype == theirs.dtype, f"{what} has dtype {ours.dtype} instead of {theirs.dtype}"
    near = 1e-10 if theirs.dtype == torch.float64 else 1e-4
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=near, atol=near, err_msg=what)


def _tuple(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)
