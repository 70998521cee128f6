"""How deep trees may be nested. In Horner's form a polynomial is nested as deep as its degree, deeper than Python allows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from derive.errors import OpError

__all__ = ["deeply"]

P = ParamSpec("P")
T = TypeVar("T")
#: The recursion limit. A level of a tree takes about three nested calls. The stack of a thread has room for more.
DEEPEST = 6000


def deeply(function: Callable[P, T]) -> Callable[P, T]:
    """The function, run under the recursion limit ``DEEPEST`` (OpError where its recursion is deeper)."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, DEEPEST))
        try:
            return function(*args, **kwargs)
        except RecursionError:
            raise OpError("the sums of this op are nested too deep; give parts of them names of their own") from None
        finally:
            sys.setrecursionlimit(before)

    return called
