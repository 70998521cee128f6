"""Text to :class:`~derive.syntax.Op`: Python grammar, read with ``ast`` and a whitelist, never evaluated."""

from __future__ import annotations

import ast
import keyword
import math
from collections.abc import Callable
from fractions import Fraction

from derive.errors import OpError
from derive.functions import NARY, REDUCTIONS, SUGAR, UNARY, is_function
from derive.include import Arguments, include
from derive.syntax import (
    Add,
    Call,
    Compare,
    Const,
    Constant,
    Div,
    Equation,
    Index,
    Lookup,
    Mul,
    Neg,
    Num,
    Op,
    Pow,
    Read,
    Reduce,
    Size,
    Tensor,
    Tree,
    axis_of,
    fresh_index,
)

LARGEST = 10**6
#: Names that a kernel of some backend, the language or the engine gives a meaning of its own.
RESERVED = frozenset(
    "size pi np numpy torch math operator out variant self ctx cls range len print min max sum mean abs where saved "
    "int float double long short char void const static restrict inline signed unsigned struct union sizeof typedef "
    "switch case default do goto auto register extern volatile enum dtype shape "
    "tl triton ctypes ops".split()
)
_RELATIONS = {ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
Catalogue = Callable[[str], Op | None]


def parse(
    text: str,
    *,
    catalogue: Catalogue = lambda name: None,
    sizes: dict[str, int] | None = None,
    title: str = "",
    source: str = "",
    notes: tuple[str, ...] = (),
) -> Op:
    """Read an op: its signature, then assumptions and equations.

    ``catalogue`` finds the ops that the equations may call. ``sizes`` are the axis lengths at which costs are compared.
    Raises OpError with the op, the line and the column of what cannot be understood.
    """
    statements = _statements(text, "op")
    reader = _Reader(text, catalogue)
    reader.signature(statements[0])
    for statement in statements[1:]:
        reader.statement(statement)
    return reader.finish(dict(sizes or {}), title, source, notes)


def parse_formula(text: str, *, catalogue: Catalogue = lambda name: None) -> Op:
    """Read a single equation whose unassigned names are its inputs: ``y[i] = exp(-x[i]**2)``."""
    statements = _statements(text, "formula")
    if len(statements) != 1:
        raise OpError(f"expected one equation, found {len(statements)}", op="formula")
    reader = _Reader(text, catalogue)
    reader.infer_signature(statements[0])
    reader.statement(statements[0])
    return reader.finish({}, "", "", ())


def _statements(text: str, op: str) -> list[ast.stmt]:
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise OpError(f"not an equation: {error.msg}", op=op, line=error.lineno, column=(error.offset or 1) - 1) from None
    except (RecursionError, MemoryError, ValueError) as error:
        raise OpError(f"the text cannot be read: {error or 'nested too deeply'}", op=op) from None
    if not body:
        raise OpError("the text is empty: expected a signature such as 'y[n] = op(x[n])'", op=op)
    return body


class _Reader:
    """Reads the statements of one op in order and knows the names seen so far."""

    def __init__(self, text: str, catalogue: Catalogue):
        self.text, self.catalogue = text, catalogue
        self.name = "op"
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.constants: dict[str, Constant] = {}
        self.assumptions: list[Compare] = []
        self.equations: dict[str, Equation] = {}
        self.stars: set[str] = set()
        self.included = 0
        self.scope: tuple[str, ...] = ()
        self.bound: dict[str, str] = {}

    # ---- signature -------------------------------------------------------------------------------------------------

    def signature(self, node: ast.stmt) -> None:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call)):
            raise self.error(node, "the first statement must be the signature, such as 'y[n] = op(x[n], eps=1e-5)'")
        call = node.value
        if not isinstance(call.func, ast.Name):
            raise self.error(call, "expected the op's name before '('")
        self.name = call.func.id
        targets = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else [node.targets[0]]
        for argument in call.args:
            tensor = self.declared(argument)
            self.check_name(tensor.name, argument)
            if tensor.name in self.inputs:
                raise self.error(argument, f"the input '{tensor.name}' is given twice")
            self.inputs[tensor.name] = tensor
        for kw in call.keywords:
            if kw.arg is None:
                raise self.error(kw.value, "'**' has no meaning here: write each constant as name=default")
            self.check_name(kw.arg, kw.value)
            if kw.arg in self.inputs or kw.arg in self.constants:
                raise self.error(kw.value, f"the name '{kw.arg}' is given twice")
            self.number(kw.value)
            self.constants[kw.arg] = Constant(kw.arg, ast.get_source_segment(self.text, kw.value))
        for target in targets:
            tensor = self.declared(target)
            if tensor.name in self.outputs or tensor.name in self.inputs:
                raise self.error(target, f"the output '{tensor.name}' is named twice")
            self.outputs[tensor.name] = tensor

    def infer_signature(self, node: ast.stmt) -> None:
        """Declare every name that a formula reads as an input, with the axes of its first plain read."""
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1):
            raise self.error(node, "expected one equation, such as 'y[i] = exp(-x[i]**2)'")
        output = self.declared(node.targets[0])
        self.name = self.outputs_name = output.name
        self.outputs[output.name] = output
        lookups: dict[str, tuple[tuple[str, ...], str, int]] = {}
        heads = {id(c.func) for c in ast.walk(node.value) if isinstance(c, ast.Call)}
        subscripted: set[int] = set()
        for sub in _in_order(node.value):
            if isinstance(sub, ast.Subscript) and id(sub) not in heads and isinstance(sub.value, ast.Name):
                subscripted.add(id(sub.value))
                name, slots = sub.value.id, _slots(sub)
                for position, slot in enumerate(slots):
                    if isinstance(slot, ast.Subscript) and isinstance(slot.value, ast.Name):
                        axes = tuple(s.id for s in _slots(slot) if isinstance(s, ast.Name))
                        lookups.setdefault(slot.value.id, (axes, name, position))
                if name not in lookups and all(isinstance(s, (ast.Name, ast.Starred)) for s in slots):
                    self.inputs.setdefault(name, self.declared(sub))
        indices = {
            n.id
            for s in ast.walk(node)
            if isinstance(s, ast.Subscript)
            for slot in _slots(s)
            for n in ast.walk(slot)
            if isinstance(n, ast.Name)
        }
        for sub in _in_order(node.value):
            if isinstance(sub, ast.Name) and id(sub) not in heads | subscripted:
                if sub.id not in indices and sub.id != "pi" and not is_function(sub.id):
                    self.inputs.setdefault(sub.id, Tensor(sub.id, ()))
        for name, (axes, of, position) in lookups.items():
            self.inputs.pop(name, None)
            if of not in self.inputs:
                raise self.error(node, f"the axes of '{of}' cannot be told from '{of}[...{name}[...]...]' alone; write a signature")
            self.inputs[name] = Tensor(name, axes, self.inputs[of].axes[position])
        self.inputs.pop(output.name, None)
        for name in self.inputs:
            self.check_name(name, node)

    def declared(self, node: ast.expr) -> Tensor:
        """A tensor as it stands in a signature or on the left of an equation: plain, distinct axes."""
        if isinstance(node, ast.Name):
            return Tensor(node.id, ())
        if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name)):
            raise self.error(node, "expected a tensor with its axes, such as 'x[n, d]'")
        axes: list[str] = []
        for slot in _slots(node):
            star = isinstance(slot, ast.Starred)
            name = slot.value if isinstance(slot, ast.Starred) else slot
            if not isinstance(name, ast.Name):
                raise self.error(slot, f"expected the name of an axis of '{node.value.id}'")
            if star:
                self.stars.add(name.id)
            elif name.id in self.stars:
                raise self.error(slot, f"the axis '{name.id}' was declared as '*{name.id}'")
            if name.id in axes:
                raise self.error(slot, f"the axis '{name.id}' of '{node.value.id}' is named twice")
            axes.append(name.id)
        return Tensor(node.value.id, tuple(axes))

    # ---- statements ------------------------------------------------------------------------------------------------

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            self.assumption(node.value)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            self.equation(node)
        else:
            raise self.error(node, "expected an equation 'name[axes] = expression' or an assumption such as 'eps > 0'")

    def assumption(self, node: ast.Compare) -> None:
        if len(node.ops) != 1:
            raise self.error(node, "write one comparison at a time")
        if isinstance(node.ops[0], ast.In):
            tensor, axis = self.declared(node.left), node.comparators[0]
            if tensor.name not in self.inputs or self.inputs[tensor.name].axes != tensor.axes:
                raise self.error(node.left, f"'{tensor.name}' with these axes is not an input of the signature")
            if not isinstance(axis, ast.Name):
                raise self.error(axis, "expected the axis that the labels index, such as 't[n] in c'")
            self.inputs[tensor.name] = Tensor(tensor.name, tensor.axes, axis.id)
            return
        left, right = node.left, node.comparators[0]
        name = left.value.id if isinstance(left, ast.Subscript) and isinstance(left.value, ast.Name) else None
        name = left.id if isinstance(left, ast.Name) else name
        if name is None or name not in {**self.inputs, **self.constants}:
            raise self.error(left, "an assumption compares an input or a constant of the signature with a number")
        rel = self.relation(node)
        self.assumptions.append(Compare(rel, Read(name), Num(self.number(right))))

    def equation(self, node: ast.Assign) -> None:
        left = self.declared(node.targets[0])
        if left.name in self.inputs or left.name in self.constants:
            raise self.error(node.targets[0], f"'{left.name}' is an input or a constant and cannot be assigned")
        if left.name in self.equations:
            raise self.error(node.targets[0], f"'{left.name}' is assigned twice; give the second value a name of its own")
        if left.name not in self.outputs:
            self.check_name(left.name, node.targets[0])
        elif self.outputs[left.name].axes != left.axes:
            want = ", ".join(self.outputs[left.name].axes)
            raise self.error(node.targets[0], f"the signature gives '{left.name}' the axes [{want}]")
        self.scope, self.bound = left.axes, {}
        value = node.value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and self.calls_op(value.func.id, left):
            self.call_op(value, left)
        else:
            rhs = self.tree(value)
            self.equations[left.name] = Equation(left.name, left.axes, rhs, node.lineno)

    def calls_op(self, name: str, left: Tensor) -> bool:
        """``y[*s] = tanh(x[*s])`` inside the op ``tanh`` is the function, elsewhere the function too."""
        return not is_function(name)

    # ---- expressions -----------------------------------------------------------------------------------------------

    def tree(self, node: ast.expr) -> Tree:
        match node:
            case ast.Constant():
                return Num(self.number(node))
            case ast.Name(id="pi"):
                return Const("pi")
            case ast.Name():
                return self.read(node, node.id, [])
            case ast.Subscript(value=ast.Name(id=name)):
                return self.read(node, name, _slots(node))
            case ast.UnaryOp(op=ast.USub()):
                return Neg(self.tree(node.operand))
            case ast.UnaryOp(op=ast.UAdd()):
                return self.tree(node.operand)
            case ast.BinOp():
                return self.binary(node)
            case ast.Compare():
                if len(node.ops) != 1:
                    raise self.error(node, "write one comparison at a time")
                return Compare(self.relation(node), self.tree(node.left), self.tree(node.comparators[0]))
            case ast.Call():
                return self.call(node)
        raise self.error(node, f"'{type(node).__name__}' is not part of the language")

    def binary(self, node: ast.BinOp) -> Tree:
        left, right = self.tree(node.left), self.tree(node.right)
        match node.op:
            case ast.Add():
                return Add((*left.args, right) if isinstance(left, Add) else (left, right))
            case ast.Sub():
                return Add((*left.args, Neg(right)) if isinstance(left, Add) else (left, Neg(right)))
            case ast.Mult():
                return Mul((*left.args, right) if isinstance(left, Mul) else (left, right))
            case ast.Div():
                return Div(left, right)
            case ast.Pow():
                value = constant_value(right)
                if value is None:
                    raise self.error(node.right, "an exponent must be a number; write a**b as exp(b*log(a))")
                if abs(value) > LARGEST or value.denominator > LARGEST:
                    raise self.error(node.right, f"the exponent is beyond {LARGEST}")
                return Pow(left, Num(value))
        raise self.error(node, f"the operator '{type(node.op).__name__}' is not part of the language")

    def read(self, node: ast.expr, name: str, slots: list[ast.expr]) -> Tree:
        tensor = self.known(node, name)
        index: list[Index] = []
        for position, slot in enumerate(slots):
            star = isinstance(slot, ast.Starred)
            inner = slot.value if isinstance(slot, ast.Starred) else slot
            want_star = position < len(tensor.axes) and tensor.axes[position] in self.stars
            if position < len(tensor.axes) and star != want_star:
                axis = tensor.axes[position]
                written = f"*{axis}" if want_star else "a single index"
                raise self.error(slot, f"axis {position + 1} of '{name}' takes {written}")
            index.append(self.index(inner, tensor, position))
        if len(index) != len(tensor.axes):
            axes = ", ".join(("*" if a in self.stars else "") + a for a in tensor.axes)
            raise self.error(node, f"'{name}' has {len(tensor.axes)} axes [{axes}] but is read with {len(index)}")
        return Read(name, tuple(index))

    def known(self, node: ast.expr, name: str) -> Tensor:
        if name in self.inputs:
            return self.inputs[name]
        if name in self.constants:
            return Tensor(name, ())
        if name in self.equations:
            return Tensor(name, self.equations[name].index)
        if name in self.scope or name in self.bound:
            raise self.error(node, f"'{name}' is an index and has no value; its length is size({name})")
        known = ", ".join([*self.inputs, *self.constants, *self.equations])
        raise self.error(node, f"unknown name '{name}'; known here: {known}")

    def index(self, node: ast.expr, tensor: Tensor, position: int) -> Index:
        if isinstance(node, ast.Name):
            if node.id in self.bound:
                return self.bound[node.id]
            if node.id in self.scope:
                return node.id
            raise self.error(node, f"the index '{node.id}' is neither on the left nor reduced")
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            labels = self.known(node, node.value.id)
            if not labels.integer:
                raise self.error(node, f"'{labels.name}' indexes '{tensor.name}' but is not declared as '{labels.name}[...] in axis'")
            inner = self.read(node, labels.name, _slots(node))
            assert isinstance(inner, Read)
            return Lookup(inner.name, inner.index)
        if isinstance(node, ast.Name | ast.Call):
            raise self.error(node, "an index is an axis or an integer tensor")
        raise self.error(node, f"slot {position + 1} of '{tensor.name}' must be an axis or an integer tensor such as t[n]")

    def call(self, node: ast.Call) -> Tree:
        if isinstance(node.func, ast.Subscript) and isinstance(node.func.value, ast.Name):
            return self.reduction(node, node.func.value.id, _slots(node.func))
        if not isinstance(node.func, ast.Name):
            raise self.error(node, "expected a function, a reduction such as sum[n](...), or an op")
        head = node.func.id
        if head == "size":
            return self.size(node)
        if head in REDUCTIONS:
            raise self.error(node, f"'{head}' must name its axes: {head}[n](...)")
        if not is_function(head):
            return self.call_op(node, None)
        if node.keywords:
            raise self.error(node, f"'{head}' takes no keywords")
        wanted = 1 if head in UNARY or head in SUGAR else NARY[head]
        if len(node.args) != wanted:
            raise self.error(node, f"'{head}' takes {wanted} argument{'s' * (wanted > 1)}, not {len(node.args)}")
        args = tuple(self.tree(a) for a in node.args)
        if head == "where" and not isinstance(args[0], Compare):
            raise self.error(node.args[0], "the first argument of 'where' is a comparison, such as x[n] > 0")
        for tree, at in zip(args, node.args, strict=True):
            if isinstance(tree, Compare) and not (head == "where" and tree is args[0]):
                raise self.error(at, "a comparison is only meaningful as the first argument of 'where'")
        return Pow(args[0], Num(Fraction(1, 2))) if head == "sqrt" else Call(head, args)

    def reduction(self, node: ast.Call, kind: str, slots: list[ast.expr]) -> Tree:
        if kind not in REDUCTIONS:
            raise self.error(node, f"unknown reduction '{kind}'; known: {', '.join(REDUCTIONS)}")
        if len(node.args) != 1 or node.keywords:
            raise self.error(node, f"'{kind}' takes one expression")
        outer = dict(self.bound)
        names = []
        for slot in slots:
            name = slot.value if isinstance(slot, ast.Starred) else slot
            if not isinstance(name, ast.Name):
                raise self.error(slot, "a reduction names its axes")
            taken = {*self.scope, *outer.values(), *(n for n in names)}
            self.bound[name.id] = fresh_index(name.id, taken)
            names.append(self.bound[name.id])
        body = self.tree(node.args[0])
        used = _index_uses(body)
        for slot, name in zip(slots, names, strict=True):
            if name not in used:
                raise self.error(slot, f"the reduced axis '{axis_of(name)}' is not used by the expression")
        self.bound = outer
        return Reduce(kind, tuple(names), body)

    def size(self, node: ast.Call) -> Tree:
        if len(node.args) != 1 or not isinstance(node.args[0], ast.Name):
            raise self.error(node, "size takes the name of one axis: size(n)")
        axis = node.args[0].id
        axes = {a for t in self.inputs.values() for a in t.axes} | {t.labels for t in self.inputs.values()}
        if axis not in axes:
            raise self.error(node.args[0], f"no input has an axis '{axis}'")
        return Size(axis)

    def relation(self, node: ast.Compare) -> str:
        rel = _RELATIONS.get(type(node.ops[0]))
        if rel is None:
            raise self.error(node, f"the comparison '{type(node.ops[0]).__name__}' is not part of the language")
        return rel

    def number(self, node: ast.expr) -> Fraction:
        """A literal as an exact rational: ``1e-5`` is 1/100000."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.number(node.operand)
        if not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
            raise self.error(node, "expected a number")
        if isinstance(node.value, int):
            if abs(node.value) > LARGEST:
                raise self.error(node, f"the integer is beyond {LARGEST}")
            return Fraction(node.value)
        if not math.isfinite(node.value):
            raise self.error(node, "the number is not finite")
        return Fraction(repr(node.value))

    # ---- calls of the catalogue ------------------------------------------------------------------------------------

    def call_op(self, node: ast.Call, left: Tensor | None) -> Tree:
        assert isinstance(node.func, ast.Name)
        callee = self.catalogue(node.func.id)
        if callee is None:
            raise self.error(node, f"unknown function or op '{node.func.id}'")
        if len(callee.outputs) != 1:
            raise self.error(node, f"'{callee.name}' has {len(callee.outputs)} outputs and cannot be called inside equations")
        arguments = Arguments(
            [self.argument(a) for a in node.args],
            {kw.arg or "**": self.tree(kw.value) for kw in node.keywords},
            left,
            self.scope,
            frozenset(self.stars),
        )
        prefix = callee.name
        while any(name.startswith(prefix + "_") for name in self.equations):
            self.included += 1
            prefix = f"{callee.name}{self.included + 1}"
        try:
            equations, result = include(callee, prefix, arguments, self.tensors())
        except OpError as error:
            raise self.error(node, str(error).split(": ", 1)[1]) from None
        for e in equations:
            self.equations[e.name] = Equation(e.name, e.index, e.rhs, node.lineno)
        return result

    def argument(self, node: ast.expr) -> Tree:
        """An argument of an op: a whole tensor, its axes under any names, or an expression of the indices in scope."""
        scope = self.scope
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            named = [s.value if isinstance(s, ast.Starred) else s for s in _slots(node)]
            self.scope = (*scope, *(n.id for n in named if isinstance(n, ast.Name)))
        tree = self.tree(node)
        self.scope = scope
        return tree

    def tensors(self) -> dict[str, Tensor]:
        made = {e.name: Tensor(e.name, e.index) for e in self.equations.values()}
        return {**self.inputs, **made}

    # ---- the whole -------------------------------------------------------------------------------------------------

    def check_name(self, name: str, node: ast.AST) -> None:
        if name in RESERVED or keyword.iskeyword(name) or is_function(name):
            raise self.error(node, f"'{name}' is a reserved word of the language or of a backend")
        if name.startswith("_") or not name.isascii():
            raise self.error(node, f"'{name}' must be ASCII and must not start with '_'")

    def finish(self, sizes: dict[str, int], title: str, source: str, notes: tuple[str, ...]) -> Op:
        first = ast.Module(body=[], type_ignores=[])
        for name in self.outputs:
            if name not in self.equations:
                raise self.error(first, f"the output '{name}' is never assigned")
            if name not in self.inputs:
                self.check_name(name, first)
        names = {**self.inputs, **self.equations}
        for name in [*names, *self.constants]:
            if name.startswith("d") and name[1:] in names:
                line = self.equations[name].line if name in self.equations else 1
                raise OpError(f"'{name}' collides with the adjoint of '{name[1:]}'; rename one", op=self.name, line=line, column=0)
        axes = {a for t in self.inputs.values() for a in t.axes}
        if (self.name in names or self.name in self.constants) and getattr(self, "outputs_name", None) != self.name:
            raise OpError(f"the op and one of its names are both called '{self.name}'", op=self.name, line=1, column=0)
        if clash := axes & {*names, *self.constants}:
            raise OpError(f"'{min(clash)}' names both an axis and a tensor", op=self.name, line=1, column=0)
        return Op(
            name=self.name,
            inputs=tuple(self.inputs.values()),
            outputs=tuple(self.outputs.values()),
            constants=tuple(self.constants.values()),
            equations=tuple(self.equations.values()),
            assumptions=tuple(self.assumptions),
            stars=frozenset(self.stars),
            sizes=tuple(sorted(sizes.items())),
            text=self.text.strip() + "\n",
            title=title,
            source=source,
            notes=notes,
        )

    def error(self, node: ast.AST, message: str) -> OpError:
        return OpError(message, op=self.name, line=getattr(node, "lineno", 1), column=getattr(node, "col_offset", 0))


def constant_value(tree: Tree) -> Fraction | None:
    """The value of an expression of literals, or None."""
    match tree:
        case Num(value):
            return value
        case Neg(arg):
            value = constant_value(arg)
            return None if value is None else -value
        case Div(a, b):
            num, den = constant_value(a), constant_value(b)
            return None if num is None or not den else num / den
    return None


def _slots(node: ast.Subscript) -> list[ast.expr]:
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def _in_order(node: ast.AST) -> list[ast.AST]:
    found = [n for n in ast.walk(node) if hasattr(n, "lineno")]
    return sorted(found, key=lambda n: (n.lineno, n.col_offset))  # type: ignore[attr-defined]


def _index_uses(tree: Tree) -> set[str]:
    from derive.syntax import free_indices

    return set(free_indices(tree))
