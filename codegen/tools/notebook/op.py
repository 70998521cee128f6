"""The notebook of any op, on random data: the forward, every adjoint by the chain rule, closed forms and their kernels."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Any

from codegen.chain import ChainSource, chain_source
from codegen.escape import docstring, markdown
from codegen.lengths import chosen_axes, roomy, whole_numbers
from codegen.names import NOTEBOOK, named_op
from codegen.plan import plan
from codegen.program import Argument, Kernel, Program, Role
from codegen.source import Code, FunctionSource
from codegen.tools.notebook.cells import (
    Cells,
    aligned,
    chain,
    comparison,
    derived,
    helpers_of,
    listed,
    notebook_of,
    plotted,
    torch,
)
from derive import derive, derive_full
from derive import syntax as st
from derive.adjoint import whole_adjoint
from derive.derivation import Derivation
from derive.labels import label_values
from derive.recurrence import opened
from derive.show.solved import equations
from derive.show.steps import handed_on

__all__ = ["build_op", "lengths"]

#: An axis is as long as the op states, but not much longer than this.
LONGEST = 16
ATOL = 1e-9


def build_op(op: st.Op, blanks: bool = False) -> Any:
    """The notebook of an op, not yet executed; each of its ``*s`` is one plain axis. OpError if it cannot be derived.

    It stands alone: it imports torch and matplotlib, and nothing of this project. With ``blanks`` the gradients are left to be
    found, and the closed forms are left out.
    """
    named = named_op(replace(op, stars=frozenset()), NOTEBOOK)
    plain = opened(named)
    full = derive_full(plain)
    source = chain_source(plain, torch(), "")
    closed = [] if blanks else _closed(plain)
    before = [*_opening(full, tuple(handed_on(named))), *_data(plain), *_forward(full, source)]
    return notebook_of([*before, *chain(full, lengths(plain), ATOL, blanks), *plotted(), *closed])


def lengths(op: st.Op) -> dict[str, int]:
    """A length for each axis: the op's own, cut to about ``LONGEST``, else a small one. Cut and small lengths differ."""
    stated = dict(op.sizes)
    size = {a: min(stated.get(a, 4 + k), LONGEST + k) for k, a in enumerate(chosen_axes(op))}
    return roomy(op, size, whole_numbers(op))


# ---- data and forward -------------------------------------------------------------------------------------------------------


def _opening(full: Derivation, handed: tuple[str, ...]) -> Cells:
    op = full.op
    shown = aligned([(e.name, e.index, e.rhs) for e in equations(op)], frozenset())
    parts = [f"# Backprop by hand: {op.name}", markdown(op.title), "The forward pass:", shown]
    if handed:
        parts += ["This is one step of a recurrence, for all steps at once.", "\n".join(f"- {markdown(h)}" for h in handed)]
    return [("markdown", "\n\n".join(filter(None, parts)))]


def _data(op: st.Op) -> Cells:
    """Random inputs that respect the op's assumptions; constants are their defaults, or 0.5."""
    size = lengths(op)
    signs = {a.left.name: a.rel for a in op.assumptions if isinstance(a.left, st.Read)}
    lines = [
        "import math",
        "",
        "import torch",
        "",
        "torch.manual_seed(0)",
        "torch.set_default_dtype(torch.float64)",
        "inputs = {",
    ]
    lines += [f'    "{t.name}": {_random(op, t, size, signs.get(t.name, ""))},' for t in op.inputs]
    usual = {c.name: 0.5 for c in op.constants} | whole_numbers(op)
    lines += ["}", "constants = {" + ", ".join(f'"{c.name}": {c.default or usual[c.name]}' for c in op.constants) + "}"]
    return [("markdown", "## The data\n\nRandom, in float64."), ("code", "\n".join(lines))]


def _random(op: st.Op, t: st.Tensor, size: dict[str, int], sign: str) -> str:
    shape = ", ".join(map(str, op.packing.shape(t.name, t.axes, size)))
    if t.labels is not None:
        shape = f"({shape},)" if t.axes else "()"
        if t.labels == st.TRUTH:
            return f"torch.randint(4, {shape}) > 0"
        values = label_values(op, t, size, whole_numbers(op))
        others = [v for v in values if not 0 <= v < len(values)]
        drawn = f"torch.randint({len(values)}, {shape})"
        return f"torch.tensor({list(values)})[{drawn}]" if others else drawn
    normal = f"torch.randn({shape or '()'})"
    if sign.startswith(">"):
        return f"{normal}.abs() + 0.1"
    return f"-{normal}.abs() - 0.1" if sign.startswith("<") else normal


def _forward(full: Derivation, source: ChainSource) -> Cells:
    """The equations as code, and the gradient of every name by autograd."""
    op, adjoints = full.op, {d.name for d in full.chain}
    helpers = helpers_of(source.helpers)
    outputs = [t.name for t in op.outputs]
    adjoint, known = st.adjoint_name("{n}"), {t.name for t in op.inputs} | {d.name for d in full.forward}
    whole = {whole_adjoint(o, known): st.adjoint_name(o) for o in outputs}
    shared = [f'autograd["{w}"] = autograd["{given}"]' for w, given in whole.items() if w in adjoints]
    result = "{" + ", ".join(f'"{n}": {n}' for n in source.names) + "}"
    heads = ", ".join(f'tensors["{o}"]' for o in outputs)
    upstream = ", ".join(f'"{st.adjoint_name(o)}": torch.randn_like(tensors["{o}"])' for o in outputs)
    values = _source(replace(source.values, returned=Code(result)))
    run = [
        "leaves = {n: v.clone().requires_grad_(v.is_floating_point()) for n, v in inputs.items()}",
        f"tensors = leaves | {source.values.name}(**leaves, **constants)",
        "for v in tensors.values():",
        "    if v.requires_grad:",
        "        v.retain_grad()",
        f"manual = {{{upstream}}}  # the gradients of the outputs, and then those found here",
        f"torch.autograd.backward([{heads}], list(manual.values()))",
        "gradients = {n: v.grad for n, v in tensors.items() if v.requires_grad}",
        f'autograd = {{f"{adjoint}": torch.zeros_like(tensors[n]) if g is None else g for n, g in gradients.items()}}',
        *shared,
        "values = {n: v.detach() for n, v in tensors.items()} | constants",
        "{n: tuple(v.shape) for n, v in tensors.items()}",
    ]
    return [
        ("markdown", "## The forward pass\n\nEvery equation as it stands, and by autograd the gradient of every name."),
        ("code", "\n\n\n".join([*helpers, values])),
        ("code", "\n".join(run)),
    ]


def _source(f: FunctionSource) -> str:
    doc = docstring("\n".join(f.doc))
    quoted = textwrap.indent(f'"""{doc}"""', "    ") if doc else ""
    body = [f"    {line}" if line else "" for line in (*f.prologue, *f.body)]
    return "\n".join([f"def {f.name}({f.signature}):", *([quoted] if quoted else []), *body, f"    return {f.returned}"])


# ---- closed forms -----------------------------------------------------------------------------------------------------------


def _closed(op: st.Op) -> Cells:
    """The derivation of the closed forms, the kernels made from them, and the kernels' results."""
    kernel = plan(derive(op))
    file = torch().source(kernel, "")
    helpers = helpers_of(file.helpers)
    text = "The same gradients simplified, as on paper, and the kernels that compute them."
    return [
        ("markdown", f"## The closed forms\n\n{text}\n\n{derived(op)}"),
        ("code", "\n\n\n".join([*map(_source, file.functions), *helpers])),
        ("code", _called(kernel)),
    ]


def _called(kernel: Kernel) -> str:
    """The code that runs both kernels and compares their results."""
    op = kernel.op
    outputs, saved = [t.name for t in op.outputs], [t.name for t in kernel.saved]
    heads = outputs[0] if len(outputs) == 1 else _tuple(outputs)
    results = kernel.backward.results
    same = [f'torch.allclose({o}, values["{o}"], atol=1e-9)' for o in outputs]
    same += [comparison(g, g, ATOL) for g in results]
    return "\n".join(
        [
            f"{heads}, {_tuple(saved) if saved else '_'} = {_call(kernel.forward, saved)}",
            f"{', '.join(results)} = {_call(kernel.backward, saved)}",
            same[0] if len(same) == 1 else listed(same),
        ]
    )


def _call(program: Program, saved: list[str]) -> str:
    """The call of a program: saved tensors are variables, upstream gradients and values are entries of dicts."""
    arguments = [_argument(a, saved) for a in program.arguments]
    arguments += [f'{c.name}=constants["{c.name}"]' for c in program.constants]
    return f"{program.name}({', '.join(arguments)})"


def _argument(a: Argument, saved: list[str]) -> str:
    if a.role is Role.UPSTREAM:
        return f'manual["{a.name}"]'
    return a.name if a.name in saved and a.role is Role.SAVED else f'values["{a.name}"]'


def _tuple(names: list[str]) -> str:
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"
