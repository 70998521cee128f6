"""What each parameter of a backward stands for: a name of the op, or a tuple or dict of names, as ``cache`` is."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

from derive.command import meant

__all__ = ["Parameter", "gradient_names", "names_of", "parameters_of", "returned_names"]


class Held(Enum):
    """How a parameter holds several values."""

    TUPLE = "tuple"
    DICT = "dict"
    ATTRIBUTES = "attributes"


@dataclass(frozen=True)
class Parameter:
    """A parameter and the names of the op that it stands for; a part that the function never uses has None.

    ``held`` says how the parameter holds several names, None where it stands for one name; ``keys`` are the function's names
    for the parts.
    """

    name: str
    names: tuple[str | None, ...]
    held: Held | None = None
    keys: tuple[str, ...] = ()
    positional: bool = False

    def of(self, values: Mapping[str, Any]) -> Any:
        """The argument for this parameter, made of ``values`` by name."""
        found = [None if n is None else values[n] for n in self.names]
        inside = dict(zip(self.keys, found, strict=False))
        match self.held:
            case None:
                return found[0]
            case Held.TUPLE:
                return tuple(found)
            case Held.DICT:
                return inside
            case Held.ATTRIBUTES:
                return SimpleNamespace(**inside)


def parameters_of(
    function: Callable[..., Any], op: str, known: Collection[str], names: Mapping[str, str]
) -> tuple[Parameter, ...]:
    """The parameters of a function. ``names`` maps other names to one of the ``known`` names, or to several with commas.

    A parameter that the function takes apart (``xhat, gamma = cache``, ``cache["xhat"]``) stands for these parts. A parameter
    with a default whose name is not known is left out. Raises ValueError for any other parameter whose name is not known.
    """
    body = _body(function)
    out, unknown = [], []
    for p in inspect.signature(function).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        found = _parameter(p.name, body, known, names)
        if found is not None:
            out.append(Parameter(p.name, *found, positional=p.kind is p.POSITIONAL_ONLY))
        elif p.default is p.empty:
            unknown.append(p.name)
    missing = [*unknown, *(k for p in out for k, n in zip(p.keys, p.names, strict=False) if n == "?")]
    if missing:
        name = getattr(function, "__name__", type(function).__name__)
        raise ValueError(
            f"{name}: '{missing[0]}' is no name of {op}; its names are: {', '.join(sorted(known))};"
            f" --name {missing[0]}=NAME says which it is (NAME,NAME for a tuple)"
        )
    return tuple(out)


def _parameter(
    name: str, body: ast.AST | None, known: Collection[str], names: Mapping[str, str]
) -> tuple[tuple[str | None, ...], Held | None, tuple[str, ...]] | None:
    if name in names:
        meaning = [n.strip() for n in names[name].split(",")]
        for n in meaning:
            if n not in known:
                raise ValueError(
                    f"{name}={names[name]}: there is no '{n}'{meant(n, known)}; there are: {', '.join(sorted(known))}"
                )
        several = len(meaning) > 1
        return tuple(meaning), Held.TUPLE if several else None, tuple(meaning) if several else ()
    if name in known:
        return (name,), None, ()
    for held, keys in _parts(name, body):
        read = _read(body)
        resolved = [names.get(k, k if k in known else "?" if k in read or held is not Held.TUPLE else None) for k in keys]
        return tuple(resolved), held, tuple(keys)
    return None


def names_of(function: Callable[..., Any]) -> list[str]:
    """The names that a function's arguments have in it: its parameters, or the parts into which it takes them."""
    body = _body(function)
    out = []
    for p in inspect.signature(function).parameters.values():
        out.append(p.name)
        out += [k for _, keys in _parts(p.name, body) for k in keys]
    return out


def returned_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of what the function returns; empty where these are not the same everywhere."""
    body = _body(function)
    found = {_returned(n.value, {}) for n in _own_returns(body) if n.value is not None} if body is not None else set()
    return next(iter(found)) if len(found) == 1 else ()


def _parts(name: str, body: ast.AST | None) -> Iterator[tuple[Held, list[str]]]:
    """The ways in which a function takes a parameter apart: as a tuple or dict, with the function's names for the parts."""
    nodes = list(ast.walk(body)) if body is not None else []
    for node in nodes:
        if isinstance(node, ast.Assign) and _is(node.value, name) and isinstance(node.targets[0], ast.Tuple | ast.List):
            targets = node.targets[0].elts
            if all(isinstance(t, ast.Name) for t in targets):
                yield Held.TUPLE, [t.id for t in targets if isinstance(t, ast.Name)]
    keys = [
        n.slice.value
        for n in nodes
        if isinstance(n, ast.Subscript) and _is(n.value, name) and isinstance(n.slice, ast.Constant)
    ]
    if keys and all(isinstance(k, str) for k in keys):
        yield Held.DICT, list(dict.fromkeys(map(str, keys)))
    called = {id(n.func) for n in nodes if isinstance(n, ast.Call)}
    attributes = [n.attr for n in nodes if isinstance(n, ast.Attribute) and _is(n.value, name) and id(n) not in called]
    if attributes and not {"shape", "dtype", "ndim", "size", "T", "mT"} & set(attributes):
        yield Held.ATTRIBUTES, list(dict.fromkeys(attributes))


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _read(body: ast.AST | None) -> set[str]:
    nodes = ast.walk(body) if body is not None else ()
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _body(function: Callable[..., Any]) -> ast.AST | None:
    """The syntax tree of a function; None where its source is not available."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None


def gradient_names(function: Callable[..., Any], known: Collection[str], names: Mapping[str, str]) -> tuple[str, ...]:
    """The gradients that the function's ``return`` statements name, by variables or by keys of a dict.

    ``names`` maps other names to ``known`` gradients. Empty where a returned name is no gradient.
    """
    body = _body(function)
    found = {_returned(n.value, names) for n in _own_returns(body) if n.value is not None} if body is not None else set()
    if len(found) != 1:
        return ()
    (returned,) = found
    return returned if returned and set(returned) <= set(known) and len(set(returned)) == len(returned) else ()


def _own_returns(body: ast.AST) -> Iterator[ast.Return]:
    """The ``return`` statements of the function itself, without those of inner functions."""
    functions = [n for n in ast.walk(body) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    inner = {id(n) for f in functions[1:] for n in ast.walk(f)}
    return (n for n in ast.walk(body) if isinstance(n, ast.Return) and id(n) not in inner)


def _returned(value: ast.expr, names: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the returned values; empty where a value has no name."""
    if isinstance(value, ast.Dict):
        found = [str(k.value) if isinstance(k, ast.Constant) else "" for k in value.keys]
    else:
        items = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
        found = [i.id if isinstance(i, ast.Name) else "" for i in items]
    return tuple(names.get(n, n) for n in found)
