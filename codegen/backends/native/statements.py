"""C's spelling of single statements inside loops: values, terms of reductions, updates of labelled entries."""

from __future__ import annotations

from typing import assert_never

from codegen.backends.native.elements import element, in_memory, inside, named, spelled, stored
from codegen.backends.native.folds import FOLDS
from codegen.backends.native.scope import Held, InPlace
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment, EntryUpdate, Fold
from codegen.loops.nest import Accumulate, Define, Recompute, Step, Store, Update
from derive import syntax as st


def write_step(w: Writer, step: Step) -> None:
    """Write one statement."""
    match step:
        case Define(f):
            define(w, f)
        case Store(f, reread):
            store(w, f, reread)
        case Accumulate(f, fold):
            accumulate(w, f, fold)
        case Update(f, kind):
            update(w, f, kind)
        case Recompute():
            pass
        case _:
            assert_never(step)


# ---- values ----------------------------------------------------------------------------------------------------------


def expression(w: Writer, tree: st.Tree) -> str:
    """An expression as C, after the lines that rematerialise values it reads."""
    recompute(w, tree)
    return spelled(w).show(tree)


def recompute(w: Writer, tree: st.Tree) -> None:
    """Define variables for the rematerialised values that an expression reads."""
    for node in st.walk(tree):
        if isinstance(node, st.Read) and w.context.recomputed(node.name) and (node.name, node.index) not in w.scope.values:
            define(w, w.context.assignments[node.name])


def define(w: Writer, f: Assignment) -> None:
    """Compute a value into a variable."""
    recompute(w, f.body)
    double, spell = f.name in w.context.doubles, spelled(w)
    code = spell.numbers.double(f.body) if double else spell.show(f.body)
    variable = local(w, f)
    w.emit(f"const {'double' if double else 'real'} {variable} = {code};")
    w.hold(f.name, f.index, variable)


def local(w: Writer, f: Assignment) -> str:
    """The name of a value's variable: the value's own name, unless that is the name of an argument or of a pointer here."""
    in_use = f.name in w.context.arguments or _reached_by_name(w, f)
    return named(w, f.name, f.index, "value") if in_use else w.names.tensor(f.name)


def _reached_by_name(w: Writer, f: Assignment) -> bool:
    """Whether a value's elements are addressed by the pointer that has the value's own name."""
    if not in_memory(w.context, f.name):
        return False
    memory, at = stored(w.context, f.name), inside(w.context, f.name, f.index)
    pointed = (w.scope.chunk and f.name in w.scope.chunk.pointers) or (at and (f.name, at[:-1]) in w.scope.rows)
    return not (memory.row or memory.owner != f.name or pointed)


def store(w: Writer, f: Assignment, reread: bool) -> None:
    """Compute a value into memory."""
    if reread:
        define(w, f)
        w.emit(f"{element(w, f.name, f.index)} = {w.scope.values[f.name, f.index]};")
    else:
        code = expression(w, f.body)
        w.emit(f"{element(w, f.name, f.index)} = {code};")


def update(w: Writer, f: Assignment, kind: EntryUpdate) -> None:
    """Subtract the value from the entry that the labels select, or store it there."""
    target = next(i for i in f.index if i not in kind.labels.index)
    at = tuple(kind.labels if i == target else i for i in f.index)
    code = expression(w, f.body)
    w.emit(f"{element(w, f.name, at)} {'=' if kind.replaces else '-='} {code};")


# ---- terms of reductions -----------------------------------------------------------------------------------------------


def accumulate(w: Writer, f: Assignment, fold: Fold) -> None:
    """Add a term to a reduction, multiply the product so far by it, or compare it with the extremum so far."""
    code = expression(w, f.body)
    match w.scope.sums[f.name]:
        case Held(name, rest, _) if rest:
            _add_exactly(w, f, name, rest, code)
        case Held(name, _, is_nan) if is_nan:
            _compare(w, f, fold, name, is_nan, code)
        case Held(into, _, _) | InPlace(into):
            combine(w, fold, into, code)


def combine(w: Writer, fold: Fold, into: str, term: str) -> None:
    """Combine a term with ``into``: by addition or multiplication, or by keeping the larger or the smaller number."""
    if not fold.compares:
        w.emit(f"{into} {FOLDS[fold].clause}= {term};")
    else:
        w.helper(FOLDS[fold].pick)
        w.emit(f"{into} = {FOLDS[fold].pick}({into}, {term});")


def _compare(w: Writer, f: Assignment, fold: Fold, into: str, is_nan: str, code: str) -> None:
    """Keep an extremum. A vectorised comparison ignores NaN, so a second variable records whether a term is NaN."""
    term = w.names.part(f.name, "term")
    w.emit(f"const real {term} = {code};")
    w.emit(f"{into} = {term} {FOLDS[fold].better} {into} ? {term} : {into};")
    w.emit(f"{is_nan} |= {term} != {term};")


def _add_exactly(w: Writer, f: Assignment, into: str, rest: str, code: str) -> None:
    """Add a term, and add the addition's rounding error to ``rest``. Source: Knuth, TAOCP volume 2, section 4.2.2."""
    term, next_, back = (w.names.part(f.name, kind) for kind in ("term", "next", "back"))
    w.emit(f"const real {term} = {code}, {next_} = {into} + {term}, {back} = {next_} - {into};")
    w.emit(f"{rest} += ({into} - ({next_} - {back})) + ({term} - {back});")
    w.emit(f"{into} = {next_};")
