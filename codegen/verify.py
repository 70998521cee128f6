"""Emitted kernels against autograd: what the table of ``make derive`` reports, and what the tests assert."""

from __future__ import annotations

import atexit
import hashlib
import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from codegen.layout import lay_out
from codegen.native.files import op_files, runtime_files
from codegen.program import Kernel
from codegen.reference import evaluate
from codegen.render import render_file
from derive import syntax as st
from derive.axes import equal_axes


@dataclass(frozen=True)
class Agreement:
    """The largest difference from autograd of any gradient, relative to the gradient's largest entry."""

    backend: str
    largest: float


def load_source(name: str, text: str) -> ModuleType:
    """A module made of generated source, without touching ``sys.modules``."""
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    exec(compile(text, module.__file__, "exec"), module.__dict__)  # our own output, never a user's text
    return module


def load_kernel(kernel: Kernel, backend: str) -> ModuleType:
    """A module with the kernel's functions in one backend, emitted anew; the native one is compiled when it is called."""
    if backend != "native":
        return load_source(f"{kernel.op.name}_{backend}", render_file(lay_out(kernel, backend, "a check"), backend))
    source = render_file(lay_out(kernel, "numpy", "a check"), "numpy")
    return load_native(kernel.op.name, {f"numpy/{kernel.op.name}.py": source, **op_files(kernel, "a check"), **runtime_files()})


def native_errors(kernels: Iterable[Kernel], files: Mapping[str, str]) -> dict[str, float]:
    """The largest error of each op's native kernels as they are written; empty where there is no C compiler.

    ``files`` are all files below ``generated/``. Everything is compiled on the way, into the cache that later calls use.
    """
    wanted = {n: t for n, t in files.items() if n.startswith(("native/", "numpy/")) and not n.startswith("native/torch/")}
    names = {k.op.name: k for k in kernels}
    package = load_native(next(iter(names)), wanted).__package__
    build = importlib.import_module(f"{package}._build")
    if build.compiler() is None:
        return {}
    build.compile_all(names)
    modules = {name: importlib.import_module(f"{package}.{name}") for name in names}
    return {name: agreement(k, modules[name], "native").largest for name, k in names.items()}


def load_native(name: str, files: Mapping[str, str]) -> ModuleType:
    """The native module of an op from the texts of its files, in a package of its own for as long as the process lives."""
    root = Path(_packages())
    package = f"{root.name}_{len(list(root.iterdir()))}"  # a process that this one spawns has its import path as well
    for path, text in files.items():
        target = root / package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    return importlib.import_module(f"{package}.native.{name}")


@cache
def _packages() -> str:
    """A folder on the import path that goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="native_kernels_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sys.path.append(folder)
    return folder


def sample_lengths(op: st.Op, rng: np.random.Generator) -> dict[str, int]:
    """A length for every axis; axes that the op declares equal get the same one."""
    axes = dict.fromkeys(a for t in op.inputs for a in (*t.axes, *([t.labels] if t.labels else [])))
    size = {a: int(rng.integers(3, 8)) for a in axes}
    same = equal_axes(op)
    return {a: size[same.get(a, a)] for a in axes}


def sample(op: st.Op, seed: int, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """Random inputs: values that respect the assumptions, labels in range."""
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(op.name.encode()).digest()[:4])])
    size = sample_lengths(op, rng)
    signs = {a.left.name: a.rel for a in op.assumptions if isinstance(a.left, st.Read)}
    out = {}
    for t in op.inputs:
        shape = tuple(size[a] for a in t.axes)
        if t.labels is not None:
            out[t.name] = torch.from_numpy(np.asarray(rng.integers(0, size[t.labels], shape)))
        else:
            values = np.asarray(rng.normal(rng.normal(), 1.0, shape)) * scale
            if signs.get(t.name, "")[:1] == ">":
                values = np.abs(values) + 0.1
            elif signs.get(t.name, "")[:1] == "<":
                values = -np.abs(values) - 0.1
            out[t.name] = torch.from_numpy(np.asarray(values)).to(dtype)
    return out


def constants_of(op: st.Op, seed: int = 0) -> dict[str, float]:
    """The constants: their defaults for seed 0, else random, so that a default of 0 hides nothing."""
    rng = np.random.default_rng(seed)
    return {c.name: float(rng.uniform(0.1, 0.9)) if seed else float(c.default or 1.0) for c in op.constants}


def autograd(
    op: st.Op, inputs: dict[str, torch.Tensor], upstream: list[torch.Tensor], constants: dict[str, float]
) -> list[torch.Tensor]:
    """The gradients of the op's equations by torch's autograd."""
    leaves = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
    values = evaluate(op, leaves, constants)
    outputs = [values[t.name] for t in op.outputs]
    wanted = [leaves[t.name] for t in op.differentiable]
    found = torch.autograd.grad(outputs, wanted, upstream, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)]


def run_kernel(
    kernel: Kernel,
    module: ModuleType,
    backend: str,
    inputs: dict[str, torch.Tensor],
    upstream: list[torch.Tensor],
    constants: dict[str, float],
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Outputs and gradients of the emitted forward and backward on one input."""
    op = kernel.op
    to: Any = (lambda t: t) if backend == "torch" else (lambda t: t.numpy())
    values = {n: to(v) for n, v in inputs.items()}
    forward = getattr(module, kernel.forward.name)
    outputs, saved = forward(*(values[a.name] for a in kernel.forward.arguments), **_given(kernel.forward, constants))
    outputs = [outputs] if len(op.outputs) == 1 else list(outputs)
    values |= dict(zip([t.name for t in kernel.saved], saved, strict=True))
    values |= {f"d{t.name}": to(u) for t, u in zip(op.outputs, upstream, strict=True)}
    backward = getattr(module, kernel.backward.name)
    grads = backward(*(values[a.name] for a in kernel.backward.arguments), **_given(kernel.backward, constants))
    grads = [grads] if len(kernel.backward.results) == 1 else list(grads)
    return [torch.as_tensor(o) for o in outputs], [torch.as_tensor(g) for g in grads]


def _given(program: Any, constants: dict[str, float]) -> dict[str, float]:
    return {c.name: constants[c.name] for c in program.constants}


def relative_difference(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest difference over the largest magnitude; infinite where one is NaN and the other is not."""
    if not want.numel():
        return 0.0
    if not torch.equal(got.isnan(), want.isnan()):
        return float("inf")
    scale = max(float(want.nan_to_num().abs().max()), 1e-3)
    return float((want - got).nan_to_num().abs().max()) / scale


def agreement(kernel: Kernel, module: ModuleType, backend: str, seeds: tuple[int, ...] = (0, 1, 2)) -> Agreement:
    """The largest relative difference between the emitted backward and autograd, in float64."""
    op, largest = kernel.op, 0.0
    for seed in seeds:
        inputs = sample(op, seed)
        constants = constants_of(op, seed)
        values = evaluate(op, inputs, constants)
        generator = torch.Generator().manual_seed(seed)
        upstream = [torch.randn(values[t.name].shape, generator=generator, dtype=torch.float64) for t in op.outputs]
        expected = autograd(op, inputs, upstream, constants)
        outputs, found = run_kernel(kernel, module, backend, inputs, upstream, constants)
        for want, got in zip([*(values[t.name] for t in op.outputs), *expected], [*outputs, *found], strict=True):
            assert want.shape == got.shape, f"{op.name}: shape {tuple(got.shape)} instead of {tuple(want.shape)}"
            largest = max(largest, relative_difference(got, want))
    return Agreement(backend, largest)
