"""The backend protocol: all that the rest of the toolkit knows of a backend.

A backend is a folder with a ``backend.py`` whose ``BACKEND`` is an instance of a subclass of :class:`Backend`.
:mod:`codegen.backends.discovery` finds the folder; no code outside the folder names the backend.
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
    """The file of an op that a reader sees first: its path, its language, and a part of the line to begin reading at."""

    path: str
    language: str
    first: str


class Backend(ABC):
    """What kernels are written in."""

    #: The folder below ``generated/``, which is also the word on the command line.
    name: str
    #: The name in tables and on pages.
    title: str
    #: The position in lists of backends; compiled backends come last.
    position: int = 100
    #: Whether the kernels are compiled, which is done for many ops at once, from formatted files.
    compiled: bool = False
    #: The names that emitted functions refer to: no parameter may have one of them.
    reserved: frozenset[str] = frozenset()
    #: The modules, headers and functions that emitted files need: an op of such a name would hide them and is refused.
    modules: frozenset[str] = frozenset()
    #: Whether the backend has kernels for tangents.
    forward_mode: bool = False
    #: Whether a backward of several gradients takes the names of those that are ``wanted``.
    chooses: bool = False
    #: Whether :meth:`schedule` has something to say.
    scheduled: bool = False
    #: The backends whose files this backend's files need in order to run.
    needs: tuple[str, ...] = ()

    # ---- files -----------------------------------------------------------------------------------------------------

    def refuses(self, kernel: Kernel) -> str:
        """The reason why this backend cannot have the kernel, in words; "" where it can."""
        return ""

    @abstractmethod
    def files(self, kernel: Kernel, command: str, beside: Collection[str] = ()) -> Files:
        """The files of one op. ``beside`` are the backends that are written too; ``command`` regenerates the files.

        Raises OpError where an expression has no spelling.
        """

    @abstractmethod
    def exports(self, op: str) -> tuple[str, ...]:
        """The names that the backend's package exports of an op."""

    def packages(self, op: str, beside: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
        """The folders of the backend's packages, with the names that each exports of an op."""
        return {self.name: self.exports(op)}

    def runtime(self) -> Files:
        """The files that the kernels of all ops share."""
        return {}

    @abstractmethod
    def package(self, ops: Iterable[str], command: str, beside: Collection[str] = ()) -> Files:
        """The ``__init__.py`` of the backend's folder and of the folders in it."""

    def adapters(self, command: str) -> Files:
        """The files that call the catalogue's ops by the names and conventions of the library."""
        return {}

    @abstractmethod
    def shown(self, op: str) -> Shown:
        """The file of an op that a reader sees first."""

    def schedule(self, kernel: Kernel) -> str:
        """The loops of the kernel's functions and the bytes that they move, as text; "" where a library runs the loops."""
        return ""

    # ---- running ---------------------------------------------------------------------------------------------------

    def missing(self) -> str:
        """What is missing to run the kernels here, in words; "" where nothing is."""
        return ""

    @abstractmethod
    def load(self, name: str, files: Mapping[str, str]) -> ModuleType:
        """The module of one op, made from its files and the files that these need. Nothing stays on the disk."""

    def load_all(self, names: Iterable[str], files: Mapping[str, str]) -> dict[str, ModuleType]:
        """The modules of many ops from their formatted files."""
        return {name: self.load(name, files) for name in names}

    def running(self) -> AbstractContextManager[Any]:
        """The context in which arguments are made and kernels run: settings of the library, for example."""
        return nullcontext()

    def called(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the kernels, made ready to be called many times: compiled, for example."""
        return function

    @abstractmethod
    def to(self, array: Any) -> Any:
        """A NumPy array, or a tensor of the reference implementation, as an argument of the kernels."""

    @abstractmethod
    def back(self, result: Any) -> Any:
        """A result of the kernels as a NumPy array."""

    def gradients(self, kernel: Kernel, module: ModuleType, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Pairs of the name and value of a gradient, by the framework's own differentiation through the differentiable op.

        ``values`` are the arguments by name, adjoints of outputs among them. Without a differentiable op there are no pairs.
        """
        yield from ()
