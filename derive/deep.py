"""How deep trees may be: a polynomial in Horner's form is nested as deep as its degree, far deeper than anybody writes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from derive.errors import OpError

__all__ = ["deeply"]

P = ParamSpec("P")
T = TypeVar("T")
#: Calls within calls, of which a level of a tree takes some three. The stack of a thread has room for more.
DEEPEST = 6000


def deeply(function: Callable[P, T]) -> Callable[P, T]:
    """The function with trees walked as deep as that; OpError where they are deeper."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, DEEPEST))
        try:
            return function(*args, **kwargs)
        except RecursionError:
            raise OpError("the sums that are made of it are nested too deep; give parts of them names of their own") from None
        finally:
            sys.setrecursionlimit(before)

    return called
