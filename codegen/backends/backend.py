"""What a backend has to say of itself: all that the rest of the toolkit knows of it.

A backend is a folder with a ``backend.py`` whose ``BACKEND`` is one object of a class made from :class:`Backend`
(:mod:`codegen.backends.discovery` finds it). Nothing outside that folder names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from codegen.program import Kernel

__all__ = ["Backend", "Files", "Shown"]

#: The texts of files by their paths below ``generated/``, not yet formatted.
Files = dict[str, str]


@dataclass(frozen=True)
class Shown:
    """The file of an op that is looked at first: its path, its language, and what stands in its first line that matters."""

    path: str
    language: str
    first: str


class Backend(ABC):
    """What kernels are written in."""

    #: The folder below ``generated/``, which is also the word on the command line.
    name: str
    #: What it is called in tables and on pages.
    title: str
    #: Where it stands in lists; those without what a compiler makes come first.
    position: int = 100
    #: Whether its kernels are compiled, which is done for many at once when all files are there.
    compiled: bool = False
    #: What the functions of its files refer to, so that no parameter may be called so.
    reserved: frozenset[str] = frozenset()
    #: Modules, headers and functions that a file or a function of an op of that name, beside them, would hide.
    modules: frozenset[str] = frozenset()
    #: Whether :meth:`schedule` has something to say.
    scheduled: bool = False
    #: The backends without whose files those of this one do not run.
    needs: tuple[str, ...] = ()

    # ---- files -----------------------------------------------------------------------------------------------------

    def refuses(self, kernel: Kernel) -> str:
        """Why there is no such kernel in this backend, in words; "" where there is one."""
        return ""

    @abstractmethod
    def files(self, kernel: Kernel, command: str, beside: Collection[str] = ()) -> Files:
        """The files of one op; ``beside`` are the backends that are written with it, ``command`` regenerates them.

        Raises OpError where an expression has no spelling.
        """

    @abstractmethod
    def exports(self, op: str) -> tuple[str, ...]:
        """What the package offers of an op."""

    def runtime(self) -> Files:
        """The files that the kernels of all ops share."""
        return {}

    @abstractmethod
    def package(self, ops: Iterable[str], command: str, beside: Collection[str] = ()) -> Files:
        """The ``__init__.py`` of the folder, and of those in it."""

    @abstractmethod
    def shown(self, op: str) -> Shown:
        """What is looked at first."""

    def schedule(self, kernel: Kernel) -> str:
        """The loops of the kernel's functions and the bytes that they move, for people; "" where a library has the loops."""
        return ""

    # ---- running ---------------------------------------------------------------------------------------------------

    def missing(self) -> str:
        """What is not there and would be needed to run the kernels, in words; "" where nothing is missing."""
        return ""

    @abstractmethod
    def load(self, name: str, files: Mapping[str, str]) -> ModuleType:
        """The module of one op made from its files and those that it needs; nothing stays on the disk."""

    def load_all(self, names: Iterable[str], files: Mapping[str, str]) -> dict[str, ModuleType]:
        """The modules of many ops from their formatted files."""
        return {name: self.load(name, files) for name in names}

    def running(self) -> AbstractContextManager[Any]:
        """What has to hold while arguments are made and kernels run."""
        return nullcontext()

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the kernels as it is called where many points are tried."""
        return function

    @abstractmethod
    def to(self, array: Any) -> Any:
        """An array of NumPy's, or a tensor of the reference's, as an argument of the kernels."""

    @abstractmethod
    def back(self, result: Any) -> Any:
        """A result of the kernels as an array of NumPy's."""

    def gradients(self, kernel: Kernel, module: ModuleType, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The gradients, by name, that the framework's own differentiation gets through the differentiable op.

        ``values`` are the arguments by name, adjoints of outputs among them. Nothing where there is no differentiable op.
        """
        yield from ()
