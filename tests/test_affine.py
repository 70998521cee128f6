"""Affine reads, ``x[n, i + k - pad]``: what is absent, derivations as on paper, and every backend against torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from torch.nn import functional

import derive
from derive.certify import certify
from derive.errors import OpError
from derive.language.unicode import text
from derive.syntax import axis_of
from tests.backends import each_backend
from tests.judged import judge, kernel, lines, normal
from tests.systems.affine import affine
from tests.systems.check import check
from tests.systems.generate import generate

SHIFT = """
    y[i] = shift(x[i], s=1)
    y[i] = x[i - s] + x[i]
"""
CONV = """
    y[n, o, i] = conv(x[n, c, i], W[o, c, k], pad=1)
    y[n, o, i] = sum[c, k](x[n, c, i + k - pad]*W[o, c, k])
"""
LARGEST = """
    y[n, i] = largest(x[n, i], w[k])
    y[n, i] = max[k](x[n, i + k - 1])*sum[k](w[k])
"""
RAISED = """
    y[n, i] = raised(x[n, i], w[k])
    y[n, i] = max[k](x[n, i + 2*k - 2] + w[k])
"""
AVERAGE = """
    y[n, i] = average(x[n, i], w[k])
    y[n, i] = mean[k](x[n, i + k - 1]*w[k])
"""
SPREAD = """
    y[n, i] = spread(x[n, i], w[k])
    y[n, i] = var[k](x[n, i + k - 1]*w[k], correction=1/2)
"""
PADDED = """
    y[n, i] = padded(x[n, i], w[k])
    y[n, i] = sum[k](x[n, i + k - 1])/size(k) + w[0]
"""
HALVES = """
    y[n, (p, m)] = halves(x[n, (p = 2, m)], c[n, m], s[n, m])
    y[n, p, m] = where(p == 0, x[n, 0, m]*c[n, m] - x[n, 1, m]*s[n, m], x[n, 1, m]*c[n, m] + x[n, 0, m]*s[n, m])
"""
PAIRS = """
    y[n, (m, p)] = pairs(x[n, (m, p = 2)], c[n, m], s[n, m])
    y[n, m, p] = x[n, m, p]*c[n, m] + where(p == 0, -1, 1)*x[n, m, 1 - p]*s[n, m]
"""
NEXT = """
    l[n] = following(x[n, c], t[n])
    t[n] in c
    l[n] = x[n, t[n] + 1]**2
"""
PICKED = """
    p[j] = picked(g[j])
    a[j] = g[j] - log(sum[j](exp(g[j])))
    p[j] = a[2*j - 1]
"""
STEPS = """
    l = steps(x[n, i], w[n])
    l = sum[n](w[n]*max[i]((x[n, i] - x[n, i - 1])**2))
"""
REPEATED = """
    y[n, (i, r = 2)] = repeated(x[n, i])
    y[n, i, r] = x[n, i]
"""


def shift(x: Any, s: float) -> Any:
    return x + functional.pad(x, (int(s), 0))[: len(x)]


def conv(x: Any, W: Any, pad: float) -> Any:
    return functional.conv1d(x, W, padding=int(pad))


def windows(x: Any, k: int, dilation: int, pad: int) -> Any:
    """The windows of each row; NaN stands where nothing is."""
    wide = functional.pad(x, (pad, (k - 1) * dilation - pad), value=math.nan)
    return torch.stack([wide[:, d * dilation :][:, : x.shape[1]] for d in range(k)], dim=2)


def largest(x: Any, w: Any) -> Any:
    return windows(x, len(w), 1, 1).nan_to_num(nan=-math.inf).amax(2) * w.sum()


def raised(x: Any, w: Any) -> Any:
    return (windows(x, len(w), 2, 2).nan_to_num(nan=-math.inf) + w).amax(2)


def average(x: Any, w: Any) -> Any:
    found = windows(x, len(w), 1, 1)
    return (found.nan_to_num() * w).sum(2) / (~found.isnan()).sum(2)


def spread(x: Any, w: Any) -> Any:
    found = windows(x, len(w), 1, 1)
    there = ~found.isnan()
    count, values = there.sum(2, keepdim=True), found.nan_to_num() * w
    squares = torch.where(there, values - values.sum(2, keepdim=True) / count, 0) ** 2
    return squares.sum(2) / (count[..., 0] - 0.5)


def padded(x: Any, w: Any) -> Any:
    return functional.avg_pool1d(x, len(w), 1, 1) + w[0]


def halves(x: Any, c: Any, s: Any) -> Any:
    a, b = x.unbind(1)
    return torch.stack([a * c - b * s, b * c + a * s], dim=1)


def pairs(x: Any, c: Any, s: Any) -> Any:
    return torch.view_as_real(torch.view_as_complex(x) * torch.complex(c, s))


def following(x: Any, t: Any) -> Any:
    return functional.pad(x, (0, 1)).gather(1, t[:, None] + 1)[:, 0] ** 2


def picked(g: Any) -> Any:
    found = functional.pad(torch.log_softmax(g, 0), (1, len(g)))
    return found[::2][: len(g)]


def steps(x: Any, w: Any) -> Any:
    return (w * (x.diff(dim=1) ** 2).amax(1)).sum()


def repeated(x: Any) -> Any:
    return functional.interpolate(x[:, None], scale_factor=2)[:, 0].unflatten(1, (-1, 2))


def random_systems(count: int) -> list[str]:
    """Short random systems with sums of positions in some slots; packed axes are left to other tests."""
    found, seed = list[str](), 0
    while len(found) < count:
        text = generate(Random(f"affine:{seed}"))
        if "(" not in text.partition("=")[0] and "[(" not in text and len(text) < 200:
            changed = affine(Random(f"affine:{seed}"), text)
            found += [changed] if changed != text else []
        seed += 1
    return found


Case = tuple[str, Callable[..., Any], list[torch.Tensor]]
CASES: dict[str, Case] = {
    "shift": (SHIFT, shift, normal((5,))),
    "conv": (CONV, conv, normal((2, 3, 7), (4, 3, 3))),
    "largest": (LARGEST, largest, normal((2, 7), (3,))),
    "raised": (RAISED, raised, normal((2, 7), (3,))),
    "average": (AVERAGE, average, normal((2, 7), (4,))),
    "spread": (SPREAD, spread, normal((2, 7), (4,))),
    "padded": (PADDED, padded, normal((2, 7), (3,))),
    "halves": (HALVES, halves, normal((3, 2, 5), (3, 5), (3, 5))),
    "pairs": (PAIRS, pairs, normal((3, 5, 2), (3, 5), (3, 5))),
    "following": (NEXT, following, [*normal((5, 4)), torch.tensor([2, 3, 0, 1, 3])]),
    "picked": (PICKED, picked, normal((5,))),
    "steps": (STEPS, steps, normal((3, 6), (3,))),
    "repeated": (REPEATED, repeated, normal((2, 3))),
}


def read(rhs: str, signature: str = "y[i] = op(x[i], w[k], b[i, j])") -> str:
    """What an equation is read as."""
    return text(derive.parse(f"{signature}\ny[i] = {rhs}\n").equations[-1].rhs)


def closed(op: str) -> list[str]:
    return [f"{d.name}[{','.join(d.index)}] = {text(d.tree)}" for d in derive.derive(derive.parse(lines(op))).lines]


# ---- what a read means ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rhs", "meaning"),
    [
        ("x[i - 1]", "sum[i'](where(i' = i - 1, x[i'], 0))"),
        ("x[0]*x[i]", "sum[i'](where(i' = 0, x[i'], 0))·x[i]"),
        ("sum[k](x[i + k]*w[k])", "sum[k,i'](where(i' = i + k, x[i']·w[k], 0))"),
        # Reads at one position are one; at another position, both must be there.
        ("sum[k](x[i + k]*x[i + k]*w[k])", "sum[k,i'](where(i' = i + k, x[i']·x[i']·w[k], 0))"),
        ("sum[k](x[i + k]*x[i - k])", "sum[k,i',i''](where(i' = i + k, where(i'' = i - k, x[i']·x[i''], 0), 0))"),
        # A read belongs to the nearest reduction.
        ("sum[j](b[i, j]*sum[k](x[i - k]*w[k]))", "sum[j](b[i,j]·sum[k,i'](where(i' = i - k, x[i']·w[k], 0)))"),
        ("mean[k](x[i + k]*w[k])", "sum[k,i'](where(i' = i + k, x[i']·w[k], 0))/sum[k,i'](where(i' = i + k, 1, 0))"),
        ("max[k](x[i - k])*w[0]", None),
        ("var[k](x[i + k]*w[k])", None),
    ],
)
def test_an_affine_read_is_a_plain_read_under_a_row(rhs: str, meaning: str | None) -> None:
    found = read(rhs)
    assert "there" not in found
    assert meaning is None or found == meaning


def test_an_argument_of_an_op_has_its_axes_in_the_order_of_its_slots() -> None:
    op = derive.parse("y[n, c] = op(x[n, c])\ny[n, c] = softmax(x[n, c - 1])\n")
    assert [(e.index, text(e.rhs)) for e in op.equations][0] == (("n", "c"), "sum[c'](where(c' = c - 1, x[n,c'], 0))")


def test_the_maximum_of_a_window_runs_over_its_elements() -> None:
    assert read("max[k](x[i + k - 1])") == ("max[i'](where(i' - i + 1 ≥ 0, where(i' - i + 1 < size(k), x[i'], -inf), -inf))")
    assert read("min[k](x[i - k])") == "min[i'](where(-i' + i ≥ 0, where(-i' + i < size(k), x[i'], inf), inf))"


def test_a_shift_is_sent_back() -> None:
    assert closed(SHIFT) == ["dx[i] = dy[i] + sum[i'](where(i' - i = s, dy[i'], 0))"]


def test_the_maximum_of_a_window_scatters_to_its_maximizers() -> None:
    dx, _ = closed("y[i] = largest(x[i], w[k])\ny[i] = max[k](x[i + k])")
    share = "where(x[i] = y[i'], dy[i'], 0)/total[i']"
    assert dx == f"dx[i] = sum[i'](where(i - i' < size(k), where(i' ≤ i, {share}, 0), 0))"


@pytest.mark.parametrize("case", CASES)
def test_derivations_certify(case: str) -> None:
    found = certify(derive.derive(derive.parse(lines(CASES[case][0]))))
    assert [str(c) for c in found.checks if not c.passed] == []


# ---- kernels ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
@each_backend
def test_kernels_equal_torch(case: str, backend: str) -> None:
    op, reference, inputs = CASES[case]
    judge(op, backend, reference, inputs)


@pytest.mark.parametrize("pad", [0, 1, 4, 9])
def test_what_is_outside_is_absent(pad: int) -> None:
    x, W = normal((2, 3, 7), (4, 3, 3))

    def reference(x: Any, W: Any, pad: float) -> Any:
        return functional.conv1d(functional.pad(x, (int(pad), 9)), W)[..., :7]

    judge(CONV, "numpy", reference, [x, W], pad=pad)


# ---- random systems ---------------------------------------------------------------------------------------------------------


#: Found by random systems: an index on the left that the right side does not mention, and a tensor with two axes of one
#: length that the backward reads, whose matrix form would have hidden the sums of positions.
FOUND = [
    "o[s, l] = f(q[s, l])\n\nh[s, l] = sum[l](q[s, 2*l - 1])\no[s, l] = h[s, l]*q[s, l + 1]",
    "y[c] = f(x[c], z[d])\n\ng[c, d] = exp(x[c]*z[d])\ny[c] = sum[d](g[c, d]*g[c + 1, d])",
    "y[c, d] = f(x[c], z[c])\n\ng[c, d] = exp(x[c]*z[d + 1])\ny[c, d] = g[c, d]*g[d, c + 1]*g[c, d]",
]


@pytest.mark.parametrize("text", [*FOUND, *random_systems(8)])
def test_random_systems_with_affine_reads_are_right(text: str) -> None:
    verdict = check(text, 0, ("numpy",))
    assert not verdict.failed, f"{verdict}\n{text}"


# ---- messages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rhs", "message"),
    [
        ("x[i*i]", "'i * i' is no sum of positions, as it multiplies i and i"),
        ("x[i/2]", "'i / 2' is no position, as it may be no whole number; to repeat elements, pack the result"),
        ("x[i//2]", "'i // 2' is no position"),
        ("x[0.5]", "and '0.5' is none of them"),
        ("x[i + 0.5]", "and '0.5' is none of them"),
        ("x[i + half]", "'half' stands among positions and must be a whole number, not 0.5"),
        ("x[v[i]]", "'v' indexes 'x' but is not declared"),
        ("x[v[i] + 1]", "and 'v[i]' is none of them"),
        ("x[-1]", "the first position is 0, and -1 is before it; the last is size(n) - 1"),
        ("x[j + 1]", "and 'j' is none of them"),
        ("x[2*s]", "and 's' is none of them"),
        ("where(t[i - 1] == t[i], x[i], 0)", "a condition compares integer tensors at plain indices"),
    ],
)
def test_what_is_no_position_is_refused(rhs: str, message: str) -> None:
    with pytest.raises(OpError) as refused:
        derive.parse(f"y[i] = op(x[i], v[i], t[i], half=0.5)\nt[i] in int\ny[i] = {rhs}\n")
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_what_is_saved_may_have_two_axes_of_one_length_beside_packed_ones() -> None:
    written = """
        u[c] = f(l[c, r, h])
        v[(c, r)] = tanh(sum[h](l[c, r, h - c]))*min[h](l[c - h, r - h, h])
        u[c] = sinh(var[h, r](v[c - r, r] + l[c, r, h]))
    """
    assert any(len(set(map(axis_of, t.axes))) < len(t.axes) for t in kernel(written).saved)


@each_backend
def test_an_axis_of_the_left_side_is_not_the_index_of_a_window(backend: str) -> None:
    """The window of the maximum runs over the axis ``k``, which the left side has too."""
    written = """
        y[h, k, i] = spread(x[k, h], w[j])
        size(i) = (size(k) + 2 - 2*(size(j) - 1) - 1)//2 + 1
        y[h, k, i] = max[j](x[2*j + 2*i - 1, h])*w[0]
    """

    def spread(x: Any, w: Any) -> Any:
        count = (len(x) + 2 - 2 * (len(w) - 1) - 1) // 2 + 1
        places = [[2 * j + 2 * i - 1 for j in range(len(w))] for i in range(count)]
        found = [torch.stack([x[p] for p in of if 0 <= p < len(x)]).amax(0) for of in places]
        return (torch.stack(found, 1)[:, None] * w[0]).expand(-1, len(x), -1)

    judge(written, backend, spread, normal((5, 3), (2,)))
