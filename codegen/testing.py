"""For your own test suite: assert that a backward is right; otherwise the test fails with the audit's report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from codegen.tools.auditor import Report, audit
from derive.syntax import Op

__all__ = ["assert_backward"]


def assert_backward(function: Callable[..., Any], op: Op | str, **options: Any) -> Report:
    """Audit a backward or a differentiable callable; AssertionError with the report unless every gradient is correct.

    The arguments are those of :func:`codegen.audit`.

        def test_my_backward():
            assert_backward(my_layernorm_backward, "layernorm")
    """
    __tracebackhide__ = True  # pytest shows the test, not this line
    report = audit(function, op, **options)
    assert report.correct, str(report)
    return report
