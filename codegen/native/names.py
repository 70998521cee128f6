"""Names that C or the emitted files have taken: a tensor of such a name gets an underscore in C."""

from __future__ import annotations

import re
from dataclasses import replace

from codegen.program import Program
from derive import syntax as st

RESERVED = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    real totals scratch threads thread batch_threads batch_thread streaming first last count row block lanes gemm
    tile panel pack matmul stream fill padded borrow give_back memory spare group smallest square cube fourth sign
    larger smaller size data strides constants abs acos asin atan ceil cos cosh erf exp exp2 expm1 fabs floor fma
    fmax fmin fmod hypot j0 j1 jn lgamma log log1p log2 main malloc calloc free memcpy memset pow round signal sin
    sinh sqrt tan tanh tgamma time trunc y0 y1 yn NAN INFINITY CHUNK LANES PANEL complex imaginary I NULL NDEBUG
    REAL_BITS PARALLEL_ABOVE STREAM_ABOVE OUT_OF_MEMORY LABEL_OUT_OF_RANGE NOT_CONTIGUOUS NOT_FIXED BLAS_ABOVE GROUP
    VECTOR_BYTES IN_REGISTER KEPT_BELOW HEAD NAME PACKED linux unix errno asm typeof thread_number thread_count team_size
    block_rows sum_block max_block min_block sum_threads max_threads min_threads labels_in_range load_part
    store_part pack_panel panel_vectors plain_product blas_product gemm_function omp_get_thread_num
    omp_get_max_threads omp_in_parallel omp_get_num_threads aligned_alloc int8_t int16_t int32_t int64_t uint32_t
    uint64_t uintptr_t size_t ptrdiff_t bool true false div ldiv rand exit abort system remove rename gammaf atan2
    cbrt ldexp frexp fdim nan nearbyint rint lrint remainder scalbn isnan isinf signbit fpclassify""".split()
)
#: What the printer makes of a name by adding to it; a tensor that is already called so is told apart by an underscore.
MADE = re.compile(
    r".*_(block|blocks|total|totals|row|rows|buffer|buffers|partial|sum|term|strides|stride_\w+|first|values?|parts|is_nan|outside)"
    r"|(size|real|FIXED|omp)_.*|__.*|_[A-Z].*"
)


def in_c(name: str) -> str:
    """The name as the C source spells it."""
    return f"{name}_" if name in RESERVED or MADE.fullmatch(name) else name


def renamed(program: Program) -> Program:
    """The program with every tensor and constant under the name that C has for it."""

    def tree(node: st.Tree) -> st.Tree:
        match node:
            case st.Read(name, index):
                return st.Read(in_c(name), tuple(map(slot, index)))
            case st.Match(left, right, equal):
                return st.Match(slot(left), slot(right), equal)
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
