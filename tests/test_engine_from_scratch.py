"""The small engine that ``derive/README.md`` explains: what it prints there, and its gradients beside autograd's."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sympy
import torch

TEXT = (Path(__file__).resolve().parent.parent / "derive/README.md").read_text(encoding="utf-8")
CODE = "".join(re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
PRINTED = re.search(r"This prints.*?```text\n(.*?)```", TEXT, re.DOTALL)


@cache
def engine() -> tuple[dict[str, Any], str]:
    """What the code defines, and what it prints."""
    scope: dict[str, Any] = {"__name__": __name__}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(CODE, "derive/README.md", "exec"), scope)
    return scope, printed.getvalue()


def test_it_is_as_short_as_it_says_and_prints_what_it_says() -> None:
    assert "## The idea in 250 lines" in TEXT and len(CODE.splitlines()) <= 250
    assert PRINTED and engine()[1] == PRINTED[1]


def value(terms: Any, index: tuple[str, ...], values: dict[str, torch.Tensor], size: dict[str, int]) -> torch.Tensor:
    """An expression over its free indices, term by term with an einsum; sizes and numbers have no axes."""
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    found = torch.zeros([size[i] for i in index], dtype=torch.float64)
    for (factors, bound), c in terms.items():
        letter = {i: next(letters) for i in (*index, *bound)}
        spec, operands = [letter[i] for i in index], [torch.ones(size[i], dtype=torch.float64) for i in index]
        for (name, places), e in factors:
            tensor = torch.tensor(float(size[name[1:]])) if name.startswith("#") else values[name]
            spec.append("".join(letter[i] for i in places))
            operands.append(tensor.double() ** e)
        found += float(c) * torch.einsum(f"{','.join(spec)}->{''.join(letter[i] for i in index)}", *operands)
        letters = iter("abcdefghijklmnopqrstuvwxyz")
    return found


def ops() -> dict[str, tuple[list[Any], list[tuple[str, tuple[str, ...]]], Callable[..., torch.Tensor]]]:
    s = engine()[0]
    line, read, times, total, add = s["Line"], s["read"], s["times"], s["total"], s["add"]
    mean = read("#d", to=-1)
    return {
        "tanh": ([line("y", ("n",), read("x", "n"), sympy.tanh)], [("x", ("n",))], torch.tanh),
        "softmax": (
            [
                line("e", ("n", "c"), read("z", "n", "c"), sympy.exp),
                line("s", ("n",), total("c", read("e", "n", "c"))),
                line("p", ("n", "c"), times(read("e", "n", "c"), read("s", "n", to=-1))),
            ],
            [("z", ("n", "c"))],
            lambda z: z.softmax(-1),
        ),
        "batchnorm": (
            s["batchnorm"],
            [("gamma", ("d",)), ("beta", ("d",)), ("x", ("n", "d"))],
            lambda gamma, beta, x: torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=0.1),
        ),
        "matmul": (
            [line("y", ("i", "k"), total("j", times(read("a", "i", "j"), read("b", "j", "k"))))],
            [("a", ("i", "j")), ("b", ("j", "k"))],
            torch.matmul,
        ),
        "rmsnorm": (
            [
                line("m", ("n",), add(times(total("d", read("x", "n", "d", to=2)), mean), read("eps"))),
                line("r", ("n",), read("m", "n"), lambda m: m ** sympy.Rational(-1, 2)),
                line("y", ("n", "d"), times(read("x", "n", "d"), read("r", "n"), read("g", "d"))),
            ],
            [("x", ("n", "d")), ("g", ("d",))],
            lambda x, g: torch.nn.functional.rms_norm(x, (x.shape[-1],), g, eps=0.1),
        ),
        "log-sum-exp": (
            [
                line("e", ("n", "c"), read("z", "n", "c"), sympy.exp),
                line("s", ("n",), total("c", read("e", "n", "c"))),
                line("y", ("n",), read("s", "n"), sympy.log),
            ],
            [("z", ("n", "c"))],
            lambda z: z.logsumexp(-1),
        ),
    }


@pytest.mark.parametrize("name", ["tanh", "softmax", "batchnorm", "matmul", "rmsnorm", "log-sum-exp"])
def test_its_gradients_are_autograds(name: str) -> None:
    lines, inputs, reference = ops()[name]
    axes = dict.fromkeys(i for _, index in inputs for i in index)
    size = {a: 3 + k for k, a in enumerate(axes)}
    generator = torch.Generator().manual_seed(0)
    values = {n: torch.randn([size[i] for i in index], generator=generator, dtype=torch.float64) for n, index in inputs}
    leaves = [v.requires_grad_() for v in values.values()]
    out = reference(*leaves)
    upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    wanted = torch.autograd.grad(out, leaves, upstream)
    known = {n: v.detach() for n, v in values.items()} | {f"d{lines[-1].name}": upstream}
    known["eps"] = torch.tensor(0.1, dtype=torch.float64)
    for line in lines:
        body = value(line.body, line.index, known, size)
        known[line.name] = torch.from_numpy(numeric(line.head)(body.numpy())) if line.head else body
    closed = {line.name: line for line, _ in engine()[0]["derive"](lines, inputs)}
    for (name, index), gradient in zip(inputs, wanted, strict=True):
        found = known[f"d{name}"] = value(closed[f"d{name}"].body, index, known, size)
        torch.testing.assert_close(found, gradient, rtol=1e-10, atol=1e-12)


def numeric(head: Any) -> Any:
    u = sympy.Symbol("u")
    return sympy.lambdify(u, head(u), "numpy")


def test_its_forms_are_those_that_an_expert_publishes() -> None:
    """As few terms: softmax's two, batch normalization's three, no name of the engine's in between."""
    derive = engine()[0]["derive"]
    found = {name: dict(reversed([(line.name, line.body) for line, _ in derive(*ops()[name][:2])])) for name in ops()}
    assert engine()[0]["text"](found["softmax"]["dz"]) == "dp[n,c] p[n,c] + -1 sum[c'](dp[n,c'] p[n,c] p[n,c'])"
    names = {n for factors, _ in found["batchnorm"]["dx"] for (n, _), _ in factors}
    assert len(found["batchnorm"]["dx"]) == 3 and names == {"dy", "gamma", "rstd", "dgamma", "dbeta", "xhat", "#n"}
