"""Declared lengths, ``size(i) = (size(l) + 2*pad - size(k))//stride + 1``: convolutions and pools against torch's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import derive
from codegen.backends.discovery import by_name
from codegen.plan import plan
from codegen.verify.agreement import load_kernel, run_kernel
from derive.certify import certify
from derive.errors import OpError
from derive.language.parse import parse
from derive.points import draw_point, sizes_of
from derive.renaming import renamed
from tests.backends import each_backend
from tests.judged import judge, kernel, lines, module, normal

CONV = """
    y[n, o, i] = conv(x[n, c, l], W[o, c, k], stride=2, pad=1, dilation=1)
    size(i) = (size(l) + 2*pad - dilation*(size(k) - 1) - 1)//stride + 1
    y[n, o, i] = sum[c, k](x[n, c, i*stride + k*dilation - pad]*W[o, c, k])
"""
CONV2 = """
    y[n, o, i, j] = conv2(x[n, c, h, w], W[o, c, a, b], stride=2, pad=1)
    size(i) = (size(h) + 2*pad - size(a))//stride + 1
    size(j) = (size(w) + 2*pad - size(b))//stride + 1
    y[n, o, i, j] = sum[c, a, b](x[n, c, i*stride + a - pad, j*stride + b - pad]*W[o, c, a, b])
"""
LARGEST = """
    y[n, i] = largest(x[n, l], window=3, stride=2, pad=1)
    size(k) = window
    size(i) = (size(l) + 2*pad - size(k))//stride + 1
    y[n, i] = max[k](x[n, i*stride + k - pad])
"""
AVERAGE = """
    y[n, i] = average(x[n, l], window=3, stride=2, pad=1)
    size(k) = window
    size(i) = (size(l) + 2*pad - size(k))//stride + 1
    y[n, i] = mean[k](x[n, i*stride + k - pad])
"""
COUNTED = """
    y[n, i] = counted(x[n, l], window=3, stride=2, pad=1)
    size(k) = window
    size(i) = (size(l) + 2*pad - size(k))//stride + 1
    y[n, i] = sum[k](x[n, i*stride + k - pad])/size(k)
"""
UNFOLDED = """
    u[n, i, k] = unfolded(x[n, l], window=3, stride=2)
    size(k) = window
    size(i) = (size(l) - size(k))//stride + 1
    u[n, i, k] = x[n, i*stride + k]
"""
PADDED = """
    y[n, i] = padded(x[n, l], before=2, after=1)
    size(i) = size(l) + before + after
    y[n, i] = x[n, i - before]
"""


def conv(x: Any, W: Any, stride: int, pad: int, dilation: int) -> Any:
    return functional.conv1d(x, W, stride=stride, padding=pad, dilation=dilation)


def conv2(x: Any, W: Any, stride: int, pad: int) -> Any:
    return functional.conv2d(x, W, stride=stride, padding=pad)


def largest(x: Any, window: int, stride: int, pad: int) -> Any:
    return functional.max_pool1d(x, window, stride, pad)


def average(x: Any, window: int, stride: int, pad: int) -> Any:
    return functional.avg_pool1d(x, window, stride, pad, count_include_pad=False)


def counted(x: Any, window: int, stride: int, pad: int) -> Any:
    return functional.avg_pool1d(x, window, stride, pad)


def unfolded(x: Any, window: int, stride: int) -> Any:
    return x.unfold(1, window, stride)


def padded(x: Any, before: int, after: int) -> Any:
    return functional.pad(x, (before, after))


Case = tuple[str, Callable[..., Any], list[torch.Tensor]]
CASES: dict[str, Case] = {
    "conv": (CONV, conv, normal((2, 3, 8), (4, 3, 3))),
    "conv2": (CONV2, conv2, normal((2, 2, 5, 6), (3, 2, 3, 2))),
    "largest": (LARGEST, largest, normal((3, 8))),
    "average": (AVERAGE, average, normal((3, 8))),
    "counted": (COUNTED, counted, normal((3, 8))),
    "unfolded": (UNFOLDED, unfolded, normal((3, 8))),
    "padded": (PADDED, padded, normal((3, 4))),
}


@pytest.mark.parametrize("case", ["conv", "largest", "average", "padded"])
def test_derivations_certify(case: str) -> None:
    found = certify(derive.derive(derive.parse(lines(CASES[case][0]))))
    assert [str(c) for c in found.checks if not c.passed] == []


@pytest.mark.parametrize("case", CASES)
@each_backend
def test_kernels_equal_torch(case: str, backend: str) -> None:
    op, reference, inputs = CASES[case]
    judge(op, backend, reference, inputs)


@pytest.mark.parametrize(("stride", "pad", "dilation"), [(1, 0, 1), (3, 0, 1), (2, 4, 1), (1, 2, 3), (5, 1, 2)])
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_strides_need_not_divide(backend: str, stride: int, pad: int, dilation: int) -> None:
    judge(CONV, backend, conv, normal((2, 3, 8), (4, 3, 3)), stride=stride, pad=pad, dilation=dilation)


# ---- lengths at a call ------------------------------------------------------------------------------------------------------


def called(op: str, backend: str, *arrays: Any, **constants: Any) -> Any:
    found, made = by_name(backend), kernel(op)
    forward = getattr(module(op, backend), made.forward.name)
    given = [constants.get(c.name, int(c.default or 1)) for c in made.forward.constants]
    with found.running():
        return found.back(found.called(forward)(*(found.to(a) for a in arrays), *given)[0])


@each_backend
def test_an_output_may_be_empty(backend: str) -> None:
    assert np.shape(called(CONV, backend, np.ones((2, 3, 3)), np.ones((4, 3, 4)), stride=1, pad=0)) == (2, 4, 0)


@each_backend
def test_a_negative_length_is_told_with_the_numbers(backend: str) -> None:
    with pytest.raises(ValueError, match=r"size\(i\) = .*//stride \+ 1 is -1, and no length is negative; .*l = 2.*k = 4"):
        called(CONV, backend, np.ones((2, 3, 2)), np.ones((4, 3, 4)), stride=1, pad=0)


@each_backend
def test_a_declared_length_that_an_input_has_must_agree(backend: str) -> None:
    op = "y[i] = biased(x[l], b[i], s=2)\nsize(i) = size(l)//s\ny[i] = x[s*i] + b[i]"
    assert np.shape(called(op, backend, np.ones(5), np.ones(2))) == (2,)
    with pytest.raises(ValueError, match=r"axis i has length 3, where size\(i\) = size\(l\)//s is 2"):
        called(op, backend, np.ones(5), np.ones(3))


@pytest.mark.parametrize("fast", [True, False], ids=["in C", "in Python"])
def test_lengths_are_worked_out_anew_where_a_call_differs(fast: bool) -> None:
    """One kernel, called with changing lengths and constants, right and wrong ones, through each of its two ways."""
    op = "y[i] = biased(x[l], b[i], s=2)\nsize(i) = size(l)//s\ny[i] = x[s*i] + b[i]"
    forward = module(op, "native").biased_forward
    forward(np.ones(2), np.ones(1))
    way = forward if fast else forward._general
    for l, s in [(5, 2), (6, 2), (6, 3), (6, 3), (5, 2), (0, 2)]:
        x, b = np.arange(float(l)), np.ones(l // s)
        assert np.array_equal(way(x, b, s=s)[0], x[: l // s * s : s] + b)
        with pytest.raises(ValueError, match=rf"axis i has length {l // s + 1}, where size\(i\) = size\(l\)//s is {l // s}"):
            way(x, np.ones(l // s + 1), s=s)
    if fast:
        assert called_in_python(lambda: forward(x, b, s=2)) == set()
        assert called_in_python(lambda: forward(np.ones(9), np.ones(4))) == {"_worked_out", "_known", "_declare", "_declared"}


def called_in_python(call: Callable[[], Any]) -> set[str]:
    """The names of the runtime's functions in Python that a call runs."""
    found = set[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.endswith("_kernel.py"):
            found.add(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found - {"<genexpr>", "<dictcomp>", "<lambda>", "__call__"}


def test_points_have_the_declared_lengths() -> None:
    op = derive.parse(lines(LARGEST))
    for seed in range(5):
        sizes = sizes_of(op, seed)
        window, stride, pad = (int(draw_point(op, seed, sizes, 0, 1).tables[c][0]) for c in ("window", "stride", "pad"))
        assert sizes["k"] == window and sizes["i"] == (sizes["l"] + 2 * pad - window) // stride + 1 >= 1


FAR = """
    y[i] = far(x[l], w[k])
    size(i) = size(l) - 50*(size(k) - 1)
    y[i] = sum[k](x[i + 50*k]*w[k])
"""
DILATED = """
    y[i] = far(x[l], w[k], dilation=50)
    size(i) = size(l) - dilation*(size(k) - 1)
    y[i] = sum[k](x[i + dilation*k]*w[k])
"""
CROSSED = """
    y[i, j] = crossed(x[a, b], w[c, d])
    size(i) = size(a) - 2*size(c) + 1
    size(j) = size(d) - 2*size(b) + 1
    y[i, j] = sum[c](x[i + 2*c, 0]*w[c, 0]) + sum[b](x[0, b]*w[0, j + 2*b])
"""
MEAN = """
    y[i] = ave(x[l], back=1)
    size(k) = 2
    size(i) = size(l) + 2*back - 1
    y[i] = mean[k](x[i + k - back])
"""
EQUAL = """
    y[i] = equal(x[l], z[m])
    size(i) = size(l)//2
    y[i] = sum[l, m](x[l]*z[l]*z[m]) + x[2*i]
"""


@pytest.mark.parametrize("op", [FAR, DILATED, CROSSED, EQUAL, MEAN], ids=["far", "dilated", "crossed", "equal", "mean"])
def test_points_are_found_at_which_declared_lengths_come_out(op: str) -> None:
    certificate = certify(derive.derive(derive.parse(lines(op))))
    assert certificate.passed, certificate.summary()


def test_lengths_that_never_come_out_are_named() -> None:
    op = derive.parse("y[i] = none(x[l], w[k])\nsize(i) = size(k) - size(k)\ny[i] = sum[k](x[i + k]*w[k])")
    with pytest.raises(
        OpError, match=r"^none: the declared length of 'i' came out below 1, whatever the lengths that it needs$"
    ):
        sizes_of(op, 0)


def test_a_spelling_renames_declared_lengths() -> None:
    op = renamed(derive.parse(lines(CONV)), {"l": "m", "pad": "margin"})
    assert {"margin", "stride", "dilation"} == op.declared.constants()


# ---- calls ------------------------------------------------------------------------------------------------------------------


def twice(x: Any) -> Any:
    return functional.max_pool1d(functional.max_pool1d(x, 3, 2, 1), 2, 1)


def test_a_call_brings_the_declared_lengths() -> None:
    pool = derive.parse(lines(LARGEST))
    text = "z[n, b] = twice(x[n, m])\nh[n, a] = largest(x[n, m])\nz[n, b] = largest(h[n, a], window=2, stride=1, pad=0)"
    op = parse(text, catalogue=lambda name: pool if name == "largest" else None)
    assert dict(op.packing.lengths) == {"k": 3, "largest_k": 2}
    assert [axis for axis, _ in op.declared.lengths] == ["a", "b"]
    (x,) = normal((2, 9))
    made = plan(derive.derive(op))
    found, (gradient,) = run_kernel(made, load_kernel(made, "numpy"), "numpy", {"x": x}, normal((2, 4), seed=1), {})
    leaf = x.clone().requires_grad_()
    wanted = twice(leaf)
    torch.testing.assert_close(found[0], wanted.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted, leaf, normal((2, 4), seed=1))[0])


# ---- messages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "the axis 'i' of 'y' has no length: no input has it; declare it, such as size(i) = (size(l) + 2*1 - 1)//2 + 1"),
        ("size(i) = size(i) + 1", "the length of 'i' is declared by itself"),
        ("size(i) = size(j)\nsize(j) = size(i)", "the length of 'j' is not known here"),
        ("size(i) = size(l)\nsize(i) = size(l)", "the length of 'i' is declared twice"),
        ("size(i) = 3\nsize(i) = 3", "the length of 'i' is declared twice"),
        ("size(i) = size(l)/2", "a length is a whole number: write size(l)//2, which is rounded down"),
        ("size(i) = size(l)//size(l)", "a length is divided by a positive whole number or a constant that is one"),
        ("size(i) = size(l)//0", "a length is divided by a positive whole number"),
        ("size(i) = x[0]", "a length is made of sizes of axes, integer constants, whole numbers, and quotients a//b"),
        ("size(i) = size(l)*half", "'half' stands among positions and must be a whole number, not 0.5"),
        ("size() = 3", "a length is declared for one axis: size(i) = ..."),
        ("size(i, l) = 3", "a length is declared for one axis: size(i) = ..."),
    ],
)
def test_what_is_no_length_is_refused(line: str, message: str) -> None:
    with pytest.raises(OpError) as refused:
        derive.parse(f"y[i] = op(x[l], half=0.5)\n{line}\ny[i] = x[2*i - 1]\n")
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("position", "length"),
    [
        ("i + k", "size(l) - size(k) + 1"),
        ("s*i + k", "(size(l) - size(k))//s + 1"),
        ("2*i + s*k - 3", "(size(l) - s*(size(k) - 1) + 2*3 - 1)//2 + 1"),
    ],
)
def test_a_length_is_suggested_at_which_the_op_works(position: str, length: str) -> None:
    text = f"y[i] = f(x[l], w[k], s=2)\n{{}}y[i] = sum[k](x[{position}]*w[k])"
    with pytest.raises(OpError) as caught:
        derive.parse(text.format(""))
    assert str(caught.value).endswith(f"declare it, such as size(i) = {length}")
    assert derive.parse(text.format(f"size(i) = {length}\n")).declared
