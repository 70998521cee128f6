"""Names that C or the emitted files have taken: a tensor of such a name gets an underscore in C."""

from __future__ import annotations

from dataclasses import replace

from codegen.program import Program
from derive import syntax as st

RESERVED = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while real totals
    scratch threads thread batch_threads batch_thread streaming first last count row block lanes gemm tile panel pack
    matmul stream fill padded borrow give_back memory spare group smallest square cube fourth sign larger smaller size
    data strides constants abs acos asin atan ceil cos cosh erf exp exp2 expm1 fabs floor fma fmax fmin fmod
    hypot j0 j1 jn lgamma log log1p log2 main malloc calloc free memcpy memset pow round signal sin sinh sqrt tan tanh
    tgamma time trunc y0 y1 yn NAN INFINITY CHUNK LANES PANEL""".split()
)


def in_c(name: str) -> str:
    """The name as the C source spells it."""
    return f"{name}_" if name in RESERVED else name


def renamed(program: Program) -> Program:
    """The program with every tensor and constant under the name that C has for it."""

    def tree(node: st.Tree) -> st.Tree:
        match node:
            case st.Read(name, index):
                return st.Read(in_c(name), tuple(map(slot, index)))
            case st.Match(left, right):
                return st.Match(slot(left), slot(right))
        return st.rebuild(node, tree)

    def slot(index: st.Index) -> st.Index:
        return index if isinstance(index, str) else st.Lookup(in_c(index.name), tuple(map(slot, index.index)))

    return replace(
        program,
        arguments=tuple(replace(a, name=in_c(a.name)) for a in program.arguments),
        constants=tuple(replace(c, name=in_c(c.name)) for c in program.constants),
        statements=tuple(replace(s, name=in_c(s.name), tree=tree(s.tree), over=in_c(s.over)) for s in program.statements),
        results=tuple(map(in_c, program.results)),
    )
