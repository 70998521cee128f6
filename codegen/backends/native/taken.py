"""Names that are taken: a C function cannot use them for parameters and variables.

Taken are keywords, also C++'s, since the header may be included from C++; macros of the standard library, in any mode of the
compiler; and names that the emitted file defines or calls. Other functions of the C library (``y1`` of math.h) are free, since
a local variable may hide a function that is not called.
"""

from __future__ import annotations

import re

#: Keywords of C up to C23, of GNU C, and of C++.
KEYWORDS = frozenset(
    """alignas alignof asm auto bool break case char const constexpr continue default do double else enum extern false float
    for goto if inline int long nullptr register restrict return short signed sizeof static static_assert struct switch
    thread_local true typedef typeof typeof_unqual union unsigned void volatile while and and_eq bitand bitor catch char8_t
    char16_t char32_t class co_await co_return co_yield compl concept const_cast consteval constinit decltype delete
    dynamic_cast explicit export friend mutable namespace new noexcept not not_eq operator or or_eq private protected public
    reinterpret_cast requires static_cast template this throw try typeid typename using virtual wchar_t xor xor_eq""".split()
)
#: Macros that are replaced wherever they stand. A macro with arguments is replaced only before a bracket.
MACROS = frozenset(
    """BIG_ENDIAN BUFSIZ BYTE_ORDER CLOCKS_PER_SEC EDOM EILSEQ EOF ERANGE FD_SETSIZE FILENAME_MAX FOPEN_MAX I INFINITY
    LITTLE_ENDIAN L_tmpnam NAN NDEBUG NFDBITS NULL PDP_ENDIAN SEEK_CUR SEEK_END SEEK_SET TIME_UTC TMP_MAX complex errno
    imaginary linux math_errhandling noreturn stderr stdin stdout unix i386 unreachable""".split()
)
FAMILIES = re.compile(
    r"(U?INT(MAX|PTR|(_FAST|_LEAST)?\d+)|SIZE|PTRDIFF|SIG_ATOMIC|WCHAR|WINT|BOOL|S?CHAR|UCHAR|U?SHRT|U?INT|U?L?LONG)"
    r"_(MAX|MIN|WIDTH|C|BIT)"
    r"|(ATOMIC|FP|M|MATH|EXIT|FLT|DBL|LDBL|DEC|DEC\d+|FE|LC|SIG|MB|RAND|CR)_[A-Z0-9_]+[xlf]?|HUGE_VAL\w*|SIG[A-Z]+"
    r"|W(CONTINUED|EXITED|NOHANG|NOWAIT|STOPPED|UNTRACED|EOF)|(PRI|SCN)[bBdiouxX]\w+"
)
#: Functions of math.h that kernels call. Each is a macro of tgmath.h over functions of the same stem.
MATHEMATICS = "atan ceil cos copysign cosh erf exp expm1 fabs floor fma log log1p pow rint sin sinh sqrt tan tanh".split()
STEMS = frozenset(f"{c}{n}{t}" for n in (*MATHEMATICS, "abs") for c in ("", "c") for t in ("", "f", "l"))
#: The names that an emitted file defines, and other names that its functions call.
FILE = frozenset(
    """real real_word real_to_word real_of_word real_muladd real_exp_reduce real_exp_reduced real_hyperbolic real_exp
    real_log real_tanh real_erf real_erfcx real_sinh real_cosh real_sigmoid erfcx_above_zero double_sign double_maximum
    double_minimum double_sigmoid double_erfcx REAL_BITS NAME PACKED PARALLEL_ABOVE STREAM_ABOVE OUT_OF_MEMORY
    LABEL_OUT_OF_RANGE NOT_CONTIGUOUS NOT_FIXED HEAD KEPT_BELOW spare borrow give_back CHUNK smallest padded thread_number
    thread_count team_size block_rows fill square cube fourth sign larger smaller bounded labels_in_range sum_block max_block
    min_block prod_block take_step put_step sum_threads max_threads min_threads prod_threads stream
    VECTOR_BYTES LANES PANEL ROWS GROUP DEPTH WIDTH BLAS_ABOVE IN_REGISTER lanes
    gemm_function gemm load_part store_part muladd tile pack_panel copy_group panel_group group panel_vectors plain_product
    blas_product block_product matmul band FAR ANY add_terms banded_tile shifted banded_matmul largest floored running_sum
    BLOCK order RISING FALLING ALONG
    NOT_WHOLE window_first window_last
    memcpy memset malloc free aligned_alloc atomic_exchange isnan int64_t uint32_t uint64_t uintptr_t size_t
    omp_get_thread_num omp_get_num_threads omp_get_max_threads omp_in_parallel""".split()
)
#: The functions' variables that are not named after an author's names.
OWN = frozenset("thread threads batch_thread batch_threads first last count memory streaming".split())

TAKEN = KEYWORDS | MACROS | STEMS | FILE | OWN


def is_taken(name: str) -> bool:
    """Whether C or the emitted file has another use for a name; never for one with an underscore at its end."""
    return name in TAKEN or (not name.endswith("_") and FAMILIES.fullmatch(name) is not None)
