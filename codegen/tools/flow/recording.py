"""One forward and backward pass of a module, seen by hooks; the module is afterwards as it was before."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from codegen.tools.flow.functions import Functions
from derive.visible import visible

__all__ = ["Argument", "Call", "Parameter", "Recorded", "Result", "record"]

#: The autograd nodes that only lay a tensor out anew.
_LAYOUT = (
    "View",
    "UnsafeView",
    "ReshapeAlias",
    "Transpose",
    "T",
    "Permute",
    "Unsqueeze",
    "Squeeze",
    "Alias",
    "Clone",
    "ToCopy",
)


@dataclass
class Argument:
    """A tensor that a call was given.

    ``sources`` are the calls that it comes from; ``direct`` says that it is the result of one of them, at most laid out anew.
    ``gradient`` is the gradient that this call alone gives to it; None where none was asked for.
    """

    value: Tensor
    sources: tuple[str, ...]
    direct: bool
    edge: GradientEdge | None
    gradient: Tensor | None = None


@dataclass
class Result:
    """A tensor that a call returned, with its gradient (None where none reaches it)."""

    value: Tensor
    edge: GradientEdge | None
    gradient: Tensor | None = None


@dataclass
class Call:
    """One call of the layer at ``path``: copies of its arguments and of its results.

    ``enabled`` says that gradients were switched on, ``wants`` that the result depends on something that requires one.
    ``relays`` says that the result is another call's, as that of a module around others is the result of the last.
    """

    name: str
    path: str
    module: nn.Module
    arguments: tuple[Argument, ...]
    enabled: bool
    results: tuple[Result, ...] = ()
    relays: bool = False

    @property
    def title(self) -> str:
        """The name with the kind of layer."""
        kind = visible(type(self.module).__name__)
        return self.name if kind in self.name else f"{self.name} ({kind})"

    @property
    def sources(self) -> tuple[str, ...]:
        """The calls that its arguments come from."""
        return tuple(dict.fromkeys(name for a in self.arguments for name in a.sources))

    @property
    def direct(self) -> bool:
        """Whether its first argument is another call's result."""
        return bool(self.arguments) and self.arguments[0].direct

    @property
    def wants(self) -> bool:
        return any(r.edge is not None for r in self.results)

    @property
    def result(self) -> Result | None:
        """Of several results the first that has a gradient; the first where none has."""
        return next((r for r in self.results if r.gradient is not None), next(iter(self.results), None))

    @property
    def value(self) -> Tensor | None:
        return self.result.value if self.result else None

    @property
    def gradient(self) -> Tensor | None:
        return self.result.gradient if self.result else None


@dataclass(frozen=True)
class Parameter:
    """A parameter with the name of its module; the gradient is None where it is frozen or nothing reaches it."""

    name: str
    value: Tensor
    gradient: Tensor | None
    frozen: bool


@dataclass(frozen=True)
class Recorded:
    """The calls in order, the parameters, and the value of the loss."""

    calls: tuple[Call, ...]
    parameters: tuple[Parameter, ...]
    loss: Tensor


@dataclass
class _Recording:
    """What has been seen so far.

    ``nodes`` are the autograd nodes that gave results; ``open`` are calls that have not ended; ``within`` are the paths of the
    modules that are running.
    """

    calls: list[Call] = field(default_factory=list)
    nodes: dict[Any, str] = field(default_factory=dict)
    open: list[Call] = field(default_factory=list)
    within: list[str] = field(default_factory=list)
    hooks: list[Any] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)

    def enter(self, path: str, module: nn.Module, args: Any) -> None:
        self.within.append(path)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self.within.pop()

    def before(self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.begin(path, shown(path, module), module, (args, kwargs))

    def begin(self, path: str, name: str, module: nn.Module, given: Any) -> None:
        self.times[name] += 1
        name = name if self.times[name] == 1 else f"{name}, call {self.times[name]}"
        arguments = tuple(Argument(t.detach().clone(), *self.sources(t), edge_of(t)) for t in _tensors(given))
        self.open.append(Call(name, path, module, arguments, torch.is_grad_enabled()))

    def after(self, module: nn.Module, args: Any, output: Any) -> None:
        call = self.open.pop()
        self.calls.append(call)
        tensors = [t for t in _tensors(output) if t.is_floating_point()]
        call.results = tuple(Result(t.detach().clone(), edge_of(t)) for t in tensors)
        for t, result in zip(tensors, call.results, strict=True):
            if t.requires_grad:
                self.hooks.append(t.register_hook(partial(_kept, result)))  # type: ignore[no-untyped-call]
        nodes = [t.grad_fn for t in tensors if t.grad_fn is not None]
        call.relays = bool(nodes) and nodes[0] in self.nodes
        for node in nodes:
            self.nodes.setdefault(node, call.name)

    def function(self, module: nn.Module, name: str, run: Callable[[], Any], given: Any) -> Any:
        """Run a function that does what a layer does, as a call of that layer."""
        name = f"{self.within[-1]}.{name}" if self.within and self.within[-1] else name
        self.begin(f"{name}()", name, module, given)
        out = run()
        self.after(module, (), out)
        return out

    def sources(self, tensor: Tensor) -> tuple[tuple[str, ...], bool]:
        """The calls whose results a tensor was computed from, and whether it is such a result itself."""
        found: dict[str, None] = {}
        direct, seen = True, set()
        waiting: list[tuple[Any, bool]] = [(tensor.grad_fn, True)]
        while waiting:
            node, same = waiting.pop(0)
            if node is None or node in seen:
                continue
            seen.add(node)
            if node in self.nodes:
                found.setdefault(self.nodes[node])
                direct = direct and same
                continue
            same = same and node.name().removesuffix("0").removesuffix("Backward") in _LAYOUT
            waiting += [(following, same) for following, _ in node.next_functions]
        return tuple(found), direct and len(found) == 1

    def ends(self, loss: Tensor) -> None:
        """Call a function that gives the loss by that name."""
        name = self.nodes.get(loss.grad_fn)
        if name and not self.times["loss"]:
            self.nodes[loss.grad_fn] = "loss"
            next(c for c in self.calls if c.name == name).name = "loss"


def edge_of(tensor: Tensor) -> GradientEdge | None:
    """Where the gradient of a tensor arrives; None for a tensor that has none."""
    return get_gradient_edge(tensor) if tensor.requires_grad else None


def record(module: nn.Module, loss: Callable[..., Any], batch: Any) -> Recorded:
    """Run a module and its loss forward and backward.

    A batch is a tensor, a tuple whose last entry is the target, or a mapping; the loss is called with the output, and with the
    target where there is one. Raises ValueError where a layer fails, the loss is no number, or nothing in it needs a gradient.
    """
    inputs, named, targets = _split(batch)
    if isinstance(loss, type):
        raise ValueError(f"the loss is the class {loss.__name__}; give an instance, {loss.__name__}()")
    empty = next((t for t in _tensors((inputs, named, targets)) if not t.numel()), None)
    if empty is not None:
        raise ValueError(f"the batch is empty: it has a tensor of the shape {tuple(empty.shape)}")
    seen = _Recording()
    with torch.inference_mode(False), torch.enable_grad(), _as_before(module), _uncompiled():
        inputs, named = ([_leaf(t) for t in inputs], {n: _leaf(t) for n, t in named.items()})
        targets = [t.clone() if isinstance(t, Tensor) and t.is_inference() else t for t in targets]
        with _hooks(seen, module, loss), Functions(seen):
            try:
                value = loss(module(*inputs, **named), *targets)
            except Exception as error:
                raise ValueError(_failed(seen, error)) from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            what = f"has the shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"is of type {type(value).__name__}"
            raise ValueError(f"the loss {what}, where one number was expected; take its mean, for example")
        seen.ends(value)
        parameters = {visible(n): p for n, p in module.named_parameters()}
        leaves = [*(p for p in parameters.values() if p.requires_grad), *_wanting([*inputs, *named.values()])]
        if not leaves or not value.requires_grad:
            raise ValueError("no gradient can flow: the loss depends on no parameter that requires one (is it detached?)")
        gradients = dict(zip(map(id, leaves), _backward(seen, value, leaves), strict=True))
        rows = tuple(_parameter(n, p, gradients.get(id(p))) for n, p in parameters.items())
    if not seen.calls:
        raise ValueError(f"{type(module).__name__} called none of its layers, so there is nothing to report on")
    return Recorded(tuple(seen.calls), rows, value.detach())


def _uncompiled() -> AbstractContextManager[None]:
    """While this is entered, what was compiled runs as it was written. Where nothing was, the compiler is not loaded for it."""
    loaded = "torch._dynamo" in sys.modules
    return cast(AbstractContextManager[None], torch.compiler.set_stance("force_eager")) if loaded else nullcontext()


@contextmanager
def _hooks(seen: _Recording, module: nn.Module, loss: Any) -> Iterator[None]:
    """Hooks on all modules, for the time of the forward pass: a checkpoint computes parts of it again in the backward."""
    names = {m: visible(n) for n, m in module.named_modules()} | ({loss: "loss"} if isinstance(loss, nn.Module) else {})
    with ExitStack() as hooks:
        for m, name in names.items():
            try:
                if _is_layer(m):
                    hooks.callback(m.register_forward_pre_hook(partial(seen.before, name), with_kwargs=True).remove)
                    hooks.callback(m.register_forward_hook(seen.after).remove)
                hooks.callback(m.register_forward_pre_hook(partial(seen.enter, name)).remove)
                hooks.callback(m.register_forward_hook(seen.leave).remove)
            except RuntimeError as error:  # a module of TorchScript
                raise ValueError(
                    f"no hook can be put on {shown(name, m)}: {error}; give the module it was made from"
                ) from error
        yield


def _backward(seen: _Recording, loss: Tensor, leaves: list[Tensor]) -> tuple[Tensor | None, ...]:
    """The gradients of the leaves; every result gets its own, and every argument what its call gives to it."""
    try:
        found = torch.autograd.grad(loss, leaves, torch.ones_like(loss), allow_unused=True, retain_graph=True)
    except RuntimeError as error:
        raise ValueError(f"the backward pass failed: {(str(error).splitlines() or [''])[0]}") from error
    for hook in seen.hooks:
        hook.remove()
    for call in seen.calls:
        _pass_back(call)
    return found


def _pass_back(call: Call) -> None:
    """What a call gives to its arguments, of the gradients of its results; nothing where its graph cannot be walked twice."""
    ends = [(r.edge, r.gradient) for r in call.results if r.edge is not None and r.gradient is not None]
    starts = [a for a in call.arguments if a.edge is not None]
    if not ends or not starts:
        return
    edges, gradients = zip(*ends, strict=True)
    try:
        found = torch.autograd.grad(edges, [a.edge for a in starts], gradients, allow_unused=True, retain_graph=True)  # type: ignore[arg-type]
    except RuntimeError:
        return
    for a, gradient in zip(starts, found, strict=True):
        a.gradient = None if gradient is None else gradient.detach().to_dense().clone()


def _kept(result: Result, gradient: Tensor) -> None:
    result.gradient = gradient.detach().to_dense().clone()


def shown(path: str, module: nn.Module) -> str:
    """The name of a layer in prose: a number alone, as containers give, says too little."""
    kind = visible(type(module).__name__)
    return f"{path} ({kind})" if path.rpartition(".")[2].isdigit() else path or kind


def _is_layer(m: nn.Module) -> bool:
    return not any(True for _ in m.children()) or any(True for _ in m.parameters(recurse=False))


def _parameter(name: str, p: Tensor, gradient: Tensor | None) -> Parameter:
    dense = None if gradient is None else gradient.detach().to_dense()
    return Parameter(name, p.detach().clone(), dense, not p.requires_grad)


def _failed(seen: _Recording, error: Exception) -> str:
    line = visible((str(error).splitlines() or [""])[0])
    where = f"in {seen.open[-1].title}" if seen.open else "between its layers"
    return f"the forward pass failed {where}: {type(error).__name__}: {line}"


def _split(batch: Any) -> tuple[list[Any], dict[str, Any], list[Any]]:
    if isinstance(batch, Mapping):
        return [], dict(batch), []
    if isinstance(batch, tuple | list):
        if len(batch) < 2:
            raise ValueError(f"a batch is a tensor, a mapping, or inputs followed by a target; found {len(batch)} entries")
        return list(batch[:-1]), {}, [batch[-1]]
    return [batch], {}, []


def _leaf(value: Any) -> Any:
    """A tensor whose gradient can be asked for, so that there is one also behind frozen parameters."""
    if isinstance(value, Tensor):
        return value.detach().clone().requires_grad_(value.is_floating_point())
    return value


def _wanting(values: list[Any]) -> Iterator[Tensor]:
    yield from (v for v in values if isinstance(v, Tensor) and v.requires_grad)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from _tensors(v)
    elif isinstance(value, tuple | list):
        for v in value:
            yield from _tensors(v)
    elif hasattr(value, "__dataclass_fields__"):
        yield from _tensors(vars(value))


@contextmanager
def _as_before(module: nn.Module) -> Iterator[None]:
    """Put back the buffers, the modes and the random state that a pass may change."""
    modes = {m: m.training for m in module.modules()}
    buffers = [(m, n, b, b.detach().clone()) for m in module.modules() for n, b in m.named_buffers(recurse=False)]
    with torch.random.fork_rng(devices=_devices(module)):
        try:
            yield
        finally:
            with torch.no_grad():
                for m, n, buffer, value in buffers:
                    buffer.copy_(value)
                    setattr(m, n, buffer)
            for m, mode in modes.items():
                m.training = mode


def _devices(module: nn.Module) -> list[int]:
    found = {t.get_device() for t in (*module.parameters(), *module.buffers()) if t.is_cuda}
    return sorted(found)
