"""Any name is right or refused: what emitted files call their own never gets in the way of what an author calls something."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.arrays.discovery import arrays
from codegen.backends.discovery import by_name
from codegen.backends.native.bindings import bindings
from codegen.backends.native.differentiable import torch_files, torch_package
from codegen.backends.native.files import runtime_files
from codegen.backends.native.package import load_native
from codegen.backends.torch.context import CONTEXT
from codegen.chain import render_chain
from codegen.emit import emit
from codegen.load import load_source
from codegen.names import named_op, taken
from codegen.plan import plan
from codegen.program import Kernel
from codegen.render import render
from codegen.tools.flow import flow
from codegen.tools.notebook import build_op
from codegen.tools.workbook import exercise, sheet
from codegen.verify.agreement import run_kernel
from derive import Derivation, Op, OpError, derive, load, parse
from derive.syntax import Tensor, adjoint_name
from tests.backends import ARRAYS, RUNNING, RUNNING_ARRAYS

# Without a compiler the functions of the native package fall back on NumPy, and say so.
pytestmark = pytest.mark.filterwarnings("ignore:generated.native")

ROOT = Path(__file__).resolve().parent.parent
#: How many names of each role an op has that takes any name.
SLOTS = 5
ROLES = ("input", "output", "name", "axis", "constant")
#: Beside them stands what a file may need names of its own for: labels, a maximum, and a star that becomes one axis.
FIXED = ("zy[zn, za, *zs], zz", "zx[zn, za, *zs], zw[za], zt[zn]")
PART = """
zt[zn] in za
zh[zn, za, *zs] = zx[zn, za, *zs]*zw[za]
zy[zn, za, *zs] = tanh(zh[zn, za, *zs])
zz = sum[zn](zw[zt[zn]]) + max[za](zw[za])
"""
OWN = re.compile(r"d?z([ionac]\d+|y|z|x|w|t|h|n|a|s)(_total)?")
#: What is likely to be trouble, whether a file uses it today or not.
WORDS = tuple(
    """el ef ict out self cls ctx args kwargs print id input type map filter object super property classmethod lambda_ match
    case saved_tensors save_for_backward needs_input_grad output inputs grad_output name metadata data shape sizes dtype nan
    inf tl triton ctypes operator int float double long char void const static struct union typedef switch default goto auto
    register extern volatile enum bool str tuple list dict any all zip range len saved variant ops Tensor real linux I E S N
    Q""".split()
)


def plain_names() -> dict[str, list[str]]:
    return {role: [f"z{role[0]}{k}" for k in range(SLOTS)] for role in ROLES}


def op_of(names: Mapping[str, list[str]]) -> Op:
    """An op with these names in each role: as many small systems as there are slots."""
    slots = [dict(zip(ROLES, row, strict=True)) for row in zip(*(names[role] for role in ROLES), strict=True)]
    outputs = ", ".join([*("{output}[{axis}]".format(**s) for s in slots), FIXED[0]])
    inputs = ", ".join([*("{input}[{axis}]".format(**s) for s in slots), FIXED[1]])
    constants = ", ".join("{constant}=0.5".format(**s) for s in slots)
    system = "{name}[{axis}] = tanh({input}[{axis}])\n{output}[{axis}] = {constant}*{name}[{axis}]**2\n"
    return parse(f"{outputs} = zop({inputs}, {constants})\n{PART}{''.join(system.format(**s) for s in slots)}")


def op_called(name: str) -> Op:
    """A small op of that name."""
    return parse(f"zo0[za0], zz = {name}(zi0[za0], zc0=0.5)\nzo0[za0] = tanh(zi0[za0])*zc0\nzz = max[za0](zo0[za0])\n")


def kernel_of(op: Op) -> Kernel:
    """The kernel of an op, whose derivation is that of an op of any name."""
    return plan(replace(derived(replace(op, name="zop", text="")), op=op))


@cache
def derived(op: Op) -> Derivation:
    return derive(op)


def values_of(op: Op) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    """The inputs of such an op, and its upstream gradients: the same numbers whatever they are called."""
    rng = np.random.default_rng(5)
    axes = dict.fromkeys(a for t in op.inputs for a in t.axes)
    size = {a: 2 + k % 3 for k, a in enumerate(axes)}

    def make(t: Tensor) -> torch.Tensor:
        shape = [size[a] for a in t.axes]
        return torch.as_tensor(rng.integers(0, size[t.labels], shape) if t.labels else rng.normal(size=shape))

    return {t.name: make(t) for t in op.inputs}, [make(t) for t in op.outputs]


# ---- each kind of file: its source, and what it gives ----------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """``sources`` are an op's files of this kind, ``results`` what they compute, always in the same order."""

    sources: Callable[[Op], list[str]]
    results: Callable[[Op], list[np.ndarray]]


def array_file(kernel: Kernel, backend: str) -> str:
    return arrays(backend).text(kernel, "a test")


def ran(kernel: Kernel, module: Any, backend: str) -> list[np.ndarray]:
    inputs, upstream = values_of(kernel.op)
    outputs, grads = run_kernel(kernel, module, backend, inputs, upstream, {c.name: 0.25 for c in kernel.op.constants})
    return [np.asarray(a) for a in (*outputs, *grads)]


def differentiated(kernel: Kernel, function: Any) -> list[np.ndarray]:
    """A differentiable op called by keywords, with second derivatives."""
    op = kernel.op
    inputs, upstream = values_of(op)
    leaves = {n: v.requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
    outputs = function(**leaves, **{c.name: 0.25 for c in op.constants})
    wanted = [leaves[t.name] for t in op.differentiable]
    grads = torch.autograd.grad(outputs, wanted, upstream, create_graph=True)
    seconds = torch.autograd.grad([g.sum() for g in grads if g.requires_grad], wanted, allow_unused=True)
    return [a.detach().numpy() for a in (*outputs, *grads, *(s for s in seconds if s is not None))]


def numpy_results(op: Op) -> list[np.ndarray]:
    kernel = kernel_of(op)
    return ran(kernel, load_source("numpy", array_file(kernel, "numpy")), "numpy")


def torch_results(op: Op) -> list[np.ndarray]:
    kernel = kernel_of(op)
    module = load_source("torch", array_file(kernel, "torch"))
    return ran(kernel, module, "torch") + differentiated(kernel, getattr(module, op.name))


def jax_results(op: Op) -> list[np.ndarray]:
    kernel, jax = kernel_of(op), by_name("jax")
    module = load_source("jax", array_file(kernel, "jax"))
    inputs, upstream = values_of(kernel.op)
    with jax.running():
        values = {n: jax.to(v) for n, v in inputs.items()} | {c.name: 0.25 for c in kernel.op.constants}
        values |= {adjoint_name(t.name): jax.to(u) for t, u in zip(kernel.op.outputs, upstream, strict=True)}
        gradients = [jax.back(g) for _, g in jax.gradients(kernel, module, values)]
    return ran(kernel, module, "jax") + gradients


def native_python(kernel: Kernel) -> dict[str, str]:
    """The Python files of the native backend for one op."""
    found = bindings(kernel, "a test")
    own = torch_files(kernel, "a test")[f"native/torch/{kernel.op.name}.py"]
    return {
        f"native/{kernel.op.name}.py": render("native/op.py.j2", **vars(found)),
        f"native/torch/{kernel.op.name}.py": own,
    }


def native_results(op: Op) -> list[np.ndarray]:
    kernel, name = kernel_of(op), op.name
    texts = {f"{b}/{name}.py": array_file(kernel, b) for b in ("numpy", "torch")}
    shared = runtime_files() | torch_files(kernel, "a test") | torch_package([name], "a test")
    module = load_native(name, texts | shared | native_python(kernel))
    both = importlib.import_module(f"{module.__package__}.torch.{name}")
    inputs, upstream = values_of(kernel.op)
    given = {n: v.numpy() for n, v in inputs.items()} | {c.name: 0.25 for c in kernel.op.constants}
    given |= {f"d{t.name}": u.numpy() for t, u in zip(kernel.op.outputs, upstream, strict=True)}
    fused = [np.asarray(a) for a in getattr(module, f"{name}_forward_backward")(**given)]
    return ran(kernel, module, "native") + differentiated(kernel, getattr(both, name)) + fused


def chained(op: Op, backend: str) -> dict[str, Any]:
    """The values and adjoints of a chain file, and its arguments."""
    module, to = load_source("chain", render_chain(op, arrays(backend), "a test")), by_name(backend).to
    inputs, upstream = values_of(op)
    with by_name(backend).running():
        known: dict[str, Any] = {n: to(v) for n, v in inputs.items()} | {c.name: 0.25 for c in op.constants}
        known |= getattr(module, f"{op.name}_values")(**known)
        known |= {adjoint_name(t.name): to(u) for t, u in zip(op.outputs, upstream, strict=True)}
        for adjoint in module.ADJOINTS:
            known[adjoint.__name__] = adjoint(**{p: known[p] for p in inspect.signature(adjoint).parameters})
    return known


def plain(op: Op) -> Op:
    """Each star as one axis, in the names of code."""
    return named_op(replace(op, stars=frozenset()))


def chain_results(op: Op) -> list[np.ndarray]:
    op = plain(op)
    wanted = [*(e.name for e in op.equations), *(f"d{t.name}" for t in op.differentiable)]
    return [np.asarray(known[n]) for b in RUNNING_ARRAYS for known in [chained(op, b)] for n in wanted]


def exercise_results(op: Op) -> list[np.ndarray]:
    """The gradients of a solved exercise."""
    module = load_source("solution", sheet(exercise(op), "solution.py", solved=True))
    function = getattr(module, f"{op.name}_backward")
    known = chained(exercise(op).op, "numpy")
    return [np.asarray(a) for a in function(**{p: known[p] for p in inspect.signature(function).parameters})]


def cells(op: Op) -> list[str]:
    return [c.source for c in build_op(op).cells if c.cell_type == "code"]


def notebook_results(op: Op) -> list[np.ndarray]:
    """Whether each comparison of a notebook's cells is true."""
    scope: dict[str, Any] = {}
    right = []
    for cell in cells(op):
        *rest, last = ast.parse(cell).body
        exec(compile(ast.Module([*rest, *([] if isinstance(last, ast.Expr) else [last])], []), "cell", "exec"), scope)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), scope)
            right += np.ravel(value).tolist() if "torch.allclose(" in cell else []
    torch.set_default_dtype(torch.float32)
    assert all(right)
    return [np.array(right)]


#: The kinds that the name of an op enters by itself, and not only before ``_values`` or ``_backward``.
PUBLIC = ("numpy", "torch", *(["jax"] if "jax" in RUNNING else []), "native")
KINDS = {
    "numpy": Kind(lambda op: [array_file(kernel_of(op), "numpy")], numpy_results),
    "torch": Kind(lambda op: [array_file(kernel_of(op), "torch")], torch_results),
    "jax": Kind(lambda op: [array_file(kernel_of(op), "jax")], jax_results),
    "native": Kind(lambda op: list(native_python(kernel_of(op)).values()), native_results),
    "chain": Kind(lambda op: [render_chain(plain(op), arrays(b), "a test") for b in ARRAYS], chain_results),
    "exercise": Kind(lambda op: [sheet(exercise(op), "a.py", solved=True)], exercise_results),
    "notebook": Kind(lambda op: ["\n".join(cells(op))], notebook_results),
}


def identifiers(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(name) | ast.Attribute(attr=name) | ast.arg(name) | ast.alias(name=name) | ast.keyword(arg=str(name)):
                yield from name.split(".")
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


@cache
def used(kind: str) -> tuple[str, ...]:
    """What files of a kind call anything, but for the names of a neutral op; and words that are likely to be trouble."""
    found = {i for source in KINDS[kind].sources(op_of(plain_names())) for i in identifiers(source)}
    return tuple(sorted({i for i in found if not OWN.fullmatch(i)}.union(WORDS if kind in PUBLIC else ())))


# ---- the specification -----------------------------------------------------------------------------------------------


def refusal(name: str, role: str) -> str:
    """What is said to a name in a role; "" where it is taken."""
    n = {r: f"z{r}" for r in ROLES} | {role: name}
    try:
        parse(
            "{output}[{axis}] = zop({input}[{axis}], {constant}=1)\n{name} = {constant}\n"
            "{output}[{axis}] = {input}[{axis}]*{name}".format(**n)
        )
    except OpError as error:
        return str(error)
    return ""


def packed(words: list[str], roles: tuple[str, ...]) -> Iterator[dict[str, list[str]]]:
    """Names for ops in which every word has every role once, and no two of an op collide."""
    todo = [(w, role) for role in roles for w in words]
    while todo:
        names, taken, left = plain_names(), set[str](), []
        free = {role: list(range(SLOTS)) for role in ROLES}
        for word, role in todo:
            if free[role] and not taken & {word, f"d{word}", word.removeprefix("d")}:
                names[role][free[role].pop()] = word
                taken |= {word, f"d{word}"}
            else:
                left.append((word, role))
        yield names
        todo = left


@pytest.fixture(scope="module", autouse=True)
def no_compiler() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", "/nonexistent/cc")
        yield


@cache
def expected(kind: str, small: bool) -> list[np.ndarray]:
    return KINDS[kind].results(op_called("zop") if small else op_of(plain_names()))


def assert_right(kind: str, op: Op, names: object, *, small: bool = False) -> None:
    found = KINDS[kind].results(op)
    assert len(found) == len(expected(kind, small)), names
    for got, want in zip(found, expected(kind, small), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14, err_msg=str(names))


#: Of every so many names one is tried; the long runs have all.
EVERY = [10, pytest.param(1, marks=pytest.mark.long)]


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("kinds", [PUBLIC, ("chain",), ("exercise",), ("notebook",)], ids=" ".join)
def test_every_identifier_of_a_file_may_be_a_name_of_the_op(kinds: tuple[str, ...], every: int) -> None:
    words = []
    for word in sorted({w for kind in kinds for w in used(kind)}):
        said = {role: refusal(word, role) for role in ROLES}
        if not any(said.values()):
            words.append(word)
        for text in filter(None, said.values()):
            assert f"'{word}'" in text and "\n" not in text
    assert words
    for names in islice(packed(words, ROLES), 0, None, every):
        for kind in kinds:
            assert_right(kind, op_of(names), names)


@pytest.mark.parametrize("every", EVERY)
def test_every_identifier_of_a_file_may_be_the_name_of_the_op(every: int) -> None:
    for word in sorted({w for kind in PUBLIC for w in used(kind)})[::every]:
        try:
            for kind in PUBLIC if word not in WORDS else RUNNING_ARRAYS:
                assert_right(kind, op_called(word), word, small=True)
        except OpError as error:
            assert f"'{word}'" in str(error) and "\n" not in str(error)


def test_a_constant_is_kept_where_the_context_of_torch_has_nothing() -> None:
    functions = torch.autograd.function
    there = {n for c in (functions.FunctionCtx, functions.BackwardCFunction, functions.Function) for n in dir(c)}
    assert {n for n in there if not n.startswith("_")} <= CONTEXT
    words = sorted(n for n in CONTEXT if not refusal(n, "constant"))
    for names in packed(words, ("constant",)):
        assert_right("torch", op_of(names), names)


def test_what_is_called_by_keyword_keeps_its_name_where_it_can() -> None:
    op = parse(
        "y[n] = f(size_[n], dtype[n], shape[n], inputs[n], output[n], ctx[n], np[n], data=1)\ny[n] = "
        "size_[n]*dtype[n]*shape[n]*inputs[n]*output[n]*ctx[n]*np[n]*data"
    )
    kernel = plan(derive(op))
    assert [a.name for a in kernel.forward.arguments] == ["size_", "dtype", "shape", "inputs", "output", "ctx", "np_"]
    for kind in PUBLIC:
        source = KINDS[kind].sources(op)[0]
        assert "np[n], data=1)" in (ast.get_docstring(ast.parse(source)) or "")


def test_an_op_of_such_names_is_certified_and_emitted(tmp_path: Path) -> None:
    built = emit("y[np] = f(el[np], math[np], out=2)\ny[np] = tanh(el[np]*math[np])*out", tmp_path)
    assert built.certified and built.gradients == ("del", "dmath")
    module = load_source("f", (tmp_path / "torch/f.py").read_text())
    assert [*inspect.signature(module.f).parameters] == ["el_", "math_", "out_"]
    certificate = (tmp_path / "certificates/f.json").read_text() + (tmp_path / "latex/f.tex").read_text()
    assert not re.search(r"\b(el|math|np|out)\\?_", certificate)


def test_adjoints_are_named_with_what_they_are_the_adjoints_of() -> None:
    kernel = plan(derive(parse("ef[n] = f(el[n], ict[n])\nef[n] = el[n]*ict[n]")))
    assert kernel.backward.results == ("del_", "dict_")
    assert [a.name for a in kernel.backward.arguments] == ["def_", "el_", "ict_"]


def test_two_names_never_become_one() -> None:
    op = named_op(parse("y[np_] = f(np[np_], np__[np_], el[np_], el_[np_])\ny[np_] = np[np_]*np__[np_]*el[np_]*el_[np_]"))
    assert [t.name for t in op.inputs] == ["np___", "np__", "el__", "el_"] and op.inputs[0].axes == ("np_",)


@pytest.mark.parametrize("name", ["torch", "Torch", "math", "NumPy", "in_torch", "dict", "string", "functools"])
def test_an_op_whose_files_would_hide_what_they_need_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OpError, match=f"cannot be called '{name}'"):
        emit(f"y[n] = {name}(x[n])\ny[n] = tanh(x[n])", tmp_path)
    assert not list(tmp_path.iterdir())


def test_ops_that_differ_by_case_do_not_share_a_folder(tmp_path: Path) -> None:
    emit("y[n] = Gate(x[n])\ny[n] = tanh(x[n])", tmp_path, backends=["numpy"])
    with pytest.raises(OpError, match="Gate.*differs only by case"):
        emit("y[n] = gate(x[n])\ny[n] = tanh(x[n])", tmp_path, backends=["numpy"])
    emit("y[n] = Gate(x[n])\ny[n] = exp(x[n])", tmp_path, backends=["numpy"])
    assert not (tmp_path / "numpy/gate.py").exists()


def test_the_flow_of_an_op_is_asked_for_in_the_names_of_its_author() -> None:
    op = parse("y[n] = f(np[n], el[n], out=2)\ny[n] = tanh(np[n]*el[n])*out")
    same = parse("y[n] = f(np_[n], el_[n], out_=2)\ny[n] = tanh(np_[n]*el_[n])*out_")
    x = np.array([0.5, 1.0])
    found = flow(op, {"np": x, "el": x}, {"out": 3.0}, {"dy": x})
    other = str(flow(same, {"np_": x, "el_": x}, {"out_": 3.0}, {"dy": x}))
    assert words(str(found)) == words(other)  # but for the widths of columns, and the marks of names that Python has taken


def words(text: str) -> list[str]:
    return [w for w in re.sub(r"(np|el|out)_", r"\1", text).split() if set(w) != {"-"}]


def test_names_of_the_catalogue_are_spelled_as_they_are() -> None:
    for name in ("batchnorm", "attention", "softmax_cross_entropy", "makemore"):
        assert named_op(load(name)) == load(name)


def globals_of(function: ast.FunctionDef) -> set[str]:
    """The names that the body of a function reads and neither it, nor its signature, nor a function in it gives."""
    names = [n for statement in function.body for n in ast.walk(statement) if isinstance(n, ast.Name)]
    own = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    own |= {n.name for statement in function.body for n in ast.walk(statement) if isinstance(n, ast.FunctionDef)}
    return {n.id for n in names} - own - {n.id for n in names if not isinstance(n.ctx, ast.Load)}


@pytest.mark.parametrize("folder", ["numpy", "torch", "jax", "native", "native/torch"])
def test_what_functions_of_the_catalogue_refer_to_is_known_to_be_taken(folder: str) -> None:
    seen: set[str] = set()
    for path in sorted((ROOT / "generated" / folder).glob("[a-z]*.py")):
        op = path.stem.removesuffix("_chain").removesuffix("_flow")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        functions = [
            f for f in functions if not any(f in ast.walk(g) for g in functions if g is not f)
        ]  # a step has its loop's names
        # Helpers begin with an underscore, and so do the fallbacks of native kernels, which are called after their op.
        own = [f for f in functions if f.name != "vmap" and (not f.name.startswith("_") or f.name.startswith(f"_{op}_"))]
        seen |= {n for f in own for n in globals_of(f) if not n.startswith((f"{op}_", "_"))}
    assert seen and seen <= taken() | {"zip"}  # zip is called by mlp_step, and only the catalogue has steps
