"""Conditions on indices: derived as on paper, certified, and equal to torch's autograd in every backend."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

import derive
from derive.certify import certify
from derive.errors import OpError
from derive.language.unicode import language, text
from derive.terms.atoms import Delta, negated, row
from derive.terms.forms import Form, Part, combined
from derive.terms.sums import Read, atom_sum, number, rename_free
from tests.backends import each_array_backend, each_backend
from tests.judged import judge, kernel, lines, module, normal

CAUSAL = """
    o[i, d] = causal(q[i, f], k[j, f], v[j, d])
    s[i, j] = sum[f](q[i, f]*k[j, f])
    a[i, j] = where(j <= i, exp(s[i, j]), 0)
    p[i, j] = a[i, j]/sum[j](a[i, j])
    o[i, d] = sum[j](p[i, j]*v[j, d])
"""
IGNORED = """
    loss = ignored(z[n, c], t[n], ignore=-100)
    t[n] in c
    p[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))
    count   = sum[n](where(t[n] != ignore, 1, 0))
    loss    = sum[n](where(t[n] != ignore, -log(p[n, t[n]]), 0))/count
"""
DROPPED = """
    y[n, d] = dropped(x[n, d], keep[n, d], rate=0.5)
    keep[n, d] in bool
    y[n, d] = where(keep[n, d], x[n, d]/(1 - rate), 0)
"""
MASKED = """
    y[n, c] = masked(x[n, c], keep[n, c])
    keep[n, c] in bool
    a[n, c] = where(keep[n, c], exp(x[n, c]), 0)
    y[n, c] = a[n, c]/sum[c](a[n, c])
"""
MARGIN = """
    l[n] = margin(x[n, c], t[n])
    t[n] in c
    l[n] = sum[c](where(c != t[n], maximum(1 + x[n, c] - x[n, t[n]], 0), 0))
"""
SEGMENTS = """
    y[i] = segments(x[j], w[i], own[i], of[j], window=2)
    own[i] in int
    of[j] in int
    y[i] = w[i]*sum[j](where(own[i] == of[j], x[j]**2, 0)) + sum[j](where(i - j < window, x[j], -x[j]))
"""
STARRED = """
    y[*s, n] = starred(x[*s, n], keep[*s, n], t[*s], m=-100)
    keep[*s, n] in bool
    t[*s] in n
    y[*s, n] = keep[*s, n]*x[*s, n] + where(t[*s] != m, x[*s, t[*s]], 0)
"""
LARGEST = """
    y[i] = largest(s[i, j])
    y[i] = max[j](where(j <= i, s[i, j], -1000))
"""
#: All ideas at once, so that a compiler runs once for them.
TOGETHER = """
    l[i] = together(s[i, j], v[j, c], keep[i, j], t[i], ignore=-100, window=2)
    keep[i, j] in bool
    t[i] in c
    a[i, j] = where(j <= i, exp(s[i, j]), 0)
    p[i, j] = a[i, j]/sum[j](a[i, j])
    o[i, c] = sum[j](where(keep[i, j], p[i, j], 0)*v[j, c])
    l[i]    = where(t[i] != ignore, o[i, t[i]]**2, sum[j](where(i - j < window, s[i, j], 0)))
"""


def causal(q: Any, k: Any, v: Any) -> Any:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)


def ignored(z: Any, t: Any, ignore: float) -> Any:
    return torch.nn.functional.cross_entropy(z, t, ignore_index=int(ignore))


def dropped(x: Any, keep: Any, rate: float) -> Any:
    return torch.where(keep, x / (1 - rate), 0)


def masked(x: Any, keep: Any) -> Any:
    return torch.softmax(torch.where(keep, x, -math.inf), dim=1)


def margin(x: Any, t: Any) -> Any:
    return torch.nn.functional.multi_margin_loss(x, t, reduction="none") * x.shape[1]


def segments(x: Any, w: Any, own: Any, of: Any, window: float) -> Any:
    near = torch.arange(len(w))[:, None] - torch.arange(len(x)) < window
    same = own[:, None] == of
    return w * (same * x**2).sum(1) + torch.where(near, x, -x).sum(1)


def together(s: Any, v: Any, keep: Any, t: Any, ignore: float, window: float) -> Any:
    i, j = torch.arange(len(s))[:, None], torch.arange(s.shape[1])
    p = torch.softmax(torch.where(j <= i, s, -math.inf), dim=1)
    o = torch.where(keep, p, 0) @ v
    near = torch.where(i - j < window, s, 0).sum(1)
    return torch.where(t != ignore, o.gather(1, t.clip(0)[:, None])[:, 0] ** 2, near)


def starred(x: Any, keep: Any, t: Any, m: float) -> Any:
    picked = torch.where(t != m, x.gather(-1, t.clip(0)[..., None])[..., 0], 0)
    return keep * x + picked[..., None]


def masked_largest(s: Any) -> Any:
    allowed = torch.ones(s.shape, dtype=torch.bool).tril()
    return torch.where(allowed, s, -1000).amax(dim=1)


LABELS = torch.tensor([2, -100, 0, 2, -100])
KEEP = torch.tensor([[1, 0, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 1, 0]], dtype=torch.bool)
Case = tuple[str, Callable[..., Any], list[torch.Tensor]]
CASES: dict[str, Case] = {
    "causal": (CAUSAL, causal, normal((5, 3), (6, 3), (6, 2))),
    "ignored": (IGNORED, ignored, [*normal((5, 4)), LABELS]),
    "dropped": (DROPPED, dropped, [*normal((5, 4)), KEEP]),
    "masked": (MASKED, masked, [*normal((5, 4)), KEEP]),
    "margin": (MARGIN, margin, [*normal((5, 4)), LABELS.clip(0)]),
    "starred": (STARRED, starred, [*normal((5, 4)), KEEP, LABELS]),
    "largest": (LARGEST, masked_largest, normal((4, 3))),
    "segments": (SEGMENTS, segments, [*normal((4,), (3,)), torch.tensor([0, 1, 1]), torch.tensor([1, 1, 0, 2])]),
}


def closed(op: str) -> list[str]:
    found = derive.derive(derive.parse(lines(op)))
    return [f"{d.name}[{','.join(d.index)}] = {text(d.tree)}" for d in found.lines]


# ---- derivations -----------------------------------------------------------------------------------------------------------


def test_causal_attention_keeps_its_row_sums_of_do_times_o() -> None:
    assert closed(CAUSAL) == [
        "dv[j,d] = sum[i](do[i,d]·p[i,j])",
        "dp[i,j] = sum[d](do[i,d]·v[j,d])",
        "ds[i,j] = where(j ≤ i, p[i,j]·(dp[i,j] - sum[d](do[i,d]·o[i,d])), 0)",
        "dq[i,f] = sum[j](ds[i,j]·k[j,f])",
        "dk[j,f] = sum[i](ds[i,j]·q[i,f])",
    ]


def test_an_ignored_label_sends_nothing() -> None:
    one, other = closed(IGNORED)
    assert one.endswith("= where(t[n] ≠ ignore, -dloss/count, 0)")
    assert other == f"dz[n,c] = {one.partition(' = ')[0].replace(',', '')}·([c = t[n]] - p[n,c])"


def test_a_given_mask_is_the_gradients_too() -> None:
    (line,) = closed(DROPPED)
    assert line.startswith("dx[n,d] = where(keep[n,d] ≠ 0, dy[n,d]/")


CERTIFIED = (CAUSAL, IGNORED, MASKED, MARGIN, SEGMENTS, LARGEST)


@pytest.mark.parametrize("op", CERTIFIED, ids=lambda op: op.split("(")[0].split()[-1])
def test_derivations_certify(op: str) -> None:
    found = certify(derive.derive(derive.parse(lines(op))))
    assert [str(c) for c in found.checks if not c.passed] == []
    assert all(not e.skipped for e in found.exact)


def test_conditions_are_printed_as_they_are_read() -> None:
    op = derive.parse(lines(TOGETHER))
    shown = "\n".join(f"{language(derive.syntax.Read(e.name, e.index))} = {language(e.rhs)}" for e in op.equations)
    again = derive.parse("\n".join(lines(TOGETHER).splitlines()[:3]) + f"\n{shown}\n")
    assert [e.rhs for e in again.equations] == [e.rhs for e in op.equations]


# ---- kernels ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@each_array_backend
def test_array_kernels_equal_autograd(case: str, backend: str) -> None:
    op, reference, inputs = CASES[case]
    judge(op, backend, reference, inputs)


@each_backend
def test_kernels_equal_autograd(backend: str) -> None:
    inputs = [*normal((5, 4), (4, 3)), KEEP, LABELS]
    judge(TOGETHER, backend, together, inputs)


@pytest.mark.parametrize("labels", [[7, -100], [-1, 0]])
def test_labels_are_checked_where_they_are_looked_up(labels: list[int]) -> None:
    x, t = normal((2, 4))[0].numpy(), torch.tensor(labels).numpy()
    with pytest.raises(IndexError, match="t holds labels"):
        module(IGNORED, "numpy").ignored_forward(x, t)


def test_a_mask_must_be_boolean() -> None:
    x = normal((2, 4))[0].numpy()
    with pytest.raises(TypeError, match="expected booleans"):
        module(DROPPED, "numpy").dropped_forward(x, torch.ones(2, 4, dtype=torch.int64).numpy())


def test_torch_maps_and_compiles_under_a_mask() -> None:
    made = module(MASKED, "torch").masked
    x, keep = torch.stack(normal((5, 4), (5, 4))), torch.stack([KEEP, KEEP.flip(0)])
    mapped = torch.vmap(made)(x, keep)
    torch.testing.assert_close(mapped, torch.stack([masked(a, m) for a, m in zip(x, keep, strict=True)]))
    assert kernel(MASKED).forward.arguments[1].labels == "bool"


# ---- rows -------------------------------------------------------------------------------------------------------------------


def position(name: str) -> Form:
    return combined([(Part(name), 1)])


def test_rows_are_idempotent_and_complementary() -> None:
    late = row("<=", position("j").plus(position("i").scaled(-1)))
    one = atom_sum(late)
    assert one * one == one
    assert one * atom_sum(negated(late)) == number(0)
    assert row(">=", position("i").plus(position("j").scaled(-1))) == late
    assert negated(negated(late)) == late


def test_a_row_goes_where_another_implies_it() -> None:
    gap = position("j").plus(position("i").scaled(-1))
    before, until = atom_sum(row("<", gap)), atom_sum(row("<=", gap))
    assert before * until == before
    assert before * atom_sum(row(">", gap)) == number(0)
    assert before * atom_sum(row("!=", gap)) == before
    assert until * atom_sum(Delta("i", "j")) == atom_sum(Delta("i", "j"))
    assert rename_free(until * atom_sum(Read("x", ("i", "j"))), {"j": "i"}) == atom_sum(Read("x", ("i", "i")))


@pytest.mark.parametrize(
    ("rhs", "message"),
    [
        ("where(j <= x[j], 1, 0)*x[j]", "sums of axes, integer tensors, integer constants and whole numbers, and 'x[j]'"),
        ("where(j < w, x[j], 0)", "'w' stands among positions and must be a whole number, not 0.5"),
        ("where(m[j] > 0.5, x[j], 0)", "'0.5' is none of them"),
    ],
)
def test_what_is_no_whole_number_is_refused(rhs: str, message: str) -> None:
    with pytest.raises(OpError) as refused:
        derive.parse(f"y[j] = op(x[j], m[j], w=0.5)\nm[j] in int\ny[j] = {rhs}\n")
    assert message in str(refused.value)
